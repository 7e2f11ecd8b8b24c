//! Whatever accounts and groups are called, a SCIM server is asked about exactly those, and exactly one membership changes.
//!
//! The server reads filters by the whole grammar of RFC 7644, 3.4.2.2, so that a name that ends its quotes would find others.
#![no_main]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{LazyLock, Mutex};

use axum::Router;
use axum::extract::Request;
use axum::http::StatusCode;
use hallpass::domain::model::{Access, Account, ConnectionName, UserId};
use hallpass::domain::target::Order;
use hallpass::providers::Provider;
use hallpass::providers::http::{Http, LinkLocal, Settings};
use hallpass::providers::scim::Scim;
use hallpass_fuzz::approved::approved;
use hallpass_fuzz::{alone, now, wait};
use libfuzzer_sys::fuzz_target;
use secrecy::SecretString;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use url::Url;

/// Who is there, and who is a member of what.
#[derive(Debug, Default)]
struct Cloud {
    users: BTreeMap<String, String>,
    groups: BTreeMap<String, String>,
    members: BTreeSet<(String, String)>,
}

static CLOUD: LazyLock<Mutex<Cloud>> = LazyLock::new(Mutex::default);

/// A filter, read from its beginning.
struct Filter<'t>(&'t str);

impl Filter<'_> {
    /// Whether what `attribute` tells of something satisfies all of `text`; `None` where that is no filter.
    fn holds(text: &str, attribute: &dyn Fn(&str) -> Option<String>) -> Option<bool> {
        let mut filter = Filter(text);
        let holds = filter.any(attribute)?;
        filter.0.trim().is_empty().then_some(holds)
    }

    fn word(&mut self, word: &str) -> bool {
        let left = self.0.trim_start();
        let there = left
            .get(..word.len())
            .is_some_and(|w| w.eq_ignore_ascii_case(word));
        if there {
            self.0 = &left[word.len()..];
        }
        there
    }

    fn any(&mut self, attribute: &dyn Fn(&str) -> Option<String>) -> Option<bool> {
        let mut holds = self.all(attribute)?;
        while self.word("or ") {
            holds |= self.all(attribute)?;
        }
        Some(holds)
    }

    fn all(&mut self, attribute: &dyn Fn(&str) -> Option<String>) -> Option<bool> {
        let mut holds = self.one(attribute)?;
        while self.word("and ") {
            holds &= self.one(attribute)?;
        }
        Some(holds)
    }

    fn one(&mut self, attribute: &dyn Fn(&str) -> Option<String>) -> Option<bool> {
        if self.word("not ") {
            return self.one(attribute).map(|holds| !holds);
        }
        if self.word("(") {
            let holds = self.any(attribute)?;
            return self.word(")").then_some(holds);
        }
        let left = self.0.trim_start();
        let end = left.find(|c: char| !c.is_ascii_alphanumeric())?;
        let (name, rest) = left.split_at(end);
        self.0 = rest;
        let found = attribute(name);
        if self.word("pr") {
            return Some(found.is_some());
        }
        let operators = [
            "eq ", "ne ", "co ", "sw ", "ew ", "gt ", "ge ", "lt ", "le ",
        ];
        let operator = operators.into_iter().find(|operator| self.word(operator))?;
        let mut values = serde_json::Deserializer::from_str(self.0).into_iter::<String>();
        let value = values.next()?.ok()?;
        self.0 = &self.0[values.byte_offset()..];
        let found = found.unwrap_or_default();
        Some(match operator {
            "eq " => found == value,
            "ne " => found != value,
            "co " => found.contains(&value),
            "sw " => found.starts_with(&value),
            "ew " => found.ends_with(&value),
            "gt " => found > value,
            "ge " => found >= value,
            "lt " => found < value,
            _ => found <= value,
        })
    }
}

impl Cloud {
    fn user(&self, id: &str, name: &str) -> Value {
        json!({ "id": id, "userName": name, "active": true })
    }

    fn group(&self, id: &str, name: &str) -> Value {
        let members = self.members.iter().filter(|(group, _)| group == id);
        let members: Vec<Value> = members
            .map(|(_, m)| json!({ "value": m, "type": "User" }))
            .collect();
        json!({ "id": id, "displayName": name, "members": members })
    }

    fn list(&self, kind: &str, filter: Option<&str>) -> Option<Value> {
        let (all, name): (_, &str) = match kind {
            "Users" => (&self.users, "userName"),
            "Groups" => (&self.groups, "displayName"),
            _ => return None,
        };
        let mut found = Vec::new();
        for (id, called) in all {
            let attribute = |asked: &str| match asked {
                "id" => Some(id.clone()),
                asked if asked == name => Some(called.clone()),
                _ => None,
            };
            let holds = filter.map_or(Some(true), |filter| Filter::holds(filter, &attribute));
            assert!(holds.is_some(), "no filter: {filter:?}");
            if holds == Some(true) {
                found.push(match kind {
                    "Users" => self.user(id, called),
                    _ => self.group(id, called),
                });
            }
        }
        Some(json!({ "totalResults": found.len(), "Resources": found }))
    }

    fn one(&self, kind: &str, id: &str) -> Option<Value> {
        match kind {
            "Users" => self.users.get(id).map(|name| self.user(id, name)),
            "Groups" => self.groups.get(id).map(|name| self.group(id, name)),
            _ => None,
        }
    }

    fn patch(&mut self, group: &str, body: &Value) -> Option<()> {
        self.groups.get(group)?;
        for operation in body["Operations"].as_array()? {
            let path = operation["path"].as_str()?;
            match operation["op"].as_str()? {
                "add" if path == "members" => {
                    for member in operation["value"].as_array()? {
                        self.members
                            .insert((group.to_owned(), member["value"].as_str()?.to_owned()));
                    }
                }
                "remove" => {
                    let filter = path.strip_prefix("members[")?.strip_suffix(']')?;
                    let goes = |(of, member): &(String, String)| {
                        let attribute = |asked: &str| (asked == "value").then(|| member.clone());
                        let holds = Filter::holds(filter, &attribute);
                        assert!(holds.is_some(), "no filter: {filter:?}");
                        of == group && holds == Some(true)
                    };
                    self.members.retain(|member| !goes(member));
                }
                _ => return None,
            }
        }
        Some(())
    }
}

fn answered(method: &str, address: &str, body: &[u8]) -> (StatusCode, Value) {
    let mut cloud = CLOUD.lock().expect("nobody panics and goes on");
    let (path, query) = address.split_once('?').unwrap_or((address, ""));
    let decoded = |text| {
        percent_encoding::percent_decode_str(text)
            .decode_utf8()
            .expect("text")
    };
    let segments: Vec<_> = path.split('/').skip(1).map(decoded).collect();
    let segments: Vec<&str> = segments.iter().map(|segment| &**segment).collect();
    let filter = url::form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "filter");
    let found = match (method, &segments[..]) {
        ("GET", [kind]) => cloud.list(kind, filter.as_ref().map(|(_, text)| &**text)),
        ("GET", [kind, id]) => cloud.one(kind, id),
        ("PATCH", ["Groups", id]) => {
            let body = serde_json::from_slice(body).expect("JSON");
            assert!(cloud.patch(id, &body).is_some(), "{address} {body}");
            Some(Value::Null)
        }
        _ => panic!("nobody asks {method} {address}"),
    };
    let missing =
        json!({ "schemas": ["urn:ietf:params:scim:api:messages:2.0:Error"], "status": "404" });
    match found {
        Some(Value::Null) => (StatusCode::NO_CONTENT, Value::Null),
        Some(value) => (StatusCode::OK, value),
        None => (StatusCode::NOT_FOUND, missing),
    }
}

static PROVIDER: LazyLock<Scim> = LazyLock::new(|| {
    let router = Router::new().fallback(|request: Request| async move {
        let (parts, body) = request.into_parts();
        let body = axum::body::to_bytes(body, 1 << 20).await.expect("a body");
        let (status, value) = answered(parts.method.as_str(), &parts.uri.to_string(), &body);
        let text = if value.is_null() {
            String::new()
        } else {
            value.to_string()
        };
        (status, text)
    });
    let listener = wait(TcpListener::bind("127.0.0.1:0")).expect("a port");
    let address = listener.local_addr().expect("an address");
    wait(async {
        tokio::spawn(async move { axum::serve(listener, router).await });
    });
    let settings = Settings {
        url: Url::parse(&format!("http://{address}")).expect("an address"),
        ca: None,
        link_local: LinkLocal::Refused,
        now: std::sync::Arc::new(now),
    };
    let http = Http::with_token(settings, "Bearer", &SecretString::from("t"));
    Scim::new(
        ConnectionName::new("db").expect("a name"),
        http.expect("a client"),
    )
});

/// Whether a text is one that every system takes for a name or an id.
fn is_plain(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric())
}

// What the account is called, its id, what the group is called, its id: with bytes between them that are in no text.
fuzz_target!(init: alone(), |data: &[u8]| {
    let mut texts = data.split(|b| *b == 0xff).map(|t| String::from_utf8_lossy(t).into_owned());
    let mut next = |otherwise: &str| {
        let text = texts.next().unwrap_or_default();
        if text.is_empty() { otherwise.to_owned() } else { text }
    };
    let (name, id) = (next("ada"), next("u1"));
    let (group, group_id) = (next("ro"), next("g1"));
    let others = [("o1", format!("x{name}")), ("o2", format!("{name}x")), ("o3", String::new())];
    let mut cloud = Cloud::default();
    for (other, called) in others {
        cloud.users.insert(other.to_owned(), called);
    }
    cloud.users.insert(id.clone(), name.clone());
    for (other, called) in [("og", format!("x{group}")), ("oh", format!("{group}x"))] {
        cloud.groups.insert(other.to_owned(), called);
    }
    cloud.groups.insert(group_id.clone(), group.clone());
    for group in ["og", "oh", &group_id] {
        for member in ["o1", "o2"].iter().filter(|m| **m != id) {
            cloud.members.insert((group.to_owned(), (*member).to_owned()));
        }
    }
    let before = cloud.members.clone();
    *CLOUD.lock().expect("nobody panics and goes on") = cloud;

    let access = Access {
        connection: ConnectionName::new("db").expect("a name"),
        account: Account { name: name.clone(), github_id: Some(UserId(1)), id: None },
        entitlement: json!({ "group": group }),
        entitlement_id: None,
    };
    let order = Order { reference: "orders/request@0123456789ab".to_owned(), ends: now() };
    let members = || CLOUD.lock().expect("nobody panics and goes on").members.clone();
    let mut with = before.clone();
    with.insert((group_id.clone(), id.clone()));

    let given = wait(PROVIDER.grant(&approved(&access), &order));
    let then = members();
    assert!(then == before || then == with, "{access:?}: {then:?}");
    let plain = [&name, &id, &group, &group_id].into_iter().all(|text| is_plain(text));
    assert!(given.is_ok() == (then == with) && (given.is_ok() || !plain), "{access:?}: {given:?}");

    let taken = wait(PROVIDER.revoke(&access, &order));
    let after = members();
    assert!(after == before || (taken.is_err() && after == then), "{access:?}: {taken:?} {after:?}");
    assert!(taken.is_ok() || !plain, "{access:?}: {taken:?}");
});
