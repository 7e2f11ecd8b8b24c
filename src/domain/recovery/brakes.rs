//! What two owners let go, as the evidence tells: they are not asked a second time for removals that a lost database had begun.
//!
//! Only removals of grants whose files are gone are known again: a grant's id is used once, so that what was released can be nothing
//! else by now. Whoever left, and what was given outside, may be back and gone again, and is asked for anew.

use std::collections::{BTreeMap, BTreeSet};

use super::super::evidence::{Kind, Record};
use super::super::model::{CommitId, ConnectionName, ResourceName};
use super::super::release::{Brake, Hold, Inferred, Whose};

/// What was released, by brake.
pub fn released(records: &[Record]) -> BTreeMap<Whose, Brake> {
    let mut holds: BTreeMap<&str, Hold> = BTreeMap::new();
    let mut brakes: BTreeMap<Whose, Brake> = BTreeMap::new();
    for record in records {
        let Some(path) = record.record.as_deref() else {
            continue;
        };
        match record.kind {
            Kind::Held => holds.extend(held(record).map(|hold| (path, hold))),
            Kind::Released => {
                if let Some(hold) = holds.remove(path) {
                    let brake = brakes.entry(hold.whose).or_default();
                    brake.released.extend(hold.members);
                }
            }
            _ => {}
        }
    }
    brakes
}

/// What a record says was held, if it is all there.
fn held(record: &Record) -> Option<Hold> {
    let connection = ConnectionName::new(record.connection.as_deref()?).ok()?;
    let resource = ResourceName::new(record.resource.as_deref()?).ok()?;
    let members: BTreeSet<String> = record.removals.iter().flatten().cloned().collect();
    let hold = Hold {
        whose: Whose::withdrawn(&connection, resource),
        members,
        base: CommitId::new(record.base.as_deref()?).ok()?,
        since: record.at,
        attempt: 1,
        asked: None,
        unsigned: Vec::new(),
    };
    let withdrawn = record.held.as_deref() == Some(Inferred::Withdrawn.as_str());
    // The path is a digest of what is held, and of nothing else.
    let whole = hold.record_path().as_str() == record.record.as_deref()?;
    (withdrawn && whole).then_some(hold)
}
