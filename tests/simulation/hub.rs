//! A simulated forge: real git, and around it only what the port asks for.

mod port;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};

use git2::{Oid, Repository, Signature, Time};
use hallpass::clock::{Clock, ManualClock};
use hallpass::domain::model::{Actor, ActorKind, CommitId, Instant, Login, UserId};
use hallpass::domain::pull::{PullState, ReviewState};

use super::faults::Faults;

/// The number of the App.
const APP: u64 = 999;
/// A file to be written, or with `None` removed.
pub type Edit = (String, Option<String>);

/// Whether a path is that of a grant.
pub fn is_grant(path: &str) -> bool {
    path.starts_with("access/grants/")
}

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

impl Asked {
    /// Whether the service proposed it.
    pub fn is_ours(&self) -> bool {
        self.author.ends_with("[bot]")
    }
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
    /// What stands at a path of a commit, as far as it was looked for.
    blobs: Mutex<BTreeMap<(Oid, String), Option<Oid>>>,
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
            blobs: Mutex::default(),
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
        let found = || {
            let git = self.git.lock().unwrap();
            let tree = git.find_commit(commit).ok()?.tree().ok()?;
            tree.get_path(Path::new(path)).ok().map(|entry| entry.id())
        };
        let mut blobs = self.blobs.lock().unwrap();
        let known = blobs.entry((commit, path.to_owned()));
        *known.or_insert_with(found)
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

    /// Whether a pull request brings or changes files in `folder`.
    pub fn touches(&self, asked: &Asked, folder: &str) -> bool {
        let before = self.grants(self.main());
        let after = self.grants(asked.head);
        let mut changed = after
            .iter()
            .filter(|(p, blob)| before.get(*p) != Some(blob));
        changed.any(|(path, _)| path.starts_with(folder))
    }

    /// Lets the head of a pull request go, which nobody looks at any more: listing all of them is what a fetch costs.
    pub fn lets_go(&self, number: u64) {
        let git = self.git.lock().unwrap();
        if let Ok(mut head) = git.find_reference(&format!("refs/pull/{number}/head")) {
            head.delete().unwrap();
        }
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
            touches_control: edits.iter().any(|(p, _)| !is_grant(p)),
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
        let control = edits.iter().any(|(p, _)| !is_grant(p));
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
}
