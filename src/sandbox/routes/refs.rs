//! Branches and refs.

use git2::{ErrorCode, Oid};
use serde_json::{Value, json};

use crate::sandbox::call::{Answer, Answered, Call};
use crate::sandbox::changes::Moved;
use crate::sandbox::git;
use crate::sandbox::refusal::Refusal;
use crate::sandbox::render::{commits, repos};
use crate::sandbox::world::World;

fn heads(world: &World, repo: usize) -> Result<Vec<(String, Oid)>, Refusal> {
    let git = world.git(repo)?;
    let mut found = Vec::new();
    for reference in git.references_glob("refs/heads/*")? {
        let reference = reference?;
        if let Some(target) = reference.target() {
            found.push((
                reference
                    .name()?
                    .trim_start_matches("refs/heads/")
                    .to_owned(),
                target,
            ));
        }
    }
    found.sort();
    Ok(found)
}

/// `GET /repos/{owner}/{repo}/branches`.
pub fn branches(world: &mut World, call: &Call) -> Answered {
    let repo = call.repository()?;
    let url = world.repo_url(repo);
    let ruled = world.repos[repo].ruleset.is_some();
    let guarded = |name: &str| ruled && world.is_guarded(repo, name);
    let wanted = |name: &str| {
        call.query("protected")
            .is_none_or(|wanted| (wanted == "true") == guarded(name))
    };
    let shape = |(name, id): (String, Oid)| {
        let sha = id.to_string();
        json!({ "name": name, "protected": guarded(&name), "commit": { "sha": sha, "url": format!("{url}/commits/{sha}") } })
    };
    Ok(call.page(
        heads(world, repo)?
            .into_iter()
            .filter(|(name, _)| wanted(name))
            .map(shape)
            .collect(),
    ))
}

/// `GET /repos/{owner}/{repo}/branches/{branch}`.
pub fn branch(world: &mut World, call: &Call) -> Answered {
    let repo = call.repository()?;
    let name = call.param("branch");
    let git = world.git(repo)?;
    let tip = git::tip(&git, &format!("refs/heads/{name}"))?
        .ok_or_else(|| Refusal::new(404, "Branch not found"))?;
    let guarded = world.repos[repo].ruleset.is_some() && world.is_guarded(repo, name);
    let this = format!(
        "{}/branches/{}",
        world.repo_url(repo),
        commits::path_escape(name)
    );
    Ok(Answer::ok(json!({
        "name": name,
        "commit": commits::commit(world, repo, &git.find_commit(tip)?),
        "_links": { "self": this, "html": format!("{}/tree/{}", world.repo_page(repo), commits::path_escape(name)) },
        "protected": guarded,
        "protection": { "enabled": guarded },
        "protection_url": format!("{this}/protection"),
    })))
}

fn shown(world: &World, repo: usize, name: &str, id: Oid) -> Value {
    repos::reference(world, repo, name, &id.to_string())
}

/// `GET /repos/{owner}/{repo}/git/ref/{ref}`.
pub fn get(world: &mut World, call: &Call) -> Answered {
    let repo = call.repository()?;
    let name = format!("refs/{}", call.param("ref"));
    let id = git::tip(&world.git(repo)?, &name)?.ok_or_else(Refusal::not_found)?;
    Ok(Answer::ok(shown(world, repo, &name, id)))
}

/// `GET /repos/{owner}/{repo}/git/matching-refs/{ref}`.
pub fn matching(world: &mut World, call: &Call) -> Answered {
    let repo = call.repository()?;
    let prefix = format!("refs/{}", call.param("ref"));
    let git = world.git(repo)?;
    let mut found = Vec::new();
    for reference in git.references()? {
        let reference = reference?;
        if let (Ok(name), Some(id)) = (reference.name(), reference.target())
            && name.starts_with(&prefix)
        {
            found.push(shown(world, repo, name, id));
        }
    }
    Ok(Answer::ok(found.into()))
}

fn wanted(world: &World, repo: usize, call: &Call) -> Result<Oid, Refusal> {
    let sha = call.needed("sha")?;
    let commit = Oid::from_str(&sha).and_then(|id| {
        world
            .git(repo)
            .map(|git| git.find_commit(id).map(|commit| commit.id()))
            .unwrap_or(Ok(id))
    });
    commit.map_err(|_| Refusal::new(422, "Object does not exist"))
}

/// 422 where the rules keep the caller from moving the protected branch by hand.
fn guard(world: &World, repo: usize, name: &str, call: &Call) -> Result<(), Refusal> {
    let branch = name.strip_prefix("refs/heads/");
    if branch.is_some_and(|branch| world.is_guarded(repo, branch))
        && !world.may_bypass(repo, call.user()?, call.app(world))
    {
        return Err(Refusal::new(
            422,
            "Repository rule violations found\n\nChanges must be made through a pull request.\n\n",
        ));
    }
    if !name.starts_with("refs/heads/")
        && !name.starts_with("refs/tags/")
        && name.matches('/').count() < 2
    {
        return Err(Refusal::new(
            422,
            "Reference name must start with 'refs' and have at least two slashes",
        ));
    }
    Ok(())
}

/// `POST /repos/{owner}/{repo}/git/refs`.
pub fn create(world: &mut World, call: &Call) -> Answered {
    let repo = call.repository()?;
    let name = call.needed("ref")?;
    guard(world, repo, &name, call)?;
    let id = wanted(world, repo, call)?;
    if git::tip(&world.git(repo)?, &name)?.is_some() {
        return Err(Refusal::new(422, "Reference already exists"));
    }
    world
        .move_ref(
            repo,
            Moved {
                reference: name.clone(),
                before: None,
                after: Some(id),
                by: call.user()?,
                merge: false,
            },
        )
        .map_err(invalid_name)?;
    Ok(Answer::json(201, shown(world, repo, &name, id)))
}

fn invalid_name(refusal: Refusal) -> Refusal {
    if refusal.status == 404 {
        Refusal::new(422, "Reference name is invalid")
    } else {
        refusal
    }
}

/// `PATCH /repos/{owner}/{repo}/git/refs/{ref}`.
pub fn update(world: &mut World, call: &Call) -> Answered {
    let repo = call.repository()?;
    let name = format!("refs/{}", call.param("ref"));
    guard(world, repo, &name, call)?;
    let id = wanted(world, repo, call)?;
    let git = world.git(repo)?;
    let before =
        git::tip(&git, &name)?.ok_or_else(|| Refusal::new(422, "Reference does not exist"))?;
    if !git::contains(&git, id, before) && call.value::<bool>("force") != Some(true) {
        return Err(Refusal::new(422, "Update is not a fast forward"));
    }
    world.move_ref(
        repo,
        Moved {
            reference: name.clone(),
            before: Some(before),
            after: Some(id),
            by: call.user()?,
            merge: false,
        },
    )?;
    Ok(Answer::ok(shown(world, repo, &name, id)))
}

/// `DELETE /repos/{owner}/{repo}/git/refs/{ref}`.
pub fn delete(world: &mut World, call: &Call) -> Answered {
    let repo = call.repository()?;
    let name = format!("refs/{}", call.param("ref"));
    guard(world, repo, &name, call)?;
    let before = match world.git(repo)?.refname_to_id(&name) {
        Ok(id) => id,
        Err(error) if error.code() == ErrorCode::NotFound => {
            return Err(Refusal::new(422, "Reference does not exist"));
        }
        Err(error) => return Err(error.into()),
    };
    world.move_ref(
        repo,
        Moved {
            reference: name,
            before: Some(before),
            after: None,
            by: call.user()?,
            merge: false,
        },
    )?;
    Ok(Answer::empty())
}
