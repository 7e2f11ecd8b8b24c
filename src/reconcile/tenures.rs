//! For how long owners have been owners, where a policy asks for that.
//!
//! Every look at a request takes in the teams that it reads. The teams that nobody asks for are read once in a while beside that, so
//! that the first reading of each comes early: whoever is there by then counts as always having been.

use std::collections::BTreeMap;

use tracing::warn;

use super::{ReconcileError, Reconciler};
use crate::domain::catalogue::Catalogue;
use crate::domain::codeowners::LOCATIONS;
use crate::domain::model::{CommitId, Instant, Owner};
use crate::domain::pull::{Lookup, Roster};
use crate::domain::tenure::Tenure;

/// Where policies stand.
const POLICIES: &str = "access/policies";

/// What says whether owners are watched, and whom.
const RULES: [&str; 4] = [POLICIES, LOCATIONS[0], LOCATIONS[1], LOCATIONS[2]];

/// What was watched when.
#[derive(Debug)]
pub(super) struct Watched {
    at: Instant,
    /// What stood at each of [`RULES`].
    rules: BTreeMap<String, String>,
    /// Whether a policy asks at all.
    asked: bool,
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

    /// Reads every team that CODEOWNERS names at `tip`, if a policy asks for how long people are in them, and not more often than the
    /// organisation is listed.
    ///
    /// # Errors
    /// When git or the database fail.
    pub async fn watch_owners(&self, tip: &CommitId) -> Result<(), ReconcileError> {
        let mut watched = self.watched.lock().await;
        let (rules, now) = (self.mirror.objects(tip, &RULES).await?, self.now());
        let fresh = |last: &Watched| {
            last.rules == rules && (!last.asked || last.at + self.settings.members_for > now)
        };
        if watched.as_ref().is_some_and(fresh) {
            return Ok(());
        }
        let tree = match rules.contains_key(POLICIES) {
            true => Some(self.catalogue(tip).await?),
            false => None,
        };
        let tree = tree.filter(|tree| tree.policies.seasons_owners());
        let mut failed = false;
        if let Some(tree) = &tree {
            let roster = self.forge.roster(&tree.codeowners.teams()).await;
            self.tenures(tree, &roster).await?;
            for (team, found) in &roster.teams {
                if let Lookup::Failed(why) = found {
                    failed = true;
                    warn!(team = %team, "cannot read who is in {team}; who is new there is not seen until it can be: {why}");
                }
            }
        }
        // What failed is read again with the next look.
        *watched = (!failed).then_some(Watched {
            at: now,
            rules,
            asked: tree.is_some(),
        });
        Ok(())
    }
}
