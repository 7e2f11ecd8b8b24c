//! What rests need not be seen by a plan. That no plan is another without it is asserted with every plan of these tests: see
//! [`Books::plan`].

use hallpass::domain::ledger::{CalledOff, Cause, State};
use hallpass::domain::model::GrantId;

use hallpass::domain::plan::sieve::Sieve;
use hallpass::domain::plan::{Action, plan};

use super::SAME;
use super::books::{ASK, Ask, Books};
use crate::approval::scene::at;

const NAMES: [&str; 4] = ["a", "b", "c", "d"];

/// Four that hold something else each, and what is in the way of their rest by now.
fn picked(disturb: impl FnOnce(&mut Books)) -> Vec<String> {
    let mut books = Books::default();
    for name in NAMES {
        let ask = Ask {
            name,
            role: "admin",
            ..ASK
        };
        books.stands(&ask, 0, State::Active);
    }
    // Each its own access.
    for (entry, name) in books.entries.iter_mut().zip(NAMES) {
        let access = &mut entry.terms.as_mut().expect("it is held").access;
        access.account.name = name.to_owned();
    }
    disturb(&mut books);
    let entries = books.sifted_at(10);
    let names = entries.iter().map(|e| e.path.short().to_string());
    names.collect()
}

#[test]
fn nothing_is_picked_while_all_rest() {
    assert!(picked(|_| ()).is_empty());
}

#[test]
fn what_goes_is_picked_alone() {
    let gone = picked(|books| {
        let id = books.entries[2].id.clone();
        books.withdraw(&id);
    });
    assert_eq!(gone, ["orders/c"]);
}

#[test]
fn what_gives_the_same_as_what_goes_is_seen() {
    let found = picked(|books| {
        let first = books.entries[0].id.clone();
        books.stands(&SAME, 0, State::Active);
        let access = |books: &Books, n: usize| books.entries[n].terms.clone().expect("held").access;
        let same = access(books, 0);
        books.entries[4].terms.as_mut().expect("it is held").access = same;
        books.withdraw(&first);
    });
    assert_eq!(found, ["orders/a", "orders/again"]);
}

#[test]
fn what_the_receiver_holds_is_seen_when_they_get_more() {
    let found = picked(|books| {
        books.arrives(&SAME, 5);
    });
    let mut names = NAMES.map(|name| format!("orders/{name}")).to_vec();
    names.push("orders/again".to_owned());
    assert_eq!(found, names, "it may go on with any of them");
}

fn call_off(books: &mut Books, id: &GrantId) {
    let entry = books.entry_mut(id);
    entry.version += 1;
    entry.called_off = Some(CalledOff {
        cause: Cause::OwnerEmergency,
        at: at(9),
        by: None,
        reason: None,
    });
}

#[test]
fn what_is_called_off_while_the_ledger_is_read_keeps_what_rests_and_gives_the_same() {
    let mut books = Books::default();
    let first = books.stands(&ASK, 0, State::Active);
    let other = Ask {
        role: "admin",
        name: "b",
        ..ASK
    };
    let [first, second] = books.bundle(&first, &other, State::Active);
    let same = Ask { name: "c", ..other };
    let same = books.stands(&same, 0, State::Active);
    call_off(&mut books, &first);
    let taken = books.entries.clone();
    call_off(&mut books, &second);
    let plan = books.with_view(Some(&books.main), 10, |view| {
        let mut sieve = Sieve::new(*view);
        taken.into_iter().for_each(|e| sieve.take(e));
        books.meet_related(&mut sieve);
        let (entries, held) = sieve.seen();
        plan(view, &entries, &held)
    });
    let kept = plan.actions.iter().find_map(|action| match action {
        Action::Revoke {
            id, retained_by, ..
        } if *id == second => Some(retained_by.clone()),
        _ => None,
    });
    assert_eq!(kept, Some(vec![same]));
}
