use chrono::TimeDelta;
use hallpass::domain::audit::report::{
    Cited, Class, Outcome, Report, Sample, Scale, ScaleStep, Spread,
};
use hallpass::domain::audit::{Filter, Problem, Promise, Rule, check_story, population};
use hallpass::domain::evidence::Kind;
use hallpass::domain::model::TermLength;
use serde_json::json;

use super::{Story, Told, at, commit, everything, november};

fn spread(ms: &[u64], edges: &[u64]) -> Option<String> {
    let commit = commit(1);
    let cited = Cited {
        at: at("2026-11-23T09:00:00Z"),
        commit: &commit,
        sentence: "",
    };
    let one = |ms: &u64| Sample {
        ms: *ms,
        grant: "db/a",
        cited,
    };
    let found = Spread::of(ms.iter().map(one).collect(), edges)?;
    let buckets: Vec<u64> = found.buckets.iter().map(|b| b.count).collect();
    assert_eq!(buckets.iter().sum::<u64>(), found.count);
    Some(format!(
        "p50 {} p90 {} max {} of {} in {buckets:?}",
        found.p50_ms, found.p90_ms, found.max_ms, found.count
    ))
}

#[test]
fn percentiles_are_durations_that_occurred_and_buckets_leave_nothing_out() {
    let ten: Vec<u64> = (1..=10).rev().collect();
    for (ms, edges, expected) in [
        (&[][..], &[10][..], None),
        (&[7], &[], Some("p50 7 p90 7 max 7 of 1 in [1]")),
        (&[7], &[7], Some("p50 7 p90 7 max 7 of 1 in [0, 1]")),
        (&[6, 8], &[7], Some("p50 6 p90 8 max 8 of 2 in [1, 1]")),
        (&ten, &[3, 9], Some("p50 5 p90 9 max 10 of 10 in [2, 6, 2]")),
        (
            &[0, 0, 900],
            &[1, 5],
            Some("p50 0 p90 900 max 900 of 3 in [2, 0, 1]"),
        ),
    ] {
        assert_eq!(spread(ms, edges).as_deref(), expected, "{ms:?}");
    }
}

#[test]
fn time_is_cut_where_clocks_and_calendars_cut_it() {
    for (from, to, step, second, count) in [
        (
            "2026-11-23T09:00:03Z",
            "2026-11-23T09:00:53Z",
            ScaleStep::Seconds(1),
            "2026-11-23T09:00:04Z",
            50,
        ),
        (
            "2026-11-23T09:00:03Z",
            "2026-11-23T10:00:00Z",
            ScaleStep::Seconds(60),
            "2026-11-23T09:01:00Z",
            60,
        ),
        (
            "2026-11-01T00:00:00Z",
            "2026-12-01T00:00:00Z",
            ScaleStep::Seconds(43_200),
            "2026-11-01T12:00:00Z",
            60,
        ),
        (
            "2026-10-01T00:00:00Z",
            "2026-12-01T12:00:00Z",
            ScaleStep::Seconds(2 * 86_400),
            "2026-10-02T00:00:00Z",
            32,
        ),
        // Weeks begin on Monday; 2026-01-01 is a Thursday.
        (
            "2026-01-01T00:00:00Z",
            "2027-01-01T00:00:00Z",
            ScaleStep::Seconds(7 * 86_400),
            "2026-01-05T00:00:00Z",
            53,
        ),
        (
            "2023-02-03T04:05:06Z",
            "2027-01-01T00:00:00Z",
            ScaleStep::Months(1),
            "2023-03-01T00:00:00Z",
            47,
        ),
        (
            "1990-02-03T04:05:06Z",
            "2027-01-01T00:00:00Z",
            ScaleStep::Months(12),
            "1991-01-01T00:00:00Z",
            37,
        ),
    ] {
        let scale = Scale::of(at(from), at(to), 60);
        assert_eq!((scale.step, scale.begins.len()), (step, count), "{from}");
        assert_eq!(scale.begins[..2], [at(from), at(second)], "{from}");
        assert_eq!(scale.place(at(from)), Some(0));
        assert_eq!(scale.place(at(second)), Some(1));
        assert_eq!(scale.place(at(to)), None, "the end is not in it");
        assert_eq!(scale.end(count - 1), at(to));
    }
}

#[test]
fn an_absurd_period_is_cut_too() {
    let scale = Scale::of(at("0001-01-01T00:00:00Z"), at("9999-12-31T00:00:00Z"), 60);
    assert!(scale.begins.len() <= 110, "{}", scale.begins.len());
}

/// Of each class: grants, holders, hours, held at the end.
fn shares(report: &Report<'_>) -> Vec<String> {
    let shares = report.standing.shares.iter();
    let told = shares.map(|s| {
        let hours = s.held_seconds / 3600;
        format!(
            "{} {} by {}, {hours} h, {} at the end",
            s.grants,
            s.class.as_str(),
            s.subjects,
            s.at_end
        )
    });
    told.collect()
}

#[test]
fn access_that_is_renewed_until_it_is_long_is_standing() {
    let mut story = Story::new();
    let mut told = Told::of("ada", "db/readonly", "2026-11-02T00:00:00Z", 24 * 4);
    let first = story.grant(&told);
    told.from = at("2026-11-06T00:00:00Z");
    told.ended = Some(at("2026-11-10T00:00:00Z"));
    told.replaces = Some(first);
    story.grant(&told);
    story.grant(&Told::of(
        "linus",
        "db/readonly",
        "2026-11-02T00:00:00Z",
        24 * 4,
    ));
    let check = story.verified(vec![]);
    let expected = [
        "1 just in time by 1, 96 h, 0 at the end",
        "2 standing by 1, 192 h, 0 at the end",
        "0 break-glass by 0, 0 h, 0 at the end",
    ];
    assert_eq!(shares(&story.report(&check, &november())), expected);
    let mut asked = november();
    asked.standing = TermLength::days(8);
    assert_eq!(
        shares(&story.report(&check, &asked))[0],
        "3 just in time by 2, 288 h, 0 at the end"
    );
}

#[test]
fn forged_grants_that_replace_each_other_end_no_sooner_and_hang_nothing() {
    let mut story = Story::new();
    let mut told = Told::of("ada", "db/readonly", "2026-11-02T00:00:00Z", 2);
    told.replaces = Some("db/g5@000000000005".to_owned());
    let first = story.grant(&told);
    told.replaces = Some(first);
    assert_eq!(story.grant(&told), "db/g5@000000000005");
    let check = story.verified(vec![]);
    assert_eq!(
        shares(&story.report(&check, &november()))[0],
        "2 just in time by 1, 4 h, 0 at the end"
    );
}

#[test]
fn a_term_that_ends_with_the_calendar_is_not_over_and_stops_no_check() {
    let mut story = Story::new();
    let told = Told::of("ada", "db/readonly", "2026-11-02T00:00:00Z", 2).goes_on();
    story.grant(&told.by(json!({"expires": "+262142-12-31T23:59:59Z"})));
    let promise = Promise {
        late: TimeDelta::seconds(60),
        now: november().now,
    };
    assert_eq!(check_story(&story.lives, promise), []);
}

#[test]
fn only_what_lies_in_the_period_and_is_not_still_to_come_counts_as_held() {
    let mut story = Story::new();
    story.grant(&Told::of(
        "before",
        "db/readonly",
        "2026-10-30T00:00:00Z",
        24,
    ));
    story.grant(&Told::of("into", "db/readonly", "2026-10-31T00:00:00Z", 48));
    story.grant(&Told::of("out", "db/readonly", "2026-11-30T00:00:00Z", 48));
    story.grant(&Told::of(
        "after",
        "db/readonly",
        "2026-12-01T00:00:00Z",
        24,
    ));
    story.grant(&Told::of("on", "db/readonly", "2026-11-29T00:00:00Z", 24 * 6).goes_on());
    let check = story.verified(vec![]);
    let report = story.report(&check, &november());
    assert_eq!(
        shares(&report)[0],
        "3 just in time by 3, 96 h, 2 at the end"
    );
    let longest: Vec<String> = report
        .standing
        .longest
        .listed
        .iter()
        .map(|l| format!("{} {} h {}%", l.subject, l.held_seconds / 3600, l.percent))
        .collect();
    assert_eq!(
        longest,
        [
            "person on 48 h 6%",
            "person into 24 h 3%",
            "person out 24 h 3%"
        ]
    );
    let mut early = november();
    early.now = at("2026-11-30T00:00:00Z");
    let report = story.report(&check, &early);
    assert_eq!(
        shares(&report)[0],
        "2 just in time by 2, 48 h, 1 at the end"
    );
    assert_eq!(
        report.activity.moments.last().unwrap().held,
        None,
        "still to come"
    );
}

#[test]
fn holding_the_same_role_by_two_grants_at_once_counts_once_as_time_of_the_holder() {
    let mut story = Story::new();
    story.grant(&Told::of("ada", "db/readonly", "2026-11-02T00:00:00Z", 4));
    story.grant(&Told::of("ada", "db/readonly", "2026-11-02T02:00:00Z", 4));
    story.grant(&Told::of("ada", "db/readonly", "2026-11-02T03:00:00Z", 1));
    story.grant(&Told::of("ada", "db/readonly", "2026-11-03T00:00:00Z", 1));
    let check = story.verified(vec![]);
    let report = story.report(&check, &november());
    let longest = &report.standing.longest.listed[0];
    assert_eq!((longest.grants, longest.held_seconds), (4, 7 * 3600));
    let lane = &report.resources.listed[0].lanes.listed[0];
    assert_eq!(
        (lane.grants, lane.held_seconds, lane.bars.len()),
        (4, 7 * 3600, 2)
    );
    assert_eq!(
        (
            lane.bars[0].grants,
            lane.bars[0].until,
            lane.bars[0].held_seconds
        ),
        (3, at("2026-11-02T06:00:00Z"), 6 * 3600)
    );
    assert_eq!(report.resources.listed[0].at_once.iter().max(), Some(&3));
}

#[test]
fn each_wait_says_what_it_does_not_count_and_why() {
    let story = everything();
    let check = story.verified(vec![]);
    let report = story.report(&check, &november());
    let told: Vec<String> = report
        .access
        .iter()
        .chain([&report.removal])
        .map(|wait| {
            let spread = wait.spread.as_ref().unwrap();
            let not: Vec<String> = wait
                .not_counted
                .iter()
                .map(|n| format!("{} {}", n.count, n.why))
                .collect();
            format!(
                "{}: {} counted, half within {} ms; {}",
                wait.name,
                spread.count,
                spread.p50_ms,
                not.join("; ")
            )
        })
        .collect();
    assert_eq!(
        told,
        [
            "asked-to-usable: 6 counted, half within 600000 ms; 1 renewals: the access was there already; 1 scheduled: whoever asked chose a later beginning",
            "asked-to-approved: 7 counted, half within 300000 ms; 1 break-glass: nobody had to approve",
            "due-to-usable: 8 counted, half within 400 ms; ",
            "due-to-removed: 7 counted, half within 200 ms; ",
        ]
    );
}

#[test]
fn what_other_grants_kept_was_not_taken_away_and_has_no_time_to_revoke() {
    let mut story = Story::new();
    let grant = story.grant(&Told::of("ada", "db/readonly", "2026-11-02T00:00:00Z", 2).goes_on());
    let fields = json!({"grant": grant, "cause": "expired", "due": at("2026-11-02T02:00:00Z"), "retained_by": ["db/other@1"]});
    story.tell("revoked", at("2026-11-02T02:00:00Z"), &fields);
    let check = story.verified(vec![]);
    let report = story.report(&check, &november());
    assert!(report.removal.spread.is_none());
    assert_eq!(
        report.removal.not_counted[0].why,
        "another live grant gave the same: nothing was taken away"
    );
    assert_eq!(
        (report.endings[0].count, report.endings[0].max_ms),
        (1, None)
    );
}

#[test]
fn a_late_removal_stands_in_a_bucket_of_its_own_wherever_the_limit_is() {
    let story = everything();
    let check = story.verified(vec![]);
    for (late, late_ones) in [(60, 1), (90, 1), (3600, 0)] {
        let mut asked = november();
        asked.late = TimeDelta::seconds(late);
        let report = story.report(&check, &asked);
        let spread = report.removal.spread.as_ref().unwrap();
        let late_ms = late as u64 * 1000;
        assert!(
            spread.buckets.iter().any(|b| b.from_ms == late_ms),
            "{late}"
        );
        let beyond = spread
            .buckets
            .iter()
            .filter(|b| b.from_ms >= late_ms)
            .map(|b| b.count)
            .sum::<u64>();
        assert_eq!(beyond, late_ones, "{late}");
        let told: Vec<(&str, u64, u64)> = report
            .endings
            .iter()
            .map(|e| (e.cause, e.count, e.late))
            .collect();
        assert_eq!(told, [("expired", 7, late_ones)]);
    }
}

#[test]
fn the_numbers_are_those_of_the_population() {
    let story = everything();
    let check = story.verified(vec![]);
    let asked = november();
    let report = story.report(&check, &asked);
    let population = population(&story.lives, asked.from, asked.to, &Filter::default());
    let given: u64 = report.activity.moments.iter().map(|m| m.given).sum();
    let ended: u64 = report.activity.moments.iter().map(|m| m.ended).sum();
    let at_end: u64 = report.standing.shares.iter().map(|s| s.at_end).sum();
    let last = report.activity.moments.last().unwrap().held.unwrap();
    assert_eq!((given, ended), (population.given, population.ended));
    assert_eq!(
        (at_end, last.iter().sum()),
        (population.held_at_end, population.held_at_end)
    );
    assert_eq!(report.totals.digest, population.digest);
    assert_eq!(report.totals.records, story.records);
    let resources: u64 = report.resources.listed.iter().map(|r| r.grants).sum();
    assert_eq!(resources, report.totals.grants);
}

#[test]
fn what_a_request_told_counts_once_though_each_of_its_grants_tells_it() {
    let story = everything();
    let check = story.verified(vec![]);
    let report = story.report(&check, &november());
    let count = |kind| {
        let figures = report.totals.figures.iter();
        figures
            .filter(|f| f.kinds == [kind])
            .map(|f| f.commits.of)
            .sum::<u64>()
    };
    assert_eq!(count(Kind::Requested), 8);
    assert_eq!(count(Kind::Approved), 8);
    assert_eq!(
        (
            count(Kind::Granted),
            count(Kind::Renewed),
            count(Kind::Denied)
        ),
        (7, 1, 1)
    );
}

#[test]
fn open_exceptions_stand_first_whenever_they_began_and_closed_ones_are_of_the_period() {
    let story = everything();
    let check = story.verified(vec![]);
    let mut asked = november();
    let report = story.report(&check, &asked);
    let open: Vec<&str> = report
        .exceptions
        .open
        .listed
        .iter()
        .map(|n| n.exception.kind)
        .collect();
    assert_eq!(open, ["drift", "break-glass-unreviewed"]);
    let closed: Vec<&str> = report
        .exceptions
        .closed
        .listed
        .iter()
        .map(|n| n.exception.kind)
        .collect();
    assert_eq!(closed, ["removed-late"]);
    let glass = report.exceptions.open.listed[1].cited.unwrap();
    assert_eq!(
        glass.sentence, "granted number 19",
        "what is missing is shown by what began it"
    );
    (asked.from, asked.to) = (asked.to, asked.to + TimeDelta::days(1));
    let report = story.report(&check, &asked);
    assert_eq!(
        (report.exceptions.open.of, report.exceptions.closed.of),
        (2, 0)
    );
    assert!(report.is_alarming());
}

#[test]
fn each_resource_has_lanes_and_what_is_not_drawn_is_counted() {
    let mut story = Story::new();
    for resource in 0..23 {
        for person in 0..12 {
            let role = format!("r{resource:02}/use");
            story.grant(&Told::of(
                &format!("p{person:02}"),
                &role,
                "2026-11-02T00:00:00Z",
                24 - person,
            ));
        }
    }
    story.grant(&Told::of("p00", "r07/use", "2026-11-12T00:00:00Z", 1));
    let check = story.verified(vec![]);
    let report = story.report(&check, &november());
    assert_eq!(
        (report.resources.of, report.resources.listed.len()),
        (23, 23)
    );
    let first = &report.resources.listed[0];
    assert_eq!(
        (first.name, first.grants, first.subjects),
        ("r07", 13, 12),
        "most grants first"
    );
    assert_eq!(
        (
            first.lanes.of,
            first.lanes.listed.len(),
            first.grants_left_out
        ),
        (12, 10, 2)
    );
    assert_eq!(
        first.lanes.listed[0].subject, "person p00",
        "longest held first"
    );
    let drawn = report
        .resources
        .listed
        .iter()
        .filter(|r| !r.lanes.listed.is_empty());
    assert_eq!(drawn.count(), 20);
    let last = report.resources.listed.last().unwrap();
    assert_eq!((last.lanes.of, last.grants_left_out), (12, 12));
}

#[test]
fn a_lane_has_few_bars_however_often_it_was_held_and_loses_no_grant() {
    let mut story = Story::new();
    for number in 0..140 {
        let from = at("2026-11-01T00:10:00Z") + TimeDelta::hours(number * 5);
        let mut told = Told::of("ada", "db/readonly", "2026-11-01T00:00:00Z", 1);
        told.from = from;
        told.ended = Some(from + TimeDelta::minutes(1));
        story.grant(&told);
    }
    let check = story.verified(vec![]);
    let report = story.report(&check, &november());
    let lane = &report.resources.listed[0].lanes.listed[0];
    assert!(lane.bars.len() <= 60, "{}", lane.bars.len());
    assert_eq!(lane.bars.iter().map(|b| b.grants).sum::<u64>(), 140);
    // A minute in five hours is no month.
    assert_eq!(
        lane.bars.iter().map(|b| b.held_seconds).sum::<u64>(),
        140 * 60
    );
    assert_eq!(
        lane.held_seconds,
        140 * 60,
        "what is drawn together is not counted as held"
    );
}

#[test]
fn a_break_glass_is_not_hidden_by_standing_access() {
    let mut story = Story::new();
    story.grant(&Told::of(
        "ada",
        "db/admin",
        "2026-11-02T00:00:00Z",
        24 * 20,
    ));
    let glass = json!({"basis": "emergency", "approvals": []});
    story.grant(&Told::of("ada", "db/admin", "2026-11-05T00:00:00Z", 1).by(glass));
    let check = story.verified(vec![]);
    let report = story.report(&check, &november());
    let bars = &report.resources.listed[0].lanes.listed[0].bars;
    let classes: Vec<Class> = bars.iter().map(|bar| bar.class).collect();
    assert_eq!(classes, [Class::Standing, Class::Emergency]);
}

#[test]
fn every_control_that_was_promised_is_there_with_the_records_that_show_it() {
    let story = everything();
    let check = story.verified(vec![]);
    let report = story.report(&check, &november());
    let ids: Vec<&str> = report.controls.iter().map(|c| c.id).collect();
    for id in "A.5.15 A.5.16 A.5.17 A.5.18 A.8.2 CC6.1 CC6.2 CC6.3 5.1 5.3 5.4 6.1 6.2 6.6 6.7 6.8 AC-2 AC-5 AC-6 AU-9 AU-10".split(' ') {
        assert!(ids.contains(&id), "{id}");
    }
    let all: Vec<Kind> = report
        .controls
        .iter()
        .flat_map(|c| c.records.iter().flat_map(|r| r.kinds.iter().copied()))
        .collect();
    let nowhere: Vec<&str> = Kind::ALL
        .iter()
        .filter(|kind| !all.contains(kind))
        .map(|k| k.as_str())
        .collect();
    // These show no control by themselves: they are named among the numbers, and among the exceptions.
    assert_eq!(nowhere, ["blocked", "reverted", "first-look"]);
    let people = report.controls.iter().find(|c| c.id == "A.5.16").unwrap();
    let shown: Vec<(&str, u64)> = people
        .records
        .iter()
        .map(|r| (r.what, r.commits.of))
        .collect();
    assert_eq!(shown[0], ("changes of people and service accounts", 1));
    let privileged = report.controls.iter().find(|c| c.id == "A.8.2").unwrap();
    assert_eq!(
        privileged.outcome,
        Outcome::Look,
        "a break-glass waits for its review"
    );
    assert_eq!(privileged.records[2].commits.of, 1);
}

#[test]
fn a_control_says_what_can_be_said() {
    let mut story = Story::new();
    story.grant(&Told::of("ada", "db/readonly", "2026-11-02T00:00:00Z", 2));
    let outcome = |problems: Vec<Problem>, keys, main: bool, id: &str| {
        let mut check = story.verified(problems);
        check.keys = keys;
        check.main = check.main.filter(|_| main);
        let report = story.report(&check, &november());
        report.controls.iter().find(|c| c.id == id).unwrap().outcome
    };
    let problem = |rule| {
        vec![Problem {
            rule,
            commit: None,
            message: String::new(),
        }]
    };
    for (problems, keys, main, id, expected) in [
        (vec![], 1, true, "A.5.18", Outcome::Shown),
        (vec![], 1, false, "A.5.18", Outcome::NotAllChecked),
        (problem(Rule::NotApproved), 1, true, "A.5.18", Outcome::Look),
        (
            problem(Rule::RemovedLate),
            1,
            true,
            "A.5.18",
            Outcome::Shown,
        ),
        (problem(Rule::RemovedLate), 1, true, "CC6.2", Outcome::Look),
        (vec![], 1, true, "AU-10", Outcome::Shown),
        (vec![], 0, true, "AU-10", Outcome::NotAllChecked),
        (vec![], 1, true, "6.6", Outcome::NoRecord),
    ] {
        assert_eq!(
            outcome(problems, keys, main, id),
            expected,
            "{id} {keys} {main}"
        );
    }
}
