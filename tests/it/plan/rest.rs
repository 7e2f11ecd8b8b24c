//! What rests need not be seen by a plan. That no plan is another without it is asserted with every plan of these tests: see
//! [`Books::plan`].

use hallpass::domain::ledger::State;

use super::SAME;
use super::books::{ASK, Ask, Books};

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
    names.sort();
    assert_eq!(found, names, "it may go on with any of them");
}
