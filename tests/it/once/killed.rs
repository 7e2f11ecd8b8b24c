//! A run that is killed anywhere: the next one, on a machine that knows nothing of it, heals what it left.

use chrono::TimeDelta;

use super::{Team, minutes};
use crate::world::{REPO, at_every_wait, grant, killed_at};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Moment {
    Approved,
    Over,
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_killed_at_any_wait_while_it_grants_is_healed_by_the_next() {
    killed_everywhere(Moment::Approved).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_killed_at_any_wait_while_it_takes_away_is_healed_by_the_next() {
    killed_everywhere(Moment::Over).await;
}

async fn killed_everywhere(moment: Moment) {
    at_every_wait(4, async |at| {
        let team = Team::new().await;
        team.run().await;
        let pull = team.request("ada", "db/ada-incident", &grant("ada", "readonly", "2h"));
        team.approve(pull, "grace");
        if moment == Moment::Over {
            team.run().await;
            team.world.clock.advance(TimeDelta::hours(2));
        }
        let finished = killed_at(at, team.try_run()).await.is_some();
        team.run_later(minutes(5)).await;
        team.run_later(minutes(5)).await;
        let world = &team.world;
        assert!(world.is_merged(pull), "killed at wait {at}");
        let (effects, pulls): (&[&str], _) = match moment {
            Moment::Approved => (&["+reader ada"], 1),
            Moment::Over => (&["+reader ada", "-reader ada"], 2),
        };
        assert_eq!(world.vault.effects(), effects, "killed at wait {at}");
        assert_eq!(
            world.sandbox.pulls(REPO).len(),
            pulls,
            "killed at wait {at}"
        );
        assert!(world.open_pulls().is_empty(), "killed at wait {at}");
        assert_eq!(world.told("granted").len(), 1, "killed at wait {at}");
        assert_eq!(world.told("safe-mode"), Vec::<String>::new());
        if moment == Moment::Approved {
            // Whatever the killed run gave, it ends on time.
            team.run_later(minutes(115)).await;
            assert!(world.holders("reader").is_empty(), "killed at wait {at}");
        }
        team.assert_evidence_is_whole();
        finished
    })
    .await;
}
