//! An old backup that is put back never gives again what ended.

use chrono::TimeDelta;
use hallpass::reconcile::Vouched;
use hallpass::sandbox::Change;

use crate::world::{Ears, World, file, grant};

fn hours(n: i64) -> TimeDelta {
    TimeDelta::hours(n)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_old_backup_of_any_moment_never_gives_again_what_ended() {
    let mut moment = 0;
    while ended_with_backup_of(moment).await {
        moment += 1;
    }
    assert!(moment > 5, "{moment} moments");
}

/// Plays a day, takes a backup at its `moment`-th moment and puts it back at the end. Whether there is such a moment.
async fn ended_with_backup_of(moment: usize) -> bool {
    let mut world = World::new(Ears::Deaf, "merge_reverts = false\nmerge = \"auto\"").await;
    let mut backup = None;
    let mut moments = 0;
    let mut now = async |world: &mut World| {
        if moments == moment {
            backup = Some(world.back_up().await);
        }
        moments += 1;
    };
    now(&mut world).await;
    let text = grant("ada", "readonly", "2h");
    let pull = world.request("ada", "db/ada-incident", &text).await;
    now(&mut world).await;
    world.approve(pull, "grace").await;
    now(&mut world).await;
    let text = grant("mei", "readonly", "8h");
    let pull = world.request("mei", "db/mei-incident", &text).await;
    world.approve(pull, "grace").await;
    now(&mut world).await;
    // Mei gives hers back, and the file is put there again without anybody's approval.
    let back = Change::delete(file("db/mei-incident"));
    let back = world.propose("mei", &[back]).await;
    assert!(world.is_merged(back));
    now(&mut world).await;
    world.advance(hours(1)).await;
    now(&mut world).await;
    world
        .decree(&[Change::write(file("db/mei-incident"), text)])
        .await;
    world.advance(TimeDelta::minutes(10)).await;
    now(&mut world).await;
    // Over by time; its file still stands.
    world.advance(hours(2)).await;
    now(&mut world).await;
    assert!(world.holders("reader").is_empty());
    let effects = ["+reader ada", "+reader mei", "-reader mei", "-reader ada"];
    assert_eq!(world.vault.effects(), effects);
    let Some(backup) = backup else {
        return false;
    };

    world.put_back(backup.path()).await;
    world.start().await;
    world.resync().await;
    assert_eq!(world.vault.effects(), effects, "safe mode, backup {moment}");
    world.recover(&Vouched::default()).await;
    world.resync().await;
    world.advance(hours(1)).await;
    world.resync().await;
    assert_eq!(world.vault.effects(), effects, "recovered, backup {moment}");
    assert!(world.holders("reader").is_empty());
    let revoked = world.told("revoked").len();
    assert_eq!(revoked, 2, "each end is told once, backup {moment}");
    true
}
