//! A simulated forge: real git, and around it only what the port asks for.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};

use async_trait::async_trait;
use git2::{Oid, Repository, Signature, Time};
use hallpass::clock::{Clock, ManualClock};
use hallpass::domain::model::{
    Actor, ActorKind, CommitId, Instant, Login, Owner, PullNumber, UserId,
};
use hallpass::domain::pull::{
    Collaborator, Lookup, Pull, PullListed, PullState, Pushers, Review, ReviewState, Roster, Team,
};
use hallpass::domain::remark::Remark;
use hallpass::domain::report::Check;
use hallpass::domain::visitor::{Came, Visitor};
use hallpass::forge::{CheckId, Forge, ForgeError, GitAccess, Issue, MergeOutcome, Proposal};
use secrecy::SecretString;

use super::faults::Faults;

/// The number of the App.
const APP: u64 = 999;
/// What the forge is called where calls fail.
pub const FORGE: &str = "forge";

/// A file to be written, or with `None` removed.
pub type Edit = (String, Option<String>);

/// A pull request as the forge has it.
#[derive(Debug, Clone)]
pub struct Asked {
    pub number: u64,
    pub author: String,
    pub branch: String,
    pub head: Oid,
    pub state: PullState,
    pub pushers: BTreeSet<String>,
    pub reviews: Vec<Said>,
    /// Whether somebody changed it to change files that decide.
    pub touches_control: bool,
    updated_at: Instant,
}

/// A review as the forge has it.
#[derive(Debug, Clone)]
pub struct Said {
    pub id: u64,
    pub by: String,
    pub state: ReviewState,
    pub commit: Oid,
    pub at: Instant,
}

/// What landed on the protected branch.
#[derive(Debug, Clone)]
pub struct Landed {
    pub commit: Oid,
    pub pull: Option<u64>,
    pub at: Instant,
}

#[derive(Debug, Default)]
struct State {
    members: BTreeSet<String>,
    teams: BTreeMap<&'static str, BTreeSet<String>>,
    pulls: BTreeMap<u64, Asked>,
    landed: Vec<Landed>,
    ids: u64,
    issues: BTreeMap<String, u64>,
}

/// The forge.
pub struct Hub {
    path: PathBuf,
    clock: Arc<ManualClock>,
    faults: Arc<Faults>,
    git: Mutex<Repository>,
    state: Mutex<State>,
}

/// The number of an account.
pub fn number_of(login: &str) -> UserId {
    let digits = login.bytes().fold(0, |sum, b| sum * 31 + u64::from(b));
    UserId(1_000 + digits % 1_000_000_007)
}

fn actor(login: &str) -> Actor {
    let bot = login.ends_with("[bot]");
    Actor {
        id: if bot { UserId(APP) } else { number_of(login) },
        login: Login::new(login).unwrap(),
        kind: if bot { ActorKind::Bot } else { ActorKind::User },
    }
}

fn id(oid: Oid) -> CommitId {
    CommitId::new(oid.to_string()).unwrap()
}

fn oid(id: &CommitId) -> Oid {
    Oid::from_str(id.as_str()).unwrap()
}

impl Hub {
    /// A forge with a repository of `files`, kept in `folder`.
    pub fn new(
        folder: &Path,
        clock: &Arc<ManualClock>,
        faults: &Arc<Faults>,
        files: &[Edit],
    ) -> Self {
        let path = folder.join("hub.git");
        let hub = Self {
            git: Mutex::new(Repository::init_bare(&path).unwrap()),
            path,
            clock: Arc::clone(clock),
            faults: Arc::clone(faults),
            state: Mutex::default(),
        };
        let first = hub.commit(&[], files, "Begin");
        hub.set("refs/heads/main", first);
        hub
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    fn now(&self) -> Instant {
        // The forge counts whole seconds.
        let now = self.clock.now();
        Instant::from_timestamp(now.timestamp(), 0).unwrap()
    }

    /// A number that was not used yet.
    fn fresh(&self) -> u64 {
        let mut state = self.state();
        state.ids += 1;
        state.ids
    }

    fn set(&self, name: &str, to: Oid) {
        let git = self.git.lock().unwrap();
        git.reference(name, to, true, "simulated").unwrap();
    }

    fn tip_of(&self, name: &str) -> Option<Oid> {
        self.git.lock().unwrap().refname_to_id(name).ok()
    }

    /// The tip of the protected branch.
    pub fn main(&self) -> Oid {
        self.tip_of("refs/heads/main").unwrap()
    }

    /// The folder of the repository.
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn commit(&self, parents: &[Oid], edits: &[Edit], message: &str) -> Oid {
        let git = self.git.lock().unwrap();
        let parents: Vec<_> = parents
            .iter()
            .map(|p| git.find_commit(*p).unwrap())
            .collect();
        let tree = match parents.first() {
            Some(parent) => parent.tree().unwrap(),
            None => {
                let empty = git.treebuilder(None).unwrap().write().unwrap();
                git.find_tree(empty).unwrap()
            }
        };
        let mut update = git2::build::TreeUpdateBuilder::new();
        for (path, text) in edits {
            match text {
                Some(text) => {
                    let blob = git.blob(text.as_bytes()).unwrap();
                    update.upsert(path, blob, git2::FileMode::Blob);
                }
                None if tree.get_path(Path::new(path)).is_ok() => drop(update.remove(path)),
                None => {}
            }
        }
        let tree = update.create_updated(&git, &tree).unwrap();
        self.write(&git, tree, &parents.iter().collect::<Vec<_>>(), message)
    }

    fn write(
        &self,
        git: &Repository,
        tree: Oid,
        parents: &[&git2::Commit<'_>],
        message: &str,
    ) -> Oid {
        let time = Time::new(self.clock.now().timestamp(), 0);
        let who = Signature::new("Somebody", "somebody@example.org", &time).unwrap();
        let tree = git.find_tree(tree).unwrap();
        git.commit(None, &who, &who, message, &tree, parents)
            .unwrap()
    }

    /// The blob at a path of a commit.
    pub fn blob(&self, commit: Oid, path: &str) -> Option<Oid> {
        let git = self.git.lock().unwrap();
        let tree = git.find_commit(commit).ok()?.tree().ok()?;
        tree.get_path(Path::new(path)).ok().map(|entry| entry.id())
    }

    /// The grant files of a commit, with their blobs.
    pub fn grants(&self, commit: Oid) -> BTreeMap<String, Oid> {
        let git = self.git.lock().unwrap();
        let tree = git.find_commit(commit).unwrap().tree().unwrap();
        let mut found = BTreeMap::new();
        let Ok(grants) = tree.get_path(Path::new("access/grants")) else {
            return found;
        };
        let grants = git.find_tree(grants.id()).unwrap();
        grants
            .walk(git2::TreeWalkMode::PreOrder, |folder, entry| {
                if entry.kind() == Some(git2::ObjectType::Blob) {
                    let name = entry.name().unwrap();
                    found.insert(format!("access/grants/{folder}{name}"), entry.id());
                }
                git2::TreeWalkResult::Ok
            })
            .unwrap();
        found
    }

    /// Everything that landed so far.
    pub fn landed(&self) -> Vec<Landed> {
        self.state().landed.clone()
    }

    /// Every pull request.
    pub fn pulls(&self) -> Vec<Asked> {
        self.state().pulls.values().cloned().collect()
    }

    /// One pull request.
    pub fn asked(&self, number: u64) -> Asked {
        self.state().pulls[&number].clone()
    }

    pub fn is_member(&self, login: &str) -> bool {
        self.state().members.contains(login)
    }

    pub fn is_in(&self, team: &str, login: &str) -> bool {
        self.state().teams[team].contains(login)
    }

    pub fn joins_organisation(&self, login: &str) {
        self.state().members.insert(login.to_owned());
    }

    pub fn leaves_organisation(&self, login: &str) {
        let mut state = self.state();
        state.members.remove(login);
        for team in state.teams.values_mut() {
            team.remove(login);
        }
    }

    pub fn joins(&self, team: &'static str, login: &str) {
        let mut state = self.state();
        state
            .teams
            .entry(team)
            .or_default()
            .insert(login.to_owned());
    }

    pub fn leaves(&self, team: &'static str, login: &str) {
        let mut state = self.state();
        state.teams.entry(team).or_default().remove(login);
    }

    /// Opens a pull request that makes these changes on top of the protected branch.
    pub fn opens(&self, author: &str, edits: &[Edit]) -> u64 {
        let number = self.fresh();
        let head = self.commit(&[self.main()], edits, "Ask");
        let branch = format!("request-{number}");
        self.set(&format!("refs/pull/{number}/head"), head);
        let asked = Asked {
            number,
            author: author.to_owned(),
            branch,
            head,
            state: PullState::Open,
            pushers: BTreeSet::from([author.to_owned()]),
            reviews: Vec::new(),
            touches_control: edits.iter().any(|(p, _)| !p.starts_with("access/grants/")),
            updated_at: self.now(),
        };
        self.state().pulls.insert(number, asked);
        number
    }

    fn change(&self, number: u64, change: impl FnOnce(&mut Asked)) {
        let now = self.now();
        let mut state = self.state();
        let asked = state.pulls.get_mut(&number).unwrap();
        change(asked);
        asked.updated_at = now;
    }

    /// Pushes one more commit to a pull request.
    pub fn pushes(&self, who: &str, number: u64, edits: &[Edit]) {
        let asked = self.asked(number);
        let head = self.commit(&[asked.head], edits, "Change it");
        self.set(&format!("refs/pull/{number}/head"), head);
        let control = edits.iter().any(|(p, _)| !p.starts_with("access/grants/"));
        self.change(number, |asked| {
            asked.head = head;
            asked.pushers.insert(who.to_owned());
            asked.touches_control |= control;
        });
    }

    /// Reviews a pull request, as it was at `commit`.
    pub fn reviews(&self, who: &str, number: u64, state: ReviewState, commit: Oid) {
        let said = Said {
            id: self.fresh(),
            by: who.to_owned(),
            state,
            commit,
            at: self.now(),
        };
        self.change(number, |asked| asked.reviews.push(said));
    }

    /// Somebody else dismisses the newest review of `by`.
    pub fn dismisses(&self, number: u64, by: &str) {
        self.change(number, |asked| {
            let newest = asked.reviews.iter_mut().rev().find(|said| said.by == by);
            if let Some(said) = newest {
                said.state = match said.state {
                    ReviewState::Approved => ReviewState::Dismissed,
                    ReviewState::ChangesRequested => ReviewState::ObjectionDismissed,
                    other => other,
                };
            }
        });
    }

    pub fn closes(&self, number: u64) {
        self.change(number, |asked| asked.state = PullState::Closed);
    }

    /// Merges whatever anybody says. `None` where it conflicts.
    pub fn merges(&self, who: &str, number: u64, message: &str) -> Option<Oid> {
        let asked = self.asked(number);
        let main = self.main();
        let merged = {
            let git = self.git.lock().unwrap();
            let ours = git.find_commit(main).unwrap();
            let theirs = git.find_commit(asked.head).unwrap();
            let mut index = git.merge_commits(&ours, &theirs, None).unwrap();
            if index.has_conflicts() {
                return None;
            }
            let tree = index.write_tree_to(&git).unwrap();
            self.write(&git, tree, &[&ours, &theirs], message)
        };
        self.lands(merged, Some(number));
        let (commit, at, by) = (id(merged), self.now(), Some(actor(who)));
        self.change(number, |asked| {
            asked.state = PullState::Merged { commit, at, by };
        });
        Some(merged)
    }

    /// Pushes to the protected branch, past every rule.
    pub fn pushes_to_main(&self, edits: &[Edit]) {
        let commit = self.commit(&[self.main()], edits, "Because I can");
        self.lands(commit, None);
    }

    fn lands(&self, commit: Oid, pull: Option<u64>) {
        self.set("refs/heads/main", commit);
        let at = self.now();
        self.state().landed.push(Landed { commit, pull, at });
    }

    /// A branch may have been pushed to past us: the App pushes its own.
    fn follow_branches(&self) {
        let open: Vec<Asked> = self.pulls();
        for asked in open.iter().filter(|a| a.state == PullState::Open) {
            let tip = self.tip_of(&format!("refs/heads/{}", asked.branch));
            if let Some(tip) = tip.filter(|tip| *tip != asked.head) {
                self.set(&format!("refs/pull/{}/head", asked.number), tip);
                self.change(asked.number, |asked| asked.head = tip);
            }
        }
    }

    fn failure(&self, call: &str) -> ForgeError {
        ForgeError::Unavailable {
            what: call.to_owned(),
            retry_at: None,
            source: "the weather of the simulation".into(),
        }
    }

    async fn call<T>(
        &self,
        call: &str,
        effect: impl FnOnce() -> Result<T, ForgeError>,
    ) -> Result<T, ForgeError> {
        let failure = || self.failure(call);
        self.faults.call(FORGE, call, effect, failure).await
    }

    fn shown(&self, asked: &Asked) -> Pull {
        let review = |said: &Said| Review {
            id: said.id,
            reviewer: Some(actor(&said.by)),
            state: said.state,
            commit: Some(id(said.commit)),
            body: "I know of the incident, and it is real.".to_owned(),
            submitted_at: Some(said.at),
        };
        let ids = asked.pushers.iter().map(|login| actor(login).id).collect();
        Pull {
            number: PullNumber(asked.number),
            author: Some(actor(&asked.author)),
            title: "Please".to_owned(),
            state: asked.state.clone(),
            draft: false,
            base_branch: "main".to_owned(),
            head: id(asked.head),
            head_branch: asked.branch.clone(),
            from_fork: false,
            commits: 1,
            pushers: Pushers::Known(ids),
            reviews: asked.reviews.iter().map(review).collect(),
        }
    }

    async fn team(&self, slug: &str) -> Lookup<Team> {
        let call = format!("members of {slug}");
        let found = || {
            let state = self.state();
            Ok(state.teams.get(slug).map(|members| Team {
                can_write: true,
                members: members.iter().map(|login| actor(login)).collect(),
            }))
        };
        match self.call(&call, found).await {
            Ok(Some(team)) => Lookup::Found(team),
            Ok(None) => Lookup::Absent,
            Err(error) => Lookup::Failed(error.to_string()),
        }
    }
}

#[async_trait]
impl Forge for Hub {
    async fn open_pulls(&self) -> Result<Vec<PullListed>, ForgeError> {
        self.follow_branches();
        let open = || {
            let pulls = self.pulls().into_iter();
            let open = pulls.filter(|asked| asked.state == PullState::Open);
            let listed = |asked: Asked| PullListed {
                number: PullNumber(asked.number),
                head: id(asked.head),
                base_branch: "main".to_owned(),
                head_branch: asked.branch,
                updated_at: asked.updated_at,
            };
            Ok(open.map(listed).collect())
        };
        self.call("list open pull requests", open).await
    }

    async fn pull(&self, number: PullNumber) -> Result<Pull, ForgeError> {
        self.follow_branches();
        let found = || {
            let state = self.state();
            let asked = state.pulls.get(&number.0);
            let asked = asked.ok_or_else(|| ForgeError::NotFound {
                what: format!("pull request {number}"),
            })?;
            Ok(self.shown(asked))
        };
        self.call(&format!("read #{number}"), found).await
    }

    async fn pulls_of(&self, commit: &CommitId) -> Result<Vec<PullNumber>, ForgeError> {
        let found = || {
            let landed = self.landed().into_iter();
            let of = landed.filter(|landed| id(landed.commit) == *commit);
            Ok(of.filter_map(|l| l.pull.map(PullNumber)).collect())
        };
        self.call(&format!("pull requests of {commit}"), found)
            .await
    }

    async fn roster(&self, owners: &BTreeSet<Owner>) -> Roster {
        let mut roster = Roster::default();
        for owner in owners {
            match owner {
                Owner::Team { slug, .. } => {
                    roster.teams.insert(owner.clone(), self.team(slug).await);
                }
                Owner::User(login) => {
                    let found = Lookup::Found(Collaborator {
                        actor: actor(login.as_str()),
                        can_write: true,
                    });
                    roster.users.insert(login.clone(), found);
                }
                Owner::Email(_) => {}
            }
        }
        roster
    }

    async fn members(&self) -> Result<Option<Vec<Actor>>, ForgeError> {
        let found = || {
            let state = self.state();
            Ok(Some(state.members.iter().map(|m| actor(m)).collect()))
        };
        self.call("list members", found).await
    }

    async fn publish_check(
        &self,
        check: &Check,
        known: Option<CheckId>,
    ) -> Result<CheckId, ForgeError> {
        let made = || Ok(known.unwrap_or_else(|| CheckId(self.fresh())));
        self.call(&format!("check of {}", check.head), made).await
    }

    async fn merge(
        &self,
        number: PullNumber,
        head: &CommitId,
        title: &str,
        message: &str,
    ) -> Result<MergeOutcome, ForgeError> {
        let merged = || {
            let asked = self.asked(number.0);
            if asked.state != PullState::Open || asked.head != oid(head) {
                return Ok(MergeOutcome::NotNow("it is another one by now".to_owned()));
            }
            let message = format!("{title}\n\n{message}");
            let merged = self.merges("hallpass[bot]", number.0, &message);
            Ok(match merged {
                Some(commit) => MergeOutcome::Merged(id(commit)),
                None => MergeOutcome::NotNow("it conflicts".to_owned()),
            })
        };
        self.call(&format!("merge #{number}"), merged).await
    }

    async fn propose(&self, proposal: &Proposal) -> Result<PullNumber, ForgeError> {
        let proposed = || {
            self.follow_branches();
            let pulls = self.pulls().into_iter();
            let open = pulls.filter(|asked| asked.state == PullState::Open);
            if let Some(asked) = open.into_iter().find(|a| a.branch == proposal.branch) {
                return Ok(PullNumber(asked.number));
            }
            let tip = self.tip_of(&format!("refs/heads/{}", proposal.branch));
            let head = tip.expect("a branch is pushed before it is proposed");
            let number = self.fresh();
            self.set(&format!("refs/pull/{number}/head"), head);
            let author = "hallpass[bot]".to_owned();
            let asked = Asked {
                number,
                pushers: BTreeSet::from([author.clone()]),
                author,
                branch: proposal.branch.clone(),
                head,
                state: PullState::Open,
                reviews: Vec::new(),
                touches_control: false,
                updated_at: self.now(),
            };
            self.state().pulls.insert(number, asked);
            Ok(PullNumber(number))
        };
        let call = format!("propose {}", proposal.branch);
        self.call(&call, proposed).await
    }

    async fn comment(&self, number: PullNumber, marker: &str, _: &str) -> Result<(), ForgeError> {
        self.call(&format!("comment {marker} on #{number}"), || Ok(()))
            .await
    }

    async fn tell_issue(
        &self,
        issue: &Issue,
        known: Option<u64>,
    ) -> Result<Option<u64>, ForgeError> {
        let told = || {
            let number = self.fresh();
            let mut state = self.state();
            let there = state.issues.get(&issue.marker).copied();
            let number = known.or(there).unwrap_or(number);
            if issue.open || there.is_some() {
                state.issues.insert(issue.marker.clone(), number);
                return Ok(Some(number));
            }
            Ok(None)
        };
        self.call(&format!("issue {}", issue.marker), told).await
    }

    async fn remarks_since(&self, _: Instant) -> Result<Vec<Remark>, ForgeError> {
        self.call("list comments", || Ok(Vec::new())).await
    }

    /// Nobody signs in here.
    async fn introduce(&self, _: Came<'_>) -> Result<Visitor, ForgeError> {
        Err(self.failure("sign in"))
    }

    async fn may_read(&self, who: &Actor) -> Result<bool, ForgeError> {
        Ok(self.is_member(who.login.as_str()))
    }

    async fn git_access(&self) -> Result<GitAccess, ForgeError> {
        let access = || {
            Ok(GitAccess {
                url: self.path.display().to_string(),
                token: SecretString::from("no secret".to_owned()),
            })
        };
        self.call("a token for git", access).await
    }
}
