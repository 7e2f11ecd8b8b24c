//! Reading git trees: what stands at a path, and how two trees differ.
//!
//! Trees are read with a parser of our own, because they are hostile input: any tree that can be pushed can be read here. Only
//! a tree that is sorted, has no name twice and no `/` in a name has one meaning for everybody. Any other, and one that is too
//! deep or the part of a flood of entries, becomes one file of mode 0 with a name that no rule accepts: it is refused by the rules,
//! with its place, and nothing below it is read.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use git2::{ObjectType, Odb, OdbObject, Oid, Repository};

use super::history::commit;
use super::{RepoError, broken};
use crate::domain::catalogue::{ChangedFile, File, REGULAR_FILE};
use crate::domain::codeowners;
use crate::domain::model::{BlobId, CommitId, GrantPath, RepoPath};

/// One byte more than the parser takes.
const ENOUGH: usize = 64 * 1024 + 1;
/// Larger blobs are not even loaded.
const LOADED: usize = 1024 * 1024;
/// How many bytes of changed files are kept; a request has a few hundred.
const CHANGED: usize = 64 * 1024 * 1024;
/// How deep trees may nest.
const DEEPEST: usize = 64;
/// How many entries one call looks at: five times the largest repository that we promise to serve.
const FLOOD: usize = 500_000;

const TREE: u32 = 0o040_000;
const LINK: u32 = 0o160_000;
/// Stands for a tree that has no single meaning.
const MALFORMED: Entry<'static> = Entry {
    name: "\u{fffd}".as_bytes(),
    mode: 0,
    id: Oid::ZERO_SHA1,
};

/// Every governed file of a commit's tree; see [`super::Mirror::files`].
///
/// # Errors
/// [`RepoError::NoCommit`] when the commit is not here, [`RepoError::Broken`].
pub fn files(repo: &Repository, id: &CommitId) -> Result<Vec<File>, RepoError> {
    let root = commit(repo, id)?.tree_id();
    let what = format!("read the files of {id}");
    let mut reader = Reader::new(repo).map_err(broken(&what))?;
    let mut found = Vec::new();
    let mut collect = |path: &str, _: Option<Entry<'_>>, entry: Option<Entry<'_>>| {
        if let Some(entry) = entry.filter(|_| is_governed(path)) {
            found.push((path.to_owned(), entry.mode, entry.id));
        }
    };
    reader
        .compare(None, Some(root), "", &mut collect)
        .map_err(broken(&what))?;
    found
        .into_iter()
        .map(|(path, mode, id)| reader.file(path, mode, id, true).map_err(broken(&what)))
        .collect()
}

/// The folders that declare who can receive something.
const SUBJECTS: [&str; 2] = ["access/people", "access/services"];

/// The files of people and services; see [`super::Mirror::subjects`].
pub(super) fn subjects(repo: &Repository, id: &CommitId) -> Result<Option<Vec<File>>, RepoError> {
    let root = commit(repo, id)?.tree_id();
    let what = format!("read the people of {id}");
    let mut reader = Reader::new(repo).map_err(broken(&what))?;
    let mut files = Vec::new();
    for folder in SUBJECTS {
        let Some(found) = reader.folder(root, folder).map_err(broken(&what))? else {
            return Ok(None);
        };
        for (path, mode, id) in found {
            files.push(reader.file(path, mode, id, true).map_err(broken(&what))?);
        }
    }
    Ok(Some(files))
}

/// How the trees of two commits differ; see [`super::Mirror::changes`].
///
/// # Errors
/// [`RepoError::NoCommit`] when either commit is not here, [`RepoError::Broken`].
pub fn changes(
    repo: &Repository,
    before: &CommitId,
    after: &CommitId,
) -> Result<Vec<ChangedFile>, RepoError> {
    let (a, b) = (
        commit(repo, before)?.tree_id(),
        commit(repo, after)?.tree_id(),
    );
    let what = format!("compare {before} with {after}");
    let mut reader = Reader::new(repo).map_err(broken(&what))?;
    let mut found = Vec::new();
    let mut collect = |path: &str, old: Option<Entry<'_>>, new: Option<Entry<'_>>| {
        found.push((
            path.to_owned(),
            old.map(|e| (blob_id(e.id), e.mode)),
            new.map(|e| (e.id, e.mode)),
        ));
    };
    reader
        .compare(Some(a), Some(b), "", &mut collect)
        .map_err(broken(&what))?;
    // What a pull request changes is hostile until it is judged.
    reader.left = CHANGED;
    let changed = found.into_iter().map(|(path, before, after)| {
        let governed = is_governed(&path);
        let after = after
            .map(|(id, mode)| reader.file(path.clone(), mode, id, governed))
            .transpose()?;
        Ok(ChangedFile {
            path,
            before,
            after,
        })
    });
    changed
        .collect::<Result<_, git2::Error>>()
        .map_err(broken(&what))
}

/// What stands at `paths`; see [`super::Mirror::blobs_at`].
pub(super) fn blobs_at(
    repo: &Repository,
    id: &CommitId,
    paths: &[RepoPath],
) -> Result<BTreeMap<RepoPath, Option<BlobId>>, RepoError> {
    let root = commit(repo, id)?.tree_id();
    let mut reader = Reader::new(repo).map_err(broken("open the objects"))?;
    let mut found = BTreeMap::new();
    for path in paths {
        let entry = reader
            .at(root, path.as_str())
            .map_err(broken(path.as_str()))?;
        let blob = entry
            .filter(|(mode, _)| *mode == REGULAR_FILE)
            .map(|(_, id)| blob_id(id));
        found.insert(path.clone(), blob);
    }
    Ok(found)
}

/// The grant file at `path`; see [`super::Mirror::grant_file`].
pub(super) fn grant_file(
    repo: &Repository,
    id: &CommitId,
    path: &GrantPath,
) -> Result<Option<File>, RepoError> {
    let root = commit(repo, id)?.tree_id();
    let read = || {
        let mut reader = Reader::new(repo)?;
        let there = reader.at(root, path.as_str())?;
        let there = there.filter(|(mode, _)| *mode == REGULAR_FILE);
        there
            .map(|(mode, id)| reader.file(path.to_string(), mode, id, true))
            .transpose()
    };
    read().map_err(broken(path.as_str()))
}

/// The grant files of a commit; see [`super::Mirror::grants`].
pub(super) fn grants(
    repo: &Repository,
    id: &CommitId,
) -> Result<BTreeMap<GrantPath, BlobId>, RepoError> {
    let root = commit(repo, id)?.tree_id();
    let mut found = BTreeMap::new();
    let read = Reader::new(repo).and_then(|mut reader| {
        let folder = reader.grants_folder(root)?;
        reader.compare_grants(None, folder, &mut |path, _, blob| {
            found.extend(blob.map(|blob| (path, blob_id(blob))));
        })
    });
    read.map_err(broken("read the grant files"))?;
    Ok(found)
}

/// Whether Hallpass reads what stands at `path`. `access` itself counts: it could be a symbolic link.
fn is_governed(path: &str) -> bool {
    path == "access"
        || path.starts_with("access/")
        || codeowners::LOCATIONS.contains(&path)
        || path.rsplit('/').next() == Some(".gitattributes")
}

fn blob_id(id: Oid) -> BlobId {
    BlobId::new(id.to_string()).expect("git writes ids in lower-case hexadecimal")
}

/// One entry of a tree.
#[derive(Debug, Clone, Copy)]
pub(super) struct Entry<'t> {
    name: &'t [u8],
    mode: u32,
    id: Oid,
}

impl Entry<'_> {
    fn is_tree(&self) -> bool {
        self.mode == TREE
    }

    /// The order of git: a folder sorts as if its name ended in a slash.
    fn order(&self, other: &Self) -> std::cmp::Ordering {
        let common = self.name.len().min(other.name.len());
        let end = |e: &Self| {
            e.name
                .get(common)
                .copied()
                .unwrap_or(if e.is_tree() { b'/' } else { 0 })
        };
        self.name[..common]
            .cmp(&other.name[..common])
            .then_with(|| {
                end(self)
                    .cmp(&end(other))
                    .then_with(|| self.name.len().cmp(&other.name.len()))
            })
    }
}

/// The entries of a tree object; `None` for one that is no tree, or does not mean the same to everybody.
fn parse<'t>(object: &'t OdbObject<'_>) -> Option<Vec<Entry<'t>>> {
    let mut data = Some(object.data()).filter(|_| object.kind() == ObjectType::Tree)?;
    let mut entries: Vec<Entry<'_>> = Vec::with_capacity(data.len() / 40);
    while !data.is_empty() {
        let space = data.iter().position(|b| *b == b' ')?;
        let end = data
            .iter()
            .position(|b| *b == 0)
            .filter(|end| *end > space + 1)?;
        let mode = std::str::from_utf8(&data[..space])
            .ok()
            .filter(|mode| !mode.starts_with('+'))?;
        let mode = u32::from_str_radix(mode, 8).ok()?;
        let (name, id) = (&data[space + 1..end], data.get(end + 1..end + 21)?);
        let entry = Entry {
            name,
            mode,
            id: Oid::from_bytes(id).ok()?,
        };
        let follows = entries.last().is_none_or(|last| last.order(&entry).is_lt());
        if name.contains(&b'/') || !follows {
            return None;
        }
        entries.push(entry);
        data = &data[end + 21..];
    }
    Some(entries)
}

/// What stands at a path: the path, its mode, its object.
type Standing = (String, u32, Oid);

/// Called with the path of a file that differs, and the file before and after.
type Visit<'v> = dyn FnMut(&str, Option<Entry<'_>>, Option<Entry<'_>>) + 'v;

/// Reads trees of one repository, and counts what it reads.
pub(super) struct Reader<'r> {
    odb: Arc<Odb<'r>>,
    seen: usize,
    /// Content that was read, by blob: many paths may share one.
    read: HashMap<Oid, Arc<[u8]>>,
    /// How many more bytes of content may be kept.
    left: usize,
}

impl<'r> Reader<'r> {
    pub(super) fn new(repo: &'r Repository) -> Result<Self, git2::Error> {
        Ok(Self {
            odb: Arc::new(repo.odb()?),
            seen: 0,
            read: HashMap::new(),
            left: usize::MAX,
        })
    }

    /// Calls `visit` with the path of each file that differs, before and after, in the order of the paths' bytes within a folder.
    pub(super) fn compare(
        &mut self,
        before: Option<Oid>,
        after: Option<Oid>,
        folder: &str,
        visit: &mut Visit<'_>,
    ) -> Result<(), git2::Error> {
        if before == after {
            return Ok(());
        }
        let odb = Arc::clone(&self.odb);
        let objects = [before, after].map(|id| id.map(|id| odb.read(id)).transpose());
        let [a, b] = objects;
        let (a, b) = (a?, b?);
        // No name has a slash in it, so slashes count folders.
        let depth = folder.bytes().filter(|b| *b == b'/').count();
        let (a, b) = (
            self.entries(a.as_ref(), depth),
            self.entries(b.as_ref(), depth),
        );
        let (mut a, mut b) = (a.iter().peekable(), b.iter().peekable());
        loop {
            let order = match (a.peek(), b.peek()) {
                (None, None) => return Ok(()),
                (Some(_), None) => std::cmp::Ordering::Less,
                (None, Some(_)) => std::cmp::Ordering::Greater,
                (Some(a), Some(b)) => a.order(b),
            };
            let old = if order.is_le() {
                a.next().copied()
            } else {
                None
            };
            let new = if order.is_ge() {
                b.next().copied()
            } else {
                None
            };
            self.compare_entry(old, new, folder, visit)?;
        }
    }

    fn compare_entry(
        &mut self,
        old: Option<Entry<'_>>,
        new: Option<Entry<'_>>,
        folder: &str,
        visit: &mut Visit<'_>,
    ) -> Result<(), git2::Error> {
        let Some(either) = old.or(new) else {
            return Ok(());
        };
        if old.map(|e| (e.mode, e.id)) == new.map(|e| (e.mode, e.id)) {
            return Ok(());
        }
        let path = format!("{folder}{}", String::from_utf8_lossy(either.name));
        if either.is_tree() {
            // The order of git keeps a file and a folder of one name apart, so both are folders here.
            let folder = format!("{path}/");
            self.compare(old.map(|e| e.id), new.map(|e| e.id), &folder, visit)?;
        } else {
            visit(&path, old, new);
        }
        Ok(())
    }

    fn entries<'t>(&mut self, tree: Option<&'t OdbObject<'_>>, depth: usize) -> Vec<Entry<'t>> {
        let Some(object) = tree else {
            return Vec::new();
        };
        let sound = parse(object).filter(|_| depth <= DEEPEST);
        let entries = sound.filter(|entries| {
            self.seen += entries.len();
            self.seen <= FLOOD
        });
        entries.unwrap_or_else(|| {
            vec![Entry {
                id: object.id(),
                ..MALFORMED
            }]
        })
    }

    /// Mode and id of what stands at `path` below `tree`.
    pub(super) fn at(&mut self, tree: Oid, path: &str) -> Result<Option<(u32, Oid)>, git2::Error> {
        let mut here = (TREE, tree);
        for segment in path.split('/') {
            if here.0 != TREE {
                return Ok(None);
            }
            let odb = Arc::clone(&self.odb);
            let object = odb.read(here.1)?;
            // A file and a folder may stand side by side under one name; neither is then what a path means.
            let mut named = parse(&object)
                .unwrap_or_default()
                .into_iter()
                .filter(|e| e.name == segment.as_bytes());
            match (named.next(), named.next()) {
                (Some(entry), None) => here = (entry.mode, entry.id),
                _ => return Ok(None),
            }
        }
        Ok(Some(here))
    }

    /// What stands in `path` and below: nothing where there is no such folder. `None` where something on the way, or in it, is no
    /// folder or has no single meaning: then nobody can tell what is missing.
    fn folder(&mut self, root: Oid, path: &str) -> Result<Option<Vec<Standing>>, git2::Error> {
        let mut here = root;
        for segment in path.split('/') {
            let odb = Arc::clone(&self.odb);
            let object = odb.read(here)?;
            let Some(entries) = parse(&object) else {
                return Ok(None);
            };
            let named: Vec<_> = entries
                .into_iter()
                .filter(|e| e.name == segment.as_bytes())
                .collect();
            match named.as_slice() {
                [] => return Ok(Some(Vec::new())),
                [entry] if entry.is_tree() => here = entry.id,
                _ => return Ok(None),
            }
        }
        self.seen = 0;
        let (mut found, mut sound) = (Vec::new(), true);
        self.compare(
            None,
            Some(here),
            &format!("{path}/"),
            &mut |path, _, entry| {
                if let Some(entry) = entry {
                    sound &= entry.mode != MALFORMED.mode;
                    found.push((path.to_owned(), entry.mode, entry.id));
                }
            },
        )?;
        Ok(sound.then_some(found))
    }

    /// The tree of `access/grants`, if there is one.
    pub(super) fn grants_folder(&mut self, root: Oid) -> Result<Option<Oid>, git2::Error> {
        Ok(self
            .at(root, "access/grants")?
            .filter(|(mode, _)| *mode == TREE)
            .map(|(_, id)| id))
    }

    /// Compares two trees of `access/grants`: each well-formed grant path whose regular file differs, with the blobs.
    pub(super) fn compare_grants(
        &mut self,
        before: Option<Oid>,
        after: Option<Oid>,
        visit: &mut dyn FnMut(GrantPath, Option<Oid>, Option<Oid>),
    ) -> Result<(), git2::Error> {
        self.seen = 0;
        let regular =
            |entry: Option<Entry<'_>>| entry.filter(|e| e.mode == REGULAR_FILE).map(|e| e.id);
        self.compare(before, after, "access/grants/", &mut |path, old, new| {
            if let Ok(path) = GrantPath::new(path) {
                visit(path, regular(old), regular(new));
            }
        })
    }

    /// What stands directly in `folder`: path, mode and id of each.
    pub(super) fn parts(
        &mut self,
        root: Oid,
        folder: &str,
    ) -> Result<Vec<(String, u32, Oid)>, git2::Error> {
        let Some((TREE, id)) = self.at(root, folder)? else {
            return Ok(Vec::new());
        };
        let odb = Arc::clone(&self.odb);
        let object = odb.read(id)?;
        self.seen = 0;
        let entries = self.entries(Some(&object), 1);
        let named = entries.iter().map(|e| {
            let path = format!("{folder}/{}", String::from_utf8_lossy(e.name));
            (path, e.mode, e.id)
        });
        Ok(named.collect())
    }

    /// The file at `path`, or every file below it.
    pub(super) fn below(
        &mut self,
        path: String,
        mode: u32,
        id: Oid,
    ) -> Result<Vec<File>, git2::Error> {
        if mode != TREE {
            return Ok(vec![self.file(path, mode, id, true)?]);
        }
        let mut found = Vec::new();
        self.compare(None, Some(id), &format!("{path}/"), &mut |path, _, new| {
            found.extend(new.map(|e| (path.to_owned(), e.mode, e.id)));
        })?;
        let files = found.into_iter();
        files
            .map(|(path, mode, id)| self.file(path, mode, id, true))
            .collect()
    }

    pub(super) fn file(
        &mut self,
        path: String,
        mode: u32,
        id: Oid,
        read: bool,
    ) -> Result<File, git2::Error> {
        // The last lines of CODEOWNERS decide: cut off, an earlier line would.
        let enough = match codeowners::LOCATIONS.contains(&path.as_str()) {
            true => codeowners::MAX_BYTES,
            false => ENOUGH,
        };
        let (mode, bytes) = if read {
            self.shared(mode, id, enough)?
        } else {
            (mode, Arc::default())
        };
        Ok(File {
            path,
            mode,
            blob: blob_id(id),
            bytes,
        })
    }

    /// The content of a blob, kept once however many paths show it. Beyond the budget every content counts as too large.
    fn shared(
        &mut self,
        mode: u32,
        id: Oid,
        enough: usize,
    ) -> Result<(u32, Arc<[u8]>), git2::Error> {
        if let Some(bytes) = self.read.get(&id) {
            return Ok((mode, bytes.clone()));
        }
        if self.left == 0 {
            let refused = self
                .read
                .entry(Oid::ZERO_SHA1)
                .or_insert_with(|| vec![0; enough].into());
            return Ok((mode, refused.clone()));
        }
        let (mode, bytes) = self.bytes(mode, id, enough)?;
        let bytes: Arc<[u8]> = bytes.into();
        self.left = self.left.saturating_sub(bytes.len());
        if mode == MALFORMED.mode {
            return Ok((mode, bytes));
        }
        self.read.insert(id, bytes.clone());
        Ok((mode, bytes))
    }

    fn bytes(&self, mode: u32, id: Oid, enough: usize) -> Result<(u32, Vec<u8>), git2::Error> {
        if matches!(mode, 0 | LINK) {
            return Ok((mode, Vec::new()));
        }
        let (length, kind) = self.odb.read_header(id)?;
        if kind != ObjectType::Blob {
            return Ok((MALFORMED.mode, Vec::new()));
        }
        if length > LOADED.max(enough) {
            return Ok((mode, vec![0; enough]));
        }
        let object = self.odb.read(id)?;
        let data = object.data();
        Ok((mode, data[..data.len().min(enough)].to_vec()))
    }
}
