//! What is asked for again after a call that came late.

use std::sync::Arc;

use chrono::TimeDelta;
use hallpass::clock::Clock as _;
use hallpass::domain::late::{Late, asked_again};
use hallpass::domain::ledger::{Entry, State};
use hallpass::domain::model::{ConnectionName, GrantPath};
use hallpass::reconcile::ReconcileError;
use hallpass::sandbox::Verdict;
use hallpass::worker::Resync;
use tokio::task::JoinHandle;

use crate::approval::scene::at;
use crate::evidence::entry;
use crate::running::until;
use crate::world::{REPO, World, file, grant};

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

/// ada's two hours are given.
async fn given() -> World {
    let world = World::hearing().await;
    let text = grant("ada", "readonly", "2h");
    let pull = world.request("ada", "db/ada-incident", &text).await;
    world.approve(pull, "grace").await;
    assert_eq!(world.holders("reader"), ["ada"]);
    world
}

/// What is due at the vault is worked on, as far as the call that hangs there.
async fn due_until_it_hangs(world: &World) -> JoinHandle<Result<(), ReconcileError>> {
    world.vault.hangs(true);
    let worker = Arc::clone(world.service().worker());
    let vault = ConnectionName::new("vault").unwrap();
    let pass = tokio::spawn(async move { worker.reconciler().due_on(&vault).await });
    until("the call that hangs", || world.vault.hanging() == 1).await;
    pass
}

#[tokio::test(flavor = "multi_thread")]
async fn what_another_server_gives_while_this_one_takes_the_same_is_asked_for_again() {
    let world = given().await;
    world.clock.advance(TimeDelta::hours(2));
    let pass = due_until_it_hangs(&world).await;
    // The other read back that it is there, and so it was.
    let held = world.entries().await.remove(0);
    let path = GrantPath::new(file("db/ada-morning")).unwrap();
    let mut newer = Entry::arrived(path, held.blob.clone(), held.arrival.clone());
    newer.state = State::Active;
    newer.terms.clone_from(&held.terms);
    if let Some(terms) = &mut newer.terms {
        terms.ends += TimeDelta::hours(2);
    }
    let store = world.service().store();
    store.commit(&[newer.clone()], &[]).await.unwrap();
    world.vault.hangs(false);
    pass.await.unwrap().unwrap();
    assert!(world.holders("reader").is_empty(), "it was taken");
    let now = store.entry(&newer.id).await.unwrap().unwrap();
    assert_eq!(now.state, State::Granting, "it is given again");
    assert_eq!(
        world.ledger().await,
        ["db/ada-incident ended", "db/ada-morning granting"]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_call_did_whose_pass_was_given_up_is_set_right_by_the_next() {
    let world = World::hearing().await;
    let text = grant("ada", "readonly", "2h");
    let pull = world.request("ada", "db/ada-incident", &text).await;
    world.vault.hangs(true);
    let worker = Arc::clone(world.service().worker());
    world
        .sandbox
        .review("grace", REPO, pull, Verdict::Approve, "Fine with me.")
        .unwrap();
    let pass = tokio::spawn(async move { worker.run_once(Resync::Everything).await });
    until("the call that hangs", || world.vault.hanging() == 1).await;
    pass.abort();
    until("the pass is given up", || world.vault.hanging() == 0).await;
    // The other server finishes it and takes it away; then the call of this one arrives.
    let mut entry = world.entries().await.remove(0);
    assert_eq!(entry.state, State::Granting);
    entry.settle(State::Ended, world.clock.now());
    world.service().store().commit(&[entry], &[]).await.unwrap();
    world.vault.hangs(false);
    world.vault.give_by_hand("reader", "ada");
    world.resync().await;
    world.resync().await;
    assert!(
        world.holders("reader").is_empty(),
        "{:?}",
        world.vault.effects()
    );
}
