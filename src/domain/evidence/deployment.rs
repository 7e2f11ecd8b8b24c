//! What was said of deployments: one event for each answer to each attempt of a run and environment.

use super::super::deployment::Deployment;
use super::super::ledger::Entry;
use super::super::model::Instant;
use super::draft::{Draft, precise};
use super::{Event, Kind, arrival, who_what};

/// A deployment waits, and whoever started it was told how to ask.
pub fn deployment_waiting(deployment: &Deployment, at: Instant) -> Event {
    let sentence = format!(
        "Deployment waits: {} started {} without a grant",
        deployment.by(),
        run(deployment)
    );
    draft(Kind::DeploymentWaiting, deployment, at, &sentence).finish()
}

/// A deployment was let through by a grant.
pub fn deployment_approved(
    deployment: &Deployment,
    entry: &Entry,
    read_back: &str,
    called_at: Instant,
    at: Instant,
) -> Event {
    let sentence = format!(
        "Deployment approved: {} started {}",
        who_what(entry),
        run(deployment)
    );
    let draft = draft(Kind::DeploymentApproved, deployment, at, &sentence);
    let draft = arrival(draft, entry);
    let draft = match &entry.terms {
        Some(terms) => draft.terms(terms),
        None => draft,
    };
    draft
        .line("Called-at", precise(called_at))
        .line("Read-back", read_back)
        .finish()
}

fn run(deployment: &Deployment) -> String {
    let place = &deployment.place;
    format!(
        "run {} to {} of {}",
        deployment.run, place.environment, place.repository
    )
}

fn draft(kind: Kind, deployment: &Deployment, at: Instant, sentence: &str) -> Draft {
    let key = format!("{}:{}", kind.as_str(), deployment.key());
    let starter = deployment.starter.as_ref();
    Draft::new(kind, key, at, sentence)
        .line("Repository", deployment.place.repository.to_string())
        .line("Environment", &deployment.place.environment)
        .number("Run", deployment.run)
        .number("Attempt", deployment.attempt)
        .maybe(
            "Started-by",
            starter.map(|s| format!("{} ({})", s.login, s.id)),
        )
}
