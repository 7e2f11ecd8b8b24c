//! Ceremony that a careful organisation can ask for by its policies: caps for each person.

use chrono::TimeDelta;
use hallpass::domain::decision::{Admission, Outcome};
use hallpass::domain::policy::Guardrails;
use hallpass::domain::pull::Lookup;
use hallpass::sandbox::{Change, When};

use super::requests::{AUTO, OTHER, admin, admission, amended, forbidding, longer, path, under};
use super::{BASELINE, FILE, forbid, tree};
use crate::decision::office::{holds, merged, rules, standing, verdict};
use crate::scenario::{hearing_and_deaf, hearing_and_deaf_with};
use crate::world::{REPO, World, grant};

/// Nobody asks for more while two requests of theirs are open.
pub const TWO_AT_ONCE: &str = "@id(\"two-at-once\")\n@message(\"Two open requests are enough: wait for one, or close it.\")\nforbid (principal, action == Action::\"request\", resource)\nwhen { context.open_requests >= 2 };\n";

/// The protected branch gets these policies beside the baseline, and everything is looked at.
pub async fn govern(world: &World, policies: &str) {
    let policies = format!("{BASELINE}{policies}");
    world.decree(&[Change::write(FILE, policies)]).await;
    world.resync().await;
}

fn minutes(n: i64) -> TimeDelta {
    TimeDelta::minutes(n)
}

// How many roles somebody has.

#[test]
fn what_somebody_has_by_other_files_is_counted() {
    let capped = || forbidding("context.live_count >= 1");
    assert_eq!(rules(&verdict(&capped())), [""; 0]);
    let mut scene = capped();
    holds(&mut scene, "octocat", "ledger", "readonly", 10);
    assert_eq!(rules(&verdict(&scene)), ["policy-forbids"]);
    let mut scene = capped();
    holds(&mut scene, "ivan", "ledger", "readonly", 10);
    assert_eq!(rules(&verdict(&scene)), [""; 0], "somebody else's");
    let renewed = format!("{BASELINE}{}", forbid("no", "context.live_count >= 1"));
    let mut scene = amended(&renewed, &longer());
    holds(&mut scene, "octocat", "orders", "readonly", 10);
    scene.holdings[0].path = path();
    assert_eq!(rules(&verdict(&scene)), [""; 0], "its own");
}

#[test]
fn what_is_in_doubt_counts_where_that_forbids_and_not_where_it_permits() {
    let mut scene = forbidding("context.live_count >= 2");
    holds(&mut scene, "octocat", "ledger", "readonly", 10);
    scene.adds(OTHER, &admin());
    assert_eq!(rules(&verdict(&scene)), ["policy-forbids"; 2]);
    // What has a file and was never given may be nothing: neither a cap nor its opposite lets it pass.
    for (count, outcome) in [
        ("context.live_count == 0", Outcome::Waiting),
        ("context.live_count == 1", Outcome::Waiting),
        ("context.live_count <= 1", Outcome::Approved),
    ] {
        let automatic = AUTO.replace("when {", &format!("when {{ {count} &&"));
        let mut scene = under(&format!("{BASELINE}{automatic}"));
        standing(&mut scene, OTHER, &admin());
        assert_eq!(verdict(&scene).outcome, outcome, "{count}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_has_ended_counts_no_longer_while_its_file_still_stands() {
    hearing_and_deaf_with("merge_reverts = false\nmerge = \"auto\"\n", async |world| {
        govern(world, &forbid("cap", "context.live_count >= 1")).await;
        let first = world
            .request("ada", "db/ada-1", &grant("ada", "readonly", "30m"))
            .await;
        world.approve(first, "grace").await;
        world.advance(minutes(30)).await;
        world.advance(minutes(2)).await;
        assert_eq!(world.ledger().await, ["db/ada-1 ended"]);
        assert_eq!(
            world.open_pulls().len(),
            1,
            "its file is still to be removed"
        );
        let second = world
            .request("ada", "db/ada-2", &grant("ada", "admin", "30m"))
            .await;
        assert_eq!(world.conclusion(second), "in_progress");
    })
    .await;
}

// How many requests somebody has open.

#[test]
fn requests_that_were_opened_before_are_counted_while_one_is_open() {
    let capped = |open: Option<Lookup<usize>>| {
        let mut scene = under(&format!("{BASELINE}{TWO_AT_ONCE}"));
        scene.around.open_requests = open;
        scene.approves("grace");
        scene
    };
    for (open, denied) in [
        (None, false),
        (Some(0), false),
        (Some(1), false),
        (Some(2), true),
    ] {
        let scene = capped(open.map(Lookup::Found));
        let expected: &[&str] = if denied { &["policy-forbids"] } else { &[] };
        assert_eq!(rules(&verdict(&scene)), expected, "{open:?}");
    }
    let mut scene = capped(None);
    merged(&mut scene);
    assert!(matches!(admission(&scene), Admission::Approved(_)));
}

#[test]
fn how_many_are_open_is_doubt_where_it_is_not_known_and_a_policy_asks() {
    let unknown = || Some(Lookup::Failed("GitHub answered 502".to_owned()));
    for condition in ["context.open_requests >= 2", "context.open_requests < 2"] {
        let mut scene = forbidding(condition);
        scene.approves("grace");
        scene.around.open_requests = unknown();
        let said = verdict(&scene);
        let Outcome::Uncertain(why) = &said.outcome else {
            panic!("{condition}: {said:?}");
        };
        assert!(why[0].contains("GitHub answered 502"), "{why:?}");
    }
    // Not even a policy's own approval.
    let automatic = AUTO.replace("when {", "when { context.open_requests < 2 &&");
    let mut scene = under(&format!("{BASELINE}{automatic}"));
    assert_eq!(verdict(&scene).outcome, Outcome::Approved);
    scene.around.open_requests = unknown();
    assert!(matches!(verdict(&scene).outcome, Outcome::Uncertain(_)));
    let mut scene = forbidding("context.minutes > 600");
    scene.approves("grace");
    scene.around.open_requests = unknown();
    assert_eq!(verdict(&scene).outcome, Outcome::Approved, "nobody asks");
}

#[test]
fn what_no_policy_mentions_is_not_looked_up() {
    let asks = |condition: &str| {
        let policies: Guardrails = tree(&format!("{BASELINE}{condition}")).policies;
        policies.counts_requests()
    };
    assert!(!asks(""));
    assert!(!asks(&forbid("x", "context.live_count > 3")));
    assert!(asks(TWO_AT_ONCE));
    let hidden = TWO_AT_ONCE.replace("context.open_requests", "context[\"open_requests\"]");
    assert!(asks(&hidden));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_too_many_is_refused_in_the_policys_words_until_another_is_closed() {
    hearing_and_deaf(async |world| {
        govern(world, TWO_AT_ONCE).await;
        // It is counted who asks, for whomever.
        let ask = async |whom: &str| {
            let text = grant(whom, "readonly", "2h");
            world.request("ada", &format!("db/{whom}-1"), &text).await
        };
        let (first, second) = (ask("mei").await, ask("linus").await);
        let third = ask("ada").await;
        let check = world.check(third);
        assert_eq!(check.title, "Denied: policy-forbids");
        let told = check.annotations[0]["message"].as_str().unwrap();
        assert!(told.starts_with("Two open requests are enough"), "{told}");
        // What was there before it, and what others ask, goes on.
        for pull in [first, second] {
            assert_eq!(world.conclusion(pull), "in_progress");
        }
        let other = world
            .request("mei", "db/mei-2", &grant("mei", "admin", "2h"))
            .await;
        assert_eq!(world.conclusion(other), "in_progress");
        world.approve(third, "grace").await;
        assert!(!world.is_merged(third));
        world.sandbox.close_pull("ada", REPO, first).unwrap();
        world.settle().await;
        assert!(world.is_merged(third), "{:?}", world.check(third));
        assert_eq!(world.holders("reader"), ["ada"]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn open_requests_that_cannot_be_listed_are_neither_few_nor_many() {
    let world = World::hearing().await;
    govern(&world, &TWO_AT_ONCE.replace(">= 2", ">= 1")).await;
    let text = grant("ada", "readonly", "2h");
    world.request("ada", "db/ada-1", &text).await;
    let listing = Some("GET /repos/{owner}/{repo}/pulls");
    world.sandbox.fail_next(listing, 1_000, 502, When::Before);
    let second = world.request("ada", "db/ada-2", &text).await;
    world.approve(second, "grace").await;
    assert!(!world.is_merged(second));
    let title = world.check(second).title;
    assert!(!title.starts_with("Denied"), "{title}");
    world.sandbox.heal();
    world.advance(minutes(20)).await;
    assert_eq!(world.check(second).title, "Denied: policy-forbids");
    assert!(world.holders("reader").is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn drafts_count_and_what_asks_for_no_access_does_not() {
    hearing_and_deaf(async |world| {
        govern(world, &TWO_AT_ONCE.replace(">= 2", ">= 1")).await;
        let sandbox = &world.sandbox;
        let readme = [Change::write("README.md", "Access of acme, and more.\n")];
        world.propose("ada", &readme).await;
        let text = grant("ada", "readonly", "2h");
        let draft = world.request("ada", "db/ada-1", &text).await;
        assert_eq!(world.conclusion(draft), "in_progress");
        sandbox.convert_to_draft("ada", REPO, draft).unwrap();
        let second = world.request("ada", "db/ada-2", &text).await;
        assert_eq!(world.check(second).title, "Denied: policy-forbids");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_life_under_all_of_it_costs_few_calls_of_the_forge() {
    let world = World::hearing().await;
    let cap = forbid("cap", "context.live_count >= 5");
    govern(&world, &format!("{TWO_AT_ONCE}{cap}")).await;
    world.sandbox.reset_calls();
    let pull = world
        .request("ada", "db/ada-incident", &grant("ada", "readonly", "30m"))
        .await;
    world.approve(pull, "grace").await;
    world.advance(minutes(30)).await;
    world.advance(minutes(2)).await;
    assert!(world.open_pulls().is_empty());
    let calls = world.sandbox.calls();
    let rest = calls
        .iter()
        .filter(|(operation, _)| !operation.starts_with("GIT "));
    let total: u64 = rest.map(|(_, count)| count).sum();
    assert!(total <= 30, "{total} calls: {calls:#?}");
}
