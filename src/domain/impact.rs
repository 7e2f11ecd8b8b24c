//! What a change of the files that decide about access means for the grants that are live: which of them would end with the
//! merge, and which would stay until their end but could not be asked for again.
//!
//! Told so that whoever approves the change sees it; nothing is denied because of it. Only what the *change* does is told: what
//! could not be asked for before it cannot be asked for after it either, and that is no effect of it.
//!
//! Invariant: the cost follows from the change. A grant whose subject, resource, owners and conflicts stay as they are is looked at
//! once and left alone.

mod asks;
mod difference;
mod effects;
mod words;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use rayon::prelude::*;

use super::catalogue::{Catalogue, ChangedFile, Declared, role_at};
use super::model::{
    BlobId, ConnectionName, GrantPath, Instant, Login, Owner, ResourceName, RoleRef, ServiceName,
    Subject, Term, TermLength, UserId,
};
use super::{ledger, rules};
use asks::Asks;
use difference::Difference;

pub use words::Part;

/// About how many live grants the policies are asked at most: each takes them some ten thousandths of a second.
pub const ASKED: usize = 5_000;

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
}

/// What becomes of a live grant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fate {
    /// Its access ends as soon as the change is merged.
    Ends,
    /// Its access ends after a time of grace, unless somebody becomes accountable for it.
    EndsAfterGrace,
    /// It stays until its end, but could not be asked for again.
    NotAgain,
    /// It stays until its end; asked for again, it would be another access, or take more approvals.
    Otherwise,
}

impl Fate {
    /// Every fate, the gravest first.
    pub const ALL: [Self; 4] = [
        Self::Ends,
        Self::EndsAfterGrace,
        Self::NotAgain,
        Self::Otherwise,
    ];

    /// The word for programs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ends => "ends-at-merge",
            Self::EndsAfterGrace => "ends-after-grace",
            Self::NotAgain => "not-again",
            Self::Otherwise => "otherwise",
        }
    }
}

/// One thing that a change does to a live grant.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Effect {
    /// The file of its subject goes.
    SubjectGone(Subject),
    /// The login belongs to somebody else from now on.
    AccountReplaced {
        /// Whose login.
        login: Login,
        /// The number in the file today.
        before: UserId,
        /// The number in the changed file.
        after: UserId,
    },
    /// The service account loses the person who is accountable for it.
    OwnerGone {
        /// The service account.
        service: ServiceName,
        /// Who is named as its owner and is nobody.
        owner: Login,
    },
    /// A rule would refuse the same request.
    Refused {
        /// The rule's name.
        rule: &'static str,
        /// What is wrong. May quote what the requester wrote.
        message: String,
    },
    /// The policies would not permit the same request, whoever made it and whatever teams its subject is in.
    Forbidden {
        /// The policies that say so, by name, or why none permits it.
        by: Vec<String>,
    },
    /// What is held since `since` would last longer in all than the role allows now.
    LongerInAll {
        /// When it began.
        since: Instant,
        /// The role's new limit.
        limit: TermLength,
    },
    /// It was given with fewer approvals than the role needs now.
    FewerApprovals {
        /// How many it has.
        had: u32,
        /// How many it would need.
        needed: u32,
    },
    /// Another connection would give it.
    OtherConnection {
        /// Which gives it.
        before: ConnectionName,
        /// Which would give it.
        after: ConnectionName,
    },
    /// Another account of the subject would receive it.
    OtherAccount {
        /// Where.
        connection: ConnectionName,
    },
    /// The role would give something else.
    OtherEntitlement(RoleRef),
}

impl Effect {
    fn fate(&self) -> Fate {
        match self {
            Self::SubjectGone(_) | Self::AccountReplaced { .. } => Fate::Ends,
            Self::OwnerGone { .. } => Fate::EndsAfterGrace,
            Self::Refused { .. } | Self::Forbidden { .. } | Self::LongerInAll { .. } => {
                Fate::NotAgain
            }
            Self::FewerApprovals { .. }
            | Self::OtherConnection { .. }
            | Self::OtherAccount { .. }
            | Self::OtherEntitlement(_) => Fate::Otherwise,
        }
    }
}

impl fmt::Display for Effect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SubjectGone(Subject::Person(login)) => {
                write!(f, "access/people/{login}.yaml is removed")
            }
            Self::SubjectGone(Subject::Service(name)) => {
                write!(f, "access/services/{name}.yaml is removed")
            }
            Self::AccountReplaced {
                login,
                before,
                after,
            } => write!(
                f,
                "{login} becomes another account: github_id {after} instead of {before}"
            ),
            Self::OwnerGone { service, owner } => write!(
                f,
                "nobody is accountable for service {service} any more: its owner, {owner}, has no file"
            ),
            Self::Refused { rule, message } => write!(f, "{message} ({rule})"),
            Self::Forbidden { by } => write!(f, "not permitted by policy: {}", by.join(", ")),
            Self::LongerInAll { since, limit } => write!(
                f,
                "held since {}, and now at most {limit} in all",
                since.format("%Y-%m-%d %H:%M UTC")
            ),
            Self::FewerApprovals { had, needed } => {
                write!(f, "given on {had} of the {needed} approvals it would need")
            }
            Self::OtherConnection { before, after } => {
                write!(f, "held in {before}; would be given in {after}")
            }
            Self::OtherAccount { connection } => {
                write!(
                    f,
                    "held by another account in {connection} than the file would name"
                )
            }
            Self::OtherEntitlement(role) => {
                write!(f, "{role} would give something else than what is held")
            }
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
    /// How many live grants the policies were not asked about, because they are more than [`ASKED`].
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

/// What `changes` would do to the live grants of `base`.
pub fn impact(base: &Catalogue, changes: &[ChangedFile], known: &Known<'_>) -> Impact {
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
        .filter(|(path, declared)| difference.concerns(path, &declared.grant))
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
    if asks.is_some() {
        impact.not_asked = concerned.len().saturating_sub(ASKED);
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
pub fn to_ask(base: &Catalogue, changes: &[ChangedFile]) -> BTreeSet<GrantPath> {
    let result = rules::resulting(base, changes);
    let difference = Difference::between(base, &result.tree, changes);
    let lowered = difference.lowered(base, &result.tree);
    let concerned = |(path, declared): &(&GrantPath, &Declared)| {
        !lowered.is_empty() && lowered.contains(&role_at(path, &declared.grant))
    };
    let mut found: BTreeSet<GrantPath> = base
        .grants
        .iter()
        .filter(concerned)
        .map(|(path, _)| path.clone())
        .collect();
    if !result.tree.policies.is_default() {
        let asked = base.grants.iter();
        let asked = asked.filter(|(path, declared)| difference.concerns(path, &declared.grant));
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
        .map(|(path, _)| (path.resource(), owners(base, path), owners(head, path)))
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
