//! What policies make of a pull request: denied, waiting, not known, approved by themselves; and the same once more at its merge.

use hallpass::domain::approval::Basis;
use hallpass::domain::decision::{Admission, Outcome, Standing, Verdict, admit};
use hallpass::domain::evidence;
use hallpass::domain::finding::Finding;
use hallpass::domain::model::{BlobId, GrantPath, UserId};
use hallpass::domain::parse::read_tree;
use hallpass::domain::proposal;
use hallpass::domain::pull::{Lookup, Pushers, ReviewState};
use hallpass::domain::report;

use super::{BASELINE, FILE as POLICIES, forbid};
use crate::approval::scene::{FILE, Scene, actor, at, blob, file, login, team};
use crate::decision::office::{
    FOR_SERVICE, WANTED, holds, merged, office, only, request, rules, standing, verdict,
};

/// Approves what is read for at most two hours.
pub const AUTO: &str = "@id(\"auto-read\")\npermit (principal, action == Action::\"auto_approve\", resource == Role::\"orders/readonly\")\nwhen { context.minutes <= 120 };\n";

/// The base has these policies.
fn governed(scene: &mut Scene, policies: &str) {
    let read = read_tree(&[file(POLICIES, policies)]);
    assert!(read.findings.is_empty(), "{:?}", read.findings);
    scene.base.policies = read.policies;
}

/// octocat's request under these policies.
pub fn under(policies: &str) -> Scene {
    let mut scene = request();
    governed(&mut scene, policies);
    scene
}

pub fn forbidding(condition: &str) -> Scene {
    under(&format!("{BASELINE}{}", forbid("no", condition)))
}

pub fn path() -> GrantPath {
    GrantPath::new(FILE).unwrap()
}

pub fn admission(scene: &Scene) -> Admission {
    admit(&scene.case(), &path(), &blob(WANTED))
}

#[test]
fn what_a_policy_forbids_is_denied_with_its_message_and_its_place() {
    let mut scene = forbidding("context.minutes > 60");
    scene.approves("grace");
    let verdict = verdict(&scene);
    assert_eq!(verdict.outcome, Outcome::Denied);
    let [
        Finding {
            rule,
            path,
            message,
            help,
            ..
        },
    ] = verdict.findings.as_slice()
    else {
        panic!("{:?}", verdict.findings);
    };
    assert_eq!(
        (*rule, path.as_str(), message.as_str()),
        ("policy-forbids", FILE, "no says no.")
    );
    assert!(
        help.contains("`no`") && help.contains(&format!("line 3 of {POLICIES}")),
        "{help}"
    );
    assert_eq!(
        report::check(&scene.case(), &verdict).title,
        "Denied: policy-forbids"
    );
    merged(&mut scene);
    assert_eq!(
        admission(&scene),
        Admission::Unapproved(vec![format!("policy-forbids at {FILE}:2:7")])
    );
}

#[test]
fn what_no_policy_permits_is_denied() {
    let scene = under("@id(\"x\") permit (principal is Service, action, resource);");
    assert_eq!(rules(&verdict(&scene)), ["policy-permits-not"]);
}

#[test]
fn what_cannot_be_evaluated_is_denied() {
    let mut scene = forbidding("context.minutes + 9223372036854775807 > 0");
    scene.approves("grace");
    assert_eq!(rules(&verdict(&scene)), ["policy-error"]);
}

#[test]
fn facts_of_the_pull_request_reach_the_policies() {
    for (condition, denied) in [
        (
            "context.minutes == 120 && context.total_minutes == 120",
            true,
        ),
        ("context.starts_in_minutes > 0", false),
        (
            "context.hour == 12 && context.weekday == Weekday::\"tuesday\"",
            true,
        ),
        (
            "context has ticket && context.ticket == \"INC-4211\" && context.has_risk",
            true,
        ),
        (
            "context.self_requested && context has author && context.author == principal",
            true,
        ),
        ("context.live_roles.isEmpty()", true),
        ("context.emergency || context.renewal", false),
        (
            "principal is Person && principal.login == \"octocat\" && principal.github_id == 1",
            true,
        ),
        (
            "resource in Resource::\"orders\" && resource.max_minutes == 480",
            true,
        ),
    ] {
        let scene = forbidding(condition);
        let expected: &[&str] = if denied { &["policy-forbids"] } else { &[] };
        assert_eq!(rules(&verdict(&scene)), expected, "{condition}");
    }
}

#[test]
fn somebody_elses_hand_makes_a_request_not_self_requested() {
    let own = "context.self_requested";
    let mut scene = forbidding(own);
    scene.pull.pushers = Pushers::Known([actor("octocat").id, actor("mallory").id].into());
    assert_eq!(rules(&verdict(&scene)), [""; 0]);
    let mut scene = forbidding(own);
    scene.pull.pushers = Pushers::Unknown("GitHub answered 502".to_owned());
    assert_eq!(rules(&verdict(&scene)), [""; 0]);
    let mut scene = forbidding(own);
    scene.pull.author = Some(actor("mallory"));
    assert_eq!(rules(&verdict(&scene)), [""; 0]);
    // heidi is accountable for the service.
    let mut scene = office();
    governed(&mut scene, &format!("{BASELINE}{}", forbid("no", own)));
    scene.adds(FILE, FOR_SERVICE);
    assert_eq!(rules(&verdict(&scene)), [""; 0]);
    scene.pull.author = Some(actor("heidi"));
    scene.pull.pushers = Pushers::Known([actor("heidi").id].into());
    assert_eq!(rules(&verdict(&scene)), ["policy-forbids"]);
}

#[test]
fn live_roles_come_from_files_and_from_the_ledger_but_not_from_the_file_itself() {
    let condition = "context.live_roles.contains(Role::\"ledger/readonly\")";
    assert_eq!(rules(&verdict(&forbidding(condition))), [""; 0]);
    let mut scene = forbidding(condition);
    holds(&mut scene, "octocat", "ledger", "readonly", 10);
    assert_eq!(rules(&verdict(&scene)), ["policy-forbids"]);
    let mut scene = forbidding(condition);
    holds(&mut scene, "octocat", "ledger", "readonly", 0);
    assert_eq!(rules(&verdict(&scene)), [""; 0], "it has ended");
    let mut scene = forbidding(condition);
    standing(&mut scene, "access/grants/ledger/octocat.yaml", WANTED);
    assert_eq!(rules(&verdict(&scene)), ["policy-forbids"]);
    let ended = GrantPath::new("access/grants/ledger/octocat.yaml").unwrap();
    scene.ended.insert(ended, blob(WANTED));
    assert_eq!(
        rules(&verdict(&scene)),
        [""; 0],
        "its file is not tidied yet"
    );
    let own = "context.live_roles.contains(Role::\"orders/readonly\")";
    let scene = amended(&format!("{BASELINE}{}", forbid("no", own)), &longer());
    assert_eq!(rules(&verdict(&scene)), [""; 0]);
}

#[test]
fn what_the_same_pull_request_asks_for_beside_counts_among_live_roles_where_that_forbids() {
    let mut scene = forbidding("context.live_roles.contains(Role::\"orders/admin\")");
    scene.adds(OTHER, &admin());
    assert_eq!(rules(&verdict(&scene)), ["policy-forbids"]);
    merged(&mut scene);
    assert!(matches!(admission(&scene), Admission::Unapproved(_)));
    let mut scene = forbidding("context.live_roles.contains(Role::\"orders/admin\")");
    let other = admin().replace("octocat", "ivan");
    scene.adds("access/grants/orders/ivan.yaml", &other);
    assert_eq!(rules(&verdict(&scene)), [""; 0], "for somebody else");
    let mut scene = forbidding("context.live_roles.contains(resource)");
    scene.approves("grace");
    assert_eq!(rules(&verdict(&scene)), [""; 0], "nothing is beside itself");
}

#[test]
fn only_what_the_ledger_knows_to_be_held_makes_a_policy_approve_by_itself() {
    let held = "context.live_roles.contains(Role::\"orders/admin\")";
    let holders = AUTO.replace("when {", &format!("when {{ {held} &&"));
    let holders = || under(&format!("{BASELINE}{holders}"));
    let mut scene = holders();
    scene.adds(OTHER, &admin());
    assert_eq!(
        verdict(&scene).outcome,
        Outcome::Waiting,
        "asked for beside"
    );
    let mut scene = holders();
    standing(&mut scene, OTHER, &admin());
    assert_eq!(
        verdict(&scene).outcome,
        Outcome::Waiting,
        "a file proves nothing"
    );
    let mut scene = holders();
    holds(&mut scene, "octocat", "orders", "admin", 10);
    assert_eq!(verdict(&scene).outcome, Outcome::Approved);
    scene.holdings.last_mut().unwrap().since = None;
    assert_eq!(
        verdict(&scene).outcome,
        Outcome::Waiting,
        "planned, not given"
    );
}

/// Another role of octocat's, and its file.
pub const OTHER: &str = "access/grants/orders/octocat-admin.yaml";

pub fn admin() -> String {
    WANTED.replace("readonly", "admin")
}

pub fn longer() -> String {
    WANTED
        .replace("duration: 2h", "duration: 1h")
        .replace("reason: Checkout", "reason: As before, checkout")
}

/// octocat's live grant gets other terms.
pub fn amended(policies: &str, content: &str) -> Scene {
    let mut scene = office();
    governed(&mut scene, policies);
    standing(&mut scene, FILE, WANTED);
    scene.changes(FILE, Some(WANTED), Some(content));
    scene
}

#[test]
fn other_terms_of_a_grant_are_a_renewal_and_another_role_is_a_request() {
    let renewals = "@id(\"x\") permit (principal, action in [Action::\"renew\", Action::\"approve\"], resource) when { context.renewal };";
    assert_eq!(rules(&verdict(&amended(renewals, &longer()))), [""; 0]);
    assert_eq!(rules(&verdict(&under(renewals))), ["policy-permits-not"]);
    let other = WANTED.replace("readonly", "admin");
    assert!(rules(&verdict(&amended(renewals, &other))).contains(&"policy-permits-not"));
    let somebody = WANTED.replace("octocat", "ivan");
    assert!(rules(&verdict(&amended(renewals, &somebody))).contains(&"policy-permits-not"));
}

#[test]
fn a_renewal_counts_from_the_begin_of_the_first_grant() {
    let policies = format!("{BASELINE}{}", forbid("no", "context.total_minutes > 120"));
    let mut scene = amended(&policies, &longer());
    assert_eq!(rules(&verdict(&scene)), [""; 0]);
    holds(&mut scene, "octocat", "orders", "readonly", 30);
    let held = scene.holdings.last_mut().unwrap();
    held.path = path();
    held.since = Some(at(-60));
    assert_eq!(
        rules(&verdict(&scene)),
        [""; 0],
        "an hour behind it, an hour ahead"
    );
    scene.holdings.last_mut().unwrap().since = Some(at(-61));
    assert_eq!(rules(&verdict(&scene)), ["policy-forbids"]);
}

#[test]
fn removals_are_never_asked_about() {
    let mut scene = office();
    governed(
        &mut scene,
        &format!("{BASELINE}{}", forbid("nothing", "context.minutes >= 0")),
    );
    standing(&mut scene, FILE, WANTED);
    scene.changes(FILE, Some(WANTED), None);
    assert_eq!(verdict(&scene).outcome, Outcome::Approved);
    // Nor whether somebody may approve one.
    scene.pull.author = Some(actor("mallory"));
    scene.pull.pushers = Pushers::Known([actor("mallory").id].into());
    scene.approves("grace");
    assert_eq!(verdict(&scene).outcome, Outcome::Approved);
}

#[test]
fn policies_are_asked_as_of_the_merge_once_it_is_merged() {
    let mut scene = forbidding("context.hour >= 13");
    scene.approves("grace");
    assert_eq!(verdict(&scene).outcome, Outcome::Approved);
    scene.now = at(120);
    assert_eq!(
        verdict(&scene).outcome,
        Outcome::Denied,
        "still open at two o'clock"
    );
    merged(&mut scene);
    assert!(
        matches!(admission(&scene), Admission::Approved(_)),
        "merged at noon"
    );
}

// Teams.

const MEMBERS: &str = "principal in Team::\"acme/trained\"";

#[test]
fn only_teams_that_policies_mention_are_asked_for_and_only_for_requests() {
    let scene = forbidding(MEMBERS);
    assert_eq!(scene.owners_to_ask(), [team("dba"), team("trained")].into());
    let plain = forbidding("context.minutes > 600");
    assert_eq!(plain.owners_to_ask(), [team("dba")].into());
    let mut removal = office();
    governed(
        &mut removal,
        &format!("{BASELINE}{}", forbid("no", MEMBERS)),
    );
    removal.changes(FILE, Some(WANTED), None);
    assert_eq!(removal.owners_to_ask(), [team("dba")].into());
}

#[test]
fn whoever_is_in_a_team_now_is_in_it_for_policies() {
    let unless = format!(
        "{BASELINE}@id(\"no\") @message(\"Train first.\") forbid (principal, action, resource) unless {{ {MEMBERS} }};"
    );
    let mut scene = under(&unless);
    scene.staff("trained", &["octocat", "grace"]);
    scene.approves("grace");
    assert_eq!(verdict(&scene).outcome, Outcome::Approved);
    scene.staff("trained", &["grace"]);
    assert_eq!(rules(&verdict(&scene)), ["policy-forbids"]);
}

#[test]
fn a_team_that_could_not_be_looked_up_is_neither_yes_nor_no() {
    for lookup in [None, Some(Lookup::Failed("GitHub answered 502".to_owned()))] {
        for condition in [MEMBERS.to_owned(), format!("!({MEMBERS})")] {
            let mut scene = forbidding(&condition);
            scene.approves("grace");
            if let Some(lookup) = &lookup {
                scene.roster.teams.insert(team("trained"), lookup.clone());
            }
            let said = verdict(&scene);
            assert!(matches!(said.outcome, Outcome::Uncertain(_)), "{said:?}");
            merged(&mut scene);
            assert!(matches!(admission(&scene), Admission::Unknown(_)));
        }
    }
    // Not even a policy's own approval.
    let mut scene = under(&format!("{BASELINE}{AUTO}{}", forbid("no", MEMBERS)));
    assert!(matches!(verdict(&scene).outcome, Outcome::Uncertain(_)));
    scene.staff("trained", &[]);
    assert_eq!(verdict(&scene).outcome, Outcome::Approved);
}

#[test]
fn a_team_that_does_not_exist_denies() {
    let mut scene = forbidding(MEMBERS);
    scene.approves("grace");
    scene.roster.teams.insert(team("trained"), Lookup::Absent);
    assert_eq!(rules(&verdict(&scene)), ["policy-unknown-team"]);
}

// Reviewers.

fn refusing(condition: &str) -> Scene {
    under(&format!(
        "{BASELINE}@id(\"outsiders\") @message(\"Contractors do not approve.\")\nforbid (principal, action == Action::\"approve\", resource)\nwhen {{ {condition} }};\n"
    ))
}

pub fn missing(verdict: &Verdict) -> &[String] {
    match &only(verdict).approval {
        Standing::Missing(missing) => &missing.reasons,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_review_of_somebody_whom_a_policy_refuses_does_not_count() {
    let mut scene = refusing(
        "principal.login == \"grace\" && context has person && context.person.login == \"octocat\"",
    );
    scene.approves("grace");
    let said = verdict(&scene);
    assert_eq!(said.outcome, Outcome::Waiting);
    assert_eq!(
        missing(&said),
        [
            "One approval is needed, from @acme/dba: @heidi or @ivan can give it.",
            "The approval by @grace does not count: Contractors do not approve (policy outsiders)."
        ]
    );
    scene.approves("ivan");
    let said = verdict(&scene);
    assert_eq!(said.outcome, Outcome::Approved);
    let Standing::Approved(proof) = &only(&said).approval else {
        panic!("approved")
    };
    assert_eq!(proof.approvals().len(), 1);
}

#[test]
fn nobody_is_sent_to_approve_who_may_not() {
    let scene = refusing("context.hour == 12");
    let said = verdict(&scene);
    assert_eq!(rules(&said), ["no-eligible-approver"]);
    assert!(
        said.findings[0].message.contains("by a policy"),
        "{:?}",
        said.findings
    );
}

#[test]
fn a_login_alone_makes_no_reviewer_the_person_who_is_declared_with_it() {
    let permits = "@id(\"base\") permit (principal, action == Action::\"request\", resource);\n\
                   @id(\"grace\") permit (principal == Person::\"grace\", action == Action::\"approve\", resource);";
    let mut scene = under(permits);
    scene.approves("grace");
    assert_eq!(verdict(&scene).outcome, Outcome::Approved);
    // The login belongs to another account now, which is in the team and approves.
    let stranger = hallpass::domain::model::Actor {
        id: UserId(77),
        ..actor("grace")
    };
    let Lookup::Found(dba) = scene.team("dba") else {
        panic!("found")
    };
    dba.members.push(stranger.clone());
    scene.last().reviewer = Some(stranger);
    assert_eq!(verdict(&scene).outcome, Outcome::Waiting);
}

// Approval by a policy.

fn automatic() -> Scene {
    under(&format!("{BASELINE}{AUTO}"))
}

#[test]
fn a_policy_approves_by_itself_and_is_named_with_its_version() {
    let mut scene = automatic();
    let said = verdict(&scene);
    assert_eq!(said.outcome, Outcome::Approved);
    let Standing::Approved(proof) = &only(&said).approval else {
        panic!("approved")
    };
    let version: BlobId = blob(&format!("{BASELINE}{AUTO}"));
    let basis = Basis::Policy {
        id: "auto-read".to_owned(),
        file: hallpass::domain::model::RepoPath::new(POLICIES).unwrap(),
        blob: version.clone(),
    };
    assert_eq!((proof.basis(), proof.approvals().len()), (&basis, 0));
    let check = report::check(&scene.case(), &said);
    assert_eq!(check.title, "Approved by policy auto-read");
    assert!(check.summary.contains(&format!(
        "`{POLICIES}`, version `{}`",
        &version.as_str()[..12]
    )));
    let named = format!("Approved-by-policy: auto-read {POLICIES} {version}\n");
    assert!(
        proposal::merge_message(&scene.pull, &said, scene.now)
            .1
            .contains(&named)
    );
    let events = evidence::of_verdict(
        &scene.pull,
        &crate::evidence::on(&scene.base_commit),
        &said,
        at(0),
    );
    let approved: Vec<_> = events
        .iter()
        .filter(|e| e.kind == evidence::Kind::Approved)
        .collect();
    assert_eq!(approved.len(), 1);
    assert!(
        approved[0].message.contains(&named),
        "{}",
        approved[0].message
    );
    assert!(
        approved[0]
            .key
            .ends_with(&format!(":policy:auto-read:{version}"))
    );
    merged(&mut scene);
    let Admission::Approved(approved) = admission(&scene) else {
        panic!("admitted")
    };
    assert_eq!(approved.proof().basis(), &basis);
}

#[test]
fn owners_who_approved_are_named_rather_than_the_policy() {
    let mut scene = automatic();
    scene.approves("grace");
    let said = verdict(&scene);
    let Standing::Approved(proof) = &only(&said).approval else {
        panic!("approved")
    };
    assert_eq!(proof.basis(), &Basis::Owners);
}

#[test]
fn where_anything_speaks_against_it_no_policy_approves() {
    type Change = fn(&mut Scene);
    let cases: [(&str, Change); 8] = [
        ("an owner asks for changes", |s| {
            s.reviews("grace", ReviewState::ChangesRequested);
        }),
        ("an owner said something unknown", |s| {
            s.reviews("grace", ReviewState::Unknown);
        }),
        ("pushers are not known", |s| {
            s.pull.pushers = Pushers::Unknown("502".to_owned())
        }),
        ("it comes from a fork", |s| s.pull.from_fork = true),
        ("its author is gone", |s| s.pull.author = None),
        ("an owner could not be looked up", |s| {
            *s.team("dba") = Lookup::Failed("502".to_owned())
        }),
        ("policies cannot be relied on", |s| {
            let broken = read_tree(&[
                file(POLICIES, &format!("{BASELINE}{AUTO}")),
                file("access/policies/b.cedar", "forbid"),
            ]);
            s.base.policies = broken.policies;
        }),
        ("a forbid of anything holds", |s| {
            let policies = format!(
                "{BASELINE}{AUTO}@id(\"n\") @message(\"Not now.\") forbid (principal, action == Action::\"auto_approve\", resource);"
            );
            governed(s, &policies);
        }),
    ];
    for (why, change) in cases {
        let mut scene = automatic();
        change(&mut scene);
        let said = verdict(&scene);
        assert_ne!(said.outcome, Outcome::Approved, "{why}");
        assert!(
            !matches!(only(&said).approval, Standing::Approved(_)),
            "{why}"
        );
        merged(&mut scene);
        assert!(
            !matches!(admission(&scene), Admission::Approved(_)),
            "{why}"
        );
    }
}

#[test]
fn an_emergency_is_never_approved_by_a_policy() {
    let mut scene = automatic();
    scene.changes.clear();
    scene.adds(FILE, &format!("{WANTED}emergency: true\n"));
    let resource = scene
        .base
        .resources
        .values_mut()
        .find(|r| r.name.as_str() == "orders")
        .unwrap();
    for role in resource.roles.values_mut() {
        role.emergency = Some(hallpass::domain::model::EmergencyOffer {
            approvals: 1,
            max_duration: role.max_duration,
            review_within: role.max_duration,
            people: [login("octocat")].into(),
        });
    }
    let said = verdict(&scene);
    assert_eq!(rules(&said), [""; 0]);
    assert_eq!(said.outcome, Outcome::Waiting);
}

#[test]
fn a_renewal_needs_a_policy_that_speaks_of_renewals() {
    let silent = format!("{BASELINE}{AUTO}");
    assert_eq!(
        verdict(&amended(&silent, &longer())).outcome,
        Outcome::Waiting
    );
    let speaks = AUTO.replace("<= 120", "<= 120 && context.renewal");
    let said = verdict(&amended(&format!("{BASELINE}{speaks}"), &longer()));
    assert_eq!(said.outcome, Outcome::Approved);
    let refuses = AUTO.replace("<= 120", "<= 120 && !context.renewal");
    let said = verdict(&amended(&format!("{BASELINE}{refuses}"), &longer()));
    assert_eq!(said.outcome, Outcome::Waiting);
}

#[test]
fn each_file_of_a_pull_request_is_approved_by_itself() {
    let mut scene = automatic();
    let second = "access/grants/orders/ivan.yaml";
    scene.adds(
        second,
        &WANTED
            .replace("octocat", "ivan")
            .replace("duration: 2h", "duration: 3h"),
    );
    let said = verdict(&scene);
    assert_eq!(said.outcome, Outcome::Waiting);
    let approved: Vec<bool> = said
        .requests
        .iter()
        .map(|r| matches!(r.approval, Standing::Approved(_)))
        .collect();
    assert_eq!(approved, [false, true]);
}
