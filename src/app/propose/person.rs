//! Who sits in front of the clone: by the account of the token, else by what git is configured with.

use git2::Repository;

use super::OwnClone;
use super::rest::Rest;
use crate::domain::catalogue::Catalogue;
use crate::domain::model::{Login, Person, UserId};
use crate::reconcile::chain;

/// Somebody, and how that is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Me {
    /// The login: of the person whose file has the account's number, where there is one.
    pub login: Login,
    /// GitHub's number, where the account told it.
    pub id: Option<UserId>,
    /// What told it.
    pub by: Source,
}

/// What told who somebody is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// GitHub, asked with the token.
    Token,
    /// The configuration of git, which anybody can write.
    Git,
}

/// Who it is, or why that is not known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Identity {
    /// Known.
    Known(Me),
    /// Not known.
    Unknown(String),
}

impl Identity {
    /// The person, if it is known.
    pub fn known(&self) -> Option<&Me> {
        match self {
            Self::Known(me) => Some(me),
            Self::Unknown(_) => None,
        }
    }
}

impl OwnClone {
    /// Who uses it, among the people that `base` declares; or, by the token, somebody who is not declared.
    pub fn identity(&self, base: &Catalogue) -> Identity {
        let asked = self.rest().map(|rest| rest.and_then(|rest| rest.user()));
        let why = match asked {
            Some(Ok((login, id))) => {
                let declared = base.people.values().find(|person| person.github_id == id);
                return Identity::Known(Me {
                    login: declared.map_or(login, |person| person.login.clone()),
                    id: Some(id),
                    by: Source::Token,
                });
            }
            Some(Err(error)) => chain(&error),
            None => self.stale.clone().unwrap_or_default(),
        };
        match by_git(&self.repo, base) {
            Some(person) => Identity::Known(Me {
                login: person.login.clone(),
                id: None,
                by: Source::Git,
            }),
            None => Identity::Unknown(why),
        }
    }

    pub(super) fn rest(&self) -> Option<Result<Rest<'_>, super::rest::RestError>> {
        let token = self.token.as_ref()?;
        Some(Rest::new(&self.place, token))
    }
}

/// The declared person whom git's configuration names: by the login for GitHub, the address, or the name.
fn by_git<'a>(repo: &Repository, base: &'a Catalogue) -> Option<&'a Person> {
    let config = repo.config().ok()?;
    let read = |name: &str| {
        config
            .get_string(name)
            .ok()
            .filter(|value| !value.is_empty())
    };
    let (address, name) = (read("user.email"), read("user.name"));
    let logins = [
        read("github.user"),
        address.as_deref().and_then(of_noreply),
        address.as_deref().and_then(before_at),
        name.clone(),
    ];
    let logins = logins.into_iter().flatten();
    let mut by_login = logins.filter_map(|login| base.people.get(&Login::new(login).ok()?));
    by_login.next().or_else(|| {
        let name = name?;
        let same = |person: &&Person| person.name.as_deref() == Some(&name);
        let mut found = base.people.values().filter(same);
        // Two people of one name are nobody in particular.
        found.next().filter(|_| found.next().is_none())
    })
}

/// `41099870+grace@users.noreply.github.com`, as GitHub gives it out.
fn of_noreply(address: &str) -> Option<String> {
    let name = address.strip_suffix("@users.noreply.github.com")?;
    Some(
        name.split_once('+')
            .map_or(name, |(_, login)| login)
            .to_owned(),
    )
}

fn before_at(address: &str) -> Option<String> {
    Some(address.split_once('@')?.0.to_owned())
}
