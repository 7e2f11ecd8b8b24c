//! Overlap: an entitlement is held by the set of live grants that give it. Every order in which two and three of them can begin and
//! end, through the whole service, on the target of the tests and on real servers at once.
//!
//! The grants are of three roles, two of one resource and one of another, that give the same thing; nobody may have one role twice.

use std::collections::BTreeSet;
use std::sync::Arc;

use chrono::TimeDelta;
use hallpass::clock::Clock as _;
use hallpass::domain::model::ConnectionName;
use hallpass::providers::mysql::{DefaultRole, MySql};
use hallpass::providers::postgres::{Also, Postgres};
use hallpass::providers::{Provider, Registry};
use hallpass::sandbox::Change;
use secrecy::SecretString;
use serde_json::json;

use crate::mysql::server::Server as MariaDb;
use crate::postgres::server::Server as PostgreSql;
use crate::world::{Ears, World, file, person_file};

/// When each grant begins and ends, in hours.
type Order = Vec<(i64, i64)>;

/// All orders in which `count` grants begin and end, one thing an hour. Those that differ only in which grant is which are left out
/// where `labels` do not matter.
fn orders(count: usize, labels: bool) -> Vec<Order> {
    fn go(left: &[i64], taken: Order, count: usize, labels: bool, all: &mut Vec<Order>) {
        if taken.len() == count {
            return all.push(taken);
        }
        for (i, begin) in left.iter().copied().enumerate() {
            for end in left.iter().copied().skip(i + 1) {
                let in_order = taken.last().is_none_or(|(before, _)| *before < begin);
                if !labels && !in_order {
                    continue;
                }
                let mut rest = left.to_vec();
                rest.retain(|hour| *hour != begin && *hour != end);
                let more = [taken.clone(), vec![(begin, end)]].concat();
                go(&rest, more, count, labels, all);
            }
        }
    }
    let mut all = Vec::new();
    let hours: Vec<i64> = (1..=2 * i64::try_from(count).unwrap()).collect();
    go(&hours, Vec::new(), count, labels, &mut all);
    all
}

#[test]
fn there_are_so_many_orders() {
    assert_eq!((orders(2, true).len(), orders(3, true).len()), (6, 90));
    assert_eq!((orders(2, false).len(), orders(3, false).len()), (3, 15));
}

/// Two resources on one connection, with three roles that give the same.
fn resources(connection: &str, entitlement: &str) -> [Change; 2] {
    let role = |name: &str| {
        format!(
            "  {name}:\n    description: The same as the others\n    entitlement: {{ role: {entitlement} }}\n    max_duration: 12h\n"
        )
    };
    let head = format!("description: Overlap\nrisk: low\nprovider: {connection}\nroles:\n");
    let [one, other] = [role("one") + &role("two"), role("three")];
    [
        Change::write(
            format!("access/resources/{connection}-a.yaml"),
            head.clone() + &one,
        ),
        Change::write(
            format!("access/resources/{connection}-b.yaml"),
            head + &other,
        ),
    ]
}

/// Where the grants stand, by their place in the order.
const ROLES: [(&str, &str); 3] = [("a", "one"), ("a", "two"), ("b", "three")];

/// Everybody with an order, on one connection.
struct Lane {
    connection: &'static str,
    people: Vec<(String, Order)>,
}

impl Lane {
    fn requests(&self, from: chrono::DateTime<chrono::Utc>) -> Vec<Change> {
        let at = |hour: i64| {
            let at = from + TimeDelta::hours(hour);
            at.to_rfc3339_opts(chrono::SecondsFormat::Secs, true)
        };
        let of_person = |(login, order): &(String, Order)| {
            let asks = order.iter().zip(ROLES).map(|((begin, end), (resource, role))| {
                let name = file(&format!("{}-{resource}/{login}-{role}", self.connection));
                let text = format!(
                    "person: {login}\nrole: {role}\nstarts: {}\nexpires: {}\nreason: One of several that give the same.\n",
                    at(*begin),
                    at(*end)
                );
                Change::write(name, text)
            });
            asks.collect::<Vec<_>>()
        };
        self.people.iter().flat_map(of_person).collect()
    }

    /// Who must hold it in the hour after `hour`.
    fn expected(&self, hour: i64) -> BTreeSet<String> {
        let lives = |order: &Order| order.iter().any(|(b, e)| *b <= hour && hour < *e);
        let held = self.people.iter().filter(|(_, order)| lives(order));
        held.map(|(login, _)| login.clone()).collect()
    }
}

fn url(text: String) -> SecretString {
    SecretString::from(text)
}

/// A PostgreSQL and a MariaDB server, with an account for each person, and Hallpass's own.
async fn real_servers(people: &[String]) -> Registry {
    let (pg, maria) = (PostgreSql::shared(), MariaDb::shared());
    pg.run("CREATE ROLE overlap_ro").await;
    pg.run("CREATE ROLE overlap_hallpass LOGIN PASSWORD 'secret'")
        .await;
    pg.run("GRANT overlap_ro TO overlap_hallpass WITH ADMIN OPTION")
        .await;
    maria
        .run("CREATE USER overlap_hallpass IDENTIFIED BY 'secret'")
        .await;
    for right in crate::mysql::RIGHTS {
        maria
            .run(&format!("GRANT {right} TO overlap_hallpass"))
            .await;
    }
    maria
        .run("CREATE ROLE overlap_ro WITH ADMIN overlap_hallpass")
        .await;
    for login in people {
        pg.run(format!("CREATE ROLE \"{login}\" LOGIN")).await;
        maria.run(&format!("CREATE USER `{login}`")).await;
    }
    let name = |text: &str| ConnectionName::new(text).unwrap();
    let at_pg = url(pg.url("overlap_hallpass", "secret", "postgres"));
    let at_maria = url(maria.url("overlap_hallpass", "secret"));
    let pg = Postgres::new(name("pg"), &at_pg, Also::default()).unwrap();
    let maria = MySql::new(name("maria"), &at_maria, false, DefaultRole::Set).unwrap();
    let (pg, maria): (Arc<dyn Provider>, Arc<dyn Provider>) = (Arc::new(pg), Arc::new(maria));
    Registry::from([(name("pg"), pg), (name("maria"), maria)])
}

/// Signing in takes an unoptimised build seconds: not all at once, and not while it counts.
async fn connected(real: &Registry) {
    let entitlement = json!({ "role": "overlap_ro" });
    for provider in real.values() {
        for at_once in 1..=8 {
            let looks = (0..at_once).map(|_| provider.holders(&entitlement));
            for listed in futures_util::future::join_all(looks).await {
                listed.unwrap();
            }
        }
    }
}

/// Everybody who has it, as the connection itself lists them.
async fn holders(world: &World, real: &Registry, connection: &str) -> BTreeSet<String> {
    if connection == "vault" {
        return world.holders("overlap_ro").into_iter().collect();
    }
    let provider = &real[&ConnectionName::new(connection).unwrap()];
    let listed = provider.holders(&json!({ "role": "overlap_ro" })).await;
    listed.unwrap().into_iter().map(|h| h.name).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_several_grants_give_is_held_exactly_while_one_of_them_lives() {
    let all = [orders(2, true), orders(3, true)].concat();
    let few = [orders(2, false), orders(3, false)].concat();
    let numbered = |orders: Vec<Order>, kind: &str| -> Vec<(String, Order)> {
        let named = |(n, order)| (format!("overlap-{kind}-{n}"), order);
        orders.into_iter().enumerate().map(named).collect()
    };
    let real_people = numbered(few, "real");
    let logins: Vec<String> = real_people.iter().map(|(login, _)| login.clone()).collect();
    let real = real_servers(&logins).await;
    let world = World::connected(Ears::Hearing, "", real.clone()).await;
    let lanes = [
        Lane {
            connection: "vault",
            people: numbered(all, "any"),
        },
        Lane {
            connection: "pg",
            people: real_people.clone(),
        },
        Lane {
            connection: "maria",
            people: real_people,
        },
    ];
    let mut deciding = vec![Change::write(
        ".github/CODEOWNERS",
        "* @acme/security\n/access/grants/ @acme/dba\n",
    )];
    for lane in &lanes {
        deciding.extend(resources(lane.connection, "overlap_ro"));
    }
    let everybody: BTreeSet<&String> = lanes
        .iter()
        .flat_map(|l| &l.people)
        .map(|(login, _)| login)
        .collect();
    for login in everybody {
        let id = world.sandbox.member(login);
        let text = format!(
            "github_id: {id}\nname: {login}\nidentities:\n  vault: {login}\n  pg: {login}\n  maria: {login}\n"
        );
        deciding.push(Change::write(person_file(login), text));
    }
    world.decree(&deciding).await;
    // The members were listed before they came.
    world.advance(TimeDelta::minutes(10)).await;
    connected(&real).await;
    let from = world.clock.now();
    for lane in &lanes {
        for some in lane.requests(from).chunks(48) {
            let pull = world.propose("root", some).await;
            world.approve(pull, "grace").await;
            assert!(world.is_merged(pull), "{:?}", world.check(pull));
        }
    }
    // A server that is short of connections for a while is asked again: that takes some minutes of each hour.
    let asked_again = TimeDelta::minutes(10);
    for hour in 0..=7 {
        world.advance(asked_again).await;
        for lane in &lanes {
            let held = holders(&world, &real, lane.connection).await;
            assert_eq!(
                held,
                lane.expected(hour),
                "{} in hour {hour}",
                lane.connection
            );
        }
        world.advance(TimeDelta::hours(1) - asked_again).await;
    }
    let retained = world
        .evidence()
        .into_iter()
        .filter(|m| m.contains("\nRetained-by: "));
    assert!(
        retained.count() > 100,
        "ends without an effect say which grants retain it"
    );
    // Each account got it as often as it lost it, and nothing was taken between.
    let effects = world.vault.effects();
    let lives = |order: &Order| {
        (1..=6)
            .filter(|h| {
                !order.iter().any(|(b, e)| b < h && h <= e) && order.iter().any(|(b, _)| b == h)
            })
            .count()
    };
    let spans: usize = lanes[0].people.iter().map(|(_, order)| lives(order)).sum();
    assert_eq!(
        effects.len(),
        2 * spans,
        "one call each way for each unbroken span"
    );
}
