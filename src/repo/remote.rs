//! Fetching and pushing.

use std::cell::RefCell;

use git2::{
    AutotagOption, FetchOptions, Oid, PushOptions, Reference, RemoteCallbacks, RemoteRedirect,
    Repository,
};

use super::history::{absent_is_none, commit_id};
use super::write::local;
use super::{Remote, RepoError, broken, transport};
use crate::domain::model::CommitId;

/// Refs are fetched to here first. What libgit2 offers to list the remote's refs panics on a name that is not UTF-8, which
/// anybody who may push can make; and what did not arrive here does not exist there.
const INCOMING: &str = "refs/hallpass/incoming/";

/// The tip that the remote is known to have had, of a branch that is never forced.
pub(super) fn known(branch: &str) -> String {
    format!("refs/hallpass/known/{branch}")
}

/// Brings the refs called `names` up to date with what is there, and what `passing` lead to; see [`super::Mirror::fetch`].
pub(super) fn fetch(
    repo: &Repository,
    remote: &Remote,
    names: &[String],
    passing: &[String],
) -> Result<(), RepoError> {
    if names.is_empty() && passing.is_empty() {
        return Ok(());
    }
    let arrived = arrive(repo, remote, &[names, passing].concat())?;
    // Deletions first: a branch `a` that is gone must not stand in the way of a new `a/b`.
    let (there, gone): (Vec<_>, Vec<_>) =
        names.iter().zip(arrived).partition(|(_, id)| id.is_some());
    for (name, _) in gone {
        delete(repo, name).map_err(broken(&format!("delete {name}")))?;
    }
    for (name, id) in there {
        if let Some(id) = id {
            repo.reference(name, id, true, "fetch")
                .map_err(broken(&format!("update {name}")))?;
        }
    }
    Ok(())
}

/// Fetches `names`, and tells for each what the remote has there.
fn arrive(
    repo: &Repository,
    remote: &Remote,
    names: &[String],
) -> Result<Vec<Option<Oid>>, RepoError> {
    let incoming = |name: &str| format!("{INCOMING}{}", name.trim_start_matches("refs/"));
    if let Some(name) = names.iter().find(|name| !Reference::is_valid_name(name)) {
        return Err(RepoError::Refused {
            reason: format!("{name:?} is no name for a ref"),
        });
    }
    clear(repo).map_err(broken("clear incoming refs"))?;
    let specs: Vec<String> = names
        .iter()
        .map(|name| format!("+{name}:{}", incoming(name)))
        .collect();
    transport::session(remote, &format!("fetch from {}", remote.url), || {
        repo.remote_anonymous(&remote.url)?
            .fetch(&specs, Some(&mut options()), None)
    })?;
    let ids = names
        .iter()
        .map(|name| absent_is_none(repo.refname_to_id(&incoming(name))));
    let ids = ids
        .collect::<Result<_, _>>()
        .map_err(broken("read incoming refs"))?;
    clear(repo).map_err(broken("clear incoming refs"))?;
    Ok(ids)
}

pub(super) fn options<'a>() -> FetchOptions<'a> {
    let mut options = FetchOptions::new();
    options
        .download_tags(AutotagOption::None)
        .update_fetchhead(false)
        .follow_redirects(RemoteRedirect::None);
    options
}

fn clear(repo: &Repository) -> Result<(), git2::Error> {
    for reference in repo.references_glob(&format!("{INCOMING}*"))? {
        reference?.delete()?;
    }
    Ok(())
}

fn delete(repo: &Repository, name: &str) -> Result<(), git2::Error> {
    match absent_is_none(repo.find_reference(name))? {
        Some(mut reference) => reference.delete(),
        None => Ok(()),
    }
}

/// See [`super::Mirror::fetch_commits`].
///
/// # Errors
/// [`RepoError::Unavailable`], [`RepoError::Refused`].
pub fn fetch_commits(
    repo: &Repository,
    remote: &Remote,
    commits: &[CommitId],
) -> Result<(), RepoError> {
    let absent = |wanted: &[Oid]| -> Result<Vec<Oid>, git2::Error> {
        let odb = repo.odb()?;
        odb.refresh()?;
        Ok(wanted
            .iter()
            .copied()
            .filter(|id| !odb.exists(*id))
            .collect())
    };
    let wanted: Vec<Oid> = commits
        .iter()
        .filter_map(|id| Oid::from_str(id.as_str()).ok())
        .collect();
    let missing = absent(&wanted).map_err(broken("look for commits"))?;
    if missing.is_empty() {
        return Ok(());
    }
    ask_for(repo, remote, &missing)?;
    // One id that the server will not give spoils the whole question, so ask for what is still missing one by one.
    let missing = absent(&missing).map_err(broken("look for commits"))?;
    if wanted.len() > 1 {
        for id in missing {
            ask_for(repo, remote, &[id])?;
        }
    }
    Ok(())
}

/// Asks for objects by id. That the server does not know them or does not let us ask is no error.
fn ask_for(repo: &Repository, remote: &Remote, ids: &[Oid]) -> Result<(), RepoError> {
    let specs: Vec<String> = ids.iter().map(Oid::to_string).collect();
    transport::session(
        remote,
        &format!("fetch commits from {}", remote.url),
        || {
            let asked = repo
                .remote_anonymous(&remote.url)?
                .download(&specs, Some(&mut options()));
            match asked {
                Err(_) if !transport::failed() => Ok(()),
                result => result,
            }
        },
    )
}

/// See [`super::Mirror::push`].
pub(super) fn push(
    repo: &Repository,
    remote: &Remote,
    branch: &str,
    force: bool,
) -> Result<(), RepoError> {
    let (source, target) = (local(branch), format!("refs/heads/{branch}"));
    let ours =
        absent_is_none(repo.refname_to_id(&source)).map_err(broken("read a local branch"))?;
    let ours = ours.ok_or_else(|| RepoError::NoRevision(source.clone()))?;
    let spec = format!("{}{source}:{target}", if force { "+" } else { "" });
    let heard = RefCell::new(Heard::default());
    transport::session(remote, &format!("push {branch} to {}", remote.url), || {
        let mut options = PushOptions::new();
        options
            .remote_callbacks(heard_by(&heard))
            .packbuilder_parallelism(1)
            .follow_redirects(RemoteRedirect::None);
        repo.remote_anonymous(&remote.url)?
            .push(&[&spec], Some(&mut options))
    })?;
    match heard.into_inner() {
        Heard {
            status: Some(Err(reason)),
            said,
        } => {
            let said = one_line(&said);
            let said = if said.is_empty() {
                said
            } else {
                format!(" ({said})")
            };
            return Err(RepoError::Refused {
                reason: format!("{branch}: {}{said}", one_line(&reason)),
            });
        }
        Heard {
            status: Some(Ok(())),
            ..
        } => {}
        // It had nothing to report: see for ourselves whether our commit is what stands there.
        Heard { status: None, .. } => {
            if arrive(repo, remote, std::slice::from_ref(&target))? != [Some(ours)] {
                return Err(RepoError::Refused {
                    reason: format!("{branch}: the remote did not take {}", commit_id(ours)),
                });
            }
        }
    }
    let noted = repo.reference(&target, ours, true, "push").and_then(|_| {
        if force {
            return delete(repo, &known(branch));
        }
        repo.reference(&known(branch), ours, true, "push").map(drop)
    });
    noted.map_err(broken("note what was pushed"))
}

/// What the server says about a push.
#[derive(Default)]
pub(super) struct Heard {
    pub(super) status: Option<Result<(), String>>,
    said: String,
}

pub(super) fn heard_by(heard: &RefCell<Heard>) -> RemoteCallbacks<'_> {
    let mut callbacks = RemoteCallbacks::new();
    callbacks.push_update_reference(|_, problem| {
        heard.borrow_mut().status = Some(problem.map_or(Ok(()), |problem| Err(problem.to_owned())));
        Ok(())
    });
    callbacks.sideband_progress(|bytes| {
        let said = &mut heard.borrow_mut().said;
        if said.len() < 1000 {
            said.push_str(&String::from_utf8_lossy(bytes));
        }
        true
    });
    callbacks
}

/// What somebody else said, as one line of at most 300 characters without control characters.
pub(super) fn one_line(text: &str) -> String {
    let words = text
        .split(|c: char| c.is_whitespace() || c.is_control())
        .filter(|word| !word.is_empty());
    words
        .collect::<Vec<_>>()
        .join(" ")
        .chars()
        .take(300)
        .collect()
}
