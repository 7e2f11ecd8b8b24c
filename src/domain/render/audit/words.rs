//! Numbers, lengths and instants as people read them.

use super::super::super::evidence;
use super::super::super::model::Instant;

/// The units of a length, longest first, in milliseconds.
const UNITS: [(&str, u64); 4] = [
    ("d", 86_400_000),
    ("h", 3_600_000),
    ("min", 60_000),
    ("s", 1000),
];

/// A length of time: `340 ms`, `1.2 s`, `5 min 3 s`, `2 d 4 h`. Less than its smallest unit is left out.
pub(in super::super) fn length(ms: u64) -> String {
    if ms < 1000 {
        return format!("{ms} ms");
    }
    if ms < 10_000 && !ms.is_multiple_of(1000) {
        return format!("{}.{} s", ms / 1000, ms % 1000 / 100);
    }
    let first = UNITS.iter().position(|(_, size)| ms >= *size);
    let first = first.unwrap_or(UNITS.len() - 1);
    let (unit, size) = UNITS[first];
    let whole = format!("{} {unit}", number(ms / size));
    match UNITS.get(first + 1) {
        Some((smaller, small)) if ms % size / small > 0 => {
            format!("{whole} {} {smaller}", ms % size / small)
        }
        _ => whole,
    }
}

/// The same of whole seconds.
pub(in super::super) fn seconds(seconds: u64) -> String {
    match seconds {
        0 => "0 s".to_owned(),
        _ => length(seconds.saturating_mul(1000)),
    }
}

/// A number with a comma before each group of three digits.
pub(in super::super) fn number(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::with_capacity(digits.len() * 4 / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// `1 grant`, `2,000 grants`.
pub(in super::super) fn counted(n: u64, one: &str) -> String {
    format!("{} {one}{}", number(n), if n == 1 { "" } else { "s" })
}

/// Such a part of the whole in percent, to a tenth: `12.5%`. Never 0 where there is something, never 100 where something is missing.
pub(in super::super) fn percent(part: u64, whole: u64) -> String {
    if whole == 0 {
        return "none".to_owned();
    }
    let tenths = u128::from(part) * 1000 / u128::from(whole);
    match (part, tenths) {
        (1.., 0) => "<0.1%".to_owned(),
        (_, tenths) if tenths % 10 == 0 => format!("{}%", tenths / 10),
        (_, tenths) => format!("{}.{}%", tenths / 10, tenths % 10),
    }
}

/// An instant for a cell: `2026-11-23 13:05:00`. The page says once that it is UTC.
pub(in super::super) fn instant(at: Instant) -> String {
    evidence::instant(at).replace('T', " ").replace('Z', "")
}

/// Who, as a person reads it: a login alone, a service as one.
pub(in super::super) fn subject(subject: &str) -> &str {
    subject.strip_prefix("person ").unwrap_or(subject)
}

/// A text for a narrow place; the whole is told elsewhere.
pub(in super::super) fn cut(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    let kept: String = text.chars().take(most.saturating_sub(1)).collect();
    format!("{kept}…")
}
