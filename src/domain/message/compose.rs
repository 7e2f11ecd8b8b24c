//! The messages themselves: from the event, the ledger's entry or the verdict that they tell of.

use serde_json::Value;

use super::super::approval::Basis;
use super::super::decision::{Case, Outcome, Request, Verdict};
use super::super::emergency::Emergency;
use super::super::evidence::{Event, Kind, instant};
use super::super::ledger::{Cause, Entry};
use super::super::model::{Instant, PullNumber, Subject};
use super::super::parse::is_hidden;
use super::super::report::{Pages, utc};
use super::{Fact, Link, Message, Topic};

/// How many requests of one pull request are named.
const NAMED: usize = 5;

fn fact(label: &str, text: impl AsRef<str>) -> Fact {
    Fact {
        label: label.to_owned(),
        text: visible(text.as_ref()),
    }
}

/// Without what cannot be seen or changes how the rest is shown. Lines stay lines.
fn visible(text: &str) -> String {
    let shown = |c| if c != '\n' && is_hidden(c) { ' ' } else { c };
    text.chars().map(shown).collect()
}

fn link(label: impl Into<String>, url: String) -> Link {
    Link {
        label: label.into(),
        url,
    }
}

fn pull_link(pages: &Pages, number: PullNumber) -> Link {
    link(format!("Pull request #{number}"), pages.pull(number))
}

fn message(key: String, topic: Topic, at: Instant, title: String) -> Message {
    Message {
        key,
        topic,
        at,
        title: visible(&title),
        facts: Vec::new(),
        to_do: None,
        links: Vec::new(),
        whose: None,
        count: 1,
    }
}

/// What `event` gives reason to tell; `None`: nothing. `entry` is the ledger's entry of the grant that it is about.
pub fn of_event(event: &Event, entry: Option<&Entry>, pages: &Pages) -> Option<Message> {
    let sentence = event.message.lines().next().unwrap_or_default().to_owned();
    let topic = topic(event, entry)?;
    let mut told = message(event.key.clone(), topic, event.at, sentence);
    if let Some(entry) = entry {
        told.facts = about(entry);
        told.whose = holder(entry).filter(|_| is_personal(topic));
    }
    told.facts.extend(more(event));
    told.to_do = to_do(event, topic, entry);
    told.links = links(event, pages);
    Some(told)
}

/// What the event says beside the ledger.
fn more(event: &Event) -> Vec<Fact> {
    let text = |name: &str| event.record.get(name).and_then(Value::as_str);
    let some = |label: &str, name: &str| text(name).map(|text| fact(label, text));
    let found: Vec<Option<Fact>> = match event.kind {
        Kind::Granted | Kind::Renewed => vec![some("Still to do there", "pending")],
        Kind::Revoked | Kind::Cancelled => {
            let cause = text("cause").and_then(Cause::parse);
            vec![cause.map(|cause| fact("Ended because", because(&cause)))]
        }
        Kind::Drifted | Kind::DriftRemoved => vec![
            some("Connection", "connection"),
            some("Account", "account"),
            some("Entitlement", "entitlement"),
        ],
        Kind::SafeMode => vec![some("Why", "reason")],
        _ => Vec::new(),
    };
    found.into_iter().flatten().collect()
}

/// What there is to do.
fn to_do(event: &Event, topic: Topic, entry: Option<&Entry>) -> Option<String> {
    let entered = event.record.get("mode").and_then(Value::as_str) == Some("entered");
    let words = match event.kind {
        Kind::Granted | Kind::Renewed => return granted(topic, entry),
        Kind::Drifted => {
            "Hallpass leaves it alone. Whoever manages the system puts it right, or a request makes it known: `hallpass drift` and \
             `hallpass import` help."
        }
        Kind::DriftRemoved => {
            "It was taken away, because the resource says `enforce`. Whoever needs it opens a request."
        }
        Kind::Held => {
            "Look whether these people, files or accounts are really gone. What is right is let go by the approval of two owners on the \
             pull request that Hallpass opens; what is due by time ends anyway."
        }
        Kind::SafeMode if entered => {
            "Run `hallpass doctor` on the server: it says what to do. What is due by time still ends."
        }
        Kind::MergedWithoutProof => {
            "Nothing was granted. Whoever needs the access opens a new pull request and has it approved before it is merged."
        }
        _ => return None,
    };
    Some(words.to_owned())
}

fn topic(event: &Event, entry: Option<&Entry>) -> Option<Topic> {
    let cause = event.record.get("cause").and_then(Value::as_str);
    let terms = entry.and_then(|entry| entry.terms.as_ref());
    match event.kind {
        Kind::Granted if terms.is_some_and(|t| t.basis == Basis::Emergency) => {
            Some(Topic::BreakGlass)
        }
        Kind::Granted | Kind::Renewed => Some(Topic::Granted),
        // What took its place is told of, and nothing ended.
        Kind::Revoked | Kind::Cancelled if cause == Some(Cause::Replaced.as_str()) => None,
        Kind::Revoked | Kind::Cancelled => Some(Topic::Ended),
        Kind::Drifted | Kind::DriftRemoved => Some(Topic::Drift),
        Kind::Held => Some(Topic::Overdue),
        Kind::MergedWithoutProof => Some(Topic::Unproved),
        Kind::SafeMode => Some(Topic::SafeMode),
        _ => None,
    }
}

/// Whether it is the matter of the person who holds the access, and of nobody else.
fn is_personal(topic: Topic) -> bool {
    matches!(topic, Topic::Granted | Topic::EndsSoon | Topic::Ended)
}

/// Who holds it.
fn holder(entry: &Entry) -> Option<Subject> {
    let (subject, _) = entry.subject_and_role()?;
    Some(subject.clone())
}

/// Who, what, why, until when.
fn about(entry: &Entry) -> Vec<Fact> {
    let mut facts = Vec::new();
    if let Some((subject, role)) = entry.subject_and_role() {
        facts.push(fact("Who", subject.to_string()));
        facts.push(fact("What", role.to_string()));
    }
    if let Some(terms) = &entry.terms {
        facts.push(fact("Until", utc(terms.ends)));
        facts.push(fact("Why", &terms.reason));
        facts.extend(terms.ticket.as_ref().map(|ticket| fact("Ticket", ticket)));
        let by: Vec<String> = terms
            .approvals
            .iter()
            .map(|a| format!("@{}", a.reviewer.login))
            .collect();
        if !by.is_empty() {
            facts.push(fact("Approved by", by.join(", ")));
        }
    }
    facts
}

fn granted(topic: Topic, entry: Option<&Entry>) -> Option<String> {
    let path = entry.map(|entry| entry.path.short().to_owned());
    match topic {
        Topic::BreakGlass => Some(
            "An owner looks at what was done, and signs by approving the pull request that Hallpass opens for it.".to_owned(),
        ),
        _ => path.map(|path| {
            format!("It ends by itself. Done earlier? `hallpass return {path}` gives it back.")
        }),
    }
}

fn because(cause: &Cause) -> &'static str {
    match cause {
        Cause::Expired => "its term is over",
        Cause::Withdrawn => "its file was removed",
        Cause::Replaced => "its file says something else now",
        Cause::ApprovalLost => "its approval no longer held when it was to be given",
        Cause::SubjectGone => "the person left",
        Cause::OwnerGone => "nobody is accountable for the service any more",
        Cause::ReviewEnded => "an owner ended it in an access review",
        Cause::ReviewLapsed => "no owner answered for it in an access review",
        Cause::OwnerEmergency => "an owner ended it at once",
        Cause::HolderEmergency => {
            "whoever had it, or answers for the service that did, ended it at once"
        }
    }
}

fn links(event: &Event, pages: &Pages) -> Vec<Link> {
    let pull = event.record.get("pull").and_then(Value::as_u64);
    let pull = pull.map(|number| pull_link(pages, PullNumber(number)));
    pull.into_iter().chain([evidence(pages)]).collect()
}

fn evidence(pages: &Pages) -> Link {
    link("Evidence", pages.evidence())
}

/// What waits for owners on a pull request.
#[derive(Debug, Clone, Copy)]
pub struct Waiting<'a> {
    /// The pull request with all that it was judged by.
    pub case: &'a Case<'a>,
    /// How it was judged.
    pub verdict: &'a Verdict,
    /// The title of its check: who is waited for.
    pub title: &'a str,
}

/// A pull request that waits for owners; `None` where it waits for nobody, or is told of otherwise.
pub fn waiting(of: Waiting<'_>, pages: &Pages) -> Option<Message> {
    let Waiting {
        case,
        verdict,
        title,
    } = of;
    let waits = verdict.outcome == Outcome::Waiting && !case.pull.draft;
    if !waits || verdict.sign_off.is_some() {
        return None;
    }
    let number = verdict.pull;
    let topic = match verdict.answered {
        Some(_) => Topic::AccessReview,
        None => Topic::Waiting,
    };
    let title = format!("#{number}: {title}");
    let mut told = message(format!("waiting:#{number}"), topic, case.now, title);
    let author = case.pull.author.as_ref();
    let author = author.map(|a| fact("Opened by", format!("@{}", a.login)));
    told.facts = author.into_iter().chain(wanted(verdict)).collect();
    told.to_do =
        Some("Owners review the pull request: its check says what they approve.".to_owned());
    told.links = vec![pull_link(pages, number)];
    Some(told)
}

/// What a pull request asks for, and what is missing.
fn wanted(verdict: &Verdict) -> Vec<Fact> {
    let asked: Vec<Vec<Fact>> = verdict.requests.iter().filter_map(asked).collect();
    let left = asked.len().saturating_sub(NAMED);
    let mut facts: Vec<Fact> = asked.into_iter().take(NAMED).flatten().collect();
    if left > 0 {
        facts.push(fact("And", format!("{left} more")));
    }
    if !verdict.control.is_empty() {
        let count = verdict.control.len();
        let text = format!("{count} of the files that decide about access");
        facts.push(fact("Changes", text));
    }
    let missing = verdict.missing().flat_map(|m| &m.reasons).take(NAMED);
    let missing: Vec<&str> = missing.map(String::as_str).collect();
    if !missing.is_empty() {
        facts.push(fact("Missing", missing.join("\n")));
    }
    facts
}

/// What one request asks for.
fn asked(request: &Request) -> Option<Vec<Fact>> {
    let grant = request.grant.as_ref()?;
    let what = format!("{}/{}", request.path.resource(), grant.role);
    let mut facts = vec![
        fact("Who", grant.subject.to_string()),
        fact("What", what),
        fact("Why", &grant.reason),
    ];
    facts.extend(grant.ticket.as_ref().map(|ticket| fact("Ticket", ticket)));
    Some(facts)
}

/// Access that ends soon.
pub fn ending_soon(entry: &Entry, pages: &Pages, now: Instant) -> Option<Message> {
    let terms = entry.terms.as_ref()?;
    let title = format!(
        "Ends soon: {} has {} until {}",
        terms.subject,
        terms.role,
        instant(terms.ends)
    );
    let mut told = message(
        format!("ends-soon:{}", entry.id),
        Topic::EndsSoon,
        now,
        title,
    );
    told.facts = about(entry);
    told.whose = holder(entry);
    told.to_do = Some(format!(
        "To keep it, change its file by a pull request in time. To let it go: `hallpass return {}`. Otherwise it ends by itself.",
        entry.path.short()
    ));
    let pull = entry.arrival.pull.map(|number| pull_link(pages, number));
    told.links = pull.into_iter().collect();
    told.links
        .push(link("Change the file", pages.edit(&entry.path)));
    Some(told)
}

/// Access that should be gone and is not.
pub fn overdue(entry: &Entry, pages: &Pages, now: Instant) -> Option<Message> {
    let terms = entry.terms.as_ref()?;
    let title = format!("Overdue: {} still has {}", terms.subject, terms.role);
    let mut told = message(format!("overdue:{}", entry.id), Topic::Overdue, now, title);
    let called_off = entry.called_off.as_ref().map(|c| c.at);
    let due = called_off
        .into_iter()
        .chain([terms.ends])
        .find(|at| *at <= now);
    told.facts = due
        .map(|at| fact("Was to end", utc(at)))
        .into_iter()
        .collect();
    told.facts.extend([
        fact("Connection", terms.access.connection.to_string()),
        fact("Account", &terms.access.account.name),
    ]);
    let error = entry.last_error.as_ref();
    told.facts
        .extend(error.map(|error| fact("The last attempt said", error)));
    told.to_do = Some("Hallpass tries again for ever. Look whether the system can be reached; where it refuses, take the access away there by hand.".to_owned());
    let pull = entry.arrival.pull.map(|number| pull_link(pages, number));
    told.links = pull.into_iter().chain([evidence(pages)]).collect();
    Some(told)
}

/// An emergency that no owner has signed.
pub fn unsigned(emergency: &Emergency, pages: &Pages, now: Instant) -> Message {
    let Emergency { person, role, .. } = emergency;
    let late = match emergency.is_overdue(now) {
        true => "the review is overdue",
        false => "an owner's review is due",
    };
    let title = format!("Break-glass: {late} for {person} on {role}");
    let key = format!("unsigned:{}", emergency.grant);
    let mut told = message(key, Topic::BreakGlass, now, title);
    told.facts = vec![
        fact("Who", person.to_string()),
        fact("What", role.to_string()),
        fact("Given", utc(emergency.granted)),
        fact("Review until", utc(emergency.review_by)),
        fact("Why", &emergency.reason),
    ];
    told.to_do =
        Some("An owner signs by approving the pull request that brings its record.".to_owned());
    let asked = emergency.review.asked.as_ref().map(|asked| asked.pull);
    told.links = asked
        .into_iter()
        .chain([emergency.pull])
        .map(|number| pull_link(pages, number))
        .collect();
    told
}

/// The same, told once more.
#[must_use]
pub fn reminder(mut of: Message, told: u32, now: Instant) -> Message {
    of.key = format!("{}/{told}", of.key);
    of.at = now;
    if told > 0 {
        of.title = format!("Reminder: {}", of.title);
    }
    of
}

/// What a person sends to see whether messages arrive.
pub fn test(repository: &str, pages: &Pages, now: Instant) -> Message {
    let title = format!("This is a test: Hallpass tells of {repository} here");
    let mut told = message(format!("test:{}", instant(now)), Topic::Waiting, now, title);
    told.facts = vec![fact("Sent by", "hallpass doctor --tell")];
    told.to_do = Some("Nothing is to be done.".to_owned());
    told.links = vec![link("The access repository", pages.repository.clone())];
    told
}
