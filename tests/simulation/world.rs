//! A simulated world: the real loop, store and git, and around them a forge, targets and a clock that do as the seed says.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use chrono::TimeDelta;
use hallpass::app::audit::{Clone as Evidence, Place};
use hallpass::clock::{Clock, ManualClock};
use hallpass::domain::ledger::{Entry, State};
use hallpass::domain::message::Reminders;
use hallpass::domain::model::{ConnectionName, Instant};
use hallpass::domain::notice::EndsSoon;
use hallpass::domain::people::Outsiders;
use hallpass::domain::pull::PullState;
use hallpass::domain::report::Pages;
use hallpass::forge::Forge;
use hallpass::providers::{Provider, Registry};
use hallpass::reconcile::{Merging, Reconciler, Settings};
use hallpass::repo::{Mirror, Signers};
use hallpass::store::{Scope, Store, Wake};
use hallpass::worker::{Pace, Resync, Worker};
use rand::SeedableRng;
use rand::rngs::StdRng;
use sha2::{Digest, Sha256};
use tokio::sync::Notify;

use super::faults::{Faults, RETRIED, Weather};
use super::hub::{Asked, Edit, Hub, number_of};
use super::model::{Inferred, Model, ROLES};
use super::target::{Effect, Target};

/// Everybody who asks, and the owners, who ask too.
pub const PEOPLE: [&str; 14] = [
    "ada", "ben", "cem", "dora", "emil", "finn", "gita", "hana", "grace", "linus", "mei", "olga",
    "pat", "quin",
];
/// How many there are for whom others ask, many at once.
pub const STAFF: usize = 45;
/// Who owns the databases at first.
pub const DBA: [&str; 3] = ["grace", "linus", "mei"];
/// Who owns the queues at first.
pub const OPS: [&str; 3] = ["olga", "pat", "quin"];

/// How many grants have to be there that nobody believes it when all of them vanish.
const MANY: usize = 10;

/// A world.
pub struct World {
    pub seed: u64,
    pub clock: Arc<ManualClock>,
    pub faults: Arc<Faults>,
    pub hub: Arc<Hub>,
    pub targets: [Arc<Target>; 2],
    pub model: Model,
    pub dice: StdRng,
    /// What happened, in words.
    pub story: Vec<String>,
    pub step: u64,
    /// How many grants were asked for: a life each.
    pub lives: usize,
    /// In how many requests.
    pub requests: usize,
    trace: Sha256,
    service: Option<Service>,
    folder: tempfile::TempDir,
}

struct Service {
    worker: Arc<Worker>,
    store: Store,
}

fn connection(name: &str) -> ConnectionName {
    ConnectionName::new(name).unwrap()
}

/// The key of the evidence: one for all worlds.
fn key() -> &'static (tempfile::TempDir, PathBuf) {
    static KEY: OnceLock<(tempfile::TempDir, PathBuf)> = OnceLock::new();
    KEY.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        Signers::at(&path).unwrap();
        (folder, path)
    })
}

/// Those for whom others ask.
pub fn staff() -> impl Iterator<Item = String> {
    (1..=STAFF).map(|n| format!("staff-{n}"))
}

/// The file of a person.
pub fn person(login: &str) -> Edit {
    let text = format!(
        "github_id: {}\nname: {login}\nidentities:\n  vault: {login}\n  bus: {login}\n",
        number_of(login)
    );
    (format!("access/people/{login}.yaml"), Some(text))
}

fn resources() -> Vec<Edit> {
    let mut texts: BTreeMap<&str, String> = BTreeMap::new();
    for role in ROLES {
        let text = texts.entry(role.resource).or_insert_with(|| {
            let target = role.target;
            format!("description: A system of the simulation\nrisk: moderate\nprovider: {target}\nroles:\n")
        });
        write!(
            text,
            "  {}:\n    description: What it says\n    entitlement: {{ role: {} }}\n    max_duration: {}m\n    approvals: {}\n",
            role.name, role.gives, role.longest, role.approvals
        )
        .unwrap();
    }
    let edits = texts.into_iter();
    edits
        .map(|(name, text)| (format!("access/resources/{name}.yaml"), Some(text)))
        .collect()
}

impl World {
    /// A new world.
    pub async fn of(seed: u64) -> Self {
        let start: Instant = "2026-11-23T09:00:00Z".parse().unwrap();
        let clock = Arc::new(ManualClock::at(start));
        let faults = Arc::new(Faults::of(seed, &clock));
        let folder = tempfile::tempdir().unwrap();
        let owners =
            "* @acme/security\n/access/grants/db/ @acme/dba\n/access/grants/queue/ @acme/ops\n";
        let mut files = resources();
        files.push((".github/CODEOWNERS".to_owned(), Some(owners.to_owned())));
        let everybody = PEOPLE.map(str::to_owned).into_iter().chain(staff());
        let everybody: Vec<String> = everybody.collect();
        files.extend(everybody.iter().map(|login| person(login)));
        let hub = Hub::new(folder.path(), &clock, &faults, &files);
        hub.joins("security", "root");
        hub.joins_organisation("root");
        for login in &everybody {
            hub.joins_organisation(login);
        }
        for login in DBA {
            hub.joins("dba", login);
        }
        for login in OPS {
            hub.joins("ops", login);
        }
        let targets = ["vault", "bus"].map(|name| Arc::new(Target::new(name, &faults)));
        let mut world = Self {
            seed,
            clock,
            hub: Arc::new(hub),
            targets,
            model: Model::default(),
            dice: StdRng::seed_from_u64(seed),
            story: Vec::new(),
            step: 0,
            lives: 0,
            requests: 0,
            trace: Sha256::new(),
            service: None,
            faults,
            folder,
        };
        world.start().await;
        // The first look takes what stands there as given.
        world.run(Resync::Everything).await;
        world
    }

    pub fn now(&self) -> Instant {
        self.clock.now()
    }

    /// Writes down what somebody does.
    pub fn tell(&mut self, what: String) {
        self.trace.update(what.as_bytes());
        self.story.push(format!("step {}: {what}", self.step));
    }

    /// Starts the service, after a crash on what it left.
    async fn start(&mut self) {
        if let Some(before) = self.service.take() {
            before.store.close().await;
        }
        let file = self.folder.path().join("hallpass.db");
        let store = Store::open(&format!("sqlite://{}", file.display())).await;
        let store = store.unwrap();
        let mirror = Mirror::open(&self.folder.path().join("mirror.git")).await;
        let mut providers = Registry::new();
        for target in &self.targets {
            let provider = Arc::clone(target) as Arc<dyn Provider>;
            providers.insert(connection(target.name), provider);
        }
        let clock = Arc::clone(&self.clock) as Arc<dyn Clock>;
        let reconciler = Reconciler::new(
            Arc::clone(&self.hub) as Arc<dyn Forge>,
            mirror.unwrap(),
            store.clone(),
            providers,
            Arc::clone(&clock),
            Signers::at(&key().1).unwrap(),
            settings(),
        )
        .one_by_one();
        let pace = Pace {
            resync: TimeDelta::seconds(60),
            full: TimeDelta::minutes(10),
            drift: TimeDelta::minutes(10),
            retry_cap: RETRIED,
        };
        let bell = Arc::new(Notify::new());
        let worker = Worker::new(reconciler, store.clone(), clock, pace, bell);
        let worker = Arc::new(worker);
        self.service = Some(Service { worker, store });
    }

    fn service(&self) -> &Service {
        self.service.as_ref().expect("the service runs")
    }

    pub async fn entries(&self) -> Vec<Entry> {
        self.service().store.entries(Scope::All).await.unwrap()
    }

    /// A webhook arrives.
    pub async fn wakes(&self, wake: Wake) {
        let store = &self.service().store;
        store.wake(&[wake], self.now()).await.unwrap();
    }

    /// Lets the service work until nothing is due any more, or until it dies; then it is started again.
    pub async fn run(&mut self, resync: Resync) {
        let worker = Arc::clone(&self.service().worker);
        let ended = tokio::select! {
            biased;
            () = self.faults.death() => None,
            ended = worker.run_once(resync) => Some(ended),
        };
        drop(worker);
        match ended {
            // The database does not fail here.
            Some(ended) => drop(ended),
            None => {
                self.tell("the service dies".to_owned());
                self.start().await;
            }
        }
    }

    /// Moves the time, with a stop at each instant at which something is due, as the timer has it, and begins a step in such weather.
    pub async fn passes(&mut self, by: TimeDelta, weather: Weather) {
        let until = self.now() + by;
        loop {
            self.step += 1;
            self.faults.begin(self.step, weather);
            let next = self.service().store.next_due_after(self.now()).await;
            let next = next.unwrap().unwrap_or(until).min(until);
            self.clock.advance(next - self.now());
            self.trace.update(next.timestamp().to_le_bytes());
            if next == until {
                return;
            }
            self.run(Resync::QueueOnly).await;
            self.check().await;
        }
    }

    /// Compares what was done with what had to be done.
    pub async fn check(&mut self) {
        let now = self.now();
        self.model.look(&self.hub, now);
        for target in self.targets.clone() {
            let mut effects = target.effects();
            // What is done for different people has no order.
            effects.sort();
            for effect in effects {
                self.trace.update(format!("{effect:?}"));
                if let Effect::Given(held) = effect {
                    let may = self.model.may_be_given(&self.hub, target.name, &held, now);
                    if let Err(why) = may {
                        self.fail(&format!("{held:?} was given at {}: {why}", target.name));
                    }
                } else if let Effect::Taken(held) = effect
                    && let Err(why) = self.model.may_be_taken(target.name, &held, now)
                {
                    self.fail(&format!("{held:?} was taken at {}: {why}", target.name));
                }
            }
            let excused = self.faults.excuse(target.name);
            for held in target.held() {
                let inferred = Inferred::Tolerated;
                let may = self.model.may_be_held(target.name, &held, now, inferred);
                if !may && !excused {
                    self.fail(&format!("{held:?} is still held at {}", target.name));
                }
            }
        }
        if let Some(panicked) = super::panicked() {
            self.fail(&format!("the service panicked: {panicked}"));
        }
    }

    /// Adds to the trace where the ledger stands.
    pub async fn note_ledger(&mut self) {
        for entry in self.entries().await {
            let line = format!("{} {}\n", entry.path.short(), entry.state.as_str());
            self.trace.update(line);
        }
    }

    /// Forgets the heads of what is long over.
    pub fn tidies(&self) {
        let now = self.now();
        for asked in self.hub.pulls() {
            let over = match asked.state {
                PullState::Open => false,
                PullState::Closed => true,
                PullState::Merged { at, .. } => {
                    at + TimeDelta::hours(1) < now && self.model.is_long_over(asked.number, now)
                }
            };
            if over {
                self.hub.lets_go(asked.number);
            }
        }
    }

    /// Nothing fails any more, and everybody waits: then the world must be exactly as it should.
    pub async fn rests(&mut self) {
        for target in ["vault", "bus"] {
            self.faults.down(target, false);
        }
        // Long enough for every list to be read anew and every attempt to be made again.
        for minutes in [11, 6, 2, 2] {
            self.passes(TimeDelta::minutes(minutes), Weather::default())
                .await;
            self.run(Resync::Everything).await;
            self.check().await;
        }
        let now = self.now();
        for target in self.targets.clone() {
            for held in target.held() {
                let inferred = Inferred::MustBeGone;
                if !self.model.may_be_held(target.name, &held, now, inferred) {
                    self.fail(&format!("at rest, {held:?} is held at {}", target.name));
                }
            }
        }
        for (target, held, path) in self.model.must_be_held(now) {
            let there = self.targets.iter().find(|t| t.name == target).unwrap();
            if !there.held().contains(&held) {
                self.fail(&format!(
                    "at rest, {held:?} of {path} is not held at {target}"
                ));
            }
        }
        for entry in self.entries().await {
            let stuck = matches!(
                entry.state,
                State::Arrived | State::Granting | State::Revoking
            );
            if stuck {
                self.fail(&format!("at rest, {entry:#?} is not settled"));
            }
        }
        self.model.settles(now);
    }

    /// All grant files vanish in one push. Nobody believes that: what was given stays, until its time.
    async fn empties(&mut self) {
        let files = self.hub.grants(self.hub.main());
        let edits: Vec<Edit> = files.into_keys().map(|path| (path, None)).collect();
        self.tell(format!("root removes all {} grants from main", edits.len()));
        self.hub.pushes_to_main(&edits);
        self.model.all_vanish();
        for _ in 0..3 {
            self.run(Resync::Everything).await;
            self.check().await;
            self.passes(TimeDelta::minutes(20), Weather::default())
                .await;
        }
    }

    /// Every term runs out. Then nothing is held but what was given by hand, nothing stands on the protected branch, and the evidence
    /// is whole and right.
    pub async fn ends(&mut self) {
        for asked in self.hub.pulls() {
            if asked.state == PullState::Open && !asked.is_ours() {
                self.hub.closes(asked.number);
            }
        }
        if self.model.settled(self.now()) >= MANY {
            self.empties().await;
        }
        self.passes(TimeDelta::hours(25), Weather::default()).await;
        self.run(Resync::Everything).await;
        self.check().await;
        self.rests().await;
        let standing: Vec<String> = self.hub.grants(self.hub.main()).into_keys().collect();
        // Who closed the last proposal to tidy up is not asked again for the same.
        let proposed = self.hub.pulls().into_iter().rfind(Asked::is_ours);
        let declined = proposed.is_some_and(|asked| asked.state == PullState::Closed);
        if !standing.is_empty() && !declined {
            self.fail(&format!("nobody tidied up {standing:?}"));
        }
        self.is_proved().await;
    }

    async fn is_proved(&mut self) {
        let place = Place {
            folder: self.hub.path().to_owned(),
            evidence: Some("refs/heads/hallpass/evidence".to_owned()),
            main: Some("refs/heads/main".to_owned()),
        };
        let key = Signers::at(&key().1).unwrap().public();
        let evidence = Evidence::open(&place).unwrap();
        // A target may have been down for long.
        let late = TimeDelta::hours(72);
        let verified = evidence.verify(vec![key], &[], late, |_| {});
        let (verified, lives) = verified.unwrap();
        let problems: Vec<String> = verified
            .problems
            .iter()
            .map(|p| format!("{}: {}", p.rule.as_str(), p.message))
            .collect();
        if !problems.is_empty() {
            self.fail(&format!("the evidence: {problems:#?}"));
        }
        // Each grant of the ledger that was given has its story, and each story has its end.
        let entries = self.entries().await;
        let ended = entries.iter().filter(|e| e.state == State::Ended);
        let ended: BTreeSet<&str> = ended.map(|e| e.id.as_str()).collect();
        for life in lives.iter().filter(|life| life.given.is_some()) {
            if life.ended.is_none() || !ended.contains(life.grant.as_str()) {
                self.fail(&format!("the story of {} has no end", life.grant));
            }
        }
    }

    /// The same for the same seed.
    pub fn trace(&self) -> String {
        hex::encode(self.trace.clone().finalize())
    }

    /// Says how it came to this, and stops.
    pub fn fail(&self, what: &str) -> ! {
        let skip = self.story.len().saturating_sub(200);
        panic!(
            "seed {}, step {}, {}: {what}\n{}\n{}",
            self.seed,
            self.step,
            self.now(),
            self.story[skip..].join("\n"),
            super::again(self.seed)
        );
    }
}

fn settings() -> Settings {
    Settings {
        protected_branch: "main".to_owned(),
        evidence_branch: "hallpass/evidence".to_owned(),
        revert_branch: "hallpass/ended-access".to_owned(),
        merge: Merging::Auto,
        merge_reverts: Merging::Auto,
        revert_window: TimeDelta::seconds(60),
        retry_cap: RETRIED,
        proof_grace: TimeDelta::minutes(2),
        ends_soon: Some(EndsSoon::default()),
        labels: false,
        pages: Pages {
            repository: "https://forge.example.org/acme/access".to_owned(),
            branch: "main".to_owned(),
            evidence_branch: "hallpass/evidence".to_owned(),
        },
        reminders: Reminders::default(),
        outsiders: Outsiders::Refused,
        members_for: TimeDelta::minutes(10),
        orphan_grace: TimeDelta::days(7),
    }
}
