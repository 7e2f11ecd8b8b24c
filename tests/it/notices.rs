//! Whoever holds access is told once, in time, how to keep it or let it go.

use chrono::TimeDelta;
use hallpass::domain::model::{GrantPath, Instant, Login, PullNumber, RoleRef, Subject, Term};
use hallpass::domain::notice::EndsSoon;
use hallpass::domain::report::{EndingGrant, Pages, ends_soon};
use hallpass::sandbox::{Change, MergeMethod, When};
use proptest::prelude::*;
use pulldown_cmark::{Event, Parser, Tag};

use crate::scenario::{hearing_and_deaf, hearing_and_deaf_with};
use crate::world::{Ears, REPO, World, at_every_wait, file, grant};

const LIST: &str = "GET /repos/{owner}/{repo}/issues/{issue_number}/comments";
const WRITE: &str = "POST /repos/{owner}/{repo}/issues/{issue_number}/comments";

fn minutes(n: i64) -> TimeDelta {
    TimeDelta::minutes(n)
}

fn comments(world: &World, pull: PullNumber) -> Vec<String> {
    world.sandbox.pull(REPO, pull).comments
}

/// ada's grant of two hours, given.
async fn given(world: &World) -> PullNumber {
    let text = grant("ada", "readonly", "2h");
    let pull = world.request("ada", "db/ada-incident", &text).await;
    world.approve(pull, "grace").await;
    assert_eq!(world.holders("reader"), ["ada"]);
    pull
}

#[tokio::test(flavor = "multi_thread")]
async fn the_holder_is_told_once_when_a_quarter_of_the_term_is_left() {
    hearing_and_deaf(async |world| {
        let pull = given(world).await;
        world.advance(minutes(89)).await;
        assert_eq!(comments(world, pull), [""; 0]);
        world.advance(minutes(1)).await;
        let told = comments(world, pull);
        assert_eq!(told.len(), 1);
        let ends = "2026-11-23 11:00 UTC";
        let edit = format!(
            "{}/acme/access/edit/main/{}",
            world.sandbox.url(),
            file("db/ada-incident")
        );
        for part in [
            "@ada: ",
            ends,
            &edit,
            "`duration: 2h`",
            "`hallpass return db/ada-incident`",
        ] {
            assert!(told[0].contains(part), "{part}: {}", told[0]);
        }
        assert!(
            !told[0].contains("orders of some customers"),
            "nobody's words are repeated"
        );
        // Neither the next ticks nor the end say anything more.
        for _ in 0..4 {
            world.advance(minutes(10)).await;
        }
        world.resync().await;
        assert_eq!(comments(world, pull), told);
        assert_eq!(world.ledger().await, ["db/ada-incident ended"]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_term_too_short_for_a_notice_costs_no_call_and_neither_does_a_server_that_gives_none() {
    for (github, term) in [("", "30m"), ("[notices]\nends_soon = \"off\"\n", "2h")] {
        let world = World::new(Ears::Hearing, github).await;
        let pull = world
            .request("ada", "db/ada-incident", &grant("ada", "readonly", term))
            .await;
        world.approve(pull, "grace").await;
        for _ in 0..25 {
            world.advance(minutes(5)).await;
        }
        assert_eq!(world.ledger().await, ["db/ada-incident ended"]);
        assert!(!world.sandbox.calls().contains_key(LIST), "{term}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_returned_in_time_is_not_told_of() {
    hearing_and_deaf(async |world| {
        let pull = given(world).await;
        let back = world
            .propose("ada", &[Change::delete(file("db/ada-incident"))])
            .await;
        assert!(world.is_merged(back));
        assert!(world.holders("reader").is_empty());
        world.advance(minutes(100)).await;
        assert_eq!(comments(world, pull), [""; 0]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_renewed_is_told_of_on_the_pull_request_that_renewed_it() {
    hearing_and_deaf(async |world| {
        let pull = given(world).await;
        world.advance(minutes(60)).await;
        let text = grant("ada", "readonly", "2h").replace("today", "still");
        let renewal = world.request("ada", "db/ada-incident", &text).await;
        world.approve(renewal, "grace").await;
        assert!(world.is_merged(renewal));
        assert_eq!(world.holders("reader"), ["ada"]);
        world.advance(minutes(60)).await;
        assert_eq!(comments(world, pull), [""; 0]);
        world.advance(minutes(30)).await;
        assert_eq!(comments(world, pull), [""; 0]);
        let told = comments(world, renewal);
        assert_eq!(told.len(), 1);
        assert!(told[0].contains("2026-11-23 12:00 UTC"), "{}", told[0]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_one_pull_request_brought_shares_one_comment() {
    // Given side by side, so the order in which they were given differs from run to run.
    for ears in [Ears::Hearing, Ears::Deaf] {
        let world = &World::new(ears, "").await;
        let files = [
            Change::write(file("db/ada-incident"), grant("ada", "readonly", "2h")),
            Change::write(file("db/mei-incident"), grant("mei", "readonly", "4h")),
        ];
        let pull = world.propose("ada", &files).await;
        world.approve(pull, "grace").await;
        assert_eq!(world.holders("reader"), ["ada", "mei"]);
        world.advance(minutes(90)).await;
        let told = comments(world, pull);
        assert_eq!(told.len(), 1);
        assert!(
            told[0].contains("@ada") && !told[0].contains("@mei"),
            "{}",
            told[0]
        );
        // What ended is gone from it when the next is told of.
        world.advance(minutes(90)).await;
        let told = comments(world, pull);
        assert_eq!(told.len(), 1);
        assert!(
            told[0].contains("@mei") && !told[0].contains("@ada"),
            "{}",
            told[0]
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_comment_that_somebody_forged_takes_nothing_away() {
    hearing_and_deaf(async |world| {
        let pull = given(world).await;
        let forged = "<!-- hallpass:ends-soon -->\nIt never ends.";
        world
            .sandbox
            .comment("mallory", REPO, pull, forged)
            .unwrap();
        world.advance(minutes(90)).await;
        let told = comments(world, pull);
        assert_eq!((told.len(), told[0].as_str()), (2, forged));
        assert!(told[1].contains("@ada"));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_answers_for_a_service_is_told() {
    hearing_and_deaf_with("merge = \"off\"", async |world| {
        let service = "description: Rolls out releases\nowner: mei\nidentities:\n  vault: deploy\n";
        let declared = [Change::write("access/services/deploy-bot.yaml", service)];
        let pull = world.propose("ada", &declared).await;
        world.merge_as_admin(pull, MergeMethod::Merge).await;
        let text = grant("ada", "readonly", "2h").replace("person: ada", "service: deploy-bot");
        let pull = world.request("ada", "db/deploy-bot", &text).await;
        world.approve(pull, "grace").await;
        world.merge_as_admin(pull, MergeMethod::Merge).await;
        assert_eq!(world.holders("reader"), ["deploy"]);
        world.advance(minutes(90)).await;
        let told = comments(world, pull);
        assert!(
            told[0].contains("@mei: ") && told[0].contains("`service deploy-bot`"),
            "{}",
            told[0]
        );
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_forge_that_takes_no_comments_delays_the_notice_and_nothing_else() {
    let world = World::hearing().await;
    let pull = given(&world).await;
    world.sandbox.fail_next(Some(WRITE), 2, 403, When::Before);
    world.advance(minutes(90)).await;
    assert_eq!(comments(&world, pull), [""; 0]);
    // Access is given and taken as ever.
    let other = world
        .request("mei", "db/mei-incident", &grant("mei", "readonly", "15m"))
        .await;
    world.approve(other, "grace").await;
    assert_eq!(world.holders("reader"), ["ada", "mei"]);
    world.advance(minutes(5)).await;
    assert_eq!(
        comments(&world, pull),
        [""; 0],
        "the second attempt fails too"
    );
    world.advance(minutes(5)).await;
    assert_eq!(comments(&world, pull).len(), 1);
    world.advance(minutes(5)).await;
    assert_eq!(world.holders("reader"), ["ada"]);
    // Two failed, one succeeded: it is not asked for at every tick.
    assert_eq!(world.sandbox.calls()[WRITE], 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_was_lost_is_not_said_twice() {
    let world = World::hearing().await;
    let pull = given(&world).await;
    world.sandbox.fail_next(Some(WRITE), 1, 502, When::After);
    world.advance(minutes(90)).await;
    world.advance(minutes(10)).await;
    assert_eq!(comments(&world, pull).len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_at_any_wait_while_telling_ends_in_one_comment() {
    at_every_wait(12, async |at| {
        let mut world = World::hearing().await;
        let pull = given(&world).await;
        world.clock.advance(minutes(90));
        let finished = world.crashed_at(at).await;
        world.advance(minutes(10)).await;
        assert_eq!(comments(&world, pull).len(), 1, "crashed at wait {at}");
        finished
    })
    .await;
}

fn instant(text: &str) -> Instant {
    text.parse().unwrap()
}

#[test]
fn a_notice_comes_a_share_of_the_term_before_the_end_within_limits() {
    let starts = instant("2026-11-24T12:00:00Z");
    let lead = |share: &str, term: TimeDelta| {
        let ends = starts + term;
        let at = EndsSoon::parse(share).unwrap().at(starts, ends)?;
        Some(ends - at)
    };
    let quarter = |term| lead("25%", term);
    assert_eq!(quarter(TimeDelta::hours(2)), Some(minutes(30)));
    assert_eq!(quarter(minutes(40)), Some(minutes(10)));
    assert_eq!(quarter(minutes(39)), None);
    assert_eq!(quarter(TimeDelta::days(28)), Some(TimeDelta::days(7)));
    assert_eq!(quarter(TimeDelta::days(90)), Some(TimeDelta::days(7)));
    assert_eq!(lead("90%", minutes(20)), Some(minutes(18)));
    assert_eq!(lead("1%", TimeDelta::hours(8)), None);
    // Whatever an instant a file may name.
    let far = instant("9999-12-31T23:59:59Z");
    let at = EndsSoon::default().at(starts, far);
    assert_eq!(at, Some(far - TimeDelta::days(7)));
    assert_eq!(EndsSoon::default().at(far, starts), None);
}

fn ending(name: &str) -> EndingGrant {
    EndingGrant {
        path: GrantPath::new(format!("access/grants/db/{name}.yaml")).unwrap(),
        subject: Subject::Person(Login::new("octo_cat").unwrap()),
        tell: Some(Login::new("octo_cat").unwrap()),
        roles: vec![RoleRef::try_from("db/readonly".to_owned()).unwrap()],
        ends: instant("2026-11-24T12:34:56Z"),
        term: Term::Expires(instant("2026-11-24T12:34:56Z")),
    }
}

#[test]
fn the_comment_reads_like_this() {
    let pages = Pages {
        repository: "https://github.com/acme/access".to_owned(),
        branch: "main".to_owned(),
        evidence_branch: "hallpass/evidence".to_owned(),
    };
    let hours = hallpass::domain::model::TermLength::parse("2h").unwrap();
    let other = EndingGrant {
        tell: None,
        term: Term::Duration(hours),
        ..ending("other")
    };
    insta::assert_snapshot!(ends_soon(&pages, &[ending("incident"), other]));
}

proptest! {
    #[test]
    fn every_link_of_a_comment_leads_into_the_repository(branch in "[ -~é\u{202e}]{1,40}") {
        let pages = Pages { repository: "https://github.com/acme/access/".to_owned(), branch, evidence_branch: "e".to_owned() };
        let text = ends_soon(&pages, &[ending("incident")]);
        let links: Vec<String> = Parser::new(&text)
            .filter_map(|event| match event {
                Event::Start(Tag::Link { dest_url, .. }) => Some(dest_url.into_string()),
                _ => None,
            })
            .collect();
        prop_assert_eq!(links.len(), 2, "{}", text);
        for link in links {
            prop_assert!(link.starts_with("https://github.com/acme/access/"), "{}", link);
            prop_assert!(link.ends_with("/access/grants/db/incident.yaml"), "{}", link);
        }
        let odd = Parser::new(&text).any(|e| matches!(e, Event::Html(_) | Event::InlineHtml(_)));
        prop_assert!(!odd, "{}", text);
    }
}
