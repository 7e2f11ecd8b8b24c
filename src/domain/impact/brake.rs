//! Whether so many people would be gone at once that Hallpass waits for a person to look, as [`crate::domain::people`] does.

use std::collections::BTreeSet;

use super::{Effect, Known, Touched, live};
use crate::domain::brake;
use crate::domain::catalogue::Catalogue;
use crate::domain::model::{Login, Subject};

/// How many people would be gone, if that is too many to be believed; 0 otherwise.
pub(super) fn held_back(base: &Catalogue, touched: &[Touched], known: &Known<'_>) -> usize {
    let effects = touched.iter().flat_map(|t| &t.effects);
    let gone = effects.filter_map(|effect| match effect {
        Effect::PersonGone(login) => Some(login),
        Effect::AccountReplaced {
            subject: Subject::Person(login),
            ..
        } => Some(login),
        Effect::OwnerGone { owner, .. } => Some(owner),
        _ => None,
    });
    let gone: BTreeSet<&Login> = gone.collect();
    let holders = live(base, known).filter_map(|(_, d)| match &d.grant.subject {
        Subject::Person(login) => Some(login),
        Subject::Service(name) => base.services.get(name).map(|service| &service.owner),
    });
    let holders: BTreeSet<&Login> = holders.collect();
    if brake::holds(gone.len(), holders.len()) {
        gone.len()
    } else {
        0
    }
}
