//! What the target systems say of a change before anybody approves it.

use std::collections::BTreeSet;
use std::time::Duration;

use futures_util::stream::{self, StreamExt as _};

use super::Reconciler;
use super::act::in_time;
use super::case::Facts;
use crate::domain::catalogue::Catalogue;
use crate::domain::landing::{self, Connections, Unknown};
use crate::domain::model::{ConnectionName, Gives, entitlement_text};
use crate::providers::ProviderError;

/// How many entitlements of one pull request are asked for: whoever opens one must not keep the targets busy.
const ASKED: usize = 40;

/// How long the targets have for all of them.
const PATIENCE: Duration = Duration::from_secs(10);

impl Reconciler {
    /// The connections that there are, each with its kind.
    pub(super) fn connections(&self) -> Connections {
        let kinds = self
            .providers
            .iter()
            .map(|(name, p)| (name.clone(), p.kind()));
        kinds.collect()
    }

    /// Which entitlements that a pull request adds to its resources their targets do not have. What does not answer is not known to
    /// be missing: it is found out when somebody asks for it.
    pub(super) async fn ask_targets(&self, facts: &Facts, configured: &Connections) -> Unknown {
        let before = gives(&facts.base);
        let promised = landing::promised(&facts.changes, configured);
        let new = promised.into_iter().filter(|(connection, value)| {
            !before.contains(&(connection.clone(), entitlement_text(value)))
        });
        let asked = stream::iter(new.take(ASKED)).map(|(connection, value)| async move {
            let provider = self.providers.get(&connection)?;
            match in_time(&connection, provider.holders(&value)).await {
                Err(ProviderError::Refused { reason, .. }) => {
                    Some(((connection, entitlement_text(&value)), reason))
                }
                _ => None,
            }
        });
        let answers = asked.buffer_unordered(4).filter_map(std::future::ready);
        let mut unknown = Unknown::new();
        let all = answers.for_each(|(key, reason)| {
            unknown.insert(key, reason);
            std::future::ready(())
        });
        // Whatever was answered by then counts; the rest is unknown.
        let _ = tokio::time::timeout(PATIENCE, all).await;
        unknown
    }
}

/// What the roles of a tree give.
fn gives(tree: &Catalogue) -> BTreeSet<(ConnectionName, String)> {
    let roles = tree.resources.values().flat_map(|r| r.roles.values());
    let given = roles.filter_map(|role| match &role.gives {
        Gives::Entitlement { connection, value } => {
            Some((connection.clone(), entitlement_text(value)))
        }
        Gives::Roles(_) => None,
    });
    given.collect()
}
