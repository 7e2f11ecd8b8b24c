//! What records say of grants that were given.

use hallpass::domain::audit::{Rule, Seen};
use hallpass::domain::evidence::{Place, Record, seal};
use hallpass::domain::ledger::{Entry, Granted};

use crate::approval::scene::{at, commit};
use crate::evidence::{entry, given};

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
