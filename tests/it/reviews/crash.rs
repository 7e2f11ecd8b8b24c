//! A crash at any wait while a review is asked for, answered or lapses ends in the same world; and so does the loss of the database there.

use hallpass::sandbox::Verdict;

use super::{SCHEDULE, asked, days, edit, ended, review, schedule, supported};
use crate::world::{Ears, REPO, World, at_every_wait};

/// Where a review is crashed.
#[derive(Debug, Clone, Copy)]
enum Moment {
    Asked,
    Signed,
    Lapsed,
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_at_any_wait_while_owners_are_asked_ends_in_the_same_world() {
    crash_everywhere(Moment::Asked).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_at_any_wait_while_answers_are_done_ends_in_the_same_world() {
    crash_everywhere(Moment::Signed).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_at_any_wait_while_a_review_lapses_ends_in_the_same_world() {
    crash_everywhere(Moment::Lapsed).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_lost_at_any_wait_while_owners_are_asked_ends_in_the_same_world() {
    go_wrong_everywhere(Moment::Asked, What::Loss).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_lost_at_any_wait_while_answers_are_done_ends_in_the_same_world() {
    go_wrong_everywhere(Moment::Signed, What::Loss).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_lost_at_any_wait_while_a_review_lapses_ends_in_the_same_world() {
    go_wrong_everywhere(Moment::Lapsed, What::Loss).await;
}

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum What {
    Crash,
    /// The database is lost with the crash, and put together again.
    Loss,
}

async fn crash_everywhere(moment: Moment) {
    go_wrong_everywhere(moment, What::Crash).await;
}

async fn go_wrong_everywhere(moment: Moment, what: What) {
    let (_, calm) = run_with(what, moment, usize::MAX).await;
    // A world in which something is lost takes longer.
    let slowly = match what {
        What::Crash => 5,
        What::Loss => 3,
    };
    at_every_wait(slowly, async |at| {
        let (finished, end) = run_with(what, moment, at).await;
        assert_eq!(end, calm, "{what:?} at wait {at}");
        finished
    })
    .await;
}

async fn run_with(what: What, moment: Moment, at: usize) -> (bool, String) {
    let mut world = World::new(Ears::Hearing, "").await;
    let text = format!("{SCHEDULE}unanswered: end\n");
    match moment {
        Moment::Asked => {
            schedule(&world, &text).await;
            supported(&world, &["ada", "mei"]).await;
            world.clock.advance(days(8));
        }
        Moment::Signed => {
            let pull = asked(&world, &text, &["ada", "mei"]).await;
            edit(&world, "grace", pull, |text| ended(text, "mei")).await;
            let body = "I asked her.";
            world
                .sandbox
                .review("grace", REPO, pull, Verdict::Approve, body)
                .unwrap();
        }
        Moment::Lapsed => {
            asked(&world, &text, &["ada", "mei"]).await;
            world.clock.advance(days(7));
        }
    }
    world.sandbox.settle().await;
    let store = world.service().store().clone();
    let now = hallpass::clock::Clock::now(&*world.clock);
    store
        .wake(&[hallpass::store::Wake::Main], now)
        .await
        .unwrap();
    let finished = match what {
        What::Crash => world.crashed_at(at).await,
        What::Loss => world.lost_at(at).await,
    };
    world.advance(chrono::TimeDelta::minutes(2)).await;
    world.resync().await;
    let left: &[&str] = match moment {
        Moment::Asked => &["ada", "mei"],
        Moment::Signed => &["ada"],
        Moment::Lapsed => &[],
    };
    assert_eq!(world.holders("support"), left, "{what:?} at wait {at}");
    if matches!(moment, Moment::Asked) {
        review(&world);
    }
    let pulls = world.sandbox.pulls(REPO).into_iter();
    let asked = pulls
        .filter(|p| p.title.starts_with("Access review"))
        .count();
    assert_eq!(asked, 1, "asked once, {what:?} at wait {at}");
    let summary = world.summary().await;
    let calm = summary.lines().filter(|line| !line.contains("Safe mode"));
    (finished, calm.collect::<Vec<_>>().join("\n"))
}
