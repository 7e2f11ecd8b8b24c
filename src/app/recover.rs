//! Rebuilding the ledger of a server whose database is lost, old, or in doubt. The service is stopped meanwhile.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, bail};
use secrecy::ExposeSecret as _;

use super::audit;
use super::service::{Service, delta};
use crate::clock::{Clock, SystemClock};
use crate::config::{self, Config};
use crate::domain::model::CommitId;
use crate::providers::Registry;
use crate::reconcile::Vouched;

pub use crate::reconcile::{Recovered, Recovery};

/// What an operator asks for.
#[derive(Debug, Clone)]
pub struct Ask {
    /// Files with public keys that signed evidence earlier.
    pub keys: Vec<PathBuf>,
    /// A commit of a rewritten protected branch from which to go on.
    pub main: Option<CommitId>,
    /// Whether it is only told, or done.
    pub doing: Doing,
}

/// Whether something is only told, or done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Doing {
    /// Told.
    Tell,
    /// Done, unless there is a doubt.
    Write,
}

/// What came of it.
#[derive(Debug)]
pub struct Outcome {
    /// What was found.
    pub recovery: Recovery,
    /// Whether it was written.
    pub written: Written,
}

/// Whether a recovery was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Written {
    /// It was.
    Written,
    /// Nobody asked for that.
    NotAsked,
    /// Something must be known first.
    Doubtful,
    /// There is nothing to recover.
    NotNeeded,
}

/// Puts the ledger of the server that the configuration at `path` describes together again, and writes it where that is asked for.
///
/// # Errors
/// When the configuration or the database cannot be used, another process uses the database, or forge or git fail.
pub fn run(path: &Path, ask: &Ask) -> anyhow::Result<Outcome> {
    let config = Config::load(path, config::environment)?;
    let vouched = Vouched {
        keys: audit::public_keys(&ask.keys)?,
        main: ask.main.clone(),
    };
    super::serve::runtime()?.block_on(async {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let service = Service::assemble(&config, Arc::clone(&clock), Registry::new()).await?;
        refuse_beside_a_service(&config, &service, clock.as_ref()).await?;
        let done = recover(&service, &vouched, ask.doing).await;
        service.store().close().await;
        done
    })
}

/// [`run`] on a service that is put together and does not run.
///
/// # Errors
/// When the database, forge or git fail.
pub async fn recover(
    service: &Service,
    vouched: &Vouched,
    doing: Doing,
) -> anyhow::Result<Outcome> {
    let reconciler = service.worker().reconciler();
    let recovery = reconciler
        .recovery(vouched)
        .await
        .context("cannot put the ledger together")?;
    let written = if recovery.safe_mode.is_none() {
        Written::NotNeeded
    } else if doing == Doing::Tell {
        Written::NotAsked
    } else if recovery.doubts.is_empty() {
        reconciler
            .write_recovery(&recovery)
            .await
            .context("cannot write the ledger")?;
        Written::Written
    } else {
        Written::Doubtful
    };
    Ok(Outcome { recovery, written })
}

/// A SQLite file has one process; a server of PostgreSQL does not tell who else writes there, so the service itself does.
async fn refuse_beside_a_service(
    config: &Config,
    service: &Service,
    clock: &dyn Clock,
) -> anyhow::Result<()> {
    if !config.store.url.expose_secret().starts_with("postgres") {
        return Ok(());
    }
    let quiet = delta(config.timing.resync * 2);
    let served = service.store().served_at().await?;
    if let Some(at) = served.filter(|at| *at + quiet > clock.now()) {
        bail!(
            "a service used this database at {at}; stop it, and if it was killed, wait until {}",
            at + quiet
        );
    }
    Ok(())
}
