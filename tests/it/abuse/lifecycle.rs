//! What happens between the grant and the end, and what somebody does to the books.

use chrono::TimeDelta;
use hallpass::domain::ledger::{Entry, State};
use hallpass::domain::model::{Login, Subject};
use hallpass::sandbox::{Change, MergeMethod, Verdict};

use crate::audit::Desk;
use crate::policy::ceremony::{TWO_AT_ONCE, govern};
use crate::scenario::{hearing_and_deaf, hearing_and_deaf_with};
use crate::world::{Ears, REPO, World, file, grant};

fn minutes(n: i64) -> TimeDelta {
    TimeDelta::minutes(n)
}

#[tokio::test(flavor = "multi_thread")]
async fn ac_98_a_row_that_somebody_edits_gives_nothing_without_proof() {
    let mut world = World::hearing().await;
    let pull = world
        .request("ada", "db/ada-incident", &grant("ada", "readonly", "2h"))
        .await;
    world.approve(pull, "grace").await;
    let pull = world
        .request("mei", "db/mei-incident", &grant("mei", "readonly", "2h"))
        .await;
    world.merge_as_admin(pull, MergeMethod::Merge).await;
    world.advance(minutes(5)).await;
    let entry = |of: &str, all: &[Entry]| {
        let mut found = all.iter().filter(|entry| entry.path.short() == of);
        found.next().unwrap().clone()
    };
    let all = world.entries().await;
    assert_eq!(entry("db/mei-incident", &all).state, State::Denied);
    let mut terms = entry("db/ada-incident", &all).terms.unwrap();
    terms.subject = Subject::Person(Login::new("mei").unwrap());
    terms.access.account.name = "mei".to_owned();
    terms.access.account.github_id = None;

    for state in [
        State::Arrived,
        State::Scheduled,
        State::Granting,
        State::Active,
    ] {
        let denied = entry("db/mei-incident", &world.entries().await);
        let forged = Entry {
            state,
            terms: (state != State::Arrived).then(|| terms.clone()),
            wake_at: (state != State::Arrived).then_some(terms.ends),
            settled_at: None,
            ..denied
        };
        let store = world.service().store();
        store.commit(&[forged], &[]).await.unwrap();
        world.start().await;
        world.resync().await;
        world.advance(minutes(5)).await;
        assert_eq!(world.holders("reader"), ["ada"], "{state:?}");
        assert_eq!(world.vault.effects(), ["+reader ada"], "{state:?}");
        assert_eq!(world.told("granted").len(), 1, "{state:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn ac_100_two_who_approve_for_each_other_are_told_to_auditors() {
    let world = World::hearing().await;
    for (asks, approves) in [("linus", "grace"), ("grace", "linus"), ("ada", "grace")] {
        let name = format!("db/{asks}-incident");
        let pull = world
            .request(asks, &name, &grant(asks, "readonly", "2h"))
            .await;
        world.approve(pull, approves).await;
        assert!(world.is_merged(pull));
    }
    let (_, said) = Desk::of(&world).answer(&["reviewers", "--json"]);
    let found: serde_json::Value = serde_json::from_str(&said).unwrap();
    let mutual = |login: &str| {
        let mut all = found.as_array().unwrap().iter();
        all.find(|one| one["login"] == login).unwrap()["reciprocal"].clone()
    };
    assert_eq!(mutual("grace"), serde_json::json!({ "linus": 1 }));
    assert_eq!(mutual("linus"), serde_json::json!({ "grace": 1 }));
}

#[tokio::test(flavor = "multi_thread")]
async fn ac_101_nobody_is_asked_about_more_than_a_policy_lets_one_person_have_or_ask_for() {
    let cap = "@id(\"one-role\")\n@message(\"One role at a time.\")\nforbid (principal, action == Action::\"request\", resource)\nwhen { context.live_count >= 1 };\n";
    let one_at_once = TWO_AT_ONCE.replace(">= 2", ">= 1");
    hearing_and_deaf(async |world| {
        govern(world, &format!("{cap}{one_at_once}")).await;
        let ask = async |role: &str| {
            let name = format!("db/ada-{role}");
            world.request("ada", &name, &grant("ada", role, "1h")).await
        };
        let (first, second) = (ask("readonly").await, ask("admin").await);
        let refused = |pull, why: &str| {
            // Other annotations make another check.
            let head = world.sandbox.pull(REPO, pull).head_sha;
            let check = world.sandbox.checks(REPO, &head).pop().unwrap();
            assert_eq!(check.title, "Denied: policy-forbids");
            assert!(check.summary.contains(why), "{}", check.summary);
        };
        refused(second, "Two open requests");
        world.approve(first, "grace").await;
        assert_eq!(world.holders("reader"), ["ada"]);
        // No longer too many requests, and now too many roles.
        refused(second, "One role at a time.");
        world.approve(second, "grace").await;
        world.approve(second, "linus").await;
        assert!(!world.is_merged(second));
        // With the end of the first there is nothing in its way.
        world.advance(minutes(60)).await;
        world.resync().await;
        assert!(world.is_merged(second), "{:?}", world.check(second));
        assert_eq!(world.holders("admin"), ["ada"]);
        assert!(world.holders("reader").is_empty());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ac_105_what_stands_there_before_the_first_look_gives_nothing_but_by_its_proof() {
    let world = World::new(Ears::Deaf, "").await;
    let sandbox = &world.sandbox;
    let by_hand = [Change::write(
        file("db/mei-old"),
        grant("mei", "readonly", "8h"),
    )];
    sandbox
        .push_to_main("root", REPO, &by_hand, "From before")
        .unwrap();
    let asked = [Change::write(
        file("db/ada-old"),
        grant("ada", "readonly", "8h"),
    )];
    sandbox
        .push("ada", REPO, "old", &asked, "From before")
        .unwrap();
    let pull = sandbox
        .open_pull("ada", REPO, "old", "main", "Please", "")
        .unwrap();
    sandbox
        .review("grace", REPO, pull, Verdict::Approve, "yes")
        .unwrap();
    sandbox
        .merge_as_admin("root", REPO, pull, MergeMethod::Merge)
        .unwrap();
    // Now it looks for the first time.
    world.resync().await;
    world.advance(minutes(5)).await;
    world.advance(minutes(5)).await;
    assert_eq!(world.holders("reader"), ["ada"]);
    assert_eq!(
        world.ledger().await,
        ["db/ada-old active", "db/mei-old denied"]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn ac_108_nothing_rides_on_the_pull_request_that_tidies_up() {
    let merging = "merge = \"auto\"\nmerge_reverts = false";
    hearing_and_deaf_with(merging, async |world| {
        let pull = world
            .request("ada", "db/ada-incident", &grant("ada", "readonly", "2h"))
            .await;
        world.approve(pull, "grace").await;
        world.advance(TimeDelta::hours(2)).await;
        world.advance(minutes(2)).await;
        let tidies = world.sandbox.pulls(REPO).pop().unwrap();
        assert_eq!(tidies.title, "Remove ended access: ada on db/readonly");
        assert_eq!(world.conclusion(tidies.number), "success");

        // Pushed while nobody looks; the service may merge what tidies up by itself from now on.
        world.stop().await;
        let rider = [Change::write(
            file("db/mallory-rider"),
            grant("mei", "readonly", "8h"),
        )];
        world
            .sandbox
            .push("mallory", REPO, &tidies.head, &rider, "Remove more")
            .unwrap();
        world
            .reconfigure("merge_reverts = false", "merge_reverts = true")
            .await;
        world.resync().await;
        for _ in 0..3 {
            world.advance(minutes(10)).await;
            world.resync().await;
        }
        assert_eq!(world.open_pulls(), [tidies.title.as_str()]);
        assert_eq!(world.vault.effects(), ["+reader ada", "-reader ada"]);

        // The next grant that ends is tidied up with it, and what was pushed is pushed over.
        let pull = world
            .request("linus", "db/linus", &grant("linus", "readonly", "1h"))
            .await;
        world.approve(pull, "grace").await;
        world.advance(TimeDelta::hours(1)).await;
        world.advance(minutes(2)).await;
        world.resync().await;
        assert!(world.open_pulls().is_empty(), "{:?}", world.open_pulls());
        for name in ["db/mallory-rider", "db/ada-incident", "db/linus"] {
            let stands = world.sandbox.file(REPO, "main", &file(name));
            assert_eq!(stands, None, "{name}");
        }
        assert!(!world.vault.effects().contains(&"+reader mei".to_owned()));
    })
    .await;
}
