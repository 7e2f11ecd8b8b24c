//! The time of owners: they are watched whatever else goes wrong, and what one look does not show takes nothing from them.

use chrono::TimeDelta;
use hallpass::sandbox::{MergeMethod, When};

use super::ceremony::{SEASONED, govern};
use crate::approval::scene::{at, team};
use crate::scenario::hearing_and_deaf;
use crate::world::{World, grant};

/// Which pull requests brought a commit: without it, nothing that landed can be weighed.
const PULLS_OF: &str = "GET /repos/{owner}/{repo}/commits/{commit_sha}/pulls";

/// Whether a team may write. The members of a team are read for drift too; this is not.
const TEAM: &str = "GET /orgs/{org}/teams/{team_slug}/repos/{owner}/{repo}";

fn minutes(n: i64) -> TimeDelta {
    TimeDelta::minutes(n)
}

#[tokio::test(flavor = "multi_thread")]
async fn owners_are_watched_while_what_landed_cannot_be_weighed() {
    hearing_and_deaf(async |world| {
        world
            .sandbox
            .fail_next(Some(PULLS_OF), 100_000, 502, When::Before);
        let first = world
            .request("ada", "db/ada-1", &grant("ada", "readonly", "2h"))
            .await;
        world.approve(first, "grace").await;
        assert_eq!(world.ledger().await, ["db/ada-1 arrived"]);
        govern(world, SEASONED).await;
        world.sandbox.join_team("mallory", "dba");
        world.advance(minutes(10)).await;
        world.resync().await;
        world.sandbox.heal();
        let second = world
            .request("mei", "db/mei-1", &grant("mei", "readonly", "2h"))
            .await;
        world.approve(second, "mallory").await;
        assert!(!world.is_merged(second), "{:?}", world.check(second));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_somebody_had_at_the_merge_counts_however_late_it_is_looked_at() {
    hearing_and_deaf(async |world| {
        govern(world, &super::forbid("cap", "context.live_count >= 1")).await;
        let first = world
            .request("ada", "db/ada-1", &grant("ada", "readonly", "30m"))
            .await;
        world.approve(first, "grace").await;
        let second = world
            .request("ada", "db/ada-2", &grant("ada", "admin", "2h"))
            .await;
        world.approve(second, "grace").await;
        world.approve(second, "linus").await;
        assert_eq!(world.conclusion(second), "failure");
        world
            .sandbox
            .fail_next(Some(PULLS_OF), 100_000, 502, When::Before);
        world.merge_as_admin(second, MergeMethod::Merge).await;
        world.advance(minutes(31)).await;
        assert_eq!(
            world.ledger().await,
            ["db/ada-1 ended", "db/ada-2 arrived"],
            "the first is over before the second is looked at"
        );
        world.sandbox.heal();
        world.advance(minutes(10)).await;
        assert_eq!(world.ledger().await, ["db/ada-1 ended", "db/ada-2 denied"]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_team_that_cannot_be_read_is_asked_again_alone_and_less_and_less_often() {
    let world = World::hearing().await;
    govern(&world, SEASONED).await;
    let read = || world.sandbox.calls().get(TEAM).copied().unwrap_or(0);
    let look_after = async |n: i64| {
        world.advance(minutes(n)).await;
        world.resync().await;
    };
    assert_eq!(read(), 2);
    // Of two teams, the one that is asked for first fails.
    let mut asked = Vec::new();
    for minute in [10, 1, 1, 1, 1, 1, 1, 1, 1] {
        let before = read();
        world.sandbox.heal();
        world.sandbox.fail_next(Some(TEAM), 1, 502, When::Before);
        look_after(minute).await;
        asked.push(read() - before);
    }
    assert_eq!(asked, [2, 1, 0, 1, 0, 0, 0, 1, 0]);
    world.sandbox.heal();
    look_after(2).await;
    assert_eq!(read(), 9, "both, when it is time again");
}
