//! The page of one grant: what it gives, why, by whose word, and its story.

use askama::Template;

use super::super::super::approval::Basis;
use super::super::super::drift::Known;
use super::super::super::evidence::{Event, Kind};
use super::super::super::ledger::{Entry, State, Terms};
use super::super::super::model::{CommitId, Instant};
use super::rows::{Row, grant_href};
use super::{Frame, visible};

/// What is known of one grant.
#[derive(Debug, Clone, Copy)]
pub struct Story<'a> {
    /// Its entry.
    pub entry: &'a Entry,
    /// What was written down of it, oldest first, with the commit of the evidence branch where it is published.
    pub told: &'a [(Event, Option<CommitId>)],
    /// How its target system differs.
    pub drift: &'a [Known],
    /// Whether whoever looks may end it, as far as is known without asking the forge.
    pub theirs: bool,
}

/// One step of a story.
struct Step {
    at: Instant,
    sentence: String,
    class: &'static str,
    pull: Option<u64>,
    /// Where the commit of the evidence is, and its first digits; `None` while it is being written.
    evidence: Option<(String, String)>,
}

/// A fact with its heading.
struct Fact {
    name: &'static str,
    value: String,
    href: Option<String>,
}

#[derive(Template)]
#[template(path = "story.html", config = "src/domain/render/page/askama.toml")]
struct StoryPage<'a> {
    frame: Frame<'a>,
    here: &'static str,
    row: Row,
    reason: Option<String>,
    facts: Vec<Fact>,
    steps: Vec<Step>,
    off: Option<(String, String)>,
    drift: Vec<(String, &'static str)>,
    revoke: Option<String>,
    keep: Option<String>,
}

/// The page of one grant.
///
/// # Errors
/// As [`super::overview`].
pub fn story(frame: Frame<'_>, of: Story<'_>) -> Result<String, askama::Error> {
    let entry = of.entry;
    let held = matches!(entry.state, State::Granting | State::Active);
    let may_end = held && entry.called_off.is_none() && of.theirs;
    let live = !entry.state.is_final() && entry.state != State::Arrived;
    let off = entry.called_off.as_ref().and_then(|off| {
        let by = off.by.as_ref()?.login.to_string();
        Some((by, visible(off.reason.as_deref().unwrap_or_default())))
    });
    let terms = entry.terms.as_ref();
    StoryPage {
        here: "",
        row: Row::of(entry, frame.now),
        reason: terms.map(|t| visible(&t.reason)),
        facts: facts(&frame, entry),
        steps: of
            .told
            .iter()
            .filter(|t| concerns(entry, &t.0))
            .map(|t| step(&frame, t))
            .collect(),
        off,
        drift: of
            .drift
            .iter()
            .map(|k| (visible(&k.drift.account), k.drift.difference.clause()))
            .collect(),
        revoke: may_end.then(|| format!("{}/end", grant_href(&entry.id))),
        keep: live.then(|| frame.pages.edit(&entry.path)),
        frame,
    }
    .render()
}

/// Whether an event of the same path is of this grant: of it, or of the request that became it.
fn concerns(entry: &Entry, event: &Event) -> bool {
    match event.record.get("grant").and_then(|g| g.as_str()) {
        Some(grant) => grant == entry.id.as_str(),
        None => {
            let asked = event.record.get("pull").and_then(serde_json::Value::as_u64);
            entry.arrival.pull.map(|p| p.0) == asked
        }
    }
}

fn step(frame: &Frame<'_>, (event, commit): &(Event, Option<CommitId>)) -> Step {
    let sentence = event.message.lines().next().unwrap_or_default();
    let class = match event.kind {
        Kind::Granted | Kind::Renewed | Kind::Approved | Kind::Reviewed => "good",
        Kind::Denied
        | Kind::MergedWithoutProof
        | Kind::Blocked
        | Kind::CalledOff
        | Kind::ReviewOverdue
        | Kind::ReviewUnsigned => "bad",
        _ => "none",
    };
    Step {
        at: event.at,
        sentence: visible(sentence),
        class,
        pull: event.record.get("pull").and_then(serde_json::Value::as_u64),
        evidence: commit.as_ref().map(|c| {
            let href = format!("{}/commit/{c}", frame.root());
            (href, c.short().to_owned())
        }),
    }
}

fn facts(frame: &Frame<'_>, entry: &Entry) -> Vec<Fact> {
    let fact = |name, value: String| Fact {
        name,
        value,
        href: None,
    };
    let mut facts = Vec::new();
    if let Some(terms) = &entry.terms {
        facts.extend(terms_facts(terms));
    }
    if let Some(pull) = entry.arrival.pull {
        facts.push(Fact {
            name: "Asked for in",
            value: format!("#{pull}"),
            href: Some(frame.pull(pull.0)),
        });
    }
    facts.push(Fact {
        name: "File",
        value: entry.path.to_string(),
        href: Some(format!(
            "{}/blob/{}/{}",
            frame.root(),
            entry.arrival.commit,
            entry.path
        )),
    });
    facts.push(Fact {
        name: "Merged as",
        value: entry.arrival.commit.short().to_owned(),
        href: Some(format!("{}/commit/{}", frame.root(), entry.arrival.commit)),
    });
    facts.push(fact("Grant", entry.id.to_string()));
    if entry.attempts > 0 && !entry.state.is_final() {
        facts.push(fact("Calls that failed", entry.attempts.to_string()));
    }
    facts
}

fn terms_facts(terms: &Terms) -> Vec<Fact> {
    let fact = |name, value: String| Fact {
        name,
        value,
        href: None,
    };
    let time = super::words::instant;
    let approved = match &terms.basis {
        Basis::Policy { id, .. } => format!("policy {}", visible(id)),
        Basis::Owners | Basis::Emergency if terms.approvals.is_empty() => {
            "nobody beforehand: break-glass".to_owned()
        }
        Basis::Owners | Basis::Emergency => {
            let one = |a: &super::super::super::approval::Approval| {
                format!("{} (as {})", a.reviewer.login, a.through)
            };
            let all: Vec<String> = terms.approvals.iter().map(one).collect();
            all.join(", ")
        }
    };
    let mut facts = vec![
        fact("Approved by", approved),
        fact("From", format!("{} UTC", time(terms.starts))),
        fact("Until", format!("{} UTC", time(terms.ends))),
    ];
    if let Some(ticket) = &terms.ticket {
        facts.push(fact("Ticket", visible(ticket)));
    }
    if let Some(by) = terms.review_by {
        facts.push(fact("To be reviewed by", format!("{} UTC", time(by))));
    }
    let access = &terms.access;
    facts.push(fact("Account", visible(&access.account.name)));
    facts.push(fact("Gives", visible(&access.entitlement_text())));
    facts.push(fact("At", access.connection.to_string()));
    facts
}
