//! `hallpass init`: an access repository from nothing, and what its server or its workflow needs beside it.
//!
//! Promises: no file is ever overwritten; what stands there already answers its question; a second run writes what is missing, such as
//! the rulesets once the App has a number. No secret is written into the repository.

mod answers;
mod interview;
mod kinds;
mod next;
mod number;
mod pieces;
mod standing;

use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use serde::Serialize;

use super::offline;
use crate::domain::doctor::{self, Line, Tidying, Verdict};
use crate::domain::finding::{Finding, Severity};
use crate::domain::{parse, rules};

pub use answers::{Answers, Given, Mode, Unanswered};
pub use interview::Interview;
pub use kinds::Beginning;
pub use number::number_of;
use pieces::{Place, rulesets};
pub use standing::Standing;

/// What became of one file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Became {
    /// It was written.
    Written,
    /// It said this already.
    Same,
    /// It says something else, and was left as it is.
    Kept,
}

/// A file, and what became of it.
#[derive(Debug, Clone, Serialize)]
pub struct Outcome {
    /// Where it is, as the person named the folder.
    pub path: PathBuf,
    /// What became of it.
    pub became: Became,
}

/// What a scaffold came to.
#[derive(Debug, Serialize)]
pub struct Scaffold {
    /// Every file that belongs to it.
    pub files: Vec<Outcome>,
    /// What is wrong with the repository as it stands now, by the rules of `hallpass validate`.
    #[serde(skip)]
    pub findings: Vec<Finding>,
    /// What `hallpass doctor` would say of its files.
    pub checks: Vec<Line>,
    /// What to do next, in order.
    pub next: Vec<String>,
}

impl Scaffold {
    /// Whether the repository can be used as it stands.
    pub fn is_sound(&self) -> bool {
        let error = |f: &Finding| f.severity == Severity::Error;
        let failed = |l: &Line| l.verdict == Verdict::Failure;
        !self.findings.iter().any(error) && !self.checks.iter().any(failed)
    }
}

/// Writes what is missing below `dir` and beside it, and looks at what stands there then.
///
/// # Errors
/// When a file cannot be written, or the folder cannot be read back.
pub fn scaffold(dir: &Path, answers: &Answers) -> anyhow::Result<Scaffold> {
    let mut files = Vec::new();
    for piece in pieces::all(answers)? {
        let path = match piece.place {
            Place::Repository => dir.join(&piece.path),
            Place::Setup => answers.setup.join(&piece.path),
        };
        let became = write_new(&path, &piece.text, piece.executable())?;
        files.push(Outcome { path, became });
    }
    if answers.mode == Mode::ServiceLess {
        files.extend(key(&answers.setup)?);
    }
    // What makes it an access repository, even while it declares nothing.
    let access = dir.join("access");
    let what = || format!("cannot make the folder {}", access.display());
    fs::create_dir_all(&access).with_context(what)?;
    let read = offline::work_tree(dir)?;
    let tree = parse::read_tree(&read);
    Ok(Scaffold {
        files,
        findings: rules::check_tree(&tree, offline::now()),
        checks: vec![doctor::unowned(&tree)],
        next: next::steps(dir, answers),
    })
}

/// Writes the rulesets for App `app` below `setup`, where they are not there yet.
///
/// # Errors
/// When a file cannot be written.
pub fn write_rulesets(
    setup: &Path,
    app: u64,
    tidying: Tidying,
    mode: Mode,
) -> anyhow::Result<Vec<Outcome>> {
    let mut files = Vec::new();
    for (name, text) in rulesets(app, tidying, mode)? {
        let path = setup.join(name);
        let became = write_new(&path, &text, Executable::No)?;
        files.push(Outcome { path, became });
    }
    Ok(files)
}

/// Writes a file that is not there.
fn write_new(path: &Path, text: &str, executable: Executable) -> anyhow::Result<Became> {
    if let Some(parent) = path.parent() {
        let what = || format!("cannot make the folder {}", parent.display());
        fs::create_dir_all(parent).with_context(what)?;
    }
    let what = || format!("cannot write {}", path.display());
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    if executable == Executable::Yes {
        use std::os::unix::fs::OpenOptionsExt as _;
        options.mode(0o755);
    }
    match options.open(path) {
        Ok(mut file) => {
            file.write_all(text.as_bytes()).with_context(what)?;
            Ok(Became::Written)
        }
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            let same = fs::read_to_string(path).is_ok_and(|there| there == text);
            Ok(if same { Became::Same } else { Became::Kept })
        }
        Err(error) => Err(error).with_context(what),
    }
}

/// Whether a file can be run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Executable {
    /// It can.
    Yes,
    /// It holds text.
    No,
}

/// The key that evidence is signed with, which no run makes for itself; and its public half, for auditors.
fn key(setup: &Path) -> anyhow::Result<[Outcome; 2]> {
    let what = || format!("cannot make the folder {}", setup.display());
    fs::create_dir_all(setup).with_context(what)?;
    let private = setup.join("evidence_key");
    let there = private.try_exists()?;
    let signers = crate::repo::Signers::at(&private)?;
    let public = setup.join("evidence_key.pub");
    let text = signers.public() + "\n";
    Ok([
        Outcome {
            path: private,
            became: if there { Became::Kept } else { Became::Written },
        },
        Outcome {
            became: write_new(&public, &text, Executable::No)?,
            path: public,
        },
    ])
}
