//! Many things at once are few messages, and several senders are as one.

use std::collections::BTreeSet;

use chrono::TimeDelta;
use hallpass::domain::message::{FEW, Message, Pace, Topic, pace, together};
use hallpass::store::Addressed;

use super::endpoint::{Endpoint, Next};
use super::message;
use crate::world::{Ears, World};

fn ended(n: usize) -> Message {
    Message {
        topic: Topic::Ended,
        title: format!("Revoked: person ada on db/r{n} (expired)"),
        ..message(&format!("revoked:{n}"), "x")
    }
}

async fn queue(world: &World, messages: impl Iterator<Item = Message>) {
    let store = world.service().store();
    let to_http = |message| Addressed {
        channel: "http".to_owned(),
        recipient: None,
        message,
    };
    let messages: Vec<Addressed> = messages.map(to_http).collect();
    let now = hallpass::clock::Clock::now(&*world.clock);
    store.queue_messages(&messages, None, now).await.unwrap();
}

/// Sends what waits, by several senders at once.
async fn deliver(world: &World) {
    deliver_by(world, 3).await;
}

async fn deliver_by(world: &World, senders: usize) {
    let reconciler = world.service().worker().reconciler();
    let channel = &reconciler.subscriptions()[0];
    let all = (0..senders).map(|_| reconciler.deliver(channel));
    for done in futures_util::future::join_all(all).await {
        done.unwrap();
    }
}

fn counted(endpoint: &Endpoint) -> u64 {
    let counts = endpoint.calls().into_iter();
    counts
        .map(|call| call.body["data"]["count"].as_u64().unwrap())
        .sum()
}

async fn world_with(endpoint: &Endpoint) -> World {
    World::new(Ears::Hearing, &endpoint.section("\"ended\"")).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_ends_at_once_are_one_message() {
    let endpoint = Endpoint::start().await;
    let world = world_with(&endpoint).await;
    queue(&world, (0..1000).map(ended)).await;
    deliver(&world).await;
    assert_eq!(endpoint.titles(), ["1000 grants are over"]);
    let call = endpoint.calls().remove(0);
    let text = call.body["data"]["facts"][0]["text"].as_str().unwrap();
    assert!(text.contains("on db/r0 "), "{text}");
    assert!(text.ends_with("... and 980 more"), "{text}");
    assert!(call.signed);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_ends_within_a_minute_are_a_handful_of_messages_and_none_is_left_out() {
    let endpoint = Endpoint::start().await;
    let world = world_with(&endpoint).await;
    for batch in 0..50 {
        queue(&world, (batch * 20..(batch + 1) * 20).map(ended)).await;
        deliver(&world).await;
        world.clock.advance(TimeDelta::seconds(1));
    }
    world.clock.advance(TimeDelta::seconds(60));
    deliver(&world).await;
    let calls = endpoint.calls().len() as u64;
    assert!(calls <= FEW + 1, "{calls}: {:?}", endpoint.titles());
    assert_eq!(counted(&endpoint), 1000);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_few_are_told_each_by_itself_and_by_one_sender_alone() {
    let endpoint = Endpoint::start().await;
    let world = world_with(&endpoint).await;
    queue(&world, (0..4).map(ended)).await;
    deliver(&world).await;
    deliver(&world).await;
    let titles: BTreeSet<String> = endpoint.titles().into_iter().collect();
    assert_eq!((titles.len(), endpoint.calls().len()), (4, 4));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_told_together_and_lost_is_told_together_again_under_its_id() {
    let endpoint = Endpoint::start().await;
    let world = world_with(&endpoint).await;
    queue(&world, (0..30).map(ended)).await;
    endpoint.then(&[Next::Lose]);
    deliver(&world).await;
    queue(&world, (30..33).map(ended)).await;
    world.clock.advance(TimeDelta::minutes(3));
    deliver(&world).await;
    let calls = endpoint.calls();
    let of_many = calls
        .iter()
        .filter(|call| call.title() == "30 grants are over");
    let ids: Vec<&str> = of_many.map(|call| call.id.as_str()).collect();
    assert_eq!((ids.len(), ids[0]), (2, ids[1]));
    assert_eq!(calls.len(), 5, "{:?}", endpoint.titles());
}

#[tokio::test(flavor = "multi_thread")]
async fn one_message_that_is_never_taken_keeps_no_other_waiting() {
    let endpoint = Endpoint::start().await;
    let world = world_with(&endpoint).await;
    queue(&world, (0..1).map(ended)).await;
    endpoint.then(&[Next::Say(400, None)]);
    deliver_by(&world, 1).await;
    assert!(endpoint.titles().is_empty());
    world.clock.advance(TimeDelta::seconds(11));
    queue(&world, (1..3).map(ended)).await;
    // The others come first, whatever became of it meanwhile.
    endpoint.then(&[Next::Take, Next::Take, Next::Say(400, None)]);
    deliver_by(&world, 1).await;
    assert_eq!(endpoint.titles().len(), 2, "{:?}", endpoint.titles());
}

#[test]
fn how_many_go_at_once_depends_on_how_many_went() {
    let all = |told: u64| [1, 2, 5, 6, 1000].map(|waiting| pace(told, waiting));
    use Pace::{Each, Later, Together};
    assert_eq!(all(0), [Each, Each, Each, Together, Together]);
    assert_eq!(all(3), [Each, Each, Together, Together, Together]);
    assert_eq!(all(5), [Later; 5]);
    assert_eq!(all(u64::MAX), [Later; 5]);
}

#[test]
fn what_is_told_together_counts_what_it_tells_of() {
    let many: Vec<Message> = (0..25).map(ended).collect();
    let one = together("all".to_owned(), &many).unwrap();
    assert_eq!((one.count, one.topic), (25, Topic::Ended));
    assert_eq!(one.title, "25 grants are over");
    // Each has the same link here, so it is kept; what to do is the same for all.
    assert_eq!((one.links.len(), one.to_do.is_some()), (1, true));
    assert_eq!(together("none".to_owned(), &[]), None);
}
