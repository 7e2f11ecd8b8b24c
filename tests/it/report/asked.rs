//! What auditors ask of the evidence, beside the report: who may have had access, by whatever name, and which exceptions are over.

use chrono::TimeDelta;
use hallpass::domain::audit::{Filter, access_at, exceptions, population};
use hallpass::domain::model::Instant;
use serde_json::json;

use super::{Story, Told, at};

const MERGED: &str = "2026-11-23T09:00:00Z";
const HOUR_LATER: &str = "2026-11-23T10:00:00Z";

/// Who had access: `grant`, or `grant perhaps from <instant>`.
fn had(story: &Story, when: &str, filter: &Filter) -> Vec<String> {
    let held = access_at(&story.lives, at(when), filter).into_iter();
    let told = held.map(|held| match held.perhaps_from {
        None => held.life.grant.clone(),
        Some(from) => format!("{} perhaps from {from:?}", held.life.grant),
    });
    told.collect()
}

/// Tells of a grant that was merged at [`MERGED`].
fn tell(story: &mut Story, kind: &str, when: &str, more: &serde_json::Value) {
    let mut fields = json!({
        "grant": "db/ada@1", "path": "access/grants/db/ada.yaml", "merged_at": MERGED, "starts": MERGED,
        "subject": "person ada", "role": "db/readonly", "expires": "2026-11-23T17:00:00Z",
    });
    for (name, value) in more.as_object().unwrap() {
        fields[name] = value.clone();
    }
    story.tell(kind, at(when), &fields);
}

fn perhaps() -> Vec<String> {
    vec![format!("db/ada@1 perhaps from {:?}", at(MERGED))]
}

#[test]
fn what_was_given_unseen_was_perhaps_held_from_the_merge_until_it_was_found() {
    let mut story = Story::new();
    let found = json!({"due": MERGED, "called_at": "2026-11-23T11:59:00Z"});
    tell(&mut story, "granted", "2026-11-23T12:00:00Z", &found);
    let had = |when| had(&story, when, &Filter::default());
    assert!(had("2026-11-23T08:59:59Z").is_empty());
    assert_eq!(had(MERGED), perhaps());
    assert_eq!(had("2026-11-23T11:59:59Z"), perhaps());
    assert_eq!(had("2026-11-23T12:00:00Z"), ["db/ada@1"]);
    // A sample of the time in between is drawn from all that may have been held.
    let (from, to) = (at("2026-11-23T10:00:00Z"), at("2026-11-23T11:00:00Z"));
    let found = population(&story.lives, from, to, &Filter::default());
    assert_eq!((found.grants.len(), found.held_at_start), (1, 0));
}

#[test]
fn what_was_taken_without_being_told_as_given_was_perhaps_held_until_then() {
    let mut story = Story::new();
    let cause = json!({"cause": "expired", "due": "2026-11-23T11:00:00Z"});
    tell(&mut story, "revoked", "2026-11-23T11:00:01Z", &cause);
    let had = |when| had(&story, when, &Filter::default());
    assert!(had("2026-11-23T08:59:59Z").is_empty());
    assert_eq!(had(HOUR_LATER), perhaps());
    assert!(had("2026-11-23T11:00:01Z").is_empty());
}

#[test]
fn what_is_told_as_never_given_was_not_held() {
    for kind in ["cancelled", "blocked", "merged-without-proof"] {
        let mut story = Story::new();
        tell(&mut story, kind, "2026-11-23T12:00:00Z", &json!({}));
        let had = had(&story, HOUR_LATER, &Filter::default());
        assert!(had.is_empty(), "{kind}: {had:?}");
    }
}

#[test]
fn an_account_is_found_by_each_login_that_it_had_and_a_service_by_its_own_name() {
    let mut story = Story::new();
    let person = |id: u64| json!({"subject_id": id});
    let of = |login: &str, role: &str| Told::of(login, role, MERGED, 8);
    let before = story.grant(&of("ada", "db/readonly").by(person(1)));
    let after = story.grant(&of("countess", "db/admin").by(person(1)));
    let other = story.grant(&of("linus", "db/readonly").by(person(2)));
    // A service may act as an account on GitHub, which makes it nobody's.
    let robot = json!({"subject": "service robot", "subject_id": 1});
    let robot = story.grant(&of("robot", "db/readonly").by(robot));
    let had = |name: &str, role: Option<&str>| {
        let filter = Filter {
            subject: Some(name.to_owned()),
            role: role.map(str::to_owned),
            ..Filter::default()
        };
        had(&story, HOUR_LATER, &filter)
    };
    for login in ["ada", "countess", "Countess"] {
        assert_eq!(had(login, None), [after.clone(), before.clone()], "{login}");
    }
    // By a role that the account had under its other login only.
    assert_eq!(had("ada", Some("admin")), [after]);
    assert_eq!(had("linus", None), [other]);
    assert_eq!(had("robot", None), [robot]);
}

/// The exceptions that are open at the end of the day: kind and instant.
fn open(story: &Story) -> Vec<(&'static str, Instant)> {
    let now = at("2026-11-23T16:00:00Z");
    let all = exceptions(&story.lives, TimeDelta::seconds(60), now);
    let open = all.iter().filter(|one| one.open);
    open.map(|one| (one.kind, one.at)).collect()
}

#[test]
fn nobody_answers_for_a_service_until_somebody_does_again() {
    let mut story = Story::new();
    tell(&mut story, "granted", MERGED, &json!({}));
    tell(&mut story, "orphaned", "2026-11-23T10:00:00Z", &json!({}));
    let at = at("2026-11-23T10:00:00Z");
    assert_eq!(open(&story), [("orphaned", at)]);
    tell(&mut story, "adopted", "2026-11-23T11:00:00Z", &json!({}));
    assert!(open(&story).is_empty());
    let again = at + TimeDelta::hours(2);
    let word = again.to_rfc3339();
    tell(&mut story, "orphaned", &word, &json!({}));
    assert_eq!(open(&story), [("orphaned", again)]);
}

/// Tells of removals of a resource that are held since an instant, and what became of that.
fn hold(story: &mut Story, kind: &str, set: &str, since: &str, resource: &str) {
    let fields = json!({
        "key": format!("{kind}:access/releases/{resource}/{set}.yaml@{since}"),
        "held": "withdrawn", "connection": "vault", "resource": resource,
    });
    story.tell(kind, at(since), &fields);
}

#[test]
fn a_hold_is_over_when_nothing_is_held_any_more_or_another_set_is() {
    let (one, two) = ("2026-11-23T10:00:00Z", "2026-11-23T11:00:00Z");
    let mut story = Story::new();
    hold(&mut story, "held", "one", one, "db");
    hold(&mut story, "held", "other", one, "shop");
    assert_eq!(open(&story), [("held", at(one)); 2]);
    // A larger set takes the place of the first, and of no other resource's.
    hold(&mut story, "held", "two", two, "db");
    assert_eq!(open(&story), [("held", at(two)), ("held", at(one))]);
    // That the first is released does not release the second.
    hold(&mut story, "released", "one", one, "db");
    assert_eq!(open(&story), [("held", at(two)), ("held", at(one))]);
    hold(&mut story, "hold-over", "two", two, "db");
    assert_eq!(open(&story), [("held", at(one))]);
    hold(&mut story, "released", "other", one, "shop");
    assert!(open(&story).is_empty());
}

/// Tells of a difference that was first seen at an instant.
fn drift(story: &mut Story, kind: &str, what: &str, seen: &str) {
    let key = json!({"key": format!("{kind}:{what}@{seen}")});
    story.tell(kind, at(seen), &key);
}

#[test]
fn a_difference_is_over_although_it_was_seen_anew_after_the_database_was_lost() {
    let (before, after) = ("2026-11-23T10:00:00Z", "2026-11-23T11:00:00Z");
    for end in ["drift-over", "drift-removed"] {
        let mut story = Story::new();
        drift(&mut story, "drift", "abc", before);
        drift(&mut story, "drift", "def", before);
        // The database that knew of the first sighting is lost.
        drift(&mut story, "drift", "abc", after);
        let other = ("drift", at(before));
        assert_eq!(open(&story), [("drift", at(after)), other]);
        drift(&mut story, end, "abc", after);
        assert_eq!(open(&story), [other], "{end}");
        drift(&mut story, "drift", "abc", "2026-11-23T12:00:00Z");
        assert_eq!(open(&story).len(), 2, "it is back");
    }
}
