//! Access reviews as files: when one begins, whom it asks about what, and what counts as an answer.

use chrono::TimeDelta;
use hallpass::domain::codeowners::Codeowners;
use hallpass::domain::ledger::{Cause, Entry, State};
use hallpass::domain::model::{
    CommitId, GrantPath, Instant, RoleRef, SheetPath, Subject, TermLength,
};
use hallpass::domain::parse::{MAX_BYTES, instant, read_tree};
use hallpass::domain::round::{Answer, MOST_LINES, Schedule, Sheet, sheets};

use super::{file, findings, places};
use crate::plan::books::{ASK, Books};

fn day(text: &str) -> Instant {
    instant(&format!("{text}T08:00:00Z")).unwrap()
}

const SCHEDULE: Schedule = Schedule {
    first: Instant::UNIX_EPOCH,
    every: TermLength::days(30),
    within: TermLength::days(7),
    unanswered: Answer::Keep,
};

#[test]
fn the_days_of_reviews_follow_from_the_schedule_alone() {
    let schedule = Schedule {
        first: day("2027-01-04"),
        every: TermLength::days(84),
        ..SCHEDULE
    };
    let second = TimeDelta::seconds(1);
    let cases = [
        (day("2027-01-04") - second, None),
        (day("2027-01-04"), Some("2027-01-04")),
        (day("2027-03-29") - second, Some("2027-01-04")),
        (day("2027-03-29"), Some("2027-03-29")),
        // Years without a service change nothing.
        (day("2032-01-01"), Some("2031-11-03")),
    ];
    for (now, round) in cases {
        assert_eq!(schedule.round_at(now), round.map(day), "{now}");
    }
    // Nothing begins by a schedule that cannot be kept.
    let within = schedule.every;
    let schedule = Schedule { within, ..schedule };
    assert_eq!(schedule.round_at(day("2027-01-04")), None);
}

#[test]
fn a_schedule_leaves_owners_time_and_reviews_a_day() {
    let wrong = |every: &str, within: &str| {
        let text = format!("first: 2027-01-04T08:00:00Z\nevery: {every}\nwithin: {within}\n");
        places(&findings(&[("access/reviews.yaml", &text)]))
    };
    assert_eq!(wrong("84d", "14d"), [""; 0]);
    assert_eq!(wrong("1d", "23h"), [""; 0]);
    assert_eq!(
        wrong("14d", "14d"),
        ["access/reviews.yaml:3:9 review-schedule"]
    );
    assert_eq!(
        wrong("23h", "1h"),
        ["access/reviews.yaml:3:9 review-schedule"]
    );
    assert_eq!(wrong("soon", "1h"), ["access/reviews.yaml:2:8 bad-value"]);
}

/// A live grant of `name` that lasts for `days`.
fn live(name: &str, days: i64) -> Entry {
    let mut books = Books::default();
    let id = books.stands(&ASK, 0, State::Active);
    let mut entry = books.entry(&id).clone();
    entry.path = GrantPath::new(format!("access/grants/orders/{name}.yaml")).unwrap();
    entry.id = entry.path.id(&entry.arrival.commit);
    let terms = entry.terms.as_mut().unwrap();
    terms.ends = terms.starts + TimeDelta::days(days);
    entry
}

fn owned(text: &str) -> Codeowners {
    Codeowners::parse(".github/CODEOWNERS", text.as_bytes())
}

fn asked(entries: &[Entry], owners: &str) -> Vec<Sheet> {
    let sheets = sheets(&SCHEDULE, day("2027-01-04"), entries, &owned(owners));
    let now = day("2027-01-05");
    sheets
        .into_iter()
        .map(|sheet| sheet.asked_at(now))
        .collect()
}

fn names(sheet: &Sheet) -> Vec<&str> {
    let lines = sheet.lines.iter();
    lines.map(|line| line.path.short()).collect()
}

#[test]
fn a_review_asks_about_live_access_that_lasts_longer_than_passes_until_the_next_one() {
    let renewed = || {
        let mut entry = live("renewed", 10);
        let terms = entry.terms.as_mut().unwrap();
        terms.since = Some(terms.starts - TimeDelta::days(21));
        entry
    };
    let off = live("off", 90).call_off(Cause::ReviewEnded, day("2027-01-04"));
    let mut scheduled = live("scheduled", 90);
    scheduled.state = State::Scheduled;
    let mut ending = live("ending", 90);
    ending.state = State::Revoking;
    let mut perhaps = live("perhaps", 90);
    perhaps.state = State::Granting;
    let entries = [
        live("long", 31),
        live("just", 30),
        renewed(),
        off.unwrap(),
        scheduled,
        ending,
        perhaps,
    ];
    let sheets = asked(&entries, "* @acme/dba\n");
    assert_eq!(sheets.len(), 1);
    assert_eq!(
        names(&sheets[0]),
        ["orders/long", "orders/perhaps", "orders/renewed"]
    );
}

#[test]
fn each_set_of_owners_has_a_sheet_whose_name_says_whose_it_is() {
    let entries = [live("a", 90), live("b", 90), live("c", 90), live("d", 90)];
    let owners = "* @acme/dba @Grace\n/access/grants/orders/b.yaml @Grace @acme/dba\n/access/grants/orders/c.yaml\n/access/grants/orders/d.yaml @mei\n";
    let sheets = asked(&entries, owners);
    let told: Vec<(String, Vec<&str>)> = sheets
        .iter()
        .map(|s| (s.record_path().to_string(), names(s)))
        .collect();
    let digits = regex::Regex::new("-[0-9a-f]{12}").unwrap();
    let told: Vec<(String, Vec<&str>)> = told
        .into_iter()
        .map(|(path, names)| (digits.replace(&path, "-#").into_owned(), names))
        .collect();
    let path = |whose: &str| format!("access/reviews/2027-01-04/{whose}-#.yaml");
    let mut expected = vec![
        (path("nobody"), vec!["orders/c"]),
        (path("grace--acme-dba"), vec!["orders/a", "orders/b"]),
        (path("mei"), vec!["orders/d"]),
    ];
    expected.sort();
    let mut told = told;
    told.sort();
    assert_eq!(told, expected);
    for sheet in &sheets {
        assert!(SheetPath::new(sheet.record_path().as_str()).is_ok());
    }
}

#[test]
fn what_hallpass_asks_is_what_it_reads_however_much_that_is() {
    let name = |n: usize| format!("{n:03}-{}", "x".repeat(90));
    let service =
        Subject::Service(hallpass::domain::model::ServiceName::new("s".repeat(100)).unwrap());
    let long = |n: usize| {
        let mut entry = live(&name(n), 90);
        let terms = entry.terms.as_mut().unwrap();
        terms.subject = service.clone();
        let own = |text: &str| text.repeat(100);
        terms.role = RoleRef {
            resource: hallpass::domain::model::ResourceName::new(own("r")).unwrap(),
            role: hallpass::domain::model::RoleName::new(own("o")).unwrap(),
        };
        let part = terms.role.clone();
        let commit = CommitId::new("0123456789".repeat(4)).unwrap();
        entry.id = entry.path.part_id(&commit, &part);
        entry
    };
    let entries: Vec<Entry> = (0..450).map(long).collect();
    let short: Vec<Entry> = (0..450).map(|n| live(&format!("g{n}"), 90)).collect();
    for entries in [entries, short] {
        let sheets = asked(&entries, "* @acme/dba\n");
        let lines: usize = sheets.iter().map(|s| s.lines.len()).sum();
        assert_eq!(lines, 450, "each grant is asked about once");
        assert!(sheets.len() > 2);
        for sheet in sheets {
            assert!(sheet.lines.len() <= MOST_LINES);
            let text = sheet.answers().text();
            assert!(text.len() <= MAX_BYTES);
            let path = sheet.record_path();
            let tree = read_tree(&[file(path.as_str(), text)]);
            assert_eq!(tree.findings, []);
            assert_eq!(tree.sheets[&path], sheet.answers());
        }
    }
}

#[test]
fn answers_keep_end_or_leave_out_and_say_nothing_else() {
    let entries = [live("a", 90), live("b", 90), live("c", 90)];
    let sheet = asked(&entries, "* @acme/dba\n").remove(0);
    let mut answers = sheet.answers();
    assert!(
        sheet
            .answered(&answers)
            .unwrap()
            .values()
            .all(|a| *a == Answer::Keep)
    );
    answers.lines[0].decision = Answer::End;
    answers.lines.remove(1);
    let said: Vec<Answer> = sheet.answered(&answers).unwrap().into_values().collect();
    assert_eq!(said, [Answer::End, Answer::End, Answer::Keep]);
    // Their order is nobody's business.
    answers.lines.reverse();
    assert!(sheet.answered(&answers).is_ok());
    answers.lines.clear();
    assert!(
        sheet
            .answered(&answers)
            .unwrap()
            .values()
            .all(|a| *a == Answer::End)
    );
    let path = sheet.record_path();
    let tree = read_tree(&[file(path.as_str(), answers.text())]);
    assert_eq!(tree.sheets[&path], answers);

    let mut twice = sheet.answers();
    twice.lines.push(twice.lines[0].clone());
    assert!(
        sheet
            .answered(&twice)
            .unwrap_err()
            .ends_with("is answered twice")
    );
    let mut later = sheet.answers();
    later.lines[1].until += TimeDelta::days(1);
    assert!(sheet.answered(&later).unwrap_err().contains("orders/b@"));
}

#[test]
fn answers_have_their_place() {
    let place = |path: &str| {
        let tree = read_tree(&[file(path, "lines: []\n")]);
        tree.findings[0].rule
    };
    for wrong in [
        "access/reviews/2027-01-04.yaml",
        "access/reviews/2027-01-04/acme-dba.yaml",
        "access/reviews/2027-13-04/acme-dba-0123456789ab.yaml",
        "access/reviews/someday/acme-dba-0123456789ab.yaml",
        "access/reviews/2027-01-04/acme-dba-0123456789ag.yaml",
        "access/reviews/2027-01-04/-0123456789ab.yaml",
        "access/reviews.yml",
    ] {
        let rule = place(wrong);
        assert!(
            ["bad-path", "unknown-file"].contains(&rule),
            "{wrong}: {rule}"
        );
    }
    let right = "access/reviews/2027-01-04/acme-dba-0123456789ab.yaml";
    assert_eq!(place(right), "missing-field");
}
