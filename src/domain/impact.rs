//! What a change of the files that decide about access means for the grants that are live: which of them would end with the
//! merge, and which would stay until their end but could not be asked for again.
//!
//! Told so that whoever approves the change sees it; nothing is denied because of it. Only what the *change* does is told: what
//! could not be asked for before it cannot be asked for after it either, and that is no effect of it.
//!
//! Invariant: the cost follows from the change. A grant whose subject, resource, owners and conflicts stay as they are is looked at
//! once and left alone.

mod asks;
mod brake;
mod difference;
mod effect;
mod effects;
mod words;

use std::collections::{BTreeMap, BTreeSet};

use rayon::prelude::*;

use super::catalogue::{Catalogue, ChangedFile, Declared};
use super::changes::Changes;
use super::model::{BlobId, GrantPath, Instant, Owner, ResourceName, RoleRef, Subject, Term};
use super::parse::{Governed, classify};
use super::{ledger, rules};
use asks::Asks;
use difference::Difference;

pub use effect::{Effect, Fate};
pub use words::Part;

/// About how many live grants the policies are asked at most: each takes them some ten thousandths of a second.
pub const ASKED: usize = 2_000;

/// What is known of the live grants beside their files.
#[derive(Debug, Clone, Copy)]
pub struct Known<'a> {
    /// Grants that ended or were denied and whose file still stands. Empty where nobody knows: then every file counts as live until
    /// the instant that it names.
    pub ended: &'a BTreeMap<GrantPath, BlobId>,
    /// What the ledger says of the grants that [`to_ask`] names. Absent: only what the file says is judged.
    pub held: &'a BTreeMap<GrantPath, Held>,
    /// The time.
    pub now: Instant,
}

/// What the ledger says of one live grant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Held {
    /// When the unbroken access that it continues began.
    pub since: Instant,
    /// When it began itself.
    pub starts: Instant,
    /// When it ends.
    pub ends: Instant,
    /// How many owners approved it.
    pub approvals: u32,
}

impl Held {
    /// What the ledger's terms say.
    pub fn of(terms: &ledger::Terms) -> Self {
        Self {
            since: terms.since(),
            starts: terms.starts,
            ends: terms.ends,
            approvals: u32::try_from(terms.approvals.len()).unwrap_or(u32::MAX),
        }
    }

    /// This and another part of the same bundle, as one: from the first begin to the last end, on the fewest approvals.
    #[must_use]
    pub fn with(self, other: Self) -> Self {
        Self {
            since: self.since.min(other.since),
            starts: self.starts.min(other.starts),
            ends: self.ends.max(other.ends),
            approvals: self.approvals.min(other.approvals),
        }
    }
}

/// A live grant to which the change does something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Touched {
    /// Its file.
    pub path: GrantPath,
    /// Who holds it.
    pub subject: Subject,
    /// What is held.
    pub role: RoleRef,
    /// What becomes of it: the gravest of its effects.
    pub fate: Fate,
    /// Why: at least one.
    pub effects: Vec<Effect>,
}

/// Live grants of one resource that other people approve from now on.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Handover {
    /// The resource.
    pub resource: ResourceName,
    /// Who owns their paths today.
    pub before: Vec<Owner>,
    /// Who would own them.
    pub after: Vec<Owner>,
    /// How many live grants.
    pub grants: usize,
}

/// What a change does to live grants. `Impact::default()`: nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Impact {
    /// By fate, the gravest first, then by path.
    pub touched: Vec<Touched>,
    /// By resource.
    pub handovers: Vec<Handover>,
    /// Whether CODEOWNERS can be relied on today and could not after the change: then nothing at all can be granted.
    pub breaks_codeowners: bool,
    /// Whether the policies can be relied on today and could not after the change: then nothing at all can be granted.
    pub breaks_policies: bool,
    /// How many people would be gone, if they are so many at once that Hallpass holds their ends back until a person has looked; 0
    /// otherwise.
    pub held_back: usize,
    /// How many live grants the policies were not asked about, because they are more than [`ASKED`], or than policies of their length can be asked about.
    pub not_asked: usize,
    /// Changed files that cannot be read, by path: what they would do is not known, and left out.
    pub unread: Vec<String>,
}

impl Impact {
    /// Whether there is nothing to tell.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// The grants of one fate, by path.
    pub fn of(&self, fate: Fate) -> impl Iterator<Item = &Touched> {
        self.touched.iter().filter(move |t| t.fate == fate)
    }
}

/// Whether a change touches files that decide about live grants and requests: people, services, resources, policies, CODEOWNERS. A
/// signature of an emergency's review, or a case beside a policy, decides about none.
pub fn decides(changes: &[ChangedFile]) -> bool {
    changes.iter().any(|change| {
        matches!(
            classify(&change.path),
            Some(Ok(Governed::Person(_)
                | Governed::Service(_)
                | Governed::Resource(_)
                | Governed::Policy(_)
                | Governed::Codeowners(_)))
        )
    })
}

/// What `changes` would do to the live grants of `base`.
pub fn impact(base: &Catalogue, changes: &Changes, known: &Known<'_>) -> Impact {
    let result = rules::resulting(base, changes);
    let difference = Difference::between(base, &result.tree, changes);
    let mut impact = Impact {
        breaks_codeowners: relied_on(base) && !relied_on(&result.tree),
        breaks_policies: base.policies.broken().is_none()
            && result.tree.policies.broken().is_some(),
        unread: result.unread,
        ..Impact::default()
    };
    if difference.is_empty() {
        return impact;
    }
    let concerned: Vec<(&GrantPath, &Declared)> = live(base, known)
        .filter(|(path, declared)| difference.concerns(base, path, &declared.grant))
        .collect();
    let asks = Asks::between(base, &result.tree, known);
    let judge = effects::Judge {
        base,
        head: &result.tree,
        known,
        asks: asks.as_ref(),
        breaks_codeowners: impact.breaks_codeowners,
    };
    impact.touched = concerned
        .par_iter()
        .with_min_len(64)
        .enumerate()
        .filter_map(|(i, (path, declared))| judge.touched(i, path, &declared.grant))
        .collect();
    impact.held_back = brake::held_back(base, &impact.touched, known);
    if let Some(asks) = &asks {
        impact.not_asked = concerned.len().saturating_sub(asks.most);
    }
    impact
        .touched
        .par_sort_by(|a, b| (a.fate, &a.path).cmp(&(b.fate, &b.path)));
    if difference.owners && !impact.breaks_codeowners {
        impact.handovers = handovers(base, &result.tree, &concerned);
    }
    impact
}

/// The grants of which the ledger knows more than the files and `changes` makes it count: how long they last in all and how many
/// approved them, where limits are lowered; when they began, where policies are asked. For [`Known::held`].
pub fn to_ask(base: &Catalogue, changes: &Changes) -> BTreeSet<GrantPath> {
    let result = rules::resulting(base, changes);
    let difference = Difference::between(base, &result.tree, changes);
    let lowered = difference.lowered(base, &result.tree);
    let concerned = |(path, declared): &(&GrantPath, &Declared)| {
        let bound = || base.binding(path, &declared.grant);
        !lowered.is_empty() && bound().iter().any(|role| lowered.contains(role))
    };
    let mut found: BTreeSet<GrantPath> = base
        .grants
        .iter()
        .filter(concerned)
        .map(|(path, _)| path.clone())
        .collect();
    if !result.tree.policies.is_default() {
        let asked = base.grants.iter();
        let asked =
            asked.filter(|(path, declared)| difference.concerns(base, path, &declared.grant));
        found.extend(asked.take(ASKED).map(|(path, _)| path.clone()));
    }
    found
}

fn live<'a>(
    base: &'a Catalogue,
    known: &Known<'a>,
) -> impl Iterator<Item = (&'a GrantPath, &'a Declared)> {
    let known = *known;
    base.grants
        .iter()
        .filter(move |(path, declared)| is_live(path, declared, &known))
}

/// Whether what stands at `path` is live, as far as is known.
fn is_live(path: &GrantPath, declared: &Declared, known: &Known<'_>) -> bool {
    let over = matches!(declared.grant.term, Term::Expires(at) if at <= known.now);
    !over && known.ended.get(path) != Some(&declared.blob)
}

fn relied_on(tree: &Catalogue) -> bool {
    tree.codeowners.path.is_some() && tree.codeowners.problems.is_empty()
}

/// Whose approvals change hands. Paths that nobody would own are effects of their own.
fn handovers(
    base: &Catalogue,
    head: &Catalogue,
    concerned: &[(&GrantPath, &Declared)],
) -> Vec<Handover> {
    let owners = |tree: &Catalogue, path: &GrantPath| {
        let mut owners = tree
            .codeowners
            .owners(&path.as_repo_path())
            .owners()
            .to_vec();
        owners.sort();
        owners.dedup();
        owners
    };
    type Hands = (ResourceName, Vec<Owner>, Vec<Owner>);
    let hands: Vec<Hands> = concerned
        .par_iter()
        .with_min_len(64)
        .flat_map_iter(|(path, declared)| {
            // The owners of a part of a bundle are those of such a grant by itself.
            base.gives(path, &declared.grant).into_iter().map(|role| {
                let path = path.within(&role.resource);
                (role.resource, owners(base, &path), owners(head, &path))
            })
        })
        .filter(|(_, before, after)| before != after && !after.is_empty())
        .collect();
    let mut counted: BTreeMap<Hands, usize> = BTreeMap::new();
    for one in hands {
        *counted.entry(one).or_default() += 1;
    }
    let handover = |((resource, before, after), grants)| Handover {
        resource,
        before,
        after,
        grants,
    };
    counted.into_iter().map(handover).collect()
}
