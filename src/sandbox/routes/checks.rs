//! Check runs. Only Apps make them.

use chrono::DateTime;
use serde_json::{Value, json};

use crate::domain::model::Instant;
use crate::sandbox::call::{Answer, Answered, Call};
use crate::sandbox::refusal::Refusal;
use crate::sandbox::render::{checks, events};
use crate::sandbox::world::{CheckRun, World};

use super::commits::resolve;

/// GitHub's limit for the texts of an output.
const LONGEST: usize = 65_535;

/// `POST /repos/{owner}/{repo}/check-runs`.
pub fn create(world: &mut World, call: &Call) -> Answered {
    let repo = call.repository()?;
    let app = call
        .app(world)
        .ok_or_else(|| Refusal::new(403, "You must authenticate via a GitHub App."))?;
    let head_sha = call.needed("head_sha")?;
    let found = resolve(&world.git(repo)?, &head_sha)?.to_string();
    if found != head_sha {
        return Err(Refusal::new(
            422,
            format!("No commit found for SHA: {head_sha}"),
        ));
    }
    let suite = world.repos[repo]
        .checks
        .values()
        .find(|run| run.app == app && run.head_sha == head_sha)
        .map(|run| run.suite);
    let (id, suite) = (world.fresh_id(), suite.unwrap_or_else(|| world.fresh_id()));
    let mut run = CheckRun {
        id,
        suite,
        app,
        name: call.needed("name")?,
        head_sha,
        status: "queued".to_owned(),
        conclusion: None,
        started_at: world.now(),
        completed_at: None,
        details_url: None,
        external_id: String::new(),
        title: None,
        summary: None,
        text: None,
        annotations: Vec::new(),
    };
    apply(&mut run, call, world.now())?;
    let shape = keep(world, repo, run, "created", call)?;
    Ok(Answer::json(201, shape))
}

/// `PATCH /repos/{owner}/{repo}/check-runs/{check_run_id}`.
pub fn update(world: &mut World, call: &Call) -> Answered {
    let repo = call.repository()?;
    let mut run = find(world, call)?.clone();
    if Some(run.app) != call.app(world) {
        return Err(Refusal::new(
            403,
            "Invalid app_id `{app}` - check run can only be modified by the GitHub App that created it.",
        ));
    }
    let was_completed = run.status == "completed";
    apply(&mut run, call, world.now())?;
    let action = if run.status == "completed" && !was_completed {
        Some("completed")
    } else {
        None
    };
    let shape = match action {
        Some(action) => keep(world, repo, run, action, call)?,
        None => {
            let shape = checks::check(world, repo, &run);
            world.repos[repo].checks.insert(run.id, run);
            shape
        }
    };
    Ok(Answer::ok(shape))
}

/// Keeps a run and tells about it. A run that is created completed is told twice, as GitHub does.
fn keep(
    world: &mut World,
    repo: usize,
    run: CheckRun,
    action: &str,
    call: &Call,
) -> Result<Value, Refusal> {
    let by = call.user()?;
    world
        .post
        .send("check_run", events::check(world, repo, &run, action, by));
    if action == "created" && run.status == "completed" {
        world.post.send(
            "check_run",
            events::check(world, repo, &run, "completed", by),
        );
    }
    let shape = checks::check(world, repo, &run);
    world.repos[repo].checks.insert(run.id, run);
    Ok(shape)
}

fn instant(call: &Call, name: &str) -> Option<Instant> {
    call.text(name)
        .and_then(|text| DateTime::parse_from_rfc3339(&text).ok())
        .map(|at| at.to_utc())
}

fn apply(run: &mut CheckRun, call: &Call, now: Instant) -> Result<(), Refusal> {
    let set = |field: &mut String, name: &str| {
        if let Some(text) = call.text(name) {
            *field = text;
        }
    };
    set(&mut run.name, "name");
    set(&mut run.external_id, "external_id");
    set(&mut run.status, "status");
    run.details_url = call.text("details_url").or(run.details_url.take());
    run.started_at = instant(call, "started_at").unwrap_or(run.started_at);
    match call.text("conclusion") {
        Some(conclusion) => {
            // A conclusion completes the run, whatever the status says.
            run.conclusion = Some(conclusion);
            "completed".clone_into(&mut run.status);
            run.completed_at = instant(call, "completed_at").or(Some(now));
        }
        None if run.status == "completed" && run.conclusion.is_none() => {
            return Err(Refusal::new(
                422,
                "Invalid request.\n\n\"conclusion\" wasn't supplied.",
            ));
        }
        None if run.status != "completed" => {
            run.conclusion = None;
            run.completed_at = None;
        }
        None => {}
    }
    output(run, &call.body["output"])
}

fn output(run: &mut CheckRun, output: &Value) -> Result<(), Refusal> {
    let text = |name: &str| output[name].as_str().map(str::to_owned);
    for name in ["summary", "text"] {
        if text(name).is_some_and(|text| text.len() > LONGEST) {
            return Err(Refusal::new(
                422,
                format!(
                    "Invalid request.\n\nOnly {LONGEST} characters are allowed; output.{name} has more."
                ),
            ));
        }
    }
    run.title = text("title").or(run.title.take());
    run.summary = text("summary").or(run.summary.take());
    run.text = text("text").or(run.text.take());
    let annotations = output["annotations"]
        .as_array()
        .cloned()
        .unwrap_or_default();
    if annotations.len() > 50 {
        return Err(Refusal::new(
            422,
            "Invalid request.\n\nNo more than 50 items are allowed.",
        ));
    }
    // Every update adds to the annotations.
    run.annotations.extend(annotations);
    Ok(())
}

fn find<'w>(world: &'w World, call: &Call) -> Result<&'w CheckRun, Refusal> {
    let id = call.number("check_run_id")?;
    world.repos[call.repository()?]
        .checks
        .get(&id)
        .ok_or_else(Refusal::not_found)
}

/// `GET /repos/{owner}/{repo}/check-runs/{check_run_id}`.
pub fn get(world: &mut World, call: &Call) -> Answered {
    let run = find(world, call)?;
    Ok(Answer::ok(checks::check(world, call.repository()?, run)))
}

/// `GET /repos/{owner}/{repo}/check-runs/{check_run_id}/annotations`.
pub fn annotations(world: &mut World, call: &Call) -> Answered {
    let run = find(world, call)?;
    let page = world.repo_page(call.repository()?);
    let shape = |annotation: &Value| {
        let mut shape = annotation.clone();
        for field in [
            "start_column",
            "end_column",
            "title",
            "message",
            "raw_details",
            "annotation_level",
        ] {
            if shape.get(field).is_none() {
                shape[field] = Value::Null;
            }
        }
        shape["blob_href"] = format!(
            "{page}/blob/{}/{}",
            run.head_sha,
            annotation["path"].as_str().unwrap_or_default()
        )
        .into();
        shape
    };
    Ok(call.page(run.annotations.iter().map(shape).collect()))
}

/// `GET /repos/{owner}/{repo}/commits/{ref}/check-runs`: by default the latest of each name.
pub fn of_commit(world: &mut World, call: &Call) -> Answered {
    let repo = call.repository()?;
    let sha = resolve(&world.git(repo)?, call.param("ref"))?.to_string();
    let wanted = |run: &&CheckRun| {
        run.head_sha == sha
            && call.query("check_name").is_none_or(|name| run.name == name)
            && call
                .query("status")
                .is_none_or(|status| run.status == status)
            && call
                .query("app_id")
                .is_none_or(|app| run.app.to_string() == app)
    };
    let mut found: Vec<&CheckRun> = world.repos[repo].checks.values().filter(wanted).collect();
    found.reverse();
    if call.query("filter") != Some("all") {
        let mut seen: Vec<(u64, &str)> = Vec::new();
        found.retain(|run| {
            let key = (run.app, run.name.as_str());
            let new = !seen.contains(&key);
            seen.push(key);
            new
        });
    }
    let total = found.len();
    let shapes = found
        .into_iter()
        .map(|run| checks::check(world, repo, run))
        .collect();
    Ok(call.page_of(
        shapes,
        |page| json!({ "total_count": total, "check_runs": page }),
    ))
}
