//! The folder that the demo leaves. Only a folder that is empty, or that an earlier demo left, is used.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};

/// Says what lies in the folder; its first line tells an earlier demo from anything else.
const README: &str = include_str!("README.md");

/// Everything that a demo writes at the top of the folder. An earlier demo's are removed, and nothing else.
const OURS: [&str; 10] = [
    "access",
    "checks",
    "github",
    "people",
    "data",
    "hallpass.toml",
    "hallpass.log",
    "app-private-key.pem",
    "client-secret",
    "webhook-secret",
];

/// The folder, ours.
#[derive(Debug)]
pub struct Folder {
    /// As the person named it: what is shown.
    shown: PathBuf,
    /// From the root: what git and libraries are given.
    root: PathBuf,
}

impl Folder {
    /// Makes the folder, or clears what an earlier demo left in it.
    pub fn claim(dir: &Path) -> anyhow::Result<Self> {
        let mark = dir.join("README.md");
        let is_empty = match fs::read_dir(dir) {
            Ok(mut entries) => entries.next().is_none(),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => true,
            Err(error) => {
                return Err(error).with_context(|| format!("cannot use {}", dir.display()));
            }
        };
        if !is_empty {
            let text = fs::read_to_string(&mark).unwrap_or_default();
            if text.lines().next() != README.lines().next() {
                bail!(
                    "{} holds something that no earlier demo left there; name another folder with --dir",
                    dir.display()
                );
            }
            OURS.iter().try_for_each(|name| remove(&dir.join(name)))?;
        }
        fs::create_dir_all(dir).with_context(|| format!("cannot make {}", dir.display()))?;
        fs::write(&mark, README).with_context(|| format!("cannot write {}", mark.display()))?;
        let root =
            fs::canonicalize(dir).with_context(|| format!("cannot use {}", dir.display()))?;
        Ok(Self {
            shown: dir.to_owned(),
            root,
        })
    }

    /// The path of something in the folder, from the root.
    pub fn path(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    /// The path of something in the folder, as it is shown.
    pub fn show(&self, name: &str) -> String {
        self.shown.join(name).display().to_string()
    }

    /// Creates a file.
    pub fn create(&self, name: &str) -> anyhow::Result<fs::File> {
        let path = self.path(name);
        fs::File::create(&path).with_context(|| format!("cannot write {}", path.display()))
    }

    /// Writes a file and the folders above it. Returns its path as it is shown.
    pub fn write(&self, name: &str, text: &str) -> anyhow::Result<String> {
        let path = self.path(name);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent)?;
        }
        fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
        Ok(self.show(name))
    }
}

fn remove(path: &Path) -> anyhow::Result<()> {
    let Ok(found) = fs::symlink_metadata(path) else {
        return Ok(());
    };
    let removed = if found.is_dir() {
        fs::remove_dir_all(path)
    } else {
        fs::remove_file(path)
    };
    removed.with_context(|| {
        format!(
            "cannot remove what an earlier demo left: {}",
            path.display()
        )
    })
}
