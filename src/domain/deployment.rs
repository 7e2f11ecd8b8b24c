//! Deployments that wait for the ledger's word, and what it says.
//!
//! Invariant: only a grant that is active, and whose term holds at `now`, lets a deployment through; it must be for this environment
//! and for whoever started this attempt of the run, by GitHub's number. A login is only a label.

use chrono::TimeDelta;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::ledger::{Entry, State};
use super::model::{GrantId, Instant, RepoName, UserId};

/// Where a deployment goes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Place {
    /// The repository whose workflow deploys.
    pub repository: RepoName,
    /// The environment there.
    pub environment: String,
}

impl Place {
    /// Whether both are the same: GitHub tells neither by the case of letters. Other alphabets are compared as they stand.
    pub fn is(&self, other: &Self) -> bool {
        self.is_in(&other.repository) && self.environment.eq_ignore_ascii_case(&other.environment)
    }

    /// Whether it is in `repository`.
    pub fn is_in(&self, repository: &RepoName) -> bool {
        let (own, other) = (self.repository.to_string(), repository.to_string());
        own.eq_ignore_ascii_case(&other)
    }
}

/// Who started an attempt of a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Starter {
    /// GitHub's number of the account.
    pub id: UserId,
    /// Its login, for people: a bot's may be none that a person could have.
    pub login: String,
}

/// An attempt of a run that waits for something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WaitingRun {
    /// The repository whose workflow it is.
    pub repository: RepoName,
    /// The run, by GitHub's number.
    pub id: u64,
    /// Which attempt of it.
    pub attempt: u64,
    /// Who started this attempt; `None` where GitHub does not say.
    pub starter: Option<Starter>,
    /// When it last changed, as GitHub tells.
    pub changed_at: Instant,
}

/// A job of a run that waits for an environment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deployment {
    /// Where it goes.
    pub place: Place,
    /// The run, by GitHub's number.
    pub run: u64,
    /// Which attempt of it: whoever runs it again starts another.
    pub attempt: u64,
    /// Who started this attempt; `None` where GitHub does not say.
    pub starter: Option<Starter>,
}

impl Deployment {
    /// Names it for ever: run, attempt, environment.
    pub fn key(&self) -> String {
        // An environment may be called anything, at length.
        let environment = self.place.environment.to_ascii_lowercase();
        let digest = hex::encode(Sha256::digest(environment));
        format!("{}/{}/{}", self.run, self.attempt, &digest[..16])
    }

    /// Who started it, for people.
    pub fn by(&self) -> &str {
        self.starter.as_ref().map_or("somebody", |s| &s.login)
    }
}

/// How far the answer to a deployment is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stage {
    /// Nothing was said.
    Seen,
    /// It was said how to ask.
    Told,
    /// About to be let through by this grant, with the words that GitHub was told before, if any: perhaps it was.
    Approving {
        /// The grant.
        grant: GrantId,
        /// Whether it was said before how to ask.
        told: bool,
    },
    /// It was let through, as far as it is for us to say. A later job of the same attempt may wait for the same environment, and
    /// nothing tells the two apart: so the answer is given again after a while, where it still waits.
    Approved {
        /// When.
        again: Instant,
        /// How often it was given.
        times: u32,
    },
}

impl Stage {
    /// Let through at `now`, for the `times`-th time: the pause doubles from five minutes to a day.
    pub fn approved(now: Instant, times: u32) -> Self {
        let minutes = 5_i64 << times.clamp(1, 9).saturating_sub(1);
        let pause = TimeDelta::minutes(minutes).min(TimeDelta::days(1));
        Self::Approved {
            again: now + pause,
            times,
        }
    }

    /// Whether it was said how to ask.
    pub fn is_told(&self) -> bool {
        match self {
            Self::Seen => false,
            Self::Told | Self::Approved { .. } => true,
            Self::Approving { told, .. } => *told,
        }
    }
}

impl Stage {
    /// What follows once it was said how to ask. That it was perhaps let through is not forgotten by that.
    #[must_use]
    pub fn told(self) -> Self {
        match self {
            Self::Approving { grant, .. } => Self::Approving { grant, told: true },
            Self::Seen | Self::Told => Self::Told,
            approved @ Self::Approved { .. } => approved,
        }
    }
}

/// A deployment that is known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Known {
    /// Which.
    pub deployment: Deployment,
    /// How far its answer is.
    pub stage: Stage,
}

/// A grant that is not over, and the environment that it is for.
#[derive(Debug, Clone, PartialEq)]
pub struct Pass {
    /// The environment.
    pub place: Place,
    /// The grant.
    pub entry: Entry,
}

impl Pass {
    fn is_of(&self, starter: Option<&Starter>) -> bool {
        let account = self.entry.terms.as_ref().map(|t| &t.access.account);
        let starter = starter.map(|s| s.id);
        starter.is_some() && account.and_then(|a| a.github_id) == starter
    }

    fn fits(&self, deployment: &Deployment) -> bool {
        self.is_of(deployment.starter.as_ref()) && self.place.is(&deployment.place)
    }

    fn holds(&self, now: Instant) -> bool {
        let terms = self.entry.terms.as_ref();
        let given = self.entry.state == State::Active && self.entry.called_off.is_none();
        given && terms.is_some_and(|t| t.starts <= now && now < t.ends)
    }
}

/// Whether whoever started `run` holds a grant of any environment of its repository at `now`.
pub fn may_go_on(run: &WaitingRun, passes: &[Pass], now: Instant) -> bool {
    let mut theirs = passes.iter().filter(|p| p.is_of(run.starter.as_ref()));
    theirs.any(|pass| pass.place.is_in(&run.repository) && pass.holds(now))
}

/// The grant that lets `deployment` through at `now`: the one that holds longest.
pub fn opener<'a>(deployment: &Deployment, passes: &'a [Pass], now: Instant) -> Option<&'a Entry> {
    let fitting = passes.iter().filter(|pass| pass.fits(deployment));
    fitting
        .filter(|pass| pass.holds(now))
        .map(|pass| &pass.entry)
        .max_by_key(|entry| entry.terms.as_ref().map(|t| t.ends))
}

/// The grant that will let it through once it begins: the one that begins first.
pub fn later<'a>(deployment: &Deployment, passes: &'a [Pass], now: Instant) -> Option<&'a Entry> {
    let fitting = passes.iter().filter(|pass| pass.fits(deployment));
    let begins = |entry: &Entry| entry.terms.as_ref().map(|t| t.starts);
    fitting
        .map(|pass| &pass.entry)
        .filter(|entry| entry.state == State::Scheduled && begins(entry) > Some(now))
        .min_by_key(|entry| begins(entry))
}
