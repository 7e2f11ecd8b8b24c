//! People who look at the page: who may see it, and who may end somebody's access there at once.
//!
//! Invariant: a question that the forge did not answer is "no".

use std::collections::BTreeSet;

use super::codeowners::Codeowners;
use super::ledger::{Cause, Entry};
use super::model::{Actor, ActorKind, Owner, Subject, UserId};
use super::pull::{Lookup, Roster};

/// Somebody who signs in, as the forge tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Visitor {
    /// The account.
    pub actor: Actor,
    /// Whether they could read the access repository just now, with their own rights.
    pub reads: bool,
}

/// What somebody came back from the forge with. Secrets: not to be printed.
#[derive(Clone, Copy)]
pub struct Came<'a> {
    /// What the forge gave them; good once, and not for long.
    pub code: &'a str,
    /// What only the browser that began the sign-in knows (PKCE).
    pub verifier: &'a str,
    /// Where the forge sent them.
    pub callback: &'a str,
}

/// As whom somebody ends access at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// Has it, or is accountable for the service that does.
    Holder,
    /// Owns the path of the grant, through this owner.
    Owner(Owner),
}

impl Standing {
    /// Why the access ends then.
    pub fn cause(&self) -> Cause {
        match self {
            Self::Holder => Cause::HolderEmergency,
            Self::Owner(_) => Cause::OwnerEmergency,
        }
    }
}

impl std::fmt::Display for Standing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Holder => f.write_str("holder"),
            Self::Owner(owner) => owner.fmt(f),
        }
    }
}

/// What came of asking to end access at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Called {
    /// It is noted; what follows is on its way.
    Off,
    /// It was called off, or is over, already.
    Before,
    /// There is no such grant, or nothing of it was given yet.
    NotHeld,
    /// They are neither owner nor holder. Who is.
    NotTheirs(Vec<Owner>),
    /// The forge did not say who the owners are; what it said.
    NotKnown(String),
}

/// The shortest reason for ending access at once, in characters without the spaces around it.
pub const REASON_SHORTEST: usize = 5;

/// The longest.
pub const REASON_LONGEST: usize = 500;

/// Whether `text` says why.
pub fn says_why(text: &str) -> bool {
    (REASON_SHORTEST..=REASON_LONGEST).contains(&text.trim().chars().count())
}

/// Whether `who` is one of `people`, or in one of the teams there: whoever may look though they do not read the repository.
pub fn is_among(people: &BTreeSet<Owner>, roster: &Roster, who: &Actor) -> bool {
    let named = |owner: &&Owner| match owner {
        Owner::Team { .. } => match roster.teams.get(owner) {
            Some(Lookup::Found(team)) => team.members.iter().any(|m| m.id == who.id),
            _ => false,
        },
        Owner::User(login) => match roster.users.get(login) {
            Some(Lookup::Found(found)) => found.actor.id == who.id,
            _ => false,
        },
        Owner::Email(_) => false,
    };
    who.kind == ActorKind::User && people.iter().any(|owner| named(&owner))
}

/// The owners of the path of a grant, by `codeowners`.
pub fn owners_of<'a>(codeowners: &'a Codeowners, entry: &Entry) -> &'a [Owner] {
    // A part of a bundle is owned by those who own such grants of its own resource.
    let path = match &entry.part {
        Some(part) => entry.path.within(&part.resource),
        None => entry.path.clone(),
    };
    match codeowners.owners(&path.as_repo_path()) {
        super::codeowners::Ownership::Owned { owners, .. } => owners,
        _ => &[],
    }
}

/// Whether `who` has the access of `entry`, by number: as a person, or as one of those who answer for the service.
pub fn holds(entry: &Entry, accountable: &[UserId], who: &Actor) -> bool {
    let Some(terms) = &entry.terms else {
        return false;
    };
    match &terms.subject {
        Subject::Person(_) => terms.access.account.github_id == Some(who.id),
        Subject::Service(_) => accountable.contains(&who.id),
    }
}

/// Whether `who` could be one of `owners`, as far as can be told without the forge: by name, or in a team.
pub fn may_own(owners: &[Owner], who: &Actor) -> bool {
    owners.iter().any(|owner| match owner {
        Owner::Team { .. } => true,
        Owner::User(login) => *login == who.login,
        Owner::Email(_) => false,
    })
}

/// Through which of `owners` somebody may end access at once; `Err` says what the forge did not tell, where it could have made one.
pub fn owns(owners: &[Owner], roster: &Roster, who: &Actor) -> Result<Option<Owner>, String> {
    let mut unknown = None;
    for owner in owners {
        let (found, failed) = match owner {
            Owner::Team { .. } => match roster.teams.get(owner) {
                Some(Lookup::Found(team)) => (
                    team.can_write && team.members.iter().any(|m| m.id == who.id),
                    None,
                ),
                Some(Lookup::Failed(why)) => (false, Some(why)),
                _ => (false, None),
            },
            Owner::User(login) => match roster.users.get(login) {
                Some(Lookup::Found(found)) => (found.can_write && found.actor.id == who.id, None),
                Some(Lookup::Failed(why)) => (false, Some(why)),
                _ => (false, None),
            },
            Owner::Email(_) => (false, None),
        };
        if found && who.kind == ActorKind::User {
            return Ok(Some(owner.clone()));
        }
        unknown = unknown.or(failed);
    }
    match unknown {
        Some(why) => Err(why.clone()),
        None => Ok(None),
    }
}
