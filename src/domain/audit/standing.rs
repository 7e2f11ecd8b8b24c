//! What stands now: the files of the protected branch beside what the evidence tells of them.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::super::catalogue::{Catalogue, Declared};
use super::super::evidence::Kind;
use super::super::ledger::Holding;
use super::super::model::{
    Access, Account, BlobId, ConnectionName, Grant, GrantId, GrantPath, Instant, Login, RoleRef,
    ServiceName, Subject, UserId,
};
use super::{Life, Lives};

/// Where a grant stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// The access is there.
    Live,
    /// It was merged, and begins later.
    Scheduled,
    /// It was merged, and nothing tells yet that it was given.
    Merged,
    /// It was merged without the approval that it needs: nothing was given.
    Refused,
    /// It is over; its file has not been removed yet.
    Ended,
    /// Its file is there. Whether it was given is not known, as there is no evidence at hand.
    Declared,
}

impl State {
    /// The word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::Scheduled => "scheduled",
            Self::Merged => "merged",
            Self::Refused => "refused",
            Self::Ended => "ended",
            Self::Declared => "declared",
        }
    }
}

/// One role that one grant gives, or would give.
#[derive(Debug, Clone)]
pub struct Stands<'a> {
    /// The file.
    pub path: GrantPath,
    /// Who.
    pub subject: Subject,
    /// What.
    pub role: RoleRef,
    /// Where it stands.
    pub state: State,
    /// When it begins, or began; `None` where that is counted from a merge that is not known.
    pub begins: Option<Instant>,
    /// When it ends; `None` as for `begins`.
    pub ends: Option<Instant>,
    /// What the file says; `None` where it says something else by now, or is gone.
    pub grant: Option<&'a Grant>,
    /// What the evidence tells.
    pub life: Option<&'a Life>,
}

impl Stands<'_> {
    /// Whether the access is there, as far as is known.
    pub fn is_held(&self) -> bool {
        matches!(self.state, State::Live | State::Declared)
    }
}

/// Everything that the files of `base` give, and what is held beside them, by path and role. `lives` is the evidence, where it is at
/// hand.
pub fn standing<'a>(
    base: &'a Catalogue,
    lives: Option<&'a Lives>,
    now: Instant,
) -> Vec<Stands<'a>> {
    let mut all = Vec::new();
    let mut told = BTreeSet::new();
    for (path, declared) in &base.grants {
        for role in base.gives(path, &declared.grant) {
            let life = lives.and_then(|lives| of_file(lives, path, declared, &role));
            told.extend(life.map(|life| life.grant.as_str()));
            all.push(of_role((path, declared, role), (lives, life), now));
        }
    }
    // What goes on after its file was changed or removed, until the service has looked.
    let held = lives.into_iter().flat_map(Lives::iter);
    let held = held.filter(|life| life.held_at(now) && !told.contains(life.grant.as_str()));
    all.extend(held.filter_map(beside));
    all.sort_by(|a, b| (&a.path, &a.role).cmp(&(&b.path, &b.role)));
    all
}

/// The last grant of exactly this content and role.
fn of_file<'a>(
    lives: &'a Lives,
    path: &GrantPath,
    declared: &Declared,
    role: &RoleRef,
) -> Option<&'a Life> {
    let (role, blob) = (role.to_string(), declared.blob.as_str());
    let same = of_path(lives, path).filter(|l| l.role == role && l.blob == blob);
    same.max_by_key(|life| life.merged_at)
}

/// Every grant that a path ever held.
pub fn of_path<'a>(lives: &'a Lives, path: &GrantPath) -> impl Iterator<Item = &'a Life> {
    let path = path.as_str().to_owned();
    lives.iter().filter(move |life| life.path == path)
}

fn of_role<'a>(
    (path, declared, role): (&GrantPath, &'a Declared, RoleRef),
    (lives, life): (Option<&Lives>, Option<&'a Life>),
    now: Instant,
) -> Stands<'a> {
    let grant = &*declared.grant;
    let state = match (lives, life) {
        (None, _) => State::Declared,
        (Some(_), None) => State::Merged,
        (Some(_), Some(life)) => state(life, now),
    };
    let merged = life.and_then(|life| life.merged_at);
    let starts = life.and_then(|life| life.starts);
    let begins = starts.or(merged.map(|at| grant.begin(at)));
    // What begins later, or ends at an instant, says so itself.
    let expires = match grant.term {
        super::super::model::Term::Expires(at) => Some(at),
        super::super::model::Term::Duration(length) => grant
            .starts
            .filter(|starts| merged.is_none() && *starts > now)
            .map(|starts| starts + length.delta()),
    };
    Stands {
        path: path.clone(),
        subject: grant.subject.clone(),
        role,
        state,
        begins: begins.or(grant.starts),
        ends: life
            .and_then(|life| life.expires)
            .or(merged.map(|at| grant.end(at)))
            .or(expires),
        grant: Some(grant),
        life,
    }
}

fn state(life: &Life, now: Instant) -> State {
    let refused = |life: &Life| {
        let mut kinds = life.steps.iter().map(|step| step.kind);
        kinds.any(|kind| kind == Kind::MergedWithoutProof)
    };
    if life.held_at(now) {
        State::Live
    } else if life.ended.is_some() {
        State::Ended
    } else if refused(life) {
        State::Refused
    } else if life.starts.is_some_and(|starts| starts > now) {
        State::Scheduled
    } else {
        State::Merged
    }
}

fn beside(life: &Life) -> Option<Stands<'_>> {
    Some(Stands {
        path: GrantPath::new(&life.path).ok()?,
        subject: subject(life)?,
        role: RoleRef::try_from(life.role.clone()).ok()?,
        state: State::Live,
        begins: life.starts.or(life.given.as_ref().map(|given| given.at)),
        ends: life.expires,
        grant: None,
        life: Some(life),
    })
}

/// Who a life is of.
fn subject(life: &Life) -> Option<Subject> {
    match life.subject.split_once(' ')? {
        ("person", login) => Login::new(login).ok().map(Subject::Person),
        ("service", name) => ServiceName::new(name).ok().map(Subject::Service),
        _ => None,
    }
}

/// What is held at `now`, as the ledger has it.
pub fn holdings(lives: &Lives, now: Instant) -> Vec<Holding> {
    let held = lives.iter().filter(|life| life.held_at(now));
    held.filter_map(|life| holding(lives, life)).collect()
}

fn holding(lives: &Lives, life: &Life) -> Option<Holding> {
    let access = Access {
        connection: ConnectionName::new(&life.connection).ok()?,
        account: Account {
            name: life.account.clone(),
            github_id: life.subject_id.map(UserId),
            id: None,
        },
        entitlement: serde_json::from_str(&life.entitlement).ok()?,
        entitlement_id: None,
    };
    let since = since(lives, life)?;
    Some(Holding {
        id: GrantId::new(&life.grant).ok()?,
        path: GrantPath::new(&life.path).ok()?,
        subject: subject(life)?,
        role: RoleRef::try_from(life.role.clone()).ok()?,
        access_key: access.key(),
        starts: life.starts.unwrap_or(since),
        ends: life.expires?,
        since: Some(since),
    })
}

/// When the unbroken access began that this grant goes on with.
pub fn since(lives: &Lives, life: &Life) -> Option<Instant> {
    let (mut first, mut seen) = (life, BTreeSet::new());
    while let Some(before) = first.replaces.as_deref().and_then(|name| lives.get(name)) {
        if !seen.insert(before.grant.as_str()) {
            break;
        }
        first = before;
    }
    first.starts.or(first.given.as_ref().map(|given| given.at))
}

/// The files of `base` all of whose grants are over.
pub fn ended(base: &Catalogue, lives: &Lives, now: Instant) -> BTreeMap<GrantPath, BlobId> {
    let mut going = BTreeSet::new();
    let mut over = BTreeMap::new();
    for stands in standing(base, Some(lives), now) {
        let is_over = matches!(stands.state, State::Ended | State::Refused);
        match base.grants.get(&stands.path) {
            Some(declared) if is_over => drop(over.insert(stands.path, declared.blob.clone())),
            _ => drop(going.insert(stands.path)),
        }
    }
    over.retain(|path, _| !going.contains(path));
    over
}
