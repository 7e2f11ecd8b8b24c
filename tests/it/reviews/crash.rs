//! A crash at any wait while a review is asked for, answered or lapses ends in the same world.

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

async fn crash_everywhere(moment: Moment) {
    let (_, calm) = run_with_crash(moment, usize::MAX).await;
    at_every_wait(5, async |at| {
        let (finished, end) = run_with_crash(moment, at).await;
        assert_eq!(end, calm, "crashed at wait {at}");
        finished
    })
    .await;
}

async fn run_with_crash(moment: Moment, at: usize) -> (bool, String) {
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
    let finished = world.crashed_at(at).await;
    world.advance(chrono::TimeDelta::minutes(2)).await;
    world.resync().await;
    let left: &[&str] = match moment {
        Moment::Asked => &["ada", "mei"],
        Moment::Signed => &["ada"],
        Moment::Lapsed => &[],
    };
    assert_eq!(world.holders("support"), left, "crashed at wait {at}");
    if matches!(moment, Moment::Asked) {
        review(&world);
    }
    (finished, world.summary().await)
}
