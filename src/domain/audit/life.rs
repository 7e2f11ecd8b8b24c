//! The life of each grant, put together from its records.

use std::collections::BTreeMap;

use chrono::TimeDelta;
use serde::Serialize;

use super::super::evidence::{Kind, Record, Vote};
use super::super::model::{BlobId, CommitId, Instant};

/// One event of a life.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Step {
    /// The commit of the evidence branch.
    pub commit: CommitId,
    /// Its number.
    pub seq: u64,
    /// What happened.
    pub kind: Kind,
    /// When.
    pub at: Instant,
    /// In a sentence.
    pub sentence: String,
}

impl Step {
    fn of(commit: &CommitId, record: &Record) -> Self {
        Self {
            commit: commit.clone(),
            seq: record.seq,
            kind: record.kind,
            at: record.at,
            sentence: record.sentence.clone(),
        }
    }
}

/// How access was given.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Given {
    /// When it was read back at the target system.
    pub at: Instant,
    /// When the target system was called.
    pub called_at: Option<Instant>,
    /// The earliest instant at which it could be given.
    pub due: Option<Instant>,
    /// Milliseconds from `due` to `at`.
    pub latency_ms: Option<u64>,
}

/// How access ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Ended {
    /// When it was read back at the target system that nothing is left; or, with `retained_by`, when the grant was over.
    pub at: Instant,
    /// Why.
    pub cause: String,
    /// When it was due.
    pub due: Option<Instant>,
    /// The live grants that gave the same, so that nothing was taken away.
    pub retained_by: Vec<String>,
    /// How long something may have worked after that.
    pub residual: Option<String>,
}

impl Ended {
    /// How long after it was due, in milliseconds; 0 where that is not known.
    pub fn late_ms(&self) -> i64 {
        self.due
            .map_or(0, |due| (self.at - due).num_milliseconds().max(0))
    }
}

/// What an access review said of a grant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Answered {
    /// When that was written down.
    pub at: Instant,
    /// `keep`, `end`, or `unanswered`.
    pub answer: String,
}

/// One grant, from its request to its end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Life {
    /// `<resource>/<name>@<merge commit>`, with the part of a bundle.
    pub grant: String,
    /// The file.
    pub path: String,
    /// Its content.
    pub blob: String,
    /// The pull request.
    pub pull: Option<u64>,
    /// The commit of the protected branch that brought it.
    pub merge: Option<String>,
    /// Who: `person <login>` or `service <name>`.
    pub subject: String,
    /// GitHub's number of the person.
    pub subject_id: Option<u64>,
    /// What, as people say it.
    pub role: String,
    /// The connection.
    pub connection: String,
    /// The account at the target system.
    pub account: String,
    /// What the target system gives.
    pub entitlement: String,
    /// The ticket.
    pub ticket: Option<String>,
    /// When it was first asked for.
    pub requested_at: Option<Instant>,
    /// When the last approval that it took was given.
    pub approved_at: Option<Instant>,
    /// The reviews that counted.
    pub approvals: Vec<Vote>,
    /// The policy that approved by itself.
    pub policy: Option<String>,
    /// Whether it was given in an emergency.
    pub emergency: bool,
    /// Until when an owner must have reviewed the emergency.
    pub review_by: Option<Instant>,
    /// When an owner did.
    pub reviewed_at: Option<Instant>,
    /// When the file was merged.
    pub merged_at: Option<Instant>,
    /// When the term begins.
    pub starts: Option<Instant>,
    /// When the term ends.
    pub expires: Option<Instant>,
    /// The grant whose terms it took over.
    pub replaces: Option<String>,
    /// What access reviews said of it, oldest first.
    pub reviews: Vec<Answered>,
    /// How it was given; `None`: never.
    pub given: Option<Given>,
    /// How it ended; `None`: not yet.
    pub ended: Option<Ended>,
    /// All its events, oldest first.
    pub steps: Vec<Step>,
}

impl Life {
    /// The resource: the first part of the role.
    pub fn resource(&self) -> &str {
        self.role
            .split_once('/')
            .map_or("", |(resource, _)| resource)
    }

    /// Whether the subject had it by this grant at `at`.
    pub fn held_at(&self, at: Instant) -> bool {
        let given = self.given.as_ref().is_some_and(|given| given.at <= at);
        given && self.ended.as_ref().is_none_or(|ended| ended.at > at)
    }

    /// The earliest instant at which it may have been given, which is before anything tells that it was: the call that gives may go
    /// unanswered, and what became of it is found later, or never. `None` where nothing was given.
    pub fn perhaps_from(&self) -> Option<Instant> {
        let tells_of_none = |step: &Step| {
            matches!(
                step.kind,
                Kind::Blocked | Kind::Cancelled | Kind::MergedWithoutProof
            )
        };
        let given = self.given.as_ref();
        if given.is_none() && self.steps.iter().any(tells_of_none) {
            return None;
        }
        // No call is made before the file is merged and the term begins.
        let due = given.and_then(|given| given.due);
        let due = due.or(self.starts.max(self.merged_at));
        let called = given.and_then(|given| given.called_at);
        let told = given.map(|given| given.at);
        [due, called, told].into_iter().flatten().min()
    }

    /// Whether the subject may have had it at `at`, where nothing tells that it was given by then.
    pub fn perhaps_held_at(&self, at: Instant) -> bool {
        let begun = self.perhaps_from().is_some_and(|from| from <= at);
        let told = self.given.as_ref().is_some_and(|given| given.at <= at);
        begun && !told && self.ended.as_ref().is_none_or(|ended| ended.at > at)
    }

    /// How many milliseconds after it was due its access was taken away, where that is more than `late`. What other grants kept was not
    /// taken away.
    pub fn removed_late(&self, late: TimeDelta) -> Option<i64> {
        let ended = self.ended.as_ref();
        let taken = ended.filter(|ended| ended.retained_by.is_empty());
        let late_ms = taken.map(Ended::late_ms);
        late_ms.filter(|ms| *ms > late.num_milliseconds())
    }

    /// When its access was due to end, where it was given, that is more than `late` before `now`, and nothing says that it ended.
    pub fn not_removed(&self, late: TimeDelta, now: Instant) -> Option<Instant> {
        let held = self.given.is_some() && self.ended.is_none();
        let due = self.expires.filter(|_| held);
        // Whoever writes a record without a key may say any time.
        due.filter(|due| due.checked_add_signed(late).is_some_and(|at| at < now))
    }

    /// Who approved, in words.
    pub fn approved_by(&self) -> String {
        let mut names: Vec<&str> = self
            .approvals
            .iter()
            .map(|vote| vote.reviewer.login.as_str())
            .collect();
        names.dedup();
        match (&self.policy, names.is_empty(), self.emergency) {
            (Some(policy), _, _) => {
                let id = policy.split(' ').next().unwrap_or_default();
                format!("policy {id}")
            }
            (None, false, _) => names.join(", "),
            (None, true, true) => "nobody (break-glass)".to_owned(),
            (None, true, false) => "nobody".to_owned(),
        }
    }
}

/// Every life that the evidence tells of, and what belongs to none.
#[derive(Debug, Default)]
pub struct Lives {
    lives: BTreeMap<String, Life>,
    /// What was asked for and approved, by request: it belongs to the grant that the request becomes.
    requests: BTreeMap<String, Vec<Told>>,
    others: Vec<(CommitId, Record)>,
}

#[derive(Debug)]
struct Told {
    step: Step,
    blob: Option<BlobId>,
    reviewed_at: Option<Instant>,
}

impl Lives {
    /// Takes the next record, oldest first.
    pub fn add(&mut self, commit: &CommitId, record: Record) {
        match (&record.grant, &record.request) {
            (Some(_), _) => self.of_grant(commit, record),
            (None, Some(request)) => {
                let told = Told {
                    step: Step::of(commit, &record),
                    blob: record.blob.clone(),
                    reviewed_at: record.reviewed_at,
                };
                self.requests.entry(request.clone()).or_default().push(told);
            }
            (None, None) => {
                self.of_review(commit, &record);
                self.others.push((commit.clone(), record));
            }
        }
    }

    /// What became of grants in an access review, as part of the life of each.
    fn of_review(&mut self, commit: &CommitId, record: &Record) {
        for line in record.lines.iter().flatten() {
            let Some(life) = self.lives.get_mut(&line.grant) else {
                continue;
            };
            let step = Step::of(commit, record);
            life.steps.push(Step {
                sentence: format!("{} (this grant: {})", step.sentence, line.answer),
                ..step
            });
            life.reviews.push(Answered {
                at: record.at,
                answer: line.answer.clone(),
            });
        }
    }

    fn of_grant(&mut self, commit: &CommitId, record: Record) {
        let Some(grant) = record.grant.clone() else {
            return;
        };
        if !self.lives.contains_key(&grant) {
            let life = self.begin(&grant, &record);
            self.lives.insert(grant.clone(), life);
        }
        let Some(life) = self.lives.get_mut(&grant) else {
            return;
        };
        life.steps.push(Step::of(commit, &record));
        learn(life, &record);
        match record.kind {
            Kind::Granted | Kind::Renewed => {
                life.given = Some(Given {
                    at: record.at,
                    called_at: record.called_at,
                    due: record.due,
                    latency_ms: record.latency_ms,
                });
                life.replaces.clone_from(&record.replaces);
                life.policy.clone_from(&record.approved_by_policy);
                life.approvals = record.approvals.unwrap_or_default();
                let reviewed = life.approvals.iter().filter_map(|vote| vote.at).max();
                life.approved_at = reviewed.or(life.approved_at);
            }
            Kind::Revoked | Kind::Cancelled => {
                life.ended = Some(Ended {
                    at: record.at,
                    cause: record.cause.unwrap_or_default(),
                    due: record.due,
                    retained_by: record.retained_by.unwrap_or_default(),
                    residual: record.residual,
                });
            }
            Kind::Reviewed => life.reviewed_at = Some(record.at),
            _ => {}
        }
    }

    /// A life, with what its request told before.
    fn begin(&self, grant: &str, record: &Record) -> Life {
        let mut life = Life {
            grant: grant.to_owned(),
            path: record.path.clone().unwrap_or_default(),
            blob: record
                .blob
                .as_ref()
                .map(ToString::to_string)
                .unwrap_or_default(),
            pull: record.pull,
            merge: record.merge.clone(),
            subject: String::new(),
            subject_id: None,
            role: String::new(),
            connection: String::new(),
            account: String::new(),
            entitlement: String::new(),
            ticket: None,
            requested_at: None,
            approved_at: None,
            approvals: Vec::new(),
            policy: None,
            emergency: false,
            review_by: None,
            reviewed_at: None,
            merged_at: record.merged_at,
            starts: None,
            expires: None,
            replaces: None,
            reviews: Vec::new(),
            given: None,
            ended: None,
            steps: Vec::new(),
        };
        let (name, part) = request_of(grant, record.pull);
        let names = [
            Some(name.clone()),
            part.map(|part| format!("{name}+{part}")),
        ];
        for told in names
            .iter()
            .flatten()
            .filter_map(|n| self.requests.get(n))
            .flatten()
        {
            if told.step.kind == Kind::Requested {
                life.requested_at.get_or_insert(told.step.at);
            }
            if told.step.kind == Kind::Approved && told.blob == record.blob {
                life.approved_at = life
                    .approved_at
                    .max(told.reviewed_at.or(Some(told.step.at)));
            }
            life.steps.push(told.step.clone());
        }
        life.steps.sort_by_key(|step| step.seq);
        life
    }

    /// Every life, by grant.
    pub fn iter(&self) -> impl Iterator<Item = &Life> {
        self.lives.values()
    }

    /// The life of `grant`, by its whole name.
    pub fn get(&self, grant: &str) -> Option<&Life> {
        self.lives.get(grant)
    }

    /// The life of `grant`: its whole name, or the start of it.
    pub fn named<'a>(&'a self, grant: &'a str) -> impl Iterator<Item = &'a Life> {
        self.lives
            .range(grant.to_owned()..)
            .map(|(_, life)| life)
            .take_while(move |life| life.grant.starts_with(grant))
    }

    /// What belongs to no grant: refused requests, drift, the service's own events.
    pub fn others(&self) -> &[(CommitId, Record)] {
        &self.others
    }

    /// The steps of the requests that never became a grant, by request.
    pub fn requests(&self) -> impl Iterator<Item = (&str, Vec<&Step>)> {
        self.requests
            .iter()
            .map(|(name, told)| (name.as_str(), told.iter().map(|t| &t.step).collect()))
    }
}

/// What any record of a grant says of it.
fn learn(life: &mut Life, record: &Record) {
    let text = |mine: &mut String, said: &Option<String>| {
        if let Some(said) = said {
            mine.clone_from(said);
        }
    };
    text(&mut life.subject, &record.subject);
    text(&mut life.role, &record.role);
    text(&mut life.connection, &record.connection);
    text(&mut life.account, &record.account);
    text(&mut life.entitlement, &record.entitlement);
    life.subject_id = record.subject_id.or(life.subject_id);
    life.pull = record.pull.or(life.pull);
    life.starts = record.starts.or(life.starts);
    life.expires = record.expires.or(life.expires);
    life.merged_at = record.merged_at.or(life.merged_at);
    life.review_by = record.review_by.or(life.review_by);
    life.emergency |= record.basis.as_deref() == Some("emergency");
    if record.ticket.is_some() {
        life.ticket.clone_from(&record.ticket);
    }
}

/// The name of the request that became `grant`, and the part of a bundle that it is.
fn request_of(grant: &str, pull: Option<u64>) -> (String, Option<&str>) {
    let (name, rest) = grant.split_once('@').unwrap_or((grant, ""));
    let part = rest.split_once('+').map(|(_, part)| part);
    let pull = pull.map(|pull| format!("#{pull}")).unwrap_or_default();
    (format!("{name}{pull}"), part)
}
