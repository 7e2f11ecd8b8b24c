//! What a clone can tell of a check, and what it cannot.

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::TimeDelta;
use hallpass::domain::catalogue::{ChangedFile, File, REGULAR_FILE};
use hallpass::domain::changes::Changes;
use hallpass::domain::foresight::{Approval, Facts, Foresight, foresee};
use hallpass::domain::ledger::Holding;
use hallpass::domain::model::{
    Actor, ActorKind, BlobId, CommitId, GrantPath, Instant, Login, UserId,
};
use hallpass::domain::parse::read_tree;

fn file(path: &str, text: &str) -> File {
    let id = git2::Oid::hash_object(git2::ObjectType::Blob, text.as_bytes()).unwrap();
    File {
        path: path.to_owned(),
        mode: REGULAR_FILE,
        blob: BlobId::new(id.to_string()).unwrap(),
        bytes: text.as_bytes().into(),
    }
}

/// What is foreseen of octocat's request in the example, with another file in it.
fn foreseen(path: &str, with: impl Fn(&str) -> String) -> Foresight {
    let files: Vec<File> = super::bare_files()
        .iter()
        .map(|(known, text)| match known == path {
            true => file(known, &with(text)),
            false => file(known, text),
        })
        .collect();
    let base = read_tree(&files);
    assert!(base.findings.is_empty(), "{:#?}", base.findings);
    let asked = "person: octocat\nrole: member\nduration: 2h\nreason: On call tonight, for ada.\n";
    let changed = ChangedFile {
        path: "access/grants/on-call/tonight.yaml".into(),
        before: None,
        after: Some(file("access/grants/on-call/tonight.yaml", asked)),
    };
    foresee(&Facts {
        branch: "main",
        base_commit: &CommitId::new("0".repeat(40)).unwrap(),
        base: &base,
        changes: Arc::new(Changes::read(vec![changed])),
        author: Some(Actor {
            id: UserId(583_231),
            login: Login::new("octocat").unwrap(),
            kind: ActorKind::User,
        }),
        holdings: &[],
        ended: &BTreeMap::new(),
        now: "2026-11-23T12:00:00Z".parse().unwrap(),
    })
}

fn rules(of: &[hallpass::domain::finding::Finding]) -> Vec<&str> {
    of.iter().map(|finding| finding.rule).collect()
}

#[test]
fn a_request_that_nothing_is_wrong_with_tells_who_approves_it() {
    let found = foreseen("", str::to_owned);
    assert_eq!(
        (rules(&found.findings), rules(&found.depends)),
        (vec![], vec![])
    );
    assert!(found.teams.is_empty());
    let [
        (
            role,
            Approval::Owners {
                needed: 1, owners, ..
            },
        ),
    ] = found.approvals.as_slice()
    else {
        panic!("{found:?}");
    };
    assert_eq!(
        (role.to_string().as_str(), owners[0].to_string().as_str()),
        ("on-call/member", "@acme/sre-leads")
    );
}

#[test]
fn what_depends_on_a_team_is_told_as_that() {
    let member = "    entitlement: { team: on-call }\n";
    let teams = format!("{member}    eligible: {{ teams: ['@acme/sre'] }}\n");
    let found = foreseen("access/resources/on-call.yaml", |text| {
        text.replace(member, &teams)
    });
    assert_eq!(
        (rules(&found.findings), rules(&found.depends)),
        (vec![], vec!["not-eligible"])
    );
    let policy = "@id(\"sre\") @message(\"Only for SRE.\")\nforbid (principal, action == Action::\"request\", resource == Role::\"on-call/member\")\nunless { principal is Person && principal in Team::\"acme/sre\" };\n";
    let found = foreseen("access/policies/guardrails.cedar", |text| {
        format!("{text}\n{policy}")
    });
    assert_eq!(
        (rules(&found.findings), rules(&found.depends)),
        (vec![], vec!["policy-forbids"])
    );
    assert_eq!(
        found
            .teams
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>(),
        ["@acme/sre"]
    );
    // What is so whoever is in the team is certain.
    let policy = policy.replace(
        "principal is Person && principal in Team::\"acme/sre\"",
        "principal is Service || principal in Team::\"acme/sre\" && principal is Service",
    );
    let found = foreseen("access/policies/guardrails.cedar", |text| {
        format!("{text}\n{policy}")
    });
    assert_eq!(
        (rules(&found.findings), rules(&found.depends)),
        (vec!["policy-forbids"], vec![])
    );
}

#[test]
fn what_a_policy_approves_by_itself_is_told() {
    let found = foreseen("access/resources/on-call.yaml", |text| {
        text.replace("risk: high", "risk: low")
    });
    let [(_, Approval::Policy(id))] = found.approvals.as_slice() else {
        panic!("{found:?}");
    };
    assert_eq!(id, "low-risk-for-a-day");
}

#[test]
fn a_team_that_owns_and_that_a_policy_mentions_is_no_dead_end() {
    let policy = "@id(\"leads\") @message(\"Not for leads.\")\nforbid (principal, action == Action::\"request\", resource == Role::\"on-call/member\")\nwhen { principal is Person && principal in Team::\"acme/sre-leads\" };\n";
    let found = foreseen("access/policies/guardrails.cedar", |text| {
        format!("{text}\n{policy}")
    });
    assert_eq!(
        (rules(&found.findings), rules(&found.depends)),
        (vec![], vec!["policy-forbids"])
    );
}

#[test]
fn what_is_held_counts_for_how_long_it_may_be_kept() {
    let files: Vec<File> = super::granted_files()
        .iter()
        .map(|(path, text)| file(path, text))
        .collect();
    let base = read_tree(&files);
    let path = GrantPath::new("access/grants/on-call/octocat-week-49.yaml").unwrap();
    let (before, declared) = (&base.grants[&path].blob, &base.grants[&path].grant);
    let renewed = "person: octocat\nrole: member\nduration: 7d\nreason: On call for another week, as ada is ill.\n";
    let changed = ChangedFile {
        path: path.to_string(),
        before: Some((before.clone(), REGULAR_FILE)),
        after: Some(file(path.as_str(), renewed)),
    };
    let now: Instant = "2026-12-06T12:00:00Z".parse().unwrap();
    let role = base.gives(&path, declared).remove(0);
    let held = |days: i64| Holding {
        id: path.id(&CommitId::new("1".repeat(40)).unwrap()),
        path: path.clone(),
        subject: declared.subject.clone(),
        role: role.clone(),
        access_key: String::new(),
        starts: now - TimeDelta::days(days),
        ends: now + TimeDelta::days(1),
        since: Some(now - TimeDelta::days(days)),
    };
    for (days, expected) in [(83, vec![]), (84, vec!["total-too-long"])] {
        let found = foresee(&Facts {
            branch: "main",
            base_commit: &CommitId::new("0".repeat(40)).unwrap(),
            base: &base,
            changes: Arc::new(Changes::read(vec![changed.clone()])),
            author: None,
            holdings: &[held(days)],
            ended: &BTreeMap::new(),
            now,
        });
        assert_eq!(rules(&found.findings), expected, "{days}");
    }
}

#[test]
fn without_owners_nothing_can_be_approved() {
    let found = foreseen(".github/CODEOWNERS", |_| {
        "/access/grants/orders/ @acme/orders-owners\n".to_owned()
    });
    assert!(
        rules(&found.findings).contains(&"owner-missing"),
        "{found:#?}"
    );
}
