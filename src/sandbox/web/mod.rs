//! The stand-in's web pages: as much of GitHub's as people need to sign in, ask, review and merge.
//!
//! Plain HTML from templates that escape what they show; nothing runs in the browser. Who "you" are is a choice and no proof, so
//! all of this is for one machine: a page answers only under the name of this machine, which no other site can point at us, and a
//! form counts only if it comes from one of our own pages.

mod change;
mod frame;
mod login;
mod markdown;
mod pull;
mod repository;

use std::sync::Arc;

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use sha2::{Digest as _, Sha256};

use crate::domain::model::Instant;

use super::model::Permission;
use super::oauth::Fields;
use super::refusal::Refusal;
use super::server::{Shared, Whole};
use super::world::World;
use super::{locked, oauth};

const STYLE: &str = include_str!("templates/style.css");

/// Where a program exchanges a code for a token.
const EXCHANGE: &str = "/login/oauth/access_token";

/// The cookie that holds who the browser says that it is.
const COOKIE: &str = "stand-in-you";

/// What a request comes to.
enum Reply {
    /// A page.
    Page(String),
    /// A page whose forms may end at another site: the origin.
    PageTowards(String, String),
    /// On to another address.
    Goto(String),
    /// On to another address, as this person from now on.
    GotoAs(String, String),
}

/// What every handler answers.
type Replied = Result<Reply, Refusal>;

impl From<askama::Error> for Refusal {
    fn from(error: askama::Error) -> Self {
        Self::new(500, format!("the page could not be written: {error}"))
    }
}

/// One visit to a page.
struct Visit<'w> {
    world: &'w mut World,
    /// Of the query and of the form.
    fields: Fields,
    /// Who the browser says that it is.
    you: Option<u64>,
    /// The address, from the root, with its query.
    here: String,
    /// The repository that the page is of.
    repo: Option<usize>,
}

impl Visit<'_> {
    fn field(&self, name: &str) -> &str {
        self.fields
            .get(name)
            .map(String::as_str)
            .unwrap_or_default()
    }

    /// The address of a repository's pages.
    fn address(&self, repo: usize) -> String {
        format!("/{}", self.world.full_name(repo))
    }

    /// Who acts; nobody does without having said who they are.
    fn actor(&self) -> Result<u64, Refusal> {
        self.you
            .ok_or_else(|| Refusal::new(403, "Choose who you are first."))
    }
}

/// Serves a request that is neither REST nor git.
pub async fn serve(shared: Arc<Shared>, request: Whole) -> Response {
    // Git works in the handlers, so they must not hold up the other requests.
    let answered = tokio::task::spawn_blocking(move || {
        if request.path == EXCHANGE && request.method == "POST" {
            return exchange(&shared, &request);
        }
        page(&shared, &request)
    });
    answered.await.unwrap_or_else(|panic| {
        let words = format!("the page panicked: {panic}");
        (StatusCode::INTERNAL_SERVER_ERROR, words).into_response()
    })
}

/// A program exchanges a code. It says by `Accept` how it wants to be answered.
fn exchange(shared: &Shared, request: &Whole) -> Response {
    let operation = format!("POST {EXCHANGE}");
    shared.called(&operation);
    if let Some((status, _)) = locked(&shared.faults).take(&operation) {
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        return (status, "The stand-in was told to fail.").into_response();
    }
    let answer = locked(&shared.world).exchange(&fields(request));
    if request
        .header("accept")
        .is_some_and(|accept| accept.contains("application/json"))
    {
        let json = "application/json; charset=utf-8";
        return ([(header::CONTENT_TYPE, json)], answer.to_string()).into_response();
    }
    let form = "application/x-www-form-urlencoded; charset=utf-8";
    ([(header::CONTENT_TYPE, form)], oauth::as_form(&answer)).into_response()
}

/// The fields of the query, and of the form or the JSON object that was sent.
fn fields(request: &Whole) -> Fields {
    let mut fields: Fields = url::form_urlencoded::parse(request.query.as_bytes())
        .into_owned()
        .collect();
    let kind = request.header("content-type").unwrap_or_default();
    if kind.starts_with("application/json") {
        let sent: serde_json::Map<String, serde_json::Value> =
            serde_json::from_slice(&request.body).unwrap_or_default();
        let texts = sent
            .into_iter()
            .filter_map(|(name, value)| value.as_str().map(|text| (name, text.to_owned())));
        fields.extend(texts);
    } else {
        fields.extend(url::form_urlencoded::parse(&request.body).into_owned());
    }
    fields
}

fn page(shared: &Shared, request: &Whole) -> Response {
    let mut world = locked(&shared.world);
    if let Err(refusal) = admissible(&world.base, request) {
        return (StatusCode::FORBIDDEN, refusal.message).into_response();
    }
    let query = match request.query.as_str() {
        "" => String::new(),
        query => format!("?{query}"),
    };
    let mut visit = Visit {
        you: you(&world, &request.headers),
        fields: fields(request),
        here: format!("{}{query}", request.path),
        repo: None,
        world: &mut world,
    };
    let replied = route(&mut visit, &request.method, &request.path);
    let (status, reply) = match replied {
        Ok(reply) => (200, reply),
        Err(refusal) => (
            refusal.status,
            Reply::Page(frame::refused(&visit, &refusal)),
        ),
    };
    respond(status, reply)
}

/// Refuses what another site may have set going: a request under a name that is not this machine's, and a form that does not come
/// from one of our pages.
fn admissible(base: &str, request: &Whole) -> Result<(), Refusal> {
    let port = base.rsplit(':').next().unwrap_or_default();
    let ours = ["127.0.0.1", "localhost"].map(|name| format!("{name}:{port}"));
    let host = request.header("host").unwrap_or_default();
    if !ours.iter().any(|name| name == host) {
        let words = format!("The stand-in's pages are at {base}, and nowhere else.");
        return Err(Refusal::new(403, words));
    }
    let origin = request.header("origin").unwrap_or_default();
    if request.method != "GET" && origin != format!("http://{host}") {
        return Err(Refusal::new(403, "A form of another site."));
    }
    Ok(())
}

/// Who the cookie names, if there is such a person.
fn you(world: &World, headers: &HeaderMap) -> Option<u64> {
    let cookies = headers.get_all(header::COOKIE).iter();
    let login = cookies
        .filter_map(|cookies| cookies.to_str().ok())
        .flat_map(|cookies| cookies.split(';'))
        .find_map(|cookie| cookie.trim().strip_prefix(COOKIE)?.strip_prefix('='))?;
    let mut people = world.people().into_iter();
    people.find_map(|(id, name)| (name == login).then_some(id))
}

fn route(visit: &mut Visit<'_>, method: &str, path: &str) -> Replied {
    let parts: Vec<String> = path
        .split('/')
        .skip(1)
        .map(super::server::decoded)
        .collect();
    let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
    match (method, parts.as_slice()) {
        ("GET", ["login"]) => login::named(visit),
        ("POST", ["login"]) => login::choose(visit),
        ("GET", ["login", "oauth", "authorize"]) => login::ask(visit),
        ("POST", ["login", "oauth", "authorize"]) => login::answer(visit),
        ("GET", [""]) => frame::home(visit),
        (_, [owner, repo, below @ ..]) => {
            let repo = visible(visit, owner, repo)?;
            visit.repo = Some(repo);
            repository::route(visit, repo, method, below)
        }
        _ => Err(Refusal::not_found()),
    }
}

/// The repository, if there is one and one may see it.
fn visible(visit: &Visit<'_>, owner: &str, repo: &str) -> Result<usize, Refusal> {
    let name = format!("{owner}/{repo}");
    let repo = visit
        .world
        .repo_named(&name)
        .ok_or_else(Refusal::not_found)?;
    let you = visit.you.ok_or_else(Refusal::not_found)?;
    visit.world.demand(you, repo, Permission::Pull)?;
    Ok(repo)
}

/// An instant, as it is shown.
fn at(instant: Instant) -> String {
    instant.format("%Y-%m-%d %H:%M:%S UTC").to_string()
}

fn respond(status: u16, reply: Reply) -> Response {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let (mut response, towards) = match reply {
        Reply::Page(page) => ((status, Body::from(page)).into_response(), String::new()),
        Reply::PageTowards(page, origin) => ((status, Body::from(page)).into_response(), origin),
        Reply::Goto(to) => (onward(&to, None), String::new()),
        Reply::GotoAs(to, login) => (onward(&to, Some(&login)), String::new()),
    };
    let style = STANDARD.encode(Sha256::digest(STYLE));
    let policy = format!(
        "default-src 'none'; style-src 'sha256-{style}'; form-action 'self' {towards}; base-uri 'none'; frame-ancestors 'none'"
    );
    let fixed = [
        ("content-type", "text/html; charset=utf-8"),
        ("content-security-policy", &policy),
        ("x-content-type-options", "nosniff"),
        // Not `no-referrer`, with which a browser would hide where our own forms come from.
        ("referrer-policy", "same-origin"),
        ("cache-control", "no-store"),
    ];
    for (name, value) in fixed {
        if let Ok(value) = HeaderValue::from_str(value) {
            response.headers_mut().insert(name, value);
        }
    }
    response
}

fn onward(to: &str, login: Option<&str>) -> Response {
    let mut response = StatusCode::SEE_OTHER.into_response();
    let cookie = login.map(|login| format!("{COOKIE}={login}; Path=/; HttpOnly; SameSite=Lax"));
    let set = [
        (header::LOCATION, Some(to.to_owned())),
        (header::SET_COOKIE, cookie),
    ];
    for (name, value) in set {
        if let Some(value) = value.and_then(|value| HeaderValue::from_str(&value).ok()) {
            response.headers_mut().insert(name, value);
        }
    }
    response
}
