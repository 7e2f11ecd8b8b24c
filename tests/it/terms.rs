//! Terms: how long access lasts, held against arithmetic that knows no limits.

use chrono::{DateTime, TimeDelta, Utc};
use hallpass::domain::model::{Grant, Login, RoleName, Subject, Term, TermLength};
use proptest::prelude::*;

const MOST: u128 = 3650 * 86_400;

fn grant(term: Term, starts: Option<DateTime<Utc>>) -> Grant {
    Grant {
        subject: Subject::Person(Login::new("ada").unwrap()),
        role: RoleName::new("readonly").unwrap(),
        term,
        starts,
        reason: "The orders of some customers look wrong.".to_owned(),
        ticket: None,
        risk: None,
        emergency: false,
        adopt: false,
    }
}

fn at(seconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(seconds, 0).unwrap()
}

proptest! {
    #[test]
    fn a_term_is_the_sum_of_its_days_hours_and_minutes(
        days in proptest::option::of(0_u32..120_000),
        hours in proptest::option::of(0_u32..120_000),
        minutes in proptest::option::of(0_u32..120_000),
    ) {
        let parts = [(days, "d", 86_400_u128), (hours, "h", 3_600), (minutes, "m", 60)];
        let given = || parts.iter().filter_map(|(n, unit, size)| n.map(|n| (n, *unit, *size)));
        let text: String = given().map(|(n, unit, _)| format!("{n}{unit}")).collect();
        let total: u128 = given().map(|(n, _, size)| u128::from(n) * size).sum();
        let form = given().all(|(n, _, _)| (1..100_000).contains(&n));
        let parsed = TermLength::parse(&text);
        if form && (1..=MOST).contains(&total) {
            prop_assert_eq!(parsed.unwrap().delta().num_seconds() as u128, total);
        } else {
            prop_assert!(parsed.is_err(), "{}", text);
        }
    }

    #[test]
    fn what_a_term_is_written_as_reads_as_the_same_term(minutes in 1_u32..=3650 * 1_440) {
        let term = TermLength::from_seconds(minutes * 60).unwrap();
        prop_assert_eq!(TermLength::parse(&term.to_string()), Ok(term));
    }

    #[test]
    fn no_other_text_is_a_term(text in "[0-9dhmsDHMPTwy+. -]{0,9}") {
        let form = regex::Regex::new(r"^([1-9][0-9]{0,4}d)?([1-9][0-9]{0,4}h)?([1-9][0-9]{0,4}m)?$").unwrap();
        if TermLength::parse(&text).is_ok() {
            prop_assert!(!text.is_empty() && form.is_match(&text), "{}", text);
        }
    }

    #[test]
    fn access_begins_at_the_merge_or_at_its_start_and_never_before_the_merge(
        merged in 1_700_000_000_i64..2_000_000_000,
        starts in proptest::option::of(1_700_000_000_i64..2_000_000_000),
        minutes in 1_u32..100_000,
    ) {
        let length = TermLength::from_seconds(minutes * 60).unwrap();
        let grant = grant(Term::Duration(length), starts.map(at));
        let begin = grant.begin(at(merged));
        prop_assert_eq!(begin, at(starts.unwrap_or(merged).max(merged)));
        prop_assert_eq!(grant.end(at(merged)) - begin, TimeDelta::minutes(i64::from(minutes)));
    }

    #[test]
    fn an_end_that_is_an_instant_does_not_move_with_the_merge(
        merged in 1_700_000_000_i64..2_000_000_000,
        expires in 1_700_000_000_i64..2_000_000_000,
    ) {
        let grant = grant(Term::Expires(at(expires)), None);
        prop_assert_eq!(grant.end(at(merged)), at(expires));
    }
}

#[test]
fn what_looks_like_a_term_elsewhere_is_none_here() {
    for text in [
        "", "0m", "00h", "02h", "2", "h", "2H", "2 h", " 2h", "2h ", "-2h", "+2h", "1.5h", "2h2h",
        "30m2h", "P1D", "PT2H", "1w", "1y", "90s", "99999d", "100000m", "３h", "2h\n",
    ] {
        assert!(TermLength::parse(text).is_err(), "{text:?}");
    }
}

#[test]
fn an_entitlement_is_the_same_however_its_file_orders_the_keys() {
    use hallpass::domain::model::{Access, Account, ConnectionName};
    let access = |entitlement: &str| Access {
        connection: ConnectionName::new("github").unwrap(),
        account: Account {
            name: "ada".to_owned(),
            github_id: None,
            id: None,
        },
        entitlement: serde_json::from_str(entitlement).unwrap(),
        entitlement_id: None,
    };
    let (one, other) = (
        access(r#"{"team": "ops", "with": {"b": [1, {"y": 2, "x": 3}], "a": 4}}"#),
        access(r#"{"with": {"a": 4, "b": [1, {"x": 3, "y": 2}]}, "team": "ops"}"#),
    );
    assert_eq!(one, other);
    assert_eq!(one.key(), other.key());
    assert_eq!(
        one.entitlement_text(),
        r#"{"team":"ops","with":{"a":4,"b":[1,{"x":3,"y":2}]}}"#
    );
}
