//! The repository that is meant, and what somebody has there of their own.

use super::GithubRepository;
use super::wire::{Collaborator, Entitlement, Invitation, Repository};
use crate::github_app::{path, query};
use crate::providers::ProviderError;

/// A repository, whatever it is called by now.
pub struct Here {
    number: u64,
    /// `owner/name` of now.
    pub shown: String,
}

impl Here {
    /// Its number, as it is written down.
    pub fn id(&self) -> String {
        self.number.to_string()
    }

    /// The way to what is below it.
    pub fn route(&self, segments: &[&str]) -> String {
        path(&[&["repositories", &self.id()], segments].concat())
    }
}

/// A role in a repository, for the account of this number.
pub struct Seat {
    pub wanted: Entitlement,
    pub here: Here,
    pub number: u64,
}

/// What one account has in one repository of its own.
pub struct Own {
    pub role: Option<Collaborator>,
    /// Those that have run out too.
    pub invitations: Vec<Invitation>,
}

impl Own {
    /// The roles that it is invited to, and can still accept.
    pub fn offered(&self) -> impl Iterator<Item = &str> {
        let open = self.invitations.iter().filter(|one| !one.expired);
        open.map(|one| one.permissions.as_str())
    }

    /// The role that it has, and those that it can accept.
    pub fn roles(&self) -> impl Iterator<Item = &str> {
        let has = self.role.iter().map(|one| one.role_name.as_str());
        has.chain(self.offered())
    }
}

impl GithubRepository {
    /// As the entitlement calls it.
    pub(super) fn shown(&self, wanted: &Entitlement) -> String {
        format!("{}/{}", self.organisation, wanted.repository)
    }

    async fn look(&self, what: &str, route: &str) -> Result<Option<Here>, ProviderError> {
        let found: Option<Repository> = self.hub.find(what, route).await?;
        let Some(found) = found else {
            return Ok(None);
        };
        let Repository {
            id,
            full_name,
            owner,
        } = found;
        if !owner.login.eq_ignore_ascii_case(self.organisation.as_str()) {
            return Err(self.hub.refused(format!(
                "repository {id} is {full_name} by now, and so not of {} any more: whoever has a role there keeps it until somebody there \
                 takes it away",
                self.organisation
            )));
        }
        Ok(Some(Here {
            number: id,
            shown: full_name,
        }))
    }

    async fn named(&self, wanted: &Entitlement) -> Result<Option<Here>, ProviderError> {
        let route = path(&["repos", self.organisation.as_str(), &wanted.repository]);
        let what = format!("repository {}", self.shown(wanted));
        self.look(&what, &route).await
    }

    /// What has the name; [`ProviderError::Refused`] where that is another one than `known`.
    pub(super) async fn for_giving(
        &self,
        wanted: &Entitlement,
        known: Option<&str>,
    ) -> Result<Here, ProviderError> {
        let shown = self.shown(wanted);
        let here = self.named(wanted).await?.ok_or_else(|| {
            self.hub.refused(format!(
                "there is no repository {shown} that the App can see"
            ))
        })?;
        self.hub.is_given(&shown, here.number, known)?;
        Ok(here)
    }

    /// What has the number, or the name where the number is not known; `None` where it is gone for sure.
    pub(super) async fn for_taking(
        &self,
        wanted: &Entitlement,
        known: Option<&str>,
    ) -> Result<Option<Here>, ProviderError> {
        let named = match self.hub.given(known)? {
            None => self.named(wanted).await?,
            Some(number) => {
                let number = number.to_string();
                let what = format!("repository {number}");
                let found = self.look(&what, &path(&["repositories", &number])).await?;
                if found.is_some() {
                    return Ok(found);
                }
                // Not by its number, and yet by its name: whatever that means, it is not gone.
                let named = self.named(wanted).await?;
                named.filter(|named| named.id() == number)
            }
        };
        let shown = self.shown(wanted);
        match (named, known) {
            (Some(named), None) => Ok(Some(named)),
            (Some(_), Some(number)) => Err(self.hub.refused(format!(
                "GitHub shows {shown} by its name, but not by its number {number}; look at what the App may see"
            ))),
            (None, _) if self.hub.sees_every_repository().await? => Ok(None),
            (None, _) => Err(self.hub.refused(format!(
                "GitHub does not show {shown} to the App, and it may be there all the same: install the App on all repositories of {}, or \
                 on this one, and it is taken away",
                self.organisation
            ))),
        }
    }

    /// Whoever has a role here.
    pub(super) async fn collaborators(
        &self,
        here: &Here,
        filter: &[(&str, &str)],
    ) -> Result<Vec<Collaborator>, ProviderError> {
        let what = format!("collaborators of {}", here.shown);
        let filter = [filter, &[("per_page", "100")]].concat();
        let route = query(&here.route(&["collaborators"]), &filter);
        self.hub.all(&what, &route).await
    }

    pub(super) async fn invitations(&self, here: &Here) -> Result<Vec<Invitation>, ProviderError> {
        let what = format!("invitations to {}", here.shown);
        let route = query(&here.route(&["invitations"]), &[("per_page", "100")]);
        self.hub.all(&what, &route).await
    }

    /// What the account has of its own.
    pub(super) async fn own(&self, seat: &Seat) -> Result<Own, ProviderError> {
        let direct = [("affiliation", "direct")];
        let direct = self.collaborators(&seat.here, &direct).await?;
        let invited = self.invitations(&seat.here).await?;
        let to_them = |one: &Invitation| {
            let invitee = one.invitee.as_ref();
            invitee.is_some_and(|user| user.id == seat.number)
        };
        Ok(Own {
            role: direct.into_iter().find(|one| one.id == seat.number),
            invitations: invited.into_iter().filter(to_them).collect(),
        })
    }
}
