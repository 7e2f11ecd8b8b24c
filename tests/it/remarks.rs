//! What people ask by comments is answered, once, and decides nothing. AC-18.

use chrono::TimeDelta;
use hallpass::domain::model::{Actor, ActorKind, Login, PullNumber, UserId};
use hallpass::domain::remark::{Ask, Remark};
use hallpass::sandbox::{Change, When};
use proptest::prelude::*;

use crate::scenario::{hearing_and_deaf, hearing_and_deaf_with};
use crate::world::{REPO, World, at_every_wait, file, grant};

const WRITE: &str = "POST /repos/{owner}/{repo}/issues/{issue_number}/comments";

fn minutes(n: i64) -> TimeDelta {
    TimeDelta::minutes(n)
}

async fn asked(world: &World) -> PullNumber {
    let text = grant("ada", "readonly", "8h");
    world.request("ada", "db/ada-incident", &text).await
}

fn comments(world: &World, pull: PullNumber) -> Vec<String> {
    world.sandbox.pull(REPO, pull).comments
}

/// Somebody writes something; the answers to it.
async fn say(world: &World, who: &str, pull: PullNumber, text: &str) -> Vec<String> {
    let before = comments(world, pull).len();
    world.sandbox.comment(who, REPO, pull, text).unwrap();
    world.settle().await;
    comments(world, pull).split_off(before + 1)
}

#[tokio::test(flavor = "multi_thread")]
async fn explain_says_who_can_approve_what_is_missing_and_what_happens_next() {
    hearing_and_deaf(async |world| {
        let pull = asked(world).await;
        let answers = say(world, "mei", pull, "/hallpass explain").await;
        assert_eq!(answers.len(), 1);
        for part in [
            "**Waiting for @acme/dba \\(0 of 1 approval\\)**",
            "**Can be completed by** @grace or @linus alone",
            "Its owners by CODEOWNERS: @acme/dba. Approvals: 0 of 1.",
            "**What happens next**",
            "Comments decide nothing.",
        ] {
            assert!(answers[0].contains(part), "{part}: {}", answers[0]);
        }
        assert!(
            !answers[0].contains("orders of some customers"),
            "{}",
            answers[0]
        );
        world.approve(pull, "grace").await;
        let answers = say(world, "ada", pull, "/hallpass explain\n\nThank you!").await;
        assert!(
            answers[0].contains("held until **2026-11-23 17:00 UTC**"),
            "{}",
            answers[0]
        );
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn explain_of_what_is_denied_says_the_way_out() {
    hearing_and_deaf(async |world| {
        let text = grant("ada", "readonly", "900h");
        let pull = world.request("ada", "db/ada-incident", &text).await;
        let answers = say(world, "ada", pull, "/hallpass explain").await;
        for part in ["**Denied: ", "How to get it through", "Push the repair"] {
            assert!(answers[0].contains(part), "{part}: {}", answers[0]);
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn return_says_where_the_file_is_deleted_and_ends_nothing_itself() {
    hearing_and_deaf(async |world| {
        let pull = asked(world).await;
        let answers = say(world, "ada", pull, "/hallpass return").await;
        assert!(answers[0].contains("close it"), "{}", answers[0]);
        world.approve(pull, "grace").await;
        let answers = say(world, "ada", pull, "/hallpass return").await;
        let page = format!(
            "{}/acme/access/delete/main/{}",
            world.sandbox.url(),
            file("db/ada-incident")
        );
        for part in [
            &page,
            "`hallpass return db/ada-incident`",
            "A comment ends nothing",
        ] {
            assert!(answers[0].contains(part), "{part}: {}", answers[0]);
        }
        world.advance(minutes(10)).await;
        assert_eq!(world.holders("reader"), ["ada"]);
        assert!(world.open_pulls().is_empty());
        // What the page leads to: the holder's own change, which needs nobody.
        let back = Change::delete(file("db/ada-incident"));
        let back = world.propose("ada", &[back]).await;
        assert!(world.is_merged(back));
        assert!(world.holders("reader").is_empty());
        let answers = say(world, "ada", pull, "/hallpass return").await;
        assert!(
            answers[0].contains("nothing to give back"),
            "{}",
            answers[0]
        );
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_comment_approves_ends_or_changes_anything_whoever_writes_it() {
    hearing_and_deaf(async |world| {
        let pull = asked(world).await;
        for text in [
            "/hallpass approve",
            "/approve",
            "LGTM",
            "/hallpass grant ada db/readonly",
            "/hallpass merge",
            "<!-- hallpass:answer:1 -->\nApproved",
        ] {
            for who in ["grace", "root"] {
                say(world, who, pull, text).await;
            }
        }
        assert!(!world.is_merged(pull));
        assert!(world.holders("reader").is_empty());
        assert_eq!(world.conclusion(pull), "in_progress");
        world.approve(pull, "grace").await;
        assert_eq!(world.holders("reader"), ["ada"]);
        for text in [
            "/hallpass return",
            "/hallpass revoke",
            "/hallpass return ada",
        ] {
            say(world, "ada", pull, text).await;
        }
        assert_eq!(world.holders("reader"), ["ada"]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_who_belongs_to_the_organisation_is_answered_and_no_program_is() {
    hearing_and_deaf_with("", async |world| {
        let pull = asked(world).await;
        assert_eq!(
            say(world, "stranger", pull, "/hallpass explain").await,
            [""; 0]
        );
        for text in [
            "Please /hallpass explain",
            " /hallpass explain",
            "> /hallpass explain",
            "/hallpassexplain",
            "hello",
        ] {
            assert_eq!(say(world, "ada", pull, text).await, [""; 0], "{text}");
        }
        let answers = say(world, "ada", pull, "/hallpass help me").await;
        assert!(answers[0].contains("`/hallpass explain`"), "{}", answers[0]);
        // The answer says the word itself, and is not answered.
        world.advance(minutes(10)).await;
        assert_eq!(comments(world, pull).len(), 8);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_questions_gets_few_answers_and_the_request_goes_on() {
    let world = World::hearing().await;
    let pull = asked(&world).await;
    for _ in 0..40 {
        world
            .sandbox
            .comment("ada", REPO, pull, "/hallpass explain")
            .unwrap();
    }
    world.settle().await;
    assert_eq!(comments(&world, pull).len(), 40 + 10);
    world.approve(pull, "grace").await;
    assert_eq!(world.holders("reader"), ["ada"]);
    world.advance(minutes(61)).await;
    assert_eq!(say(&world, "ada", pull, "/hallpass explain").await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_was_lost_is_not_given_twice() {
    let world = World::hearing().await;
    let pull = asked(&world).await;
    world.sandbox.fail_next(Some(WRITE), 1, 502, When::After);
    world
        .sandbox
        .comment("ada", REPO, pull, "/hallpass explain")
        .unwrap();
    world.settle().await;
    world.advance(minutes(10)).await;
    world.resync().await;
    assert_eq!(comments(&world, pull).len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_at_any_wait_while_answering_ends_in_one_answer() {
    at_every_wait(12, async |at| {
        let mut world = World::hearing().await;
        let pull = asked(&world).await;
        world
            .sandbox
            .comment("ada", REPO, pull, "/hallpass explain")
            .unwrap();
        world.sandbox.settle().await;
        let finished = world.crashed_at(at).await;
        world.advance(minutes(10)).await;
        assert_eq!(comments(&world, pull).len(), 2, "crashed at wait {at}");
        finished
    })
    .await;
}

fn remark(text: &str) -> Remark {
    let at = "2026-11-23T09:00:00Z".parse().unwrap();
    Remark {
        id: 1,
        pull: PullNumber(7),
        author: Actor {
            id: UserId(1),
            login: Login::new("ada").unwrap(),
            kind: ActorKind::User,
        },
        through_app: false,
        text: text.to_owned(),
        written_at: at,
        changed_at: at,
    }
}

#[test]
fn what_was_edited_and_what_a_program_wrote_asks_nothing() {
    let fresh = remark("/hallpass explain");
    assert_eq!(fresh.ask(), Some(Ask::Explain));
    let mut edited = fresh.clone();
    edited.changed_at += TimeDelta::seconds(1);
    assert_eq!(edited.ask(), None);
    let mut through = fresh.clone();
    through.through_app = true;
    assert_eq!(through.ask(), None);
    let mut bot = fresh;
    bot.author.kind = ActorKind::Bot;
    assert_eq!(bot.ask(), None);
}

proptest! {
    #[test]
    fn only_the_first_line_asks_and_only_by_its_first_word(text in "(/hallpass)?[ a-z/\n]{0,40}") {
        let asks = remark(&text).ask().is_some();
        let first = text.lines().next().unwrap_or_default();
        let word = first.split_ascii_whitespace().next() == Some("/hallpass");
        prop_assert_eq!(asks, word && first.starts_with('/'));
    }
}
