//! Deploying without standing access: a run for a protected environment goes through only while whoever started it holds a grant.

mod law;
mod odd;

use chrono::TimeDelta;
use hallpass::sandbox::{AccountKind, Change, RunView};

use crate::scenario::hearing_and_deaf_with;
use crate::world::{Ears, REPO, World, file, person_file};

const SHOP: &str = "shop";
const APP: u64 = 4242;

/// The connection, in the configuration of the world.
const CONNECTED: &str =
    "[providers.deployments]\nkind = \"github-deployment\"\norganisation = \"acme\"\n";

const RESOURCE: &str = "\
description: The web shop
risk: high
provider: deployments
roles:
  deployer:
    description: Deploys to production
    entitlement: { repository: acme/shop, environment: production }
    max_duration: 8h
    requires: [ticket]
  rehearser:
    description: Deploys to staging
    entitlement: { repository: ACME/Shop, environment: Staging }
    max_duration: 8h
";

const OWNERS: &str = "* @acme/security\n/access/grants/shop/ @acme/dba\n";

fn hours(n: i64) -> TimeDelta {
    TimeDelta::hours(n)
}

fn minutes(n: i64) -> TimeDelta {
    TimeDelta::minutes(n)
}

/// Runs a scenario with and without webhooks in a world in which the shop deploys.
async fn in_both(scenario: impl AsyncFn(&mut World)) {
    hearing_and_deaf_with(CONNECTED, async |world| {
        shop(world).await;
        scenario(world).await;
    })
    .await;
}

async fn hearing() -> World {
    let world = World::new(Ears::Hearing, CONNECTED).await;
    shop(&world).await;
    world
}

/// The shop with its environments, of which the App protects two, and everybody's identity.
async fn shop(world: &World) {
    let sandbox = &world.sandbox;
    for (name, level) in [("actions", "read"), ("deployments", "write")] {
        sandbox.app_permission(APP, name, Some(level));
    }
    sandbox
        .repository(SHOP, &[("README.md", "The shop\n")])
        .unwrap();
    for name in ["production", "staging"] {
        sandbox.environment(SHOP, name);
        sandbox.protect(SHOP, name, APP, true);
    }
    let mut files = vec![
        Change::write("access/resources/shop.yaml", RESOURCE),
        Change::write(".github/CODEOWNERS", OWNERS),
    ];
    for login in ["ada", "mei"] {
        let path = person_file(login);
        let text = sandbox.file(REPO, "main", &path).unwrap();
        let text = String::from_utf8(text).unwrap();
        files.push(Change::write(
            path,
            format!("{text}  deployments: {login}\n"),
        ));
    }
    world.decree(&files).await;
}

fn wish(person: &str, role: &str, duration: &str) -> String {
    format!(
        "person: {person}\nrole: {role}\nduration: {duration}\nticket: REL-1\nreason: The release of today is to go out.\n"
    )
}

/// A grant of `role` that an owner approved.
async fn granted(world: &World, person: &str, role: &str, duration: &str) {
    let name = format!("shop/{person}-{role}");
    let pull = world
        .request(person, &name, &wish(person, role, duration))
        .await;
    world.approve(pull, "grace").await;
    assert!(world.is_merged(pull), "{:?}", world.check(pull));
}

/// Somebody starts a run, and everything happens that follows.
async fn starts(world: &World, person: &str, environments: &[&str]) -> u64 {
    let run = world.sandbox.start_run(person, SHOP, environments).unwrap();
    world.settle().await;
    run
}

fn run(world: &World, run: u64) -> RunView {
    world.sandbox.run(SHOP, run)
}

/// It waits, nobody let it through, and it was said `words` times how to ask.
fn assert_waits(world: &World, id: u64, words: usize) {
    let run = run(world, id);
    assert_eq!(run.status, "waiting", "{run:?}");
    assert_eq!((run.approvals, run.rejections), (0, 0), "{run:?}");
    assert_eq!(run.words.len(), words, "{run:?}");
}

/// It was let through, once.
fn assert_passed(world: &World, id: u64) {
    let run = run(world, id);
    assert_eq!(run.status, "in_progress", "{run:?}");
    assert_eq!((run.approvals, run.rejections), (1, 0), "{run:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_without_a_grant_waits_and_says_once_how_to_ask() {
    in_both(async |world| {
        let id = starts(world, "ada", &["production"]).await;
        for _ in 0..3 {
            world.advance(minutes(5)).await;
            world.resync().await;
        }
        assert_waits(world, id, 1);
        let words = &run(world, id).words[0];
        let page = format!(
            "{}/acme/access/new/main?filename=access/grants/shop/ada-deployer.yaml&value=person%3A%20ada",
            world.sandbox.url()
        );
        for part in ["`ada`", "`production`", "`acme/shop`", "`shop/deployer`", &page, "ticket%3A"] {
            assert!(words.contains(part), "{part}: {words}");
        }
        assert!(!words.contains("rehearser"), "{words}");
        assert_eq!(world.told("deployment-waiting").len(), 1);
        assert_eq!(world.told("deployment-approved").len(), 0);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_waits_goes_on_by_itself_once_its_grant_begins() {
    in_both(async |world| {
        let id = starts(world, "ada", &["production"]).await;
        assert_waits(world, id, 1);
        granted(world, "ada", "deployer", "2h").await;
        assert_passed(world, id);
        let words = &run(world, id).words[1];
        for part in [
            "`shop/deployer`",
            "2026-11-23 11:00 UTC",
            "`access/grants/shop/ada-deployer.yaml`",
        ] {
            assert!(words.contains(part), "{part}: {words}");
        }
        let evidence = world.evidence();
        let told: Vec<_> = evidence
            .iter()
            .filter(|m| m.contains("Event: deployment-approved\n"))
            .collect();
        assert_eq!(told.len(), 1);
        for part in [
            format!("Run: {id}\n"),
            "Attempt: 1\n".to_owned(),
            "Environment: production\n".to_owned(),
            "Path: access/grants/shop/ada-deployer.yaml\n".to_owned(),
            "Expires: 2026-11-23T11:00:00Z\n".to_owned(),
            "Started-by: ada (".to_owned(),
        ] {
            assert!(told[0].contains(&part), "{part}: {}", told[0]);
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_grant_lets_every_run_of_its_holder_through_until_its_end_and_none_after() {
    in_both(async |world| {
        granted(world, "ada", "deployer", "2h").await;
        for _ in 0..2 {
            let id = starts(world, "ada", &["production"]).await;
            assert_passed(world, id);
        }
        world.advance(minutes(119)).await;
        let last = starts(world, "ada", &["production"]).await;
        assert_passed(world, last);
        // Started in time, and not looked at in time.
        world.sandbox.deaf(true);
        let late = world
            .sandbox
            .start_run("ada", SHOP, &["production"])
            .unwrap();
        world.sandbox.deaf(world.ears == Ears::Deaf);
        world.clock.advance(minutes(1));
        world.resync().await;
        assert_waits(world, late, 1);
        let after = starts(world, "ada", &["production"]).await;
        assert_waits(world, after, 1);
        assert_eq!(world.told("deployment-approved").len(), 3);
        assert_eq!(world.told("revoked").len(), 1);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_given_back_lets_nothing_through() {
    in_both(async |world| {
        granted(world, "ada", "deployer", "2h").await;
        let back = world
            .propose("ada", &[Change::delete(file("shop/ada-deployer"))])
            .await;
        assert!(world.is_merged(back));
        let id = starts(world, "ada", &["production"]).await;
        assert_waits(world, id, 1);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn neither_somebody_elses_grant_nor_one_for_another_environment_helps() {
    in_both(async |world| {
        granted(world, "ada", "deployer", "8h").await;
        granted(world, "mei", "rehearser", "8h").await;
        let id = starts(world, "mei", &["production"]).await;
        assert_waits(world, id, 1);
        let stranger = starts(world, "mallory", &["production"]).await;
        assert_waits(world, stranger, 1);
        let words = &run(world, stranger).words[0];
        assert!(words.contains("has the `github_id: "), "{words}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_environment_of_a_run_is_answered_by_itself_whatever_its_case() {
    in_both(async |world| {
        granted(world, "ada", "rehearser", "8h").await;
        let id = starts(world, "ada", &["staging", "production"]).await;
        assert_eq!(
            world.sandbox.waits_for(SHOP, id),
            ["production".to_owned()].into()
        );
        granted(world, "ada", "deployer", "8h").await;
        let run = run(world, id);
        assert_eq!((run.status.as_str(), run.approvals), ("in_progress", 2));
        assert_eq!(world.told("deployment-approved").len(), 2);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_runs_it_again_must_hold_a_grant_of_their_own() {
    in_both(async |world| {
        granted(world, "ada", "deployer", "8h").await;
        let id = starts(world, "ada", &["production"]).await;
        assert_passed(world, id);
        world.sandbox.cancel_run(SHOP, id);
        world.sandbox.rerun("mei", SHOP, id);
        world.settle().await;
        assert_eq!(run(world, id).attempt, 2);
        assert_waits(world, id, 1);
        world.sandbox.cancel_run(SHOP, id);
        world.sandbox.rerun("ada", SHOP, id);
        world.settle().await;
        assert_passed(world, id);
        assert_eq!(world.told("deployment-approved").len(), 2);
        assert_eq!(world.told("deployment-waiting").len(), 1);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_grant_that_begins_later_is_named_and_waited_for() {
    in_both(async |world| {
        let text = wish("ada", "deployer", "2h") + "starts: 2026-11-23T12:00:00Z\n";
        let pull = world.request("ada", "shop/ada-deployer", &text).await;
        world.approve(pull, "grace").await;
        let id = starts(world, "ada", &["production"]).await;
        assert_waits(world, id, 1);
        let words = &run(world, id).words[0];
        assert!(
            words.contains("begins at **2026-11-23 12:00 UTC**"),
            "{words}"
        );
        world.advance(hours(3)).await;
        assert_passed(world, id);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_deploys_by_a_grant_like_anybody() {
    in_both(async |world| {
        let bot = world
            .sandbox
            .account("release[bot]", None, AccountKind::Bot);
        let service = format!(
            "description: Rolls out releases\nowner: mei\ngithub_id: {bot}\nidentities:\n  deployments: release[bot]\n"
        );
        world
            .decree(&[Change::write("access/services/release.yaml", service)])
            .await;
        let id = starts(world, "release[bot]", &["production"]).await;
        assert_waits(world, id, 1);
        let words = &run(world, id).words[0];
        assert!(words.contains("value=service%3A%20release"), "{words}");
        let text = wish("ada", "deployer", "2h").replace("person: ada", "service: release");
        let pull = world.request("ada", "shop/release", &text).await;
        world.approve(pull, "grace").await;
        assert_passed(world, id);
    })
    .await;
}
