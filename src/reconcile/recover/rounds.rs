//! What owners were asked and said, put together again: a review that is open goes on, one that is finished stays so, and what two owners
//! let go goes.

use std::collections::{BTreeMap, BTreeSet};

use super::Found;
use crate::domain::evidence;
use crate::domain::ledger::Entry;
use crate::domain::model::CommitId;
use crate::domain::recovery::{last_round, released};
use crate::domain::release::Brake;
use crate::domain::round::{self, Sheet};
use crate::reconcile::holds::noted;
use crate::reconcile::rounds::{ROUND, SHEETS, note};
use crate::reconcile::{ReconcileError, Reconciler};
use crate::repo::Believed;

impl Reconciler {
    /// Finds what is to be noted of the access review that began last.
    pub(super) async fn know_rounds(
        &self,
        found: &mut Found,
        told: Option<&Believed>,
        tip: &CommitId,
    ) -> Result<(), ReconcileError> {
        let entries: Vec<Entry> = found.entries.values().cloned().collect();
        let Some(begun) = told.and_then(|told| last_round(&told.records, &entries)) else {
            return Ok(());
        };
        let mut sheets = begun.open;
        if !begun.unasked.is_empty() {
            let base = self.catalogue(tip).await?;
            let made = base.schedule.as_ref().map_or_else(Vec::new, |schedule| {
                round::sheets(schedule, begun.at, &entries, &base.codeowners)
            });
            let unasked = |sheet: &Sheet| begun.unasked.contains(sheet.record_path().as_str());
            let mut made: Vec<Sheet> = made.into_iter().filter(unasked).collect();
            self.know_last_use(&mut made).await;
            sheets.append(&mut made);
        }
        found.notes.extend(begun.lost);
        // What an old database knows of it is older than the evidence.
        let old = self.store.notes(SHEETS).await?;
        found
            .noted
            .extend(old.into_iter().map(|(name, _)| (name, None)));
        for sheet in &sheets {
            found.noted.push(note(sheet)?);
        }
        let at = evidence::instant(begun.at);
        found.noted.push((ROUND.to_owned(), Some(at)));
        Ok(())
    }

    /// Finds what was released and may not be gone yet.
    pub(super) async fn know_released(
        &self,
        found: &mut Found,
        told: Option<&Believed>,
    ) -> Result<(), ReconcileError> {
        let told = told.map_or_else(BTreeMap::new, |told| released(&told.records));
        for (whose, known) in told {
            // What an old database holds may have been let go since.
            let before = self.brake(&whose).await?;
            let released: BTreeSet<String> =
                before.released.union(&known.released).cloned().collect();
            let hold = before
                .hold
                .filter(|hold| !hold.members.is_subset(&released));
            let brake = Brake { hold, released };
            found.noted.push(noted(&whose, &brake)?);
        }
        Ok(())
    }
}
