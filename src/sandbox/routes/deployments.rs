//! Runs of workflows that wait for an environment, and what Apps say of them.

use serde_json::{Value, json};

use crate::sandbox::call::{Answer, Answered, Call};
use crate::sandbox::refusal::Refusal;
use crate::sandbox::render::runs;
use crate::sandbox::world::{Environment, Run, World};

/// How many words an App may lose on one job: GitHub's own limit.
/// <https://docs.github.com/en/actions/managing-workflow-runs-and-deployments/managing-deployments/creating-custom-deployment-protection-rules>
const WORDS: usize = 10;

fn find<'w>(world: &'w World, call: &Call) -> Result<&'w Environment, Refusal> {
    world
        .environment(call.repository()?, call.param("environment_name"))
        .ok_or_else(Refusal::not_found)
}

/// `GET /repos/{owner}/{repo}/environments/{environment_name}`.
pub fn environment(world: &mut World, call: &Call) -> Answered {
    let found = find(world, call)?;
    Ok(Answer::ok(runs::environment(
        world,
        call.repository()?,
        found,
    )))
}

/// `GET /repos/{owner}/{repo}/environments/{environment_name}/deployment_protection_rules`.
pub fn rules(world: &mut World, call: &Call) -> Answered {
    let rules = find(world, call)?.rules.iter();
    let rules: Vec<Value> = rules.map(|rule| runs::rule(world, rule)).collect();
    Ok(Answer::ok(
        json!({ "total_count": rules.len(), "custom_deployment_protection_rules": rules }),
    ))
}

/// `GET /repos/{owner}/{repo}/actions/runs`: the latest first.
pub fn runs(world: &mut World, call: &Call) -> Answered {
    let repo = call.repository()?;
    let status = call.query("status");
    let wanted = |run: &&Run| status.is_none_or(|status| run.status() == status);
    let found = world.repos[repo].runs.values().rev().filter(wanted);
    let shapes: Vec<Value> = found.map(|run| runs::run(world, repo, run)).collect();
    let total = shapes.len();
    Ok(call.page_of(
        shapes,
        |page| json!({ "total_count": total, "workflow_runs": page }),
    ))
}

fn find_run<'w>(world: &'w World, call: &Call) -> Result<&'w Run, Refusal> {
    let id = call.number("run_id")?;
    let runs = &world.repos[call.repository()?].runs;
    runs.get(&id).ok_or_else(Refusal::not_found)
}

/// `GET /repos/{owner}/{repo}/actions/runs/{run_id}`.
pub fn run(world: &mut World, call: &Call) -> Answered {
    let run = find_run(world, call)?;
    Ok(Answer::ok(runs::run(world, call.repository()?, run)))
}

/// `GET /repos/{owner}/{repo}/actions/runs/{run_id}/pending_deployments`.
pub fn pending(world: &mut World, call: &Call) -> Answered {
    let (repo, run) = (call.repository()?, find_run(world, call)?);
    let waiting = run.jobs.iter().filter(|job| run.waits_for(job));
    let environments = waiting.filter_map(|job| world.environment(repo, &job.environment));
    let shapes = environments.map(|found| runs::pending(world, repo, found));
    Ok(Answer::ok(shapes.collect()))
}

/// `POST /repos/{owner}/{repo}/actions/runs/{run_id}/deployment_protection_rule`: an App answers for its own rule only.
pub fn review(world: &mut World, call: &Call) -> Answered {
    let (repo, id) = (call.repository()?, find_run(world, call)?.id);
    let app = call.app(world).ok_or_else(Refusal::not_found)?;
    let environment = call.needed("environment_name")?;
    let (state, now) = (call.text("state"), world.now());
    let none_waits = || Refusal::new(422, "No pending deployment protection rule of this App");
    let run = world.repos[repo].runs.get_mut(&id);
    let run = run.ok_or_else(Refusal::not_found)?;
    let over = run.cancelled;
    let waits = |job: &&mut crate::sandbox::world::Job| {
        job.environment.eq_ignore_ascii_case(&environment) && job.apps.contains(&app)
    };
    let job = run.jobs.iter_mut().find(waits);
    let job = job.filter(|job| !over && !job.rejected);
    let job = job.ok_or_else(none_waits)?;
    let comment = call.text("comment").unwrap_or_default();
    let passes = match state.as_deref() {
        Some("approved") => Some(true),
        Some("rejected") => Some(false),
        Some(_) => return Err(Refusal::new(422, "Validation Failed")),
        None if job.said.len() >= WORDS => {
            return Err(Refusal::new(422, "Too many status reports"));
        }
        None => None,
    };
    if passes.is_some() {
        job.apps.remove(&app);
        job.rejected = passes == Some(false);
    }
    job.said.push((passes, comment));
    run.updated_at = now;
    Ok(Answer::empty())
}
