//! Emergencies by the ledger, as a case tells them.

use hallpass::domain::emergency::{Asked, Emergency, Review};
use hallpass::domain::model::{
    Access, Account, CommitId, ConnectionName, GrantPath, Instant, Login, PullNumber, RoleRef,
};
use serde::Deserialize;

use super::actor;
use crate::approval::scene::commit;

/// One emergency that nobody has signed.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct EmergencySays {
    grant: GrantPath,
    person: Login,
    role: RoleRef,
    granted: Instant,
    ends: Instant,
    review_by: Instant,
    reason: String,
    /// The pull request that asks for the signature; this one has number 12.
    asked: Option<u64>,
    /// Whether this pull request brings its record.
    #[serde(default)]
    pub(super) brought: bool,
}

/// The merge that brought every emergency of these cases.
fn merge() -> CommitId {
    commit("the merge of an emergency")
}

impl EmergencySays {
    pub(super) fn told(&self) -> Emergency {
        let asked = self.asked.map(|number| Asked {
            pull: PullNumber(number),
            head: commit("head"),
        });
        Emergency {
            grant: self.grant.id(&merge()),
            path: self.grant.clone(),
            person: self.person.clone(),
            role: self.role.clone(),
            access: Access {
                connection: ConnectionName::new("orders-primary").unwrap(),
                account: Account {
                    name: self.person.to_string(),
                    github_id: Some(actor(self.person.as_str()).id),
                    id: None,
                },
                entitlement: serde_json::json!({ "role": "orders_admin" }),
                entitlement_id: None,
            },
            merge: merge(),
            pull: PullNumber(9),
            granted: self.granted,
            ends: self.ends,
            review_by: self.review_by,
            reason: self.reason.clone(),
            approvals: Vec::new(),
            review: Review {
                asked,
                ..Review::due()
            },
        }
    }
}
