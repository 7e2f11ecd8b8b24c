//! A label says how a pull request stands, for lists at GitHub; and nothing depends on one.

use chrono::TimeDelta;
use hallpass::domain::model::PullNumber;
use hallpass::sandbox::When;

use crate::scenario::hearing_and_deaf_with;
use crate::world::{Ears, REPO, World, at_every_wait, grant};

const ON: &str = "[notices]\nlabels = true\n";
const LIST: &str = "GET /repos/{owner}/{repo}/issues/{issue_number}/labels";
const ADD: &str = "POST /repos/{owner}/{repo}/issues/{issue_number}/labels";

fn labels(world: &World, pull: PullNumber) -> Vec<String> {
    world.sandbox.pull(REPO, pull).labels
}

fn ada() -> String {
    grant("ada", "readonly", "2h")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pull_request_carries_one_label_from_its_opening_to_the_end_of_the_access() {
    hearing_and_deaf_with(ON, async |world| {
        let pull = world.request("ada", "db/ada-incident", &ada()).await;
        assert_eq!(labels(world, pull), ["access: waiting"]);
        // What others put on it is theirs.
        world.sandbox.label("mei", REPO, pull, "incident").unwrap();
        world.approve(pull, "grace").await;
        assert_eq!(world.holders("reader"), ["ada"]);
        world.resync().await;
        assert_eq!(labels(world, pull), ["incident", "access: live"]);
        world.advance(TimeDelta::hours(2)).await;
        world.resync().await;
        assert_eq!(labels(world, pull), ["incident", "access: over"]);
        world.advance(TimeDelta::minutes(5)).await;
        world.resync().await;
        for revert in world.sandbox.pulls(REPO) {
            let ours = revert.labels.iter().any(|l| l.starts_with("access: "));
            assert_eq!(ours, revert.number == pull, "{revert:?}");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_nobody_can_approve_says_so_and_what_is_closed_says_nothing() {
    hearing_and_deaf_with(ON, async |world| {
        let text = grant("ada", "readonly", "900h");
        let pull = world.request("ada", "db/ada-incident", &text).await;
        assert_eq!(labels(world, pull), ["access: to be changed"]);
        world.sandbox.close_pull("ada", REPO, pull).unwrap();
        world.settle().await;
        world.resync().await;
        assert_eq!(labels(world, pull), [""; 0]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_forge_that_takes_no_label_delays_the_label_and_nothing_else() {
    let world = World::new(Ears::Hearing, ON).await;
    world.sandbox.fail_next(Some(ADD), 99, 503, When::Before);
    let pull = world.request("ada", "db/ada-incident", &ada()).await;
    world.approve(pull, "grace").await;
    assert_eq!(world.holders("reader"), ["ada"]);
    assert_eq!(labels(&world, pull), [""; 0]);
    world.sandbox.heal();
    world.advance(TimeDelta::minutes(3)).await;
    assert_eq!(labels(&world, pull), ["access: live"]);
    // What says so already is not asked about at every look.
    let asked = world.sandbox.calls()[LIST];
    world.resync().await;
    world.resync().await;
    assert_eq!(world.sandbox.calls()[LIST], asked);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_the_forge_refuses_waits_for_its_next_change_and_keeps_no_other_waiting() {
    let world = World::new(Ears::Hearing, ON).await;
    world.sandbox.fail_next(Some(ADD), 99, 503, When::Before);
    let first = world.request("ada", "db/ada-incident", &ada()).await;
    let text = grant("mei", "readonly", "2h");
    let second = world.request("mei", "db/mei-incident", &text).await;
    world.sandbox.heal();
    world.sandbox.fail_next(Some(ADD), 1, 403, When::Before);
    for _ in 0..3 {
        world.advance(TimeDelta::minutes(3)).await;
    }
    let mut labelled = [first, second].map(|pull| labels(&world, pull));
    labelled.sort();
    assert_eq!(labelled, [vec![], vec!["access: waiting".to_owned()]]);
    for pull in [first, second] {
        world.approve(pull, "grace").await;
    }
    world.resync().await;
    let labelled = [first, second].map(|pull| labels(&world, pull));
    assert_eq!(labelled, [["access: live"]; 2]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_storm_of_ends_is_labelled_a_few_at_a_time() {
    let world = World::new(Ears::Hearing, ON).await;
    world.sandbox.fail_next(Some(ADD), 999, 503, When::Before);
    let mut pulls = Vec::new();
    for n in 0..25 {
        let name = format!("db/ada-{n}");
        pulls.push(world.request("ada", &name, &ada()).await);
    }
    world.sandbox.heal();
    world.clock.advance(TimeDelta::minutes(3));
    let labelled = || {
        let done = |pull: &&PullNumber| !labels(&world, **pull).is_empty();
        pulls.iter().filter(done).count()
    };
    let worker = world.service().worker();
    let more = worker.reconciler().bring_labels_up_to_date().await.unwrap();
    assert_eq!((labelled(), more.is_some()), (20, true));
    let more = worker.reconciler().bring_labels_up_to_date().await.unwrap();
    assert_eq!((labelled(), more), (25, None));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_happened_while_labels_were_off_is_not_caught_up_with() {
    let mut world = World::new(Ears::Hearing, ON).await;
    world.resync().await;
    world.reconfigure("labels = true", "labels = false").await;
    let pull = world.request("ada", "db/ada-incident", &ada()).await;
    world.approve(pull, "grace").await;
    world.reconfigure("labels = false", "labels = true").await;
    world.resync().await;
    assert_eq!(labels(&world, pull), [""; 0]);
    world.advance(TimeDelta::hours(2)).await;
    world.resync().await;
    assert_eq!(labels(&world, pull), ["access: over"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_at_any_wait_ends_in_the_right_label() {
    at_every_wait(4, async |at| {
        let mut world = World::new(Ears::Hearing, ON).await;
        let pull = world.request("ada", "db/ada-incident", &ada()).await;
        world.approve(pull, "grace").await;
        world.clock.advance(TimeDelta::hours(2));
        let finished = world.crashed_at(at).await;
        // Whoever looked at it when it crashed had taken it over for a while.
        world.advance(TimeDelta::minutes(3)).await;
        assert_eq!(
            labels(&world, pull),
            ["access: over"],
            "crashed at wait {at}"
        );
        finished
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_labelled_unless_that_is_asked_for() {
    let world = World::hearing().await;
    let pull = world.request("ada", "db/ada-incident", &ada()).await;
    world.approve(pull, "grace").await;
    assert_eq!(labels(&world, pull), [""; 0]);
    assert!(!world.sandbox.calls().contains_key(LIST));
}
