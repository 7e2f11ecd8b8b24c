//! To end access at once: the question, and the answer.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use futures_util::future::OptionFuture;
use tracing::{info, warn};
use url::form_urlencoded;

use super::gate::{Viewer, go};
use super::shown::{Shown, declared, reading};
use super::{Answer, Instead, Page, busy, html, nothing, plain};
use crate::domain::catalogue::Catalogue;
use crate::domain::causes::chain;
use crate::domain::ledger::Entry;
use crate::domain::model::{GrantId, Owner};
use crate::domain::render::page;
use crate::domain::visitor::{self, Called, REASON_LONGEST, REASON_SHORTEST};

/// The largest form.
const LARGEST: usize = 16 * 1024;

/// How long a form may take to arrive.
const ARRIVAL: Duration = Duration::from_secs(10);

/// How long GitHub may take to say who somebody is before the question is shown without it.
const PATIENCE: Duration = Duration::from_secs(10);

/// `GET /grant/{resource}/{name}/end`: asks whether it is really meant, unless it is not theirs to end.
pub(super) async fn ask(
    State(page): State<Arc<Page>>,
    viewer: Viewer,
    Path(path): Path<(String, String)>,
) -> Answer {
    let entry = entry(&page, &path).await?;
    if !entry.state.may_be_held() || entry.called_off.is_some() {
        return Ok(go(&place(&entry.id)));
    }
    // Looking at the question takes no turn from those who answer it.
    let turn = match page.asking.available_permits() {
        0..=2 => None,
        _ => page.asking.try_acquire().ok(),
    };
    let kept = OptionFuture::from(turn.as_ref().map(|_| {
        let kept = page.worker.kept_from_calling_off(&entry.id, &viewer.actor);
        tokio::time::timeout(PATIENCE, kept)
    }));
    match kept.await {
        Some(Ok(Ok(Some(Called::NotTheirs(owners))))) => {
            let why = not_theirs(&owners);
            question(
                &page,
                &viewer,
                &entry,
                (Some(&why), None, StatusCode::FORBIDDEN),
            )
            .await
        }
        // Who cannot be asked about now is asked about when the answer comes.
        _ => question(&page, &viewer, &entry, (None, Some(""), StatusCode::OK)).await,
    }
}

/// Whether `viewer` may be one of those who may end `entry`, by what the protected branch declares.
pub(super) fn may_be_theirs(declared: &Catalogue, entry: &Entry, viewer: &Viewer) -> bool {
    let subject = entry.subject_and_role().map(|(subject, _)| subject);
    let accountable = subject
        .map(|s| declared.beneficiaries(s))
        .unwrap_or_default();
    let owners = visitor::owners_of(&declared.codeowners, entry);
    visitor::holds(entry, &accountable, &viewer.actor) || visitor::may_own(owners, &viewer.actor)
}

/// `POST /grant/{resource}/{name}/end`: ends it, if this is theirs to end.
pub(super) async fn end(
    State(page): State<Arc<Page>>,
    viewer: Viewer,
    Path(path): Path<(String, String)>,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    let fields = form(&page, &viewer, (&headers, body)).await?;
    let reason = fields.get("reason").map_or("", String::as_str);
    let entry = entry(&page, &path).await?;
    if !visitor::says_why(reason) {
        let why = format!("Say why, in {REASON_SHORTEST} to {REASON_LONGEST} characters.");
        let status = StatusCode::UNPROCESSABLE_ENTITY;
        return question(&page, &viewer, &entry, (Some(&why), Some(reason), status)).await;
    }
    call_off(&page, &viewer, &entry, reason).await
}

async fn call_off(page: &Page, viewer: &Viewer, entry: &Entry, reason: &str) -> Answer {
    let id = &entry.id;
    let called = {
        let _turn = page.asking.acquire().await.map_err(|_| busy())?;
        let (worker, id) = (Arc::clone(&page.worker), id.clone());
        let (who, reason) = (viewer.actor.clone(), reason.to_owned());
        // On a task of its own: whoever asked may go away, and what was begun is still done to its end.
        tokio::spawn(async move { worker.call_off(&id, &who, &reason).await }).await
    };
    let called = called.map_err(|_| busy())?;
    let (why, status) = match called {
        Ok(Called::Off | Called::Before) => return Ok(go(&place(id))),
        Ok(Called::NotHeld) => (
            "Nothing of it was given. To withdraw it, delete its file from the protected branch."
                .to_owned(),
            StatusCode::CONFLICT,
        ),
        Ok(Called::NotTheirs(owners)) => {
            let why = not_theirs(&owners);
            info!(grant.key = %id, who.login = %viewer.login(), "`{id}` was not called off by {}: {why}", viewer.login());
            return question(
                page,
                viewer,
                entry,
                (Some(&why), None, StatusCode::FORBIDDEN),
            )
            .await;
        }
        Ok(Called::NotKnown(what)) => {
            warn!(grant.key = %id, "cannot ask whose `{id}` is to end: {what}");
            let why = "GitHub does not say just now who its owners are. Try again, or delete its file from the protected branch.";
            (why.to_owned(), StatusCode::SERVICE_UNAVAILABLE)
        }
        Err(error) => {
            warn!(grant.key = %id, error = %chain(&error), "cannot call `{id}` off: {}", chain(&error));
            let why = "It could not be written down. Try again, or delete its file from the protected branch.";
            (why.to_owned(), StatusCode::SERVICE_UNAVAILABLE)
        }
    };
    info!(grant.key = %id, who.login = %viewer.login(), "`{id}` was not called off by {}: {why}", viewer.login());
    question(page, viewer, entry, (Some(&why), Some(reason), status)).await
}

fn not_theirs(owners: &[Owner]) -> String {
    let names: Vec<String> = owners.iter().map(ToString::to_string).collect();
    let who = match names.as_slice() {
        [] => "CODEOWNERS names nobody for it".to_owned(),
        names => format!("its owners are {}", names.join(", ")),
    };
    format!("You neither have it nor own it: {who}. Ask one of them, or whoever has it.")
}

/// The question, with what was wrong with the last answer, and what that said; no reason: another one would not help.
async fn question(
    page: &Page,
    viewer: &Viewer,
    entry: &Entry,
    (refused, reason, status): (Option<&str>, Option<&str>, StatusCode),
) -> Answer {
    let declared = declared(page).await;
    let codeowners = declared.as_ref().map(|d| &d.codeowners);
    let owners = codeowners.map_or(&[][..], |c| visitor::owners_of(c, entry));
    let shown = Shown::read(page).await?;
    let frame = shown.frame(page, viewer);
    let made = page::confirm(frame, entry, owners, (refused, reason));
    Ok(html(status, made))
}

/// Where the page of a grant is.
fn place(id: &GrantId) -> String {
    format!("/grant/{id}")
}

/// The grant that an address names.
pub(super) async fn entry(page: &Page, path: &(String, String)) -> Result<Entry, Instead> {
    let (resource, name) = path;
    let id = GrantId::new(format!("{resource}/{name}")).map_err(|_| nothing())?;
    let found = reading(page, page.store.entry(&id)).await?;
    found.ok_or_else(|| nothing().into())
}

/// The fields of a form that this session asked for, sent by a page of ours; `Err` is the answer to any other.
pub(super) async fn form(
    page: &Page,
    viewer: &Viewer,
    (headers, body): (&HeaderMap, Body),
) -> Result<BTreeMap<String, String>, Instead> {
    let refused = |why: &str| {
        info!(who.login = %viewer.login(), "a form of {} was refused: {why}", viewer.login());
        let said = "This form was not sent by this page, or has grown old. Go back, reload, and try again.";
        Instead::from(plain(StatusCode::FORBIDDEN, "Not accepted", said))
    };
    let text = |name| {
        headers
            .get(name)
            .and_then(|value: &HeaderValue| value.to_str().ok())
    };
    if text(header::ORIGIN) != Some(page.settings.origin().as_str()) {
        return Err(refused("it comes from elsewhere"));
    }
    let kind = text(header::CONTENT_TYPE).unwrap_or_default();
    if kind.split(';').next().map(str::trim) != Some("application/x-www-form-urlencoded") {
        return Err(refused("it is no form"));
    }
    let arrived = tokio::time::timeout(ARRIVAL, axum::body::to_bytes(body, LARGEST)).await;
    let bytes = match arrived {
        Ok(Ok(bytes)) => bytes,
        Ok(Err(_)) => {
            let said = "That is more than the form takes.";
            return Err(plain(StatusCode::PAYLOAD_TOO_LARGE, "Too large", said).into());
        }
        Err(_) => {
            let said = "The form did not arrive in time.";
            return Err(plain(StatusCode::REQUEST_TIMEOUT, "Too slow", said).into());
        }
    };
    let fields: BTreeMap<String, String> = form_urlencoded::parse(&bytes).into_owned().collect();
    if !fields.get("token").is_some_and(|token| viewer.owns(token)) {
        return Err(refused("its token is not that of the session"));
    }
    Ok(fields)
}
