//! What nobody answers in time.

use hallpass::domain::model::PullNumber;
use hallpass::sandbox::{Change, Down, MergeMethod, Verdict};

use super::{
    SCHEDULE, asked, days, edit, ended, event, first_round, review, reviews, schedule, sheet,
};
use crate::scenario::{hearing_and_deaf, hearing_and_deaf_with};
use crate::world::{REPO, World};

fn ending() -> String {
    format!("{SCHEDULE}unanswered: end\n")
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_kept_unanswered_is_raised_once_shown_red_and_can_still_be_answered() {
    hearing_and_deaf(async |world| {
        let pull = asked(world, SCHEDULE, &["ada", "mei"]).await;
        world.advance(days(7)).await;
        world.resync().await;
        let lapsed = "Lapsed: nobody answered the access review of 2026-12-01 for 2 grants of @acme/dba, which are kept unreviewed";
        assert_eq!(world.told("access-review-lapsed"), [lapsed]);
        assert_eq!(world.holders("support"), ["ada", "mei"]);
        let check = world.check(pull);
        assert_eq!(check.conclusion.as_deref(), Some("failure"));
        assert_eq!(
            check.title,
            "Overdue: the access review of 2026-12-01 was to be answered until 2026-12-08 09:00 UTC"
        );
        world.advance(days(3)).await;
        world.resync().await;
        assert_eq!(world.told("access-review-lapsed").len(), 1);
        edit(world, "grace", pull, |text| ended(text, "mei")).await;
        world.approve(pull, "grace").await;
        assert!(world.is_merged(pull), "{:?}", world.check(pull));
        world.resync().await;
        assert_eq!(world.holders("support"), ["ada"]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_lapses_unanswered_gives_way_to_the_next_round() {
    hearing_and_deaf(async |world| {
        asked(world, SCHEDULE, &["ada"]).await;
        world.advance(days(7)).await;
        world.resync().await;
        world.advance(days(23)).await;
        world.resync().await;
        assert_eq!(world.told("access-review-opened").len(), 2);
        let titles = world.open_pulls();
        assert!(
            titles.contains(&"Access review of 2026-12-31: 1 grant of @acme/dba".to_owned()),
            "{titles:?}"
        );
        // The earlier one asks nothing any more.
        let old = reviews(world)[0];
        world.resync().await;
        assert_eq!(world.check(old).title, "Denied: review-record");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_ends_unanswered_goes_when_the_time_to_answer_is_over_and_not_before() {
    hearing_and_deaf(async |world| {
        let pull = asked(world, &ending(), &["ada", "mei"]).await;
        let body = world.sandbox.pull(REPO, pull).body;
        assert!(
            body.contains("What nobody answers until then **ends**"),
            "{body}"
        );
        world.advance(days(7) - chrono::TimeDelta::seconds(1)).await;
        world.resync().await;
        assert_eq!(world.holders("support"), ["ada", "mei"]);
        world.advance(chrono::TimeDelta::seconds(1)).await;
        world.resync().await;
        assert!(
            world.holders("support").is_empty(),
            "{:?}",
            world.ledger().await
        );
        let told = world.told("revoked");
        assert_eq!(told.len(), 2);
        assert!(
            told.iter().all(|t| t.contains("(review-lapsed)")),
            "{told:?}"
        );
        let lapsed = event(world, "access-review-lapsed");
        assert!(lapsed.contains(", which end\n"), "{lapsed}");
        world.resync().await;
        // A late word brings nothing back.
        world.approve(pull, "grace").await;
        assert!(!world.is_merged(pull));
        assert_eq!(world.check(pull).title, "Denied: review-record");
        assert!(world.holders("support").is_empty());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_sees_what_is_about_to_end_can_change_the_schedule_to_keep_it() {
    hearing_and_deaf(async |world| {
        let pull = asked(world, &ending(), &["ada"]).await;
        world.advance(days(6)).await;
        schedule(world, SCHEDULE).await;
        world.advance(days(1)).await;
        world.resync().await;
        assert_eq!(world.holders("support"), ["ada"]);
        let lapsed = event(world, "access-review-lapsed");
        assert!(lapsed.contains("\nUnanswered: keep\n"), "{lapsed}");
        world.approve(pull, "grace").await;
        assert!(world.is_merged(pull), "{:?}", world.check(pull));
        world.resync().await;
        assert_eq!(world.told("access-review-completed").len(), 1);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_signed_and_only_waits_for_its_merge_does_not_lapse() {
    hearing_and_deaf_with("merge = \"off\"\nmerge_reverts = true", async |world| {
        schedule(world, &ending()).await;
        let text = crate::world::grant("ada", "support", "90d");
        let request = world.request("mallory", "db/ada-support", &text).await;
        world.approve(request, "grace").await;
        world.merge_as_admin(request, MergeMethod::Merge).await;
        world.advance(days(8)).await;
        world.resync().await;
        let pull = review(world);
        world.approve(pull, "grace").await;
        assert_eq!(world.conclusion(pull), "success");
        world.advance(days(9)).await;
        world.resync().await;
        assert_eq!(world.holders("support"), ["ada"]);
        assert!(world.told("access-review-lapsed").is_empty());
        world.merge_as_admin(pull, MergeMethod::Merge).await;
        world.resync().await;
        assert_eq!(world.told("access-review-completed").len(), 1);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_lapses_while_nobody_can_be_heard() {
    hearing_and_deaf(async |world| {
        let pull = asked(world, &ending(), &["ada"]).await;
        world
            .sandbox
            .review("grace", REPO, pull, Verdict::Comment, "Looking into it.")
            .unwrap();
        world.sandbox.down(Down::Unavailable);
        world.clock.advance(days(8));
        for _ in 0..3 {
            world
                .service()
                .worker()
                .run_once(hallpass::worker::Resync::Everything)
                .await
                .unwrap();
        }
        assert_eq!(world.holders("support"), ["ada"]);
        world.sandbox.down(Down::No);
        // She answered in time, and the service could not hear it.
        world
            .sandbox
            .review("grace", REPO, pull, Verdict::Approve, "Still needed.")
            .unwrap();
        world.advance(chrono::TimeDelta::minutes(10)).await;
        world.resync().await;
        assert_eq!(world.holders("support"), ["ada"]);
        assert!(world.told("access-review-lapsed").is_empty());
        assert_eq!(world.told("access-review-completed").len(), 1);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_answered_on_the_branch_does_not_lapse_though_the_forge_shows_it_open() {
    let world = World::hearing().await;
    let pull = asked(&world, &ending(), &["ada"]).await;
    world
        .sandbox
        .review("grace", REPO, pull, Verdict::Approve, "Still needed.")
        .unwrap();
    world
        .sandbox
        .merge_as_admin("root", REPO, pull, MergeMethod::Merge)
        .unwrap();
    world.sandbox.lags(true);
    world.advance(days(8)).await;
    assert_eq!(world.holders("support"), ["ada"]);
    assert!(world.told("access-review-lapsed").is_empty());
    world.sandbox.lags(false);
    world.resync().await;
    assert_eq!(world.holders("support"), ["ada"]);
    assert_eq!(world.told("access-review-completed").len(), 1);
}

/// A review of what ada and mei have, where people merge, so that there is time between the signature and the merge.
async fn asked_where_people_merge(world: &World) -> PullNumber {
    schedule(world, &ending()).await;
    for person in ["ada", "mei"] {
        let text = crate::world::grant(person, "support", "90d");
        let file = format!("db/{person}-support");
        let request = world.request("mallory", &file, &text).await;
        world.approve(request, "grace").await;
        world.merge_as_admin(request, MergeMethod::Merge).await;
    }
    first_round(world).await;
    review(world)
}

const PEOPLE_MERGE: &str = "merge = \"off\"\nmerge_reverts = true";

#[tokio::test(flavor = "multi_thread")]
async fn a_push_after_the_signature_turns_no_answer_round() {
    hearing_and_deaf_with(PEOPLE_MERGE, async |world| {
        let pull = asked_where_people_merge(world).await;
        edit(world, "grace", pull, |text| ended(text, "mei")).await;
        world.approve(pull, "grace").await;
        assert_eq!(world.conclusion(pull), "success");
        edit(world, "mallory", pull, |text| {
            ended(&text.replace("decision: end", "decision: keep"), "ada")
        })
        .await;
        assert_eq!(world.conclusion(pull), "in_progress");
        world.advance(days(7)).await;
        world.resync().await;
        assert_eq!(world.holders("support"), ["ada"]);
        assert_eq!(
            world.told("access-review-completed"),
            ["Completed: grace answered the access review of 2026-12-01: 1 kept, 1 ended"]
        );
        assert!(world.told("access-review-lapsed").is_empty());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_push_that_takes_the_signed_sheet_away_lets_nothing_lapse() {
    hearing_and_deaf_with(PEOPLE_MERGE, async |world| {
        let pull = asked_where_people_merge(world).await;
        world.approve(pull, "grace").await;
        let branch = world.sandbox.pull(REPO, pull).head;
        let (path, _) = sheet(world, pull);
        let away = [
            Change::delete(path),
            Change::write("README.md", "Nothing to see.\n"),
        ];
        world
            .sandbox
            .push("mallory", REPO, &branch, &away, "Away")
            .unwrap();
        world.settle().await;
        world.advance(days(7)).await;
        world.resync().await;
        assert_eq!(world.holders("support"), ["ada", "mei"]);
        assert_eq!(world.told("access-review-completed").len(), 1);
        assert!(world.told("access-review-lapsed").is_empty());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_owner_who_asks_for_changes_takes_the_signature_back() {
    hearing_and_deaf_with(PEOPLE_MERGE, async |world| {
        let pull = asked_where_people_merge(world).await;
        world.approve(pull, "grace").await;
        world
            .review(pull, "grace", Verdict::RequestChanges, "I was wrong.")
            .await;
        world.advance(days(7)).await;
        world.resync().await;
        assert!(world.holders("support").is_empty());
        assert!(world.told("access-review-completed").is_empty());
        assert_eq!(world.told("access-review-lapsed").len(), 1);
    })
    .await;
}
