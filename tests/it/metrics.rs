//! What is measured: the figures are those of the world, and Prometheus can read them.

mod documented;
mod exposition;

use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;
use hallpass::domain::model::{ConnectionName, ResourceName};
use hallpass::http;
use hallpass::metrics::{MEDIA, Metrics, State};
use hallpass::providers::{Counted, Provider};

use crate::brake::{crowd, crowded, vanish};
use crate::leaks;
use crate::vault::Vault;
use crate::world::{Ears, World, grant};
use exposition::Scrape;

/// Serves `router` and asks it for `path`, over HTTP.
async fn get(router: axum::Router, path: &str) -> reqwest::Response {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let served = tokio::spawn(http::serve(listener, router, std::future::pending()));
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let answer = client.get(format!("http://{address}{path}")).send();
    let answer = answer.await.unwrap();
    served.abort();
    answer
}

async fn text(world: &World) -> String {
    let answer = get(world.service().metrics_router(), "/metrics").await;
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.headers()["content-type"], MEDIA);
    let text = answer.text().await.unwrap();
    leaks::in_record("the metrics", &text);
    text
}

async fn scrape(world: &World) -> Scrape {
    Scrape::read(&text(world).await)
}

fn minutes(n: i64) -> TimeDelta {
    TimeDelta::minutes(n)
}

const ACTIVE: &str = r#"hallpass_grants{connection="vault",state="active"}"#;
const OVERDUE: &str = r#"hallpass_removals_overdue{connection="vault"}"#;
const OVERDUE_FOR: &str = r#"hallpass_removal_overdue_seconds{connection="vault"}"#;
const FAILED: &str =
    r#"hallpass_provider_calls_total{connection="vault",call="revoke",outcome="unavailable"}"#;

#[tokio::test(flavor = "multi_thread")]
async fn the_figures_are_those_of_the_world() {
    let mut world = World::hearing().await;
    let fresh = scrape(&world).await;
    assert_eq!((fresh[ACTIVE], fresh["hallpass_main_seen"]), (0.0, 0.0));

    let pull = world
        .request("ada", "db/ada-incident", &grant("ada", "readonly", "2h"))
        .await;
    assert_eq!(scrape(&world).await["hallpass_requests_waiting"], 1.0);
    world.approve(pull, "grace").await;
    let given = scrape(&world).await;
    assert_eq!(given["hallpass_requests_waiting"], 0.0);
    assert_eq!((given[ACTIVE], given["hallpass_main_seen"]), (1.0, 1.0));
    for (sample, number) in [
        (r#"hallpass_grant_seconds_count{connection="vault"}"#, 1.0),
        (
            r#"hallpass_provider_calls_total{connection="vault",call="grant",outcome="done"}"#,
            1.0,
        ),
        (
            r#"hallpass_provider_call_seconds_count{connection="vault",call="grant"}"#,
            1.0,
        ),
        ("hallpass_unproved_merges_total", 0.0),
        (OVERDUE, 0.0),
    ] {
        assert_eq!(given[sample], number, "{sample}");
    }
    for some in [
        "hallpass_decision_seconds_count",
        r#"hallpass_wakes_total{wake="pull",outcome="done"}"#,
        r#"hallpass_webhooks_total{status="202"}"#,
        r#"hallpass_forge_calls_total{outcome="ok"}"#,
        r#"hallpass_forge_calls_remaining{installation="77",limit="core"}"#,
    ] {
        assert!(given[some] >= 1.0, "{some}");
    }

    world.vault.down(true);
    world.advance(minutes(180)).await;
    let late = scrape(&world).await;
    assert_eq!((late[OVERDUE], late[OVERDUE_FOR]), (1.0, 3600.0));
    assert!(late[FAILED] >= 1.0);
    // What is comes from the database, and so it is right after a restart; what was counted begins anew.
    world.start().await;
    let again = scrape(&world).await;
    assert_eq!((again[OVERDUE], again[OVERDUE_FOR]), (1.0, 3600.0));
    assert!(again.get(FAILED).is_none());

    world.vault.down(false);
    world.advance(minutes(10)).await;
    let over = scrape(&world).await;
    assert_eq!(
        (over[OVERDUE], over[OVERDUE_FOR], over[ACTIVE]),
        (0.0, 0.0, 0.0)
    );
    assert_eq!(
        over[r#"hallpass_revoke_seconds_count{connection="vault"}"#],
        1.0
    );
    assert!(over[r#"hallpass_revoke_seconds_sum{connection="vault"}"#] >= 3600.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn drift_and_what_is_held_and_what_waits_to_be_written_show() {
    let world = World::new(Ears::Hearing, "").await;
    let people = crowd(12);
    crowded(&world, &people, |_| "8h").await;
    world.vault.give_by_hand("reader", "linus");
    world.advance(minutes(10)).await;
    world.resync().await;
    let outside = r#"hallpass_drift{connection="vault",resource="db",difference="given-outside"}"#;
    let held = r#"hallpass_removals_held{from="withdrawn",connection="vault",resource="db"}"#;
    let before = scrape(&world).await;
    assert_eq!((before[outside], before.get(held)), (1.0, None));
    assert_eq!(before["hallpass_evidence_waiting"], 0.0);

    vanish(&world, &people).await;
    assert_eq!(scrape(&world).await[held], 12.0);
    world.sandbox.reject_pushes(Some("no pushes today"));
    world.vault.take_by_hand("reader", "linus");
    world.advance(minutes(10)).await;
    world.resync().await;
    let stuck = scrape(&world).await;
    assert_eq!(stuck.get(outside), None);
    assert!(stuck["hallpass_evidence_waiting"] >= 1.0);
    world.clock.advance(minutes(7));
    assert!(scrape(&world).await["hallpass_evidence_oldest_seconds"] >= 420.0);
    world.sandbox.reject_pushes(None);
    world.resync().await;
    let written = scrape(&world).await;
    assert_eq!(written["hallpass_evidence_waiting"], 0.0);
    assert_eq!(written["hallpass_evidence_oldest_seconds"], 0.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_label_names_a_person_a_grant_or_a_repository() {
    let world = World::new(Ears::Hearing, "").await;
    let wish = grant("ada", "readonly", "2h");
    let pull = world.request("ada", "db/ada-incident", &wish).await;
    world.approve(pull, "grace").await;
    let text = text(&world).await;
    for word in [
        "ada", "grace", "incident", "acme", "readonly", "reader", "access/",
    ] {
        assert!(!text.contains(word), "{word}: {text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn metrics_and_webhooks_are_on_different_doors() {
    let world = World::hearing().await;
    let service = world.service();
    assert_eq!(get(service.router(), "/metrics").await.status(), 404);
    assert_eq!(
        get(service.metrics_router(), "/webhook").await.status(),
        404
    );
    for router in [service.router(), service.metrics_router()] {
        assert_eq!(get(router, "/health/live").await.status(), 200);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn while_the_database_is_away_a_scrape_says_so_and_nothing_else_of_it() {
    let world = World::hearing().await;
    world.resync().await;
    let router = world.service().metrics_router();
    world.service().store().close().await;
    let answer = get(router, "/metrics").await;
    assert_eq!(answer.status(), 200);
    let scrape = Scrape::read(&answer.text().await.unwrap());
    assert_eq!(scrape["hallpass_store_up"], 0.0);
    assert_eq!(scrape.get(ACTIVE), None);
    assert!(scrape[r#"hallpass_wakes_total{wake="all",outcome="done"}"#] >= 1.0);
}

#[test]
fn nothing_that_others_name_can_break_a_line() {
    let hostile = "x\"} 1\nhallpass_grants{connection=\"y";
    assert!(ConnectionName::new(hostile).is_err() && ResourceName::new(hostile).is_err());
    let metrics = Metrics::default();
    // It comes in a header of the forge's answers.
    metrics.forge_allows(7, hostile, 12);
    metrics.forge_allows(7, "graphql", i64::MIN);
    let scrape = Scrape::read(&metrics.text(Some(&State::default())).unwrap());
    let left =
        |limit| format!(r#"hallpass_forge_calls_remaining{{installation="7",limit="{limit}"}}"#);
    assert_eq!(scrape[left("other").as_str()], 12.0);
    assert!(scrape[left("graphql").as_str()] < 0.0);
}

#[tokio::test]
async fn a_call_that_somebody_gave_up_on_is_counted_too() {
    let (vault, metrics) = (Arc::new(Vault::default()), Metrics::default());
    let name = ConnectionName::new("vault").unwrap();
    vault.lists(false);
    let counted = Counted::new(name, vault, metrics.clone());
    let entitlement = serde_json::json!({ "role": "reader" });
    let listing = counted.holders(&entitlement);
    let given_up = tokio::time::timeout(Duration::from_millis(20), listing).await;
    assert!(given_up.is_err());
    let scrape = Scrape::read(&metrics.text(None).unwrap());
    let sample =
        r#"hallpass_provider_calls_total{connection="vault",call="holders",outcome="abandoned"}"#;
    assert_eq!(scrape[sample], 1.0);
}
