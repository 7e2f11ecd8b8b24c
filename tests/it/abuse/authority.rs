//! Who may decide, and who may not: control files, lookalikes, beneficiaries, machines, names that changed hands.

use std::collections::{BTreeMap, BTreeSet};

use chrono::TimeDelta;
use hallpass::domain::codeowners::{Codeowners, LOCATIONS};
use hallpass::domain::decision::Outcome;
use hallpass::domain::model::{Account, Actor, ActorKind, GrantPath, Login, PullNumber};
use hallpass::domain::parse::read_tree;
use hallpass::domain::pull::{Collaborator, Lookup, Pushers};
use hallpass::domain::schema::Kind;
use hallpass::sandbox::{AccountKind, Change, MergeMethod, Permission, When};
use proptest::prelude::*;

use super::{fate, gives};
use crate::approval::scene::{FILE, PEOPLE, Scene, actor, commit, file, login};
use crate::decision::office::{
    FOR_SERVICE, OWNERS, WANTED, office, only, request, rules, standing, verdict,
};
use crate::policy::ceremony::{SEASONED, govern, seasoning, seen};
use crate::scenario::hearing_and_deaf;
use crate::world::{REPO, World, grant};

const CONTROL: [&str; 12] = [
    ".github/CODEOWNERS",
    "CODEOWNERS",
    "docs/CODEOWNERS",
    ".gitattributes",
    "access/.gitattributes",
    "access/grants/orders/.gitattributes",
    "access/people/octocat.yaml",
    "access/services/deploy-bot.yaml",
    "access/resources/orders.yaml",
    "access/policies/permit.cedar",
    "access/policies/schema.json",
    "access/unheard-of",
];

#[test]
fn ac_01_a_change_of_who_decides_and_a_grant_never_share_a_pull_request() {
    for control in CONTROL {
        for after in [None, Some("anything")] {
            for (before, text) in [
                (None, Some(WANTED.to_owned())),
                (Some(WANTED), Some(WANTED.replace("2h", "3h"))),
                (Some(WANTED), None),
            ] {
                let mut scene = office();
                if let Some(before) = before {
                    standing(&mut scene, FILE, before);
                }
                scene.changes(FILE, before, text.as_deref());
                scene.changes(control, Some("something"), after);
                scene.approves("grace").approves("judy");
                let found = verdict(&scene);
                assert_eq!(found.outcome, Outcome::Denied, "{control}");
                assert!(rules(&found).contains(&"control-and-grants"), "{control}");
                assert!(!found.only_grants);
                assert!(!gives(&scene), "{control}");
            }
        }
    }
}

#[test]
fn ac_01_what_a_pull_request_says_of_owners_does_not_judge_it() {
    let mut scene = request();
    scene.changes(".github/CODEOWNERS", Some(OWNERS), Some("* @mallory\n"));
    scene.approves("mallory");
    let found = verdict(&scene);
    assert_eq!(found.outcome, Outcome::Denied);
    assert_eq!(found.missing().count(), 2, "neither file has its approval");
}

#[test]
fn ac_02_every_location_of_codeowners_is_a_control_file_whether_or_not_it_is_there() {
    for present in 1..8_u8 {
        let there = |index: usize| present & (1 << index) != 0;
        let files: Vec<_> = (0..3)
            .filter(|i| there(*i))
            .map(|i| file(LOCATIONS[i], "* @acme/security\n"))
            .collect();
        let first = (0..3).find(|i| there(*i)).map(|i| LOCATIONS[i]);
        assert_eq!(Codeowners::in_force(&files).path, first);
        for location in LOCATIONS {
            let mut scene = office();
            scene.base.codeowners = Codeowners::in_force(&files);
            scene.adds(
                location,
                "* @acme/security\n/access/grants/orders/ @mallory\n",
            );
            scene.approves("mallory");
            let found = verdict(&scene);
            assert_eq!(found.outcome, Outcome::Waiting, "{present:03b} {location}");
            assert!(!found.only_grants, "nobody's robot merges it");
            scene.adds(FILE, WANTED);
            assert!(!gives(&scene), "{present:03b} {location}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn ac_03_the_folder_alone_says_what_is_asked_for(
        folder in prop::sample::select(vec!["orders", "ledger"]),
        key in prop::sample::select(vec!["resource", "provider", "entitlement", "roles", "grants"]),
        value in prop::sample::select(vec!["orders", "ledger", "orders-primary", "{ role: ledger_admin }"]),
    ) {
        let path = format!("access/grants/{folder}/octocat.yaml");
        let mut scene = office();
        scene.adds(&path, WANTED);
        let plain = verdict(&scene);
        let access = only(&plain).access.clone();
        if let Some(access) = &access {
            prop_assert_eq!(access.connection.as_str(), format!("{folder}-primary"));
        }
        let mut scene = office();
        scene.adds(&path, &format!("{key}: {value}\n{WANTED}"));
        scene.approves("grace").approves("judy");
        let found = verdict(&scene);
        prop_assert!(rules(&found).contains(&"unknown-field"));
        prop_assert_eq!(&only(&found).access, &None);
    }
}

/// Everybody of the tests who is a person.
const CREW: [&str; 5] = ["octocat", "grace", "heidi", "judy", "mallory"];

#[test]
fn ac_09_nobody_who_asked_pushed_or_receives_approves() {
    let (mut given, mut cases) = (0, 0);
    for author in CREW {
        for pusher in CREW {
            for approver in CREW {
                for receives in CREW {
                    let mut scene = office();
                    scene.staff("dba", &["octocat", "grace", "heidi"]);
                    scene.adds(FILE, &WANTED.replace("octocat", receives));
                    scene.pull.author = Some(actor(author));
                    scene.pull.pushers = Pushers::Known([actor(pusher).id].into());
                    scene.approves(approver);
                    let owner = ["octocat", "grace", "heidi"].contains(&approver);
                    let expected = owner && ![author, pusher, receives].contains(&approver);
                    assert_eq!(
                        gives(&scene),
                        expected,
                        "{author} asks, {pusher} pushes, {approver} approves, {receives} receives"
                    );
                    given += usize::from(expected);
                    cases += 1;
                }
            }
        }
    }
    assert_eq!((cases, given), (625, 3 * 64));
}

#[test]
fn ac_09_whoever_answers_for_a_service_does_not_approve_for_it() {
    for (author, approver, expected) in [
        ("octocat", "heidi", false),
        ("octocat", "deploy", false),
        ("octocat", "grace", true),
        ("heidi", "heidi", false),
        ("heidi", "grace", true),
    ] {
        let mut scene = office();
        scene.staff("dba", &["grace", "heidi", "deploy"]);
        scene.adds(FILE, FOR_SERVICE);
        scene.pull.author = Some(actor(author));
        scene.pull.pushers = Pushers::Known([actor(author).id].into());
        let service = scene.base.services.values_mut().next().expect("a service");
        service.github_id = Some(actor("deploy").id);
        scene.approves(approver);
        assert_eq!(gives(&scene), expected, "{author}, {approver}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 256, ..ProptestConfig::default() })]

    #[test]
    fn ac_08_approvers_and_beneficiaries_never_meet(
        author in prop::sample::select(PEOPLE[1..].to_vec()),
        receives in prop::sample::select(PEOPLE[1..].to_vec()),
        team in prop::collection::btree_set(prop::sample::select(PEOPLE[1..].to_vec()), 0..7),
        approvers in prop::collection::vec(prop::sample::select(PEOPLE[1..].to_vec()), 0..5),
        role in prop::sample::select(vec!["readonly", "admin"]),
    ) {
        let mut scene = office();
        let team: Vec<&str> = team.into_iter().collect();
        scene.staff("dba", &team);
        scene.adds(FILE, &WANTED.replace("octocat", receives).replace("readonly", role));
        scene.pull.author = Some(actor(author));
        scene.pull.pushers = Pushers::Known([actor(author).id].into());
        for approver in &approvers {
            scene.approves(approver).last().body = "As discussed this morning".to_owned();
        }
        let found = verdict(&scene);
        let independent: BTreeSet<&str> = approvers
            .iter()
            .copied()
            .filter(|a| team.contains(a) && *a != author && *a != receives)
            .collect();
        let needed = if role == "admin" { 2 } else { 1 };
        prop_assert_eq!(found.outcome == Outcome::Approved, independent.len() >= needed);
        if let hallpass::domain::decision::Standing::Approved(proof) = &only(&found).approval {
            for approval in proof.approvals() {
                prop_assert!(approval.reviewer.id != actor(receives).id);
            }
        }
    }
}

#[test]
fn ac_08_a_beneficiary_does_not_count_under_another_account_of_theirs() {
    // By the number behind the login, and by the account in the target system that two people are declared to share.
    for shares in [false, true] {
        let mut scene = request();
        if shares {
            let people = &mut scene.base.people;
            let shared = people[&login("octocat")].identities.clone();
            people.get_mut(&login("ivan")).expect("ivan").identities = shared;
        }
        scene.staff("dba", &["ivan"]).approves("ivan");
        assert_eq!(gives(&scene), !shares);
    }
    // Whoever carries the beneficiary's login, whatever their number, stands aside.
    let mut scene = request();
    scene.pull.author = Some(actor("mallory"));
    let twin = Actor {
        id: actor("judy").id,
        ..actor("octocat")
    };
    scene.staff("dba", &["judy"]).approves("judy");
    if let Lookup::Found(team) = scene.team("dba") {
        team.members[0] = twin.clone();
    }
    scene.last().reviewer = Some(twin);
    assert!(!gives(&scene));
}

#[test]
fn ac_10_only_current_owners_count_whoever_else_is_invited() {
    // An outsider, somebody of another team, a named owner who can only read, one who is gone.
    let mut scene = request();
    scene.approves("mallory").approves("judy");
    assert!(!gives(&scene));
    for (can_write, expected) in [(false, false), (true, true)] {
        let mut scene = office();
        scene.person("judy", can_write);
        scene.base.codeowners = Codeowners::parse(LOCATIONS[0], b"* @judy\n");
        scene.adds(FILE, WANTED).approves("judy");
        assert_eq!(gives(&scene), expected);
    }
    let mut scene = office();
    scene.base.codeowners = Codeowners::parse(LOCATIONS[0], b"* @judy\n");
    scene.roster.users.insert(login("judy"), Lookup::Absent);
    scene.adds(FILE, WANTED).approves("judy");
    assert!(!gives(&scene));
}

#[tokio::test(flavor = "multi_thread")]
async fn ac_10_somebody_who_was_invited_into_the_team_and_has_not_joined_does_not_count() {
    hearing_and_deaf(async |world| {
        world.sandbox.join_team("stranger", "dba");
        world
            .sandbox
            .collaborator(REPO, "stranger", Some(Permission::Push));
        let pull = world
            .request("ada", "db/ada-incident", &grant("ada", "readonly", "2h"))
            .await;
        world.approve(pull, "stranger").await;
        assert_eq!(world.conclusion(pull), "in_progress");
        assert_eq!(world.vault.calls(), 0);
    })
    .await;
}

#[test]
fn ac_10_where_a_policy_lets_owners_season_a_second_account_does_not_count_yet() {
    // heidi's second account is put into the team ten minutes after noon.
    for (minute, expected) in [(10, false), (69, false), (71, true)] {
        let mut scene = seasoning(minute);
        seen(&mut scene, "dba", &["grace", "heidi"], &[("ivan", 10)]);
        scene.approves("ivan");
        assert_eq!(gives(&scene), expected, "{minute}");
    }
    let mut scene = seasoning(10);
    seen(&mut scene, "dba", &["grace", "heidi"], &[("ivan", 10)]);
    scene.approves("grace");
    assert!(gives(&scene), "who was there all the time");
}

#[test]
fn ac_11_apps_mannequins_and_ghosts_never_count() {
    for kind in [ActorKind::Bot, ActorKind::Other] {
        let mut scene = request();
        scene.approves("grace");
        let machine = Actor {
            kind,
            ..actor("grace")
        };
        scene.last().reviewer = Some(machine.clone());
        assert!(!gives(&scene), "the review is by a {kind:?}");
        if let Lookup::Found(team) = scene.team("dba") {
            team.members = vec![machine];
        }
        assert!(!gives(&scene), "the team holds a {kind:?}");
    }
    let mut scene = request();
    scene.approves("grace").last().reviewer = None;
    assert!(!gives(&scene));
    let mut scene = request();
    scene.pull.author = None;
    scene.approves("grace");
    assert!(!gives(&scene), "nobody can tell that a ghost is not grace");
}

#[tokio::test(flavor = "multi_thread")]
async fn ac_11_an_app_that_reviews_approves_nothing() {
    hearing_and_deaf(async |world| {
        world
            .sandbox
            .account("reviewer[bot]", None, AccountKind::Bot);
        world
            .sandbox
            .collaborator(REPO, "reviewer[bot]", Some(Permission::Push));
        let pull = world
            .request("ada", "db/ada-incident", &grant("ada", "readonly", "2h"))
            .await;
        world.approve(pull, "reviewer[bot]").await;
        assert_eq!(world.conclusion(pull), "in_progress");
        assert_eq!(world.vault.calls(), 0);
    })
    .await;
}

#[test]
fn ac_12_where_nobody_could_approve_it_is_said_at_once_and_never_passed() {
    let people = ["octocat", "grace", "mallory"];
    for mask in 0..8_u8 {
        let team: Vec<&str> = (0..3)
            .filter(|i| mask & (1 << i) != 0)
            .map(|i| people[i])
            .collect();
        let mut scene = request();
        scene.pull.pushers = Pushers::Known([actor("octocat").id, actor("mallory").id].into());
        scene.staff("dba", &team);
        for person in people {
            scene.approves(person);
        }
        let eligible = team.contains(&"grace");
        assert_eq!(gives(&scene), eligible, "{team:?}");
        let mut unreviewed = scene.clone();
        unreviewed.pull.reviews.clear();
        let found = verdict(&unreviewed);
        let dead = rules(&found).contains(&"no-eligible-approver");
        assert_eq!(dead, !eligible, "{team:?}: {:?}", found.findings);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn ac_15_an_accomplice_in_the_team_counts_from_then_on_and_the_evidence_names_both() {
    // The catalogue would let memberships season, for which it takes a policy; by the design, whoever is an owner now is one. What
    // remains is that nobody can deny it: the evidence holds the reviewer's number and the team through which the approval counted.
    hearing_and_deaf(async |world| {
        let pull = world
            .request("ada", "db/ada-incident", &grant("ada", "readonly", "2h"))
            .await;
        world.approve(pull, "mallory").await;
        assert_eq!(world.conclusion(pull), "in_progress");
        world.sandbox.join_team("mallory", "dba");
        world.settle().await;
        world.resync().await;
        assert_eq!(world.holders("reader"), ["ada"]);
        let evidence = world.evidence();
        let granted = evidence
            .iter()
            .find(|m| m.contains("Event: granted\n"))
            .expect("evidence of the grant");
        assert!(
            granted.contains("mallory") && granted.contains("@acme/dba"),
            "{granted}"
        );
    })
    .await;
}

/// Owners season, and somebody who joins them approves at once.
async fn approved_by_an_accomplice(world: &World) -> PullNumber {
    govern(world, SEASONED).await;
    world.sandbox.join_team("mallory", "dba");
    let pull = world
        .request("ada", "db/ada-incident", &grant("ada", "readonly", "2h"))
        .await;
    world.approve(pull, "mallory").await;
    pull
}

#[tokio::test(flavor = "multi_thread")]
async fn ac_15_where_a_policy_lets_owners_season_an_accomplice_counts_only_later() {
    hearing_and_deaf(async |world| {
        let pull = approved_by_an_accomplice(world).await;
        let waits = || {
            assert!(!world.is_merged(pull), "{:?}", world.check(pull));
            assert_eq!(world.vault.calls(), 0);
        };
        waits();
        let check = world.check(pull);
        assert_eq!(world.conclusion(pull), "in_progress");
        let why = "The approval by @mallory does not count: Owners approve once they have been owners for an hour";
        let told = format!("{} {}", check.summary, check.text);
        assert!(told.contains(why), "{told}");
        // A look in between that cannot read the team begins nothing anew.
        world.sandbox.fail_next(
            Some("GET /orgs/{org}/teams/{team_slug}/members"),
            1_000,
            502,
            When::Before,
        );
        world.advance(TimeDelta::minutes(30)).await;
        world.resync().await;
        waits();
        world.sandbox.heal();
        world.advance(TimeDelta::minutes(29)).await;
        world.resync().await;
        waits();
        // Nobody does anything, and time passes.
        world.advance(TimeDelta::minutes(10)).await;
        world.resync().await;
        assert!(world.is_merged(pull), "{:?}", world.check(pull));
        assert_eq!(world.holders("reader"), ["ada"]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ac_15_an_accomplice_who_does_not_count_yet_is_not_helped_by_a_merge() {
    hearing_and_deaf(async |world| {
        let pull = approved_by_an_accomplice(world).await;
        world.merge_as_admin(pull, MergeMethod::Merge).await;
        world.advance(TimeDelta::minutes(90)).await;
        world.resync().await;
        assert_eq!(world.vault.calls(), 0);
        assert_eq!(world.told("merged-without-proof").len(), 1);
    })
    .await;
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn ac_44_a_login_is_ascii_and_its_case_means_nothing(text in "[a-zA-Z0-9]{1,8}(-[a-zA-Z0-9]{1,8}){0,2}", odd in "[\\PC&&[^\\x00-\\x7f]]") {
        let login = Login::new(&text).expect("a login");
        prop_assert_eq!(login.as_str(), text.to_ascii_lowercase());
        prop_assert_eq!(Login::new(text.to_ascii_uppercase()), Ok(login));
        for strange in [format!("{odd}{text}"), format!("{text}{odd}")] {
            prop_assert!(Login::new(&strange).is_err(), "{strange:?}");
        }
    }
}

#[test]
fn ac_44_letters_that_fold_to_others_are_no_letters_of_a_login() {
    // KELVIN SIGN and LATIN SMALL LETTER DOTLESS I become `k` and `i` by other rules of folding.
    for text in [
        "mar\u{212a}",
        "g\u{131}thub",
        "\u{430}da",
        "ad\u{200b}a",
        "a.da",
        "@ada",
    ] {
        assert!(Login::new(text).is_err(), "{text:?}");
        let found = read_tree(&[file(FILE, &WANTED.replace("octocat", text))]);
        assert!(found.grants.is_empty(), "{text:?}");
    }
}

#[test]
fn ac_45_a_login_that_changed_hands_is_nobody_that_we_know() {
    // judy is declared with her number; whoever answers to @judy now is somebody else.
    let squatter = Actor {
        id: actor("mallory").id,
        ..actor("judy")
    };
    let mut scene = office();
    scene.base.codeowners = Codeowners::parse(LOCATIONS[0], b"* @judy\n");
    scene.roster.users.insert(
        login("judy"),
        Lookup::Found(Collaborator {
            actor: squatter.clone(),
            can_write: true,
        }),
    );
    scene.adds(FILE, WANTED).approves("judy");
    scene.last().reviewer = Some(squatter.clone());
    assert!(
        !gives(&scene),
        "an owner by name is bound to the number of the people's files"
    );
    let found = verdict(&scene);
    assert!(
        rules(&found).contains(&"no-eligible-approver"),
        "{:?}",
        found.findings
    );
    // Ending somebody's access is asked by number too.
    let mut scene = office();
    standing(&mut scene, FILE, WANTED);
    scene.changes(FILE, Some(WANTED), None);
    scene.pull.author = Some(Actor {
        id: actor("mallory").id,
        ..actor("octocat")
    });
    scene.pull.pushers = Pushers::Known([actor("mallory").id].into());
    assert_eq!(verdict(&scene).outcome, Outcome::Waiting);
}

#[tokio::test(flavor = "multi_thread")]
async fn ac_45_whoever_registers_a_freed_name_owns_nothing_by_it() {
    hearing_and_deaf(async |world| {
        let owners = "* @acme/security\n/access/grants/db/ @grace\n";
        world
            .sandbox
            .push_to_main(
                "root",
                REPO,
                &[Change::write(".github/CODEOWNERS", owners)],
                "Name grace",
            )
            .unwrap();
        world.sandbox.rename_user("grace", "grace-married");
        world.sandbox.member("grace");
        let pull = world
            .request("ada", "db/ada-incident", &grant("ada", "readonly", "2h"))
            .await;
        world.approve(pull, "grace").await;
        assert!(!world.is_merged(pull), "{:?}", world.check(pull));
        assert_eq!(world.vault.calls(), 0);
    })
    .await;
}

#[test]
fn ac_46_the_account_comes_from_the_people_and_never_from_the_request() {
    let schema: serde_json::Value = serde_json::from_str(Kind::Grant.source()).unwrap();
    let fields: BTreeSet<&str> = schema["properties"]
        .as_object()
        .expect("fields")
        .keys()
        .map(String::as_str)
        .collect();
    assert_eq!(
        fields,
        BTreeSet::from([
            "person",
            "service",
            "role",
            "duration",
            "expires",
            "starts",
            "reason",
            "ticket",
            "risk",
            "emergency",
            "adopt"
        ]),
        "a new field must not say who receives"
    );
    for line in [
        "db_user: postgres",
        "account: root",
        "email: boss@example.org",
        "group: system:masters",
        "identities: { orders-primary: postgres }",
        "github_id: 1",
    ] {
        let mut scene = office();
        scene.adds(FILE, &format!("{line}\n{WANTED}"));
        scene.approves("grace");
        assert!(rules(&verdict(&scene)).contains(&"unknown-field"), "{line}");
        assert!(!gives(&scene), "{line}");
    }
    let mut scene = office();
    scene.adds(FILE, &WANTED.replace("octocat", "system:masters"));
    assert!(!gives(&scene));
    let found = verdict(&request());
    let account = only(&found).access.as_ref().map(|access| &access.account);
    let declared = Account {
        name: "octocat_db".to_owned(),
        github_id: Some(actor("octocat").id),
        id: None,
    };
    assert_eq!(account, Some(&declared));
}

#[test]
fn ac_47_what_is_given_is_what_a_control_file_of_the_base_lists() {
    // An entitlement is text of a resource's role, which its owners let in; a request can only name it.
    for role in ["pg-execute-server-program", "superuser", "system-masters"] {
        let mut scene = office();
        scene.adds(FILE, &WANTED.replace("readonly", role));
        scene.approves("grace");
        assert!(rules(&verdict(&scene)).contains(&"unknown-role"), "{role}");
        assert!(!gives(&scene));
    }
    // Listing it takes an approval of who owns the control files, in a pull request without grants.
    let mut scene = office();
    scene.changes(
        crate::decision::office::ORDERS_FILE,
        Some("before"),
        Some("description: Orders database\nrisk: low\nprovider: orders-primary\nroles:\n  superuser:\n    description: Everything there is\n    entitlement: { role: postgres }\n    max_duration: 1h\n"),
    );
    scene.approves("grace");
    assert_eq!(verdict(&scene).outcome, Outcome::Waiting);
    scene.approves("judy");
    assert_eq!(verdict(&scene).outcome, Outcome::Approved);
    assert!(!verdict(&scene).only_grants);
}

#[test]
fn ac_12_an_owner_team_that_failed_is_doubt_and_not_nobody() {
    let mut scene: Scene = request();
    crate::decision::office::failed(&mut scene, "dba");
    scene.approves("octocat");
    let (open, _) = fate(&scene);
    assert!(matches!(open, Outcome::Uncertain(_)), "{open:?}");
    let ended = BTreeMap::from([(
        GrantPath::new(FILE).expect("a path"),
        scene.changes[0]
            .after
            .as_ref()
            .expect("a file")
            .blob
            .clone(),
    )]);
    scene.ended = ended;
    assert!(!gives(&scene), "what ended before gives nothing by itself");
    assert_eq!(scene.pull.head, commit("head"));
}
