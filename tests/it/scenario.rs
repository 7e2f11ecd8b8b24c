//! The life of a request, told in sentences. Every scenario runs twice, hearing and deaf, and must end in the same world.

mod leaver;
mod renewal;
mod service;

use std::sync::Arc;

use chrono::TimeDelta;
use hallpass::clock::Clock as _;
use hallpass::domain::model::ConnectionName;
use hallpass::sandbox::{Change, Down, MergeMethod, Verdict};
use hallpass::store::Wake;
use hallpass::worker::Resync;
use sqlx::Connection as _;

use crate::vault::Fault;
use crate::world::{Ears, REPO, World, at_every_wait, file, grant, killed_at};

fn hours(n: i64) -> TimeDelta {
    TimeDelta::hours(n)
}

fn minutes(n: i64) -> TimeDelta {
    TimeDelta::minutes(n)
}

/// Runs a scenario with and without webhooks; both worlds must be equal at the end, and nobody broke GitHub's contract.
pub async fn hearing_and_deaf(scenario: impl AsyncFn(&mut World)) {
    hearing_and_deaf_with("", scenario).await;
}

/// [`hearing_and_deaf`], with lines for the `[github]` table of the configuration.
pub async fn hearing_and_deaf_with(github: &str, scenario: impl AsyncFn(&mut World)) {
    let mut ends = Vec::new();
    for ears in [Ears::Hearing, Ears::Deaf] {
        let mut world = World::new(ears, github).await;
        scenario(&mut world).await;
        // The tick comes to those who hear as well.
        world.resync().await;
        world.assert_contract();
        ends.push(world.summary().await);
    }
    assert_eq!(ends[0], ends[1], "hearing and deaf end in different worlds");
}

#[tokio::test(flavor = "multi_thread")]
async fn access_ends_on_time_and_is_tidied_up() {
    hearing_and_deaf(async |world| {
        let pull = world
            .request("ada", "db/ada-incident", &grant("ada", "readonly", "2h"))
            .await;
        assert_eq!(world.conclusion(pull), "in_progress");
        assert!(
            world.check(pull).title.contains("@acme/dba"),
            "{}",
            world.check(pull).title
        );
        assert!(world.holders("reader").is_empty());

        world.approve(pull, "grace").await;
        assert!(world.is_merged(pull), "{:?}", world.check(pull));
        assert_eq!(world.conclusion(pull), "success");
        assert_eq!(world.holders("reader"), ["ada"]);

        world.advance(minutes(119)).await;
        assert_eq!(world.holders("reader"), ["ada"]);
        world.advance(minutes(1)).await;
        assert!(world.holders("reader").is_empty());

        world.advance(minutes(1)).await;
        assert!(
            world
                .sandbox
                .file(REPO, "main", &file("db/ada-incident"))
                .is_none()
        );
        assert!(world.open_pulls().is_empty());
        assert_eq!(world.ledger().await, ["db/ada-incident ended"]);
        let kinds = ["requested", "approved", "granted", "revoked", "reverted"];
        assert_eq!(
            kinds.map(|k| world.told(k).len()),
            [1; 5],
            "{:#?}",
            world.evidence()
        );
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_term_that_is_too_long_is_refused_at_its_line_and_can_be_corrected() {
    hearing_and_deaf(async |world| {
        let pull = world
            .request("ada", "db/ada-incident", &grant("ada", "readonly", "12h"))
            .await;
        let check = world.check(pull);
        assert_eq!(check.conclusion.as_deref(), Some("failure"));
        assert_eq!(check.annotations[0]["path"], file("db/ada-incident"));
        assert_eq!(check.annotations[0]["start_line"], 3);
        assert_eq!(check.annotations[0]["title"], "term-too-long");

        world.approve(pull, "grace").await;
        assert!(!world.is_merged(pull));
        world
            .push(
                "ada",
                pull,
                "db/ada-incident",
                &grant("ada", "readonly", "8h"),
            )
            .await;
        assert_eq!(
            world.conclusion(pull),
            "in_progress",
            "the approval was of other content"
        );
        world.approve(pull, "grace").await;
        assert_eq!(world.holders("reader"), ["ada"]);
        assert_eq!(world.told("denied").len(), 1);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn approvals_that_do_not_count_grant_nothing() {
    hearing_and_deaf(async |world| {
        // By somebody who owns nothing there.
        let pull = world
            .request("ada", "db/ada-incident", &grant("ada", "readonly", "2h"))
            .await;
        world.approve(pull, "mallory").await;
        assert_eq!(world.conclusion(pull), "in_progress");
        // By the one who receives the access, on somebody else's pull request.
        let pull = world
            .request(
                "ada",
                "db/grace-incident",
                &grant("grace", "readonly", "2h"),
            )
            .await;
        world.approve(pull, "grace").await;
        assert_eq!(world.conclusion(pull), "in_progress");
        // By an owner who pushed to it.
        let pull = world
            .request("ada", "db/ada-second", &grant("ada", "admin", "1h"))
            .await;
        world
            .push("linus", pull, "db/ada-second", &grant("ada", "admin", "2h"))
            .await;
        world.approve(pull, "linus").await;
        world.approve(pull, "grace").await;
        assert_eq!(
            world.conclusion(pull),
            "failure",
            "two are needed, and only one owner did not push"
        );
        assert_eq!(world.vault.calls(), 0);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_owner_who_left_the_team_no_longer_counts() {
    hearing_and_deaf(async |world| {
        let pull = world
            .request("ada", "db/ada-incident", &grant("ada", "admin", "2h"))
            .await;
        world.approve(pull, "grace").await;
        world.sandbox.leave_team("grace", "dba");
        world.settle().await;
        world.approve(pull, "linus").await;
        assert_eq!(
            world.conclusion(pull),
            "failure",
            "two are needed, and only one owner is left"
        );
        world.merge_as_admin(pull, MergeMethod::Merge).await;
        assert_eq!(world.vault.calls(), 0);
        assert_eq!(world.told("merged-without-proof").len(), 1);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_owners_are_needed_where_the_role_says_so() {
    hearing_and_deaf(async |world| {
        let pull = world
            .request("ada", "db/ada-migration", &grant("ada", "admin", "2h"))
            .await;
        world.approve(pull, "grace").await;
        assert!(!world.is_merged(pull));
        world.approve(pull, "linus").await;
        assert_eq!(world.holders("admin"), ["ada"]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_administrators_merge_without_approval_grants_nothing_and_is_reverted() {
    for method in [MergeMethod::Merge, MergeMethod::Squash, MergeMethod::Rebase] {
        hearing_and_deaf(async |world| {
            let pull = world
                .request("ada", "db/ada-incident", &grant("ada", "readonly", "2h"))
                .await;
            world.merge_as_admin(pull, method).await;
            assert_eq!(world.vault.calls(), 0);
            assert_eq!(world.told("merged-without-proof").len(), 1);
            // An approval that comes after the merge heals nothing.
            world.approve(pull, "grace").await;
            world.advance(minutes(5)).await;
            assert_eq!(world.vault.calls(), 0);
            assert!(
                world
                    .sandbox
                    .file(REPO, "main", &file("db/ada-incident"))
                    .is_none(),
                "reverted"
            );
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_approved_request_is_granted_however_people_merge_it() {
    for method in [MergeMethod::Merge, MergeMethod::Squash, MergeMethod::Rebase] {
        hearing_and_deaf_with("merge = \"off\"", async |world| {
            let pull = world
                .request("ada", "db/ada-incident", &grant("ada", "readonly", "2h"))
                .await;
            world
                .push(
                    "ada",
                    pull,
                    "db/ada-incident",
                    &grant("ada", "readonly", "3h"),
                )
                .await;
            world.approve(pull, "grace").await;
            assert!(!world.is_merged(pull), "people merge here");
            world.merge_as_admin(pull, method).await;
            assert_eq!(
                world.holders("reader"),
                ["ada"],
                "{method:?} {:#?}",
                world.evidence()
            );
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_push_to_main_grants_nothing_and_is_reverted() {
    hearing_and_deaf(async |world| {
        let text = grant("mallory", "readonly", "2h").replace("mallory", "ada");
        world
            .sandbox
            .push_to_main(
                "mallory",
                REPO,
                &[Change::write(file("db/ada-incident"), text)],
                "quick",
            )
            .unwrap();
        world.settle().await;
        // The forge gets time to say that it was a pull request after all.
        world.advance(minutes(3)).await;
        world.advance(minutes(3)).await;
        assert_eq!(world.vault.calls(), 0);
        assert_eq!(world.told("merged-without-proof").len(), 1);
        assert!(
            world
                .sandbox
                .file(REPO, "main", &file("db/ada-incident"))
                .is_none(),
            "reverted"
        );
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn expiry_needs_no_forge() {
    for down in [Down::Unavailable, Down::Refused] {
        hearing_and_deaf(async |world| {
            let pull = world
                .request("ada", "db/ada-incident", &grant("ada", "readonly", "2h"))
                .await;
            world.approve(pull, "grace").await;
            assert_eq!(world.holders("reader"), ["ada"]);
            world.sandbox.down(down);
            world.clock.advance(hours(2));
            world
                .service()
                .worker()
                .run_once(Resync::Everything)
                .await
                .unwrap();
            assert!(world.holders("reader").is_empty());
            // What could not be said meanwhile is said later.
            world.sandbox.down(Down::No);
            world.advance(minutes(10)).await;
            world.advance(minutes(10)).await;
            assert_eq!(world.told("revoked").len(), 1);
            assert!(
                world
                    .sandbox
                    .file(REPO, "main", &file("db/ada-incident"))
                    .is_none()
            );
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn overlapping_grants_hold_the_access_until_the_last_one_ends() {
    hearing_and_deaf(async |world| {
        let first = world
            .request("ada", "db/ada-first", &grant("ada", "readonly", "2h"))
            .await;
        world.approve(first, "grace").await;
        world.advance(hours(1)).await;
        // The same subject and role twice is refused as a request, so the second comes by other terms of the same file.
        world
            .propose(
                "ada",
                &[Change::write(
                    file("db/ada-first"),
                    grant("ada", "readonly", "4h").replace("look wrong", "still look wrong"),
                )],
            )
            .await;
        let second = world.sandbox.pulls(REPO).last().unwrap().number;
        world.approve(second, "grace").await;
        assert_eq!(
            world.vault.effects(),
            ["+reader ada"],
            "a renewal leaves no gap"
        );
        world.advance(hours(2)).await;
        assert_eq!(
            world.holders("reader"),
            ["ada"],
            "the first term is over, the second is not"
        );
        world.advance(hours(2)).await;
        assert!(world.holders("reader").is_empty());
        assert_eq!(world.vault.effects(), ["+reader ada", "-reader ada"]);
        assert_eq!(world.told("renewed").len(), 1);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn scheduled_access_begins_at_its_time_and_not_before() {
    hearing_and_deaf(async |world| {
        let text = format!(
            "{}starts: 2026-11-23T12:00:00Z\n",
            grant("ada", "readonly", "2h")
        );
        let pull = world.request("ada", "db/ada-night", &text).await;
        world.approve(pull, "grace").await;
        assert!(world.is_merged(pull));
        world.advance(minutes(179)).await;
        assert!(world.holders("reader").is_empty());
        world.advance(minutes(1)).await;
        assert_eq!(world.holders("reader"), ["ada"]);
        world.advance(hours(2)).await;
        assert!(world.holders("reader").is_empty());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn scheduled_access_whose_approver_left_before_it_began_is_not_given() {
    hearing_and_deaf(async |world| {
        let text = format!(
            "{}starts: 2026-11-23T12:00:00Z\n",
            grant("ada", "readonly", "2h")
        );
        let pull = world.request("ada", "db/ada-night", &text).await;
        world.approve(pull, "grace").await;
        world.sandbox.leave_team("grace", "dba");
        world.advance(hours(3)).await;
        assert_eq!(world.vault.calls(), 0);
        assert_eq!(world.ledger().await, ["db/ada-night ended"]);
        assert!(
            world.told("cancelled")[0].contains("approval-lost"),
            "{:?}",
            world.told("cancelled")
        );
        assert!(world.told("merged-without-proof").is_empty());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_holder_can_end_access_early_without_anybodys_approval() {
    hearing_and_deaf(async |world| {
        let pull = world
            .request("ada", "db/ada-incident", &grant("ada", "readonly", "8h"))
            .await;
        world.approve(pull, "grace").await;
        world.advance(minutes(30)).await;
        let back = world
            .propose("ada", &[Change::delete(file("db/ada-incident"))])
            .await;
        assert!(world.is_merged(back), "{:?}", world.check(back));
        assert!(world.holders("reader").is_empty());
        assert!(
            world.told("revoked")[0].contains("withdrawn"),
            "{:?}",
            world.told("revoked")
        );
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn reverting_the_revert_grants_nothing_by_itself() {
    hearing_and_deaf(async |world| {
        let text = grant("ada", "readonly", "2h");
        let pull = world.request("ada", "db/ada-incident", &text).await;
        world.approve(pull, "grace").await;
        world.advance(hours(2)).await;
        world.advance(minutes(2)).await;
        let again = world.request("ada", "db/ada-incident", &text).await;
        assert_eq!(world.conclusion(again), "in_progress");
        world.merge_as_admin(again, MergeMethod::Merge).await;
        assert_eq!(world.vault.effects(), ["+reader ada", "-reader ada"]);
        // Through a new pull request with its own approval the path may be used again.
        world.advance(minutes(2)).await;
        let third = world.request("ada", "db/ada-incident", &text).await;
        world.approve(third, "linus").await;
        assert_eq!(world.holders("reader"), ["ada"]);
    })
    .await;
}

/// What ada had for two hours is over, and its file is proposed for removal.
async fn proposed(world: &World) {
    let pull = world
        .request("ada", "db/ada-incident", &grant("ada", "readonly", "2h"))
        .await;
    world.approve(pull, "grace").await;
    world.advance(hours(2)).await;
    world.advance(minutes(2)).await;
    assert_eq!(
        world.open_pulls(),
        ["Remove ended access: ada on db/readonly"]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn closing_the_revert_pull_request_never_restores_access() {
    hearing_and_deaf_with("merge = \"auto\"\nmerge_reverts = false", async |world| {
        proposed(world).await;
        let revert = world.sandbox.pulls(REPO).last().unwrap().number;
        assert_eq!(
            world.conclusion(revert),
            "success",
            "it needs nobody's approval"
        );
        world.sandbox.close_pull("mallory", REPO, revert).unwrap();
        for _ in 0..3 {
            world.advance(minutes(10)).await;
        }
        assert!(world.holders("reader").is_empty());
        assert!(
            world.open_pulls().is_empty(),
            "the same thing is not asked twice"
        );
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_proposed_already_is_not_read_to_find_whether_it_is_due() {
    let world = World::new(Ears::Hearing, "merge = \"auto\"\nmerge_reverts = false").await;
    proposed(&world).await;
    let file = format!("sqlite://{}", world.data().join("hallpass.db").display());
    let mut raw = sqlx::SqliteConnection::connect(&file).await.unwrap();
    let damage = sqlx::query("UPDATE ledger SET entry = '{'");
    damage.execute(&mut raw).await.unwrap();
    // What cannot be read is an error to whoever reads it.
    let reconciler = world.service().worker().reconciler();
    assert!(!reconciler.reverts_are_due().await.unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_target_that_is_down_at_the_end_is_asked_for_ever() {
    hearing_and_deaf(async |world| {
        let pull = world
            .request("ada", "db/ada-incident", &grant("ada", "readonly", "2h"))
            .await;
        world.approve(pull, "grace").await;
        world.vault.down(true);
        world.advance(hours(2)).await;
        for _ in 0..40 {
            world.advance(minutes(5)).await;
        }
        let entry = world.entries().await.remove(0);
        assert_eq!(entry.state.as_str(), "revoking");
        assert!(entry.attempts >= 40, "{} attempts", entry.attempts);
        assert!(
            world
                .sandbox
                .file(REPO, "main", &file("db/ada-incident"))
                .is_some(),
            "not tidied while it may be held"
        );
        world.vault.down(false);
        world.advance(minutes(5)).await;
        assert!(world.holders("reader").is_empty());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failure_that_hides_an_effect_is_settled_by_asking_again() {
    hearing_and_deaf(async |world| {
        world.vault.fail([Fault::After, Fault::Before]);
        let pull = world
            .request("ada", "db/ada-incident", &grant("ada", "readonly", "2h"))
            .await;
        world.approve(pull, "grace").await;
        world.advance(minutes(1)).await;
        world.advance(minutes(1)).await;
        assert_eq!(world.told("granted").len(), 1);
        world.vault.fail([Fault::After]);
        world.advance(hours(2)).await;
        world.advance(minutes(1)).await;
        assert_eq!(world.vault.effects(), ["+reader ada", "-reader ada"]);
        assert_eq!(world.told("revoked").len(), 1);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_removal_that_failed_while_the_clock_was_ahead_does_not_wait_until_then() {
    hearing_and_deaf(async |world| {
        let pull = world
            .request("ada", "db/ada-incident", &grant("ada", "readonly", "2h"))
            .await;
        world.approve(pull, "grace").await;
        world.vault.down(true);
        world.advance(hours(24)).await;
        assert_eq!(world.ledger().await, ["db/ada-incident revoking"]);
        world.clock.advance(-hours(21));
        world.vault.down(false);
        world.advance(minutes(10)).await;
        assert!(world.holders("reader").is_empty());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn access_that_somebody_gave_by_hand_is_not_taken_over() {
    hearing_and_deaf(async |world| {
        world.vault.give_by_hand("reader", "ada");
        let pull = world
            .request("ada", "db/ada-incident", &grant("ada", "readonly", "2h"))
            .await;
        world.approve(pull, "grace").await;
        assert_eq!(world.told("blocked").len(), 1);
        world.advance(hours(3)).await;
        assert_eq!(
            world.holders("reader"),
            ["ada"],
            "only our own is ever removed"
        );
        assert_eq!(world.vault.calls(), 0);
        assert_eq!(world.told("cancelled").len(), 1);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_happened_while_the_service_was_off_is_made_up_for() {
    hearing_and_deaf(async |world| {
        let pull = world
            .request("ada", "db/ada-incident", &grant("ada", "readonly", "2h"))
            .await;
        world.stop().await;
        world
            .sandbox
            .review("grace", REPO, pull, Verdict::Approve, "yes")
            .unwrap();
        world
            .sandbox
            .merge_as_admin("root", REPO, pull, MergeMethod::Merge)
            .unwrap();
        world.sandbox.settle().await;
        world.start().await;
        world.resync().await;
        assert_eq!(world.holders("reader"), ["ada"]);
        assert_eq!(
            world.told("requested").len() + world.told("approved").len(),
            2
        );

        world.stop().await;
        world.clock.advance(hours(9));
        world.start().await;
        world
            .service()
            .worker()
            .run_once(Resync::QueueOnly)
            .await
            .unwrap();
        assert!(
            world.holders("reader").is_empty(),
            "overdue removals come before anything else"
        );
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rewritten_main_stops_granting_and_not_revoking() {
    hearing_and_deaf(async |world| {
        let pull = world
            .request("ada", "db/ada-incident", &grant("ada", "readonly", "2h"))
            .await;
        let first = crate::world::main_tip(world);
        world.approve(pull, "grace").await;
        let seen = crate::world::main_tip(world);
        world
            .sandbox
            .force_push(
                "root",
                REPO,
                "main",
                first.as_str(),
                &[Change::write("README.md", "other")],
                "rewrite",
            )
            .unwrap();
        world.settle().await;
        assert_eq!(
            world.holders("reader"),
            ["ada"],
            "a missing file is not believed to be a removal"
        );
        let second = world
            .request(
                "linus",
                "db/linus-incident",
                &grant("linus", "readonly", "1h"),
            )
            .await;
        world.approve(second, "grace").await;
        assert_eq!(world.holders("reader"), ["ada"], "nothing new is granted");
        world.advance(hours(2)).await;
        assert!(world.holders("reader").is_empty());
        // The way out: the branch holds again what was seen on it.
        world
            .sandbox
            .force_push(
                "root",
                REPO,
                "main",
                seen.as_str(),
                &[Change::write("README.md", "restored")],
                "restore",
            )
            .unwrap();
        world.advance(minutes(10)).await;
        let third = world
            .request("mei", "db/mei-incident", &grant("mei", "readonly", "1h"))
            .await;
        world.approve(third, "grace").await;
        assert_eq!(world.holders("reader"), ["mei"], "granting goes on");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_emptied_repository_is_not_believed_and_due_ends_still_come() {
    hearing_and_deaf(async |world| {
        for login in ["ada", "linus", "mei", "grace"] {
            for role in ["readonly", "admin"] {
                let name = format!("db/{login}-{role}");
                let pull = world
                    .request("root", &name, &grant(login, role, "2h"))
                    .await;
                for owner in ["grace", "linus"].iter().filter(|o| **o != login) {
                    world.approve(pull, owner).await;
                }
            }
        }
        let held = world.holders("reader").len() + world.holders("admin").len();
        assert!(held >= 6, "{held}");
        let all: Vec<Change> = world
            .entries()
            .await
            .iter()
            .map(|e| Change::delete(e.path.as_str()))
            .collect();
        world
            .sandbox
            .push_to_main("mallory", REPO, &all, "oops")
            .unwrap();
        world.settle().await;
        assert_eq!(
            world.holders("reader").len() + world.holders("admin").len(),
            held,
            "held back"
        );
        world.advance(hours(3)).await;
        assert!(world.holders("reader").is_empty() && world.holders("admin").is_empty());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_emptied_repository_is_not_believed_though_each_system_lost_little() {
    hearing_and_deaf(async |world| {
        let people = ["ada", "linus", "mei"];
        for login in people {
            for (resource, role) in [("db", "readonly"), ("crew", "reader")] {
                let name = format!("{resource}/{login}-{role}");
                let pull = world
                    .request("root", &name, &grant(login, role, "2h"))
                    .await;
                world.approve(pull, "grace").await;
            }
        }
        let held = |world: &World| {
            let members = world.sandbox.team_members("readers").len();
            (world.holders("reader").len(), members)
        };
        assert_eq!(held(world), (3, 3));
        let entries = world.entries().await;
        let all: Vec<Change> = entries
            .iter()
            .map(|e| Change::delete(e.path.as_str()))
            .collect();
        let pushed = world.sandbox.push_to_main("mallory", REPO, &all, "oops");
        pushed.unwrap();
        world.settle().await;
        assert_eq!(held(world), (3, 3), "held back");
        world.advance(hours(3)).await;
        assert_eq!(held(world), (0, 0), "due by time");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn doubled_and_reordered_webhooks_change_nothing() {
    let mut ends = Vec::new();
    for disorder in [false, true] {
        let world = World::hearing().await;
        world.sandbox.duplicate(disorder);
        world.sandbox.reorder(disorder);
        let pull = world
            .request("ada", "db/ada-incident", &grant("ada", "readonly", "2h"))
            .await;
        world.approve(pull, "grace").await;
        world.advance(hours(2)).await;
        world.advance(minutes(2)).await;
        ends.push(world.summary().await);
    }
    assert_eq!(ends[0], ends[1]);
}

#[tokio::test(flavor = "multi_thread")]
async fn team_membership_comes_with_the_merge_and_goes_with_the_time() {
    hearing_and_deaf(async |world| {
        let members = |world: &World| -> Vec<String> {
            world
                .sandbox
                .team_members("readers")
                .into_iter()
                .map(|(login, _)| login)
                .collect()
        };
        let pull = world
            .request("ada", "crew/ada-mail", &grant("ada", "reader", "1d"))
            .await;
        world.approve(pull, "grace").await;
        assert_eq!(members(world), ["ada"]);
        world.advance(hours(24)).await;
        assert!(members(world).is_empty());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn evidence_that_the_remote_refuses_is_pushed_again() {
    hearing_and_deaf(async |world| {
        world.sandbox.reject_pushes(Some("not now"));
        let pull = world
            .request("ada", "db/ada-incident", &grant("ada", "readonly", "2h"))
            .await;
        world.approve(pull, "grace").await;
        assert_eq!(world.holders("reader"), ["ada"]);
        assert!(world.evidence().is_empty());
        world.sandbox.reject_pushes(None);
        world.advance(minutes(5)).await;
        assert_eq!(world.told("granted").len(), 1);
        assert_eq!(world.told("approved").len(), 1);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pull_request_that_changes_owners_and_asks_for_access_is_refused() {
    hearing_and_deaf(async |world| {
        let changes = [
            Change::write(".github/CODEOWNERS", "* @mallory\n"),
            Change::write(file("db/ada-incident"), grant("ada", "readonly", "2h")),
        ];
        let pull = world.propose("mallory", &changes).await;
        assert_eq!(world.conclusion(pull), "failure");
        world.merge_as_admin(pull, MergeMethod::Merge).await;
        assert_eq!(world.vault.calls(), 0);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_server_cannot_give_is_refused_before_anybody_approves_it() {
    hearing_and_deaf(async |world| {
        let pull = world
            .request("ada", "nowhere/ada-mail", &grant("ada", "reader", "1d"))
            .await;
        let check = world.check(pull);
        assert_eq!(check.conclusion.as_deref(), Some("failure"));
        assert_eq!(check.annotations[0]["title"], "unknown-connection");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_storm_of_pull_requests_does_not_hold_up_what_was_merged() {
    let world = World::new(Ears::Hearing, "merge = \"off\"").await;
    let mut pulls = Vec::new();
    for n in 0..20 {
        let text = grant("ada", "readonly", "2h");
        pulls.push(world.request("ada", &format!("db/ada-{n}"), &text).await);
    }
    world.approve(pulls[0], "grace").await;
    // Everything is to be looked at again, and then something merges.
    let storm: Vec<Wake> = pulls.iter().map(|number| Wake::Pull(*number)).collect();
    let store = world.service().store();
    store.wake(&storm, world.clock.now()).await.unwrap();
    world.clock.advance(TimeDelta::seconds(1));
    world
        .sandbox
        .merge_as_admin("root", REPO, pulls[0], MergeMethod::Merge)
        .unwrap();
    world.sandbox.settle().await;
    let looked_at = world.service().worker().work_off().await.unwrap();
    assert_eq!(world.holders("reader"), ["ada"]);
    assert!(looked_at < pulls.len(), "{looked_at} in one round");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_life_costs_few_calls_of_the_forge() {
    few_calls("", 30).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn labels_cost_a_life_few_calls_more() {
    few_calls("[notices]\nlabels = true\n", 40).await;
}

async fn few_calls(github: &str, most: u64) {
    cost_at_most(&World::new(Ears::Hearing, github).await, most).await;
}

/// Plays a life, from the request to tidying up, and counts the calls of the forge.
pub async fn cost_at_most(world: &World, most: u64) {
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
    assert!(total <= most, "{total} calls: {calls:#?}");
}

/// Where a scenario is when it is crashed.
#[derive(Debug, Clone, Copy)]
enum Moment {
    Merged,
    Over,
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_at_any_wait_while_granting_ends_in_the_same_world() {
    crash_everywhere(Moment::Merged).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_at_any_wait_while_revoking_ends_in_the_same_world() {
    crash_everywhere(Moment::Over).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_perhaps_given_goes_with_its_approval_wherever_the_service_is_killed() {
    let vault = ConnectionName::new("vault").unwrap();
    at_every_wait(1000, async |at| {
        let mut world = World::hearing().await;
        world.vault.fail([Fault::After]);
        let pull = world
            .request("ada", "db/ada-incident", &grant("ada", "readonly", "2h"))
            .await;
        world.approve(pull, "grace").await;
        assert_eq!(world.ledger().await, ["db/ada-incident granting"]);
        world.sandbox.leave_team("grace", "dba");
        world.sandbox.settle().await;
        world.clock.advance(minutes(1));
        let worker = Arc::clone(world.service().worker());
        let outcome = worker.reconciler().main().await.unwrap();
        let pass = worker.reconciler().settle(&vault, &outcome.look);
        let finished = killed_at(at, pass).await.is_some();
        drop(worker);
        world.start().await;
        world.resync().await;
        world.advance(minutes(10)).await;
        assert_eq!(
            world.vault.effects(),
            ["+reader ada", "-reader ada"],
            "killed at wait {at}"
        );
        finished
    })
    .await;
}

/// Crashes one pass of the worker at its first wait, at its second, ... until it finishes without a crash; after each, the
/// service is started again, and the world must become what it becomes without a crash, each effect once.
async fn crash_everywhere(moment: Moment) {
    let calm = run_with_crash(moment, usize::MAX)
        .await
        .expect("does not crash")
        .1;
    at_every_wait(24, async |at| {
        let Some((finished, end)) = run_with_crash(moment, at).await else {
            panic!("no end")
        };
        assert_eq!(end, calm, "crashed at wait {at}");
        finished
    })
    .await;
}

async fn run_with_crash(moment: Moment, at: usize) -> Option<(bool, String)> {
    let mut world = World::new(Ears::Hearing, "merge = \"off\"\nmerge_reverts = true").await;
    let pull = world
        .request("ada", "db/ada-incident", &grant("ada", "readonly", "2h"))
        .await;
    world.approve(pull, "grace").await;
    match moment {
        Moment::Merged => drop(
            world
                .sandbox
                .merge_as_admin("root", REPO, pull, MergeMethod::Merge)
                .unwrap(),
        ),
        Moment::Over => {
            world.merge_as_admin(pull, MergeMethod::Merge).await;
            world.clock.advance(hours(2));
        }
    }
    world.sandbox.settle().await;
    let finished = world.crashed_at(at).await;
    world.advance(minutes(10)).await;
    let effects = world.vault.effects();
    match moment {
        Moment::Merged => assert_eq!(effects, ["+reader ada"], "crashed at wait {at}"),
        Moment::Over => assert_eq!(
            effects,
            ["+reader ada", "-reader ada"],
            "crashed at wait {at}"
        ),
    }
    let evidence = world.evidence();
    let keys: std::collections::BTreeSet<_> = evidence
        .iter()
        .flat_map(|m| {
            m.lines()
                .find(|l| l.starts_with("Event-Key:"))
                .map(str::to_owned)
        })
        .collect();
    let events = evidence.iter().filter(|m| m.contains("Event-Key:")).count();
    assert_eq!(keys.len(), events, "an event stands twice");
    Some((finished, world.summary().await))
}

#[tokio::test(flavor = "multi_thread")]
async fn of_one_merge_each_begins_at_its_own_time_whatever_was_given_before() {
    hearing_and_deaf(async |world| {
        let starts = |login, hour| {
            let name = format!("db/{login}-shift");
            let text =
                grant(login, "readonly", "8h") + &format!("starts: 2026-11-23T{hour}:00:00Z\n");
            Change::write(file(&name), text)
        };
        let pull = world
            .propose("ada", &[starts("ada", 11), starts("linus", 13)])
            .await;
        world.approve(pull, "grace").await;
        world.vault.down(true);
        world.advance(TimeDelta::hours(2)).await;
        assert!(world.holders("reader").is_empty());
        world.vault.down(false);
        world.advance(TimeDelta::minutes(30)).await;
        assert_eq!(world.holders("reader"), ["ada"]);
        world.vault.down(true);
        world.advance(TimeDelta::minutes(90)).await;
        world.vault.down(false);
        world.advance(TimeDelta::minutes(30)).await;
        assert_eq!(world.holders("reader"), ["ada", "linus"]);
    })
    .await;
}
