//! The access review that is open, put together again: owners who were asked are not asked anew, and a review that is finished stays so.

use super::Found;
use crate::domain::evidence;
use crate::domain::ledger::Entry;
use crate::domain::model::CommitId;
use crate::domain::recovery::last_round;
use crate::domain::round::{self, Sheet};
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
            sheets.extend(made.into_iter().filter(unasked));
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
}
