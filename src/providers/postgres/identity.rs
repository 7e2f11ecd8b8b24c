//! Which role and which account an access is about: by the `oid` that was read when it was given, whatever they are called by now.
//!
//! An `oid` says something within its cluster only. What is restored from a dump stands in another one, where roles have other numbers,
//! and where the old numbers may be somebody else's. So the id of a role that was given names its cluster too: `16385@7412345678901234567`.
//! Where cluster and number say "dropped", it is; where they do not say enough, nothing is gone as long as somebody who may be meant
//! has what may be meant.

use sqlx::PgConnection;

use super::Postgres;
use super::roles::{self, Role, Seen};
use crate::domain::model::Access;
use crate::providers::ProviderError;

/// What an access knows of whom and what it is about.
#[derive(Debug, Default)]
pub(super) struct Ids {
    pub role: Option<i64>,
    pub account: Option<i64>,
    cluster: Option<String>,
}

/// Whether the numbers are of the cluster that we speak to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cluster {
    Same,
    Another,
    Untold,
}

/// What is meant by a name and a number.
enum Meant<'a> {
    It(&'a Role),
    /// Nobody has the name, nor the number.
    Nobody,
    /// What was meant was dropped; another has its name.
    Anothers,
    /// It may be any of these.
    Unclear(Vec<&'a Role>),
}

impl<'a> Meant<'a> {
    /// Whatever it may be.
    fn any(&self) -> Vec<&'a Role> {
        match self {
            Self::It(role) => vec![role],
            Self::Unclear(roles) => roles.clone(),
            Self::Nobody | Self::Anothers => Vec::new(),
        }
    }
}

/// What to take from whom.
pub(super) enum Taking {
    From(Role, Role),
    /// There is nothing to take any more, and why. Sessions of an account that was dropped may still be there.
    Gone {
        why: String,
        dropped: Option<Role>,
    },
}

impl Ids {
    /// As [`entitlement_id`] and a grant's answer wrote them; `None` for what neither wrote.
    fn read(access: &Access) -> Option<Self> {
        let number = |text: &str| text.parse::<u32>().ok().map(i64::from);
        let mut ids = Self::default();
        if let Some(text) = &access.account.id {
            ids.account = Some(number(text)?);
        }
        if let Some(text) = &access.entitlement_id {
            let (oid, cluster) = text
                .split_once('@')
                .map_or((text.as_str(), None), |(oid, cluster)| (oid, Some(cluster)));
            ids.role = Some(number(oid)?);
            ids.cluster = cluster.map(str::to_owned);
        }
        Some(ids)
    }

    fn signs(&self, here: Option<&String>, (role, account): (&Seen, &Seen)) -> Signs {
        let cluster = match (&self.cluster, here) {
            (Some(then), Some(now)) if then == now => Cluster::Same,
            (Some(_), Some(_)) => Cluster::Another,
            _ => Cluster::Untold,
        };
        let number = |found: &Option<Role>| found.as_ref().map(|role| role.oid);
        Signs {
            cluster,
            anchored: self.role.is_none()
                || self.role == number(&role.numbered) && self.role == number(&role.named),
            survived: role.numbered.is_some() || account.numbered.is_some(),
        }
    }
}

/// What tells whether the numbers can be trusted.
#[derive(Debug, Clone, Copy)]
struct Signs {
    cluster: Cluster,
    /// The role still has both its name and its number, or never had one.
    anchored: bool,
    /// The role or the account is there: not both of them were made anew, as by restoring a dump.
    survived: bool,
}

impl Signs {
    /// Whether a number that nobody has is of something that was dropped.
    fn tell_dropped(self) -> bool {
        match self.cluster {
            Cluster::Same => self.survived,
            Cluster::Untold => self.anchored,
            Cluster::Another => false,
        }
    }
}

fn meant<'a>(seen: &'a Seen, id: Option<i64>, signs: Signs) -> Meant<'a> {
    let cluster = signs.cluster;
    let (named, numbered) = (seen.named.as_ref(), seen.numbered.as_ref());
    match (numbered, named) {
        (None, Some(named)) if id.is_none() => Meant::It(named),
        (None, None) => Meant::Nobody,
        (Some(numbered), Some(named)) if numbered.oid == named.oid => Meant::It(numbered),
        (Some(numbered), _) if cluster == Cluster::Same => Meant::It(numbered),
        (Some(numbered), None) if cluster == Cluster::Untold => Meant::It(numbered),
        (None, Some(_)) if signs.tell_dropped() => Meant::Anothers,
        // Restored, and the number another's by chance.
        (Some(_), Some(named)) if cluster == Cluster::Another && !signs.anchored => {
            Meant::Unclear(vec![named])
        }
        (numbered, named) => Meant::Unclear(numbered.into_iter().chain(named).collect()),
    }
}

/// The immutable id of a role that is given.
pub(super) fn entitlement_id(role: &Role, cluster: Option<&String>) -> String {
    match cluster {
        Some(cluster) => format!("{}@{cluster}", role.oid),
        None => role.oid.to_string(),
    }
}

impl Postgres {
    /// What is known of an access; nothing of it, where it was never given.
    pub(super) fn ids(&self, access: &Access) -> Result<Ids, ProviderError> {
        Ids::read(access).ok_or_else(|| {
            self.refused(format!(
                "{:?} or {:?} is no number of a role of PostgreSQL: this access was given by another kind of connection",
                access.account.id.as_deref().unwrap_or_default(),
                access.entitlement_id.as_deref().unwrap_or_default(),
            ))
        })
    }

    /// The role and the account of an access that ends.
    pub(super) async fn meant(
        &self,
        server: &mut PgConnection,
        access: &Access,
    ) -> Result<Taking, ProviderError> {
        let name = self.entitlement(&access.entitlement)?.role;
        let wanted = &access.account.name;
        let ids = self.ids(access)?;
        let failed = |error| self.fault("looking up the role and the account", error);
        let here = roles::cluster(server).await.map_err(failed)?;
        let role = roles::look_up(server, &name, ids.role).await;
        let role = role.map_err(failed)?;
        let account = roles::look_up(server, wanted, ids.account).await;
        let account = account.map_err(failed)?;
        let signs = ids.signs(here.as_ref(), (&role, &account));
        let (given, holder) = (
            meant(&role, ids.role, signs),
            meant(&account, ids.account, signs),
        );
        let lost = ids.account.filter(|_| account.numbered.is_none());
        let gone = |why| {
            Ok(Taking::Gone {
                why,
                dropped: lost.map(|oid| Role::dropped(oid, wanted)),
            })
        };
        match (&given, &holder) {
            (Meant::Nobody, _) => gone(format!("there is no role {name} any more")),
            (Meant::Anothers, _) => gone(format!(
                "the role {name} that {wanted} had is gone; another has its name now"
            )),
            (_, Meant::Nobody) => gone(format!("there is no account {wanted} any more")),
            (_, Meant::Anothers) => gone(format!(
                "the account {wanted} that had {name} is gone; another has its name now"
            )),
            (Meant::It(role), Meant::It(account)) => {
                Ok(Taking::From((*role).clone(), (*account).clone()))
            }
            _ => {
                let (given, holders) = (given.any(), holder.any());
                self.nobody_has(server, wanted, &given, &holders).await?;
                gone(format!(
                    "roles have other numbers than when this access was given, and nobody who may be {wanted} has it"
                ))
            }
        }
    }

    /// Refuses as long as somebody who may be meant has what may be meant: that is for a person.
    async fn nobody_has(
        &self,
        server: &mut PgConnection,
        wanted: &str,
        given: &[&Role],
        holders: &[&Role],
    ) -> Result<(), ProviderError> {
        for role in given {
            for account in holders {
                let has = roles::has(server, account, role).await;
                if !has.map_err(|error| self.fault("reading the membership", error))? {
                    continue;
                }
                return Err(self.refused(format!(
                    "roles have other numbers than when this access was given, as after a restore from a dump: {:?} may be {wanted:?} and has {:?}; \
                     if so, REVOKE {:?} FROM {:?} by hand, and nothing is left of it",
                    account.name, role.name, role.name, account.name
                )));
            }
        }
        Ok(())
    }
}
