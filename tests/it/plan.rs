//! What is given and taken, and when: `domain::plan`, performed on a ledger and a target system that are plain values.

pub mod books;
mod laws;
mod leavers;
mod renewal;
mod rest;
mod rewritten;

use books::{ASK, Ask, Books, Luck, PAUSE};
use hallpass::domain::decision::Admission;
use hallpass::domain::ledger::{Cause, State};
use hallpass::domain::model::{GrantId, ResourceName};
use hallpass::domain::plan::{Action, Missing, Plan, Renewed};

use crate::approval::scene::{at, blob};

/// The same access by another file.
const SAME: Ask = Ask {
    name: "again",
    ..ASK
};

fn unproved() -> Admission {
    Admission::Unapproved(vec!["One more approval is needed.".to_owned()])
}

fn unknown() -> Admission {
    Admission::Unknown(vec!["GitHub answered 502".to_owned()])
}

fn revoke(id: &GrantId, cause: Cause) -> Action {
    Action::Revoke {
        id: id.clone(),
        cause,
        retained_by: Vec::new(),
    }
}

fn retained(id: &GrantId, cause: Cause, by: &[&GrantId]) -> Action {
    Action::Revoke {
        id: id.clone(),
        cause,
        retained_by: by.iter().map(|id| (*id).clone()).collect(),
    }
}

fn cancel(id: &GrantId, cause: Cause) -> Action {
    Action::Cancel {
        id: id.clone(),
        cause,
    }
}

fn grant(id: &GrantId, ask: &Ask) -> Action {
    Action::Grant {
        id: id.clone(),
        approved: Box::new(ask.approved()),
        replaces: None,
    }
}

#[test]
fn what_is_proved_is_given_and_what_is_given_stays_until_its_end() {
    let mut books = Books::default();
    let id = books.arrives(&ASK, 0);
    assert_eq!(books.settle(1).actions, [grant(&id, &ASK)]);
    assert_eq!(books.state(&id), State::Active);
    assert_eq!(books.plan(119), Plan::default());
    assert_eq!(books.plan(120).actions, [revoke(&id, Cause::Expired)]);
}

#[test]
fn expiry_needs_no_repository_and_no_forge() {
    for state in [State::Active, State::Granting] {
        let mut books = Books::default();
        let id = books.stands(&ASK, 0, state);
        books.admissions.clear();
        assert_eq!(books.plan_blind(119), Plan::default());
        assert_eq!(books.plan_blind(120).actions, [revoke(&id, Cause::Expired)]);
    }
}

#[test]
fn a_scheduled_grant_begins_at_its_time() {
    let mut books = Books::default();
    let later = Ask {
        starts: Some(60),
        ..ASK
    };
    let id = books.arrives(&later, 0);
    let schedule = Action::Schedule {
        id: id.clone(),
        approved: Box::new(later.approved()),
    };
    assert_eq!(books.settle(1).actions, [schedule]);
    assert!(books.calls.is_empty());
    assert_eq!(books.entry(&id).wake_at, Some(at(60)));
    assert_eq!(books.plan(59), Plan::default());
    assert_eq!(books.settle(60).actions, [grant(&id, &later)]);
    assert_eq!(books.plan(179), Plan::default());
    assert_eq!(books.plan(180).actions, [revoke(&id, Cause::Expired)]);
}

#[test]
fn a_grant_that_was_looked_at_too_late_is_never_given() {
    let mut books = Books::default();
    let id = books.arrives(&ASK, 0);
    assert_eq!(books.settle(120).actions, [cancel(&id, Cause::Expired)]);
    let later = Ask {
        starts: Some(300),
        ..ASK
    };
    let id = books.stands(&later, 200, State::Scheduled);
    assert_eq!(books.plan_blind(420).actions, [cancel(&id, Cause::Expired)]);
    assert_eq!(books.settle(420).actions, [cancel(&id, Cause::Expired)]);
    assert!(books.calls.is_empty());
}

#[test]
fn an_unknown_main_grants_nothing_and_infers_nothing() {
    let mut books = Books::default();
    books.arrives(&ASK, 0);
    for (name, state) in [
        ("scheduled", State::Scheduled),
        ("granting", State::Granting),
        ("active", State::Active),
    ] {
        let id = books.stands(&Ask { name, ..ASK }, 0, state);
        books.withdraw(&id);
    }
    assert_eq!(books.plan_blind(10), Plan::default());
}

#[test]
fn without_proof_nothing_is_given_and_the_answer_is_final() {
    let mut books = Books::default();
    let id = books.arrives(&ASK, 0);
    let approved = books.admissions.insert(id.clone(), unproved());
    let deny = Action::Deny {
        id: id.clone(),
        reasons: vec!["One more approval is needed.".to_owned()],
    };
    assert_eq!(books.settle(1).actions, [deny]);
    // An approval that comes later does not heal the merge.
    books.admissions.insert(id, approved.expect("approved"));
    assert_eq!(books.plan(2), Plan::default());
    assert!(books.held.is_empty());
}

#[test]
fn what_is_not_known_yet_waits() {
    for state in [State::Arrived, State::Scheduled, State::Granting] {
        let mut books = Books::default();
        let id = books.stands(&ASK, 0, state);
        books.admissions.insert(id.clone(), unknown());
        assert_eq!(books.plan(1), Plan::default(), "{state:?}");
        books.admissions.clear();
        assert_eq!(books.plan(1), Plan::default(), "{state:?}");
    }
}

#[test]
fn a_proof_that_is_lost_before_the_start_cancels() {
    let mut books = Books::default();
    let later = Ask {
        starts: Some(60),
        ..ASK
    };
    let id = books.stands(&later, 0, State::Scheduled);
    books.admissions.insert(id.clone(), unproved());
    assert_eq!(books.settle(60).actions, [cancel(&id, Cause::ApprovalLost)]);
    assert_eq!(books.state(&id), State::Ended);
    assert!(books.calls.is_empty());
}

#[test]
fn a_lost_approval_takes_back_what_was_perhaps_given() {
    let mut books = Books::default();
    let id = books.arrives(&ASK, 0);
    books.luck.push_back(Luck::FailsAfter);
    books.settle(1);
    assert_eq!(books.state(&id), State::Granting);
    books.admissions.insert(id.clone(), unproved());
    // At once: taking back does not wait for the next attempt at giving.
    assert_eq!(books.settle(1).actions, [revoke(&id, Cause::ApprovalLost)]);
    assert!(books.held.is_empty());
    assert_eq!(books.state(&id), State::Ended);
}

#[test]
fn a_lost_approval_takes_nothing_that_was_given_and_read_back() {
    let mut books = Books::default();
    let id = books.stands(&ASK, 0, State::Active);
    books.admissions.insert(id, unproved());
    assert_eq!(books.plan(10), Plan::default());
}

#[test]
fn a_failed_call_is_repeated_when_its_pause_is_over() {
    let mut books = Books::default();
    let id = books.arrives(&ASK, 0);
    books.luck.extend([Luck::FailsBefore, Luck::FailsAfter]);
    books.settle(1);
    for again in [1 + PAUSE, 1 + 2 * PAUSE] {
        assert_eq!(books.plan(again - 1), Plan::default());
        assert_eq!(books.settle(again).actions, [grant(&id, &ASK)]);
    }
    assert_eq!(books.state(&id), State::Active);

    books.luck.extend([Luck::FailsBefore, Luck::FailsAfter]);
    books.settle(120);
    for again in [120 + PAUSE, 120 + 2 * PAUSE] {
        assert_eq!(books.plan(again - 1), Plan::default());
        assert_eq!(books.settle(again).actions, [revoke(&id, Cause::Expired)]);
    }
    assert_eq!(books.state(&id), State::Ended);
}

#[test]
fn an_end_does_not_wait_for_the_pause_of_a_failed_grant() {
    let mut books = Books::default();
    let id = books.stands(&ASK, 0, State::Granting);
    books.entry_mut(&id).wake_at = Some(at(500));
    assert_eq!(books.plan(10), Plan::default());
    assert_eq!(books.plan_blind(120).actions, [revoke(&id, Cause::Expired)]);
    books.withdraw(&id);
    assert_eq!(books.plan(10).actions, [revoke(&id, Cause::Withdrawn)]);
}

#[test]
fn a_death_at_any_point_of_a_call_is_made_good_by_the_next_pass() {
    for luck in [Luck::DiesBefore, Luck::DiesAfter] {
        let mut books = Books::default();
        let id = books.arrives(&ASK, 0);
        books.luck.push_back(luck);
        books.settle(1);
        assert_eq!(books.settle(1).actions, [grant(&id, &ASK)]);
        assert_eq!((books.state(&id), books.held.len()), (State::Active, 1));
        books.luck.push_back(luck);
        books.settle(120);
        assert_eq!(books.settle(120).actions, [revoke(&id, Cause::Expired)]);
        assert_eq!((books.state(&id), books.held.len()), (State::Ended, 0));
    }
}

#[test]
fn an_entitlement_is_taken_with_the_last_grant_that_gives_it() {
    let mut books = Books::default();
    let (first, second) = (books.arrives(&ASK, 0), books.arrives(&SAME, 60));
    books.settle(60);
    assert_eq!(
        books.settle(120).actions,
        [retained(&first, Cause::Expired, &[&second])]
    );
    assert_eq!((books.state(&first), books.held.len()), (State::Ended, 1));
    assert_eq!(books.settle(180).actions, [revoke(&second, Cause::Expired)]);
    assert!(books.held.is_empty());
}

#[test]
fn grants_overlap_by_what_they_give_not_by_role_or_person() {
    let table = [
        (
            Ask {
                role: "reader",
                ..SAME
            },
            true,
        ),
        (
            Ask {
                who: "mallory",
                ..SAME
            },
            true,
        ),
        (
            Ask {
                role: "admin",
                ..SAME
            },
            false,
        ),
        (
            Ask {
                who: "judy",
                ..SAME
            },
            false,
        ),
    ];
    for (other, same) in table {
        let mut books = Books::default();
        let first = books.stands(&ASK, 0, State::Active);
        let second = books.stands(&other, 60, State::Active);
        let by: &[&GrantId] = if same { &[&second] } else { &[] };
        let expected = [retained(&first, Cause::Expired, by)];
        assert_eq!(books.plan_blind(120).actions, expected, "{other:?}");
    }
}

#[test]
fn nothing_leans_on_a_grant_that_goes_too() {
    let mut books = Books::default();
    let first = books.stands(&ASK, 0, State::Active);
    let second = books.stands(&SAME, 0, State::Active);
    assert_eq!(
        books.plan_blind(120).actions,
        [
            revoke(&first, Cause::Expired),
            revoke(&second, Cause::Expired)
        ]
    );
}

#[test]
fn nothing_leans_on_a_grant_that_is_being_taken() {
    let mut books = Books::default();
    let first = books.stands(&ASK, 0, State::Active);
    let second = books.stands(&SAME, 0, State::Revoking);
    books.entry_mut(&second).wake_at = Some(at(500));
    // Otherwise an end that is due would wait for the pause of another's failed call.
    assert_eq!(
        books.plan_blind(120).actions,
        [revoke(&first, Cause::Expired)]
    );
}

#[test]
fn what_is_perhaps_given_keeps_the_entitlement_and_is_answerable_for_its_end() {
    let mut books = Books::default();
    let first = books.stands(&ASK, 0, State::Active);
    let second = books.stands(&SAME, 60, State::Granting);
    books.entry_mut(&second).wake_at = Some(at(500));
    assert_eq!(
        books.settle(120).actions,
        [retained(&first, Cause::Expired, &[&second])]
    );
    assert_eq!(books.held.len(), 1);
    books.settle(180);
    assert!(books.held.is_empty());
}

#[test]
fn grants_come_before_removals_so_that_a_renewal_leaves_no_gap() {
    let mut books = Books::default();
    let old = books.stands(&ASK, 0, State::Active);
    let longer = Ask {
        minutes: 240,
        ..ASK
    };
    let new = books.arrives(&longer, 60);
    let renewal = Action::Grant {
        id: new.clone(),
        approved: Box::new(longer.approved()),
        replaces: Some(Renewed {
            id: Some(old.clone()),
            since: at(0),
        }),
    };
    let plan = books.settle(61);
    assert_eq!(
        plan.actions,
        [renewal, retained(&old, Cause::Replaced, &[&new])]
    );
    assert_eq!(books.calls, [("grant", new.clone())]);
    assert_eq!(
        (books.state(&old), books.state(&new)),
        (State::Ended, State::Active)
    );
}

#[test]
fn a_change_of_terms_without_proof_ends_what_was_there() {
    let mut books = Books::default();
    let old = books.stands(&ASK, 0, State::Active);
    let new = books.arrives(&ASK, 60);
    books.admissions.insert(new.clone(), unproved());
    books.settle(61);
    assert_eq!(
        (books.state(&old), books.state(&new)),
        (State::Ended, State::Denied)
    );
    assert_eq!(books.entry(&old).cause, Some(Cause::Replaced));
    assert!(books.held.is_empty());
}

#[test]
fn a_newer_arrival_at_the_same_path_replaces_the_older_even_with_the_same_content() {
    for state in [
        State::Arrived,
        State::Scheduled,
        State::Granting,
        State::Active,
    ] {
        let mut books = Books::default();
        let old = books.stands(&ASK, 0, state);
        let new = books.arrives(&ASK, 60);
        let content = books.entry(&old).blob.clone();
        books.entry_mut(&new).blob = content.clone();
        books.main.insert(ASK.path(), content);
        books.admissions.insert(new.clone(), unproved());
        books.settle(61);
        assert_eq!(books.state(&old), State::Ended, "{state:?}");
        assert_eq!(books.entry(&old).cause, Some(Cause::Replaced), "{state:?}");
        assert_eq!(books.state(&new), State::Denied, "{state:?}");
        assert!(books.held.is_empty(), "{state:?}");
    }
}

#[test]
fn a_file_that_went_and_came_back_unseen_ends_its_grant() {
    let table = [
        (State::Arrived, 0),
        (State::Scheduled, 0),
        (State::Granting, 1),
        (State::Active, 1),
    ];
    for (state, calls) in table {
        let mut books = Books::default();
        let id = books.stands(&ASK, 0, state);
        books.entry_mut(&id).superseded = true;
        books.settle(10);
        let entry = books.entry(&id);
        assert_eq!(
            (entry.state, &entry.cause),
            (State::Ended, &Some(Cause::Replaced)),
            "{state:?}"
        );
        assert_eq!(
            (books.calls.len(), books.held.len()),
            (calls, 0),
            "{state:?}"
        );
    }
}

#[test]
fn what_is_denied_or_ended_stays_so() {
    for state in [State::Denied, State::Ended] {
        let mut books = Books::default();
        let id = books.stands(&ASK, 0, state);
        for minute in [1, 60, 500] {
            assert_eq!(books.plan(minute), Plan::default());
            assert_eq!(books.plan_blind(minute), Plan::default());
        }
        books.withdraw(&id);
        assert_eq!(books.plan(1), Plan::default());
    }
}

#[test]
fn a_file_that_goes_ends_its_grant_whatever_it_was_doing() {
    let table = [
        (State::Arrived, false),
        (State::Scheduled, false),
        (State::Granting, true),
        (State::Active, true),
    ];
    for (state, held) in table {
        let mut books = Books::default();
        let id = books.stands(&ASK, 0, state);
        books.withdraw(&id);
        let expected = if held {
            revoke(&id, Cause::Withdrawn)
        } else {
            cancel(&id, Cause::Withdrawn)
        };
        assert_eq!(books.settle(10).actions, [expected], "{state:?}");
        assert_eq!(books.state(&id), State::Ended);
        assert_eq!(books.calls.len(), usize::from(held));
    }
}

#[test]
fn a_removal_that_has_begun_goes_on_though_the_file_is_there_again() {
    let mut books = Books::default();
    let id = books.stands(&ASK, 0, State::Revoking);
    books.entry_mut(&id).cause = Some(Cause::Withdrawn);
    assert_eq!(books.plan(10).actions, [revoke(&id, Cause::Withdrawn)]);
    books.main.insert(ASK.path(), blob("something else"));
    assert_eq!(books.plan(10).actions, [revoke(&id, Cause::Withdrawn)]);
    assert_eq!(
        books.plan_blind(10).actions,
        [revoke(&id, Cause::Withdrawn)]
    );
}

/// `count` live grants of as many entitlements' worth of files.
fn many(count: usize) -> (Books, Vec<GrantId>) {
    let mut books = Books::default();
    let stands = |n: usize| {
        let name = format!("grant-{n}").leak();
        books.stands(&Ask { name, ..ASK }, 0, State::Active)
    };
    let ids = (0..count).map(stands).collect();
    (books, ids)
}

#[test]
fn the_brake_holds_back_removals_that_are_only_inferred_when_they_are_too_many() {
    // live grants, files that vanish, whether that is too much to believe
    let table = [
        (5, 5, false),
        (6, 6, true),
        (20, 5, false),
        (20, 6, true),
        (24, 6, false),
        (100, 25, false),
        (100, 26, true),
        (100, 100, true),
    ];
    for (live, vanish, too_many) in table {
        let (mut books, ids) = many(live);
        ids[..vanish].iter().for_each(|id| books.withdraw(id));
        let plan = books.plan(10);
        let (acts, held_back) = if too_many { (0, vanish) } else { (vanish, 0) };
        assert_eq!(
            (plan.actions.len(), plan.held_back.len()),
            (acts, held_back),
            "{vanish} of {live}"
        );
    }
}

#[test]
fn the_brake_counts_what_is_missing_on_all_connections_together() {
    // Live grants on each of six connections, files that vanish on each, whether that is too much to believe.
    let table = [(4, 1, false), (4, 2, true), (5, 5, true), (100, 25, false)];
    for (live, vanish, too_many) in table {
        let (mut books, ids) = many(live);
        ids[..vanish].iter().for_each(|id| books.withdraw(id));
        // What stands is the same to all of them.
        books.emptied = books.with_view(Some(&books.main), 10, |view| {
            let mut missing = Missing::by(*view);
            for _ in 0..6 {
                books.entries.iter().for_each(|e| missing.count(e));
            }
            missing.is_too_much()
        });
        assert_eq!(books.emptied, too_many, "{vanish} of {live}");
        let held_back = books.plan(10).held_back.len();
        assert_eq!(held_back, if too_many { vanish } else { 0 });
    }
}

#[test]
fn what_owners_released_goes_and_nothing_beside_it() {
    let (mut books, ids) = many(30);
    books.main.clear();
    books.released = ids[..10].iter().map(ToString::to_string).collect();
    let plan = books.settle(10);
    let gone: Vec<&GrantId> = plan.actions.iter().map(Action::id).collect();
    assert_eq!(gone, ids[..10].iter().collect::<Vec<_>>());
    assert_eq!(plan.held_back, ids[10..]);
    // Released once, it is released until it is gone, however many are left beside it.
    books.released = ids[..26].iter().map(ToString::to_string).collect();
    let plan = books.settle(10);
    assert_eq!((plan.actions.len(), plan.held_back.len()), (20, 0));
}

/// The same grant, had it been asked for in the folder of another resource.
fn elsewhere(books: &mut Books, id: &GrantId) {
    let content = books.entry(id).blob.clone();
    books.withdraw(id);
    let entry = books.entry_mut(id);
    entry.path = entry.path.within(&ResourceName::new("ledger").unwrap());
    entry.id = entry.path.id(&entry.arrival.commit);
    let path = entry.path.clone();
    books.main.insert(path, content);
}

#[test]
fn the_brake_is_a_resources_own_and_everybodys() {
    // Live grants and how many of them vanish, of two resources at one connection; which of them are held back.
    let table = [
        ((100, 0), (10, 6), (0, 6)),
        ((100, 5), (10, 5), (0, 0)),
        ((100, 25), (10, 0), (0, 0)),
        ((100, 26), (10, 1), (26, 0)),
        ((4, 4), (4, 4), (4, 4)),
    ];
    for (orders, ledger, held) in table {
        let (mut books, _) = many(orders.0);
        for n in 0..ledger.0 {
            let name = format!("other-{n}").leak();
            let id = books.stands(&Ask { name, ..SAME }, 0, State::Active);
            elsewhere(&mut books, &id);
        }
        let of = |books: &Books, resource: &str| -> Vec<GrantId> {
            let here = books.entries.iter();
            here.filter(|e| e.path.resource().as_str() == resource)
                .map(|e| e.id.clone())
                .collect()
        };
        for (resource, vanish) in [("orders", orders.1), ("ledger", ledger.1)] {
            for id in of(&books, resource).iter().take(vanish) {
                books.withdraw(id);
            }
        }
        let plan = books.plan(10);
        let back = |resource: &str| {
            let here = |id: &&GrantId| id.as_str().starts_with(resource);
            plan.held_back.iter().filter(here).count()
        };
        assert_eq!(
            (back("orders"), back("ledger")),
            held,
            "{orders:?} {ledger:?}"
        );
    }
}

#[test]
fn the_brake_never_holds_back_what_is_due() {
    let (mut books, ids) = many(30);
    books.main.clear();
    let plan = books.settle(119);
    assert_eq!((plan.actions.len(), &plan.held_back), (0, &ids));
    // A new grant is still given, and an end by time still comes, while the brake is pulled.
    let judy = Ask {
        who: "judy",
        ..SAME
    };
    let new = books.arrives(&judy, 119);
    let plan = books.settle(119);
    assert_eq!(
        (plan.actions, &plan.held_back),
        (vec![grant(&new, &judy)], &ids)
    );
    let plan = books.settle(120);
    assert_eq!((plan.actions.len(), plan.held_back.len()), (30, 0));
    assert!(ids.iter().all(|id| books.state(id) == State::Ended));
    assert_eq!(books.held.len(), 1);
}

#[test]
fn what_is_held_back_still_keeps_its_entitlement() {
    let (mut books, ids) = many(6);
    books.main.clear();
    let over = books.stands(
        &Ask {
            minutes: 30,
            ..SAME
        },
        0,
        State::Active,
    );
    let plan = books.plan(30);
    let by: Vec<&GrantId> = ids.iter().collect();
    assert_eq!(plan.actions, [retained(&over, Cause::Expired, &by)]);
    assert_eq!(plan.held_back, ids);
}
