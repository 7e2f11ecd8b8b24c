//! Attacks that a repository writer, a requester, an administrator, a provider or a clock can try. Each was possible once; the
//! label (AC, F) is the one of the catalogue of threats.

use chrono::TimeDelta;
use hallpass::domain::model::GrantPath;
use hallpass::sandbox::{Change, Down, MergeMethod, Verdict};
use hallpass::worker::Resync;

use crate::vault::Fault;
use crate::world::{Ears, REPO, World, file, grant};

/// AC-20: a later approval on the merged pull request does not heal it, however late the service looks.
#[tokio::test(flavor = "multi_thread")]
async fn an_approval_given_after_the_merge_counts_for_nothing_even_if_the_service_looks_later() {
    let mut world = World::hearing().await;
    let pull = world
        .request("ada", "db/ada-incident", &grant("ada", "readonly", "2h"))
        .await;
    world.stop().await;
    world.sandbox.deaf(true);
    world
        .sandbox
        .merge_as_admin("root", REPO, pull, MergeMethod::Merge)
        .unwrap();
    world.clock.advance(TimeDelta::minutes(1));
    world
        .sandbox
        .review("grace", REPO, pull, Verdict::Approve, "Looks fine.")
        .unwrap();
    world.start().await;
    world
        .service()
        .worker()
        .run_once(Resync::Everything)
        .await
        .unwrap();
    world.settle().await;
    assert_eq!(world.vault.calls(), 0, "{:?}", world.ledger().await);
    assert_eq!(world.told("merged-without-proof").len(), 1);
}

