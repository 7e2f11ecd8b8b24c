//! Whether what the evidence tells was right: each grant approved before by independent owners, each end in time, each commit of the
//! protected branch explained.

use std::collections::{BTreeMap, BTreeSet};

use chrono::TimeDelta;

use super::super::catalogue::Catalogue;
use super::super::codeowners::Ownership;
use super::super::evidence::{Arrived, DecidedOn, Judged, Kind, Record, Vote, instant};
use super::super::model::{BlobId, CommitId, Grant, GrantPath, Instant, Term};
use super::{Lives, Problem, Rule, problem};

/// What is promised, and when the question is asked.
#[derive(Debug, Clone, Copy)]
pub struct Promise {
    /// How long after it is due a removal counts as late.
    pub late: TimeDelta,
    /// The instant of asking.
    pub now: Instant,
}

/// What a check of one grant needs to know of earlier records.
#[derive(Debug, Default)]
pub struct Seen {
    /// Approvals, by review and content: how they were judged, and when they were given.
    approvals: BTreeMap<(u64, BlobId), (Judged, Option<Instant>)>,
    /// Contents that a policy approved by itself.
    by_policy: BTreeSet<BlobId>,
    /// The objects that each commit was read to hold: it is asked of git once.
    decided: BTreeMap<CommitId, Vec<(CommitId, DecidedOn)>>,
    /// Commits of the protected branch that the evidence tells of.
    explained: BTreeSet<String>,
    /// Where the protected branch was when it was looked at first.
    first_look: Option<String>,
    /// What each grant was given on: the question for a replay.
    given: Vec<(CommitId, Record)>,
    /// The key of the record that says first that a grant was given, by grant.
    first: BTreeMap<String, String>,
    problems: Vec<Problem>,
}

impl Seen {
    /// Takes the next record, oldest first.
    pub fn add(&mut self, commit: &CommitId, record: &Record) {
        if let Some(on) = &record.decided_on {
            let told = self.decided.entry(on.base.clone()).or_default();
            if told.iter().all(|(_, known)| known != on) {
                told.push((commit.clone(), on.clone()));
            }
        }
        self.explained.extend(record.merge.clone());
        match record.kind {
            Kind::Approved => self.approved(record),
            Kind::Granted | Kind::Renewed => self.granted(commit, record),
            Kind::FirstLook => self.first_look = record.tip.clone(),
            Kind::Landed => self.explained.extend(record.tip.clone()),
            _ => {}
        }
    }

    fn approved(&mut self, record: &Record) {
        if record.approved_by_policy.is_some() {
            self.by_policy.extend(record.blob.clone());
            return;
        }
        for vote in record.approvals.iter().flatten() {
            if let Some(judged) = &record.judged {
                let key = (vote.review, vote.blob.clone());
                self.approvals.insert(key, (judged.clone(), vote.at));
            }
        }
    }

    fn granted(&mut self, commit: &CommitId, record: &Record) {
        let votes = record.approvals.as_deref().unwrap_or_default();
        let grant = record.grant.as_deref().unwrap_or("a grant");
        let blob = record.blob.as_ref();
        let mut say = |rule, message: String| self.problems.push(problem(rule, commit, message));
        if let Some(grant) = &record.grant {
            let first = self
                .first
                .entry(grant.clone())
                .or_insert_with(|| record.key.clone());
            // The same key twice is told where the chain is checked.
            if *first != record.key {
                let said =
                    format!("{grant} was given already, by the record {first}, which counts");
                say(Rule::KeyTwice, said);
            }
        }
        let emergency = record.basis.as_deref() == Some("emergency");
        if votes.is_empty() && !emergency {
            let by_policy = record.approved_by_policy.is_some()
                && blob.is_some_and(|blob| self.by_policy.contains(blob));
            if !by_policy {
                say(
                    Rule::NotApproved,
                    format!("{grant} was given, and nobody had approved it"),
                );
            }
        }
        for vote in votes {
            let who = &vote.reviewer.login;
            if Some(&vote.blob) != blob {
                say(
                    Rule::NotApproved,
                    format!("{grant}: {who} approved other content than was given"),
                );
            }
            let Some((judged, at)) = self.approvals.get(&(vote.review, vote.blob.clone())) else {
                say(
                    Rule::NotApproved,
                    format!("{grant}: nothing before it tells of the approval by {who}"),
                );
                continue;
            };
            if let Some(why) = not_independent(vote, judged) {
                say(Rule::NotIndependent, format!("{grant}: {who} {why}"));
            }
            let at = at.or(vote.at);
            if at
                .zip(record.called_at)
                .is_some_and(|(at, called)| at > called)
            {
                say(
                    Rule::ApprovedLate,
                    format!("{grant}: {who} approved after the target system was called"),
                );
            }
        }
        self.given.push((commit.clone(), record.clone()));
    }

    /// The rules that decisions name, by the commit that judged: to be compared with git.
    pub fn decided(&self) -> impl Iterator<Item = (&CommitId, &[(CommitId, DecidedOn)])> {
        self.decided
            .iter()
            .map(|(base, told)| (base, told.as_slice()))
    }

    /// Where the protected branch was when it was looked at first: what came before is not Hallpass's to explain.
    pub fn first_look(&self) -> Option<&str> {
        self.first_look.as_deref()
    }

    /// What was given, for a replay of the decisions by what git holds.
    pub fn given(&self) -> &[(CommitId, Record)] {
        &self.given
    }

    /// The problems so far.
    pub fn into_problems(self) -> Vec<Problem> {
        self.problems
    }
}

/// Why a review could not count; `None` where it could.
fn not_independent(vote: &Vote, judged: &Judged) -> Option<&'static str> {
    let id = vote.reviewer.id;
    if judged.author == Some(id) {
        return Some("opened the request");
    }
    if judged.pushers.contains(&id) {
        return Some("pushed to the request");
    }
    if judged.receivers.contains(&id) {
        return Some("receives the access, or answers for the service that does");
    }
    if judged.membership.member != id || judged.membership.owner != vote.through {
        return Some("was not read to be the owner as whom the review counted");
    }
    None
}

/// Whether a decision agrees with the rules of the commit that judged: `base` is what it declares, `asked` the file that was approved.
pub fn replay(commit: &CommitId, record: &Record, base: &Catalogue, asked: &Grant) -> Vec<Problem> {
    let mut found = Vec::new();
    let (Some(grant), Some(path)) = (&record.grant, &record.path) else {
        return found;
    };
    let mut say = |rule, message| found.push(problem(rule, commit, message));
    let Ok(path) = GrantPath::new(path) else {
        say(
            Rule::RulesDiffer,
            format!("{grant}: {path} is no path of a grant"),
        );
        return found;
    };
    let votes = record.approvals.as_deref().unwrap_or_default();
    let part = grant.split_once('+').is_some();
    let owned = path.as_repo_path();
    if !part {
        // The part of a bundle is approved by the owners of such grants of its own resource.
        let owners: Vec<String> = match base.codeowners.owners(&owned) {
            Ownership::Owned { owners, .. } => owners.iter().map(ToString::to_string).collect(),
            Ownership::Cleared { .. } | Ownership::Unowned => Vec::new(),
        };
        for vote in votes {
            let named = owners
                .iter()
                .any(|owner| owner.eq_ignore_ascii_case(&vote.through));
            if !named {
                let who = &vote.reviewer.login;
                say(
                    Rule::NotAnOwner,
                    format!(
                        "{grant}: {who} approved through {}, which does not own {path}",
                        vote.through
                    ),
                );
            }
        }
    }
    for said in differs(record, base, &path, asked) {
        say(Rule::NotApproved, format!("{grant}: {said}"));
    }
    let role = record.role.as_deref().and_then(|role| role.split_once('/'));
    let declared = role.and_then(|(resource, role)| {
        let resource = base
            .resources
            .iter()
            .find(|(name, _)| name.as_str() == resource)?;
        resource
            .1
            .roles
            .iter()
            .find(|(name, _)| name.as_str() == role)
            .map(|(_, role)| role)
    });
    let Some(declared) = declared else {
        say(
            Rule::RulesDiffer,
            format!("{grant}: the commit that judged declares no such role"),
        );
        return found;
    };
    let people: BTreeSet<u64> = votes.iter().map(|vote| vote.reviewer.id).collect();
    let exempt = record.basis.is_some() || record.approved_by_policy.is_some();
    let needed = declared.approvals.max(1);
    if !exempt && (people.len() as u64) < u64::from(needed) {
        say(
            Rule::TooFewApprovals,
            format!(
                "{grant}: {} approved, and the role demands {needed}",
                people.len()
            ),
        );
    }
    let term = record
        .starts
        .zip(record.expires)
        .map(|(from, to)| to - from);
    let longest = declared.max_duration.delta();
    if term.is_some_and(|term| term > longest) && record.basis.is_none() {
        say(
            Rule::TermTooLong,
            format!("{grant}: given for longer than the role allows"),
        );
    }
    found
}

/// In what a record says something else than the file that was approved, which stands at `path`: a sentence each.
fn differs(record: &Record, base: &Catalogue, path: &GrantPath, asked: &Grant) -> Vec<String> {
    let mut found = Vec::new();
    let subject = record
        .subject
        .as_deref()
        .map(|s| s.strip_prefix("person ").unwrap_or(s));
    if subject.is_some_and(|subject| subject != asked.subject.to_string()) {
        found.push(format!(
            "the file that was approved asks for {}",
            asked.subject
        ));
    }
    let gives = base.gives(path, asked);
    let roles: Vec<String> = gives.iter().map(ToString::to_string).collect();
    if record
        .role
        .as_ref()
        .is_some_and(|role| !roles.contains(role))
    {
        let roles = roles.join(", ");
        found.push(format!("the file that was approved gives {roles}"));
    }
    if let Some(merged) = record.merged_at {
        // Records tell of whole seconds.
        let says = |said: Option<Instant>, is| said.is_none_or(|at| instant(at) == instant(is));
        let agrees = |(from, to)| says(record.starts, from) && says(record.expires, to);
        if !term(asked, merged).is_some_and(agrees) {
            found.push(format!(
                "the file that was approved, and merged at {}, asks for another term",
                instant(merged)
            ));
        }
    }
    if record.basis.as_deref() == Some("emergency") && !asked.emergency {
        found.push("the file that was approved asks for no emergency".to_owned());
    }
    found
}

/// From when until when `asked` lasts if it merges at `merged`: any time, where somebody made the record up.
fn term(asked: &Grant, merged: Instant) -> Option<(Instant, Instant)> {
    let from = asked.begin(merged);
    let to = match asked.term {
        Term::Duration(length) => from.checked_add_signed(length.delta())?,
        Term::Expires(at) => at,
    };
    Some((from, to))
}

/// Whether each end came in time.
pub fn check_story(lives: &Lives, promise: Promise) -> Vec<Problem> {
    let mut found = Vec::new();
    for life in lives.iter() {
        let Some(step) = life.steps.last() else {
            continue;
        };
        let late = life.removed_late(promise.late);
        if let Some(ms) = late.filter(|_| life.given.is_some()) {
            let said = format!("{}: taken away {ms} ms after it was due", life.grant);
            found.push(problem(Rule::RemovedLate, &step.commit, said));
        }
        if let Some(due) = life.not_removed(promise.late, promise.now) {
            let said = format!(
                "{}: its term was over at {}, and nothing says that it was taken away",
                life.grant,
                instant(due)
            );
            found.push(problem(Rule::NotRemoved, &step.commit, said));
        }
    }
    found
}

/// Whether the evidence tells of each of `commits`, and whether each commit that it tells of is there (`on_main`).
pub fn check_main(
    seen: &Seen,
    commits: &[Arrived],
    on_main: impl Fn(&str) -> bool,
) -> Vec<Problem> {
    let mut found = Vec::new();
    for one in commits {
        if seen.explained.contains(one.commit.as_str()) {
            continue;
        }
        let paths: Vec<String> = one
            .paths
            .iter()
            .take(3)
            .map(|path| format!("{path:?}"))
            .collect();
        let more = one.count.saturating_sub(3);
        let more = if more > 0 {
            format!(" and {more} more")
        } else {
            String::new()
        };
        let said = format!(
            "it changes {}{more}, and the evidence does not tell of it",
            paths.join(", ")
        );
        found.push(problem(Rule::CommitUnexplained, &one.commit, said));
    }
    for commit in seen.explained.iter().filter(|commit| !on_main(commit)) {
        found.push(Problem {
            rule: Rule::CommitGone,
            commit: None,
            message: format!("the evidence tells of {commit}, which is not on the protected branch: its history was rewritten"),
        });
    }
    found
}
