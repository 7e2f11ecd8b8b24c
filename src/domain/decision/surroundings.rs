//! What the service knows beside the trees and the reviews: the organisation, the ledger's history, other pull requests.
//!
//! Each part says what its absence means. Doubt denies, as everywhere.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::super::emergency::Emergency;
use super::super::history::Past;
use super::super::impact::Held;
use super::super::model::{GrantPath, Instant, Owner, PullNumber, RoleRef, Subject};
use super::super::people::Members;
use super::super::pull::Lookup;
use super::super::release::Hold;
use super::super::replay::Replay;
use super::super::round::Sheet;
use super::super::tenure::Tenure;
use super::MayAsk;

/// The facts around a pull request that no clone holds. `Surroundings::default()` knows nothing and demands nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Surroundings {
    /// For a change of the files that decide: what the ledger says of the live grants that [`super::super::impact::to_ask`] names.
    /// Absent: the change's effect on that grant is judged by its file alone. Decides nothing.
    pub held: BTreeMap<GrantPath, Held>,
    /// The active members of the organisation. `None`: nobody has to be one. `Absent`: there is no organisation, which is the
    /// same. `Failed`: it is not known whether anybody is one.
    pub members: Option<Lookup<Arc<Members>>>,
    /// By the ledger: every emergency that no owner has signed yet, and those whose records the pull request touches. Absent:
    /// there is none.
    pub emergencies: Vec<Emergency>,
    /// What the brake holds, where the pull request touches records of that. Absent: nothing is held.
    pub holds: Vec<Hold>,
    /// What owners are asked in an access review that is open, where the pull request touches answers to that. Absent: nothing is asked.
    pub sheets: Vec<Sheet>,
    /// For a change of the files that decide: past requests, judged by what it would make of them. `None`: not looked at. Decides
    /// nothing.
    pub replay: Option<Replay>,
    /// What other open pull requests ask for the same subjects. Empty: nothing, as far as they were looked at.
    pub pending: Vec<Pending>,
    /// How many open pull requests of the author that are older ask for access. `None`: no policy asks, or it is merged; `Failed`: it is not
    /// known.
    pub open_requests: Option<Lookup<usize>>,
    /// Since when people are seen in the teams that own what is asked for, where a policy asks. Absent: they were never seen there.
    pub tenures: BTreeMap<Owner, Tenure>,
    /// When the pull request was last seen to aim at another branch: approvals that were given until then were not given for the
    /// protected one. `None`: it was never seen to.
    pub elsewhere: Option<Instant>,
    /// Who may ask, by what the protected branch declares *now*: it must hold beside what the base declares, so that a grant that
    /// begins later is asked about again when it begins. Absent: as the base says.
    pub may_ask_now: BTreeMap<(GrantPath, RoleRef), MayAsk>,
    /// What the subjects of the requests had or asked for before, newest end first, at most [`PAST`] of each. Absent: nothing, as
    /// far as the ledger goes back. Decides nothing.
    pub past: Vec<Past>,
}

/// What another open pull request asks for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Pending {
    /// Which.
    pub pull: PullNumber,
    /// For whom.
    pub subject: Subject,
    /// What.
    pub role: RoleRef,
}

/// How much of a subject's past is looked at.
pub const PAST: u32 = 100;
