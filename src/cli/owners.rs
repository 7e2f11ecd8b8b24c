//! `hallpass owners`: who owns a path, and which line of CODEOWNERS says so.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, bail};
use clap::Args;
use serde::Serialize;

use super::visible::visible;
use crate::domain::catalogue::{File, REGULAR_FILE};
use crate::domain::codeowners::{Codeowners, LOCATIONS, MAX_BYTES, Ownership};
use crate::domain::finding::Finding;
use crate::domain::model::{BlobId, GrantPath, RepoPath, RoleRef};
use crate::domain::{parse, render};

/// Tell who owns a path, and which line of CODEOWNERS decides it
///
/// Of a request for a bundle it tells the owners of each part, by the resources of this folder.
///
/// The last line that matches decides alone, as on GitHub. Lines that GitHub would skip silently, or that readers would
/// understand differently, are problems: Hallpass grants nothing until they are repaired.
#[derive(Debug, Args)]
#[command(after_help = "Try `hallpass owners --help` for examples.", after_long_help = EXAMPLES)]
pub struct Owners {
    /// Paths as git names them: from the root of the repository, `/` between names. They need not exist
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<String>,
    /// Read this file instead of the one in force here (.github/CODEOWNERS, CODEOWNERS or docs/CODEOWNERS)
    #[arg(long, value_name = "FILE")]
    codeowners: Option<PathBuf>,
    /// Answer in JSON, for programs
    #[arg(long)]
    json: bool,
}

const EXAMPLES: &str = "\
Examples:
  hallpass owners access/grants/orders/octocat.yaml
      Who approves this request, by the CODEOWNERS of this folder.
  hallpass owners --codeowners new-CODEOWNERS access/resources/orders.yaml
      Who would own the path, if CODEOWNERS were this file.
  git diff --name-only main | xargs hallpass owners --json | jq '.paths[] | select(.owners == [])'
      What this branch changes and nobody owns.

Exit status:
  0  every path has an owner
  1  a path has no owner, or CODEOWNERS has problems
  2  could not run";

/// The answer, in the documented order of its fields.
#[derive(Serialize)]
struct Answer<'a> {
    codeowners: &'a str,
    paths: Vec<OwnedPath<'a>>,
    problems: &'a [Finding],
}

#[derive(Serialize)]
struct OwnedPath<'a> {
    path: &'a str,
    owners: Vec<String>,
    line: Option<u32>,
    pattern: Option<&'a str>,
    /// Why nobody owns the path; null where somebody does.
    why: Option<String>,
    /// For a request for a bundle: who approves each part of it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    parts: Vec<OwnedPart>,
}

#[derive(Serialize)]
struct OwnedPart {
    /// `<resource>/<role>`
    part: String,
    owners: Vec<String>,
    line: Option<u32>,
    pattern: Option<String>,
    why: Option<String>,
}

impl Owners {
    /// Reads CODEOWNERS and tells.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        let (name, bytes, codeowners) = self.read()?;
        let paths: Vec<RepoPath> = self
            .paths
            .iter()
            .map(|p| asked(p))
            .collect::<Result<_, _>>()?;
        let mut answer = Answer {
            codeowners: &name,
            paths: paths.iter().map(|p| owned(&codeowners, &name, p)).collect(),
            problems: &codeowners.problems,
        };
        for one in &mut answer.paths {
            one.parts = parts(&codeowners, &name, one.path);
        }
        super::print(&if self.json {
            serde_json::to_string(&answer)? + "\n"
        } else {
            human(&answer, &bytes)
        })?;
        let nobody =
            |p: &OwnedPath<'_>| p.why.is_some() || p.parts.iter().any(|part| part.why.is_some());
        let unowned = answer.paths.iter().any(nobody);
        Ok(ExitCode::from(u8::from(
            unowned || !answer.problems.is_empty(),
        )))
    }

    /// The name of the file as people know it, its content, and what it says.
    fn read(&self) -> anyhow::Result<(String, Vec<u8>, Codeowners)> {
        if let Some(file) = &self.codeowners {
            let name = file.display().to_string();
            let bytes = content(file)?;
            // Which location it will have is not known; it says the same in each.
            let mut codeowners = Codeowners::parse(LOCATIONS[0], &bytes);
            for problem in &mut codeowners.problems {
                problem.path.clone_from(&name);
            }
            return Ok((name, bytes, codeowners));
        }
        for location in LOCATIONS {
            let path = Path::new(location);
            // A folder of that name is none of git's files.
            let found = path.symlink_metadata();
            let Some(kind) = found.ok().filter(|kind| !kind.is_dir()) else {
                continue;
            };
            let mode = mode(&kind);
            let bytes = if kind.is_file() {
                content(path)?
            } else {
                Vec::new()
            };
            let file = File {
                path: location.to_owned(),
                mode,
                blob: BlobId::new(
                    git2::Oid::hash_object(git2::ObjectType::Blob, &bytes)?.to_string(),
                )?,
                bytes: bytes.clone().into(),
            };
            return Ok((location.to_owned(), bytes, Codeowners::in_force(&[file])));
        }
        bail!(
            "there is no CODEOWNERS here ({}); run this at the root of a repository, or name one with --codeowners",
            LOCATIONS.join(", ")
        )
    }
}

fn content(path: &Path) -> anyhow::Result<Vec<u8>> {
    let cannot = || format!("cannot read {}", path.display());
    let file = fs::File::open(path).with_context(cannot)?;
    let mut bytes = Vec::new();
    // One byte more than is accepted is enough to be refused.
    let limit = MAX_BYTES as u64 + 1;
    file.take(limit)
        .read_to_end(&mut bytes)
        .with_context(cannot)?;
    Ok(bytes)
}

/// The mode that git would store.
fn mode(kind: &fs::Metadata) -> u32 {
    if kind.is_symlink() {
        0o120_000
    } else if executable(kind) {
        0o100_755
    } else {
        REGULAR_FILE
    }
}

#[cfg(unix)]
fn executable(kind: &fs::Metadata) -> bool {
    std::os::unix::fs::PermissionsExt::mode(&kind.permissions()) & 0o100 != 0
}

#[cfg(not(unix))]
fn executable(_: &fs::Metadata) -> bool {
    false
}

fn asked(path: &str) -> anyhow::Result<RepoPath> {
    let inner = path.strip_prefix("./").unwrap_or(path);
    if inner.ends_with('/') || Path::new(inner).is_dir() {
        bail!("{path:?} is a folder; name a file in it, which need not exist");
    }
    RepoPath::new(inner).with_context(|| "cannot tell who owns that".to_owned())
}

fn owned<'a>(codeowners: &'a Codeowners, name: &str, path: &'a RepoPath) -> OwnedPath<'a> {
    let (owners, line, pattern, why) = match codeowners.owners(path) {
        Ownership::Owned {
            line,
            pattern,
            owners,
        } => (owners, Some(line), Some(pattern), None),
        Ownership::Cleared { line, pattern } => {
            let why = format!("line {line} of {name} is the last that matches, and names no owner");
            (&[][..], Some(line), Some(pattern), Some(why))
        }
        Ownership::Unowned => {
            let why = format!("no line of {name} matches");
            (&[][..], None, None, Some(why))
        }
    };
    OwnedPath {
        path: path.as_str(),
        owners: owners.iter().map(ToString::to_string).collect(),
        line,
        pattern,
        why,
        parts: Vec::new(),
    }
}

/// Who approves the parts of the bundles that a request at `path` can ask for, by the resources of this folder; none for anything
/// else. Of a request that is there, those of its role.
fn parts(codeowners: &Codeowners, name: &str, path: &str) -> Vec<OwnedPart> {
    let Ok(path) = GrantPath::new(path) else {
        return Vec::new();
    };
    let resource = path.resource();
    let files = [
        format!("access/resources/{resource}.yaml"),
        path.as_str().to_owned(),
    ];
    let files: Vec<File> = files.iter().filter_map(|path| read(path)).collect();
    let tree = parse::read_tree(&files);
    let asked = tree.grants.get(&path).map(|declared| &declared.grant.role);
    let roles = tree.resources.get(&resource).map(|r| &r.roles);
    let roles = roles.into_iter().flatten();
    let asked_for = roles.filter(|(role, _)| asked.is_none_or(|asked| asked == *role));
    let parts: BTreeSet<&RoleRef> = asked_for
        .filter_map(|(_, r)| r.bundled())
        .flatten()
        .collect();
    let part = |part: &RoleRef| {
        let alone = path.within(&part.resource).as_repo_path();
        let owned = owned(codeowners, name, &alone);
        OwnedPart {
            part: part.to_string(),
            owners: owned.owners,
            line: owned.line,
            pattern: owned.pattern.map(str::to_owned),
            why: owned.why,
        }
    };
    parts.into_iter().map(part).collect()
}

/// A file of this folder, if it is there and can be read; who owns a path is told without it too.
fn read(path: &str) -> Option<File> {
    let bytes = content(Path::new(path)).ok()?;
    let id = git2::Oid::hash_object(git2::ObjectType::Blob, &bytes).ok()?;
    Some(File {
        path: path.to_owned(),
        mode: REGULAR_FILE,
        blob: BlobId::new(id.to_string()).ok()?,
        bytes: bytes.into(),
    })
}

fn human(answer: &Answer<'_>, bytes: &[u8]) -> String {
    let mut out = String::new();
    // Writing to a String cannot fail.
    for one in &answer.paths {
        let who = match &one.why {
            None => one.owners.join(" "),
            Some(why) => format!("nobody: {why}"),
        };
        let _ = writeln!(out, "{}\n  {}", visible(one.path), visible(&who));
        if let (Some(line), Some(pattern)) = (one.line, one.pattern) {
            let place = format!("{}:{line}: {pattern}", answer.codeowners);
            let _ = writeln!(out, "  {}", visible(&place));
        }
        if !one.parts.is_empty() {
            out.push_str("  it is a bundle, and each part is approved by its own owners:\n");
        }
        for part in &one.parts {
            let who = match &part.why {
                None => part.owners.join(" "),
                Some(why) => format!("nobody: {why}"),
            };
            let place = match (part.line, &part.pattern) {
                (Some(line), Some(pattern)) => {
                    format!(" ({}:{line}: {pattern})", answer.codeowners)
                }
                _ => String::new(),
            };
            let _ = writeln!(out, "    {}: {}", part.part, visible(&(who + &place)));
        }
    }
    if !answer.problems.is_empty() {
        let source = |path: &str| {
            answer
                .problems
                .iter()
                .any(|p| p.path == path)
                .then_some(bytes)
        };
        let _ = write!(out, "\n{}", render::human(answer.problems, source));
        out.push_str("GitHub skips such lines or reads them in its own way; Hallpass grants nothing until they are repaired.\n");
    }
    out
}
