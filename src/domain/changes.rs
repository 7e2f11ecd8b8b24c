//! What a pull request changes, read once: everything that is asked about the change is answered from the same reading.

use std::collections::BTreeMap;
use std::ops::Deref;
use std::sync::OnceLock;

use rayon::prelude::*;

use super::catalogue::{ChangedFile, Declared, File};
use super::finding::Finding;
use super::model::GrantPath;
use super::parse::{GrantPlaces, Read, read_file};

/// What reading a file told; `None` for one that was removed, or that is none of ours.
type Told = Option<Result<Read, Vec<Finding>>>;

/// The files of a change, with what they will say.
///
/// Grant files are read at once; any other when somebody first asks for it, because most questions are not about them.
///
/// Invariant: the readings are those of just these files; neither changes.
#[derive(Debug, Clone, Default)]
pub struct Changes {
    files: Vec<ChangedFile>,
    /// Of each file, in the same order.
    readings: Vec<OnceLock<Told>>,
    /// The readable grant files that it brings.
    grants: BTreeMap<GrantPath, (Declared, GrantPlaces)>,
}

/// A changed file, and what it will say or what is wrong with it: nothing for one that goes or is not governed.
pub(crate) type Reading<'a> = (&'a ChangedFile, Option<Result<&'a Read, &'a [Finding]>>);

impl Changes {
    /// Reads what the grant files will say.
    pub fn read(files: Vec<ChangedFile>) -> Self {
        let is_grant = |file: &&File| GrantPath::new(&file.path).is_ok();
        let reading = |change: &ChangedFile| {
            let grant = change.after.as_ref().filter(is_grant);
            grant.map_or_else(OnceLock::new, |file| OnceLock::from(read_file(file)))
        };
        let readings: Vec<_> = files.par_iter().with_min_len(64).map(reading).collect();
        let grants = readings.iter().filter_map(|reading| match reading.get()? {
            Some(Ok(Read::Grant(path, declared, places))) => {
                Some((path.clone(), (declared.clone(), **places)))
            }
            _ => None,
        });
        Self {
            grants: grants.collect(),
            files,
            readings,
        }
    }

    /// Each `wanted` file with its reading, in the order of the change.
    pub(crate) fn readings(
        &self,
        wanted: impl Fn(&ChangedFile) -> bool,
    ) -> impl Iterator<Item = Reading<'_>> {
        let files = self.files.iter().zip(&self.readings);
        let files = files.filter(move |(change, _)| wanted(change));
        files.map(|(change, reading)| {
            let read = || change.after.as_ref().and_then(read_file);
            let reading = reading.get_or_init(read).as_ref();
            (change, reading.map(|r| r.as_ref().map_err(Vec::as_slice)))
        })
    }

    /// The grant files as they will be, by path. Those that cannot be read are left out.
    pub(crate) fn asked(&self) -> impl Iterator<Item = (&GrantPath, &Declared)> {
        self.grants.iter().map(|(path, (asked, _))| (path, asked))
    }

    /// The grant file at `path` as it will be.
    pub(crate) fn asked_at(&self, path: &GrantPath) -> Option<&Declared> {
        self.grants.get(path).map(|(asked, _)| asked)
    }

    /// Where the fields of the grant that it puts at `path` stand.
    pub(crate) fn places(&self, path: &GrantPath) -> GrantPlaces {
        let places = self.grants.get(path).map(|(_, places)| *places);
        places.unwrap_or_default()
    }
}

impl Deref for Changes {
    type Target = [ChangedFile];

    fn deref(&self) -> &[ChangedFile] {
        &self.files
    }
}
