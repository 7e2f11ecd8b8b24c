//! The port to git: a bare mirror of the access repository, read by blob id, and the evidence branch.
//!
//! libgit2 blocks, so every method moves to a blocking thread. No checkout, no filters, no hooks, no subprocess.
//!
//! What the remote has and what we want it to have never share a name. Fetched branches are `refs/heads/*` and show the remote;
//! commits of our own stand under `refs/hallpass/local/*` until a push puts them on the remote. So a fetch between a commit and
//! its push cannot take the commit away, and a push that finds nothing to do cannot pass for one that succeeded.
//!
//! Everything that writes refs holds one file lock, so that two tasks, or two processes on one folder, take turns. Readers take
//! none: they name commits by id, and an object never changes.

mod evidence;
mod fault;
mod handles;
mod history;
mod keeping;
mod packs;
mod past;
mod proposing;
mod remote;
mod signature;
mod trail;
mod transport;
mod tree;
mod write;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use git2::Repository;
use secrecy::SecretString;
use tracing::{Instrument as _, debug_span};

use crate::domain::audit::Anchor;
use crate::domain::catalogue::{Catalogue, ChangedFile, File};
use crate::domain::evidence::{Arrived, Event};
use crate::domain::model::{BlobId, CommitId, GrantPath, Instant, RepoPath};
use crate::domain::replay::Merged;
pub use fault::RepoError;
use fault::{broken, broken_file};
use handles::Handles;

pub use keeping::Keepsake;
pub use signature::{KeyError, Signers, anchored_by};
pub use trail::Believed;
pub use write::Addition;

/// Reading any git repository without the mirror: what [`Mirror`] does, at once and on this thread. For the command line, which
/// works on the user's own clone.
pub mod read {
    pub use super::history::{first_parents, governed, merge_base, open, resolve};
    pub use super::past::{control_files, merged};
    pub use super::trail::{Signatures, links, public_keys, record};
    pub use super::tree::{changes, files, grant_file, objects, proposed};
}

/// Proposing a change from the user's own clone, at once and on this thread. For the command line.
pub mod propose {
    pub use super::proposing::{
        Change, FileChange, commit_change, default_branch, fetch_branch, known_tip, push_branch,
        remote_url, remotes,
    };
    pub use super::remote::fetch_commits;
}

/// Where the remote is and how to authenticate.
#[derive(Debug, Clone)]
pub struct Remote {
    /// The address, without credentials.
    pub url: String,
    /// Sent as Basic authentication for `x-access-token`; never in a URL, never on disk.
    pub token: Option<SecretString>,
}

/// A file that reached the protected branch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Landed {
    /// Its path.
    pub path: GrantPath,
    /// Its content.
    pub blob: BlobId,
    /// The first-parent commit that brought it.
    pub commit: CommitId,
    /// The committer date of that commit.
    pub at: Instant,
}

/// What the evidence branch of the remote has told since a commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    /// Its tip, when it was last fetched.
    pub tip: CommitId,
    /// Its commits since then, oldest first, with the key of each event that one of our keys signed.
    pub events: Vec<(CommitId, Option<String>)>,
}

/// A local copy of the access repository. Cheap to clone; clones share open handles.
#[derive(Debug, Clone)]
pub struct Mirror {
    path: std::path::PathBuf,
    handles: Arc<Handles>,
}

impl Mirror {
    /// Opens the mirror at `path`, creating it if there is none.
    ///
    /// # Errors
    /// [`RepoError::Broken`] when the folder cannot be made or holds something else.
    pub async fn open(path: &Path) -> Result<Self, RepoError> {
        let mirror = Self {
            path: path.to_owned(),
            handles: Arc::default(),
        };
        let path = mirror.path.clone();
        on_blocking_thread(move || write::init(&path)).await?;
        Ok(mirror)
    }

    /// Fetches the protected branch, the evidence branch (if it exists) and `refs/pull/N/head` of `pulls`. Forced: the mirror
    /// shows what the remote has. Branches that the remote does not have disappear here too; neither they nor pull requests that it
    /// does not have hinder the others.
    ///
    /// Of a pull request its commits are kept and no ref, as there are thousands in time: libgit2 reads every ref at every fetch that
    /// brings something, and sorts them one by one into a list.
    ///
    /// # Errors
    /// [`RepoError::Unavailable`], [`RepoError::Refused`] for credentials, [`RepoError::Broken`].
    pub async fn fetch(
        &self,
        remote: &Remote,
        branches: &[&str],
        pulls: &[u64],
    ) -> Result<(), RepoError> {
        let remote = remote.clone();
        let branches = branches.iter().map(|branch| format!("refs/heads/{branch}"));
        let heads = pulls.iter().map(|pull| format!("refs/pull/{pull}/head"));
        let (names, passing): (Vec<_>, Vec<_>) = (branches.collect(), heads.collect());
        self.locked(move |repo| remote::fetch(repo, &remote, &names, &passing))
            .instrument(debug_span!("git", otel.kind = "client", git.call = "fetch"))
            .await
    }

    /// Tries to get single commits that no fetched ref leads to: a review may belong to a commit that was pushed away since.
    /// Those that the remote does not give stay absent, which is no error: asking for them says [`RepoError::NoCommit`].
    ///
    /// # Errors
    /// As [`Mirror::fetch`].
    pub async fn fetch_commits(
        &self,
        remote: &Remote,
        commits: &[CommitId],
    ) -> Result<(), RepoError> {
        let (remote, commits) = (remote.clone(), commits.to_vec());
        self.locked(move |repo| remote::fetch_commits(repo, &remote, &commits))
            .await
    }

    /// The tip of a fetched branch.
    ///
    /// # Errors
    /// [`RepoError::Broken`].
    pub async fn tip(&self, branch: &str) -> Result<Option<CommitId>, RepoError> {
        let name = format!("refs/heads/{branch}");
        self.reading(move |repo| history::tip(repo, &name)).await
    }

    /// The commit that `rev` names, in git's own language for revisions.
    ///
    /// # Errors
    /// [`RepoError::NoRevision`] when it names none.
    pub async fn resolve(&self, rev: &str) -> Result<CommitId, RepoError> {
        let rev = rev.to_owned();
        self.reading(move |repo| history::resolve(repo, &rev)).await
    }

    /// The first-parent commits from `tip` back to `since` (without it) that change governed files, oldest first.
    ///
    /// # Errors
    /// [`RepoError::NoCommit`] when `tip` is not here.
    pub async fn governed(
        &self,
        since: Option<&CommitId>,
        tip: &CommitId,
    ) -> Result<Vec<Arrived>, RepoError> {
        let (since, tip) = (since.cloned(), tip.clone());
        self.reading(move |repo| history::governed(repo, since.as_ref(), &tip))
            .await
    }

    /// Whether `old` is `new` or an ancestor of it.
    ///
    /// # Errors
    /// [`RepoError::NoCommit`] when either is not here.
    pub async fn is_ancestor(&self, old: &CommitId, new: &CommitId) -> Result<bool, RepoError> {
        let (old, new) = (old.clone(), new.clone());
        self.reading(move |repo| history::is_ancestor(repo, &old, &new))
            .await
    }

    /// The merge base of two commits, if they have one.
    ///
    /// # Errors
    /// [`RepoError::NoCommit`] when either is not here.
    pub async fn merge_base(
        &self,
        a: &CommitId,
        b: &CommitId,
    ) -> Result<Option<CommitId>, RepoError> {
        let (a, b) = (a.clone(), b.clone());
        self.reading(move |repo| history::merge_base(repo, &a, &b))
            .await
    }

    /// The `n`-th first-parent ancestor; `None` past the root.
    ///
    /// # Errors
    /// [`RepoError::NoCommit`] when the commit is not here.
    pub async fn ancestor(&self, commit: &CommitId, n: u32) -> Result<Option<CommitId>, RepoError> {
        let commit = commit.clone();
        self.reading(move |repo| history::ancestor(repo, &commit, n))
            .await
    }

    /// Every governed file of a commit's tree with its bytes: `access/**`, the CODEOWNERS locations and every `.gitattributes`.
    /// Files over the parser's limit come with bytes past the limit, enough to be refused. What is wrong with a tree comes as a
    /// file that the rules refuse: a name that is not UTF-8 with U+FFFD in it, a tree that git itself would call malformed as
    /// one file of mode 0.
    ///
    /// # Errors
    /// [`RepoError::NoCommit`] when the commit is not here.
    pub async fn files(&self, commit: &CommitId) -> Result<Vec<File>, RepoError> {
        self.files_beside(commit, &Arc::default()).await
    }

    /// [`Mirror::files`], where a grant that `known` declares with the same content comes without its bytes: for
    /// [`crate::domain::parse::read_tree_after`], which does not look at them.
    ///
    /// # Errors
    /// [`RepoError::NoCommit`] when the commit is not here.
    pub async fn files_beside(
        &self,
        commit: &CommitId,
        known: &Arc<Catalogue>,
    ) -> Result<Vec<File>, RepoError> {
        let (commit, known) = (commit.clone(), Arc::clone(known));
        self.reading(move |repo| tree::files_beside(repo, &commit, &known.grants))
            .await
    }

    /// The files of people and services in a commit's tree, as in [`Mirror::files`], and nothing else: few, however many grants
    /// there are. `None` where a folder of theirs is a link, a file, or malformed, so that nobody can tell who is missing.
    ///
    /// # Errors
    /// [`RepoError::NoCommit`] when the commit is not here.
    pub async fn subjects(&self, commit: &CommitId) -> Result<Option<Vec<File>>, RepoError> {
        let commit = commit.clone();
        self.reading(move |repo| tree::subjects(repo, &commit))
            .await
    }

    /// The blob or tree at each of `paths` that is there in `commit`.
    ///
    /// # Errors
    /// [`RepoError::NoCommit`] when the commit is not here.
    pub async fn objects(
        &self,
        commit: &CommitId,
        paths: &'static [&'static str],
    ) -> Result<BTreeMap<String, String>, RepoError> {
        let commit = commit.clone();
        self.reading(move |repo| tree::objects(repo, &commit, paths))
            .await
    }

    /// How the trees of two commits differ, from trees and never from a listing; equal subtrees are skipped. No rename
    /// detection: a rename is a deletion and an addition. Bytes are read for governed paths only, as in [`Mirror::files`].
    ///
    /// # Errors
    /// [`RepoError::NoCommit`] when either commit is not here.
    pub async fn changes(
        &self,
        before: &CommitId,
        after: &CommitId,
    ) -> Result<Vec<ChangedFile>, RepoError> {
        let (before, after) = (before.clone(), after.clone());
        self.reading(move |repo| tree::changes(repo, &before, &after))
            .await
    }

    /// What merging `head` into `base` may change: how its tree differs from where the two left each other. Where merges cross, that is at
    /// several places, and a merge may take back what came after any of them: what differs from one of them counts. `None` where they
    /// share no history, or left each other at more places than anybody makes in earnest.
    ///
    /// # Errors
    /// [`RepoError::NoCommit`] when either commit is not here.
    pub async fn proposed(
        &self,
        base: &CommitId,
        head: &CommitId,
    ) -> Result<Option<Vec<ChangedFile>>, RepoError> {
        let (base, head) = (base.clone(), head.clone());
        self.reading(move |repo| tree::proposed(repo, &base, &head))
            .await
    }

    /// What stands at `paths` in a commit's tree (`None`: nothing, or not a regular file).
    ///
    /// # Errors
    /// [`RepoError::NoCommit`] when the commit is not here.
    pub async fn blobs_at(
        &self,
        commit: &CommitId,
        paths: &[RepoPath],
    ) -> Result<BTreeMap<RepoPath, Option<BlobId>>, RepoError> {
        let (commit, paths) = (commit.clone(), paths.to_vec());
        self.reading(move |repo| tree::blobs_at(repo, &commit, &paths))
            .await
    }

    /// The grant file that stands at `path` in a commit's tree, with its bytes; `None` where no regular file does.
    ///
    /// # Errors
    /// [`RepoError::NoCommit`] when the commit is not here.
    pub async fn grant_file(
        &self,
        commit: &CommitId,
        path: &GrantPath,
    ) -> Result<Option<File>, RepoError> {
        let (commit, path) = (commit.clone(), path.clone());
        self.reading(move |repo| tree::grant_file(repo, &commit, &path))
            .await
    }

    /// The grant files at the tip of a commit: path and blob, regular files with a well-formed path only.
    ///
    /// # Errors
    /// [`RepoError::NoCommit`] when the commit is not here.
    pub async fn grants(
        &self,
        commit: &CommitId,
    ) -> Result<BTreeMap<GrantPath, BlobId>, RepoError> {
        let commit = commit.clone();
        self.reading(move |repo| tree::grants(repo, &commit)).await
    }

    /// The grant files of `tip` that first-parent commits after `since` (or since the root) brought or changed: for each path the
    /// *last* such commit. Files that are gone at `tip` are left out. By path.
    ///
    /// Where the first parents of `tip` do not lead back to `since` (the branch was replaced, or merged the wrong way round),
    /// the files that stand in `since` with the same content are left out: they are nothing new.
    ///
    /// # Errors
    /// [`RepoError::NoCommit`] when either commit is not here.
    pub async fn landed(
        &self,
        since: Option<&CommitId>,
        tip: &CommitId,
    ) -> Result<Vec<Landed>, RepoError> {
        let (since, tip) = (since.cloned(), tip.clone());
        self.reading(move |repo| history::landed(repo, since.as_ref(), &tip))
            .await
    }

    /// The last `wanted` requests that landed on the first parents of `tip`, the newest first; see [`read::merged`]. `declared` is
    /// what `tip` declares.
    ///
    /// # Errors
    /// [`RepoError::NoCommit`] when the commit is not here.
    pub async fn merged(
        &self,
        tip: &CommitId,
        wanted: usize,
        declared: &Arc<Catalogue>,
    ) -> Result<Vec<Merged>, RepoError> {
        let (tip, declared) = (tip.clone(), Arc::clone(declared));
        self.reading(move |repo| past::merged(repo, &tip, wanted, &declared.grants))
            .await
    }

    /// Commits the removal of `paths` on top of `onto`, on local branch `branch` (created or moved). Deterministic: the same
    /// input gives the same commit. Returns the commit, or `None` if none of the paths exists in `onto`.
    ///
    /// # Errors
    /// [`RepoError::NoCommit`] when `onto` is not here.
    pub async fn commit_removal(
        &self,
        branch: &str,
        onto: &CommitId,
        paths: &[GrantPath],
        message: &str,
        at: Instant,
    ) -> Result<Option<CommitId>, RepoError> {
        let removal = write::Removal {
            onto: onto.clone(),
            paths: paths.to_vec(),
            message: message.to_owned(),
            at,
        };
        let branch = branch.to_owned();
        self.locked(move |repo| write::commit_removal(repo, &branch, &removal))
            .await
    }

    /// Commits the file of `addition` on top of its commit, on local branch `branch` (created or moved). Deterministic, as
    /// [`Mirror::commit_removal`]. Returns the commit, or `None` if exactly this file stands there already.
    ///
    /// # Errors
    /// [`RepoError::NoCommit`] when the commit is not here.
    pub async fn commit_file(
        &self,
        branch: &str,
        addition: Addition,
    ) -> Result<Option<CommitId>, RepoError> {
        let branch = branch.to_owned();
        self.locked(move |repo| write::commit_file(repo, &branch, &addition))
            .await
    }

    /// Pushes a local branch. `force` replaces what is there. A refusal by the server is an error, which libgit2 alone would
    /// not say. Afterwards [`Mirror::tip`] shows the pushed commit.
    ///
    /// # Errors
    /// [`RepoError::Refused`] when the remote has something else there (without `force`) or says no;
    /// [`RepoError::NoRevision`] when nothing was committed on this local branch.
    pub async fn push(&self, remote: &Remote, branch: &str, force: bool) -> Result<(), RepoError> {
        let (remote, branch) = (remote.clone(), branch.to_owned());
        self.locked(move |repo| remote::push(repo, &remote, &branch, force))
            .instrument(debug_span!("git", otel.kind = "client", git.call = "push"))
            .await
    }

    /// Appends one commit an event to local branch `branch`, an orphan history of its own whose tree holds only a README: the
    /// evidence is the commit message. Starts from the *fetched* tip, or from what was appended to it and is not pushed yet. An
    /// event whose `Event-Key:` trailer is already on the branch is not written again, so that a crash between push and
    /// bookkeeping repeats nothing. Returns the commit of each event.
    ///
    /// When the push of the result is refused because somebody pushed meanwhile: fetch, append again, push again.
    ///
    /// # Errors
    /// [`RepoError::Rewritten`] when the fetched branch has lost commits that were on the remote, [`RepoError::KeyReplaced`] when another
    /// key signs it by now.
    pub async fn append_evidence(
        &self,
        signers: &Signers,
        branch: &str,
        events: &[Event],
    ) -> Result<Vec<CommitId>, RepoError> {
        let (signers, branch) = (signers.clone(), branch.to_owned());
        let events = events.to_vec();
        // A handle of its own: what many events are collected in for one pack stays with it.
        let work = move |repo: &Repository| evidence::append(repo, &signers, &branch, &events);
        self.locked_with(Arc::default(), work).await
    }

    /// What the fetched evidence branch has told since `seen`, or from its beginning where that is not on it (any more). `None` where
    /// the remote has no such branch.
    ///
    /// # Errors
    /// [`RepoError::Broken`].
    pub async fn told_since(
        &self,
        signers: &Signers,
        branch: &str,
        seen: Option<&CommitId>,
    ) -> Result<Option<Told>, RepoError> {
        let (signers, branch, seen) = (signers.clone(), branch.to_owned(), seen.cloned());
        self.reading(move |repo| evidence::since(repo, &signers, &branch, seen.as_ref()))
            .await
    }

    /// The last record of the fetched evidence branch that one of our keys signed, whatever others put behind it. `None` where there is
    /// none.
    ///
    /// # Errors
    /// [`RepoError::Broken`].
    pub async fn evidence_head(
        &self,
        signers: &Signers,
        branch: &str,
    ) -> Result<Option<Anchor>, RepoError> {
        let (signers, branch) = (signers.clone(), branch.to_owned());
        self.reading(move |repo| evidence::head(repo, &signers, &branch))
            .await
    }

    /// The records of the fetched evidence branch (and of what waits to be pushed to it) that one of the `trusted` public keys signed,
    /// or one that such a record announced, before another took its place. `None` where there is no such branch.
    ///
    /// # Errors
    /// [`RepoError::Broken`].
    pub async fn believed(
        &self,
        branch: &str,
        trusted: Vec<String>,
    ) -> Result<Option<Believed>, RepoError> {
        let branch = branch.to_owned();
        self.reading(move |repo| trail::believed(repo, &branch, trusted))
            .await
    }

    /// The first-parent commits of `tip`, newest first.
    ///
    /// # Errors
    /// [`RepoError::NoCommit`] when the commit is not here.
    pub async fn first_parents(&self, tip: &CommitId) -> Result<Vec<CommitId>, RepoError> {
        let tip = tip.clone();
        self.reading(move |repo| history::first_parents(repo, &tip))
            .await
    }

    /// Commits `what` as all that local branch `branch` holds, signed. It takes a forced push to put it in the place of what was kept.
    ///
    /// # Errors
    /// [`RepoError::Broken`].
    pub async fn keep(
        &self,
        signers: &Signers,
        branch: &str,
        what: Keepsake,
    ) -> Result<CommitId, RepoError> {
        let (signers, branch) = (signers.clone(), branch.to_owned());
        self.locked(move |repo| keeping::keep(repo, &signers, &branch, &what))
            .await
    }

    /// What fetched branch `branch` keeps; `None` where there is nothing, or nothing that one of our keys signed which the fetched branch
    /// `evidence` does not tell to have been replaced.
    ///
    /// # Errors
    /// [`RepoError::Broken`].
    pub async fn kept(
        &self,
        signers: &Signers,
        branch: &str,
        evidence: &str,
    ) -> Result<Option<Vec<u8>>, RepoError> {
        let (signers, branch, evidence) = (signers.clone(), branch.to_owned(), evidence.to_owned());
        self.reading(move |repo| keeping::kept(repo, &signers, (&branch, &evidence)))
            .await
    }

    async fn reading<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Repository) -> Result<T, RepoError> + Send + 'static,
    ) -> Result<T, RepoError> {
        let Self { path, handles } = self.clone();
        on_blocking_thread(move || handles.with(&path, work)).await
    }

    async fn locked<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Repository) -> Result<T, RepoError> + Send + 'static,
    ) -> Result<T, RepoError> {
        let lent = Arc::clone(&self.handles);
        self.locked_with(lent, work).await
    }

    /// [`Mirror::locked`], with a handle of `lent`.
    async fn locked_with<T: Send + 'static>(
        &self,
        lent: Arc<Handles>,
        work: impl FnOnce(&Repository) -> Result<T, RepoError> + Send + 'static,
    ) -> Result<T, RepoError> {
        let Self { path, handles } = self.clone();
        let work = move |repo: &Repository| {
            let _lock = write::lock(repo)?;
            let done = work(repo)?;
            match packs::tidy(repo) {
                Ok(true) => handles.let_go(),
                Ok(false) => {}
                // What was asked for is done; a mirror that grows is no reason to stop granting or revoking.
                Err(error) => tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "cannot merge the packs of the mirror: {error}"
                ),
            }
            Ok(done)
        };
        on_blocking_thread(move || lent.with(&path, work)).await
    }
}

async fn on_blocking_thread<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, RepoError> + Send + 'static,
) -> Result<T, RepoError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
        Err(error) => Err(RepoError::Unavailable {
            what: "shutting down".to_owned(),
            source: error.into(),
        }),
    }
}
