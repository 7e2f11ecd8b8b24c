//! Files that say something else: what they gave goes by the approval of that, and otherwise is only inferred to be over.

use hallpass::domain::decision::Admission;
use hallpass::domain::ledger::State;
use hallpass::domain::plan::{Action, Missing, Plan};

use super::books::{ASK, Ask, Books};
use super::{many, unknown, unproved};

/// The first `count` files of [`many`] say something else, which is approved unless the forge says otherwise.
fn rewrite(books: &mut Books, count: usize, said: Option<&Admission>) {
    for n in 0..count {
        let name = format!("grant-{n}").leak();
        let new = books.arrives(&Ask { name, ..ASK }, 5);
        let said = said.map(|said| (new, said.clone()));
        books.admissions.extend(said);
    }
}

fn removals(plan: &Plan) -> usize {
    let removal = |action: &&Action| matches!(action, Action::Revoke { .. });
    plan.actions.iter().filter(removal).count()
}

#[test]
fn what_was_rewritten_without_approval_meets_the_brake_as_what_is_missing_does() {
    // Live grants, files that are rewritten, files that vanish, whether that is too much to believe.
    let table = [
        (5, 5, 0, false),
        (6, 6, 0, true),
        (6, 3, 3, true),
        (24, 6, 0, false),
        (24, 4, 3, true),
    ];
    for (live, rewritten, vanish, too_many) in table {
        let (mut books, ids) = many(live);
        let going = rewritten + vanish;
        rewrite(&mut books, rewritten, Some(&unproved()));
        ids[rewritten..going]
            .iter()
            .for_each(|id| books.withdraw(id));
        let plan = books.settle(10);
        let (gone, held_back) = if too_many { (0, going) } else { (going, 0) };
        let found = (removals(&plan), plan.held_back.len());
        assert_eq!(found, (gone, held_back), "{rewritten} of {live}");
        // What was denied is not looked at again: only the branch tells of it.
        books.entries.retain(|e| !e.state.is_final());
        books.admissions.clear();
        assert_eq!(books.plan(11).held_back, plan.held_back);
    }
}

#[test]
fn renewals_pass_no_brake_however_many_they_are() {
    let (mut books, _) = many(8);
    rewrite(&mut books, 8, None);
    let plan = books.plan(10);
    assert_eq!((removals(&plan), plan.held_back.len()), (8, 0));

    // Nor what a death left between the giving of the new and the taking of the old.
    let (mut books, _) = many(8);
    for n in 0..8 {
        let name = format!("grant-{n}").leak();
        books.stands(&Ask { name, ..ASK }, 5, State::Active);
    }
    books.admissions.clear();
    let plan = books.plan(10);
    assert_eq!((removals(&plan), plan.held_back.len()), (8, 0));
    // Nor are they counted for what is missing elsewhere.
    let found = books.with_view(Some(&books.main), 10, |view| {
        let mut missing = Missing::by(*view);
        books.entries.iter().for_each(|e| missing.count(e));
        missing.is_too_much()
    });
    assert!(!found);
}

#[test]
fn what_lost_its_own_approval_is_taken_whatever_its_file_says_by_now() {
    let mut books = Books::default();
    let ids: Vec<_> = (0..8)
        .map(|n| {
            let name = format!("grant-{n}").leak();
            books.stands(&Ask { name, ..ASK }, 0, State::Granting)
        })
        .collect();
    rewrite(&mut books, 8, Some(&unproved()));
    for id in ids {
        books.admissions.insert(id, unproved());
    }
    let plan = books.plan(10);
    assert_eq!((removals(&plan), plan.held_back.len()), (8, 0));
}

#[test]
fn what_is_approved_or_open_counts_for_nothing_on_all_connections_together() {
    let table = [
        (None, false),
        (Some(unknown()), false),
        (Some(unproved()), true),
    ];
    for (said, too_many) in table {
        let (mut books, _) = many(6);
        // Only what waits is weighed.
        books.admissions.clear();
        rewrite(&mut books, 6, said.as_ref());
        let found = books.with_view(Some(&books.main), 10, |view| {
            let mut missing = Missing::by(*view);
            books.entries.iter().for_each(|e| missing.count(e));
            missing.is_too_much()
        });
        assert_eq!(found, too_many, "{said:?}");
    }
}
