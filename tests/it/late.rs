//! What is asked for again after a call that came late.

use hallpass::domain::late::{Late, asked_again};
use hallpass::domain::ledger::{Entry, State};

use crate::approval::scene::at;
use crate::evidence::entry;

fn in_state(state: State) -> Entry {
    Entry {
        state,
        settled_at: state.is_final().then(|| at(1)),
        wake_at: None,
        ..entry()
    }
}

#[test]
fn what_a_late_call_may_have_undone_is_asked_for_again() {
    use State::{Active, Ended, Granting, Revoking, Scheduled};
    let cases: [(Late, State, &[State], &[State]); 12] = [
        // Given when it was over.
        (Late::Grant, Ended, &[], &[Revoking]),
        // Given to somebody who is to have it, by this grant or another.
        (Late::Grant, Active, &[Active], &[]),
        (Late::Grant, Ended, &[Granting], &[]),
        (Late::Grant, Ended, &[Revoking, Active], &[]),
        // Given while another server takes it, perhaps after that one read back that it is gone.
        (Late::Grant, Revoking, &[Revoking], &[Revoking]),
        (Late::Grant, Ended, &[Revoking], &[Revoking]),
        // Nobody has it yet by a grant that begins later.
        (Late::Grant, Ended, &[Scheduled], &[Revoking]),
        // Taken when it was over anyway, or is about to be.
        (Late::Revoke, Ended, &[], &[]),
        (Late::Revoke, Revoking, &[Revoking], &[]),
        // Taken from a newer grant, perhaps after another server read back that it is there.
        (Late::Revoke, Ended, &[Active], &[Granting]),
        (Late::Revoke, Ended, &[Granting], &[Granting]),
        (Late::Revoke, Ended, &[Active, Scheduled], &[Granting]),
    ];
    for (late, own, same, expected) in cases {
        let same_entries: Vec<Entry> = same.iter().map(|state| in_state(*state)).collect();
        let again = asked_again(late, Some(&in_state(own)), &same_entries, at(5));
        let states: Vec<State> = again.iter().map(|entry| entry.state).collect();
        assert_eq!(states, expected, "{late:?} {own:?} {same:?}");
        for entry in again {
            assert_eq!((entry.wake_at, entry.settled_at), (Some(at(5)), None));
        }
    }
    assert_eq!(asked_again(Late::Grant, None, &[], at(5)), []);
}
