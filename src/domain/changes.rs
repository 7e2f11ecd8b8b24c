//! What a pull request changes, read once: everything that is asked about the change is answered from the same reading.

use std::collections::BTreeMap;
use std::ops::Deref;

use rayon::prelude::*;

use super::catalogue::{ChangedFile, Declared};
use super::finding::Finding;
use super::model::GrantPath;
use super::parse::{GrantPlaces, Read, read_file};

/// The files of a change, with what they will say.
///
/// Invariant: the readings are those of just these files; neither changes.
#[derive(Debug, Clone, Default)]
pub struct Changes {
    files: Vec<ChangedFile>,
    /// Of each file, in the same order: what it will say, or what is wrong with it. `None` for one that goes or is not governed.
    readings: Vec<Option<Result<Read, Vec<Finding>>>>,
    /// The readable grant files that it brings.
    grants: BTreeMap<GrantPath, (Declared, GrantPlaces)>,
}

impl Changes {
    /// Reads what each file will say.
    pub fn read(files: Vec<ChangedFile>) -> Self {
        let reading = |change: &ChangedFile| change.after.as_ref().and_then(read_file);
        let readings: Vec<_> = files.par_iter().with_min_len(64).map(reading).collect();
        let grant = |reading: &Option<Result<Read, Vec<Finding>>>| match reading {
            Some(Ok(Read::Grant(path, declared, places))) => {
                Some((path.clone(), (declared.clone(), *places)))
            }
            _ => None,
        };
        let grants = readings.iter().filter_map(grant).collect();
        Self {
            files,
            readings,
            grants,
        }
    }

    /// Each file with its reading, in the order of the change.
    pub(crate) fn readings(
        &self,
    ) -> impl Iterator<Item = (&ChangedFile, Option<Result<&Read, &[Finding]>>)> {
        let readings = self.readings.iter().map(|reading| {
            let reading = reading.as_ref()?;
            Some(reading.as_ref().map_err(Vec::as_slice))
        });
        self.files.iter().zip(readings)
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
