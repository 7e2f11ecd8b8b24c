//! A team without a server: nothing but single runs, each of which begins with an empty folder.

mod cut;
mod killed;
mod program;
mod told;

use chrono::TimeDelta;
use hallpass::app::reconcile::{Done, once_with};
use hallpass::domain::model::PullNumber;
use hallpass::repo::Signers;
use hallpass::sandbox::{Change, MergeMethod, Verdict};
use secrecy::SecretString;

use crate::audit::Desk;
use crate::world::{Ears, REPO, World, file, grant};

/// The team, its world, and the key that its workflow is given.
pub struct Team {
    pub world: World,
    key: SecretString,
    previous: Option<SecretString>,
    earlier: Vec<String>,
    public: String,
    folder: tempfile::TempDir,
}

impl Team {
    pub async fn new() -> Self {
        Self::with("").await
    }

    /// `github` adds lines to the `[github]` table of the configuration.
    pub async fn with(github: &str) -> Self {
        let mut world = World::new(Ears::Deaf, github).await;
        world.stop().await;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("evidence_key");
        let public = Signers::at(&path).unwrap().public();
        let key = std::fs::read_to_string(&path).unwrap().into();
        Self {
            world,
            key,
            previous: None,
            earlier: Vec::new(),
            public,
            folder,
        }
    }

    /// A run on a machine that knows nothing: it goes until nothing is left to do, and waits for nothing.
    ///
    /// Each has a folder of its own. A run that was killed closes its database a moment later, which takes files away by their names.
    pub async fn try_run(&self) -> anyhow::Result<Done> {
        let (mut config, clock, extra) = self.world.parts();
        let machine = tempfile::tempdir_in(self.folder.path()).unwrap();
        config.server.data_dir = machine.path().to_owned();
        config.store.url = format!("sqlite://{}/hallpass.db", machine.path().display()).into();
        config.evidence.key = Some(self.key.clone());
        config.evidence.previous_key = self.previous.clone();
        config.evidence.earlier_keys.clone_from(&self.earlier);
        once_with(&config, clock, extra, TimeDelta::zero()).await
    }

    /// [`Team::try_run`], after which nothing wants attention.
    pub async fn run(&self) -> Vec<String> {
        let done = self.try_run().await.unwrap();
        assert!(done.attention.is_empty(), "{:#?}", done.attention);
        done.did
    }

    pub async fn run_later(&self, by: TimeDelta) -> Vec<String> {
        self.world.clock.advance(by);
        self.run().await
    }

    /// Somebody opens a pull request that writes one grant file.
    pub fn request(&self, author: &str, name: &str, text: &str) -> PullNumber {
        self.propose(author, &[Change::write(file(name), text)])
    }

    pub fn propose(&self, author: &str, changes: &[Change]) -> PullNumber {
        let sandbox = &self.world.sandbox;
        let branch = format!("request-{}", sandbox.pulls(REPO).len() + 1);
        let message = "Request access";
        sandbox
            .push(author, REPO, &branch, changes, message)
            .unwrap();
        let opened = sandbox.open_pull(author, REPO, &branch, "main", "Please", "");
        opened.unwrap()
    }

    pub fn review(&self, pull: PullNumber, reviewer: &str, verdict: Verdict) {
        let why = "Fine with me, the incident is real.";
        let sandbox = &self.world.sandbox;
        sandbox.review(reviewer, REPO, pull, verdict, why).unwrap();
    }

    pub fn approve(&self, pull: PullNumber, reviewer: &str) {
        self.review(pull, reviewer, Verdict::Approve);
    }

    /// That an auditor with nothing but a clone and the public key finds nothing wrong, and no event twice.
    pub fn assert_evidence_is_whole(&self) {
        let desk = Desk::given(&self.world.repository_path(), &self.public);
        // What such a team promises: the next run after the end.
        let (code, said) = desk.verify(&["--late", "600"]);
        assert_eq!(code, 0, "{said}");
        let evidence = self.world.evidence();
        let keys = evidence.iter().flat_map(|m| m.lines());
        let keys: Vec<&str> = keys.filter(|l| l.starts_with("Event-Key:")).collect();
        let once: std::collections::BTreeSet<_> = keys.iter().collect();
        assert_eq!(once.len(), keys.len(), "an event stands twice: {keys:#?}");
    }

    pub fn stands(&self, name: &str) -> bool {
        let git = git2::Repository::open(self.world.repository_path()).unwrap();
        let main = git.revparse_single("main^{tree}").unwrap();
        let tree = main.into_tree().unwrap();
        tree.get_path(std::path::Path::new(&file(name))).is_ok()
    }
}

/// That the run wants somebody's attention for something of which all of these words are said.
fn assert_wants(done: &Done, words: &[&str]) {
    let told: Vec<&str> = done.attention.iter().map(|l| l.says.as_str()).collect();
    let says = |said: &&str| words.iter().all(|word| said.contains(word));
    assert!(told.iter().any(says), "{told:#?}");
}

fn minutes(n: i64) -> TimeDelta {
    TimeDelta::minutes(n)
}

#[tokio::test(flavor = "multi_thread")]
async fn single_runs_play_the_whole_life_of_a_request() {
    let team = Team::new().await;
    let world = &team.world;
    team.run().await;

    let too_long = grant("ada", "readonly", "9h");
    let pull = team.request("ada", "db/ada-incident", &too_long);
    team.run_later(minutes(5)).await;
    assert_eq!(world.conclusion(pull), "failure");

    let fixed = [Change::write(
        file("db/ada-incident"),
        grant("ada", "readonly", "2h"),
    )];
    let branch = world.sandbox.pull(REPO, pull).head;
    let pushed = world.sandbox.push("ada", REPO, &branch, &fixed, "Shorter");
    pushed.unwrap();
    team.run_later(minutes(5)).await;
    assert_ne!(world.conclusion(pull), "failure");
    team.approve(pull, "mei");
    team.run_later(minutes(5)).await;
    assert!(!world.is_merged(pull), "mei owns nothing there");
    assert!(world.holders("reader").is_empty());

    team.approve(pull, "grace");
    let did = team.run_later(minutes(5)).await;
    assert!(world.is_merged(pull));
    assert_eq!(world.holders("reader"), ["ada"]);
    assert!(
        did.iter()
            .any(|s| s.starts_with("Granted: ada on db/readonly")),
        "{did:#?}"
    );

    // Whatever runs meanwhile changes nothing.
    for _ in 0..3 {
        assert_eq!(team.run_later(minutes(5)).await, Vec::<String>::new());
    }
    assert_eq!(world.holders("reader"), ["ada"]);

    let did = team.run_later(minutes(110)).await;
    assert!(
        did.iter().any(|s| s.starts_with("Revoked: ada")),
        "{did:#?}"
    );
    assert!(world.holders("reader").is_empty());
    team.run_later(minutes(5)).await;
    assert!(!team.stands("db/ada-incident"), "its file is tidied up");
    assert!(world.open_pulls().is_empty());
    assert_eq!(world.vault.effects(), ["+reader ada", "-reader ada"]);
    assert_eq!(team.run_later(minutes(5)).await, Vec::<String>::new());

    assert_eq!(world.told("safe-mode"), Vec::<String>::new());
    assert_eq!(world.told("started").len(), 1);
    team.assert_evidence_is_whole();
    world.assert_contract();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_begins_later_begins_with_the_next_run() {
    let team = Team::new().await;
    team.run().await;
    let text = grant("ada", "readonly", "1h") + "starts: 2026-11-23T12:00:00Z\n";
    let pull = team.request("ada", "db/ada-later", &text);
    team.approve(pull, "grace");
    team.run_later(minutes(5)).await;
    assert!(team.world.is_merged(pull));
    assert!(team.world.holders("reader").is_empty());
    team.run_later(minutes(180)).await;
    assert_eq!(team.world.holders("reader"), ["ada"]);
    team.run_later(minutes(60)).await;
    assert!(team.world.holders("reader").is_empty());
    team.assert_evidence_is_whole();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_merged_without_proof_is_found_out_across_runs() {
    let team = Team::new().await;
    team.run().await;
    let stray = [Change::write(
        file("db/ada-stray"),
        grant("ada", "readonly", "1h"),
    )];
    let sandbox = &team.world.sandbox;
    sandbox
        .push_to_main("root", REPO, &stray, "No review")
        .unwrap();
    // GitHub may still connect it with a pull request; no run lasts so long.
    let early = team.try_run().await.unwrap();
    assert!(!early.attention.is_empty());
    assert!(team.world.told("merged-without-proof").is_empty());
    team.run_later(minutes(5)).await;
    assert_eq!(team.world.told("merged-without-proof").len(), 1);
    team.run_later(minutes(5)).await;
    assert!(!team.stands("db/ada-stray"));
    assert!(team.world.vault.effects().is_empty());
    let pull = team.request("mei", "db/mei-own", &grant("mei", "readonly", "1h"));
    sandbox
        .merge_as_admin("root", REPO, pull, MergeMethod::Merge)
        .unwrap();
    team.run_later(minutes(5)).await;
    team.run_later(minutes(5)).await;
    assert_eq!(team.world.told("merged-without-proof").len(), 2);
    assert!(team.world.vault.effects().is_empty());
    team.assert_evidence_is_whole();
}

#[tokio::test(flavor = "multi_thread")]
async fn evidence_of_another_key_is_told_and_nothing_is_granted() {
    let team = Team::new().await;
    team.run().await;
    let other = Team::new().await;
    let pull = team.request("ada", "db/ada-incident", &grant("ada", "readonly", "2h"));
    team.approve(pull, "grace");
    let stranger = Team {
        key: other.key.clone(),
        public: other.public.clone(),
        ..team
    };
    let done = stranger.try_run().await.unwrap();
    assert_wants(&done, &["safe mode"]);
    assert!(stranger.world.vault.effects().is_empty());
}
