//! Entries of one file and several roles, planned.

use hallpass::domain::ledger::{Cause, State};
use hallpass::domain::model::{GrantId, RoleRef};
use hallpass::domain::plan::Action;

use crate::approval::scene::blob;
use crate::plan::books::{ASK, Ask, Books};

fn role(name: &str) -> RoleRef {
    RoleRef::try_from(format!("orders/{name}")).expect("a role")
}

/// One file, live, whose entries are the parts of a bundle: one for each role.
fn bundle(books: &mut Books, name: &'static str, roles: &[&'static str]) -> Vec<GrantId> {
    let mut ids = Vec::new();
    let mut whole = None;
    for asked in roles {
        let ask = Ask {
            name,
            role: asked,
            ..ASK
        };
        let id = books.stands(&ask, 0, State::Active);
        let entry = books.entry_mut(&id);
        // Beside the first, as one arrival.
        let (arrival, blob) = whole
            .get_or_insert_with(|| (entry.arrival.clone(), entry.blob.clone()))
            .clone();
        entry.arrival = arrival;
        entry.blob = blob;
        let part = entry.of_part(&role(asked));
        (entry.id, entry.part) = (part.id.clone(), part.part);
        ids.push(part.id);
    }
    let (_, blob) = whole.expect("a role");
    books.main.insert(books.entry(&ids[0]).path.clone(), blob);
    ids
}

#[test]
fn the_parts_of_a_bundle_live_by_one_file_and_none_replaces_another() {
    let mut books = Books::default();
    bundle(&mut books, "kit", &["readonly", "admin"]);
    assert_eq!(books.plan(10).actions, []);
}

#[test]
fn when_the_file_goes_every_part_ends() {
    let mut books = Books::default();
    let ids = bundle(&mut books, "kit", &["readonly", "admin"]);
    books.withdraw(&ids[0]);
    books.settle(10);
    for id in &ids {
        assert_eq!(books.entry(id).cause, Some(Cause::Withdrawn));
        assert_eq!(books.state(id), State::Ended);
    }
    assert!(books.held.is_empty());
}

#[test]
fn a_renewal_takes_over_part_by_part() {
    let mut books = Books::default();
    let old = bundle(&mut books, "kit", &["readonly", "admin"]);
    let mut new = bundle(&mut books, "kit", &["readonly", "admin"]);
    for id in &mut new {
        let entry = books.entry_mut(id);
        entry.arrival.order = 2;
        entry.arrival.commit = crate::approval::scene::commit("later");
        entry.blob = blob("later");
        entry.state = State::Arrived;
        entry.wake_at = None;
        entry.terms = None;
        let role = entry.part.clone().expect("a part");
        let renewed = entry.path.part_id(&entry.arrival.commit, &role);
        entry.id = renewed.clone();
        let ask = Ask {
            name: "kit",
            role: if role.role.as_str() == "admin" {
                "admin"
            } else {
                "readonly"
            },
            ..ASK
        };
        books.admissions.insert(
            renewed.clone(),
            hallpass::domain::decision::Admission::Approved(Box::new(ask.approved())),
        );
        *id = renewed;
    }
    books
        .main
        .insert(books.entry(&new[0]).path.clone(), blob("later"));
    let plan = books.plan(10);
    let replaces: Vec<Option<GrantId>> = plan
        .actions
        .iter()
        .filter_map(|action| match action {
            Action::Grant { replaces, .. } => Some(replaces.as_ref().and_then(|r| r.id.clone())),
            _ => None,
        })
        .collect();
    assert_eq!(replaces.len(), 2);
    for id in &old {
        assert!(replaces.contains(&Some(id.clone())), "{id}: {replaces:?}");
    }
    books.perform(&plan, 10);
    assert!(
        books.calls.iter().all(|(call, _)| *call == "grant"),
        "no gap"
    );
    assert_eq!(books.held.len(), 2);
}

#[test]
fn a_bundle_that_is_returned_counts_once_for_the_brake() {
    let mut books = Books::default();
    let ids = bundle(&mut books, "kit", &["readonly"]);
    // More roles than the brake lets go at once, of one file: nobody lost a repository.
    for n in 0..8 {
        let part = books.entry(&ids[0]).of_part(&role(&format!("part-{n}")));
        books.entries.push(part);
    }
    books.withdraw(&ids[0]);
    assert_eq!(books.plan(10).held_back, []);
}
