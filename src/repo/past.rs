//! What was requested in the past, as far as git tells it: which grant files first-parent commits brought, and what stood beside
//! them then.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use git2::{Commit, Oid, Repository};

use super::history::{commit, commit_id, committed};
use super::tree::Reader;
use super::{RepoError, broken};
use crate::domain::catalogue::{Catalogue, Declared, File, REGULAR_FILE};
use crate::domain::codeowners::LOCATIONS;
use crate::domain::model::{CommitId, Grant, GrantPath, Instant, Subject};
use crate::domain::parse::{self, Read};
use crate::domain::replay::Merged;

/// How many commits are looked at for each request that is wanted. Most commits of an access repository bring one, or tidy one up.
const COMMITS: usize = 20;

/// The last `wanted` requests that landed on the first parents of `tip`, the newest first, each with what the tree before it
/// declares. `live` are the grants of `tip`: what somebody held in the past is found from there, by undoing what came since.
///
/// What git does not know is left open: who asked, who approved, who was in which team. The time is that of the commit, which is
/// about that of the merge. Files that cannot be read are left out, and so are those of the first commit of all.
///
/// # Errors
/// [`RepoError::NoCommit`] when `tip` is not here, [`RepoError::Broken`].
pub fn merged(
    repo: &Repository,
    tip: &CommitId,
    wanted: usize,
    live: &BTreeMap<GrantPath, Declared>,
) -> Result<Vec<Merged>, RepoError> {
    let tip = commit(repo, tip)?;
    let mut past = Past {
        repo,
        reader: Reader::new(repo).map_err(broken("open the objects"))?,
        grants: HashMap::new(),
        declared: HashMap::new(),
    };
    let read = past
        .steps(tip, wanted)
        .and_then(|steps| past.requests(&steps, live));
    let mut requests = read.map_err(broken("read past requests"))?;
    continue_chains(&mut requests);
    requests.truncate(wanted);
    Ok(requests)
}

/// Every governed file of a commit's tree that is no grant.
///
/// # Errors
/// [`RepoError::NoCommit`] when the commit is not here, [`RepoError::Broken`].
pub fn control_files(repo: &Repository, id: &CommitId) -> Result<Vec<File>, RepoError> {
    let root = commit(repo, id)?.tree_id();
    let read = Reader::new(repo).and_then(|mut reader| {
        let parts = control_parts(&mut reader, root)?;
        below(&mut reader, parts)
    });
    read.map_err(broken(&format!("read the files of {id}")))
}

/// What stands beside the grants, by path, mode and id: folders as a whole.
type Parts = Vec<(String, u32, Oid)>;

fn control_parts(reader: &mut Reader<'_>, root: Oid) -> Result<Parts, git2::Error> {
    let mut parts = reader.parts(root, "access")?;
    parts.retain(|(path, _, _)| path != "access/grants");
    for location in LOCATIONS {
        let found = reader.at(root, location)?;
        parts.extend(found.map(|(mode, id)| (location.to_owned(), mode, id)));
    }
    Ok(parts)
}

fn below(reader: &mut Reader<'_>, parts: Parts) -> Result<Vec<File>, git2::Error> {
    let mut files = Vec::new();
    for (path, mode, id) in parts {
        files.extend(reader.below(path, mode, id)?);
    }
    Ok(files)
}

/// One first-parent commit that changes grant files.
struct Step {
    commit: CommitId,
    at: Instant,
    /// The tree of its first parent.
    before: Oid,
    changes: Vec<(GrantPath, Option<Oid>, Option<Oid>)>,
}

struct Past<'r> {
    repo: &'r Repository,
    reader: Reader<'r>,
    /// What blobs of grant files say; `None` for those that cannot be read.
    grants: HashMap<Oid, Option<Arc<Grant>>>,
    /// What trees declare beside grants, by the ids of the folders that say so: most commits share them.
    declared: HashMap<Vec<(String, Oid)>, Arc<Catalogue>>,
}

/// What each subject held at a time.
type Held = BTreeMap<Subject, BTreeMap<GrantPath, Arc<Grant>>>;

impl<'r> Past<'r> {
    /// Walks back until enough files have landed.
    fn steps(&mut self, tip: Commit<'r>, wanted: usize) -> Result<Vec<Step>, git2::Error> {
        let (mut steps, mut landed) = (Vec::new(), 0);
        let mut here = tip;
        let mut folder = self.reader.grants_folder(here.tree_id())?;
        for _ in 0..wanted.saturating_mul(COMMITS) {
            let Some(parent) = here.parent_ids().next() else {
                break;
            };
            let parent = self.repo.find_commit(parent)?;
            let before = self.reader.grants_folder(parent.tree_id())?;
            let mut changes = Vec::new();
            self.reader
                .compare_grants(before, folder, &mut |path, old, new| {
                    changes.push((path, old, new));
                })?;
            for (path, old, new) in &changes {
                for id in [old, new].into_iter().flatten() {
                    self.grant(path, *id)?;
                }
                landed += usize::from(self.known(*new).is_some());
            }
            if !changes.is_empty() {
                steps.push(Step {
                    commit: commit_id(here.id()),
                    at: committed(&here),
                    before: parent.tree_id(),
                    changes,
                });
            }
            if landed >= wanted {
                break;
            }
            (here, folder) = (parent, before);
        }
        Ok(steps)
    }

    fn requests(
        &mut self,
        steps: &[Step],
        live: &BTreeMap<GrantPath, Declared>,
    ) -> Result<Vec<Merged>, git2::Error> {
        let asked = steps.iter().flat_map(|step| &step.changes);
        let asked = asked.filter_map(|(_, _, new)| self.known(*new));
        let subjects: BTreeSet<Subject> = asked.map(|grant| grant.subject.clone()).collect();
        let mut held = Held::new();
        for (path, declared) in live {
            if subjects.contains(&declared.grant.subject) {
                hold(&mut held, path, Arc::clone(&declared.grant));
            }
        }
        let mut requests = Vec::new();
        for step in steps {
            self.undo(step, &mut held);
            let landed = step
                .changes
                .iter()
                .filter_map(|(path, old, new)| Some((path, self.known(*old), self.known(*new)?)));
            let landed: Vec<_> = landed.collect();
            if landed.is_empty() {
                continue;
            }
            let declared = self.declared(step.before)?;
            requests.extend(landed.into_iter().map(|(path, before, grant)| {
                let beside = held.get(&grant.subject).into_iter().flatten();
                let beside = beside.filter(|(other, _)| *other != path);
                Merged {
                    path: path.clone(),
                    commit: step.commit.clone(),
                    at: step.at,
                    held: beside.map(|(p, g)| (p.clone(), Arc::clone(g))).collect(),
                    since: None,
                    declared: Arc::clone(&declared),
                    before,
                    grant,
                }
            }));
        }
        Ok(requests)
    }

    /// Takes `held` from after a commit to before it.
    fn undo(&self, step: &Step, held: &mut Held) {
        for (path, old, new) in &step.changes {
            if let Some(grant) = self.known(*new)
                && let Some(files) = held.get_mut(&grant.subject)
            {
                files.remove(path);
            }
            if let Some(grant) = self.known(*old) {
                hold(held, path, grant);
            }
        }
    }

    fn known(&self, blob: Option<Oid>) -> Option<Arc<Grant>> {
        self.grants.get(&blob?)?.clone()
    }

    /// Reads a grant file, once.
    fn grant(&mut self, path: &GrantPath, blob: Oid) -> Result<(), git2::Error> {
        if self.grants.contains_key(&blob) {
            return Ok(());
        }
        let file = self
            .reader
            .file(path.as_str().to_owned(), REGULAR_FILE, blob, true)?;
        let grant = match parse::read_file(&file) {
            Some(Ok(Read::Grant(_, declared, _))) => Some(declared.grant),
            _ => None,
        };
        self.grants.insert(blob, grant);
        Ok(())
    }

    /// What a tree declares beside grants.
    fn declared(&mut self, root: Oid) -> Result<Arc<Catalogue>, git2::Error> {
        let parts = control_parts(&mut self.reader, root)?;
        let key = parts.iter().map(|(path, _, id)| (path.clone(), *id));
        let key: Vec<(String, Oid)> = key.collect();
        if let Some(known) = self.declared.get(&key) {
            return Ok(Arc::clone(known));
        }
        let files = below(&mut self.reader, parts)?;
        let catalogue = Arc::new(parse::read_tree(&files));
        self.declared.insert(key, Arc::clone(&catalogue));
        Ok(catalogue)
    }
}

fn hold(held: &mut Held, path: &GrantPath, grant: Arc<Grant>) {
    let files = held.entry(grant.subject.clone()).or_default();
    files.insert(path.clone(), grant);
}

/// Notes since when a renewed grant was held without a gap, as far back as the requests go. They come the newest first.
fn continue_chains(requests: &mut [Merged]) {
    let mut chains: BTreeMap<GrantPath, (Instant, Instant)> = BTreeMap::new();
    for request in requests.iter_mut().rev() {
        let begin = request.grant.begin(request.at);
        let since = chains
            .get(&request.path)
            .filter(|(_, end)| request.renews() && *end >= request.at)
            .map_or(begin, |(since, _)| *since);
        request.since = request.renews().then_some(since);
        let end = request.grant.end(request.at);
        chains.insert(request.path.clone(), (since, end));
    }
}
