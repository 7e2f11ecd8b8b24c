//! Git over HTTP, by git's own server: `git http-backend`, one child process for each request.

use std::fs::File;
use std::io::{Seek as _, Write as _};

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use git2::Oid;
use http::{HeaderName, HeaderValue, StatusCode};
use tokio::process::Command;

use super::auth::{Caller, Needs};
use super::changes::Moved;
use super::locked;
use super::model::Permission;
use super::refusal::Refusal;
use super::server::{Shared, Whole};

/// What a request is about.
struct Target {
    repo: usize,
    /// `info/refs`, `git-upload-pack` or `git-receive-pack`.
    below: String,
    by: u64,
    app: Option<u64>,
}

/// A line of a push: this ref from here to there.
#[derive(Debug, Clone, PartialEq, Eq)]
struct PushLine {
    before: Oid,
    after: Oid,
    reference: String,
}

/// Serves one request of git.
pub async fn serve(shared: &Shared, request: Whole) -> Response {
    let target = match target(shared, &request) {
        Ok(target) => target,
        Err(refusal) => return refused(&refusal),
    };
    let answered = if target.below == "git-receive-pack" {
        receive(shared, &target, &request).await
    } else {
        run(shared, &target, &request, &[]).await
    };
    answered.unwrap_or_else(|refusal| refused(&refusal))
}

fn refused(refusal: &Refusal) -> Response {
    let status = StatusCode::from_u16(refusal.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = (status, refusal.message.clone()).into_response();
    if status == StatusCode::UNAUTHORIZED {
        response.headers_mut().insert(
            "www-authenticate",
            HeaderValue::from_static("Basic realm=\"GitHub\""),
        );
    }
    response
}

/// Finds the repository, and asks whether the caller may read or write it.
fn target(shared: &Shared, request: &Whole) -> Result<Target, Refusal> {
    let (name, below) = request
        .path
        .trim_start_matches('/')
        .split_once(".git/")
        .ok_or_else(Refusal::not_found)?;
    let writes = below == "git-receive-pack" || request.query.contains("service=git-receive-pack");
    let world = locked(&shared.world);
    let caller = world.caller(request.header("authorization"))?;
    let Caller::Token(token) = &caller else {
        return Err(Refusal::new(401, "Repository not found. Give a token."));
    };
    let repo = world.repo_named(name).ok_or_else(Refusal::not_found)?;
    let needs = if writes {
        Needs::Write(&["contents"])
    } else {
        Needs::Read(&["contents"])
    };
    world.permit(&caller, needs, Some(repo))?;
    let app = token.installation.as_ref().and_then(|(id, _)| {
        world
            .installations
            .iter()
            .find(|installation| installation.id == *id)
    });
    if app.is_none() && writes {
        world.demand(token.user, repo, Permission::Push)?;
    }
    let service = if writes {
        "GIT receive-pack"
    } else {
        "GIT upload-pack"
    };
    if below != "info/refs" {
        shared.called(service);
    }
    Ok(Target {
        repo,
        below: below.to_owned(),
        by: token.user,
        app: app.map(|installation| installation.app),
    })
}

/// A push: refuses what rules or switches refuse, lets git do the rest, and lets everything follow from what git did.
async fn receive(shared: &Shared, target: &Target, request: &Whole) -> Result<Response, Refusal> {
    if request
        .header("content-encoding")
        .is_some_and(|encoding| encoding != "identity")
    {
        return Err(Refusal::new(415, "A push must not be compressed"));
    }
    let _one_at_a_time = shared.pushing.lock().await;
    let commands = commands(&request.body);
    let (rejected, reason) = rejected(shared, target, &commands);
    let environment = [
        ("SANDBOX_REJECT", rejected.join(" ")),
        ("SANDBOX_REASON", reason),
    ];
    let response = run(shared, target, request, &environment).await?;
    let mut world = locked(&shared.world);
    let git = world.git(target.repo)?;
    for command in commands {
        let some = |id: Oid| (!id.is_zero()).then_some(id);
        let (before, after) = (some(command.before), some(command.after));
        if before != after
            && super::git::tip(&git, &command.reference)? == after
            && !rejected.contains(&command.reference)
        {
            world.ref_moved(
                target.repo,
                &Moved {
                    reference: command.reference,
                    before,
                    after,
                    by: target.by,
                    merge: false,
                },
            )?;
        }
    }
    Ok(response)
}

/// The refs of a push that are refused, and why.
fn rejected(shared: &Shared, target: &Target, commands: &[PushLine]) -> (Vec<String>, String) {
    let all = || {
        commands
            .iter()
            .map(|command| command.reference.clone())
            .collect()
    };
    if let Some(reason) = &locked(&shared.faults).reject_push {
        return (all(), reason.clone());
    }
    let world = locked(&shared.world);
    if world.may_bypass(target.repo, target.by, target.app) {
        return (Vec::new(), String::new());
    }
    let guarded = |reference: &String| {
        let branch = reference.strip_prefix("refs/heads/");
        branch.is_some_and(|branch| world.is_guarded(target.repo, branch))
    };
    let refused: Vec<String> = commands
        .iter()
        .map(|command| command.reference.clone())
        .filter(guarded)
        .collect();
    let reason = format!(
        "Repository rule violations found for {}. Changes must be made through a pull request.",
        refused.join(", ")
    );
    (refused, reason)
}

/// The commands at the head of a push: pkt-lines of `old new ref`, the first with capabilities behind a NUL, then a flush.
fn commands(mut body: &[u8]) -> Vec<PushLine> {
    let mut found = Vec::new();
    while let Some((length, rest)) = body.split_at_checked(4) {
        let length = std::str::from_utf8(length)
            .ok()
            .and_then(|length| usize::from_str_radix(length, 16).ok())
            .unwrap_or(0);
        let Some((line, rest)) = length
            .checked_sub(4)
            .and_then(|length| rest.split_at_checked(length))
        else {
            break;
        };
        body = rest;
        let line = line.split(|byte| *byte == 0).next().unwrap_or_default();
        let line = String::from_utf8_lossy(line);
        let mut words = line.trim_end().splitn(3, ' ');
        if let (Some(before), Some(after), Some(reference)) =
            (words.next(), words.next(), words.next())
            && let (Ok(before), Ok(after)) = (Oid::from_str(before), Oid::from_str(after))
        {
            found.push(PushLine {
                before,
                after,
                reference: reference.to_owned(),
            });
        }
    }
    found
}

/// Runs `git http-backend` on a request.
async fn run(
    shared: &Shared,
    target: &Target,
    request: &Whole,
    environment: &[(&str, String)],
) -> Result<Response, Refusal> {
    let mut command = backend(shared, target, request);
    for (name, value) in environment {
        command.env(name, value);
    }
    let failed = |error: std::io::Error| Refusal::new(500, format!("git http-backend: {error}"));
    command.stdin(file_of(&request.body).map_err(failed)?);
    let output = command.output().await.map_err(failed)?;
    response_of(&output.stdout).ok_or_else(|| {
        let words = String::from_utf8_lossy(&output.stderr);
        Refusal::new(500, format!("git http-backend: {words}"))
    })
}

/// A file without a name that holds `body`, to be read from its beginning. Not a pipe, which would end early where we do: git waits at full
/// speed, and for ever, for what was announced to it and does not come.
fn file_of(body: &[u8]) -> std::io::Result<File> {
    let mut file = tempfile::tempfile()?;
    file.write_all(body)?;
    file.rewind()?;
    Ok(file)
}

/// Variables that would lead git to another repository.
const MISLEADING: [&str; 5] = [
    "GIT_DIR",
    "GIT_WORK_TREE",
    "GIT_INDEX_FILE",
    "GIT_OBJECT_DIRECTORY",
    "GIT_NAMESPACE",
];

/// The CGI environment of a request.
#[expect(
    clippy::disallowed_methods,
    reason = "the stand-in is served by git itself"
)]
fn backend(shared: &Shared, target: &Target, request: &Whole) -> Command {
    let world = locked(&shared.world);
    let path = world.repos[target.repo].path.strip_prefix(&world.dir);
    let path = path.map(|path| path.display().to_string());
    let path = format!("/{}/{}", path.unwrap_or_default(), target.below);
    let header = |name: &str| request.header(name).unwrap_or_default();
    let mut command = Command::new("git");
    command.arg("http-backend").kill_on_drop(true);
    for name in MISLEADING {
        command.env_remove(name);
    }
    command
        .env("GIT_PROJECT_ROOT", &world.dir)
        .env("GIT_HTTP_EXPORT_ALL", "1")
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("PATH_INFO", path)
        .env("QUERY_STRING", &request.query)
        .env("REQUEST_METHOD", &request.method)
        .env("REMOTE_USER", target.by.to_string())
        .env("REMOTE_ADDR", "127.0.0.1")
        .env("CONTENT_LENGTH", request.body.len().to_string())
        .env("CONTENT_TYPE", header("content-type"))
        .env("HTTP_CONTENT_ENCODING", header("content-encoding"))
        .env("GIT_PROTOCOL", header("git-protocol"));
    command
}

/// Reads a CGI answer: headers, an empty line, the body.
fn response_of(output: &[u8]) -> Option<Response> {
    let at = output.windows(4).position(|window| window == b"\r\n\r\n")?;
    let mut response = Response::new(Body::from(output[at + 4..].to_vec()));
    for line in std::str::from_utf8(&output[..at]).ok()?.lines() {
        let (name, value) = line.split_once(':')?;
        let value = value.trim();
        if name.eq_ignore_ascii_case("status") {
            *response.status_mut() = value
                .split(' ')
                .next()
                .and_then(|code| code.parse().ok())
                .and_then(|code| StatusCode::from_u16(code).ok())?;
            continue;
        }
        response.headers_mut().insert(
            HeaderName::try_from(name).ok()?,
            HeaderValue::from_str(value).ok()?,
        );
    }
    Some(response)
}
