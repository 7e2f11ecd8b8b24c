//! GitHub's CODEOWNERS, with GitHub's meaning and our own strictness.
//!
//! Meaning: <https://docs.github.com/en/repositories/managing-your-repositorys-settings-and-features/customizing-your-repository/about-code-owners>.
//! Where GitHub skips a line that it cannot read, and so silently hands a path to an earlier rule, we deny until it is repaired:
//! [`Codeowners::owners`] answers as GitHub would, [`Codeowners::problems`] says what must be repaired first.
//!
//! Invariant: matching takes time in proportion to the path and the pattern, whatever they are.

mod line;
mod pattern;

use std::collections::BTreeSet;

use super::catalogue::{File, REGULAR_FILE};
use super::finding::{Finding, Severity};
use super::model::{Owner, RepoPath};
use line::{Fault, Rule};

/// The places GitHub looks, in its order. The first that exists is the file; the others mean nothing.
pub const LOCATIONS: [&str; 3] = [".github/CODEOWNERS", "CODEOWNERS", "docs/CODEOWNERS"];

/// GitHub does not load a file of 3 MB or more; it does not say which megabyte it means, so the smaller one counts.
pub const MAX_BYTES: usize = 3_000_000;

/// One tree's CODEOWNERS.
#[derive(Debug, Clone, Default)]
pub struct Codeowners {
    /// Which of [`LOCATIONS`] is in force; `None` where there is no file.
    pub path: Option<&'static str>,
    /// Every line that GitHub would skip or that is ambiguous. Any of them denies all grants.
    pub problems: Vec<Finding>,
    rules: Vec<Rule>,
}

/// The owner that `text` names, as CODEOWNERS names one; `None` where it names none.
pub fn owner(text: &str) -> Option<Owner> {
    line::owner(text)
}

/// Who owns one path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ownership<'a> {
    /// The last matching line names owners.
    Owned {
        /// The line, from 1.
        line: u32,
        /// Its pattern.
        pattern: &'a str,
        /// Its owners, at least one.
        owners: &'a [Owner],
    },
    /// The last matching line names nobody, which takes the path out of everybody's hands.
    Cleared {
        /// The line, from 1.
        line: u32,
        /// Its pattern.
        pattern: &'a str,
    },
    /// No line matches, or there is no file.
    Unowned,
}

impl Ownership<'_> {
    /// The owners of the deciding line; empty where nobody owns the path.
    pub fn owners(&self) -> &[Owner] {
        match self {
            Self::Owned { owners, .. } => owners,
            Self::Cleared { .. } | Self::Unowned => &[],
        }
    }

    /// The deciding line, from 1.
    pub fn line(&self) -> Option<u32> {
        match self {
            Self::Owned { line, .. } | Self::Cleared { line, .. } => Some(*line),
            Self::Unowned => None,
        }
    }
}

impl Codeowners {
    /// The file in force among the files of a tree: the first of [`LOCATIONS`] that is there, whatever it is. What is there
    /// but no regular file names no owners and is a problem.
    pub fn in_force(files: &[File]) -> Self {
        for location in LOCATIONS {
            let Some(file) = files.iter().find(|f| f.path == location) else {
                continue;
            };
            if file.mode == REGULAR_FILE {
                return Self::parse(location, &file.bytes);
            }
            return Self::refused(location, not_a_file(file.mode));
        }
        Self::default()
    }

    /// Reads the file at `path`, one of [`LOCATIONS`].
    pub fn parse(path: &'static str, bytes: &[u8]) -> Self {
        if bytes.len() >= MAX_BYTES {
            return Self::refused(path, too_large(bytes.len()));
        }
        let mut read = Self {
            path: Some(path),
            ..Self::default()
        };
        for (number, raw) in (1_u32..).zip(bytes.split(|b| *b == b'\n')) {
            let mut faults = Vec::new();
            read.rules.extend(line::read(number, raw, &mut faults));
            let findings = faults.into_iter().map(|f| finding(path, number, f));
            read.problems.extend(findings);
        }
        read
    }

    /// Who owns `path`, as GitHub would say: a line that cannot be read is skipped, the last that matches decides alone.
    pub fn owners(&self, path: &RepoPath) -> Ownership<'_> {
        let path = path.as_str();
        let segments: Vec<&str> = path.split('/').collect();
        let last = self
            .rules
            .iter()
            .rev()
            .find(|rule| rule.pattern.matches(path, &segments));
        match last {
            None => Ownership::Unowned,
            Some(rule) if rule.owners.is_empty() => Ownership::Cleared {
                line: rule.line,
                pattern: &rule.text,
            },
            Some(rule) => Ownership::Owned {
                line: rule.line,
                pattern: &rule.text,
                owners: &rule.owners,
            },
        }
    }

    /// The teams that any line names, whether it decides about a path or not.
    pub fn teams(&self) -> BTreeSet<Owner> {
        let named = self.rules.iter().flat_map(|rule| &rule.owners);
        let teams = named.filter(|owner| matches!(owner, Owner::Team { .. }));
        teams.cloned().collect()
    }

    fn refused(path: &'static str, fault: Fault) -> Self {
        Self {
            path: Some(path),
            problems: vec![finding(path, 1, fault)],
            rules: Vec::new(),
        }
    }
}

fn finding(path: &str, line: u32, fault: Fault) -> Finding {
    Finding {
        path: path.to_owned(),
        line,
        column: fault.column,
        rule: fault.rule,
        severity: Severity::Error,
        message: fault.message,
        help: fault.help,
    }
}

fn too_large(bytes: usize) -> Fault {
    Fault {
        column: 1,
        rule: "codeowners-too-large",
        message: format!(
            "the file has {bytes} bytes; GitHub ignores a CODEOWNERS file of 3 MB or more, and so nobody owns anything"
        ),
        help: "Make it smaller: own folders instead of single files.".to_owned(),
    }
}

fn not_a_file(mode: u32) -> Fault {
    let what = match mode {
        0o120_000 => "a symbolic link",
        0o160_000 => "a submodule",
        0o100_755 => "an executable file",
        _ => "not a regular file",
    };
    Fault {
        column: 1,
        rule: "codeowners-not-a-file",
        message: format!(
            "CODEOWNERS is {what} (mode {mode:o}); only a regular file (mode 100644) can say who owns what"
        ),
        help: "Replace it with a regular file that is not executable.".to_owned(),
    }
}
