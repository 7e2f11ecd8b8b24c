//! The pages of a repository: its pull requests, its files, its commits.

use askama::Template;
use git2::{Commit, ObjectType, Oid, Repository};

use super::super::git;
use super::super::refusal::Refusal;
use super::super::world::Pull;
use super::frame::Frame;
use super::pull::{FileShown, Pill};
use super::{Replied, Reply, Visit, at, change, pull};

/// How many commits are listed.
const COMMITS: usize = 100;

/// A line of a list of pull requests.
struct Row {
    number: u64,
    title: String,
    author: String,
    at: String,
    pill: Pill,
    labels: Vec<String>,
}

#[derive(Template)]
#[template(path = "pulls.html", config = "src/sandbox/web/askama.toml")]
struct Pulls {
    frame: Frame,
    address: String,
    /// The open ones, and the others.
    groups: Vec<(&'static str, Vec<Row>)>,
}

#[derive(Template)]
#[template(path = "tree.html", config = "src/sandbox/web/askama.toml")]
struct Tree {
    frame: Frame,
    /// The address of the repository.
    address: String,
    reference: String,
    branches: Vec<String>,
    path: String,
    /// The names, and whether each is a folder.
    entries: Vec<(String, bool)>,
}

#[derive(Template)]
#[template(path = "blob.html", config = "src/sandbox/web/askama.toml")]
struct Blob {
    frame: Frame,
    address: String,
    reference: String,
    is_branch: bool,
    path: String,
    lines: Vec<String>,
}

#[derive(Template)]
#[template(path = "commits.html", config = "src/sandbox/web/askama.toml")]
struct Commits {
    frame: Frame,
    address: String,
    reference: String,
    branches: Vec<String>,
    commits: Vec<CommitRow>,
}

struct CommitRow {
    id: String,
    subject: String,
    author: String,
    at: String,
}

#[derive(Template)]
#[template(path = "commit.html", config = "src/sandbox/web/askama.toml")]
struct CommitPage {
    frame: Frame,
    address: String,
    row: CommitRow,
    message: String,
    files: Vec<FileShown>,
}

/// What a page is of: a branch or a commit, and a path in it.
pub struct Place {
    pub reference: String,
    pub is_branch: bool,
    commit: Oid,
    pub path: String,
}

/// Pages and forms below `/OWNER/REPO`.
pub fn route(visit: &mut Visit<'_>, repo: usize, method: &str, path: &[&str]) -> Replied {
    match (method, path) {
        ("GET", [] | ["pulls"]) => pulls(visit, repo),
        (_, ["pull", rest @ ..]) => pull::route(visit, repo, method, rest),
        ("GET", ["runs", id]) => run(visit, repo, id),
        ("GET", ["tree" | "blob", rest @ ..]) => files(visit, repo, rest),
        ("GET", ["commits", rest @ ..]) => commits(visit, repo, rest),
        ("GET", ["commit", id]) => commit(visit, repo, id),
        (_, ["new" | "edit" | "delete", ..]) => change::route(visit, repo, method, path),
        _ => Err(Refusal::not_found()),
    }
}

fn pulls(visit: &Visit<'_>, repo: usize) -> Replied {
    let row = |pull: &Pull| Row {
        number: pull.number,
        title: pull.title.clone(),
        author: visit.world.accounts[&pull.author].login.clone(),
        at: at(pull.created_at),
        pill: Pill::of(pull),
        labels: pull.labels.clone(),
    };
    let all = visit.world.repos[repo].pulls.values().rev();
    let (open, closed): (Vec<&Pull>, Vec<&Pull>) = all.partition(|pull| pull.open);
    let page = Pulls {
        frame: Frame::of(visit, "Pull requests"),
        address: visit.address(repo),
        groups: vec![
            ("Open", open.into_iter().map(row).collect()),
            ("Merged or closed", closed.into_iter().map(row).collect()),
        ],
    };
    Ok(Reply::Page(page.render()?))
}

/// The page of a check run is that of the pull request that it is about.
fn run(visit: &Visit<'_>, repo: usize, id: &str) -> Replied {
    let repository = &visit.world.repos[repo];
    let id: u64 = id.parse().map_err(|_| Refusal::not_found())?;
    let run = repository.checks.get(&id).ok_or_else(Refusal::not_found)?;
    let mut pulls = repository.pulls.values().rev();
    let pull = pulls.find(|pull| pull.head_sha == run.head_sha);
    let number = pull.ok_or_else(Refusal::not_found)?.number;
    Ok(Reply::Goto(format!(
        "{}/pull/{number}#check-{id}",
        visit.address(repo)
    )))
}

/// The branches of a repository, by name.
fn branches(git: &Repository) -> Result<Vec<String>, Refusal> {
    let mut names = Vec::new();
    for reference in git.references_glob("refs/heads/*")? {
        let reference = reference?;
        let name = String::from_utf8_lossy(reference.name_bytes());
        names.extend(name.strip_prefix("refs/heads/").map(str::to_owned));
    }
    names.sort();
    Ok(names)
}

/// Reads a branch, whose name may have slashes, or a commit, and what follows.
pub fn place(git: &Repository, parts: &[&str]) -> Result<Place, Refusal> {
    for taken in (1..=parts.len()).rev() {
        let reference = parts[..taken].join("/");
        let path = parts[taken..].join("/");
        if let Some(commit) = git::tip(git, &format!("refs/heads/{reference}"))? {
            return Ok(Place {
                reference,
                is_branch: true,
                commit,
                path,
            });
        }
    }
    let (first, rest) = parts.split_first().ok_or_else(Refusal::not_found)?;
    let commit = Oid::from_str(first).and_then(|id| git.find_commit(id));
    let commit = commit.map_err(|_| Refusal::not_found())?.id();
    Ok(Place {
        reference: (*first).to_owned(),
        is_branch: false,
        commit,
        path: rest.join("/"),
    })
}

fn files(visit: &Visit<'_>, repo: usize, parts: &[&str]) -> Replied {
    let git = visit.world.git(repo)?;
    let place = place(&git, parts)?;
    let tree = git.find_commit(place.commit)?.tree()?;
    let object = match place.path.as_str() {
        "" => tree.into_object(),
        path => tree.get_path(path.as_ref())?.to_object(&git)?,
    };
    let frame = |what: &str| Frame::of(visit, format!("{what} in {}", place.reference));
    if let Some(blob) = object.as_blob() {
        let text = String::from_utf8_lossy(blob.content());
        let page = Blob {
            frame: frame(&place.path),
            address: visit.address(repo),
            lines: text.lines().map(str::to_owned).collect(),
            reference: place.reference,
            is_branch: place.is_branch,
            path: place.path,
        };
        return Ok(Reply::Page(page.render()?));
    }
    let tree = object.peel_to_tree()?;
    let entry = |entry: git2::TreeEntry<'_>| {
        let name = String::from_utf8_lossy(entry.name_bytes()).into_owned();
        (name, entry.kind() == Some(ObjectType::Tree))
    };
    let page = Tree {
        frame: frame(if place.path.is_empty() {
            "Files"
        } else {
            &place.path
        }),
        address: visit.address(repo),
        branches: branches(&git)?,
        entries: tree.iter().map(entry).collect(),
        reference: place.reference,
        path: place.path,
    };
    Ok(Reply::Page(page.render()?))
}

fn commit_row(commit: &Commit<'_>) -> CommitRow {
    let message = String::from_utf8_lossy(commit.message_bytes()).into_owned();
    let author = commit.author();
    let seconds = commit.time().seconds();
    CommitRow {
        id: commit.id().to_string(),
        subject: message.lines().next().unwrap_or_default().to_owned(),
        author: String::from_utf8_lossy(author.name_bytes()).into_owned(),
        at: chrono::DateTime::from_timestamp(seconds, 0)
            .map(at)
            .unwrap_or_default(),
    }
}

fn commits(visit: &Visit<'_>, repo: usize, parts: &[&str]) -> Replied {
    let git = visit.world.git(repo)?;
    let place = place(&git, parts)?;
    let mut walk = git.revwalk()?;
    walk.push(place.commit)?;
    let mut commits = Vec::new();
    for id in walk.take(COMMITS) {
        commits.push(commit_row(&git.find_commit(id?)?));
    }
    let page = Commits {
        frame: Frame::of(visit, format!("Commits of {}", place.reference)),
        address: visit.address(repo),
        branches: branches(&git)?,
        reference: place.reference,
        commits,
    };
    Ok(Reply::Page(page.render()?))
}

fn commit(visit: &Visit<'_>, repo: usize, id: &str) -> Replied {
    let git = visit.world.git(repo)?;
    let place = place(&git, &[id])?;
    let commit = git.find_commit(place.commit)?;
    let before = commit
        .parents()
        .next()
        .map(|parent| parent.tree())
        .transpose()?;
    let files = git::diff_trees(&git, before.as_ref(), &commit.tree()?)?;
    let row = commit_row(&commit);
    let page = CommitPage {
        frame: Frame::of(visit, row.subject.clone()),
        address: visit.address(repo),
        row,
        message: String::from_utf8_lossy(commit.message_bytes()).into_owned(),
        files: files.into_iter().map(FileShown::from).collect(),
    };
    Ok(Reply::Page(page.render()?))
}
