//! Pull requests, judged: open, and after their merge.

mod admission;
mod glass;
mod lifecycle;
pub mod office;
mod poison;
mod report;

use std::collections::BTreeMap;

use hallpass::domain::approval::Proof;
use hallpass::domain::decision::{Case, Change, Outcome, Standing, Verdict};
use hallpass::domain::finding::Severity;
use hallpass::domain::model::{Actor, GrantPath};
use hallpass::domain::pull::{Lookup, PullState, Pushers, ReviewState};

use crate::approval::scene::{FILE, Scene, actor, blob, commit, login, team};
use office::{
    FOR_SERVICE, ORDERS_FILE, WANTED, failed, office, only, request, rules, standing, verdict,
};

fn proof(verdict: &Verdict) -> &Proof {
    let Standing::Approved(proof) = &only(verdict).approval else {
        panic!("not approved: {verdict:?}");
    };
    proof
}

fn not_needed(verdict: &Verdict) -> &'static str {
    let Standing::NotNeeded(why) = only(verdict).approval else {
        panic!("approval is needed: {verdict:?}");
    };
    why
}

fn denied_by(scene: &Scene, rule: &str) {
    let verdict = verdict(scene);
    assert_eq!(verdict.outcome, Outcome::Denied, "{verdict:?}");
    assert_eq!(rules(&verdict), [rule]);
    for finding in &verdict.findings {
        assert!(!finding.help.is_empty() && finding.line > 0);
    }
}

#[test]
fn a_request_waits_for_its_owner_and_is_approved_by_one() {
    let mut scene = request();
    let waiting = verdict(&scene);
    assert_eq!(waiting.outcome, Outcome::Waiting);
    assert!(waiting.only_grants && waiting.findings.is_empty());
    let asked = only(&waiting);
    assert_eq!(asked.change, Change::Add);
    assert_eq!(asked.blob, Some(blob(WANTED)));
    let access = asked
        .access
        .as_ref()
        .expect("what is asked for is declared");
    assert_eq!(access.account.name, "octocat_db");
    assert_eq!(access.connection.as_str(), "orders-primary");

    scene.approves("grace");
    let approved = verdict(&scene);
    assert_eq!(approved.outcome, Outcome::Approved);
    assert_eq!(proof(&approved).approvals()[0].reviewer, actor("grace"));
    assert_eq!(proof(&approved).blob(), &blob(WANTED));
}

#[test]
fn a_change_of_nothing_governed_does_not_concern() {
    let mut scene = office();
    scene.changes("README.md", Some("old"), Some("new"));
    let verdict = verdict(&scene);
    assert_eq!(verdict.outcome, Outcome::NotConcerned);
    assert!(!verdict.only_grants);
    scene.changes.clear();
    assert_eq!(office::verdict(&scene).outcome, Outcome::NotConcerned);
}

#[test]
fn a_request_against_another_branch_is_denied_and_other_changes_there_do_not_concern() {
    let mut scene = request();
    scene.approves("grace");
    scene.pull.base_branch = "lax".to_owned();
    denied_by(&scene, "wrong-branch");
    scene.changes.clear();
    scene.changes(".github/CODEOWNERS", None, Some("* @octocat\n"));
    assert_eq!(verdict(&scene).outcome, Outcome::NotConcerned);
}

#[test]
fn what_breaks_a_rule_is_denied_however_well_approved() {
    let mut scene = office();
    scene
        .adds(FILE, &WANTED.replace("2h", "9h"))
        .approves("grace");
    denied_by(&scene, "term-too-long");
    let mut scene = office();
    scene.adds(FILE, "person: [").approves("grace");
    let verdict = verdict(&scene);
    assert_eq!(verdict.outcome, Outcome::Denied);
    let asked = only(&verdict);
    assert!(asked.grant.is_none() && asked.access.is_none());
    assert!(matches!(asked.approval, Standing::Missing(_)));
}

#[test]
fn a_file_that_can_be_run_is_never_approved() {
    let mut scene = request();
    scene.approves("grace");
    let file = scene.changes[0].after.as_mut().expect("a file");
    file.mode = 0o100_755;
    let verdict = verdict(&scene);
    assert_eq!(verdict.outcome, Outcome::Denied);
    assert!(matches!(only(&verdict).approval, Standing::Missing(_)));
}

#[test]
fn control_files_and_grants_need_separate_pull_requests() {
    let control = [
        (".github/CODEOWNERS", "* @octocat\n"),
        ("CODEOWNERS", "* @octocat\n"),
        ("docs/CODEOWNERS", "* @octocat\n"),
        (".gitattributes", "access/** -diff\n"),
        ("access/people/eve.yaml", "github_id: 77\n"),
    ];
    for (path, content) in control {
        let mut scene = request();
        scene.adds(path, content).approves("grace").approves("judy");
        let verdict = verdict(&scene);
        assert_eq!(verdict.outcome, Outcome::Denied, "{path}");
        assert!(rules(&verdict).contains(&"control-and-grants"), "{path}");
        assert!(!verdict.only_grants);
    }
}

#[test]
fn control_files_are_approved_by_the_owners_of_the_base() {
    let mut scene = office();
    scene.changes(
        ".github/CODEOWNERS",
        Some(office::OWNERS),
        Some("* @octocat\n"),
    );
    scene.person("octocat", true);
    let waiting = verdict(&scene);
    assert_eq!(waiting.outcome, Outcome::Waiting);
    assert!(waiting.requests.is_empty() && !waiting.only_grants);
    assert_eq!(waiting.control[0].path, ".github/CODEOWNERS");
    let missing = waiting.control[0].missing.as_ref().expect("not approved");
    assert_eq!(missing.owners, [team("security")]);

    scene.approves("grace");
    assert_eq!(verdict(&scene).outcome, Outcome::Waiting);
    scene.approves("judy");
    let approved = verdict(&scene);
    assert_eq!(approved.outcome, Outcome::Approved);
    assert!(!approved.only_grants && approved.control[0].missing.is_none());

    scene.pull.author = Some(actor("judy"));
    denied_by(&scene, "no-eligible-approver");
}

#[test]
fn a_control_file_that_goes_needs_an_owner_who_saw_it_go() {
    let mut scene = office();
    scene.changes("access/people/mallory.yaml", Some("github_id: 6\n"), None);
    scene.shows("old", "access/people/mallory.yaml", Some("github_id: 6\n"));
    scene.approves("judy").last().commit = Some(commit("old"));
    assert_eq!(verdict(&scene).outcome, Outcome::Waiting);
    scene.last().commit = Some(commit("head"));
    assert_eq!(verdict(&scene).outcome, Outcome::Approved);
}

#[test]
fn a_broken_codeowners_denies_grants_and_can_be_repaired() {
    let broken = "* @acme/security\n/access/grants/orders/ @acme/dba\n!/access/ @x\n";
    let mut scene = request();
    scene.owned(broken).approves("grace");
    denied_by(&scene, "codeowners-broken");

    scene.changes.clear();
    scene.changes(".github/CODEOWNERS", Some(broken), Some(office::OWNERS));
    assert_eq!(verdict(&scene).outcome, Outcome::Waiting);
    scene.approves("judy");
    assert_eq!(verdict(&scene).outcome, Outcome::Approved);
}

#[test]
fn a_path_without_an_owner_is_denied_once() {
    for owners in ["/docs/ @acme/dba\n", "* @acme/dba\n/access/\n"] {
        let mut scene = request();
        scene.owned(owners).approves("grace");
        denied_by(&scene, "owner-missing");
    }
    let mut scene = request();
    scene.base.codeowners = hallpass::domain::codeowners::Codeowners::default();
    denied_by(&scene, "owner-missing");
}

#[test]
fn what_nobody_can_approve_is_denied_at_once() {
    let mut scene = request();
    scene.staff("dba", &["octocat"]);
    denied_by(&scene, "no-eligible-approver");
    let help = &verdict(&scene).findings[0].help;
    assert!(help.contains("add another person to @acme/dba"), "{help}");

    let mut scene = office();
    scene
        .adds(FILE, &WANTED.replace("readonly", "admin"))
        .staff("dba", &["grace"]);
    denied_by(&scene, "no-eligible-approver");
}

#[test]
fn a_request_from_a_fork_is_denied_with_the_way_out() {
    let mut scene = request();
    scene.approves("grace");
    scene.pull.from_fork = true;
    scene.pull.pushers = Pushers::Unknown("a fork".to_owned());
    denied_by(&scene, "pushers-unknown");
}

#[test]
fn a_request_by_an_account_that_is_gone_is_denied() {
    let mut scene = request();
    scene.approves("grace");
    scene.pull.author = None;
    denied_by(&scene, "author-unknown");
}

#[test]
fn access_for_a_service_is_not_approved_by_who_answers_for_it() {
    let mut scene = office();
    scene.adds(FILE, FOR_SERVICE).approves("heidi");
    let waiting = verdict(&scene);
    assert_eq!(waiting.outcome, Outcome::Waiting, "{:?}", waiting.findings);
    scene.approves("grace");
    let approved = verdict(&scene);
    let who: Vec<_> = proof(&approved)
        .approvals()
        .iter()
        .map(|a| &a.reviewer.login)
        .collect();
    assert_eq!(who, [&login("grace")]);
}

#[test]
fn access_asked_for_by_a_colleague_is_not_approved_by_who_receives_it() {
    let mut scene = request();
    scene.staff("dba", &["octocat", "grace"]);
    scene.pull.author = Some(actor("mallory"));
    scene.pull.pushers = Pushers::Known([actor("mallory").id].into());
    scene.approves("octocat");
    assert_eq!(verdict(&scene).outcome, Outcome::Waiting);
    scene.approves("grace");
    assert_eq!(verdict(&scene).outcome, Outcome::Approved);
}

#[test]
fn two_approvals_with_reasons_are_asked_for_where_the_role_says_so() {
    let mut scene = office();
    scene.adds(FILE, &WANTED.replace("readonly", "admin"));
    scene.approves("grace").last().body = "Spoke to octocat, fine".to_owned();
    scene.approves("heidi");
    assert_eq!(verdict(&scene).outcome, Outcome::Waiting);
    scene.last().body = "Agreed in the incident call".to_owned();
    assert_eq!(verdict(&scene).outcome, Outcome::Approved);
}

#[test]
fn every_file_needs_the_approval_of_its_own_owners() {
    let mut scene = request();
    scene.adds(
        "access/grants/ledger/octocat.yaml",
        &WANTED.replace("octocat", "grace"),
    );
    let people = scene.base.people.get_mut(&login("grace")).expect("grace");
    let connection =
        hallpass::domain::model::ConnectionName::new("ledger-primary").expect("a name");
    people.identities.insert(connection, "grace".to_owned());
    scene.approves("grace");
    let half = verdict(&scene);
    assert_eq!(half.outcome, Outcome::Waiting, "{:?}", half.findings);
    assert_eq!(half.missing().count(), 1);
    scene.approves("judy");
    assert_eq!(verdict(&scene).outcome, Outcome::Approved);
}

#[test]
fn what_cannot_be_looked_up_is_uncertain_unless_the_rest_is_enough() {
    let mut scene = request();
    failed(&mut scene, "dba");
    scene.approves("grace");
    assert_eq!(
        verdict(&scene).outcome,
        Outcome::Uncertain(vec![
            "Who stands behind @acme/dba could not be looked up: GitHub answered 502".to_owned()
        ])
    );
    let mut scene = request();
    failed(&mut scene, "security");
    scene.approves("grace");
    assert_eq!(verdict(&scene).outcome, Outcome::Approved);
}

#[test]
fn drafts_and_closed_pull_requests_are_checked_but_never_approved() {
    let mut scene = request();
    scene.approves("grace");
    scene.pull.draft = true;
    let draft = verdict(&scene);
    assert_eq!(draft.outcome, Outcome::Waiting);
    assert_eq!(draft.notes.len(), 1);
    scene.pull.draft = false;
    scene.pull.state = PullState::Closed;
    let closed = verdict(&scene);
    assert_eq!(closed.outcome, Outcome::Waiting);
    assert_eq!(closed.notes.len(), 1);
    scene.changes.clear();
    scene.adds(FILE, &WANTED.replace("2h", "9h"));
    assert_eq!(verdict(&scene).outcome, Outcome::Denied);
}

#[test]
fn changing_a_grant_needs_full_approval_whoever_asks() {
    let mut scene = office();
    standing(&mut scene, FILE, WANTED);
    let longer = WANTED
        .replace("2h", "4h")
        .replace("need to", "still need to");
    scene.changes(FILE, Some(WANTED), Some(&longer));
    scene.pull.author = Some(actor("grace"));
    let waiting = verdict(&scene);
    assert_eq!(waiting.outcome, Outcome::Waiting, "{:?}", waiting.findings);
    let Change::Amend(Some(before)) = &only(&waiting).change else {
        panic!("an amendment");
    };
    assert_eq!(
        before.subject,
        only(&waiting).grant.as_ref().expect("a grant").subject
    );
    scene.approves("heidi");
    assert_eq!(verdict(&scene).outcome, Outcome::Approved);
}

/// The pull request removes octocat's grant.
fn removal(author: &str) -> Scene {
    let mut scene = office();
    standing(&mut scene, FILE, WANTED);
    scene.changes(FILE, Some(WANTED), None);
    scene.pull.author = Some(actor(author));
    scene
}

#[test]
fn the_holder_and_an_owner_end_access_without_approval() {
    for author in ["octocat", "grace"] {
        let verdict = verdict(&removal(author));
        assert_eq!(verdict.outcome, Outcome::Approved, "{author}");
        assert!(matches!(only(&verdict).change, Change::Remove(Some(_))));
        assert!(not_needed(&verdict).contains("may end it"));
        assert!(verdict.only_grants);
    }
}

#[test]
fn anybody_else_needs_an_owner_to_end_access() {
    let mut scene = removal("mallory");
    let waiting = verdict(&scene);
    assert_eq!(waiting.outcome, Outcome::Waiting);
    scene.approves("octocat");
    assert_eq!(verdict(&scene).outcome, Outcome::Waiting);
    scene.approves("grace");
    let approved = verdict(&scene);
    assert_eq!(approved.outcome, Outcome::Approved);
    assert_eq!(
        not_needed(&approved),
        "An owner of the file approved the removal."
    );
}

#[test]
fn an_owner_of_another_path_and_a_lookalike_of_the_holder_need_approval() {
    assert_eq!(verdict(&removal("judy")).outcome, Outcome::Waiting);
    let mut scene = removal("mallory");
    scene.pull.author = Some(Actor {
        login: login("octocat"),
        ..actor("mallory")
    });
    assert_eq!(verdict(&scene).outcome, Outcome::Waiting);
}

#[test]
fn removing_a_file_whose_access_ended_needs_nobody() {
    let mut scene = removal("mallory");
    scene.ended = BTreeMap::from([(GrantPath::new(FILE).expect("a path"), blob(WANTED))]);
    let tidy = verdict(&scene);
    assert_eq!(tidy.outcome, Outcome::Approved);
    assert_eq!(only(&tidy).change, Change::Tidy);
    scene.pull.author = None;
    assert_eq!(verdict(&scene).outcome, Outcome::Approved);
    // The file says something else by now, so it is not what ended.
    scene.ended = BTreeMap::from([(GrantPath::new(FILE).expect("a path"), blob("other"))]);
    scene.pull.author = Some(actor("mallory"));
    let verdict = verdict(&scene);
    assert_eq!(verdict.outcome, Outcome::Waiting);
    assert!(matches!(only(&verdict).change, Change::Remove(_)));
}

#[test]
fn a_grant_that_rides_along_with_tidying_needs_its_own_approval() {
    let mut scene = removal("octocat");
    scene.ended = BTreeMap::from([(GrantPath::new(FILE).expect("a path"), blob(WANTED))]);
    scene.base.grants.clear();
    scene.adds("access/grants/orders/rider.yaml", WANTED);
    let verdict = verdict(&scene);
    assert_eq!(verdict.outcome, Outcome::Waiting, "{:?}", verdict.findings);
    assert!(matches!(verdict.requests[1].approval, Standing::Missing(_)));
}

#[test]
fn a_resource_that_the_pull_request_changes_does_not_judge_it() {
    let mut scene = office();
    let lax = "description: Orders\nrisk: low\nprovider: orders-primary\nroles:\n  readonly:\n    description: x\n    entitlement: {}\n    max_duration: 90d\n";
    scene.changes(ORDERS_FILE, Some("old"), Some(lax));
    scene.adds(FILE, &WANTED.replace("2h", "9h"));
    scene.approves("grace").approves("judy");
    let verdict = verdict(&scene);
    assert!(rules(&verdict).contains(&"term-too-long"));
    assert!(rules(&verdict).contains(&"control-and-grants"));
}

#[test]
fn a_case_says_what_must_be_asked() {
    let mut scene = request();
    scene.adds("README.md", "x");
    scene.changes("access/grants/ledger/x.yaml", Some("x"), None);
    scene.owned("* @acme/security\n/access/grants/orders/ @acme/dba a@b.example @ivan\n/access/grants/ledger/ @judy\n");
    let owners = scene.owners_to_ask();
    let words: Vec<String> = owners.iter().map(ToString::to_string).collect();
    assert_eq!(words, ["@ivan", "@judy", "@acme/dba"]);
    let paths = Case::paths_to_compare(&scene.changes);
    let paths: Vec<&str> = paths.iter().map(|p| p.as_str()).collect();
    assert_eq!(paths, [FILE, "access/grants/ledger/x.yaml"]);
    scene
        .approves("grace")
        .reviews("heidi", ReviewState::ChangesRequested);
    scene.last().commit = Some(commit("other"));
    let commits = Case::commits_to_compare(&scene.pull);
    assert_eq!(commits.into_iter().collect::<Vec<_>>(), [commit("head")]);
}

#[test]
fn warnings_deny_nothing() {
    let mut scene = request();
    scene.approves("grace");
    let mut verdict = verdict(&scene);
    verdict.findings.push(hallpass::domain::finding::Finding {
        path: FILE.to_owned(),
        line: 1,
        column: 1,
        rule: "a-warning",
        severity: Severity::Warning,
        message: String::new(),
        help: String::new(),
    });
    assert_eq!(verdict.errors().count(), 0);
}

#[test]
fn a_named_owner_who_is_gone_leaves_nobody() {
    let mut scene = office();
    scene.adds("access/grants/ledger/octocat.yaml", WANTED);
    scene.roster.users.insert(login("judy"), Lookup::Absent);
    let verdict = verdict(&scene);
    assert!(rules(&verdict).contains(&"no-eligible-approver"));
}
