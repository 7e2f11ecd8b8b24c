//! Answers that say something else than what is asked, and reviews that are in the way.

use hallpass::sandbox::{Change, Verdict};

use super::{SCHEDULE, asked, edit, ended, review, sheet};
use crate::scenario::hearing_and_deaf;
use crate::world::{Ears, REPO, World};

#[tokio::test(flavor = "multi_thread")]
async fn answers_that_say_more_than_keep_or_end_are_refused_where_they_stand() {
    // Who is deaf is told of the last text alone, so the two worlds tell different stories.
    for ears in [Ears::Hearing, Ears::Deaf] {
        let world = &World::new(ears, "").await;
        let pull = asked(world, SCHEDULE, &["ada", "mei"]).await;
        let (_, asked) = sheet(world, pull);
        let line = asked.lines().find(|l| l.contains("person ada")).unwrap();
        let forged = [
            asked.replace("until: 2027-02-21", "until: 2027-12-21"),
            asked.replace("who: person mei", "who: person ada"),
            asked.replace("count: 2", "count: 1"),
            asked.replace("answer_by: 2026-12-08", "answer_by: 2027-12-08"),
            asked.replace("unanswered: keep", "unanswered: end"),
            format!("{asked}{}\n", line.replace("db/ada-support", "db/other")),
            format!("{asked}{line}\n"),
            format!("{asked}attempt: 2\n"),
        ];
        for text in forged {
            edit(world, "grace", pull, |_| text.clone()).await;
            assert_eq!(world.check(pull).title, "Denied: review-record", "{text}");
            world.approve(pull, "linus").await;
            assert!(!world.is_merged(pull), "{text}");
        }
        edit(world, "grace", pull, |_| asked.replace("keep", "maybe")).await;
        assert!(world.check(pull).title.starts_with("Denied: "));
        // Nothing was pushed over: the owners repair it themselves.
        edit(world, "grace", pull, |_| ended(&asked, "mei")).await;
        world.approve(pull, "linus").await;
        assert!(world.is_merged(pull), "{:?}", world.check(pull));
        world.resync().await;
        assert_eq!(world.holders("support"), ["ada"]);
        world.assert_contract();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_approval_signs_the_answers_that_it_saw_and_no_later_ones() {
    for ears in [Ears::Hearing, Ears::Deaf] {
        let world = &World::new(ears, "merge = \"off\"\nmerge_reverts = true").await;
        super::schedule(world, SCHEDULE).await;
        for name in ["ada", "mei"] {
            let text = crate::world::grant(name, "support", "90d");
            let file = format!("db/{name}-support");
            let request = world.request("mallory", &file, &text).await;
            world.approve(request, "grace").await;
            world
                .merge_as_admin(request, hallpass::sandbox::MergeMethod::Merge)
                .await;
        }
        super::first_round(world).await;
        let pull = review(world);
        world.approve(pull, "grace").await;
        assert_eq!(world.conclusion(pull), "success");
        edit(world, "mallory", pull, |text| ended(text, "ada")).await;
        assert_eq!(
            world.conclusion(pull),
            "in_progress",
            "grace saw another text"
        );
        world
            .review(pull, "linus", Verdict::RequestChanges, "Why ada?")
            .await;
        world.approve(pull, "grace").await;
        assert_eq!(world.check(pull).title, "Blocked: @linus asked for changes");
        world.approve(pull, "linus").await;
        assert_eq!(world.conclusion(pull), "success");
        world
            .merge_as_admin(pull, hallpass::sandbox::MergeMethod::Squash)
            .await;
        world.resync().await;
        assert_eq!(world.holders("support"), ["mei"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_closed_review_is_asked_for_again() {
    hearing_and_deaf(async |world| {
        let first = asked(world, SCHEDULE, &["ada"]).await;
        world.sandbox.close_pull("mallory", REPO, first).unwrap();
        world.resync().await;
        let again = review(world);
        assert_ne!(first, again);
        world.approve(again, "grace").await;
        assert!(world.is_merged(again), "{:?}", world.check(again));
        assert_eq!(world.told("access-review-completed").len(), 1);
        assert_eq!(world.told("access-review-opened").len(), 1);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_in_somebodys_own_pull_request_answer_nothing() {
    hearing_and_deaf(async |world| {
        let pull = asked(world, SCHEDULE, &["ada"]).await;
        let (path, text) = sheet(world, pull);
        let own = Change::write(&path, ended(&text, "ada"));
        let own = world.propose("mallory", &[own]).await;
        assert_eq!(
            world.check(own).title,
            "Waiting for @acme/security (0 of 1 approval)"
        );
        world
            .merge_as_admin(own, hallpass::sandbox::MergeMethod::Merge)
            .await;
        world.resync().await;
        assert_eq!(world.holders("support"), ["ada"]);
        // What is asked now differs from what stands there.
        let (_, text) = sheet(world, review(world));
        assert!(text.contains("attempt: 2\n"), "{text}");
        world.approve(pull, "grace").await;
        assert!(world.is_merged(pull), "{:?}", world.check(pull));
        assert_eq!(world.holders("support"), ["ada"]);
        let elsewhere = path.replace("acme-dba", "acme-dbb");
        let unknown = world
            .propose("mei", &[Change::write(&elsewhere, &text)])
            .await;
        assert_eq!(world.check(unknown).title, "Denied: review-record");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_schedule_that_cannot_be_relied_on_begins_nothing() {
    hearing_and_deaf(async |world| {
        let wrong = SCHEDULE.replace("within: 7d", "within: 30d");
        let change = Change::write("access/reviews.yaml", &wrong);
        let pull = world.propose("mei", &[change]).await;
        assert_eq!(world.check(pull).title, "Denied: review-schedule");
        super::schedule(world, &wrong).await;
        super::supported(world, &["ada"]).await;
        super::first_round(world).await;
        assert!(super::reviews(world).is_empty());
        super::schedule(world, SCHEDULE).await;
        world.resync().await;
        review(world);
    })
    .await;
}
