//! Break-glass, told in sentences: given at once, loud, reviewed afterwards by an owner, and not given twice before that.

use chrono::TimeDelta;
use hallpass::domain::model::PullNumber;
use hallpass::sandbox::{Change, MergeMethod, Verdict};

use crate::scenario::{hearing_and_deaf, hearing_and_deaf_with};
use crate::world::{Ears, REPO, World, at_every_wait, file, grant};

/// `db` with an admin role that ada and mei may have for an hour without anybody, and a readonly role that one owner of two gives.
const DB: &str = "\
description: The orders database, production
risk: critical
provider: vault
roles:
  readonly:
    description: SELECT on every table
    entitlement: { role: reader }
    max_duration: 8h
    approvals: 2
    emergency: { approvals: 1, max_duration: 2h, review_within: 2d }
  admin:
    description: Schema changes
    entitlement: { role: admin }
    max_duration: 2h
    approvals: 2
    emergency: { approvals: 0, max_duration: 1h, review_within: 24h, people: [ada, mei] }
";

fn hours(n: i64) -> TimeDelta {
    TimeDelta::hours(n)
}

fn minutes(n: i64) -> TimeDelta {
    TimeDelta::minutes(n)
}

pub async fn offer(world: &World) {
    let change = Change::write("access/resources/db.yaml", DB);
    world.decree(&[change]).await;
}

fn emergency(person: &str, role: &str, duration: &str) -> String {
    format!("{}emergency: true\n", grant(person, role, duration))
}

/// ada breaks the glass for an hour of db/admin.
pub async fn ada_breaks_the_glass(world: &World) -> PullNumber {
    let text = emergency("ada", "admin", "1h");
    world.request("ada", "db/ada-outage", &text).await
}

/// The newest pull request whose title begins like this.
fn newest(world: &World, title: &str) -> PullNumber {
    let pulls = world.sandbox.pulls(REPO);
    let found = pulls.iter().rev().find(|p| p.title.starts_with(title));
    found
        .unwrap_or_else(|| panic!("no {title:?}: {pulls:?}"))
        .number
}

pub fn review_of_ada(world: &World) -> PullNumber {
    newest(world, "Review break-glass: ada on db/admin")
}

fn records(world: &World) -> Vec<String> {
    let tip = crate::world::main_tip(world);
    let git = git2::Repository::open(world.sandbox.repository_path(REPO)).unwrap();
    let commit = git
        .find_commit(git2::Oid::from_str(tip.as_str()).unwrap())
        .unwrap();
    let mut found = Vec::new();
    commit
        .tree()
        .unwrap()
        .walk(git2::TreeWalkMode::PreOrder, |folder, entry| {
            if folder.starts_with("access/emergencies/")
                && entry.kind() == Some(git2::ObjectType::Blob)
            {
                let blob = git.find_blob(entry.id()).unwrap();
                found.push(String::from_utf8(blob.content().to_vec()).unwrap());
            }
            git2::TreeWalkResult::Ok
        })
        .unwrap();
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn glass_is_broken_at_once_reviewed_afterwards_and_may_then_be_broken_again() {
    hearing_and_deaf(async |world| {
        offer(world).await;
        let pull = ada_breaks_the_glass(world).await;
        assert!(world.is_merged(pull), "{:?}", world.check(pull));
        assert_eq!(world.holders("admin"), ["ada"]);
        let check = world.check(pull);
        assert!(check.title.starts_with("Break-glass: "), "{}", check.title);
        let said = check.summary;
        assert!(said.contains("**This is break-glass.**"), "{said}");
        assert!(said.contains("@acme/dba will review it within 1d of the merge"), "{said}");

        let review = review_of_ada(world);
        let check = world.check(review);
        assert_eq!(
            check.title,
            "Break-glass by ada on db/admin: waiting for @acme/dba to review until 2026-11-24 09:00 UTC"
        );
        let body = world.sandbox.pull(REPO, review).body;
        for told in ["@acme/dba", "The orders of some customers look wrong today", "2026-11-24 09:00 UTC"] {
            assert!(body.contains(told), "{told}: {body}");
        }
        let granted = world.evidence().into_iter().find(|m| m.contains("Event: granted\n")).unwrap();
        assert!(granted.starts_with("Break-glass: ada on db/admin until"), "{granted}");
        assert!(granted.contains("\nBasis: emergency\n"), "{granted}");

        world.advance(hours(1)).await;
        assert!(world.holders("admin").is_empty(), "it ends on time");
        world.advance(minutes(2)).await;
        assert!(world.sandbox.file(REPO, "main", &file("db/ada-outage")).is_none(), "tidied");

        let text = emergency("ada", "admin", "30m");
        let second = world.request("ada", "db/ada-again", &text).await;
        assert_eq!(world.conclusion(second), "failure");
        let check = world.check(second);
        assert_eq!(check.title, "Denied: emergency-unreviewed");
        assert!(check.summary.contains(&format!("#{review}")), "{}", check.summary);

        world.approve(review, "grace").await;
        assert!(world.is_merged(review), "{:?}", world.check(review));
        assert_eq!(world.told("reviewed"), ["Reviewed: grace signs for ada on db/admin"]);
        assert_eq!(records(world).len(), 1, "the record stays");

        world.resync().await;
        world.push("ada", second, "db/ada-again", &emergency("ada", "admin", "20m")).await;
        assert!(world.is_merged(second), "{:?}", world.check(second));
        assert_eq!(world.vault.effects(), ["+admin ada", "-admin ada", "+admin ada"]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_who_is_listed_breaks_the_glass_and_only_for_themself() {
    hearing_and_deaf(async |world| {
        offer(world).await;
        let cases = [
            ("linus", "db/linus-outage", "linus", "emergency-not-listed"),
            ("mallory", "db/ada-outage", "ada", "emergency-for-another"),
            ("grace", "db/mei-outage", "mei", "emergency-for-another"),
        ];
        for (author, name, person, rule) in cases {
            let text = emergency(person, "admin", "1h");
            let pull = world.request(author, name, &text).await;
            assert_eq!(world.check(pull).title, format!("Denied: {rule}"));
            world.merge_as_admin(pull, MergeMethod::Merge).await;
            world.advance(minutes(5)).await;
        }
        assert_eq!(world.vault.calls(), 0);
        assert_eq!(world.told("merged-without-proof").len(), 3);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn somebody_who_pushes_to_it_takes_it_out_of_the_persons_hands() {
    hearing_and_deaf_with("merge = \"off\"", async |world| {
        offer(world).await;
        let pull = ada_breaks_the_glass(world).await;
        assert_eq!(world.conclusion(pull), "success");
        let longer = emergency("ada", "admin", "50m");
        world.push("linus", pull, "db/ada-outage", &longer).await;
        assert_eq!(world.check(pull).title, "Denied: emergency-for-another");
        world.merge_as_admin(pull, MergeMethod::Merge).await;
        world.advance(minutes(5)).await;
        assert_eq!(world.vault.calls(), 0);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_owner_who_objects_keeps_the_glass_whole() {
    hearing_and_deaf_with("merge = \"off\"\nmerge_reverts = true", async |world| {
        offer(world).await;
        let pull = ada_breaks_the_glass(world).await;
        assert_eq!(world.conclusion(pull), "success");
        world
            .review(pull, "grace", Verdict::RequestChanges, "Call me first.")
            .await;
        assert_eq!(world.check(pull).title, "Blocked: @grace asked for changes");
        world.merge_as_admin(pull, MergeMethod::Merge).await;
        world.advance(minutes(5)).await;
        assert_eq!(world.vault.calls(), 0);
        assert_eq!(world.told("merged-without-proof").len(), 1);
        assert!(
            world.open_pulls().is_empty(),
            "nothing was given, so nothing is reviewed"
        );
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn where_one_owner_is_enough_in_an_emergency_one_is_demanded() {
    hearing_and_deaf(async |world| {
        offer(world).await;
        let text = emergency("linus", "readonly", "2h");
        let pull = world.request("mallory", "db/linus-outage", &text).await;
        assert_eq!(world.conclusion(pull), "in_progress");
        world.approve(pull, "linus").await;
        assert_eq!(world.conclusion(pull), "in_progress");
        world.approve(pull, "grace").await;
        assert_eq!(world.holders("reader"), ["linus"]);
        assert_eq!(world.check(pull).title, "Break-glass: approved by @grace");
        // Who approved beforehand may sign afterwards; who received it may not.
        let review = newest(world, "Review break-glass: linus on db/readonly");
        world.approve(review, "linus").await;
        assert!(!world.is_merged(review));
        world.approve(review, "grace").await;
        assert!(world.is_merged(review));
        assert_eq!(world.told("reviewed").len(), 1);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_emergency_that_an_administrator_merges_before_the_review_is_not_given() {
    hearing_and_deaf(async |world| {
        offer(world).await;
        ada_breaks_the_glass(world).await;
        let text = emergency("ada", "readonly", "1h");
        let second = world.request("ada", "db/ada-reads", &text).await;
        world.approve(second, "grace").await;
        assert!(!world.is_merged(second));
        world.merge_as_admin(second, MergeMethod::Merge).await;
        world.advance(minutes(5)).await;
        assert_eq!(world.vault.effects(), ["+admin ada"]);
        assert_eq!(world.told("merged-without-proof").len(), 1);
        // Without the glass it can be asked for all the same.
        let third = world
            .request("ada", "db/ada-asks", &grant("ada", "readonly", "1h"))
            .await;
        assert_eq!(world.conclusion(third), "in_progress");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_emergencies_merged_in_the_same_moment_one_is_given() {
    hearing_and_deaf_with("merge = \"off\"\nmerge_reverts = true", async |world| {
        offer(world).await;
        let first = ada_breaks_the_glass(world).await;
        let text = emergency("ada", "readonly", "1h");
        let second = world.request("ada", "db/ada-reads", &text).await;
        world.approve(second, "grace").await;
        for pull in [second, first] {
            assert_eq!(world.conclusion(pull), "success");
            world
                .sandbox
                .merge_as_admin("root", REPO, pull, MergeMethod::Merge)
                .unwrap();
        }
        world.settle().await;
        world.advance(minutes(2)).await;
        world.advance(minutes(2)).await;
        assert_eq!(
            world.vault.effects().len(),
            1,
            "{:?}",
            world.vault.effects()
        );
        assert_eq!(world.told("merged-without-proof").len(), 1);
        assert_eq!(world.told("granted").len(), 1);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_nobody_signed_in_time_is_raised_once_shown_red_and_can_still_be_signed() {
    hearing_and_deaf(async |world| {
        offer(world).await;
        ada_breaks_the_glass(world).await;
        let review = review_of_ada(world);
        world.advance(hours(23)).await;
        assert_eq!(world.conclusion(review), "in_progress");
        world.advance(hours(1)).await;
        world.resync().await;
        let check = world.check(review);
        assert_eq!(check.conclusion.as_deref(), Some("failure"));
        assert_eq!(
            check.title,
            "Overdue: break-glass by ada on db/admin was to be reviewed until 2026-11-24 09:00 UTC"
        );
        world.advance(hours(30)).await;
        world.resync().await;
        assert_eq!(world.told("review-overdue").len(), 1);
        assert_eq!(world.conclusion(review), "failure");

        world.approve(review, "linus").await;
        assert!(world.is_merged(review), "{:?}", world.check(review));
        assert_eq!(world.told("reviewed").len(), 1);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_review_that_somebody_closes_is_asked_for_again() {
    hearing_and_deaf(async |world| {
        offer(world).await;
        ada_breaks_the_glass(world).await;
        let review = review_of_ada(world);
        world.sandbox.close_pull("ada", REPO, review).unwrap();
        world.resync().await;
        let again = review_of_ada(world);
        assert_ne!(review, again);
        world.approve(again, "grace").await;
        assert!(world.is_merged(again), "{:?}", world.check(again));
        assert_eq!(world.told("reviewed").len(), 1);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_review_that_somebody_pushes_to_is_pushed_over_and_their_word_does_not_sign_it() {
    // Who hears sees what was pushed before it is pushed over; who is deaf does not. So the two tell different stories.
    for ears in [Ears::Hearing, Ears::Deaf] {
        let world = &World::new(ears, "").await;
        offer(world).await;
        ada_breaks_the_glass(world).await;
        let review = review_of_ada(world);
        let head = world.sandbox.pull(REPO, review).head_sha;
        let branch = world.sandbox.pull(REPO, review).head;
        let more = Change::write(file("db/mallory"), grant("ada", "admin", "2h"));
        world
            .sandbox
            .push("grace", REPO, &branch, &[more], "More")
            .unwrap();
        world.settle().await;
        world.resync().await;
        assert_eq!(world.sandbox.pull(REPO, review).head_sha, head);
        world.approve(review, "grace").await;
        assert!(!world.is_merged(review), "she pushed to it");
        world.approve(review, "linus").await;
        assert!(world.is_merged(review), "{:?}", world.check(review));
        assert_eq!(world.vault.effects(), ["+admin ada"]);
        world.assert_contract();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_review_that_an_administrator_merges_signs_nothing_and_is_asked_for_again() {
    for method in [MergeMethod::Merge, MergeMethod::Squash, MergeMethod::Rebase] {
        hearing_and_deaf(async |world| {
            offer(world).await;
            ada_breaks_the_glass(world).await;
            let review = review_of_ada(world);
            world.merge_as_admin(review, method).await;
            // An approval that comes after the merge signs nothing either.
            world.approve(review, "grace").await;
            world.resync().await;
            assert_eq!(world.told("review-unsigned").len(), 1);
            assert!(world.told("reviewed").is_empty());
            let again = review_of_ada(world);
            assert_ne!(review, again);
            let body = world.sandbox.pull(REPO, again).body;
            assert!(
                body.contains(&format!("#{review} was merged without an owner's approval")),
                "{body}"
            );

            world.approve(again, "grace").await;
            assert!(world.is_merged(again), "{:?}", world.check(again));
            assert_eq!(world.told("reviewed").len(), 1);
            let records = records(world);
            assert!(records[0].contains("attempt: 2\n"), "{records:?}");
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_by_hand_signs_nothing_and_one_that_is_wrong_is_refused() {
    hearing_and_deaf(async |world| {
        offer(world).await;
        ada_breaks_the_glass(world).await;
        let entry = world.entries().await.remove(0);
        let path = format!(
            "access/emergencies/db/ada-outage-{}.yaml",
            entry.arrival.commit.short()
        );
        let review = review_of_ada(world);
        let head = world.sandbox.pull(REPO, review).head;
        let right = world.sandbox.file(REPO, &head, &path).unwrap();
        let right = String::from_utf8(right).unwrap();
        let wrong = right.replace("db/admin", "db/readonly");
        let pull = world.propose("mei", &[Change::write(&path, wrong)]).await;
        assert_eq!(world.check(pull).title, "Denied: emergency-record");
        let unknown = path.replace("ada-outage", "ada-other");
        let text = right.replace("ada-outage", "ada-other");
        let pull = world.propose("mei", &[Change::write(&unknown, text)]).await;
        assert_eq!(world.check(pull).title, "Denied: emergency-record");
        // One that is right is a change like any other of the files that decide, and no signature.
        let pull = world.propose("mei", &[Change::write(&path, &right)]).await;
        world.approve(pull, "grace").await;
        assert_eq!(
            world.conclusion(pull),
            "in_progress",
            "the owners of access/ are asked"
        );
        world.merge_as_admin(pull, MergeMethod::Merge).await;
        world.resync().await;
        assert!(world.told("reviewed").is_empty());
        // What is asked for differs from what stands there now.
        let second = world.sandbox.file(REPO, &head, &path).unwrap();
        let second = String::from_utf8(second).unwrap();
        assert_eq!(second, format!("{right}attempt: 2\n"));
        world.approve(review, "grace").await;
        assert!(world.is_merged(review), "{:?}", world.check(review));
        assert_eq!(world.told("reviewed").len(), 1);
        let mixed = [
            Change::write(&unknown, "grant: x\n"),
            Change::write(file("db/mei-reads"), grant("mei", "readonly", "1h")),
        ];
        let pull = world.propose("mei", &mixed).await;
        assert!(world.check(pull).summary.contains("control-and-grants"));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn emergency_access_can_be_given_back_early_and_is_reviewed_all_the_same() {
    hearing_and_deaf(async |world| {
        offer(world).await;
        ada_breaks_the_glass(world).await;
        world.advance(minutes(10)).await;
        let back = world
            .propose("ada", &[Change::delete(file("db/ada-outage"))])
            .await;
        assert!(world.is_merged(back), "{:?}", world.check(back));
        assert!(world.holders("admin").is_empty());
        let review = review_of_ada(world);
        world.approve(review, "grace").await;
        assert!(world.is_merged(review));
        assert_eq!(world.told("reviewed").len(), 1);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_emergency_neither_renews_nor_changes_a_grant() {
    hearing_and_deaf(async |world| {
        offer(world).await;
        ada_breaks_the_glass(world).await;
        let again = emergency("ada", "admin", "50m");
        let pull = world.request("ada", "db/ada-outage", &again).await;
        assert_eq!(world.conclusion(pull), "failure");
        let check = world.check(pull);
        assert!(
            check.summary.contains("emergency-renewal"),
            "{}",
            check.summary
        );
    })
    .await;
}

/// Where a life is crashed.
#[derive(Debug, Clone, Copy)]
enum Moment {
    Given,
    Signed,
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_at_any_wait_while_the_review_is_opened_ends_in_the_same_world() {
    crash_everywhere(Moment::Given).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_at_any_wait_while_the_signature_is_noted_ends_in_the_same_world() {
    crash_everywhere(Moment::Signed).await;
}

async fn crash_everywhere(moment: Moment) {
    let (_, calm) = run_with_crash(moment, usize::MAX).await;
    at_every_wait(12, async |at| {
        let (finished, end) = run_with_crash(moment, at).await;
        assert_eq!(end, calm, "crashed at wait {at}");
        finished
    })
    .await;
}

async fn run_with_crash(moment: Moment, at: usize) -> (bool, String) {
    let mut world = World::new(Ears::Hearing, "merge = \"off\"\nmerge_reverts = true").await;
    offer(&world).await;
    let pull = ada_breaks_the_glass(&world).await;
    let merge = |pull| {
        world
            .sandbox
            .merge_as_admin("root", REPO, pull, MergeMethod::Merge)
            .unwrap();
    };
    merge(pull);
    if matches!(moment, Moment::Signed) {
        world.settle().await;
        let review = review_of_ada(&world);
        world
            .sandbox
            .review("grace", REPO, review, Verdict::Approve, "I was there.")
            .unwrap();
    }
    world.sandbox.settle().await;
    let finished = world.crashed_at(at).await;
    world.advance(minutes(10)).await;
    assert_eq!(
        world.vault.effects(),
        ["+admin ada"],
        "crashed at wait {at}"
    );
    let reviews = world.sandbox.pulls(REPO);
    let reviews = reviews
        .iter()
        .filter(|p| p.title.starts_with("Review break-glass"));
    assert_eq!(reviews.count(), 1, "crashed at wait {at}");
    (finished, world.summary().await)
}
