//! Who of those that hold access is still there, and who answers for service accounts.
//!
//! Everything here is *inferred*: from a file that is gone, from a list that somebody is not on. So it passes a brake, and what
//! could not be looked up infers nothing.
//!
//! Invariant: a number, once given access, never passes it on: another number behind the same login is another person.

use std::collections::{BTreeMap, BTreeSet};

use super::brake;
use super::catalogue::{Catalogue, PersonFile};
use super::model::{Actor, Login, Service, Subject, UserId};
use super::pull::Lookup;

/// The active members of the organisation that owns the access repository, as read at one moment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Members {
    logins: BTreeMap<UserId, Login>,
    numbers: BTreeMap<Login, UserId>,
}

impl Members {
    /// Whether the account is an active member.
    pub fn contains(&self, id: UserId) -> bool {
        self.logins.contains_key(&id)
    }

    /// Which member has this login now.
    pub fn behind(&self, login: &Login) -> Option<UserId> {
        self.numbers.get(login).copied()
    }

    /// Everybody who is on this list or on the other.
    #[must_use]
    pub fn joined(&self, other: &Self) -> Self {
        let mut all = self.clone();
        all.logins.extend(other.logins.clone());
        all.numbers.extend(other.numbers.clone());
        all
    }

    /// Whether the list is empty. An organisation has at least one owner, so no true list is.
    pub fn is_empty(&self) -> bool {
        self.logins.is_empty()
    }
}

impl Extend<Actor> for Members {
    fn extend<T: IntoIterator<Item = Actor>>(&mut self, members: T) {
        for member in members {
            self.numbers.insert(member.login.clone(), member.id);
            self.logins.insert(member.id, member.login);
        }
    }
}

impl FromIterator<Actor> for Members {
    fn from_iter<T: IntoIterator<Item = Actor>>(members: T) -> Self {
        let mut all = Self::default();
        all.extend(members);
        all
    }
}

/// Whether people who are not members of the organisation may hold access.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outsiders {
    /// Members only.
    Refused,
    /// Everybody with a file.
    Allowed,
}

/// Who was given access: the subject, and the number of the account that it was given to.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Receiver {
    /// The person or service.
    pub subject: Subject,
    /// GitHub's number, where the subject has one.
    pub github_id: Option<UserId>,
}

/// What is known of a receiver who is not simply there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Presence {
    /// The person left: what they hold ends.
    Gone,
    /// A service account that no current person answers for: it gets nothing more, and what it holds ends after a grace time.
    Orphaned,
    /// Not known: nothing begins, and nothing ends for it.
    Doubtful,
}

/// Those who are not simply there. Whoever is absent is there.
pub type Presences = BTreeMap<Receiver, Presence>;

/// What presence is judged by.
#[derive(Debug, Clone, Copy)]
pub struct Register<'a> {
    /// What stands on the protected branch.
    pub tree: &'a Catalogue,
    /// The organisation. `Absent`: the repository belongs to no organisation, so nobody is a member of it.
    pub members: &'a Lookup<std::sync::Arc<Members>>,
    /// Who else may hold access.
    pub outsiders: Outsiders,
    /// People of whom two owners said that they are really gone: the brake does not hold these.
    pub released: &'a BTreeSet<String>,
}

/// Who of `receivers` is not simply there, and the people whose going is too much to believe.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Attendance {
    /// Those who are not simply there.
    pub presences: Presences,
    /// Everybody who would be gone, believed or not.
    pub leavers: BTreeSet<Login>,
    /// More people at once than is believed; empty when the brake is not pulled. They are [`Presence::Doubtful`] then.
    pub held_back: BTreeSet<Login>,
}

impl Register<'_> {
    /// Judges everybody who holds something, or is about to.
    pub fn attendance(&self, receivers: &BTreeSet<Receiver>) -> Attendance {
        let mut people = BTreeSet::new();
        let mut leavers = BTreeSet::new();
        for (login, number) in receivers.iter().flat_map(|r| self.people_behind(r)) {
            if self.person(&login, number) == Some(Presence::Gone) {
                leavers.insert(login.clone());
            }
            people.insert(login);
        }
        let mut held_back = leavers.clone();
        held_back.retain(|login| !self.released.contains(login.as_str()));
        if !brake::holds(held_back.len(), people.len()) {
            held_back.clear();
        }
        let presence = |receiver: &Receiver| {
            let braked = self
                .people_behind(receiver)
                .any(|(login, _)| held_back.contains(&login));
            let presence = if braked {
                Some(Presence::Doubtful)
            } else {
                self.presence(receiver)
            };
            Some((receiver.clone(), presence?))
        };
        Attendance {
            presences: receivers.iter().filter_map(presence).collect(),
            leavers,
            held_back,
        }
    }

    /// The numbers whose membership decides something about `receivers`.
    pub fn numbers(&self, receivers: &BTreeSet<Receiver>) -> BTreeSet<UserId> {
        let behind = receivers.iter().flat_map(|r| self.people_behind(r));
        let number = |(login, given): (Login, Option<UserId>)| {
            given.or_else(|| self.tree.people.get(&login).map(|p| p.github_id))
        };
        behind.filter_map(number).collect()
    }

    /// The people on whom a receiver depends: the person themselves, or a service's owner.
    fn people_behind(
        &self,
        receiver: &Receiver,
    ) -> impl Iterator<Item = (Login, Option<UserId>)> + use<> {
        let person = match &receiver.subject {
            Subject::Person(login) => Some((login.clone(), receiver.github_id)),
            Subject::Service(name) => {
                let service = self.tree.services.get(name);
                service.map(|s| (s.owner.clone(), None))
            }
        };
        person.into_iter()
    }

    fn presence(&self, receiver: &Receiver) -> Option<Presence> {
        match &receiver.subject {
            Subject::Person(login) => self.person(login, receiver.github_id),
            Subject::Service(name) => match self.tree.services.get(name) {
                Some(service) => self.service(service, receiver.github_id),
                None if self.tree.is_faulty(&format!("access/services/{name}.yaml")) => {
                    Some(Presence::Doubtful)
                }
                None => Some(Presence::Orphaned),
            },
        }
    }

    /// `given` is the number that was given access; `None` for somebody of whom only the login is known.
    fn person(&self, login: &Login, given: Option<UserId>) -> Option<Presence> {
        let (number, sound) = match self.tree.person_file(login) {
            PersonFile::Absent => return Some(Presence::Gone),
            PersonFile::Faulty => (given, Some(Presence::Doubtful)),
            PersonFile::Sound(person) => (Some(person.github_id), None),
        };
        let another = given.is_some() && number != given;
        let left = number.is_some_and(|id| self.has_left(login, id));
        if another || left {
            Some(Presence::Gone)
        } else {
            sound
        }
    }

    /// Whether the organisation no longer has the account, or has another one under its login.
    fn has_left(&self, login: &Login, id: UserId) -> bool {
        let Lookup::Found(members) = self.members else {
            return false;
        };
        let taken = members.behind(login).is_some_and(|other| other != id);
        taken || (self.outsiders == Outsiders::Refused && !members.contains(id))
    }

    fn service(&self, service: &Service, given: Option<UserId>) -> Option<Presence> {
        let another = given.is_some() && service.github_id.is_some() && service.github_id != given;
        if another {
            // Another machine user: it never inherits what the one before it held.
            return Some(Presence::Gone);
        }
        match self.person(&service.owner, None) {
            Some(Presence::Gone | Presence::Orphaned) => Some(Presence::Orphaned),
            other => other,
        }
    }
}
