//! What is asked for in open pull requests, and which of them wait for somebody.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::reading::Listed;
use super::rest::{OpenPull, Rest, RestError};
use super::{OwnClone, ProposeError};
use crate::domain::catalogue::Catalogue;
use crate::domain::changes::Changes;
use crate::domain::model::{CommitId, GrantPath, Login, Owner, Subject};
use crate::repo::propose as git;
use crate::repo::{RepoError, read};

/// An open pull request that changes grants.
#[derive(Debug)]
pub struct OpenRequest {
    /// Which.
    pub pull: OpenPull,
    /// The grant files that it changes.
    pub paths: Vec<GrantPath>,
    /// What it changes.
    pub changes: Changes,
    /// The tip of its branch.
    pub head: CommitId,
    /// Whether it waits for whoever asks.
    pub waits: Waits,
}

impl OpenRequest {
    /// Whether it asks for access of the person or service of that name.
    pub fn asks_for(&self, name: &str) -> bool {
        let mut subjects = self.changes.asked().map(|(_, asked)| &asked.grant.subject);
        subjects.any(|subject| match subject {
            Subject::Person(login) => login.as_str().eq_ignore_ascii_case(name),
            Subject::Service(service) => service.as_str() == name,
        })
    }
}

/// Whether a pull request waits for somebody.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Waits {
    /// They own what is asked for, and have not approved this content.
    Yes,
    /// They do not own it, asked for it themselves, or approved it.
    No,
    /// Who stands behind the owners could not be looked up.
    Unknown,
}

/// The open requests, and what is not known of them.
#[derive(Debug, Default)]
pub struct OpenRequests {
    /// Newest first.
    pub all: Vec<OpenRequest>,
    /// Sentences about what could not be looked up.
    pub unknown: Vec<String>,
}

/// Why there is no list.
#[derive(Debug, thiserror::Error)]
pub enum RequestsError {
    /// There is no token.
    #[error("{0}")]
    NoToken(String),
    /// GitHub did not answer.
    #[error(transparent)]
    Rest(#[from] RestError),
    /// The heads could not be fetched or read.
    #[error(transparent)]
    Git(#[from] RepoError),
}

impl OwnClone {
    /// What open pull requests ask for, and which of them wait for `me`.
    ///
    /// # Errors
    /// [`RequestsError`] says why nothing is known.
    pub fn open_requests(
        &self,
        base: &Catalogue,
        me: Option<&Login>,
    ) -> Result<OpenRequests, RequestsError> {
        let no_token = || RequestsError::NoToken(self.stale.clone().unwrap_or_default());
        let rest = self.rest().ok_or_else(no_token)??;
        let (listed, is_all) = rest.listed(&self.base)?;
        let heads: Vec<_> = listed.iter().map(|pull| pull.head.clone()).collect();
        git::fetch_commits(&self.repo, &self.remote(), &heads)?;
        let mut found = OpenRequests::default();
        if !is_all {
            let many = listed.len();
            found.unknown.push(format!(
                "only the newest {many} open pull requests were looked at"
            ));
        }
        let mut desk = Desk {
            rest: &rest,
            base,
            me,
            behind: BTreeMap::new(),
        };
        for pull in listed {
            match self.changes_of(&pull) {
                Ok(changes) => found.all.extend(desk.request(pull, changes)),
                Err(_) => found.unknown.push(format!(
                    "the commits of #{} could not be fetched, so what it asks for is not known",
                    pull.number
                )),
            }
        }
        found.unknown.extend(desk.doubts());
        Ok(found)
    }

    /// What the check says of a request, in one line; `None` where it has not looked yet, or GitHub did not answer.
    pub fn check_of(&self, request: &OpenRequest) -> Option<String> {
        let rest = self.rest()?.ok()?;
        rest.check(&request.head).ok().flatten()
    }

    /// How a pull request differs from where it left the branch that counts.
    fn changes_of(&self, pull: &Listed) -> Result<Changes, ProposeError> {
        let changes = match read::proposed(&self.repo, &self.tip, &pull.head)? {
            Some(changes) => changes,
            None => read::changes(&self.repo, &self.tip, &pull.head)?,
        };
        Ok(Changes::read(changes))
    }
}

/// Looks at one pull request after the other, and asks about each team once.
struct Desk<'a> {
    rest: &'a Rest<'a>,
    base: &'a Catalogue,
    me: Option<&'a Login>,
    behind: BTreeMap<Owner, Option<bool>>,
}

impl Desk<'_> {
    /// The request; `None` where it is about no grants.
    fn request(&mut self, listed: Listed, changes: Changes) -> Option<OpenRequest> {
        let paths = changes.iter().filter_map(|c| GrantPath::new(&c.path).ok());
        let paths: Vec<GrantPath> = paths.collect();
        if paths.is_empty() {
            return None;
        }
        let waits = self.waits(&listed, &paths, &changes);
        Some(OpenRequest {
            head: listed.head,
            pull: OpenPull {
                number: listed.number,
                url: listed.url,
                title: listed.title,
                author: listed.author,
            },
            paths,
            changes,
            waits,
        })
    }

    fn waits(&mut self, listed: &Listed, paths: &[GrantPath], changes: &Changes) -> Waits {
        let Some(me) = self.me.filter(|me| listed.author.as_ref() != Some(*me)) else {
            return Waits::No;
        };
        let owners: BTreeSet<Owner> = paths
            .iter()
            .flat_map(|path| self.owned(path, changes))
            .flat_map(|path| {
                let owners = self.base.codeowners.owners(&path.as_repo_path());
                owners.owners().to_vec()
            })
            .collect();
        let mut in_doubt = false;
        for owner in owners {
            let rest = self.rest;
            let behind = self.behind.entry(owner);
            let behind = behind.or_insert_with_key(|owner| rest.stands_behind(owner, me));
            match behind {
                Some(true) => return self.unless_approved(listed, me),
                Some(false) => {}
                None => in_doubt = true,
            }
        }
        if in_doubt { Waits::Unknown } else { Waits::No }
    }

    fn unless_approved(&self, listed: &Listed, me: &Login) -> Waits {
        match self.rest.has_approved(listed.number, me, &listed.head) {
            Ok(true) => Waits::No,
            Ok(false) => Waits::Yes,
            Err(_) => Waits::Unknown,
        }
    }

    /// The paths whose owners decide: of a bundle, those of its parts.
    fn owned(&self, path: &GrantPath, changes: &Changes) -> Vec<GrantPath> {
        let asked = changes.asked_at(path).map(|declared| &declared.grant);
        let standing = self.base.grants.get(path).map(|declared| &declared.grant);
        match asked.or(standing) {
            Some(grant) => {
                let roles = self.base.gives(path, grant).into_iter();
                roles.map(|role| path.within(&role.resource)).collect()
            }
            None => vec![path.clone()],
        }
    }

    /// The teams of which it is not known who is in them.
    fn doubts(&self) -> Option<String> {
        let unknown = self.behind.iter().filter(|(_, behind)| behind.is_none());
        let teams: Vec<String> = unknown.map(|(owner, _)| owner.to_string()).collect();
        (!teams.is_empty()).then(|| {
            format!(
                "whether you are in {} could not be looked up (the token needs to read the organisation's members)",
                teams.join(", ")
            )
        })
    }
}
