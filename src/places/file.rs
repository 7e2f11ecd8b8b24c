//! A folder: of another machine, on a medium that is written once, or one that is copied away.
//!
//! A file is made only where there is none, and is on the disk before it counts as written. What a crash cut off is completed: the name
//! is ours, and what stands there is the beginning of what is to stand there.

use std::fs::{self, DirEntry, File, OpenOptions};
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::path::{Path, PathBuf};

use async_trait::async_trait;

use super::{Place, PlaceError, Stands, there_already};
use crate::domain::anchor::LONGEST;

/// A folder.
#[derive(Debug, Clone)]
pub struct Folder(PathBuf);

impl Folder {
    /// The folder at `path`, which must be there: one that was not mounted must not be made up.
    pub fn new(path: PathBuf) -> Self {
        Self(path)
    }

    async fn on<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Path) -> io::Result<T> + Send + 'static,
    ) -> Result<T, PlaceError> {
        let folder = self.0.clone();
        let done = tokio::task::spawn_blocking(move || work(&folder)).await;
        let done = done.unwrap_or_else(|error| Err(io::Error::other(error)));
        done.map_err(|error| self.failed(error))
    }

    fn failed(&self, error: io::Error) -> PlaceError {
        let remedy = match error.kind() {
            ErrorKind::NotFound => "it must be there; is it mounted?",
            ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => {
                "the service must be able to make files in it"
            }
            _ => {
                return PlaceError::Unavailable {
                    place: self.shown(),
                    source: error.into(),
                };
            }
        };
        PlaceError::Refused {
            place: self.shown(),
            reason: format!("{error}: {remedy}"),
        }
    }
}

#[async_trait]
impl Place for Folder {
    fn shown(&self) -> String {
        format!("the folder {}", self.0.display())
    }

    async fn put(&self, name: &str, bytes: &[u8]) -> Result<String, PlaceError> {
        let (file, whole) = (name.to_owned(), bytes.to_vec());
        let other = self.on(move |folder| put(folder, &file, &whole)).await?;
        match other {
            None => Ok("written, and on the disk".to_owned()),
            Some(other) => there_already(&self.shown(), (name, bytes), Stands::This(other)),
        }
    }

    async fn get(&self, name: &str) -> Result<Stands, PlaceError> {
        let name = name.to_owned();
        let found = self.on(move |folder| read(&folder.join(name))).await?;
        Ok(found.map_or(Stands::Nothing, Stands::This))
    }

    async fn names(&self) -> Result<Option<Vec<String>>, PlaceError> {
        let names = self.on(|folder| {
            let entries = fs::read_dir(folder)?;
            let name =
                |entry: io::Result<DirEntry>| Ok(entry?.file_name().to_string_lossy().into_owned());
            entries.map(name).collect::<io::Result<Vec<String>>>()
        });
        names.await.map(Some)
    }
}

/// Makes the file; where one is there that is not the beginning of it, that one is returned.
fn put(folder: &Path, name: &str, bytes: &[u8]) -> io::Result<Option<Vec<u8>>> {
    let path = folder.join(name);
    let new = OpenOptions::new().write(true).create_new(true).open(&path);
    let (mut file, rest) = match new {
        Ok(file) => (file, bytes),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            let found = read(&path)?.unwrap_or_default();
            match bytes.strip_prefix(found.as_slice()) {
                // Written whole before, and perhaps not on the disk yet.
                Some(rest) => (OpenOptions::new().append(true).open(&path)?, rest),
                None => return Ok(Some(found)),
            }
        }
        Err(error) => return Err(error),
    };
    let was_there = rest.is_empty();
    file.write_all(rest)?;
    file.sync_all()?;
    File::open(folder)?.sync_all()?;
    Ok(was_there.then(|| bytes.to_vec()))
}

/// At most as much as an anchor can be, and a byte more; `None` where there is no such file.
fn read(path: &Path) -> io::Result<Option<Vec<u8>>> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut bytes = Vec::new();
    file.take(LONGEST as u64 + 1).read_to_end(&mut bytes)?;
    Ok(Some(bytes))
}
