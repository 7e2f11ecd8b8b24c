//! Which paths Hallpass reads, and what each of them is.

use super::Fault;
use crate::domain::codeowners::LOCATIONS;
use crate::domain::finding::Place;
use crate::domain::model::{
    GrantPath, Login, RecordPath, ReleasePath, RepoPath, ResourceName, ServiceName, SheetPath,
    is_name,
};

/// The longest path that is accepted under `access/`, in bytes.
pub const MAX_PATH: usize = 200;

/// What a governed path is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Governed {
    Grant(GrantPath),
    Person(Login),
    Service(ServiceName),
    Resource(ResourceName),
    Policy(RepoPath),
    PolicyTest(RepoPath),
    Emergency(RecordPath),
    Release(ReleasePath),
    Reviews,
    Sheet(SheetPath),
    Codeowners(&'static str),
    Attributes,
}

/// What `path` is; `None` for a path that Hallpass does not govern, a fault for one that lies in its realm and has no place there.
pub(crate) fn classify(path: &str) -> Option<Result<Governed, Fault>> {
    if let Some(location) = LOCATIONS.iter().find(|location| **location == path) {
        return Some(Ok(Governed::Codeowners(location)));
    }
    if path == ".gitattributes" || path.ends_with("/.gitattributes") {
        return Some(Ok(Governed::Attributes));
    }
    if path != "access" && !path.starts_with("access/") {
        return None;
    }
    Some(within_access(path))
}

fn within_access(path: &str) -> Result<Governed, Fault> {
    if path.len() > MAX_PATH {
        let what = format!("the path has {} bytes; the limit is {MAX_PATH}", path.len());
        return Err(fault("path-too-long", what, "Choose shorter names."));
    }
    let parts: Vec<&str> = path.split('/').skip(1).collect();
    match parts[..] {
        ["grants", resource, file] => {
            named(path, &[resource, stem(path, file, ".yaml")?])?;
            GrantPath::new(path)
                .map(Governed::Grant)
                .map_err(|_| bad_name(path))
        }
        ["people", file] => {
            let login = stem(path, file, ".yaml")?;
            let lower = !login
                .bytes()
                .any(|b| b.is_ascii_uppercase() || matches!(b, b'[' | b']'));
            match Login::new(login) {
                Ok(login) if lower => Ok(Governed::Person(login)),
                _ => Err(fault(
                    "bad-path",
                    format!("{login:?} is not a GitHub login in lower case"),
                    "Name the file after the login, in lower case: access/people/<login>.yaml.",
                )),
            }
        }
        ["services", file] => ServiceName::new(stem(path, file, ".yaml")?)
            .map(Governed::Service)
            .map_err(|_| bad_name(path)),
        ["resources", file] => ResourceName::new(stem(path, file, ".yaml")?)
            .map(Governed::Resource)
            .map_err(|_| bad_name(path)),
        ["emergencies", resource, file] => {
            named(path, &[resource])?;
            stem(path, file, ".yaml")?;
            RecordPath::new(path)
                .map(Governed::Emergency)
                .map_err(|_| not_a_record(path))
        }
        ["releases", scope, file] => {
            named(path, &[scope])?;
            stem(path, file, ".yaml")?;
            ReleasePath::new(path)
                .map(Governed::Release)
                .map_err(|_| not_a_release(path))
        }
        ["reviews.yaml"] => Ok(Governed::Reviews),
        ["reviews", _, file] => {
            stem(path, file, ".yaml")?;
            SheetPath::new(path)
                .map(Governed::Sheet)
                .map_err(|_| not_a_sheet(path))
        }
        ["policies", file] => {
            let of_path = RepoPath::new(path).map_err(|_| bad_name(path));
            if let Some(name) = file.strip_suffix(".test.yaml") {
                named(path, &[name])?;
                return of_path.map(Governed::PolicyTest);
            }
            named(path, &[stem(path, file, ".cedar")?])?;
            of_path.map(Governed::Policy)
        }
        _ => Err(unknown(path)),
    }
}

fn stem<'f>(path: &str, file: &'f str, ending: &str) -> Result<&'f str, Fault> {
    if let Some(stem) = file.strip_suffix(ending) {
        return Ok(stem);
    }
    let known = [".yml", ".yaml", ".YAML", ".YML", ".json"];
    if known.iter().any(|other| file.ends_with(other)) {
        let what = format!("files here end in `{ending}`, and {file:?} does not");
        return Err(fault("bad-path", what, "Rename the file."));
    }
    Err(unknown(path))
}

fn named(path: &str, names: &[&str]) -> Result<(), Fault> {
    if names.iter().all(|name| is_name(name)) {
        Ok(())
    } else {
        Err(bad_name(path))
    }
}

fn bad_name(path: &str) -> Fault {
    fault(
        "bad-path",
        format!(
            "{path:?} holds a name with other characters than lower-case letters, digits and hyphens"
        ),
        "Rename it: each name is [a-z0-9][a-z0-9-]*, at most 100 characters.",
    )
}

fn not_a_record(path: &str) -> Fault {
    fault(
        "bad-path",
        format!(
            "{path:?} is not named after a grant and the first 12 digits of the merge that brought it"
        ),
        "Leave access/emergencies/ to Hallpass, which writes what is to be reviewed there.",
    )
}

fn not_a_release(path: &str) -> Fault {
    fault(
        "bad-path",
        format!("{path:?} is not named after 12 digits of what it releases"),
        "Leave access/releases/ to Hallpass, which writes there what it holds back.",
    )
}

fn not_a_sheet(path: &str) -> Fault {
    fault(
        "bad-path",
        format!("{path:?} is not named after a day, owners and 12 digits"),
        "Leave access/reviews/ to Hallpass, which writes there what owners are asked.",
    )
}

fn unknown(path: &str) -> Fault {
    fault(
        "unknown-file",
        format!("{path:?} is none of the files that an access repository has"),
        "Under access/ belong grants/<resource>/<name>.yaml, people/<login>.yaml, services/<name>.yaml, \
         resources/<name>.yaml, policies/<name>.cedar, policies/<name>.test.yaml and reviews.yaml. Move or remove the file.",
    )
}

/// The fault of every file that is not a regular file in git.
pub(super) fn mode_fault(mode: u32) -> Fault {
    let (what, help) = match mode {
        0o120_000 => (
            "a symbolic link, whose content is elsewhere",
            "Replace the link by what it leads to.",
        ),
        0o160_000 => (
            "a submodule, whose content is elsewhere",
            "Put the files themselves here.",
        ),
        0o100_755 => (
            "executable",
            "Run `chmod a-x` on it, and `git add --chmod=-x` where the file system has no such mode.",
        ),
        _ => ("not a regular file", "Make it a regular file."),
    };
    fault(
        "file-mode",
        format!("the file is {what} (git mode {mode:06o})"),
        help,
    )
}

fn fault(rule: &'static str, message: String, help: &str) -> Fault {
    Fault {
        rule,
        place: Place::START,
        message,
        help: help.into(),
    }
}
