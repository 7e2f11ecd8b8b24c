//! What a renewal takes over, and what goes on while it is open whether it is one.

use hallpass::domain::ledger::{Cause, State};
use hallpass::domain::people::Presence;
use hallpass::domain::plan::{Action, Plan};

use super::books::{ASK, Ask, Books, Luck, PAUSE};
use super::{cancel, retained, revoke, unknown, unproved};
use crate::approval::scene::at;

const LONGER: Ask = Ask {
    minutes: 240,
    ..ASK
};

#[test]
fn what_is_held_goes_on_while_the_forge_does_not_say_whether_it_is_renewed() {
    for state in [State::Active, State::Granting] {
        for silent in [false, true] {
            let mut books = Books::default();
            let old = books.stands(&ASK, 0, state);
            books.entry_mut(&old).superseded = true;
            let new = books.arrives(&LONGER, 60);
            let approved = books.admissions.insert(new.clone(), unknown());
            if silent {
                books.admissions.remove(&new);
            }
            // The ledger's word is not needed for what is perhaps held, nor is it given anew: its content stands no more.
            assert_eq!(books.plan(61), Plan::default(), "{state:?} {silent}");
            books.admissions.insert(new.clone(), approved.expect("yes"));
            books.settle(62);
            assert_eq!(
                (books.state(&old), books.state(&new)),
                (State::Ended, State::Active)
            );
            assert_eq!(
                books.calls,
                [("grant", new)],
                "taken over without a gap: {state:?}"
            );
        }
    }
}

#[test]
fn what_goes_on_ends_at_its_own_end_though_the_forge_is_silent() {
    for blind in [false, true] {
        let mut books = Books::default();
        let old = books.stands(&ASK, 0, State::Active);
        let new = books.arrives(&LONGER, 60);
        books.admissions.insert(new.clone(), unknown());
        let plan = if blind {
            books.plan_blind(120)
        } else {
            books.plan(120)
        };
        assert_eq!(plan.actions, [revoke(&old, Cause::Expired)]);
        books.perform(&plan, 120);
        assert!(books.held.is_empty());
        assert_eq!(books.state(&new), State::Arrived, "it may be given later");
    }
}

#[test]
fn what_goes_on_ends_when_the_newer_content_is_denied_or_its_file_goes() {
    let mut books = Books::default();
    let old = books.stands(&ASK, 0, State::Active);
    let new = books.arrives(&LONGER, 60);
    books.admissions.insert(new.clone(), unknown());
    assert_eq!(books.plan(61), Plan::default());
    books.admissions.insert(new.clone(), unproved());
    assert_eq!(
        books.plan(61).actions[0],
        revoke(&old, Cause::Replaced),
        "its own content stands no more"
    );
    books.withdraw(&old);
    assert_eq!(books.plan(61).actions[0], revoke(&old, Cause::Withdrawn));
}

#[test]
fn what_was_never_given_does_not_go_on() {
    for state in [State::Arrived, State::Scheduled] {
        let mut books = Books::default();
        let old = books.stands(&ASK, 0, state);
        let new = books.arrives(&LONGER, 60);
        books.admissions.insert(new, unknown());
        assert_eq!(books.plan(61).actions, [cancel(&old, Cause::Replaced)]);
    }
}

#[test]
fn a_third_content_waits_for_itself_alone() {
    let mut books = Books::default();
    let first = books.stands(&ASK, 0, State::Active);
    let second = books.arrives(&LONGER, 60);
    books.admissions.insert(second.clone(), unknown());
    let third = books.arrives(&ASK, 70);
    books.admissions.insert(third.clone(), unknown());
    // The second will never be given; the first goes on until the third is settled.
    assert_eq!(books.settle(71).actions, [cancel(&second, Cause::Replaced)]);
    assert_eq!(books.state(&first), State::Active);
    books.admissions.insert(third, unproved());
    books.settle(72);
    assert_eq!(books.state(&first), State::Ended);
    assert!(books.held.is_empty());
}

#[test]
fn a_renewal_of_somebody_doubtful_waits_and_takes_nothing() {
    let mut books = Books::default();
    let old = books.stands(&ASK, 0, State::Active);
    let new = books.arrives(&LONGER, 60);
    books.presence(&ASK, Some(Presence::Doubtful));
    assert_eq!(books.plan(61), Plan::default());
    books.presence(&ASK, None);
    assert_eq!(
        books.settle(62).actions[1],
        retained(&old, Cause::Replaced, &[&new])
    );
}

#[test]
fn a_chain_of_renewals_remembers_when_it_began() {
    let mut books = Books::default();
    let first = books.arrives(&ASK, 0);
    books.settle(0);
    assert_eq!(books.entry(&first).terms.as_ref().unwrap().since, None);
    for minute in [60, 120, 200] {
        let next = books.arrives(&ASK, minute);
        books.settle(minute);
        let terms = books.entry(&next).terms.clone().expect("terms");
        assert_eq!((terms.starts, terms.since()), (at(minute), at(0)));
        assert_eq!(books.held.len(), 1);
    }
}

#[test]
fn a_chain_goes_on_through_failures_and_ends_with_a_gap() {
    let mut books = Books::default();
    books.stands(&ASK, 0, State::Active);
    let second = books.arrives(&ASK, 60);
    books.luck.push_back(Luck::FailsAfter);
    books.settle(60);
    assert_eq!(books.state(&second), State::Granting);
    books.settle(60 + PAUSE);
    assert_eq!(books.entry(&second).terms.as_ref().unwrap().since(), at(0));
    // It ended; what comes after is a new beginning.
    books.settle(180);
    let third = books.arrives(&ASK, 181);
    books.settle(181);
    assert_eq!(books.entry(&third).terms.as_ref().unwrap().since(), at(181));
}

#[test]
fn another_role_or_person_begins_anew() {
    for other in [
        Ask {
            role: "admin",
            ..ASK
        },
        Ask { who: "judy", ..ASK },
    ] {
        let mut books = Books::default();
        books.stands(&ASK, 0, State::Active);
        let new = books.arrives(&other, 60);
        let plan = books.settle(60);
        let Some(Action::Grant { replaces, .. }) = plan.actions.first() else {
            panic!("{plan:?}");
        };
        assert_eq!(*replaces, None);
        assert_eq!(books.entry(&new).terms.as_ref().unwrap().since(), at(60));
    }
}
