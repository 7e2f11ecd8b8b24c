//! What people are told while requests live, with the whole service.

use std::collections::BTreeSet;

use chrono::TimeDelta;
use hallpass::domain::model::PullNumber;
use hallpass::sandbox::{Change, MergeMethod, Verdict};

use super::endpoint::{Endpoint, Next};
use super::mail;
use crate::scenario::hearing_and_deaf_with;
use crate::world::{Ears, World, at_every_wait, file, grant, person_file};

fn minutes(n: i64) -> TimeDelta {
    TimeDelta::minutes(n)
}

fn hours(n: i64) -> TimeDelta {
    TimeDelta::hours(n)
}

const ALL: &str = "\"waiting\", \"granted\", \"ends-soon\", \"ended\", \"break-glass\", \"overdue\", \"drift\", \"access-review\", \"merged-without-proof\", \"safe-mode\"";

/// A world that tells an endpoint of `events`.
async fn telling(events: &str) -> (World, Endpoint) {
    let endpoint = Endpoint::start().await;
    let world = World::new(Ears::Hearing, &endpoint.section(events)).await;
    // The first look is the one from which on there is news.
    world.resync().await;
    (world, endpoint)
}

/// What the protected branch says about somebody.
fn person_of(world: &World, login: &str) -> String {
    let file = world.sandbox.file("access", "main", &person_file(login));
    String::from_utf8(file.unwrap()).unwrap()
}

async fn asked(world: &World, term: &str) -> PullNumber {
    let text = grant("ada", "readonly", term);
    world.request("ada", "db/ada-incident", &text).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_is_told_of_from_waiting_to_its_end_once_each() {
    let endpoint = Endpoint::start().await;
    let (world, told) = (
        World::new(Ears::Deaf, &endpoint.section(ALL)).await,
        &endpoint,
    );
    world.resync().await;
    let pull = asked(&world, "2h").await;
    assert_eq!(
        told.titles(),
        [format!("#{pull}: Waiting for @acme/dba (0 of 1 approval)")]
    );
    world.approve(pull, "grace").await;
    world.resync().await;
    world.advance(minutes(90)).await;
    world.advance(minutes(30)).await;
    world.advance(minutes(10)).await;
    world.resync().await;
    let until = "2026-11-23T11:00:00Z";
    assert_eq!(
        told.titles(),
        [
            format!("#{pull}: Waiting for @acme/dba (0 of 1 approval)"),
            format!("Granted: ada on db/readonly until {until}"),
            format!("Ends soon: ada has db/readonly until {until}"),
            "Revoked: ada on db/readonly (expired)".to_owned(),
        ]
    );
    let calls = told.calls();
    let text = |n: usize| calls[n].body["data"]["text"].as_str().unwrap().to_owned();
    let granted = text(1);
    for part in [
        "Who: ada",
        "What: db/readonly",
        "Why: The orders of some customers look wrong today.",
        "Approved by: @grace",
        &format!("/acme/access/pull/{pull}"),
        "/acme/access/commits/hallpass/evidence",
        "hallpass return db/ada-incident",
    ] {
        assert!(granted.contains(part), "{part}: {granted}");
    }
    assert!(text(3).contains("its term is over"), "{}", text(3));
    assert!(calls.iter().all(|call| call.signed));
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_told_of_what_nobody_asked_for() {
    hearing_and_deaf_with("", async |world| {
        let pull = asked(world, "2h").await;
        world.approve(pull, "grace").await;
        let waiting = world.service().store().waiting_messages().await.unwrap();
        assert_eq!(waiting, []);
    })
    .await;
    let (world, told) = telling("\"ended\"").await;
    let pull = asked(&world, "30m").await;
    world.approve(pull, "grace").await;
    assert!(told.titles().is_empty());
    world.advance(minutes(31)).await;
    assert_eq!(told.titles().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_before_the_first_look_is_no_news() {
    let endpoint = Endpoint::start().await;
    let mut world = World::hearing().await;
    let pull = asked(&world, "2h").await;
    world.approve(pull, "grace").await;
    world.configure(&endpoint.section(ALL)).await;
    world.resync().await;
    assert!(endpoint.titles().is_empty(), "{:?}", endpoint.titles());
}

#[tokio::test(flavor = "multi_thread")]
async fn who_waits_is_told_again_with_growing_pauses_until_it_is_over() {
    let (world, told) = telling("\"waiting\"").await;
    let pull = asked(&world, "2h").await;
    for (after, count) in [
        (59, 1),
        (1, 2),
        (239, 2),
        (1, 3),
        (1439, 3),
        (1, 4),
        (1440, 5),
    ] {
        world.advance(minutes(after)).await;
        assert_eq!(told.titles().len(), count, "{after}: {:?}", told.titles());
    }
    let waits = format!("#{pull}: Waiting for @acme/dba (0 of 1 approval)");
    assert_eq!(told.titles()[0], waits);
    assert_eq!(told.titles()[1], format!("Reminder: {waits}"));
    world.approve(pull, "grace").await;
    world.advance(hours(72)).await;
    assert_eq!(told.titles().len(), 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pull_request_that_was_closed_is_not_reminded_of() {
    let (world, told) = telling("\"waiting\"").await;
    let pull = asked(&world, "2h").await;
    world.sandbox.close_pull("ada", "access", pull).unwrap();
    world.settle().await;
    world.advance(hours(30)).await;
    assert_eq!(told.titles().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn reminders_can_be_switched_off() {
    let endpoint = Endpoint::start().await;
    let section = format!(
        "[notices]\nreminders = []\n{}",
        endpoint.section("\"waiting\"")
    );
    let world = World::new(Ears::Hearing, &section).await;
    asked(&world, "2h").await;
    world.advance(hours(72)).await;
    assert_eq!(endpoint.titles().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_overdue_removal_is_told_and_told_again_until_it_is_done() {
    let (world, told) = telling("\"overdue\"").await;
    let pull = asked(&world, "30m").await;
    world.approve(pull, "grace").await;
    world.vault.down(true);
    world.advance(minutes(30)).await;
    assert!(told.titles().is_empty());
    world.advance(minutes(2)).await;
    assert_eq!(told.titles(), ["Overdue: ada still has db/readonly"]);
    world.advance(minutes(61)).await;
    assert_eq!(told.titles().len(), 2);
    world.vault.down(false);
    world.advance(minutes(10)).await;
    world.advance(hours(30)).await;
    assert_eq!(told.titles().len(), 2);
    assert!(world.holders("reader").is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_merged_past_the_rules_is_told() {
    let (world, told) = telling("\"merged-without-proof\", \"granted\"").await;
    let pull = asked(&world, "2h").await;
    world.merge_as_admin(pull, MergeMethod::Merge).await;
    assert_eq!(
        told.titles_of("merged-without-proof"),
        ["Merged without proof: db/ada-incident is not granted"]
    );
    assert!(told.titles_of("granted").is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_one_persons_matter_goes_to_them_and_otherwise_to_everybody() {
    let server = mail::Server::start();
    let world = World::new(Ears::Hearing, &server.section("\"granted\", \"waiting\"")).await;
    world.resync().await;
    let text = person_of(&world, "ada");
    let with_mail = format!("{}  mail: ada@example.org\n", text);
    world
        .decree(&[Change::write(person_file("ada"), with_mail)])
        .await;
    for who in ["ada", "mei"] {
        let name = format!("db/{who}-incident");
        let pull = world
            .request(who, &name, &grant(who, "readonly", "2h"))
            .await;
        world.approve(pull, "grace").await;
    }
    let to = |text: &str| -> Vec<String> {
        let mails = server
            .mails()
            .into_iter()
            .filter(|mail| mail.contains(text));
        let to = |mail: String| mail.lines().next().unwrap().trim().to_owned();
        mails.map(to).collect()
    };
    assert_eq!(
        to("[hallpass] Granted: ada"),
        ["Envelope-To: ada@example.org"]
    );
    assert_eq!(
        to("[hallpass] Granted: mei"),
        ["Envelope-To: owners@example.org"]
    );
    assert_eq!(to("Waiting for"), ["Envelope-To: owners@example.org"; 2]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_who_cannot_be_reached_keeps_nobody_from_being_told() {
    let server = mail::Server::start();
    let world = World::new(Ears::Hearing, &server.section("\"granted\"")).await;
    world.resync().await;
    let text = person_of(&world, "ada");
    let gone = format!("{}  mail: nobody@example.org\n", text);
    world
        .decree(&[Change::write(person_file("ada"), gone)])
        .await;
    let pull = asked(&world, "2h").await;
    world.approve(pull, "grace").await;
    world.resync().await;
    let mails = server.mails();
    assert_eq!(mails.len(), 1);
    assert!(
        mails[0].starts_with("Envelope-To: owners@example.org"),
        "{}",
        mails[0]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_channel_that_is_down_costs_nothing_but_the_message_which_comes_later() {
    let (world, told) = telling("\"granted\", \"ended\"").await;
    told.always(Some(Next::Say(503, None)));
    let pull = asked(&world, "30m").await;
    world.approve(pull, "grace").await;
    assert_eq!(world.holders("reader"), ["ada"]);
    world.advance(minutes(30)).await;
    assert!(world.holders("reader").is_empty());
    assert!(told.titles().is_empty());
    told.always(None);
    world.advance(minutes(20)).await;
    assert_eq!(
        told.titles(),
        [
            "Granted: ada on db/readonly until 2026-11-23T09:30:00Z",
            "Revoked: ada on db/readonly (expired)"
        ]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_channel_that_says_when_is_left_alone_until_then() {
    let (world, told) = telling("\"granted\"").await;
    told.then(&[Next::Say(429, Some(1200))]);
    let pull = asked(&world, "2h").await;
    world.approve(pull, "grace").await;
    world.advance(minutes(19)).await;
    assert!(told.titles().is_empty());
    world.advance(minutes(2)).await;
    assert_eq!(told.titles().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_nobody_took_for_a_day_is_given_up_and_counted() {
    let (world, told) = telling("\"granted\"").await;
    told.always(Some(Next::Say(401, None)));
    let pull = asked(&world, "8h").await;
    world.approve(pull, "grace").await;
    let waiting = async || world.service().store().waiting_messages().await.unwrap();
    assert_eq!(waiting().await, [("http".to_owned(), 1)]);
    for _ in 0..26 {
        world.advance(hours(1)).await;
    }
    assert_eq!(waiting().await, []);
    told.always(None);
    world.advance(hours(1)).await;
    assert!(told.titles().is_empty());
    let counted = world.service().worker().reconciler().metrics().text(None);
    let counted = counted.unwrap();
    let given_up = "hallpass_messages_total{channel=\"http\",outcome=\"given-up\"} 1";
    assert!(counted.contains(given_up), "{counted}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_whose_answer_is_lost_is_sent_again_under_the_same_id() {
    let (mut world, told) = telling("\"granted\"").await;
    told.then(&[Next::Lose]);
    let pull = asked(&world, "2h").await;
    world.approve(pull, "grace").await;
    world.start().await;
    world.advance(minutes(3)).await;
    let calls = told.calls();
    assert_eq!(calls.len(), 2);
    assert_eq!(calls[0].id, calls[1].id);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_at_any_wait_while_telling_tells_the_same_thing_under_the_same_id() {
    at_every_wait(12, async |at| {
        let (mut world, told) = telling("\"granted\", \"waiting\"").await;
        let change = Change::write(file("db/ada-incident"), grant("ada", "readonly", "2h"));
        let sandbox = &world.sandbox;
        sandbox
            .push("ada", "access", "request", &[change], "Ask")
            .unwrap();
        sandbox
            .open_pull("ada", "access", "request", "main", "Please", "")
            .unwrap();
        sandbox.settle().await;
        let finished = world.crashed_at(at).await;
        // What was taken to be sent, and perhaps was, is sent when nobody can be at it any more.
        world.advance(minutes(3)).await;
        let ids: BTreeSet<String> = told.calls().into_iter().map(|call| call.id).collect();
        assert_eq!(ids.len(), 1, "crashed at wait {at}: {:?}", told.titles());
        finished
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_tells_nothing_twice() {
    let (mut world, told) = telling(ALL).await;
    let pull = asked(&world, "2h").await;
    world.start().await;
    world.resync().await;
    assert_eq!(told.titles().len(), 1);
    world.approve(pull, "grace").await;
    world.start().await;
    world.resync().await;
    assert_eq!(told.titles().len(), 2, "{:?}", told.titles());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_an_owner_blocks_is_not_approved_by_being_told_of() {
    let (world, told) = telling("\"waiting\"").await;
    let pull = asked(&world, "2h").await;
    world
        .review(pull, "grace", Verdict::RequestChanges, "Why?")
        .await;
    world.advance(hours(1)).await;
    let last = told.titles().pop().unwrap();
    assert_eq!(
        last,
        format!("Reminder: #{pull}: Blocked: @grace asked for changes")
    );
    assert!(!world.is_merged(pull));
    assert_eq!(world.sandbox.pull("access", pull).comments, [""; 0]);
}
