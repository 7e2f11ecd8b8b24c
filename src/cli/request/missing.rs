//! What a request still lacks, all at once.

use serde::Serialize;

use super::draft::{Draft, Emergency, listed};
use crate::cli::clone::View;
use crate::domain::model::{Field, Role, RoleRef, TermLength};

/// Something that the request lacks.
#[derive(Debug, Serialize)]
pub(super) struct Missing {
    /// The flag that gives it.
    pub(super) flag: &'static str,
    /// What to give, in a sentence.
    pub(super) says: String,
}

/// Everything that is missing.
pub(super) fn missing(view: &View, draft: &Draft) -> Vec<Missing> {
    let mut all = Vec::new();
    let mut lacks = |flag, says: String| all.push(Missing { flag, says });
    if draft.role.is_none() {
        let roles = listed(view, None).join(", ");
        lacks(
            "RESOURCE/ROLE",
            format!("what is asked for, one of {roles}"),
        );
    }
    if draft.subject.is_none() {
        let who = match view.me() {
            Some(me) => format!("you are {}, who has no file under access/people/", me.login),
            None => "it is not known who you are".to_owned(),
        };
        lacks("--person", format!("for whom, or --service; {who}"));
    }
    let binding = draft.binding(view);
    if draft.term.is_none() {
        let limits = limits_in_words(&limits(&binding, draft.emergency));
        lacks("--for", format!("for how long{limits}; or --until"));
    }
    if draft.reason.is_none() {
        lacks("--reason", REASON.to_owned());
    }
    if draft.ticket.is_none() && requires(&binding, Field::Ticket) {
        lacks(
            "--ticket",
            format!("the ticket that it belongs to{}", looks_like(&binding)),
        );
    }
    if draft.risk.is_none() && requires(&binding, Field::Risk) {
        lacks("--risk", RISK.to_owned());
    }
    all
}

pub(super) const REASON: &str =
    "why the access is needed, in a sentence for the owner who approves (10 characters or more)";
pub(super) const RISK: &str = "what could go wrong, in your own words";

/// Whether one of the roles demands the field.
pub(super) fn requires(binding: &[(RoleRef, &Role)], field: Field) -> bool {
    binding
        .iter()
        .any(|(_, role)| role.requires.contains(&field))
}

/// `, which looks like ^INC-[0-9]+$`, for each role that says so.
pub(super) fn looks_like(binding: &[(RoleRef, &Role)]) -> String {
    let patterns = binding
        .iter()
        .filter_map(|(_, role)| role.ticket_pattern.as_deref());
    let patterns: Vec<&str> = patterns.collect();
    match patterns.as_slice() {
        [] => String::new(),
        some => format!(", which looks like {}", some.join(" and ")),
    }
}

/// The strictest limits of a term.
#[derive(Debug, Clone, Copy)]
pub(in crate::cli) struct Limits {
    pub(in crate::cli) least: Option<TermLength>,
    pub(in crate::cli) most: Option<TermLength>,
    pub(in crate::cli) total: Option<TermLength>,
}

pub(in crate::cli) fn limits(binding: &[(RoleRef, &Role)], emergency: Emergency) -> Limits {
    let roles = || binding.iter().map(|(_, role)| *role);
    let offers = roles().filter_map(|role| role.emergency.as_ref());
    let offered = offers.map(|offer| offer.max_duration).min();
    let total = roles().map(|role| role.max_total).min();
    let most = roles()
        .map(|role| role.max_duration.min(role.max_total))
        .min();
    match emergency {
        Emergency::Yes => Limits {
            least: None,
            most: offered.or(most),
            total,
        },
        Emergency::No | Emergency::Declined => Limits {
            least: roles().filter_map(|role| role.min_duration).max(),
            most,
            total,
        },
    }
}

/// `, at least 30m, at most 8h`.
pub(in crate::cli) fn limits_in_words(limits: &Limits) -> String {
    let least = limits.least.map(|least| format!(", at least {least}"));
    let most = limits.most.map(|most| format!(", at most {most}"));
    least.into_iter().chain(most).collect()
}
