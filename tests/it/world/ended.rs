//! A world that ends is searched for what nobody may see. See `leaks`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use super::World;
use crate::leaks;

/// Of the worlds that one test plays, only so many are searched to the last file, and all of them in a run that may take long
/// (`tests/run --long`); the others are searched where it costs nothing.
const WHOLE: usize = 1;

impl Drop for World {
    fn drop(&mut self) {
        // A test that has failed already says why.
        if std::thread::panicking() {
            return;
        }
        leaks::in_log();
        leaks::in_text("what is written at the forge", self.sandbox.written());
        if let Some(service) = &self.service {
            let metrics = service.worker().reconciler().metrics().text(None).unwrap();
            leaks::in_record("the metrics", metrics);
        }
        if worlds_before() >= WHOLE && !crate::is_long() {
            return;
        }
        for file in entries(&self.data()) {
            // Where the key of the evidence is kept, it stands.
            let key = file.file_name().unwrap().to_string_lossy().contains("key");
            if file.is_file() && !key {
                leaks::in_text(&file.display().to_string(), std::fs::read(&file).unwrap());
            }
        }
        let repositories = entries(&self.folder.path().join("github/acme"));
        assert!(!repositories.is_empty(), "what was pushed is searched");
        for repository in repositories {
            search(&git2::Repository::open_bare(repository).unwrap());
        }
    }
}

/// How many worlds of this test have ended before.
fn worlds_before() -> usize {
    static ENDED: Mutex<BTreeMap<String, usize>> = Mutex::new(BTreeMap::new());
    let test = std::thread::current().name().unwrap_or_default().to_owned();
    let mut ended = ENDED.lock().unwrap();
    let count = ended.entry(test).or_default();
    *count += 1;
    *count - 1
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    let found = std::fs::read_dir(folder).into_iter().flatten();
    found.map(|entry| entry.unwrap().path()).collect()
}

/// Every object of a repository, whoever made it, and the evidence more closely.
fn search(git: &git2::Repository) {
    let objects = git.odb().unwrap();
    let mut all = Vec::new();
    objects
        .foreach(|id| {
            all.push(*id);
            true
        })
        .unwrap();
    for id in all {
        leaks::in_text(&format!("object {id}"), objects.read(id).unwrap().data());
    }
    let Ok(tip) = git.refname_to_id("refs/heads/hallpass/evidence") else {
        return;
    };
    let mut story = git.revwalk().unwrap();
    story.push(tip).unwrap();
    for id in story {
        let id = id.unwrap();
        leaks::in_record(&format!("evidence {id}"), objects.read(id).unwrap().data());
    }
    // Records are only ever added, so the newest tree has all of them.
    let tree = git.find_commit(tip).unwrap().tree().unwrap();
    tree.walk(git2::TreeWalkMode::PreOrder, |folder, entry| {
        if entry.kind() == Some(git2::ObjectType::Blob) {
            let place = format!("{folder}{}", entry.name().unwrap_or_default());
            leaks::in_record(&place, objects.read(entry.id()).unwrap().data());
        }
        git2::TreeWalkResult::Ok
    })
    .unwrap();
}
