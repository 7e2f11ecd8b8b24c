//! Who may come in: whoever is signed in, and may see the page by what the forge said a short while ago.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use chrono::TimeDelta;
use sha2::{Digest, Sha256};
use tracing::{info, warn};
use url::form_urlencoded;

use super::shown::reading;
use super::{Instead, Page, cookies, html, nothing};
use crate::domain::causes::chain;
use crate::domain::model::{Actor, ActorKind, Login};
use crate::domain::render::page::{self, Door};
use crate::domain::visitor::Visitor;

/// How long what the forge said about somebody is good for.
const GOOD_FOR: TimeDelta = TimeDelta::minutes(3);

/// How long the forge may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// Somebody who is signed in and may see the page.
#[derive(Debug, Clone)]
pub(super) struct Viewer {
    /// The account.
    pub actor: Actor,
    /// The digest that names their session in the database.
    pub key: String,
    /// What proves that a form was asked for by this session.
    pub token: String,
}

impl Viewer {
    pub fn login(&self) -> &Login {
        &self.actor.login
    }

    /// Whether `token` is that of this session. Takes the same time however wrong it is.
    pub fn owns(&self, token: &str) -> bool {
        Sha256::digest(token) == Sha256::digest(&self.token)
    }
}

/// The digest under which the database knows a secret of a browser.
pub(super) fn digest(secret: &str) -> String {
    hex::encode(Sha256::digest(secret))
}

/// What the forms of a session carry: it follows from the session, and the session does not follow from it.
fn token_of(session: &str) -> String {
    hex::encode(Sha256::digest(format!("form of {session}")))
}

impl FromRequestParts<Arc<Page>> for Viewer {
    type Rejection = Instead;

    async fn from_request_parts(parts: &mut Parts, page: &Arc<Page>) -> Result<Self, Instead> {
        let Some(viewer) = known(page, &parts.headers).await? else {
            let back = parts.uri.path_and_query().map_or("/", |at| at.as_str());
            return Err(offer(Door::Closed, back).into());
        };
        Ok(viewer)
    }
}

/// Who a request is from; `None` where they are not signed in. `Err` is the answer to whoever may not see the page.
pub(super) async fn known(page: &Page, headers: &HeaderMap) -> Result<Option<Viewer>, Instead> {
    let Some(secret) = cookies::read(headers, cookies::SESSION) else {
        return Ok(None);
    };
    let key = digest(secret);
    let now = page.clock.now();
    let session = reading(page, page.store.session(&key, now)).await?;
    let Some(session) = session else {
        return Ok(None);
    };
    let actor = Actor {
        id: session.account,
        login: session.login,
        kind: ActorKind::User,
    };
    if now - session.asked >= GOOD_FOR {
        let visitor = Visitor {
            actor: actor.clone(),
            reads: true,
        };
        if !admits(page, &visitor).await {
            return Err(nothing().into());
        }
        if let Err(error) = page.store.vouch_for_session(&key, now).await {
            warn!(error = %chain(&error), "cannot note who may see the page: {}", chain(&error));
        }
    }
    Ok(Some(Viewer {
        actor,
        key,
        token: token_of(secret),
    }))
}

/// Whether somebody may see the page, asked of the forge now. What it does not answer is no.
pub(super) async fn admits(page: &Page, visitor: &Visitor) -> bool {
    let login = &visitor.actor.login;
    let Ok(_turn) = page.asking.acquire().await else {
        return false;
    };
    let asked = page.worker.admits(visitor, &page.settings.auditors);
    match tokio::time::timeout(PATIENCE, asked).await {
        Ok(Ok(true)) => true,
        Ok(Ok(false)) => {
            info!(who.login = %login, "{login} may not see the page");
            false
        }
        Ok(Err(error)) => {
            warn!(who.login = %login, error = %chain(&error), "cannot ask whether {login} may see the page: {}", chain(&error));
            false
        }
        Err(_) => {
            warn!(who.login = %login, "the forge does not say in time whether {login} may see the page");
            false
        }
    }
}

/// The page that offers to sign in, and leads back to `back` afterwards.
pub(super) fn offer(door: Door, back: &str) -> Response {
    let query = match back_to(back) {
        "/" => String::new(),
        back => {
            let mut query = form_urlencoded::Serializer::new(String::new());
            query.append_pair("to", back);
            format!("?{}", query.finish())
        }
    };
    let mut answer = html(StatusCode::UNAUTHORIZED, page::door(door, &query));
    let scheme = HeaderValue::from_static("Cookie");
    answer
        .headers_mut()
        .insert(header::WWW_AUTHENTICATE, scheme);
    answer
}

/// A place on this page to go back to; the first page for whatever is none.
pub(super) fn back_to(place: &str) -> &str {
    let plain = |b: u8| b.is_ascii_graphic() && b != b'\\';
    let here = place.starts_with('/')
        && !place.starts_with("//")
        && place.len() <= 400
        && place.bytes().all(plain);
    let leads_round = place.starts_with("/sign-");
    if here && !leads_round { place } else { "/" }
}

/// An answer that leads to a place of this page.
pub(super) fn go(place: &str) -> Response {
    (
        StatusCode::SEE_OTHER,
        [(header::LOCATION, back_to(place).to_owned())],
    )
        .into_response()
}
