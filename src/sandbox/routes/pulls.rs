//! Pull requests.

use git2::Oid;

use crate::sandbox::call::{Answer, Answered, Call};
use crate::sandbox::git;
use crate::sandbox::pulling::{Edit, NewPull};
use crate::sandbox::refusal::Refusal;
use crate::sandbox::render::{commits as shapes, pulls};
use crate::sandbox::world::{Pull, World};

/// `GET /repos/{owner}/{repo}/pulls`.
pub fn list(world: &mut World, call: &Call) -> Answered {
    let repo = call.repository()?;
    let state = call.query("state").unwrap_or("open");
    let wanted = |pull: &&Pull| {
        (state == "all" || (state == "open") == pull.open)
            // GitHub takes no notice of a `head` without an owner.
            && call.query("head").is_none_or(|head| !head.contains(':') || pulls::label_of(world, pull).eq_ignore_ascii_case(head))
            && call.query("base").is_none_or(|base| pull.base == base)
    };
    let all: Vec<Pull> = world.repos[repo]
        .pulls
        .values()
        .map(|pull| shown(world, pull))
        .collect();
    let mut found: Vec<&Pull> = all.iter().filter(wanted).collect();
    if call.query("sort") == Some("updated") {
        found.sort_by_key(|pull| pull.updated_at);
    }
    let ascending = match call.query("direction") {
        Some(direction) => direction == "asc",
        None => !matches!(call.query("sort"), None | Some("created")),
    };
    if !ascending {
        found.reverse();
    }
    Ok(call.page(
        found
            .into_iter()
            .map(|pull| pulls::pull_simple(world, repo, pull))
            .collect(),
    ))
}

/// `POST /repos/{owner}/{repo}/pulls`.
pub fn create(world: &mut World, call: &Call) -> Answered {
    let repo = call.repository()?;
    let new = NewPull {
        head: call.needed("head")?,
        base: call.needed("base")?,
        title: call.needed("title")?,
        body: call.text("body"),
        draft: call.value("draft").unwrap_or(false),
    };
    let number = world.open_pull(repo, call.user()?, new)?;
    Ok(Answer::json(
        201,
        pulls::pull(world, repo, world.pull(repo, number)?)?,
    ))
}

/// `GET /repos/{owner}/{repo}/pulls/{pull_number}`.
pub fn get(world: &mut World, call: &Call) -> Answered {
    let repo = call.repository()?;
    let pull = world.pull(repo, call.number("pull_number")?)?;
    Ok(Answer::ok(pulls::pull(world, repo, &shown(world, pull))?))
}

/// A pull request as it is shown now.
fn shown(world: &World, pull: &Pull) -> Pull {
    let mut pull = pull.clone();
    if world.lags && pull.merged.take().is_some() {
        pull.open = true;
        pull.closed_at = None;
    }
    pull
}

/// `PATCH /repos/{owner}/{repo}/pulls/{pull_number}`.
pub fn update(world: &mut World, call: &Call) -> Answered {
    let repo = call.repository()?;
    let (number, by) = (call.number("pull_number")?, call.user()?);
    world.pull(repo, number)?;
    let edit = Edit {
        title: call.text("title"),
        body: call.text("body"),
        base: call.text("base"),
    };
    world.edit(repo, number, edit, by)?;
    match call.text("state").as_deref() {
        Some("closed") => world.close(repo, number, by)?,
        Some("open") => world.reopen(repo, number, by)?,
        _ => {}
    }
    Ok(Answer::ok(pulls::pull(
        world,
        repo,
        world.pull(repo, number)?,
    )?))
}

fn ends(git: &git2::Repository, pull: &Pull) -> Result<(Oid, Oid), Refusal> {
    Ok((pulls::base_of(git, pull)?, Oid::from_str(&pull.head_sha)?))
}

/// `GET /repos/{owner}/{repo}/pulls/{pull_number}/commits`: at most 250.
pub fn commits(world: &mut World, call: &Call) -> Answered {
    let repo = call.repository()?;
    let git = world.git(repo)?;
    let (base, head) = ends(&git, world.pull(repo, call.number("pull_number")?)?)?;
    let mut found = Vec::new();
    for id in git::commits_between(&git, base, head)?
        .into_iter()
        .take(250)
    {
        found.push(shapes::commit(world, repo, &git.find_commit(id)?));
    }
    Ok(call.page(found))
}

/// `GET /repos/{owner}/{repo}/pulls/{pull_number}/files`: at most 3000.
pub fn files(world: &mut World, call: &Call) -> Answered {
    let repo = call.repository()?;
    let git = world.git(repo)?;
    let pull = world.pull(repo, call.number("pull_number")?)?;
    let (base, head) = ends(&git, pull)?;
    let files = git::diff(&git, base, head)?;
    Ok(call.page(
        files
            .iter()
            .take(3000)
            .map(|file| shapes::file(world, repo, &pull.head_sha, file))
            .collect(),
    ))
}
