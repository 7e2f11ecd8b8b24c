//! What the fuzz targets share: among it the stages of the program's own tests, from their own files.

pub mod lines;
pub mod page;

/// Pull requests with their owners and reviews, built a fact at a time.
#[path = "../../it/approval"]
pub mod approval {
    pub mod scene;
}

/// A base with people, services and resources.
#[path = "../../it/decision"]
pub mod decision {
    pub mod office;
    pub mod poison;
}

/// An approved grant, by the only way there is.
#[path = "../../it/contract/approved.rs"]
pub mod approved;

/// A real PostgreSQL server.
#[path = "../../it/postgres/server.rs"]
pub mod postgres;

use std::future::Future;
use std::sync::{Arc, OnceLock};

use hallpass::domain::catalogue::{ChangedFile, File, REGULAR_FILE};
use hallpass::domain::decision::{Admission, Outcome, admit, decide};
use hallpass::domain::finding::Finding;
use hallpass::domain::model::{BlobId, GrantPath, Instant};
use hallpass::domain::pull::PullState;
use hallpass::domain::rules::RULES;
use tokio::runtime::{Builder, Runtime};

use approval::scene::{FILE, Scene};
use decision::office::merged;

/// Lets everything run on this thread. What is spread over threads costs more than it is, thousands of times a second.
pub fn alone() {
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(1)
        .use_current_thread();
    pool.build_global()
        .expect("nothing has run in parallel before");
}

/// Runs what waits, in the one runtime of the process.
pub fn wait<T>(work: impl Future<Output = T>) -> T {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    let runtime = RUNTIME.get_or_init(|| {
        let one = Builder::new_current_thread().enable_all().build();
        one.expect("a runtime")
    });
    runtime.block_on(work)
}

/// The moment at which the targets judge.
pub fn now() -> Instant {
    approval::scene::at(0)
}

/// A regular file of a tree. Its id tells nothing of its content.
pub fn file(path: &str, bytes: &[u8]) -> File {
    File {
        path: path.to_owned(),
        mode: REGULAR_FILE,
        blob: BlobId::new("a".repeat(40)).expect("hexadecimal"),
        bytes: Arc::from(bytes),
    }
}

/// Whether a finding about a file of these bytes is one: its rule is known, its place is in the file, and all of its words can be seen.
pub fn sound(finding: &Finding, bytes: &[u8]) {
    let known = RULES.iter().any(|rule| rule.name == finding.rule);
    assert!(known, "no such rule: {finding:?}");
    let text = String::from_utf8_lossy(bytes);
    let line = text
        .split('\n')
        .nth(finding.line.wrapping_sub(1) as usize)
        .unwrap_or_else(|| panic!("no such line: {finding:?}"));
    let columns = line.chars().count() + 1;
    assert!(
        (1..=columns).contains(&(finding.column as usize)),
        "no such column: {finding:?}"
    );
    for words in [&finding.message, &finding.help] {
        assert!(!words.is_empty(), "silent: {finding:?}");
        let seen = !words.chars().any(char::is_control);
        assert!(seen, "controls: {finding:?}");
    }
}

/// The scene of most targets, read once.
pub fn office() -> Scene {
    static OFFICE: OnceLock<Scene> = OnceLock::new();
    OFFICE.get_or_init(decision::office::office).clone()
}

/// Whether a pull request gives anything at [`FILE`]: while it is open, or when somebody merges it all the same. Both must say the same.
pub fn gives(scene: &Scene) -> bool {
    let open = decide(&scene.case()).outcome == Outcome::Approved;
    let mut after = scene.clone();
    merged(&mut after);
    if let PullState::Merged { at, .. } = &mut after.pull.state {
        let words = scene.pull.reviews.iter().filter_map(|r| r.submitted_at);
        *at = words.max().unwrap_or(scene.now).max(scene.now);
    }
    let at_head = |change: &&ChangedFile| change.path == FILE;
    let change = scene.changes.iter().find(at_head);
    let Some(file) = change.and_then(|change| change.after.as_ref()) else {
        return false;
    };
    let path = GrantPath::new(FILE).expect("a path");
    let admission = admit(&after.case(), &path, &file.blob);
    let admitted = matches!(admission, Admission::Approved(_));
    assert_eq!(
        open, admitted,
        "decided in one way while it is open, in another when it is merged: {admission:?}"
    );
    admitted
}
