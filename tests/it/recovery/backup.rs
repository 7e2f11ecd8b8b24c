//! An old backup that is put back never gives again what ended.

use chrono::TimeDelta;
use hallpass::reconcile::Vouched;
use hallpass::sandbox::{Change, Verdict};

use crate::world::{Ears, REPO, World, at_every_wait, file, grant};

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

#[tokio::test(flavor = "multi_thread")]
async fn an_old_backup_from_the_middle_of_giving_never_gives_again_what_ended() {
    at_every_wait(1, async |at| ended_with_copy_of(Moment::Approved, at).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_old_backup_from_the_middle_of_taking_never_gives_again_what_ended() {
    at_every_wait(4, async |at| {
        ended_with_copy_of(Moment::GivenBack, at).await
    })
    .await;
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Moment {
    Approved,
    GivenBack,
}

/// Ada is given access and gives it back; the service dies at a wait of one of the two, of which the database is the backup that is put
/// back while her term would still run. Whether it had finished before that wait.
async fn ended_with_copy_of(moment: Moment, at: usize) -> bool {
    let mut world = World::new(Ears::Hearing, "").await;
    let pull = world
        .request("ada", "db/ada-incident", &grant("ada", "readonly", "8h"))
        .await;
    if moment == Moment::GivenBack {
        world.approve(pull, "grace").await;
        let back = [Change::delete(file("db/ada-incident"))];
        let sandbox = &world.sandbox;
        sandbox.push("ada", REPO, "back", &back, "Back").unwrap();
        let opened = sandbox.open_pull("ada", REPO, "back", "main", "Back", "");
        opened.unwrap();
    } else {
        let why = "Fine with me, the incident is real.";
        let approved = world
            .sandbox
            .review("grace", REPO, pull, Verdict::Approve, why);
        approved.unwrap();
    }
    world.sandbox.settle().await;
    let (finished, backup) = world.copied_at(at).await;
    if moment == Moment::Approved {
        assert_eq!(world.holders("reader"), ["ada"], "backup at wait {at}");
        let back = Change::delete(file("db/ada-incident"));
        world.propose("ada", &[back]).await;
    }
    world.advance(hours(1)).await;
    let effects = ["+reader ada", "-reader ada"];
    assert_eq!(world.vault.effects(), effects, "backup at wait {at}");

    world.put_back(backup.path()).await;
    world.start().await;
    world.resync().await;
    world.advance(hours(1)).await;
    assert_eq!(world.vault.effects(), effects, "put back, wait {at}");
    world.recover(&Vouched::default()).await;
    world.resync().await;
    world.advance(hours(1)).await;
    assert_eq!(world.vault.effects(), effects, "recovered, wait {at}");
    assert_eq!(world.told("granted").len(), 1, "wait {at}");
    assert_eq!(world.told("revoked").len(), 1, "wait {at}");
    world.assert_each_event_once();
    // And what is asked for from here on is given.
    let text = grant("mei", "readonly", "1h");
    let pull = world.request("mei", "db/mei-incident", &text).await;
    world.approve(pull, "grace").await;
    assert_eq!(world.holders("reader"), ["mei"], "wait {at}");
    finished
}
