//! Terms and instants, held against arithmetic of integers that are too wide to overflow and a calendar of our own.
#![no_main]

use chrono::DateTime;
use hallpass::domain::model::{Instant, TermLength};
use hallpass::domain::parse::instant;
use hallpass::domain::policy::begun_minutes;
use hallpass::domain::round::{Answer, Schedule};
use hallpass_fuzz::approval::scene::{FILE, at};
use hallpass_fuzz::decision::office::WANTED;
use hallpass_fuzz::{alone, gives, office};
use libfuzzer_sys::arbitrary::{Result, Unstructured};
use libfuzzer_sys::fuzz_target;

const DAY: i128 = 86_400;
const LONGEST: i128 = 3650 * DAY;

/// The seconds of `[<n>d][<n>h][<n>m]`; `None` for another text.
fn seconds(text: &str) -> Option<i128> {
    let (mut left, mut sum) = (text, 0_i128);
    for (unit, size) in [('d', DAY), ('h', 3_600), ('m', 60)] {
        let Some((number, rest)) = left.split_once(unit) else {
            continue;
        };
        let digits = (1..=5).contains(&number.len()) && number.chars().all(|c| c.is_ascii_digit());
        if !digits || number.starts_with('0') {
            return None;
        }
        sum += number.parse::<i128>().ok()? * size;
        left = rest;
    }
    (left.is_empty() && (1..=LONGEST).contains(&sum)).then_some(sum)
}

/// The seconds since 1970 of `2026-11-30T18:00:00Z`; `None` for another text.
fn since_1970(text: &str) -> Option<i128> {
    let form = "dddd-dd-ddTdd:dd:ddZ";
    let fits = |(form, found): (char, char)| match form {
        'd' => found.is_ascii_digit(),
        other => found == other,
    };
    if text.chars().count() != form.len() || !form.chars().zip(text.chars()).all(fits) {
        return None;
    }
    let number = |from: usize, to: usize| text[from..to].parse::<i128>().expect("digits");
    let (year, month, day) = (number(0, 4), number(5, 7), number(8, 10));
    let (hour, minute, second) = (number(11, 13), number(14, 16), number(17, 19));
    let leap = |year: i128| year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let days = |month: i128| match month {
        2 => 28 + i128::from(leap(year)),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    };
    let sound = (1..=12).contains(&month) && (1..=days(month)).contains(&day);
    if !sound || hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    // Whole years since the year 0, then whole months.
    let past = |year: i128| year * 365 + (year + 3) / 4 - (year + 99) / 100 + (year + 399) / 400;
    let months: i128 = (1..month).map(days).sum();
    let date = past(year) - past(1970) + months + day - 1;
    Some(date * DAY + hour * 3_600 + minute * 60 + second)
}

/// Any text, as a term and as an instant.
fn texts(text: &str) {
    let term = TermLength::parse(text).ok();
    let ours = term.map(|term| i128::from(term.delta().num_seconds()));
    assert_eq!(ours, seconds(text), "{text:?}");
    if let Some(term) = term {
        assert_eq!(TermLength::parse(&term.to_string()), Ok(term));
    }
    let ours = instant(text).map(|at| i128::from(at.timestamp()));
    assert_eq!(ours, since_1970(text), "{text:?}");
    if let Some(at) = instant(text) {
        assert_eq!(at.format("%Y-%m-%dT%H:%M:%SZ").to_string(), text);
    }
}

/// An instant in any year that clocks tell, with parts of a second.
fn clock(u: &mut Unstructured<'_>) -> Result<Instant> {
    let seconds = u.int_in_range(-10_000_000_000_i64..=200_000_000_000)?;
    let nanos = u.int_in_range(0..=999_999_999_u32)?;
    Ok(DateTime::from_timestamp(seconds, nanos).expect("in range"))
}

fn nanos(at: Instant) -> i128 {
    i128::from(at.timestamp()) * 1_000_000_000 + i128::from(at.timestamp_subsec_nanos())
}

fn length(u: &mut Unstructured<'_>) -> Result<TermLength> {
    let seconds = u.int_in_range(1..=3650 * 86_400_u32)?;
    Ok(TermLength::from_seconds(seconds).expect("in range"))
}

/// When the round of an access review began.
fn rounds(u: &mut Unstructured<'_>) -> Result<()> {
    let schedule = Schedule {
        first: clock(u)?,
        every: length(u)?,
        within: length(u)?,
        unanswered: Answer::Keep,
    };
    let now = clock(u)?;
    let every = i128::from(schedule.every.delta().num_seconds()) * 1_000_000_000;
    let within = i128::from(schedule.within.delta().num_seconds()) * 1_000_000_000;
    let passed = nanos(now) - nanos(schedule.first);
    let sound = every >= DAY * 1_000_000_000 && within < every && passed >= 0;
    let expected = sound.then(|| nanos(schedule.first) + passed / every * every);
    assert_eq!(
        schedule.round_at(now).map(nanos),
        expected,
        "{schedule:?} {now}"
    );

    let minutes = i128::from(begun_minutes(schedule.first, now));
    let seconds = (passed / 1_000_000_000).max(0);
    assert_eq!(minutes, (seconds + 59) / 60);
    Ok(())
}

/// What a request with these times gives: something exactly where it ends after it begins, within its limit, and begins soon.
fn requests(u: &mut Unstructured<'_>) -> Result<()> {
    // In minutes from now.
    let starts = u
        .arbitrary::<bool>()?
        .then(|| u.int_in_range(-50_000..=50_000_i64))
        .transpose()?;
    let expires = u
        .arbitrary::<bool>()?
        .then(|| u.int_in_range(-3_000..=60_000_i64))
        .transpose()?;
    let minutes = u.int_in_range(1..=99_999_i64)?;
    let written = |minutes: i64| at(minutes).format("%Y-%m-%dT%H:%M:%SZ").to_string();
    let term = match expires {
        Some(after) => format!("expires: {}", written(after)),
        None => format!("duration: {minutes}m"),
    };
    let mut text = WANTED.replace("duration: 2h", &term);
    if let Some(starts) = starts {
        text += &format!("starts: {}\n", written(starts));
    }
    let mut scene = office();
    scene.adds(FILE, &text).approves("grace");
    let begin = i128::from(starts.unwrap_or(0).max(0));
    let end = expires.map_or(begin + i128::from(minutes), i128::from);
    let sound = end > begin && end - begin <= 8 * 60 && begin <= 14 * 24 * 60;
    assert_eq!(gives(&scene), sound, "{text}");
    Ok(())
}

fuzz_target!(init: alone(), |data: &[u8]| {
    let Some((first, rest)) = data.split_first() else {
        return;
    };
    let mut u = Unstructured::new(rest);
    let enough = match first {
        b'r' => rounds(&mut u),
        b'g' => requests(&mut u),
        _ => {
            if let Ok(text) = std::str::from_utf8(rest) {
                texts(text);
            }
            Ok(())
        }
    };
    // Too few bytes are no find.
    let _ = enough;
});
