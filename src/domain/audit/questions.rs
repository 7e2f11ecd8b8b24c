//! What auditors ask.

use std::collections::{BTreeMap, BTreeSet};

use chrono::TimeDelta;
use serde::Serialize;
use sha2::{Digest as _, Sha256};

use super::super::evidence::{Kind, Record, instant};
use super::super::model::{CommitId, Instant};
use super::{Life, Lives};

/// Which lives are meant. What is absent limits nothing.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// The login of a person, today's or an earlier one; or the name of a service.
    pub subject: Option<String>,
    /// A resource.
    pub resource: Option<String>,
    /// A role: `<resource>/<role>`, or the role alone.
    pub role: Option<String>,
}

impl Filter {
    /// The lives that are meant. A login stands for every account that ever had it, by whatever login the account went then: people
    /// rename theirs, and GitHub's number stays.
    pub fn pick<'l>(&self, lives: &'l Lives) -> impl Iterator<Item = &'l Life> {
        let named = lives.iter().filter(|life| self.names(life));
        let accounts: BTreeSet<u64> = named.filter_map(account).collect();
        lives.iter().filter(move |life| {
            let same = || account(life).is_some_and(|id| accounts.contains(&id));
            (self.names(life) || same()) && self.meets(life)
        })
    }

    /// Whether the subject has exactly this name.
    fn names(&self, life: &Life) -> bool {
        let subject = life.subject.split_once(' ').map_or("", |(_, name)| name);
        let asked = self.subject.as_deref();
        asked.is_none_or(|s| s.eq_ignore_ascii_case(subject))
    }

    fn meets(&self, life: &Life) -> bool {
        let role = life.role.split_once('/').map_or("", |(_, role)| role);
        let resource = self.resource.as_deref();
        let asked = self.role.as_deref();
        resource.is_none_or(|r| r == life.resource())
            && asked.is_none_or(|r| r == life.role || r == role)
    }
}

/// GitHub's number of a person. What a service has there is no person's.
fn account(life: &Life) -> Option<u64> {
    life.subject_id
        .filter(|_| life.subject.starts_with("person "))
}

/// Access that somebody had at an instant, or may have had.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Held<'l> {
    /// The grant.
    #[serde(flatten)]
    pub life: &'l Life,
    /// Where nothing tells that it was given by then: the earliest instant at which it may have been. Absent where it was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub perhaps_from: Option<Instant>,
}

/// Who had access at `at`, or may have had, by resource and subject.
pub fn access_at<'l>(lives: &'l Lives, at: Instant, filter: &Filter) -> Vec<Held<'l>> {
    let held = |life: &'l Life| {
        let perhaps = life.perhaps_held_at(at);
        (perhaps || life.held_at(at)).then(|| Held {
            life,
            perhaps_from: life.perhaps_from().filter(|_| perhaps),
        })
    };
    let mut held: Vec<Held<'_>> = filter.pick(lives).filter_map(held).collect();
    let order = |life: &'l Life| (&life.role, &life.subject, &life.grant);
    held.sort_by(|a, b| order(a.life).cmp(&order(b.life)));
    held
}

/// Everything that happened in a period: the complete list that samples are drawn from.
#[derive(Debug, Clone, Serialize)]
pub struct Population<'l> {
    /// From when, including.
    pub from: Instant,
    /// Until when, excluding.
    pub to: Instant,
    /// Grants that were asked for in the period.
    pub requested: u64,
    /// Grants that were given in the period.
    pub given: u64,
    /// Grants that ended in the period.
    pub ended: u64,
    /// Grants that owners answered for in an access review of the period.
    pub reviewed: u64,
    /// Grants that were held at its beginning.
    pub held_at_start: u64,
    /// Grants that were held at its end.
    pub held_at_end: u64,
    /// The digest of the names of all grants in the list, one a line, in order: what says that a list is this one.
    pub digest: String,
    /// Every grant that was asked for, given, held (perhaps, too) or ended in the period, by name.
    pub grants: Vec<&'l Life>,
}

/// The population of the period from `from` up to `to`.
pub fn population<'l>(
    lives: &'l Lives,
    from: Instant,
    to: Instant,
    filter: &Filter,
) -> Population<'l> {
    let within = |at: Option<Instant>| at.is_some_and(|at| from <= at && at < to);
    let given = |life: &Life| life.given.as_ref().map(|given| given.at);
    let ended = |life: &Life| life.ended.as_ref().map(|ended| ended.at);
    let meant = |life: &&Life| {
        life.steps.iter().any(|step| within(Some(step.at)))
            || life.held_at(from)
            || life.perhaps_held_at(from)
    };
    let grants: Vec<&Life> = filter.pick(lives).filter(meant).collect();
    let count =
        |what: &dyn Fn(&Life) -> bool| grants.iter().filter(|life| what(life)).count() as u64;
    let mut digest = Sha256::new();
    for life in &grants {
        digest.update(life.grant.as_bytes());
        digest.update(b"\n");
    }
    Population {
        from,
        to,
        requested: count(&|life| within(life.requested_at)),
        given: count(&|life| within(given(life))),
        ended: count(&|life| within(ended(life))),
        reviewed: count(&|life| {
            let answered = life.reviews.iter().filter(|r| r.answer != "unanswered");
            answered.map(|r| r.at).any(|at| within(Some(at)))
        }),
        held_at_start: count(&|life| life.held_at(from)),
        held_at_end: count(&|life| life.held_at(to)),
        digest: format!("sha256:{}", hex::encode(digest.finalize())),
        grants,
    }
}

/// How one person approves.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Reviewer {
    /// The login as it was last.
    pub login: String,
    /// GitHub's number.
    pub id: u64,
    /// How many grants this person's approval counted for.
    pub approvals: u64,
    /// The median time from the request to this person's approval, in seconds; absent where no time is known.
    pub median_seconds: Option<i64>,
    /// Approvals less than [`AT_ONCE`] after the request: nobody reads that fast.
    pub at_once: u64,
    /// Who approved this person's access and had theirs approved by this person, with how often the two did it: a sign of approval
    /// theatre where it is often.
    pub reciprocal: BTreeMap<String, u64>,
}

/// An approval that comes sooner than this after the request was not read.
pub const AT_ONCE: TimeDelta = TimeDelta::seconds(15);

/// How each reviewer approves, most approvals first.
pub fn reviewers<'l>(lives: impl Iterator<Item = &'l Life>) -> Vec<Reviewer> {
    #[derive(Default)]
    struct Gathered {
        login: String,
        waits: Vec<i64>,
        approvals: u64,
        at_once: u64,
    }
    let mut people: BTreeMap<u64, Gathered> = BTreeMap::new();
    // Who approved for whom, by number, and how often.
    let mut pairs: BTreeMap<(u64, u64), u64> = BTreeMap::new();
    for life in lives {
        for vote in &life.approvals {
            let one = people.entry(vote.reviewer.id).or_default();
            one.login.clone_from(&vote.reviewer.login);
            one.approvals += 1;
            if let (Some(at), Some(asked)) = (vote.at, life.requested_at) {
                let wait = at - asked;
                one.waits.push(wait.num_seconds().max(0));
                one.at_once += u64::from(wait < AT_ONCE);
            }
            if let Some(receiver) = life.subject_id {
                *pairs.entry((vote.reviewer.id, receiver)).or_default() += 1;
            }
        }
    }
    let logins: BTreeMap<u64, String> = people
        .iter()
        .map(|(id, p)| (*id, p.login.clone()))
        .collect();
    let mut found: Vec<Reviewer> = people
        .into_iter()
        .map(|(id, mut gathered)| {
            gathered.waits.sort_unstable();
            let reciprocal = pairs
                .range((id, 0)..=(id, u64::MAX))
                .filter_map(|((_, other), there)| {
                    let back = pairs.get(&(*other, id)).filter(|_| *other != id)?;
                    let login = logins.get(other)?;
                    Some((login.clone(), (*there).min(*back)))
                })
                .collect();
            Reviewer {
                login: gathered.login,
                id,
                approvals: gathered.approvals,
                median_seconds: gathered.waits.get(gathered.waits.len() / 2).copied(),
                at_once: gathered.at_once,
                reciprocal,
            }
        })
        .collect();
    found.sort_by(|a, b| (b.approvals, &a.login).cmp(&(a.approvals, &b.login)));
    found
}

/// Something that did not go as it should.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Exception {
    /// What kind: a word.
    pub kind: &'static str,
    /// When.
    pub at: Instant,
    /// Whether somebody must still do something about it.
    pub open: bool,
    /// The grant, where it is about one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub grant: Option<String>,
    /// What it is, in a sentence.
    pub sentence: String,
    /// The commit of the evidence branch that tells of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub commit: Option<CommitId>,
}

/// Everything that did not go as it should, open ones first, then newest first. `late` is how long after it is due a removal counts as
/// late; `now` is the instant of asking, for what is still to come.
pub fn exceptions(lives: &Lives, late: TimeDelta, now: Instant) -> Vec<Exception> {
    let mut found = Vec::new();
    for life in lives.iter() {
        of_life(life, late, now, &mut found);
    }
    of_service(lives, &mut found);
    found.sort_by(|a, b| (b.open, b.at, &a.sentence).cmp(&(a.open, a.at, &b.sentence)));
    found
}

fn of_life(life: &Life, late: TimeDelta, now: Instant, found: &mut Vec<Exception>) {
    let exception = |kind, at, open, sentence, commit: Option<&CommitId>| Exception {
        kind,
        at,
        open,
        grant: Some(life.grant.clone()),
        sentence,
        commit: commit.cloned(),
    };
    for (i, step) in life.steps.iter().enumerate() {
        let later = |kind| life.steps[i..].iter().any(|s| s.kind == kind);
        let open = match step.kind {
            Kind::MergedWithoutProof => !life.steps.iter().any(|s| s.kind == Kind::Reverted),
            Kind::ReviewOverdue => life.reviewed_at.is_none(),
            Kind::ReviewUnsigned => life.reviewed_at.is_none(),
            Kind::Blocked => life.given.is_none() && life.ended.is_none(),
            Kind::Orphaned => life.ended.is_none() && !later(Kind::Adopted),
            _ => continue,
        };
        let kind = step.kind.as_str();
        found.push(exception(
            kind,
            step.at,
            open,
            step.sentence.clone(),
            Some(&step.commit),
        ));
    }
    if let (Some(_), None, Some(by)) = (&life.given, life.reviewed_at, life.review_by) {
        let sentence = format!(
            "Break-glass not reviewed yet: {} on {}, due until {}",
            life.subject,
            life.role,
            instant(by)
        );
        let at = life.given.as_ref().map_or(by, |given| given.at);
        found.push(exception(
            "break-glass-unreviewed",
            at,
            true,
            sentence,
            None,
        ));
    }
    if let Some((ended, ms)) = life.ended.as_ref().zip(life.removed_late(late)) {
        let sentence = format!(
            "Removed late: {} on {}, {} s after it was due",
            life.subject,
            life.role,
            ms / 1000
        );
        let commit = life.steps.iter().rev().find(|s| s.kind == Kind::Revoked);
        found.push(exception(
            "removed-late",
            ended.at,
            false,
            sentence,
            commit.map(|s| &s.commit),
        ));
    }
    if let Some(due) = life.not_removed(late, now) {
        let sentence = format!(
            "Not removed: {} on {} was due at {}",
            life.subject,
            life.role,
            instant(due)
        );
        found.push(exception("not-removed", due, true, sentence, None));
    }
}

/// Drift, held removals, access reviews, and what else belongs to no grant.
fn of_service(lives: &Lives, found: &mut Vec<Exception>) {
    let others = || lives.others().iter();
    // A hold is over when the event of its end names it.
    let over: BTreeSet<&str> = others()
        .filter(|(_, r)| matches!(r.kind, Kind::Released | Kind::HoldOver))
        .map(|(_, r)| key_behind_word(r))
        .collect();
    let last: BTreeMap<[&str; 3], &CommitId> = others()
        .filter_map(|(commit, r)| Some((matter(r)?, commit)))
        .collect();
    // Owners answered after all, or are asked anew.
    let settled = |record: &Record| {
        let mut later = others().filter(|(_, r)| r.seq > record.seq);
        later.any(|(_, r)| match r.kind {
            Kind::AccessReviewCompleted => r.record == record.record,
            Kind::AccessReviewOpened => true,
            _ => false,
        })
    };
    for (commit, record) in others() {
        let is_last = || matter(record).is_some_and(|m| last.get(&m) == Some(&commit));
        let open = match record.kind {
            Kind::Drifted => is_last(),
            Kind::Held => is_last() && !over.contains(key_behind_word(record)),
            Kind::ReleaseUnsigned => false,
            Kind::AccessReviewUnsigned => !settled(record),
            Kind::AccessReviewLapsed => {
                record.unanswered.as_deref() == Some("keep") && !settled(record)
            }
            Kind::KeyChanged => record.key_before.is_none(),
            _ => continue,
        };
        found.push(Exception {
            kind: record.kind.as_str(),
            at: record.at,
            open,
            grant: None,
            sentence: record.sentence.clone(),
            commit: Some(commit.clone()),
        });
    }
}

/// What a record of a difference, or of what is held back, tells of anew each time: the last one speaks for those before it. A difference
/// is another sighting where the database was lost meanwhile, and is over with any of them; a brake holds one set at a time.
fn matter(record: &Record) -> Option<[&str; 3]> {
    match record.kind {
        Kind::Drifted | Kind::DriftOver | Kind::DriftRemoved => {
            let sighting = key_behind_word(record);
            let difference = sighting.split_once('@').map_or(sighting, |(d, _)| d);
            Some(["", "", difference])
        }
        Kind::Held => Some(
            [&record.held, &record.connection, &record.resource]
                .map(|said| said.as_deref().unwrap_or_default()),
        ),
        _ => None,
    }
}

/// The key of a record, without the word for what happened.
fn key_behind_word(record: &Record) -> &str {
    record.key.split_once(':').map_or("", |(_, what)| what)
}
