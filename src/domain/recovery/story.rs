//! What the evidence tells of one grant, and the entry of the ledger that follows from it.

use std::collections::BTreeMap;

use super::super::emergency::Review;
use super::super::evidence::{Kind, Record};
use super::super::ledger::{Arrival, Cause, Entry, State, Wanted};
use super::super::model::{CommitId, GrantId, GrantPath, PullNumber};
use super::terms::{self, approval};

/// The records of one grant, oldest first.
pub(super) struct Story<'a> {
    grant: &'a str,
    records: Vec<&'a Record>,
}

impl<'a> Story<'a> {
    /// The stories that `records` tell, by grant.
    pub fn all(records: &'a [Record]) -> impl Iterator<Item = Self> {
        let mut stories: BTreeMap<&str, Vec<&Record>> = BTreeMap::new();
        for record in records {
            if let Some(grant) = record.grant.as_deref().filter(|_| tells(record.kind)) {
                stories.entry(grant).or_default().push(record);
            }
        }
        let story = |(grant, records)| Story { grant, records };
        stories.into_iter().map(story)
    }

    /// The grant, where nothing was given because the account had it from elsewhere.
    pub fn blocked(&self) -> Option<GrantId> {
        self.last(&[Kind::Blocked])?;
        GrantId::new(self.grant).ok()
    }

    fn last(&self, kinds: &[Kind]) -> Option<&'a Record> {
        self.of_kinds(kinds).next_back()
    }

    fn of_kinds(&self, kinds: &[Kind]) -> impl DoubleEndedIterator<Item = &'a Record> {
        let of_kind = self.records.iter().filter(|r| kinds.contains(&r.kind));
        of_kind.copied()
    }

    /// The entry; `None` where nothing was decided yet.
    ///
    /// # Errors
    /// Why it cannot be told, in a sentence.
    pub fn entry(&self) -> Result<Option<Entry>, String> {
        // A grant is given once: what says so again is none of ours, and changes nothing.
        let given = self.of_kinds(&[Kind::Granted, Kind::Renewed]).next();
        let over = self.last(&[Kind::Revoked, Kind::Cancelled, Kind::MergedWithoutProof]);
        let Some(record) = over.or(given) else {
            return Ok(None);
        };
        let mut entry = arrived(self.grant, given.unwrap_or(record)).ok_or_else(|| {
            format!(
                "{}: the evidence does not say which file it came with",
                self.grant
            )
        })?;
        let terms = terms::of(given.unwrap_or(record));
        match over {
            Some(over) => {
                entry.asked = wanted(record);
                entry.terms = terms.ok().filter(|_| over.kind != Kind::MergedWithoutProof);
                entry.cause = over.cause.as_deref().and_then(Cause::parse);
                let denied = over.kind == Kind::MergedWithoutProof;
                let state = if denied { State::Denied } else { State::Ended };
                entry.settle(state, over.at);
            }
            None => {
                let missing =
                    |what: &str| format!("{}: the evidence does not tell {what}", self.grant);
                let terms = terms.map_err(missing)?;
                entry.state = State::Active;
                entry.wake_at = Some(terms.ends);
                entry.terms = Some(terms);
                entry.orphaned_since = self.orphaned_since();
                if let Some(off) = self.last(&[Kind::CalledOff]) {
                    let cause = off.cause.as_deref().and_then(Cause::parse);
                    let cause = cause.unwrap_or(Cause::OwnerEmergency);
                    entry = entry.clone().call_off(cause, off.at).unwrap_or(entry);
                }
            }
        }
        let reviewed = entry.terms.as_ref().is_some_and(|t| t.review_by.is_some());
        entry.review = (reviewed && given.is_some()).then(|| self.review());
        entry.tidied = self.last(&[Kind::Reverted]).is_some();
        Ok(Some(entry))
    }

    fn orphaned_since(&self) -> Option<super::Instant> {
        let last = self.last(&[Kind::Orphaned, Kind::Adopted])?;
        (last.kind == Kind::Orphaned).then_some(last.at)
    }

    fn review(&self) -> Review {
        let mut review = Review::due();
        for record in &self.records {
            match record.kind {
                Kind::ReviewUnsigned => {
                    review.attempt += 1;
                    review.unsigned.extend(record.review_pull.map(PullNumber));
                }
                Kind::ReviewOverdue => review.overdue = Some(record.at),
                Kind::Reviewed => review.signed = record.signature.as_ref().and_then(approval),
                _ => {}
            }
        }
        review
    }
}

/// Whether records of this kind tell what becomes of a grant.
fn tells(kind: Kind) -> bool {
    matches!(
        kind,
        Kind::Granted
            | Kind::Renewed
            | Kind::Blocked
            | Kind::CalledOff
            | Kind::Revoked
            | Kind::Cancelled
            | Kind::Reverted
            | Kind::MergedWithoutProof
            | Kind::Orphaned
            | Kind::Adopted
            | Kind::Reviewed
            | Kind::ReviewUnsigned
            | Kind::ReviewOverdue
    )
}

fn arrived(grant: &str, record: &Record) -> Option<Entry> {
    let path = GrantPath::new(record.path.as_deref()?).ok()?;
    let arrival = Arrival {
        commit: CommitId::new(record.merge.as_deref()?).ok()?,
        pull: record.pull.map(PullNumber),
        at: record.merged_at.unwrap_or(record.at),
        order: 0,
    };
    let whole = Entry::arrived(path, record.blob.clone()?, arrival);
    let entry = match grant.contains('+') {
        true => whole.of_part(&terms::role(record)?),
        false => whole,
    };
    (entry.id.as_str() == grant).then_some(entry)
}

fn wanted(record: &Record) -> Option<Wanted> {
    Some(Wanted {
        subject: terms::subject(record)?,
        role: terms::role(record)?,
    })
}
