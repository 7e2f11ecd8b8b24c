//! `hallpass policy replay`, run as a program on a small repository.

use std::fs;

use tempfile::TempDir;

use crate::policy::{BASELINE, FILE, forbid};
use crate::text::command::{commit, hallpass, put, world};
use crate::text::{GRANT, PATH};

/// Four requests of Ada and one removal on `main`; `strict` forbids what lasts longer than three hours.
fn repository() -> TempDir {
    let dir = world(&[]);
    let at = dir.path();
    commit(at, "main");
    put(at, PATH, GRANT);
    commit(at, "main");
    put(
        at,
        PATH,
        &GRANT.replace("2h", "4h").replace("Checkout", "Now login"),
    );
    commit(at, "main");
    put(
        at,
        "access/grants/orders/robot.yaml",
        &GRANT
            .replace("person: ada", "service: robot")
            .replace("2h", "7h"),
    );
    commit(at, "main");
    fs::remove_file(at.join(PATH)).unwrap();
    commit(at, "main");
    put(at, PATH, &GRANT.replace("2h", "5h"));
    // Not a request of anybody.
    put(at, "access/grants/orders/broken.yaml", "person: [\n");
    commit(at, "main");
    let text = format!(
        "{BASELINE}{}",
        forbid("three-hours", "context.minutes > 180")
    );
    put(at, FILE, &text);
    commit(at, "strict");
    dir
}

#[test]
fn past_requests_are_judged_from_git_alone() {
    let dir = repository();
    let replay = ["policy", "replay", "--base", "main", "--head", "strict"];
    let (code, text, err) = hallpass(dir.path(), &replay);
    assert_eq!((code, err.as_str()), (0, ""), "{text}");
    assert_eq!(
        text,
        "3 requests: allowed as things are, denied after the change\n    \
         2027-01-15 08:00 UTC orders/request: ada, orders/readonly\n      three-hours\n    \
         2027-01-15 08:00 UTC orders/robot: service robot, orders/readonly\n      three-hours\n    \
         2027-01-15 08:00 UTC orders/request: ada, orders/readonly\n      three-hours\n\n\
         Of the last 4 requests, 3 would or may be decided otherwise.\n"
    );

    let back = [
        "policy", "replay", "--base", "strict", "--head", "main", "--json",
    ];
    let (code, json, _) = hallpass(dir.path(), &back);
    let found: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(code, 0);
    assert_eq!(found["judged"], 4);
    assert_eq!(found["counts"]["denied-to-allowed"], 3);
    assert_eq!(found["changed"][1]["subject"]["service"], "robot");
    assert_eq!(found["changed"][1]["because"][0], "three-hours");
    assert_eq!(hallpass(dir.path(), &back).1, json, "byte for byte");
}

#[test]
fn only_the_last_are_judged_where_asked() {
    let dir = repository();
    let last = [
        "policy", "replay", "--base", "main", "--head", "strict", "--last", "2",
    ];
    let (_, text, _) = hallpass(dir.path(), &last);
    assert!(
        text.ends_with("Of the last 2 requests, 2 would or may be decided otherwise.\n"),
        "{text}"
    );
    let same = ["policy", "replay", "--base", "main", "--head", "main"];
    let (_, text, _) = hallpass(dir.path(), &same);
    assert_eq!(
        text,
        "Of the last 4 requests, none would be decided otherwise.\n"
    );
}

#[test]
fn what_is_no_repository_ends_with_two() {
    let dir = world(&[]);
    let (code, _, err) = hallpass(dir.path(), &["policy", "replay", "--base", "main"]);
    assert_eq!(code, 2);
    assert!(err.contains("there is no git repository"), "{err}");
}
