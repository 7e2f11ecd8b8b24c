//! Access reviews: on a schedule, owners are asked who keeps access that lasts long.
//!
//! A round begins at an instant that follows from `access/reviews.yaml` alone. What it asks is one [`Sheet`] for each set of owners:
//! every live grant of theirs by which somebody has access without a gap, or will have had it at its end, for longer than passes
//! between two rounds. Hallpass proposes the sheet as a file, the [`Answers`], in a pull request of its own. Owners push what they
//! answer; an owner's approval of exactly that file is the signature.
//!
//! Invariant: answers say nothing that the sheet does not say, but for each grant that it is kept or ends. A deleted line ends it.
//!
//! Invariant: nobody signs for their own access.
//!
//! What owners end is no inference, so it passes no brake. What nobody answered ends only where the schedule says so, after owners
//! had its whole time from when they were really asked, and after a look at the forge that showed no answer: what hinders the answer
//! hinders the end too. So that is not braked either: how many of one set of owners go at once says nothing about whether it is meant.

mod answers;
mod sheets;

use std::collections::{BTreeMap, BTreeSet};

use chrono::{SubsecRound as _, TimeDelta};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::codeowners::Codeowners;
use super::emergency::Asked;
use super::model::{
    Access, GrantId, GrantPath, Instant, Owner, PullNumber, RepoPath, RoleRef, SheetPath, Subject,
    TermLength,
};

pub use answers::{AnswerLine, Answers};
pub use sheets::sheets;

/// How many grants one sheet asks about: as many as a file of ours may hold.
pub const MOST_LINES: usize = 200;

/// The shortest time between two rounds: each has a day of its own.
const SOONEST: TimeDelta = TimeDelta::days(1);

/// What becomes of a grant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Answer {
    /// It goes on to its own end.
    Keep,
    /// It ends now.
    End,
}

impl Answer {
    /// The word in files and in evidence.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Keep => "keep",
            Self::End => "end",
        }
    }
}

/// The content of `access/reviews.yaml`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Schedule {
    /// When the first round begins.
    pub first: Instant,
    /// What passes between two rounds, and for longer than which access lasts that is asked about.
    pub every: TermLength,
    /// How long owners have to answer, from when they are asked.
    pub within: TermLength,
    /// What becomes of what nobody answers.
    pub unanswered: Answer,
}

impl Schedule {
    /// What is wrong with it; `None`: nothing.
    pub fn problem(&self) -> Option<String> {
        if self.every.delta() < SOONEST {
            return Some(format!("a review would begin every {}", self.every));
        }
        (self.within >= self.every).then(|| {
            format!(
                "owners would have {} to answer, and the next review begins {} after this one",
                self.within, self.every
            )
        })
    }

    /// The round that began last at `now`; `None` before the first, and while something is wrong with the schedule.
    pub fn round_at(&self, now: Instant) -> Option<Instant> {
        if self.problem().is_some() || now < self.first {
            return None;
        }
        let every = self.every.delta().num_seconds();
        let rounds = (now - self.first).num_seconds() / every;
        Some(self.first + TimeDelta::seconds(rounds * every))
    }
}

/// One grant that is asked about, as the ledger had it when the round began.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    /// Which grant.
    pub grant: GrantId,
    /// Its file.
    pub path: GrantPath,
    /// Who has it.
    pub subject: Subject,
    /// What, as people say it.
    pub role: RoleRef,
    /// What, as the target system takes it.
    pub access: Access,
    /// Since when, without a gap.
    pub since: Instant,
    /// Until when.
    pub ends: Instant,
    /// When its account was last used in the target system, by whatever it may do there, as far as the system told when the round began.
    #[serde(default)]
    pub account_last_used: Option<Instant>,
}

/// What one set of owners is asked in one round, and how that stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sheet {
    /// When the round began, by the schedule.
    pub round: Instant,
    /// The owners of the grants, sorted; empty where nobody owns them.
    pub owners: Vec<Owner>,
    /// Which of several sheets for the same owners it is, from 1.
    pub part: u32,
    /// How long owners have to answer.
    pub within: TermLength,
    /// What becomes of what nobody answers.
    pub unanswered: Answer,
    /// What is asked about, by id.
    pub lines: Vec<Line>,
    /// Which attempt to have it answered this is, from 1.
    pub attempt: u32,
    /// The pull request in which owners are asked; `None` before it was opened.
    pub asked: Option<Asked>,
    /// Until when they are to answer; `None` before they were asked for the first time.
    pub answer_by: Option<Instant>,
    /// Pull requests that were merged without a signature.
    pub unsigned: Vec<PullNumber>,
    /// Since when it is known that nobody answered in time, where it is kept all the same.
    pub lapsed: Option<Instant>,
}

impl Sheet {
    /// What names it beside the sheets of other owners, in file names: `acme-dba-0123456789ab`.
    fn name(&self) -> String {
        let owners: Vec<String> = self.owners.iter().map(ToString::to_string).collect();
        let digits = Sha256::digest(format!("{}\n{}", owners.join("\n"), self.part));
        let plain = |c: char| match c.to_ascii_lowercase() {
            c if c.is_ascii_alphanumeric() => c,
            _ => '-',
        };
        let words: String = owners.join(" ").chars().take(60).map(plain).collect();
        let words = match words.trim_matches('-') {
            "" => "nobody",
            words => words,
        };
        format!("{words}-{}", &hex::encode(digits)[..12])
    }

    /// Where its answers stand.
    pub fn record_path(&self) -> SheetPath {
        let day = self.round.format("%Y-%m-%d");
        let path = format!("access/reviews/{day}/{}.yaml", self.name());
        SheetPath::new(&path).expect("a day, a name and digits")
    }

    /// The branch of the pull request in which owners are asked.
    pub fn branch(&self) -> String {
        format!("hallpass/review/{}", self.record_path().short())
    }

    /// `Access review of 2027-01-04`.
    pub fn title(&self) -> String {
        format!("Access review of {}", self.round.format("%Y-%m-%d"))
    }

    /// `2 grants of @acme/dba`.
    pub fn what(&self) -> String {
        let owners: Vec<String> = self.owners.iter().map(ToString::to_string).collect();
        let owners = match owners.as_slice() {
            [] => "that nobody owns".to_owned(),
            names => format!("of {}", names.join(", ")),
        };
        match self.lines.len() {
            1 => format!("1 grant {owners}"),
            n => format!("{n} grants {owners}"),
        }
    }

    /// Until when owners are to answer who are asked at `now` for the first time.
    #[must_use]
    pub fn asked_at(self, now: Instant) -> Self {
        let by = (now + self.within.delta()).trunc_subsecs(0);
        Self {
            answer_by: self.answer_by.or(Some(by)),
            ..self
        }
    }

    /// Whether the time to answer is over at `now`.
    pub fn is_overdue(&self, now: Instant) -> bool {
        self.answer_by.is_some_and(|by| by <= now)
    }

    /// Whether pull request `number` is the one in which owners are asked.
    pub fn is_asked_in(&self, number: PullNumber) -> bool {
        self.asked.as_ref().is_some_and(|a| a.pull == number)
    }

    /// What is asked again once the rest was answered: `grants`, for which nobody could sign. `None`: nothing.
    pub fn left(&self, grants: &BTreeSet<GrantId>) -> Option<Self> {
        let mut left = self.clone();
        left.lines.retain(|line| grants.contains(&line.grant));
        left.attempt += 1;
        left.asked = None;
        (!left.lines.is_empty()).then_some(left)
    }

    /// Which grants, as one text that anybody can compute anew.
    pub fn digest(&self) -> String {
        digest(self.lines.iter().map(|line| &line.grant))
    }

    /// The files of the grants.
    pub fn paths(&self) -> BTreeSet<GrantPath> {
        self.lines.iter().map(|line| line.path.clone()).collect()
    }

    /// Everybody who is named as an owner of one of the grants, by `codeowners`: who signs may have changed since the round began.
    pub fn owners_by(&self, codeowners: &Codeowners) -> BTreeSet<Owner> {
        let paths: BTreeSet<RepoPath> = self.lines.iter().map(|l| l.path.as_repo_path()).collect();
        let owners = paths
            .iter()
            .flat_map(|path| codeowners.owners(path).owners().to_vec());
        owners
            .filter(|owner| !matches!(owner, Owner::Email(_)))
            .collect()
    }

    /// What is said of each grant by answers that are to this sheet.
    ///
    /// # Errors
    /// Why they are not: what differs.
    pub fn answered(&self, answers: &Answers) -> Result<BTreeMap<GrantId, Answer>, String> {
        let asked = self.answers();
        let header = [
            ("round", answers.round == asked.round),
            ("answer_by", answers.answer_by == asked.answer_by),
            ("unanswered", answers.unanswered == asked.unanswered),
            ("count", answers.count == asked.count),
            ("digest", answers.digest == asked.digest),
            ("attempt", answers.attempt == asked.attempt),
        ];
        if let Some((field, _)) = header.iter().find(|(_, same)| !same) {
            return Err(format!("`{field}` is not what Hallpass asks"));
        }
        let said = asked.lines.iter().map(|line| (&line.grant, line));
        let said: BTreeMap<&GrantId, &AnswerLine> = said.collect();
        let mut given: BTreeMap<GrantId, Answer> = BTreeMap::new();
        for line in &answers.lines {
            match said.get(&line.grant) {
                None => return Err(format!("{} is not asked about", line.grant)),
                Some(own) if !own.asks_the_same(line) => {
                    return Err(format!(
                        "the line of {} is not what Hallpass asks",
                        line.grant
                    ));
                }
                Some(_) => {}
            }
            if given.insert(line.grant.clone(), line.decision).is_some() {
                return Err(format!("{} is answered twice", line.grant));
            }
        }
        let of = |line: &Line| {
            let answer = given.get(&line.grant).copied().unwrap_or(Answer::End);
            (line.grant.clone(), answer)
        };
        Ok(self.lines.iter().map(of).collect())
    }
}

/// SHA-256 of sorted ids, each followed by a line feed.
pub fn digest<'a>(grants: impl IntoIterator<Item = &'a GrantId>) -> String {
    let sorted: BTreeSet<&GrantId> = grants.into_iter().collect();
    let mut hash = Sha256::new();
    for grant in sorted {
        hash.update(grant.as_str());
        hash.update("\n");
    }
    hex::encode(hash.finalize())
}
