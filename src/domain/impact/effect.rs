//! What can become of a live grant, and why.

use std::fmt;

use crate::domain::model::{
    ConnectionName, Instant, Login, RoleRef, ServiceName, Subject, TermLength, UserId,
};

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
    /// The file of the person goes.
    PersonGone(Login),
    /// The subject is another account from now on, which never inherits.
    AccountReplaced {
        /// Whose file says so.
        subject: Subject,
        /// The number in the file today.
        before: UserId,
        /// The number in the changed file.
        after: UserId,
    },
    /// The file of the service account goes, and with it whoever was accountable.
    ServiceGone(ServiceName),
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
    pub(super) fn fate(&self) -> Fate {
        match self {
            Self::PersonGone(_) | Self::AccountReplaced { .. } => Fate::Ends,
            Self::ServiceGone(_) | Self::OwnerGone { .. } => Fate::EndsAfterGrace,
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
            Self::PersonGone(login) => {
                write!(f, "access/people/{login}.yaml is removed")
            }
            Self::ServiceGone(name) => {
                write!(f, "access/services/{name}.yaml is removed")
            }
            Self::AccountReplaced {
                subject,
                before,
                after,
            } => write!(
                f,
                "{subject} becomes another account: github_id {after} instead of {before}"
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
