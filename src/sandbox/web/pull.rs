//! One pull request: what it changes, what the checks and people say, and what one may do with it.

use askama::Template;

use super::super::git::{self, FileChange};
use super::super::merging::MergeWish;
use super::super::model::{MergeMethod, Permission, ReviewSaid, Verdict};
use super::super::refusal::Refusal;
use super::super::world::{CheckRun, Comment, Pull, Review, World};
use super::frame::Frame;
use super::{Replied, Reply, Visit, at, markdown};

/// A word with its colour.
pub struct Pill {
    pub class: &'static str,
    pub word: String,
}

impl Pill {
    fn new(class: &'static str, word: impl Into<String>) -> Self {
        Self {
            class,
            word: word.into(),
        }
    }

    /// Where a pull request stands.
    pub fn of(pull: &Pull) -> Self {
        match (pull.open, pull.merged.is_some(), pull.draft) {
            (_, true, _) => Self::new("good", "Merged"),
            (false, ..) => Self::new("bad", "Closed"),
            (true, _, true) => Self::new("none", "Draft"),
            (true, ..) => Self::new("warn", "Open"),
        }
    }

    /// What a check says.
    pub fn of_check(run: &CheckRun) -> Self {
        let word = run.conclusion.as_deref().unwrap_or(&run.status);
        let class = match word {
            "success" => "good",
            "failure" | "timed_out" | "cancelled" => "bad",
            "neutral" | "skipped" => "none",
            _ => "warn",
        };
        Self::new(class, word.replace('_', " "))
    }
}

/// A check, as it is shown.
struct Check {
    id: u64,
    name: String,
    pill: Pill,
    title: String,
    summary: String,
    text: String,
    notes: Vec<Note>,
}

/// An annotation of a check.
struct Note {
    path: String,
    line: u64,
    level: String,
    message: String,
}

/// What somebody said.
struct Said {
    at: String,
    who: String,
    what: Pill,
    body: String,
    /// To put comments and reviews into one order.
    when: crate::domain::model::Instant,
}

/// A file that changes.
pub struct FileShown {
    pub path: String,
    pub status: &'static str,
    pub additions: usize,
    pub deletions: usize,
    /// Each line, and how it is shown.
    pub lines: Vec<(&'static str, String)>,
}

impl From<FileChange> for FileShown {
    fn from(file: FileChange) -> Self {
        let class = |line: &str| match line.as_bytes().first() {
            Some(b'+') => "plus",
            Some(b'-') => "minus",
            Some(b'@') => "at",
            _ => "same",
        };
        let patch = file.patch.unwrap_or_default();
        Self {
            path: file.path,
            status: file.status,
            additions: file.additions,
            deletions: file.deletions,
            lines: patch
                .lines()
                .map(|line| (class(line), line.to_owned()))
                .collect(),
        }
    }
}

/// What stands between an open pull request and its merge.
struct MergeBox {
    conflicts: bool,
    unmet: Vec<String>,
    /// Whether one may merge at all, and past the rules.
    may_merge: bool,
    may_bypass: bool,
}

#[derive(Template)]
#[template(path = "pull.html", config = "src/sandbox/web/askama.toml")]
struct Page {
    frame: Frame,
    repository: String,
    address: String,
    number: u64,
    title: String,
    pill: Pill,
    author: String,
    at: String,
    head: String,
    base: String,
    fork: bool,
    open: bool,
    merged: Option<String>,
    labels: Vec<String>,
    body: String,
    checks: Vec<Check>,
    said: Vec<Said>,
    files: Vec<FileShown>,
    merge: Option<MergeBox>,
}

impl Page {
    fn of(visit: &Visit<'_>, repo: usize, number: u64) -> Result<Self, Refusal> {
        let world = &*visit.world;
        let pull = world.pull(repo, number)?;
        let login = |id: u64| world.accounts[&id].login.clone();
        let merged = pull.merged.as_ref().map(|merged| {
            format!(
                "{} merged it as {} on {}.",
                login(merged.by),
                &merged.commit[..10],
                at(merged.at)
            )
        });
        Ok(Self {
            frame: Frame::of(visit, format!("#{number} {}", pull.title)),
            repository: visit.address(repo),
            address: format!("{}/pull/{number}", visit.address(repo)),
            number,
            title: pull.title.clone(),
            pill: Pill::of(pull),
            author: login(pull.author),
            at: at(pull.created_at),
            head: pull.head.clone(),
            base: pull.base.clone(),
            fork: pull.fork.is_some(),
            open: pull.open,
            merged,
            labels: pull.labels.clone(),
            body: markdown::shown(pull.body.as_deref().unwrap_or_default()),
            checks: checks(world, repo, &pull.head_sha),
            said: said(world, repo, pull),
            files: files(world, repo, pull)?,
            merge: pull
                .open
                .then(|| merge_box(visit, repo, pull))
                .transpose()?,
        })
    }
}

/// The checks of a commit, the latest of each name.
fn checks(world: &World, repo: usize, sha: &str) -> Vec<Check> {
    let runs = world.repos[repo].checks.values().rev();
    let mut found: Vec<Check> = Vec::new();
    for run in runs.filter(|run| run.head_sha == sha) {
        if found.iter().all(|known| known.name != run.name) {
            found.push(check(run));
        }
    }
    found
}

fn check(run: &CheckRun) -> Check {
    let text =
        |note: &serde_json::Value, name: &str| note[name].as_str().unwrap_or_default().to_owned();
    let note = |note: &serde_json::Value| Note {
        path: text(note, "path"),
        line: note["start_line"].as_u64().unwrap_or(1),
        level: text(note, "annotation_level"),
        message: text(note, "message"),
    };
    let shown = |text: &Option<String>| markdown::shown(text.as_deref().unwrap_or_default());
    Check {
        id: run.id,
        name: run.name.clone(),
        pill: Pill::of_check(run),
        title: run.title.clone().unwrap_or_default(),
        summary: shown(&run.summary),
        text: shown(&run.text),
        notes: run.annotations.iter().map(note).collect(),
    }
}

/// Comments and reviews, oldest first.
fn said(world: &World, repo: usize, pull: &Pull) -> Vec<Said> {
    let comments = world.repos[repo].comments.values();
    let comments = comments.filter(|comment| comment.number == pull.number);
    let comment = |one: &Comment| Said {
        at: at(one.created_at),
        who: world.accounts[&one.user].login.clone(),
        what: Pill::new("none", "commented"),
        body: markdown::shown(&one.body),
        when: one.created_at,
    };
    let review = |one: &Review| Said {
        at: at(one.submitted_at),
        who: world.accounts[&one.user].login.clone(),
        what: match one.said {
            ReviewSaid::Approved => Pill::new("good", "approved"),
            ReviewSaid::ChangesRequested => Pill::new("bad", "requested changes"),
            ReviewSaid::Commented => Pill::new("none", "reviewed"),
            ReviewSaid::Dismissed => Pill::new("none", "review dismissed"),
        },
        body: markdown::shown(&one.body),
        when: one.submitted_at,
    };
    let mut all: Vec<Said> = comments
        .map(comment)
        .chain(pull.reviews.iter().map(review))
        .collect();
    all.sort_by_key(|said| said.when);
    all
}

fn files(world: &World, repo: usize, pull: &Pull) -> Result<Vec<FileShown>, Refusal> {
    let git = world.git(repo)?;
    let (base, head) = (pull.base_sha.parse()?, pull.head_sha.parse()?);
    let changes = git::diff(&git, base, head)?;
    Ok(changes.into_iter().map(FileShown::from).collect())
}

fn merge_box(visit: &Visit<'_>, repo: usize, pull: &Pull) -> Result<MergeBox, Refusal> {
    let world = &*visit.world;
    let git = world.git(repo)?;
    let base = git::tip(&git, &format!("refs/heads/{}", pull.base))?;
    let head = pull.head_sha.parse()?;
    let permission = visit.you.and_then(|you| world.permission(you, repo));
    Ok(MergeBox {
        conflicts: !base.is_some_and(|base| git::mergeable(&git, base, head)),
        unmet: world.unmet(repo, pull)?,
        may_merge: permission >= Some(Permission::Push),
        may_bypass: permission >= Some(Permission::Admin),
    })
}

/// Pages and forms below `/OWNER/REPO/pull/N`.
pub fn route(visit: &mut Visit<'_>, repo: usize, method: &str, path: &[&str]) -> Replied {
    let Some((number, below)) = path.split_first() else {
        return Err(Refusal::not_found());
    };
    let number: u64 = number.parse().map_err(|_| Refusal::not_found())?;
    match (method, below) {
        ("GET", [] | ["files" | "checks" | "commits"]) => {
            Ok(Reply::Page(Page::of(visit, repo, number)?.render()?))
        }
        ("POST", [act]) => {
            let you = visit.actor()?;
            perform(visit, (repo, number), you, act)?;
            Ok(Reply::Goto(format!(
                "{}/pull/{number}",
                visit.address(repo)
            )))
        }
        _ => Err(Refusal::not_found()),
    }
}

/// Does what a button says.
fn perform(visit: &mut Visit<'_>, pull: (usize, u64), you: u64, act: &str) -> Result<(), Refusal> {
    let (repo, number) = pull;
    let body = visit.field("body").trim().to_owned();
    match act {
        "comment" if body.is_empty() => Err(Refusal::new(422, "A comment needs words.")),
        "comment" => visit
            .world
            .add_comment(repo, number, (you, None), body)
            .map(|_| ()),
        "approve" | "request-changes" => {
            let verdict = match act {
                "approve" => Verdict::Approve,
                _ => Verdict::RequestChanges,
            };
            visit
                .world
                .review(repo, number, you, verdict, &body, None)
                .map(|_| ())
        }
        "merge" => merge(visit, pull, you),
        "close" | "reopen" => {
            let author = visit.world.pull(repo, number)?.author;
            if author != you {
                visit.world.demand(you, repo, Permission::Triage)?;
            }
            match act {
                "close" => visit.world.close(repo, number, you),
                _ => visit.world.reopen(repo, number, you),
            }
        }
        _ => Err(Refusal::not_found()),
    }
}

fn merge(visit: &mut Visit<'_>, (repo, number): (usize, u64), you: u64) -> Result<(), Refusal> {
    let bypass = visit.field("past_the_rules") == "yes";
    let least = if bypass {
        Permission::Admin
    } else {
        Permission::Push
    };
    visit.world.demand(you, repo, least)?;
    let method = match visit.field("method") {
        "squash" => MergeMethod::Squash,
        "rebase" => MergeMethod::Rebase,
        _ => MergeMethod::Merge,
    };
    let wish = MergeWish {
        method,
        title: None,
        message: None,
        sha: None,
        bypass,
    };
    visit.world.merge(repo, number, you, None, wish).map(|_| ())
}
