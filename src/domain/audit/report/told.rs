//! Every record of the period, by kind.

use std::collections::BTreeMap;

use super::super::super::evidence::{Kind, Record};
use super::super::{Life, Lives};
use super::{Asked, Cited};

/// One record of the period.
#[derive(Clone, Copy)]
pub(super) struct Entry<'l> {
    seq: u64,
    pub(super) cited: Cited<'l>,
    /// The grant that it is about, where there is one.
    pub(super) life: Option<&'l Life>,
    /// All of it, where it is about no grant and no request.
    pub(super) record: Option<&'l Record>,
}

/// Every record of the period, by kind, oldest first.
pub(super) struct Told<'l>(BTreeMap<Kind, Vec<Entry<'l>>>);

impl<'l> Told<'l> {
    pub(super) fn of(lives: &'l Lives, asked: &Asked) -> Self {
        let mut kinds: BTreeMap<Kind, Vec<Entry<'l>>> = BTreeMap::new();
        let mut add = |kind, entry: Entry<'l>| {
            if asked.within(entry.cited.at) {
                kinds.entry(kind).or_default().push(entry);
            }
        };
        let steps = lives.iter().flat_map(|life| {
            let of_life = move |step| (step, Some(life));
            life.steps.iter().map(of_life)
        });
        let requested = lives.requests().flat_map(|(_, steps)| steps);
        for (step, life) in steps.chain(requested.map(|step| (step, None))) {
            add(
                step.kind,
                Entry {
                    seq: step.seq,
                    cited: step.into(),
                    life,
                    record: None,
                },
            );
        }
        for (commit, record) in lives.others() {
            let cited = Cited {
                at: record.at,
                commit,
                sentence: &record.sentence,
            };
            add(
                record.kind,
                Entry {
                    seq: record.seq,
                    cited,
                    life: None,
                    record: Some(record),
                },
            );
        }
        for entries in kinds.values_mut() {
            // What a request told is told again by each grant that it became. The sort keeps the order: the one with a life stays.
            entries.sort_by_key(|entry| entry.seq);
            entries.dedup_by_key(|entry| entry.seq);
        }
        Self(kinds)
    }

    /// The records of some kinds, oldest first.
    pub(super) fn of_kinds(&self, kinds: &[Kind]) -> impl Iterator<Item = &Entry<'l>> {
        let mut found: Vec<&Entry<'l>> = kinds
            .iter()
            .filter_map(|kind| self.0.get(kind))
            .flatten()
            .collect();
        found.sort_by_key(|entry| entry.seq);
        found.into_iter()
    }

    /// How many records there are.
    pub(super) fn count(&self) -> u64 {
        self.0.values().map(|entries| entries.len() as u64).sum()
    }
}
