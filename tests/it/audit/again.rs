//! Decisions made again: what a record says beside the file that was approved.

use hallpass::domain::audit::{Rule, Seen, replay};
use hallpass::domain::catalogue::Catalogue;
use hallpass::domain::evidence::{Place, Record, seal};
use hallpass::domain::ledger::{Entry, Granted};
use hallpass::domain::model::{Grant, Instant};
use hallpass::domain::parse::read_tree;

use crate::approval::scene::{at, commit, file};
use crate::evidence::{entry, given};
use crate::plan::books::ASK;

/// What the entry of the tests asks for.
const TEXT: &str = "person: octocat\nrole: readonly\nduration: 120m\nreason: Checkout fails.\n";

fn base() -> Catalogue {
    let role = |name: &str| {
        format!(
            "  {name}:\n    description: Whatever\n    entitlement: {{ role: {name} }}\n    max_duration: 30d\n"
        )
    };
    let orders = format!(
        "description: Orders database\nrisk: low\nprovider: db\nroles:\n{}{}",
        role("readonly"),
        role("admin")
    );
    let tree = read_tree(&[
        file(".github/CODEOWNERS", "/access/ @acme/dba\n"),
        file("access/resources/orders.yaml", &orders),
    ]);
    assert_eq!(tree.findings, []);
    tree
}

fn asked(text: &str) -> Grant {
    let path = ASK.path();
    let tree = read_tree(&[file(path.as_str(), text)]);
    Grant::clone(&tree.grants[&path].grant)
}

/// The record that says that this was given.
fn was_given(entry: &Entry) -> Record {
    let answer = Granted {
        read_back: "it has it".to_owned(),
        pending: None,
        account_id: None,
        entitlement_id: None,
    };
    let event = given(entry, &answer, None, at(1), at(2));
    Record::read(seal(&event, &Place::first()).record.as_bytes()).unwrap()
}

/// What is wrong with a record, where the file says `text`.
fn wrong(text: &str, record: &Record) -> Vec<Rule> {
    let found = replay(&commit("record"), record, &base(), &asked(text));
    found.into_iter().map(|problem| problem.rule).collect()
}

#[test]
fn what_a_record_says_of_role_term_and_emergency_is_compared_with_the_file() {
    let told = was_given(&entry());
    assert_eq!(wrong(TEXT, &told), []);
    let lies: [fn(&mut Record); 6] = [
        |r| r.subject = Some("person judy".to_owned()),
        |r| r.role = Some("orders/admin".to_owned()),
        |r| r.expires = Some(at(121)),
        |r| r.starts = Some(at(-1)),
        |r| r.merged_at = Some(Instant::MAX_UTC),
        |r| r.basis = Some("emergency".to_owned()),
    ];
    for (number, lie) in lies.into_iter().enumerate() {
        let mut record = told.clone();
        lie(&mut record);
        assert_eq!(wrong(TEXT, &record), [Rule::NotApproved], "lie {number}");
    }
}

#[test]
fn a_file_that_asks_for_an_emergency_an_end_or_a_later_begin_is_what_its_record_says() {
    let told = was_given(&entry());
    let broken = Record {
        basis: Some("emergency".to_owned()),
        ..told.clone()
    };
    assert_eq!(wrong(&format!("{TEXT}emergency: true\n"), &broken), []);
    let until = TEXT.replace("duration: 120m", "expires: 2026-11-24T14:00:00Z");
    assert_eq!(wrong(&until, &told), []);
    let later = Record {
        starts: Some(at(60)),
        expires: Some(at(180)),
        ..told
    };
    let text = format!("{TEXT}starts: 2026-11-24T13:00:00Z\n");
    assert_eq!(wrong(&text, &later), []);
}

#[test]
fn a_grant_that_is_said_to_be_given_twice_is_told() {
    let first = was_given(&entry());
    let again = Record {
        key: "granted:again".to_owned(),
        expires: Some(at(9_000)),
        ..first.clone()
    };
    let mut seen = Seen::default();
    for (name, record) in [("first", &first), ("same", &first), ("again", &again)] {
        seen.add(&commit(name), record);
    }
    let told = seen.into_problems().into_iter();
    let twice = told.filter(|p| p.rule == Rule::KeyTwice);
    let twice: Vec<_> = twice.filter_map(|problem| problem.commit).collect();
    assert_eq!(twice, [commit("again")]);
}
