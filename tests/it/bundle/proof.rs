//! Who approves a bundle, and what its merge gives.

use hallpass::domain::decision::{
    Admission, Approved, Outcome, Request, Standing, Verdict, admit, admit_entries, decide,
};
use hallpass::domain::ledger::{Arrival, Entry};
use hallpass::domain::model::{GrantPath, Owner, RoleRef, TermLength};
use hallpass::domain::parse::read_tree;
use hallpass::domain::pull::{Lookup, PullState, ReviewState};

use crate::approval::scene::{Scene, actor, at, blob, commit, file, login, team};

const KIT: &str = "access/resources/kit.yaml";
const REQUEST: &str = "access/grants/kit/octocat-night.yaml";

const BUNDLE: &str = "description: What whoever is on call needs
risk: low
roles:
  responder:
    description: Reads the orders and answers customers
    bundle: [orders/readonly, mail/reader]
    max_duration: 8h
";

const WANTED: &str =
    "person: octocat\nrole: responder\nduration: 2h\nreason: On call until the morning.\n";

/// octocat's pull request for a bundle of orders/readonly, which `@acme/dba` owns (grace, heidi, ivan), and mail/reader, which
/// `@acme/support` owns (heidi, mallory) and which takes two of them. judy owns the bundle's own folder.
fn night(bundle: &str) -> Scene {
    let system = |what: &str, provider: &str, role: &str, more: &str| {
        format!(
            "description: {what}\nrisk: high\nprovider: {provider}\nroles:\n  {role}:\n    description: Reads\n    \
             entitlement: {{ role: {what} }}\n    max_duration: 8h\n{more}"
        )
    };
    let owners = "/access/ @acme/security\n/access/grants/orders/ @acme/dba\n/access/grants/mail/ @acme/support\n";
    let person = |id: u64| {
        format!("github_id: {id}\nidentities:\n  db: account-{id}\n  crew: account-{id}\n")
    };
    let tree = read_tree(&[
        file(".github/CODEOWNERS", owners),
        file(
            "access/resources/orders.yaml",
            &system("Orders", "db", "readonly", ""),
        ),
        file(
            "access/resources/mail.yaml",
            &system("Mails", "crew", "reader", "    approvals: 2\n"),
        ),
        file(KIT, bundle),
        file("access/people/octocat.yaml", &person(1)),
        file("access/people/heidi.yaml", &person(3)),
    ]);
    assert!(tree.findings.is_empty(), "{:?}", tree.findings);
    let mut scene = Scene::new();
    scene.base = tree;
    scene.changes.clear();
    scene.reviewed.clear();
    scene.staff("support", &["heidi", "mallory"]);
    scene.adds(REQUEST, WANTED);
    scene
}

fn merged(scene: &mut Scene) {
    scene.pull.state = PullState::Merged {
        commit: commit("merge"),
        at: at(30),
        by: Some(actor("judy")),
    };
    scene.now = at(31);
}

/// [`night`], approved by everybody whom it takes, and merged.
fn approved() -> Scene {
    let mut scene = night(BUNDLE);
    scene
        .approves("grace")
        .approves("heidi")
        .approves("mallory");
    merged(&mut scene);
    scene
}

fn role(name: &str) -> RoleRef {
    RoleRef::try_from(name.to_owned()).expect("a role")
}

fn path() -> GrantPath {
    GrantPath::new(REQUEST).expect("a path")
}

fn part<'v>(verdict: &'v Verdict, name: &str) -> &'v Request {
    let found = verdict
        .requests
        .iter()
        .find(|r| r.part() == Some(&role(name)));
    found.unwrap_or_else(|| panic!("no part {name}: {:?}", verdict.requests))
}

/// `have of needed` of a part.
fn counted(verdict: &Verdict, name: &str) -> (u32, u32) {
    match &part(verdict, name).approval {
        Standing::Missing(missing) => (missing.have, missing.needed),
        Standing::Approved(proof) => {
            let have = u32::try_from(proof.approvals().len()).expect("few");
            (have, have)
        }
        Standing::NotNeeded(why) => panic!("{why}"),
    }
}

fn reasons<'v>(verdict: &'v Verdict, name: &str) -> &'v [String] {
    match &part(verdict, name).approval {
        Standing::Missing(missing) => &missing.reasons,
        other => panic!("{other:?}"),
    }
}

fn bundle(scene: &Scene) -> Vec<Approved> {
    match admit(&scene.case(), &path(), &blob(WANTED)) {
        Admission::Bundle(parts) => parts,
        other => panic!("{other:?}"),
    }
}

#[test]
fn each_part_takes_as_many_of_its_own_owners_as_it_would_alone() {
    let mut scene = night(BUNDLE);
    let verdict = decide(&scene.case());
    assert_eq!(verdict.outcome, Outcome::Waiting);
    assert_eq!(counted(&verdict, "orders/readonly"), (0, 1));
    assert_eq!(counted(&verdict, "mail/reader"), (0, 2));
    scene.approves("grace");
    let verdict = decide(&scene.case());
    assert_eq!(counted(&verdict, "orders/readonly"), (1, 1));
    assert_eq!(counted(&verdict, "mail/reader"), (0, 2));
    assert!(
        reasons(&verdict, "mail/reader")
            .iter()
            .any(|why| why.contains("@grace is not an owner of mail/reader now")),
        "{:?}",
        reasons(&verdict, "mail/reader")
    );
    // heidi owns both, and counts for both.
    scene.approves("heidi");
    assert_eq!(counted(&decide(&scene.case()), "mail/reader"), (1, 2));
    scene.approves("mallory");
    assert_eq!(decide(&scene.case()).outcome, Outcome::Approved);
}

#[test]
fn owning_the_bundles_own_path_is_not_enough() {
    let mut scene = night(BUNDLE);
    scene.approves("judy");
    let verdict = decide(&scene.case());
    assert_eq!(counted(&verdict, "orders/readonly"), (0, 1));
    assert_eq!(counted(&verdict, "mail/reader"), (0, 2));
}

#[test]
fn an_owner_of_the_bundles_own_path_can_object_to_all_of_it() {
    let mut scene = night(BUNDLE);
    scene
        .approves("grace")
        .approves("heidi")
        .approves("mallory");
    assert_eq!(decide(&scene.case()).outcome, Outcome::Approved);
    scene.reviews("judy", ReviewState::ChangesRequested);
    let verdict = decide(&scene.case());
    assert_eq!(verdict.outcome, Outcome::Waiting);
    for name in ["orders/readonly", "mail/reader"] {
        let Standing::Missing(missing) = &part(&verdict, name).approval else {
            panic!("{name} is approved");
        };
        assert_eq!(missing.blocked_by, [login("judy")], "{name}");
    }
    // Whether somebody is an owner there, and may object, must be known too.
    *scene.team("security") = Lookup::Failed("GitHub answered 502".to_owned());
    assert!(matches!(
        decide(&scene.case()).outcome,
        Outcome::Uncertain(_)
    ));
}

#[test]
fn an_owner_of_one_part_objects_to_that_part() {
    let mut scene = night(BUNDLE);
    scene
        .approves("grace")
        .approves("heidi")
        .approves("mallory");
    scene.reviews("ivan", ReviewState::ChangesRequested);
    let verdict = decide(&scene.case());
    assert_eq!(
        verdict.outcome,
        Outcome::Waiting,
        "nothing is given in part"
    );
    assert!(matches!(
        part(&verdict, "mail/reader").approval,
        Standing::Approved(_)
    ));
    assert!(reasons(&verdict, "orders/readonly")[0].contains("@ivan asked for changes"));
}

#[test]
fn an_approval_is_of_the_bundles_file_as_it_stands() {
    let mut scene = night(BUNDLE);
    scene.approves("grace");
    scene.last().commit = Some(commit("earlier"));
    scene.shows("earlier", REQUEST, Some("something else"));
    let verdict = decide(&scene.case());
    assert!(
        reasons(&verdict, "orders/readonly")
            .iter()
            .any(|why| why.contains("this file has changed since")),
        "{:?}",
        reasons(&verdict, "orders/readonly")
    );
}

#[test]
fn a_bundle_can_demand_more_of_every_approval() {
    let strict = BUNDLE.to_owned() + "    rationale: required\n    approval_max_age: 30m\n";
    let mut scene = night(&strict);
    scene.approves("grace");
    let verdict = decide(&scene.case());
    assert!(
        reasons(&verdict, "orders/readonly")
            .iter()
            .any(|why| why.contains("say why")),
        "{:?}",
        reasons(&verdict, "orders/readonly")
    );
    scene.last().body = "On call, as planned.".to_owned();
    assert_eq!(counted(&decide(&scene.case()), "orders/readonly"), (1, 1));
    scene.now = at(31);
    assert_eq!(counted(&decide(&scene.case()), "orders/readonly"), (0, 1));
}

#[test]
fn whoever_gains_by_one_part_cannot_approve_that_part() {
    let mut scene = night(BUNDLE);
    // heidi uses the account of octocat in the crew, and nowhere else.
    let heidi = scene.base.people.get_mut(&login("heidi")).expect("heidi");
    let crew = heidi
        .identities
        .keys()
        .find(|c| c.as_str() == "crew")
        .cloned();
    heidi
        .identities
        .insert(crew.expect("a connection"), "account-1".to_owned());
    scene.approves("heidi");
    let verdict = decide(&scene.case());
    assert_eq!(counted(&verdict, "orders/readonly"), (1, 1));
    assert_eq!(counted(&verdict, "mail/reader"), (0, 2));
}

#[test]
fn the_roster_is_asked_for_the_owners_of_every_part() {
    let scene = night(BUNDLE);
    let asked = scene.owners_to_ask();
    let expected: [Owner; 3] = ["dba", "security", "support"].map(team);
    assert_eq!(asked.into_iter().collect::<Vec<_>>(), expected);
}

#[test]
fn the_merge_of_a_bundle_gives_each_part_with_the_approvals_of_its_owners() {
    let parts = bundle(&approved());
    let [mail, orders] = parts.as_slice() else {
        panic!("two parts: {parts:?}");
    };
    assert_eq!(mail.role(), &role("mail/reader"));
    assert_eq!(mail.access().connection.as_str(), "crew");
    let who = |approved: &Approved| -> Vec<String> {
        let approvals = approved.proof().approvals().iter();
        approvals
            .map(|a| format!("{} {}", a.reviewer.login, a.through))
            .collect()
    };
    assert_eq!(who(mail), ["heidi @acme/support", "mallory @acme/support"]);
    assert_eq!(orders.role(), &role("orders/readonly"));
    assert_eq!(orders.access().connection.as_str(), "db");
    assert_eq!(who(orders), ["grace @acme/dba", "heidi @acme/dba"]);
    for one in &parts {
        assert_eq!(one.proof().path(), &path());
        assert_eq!(one.proof().blob(), &blob(WANTED));
        assert_eq!(one.proof().part(), Some(one.role()));
    }
}

#[test]
fn nothing_of_a_bundle_is_given_while_one_part_lacks_its_proof() {
    let mut scene = night(BUNDLE);
    scene.approves("grace").approves("heidi");
    merged(&mut scene);
    match admit(&scene.case(), &path(), &blob(WANTED)) {
        Admission::Unapproved(why) => {
            assert!(
                why.iter().all(|w| w.starts_with("mail/reader: ")),
                "{why:?}"
            );
        }
        other => panic!("{other:?}"),
    }
    let mut scene = approved();
    *scene.team("support") = Lookup::Failed("GitHub answered 502".to_owned());
    match admit(&scene.case(), &path(), &blob(WANTED)) {
        Admission::Unknown(why) => {
            assert!(
                why.iter().all(|w| w.starts_with("mail/reader: ")),
                "{why:?}"
            );
        }
        other => panic!("{other:?}"),
    }
}

fn arrived() -> Entry {
    let arrival = Arrival {
        commit: commit("merge"),
        pull: None,
        at: at(31),
        order: 1,
    };
    Entry::arrived(path(), blob(WANTED), arrival)
}

#[test]
fn once_admitted_each_part_is_weighed_by_itself() {
    let mut scene = approved();
    // heidi left support, so that one of two is left there; what grace approved stands.
    scene.staff("support", &["mallory", "judy"]);
    let entries = ["mail/reader", "orders/readonly"].map(|name| arrived().of_part(&role(name)));
    let (_, admissions) = admit_entries(&scene.case(), &entries);
    assert!(matches!(
        admissions[&entries[0].id],
        Admission::Unapproved(_)
    ));
    match &admissions[&entries[1].id] {
        Admission::Approved(approved) => assert_eq!(approved.role(), &role("orders/readonly")),
        other => panic!("{other:?}"),
    }
    // A part that the bundle does not hold was never asked for.
    let other = arrived().of_part(&role("orders/admin"));
    let (_, admissions) = admit_entries(&scene.case(), std::slice::from_ref(&other));
    assert!(matches!(admissions[&other.id], Admission::Unapproved(_)));
}

#[test]
fn the_id_of_a_part_names_file_merge_and_role() {
    let part = arrived().of_part(&role("orders/readonly"));
    let merge = commit("merge");
    let digits = merge.short();
    assert_eq!(
        part.id.as_str(),
        format!("kit/octocat-night@{digits}+orders.readonly")
    );
    assert_eq!(part.path, path());
    assert_eq!(part.version, 0);
}

#[test]
fn what_is_asked_for_at_a_part_of_a_bundle_is_weighed_by_policies_and_eligibility() {
    let mut scene = night(BUNDLE);
    scene
        .approves("grace")
        .approves("heidi")
        .approves("mallory");
    let mail = scene
        .base
        .resources
        .values_mut()
        .find(|r| r.name.as_str() == "mail");
    let reader = mail
        .expect("mail")
        .roles
        .values_mut()
        .next()
        .expect("a role");
    reader.min_duration = Some(TermLength::parse("3h").expect("a term"));
    let verdict = decide(&scene.case());
    let rules: Vec<&str> = verdict.errors().map(|f| f.rule).collect();
    assert_eq!(rules, ["term-too-short"]);
    let reader = scene
        .base
        .resources
        .values_mut()
        .find(|r| r.name.as_str() == "mail");
    let reader = reader
        .expect("mail")
        .roles
        .values_mut()
        .next()
        .expect("a role");
    reader.min_duration = None;
    let in_security = hallpass::domain::model::Eligibility {
        teams: [team("security")].into(),
        ..Default::default()
    };
    reader.eligible = Some(in_security);
    let verdict = decide(&scene.case());
    let rules: Vec<&str> = verdict.errors().map(|f| f.rule).collect();
    assert_eq!(rules, ["not-eligible"]);
    let policy = "@id(\"baseline\")\npermit (principal, action, resource);\n\
                  @id(\"no-mail\")\n@message(\"Mail is for support.\")\n\
                  forbid (principal, action == Action::\"request\", resource == Role::\"mail/reader\");\n";
    let mut scene = night(BUNDLE);
    let files = [file("access/policies/guardrails.cedar", policy)];
    scene.base.policies = read_tree(&files).policies;
    let verdict = decide(&scene.case());
    let rules: Vec<&str> = verdict.errors().map(|f| f.rule).collect();
    assert_eq!(rules, ["policy-forbids"]);
}

#[test]
fn any_owner_of_a_part_may_end_the_bundle_and_a_stranger_may_not() {
    let mut scene = night(BUNDLE);
    let tree = read_tree(&[file(REQUEST, WANTED)]);
    scene.base.grants.extend(tree.grants);
    scene.changes.clear();
    scene.changes(REQUEST, Some(WANTED), None);
    for (who, outcome) in [
        ("octocat", Outcome::Approved),
        ("judy", Outcome::Approved),
        ("ivan", Outcome::Approved),
        ("mallory", Outcome::Approved),
        ("deploy", Outcome::Waiting),
    ] {
        scene.pull.author = Some(actor(who));
        scene.pull.pushers = hallpass::domain::pull::Pushers::Known([actor(who).id].into());
        assert_eq!(decide(&scene.case()).outcome, outcome, "{who}");
    }
}

#[test]
fn any_owner_of_a_part_may_agree_that_a_stranger_ends_the_bundle() {
    let mut scene = night(BUNDLE);
    let tree = read_tree(&[file(REQUEST, WANTED)]);
    scene.base.grants.extend(tree.grants);
    scene.changes.clear();
    scene.changes(REQUEST, Some(WANTED), None);
    scene.pull.author = Some(actor("deploy"));
    scene.pull.pushers = hallpass::domain::pull::Pushers::Known([actor("deploy").id].into());
    assert_eq!(decide(&scene.case()).outcome, Outcome::Waiting);
    for who in ["judy", "ivan", "mallory"] {
        let mut agreed = scene.clone();
        agreed.approves(who);
        assert_eq!(decide(&agreed.case()).outcome, Outcome::Approved, "{who}");
    }
    // An owner of the file objects, to all of it.
    scene.approves("ivan");
    scene.reviews("judy", ReviewState::ChangesRequested);
    assert_eq!(decide(&scene.case()).outcome, Outcome::Waiting);
}

#[test]
fn once_admitted_a_part_that_nobody_can_approve_any_more_ends_alone() {
    let mut scene = approved();
    assert_eq!(bundle(&scene).len(), 2);
    let names = ["orders/readonly", "mail/reader"];
    let parts = names.map(|name| arrived().of_part(&role(name)));
    // heidi left, and mail/reader takes two.
    scene.staff("support", &["mallory"]);
    let (_, said) = admit_entries(&scene.case(), &parts);
    assert!(
        matches!(said[&parts[0].id], Admission::Approved(_)),
        "{said:?}"
    );
    let Admission::Unapproved(why) = &said[&parts[1].id] else {
        panic!("{said:?}");
    };
    assert_eq!(why[0], format!("no-eligible-approver at {REQUEST}:1:1"));
    // Before that nothing is given in part.
    let whole = admit(&scene.case(), &path(), &blob(WANTED));
    assert!(matches!(whole, Admission::Unapproved(_)), "{whole:?}");
}
