//! `hallpass reconcile --once`: everything that the service does, once, with nothing kept from one run to the next but what stands in git.
//!
//! The ledger is put together from the evidence at each start, as `hallpass recover` does it; what is neither there nor at the forge is
//! carried on a branch of its own. Invariant: a run that is killed anywhere leaves nothing that the next one does not heal.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, bail};
use chrono::TimeDelta;
use secrecy::ExposeSecret as _;
use serde::Serialize;

use super::doctor;
use super::logging;
use super::service::{Service, Telling};
use super::traces::Traces;
use crate::clock::{Clock, SystemClock};
use crate::config::{self, Config, Sketch};
use crate::domain::doctor::{Area, Line, Verdict};
use crate::domain::model::{CommitId, Instant, PullNumber};
use crate::domain::safety::SafeMode;
use crate::providers::Registry;
use crate::reconcile::{ReconcileError, Reconciler, Vouched, chain};
use crate::store::Scope;
use crate::worker::Resync;

/// The branch that carries notes from one run to the next.
pub const NOTES: &str = "hallpass/notes";

/// How often everything is looked at before a world that does not come to rest is left to the next run.
const LOOKS: u32 = 30;

/// What a run did, and what it leaves.
#[derive(Debug, Default, Serialize)]
pub struct Done {
    /// The events that it put on the evidence branch, a sentence each.
    pub did: Vec<String>,
    /// The pull requests that are open when it ends, for owners or their authors.
    pub open: Vec<PullNumber>,
    /// What is overdue, could not be done, or waits for whoever runs this. Nothing here is a request that waits for its owner.
    pub attention: Vec<Line>,
    /// When the next thing is due that is known now.
    pub next: Option<Instant>,
}

/// Looks at everything that the configuration at `path` describes until nothing is left to do; waits at most `patience` for what becomes
/// due meanwhile.
///
/// # Errors
/// When the configuration, the database or git cannot be used at all.
pub fn once(path: &Path, patience: TimeDelta, format: logging::Format) -> anyhow::Result<Done> {
    let sketch = Sketch::read(path).unwrap_or_default();
    let mut config = Config::load(path, secrets(&sketch))?;
    let traces = super::serve::begin(&config, format)?;
    let scratch = tempfile::tempdir().context("cannot make a temporary folder")?;
    if sketch.server.data_dir.is_none() {
        keep_nothing(&mut config, scratch.path());
    }
    let done = super::serve::runtime()?.block_on(async {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        once_with(&config, clock, Registry::new(), patience).await
    });
    traces.into_iter().for_each(Traces::end);
    done
}

/// The environment, with a secret of webhooks where there is none: nobody is listened to here.
fn secrets(sketch: &Sketch) -> impl Fn(&str) -> Option<String> {
    let unnamed = sketch.github.webhook_secret_file.is_none();
    move |name| {
        let made = || hex::encode(rand::random::<[u8; 32]>());
        let wanted = unnamed && name == "HALLPASS_WEBHOOK_SECRET";
        config::environment(name).or_else(|| wanted.then(made))
    }
}

/// Puts mirror and database, unless that is elsewhere, into a folder that goes with this run: nothing comes to lie in the repository.
fn keep_nothing(config: &mut Config, scratch: &Path) {
    let database = |folder: &Path| format!("sqlite://{}", folder.join("hallpass.db").display());
    if config.store.url.expose_secret() == database(&config.server.data_dir) {
        config.store.url = database(scratch).into();
    }
    config.server.data_dir = scratch.to_owned();
}

/// [`once`], by this clock and with connections beside the configured ones.
///
/// # Errors
/// As [`once`].
pub async fn once_with(
    config: &Config,
    clock: Arc<dyn Clock>,
    extra: Registry,
    patience: TimeDelta,
) -> anyhow::Result<Done> {
    if config.evidence.key.is_none() {
        bail!(
            "there is no key to sign evidence with, and one that is made here would be lost with this machine: make one with \
             `ssh-keygen -t ed25519 -N '' -f evidence_key`, and set HALLPASS_EVIDENCE_KEY to its text, or [evidence] key_file"
        );
    }
    let service = Service::assemble(config, Arc::clone(&clock), extra).await?;
    let run = Run {
        service: &service,
        clock: clock.as_ref(),
    };
    let done = run.play(patience).await;
    service.store().close().await;
    done
}

struct Run<'a> {
    service: &'a Service,
    clock: &'a dyn Clock,
}

/// What must stay the same from one look to the next for the world to be at rest.
#[derive(PartialEq)]
struct Seen {
    evidence: Option<CommitId>,
    main: Option<CommitId>,
    open: Option<BTreeSet<(PullNumber, CommitId)>>,
}

impl Run<'_> {
    fn reconciler(&self) -> &Reconciler {
        self.service.worker().reconciler()
    }

    async fn play(&self, patience: TimeDelta) -> anyhow::Result<Done> {
        let Begun {
            evidence,
            mut attention,
        } = self.begin().await?;
        self.service.tell_start(Telling::WhenChanged).await?;
        let next = self.settle(self.clock.now() + patience).await?;
        if let Err(error) = self.reconciler().carry(NOTES).await {
            attention.push(Line::warning(
                Area::Ledger,
                format!("notes for the next run could not be left: {}", chain(&error)),
                "See that the App may push there. The next run asks and tells a second time, and for how long owners have been owners counts anew.",
            ));
        }
        attention.extend(self.attention().await?);
        let open = self.open().await.unwrap_or_default();
        Ok(Done {
            did: self.reconciler().told_since(evidence.as_ref()).await?,
            open: open.into_iter().map(|(number, _)| number).collect(),
            attention,
            next,
        })
    }

    /// Puts the ledger together, where this database is behind the evidence: a new one is.
    async fn begin(&self) -> anyhow::Result<Begun> {
        let reconciler = self.reconciler();
        let lost = "cannot put the ledger together";
        let mut attention = Vec::new();
        match self.doubt().await {
            Ok(Some(mode)) if mode.doubts_the_ledger() => {
                let recovery = reconciler
                    .recovery(&Vouched::default())
                    .await
                    .context(lost)?;
                attention.extend(recovery.doubts.iter().map(|doubt| in_doubt(doubt)));
                if attention.is_empty() {
                    let told = reconciler.told_of_safe_mode().await?;
                    let recovery = recovery.as_usual(told);
                    reconciler.write_recovery(&recovery).await.context(lost)?;
                }
            }
            Ok(_) => {}
            // A database that was kept knows what is due without anybody else.
            Err(error) if self.service.store().cursor().await?.is_some() => {
                attention.push(in_doubt(&chain(&error)));
            }
            Err(error) => return Err(error).context(lost),
        }
        Ok(Begun {
            evidence: reconciler.evidence_tip().await?,
            attention,
        })
    }

    async fn doubt(&self) -> Result<Option<SafeMode>, ReconcileError> {
        self.reconciler().recall(NOTES).await?;
        self.reconciler().ask_places().await?;
        self.reconciler().doubt().await
    }

    /// Looks until nothing changes any more. When the next thing is due.
    async fn settle(&self, deadline: Instant) -> anyhow::Result<Option<Instant>> {
        let worker = self.service.worker();
        let mut seen = None;
        let mut next = None;
        for _ in 0..LOOKS {
            worker.run_once(Resync::Everything).await?;
            let now = self.seen().await?;
            let quiet = seen.as_ref() == Some(&now);
            seen = Some(now);
            next = self.next().await?;
            match next {
                _ if !quiet => {}
                Some(at) if at <= deadline => self.clock.sleep_until(at).await,
                _ => break,
            }
        }
        Ok(next)
    }

    async fn seen(&self) -> anyhow::Result<Seen> {
        Ok(Seen {
            evidence: self.reconciler().evidence_tip().await?,
            main: self.service.store().cursor().await?,
            open: self.open().await,
        })
    }

    /// The open pull requests; `None` where the forge does not tell.
    async fn open(&self) -> Option<BTreeSet<(PullNumber, CommitId)>> {
        let open = self.reconciler().forge().open_pulls().await.ok()?;
        let open = open.into_iter().map(|pull| (pull.number, pull.head));
        Some(open.collect())
    }

    /// When something is due: an attempt that was put off, an end, a file to be tidied up.
    async fn next(&self) -> anyhow::Result<Option<Instant>> {
        let store = self.service.store();
        let found = [
            store.next_wake_due().await?,
            store.next_due_after(self.clock.now()).await?,
            self.reconciler().next_revert().await?,
        ];
        Ok(found.into_iter().flatten().min())
    }

    /// What is not as it should be at the end.
    async fn attention(&self) -> anyhow::Result<Vec<Line>> {
        let store = self.service.store();
        let now = self.clock.now();
        let mut lines = doctor::undone(&store.entries(Scope::Unfinished).await?, now);
        if let Some(mode) = self.reconciler().safe_mode().await? {
            let says = format!("nothing was granted, in safe mode: {mode}");
            lines.push(Line::failure(Area::Ledger, says, mode.way_out()));
        }
        if let Some(at) = store.next_wake_due().await? {
            lines.push(Line::warning(
                Area::Ledger,
                format!("something could not be looked at, and is to be tried again at {at}"),
                "The log of this run says what, and why. The next run tries again.",
            ));
        }
        if !store.unpublished(1).await?.is_empty() {
            lines.push(Line::failure(
                Area::Evidence,
                "not everything that was done is on the evidence branch",
                "See that the App may push there. The next run finds out what was done, and writes it down.",
            ));
        }
        lines.retain(|line| line.verdict != Verdict::Pass);
        Ok(lines)
    }
}

struct Begun {
    evidence: Option<CommitId>,
    attention: Vec<Line>,
}

fn in_doubt(doubt: &str) -> Line {
    Line::failure(
        Area::Ledger,
        format!("the ledger could not be put together: {doubt}"),
        "Nothing is granted until this is known; what is due still ends. `hallpass recover` shows what is in doubt.",
    )
}
