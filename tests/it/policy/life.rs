//! Policies in the life of a request: the whole service, hearing and deaf.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use chrono::TimeDelta;
use hallpass::domain::approval::Basis;
use hallpass::sandbox::{Change, MergeMethod, Verdict};
use hallpass::worker::Resync;

use super::{BASELINE, FILE, forbid};
use crate::scenario::hearing_and_deaf;
use crate::world::{REPO, World, file, grant};

const AUTO: &str = "@id(\"an-hour\")\npermit (principal is Person, action == Action::\"auto_approve\", resource == Role::\"db/readonly\")\nwhen { context.minutes <= 60 && context.self_requested };\n";

/// The protected branch gets these policies.
async fn govern(world: &World, policies: &str) {
    world
        .sandbox
        .push_to_main("root", REPO, &[Change::write(FILE, policies)], "Policies")
        .unwrap();
    world.settle().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_policy_approves_is_granted_without_a_person_and_ends_on_time() {
    hearing_and_deaf(async |world| {
        govern(world, &format!("{BASELINE}{AUTO}")).await;
        let pull = world
            .request("ada", "db/ada-look", &grant("ada", "readonly", "1h"))
            .await;
        assert!(world.is_merged(pull), "{:?}", world.check(pull));
        assert_eq!(world.check(pull).title, "Approved by policy an-hour");
        assert_eq!(world.holders("reader"), ["ada"]);
        let entries = world.entries().await;
        let terms = entries[0].terms.as_ref().unwrap();
        assert!(matches!(&terms.basis, Basis::Policy { id, .. } if id == "an-hour"));
        assert!(terms.approvals.is_empty());
        let named = format!("Approved-by-policy: an-hour {FILE} ");
        for kind in ["approved", "granted"] {
            let of_kind = format!("Event: {kind}\n");
            let told: Vec<String> = world
                .evidence()
                .into_iter()
                .filter(|m| m.contains(&of_kind))
                .collect();
            assert_eq!(told.len(), 1, "{kind}");
            assert!(told[0].contains(&named), "{}", told[0]);
        }
        world.advance(TimeDelta::minutes(60)).await;
        assert!(world.holders("reader").is_empty());
        world.advance(TimeDelta::minutes(1)).await;
        assert_eq!(world.ledger().await, ["db/ada-look ended"]);
        assert!(world.open_pulls().is_empty());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_policy_would_not_approve_waits_for_an_owner() {
    hearing_and_deaf(async |world| {
        govern(world, &format!("{BASELINE}{AUTO}")).await;
        // Longer than the policy says.
        let long = world
            .request("ada", "db/ada-look", &grant("ada", "readonly", "61m"))
            .await;
        assert_eq!(world.conclusion(long), "in_progress");
        // Asked for by somebody else.
        let other = world
            .request("mei", "db/linus-look", &grant("linus", "readonly", "1h"))
            .await;
        assert_eq!(world.conclusion(other), "in_progress");
        world.merge_as_admin(other, MergeMethod::Merge).await;
        assert_eq!(world.vault.calls(), 0);
        assert_eq!(world.told("merged-without-proof").len(), 1);
        world.approve(long, "grace").await;
        assert_eq!(world.holders("reader"), ["ada"]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_owner_can_stop_what_a_policy_would_approve() {
    hearing_and_deaf(async |world| {
        govern(world, &format!("{BASELINE}{AUTO}")).await;
        world
            .sandbox
            .push(
                "ada",
                REPO,
                "later",
                &[Change::write(
                    file("db/ada-look"),
                    grant("ada", "readonly", "1h"),
                )],
                "Ask",
            )
            .unwrap();
        let pull = world
            .sandbox
            .open_pull("ada", REPO, "later", "main", "Please", "")
            .unwrap();
        // Before the service looks at it.
        world
            .review(pull, "grace", Verdict::RequestChanges, "Not today.")
            .await;
        assert!(!world.is_merged(pull));
        assert!(world.check(pull).title.starts_with("Blocked: @grace"));
        world.merge_as_admin(pull, MergeMethod::Squash).await;
        assert_eq!(world.vault.calls(), 0);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_policy_forbids_is_refused_and_grants_nothing_even_if_it_is_merged() {
    hearing_and_deaf(async |world| {
        govern(
            world,
            &format!("{BASELINE}{}", forbid("short", "context.minutes > 60")),
        )
        .await;
        let pull = world
            .request("ada", "db/ada-look", &grant("ada", "readonly", "2h"))
            .await;
        let check = world.check(pull);
        assert_eq!(check.conclusion.as_deref(), Some("failure"));
        assert_eq!(check.title, "Denied: policy-forbids");
        assert!(
            check.annotations[0]["message"]
                .as_str()
                .unwrap()
                .starts_with("short says no.")
        );
        world.approve(pull, "grace").await;
        assert!(!world.is_merged(pull));
        world.merge_as_admin(pull, MergeMethod::Merge).await;
        assert_eq!(world.vault.calls(), 0);
        assert_eq!(world.told("merged-without-proof").len(), 1);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn policies_of_the_moment_of_the_merge_decide_and_new_ones_end_nothing() {
    hearing_and_deaf(async |world| {
        let pull = world
            .request("ada", "db/ada-look", &grant("ada", "readonly", "2h"))
            .await;
        world.approve(pull, "grace").await;
        assert_eq!(world.holders("reader"), ["ada"]);
        govern(
            world,
            &format!("{BASELINE}{}", forbid("short", "context.minutes > 60")),
        )
        .await;
        world.resync().await;
        assert_eq!(
            world.holders("reader"),
            ["ada"],
            "what was granted stays granted"
        );
        world.advance(TimeDelta::minutes(120)).await;
        assert!(world.holders("reader").is_empty());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn broken_policies_grant_nothing_and_end_everything_that_is_due() {
    hearing_and_deaf(async |world| {
        let pull = world
            .request("ada", "db/ada-look", &grant("ada", "readonly", "2h"))
            .await;
        world.approve(pull, "grace").await;
        govern(world, "forbid (principal;").await;
        let pull = world
            .request("mei", "db/mei-look", &grant("mei", "readonly", "2h"))
            .await;
        assert_eq!(world.check(pull).title, "Denied: policy-broken");
        world.advance(TimeDelta::minutes(120)).await;
        assert!(world.holders("reader").is_empty());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn membership_of_a_team_that_a_policy_mentions_is_read_when_it_counts() {
    hearing_and_deaf(async |world| {
        world.sandbox.team("trained", &["mei"]);
        let policies = format!(
            "{BASELINE}@id(\"train\")\n@message(\"Train first.\")\nforbid (principal, action, resource)\nunless {{ principal in Team::\"acme/trained\" }};\n{}",
            AUTO.replace("principal is Person", "principal")
        );
        govern(world, &policies).await;
        let ada = world
            .request("ada", "db/ada-look", &grant("ada", "readonly", "1h"))
            .await;
        assert_eq!(world.check(ada).title, "Denied: policy-forbids");
        let mei = world
            .request("mei", "db/mei-look", &grant("mei", "readonly", "1h"))
            .await;
        assert!(world.is_merged(mei), "{:?}", world.check(mei));
        assert_eq!(world.holders("reader"), ["mei"]);
    })
    .await;
}

/// Policies and cases that take long to judge, and are within every limit.
fn heavy() -> [Change; 3] {
    let chain = |n: usize| {
        (0..n)
            .map(|k| format!("context.minutes > 1{k:03}"))
            .collect::<Vec<_>>()
    };
    let policies: String = (0..30)
        .map(|n| forbid(&format!("x{n}"), &chain(60).join(" || ")))
        .collect();
    let case =
        "- { name: ada asks, action: request, person: ada, role: db/readonly, expect: allow }\n";
    let cases = |name: &str| {
        let path = format!("access/policies/{name}.test.yaml");
        Change::write(path, format!("cases:\n{}", case.repeat(340)))
    };
    let policies = format!("{BASELINE}{policies}");
    [
        Change::write("access/policies/heavy.cedar", policies),
        cases("one"),
        cases("two"),
    ]
}

/// What the worker does beside judging runs in the same task: ends that are due must not wait.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_waits_while_a_pull_request_is_judged_that_takes_long() {
    let world = World::hearing().await;
    world.propose("mallory", &heavy()).await;
    let (begun, done) = (Instant::now(), AtomicBool::new(false));
    let judge = async {
        let worker = world.service().worker();
        worker.run_once(Resync::Everything).await.unwrap();
        done.store(true, Ordering::Relaxed);
    };
    let beside = async {
        let mut longest = Duration::ZERO;
        while !done.load(Ordering::Relaxed) {
            let before = Instant::now();
            tokio::time::sleep(Duration::from_millis(1)).await;
            longest = longest.max(before.elapsed());
        }
        longest
    };
    let ((), longest) = tokio::join!(judge, beside);
    let whole = begun.elapsed();
    assert!(longest * 4 < whole, "{longest:?} of {whole:?}");
}
