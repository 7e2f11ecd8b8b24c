//! Who signs in to the page, and whether they may read the repository.

use serde::Deserialize;

use super::GitHub;
use super::wire::{Account, CollaboratorPermission};
use crate::domain::model::Actor;
use crate::domain::visitor::{Came, Visitor};
use crate::github_app::Failure;

/// Of a repository, only that it is there.
#[derive(Deserialize)]
struct Seen {
    full_name: String,
}

impl GitHub {
    /// The token lives as long as this call does: it is stored nowhere.
    pub(super) async fn read_visitor(&self, came: Came<'_>) -> Result<Visitor, Failure> {
        let Some(sign_in) = &self.sign_in else {
            return Err(Failure::Refused {
                what: "a sign-in".to_owned(),
                reason: "[page] is not configured".to_owned(),
            });
        };
        let token = self.app.user_token(sign_in, came).await?;
        let what = "the account of whoever signs in";
        let account: Account = self.app.get_as(&token, what, "/user").await?;
        let actor = account.actor().map_err(|e| Failure::unreadable(what, e))?;
        let what = format!("{} as {}", self.repository, actor.login);
        let seen: Result<Seen, Failure> = self.app.get_as(&token, &what, &self.route(&[])).await;
        let reads = match seen {
            Ok(seen) => seen
                .full_name
                .eq_ignore_ascii_case(&self.repository.to_string()),
            // Not theirs to see, or their organisation demands a sign-in of its own first.
            Err(Failure::NotFound { .. } | Failure::Refused { .. }) => false,
            Err(failure) => return Err(failure),
        };
        Ok(Visitor { actor, reads })
    }

    /// Asked as the App: whoever has the login now must be the same account.
    pub(super) async fn read_may_read(&self, who: &Actor) -> Result<bool, Failure> {
        let what = format!("permission of @{} on {}", who.login, self.repository);
        let route = self.route(&["collaborators", who.login.as_str(), "permission"]);
        let found: CollaboratorPermission = match self.api.get(&what, &route).await {
            Err(Failure::NotFound { .. }) => return Ok(false),
            found => found?,
        };
        let Some(user) = found.user else {
            return Ok(false);
        };
        let actor = user.actor().map_err(|e| Failure::unreadable(&what, e))?;
        let known = matches!(
            found.permission.as_str(),
            "admin" | "maintain" | "write" | "triage" | "read"
        );
        Ok(known && actor.id == who.id && actor.kind == who.kind)
    }
}
