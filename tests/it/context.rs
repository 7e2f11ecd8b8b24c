//! What an approver is told beside the request: who can complete it, and how earlier requests ended.

use std::collections::BTreeSet;

use chrono::TimeDelta;
use hallpass::domain::approval::{Group, Missing, fewest};
use hallpass::domain::model::{Login, PullNumber};
use hallpass::sandbox::{Change, MergeMethod};
use proptest::prelude::*;

use crate::scenario::{hearing_and_deaf, hearing_and_deaf_with};
use crate::world::{REPO, World, file, grant};

fn minutes(n: i64) -> TimeDelta {
    TimeDelta::minutes(n)
}

fn login(n: usize) -> Login {
    Login::new(format!("p{n:02}")).unwrap()
}

/// A file that needs so many of these people, and was objected to by those.
fn missing(needed: u32, of: &[usize], blocked_by: &[usize]) -> Missing {
    Missing {
        needed,
        candidates: of.iter().map(|n| login(*n)).collect(),
        blocked_by: blocked_by.iter().map(|n| login(*n)).collect(),
        ..Missing::default()
    }
}

fn group(count: usize, of: &[usize]) -> Group {
    let of = of.iter().map(|n| login(*n)).collect();
    Group { count, of }
}

#[test]
fn one_person_who_owns_everything_is_enough() {
    let files = [missing(1, &[1, 2], &[]), missing(1, &[2, 3], &[])];
    assert_eq!(fewest(files.iter()), Some(vec![group(1, &[2])]));
    let same = [missing(1, &[1, 2], &[]), missing(1, &[1, 2], &[])];
    assert_eq!(fewest(same.iter()), Some(vec![group(1, &[1, 2])]));
}

#[test]
fn whoever_objected_reviews_in_any_case_and_counts_where_they_own() {
    let files = [missing(2, &[1, 2, 3], &[2]), missing(1, &[4], &[])];
    let found = fewest(files.iter()).unwrap();
    assert_eq!(found, [group(1, &[2]), group(1, &[1, 3]), group(1, &[4])]);
    // An objection that is all that is left.
    let objected = [missing(0, &[], &[5])];
    assert_eq!(fewest(objected.iter()), Some(vec![group(1, &[5])]));
}

#[test]
fn nothing_is_suggested_when_nothing_is_missing_or_nobody_is_enough() {
    assert_eq!(fewest([].iter()), None);
    assert_eq!(fewest([Missing::default()].iter()), None);
    assert_eq!(fewest([missing(2, &[1], &[])].iter()), None);
}

#[test]
fn large_teams_and_many_files_are_answered_at_once() {
    let everybody: Vec<usize> = (0..90).collect();
    // Overlapping windows of people: as hard as owners get.
    let files: Vec<Missing> = (0..50)
        .map(|n| missing(1 + n % 4, &everybody[n as usize..n as usize + 25], &[]))
        .collect();
    let found = fewest(files.iter()).unwrap();
    assert_eq!(found, fewest(files.iter()).unwrap(), "the same each time");
    assert!(is_enough(&chosen(&found), &files), "{found:?}");
    let many = vec![missing(4, &everybody, &[]); 50];
    assert_eq!(fewest(many.iter()), Some(vec![group(4, &everybody)]));
}

/// The first people of each group.
fn chosen(groups: &[Group]) -> BTreeSet<Login> {
    let first = |g: &Group| g.of.iter().take(g.count).cloned().collect::<Vec<_>>();
    groups.iter().flat_map(first).collect()
}

/// The last people of each group, who must do as well.
fn others(groups: &[Group]) -> BTreeSet<Login> {
    let last = |g: &Group| g.of.iter().rev().take(g.count).cloned().collect::<Vec<_>>();
    groups.iter().flat_map(last).collect()
}

fn is_enough(people: &BTreeSet<Login>, files: &[Missing]) -> bool {
    let enough = |file: &Missing| {
        let approve = file.candidates.intersection(people).count();
        let heard = file.blocked_by.iter().all(|login| people.contains(login));
        approve >= file.needed.saturating_sub(file.have) as usize && heard
    };
    files.iter().all(enough)
}

/// The size of the smallest set, by trying all of them.
fn by_trying(files: &[Missing], people: usize) -> Option<usize> {
    (0..1_u32 << people)
        .filter(|set| {
            let set = (0..people).filter(|n| set & (1 << n) != 0).map(login);
            is_enough(&set.collect(), files)
        })
        .map(|set| set.count_ones() as usize)
        .min()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn no_smaller_set_of_people_would_do(
        files in prop::collection::vec((0_u32..4, prop::collection::btree_set(0_usize..8, 0..8), prop::option::weighted(0.2, 0_usize..8)), 1..6)
    ) {
        let files: Vec<Missing> = files
            .iter()
            .map(|(needed, of, objector)| {
                let of: Vec<usize> = of.iter().copied().collect();
                let objectors: Vec<usize> = objector.iter().copied().collect();
                missing(*needed, &of, &objectors)
            })
            .collect();
        match (fewest(files.iter()), by_trying(&files, 8)) {
            (None, None | Some(0)) => {}
            (Some(found), Some(least)) => {
                prop_assert_eq!(found.iter().map(|g| g.count).sum::<usize>(), least, "{:?}", &found);
                prop_assert!(is_enough(&chosen(&found), &files) && is_enough(&others(&found), &files));
            }
            (found, least) => prop_assert!(false, "{found:?}, {least:?}"),
        }
    }
}

/// What the check of a request says before anybody approved.
async fn told(world: &World, name: &str) -> String {
    let text = grant("ada", "readonly", "1h");
    let pull = world.request("ada", name, &text).await;
    world.check(pull).summary
}

#[tokio::test(flavor = "multi_thread")]
async fn approvers_see_how_earlier_requests_for_the_role_ended() {
    hearing_and_deaf(async |world| {
        // Expired.
        let text = grant("ada", "readonly", "30m");
        let pull = world.request("ada", "db/ada-first", &text).await;
        world.approve(pull, "grace").await;
        world.advance(minutes(30)).await;
        world.advance(minutes(2)).await;
        // Returned early.
        let pull = world.request("ada", "db/ada-second", &text).await;
        world.approve(pull, "grace").await;
        world.advance(minutes(10)).await;
        let back = [Change::delete(file("db/ada-second"))];
        world.propose("ada", &back).await;
        assert!(world.holders("reader").is_empty());
        // Merged by an administrator.
        let pull = world.request("ada", "db/ada-third", &text).await;
        world.merge_as_admin(pull, MergeMethod::Merge).await;
        world.advance(minutes(2)).await;

        let page = told(world, "db/ada-again").await;
        let expected = "**Before:** 3 earlier requests by `ada` for `db/readonly`: 1 expired, 1 returned early, 1 merged without proof.\n";
        assert!(page.contains(expected), "{page}");
        assert!(
            page.contains("- #1, 2026-11-23 09:00 UTC to 2026-11-23 09:30 UTC, expired\n"),
            "{page}"
        );
        assert!(
            page.contains("09:42 UTC, returned early\n") && page.contains("merged without proof\n"),
            "{page}"
        );
        // Of somebody else nothing is told.
        let text = grant("mei", "readonly", "1h");
        let pull = world.request("mei", "db/mei", &text).await;
        let page = world.check(pull).summary;
        assert!(page.contains("is not known to have had this role before"), "{page}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn approvers_see_what_was_closed_without_a_merge_and_not_what_is_open_again() {
    hearing_and_deaf(async |world| {
        let text = grant("ada", "readonly", "30m");
        let pull = world.request("ada", "db/ada-first", &text).await;
        world.sandbox.close_pull("grace", REPO, pull).unwrap();
        world.settle().await;
        let page = told(world, "db/ada-again").await;
        assert!(
            page.contains(
                "1 earlier request by `ada` for `db/readonly`: 1 closed without a merge.\n- #1, "
            ),
            "{page}"
        );
        world.sandbox.reopen("ada", REPO, pull).unwrap();
        world.settle().await;
        let page = told(world, "db/ada-once-more").await;
        assert!(!page.contains("closed without a merge"), "{page}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_was_merged_is_not_told_as_closed() {
    hearing_and_deaf_with("merge = \"off\"", async |world| {
        let text = grant("ada", "readonly", "30m");
        let pull = world.request("ada", "db/ada-first", &text).await;
        world.approve(pull, "grace").await;
        world.merge_as_admin(pull, MergeMethod::Squash).await;
        world.advance(minutes(30)).await;
        world.advance(minutes(2)).await;
        let page = told(world, "db/ada-again").await;
        assert!(page.contains("for `db/readonly`: 1 expired.\n"), "{page}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_pull_request_has_one_check_whatever_happens_to_it() {
    hearing_and_deaf(async |world| {
        let pull = world
            .request("ada", "db/ada-incident", &grant("ada", "admin", "1h"))
            .await;
        assert!(
            world
                .check(pull)
                .summary
                .starts_with("**Can be completed by** @grace and @linus\n"),
            "{}",
            world.check(pull).summary
        );
        world.approve(pull, "grace").await;
        // `World::check` demands that there is exactly one.
        assert!(
            world
                .check(pull)
                .summary
                .starts_with("**Can be completed by** @linus alone\n"),
            "{}",
            world.check(pull).summary
        );
        let text = grant("ada", "admin", "2h");
        world.push("ada", pull, "db/ada-incident", &text).await;
        assert_eq!(world.check(pull).status, "in_progress");
        for who in ["grace", "linus"] {
            world.approve(pull, who).await;
        }
        assert_eq!(world.conclusion(pull), "success");
        assert_eq!(world.sandbox.pull(REPO, PullNumber(1)).comments, [""; 0]);
    })
    .await;
}
