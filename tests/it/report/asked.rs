//! What auditors ask of the evidence, beside the report: which exceptions are over.

use chrono::TimeDelta;
use hallpass::domain::audit::exceptions;
use hallpass::domain::model::Instant;
use serde_json::json;

use super::{Story, at};

const MERGED: &str = "2026-11-23T09:00:00Z";

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
