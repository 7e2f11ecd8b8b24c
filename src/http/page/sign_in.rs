//! Signing in with GitHub, and out.
//!
//! What begins a sign-in stays in the browser: a state that the forge must bring back, and the verifier of which the forge is told the
//! digest (PKCE). So nothing is written before the forge has said who somebody is. The state makes one session, once.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::TimeDelta;
use serde::Deserialize;
use sha2::{Digest, Sha256};
use tracing::{info, warn};

use super::gate::{self, Viewer, back_to, digest, go};
use super::revoking::form;
use super::{Answer, Instead, Page, busy, cookies, nothing};
use crate::domain::causes::chain;
use crate::domain::model::ActorKind;
use crate::domain::render::page::Door;
use crate::domain::visitor::{Came, Visitor};
use crate::store::{Session, SessionKey, StoreError};

/// How long a session lives, used or not.
const LIFE: TimeDelta = TimeDelta::hours(8);

/// How long a sign-in may take, which is what a code of GitHub's is good for.
const UNDER_WAY: i64 = 600;

/// How long somebody waits for their turn. Whoever does not get it comes again.
const TURN: Duration = Duration::from_secs(2);

/// How long the forge may take to say who somebody is.
const PATIENCE: Duration = Duration::from_secs(15);

/// A sign-in that is under way, as its browser keeps it.
struct Begun {
    state: String,
    verifier: String,
    back: String,
}

impl Begun {
    fn new(back: &str) -> Self {
        Self {
            state: secret(),
            verifier: secret(),
            back: back.to_owned(),
        }
    }

    fn cookie(&self) -> String {
        let back = URL_SAFE_NO_PAD.encode(&self.back);
        format!("{}.{}.{back}", self.state, self.verifier)
    }

    fn read(cookie: &str) -> Option<Self> {
        let mut parts = cookie.split('.');
        let (state, verifier, back) = (parts.next()?, parts.next()?, parts.next()?);
        let back = String::from_utf8(URL_SAFE_NO_PAD.decode(back).ok()?).ok()?;
        let whole = parts.next().is_none() && state.len() == 43 && verifier.len() == 43;
        whole.then(|| Self {
            state: state.to_owned(),
            verifier: verifier.to_owned(),
            back,
        })
    }
}

/// 32 bytes that nobody can guess, as text.
fn secret() -> String {
    URL_SAFE_NO_PAD.encode(rand::random::<[u8; 32]>())
}

#[derive(Deserialize)]
pub(super) struct Beginning {
    #[serde(default)]
    to: String,
}

/// `GET /sign-in`: sends the browser to the forge.
pub(super) async fn begin(
    State(page): State<Arc<Page>>,
    Query(Beginning { to }): Query<Beginning>,
) -> Response {
    let begun = Begun::new(back_to(&to));
    let settings = &page.settings;
    let root = settings.web.as_str().trim_end_matches('/');
    let Ok(mut there) = url::Url::parse(&format!("{root}/login/oauth/authorize")) else {
        return nothing();
    };
    there
        .query_pairs_mut()
        .append_pair("client_id", &settings.client_id)
        .append_pair("redirect_uri", &settings.callback())
        .append_pair("state", &begun.state)
        .append_pair(
            "code_challenge",
            &URL_SAFE_NO_PAD.encode(Sha256::digest(&begun.verifier)),
        )
        .append_pair("code_challenge_method", "S256")
        .append_pair("allow_signup", "false");
    let answer = (
        StatusCode::SEE_OTHER,
        [(header::LOCATION, there.to_string())],
    );
    with_cookie(
        answer.into_response(),
        cookies::SIGN_IN,
        &begun.cookie(),
        UNDER_WAY,
    )
}

#[derive(Deserialize)]
pub(super) struct Return {
    code: Option<String>,
    state: Option<String>,
}

/// `GET /sign-in/callback`: where the forge sends the browser back to.
pub(super) async fn finish(
    State(page): State<Arc<Page>>,
    Query(came): Query<Return>,
    headers: HeaderMap,
) -> Response {
    let answer = match come_back(&page, &came, &headers).await {
        Ok((secret, back)) => {
            let answer = go(&back);
            with_cookie(answer, cookies::SESSION, &secret, LIFE.num_seconds())
        }
        Err(instead) => instead.into_response(),
    };
    if answer.status() == StatusCode::SERVICE_UNAVAILABLE {
        // It has not been tried.
        return answer;
    }
    // Whatever came of it, it is over.
    with_cookie(answer, cookies::SIGN_IN, "", 0)
}

/// A new session, and where to go then.
async fn come_back(
    page: &Page,
    came: &Return,
    headers: &HeaderMap,
) -> Result<(String, String), Instead> {
    let failed = |why: &str| {
        info!("a sign-in failed: {why}");
        Instead::from(gate::offer(Door::Failed, "/"))
    };
    let begun = cookies::read(headers, cookies::SIGN_IN).and_then(Begun::read);
    let begun = begun.ok_or_else(|| failed("this browser did not begin it"))?;
    let state = came.state.as_deref().unwrap_or_default();
    if Sha256::digest(state) != Sha256::digest(&begun.state) {
        return Err(failed("its state is another one"));
    }
    let fits = |code: &&str| !code.is_empty() && code.len() <= 200;
    let code = came.code.as_deref().filter(fits);
    let code = code.ok_or_else(|| failed("the forge gave no code"))?;
    let callback = page.settings.callback();
    let came = Came {
        code,
        verifier: &begun.verifier,
        callback: &callback,
    };
    let turn = tokio::time::timeout(TURN, page.signing_in.acquire()).await;
    let turn = turn.map_err(|_| busy())?;
    let visitor = introduced(page, came).await;
    let visitor = visitor.ok_or_else(|| failed("the forge does not say who it is"))?;
    drop(turn);
    if visitor.actor.kind != ActorKind::User || !gate::admits(page, &visitor).await {
        return Err(nothing().into());
    }
    let secret = start(page, &visitor, (&begun.state, headers)).await?;
    Ok((secret, begun.back))
}

/// Who came back, asked of the forge.
async fn introduced(page: &Page, came: Came<'_>) -> Option<Visitor> {
    match tokio::time::timeout(PATIENCE, page.worker.introduce(came)).await {
        Ok(Ok(visitor)) => Some(visitor),
        Ok(Err(error)) => {
            warn!(error = %chain(&error), "a sign-in failed: {}", chain(&error));
            None
        }
        Err(_) => None,
    }
}

/// Begins a session under a name that nobody had before, and ends the one that the browser came with.
async fn start(
    page: &Page,
    visitor: &Visitor,
    (state, headers): (&str, &HeaderMap),
) -> Result<String, Instead> {
    let now = page.clock.now();
    let (secret, login) = (secret(), &visitor.actor.login);
    let session = Session {
        account: visitor.actor.id,
        login: login.clone(),
        ends: now + LIFE,
        asked: now,
    };
    let key = SessionKey {
        key: &digest(&secret),
        sign_in: &digest(state),
    };
    match page.store.begin_session(key, &session, now).await {
        Ok(()) => {}
        Err(StoreError::Conflict(_)) => {
            info!("a sign-in failed: it has made a session already");
            return Err(gate::offer(Door::Failed, "/").into());
        }
        Err(error) => {
            warn!(error = %chain(&error), "cannot keep a session: {}", chain(&error));
            return Err(busy().into());
        }
    }
    if let Some(before) = cookies::read(headers, cookies::SESSION)
        && let Err(error) = page.store.end_session(&digest(before)).await
    {
        warn!(error = %chain(&error), "cannot end the session before: {}", chain(&error));
    }
    info!(who.login = %login, who.id = visitor.actor.id.0, "{login} signed in");
    Ok(secret)
}

/// `POST /sign-out`.
pub(super) async fn out(
    State(page): State<Arc<Page>>,
    viewer: Viewer,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    form(&page, &viewer, (&headers, body)).await?;
    if let Err(error) = page.store.end_session(&viewer.key).await {
        warn!(error = %chain(&error), "cannot end a session: {}", chain(&error));
        return Err(busy().into());
    }
    info!(who.login = %viewer.login(), "{} signed out", viewer.login());
    let answer = gate::offer(Door::SignedOut, "/");
    Ok(with_cookie(answer, cookies::SESSION, "", 0))
}

fn with_cookie(mut answer: Response, name: &str, value: &str, seconds: i64) -> Response {
    if let Some(cookie) = cookies::write(name, value, seconds) {
        answer.headers_mut().append(header::SET_COOKIE, cookie);
    }
    answer
}
