//! Which events are on the branch, remembered in a file.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;

use git2::{Oid, Repository};
use sha2::{Digest as _, Sha256};

use super::super::signature::Signers;
use super::super::{RepoError, broken, broken_file};
use super::contains;
use super::log::Log;
use crate::domain::evidence;

/// Where the files are. Those of `hallpass-index` were written when a key that was replaced was still believed.
const FOLDER: &str = "hallpass-index-2";

/// How many commits are read before what they say is written down.
const CHUNK: usize = 4096;

/// The file of keys: a line `<commit> <key>` (or `<commit>` alone) for each commit that the remote is known to have, oldest
/// first. Its last line tells how far it goes.
pub(super) struct Index<'r> {
    repo: &'r Repository,
    path: PathBuf,
}

/// What the file says of the commits up to one of them.
struct Scanned {
    end: Oid,
    found: BTreeMap<String, Oid>,
    /// The commits that tell who is believed at the end: what changes the key, what was believed last before that, and the last of all.
    telling: Vec<Oid>,
}

impl<'r> Index<'r> {
    /// The one of these keys: by others, other commits are believed.
    pub fn new(repo: &'r Repository, signers: &Signers, branch: &str) -> Self {
        let keys: BTreeSet<String> = signers.believed().into_iter().collect();
        let keys = keys.into_iter().collect::<Vec<_>>().join("\n");
        let keys = hex::encode(&Sha256::digest(keys)[..8]);
        let file = format!("{}@{keys}", branch.replace('/', "%"));
        Self {
            repo,
            path: repo.path().join(FOLDER).join(file),
        }
    }

    /// The commits on `tip`'s history of those `wanted` keys that are there. `log` goes from before the root to `tip`.
    pub fn find(
        &self,
        log: &mut Log<'_>,
        tip: Oid,
        wanted: &BTreeSet<&str>,
    ) -> Result<BTreeMap<String, Oid>, RepoError> {
        let what = "read the index of the evidence";
        let (end, mut found) = self.read(log, tip, wanted)?;
        if end == Some(tip) {
            return Ok(found);
        }
        let missing = log.between(tip, end).map_err(broken(what))?;
        let mut goes_on = end.is_some();
        // What was read stays read, though the process ends: a whole branch takes long.
        for chunk in missing.chunks(CHUNK) {
            let added = log.pass(chunk).map_err(broken(what))?;
            self.write(&added, goes_on).map_err(broken_file(what))?;
            goes_on = true;
            for (id, key) in added {
                if let Some(key) = key.filter(|key| wanted.contains(key.as_str())) {
                    found.entry(key).or_insert(id);
                }
            }
        }
        Ok(found)
    }

    /// `log` goes from before the root to `tip`, by the file as far as that goes. Writes nothing.
    pub fn go_to(&self, log: &mut Log<'_>, tip: Oid) -> Result<(), RepoError> {
        let (end, _) = self.read(log, tip, &BTreeSet::new())?;
        if end == Some(tip) {
            return Ok(());
        }
        let what = "read who signed the evidence";
        log.skip(tip, end).map_err(broken(what))
    }

    /// What the file knows of `tip`'s history: up to which commit, to which `log` goes, and those `wanted`.
    fn read(
        &self,
        log: &mut Log<'_>,
        tip: Oid,
        wanted: &BTreeSet<&str>,
    ) -> Result<(Option<Oid>, BTreeMap<String, Oid>), RepoError> {
        let scanned = self.scan(tip, wanted);
        let within = |s: &Scanned| contains(self.repo, tip, s.end).unwrap_or(false);
        let Some(scanned) = scanned.filter(within) else {
            return Ok((None, BTreeMap::new()));
        };
        let recalled = log.recall(&scanned.telling);
        recalled.map_err(broken("read who signed the evidence"))?;
        Ok((Some(scanned.end), scanned.found))
    }

    /// Reads the file up to `tip`, or to its end; `None` if there is none or it is torn.
    fn scan(&self, tip: Oid, wanted: &BTreeSet<&str>) -> Option<Scanned> {
        let mut file = BufReader::new(File::open(&self.path).ok()?);
        let (mut line, mut end, mut last) = (String::new(), None, None);
        let (mut found, mut telling) = (BTreeMap::new(), Vec::new());
        while end != Some(tip) && file.read_line(&mut line).ok()? > 0 {
            let (id, key) = line.strip_suffix('\n')?.split_at_checked(40)?;
            let id = Oid::from_str(id).ok()?;
            let key = key.trim_start();
            end = Some(id);
            if wanted.contains(key) {
                found.entry(key.to_owned()).or_insert(id);
            }
            if evidence::announced(key).is_some() {
                telling.extend(last);
                telling.push(id);
            }
            if !key.is_empty() {
                last = Some(id);
            }
            line.clear();
        }
        telling.extend(last);
        Some(Scanned {
            end: end?,
            found,
            telling,
        })
    }

    fn write(&self, added: &[(Oid, Option<String>)], append: bool) -> Result<(), std::io::Error> {
        let mut text = String::new();
        for (id, key) in added {
            text += &format!("{id} {}\n", key.as_deref().unwrap_or_default());
        }
        if let Some(folder) = self.path.parent() {
            fs::create_dir_all(folder)?;
        }
        let mut options = File::options();
        options
            .create(true)
            .append(append)
            .write(true)
            .truncate(!append);
        options.open(&self.path)?.write_all(text.as_bytes())
    }
}
