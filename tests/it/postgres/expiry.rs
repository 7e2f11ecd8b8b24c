//! `VALID UNTIL`: the end that the server itself brings to the password of an account that is there for nothing else.

use hallpass::domain::ledger::Granted;
use hallpass::domain::model::Instant;
use hallpass::domain::target::Order;
use hallpass::providers::postgres::Also;
use hallpass::providers::{Provider as _, ProviderError};
use sqlx::{Connection as _, PgConnection};

use super::cases::{World, knows_options, refusal};
use super::server;
use crate::contract::approved::approved;

const LIMITING: Also = Also {
    end_sessions: false,
    valid_until: true,
};

const PAST: &str = "2024-05-01T10:00:00Z";
const SOON: &str = "2126-05-01T10:00:00Z";
const LATER: &str = "2126-05-01T18:30:00Z";

async fn world(name: &str) -> World<'static> {
    let world = World::with(name, LIMITING).await;
    world.run(&format!("ALTER ROLE {name}_hallpass CREATEROLE")).await;
    if knows_options(server()).await {
        let grant = "WITH ADMIN TRUE, INHERIT FALSE, SET FALSE";
        world
            .run(&format!("GRANT {name}_ada TO {name}_hallpass {grant}"))
            .await;
    }
    world
}

async fn grant(world: &World<'_>, ends: &str) -> Result<Granted, ProviderError> {
    let order = Order {
        reference: "orders/ada@cccccccccccc".to_owned(),
        ends: ends.parse::<Instant>().unwrap(),
    };
    world
        .provider
        .grant(&approved(&world.access()), &order)
        .await
}

/// Until when the server takes the password.
async fn limit(world: &World<'_>) -> Option<String> {
    sqlx::query_scalar(
        "SELECT to_char(rolvaliduntil AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"') FROM pg_roles WHERE rolname = $1",
    )
    .bind(&world.access().account.name)
    .fetch_one(&mut server().admin().await)
    .await
    .unwrap()
}

async fn logs_in(world: &World<'_>) -> bool {
    let account = world.access().account.name;
    let url = server().url(&account, "secret", "postgres");
    PgConnection::connect(&url).await.is_ok()
}

#[tokio::test]
async fn a_password_is_good_until_the_last_grant_of_its_account_ends_and_no_longer() {
    let world = world("limit").await;
    let granted = grant(&world, PAST).await.unwrap();
    assert_eq!(
        granted.read_back,
        format!("limit_ada is a member of limit_ro; its password is good until {PAST}")
    );
    assert!(!logs_in(&world).await, "the server itself refuses it");
    for (ends, until) in [(SOON, SOON), (LATER, LATER), (SOON, LATER), (PAST, LATER)] {
        let granted = grant(&world, ends).await.unwrap();
        assert!(granted.read_back.ends_with(until), "{}", granted.read_back);
        assert_eq!(limit(&world).await.as_deref(), Some(until), "never brought forward");
    }
    assert!(logs_in(&world).await);
    world.run("ALTER ROLE limit_ada VALID UNTIL 'infinity'").await;
    grant(&world, SOON).await.unwrap();
    assert_eq!(limit(&world).await.as_deref(), Some(SOON), "no end is no later end");
}

#[tokio::test]
async fn without_the_right_to_end_passwords_nothing_is_given() {
    let world = World::with("nolimit", LIMITING).await;
    let error = grant(&world, SOON).await.unwrap_err();
    let told = refusal(&error);
    assert!(told.contains("valid_until") && told.contains("CREATEROLE"), "{told}");
    let holders = world.provider.holders(&world.access().entitlement).await;
    assert_eq!(holders.unwrap(), []);
    assert_eq!(limit(&world).await, None);
}

#[tokio::test]
async fn where_it_is_off_no_password_is_touched() {
    let world = World::with("unlimited", Also::default()).await;
    let granted = grant(&world, PAST).await.unwrap();
    assert_eq!(granted.read_back, "unlimited_ada is a member of unlimited_ro");
    assert_eq!(limit(&world).await, None);
    assert!(logs_in(&world).await);
}
