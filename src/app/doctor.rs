//! `hallpass doctor`: asks everything that Hallpass leans on whether it is as it must be. Changes nothing.

mod notices;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use chrono::TimeDelta;

use super::inspect::Inspection;
use super::reconcile::NOTES;
use super::{channels, needs, service};
use crate::clock::{Clock, SystemClock};
use crate::config::{self, Config};
use crate::domain::catalogue::Catalogue;
use crate::domain::doctor::{self, Area, Line, Tidying};
use crate::domain::evidence::instant;
use crate::domain::finding::Severity;
use crate::domain::ledger::Entry;
use crate::domain::model::{ConnectionName, Gives, Instant};
use crate::domain::rules;
use crate::forge::github::GitHub;
use crate::forge::{Forge as _, ForgeError};
use crate::providers::Registry;
use crate::reconcile::{ReconcileError, chain};

pub use notices::{tell, tell_with};

/// How long an end may be overdue before it is told of: a pass takes its time.
const LATE: TimeDelta = TimeDelta::seconds(60);

/// How many events may wait for the evidence branch.
const WAITING: u32 = 1000;

/// How many of a kind are told one by one.
const SHOWN: usize = 10;

/// Examines the server that the configuration at `path` describes. `on` hears what is looked at.
///
/// # Errors
/// When the configuration or the database cannot be used at all.
pub fn examine(path: &Path, on: impl FnMut(&str)) -> anyhow::Result<Vec<Line>> {
    let config = Config::load(path, config::environment)?;
    super::serve::runtime()?.block_on(async {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        examine_with(&config, clock, Registry::new(), on).await
    })
}

/// [`examine`], by this clock and with connections beside the configured ones.
///
/// # Errors
/// When the database cannot be used at all.
pub async fn examine_with(
    config: &Config,
    clock: Arc<dyn Clock>,
    extra: Registry,
    mut on: impl FnMut(&str),
) -> anyhow::Result<Vec<Line>> {
    let subscriptions = channels::connect(&config.channels, &clock)?;
    let server = Inspection::open(config, clock, extra).await?;
    on("the GitHub App");
    let mut lines = app(config, server.forge()).await;
    on("the rules of the branches");
    // What cannot be fetched is told of with the files.
    let notes = server.has_branch(NOTES).await.unwrap_or(false);
    lines.extend(branches(config, server.forge(), notes).await);
    on("the files of the protected branch");
    match server.declared().await {
        Ok(tree) => {
            lines.push(files(&tree, server.now()));
            on("owners");
            lines.extend(owners(config, server.forge(), &tree).await);
            on("connections");
            lines.extend(connections(&server, &tree).await?);
        }
        Err(error) => lines.push(unread(config, &error)),
    }
    if !subscriptions.is_empty() {
        on("what people are told");
        lines.extend(notices::look(&subscriptions).await);
    }
    lines.push(evidence(config));
    lines.extend(anchors(config, &server).await?);
    on("the ledger");
    lines.push(match server.doubt().await {
        Ok(mode) => doctor::doubt(mode.as_ref()),
        Err(error) => Line::unknown(
            Area::Ledger,
            format!(
                "whether database, evidence and protected branch agree: {}",
                chain(&error)
            ),
            "Try again when GitHub answers.",
        ),
    });
    lines.extend(ledger(&server).await?);
    lines.sort_by_key(|line| line.area);
    Ok(lines)
}

fn unread(config: &Config, error: &anyhow::Error) -> Line {
    let says = format!("the protected branch cannot be read: {error:#}");
    let silent = error.downcast_ref::<ReconcileError>();
    if let Some(ReconcileError::Forge(ForgeError::Unavailable { .. })) = silent {
        let remedy = "Try again when GitHub answers. Owners and connections were not looked at.";
        return Line::unknown(Area::Files, says, remedy);
    }
    Line::failure(
        Area::Files,
        says,
        format!(
            "See that {} has the branch `{}`, and that the App may read its contents. Owners and connections were not looked at.",
            config.github.repository, config.github.protected_branch
        ),
    )
}

async fn app(config: &Config, forge: &GitHub) -> Vec<Line> {
    let mut lines = Vec::new();
    match forge.registered().await {
        Ok((registered, clocks)) => {
            lines.push(doctor::key(config.github.app_id, &registered));
            lines.extend(clocks.map(doctor::clocks));
        }
        Err(error) => lines.push(unanswered(Area::App, "the App", &error)),
    }
    for (account, needed) in needs::of_config(config) {
        match forge.installed(&account).await {
            Ok(found) => lines.extend(doctor::installed(&account, &needed, &found)),
            Err(ForgeError::NotFound { .. }) => lines.push(Line::failure(
                Area::App,
                format!("it is not installed on {account}"),
                format!(
                    "Install the App on {account}, for the repositories that it is to work with."
                ),
            )),
            Err(error) => lines.push(unanswered(Area::App, "its installation", &error)),
        }
    }
    match forge.hook().await {
        Ok(found) => lines.extend(doctor::hook(&found)),
        Err(error) => lines.push(unanswered(Area::App, "its webhook", &error)),
    }
    lines
}

/// `notes`: whether runs without a server leave any.
async fn branches(config: &Config, forge: &GitHub, notes: bool) -> Vec<Line> {
    let app = config.github.app_id;
    let tidying = match config.github.merge_reverts {
        true => Tidying::ByUs,
        false => Tidying::ByPeople,
    };
    let mut lines = Vec::new();
    match forge.branch(&config.github.protected_branch).await {
        Ok(branch) => lines.extend(doctor::protected(
            &branch,
            app,
            GitHub::check_name(),
            tidying,
        )),
        Err(error) => lines.push(unanswered(Area::Branches, "the protected branch", &error)),
    }
    let notes = notes.then_some((NOTES, "the branch of notes"));
    let ours = [(config.evidence.branch.as_str(), "the evidence branch")];
    for (name, what) in ours.into_iter().chain(notes) {
        match forge.branch(name).await {
            Ok(branch) => lines.extend(doctor::evidence(&branch, app)),
            Err(error) => lines.push(unanswered(Area::Branches, what, &error)),
        }
    }
    lines
}

async fn owners(config: &Config, forge: &GitHub, tree: &Catalogue) -> Vec<Line> {
    let roster = forge.roster(&doctor::asked(tree)).await;
    let theirs = forge
        .codeowners_errors(&config.github.protected_branch)
        .await;
    let mut lines = doctor::owners(tree, &roster, theirs.as_deref().unwrap_or_default());
    if let Err(error) = theirs {
        lines.push(unanswered(Area::Owners, "errors in CODEOWNERS", &error));
    }
    lines
}

fn files(tree: &Catalogue, now: Instant) -> Line {
    let errors = rules::check_tree(tree, now);
    let errors: Vec<_> = errors
        .iter()
        .filter(|finding| finding.severity == Severity::Error)
        .collect();
    match errors.first() {
        None => Line::pass(
            Area::Files,
            format!(
                "{} people, {} services, {} resources and {} grants, without an error",
                tree.people.len(),
                tree.services.len(),
                tree.resources.len(),
                tree.grants.len()
            ),
        ),
        Some(first) => Line::failure(
            Area::Files,
            format!(
                "{} errors; the first is {}:{}: {}",
                errors.len(),
                first.path,
                first.line,
                first.message
            ),
            "Run `hallpass validate` in a clone, and repair them by a pull request.",
        ),
    }
}

/// Each connection is asked who holds what the resources give by it.
async fn connections(server: &Inspection, tree: &Catalogue) -> anyhow::Result<Vec<Line>> {
    let survey = server.survey().await?;
    let mut lines = Vec::new();
    let used = used(tree);
    for connection in server.connections() {
        let failed = survey.failed.iter().filter(|f| f.connection == *connection);
        let mut failed = failed.peekable();
        let answered = survey.asked.keys().filter(|(c, _)| c == connection).count();
        if failed.peek().is_none() {
            lines.push(match answered {
                0 => Line::warning(
                    Area::Connections,
                    format!("no resource gives anything by `{connection}`, so that it was not tried"),
                    format!("Declare a resource with `provider: {connection}`, or take [providers.{connection}] away."),
                ),
                1 => Line::pass(Area::Connections, format!("`{connection}` tells who holds its entitlement")),
                n => Line::pass(Area::Connections, format!("`{connection}` tells who holds each of its {n} entitlements")),
            });
        }
        lines.extend(failed.take(SHOWN).map(|failed| {
            Line::failure(
                Area::Connections,
                format!("`{connection}` does not tell who has {}: {}", failed.what, failed.why),
                format!("See [providers.{connection}] and the page of its kind in docs/providers, which lists the rights that it needs."),
            )
        }));
    }
    let here: BTreeSet<&ConnectionName> = server.connections().collect();
    for (connection, resource) in used.iter().filter(|(c, _)| !here.contains(c)) {
        lines.push(Line::failure(
            Area::Connections,
            format!("the resource {resource} gives by `{connection}`, which this server does not have"),
            format!("Add [providers.{connection}] to the configuration, or name another provider in the resource."),
        ));
    }
    Ok(lines)
}

/// The connections that resources give by, each with one of them.
fn used(tree: &Catalogue) -> BTreeMap<ConnectionName, String> {
    let roles = tree.resources.iter().flat_map(|(name, resource)| {
        let gives = resource.roles.values().map(|role| &role.gives);
        gives.filter_map(move |gives| match gives {
            Gives::Entitlement { connection, .. } => Some((connection.clone(), name.to_string())),
            Gives::Roles(_) => None,
        })
    });
    roles.collect()
}

/// The key, without making one.
fn evidence(config: &Config) -> Line {
    let file = service::own_key(config);
    let Some(signers) = service::signers_there(config) else {
        return Line::warning(
            Area::Evidence,
            "there is no key yet that signs evidence; the first start makes one in the data folder",
            "Configure one where several servers work together, or where the data folder may be lost: `ssh-keygen -t ed25519 -N '' -f \
             evidence_key`, and `[evidence] key_file`.",
        );
    };
    match signers {
        Ok(signers) => readable_by_others(config, &file).unwrap_or_else(|| {
            Line::pass(
                Area::Evidence,
                format!("signed with the key {}", signers.fingerprint()),
            )
        }),
        Err(error) => Line::failure(
            Area::Evidence,
            error.to_string(),
            "Put the key back from where it is kept; a new one must be announced by the old one (docs/audit.md).",
        ),
    }
}

/// Each place at which anchors are kept, by what the service noted of it.
async fn anchors(config: &Config, server: &Inspection) -> anyhow::Result<Vec<Line>> {
    if config.evidence.anchors.is_empty() {
        return Ok(vec![doctor::no_anchors()]);
    }
    let known = server.places().await?;
    let places = config.evidence.anchors.iter();
    let line = |(name, place): (&String, &config::AnchorPlace)| {
        let memory = known.get(name).map(|known| known.memory.clone());
        let standing = memory
            .unwrap_or_default()
            .standing(service::delta(place.every), server.now());
        doctor::anchors(name, &standing)
    };
    Ok(places.map(line).collect())
}

/// A key of ours that others on this machine may read.
#[cfg(unix)]
fn readable_by_others(config: &Config, file: &Path) -> Option<Line> {
    use std::os::unix::fs::PermissionsExt as _;
    let ours = config.evidence.key.is_none();
    let mode = file.metadata().ok()?.permissions().mode();
    (ours && mode & 0o077 != 0).then(|| {
        Line::failure(
            Area::Evidence,
            format!("others on this machine may read {}", file.display()),
            format!("chmod 600 {}", file.display()),
        )
    })
}

#[cfg(not(unix))]
fn readable_by_others(_: &Config, _: &Path) -> Option<Line> {
    None
}

/// What is overdue in the ledger, and what could not be done.
pub(super) fn undone(live: &[Entry], now: Instant) -> Vec<Line> {
    let mut lines = Vec::new();
    let ends = |entry: &&Entry| entry.terms.as_ref().map(|terms| terms.ends);
    let overdue = live.iter().filter(|entry| entry.state.may_be_held());
    let overdue: Vec<&Entry> = overdue
        .filter(|entry| ends(entry).is_some_and(|ends| ends + LATE < now))
        .collect();
    for entry in overdue.iter().take(SHOWN) {
        let since = ends(entry).map(instant).unwrap_or_default();
        let why = entry.last_error.as_deref().unwrap_or("it was not tried");
        lines.push(Line::failure(
            Area::Ledger,
            format!("{} was to end at {since} and is still there: {why}", entry.id),
            "See that the service runs and that the system can be reached; it is tried again for ever. Where a person must act, the words \
             say so.",
        ));
    }
    let stuck = live.iter().filter(|entry| entry.last_error.is_some());
    let stuck: Vec<&Entry> = stuck.filter(|entry| !overdue.contains(entry)).collect();
    for entry in stuck.iter().take(SHOWN) {
        let why = entry.last_error.as_deref().unwrap_or_default();
        lines.push(Line::warning(
            Area::Ledger,
            format!("{} could not be worked on: {why}", entry.id),
            "It is tried again. Where a person must act, the words say so.",
        ));
    }
    let hidden = overdue.len().saturating_sub(SHOWN) + stuck.len().saturating_sub(SHOWN);
    if hidden > 0 {
        lines.push(Line::warning(
            Area::Ledger,
            format!("{hidden} more like these are not shown"),
            "`hallpass plan` lists all that is still to be done.",
        ));
    }
    lines
}

async fn ledger(server: &Inspection) -> anyhow::Result<Vec<Line>> {
    let live = server.live().await?;
    let mut lines = undone(&live, server.now());
    let held = live
        .iter()
        .filter(|entry| entry.state.may_be_held())
        .count();
    let waiting = server.waiting_events(WAITING).await?;
    lines.push(match u32::try_from(waiting) {
        Ok(waiting) if waiting < WAITING => Line::pass(
            Area::Ledger,
            format!("{held} grants may be held, and {waiting} events wait for the evidence branch"),
        ),
        _ => Line::failure(
            Area::Ledger,
            format!("{WAITING} events or more wait for the evidence branch"),
            "See that the App may push to the evidence branch: the log of the service says why it could not.",
        ),
    });
    Ok(lines)
}

fn unanswered(area: Area, what: &str, error: &ForgeError) -> Line {
    let says = format!("GitHub does not tell about {what}: {}", chain(error));
    match error {
        ForgeError::Unavailable { .. } => {
            Line::unknown(area, says, "Try again when GitHub answers.")
        }
        ForgeError::Refused { .. } => Line::failure(area, says, "Do what GitHub's answer says."),
        ForgeError::NotFound { .. } => Line::failure(
            area,
            says,
            "See that the App is installed on the access repository, and that `[github]` names both rightly.",
        ),
    }
}
