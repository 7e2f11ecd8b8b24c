//! Reviews, weighed: what counts, what does not, and that doubt never helps.

mod doubt;
pub mod scene;

use std::collections::BTreeSet;

use hallpass::domain::approval::{Beneficiary, Demand, Missing, Refusal, prove};
use hallpass::domain::catalogue::Catalogue;
use hallpass::domain::model::{
    ActorKind, ConnectionName, Grant, GrantPath, Login, Person, Service, ServiceName, Subject,
    Term, TermLength, UserId,
};
use hallpass::domain::pull::{Lookup, Pushers, ReviewState};
use scene::{FILE, PEOPLE, Scene, actor, blob, commit, login, team};

use ReviewState::{
    Approved, ChangesRequested, Commented, Dismissed, ObjectionDismissed, Pending, Unknown,
};

fn demand(needed: u32) -> Demand {
    Demand {
        needed,
        ..Demand::default()
    }
}

/// Who counts, oldest first, or what is missing.
fn weigh(scene: &Scene, demand: &Demand) -> Result<Vec<String>, Box<Missing>> {
    let path = GrantPath::new(FILE).expect("a grant path");
    let proof = prove(&scene.case(), &path, &blob("wanted"), demand)?;
    assert_eq!(proof.path(), &path);
    assert_eq!(proof.blob(), &blob("wanted"));
    assert_eq!(proof.base(), &commit("base"));
    assert_eq!(proof.pull(), scene.pull.number);
    Ok(proof
        .approvals()
        .iter()
        .map(|a| a.reviewer.login.to_string())
        .collect())
}

fn missing(scene: &Scene, demand: &Demand) -> Missing {
    *weigh(scene, demand).expect_err("something is missing")
}

/// Why nothing counts, asserting that nothing does.
fn reasons(scene: &Scene) -> Vec<String> {
    let missing = missing(scene, &demand(1));
    assert_eq!((missing.needed, missing.have), (1, 0));
    missing.reasons
}

fn dead_end(scene: &Scene, demand: &Demand) -> (&'static str, String, String) {
    let end = missing(scene, demand).dead_end.expect("a dead end");
    (end.rule, end.message, end.help)
}

#[test]
fn an_owner_approves() {
    let mut scene = Scene::new();
    assert_eq!(
        reasons(&scene),
        ["One approval is needed, from @acme/dba: @grace, @heidi or @ivan can give it."]
    );
    scene.approves("grace");
    assert_eq!(weigh(&scene, &demand(1)), Ok(vec!["grace".to_owned()]));
}

#[test]
fn a_proof_names_review_commit_owner_and_line() {
    let mut scene = Scene::new();
    scene.approves("grace");
    let path = GrantPath::new(FILE).expect("a grant path");
    let proof = prove(&scene.case(), &path, &blob("wanted"), &demand(1)).expect("proof");
    let [approval] = proof.approvals() else {
        panic!("one approval");
    };
    assert_eq!(approval.review, 100);
    assert_eq!(approval.reviewer, actor("grace"));
    assert_eq!(approval.commit, commit("head"));
    assert_eq!(approval.blob, blob("wanted"));
    assert_eq!(approval.at, Some(scene::at(0)));
    assert_eq!(approval.through, team("dba"));
    assert_eq!(approval.line, 2);
}

#[test]
fn only_owners_of_the_deciding_line_count() {
    let mut scene = Scene::new();
    scene.approves("judy").approves("mallory");
    let said = reasons(&scene);
    assert_eq!(
        said[1..],
        [
            "The approval by @judy does not count: @judy is not an owner of this file now.",
            "The approval by @mallory does not count: @mallory is not an owner of this file now.",
        ]
    );
}

#[test]
fn the_author_a_pusher_and_the_beneficiary_do_not_count() {
    let mut scene = Scene::new();
    scene.staff("dba", &["octocat", "grace", "heidi", "judy"]);
    scene.pull.author = Some(actor("heidi"));
    scene.pull.pushers = Pushers::Known(BTreeSet::from([actor("grace").id]));
    scene
        .approves("octocat")
        .approves("grace")
        .approves("heidi");
    let mut receives = demand(1);
    receives.beneficiary = gains(&person("octocat"));
    let missing = missing(&scene, &receives);
    assert_eq!(missing.have, 0);
    assert_eq!(
        missing.reasons,
        [
            "One approval is needed, from @acme/dba: @judy can give it.",
            "The approval by @octocat does not count: @octocat receives the access, or is accountable for the service that does.",
            "The approval by @grace does not count: @grace pushed to this pull request.",
            "The approval by @heidi does not count: @heidi opened this pull request.",
        ]
    );
    scene.approves("judy");
    assert_eq!(weigh(&scene, &receives), Ok(vec!["judy".to_owned()]));
}

fn connection() -> ConnectionName {
    ConnectionName::new("orders-primary").expect("a name")
}

fn person(name: &str) -> Subject {
    Subject::Person(login(name))
}

fn declared(name: &str, account: &str) -> (Login, Person) {
    let person = Person {
        login: login(name),
        github_id: actor(name).id,
        name: None,
        attributes: Default::default(),
        identities: [(connection(), account.to_owned())].into(),
    };
    (login(name), person)
}

/// Everybody who gains by a grant for `subject`, where ivan uses octocat's database account and heidi is accountable for the
/// service `deploy`.
fn gains(subject: &Subject) -> Beneficiary {
    let service = Service {
        name: ServiceName::new("deploy").expect("a name"),
        description: "Deploys".to_owned(),
        owner: login("heidi"),
        github_id: Some(actor("deploy").id),
        identities: [(connection(), "deploy".to_owned())].into(),
    };
    let base = Catalogue {
        people: [
            declared("octocat", "octo"),
            declared("ivan", "octo"),
            declared("heidi", "heidi"),
        ]
        .into(),
        services: [(service.name.clone(), service)].into(),
        resources: [scene::orders()].into(),
        ..Catalogue::default()
    };
    let grant = Grant {
        subject: subject.clone(),
        role: hallpass::domain::model::RoleName::new("readonly").expect("a name"),
        term: Term::Duration(TermLength::parse("2h").expect("a term")),
        starts: None,
        reason: String::new(),
        ticket: None,
        risk: None,
        emergency: false,
        adopt: false,
    };
    Beneficiary::of(&base, &GrantPath::new(FILE).expect("a path"), &grant)
}

#[test]
fn everybody_who_gains_stands_aside() {
    let table: [(Subject, &[&str]); 2] = [
        (person("octocat"), &["octocat", "ivan"]),
        (
            Subject::Service(ServiceName::new("deploy").expect("a name")),
            &["heidi", "deploy"],
        ),
    ];
    for (subject, expected) in table {
        let gains = gains(&subject);
        let found: Vec<&str> = PEOPLE
            .into_iter()
            .filter(|name| gains.includes(&actor(name)))
            .collect();
        let expected: BTreeSet<&str> = expected.iter().copied().collect();
        assert_eq!(found.into_iter().collect::<BTreeSet<_>>(), expected);
    }
}

#[test]
fn a_renamed_beneficiary_and_one_who_took_over_the_login_stand_aside() {
    let gains = gains(&person("octocat"));
    let mut renamed = actor("octocat");
    renamed.login = login("tabby");
    assert!(gains.includes(&renamed));
    let mut squatter = actor("mallory");
    squatter.login = login("octocat");
    assert!(gains.includes(&squatter));
}

#[test]
fn an_owner_is_recognised_by_number_not_by_login() {
    let mut scene = Scene::new();
    scene.approves("grace");
    let reviewer = scene.last().reviewer.as_mut().expect("a reviewer");
    reviewer.login = login("renamed");
    assert_eq!(weigh(&scene, &demand(1)), Ok(vec!["renamed".to_owned()]));
    let reviewer = scene.last().reviewer.as_mut().expect("a reviewer");
    reviewer.login = login("grace");
    reviewer.id = UserId(99);
    assert!(weigh(&scene, &demand(1)).is_err());
}

#[test]
fn apps_and_deleted_accounts_do_not_count() {
    let mut scene = Scene::new();
    scene.approves("grace");
    for kind in [ActorKind::Bot, ActorKind::Other] {
        scene.last().reviewer.as_mut().expect("a reviewer").kind = kind;
        assert_eq!(
            reasons(&scene)[1],
            "The approval by @grace does not count: only people can approve, not apps."
        );
    }
    scene.last().reviewer = None;
    assert_eq!(
        reasons(&scene)[1],
        "Review 100 does not count: the account that gave it no longer exists."
    );
    // An app in the team's own list of members is not on the bench either.
    let Lookup::Found(team) = scene.team("dba") else {
        panic!("a team");
    };
    team.members.truncate(1);
    team.members[0].kind = ActorKind::Bot;
    assert_eq!(dead_end(&scene, &demand(1)).0, "no-eligible-approver");
}

#[test]
fn an_approval_of_other_content_does_not_count() {
    let mut scene = Scene::new();
    scene.shows("old", FILE, Some("other"));
    scene.shows("older", FILE, None);
    scene.shows(
        "elsewhere",
        "access/grants/orders/other.yaml",
        Some("wanted"),
    );
    let changed = |commit: &str| {
        format!(
            "The approval by @grace does not count: this file has changed since commit {commit} that was looked at, so please review again."
        )
    };
    let unread = |commit: &str| {
        format!(
            "The approval by @grace does not count: commit {commit} that was looked at cannot be read any more, so please review again."
        )
    };
    let table = [
        ("old", changed(commit("old").short())),
        ("older", changed(commit("older").short())),
        ("elsewhere", unread(commit("elsewhere").short())),
        ("gone", unread(commit("gone").short())),
    ];
    scene.approves("grace");
    for (seen, expected) in table {
        scene.last().commit = Some(commit(seen));
        assert_eq!(reasons(&scene)[1], expected);
    }
    scene.last().commit = None;
    assert_eq!(
        reasons(&scene)[1],
        "The approval by @grace does not count: GitHub no longer tells which commit was looked at, so please review again."
    );
}

#[test]
fn an_approval_of_an_earlier_commit_with_the_same_content_counts() {
    let mut scene = Scene::new();
    scene.shows("earlier", FILE, Some("wanted"));
    scene.approves("grace").last().commit = Some(commit("earlier"));
    assert_eq!(weigh(&scene, &demand(1)), Ok(vec!["grace".to_owned()]));
}

#[test]
fn every_sequence_of_reviews_ends_as_its_last_word_says() {
    let states = [
        Approved,
        ChangesRequested,
        Commented,
        Dismissed,
        ObjectionDismissed,
        Pending,
        Unknown,
    ];
    for number in 0..7_usize.pow(4) {
        let mut rest = number;
        let mut sequence = Vec::new();
        for _ in 0..4 {
            sequence.push(states[rest % 7]);
            rest /= 7;
        }
        let mut scene = Scene::new();
        scene.approves("ivan");
        for state in &sequence {
            scene.reviews("grace", *state);
        }
        let words: Vec<_> = sequence
            .iter()
            .filter(|s| !matches!(s, Commented | Pending))
            .collect();
        let approved = words.iter().rposition(|s| **s == Approved);
        let objected = words
            .iter()
            .rposition(|s| matches!(**s, ChangesRequested | ObjectionDismissed));
        let blocks = objected.is_some_and(|o| approved.is_none_or(|a| a < o));
        let strange = words.iter().rposition(|s| **s == Unknown);
        let unsure = strange.is_some_and(|o| approved.is_none_or(|a| a < o));
        let counts = words.last() == Some(&&Approved);
        match weigh(&scene, &demand(1)) {
            Ok(who) => {
                assert!(!blocks && !unsure, "{sequence:?}");
                assert_eq!(who.contains(&"grace".to_owned()), counts, "{sequence:?}");
            }
            Err(missing) => {
                assert!(blocks || unsure, "{sequence:?}");
                assert_eq!(
                    missing.blocked_by.len(),
                    usize::from(blocks),
                    "{sequence:?}"
                );
            }
        }
    }
}

#[test]
fn dismissing_somebodys_change_request_is_not_their_word() {
    let mut scene = Scene::new();
    scene.reviews("grace", ObjectionDismissed).approves("heidi");
    let missing = missing(&scene, &demand(1));
    assert_eq!(
        missing.reasons[0],
        "@grace asked for changes (review 100), and dismissing that does not take it back; nothing is granted until @grace reviews again."
    );
    assert_eq!(missing.blocked_by, [login("grace")]);
    // Who is no owner blocks nothing, dismissed or not.
    let mut scene = Scene::new();
    scene
        .reviews("mallory", ObjectionDismissed)
        .approves("heidi");
    assert!(weigh(&scene, &demand(1)).is_ok());
}

#[test]
fn a_change_request_by_an_owner_blocks_until_its_author_approves() {
    let mut scene = Scene::new();
    scene.reviews("heidi", ChangesRequested).approves("grace");
    let found = missing(&scene, &demand(1));
    assert_eq!((found.have, found.needed), (1, 1));
    assert_eq!(found.blocked_by, [login("heidi")]);
    assert_eq!(
        found.reasons,
        ["@heidi asked for changes (review 100); nothing is granted until @heidi reviews again."]
    );
    scene.approves("heidi");
    assert!(weigh(&scene, &demand(1)).is_ok());
}

#[test]
fn a_change_request_by_somebody_else_blocks_nothing() {
    let mut scene = Scene::new();
    scene.reviews("mallory", ChangesRequested).approves("grace");
    assert!(weigh(&scene, &demand(1)).is_ok());
}

#[test]
fn a_change_request_by_somebody_who_may_be_an_owner_is_doubt() {
    let mut scene = Scene::new();
    scene.owned("* @acme/dba @acme/security\n");
    scene.reviews("judy", ChangesRequested).approves("grace");
    *scene.team("security") = Lookup::Failed("GitHub answered 502".to_owned());
    let found = missing(&scene, &demand(1));
    assert_eq!(
        found.unknown,
        [
            "Who stands behind @acme/security could not be looked up: GitHub answered 502",
            "@judy asked for changes, and whether @judy is an owner of this file is not known.",
        ]
    );
}

#[test]
fn a_failed_lookup_matters_only_where_the_rest_is_not_enough() {
    let mut scene = Scene::new();
    scene
        .owned("* @acme/dba @acme/security\n")
        .approves("grace");
    *scene.team("security") = Lookup::Failed("timeout".to_owned());
    assert!(weigh(&scene, &demand(1)).is_ok());
    let two = missing(&scene, &demand(2));
    assert_eq!(
        two.unknown,
        ["Who stands behind @acme/security could not be looked up: timeout"]
    );
    assert_eq!(two.dead_end, None);
    scene.roster.teams.remove(&team("security"));
    assert_eq!(
        missing(&scene, &demand(2)).unknown,
        ["Who stands behind @acme/security was not looked up."]
    );
}

#[test]
fn unknown_pushers_let_nobody_count() {
    let mut scene = Scene::new();
    scene.approves("grace");
    scene.pull.pushers = Pushers::Unknown("the list of pushes is behind".to_owned());
    let found = missing(&scene, &demand(1));
    assert_eq!(
        found.unknown,
        ["Who pushed to this pull request could not be established: the list of pushes is behind"]
    );
    assert_eq!(
        found.reasons[1],
        "The approval by @grace does not count: it is not known whether @grace pushed to this pull request."
    );
}

#[test]
fn a_fork_whose_pushers_are_unknown_is_a_dead_end_with_a_way_out() {
    let mut scene = Scene::new();
    scene.approves("grace");
    scene.pull.from_fork = true;
    scene.pull.pushers = Pushers::Unknown("elsewhere".to_owned());
    let (rule, _, help) = dead_end(&scene, &demand(1));
    assert_eq!(rule, "pushers-unknown");
    assert_eq!(
        help,
        "Push the branch to this repository instead of a fork, and open the pull request from there."
    );
    assert!(missing(&scene, &demand(1)).unknown.is_empty());
}

#[test]
fn who_only_waits_for_time_is_named_where_too_few_others_are_left() {
    let mut scene = Scene::new();
    scene.approves("grace");
    let told_of = |new: &[&str]| {
        let passing = |name: &&str| {
            (
                actor(name).id,
                Refusal::Passing("it is too soon".to_owned()),
            )
        };
        let refused = new.iter().map(passing).collect();
        let demand = Demand {
            refused,
            ..demand(2)
        };
        let reasons = missing(&scene, &demand).reasons;
        let told = reasons
            .iter()
            .filter(|r| r.contains("cannot give it yet: it is too soon"));
        told.count()
    };
    assert_eq!(
        told_of(&["heidi"]),
        0,
        "ivan can give the one that is needed"
    );
    assert_eq!(told_of(&["heidi", "ivan"]), 2);
}

#[test]
fn of_many_owners_six_are_named_and_the_others_counted() {
    let asked = |count: usize| {
        let mut scene = Scene::new();
        let teams: Vec<String> = (1..=count).map(|n| format!("@acme/t{n}")).collect();
        scene.owned(&format!("* {}\n", teams.join(" ")));
        (1..=count).for_each(|n| {
            scene.staff(&format!("t{n}"), &["grace"]);
        });
        reasons(&scene).remove(0)
    };
    let named = "One approval is needed, from @acme/t1, @acme/t2, @acme/t3, @acme/t4, @acme/t5, @acme/t6 or";
    for (count, last) in [(7, "@acme/t7"), (8, "2 others"), (9, "3 others")] {
        let can = "@grace can give it.";
        assert_eq!(asked(count), format!("{named} {last}: {can}"));
    }
}

#[test]
fn two_approvals_take_two_people() {
    let mut scene = Scene::new();
    scene.owned("* @acme/dba @acme/security @grace\n");
    scene
        .staff("security", &["grace", "judy"])
        .person("grace", true);
    scene.approves("grace").approves("grace");
    let found = missing(&scene, &demand(2));
    assert_eq!((found.have, found.needed), (1, 2));
    assert_eq!(
        found.reasons,
        [
            "One more approval is needed, from @acme/dba, @acme/security or @grace: @heidi, @ivan or @judy can give it."
        ]
    );
    scene.approves("judy");
    assert_eq!(
        weigh(&scene, &demand(2)),
        Ok(vec!["grace".to_owned(), "judy".to_owned()])
    );
}

#[test]
fn an_approval_without_a_reason_does_not_count_where_one_is_asked_for() {
    let mut scene = Scene::new();
    let mut why = demand(1);
    why.rationale = true;
    scene.approves("grace");
    for body in ["", "   \n ", "ok ok ok", "  LGTM LGTM   "] {
        scene.last().body = body.to_owned();
        assert_eq!(
            missing(&scene, &why).reasons[1],
            "The approval by @grace does not count: this role asks every approver to say why, in at least 10 characters, so please review again with a text."
        );
        assert!(weigh(&scene, &demand(1)).is_ok());
    }
    scene.last().body = "Spoke to him: INC-4211".to_owned();
    assert!(weigh(&scene, &why).is_ok());
}

#[test]
fn a_named_owner_needs_write_access() {
    let mut scene = Scene::new();
    scene.owned("* @judy @grace\n").approves("judy");
    scene.person("judy", false).person("grace", true);
    assert_eq!(
        reasons(&scene)[1..],
        [
            "The approval by @judy does not count: @judy is not an owner of this file now.",
            "The owner @judy counts as absent: the account cannot write to this repository.",
        ]
    );
    scene.person("judy", true);
    assert!(weigh(&scene, &demand(1)).is_ok());
}

#[test]
fn owners_who_are_nobody_are_told() {
    let mut scene = Scene::new();
    scene.owned("* @acme/ghosts @acme/readers @acme/empty judy@acme.example @deploy @grace\n");
    scene.staff("readers", &["heidi"]).staff("empty", &[]);
    scene.person("deploy", true).person("grace", true);
    scene.roster.teams.insert(team("ghosts"), Lookup::Absent);
    let Lookup::Found(readers) = scene.team("readers") else {
        panic!("a team");
    };
    readers.can_write = false;
    let app = scene
        .roster
        .users
        .get_mut(&login("deploy"))
        .expect("an app");
    let Lookup::Found(app) = app else {
        panic!("an app");
    };
    app.actor.kind = ActorKind::Bot;
    assert_eq!(
        reasons(&scene)[1..],
        [
            "The owner @acme/ghosts counts as absent: it does not exist, or is not visible here.",
            "The owner @acme/readers counts as absent: the team cannot write to this repository.",
            "The owner @acme/empty counts as absent: the team has no active member.",
            "The owner judy@acme.example counts as absent: an email address does not say which account it is.",
            "The owner @deploy counts as absent: it is not a person's account.",
        ]
    );
}

#[test]
fn a_path_that_nobody_owns_is_a_dead_end() {
    let mut scene = Scene::new();
    scene.owned("/docs/ @acme/dba\n").approves("grace");
    let (rule, message, help) = dead_end(&scene, &demand(1));
    assert_eq!(rule, "owner-missing");
    assert_eq!(
        message,
        "no line of `.github/CODEOWNERS` on `main` matches `access/grants/orders/octocat-incident.yaml`, so nobody owns it and nobody can approve it"
    );
    assert_eq!(
        help,
        "An administrator of the repository has to add a line such as `/access/grants/orders/ @organisation/team` to `.github/CODEOWNERS` first."
    );
    scene.owned("* @acme/dba\n/access/\n");
    let (rule, message, _) = dead_end(&scene, &demand(1));
    assert_eq!(rule, "owner-missing");
    assert_eq!(
        message,
        "line 2 of `.github/CODEOWNERS` on `main` (`/access/`) is the last that matches and names no owner, so nobody can approve this"
    );
    scene.base.codeowners = hallpass::domain::codeowners::Codeowners::default();
    let (rule, message, _) = dead_end(&scene, &demand(1));
    assert_eq!(rule, "owner-missing");
    assert!(message.starts_with("there is no CODEOWNERS file on `main`"));
}

#[test]
fn a_request_that_nobody_could_approve_says_so_at_once() {
    let mut scene = Scene::new();
    scene.owned("* @octocat\n").person("octocat", true);
    assert_eq!(
        dead_end(&scene, &demand(1)),
        (
            "no-eligible-approver",
            "the owners on line 1 of `.github/CODEOWNERS` are @octocat, but nobody of them can approve this: @octocat opened this pull request".to_owned(),
            "Ask an administrator to add another owner to that line; or let somebody who is not an owner open the pull request. The check looks again by itself.".to_owned(),
        )
    );
    let mut scene = Scene::new();
    scene.staff("dba", &["grace", "octocat"]);
    let (rule, message, help) = dead_end(&scene, &demand(2));
    assert_eq!(rule, "no-eligible-approver");
    assert!(message.contains("it needs 2 approvals and only one of them can give any"));
    assert!(help.starts_with("Ask an administrator to add another person to @acme/dba, or"));
    assert_eq!(missing(&scene, &demand(1)).dead_end, None);
}
