//! Walks trees and reads blobs, within limits: what a pull request holds is hostile until it is judged.

use std::collections::HashMap;
use std::sync::Arc;

use git2::{ObjectType, Odb, OdbObject, Oid, Repository};

use super::object::{Entry, LINK, MALFORMED, TREE, parse};
use crate::domain::catalogue::{File, REGULAR_FILE};
use crate::domain::codeowners;
use crate::domain::model::{BlobId, GrantPath};

/// One byte more than the parser takes.
const ENOUGH: usize = 64 * 1024 + 1;
/// Larger blobs are not even loaded.
const LOADED: usize = 1024 * 1024;
/// How deep trees may nest.
const DEEPEST: usize = 64;
/// How many entries one call looks at: five times the largest repository that we promise to serve.
const FLOOD: usize = 500_000;

pub(super) fn blob_id(id: Oid) -> BlobId {
    BlobId::new(id.to_string()).expect("git writes ids in lower-case hexadecimal")
}

/// What stands at a path: the path, its mode, its object.
type Standing = (String, u32, Oid);

/// Called with the path of a file that differs, and the file before and after.
type Visit<'v> = dyn FnMut(&str, Option<Entry<'_>>, Option<Entry<'_>>) + 'v;

/// Reads trees of one repository, and counts what it reads.
pub(in crate::repo) struct Reader<'r> {
    odb: Arc<Odb<'r>>,
    seen: usize,
    /// Content that was read, by blob: many paths may share one.
    read: HashMap<Oid, Arc<[u8]>>,
    /// How many more bytes of content may be kept.
    pub(super) left: usize,
}

impl<'r> Reader<'r> {
    pub(in crate::repo) fn new(repo: &'r Repository) -> Result<Self, git2::Error> {
        Ok(Self {
            odb: Arc::new(repo.odb()?),
            seen: 0,
            read: HashMap::new(),
            left: usize::MAX,
        })
    }

    /// Calls `visit` with the path of each file that differs, before and after, in the order of the paths' bytes within a folder.
    pub(in crate::repo) fn compare(
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
    pub(in crate::repo) fn at(
        &mut self,
        tree: Oid,
        path: &str,
    ) -> Result<Option<(u32, Oid)>, git2::Error> {
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
    pub(super) fn folder(
        &mut self,
        root: Oid,
        path: &str,
    ) -> Result<Option<Vec<Standing>>, git2::Error> {
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
    pub(in crate::repo) fn grants_folder(&mut self, root: Oid) -> Result<Option<Oid>, git2::Error> {
        Ok(self
            .at(root, "access/grants")?
            .filter(|(mode, _)| *mode == TREE)
            .map(|(_, id)| id))
    }

    /// Compares two trees of `access/grants`: each well-formed grant path whose regular file differs, with the blobs.
    pub(in crate::repo) fn compare_grants(
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
    pub(in crate::repo) fn parts(
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
    pub(in crate::repo) fn below(
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

    pub(in crate::repo) fn file(
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
