//! What the service knows beside the trees and the reviews: the organisation, the ledger's history, other pull requests.
//!
//! Each part says what its absence means. Doubt denies, as everywhere.

/// The facts around a pull request that no clone holds. `Surroundings::default()` knows nothing and demands nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Surroundings {}
