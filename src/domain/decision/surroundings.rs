//! What the service knows beside the trees and the reviews: the organisation, the ledger's history, other pull requests.
//!
//! Each part says what its absence means. Doubt denies, as everywhere.

use std::collections::BTreeMap;

use super::super::history::Past;
use super::super::impact::Held;
use super::super::model::GrantPath;

/// The facts around a pull request that no clone holds. `Surroundings::default()` knows nothing and demands nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Surroundings {
    /// For a change of the files that decide: what the ledger says of the live grants that [`super::super::impact::to_ask`] names.
    /// Absent: the change's effect on that grant is judged by its file alone. Decides nothing.
    pub held: BTreeMap<GrantPath, Held>,
    /// What the subjects of the requests had or asked for before, newest end first, at most [`PAST`] of each. Absent: nothing, as
    /// far as the ledger goes back. Decides nothing.
    pub past: Vec<Past>,
}

/// How much of a subject's past is looked at.
pub const PAST: u32 = 100;
