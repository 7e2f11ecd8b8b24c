//! People who leave, and services that nobody answers for.

use hallpass::domain::ledger::{Cause, State};
use hallpass::domain::people::Presence;
use hallpass::domain::plan::{Action, Plan};

use super::books::{ASK, Ask, Books, GRACE};
use super::{cancel, grant, retained, revoke, unknown};
use crate::approval::scene::at;

#[test]
fn whoever_is_gone_loses_what_they_hold_and_gets_nothing() {
    let table = [
        (State::Arrived, false),
        (State::Scheduled, false),
        (State::Granting, true),
        (State::Active, true),
    ];
    for (state, held) in table {
        let mut books = Books::default();
        let id = books.stands(&ASK, 0, state);
        books.presence(&ASK, Some(Presence::Gone));
        let expected = if held {
            revoke(&id, Cause::SubjectGone)
        } else {
            cancel(&id, Cause::SubjectGone)
        };
        assert_eq!(books.settle(10).actions, [expected], "{state:?}");
        assert_eq!(books.state(&id), State::Ended);
        assert!(books.held.is_empty());
    }
}

#[test]
fn scheduled_access_is_cancelled_at_once_when_the_person_goes() {
    let mut books = Books::default();
    let later = Ask {
        starts: Some(60),
        ..ASK
    };
    let id = books.stands(&later, 0, State::Scheduled);
    // Nobody asks for its proof before its time.
    books.admissions.clear();
    books.presence(&later, Some(Presence::Gone));
    assert_eq!(books.plan(10).actions, [cancel(&id, Cause::SubjectGone)]);
}

#[test]
fn whose_presence_is_doubtful_gets_nothing_and_loses_nothing() {
    for state in [
        State::Arrived,
        State::Scheduled,
        State::Granting,
        State::Active,
    ] {
        let mut books = Books::default();
        let id = books.stands(&ASK, 0, state);
        books.presence(&ASK, Some(Presence::Doubtful));
        assert_eq!(books.plan(10), Plan::default(), "{state:?}");
        // Time goes on all the same.
        let ended = state != State::Arrived;
        books.settle(120);
        assert_eq!(books.state(&id) == State::Ended, ended, "{state:?}");
        assert!(books.held.is_empty());
    }
}

#[test]
fn without_main_nobody_is_taken_for_gone() {
    for presence in [Presence::Gone, Presence::Orphaned] {
        let mut books = Books::default();
        let id = books.stands(&ASK, 0, State::Active);
        books.entry_mut(&id).orphaned_since = Some(at(-500));
        books.presence(&ASK, Some(presence));
        assert_eq!(books.plan_blind(10), Plan::default());
    }
}

#[test]
fn an_end_that_is_due_is_told_as_that() {
    let mut books = Books::default();
    let id = books.stands(&ASK, 0, State::Active);
    books.presence(&ASK, Some(Presence::Gone));
    assert_eq!(books.plan(120).actions, [revoke(&id, Cause::Expired)]);
}

#[test]
fn what_another_person_holds_by_the_same_account_stays() {
    let mut books = Books::default();
    let mallory = Ask {
        name: "again",
        who: "mallory",
        ..ASK
    };
    let first = books.stands(&ASK, 0, State::Active);
    let second = books.stands(&mallory, 0, State::Active);
    books.presence(&ASK, Some(Presence::Gone));
    assert_eq!(
        books.settle(10).actions,
        [retained(&first, Cause::SubjectGone, &[&second])]
    );
    assert_eq!(books.held.len(), 1);
}

#[test]
fn a_renewal_in_the_air_does_not_keep_what_a_leaver_holds() {
    let mut books = Books::default();
    let old = books.stands(&ASK, 0, State::Active);
    let new = books.arrives(&ASK, 60);
    books.admissions.insert(new, unknown());
    books.presence(&ASK, Some(Presence::Gone));
    assert_eq!(books.plan(61).actions, [revoke(&old, Cause::SubjectGone)]);
}

#[test]
fn an_orphaned_service_is_reported_once_and_ends_after_its_grace() {
    let mut books = Books::default();
    let long = Ask {
        minutes: 600,
        ..ASK
    };
    let id = books.stands(&long, 0, State::Active);
    books.presence(&long, Some(Presence::Orphaned));
    assert_eq!(
        books.settle(10).actions,
        [Action::Orphan { id: id.clone() }]
    );
    for minute in [10, 10 + GRACE - 1] {
        assert_eq!(books.plan(minute), Plan::default());
    }
    assert_eq!(
        books.settle(10 + GRACE).actions,
        [revoke(&id, Cause::OwnerGone)]
    );
    assert!(books.held.is_empty());
}

#[test]
fn a_new_owner_sets_the_clock_of_the_grace_back() {
    let mut books = Books::default();
    let long = Ask {
        minutes: 600,
        ..ASK
    };
    let id = books.stands(&long, 0, State::Active);
    books.presence(&long, Some(Presence::Orphaned));
    books.settle(10);
    // Doubt neither starts the clock, nor sets it back, nor lets it ring.
    books.presence(&long, Some(Presence::Doubtful));
    assert_eq!(books.plan(10 + GRACE), Plan::default());
    books.presence(&long, None);
    assert_eq!(books.settle(30).actions, [Action::Adopt { id: id.clone() }]);
    assert_eq!(books.plan(31), Plan::default());
    books.presence(&long, Some(Presence::Orphaned));
    assert_eq!(
        books.settle(35).actions,
        [Action::Orphan { id: id.clone() }]
    );
    assert_eq!(books.plan(35 + GRACE - 1), Plan::default());
    assert_eq!(
        books.plan(35 + GRACE).actions,
        [revoke(&id, Cause::OwnerGone)]
    );
}

#[test]
fn an_orphaned_service_gets_nothing_new() {
    let later = Ask {
        starts: Some(60),
        ..ASK
    };
    for (state, ask, minute) in [(State::Arrived, ASK, 10), (State::Scheduled, later, 60)] {
        let mut books = Books::default();
        let id = books.stands(&ask, 0, state);
        books.presence(&ask, Some(Presence::Orphaned));
        assert_eq!(books.plan(minute).actions, [cancel(&id, Cause::OwnerGone)]);
    }
    // What is perhaps held is taken: it was never read back.
    let mut books = Books::default();
    let id = books.stands(&ASK, 0, State::Granting);
    books.presence(&ASK, Some(Presence::Orphaned));
    assert_eq!(books.plan(10).actions, [revoke(&id, Cause::OwnerGone)]);
    // Before its start, somebody may still take the service over.
    let mut books = Books::default();
    let id = books.stands(&later, 0, State::Scheduled);
    books.presence(&later, Some(Presence::Orphaned));
    assert_eq!(books.plan(10), Plan::default());
    books.presence(&later, None);
    assert_eq!(books.plan(60).actions, [grant(&id, &later)]);
}

#[test]
fn an_orphan_keeps_the_entitlement_that_it_shares() {
    let mut books = Books::default();
    let mallory = Ask {
        name: "again",
        who: "mallory",
        minutes: 600,
        ..ASK
    };
    let first = books.stands(&ASK, 0, State::Active);
    let second = books.stands(&mallory, 0, State::Active);
    books.presence(&mallory, Some(Presence::Orphaned));
    // Reported in the same pass in which the other ends.
    let plan = books.settle(120);
    assert_eq!(
        plan.actions,
        [
            retained(&first, Cause::Expired, &[&second]),
            Action::Orphan { id: second }
        ]
    );
    assert_eq!(books.held.len(), 1);
}
