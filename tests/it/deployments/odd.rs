//! What goes wrong: answers that get lost, a forge that is away, crashes, replayed webhooks, rules that are off.

use std::collections::BTreeSet;

use hallpass::sandbox::{Down, When};

use super::{
    APP, SHOP, assert_passed, assert_waits, granted, hearing, hours, in_both, minutes, run, starts,
    wish,
};
use crate::world::at_every_wait;

const ANSWER: &str = "POST /repos/{owner}/{repo}/actions/runs/{run_id}/deployment_protection_rule";
const PENDING: &str = "GET /repos/{owner}/{repo}/actions/runs/{run_id}/pending_deployments";
const RUNS: &str = "GET /repos/{owner}/{repo}/actions/runs";

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_at_any_wait_while_answering_ends_in_one_answer() {
    at_every_wait(12, async |at| {
        let mut world = hearing().await;
        granted(&world, "ada", "deployer", "2h").await;
        let id = world
            .sandbox
            .start_run("ada", SHOP, &["production"])
            .unwrap();
        world.sandbox.settle().await;
        let finished = world.crashed_at(at).await;
        world.advance(minutes(10)).await;
        assert_passed(&world, id);
        let told = world.told("deployment-approved");
        assert_eq!(told.len(), 1, "crashed at wait {at}");
        assert_eq!(world.told("deployment-waiting").len(), 0);
        world.assert_contract();
        finished
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_was_lost_is_written_down_once_whether_others_are_waited_for_or_not() {
    for others in [false, true] {
        let world = hearing().await;
        if others {
            world.sandbox.review_deployments(SHOP, "production");
        }
        granted(&world, "ada", "deployer", "2h").await;
        world.sandbox.fail_next(Some(ANSWER), 1, 502, When::After);
        let id = starts(&world, "ada", &["production"]).await;
        for _ in 0..3 {
            world.advance(minutes(5)).await;
        }
        world.resync().await;
        let found = run(&world, id);
        assert_eq!(found.approvals, 1);
        assert_eq!(found.status == "waiting", others);
        assert_eq!(world.told("deployment-approved").len(), 1);
        let evidence = world.evidence().concat();
        assert!(evidence.contains("the answer was lost"), "{evidence}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_for_a_person_as_well_is_let_through_by_us_once() {
    in_both(async |world| {
        world.sandbox.review_deployments(SHOP, "production");
        granted(world, "ada", "deployer", "2h").await;
        let id = starts(world, "ada", &["production"]).await;
        for _ in 0..30 {
            world.advance(minutes(5)).await;
            world.resync().await;
        }
        // The grant is over; what it let through is.
        let waits = run(world, id);
        assert_eq!((waits.status.as_str(), waits.approvals), ("waiting", 1));
        world.sandbox.let_through(SHOP, id);
        world.resync().await;
        assert_passed(world, id);
        // It is said again now and then, in case it is another job that waits; not at every look.
        let calls = world.sandbox.calls()[ANSWER];
        assert!((2..=6).contains(&calls), "{calls}");
        assert_eq!(world.told("deployment-approved").len(), 1);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_later_job_of_the_same_run_is_let_through_too_whoever_looked_in_between() {
    for looked in [true, false] {
        let world = hearing().await;
        granted(&world, "ada", "deployer", "4h").await;
        let id = starts(&world, "ada", &["production"]).await;
        assert_passed(&world, id);
        if looked {
            world.resync().await;
        }
        world.sandbox.next_job(SHOP, id, "production");
        world.settle().await;
        world.advance(minutes(6)).await;
        world.resync().await;
        let found = run(&world, id);
        assert_eq!((found.status.as_str(), found.approvals), ("in_progress", 2));
        assert_eq!(world.told("deployment-approved").len(), 1);
        world.advance(hours(4)).await;
        world.sandbox.next_job(SHOP, id, "production");
        world.advance(minutes(10)).await;
        world.resync().await;
        assert_eq!(run(&world, id).approvals, 2, "the grant is over");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn while_github_is_away_nothing_is_answered_and_afterwards_everything_is() {
    let world = hearing().await;
    granted(&world, "ada", "deployer", "4h").await;
    let mut runs = Vec::new();
    for down in [Down::Unavailable, Down::Refused] {
        runs.push(
            world
                .sandbox
                .start_run("ada", SHOP, &["production"])
                .unwrap(),
        );
        world.sandbox.down(down);
        world.advance(minutes(10)).await;
        for id in &runs {
            assert_eq!(run(&world, *id).approvals, 0);
        }
    }
    world.sandbox.down(Down::No);
    world.advance(minutes(10)).await;
    for id in runs {
        assert_passed(&world, id);
    }
    // An end waits for nobody.
    world.sandbox.down(Down::Refused);
    world.advance(hours(4)).await;
    assert_eq!(world.ledger().await, ["shop/ada-deployer ended"]);
    world.sandbox.down(Down::No);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_look_up_that_fails_is_neither_yes_nor_no() {
    for lookup in [
        RUNS,
        PENDING,
        "GET /repos/{owner}/{repo}/actions/runs/{run_id}",
    ] {
        for status in [403, 404, 500] {
            let world = hearing().await;
            granted(&world, "ada", "deployer", "4h").await;
            world
                .sandbox
                .fail_next(Some(lookup), 2, status, When::Before);
            let id = starts(&world, "ada", &["production"]).await;
            let found = run(&world, id);
            assert!(found.words.is_empty(), "{lookup} {status}: {found:?}");
            assert_eq!(found.status, "waiting");
            for _ in 0..4 {
                world.advance(minutes(10)).await;
                world.resync().await;
            }
            assert_passed(&world, id);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn webhooks_that_are_replayed_or_doubled_change_nothing() {
    let world = hearing().await;
    world.sandbox.duplicate(true);
    granted(&world, "ada", "deployer", "1h").await;
    let id = starts(&world, "ada", &["production"]).await;
    assert_passed(&world, id);
    world.advance(hours(2)).await;
    let late = starts(&world, "ada", &["production"]).await;
    let guids: Vec<String> = world
        .sandbox
        .deliveries()
        .into_iter()
        .map(|d| d.guid)
        .collect();
    for guid in guids {
        world.sandbox.redeliver(&guid);
    }
    world.settle().await;
    assert_waits(&world, late, 1);
    assert_passed(&world, id);
    assert_eq!(world.told("deployment-approved").len(), 1);
    assert_eq!(world.told("deployment-waiting").len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_grant_begins_only_where_the_rule_is_on() {
    in_both(async |world| {
        world.sandbox.protect(SHOP, "production", APP, false);
        let text = wish("ada", "deployer", "2h");
        let pull = world.request("ada", "shop/ada-deployer", &text).await;
        world.approve(pull, "grace").await;
        let entry = world.entries().await.remove(0);
        let why = entry.last_error.unwrap_or_default();
        assert!(why.contains("is no deployment protection rule"), "{why}");
        assert_eq!(world.told("granted").len(), 0);
        world.sandbox.protect(SHOP, "production", APP, true);
        world.advance(minutes(10)).await;
        assert_eq!(world.told("granted").len(), 1);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rule_that_somebody_turned_off_is_drift_and_a_grant_is_none() {
    let world = hearing().await;
    granted(&world, "ada", "deployer", "8h").await;
    world.resync().await;
    assert_eq!(world.told("drift"), [""; 0]);
    world.sandbox.protect(SHOP, "production", APP, false);
    world.advance(hours(1)).await;
    world.resync().await;
    assert_eq!(
        world.told("drift"),
        ["Drift: (everybody who may push) at deployments has it, and not from Hallpass"]
    );
    world.sandbox.protect(SHOP, "production", APP, true);
    world.advance(hours(1)).await;
    world.resync().await;
    assert_eq!(world.told("drift-over").len(), 1);
    assert_eq!(world.ledger().await, ["shop/ada-deployer active"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_environment_that_no_role_gives_says_so_and_one_that_is_not_ours_is_left_alone() {
    in_both(async |world| {
        world.sandbox.environment(SHOP, "secret");
        world.sandbox.protect(SHOP, "secret", APP, true);
        world.sandbox.environment(SHOP, "other");
        world.sandbox.review_deployments(SHOP, "other");
        granted(world, "ada", "deployer", "8h").await;
        let ours = starts(world, "ada", &["secret"]).await;
        let other = starts(world, "ada", &["other"]).await;
        assert_waits(world, ours, 1);
        let words = &run(world, ours).words[0];
        assert!(words.contains("No role in `access/resources/`"), "{words}");
        assert_waits(world, other, 0);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_nobody_may_let_through_costs_one_listing_a_tick() {
    let world = hearing().await;
    let id = starts(&world, "ada", &["production"]).await;
    world.advance(minutes(10)).await;
    world.resync().await;
    let before = world.sandbox.calls();
    for _ in 0..9 {
        world.advance(minutes(1)).await;
        world.resync().await;
    }
    let after = world.sandbox.calls();
    assert_eq!(after[PENDING], before[PENDING]);
    let listed = after[RUNS] - before[RUNS];
    assert!((9..=18).contains(&listed), "{listed}");
    assert_waits(&world, id, 1);
    // It is not forgotten for that.
    granted(&world, "ada", "deployer", "1h").await;
    let passed = run(&world, id);
    assert_eq!(
        (passed.status.as_str(), passed.approvals),
        ("in_progress", 1)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_at_any_wait_while_telling_tells_at_least_once_and_decides_nothing() {
    at_every_wait(8, async |at| {
        let mut world = hearing().await;
        let id = world
            .sandbox
            .start_run("ada", SHOP, &["production"])
            .unwrap();
        world.sandbox.settle().await;
        let finished = world.crashed_at(at).await;
        world.advance(minutes(10)).await;
        world.resync().await;
        let found = run(&world, id);
        assert!((1..=2).contains(&found.words.len()), "{at}: {found:?}");
        assert_waits(&world, id, found.words.len());
        assert_eq!(world.told("deployment-waiting").len(), 1);
        finished
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_no_longer_is_forgotten() {
    in_both(async |world| {
        let waiting = starts(world, "ada", &["production"]).await;
        world.sandbox.cancel_run(SHOP, waiting);
        granted(world, "ada", "deployer", "8h").await;
        let passed = starts(world, "ada", &["production"]).await;
        assert_passed(world, passed);
        world.resync().await;
        let store = world.service().store();
        assert_eq!(store.deploying().await.unwrap(), []);
        assert_eq!(run(world, waiting).approvals, 0);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn repositories_that_nobody_names_are_not_asked_about() {
    let world = crate::world::World::hearing().await;
    world
        .sandbox
        .repository(SHOP, &[("README.md", "The shop\n")])
        .unwrap();
    world.sandbox.environment(SHOP, "production");
    world.sandbox.protect(SHOP, "production", APP, true);
    starts(&world, "ada", &["production"]).await;
    world.resync().await;
    let asked: BTreeSet<String> = world.sandbox.calls().into_keys().collect();
    assert!(
        !asked.iter().any(|call| call.contains("/actions/")),
        "{asked:?}"
    );
}
