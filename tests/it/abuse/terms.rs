//! Terms: arithmetic, forms of instants, what a renewal may change, and what is over before it is given.

use chrono::TimeDelta;
use hallpass::domain::decision::Outcome;
use hallpass::domain::model::TermLength;
use hallpass::domain::parse::instant;
use hallpass::sandbox::MergeMethod;
use proptest::prelude::*;

use super::{fate, gives};
use crate::approval::scene::{FILE, Scene, at, commit};
use crate::decision::office::{WANTED, office, request, rules, standing, verdict};
use crate::scenario::hearing_and_deaf_with;
use crate::text::{GRANT, grant};
use crate::world;

/// The seconds of `[<n>d][<n>h][<n>m]`, in arithmetic that cannot overflow.
fn model(text: &str) -> Option<u128> {
    let form = regex::Regex::new(
        r"^(?:([1-9][0-9]{0,4})d)?(?:([1-9][0-9]{0,4})h)?(?:([1-9][0-9]{0,4})m)?$",
    )
    .unwrap();
    let found = form.captures(text)?;
    let unit = |n: usize, size: u128| {
        found
            .get(n)
            .map_or(0, |m| m.as_str().parse::<u128>().expect("digits") * size)
    };
    let seconds = unit(1, 86_400) + unit(2, 3_600) + unit(3, 60);
    (seconds > 0 && seconds <= 3_650 * 86_400).then_some(seconds)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 2_000, ..ProptestConfig::default() })]

    #[test]
    fn ac_48_a_duration_is_what_a_model_without_limits_says(text in "(P|-|)([0-9]{1,20}|10000000000000000000)?[dDhHmMsTPy]?([0-9]{1,6}[hHT])?([0-9]{1,6}m)?( )?") {
        let ours = TermLength::parse(&text).ok().map(|t| u128::try_from(t.delta().num_seconds()).expect("positive"));
        prop_assert_eq!(ours, model(&text), "{:?}", text);
    }

    #[test]
    fn ac_48_a_term_ends_after_it_begins_and_within_its_limit(
        starts in prop::option::of(-40_000_i64..40_000),
        minutes in 1_i64..1_000,
        expires in prop::option::of(-2_000_i64..4_000),
    ) {
        let term = match expires {
            Some(after) => format!("expires: {}", at(after).format("%Y-%m-%dT%H:%M:%SZ")),
            None => format!("duration: {minutes}m"),
        };
        let mut text = WANTED.replace("duration: 2h", &term);
        if let Some(starts) = starts {
            text += &format!("starts: {}\n", at(starts).format("%Y-%m-%dT%H:%M:%SZ"));
        }
        let mut scene = office();
        scene.adds(FILE, &text).approves("grace");
        let begin = i128::from(starts.unwrap_or(0).max(0));
        let end = expires.map_or(begin + i128::from(minutes), i128::from);
        let sound = end > begin && end - begin <= 8 * 60 && begin <= 14 * 24 * 60;
        prop_assert_eq!(gives(&scene), sound, "{} {:?}", text, verdict(&scene).findings);
    }
}

#[test]
fn ac_48_terms_of_other_notations_are_refused() {
    for text in [
        "P1M",
        "P1D",
        "PT1H",
        "P1DT-1H",
        "-2h",
        "0h",
        "10000000000000000000h",
        "99999d",
        "2 h",
        "2H",
        "1h1d",
        "1w",
        "1y",
        "1.5h",
        "01h",
        "",
        "\u{661}h",
    ] {
        assert!(TermLength::parse(text).is_err(), "{text}");
        let found = grant(&GRANT.replace("duration: 2h", &format!("duration: \"{text}\"")));
        assert_eq!(found.len(), 1, "{text}: {found:?}");
    }
}

#[test]
fn ac_49_an_instant_has_one_form() {
    let mut wrong: Vec<String> = [
        "2026-11-23T23:59:60Z",
        "2026-11-23t20:00:00z",
        "2026-11-23T20:00:00+00:00",
        "2026-11-23T20:00:00-00:00",
        "2026-11-23T21:00:00+01:00",
        "2026-11-23T20:00:00",
        "2026-11-23T20:00:00.000Z",
        "2026-11-23T24:00:00Z",
        "0000-11-23T20:00:00Z",
        "9999-11-23T20:00:00Z",
        "12026-11-23T20:00:00Z",
        "-2026-11-23T20:00:00Z",
        "2026-02-29T20:00:00Z",
        "20261123T200000Z",
        "2026-11-23T20:00:00[Europe/Berlin]",
    ]
    .map(str::to_owned)
    .into();
    // A local hour that there is twice, or never, is no instant without its zone either.
    wrong.extend(["2026-10-25T02:30:00", "2026-03-29T02:30:00"].map(str::to_owned));
    for text in wrong {
        for field in ["expires", "starts"] {
            let line = match field {
                "expires" => format!("expires: \"{text}\""),
                _ => format!("duration: 2h\nstarts: \"{text}\""),
            };
            let found = grant(&GRANT.replace("duration: 2h", &line));
            assert!(found[0].ends_with("bad-value"), "{text}: {found:?}");
        }
    }
    // What a schema lets through nowhere, and a command line might.
    for text in [
        "2026-11- 3T20:00:00Z",
        "2026-11-23T 9:00:00Z",
        "2026-11-23T20:00: 0Z",
        "+2026-1-23T20:00:00Z",
        "-026-11-23T20:00:00Z",
        " 2026-1-23T20:00:00Z",
    ] {
        assert_eq!(instant(text), None, "{text}");
    }
    let right = instant("2026-11-23T20:00:00Z").expect("the one form");
    assert_eq!(
        right.format("%Y-%m-%dT%H:%M:%SZ").to_string(),
        "2026-11-23T20:00:00Z"
    );
}

#[test]
fn ac_50_what_is_over_before_it_merges_is_never_given() {
    let until = WANTED.replace("duration: 2h", "expires: 2026-11-24T12:30:00Z");
    let mut scene: Scene = office();
    scene.adds(FILE, &until).approves("grace");
    assert!(gives(&scene));
    scene.now = at(31);
    assert_eq!(fate(&scene).0, Outcome::Denied);
    assert!(!gives(&scene));
}

#[tokio::test(flavor = "multi_thread")]
async fn ac_50_a_request_that_somebody_merges_after_its_end_gives_nothing() {
    hearing_and_deaf_with("merge = \"off\"", async |world| {
        let text = world::grant("ada", "readonly", "2h")
            .replace("duration: 2h", "expires: 2026-11-23T10:00:00Z");
        let pull = world.request("ada", "db/ada-incident", &text).await;
        world.approve(pull, "grace").await;
        assert_eq!(world.conclusion(pull), "success");
        world.clock.advance(TimeDelta::minutes(61));
        world.merge_as_admin(pull, MergeMethod::Merge).await;
        assert_eq!(world.vault.calls(), 0);
        assert!(world.holders("reader").is_empty());
    })
    .await;
}

#[test]
fn ac_26_a_live_grant_changes_neither_hands_nor_what_it_gives() {
    for (from, to) in [
        ("person: octocat", "person: ivan"),
        ("person: octocat", "service: deploy-bot"),
        ("role: readonly", "role: admin"),
    ] {
        let text = WANTED
            .replace(from, to)
            .replace("Checkout fails", "Checkout still fails");
        let mut scene = office();
        standing(&mut scene, FILE, WANTED);
        scene.changes(FILE, Some(WANTED), Some(&text));
        for owner in ["grace", "heidi"] {
            scene.approves(owner).last().body = "As agreed this morning".to_owned();
        }
        assert!(
            rules(&verdict(&scene)).contains(&"renewal-changes-grant"),
            "{to}"
        );
        assert!(!gives(&scene), "{to}");
    }
}

#[test]
fn ac_26_whatever_else_changes_in_a_live_grant_says_why_and_needs_full_approval_again() {
    let mutations = [
        ("duration: 2h", "duration: 4h"),
        ("duration: 2h", "duration: 1h"),
        ("duration: 2h", "expires: 2026-11-24T18:00:00Z"),
        ("duration: 2h", "duration: 2h\nstarts: 2026-11-24T13:00:00Z"),
        ("INC-4211", "INC-4212"),
        ("writes nothing", "writes much"),
    ];
    for (from, to) in mutations {
        let text = WANTED.replace(from, to);
        assert_ne!(text, WANTED);
        let mut scene = office();
        standing(&mut scene, FILE, WANTED);
        scene
            .changes(FILE, Some(WANTED), Some(&text))
            .approves("grace");
        assert_eq!(rules(&verdict(&scene)), ["renewal-needs-reason"], "{to}");
        assert!(!gives(&scene), "{to}");
        let text = text.replace("Checkout fails", "Checkout still fails");
        let mut scene = office();
        standing(&mut scene, FILE, WANTED);
        scene.changes(FILE, Some(WANTED), Some(&text));
        assert_eq!(verdict(&scene).outcome, Outcome::Waiting, "{to}");
        // The approval of what stood there before is none of what is to stand there.
        scene.approves("grace").last().commit = Some(commit("before"));
        scene.shows("before", FILE, Some(WANTED));
        assert!(!gives(&scene), "{to}");
        scene.approves("heidi");
        assert!(gives(&scene), "{to}: {:?}", rules(&verdict(&scene)));
    }
}

#[test]
fn ac_26_an_end_that_only_comes_earlier_needs_an_owner_and_no_new_reason() {
    let until = WANTED.replace("duration: 2h", "expires: 2026-11-24T18:00:00Z");
    let earlier = until.replace("18:00", "15:00");
    let mut scene = office();
    standing(&mut scene, FILE, &until);
    scene.changes(FILE, Some(&until), Some(&earlier));
    assert_eq!(verdict(&scene).outcome, Outcome::Waiting);
    assert!(!gives(&scene));
    scene.approves("grace");
    assert!(gives(&scene), "{:?}", rules(&verdict(&scene)));
}

#[test]
fn ac_50_an_approval_that_is_older_than_the_role_lets_it_be_counts_no_more() {
    // Seven days, where a role does not say.
    let week = 7 * 24 * 60;
    for (age, expected) in [
        (0, true),
        (week - 1, true),
        (week + 1, false),
        (60 * week, false),
    ] {
        let mut scene = request();
        scene.approves("grace");
        scene.now = at(age);
        assert_eq!(gives(&scene), expected, "{age} minutes");
        // A fresh word of the same owner counts again.
        scene.approves("grace").last().submitted_at = Some(scene.now);
        assert!(gives(&scene), "{age} minutes");
    }
}
