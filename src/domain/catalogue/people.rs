//! Finding people by what their files say, without a walk over all of them.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};

use super::Catalogue;
use crate::domain::model::{ConnectionName, Login, Person, Subject, UserId};

/// Who has which account and which number. Follows from [`Catalogue::people`].
#[derive(Debug, Clone)]
pub(super) struct Directory {
    /// By a fingerprint of connection and account, sorted.
    accounts: Vec<(u64, Login)>,
    /// Where a number stands twice, the first by login.
    numbers: BTreeMap<UserId, Login>,
}

fn fingerprint(connection: &ConnectionName, account: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    (connection, account).hash(&mut hasher);
    hasher.finish()
}

impl Directory {
    fn of(people: &BTreeMap<Login, Person>) -> Self {
        let mut numbers = BTreeMap::new();
        let mut accounts = Vec::new();
        for (login, person) in people {
            numbers
                .entry(person.github_id)
                .or_insert_with(|| login.clone());
            let has = person.identities.iter();
            accounts.extend(has.map(|(at, name)| (fingerprint(at, name), login.clone())));
        }
        accounts.sort_unstable();
        Self { accounts, numbers }
    }
}

impl Catalogue {
    fn directory(&self) -> &Directory {
        self.index
            .directory
            .get_or_init(|| Directory::of(&self.people))
    }

    /// The people who are declared to use an account of a target system.
    pub(crate) fn using(
        &self,
        connection: &ConnectionName,
        account: &str,
    ) -> impl Iterator<Item = &Person> {
        let accounts = &self.directory().accounts;
        let key = fingerprint(connection, account);
        let from = accounts.partition_point(|(other, _)| *other < key);
        let same = accounts[from..]
            .iter()
            .take_while(move |(other, _)| *other == key);
        let people = same.filter_map(|(_, login)| self.people.get(login));
        // Two accounts may share a fingerprint.
        people.filter(move |p| p.identities.get(connection).is_some_and(|a| a == account))
    }

    /// Who else acts by the hand of the person behind `subject`: that person, and the services that they answer for.
    pub(crate) fn same_hand(&self, subject: &Subject) -> Vec<Subject> {
        let person = match subject {
            Subject::Person(login) => login,
            Subject::Service(name) => match self.services.get(name) {
                Some(service) => &service.owner,
                None => return Vec::new(),
            },
        };
        let services = self.services.values().filter(|s| s.owner == *person);
        let services = services.map(|s| Subject::Service(s.name.clone()));
        let all = std::iter::once(Subject::Person(person.clone())).chain(services);
        all.filter(|other| other != subject).collect()
    }

    /// The person of this number.
    pub(crate) fn numbered(&self, id: UserId) -> Option<&Person> {
        self.people.get(self.directory().numbers.get(&id)?)
    }
}
