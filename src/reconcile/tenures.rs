//! For how long owners have been owners, where a policy asks for that.
//!
//! Every look at a request takes in the teams that it reads. The teams that nobody asks for are read once in a while beside that, so
//! that the first reading of each comes early: whoever is there by then counts as always having been.

use std::collections::{BTreeMap, BTreeSet};

use chrono::TimeDelta;
use tracing::warn;

use super::{ReconcileError, Reconciler};
use crate::domain::catalogue::Catalogue;
use crate::domain::codeowners::LOCATIONS;
use crate::domain::model::{Instant, Owner};
use crate::domain::pull::{Lookup, Roster};
use crate::domain::tenure::Tenure;

/// Where policies stand.
const POLICIES: &str = "access/policies";

/// What says whether owners are watched, and whom.
const RULES: [&str; 4] = [POLICIES, LOCATIONS[0], LOCATIONS[1], LOCATIONS[2]];

/// How long a team that could not be read is left alone at first; twice as long after each further failure.
const READ_AGAIN: TimeDelta = TimeDelta::minutes(1);

/// What was watched when.
#[derive(Debug)]
pub(super) struct Watched {
    at: Instant,
    /// What stood at each of [`RULES`].
    rules: BTreeMap<String, String>,
    /// Whether a policy asks at all.
    asked: bool,
    /// What could not be read.
    failed: Option<Failed>,
}

/// Teams that could not be read.
#[derive(Debug)]
struct Failed {
    teams: BTreeSet<Owner>,
    /// When they are asked for again.
    again: Instant,
    /// How long they are left alone until then.
    pause: TimeDelta,
}

impl Failed {
    fn new(teams: BTreeSet<Owner>, now: Instant, pause: TimeDelta) -> Option<Self> {
        (!teams.is_empty()).then(|| Self {
            teams,
            again: now + pause,
            pause,
        })
    }
}

impl Reconciler {
    /// Takes in who was found in the teams of `roster`, and returns since when they are seen there. Nothing, where no policy of
    /// `tree` asks.
    pub(super) async fn tenures(
        &self,
        tree: &Catalogue,
        roster: &Roster,
    ) -> Result<BTreeMap<Owner, Tenure>, ReconcileError> {
        let mut tenures = BTreeMap::new();
        if !tree.policies.seasons_owners() {
            return Ok(tenures);
        }
        let now = self.now();
        for (team, found) in &roster.teams {
            if let Some(tenure) = self.store.seen_in(team, found, now).await? {
                tenures.insert(team.clone(), tenure);
            }
        }
        Ok(tenures)
    }

    /// Reads every team that CODEOWNERS names on the protected branch as it was last fetched, if a policy asks for how long people are
    /// in them, and not more often than the organisation is listed. What could not be read is asked for again before that, by itself.
    ///
    /// # Errors
    /// When git or the database fail.
    pub async fn watch_owners(&self) -> Result<(), ReconcileError> {
        let Some(tip) = self.mirror.tip(&self.settings.protected_branch).await? else {
            return Ok(());
        };
        let mut watched = self.watched.lock().await;
        let (rules, now) = (self.mirror.objects(&tip, &RULES).await?, self.now());
        let kept_for = self.settings.members_for;
        let fresh =
            |last: &Watched| last.rules == rules && (!last.asked || last.at + kept_for > now);
        let last = watched.take().filter(fresh);
        let due = last.as_ref().map(|last| last.failed.as_ref());
        let again = match due {
            // Nothing, or not yet.
            Some(failed) if failed.is_none_or(|failed| failed.again > now) => {
                *watched = last;
                return Ok(());
            }
            Some(failed) => failed.map(|failed| (failed.teams.clone(), failed.pause * 2)),
            None => None,
        };
        let tree = match rules.contains_key(POLICIES) {
            true => Some(self.catalogue(&tip).await?),
            false => None,
        };
        let tree = tree.filter(|tree| tree.policies.seasons_owners());
        let mut failed = None;
        if let Some(tree) = &tree {
            let (teams, pause) = again.unwrap_or((tree.codeowners.teams(), READ_AGAIN));
            let lost = self.read_owners(tree, &teams).await?;
            failed = Failed::new(lost, now, pause.min(kept_for));
        }
        *watched = Some(Watched {
            at: last.map_or(now, |last| last.at),
            rules,
            asked: tree.is_some(),
            failed,
        });
        Ok(())
    }

    /// Takes in who is in `teams`, and returns those that could not be read.
    async fn read_owners(
        &self,
        tree: &Catalogue,
        teams: &BTreeSet<Owner>,
    ) -> Result<BTreeSet<Owner>, ReconcileError> {
        let roster = self.forge.roster(teams).await;
        self.tenures(tree, &roster).await?;
        let mut failed = BTreeSet::new();
        for (team, found) in roster.teams {
            if let Lookup::Failed(why) = found {
                warn!(team = %team, "cannot read who is in {team}; who is new there is not seen until it can be: {why}");
                failed.insert(team);
            }
        }
        Ok(failed)
    }
}
