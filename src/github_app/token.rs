//! Installation tokens: narrowed, cached, renewed early, fetched by one caller at a time.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use chrono::{DateTime, TimeDelta};
use http::{Method, StatusCode};
use octocrab::jsonwebtoken::{self, Algorithm, Header};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use tokio::sync::Mutex;

use super::{Answer, App, Failure, decode, path};
use crate::domain::model::{Instant, Login, RepoName};

/// One permission of a token: GitHub's name for it, and `read` or `write`.
pub type Permission = (&'static str, &'static str);

/// GitHub takes App JWTs of at most 10 minutes; ours begin in the past because clocks differ.
/// <https://docs.github.com/en/apps/creating-github-apps/authenticating-with-a-github-app/generating-a-json-web-token-jwt-for-a-github-app>
const JWT_BEGINS: TimeDelta = TimeDelta::seconds(-60);
const JWT_ENDS: TimeDelta = TimeDelta::seconds(8 * 60);

/// The longest that GitHub is left alone because it said so: the hour of a limit. A clock that was ahead makes none longer.
const LONGEST: TimeDelta = TimeDelta::hours(1);

/// Where an App is installed, and how far its tokens reach.
#[derive(Debug, Clone)]
pub enum Place {
    /// The account of this repository; tokens reach this repository only.
    Repository(RepoName),
    /// This organisation; tokens are for its members and teams.
    Organisation(Login),
}

/// The App at one place, with one set of permissions: makes calls with its own token.
#[derive(Debug)]
pub struct Installation {
    app: Arc<App>,
    place: Place,
    configured: Option<u64>,
    permissions: &'static [Permission],
    token: Mutex<Option<Token>>,
    /// Until when GitHub wants to be left alone.
    limited: std::sync::Mutex<Option<Instant>>,
}

#[derive(Debug, Clone)]
struct Token {
    secret: SecretString,
    renew_at: Instant,
    expires_at: Instant,
    /// [`App::forgotten`] when it was asked for.
    forgotten: u64,
}

#[derive(Serialize)]
struct Claims {
    iat: i64,
    exp: i64,
    iss: String,
}

#[derive(Serialize)]
struct TokenRequest<'a> {
    permissions: BTreeMap<&'a str, &'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    repositories: Option<[&'a str; 1]>,
}

#[derive(Deserialize)]
struct TokenAnswer {
    token: String,
    expires_at: Instant,
}

#[derive(Deserialize)]
struct InstallationAnswer {
    id: u64,
}

impl App {
    /// The App at a place. `id` is the installation's number; without it, GitHub is asked once.
    pub fn installation(
        self: &Arc<Self>,
        place: Place,
        id: Option<u64>,
        permissions: &'static [Permission],
    ) -> Installation {
        Installation {
            app: self.clone(),
            place,
            configured: id,
            permissions,
            token: Mutex::default(),
            limited: std::sync::Mutex::default(),
        }
    }

    /// Reads one thing as the App itself, and what GitHub's clock said then, in whole seconds.
    ///
    /// # Errors
    /// Any [`Failure`]; an answer of another shape than `T` is [`Failure::Unavailable`].
    pub async fn get<T: serde::de::DeserializeOwned>(
        &self,
        what: &str,
        route: &str,
    ) -> Result<(T, Option<Instant>), Failure> {
        let answer = self.ask_as_app(Method::GET, what, route, None).await?;
        let date = answer.headers.get(http::header::DATE);
        let date = date.and_then(|date| DateTime::parse_from_rfc2822(date.to_str().ok()?).ok());
        Ok((decode(what, &answer.body)?, date.map(|date| date.to_utc())))
    }

    async fn call_as_app<T: serde::de::DeserializeOwned>(
        &self,
        method: Method,
        what: &str,
        route: &str,
        body: Option<&serde_json::Value>,
    ) -> Result<T, Failure> {
        let answer = self.ask_as_app(method, what, route, body).await?;
        decode(what, &answer.body)
    }

    /// A call as the App itself.
    async fn ask_as_app(
        &self,
        method: Method,
        what: &str,
        route: &str,
        body: Option<&serde_json::Value>,
    ) -> Result<Answer, Failure> {
        let now = self.clock.now();
        let claims = Claims {
            iat: (now + JWT_BEGINS).timestamp(),
            exp: (now + JWT_ENDS).timestamp(),
            iss: self.id.to_string(),
        };
        let jwt = jsonwebtoken::encode(&Header::new(Algorithm::RS256), &claims, &self.key)
            .map_err(|e| Failure::Refused {
                what: what.to_owned(),
                reason: format!("the App's key cannot sign: {e}"),
            })?;
        let request = http::Request::builder().method(method).uri(route);
        self.call(&jwt, what, request, body).await.map_err(|e| match e {
            Failure::Declined { what, status: StatusCode::UNAUTHORIZED, words } => Failure::Refused {
                what,
                reason: format!(
                    "{words}: check that the private key belongs to App {}, and that this machine's clock is right",
                    self.id
                ),
            },
            other => other,
        })
    }
}

impl Installation {
    pub(super) fn app(&self) -> &App {
        &self.app
    }

    /// A token that lasts for at least a fifth of its life.
    ///
    /// # Errors
    /// [`Failure::Unavailable`], or [`Failure::Refused`] when the App is not installed, is suspended or lacks a permission.
    pub async fn token(&self) -> Result<SecretString, Failure> {
        let mut kept = self.token.lock().await;
        let now = self.app.clock.now();
        // Whoever suspends an App ends all of its tokens. One that git has shows that nowhere else, and would be kept until it is old.
        let forgotten = self.app.forgotten.load(Ordering::Relaxed);
        let Some(token) = kept.clone() else {
            return self.fetch(&mut kept).await;
        };
        if token.forgotten == forgotten && now < token.renew_at {
            return Ok(token.secret);
        }
        match self.fetch(&mut kept).await {
            // Renewing early is for exactly this: the old one still serves, unless it is one that was ended.
            Err(Failure::Unavailable { .. }) if now + TimeDelta::seconds(60) < token.expires_at => {
                Ok(token.secret)
            }
            done => done,
        }
    }

    /// Another token than `stale`, which GitHub did not accept.
    pub(super) async fn renewed(&self, stale: &SecretString) -> Result<SecretString, Failure> {
        let mut kept = self.token.lock().await;
        match &*kept {
            Some(token) if token.secret.expose_secret() != stale.expose_secret() => {
                return Ok(token.secret.clone());
            }
            _ => *kept = None,
        }
        self.app.forgotten.fetch_add(1, Ordering::Relaxed);
        self.fetch(&mut kept).await
    }

    /// Asks for a token. The caller holds the lock, so that many callers make one request.
    async fn fetch(&self, kept: &mut Option<Token>) -> Result<SecretString, Failure> {
        let forgotten = self.app.forgotten.load(Ordering::Relaxed);
        let id = self.id().await?;
        let what = format!("an installation token for {}", self.place);
        let body = TokenRequest {
            permissions: self.permissions.iter().copied().collect(),
            repositories: match &self.place {
                Place::Repository(name) => Some([&name.name]),
                Place::Organisation(_) => None,
            },
        };
        let body = serde_json::to_value(body).map_err(|e| Failure::unreadable(&what, e))?;
        let route = path(&["app", "installations", &id.to_string(), "access_tokens"]);
        let answer = self
            .app
            .call_as_app::<TokenAnswer>(Method::POST, &what, &route, Some(&body))
            .await;
        let answer = match answer {
            Ok(answer) => answer,
            Err(failure) => {
                if !matches!(failure, Failure::Unavailable { .. }) {
                    // It may have been installed anew, under another number.
                    self.app.installed.lock().await.remove(self.owner());
                }
                return Err(self.explain(failure));
            }
        };
        let now = self.app.clock.now();
        let life = answer.expires_at - now;
        let secret = SecretString::from(answer.token);
        *kept = Some(Token {
            secret: secret.clone(),
            renew_at: now + life * 4 / 5,
            expires_at: answer.expires_at,
            forgotten,
        });
        Ok(secret)
    }

    /// An App is installed once an account, so one look-up serves every installation there.
    async fn id(&self) -> Result<u64, Failure> {
        if let Some(id) = self.configured {
            return Ok(id);
        }
        let mut installed = self.app.installed.lock().await;
        if let Some(id) = installed.get(self.owner()) {
            return Ok(*id);
        }
        let id = self.look_up().await?;
        installed.insert(self.owner().clone(), id);
        Ok(id)
    }

    /// Keeps in mind until when GitHub wants to be left alone.
    pub(super) fn note_failure(&self, failure: &Failure) {
        if let Failure::Unavailable {
            retry_at: Some(until),
            ..
        } = failure
        {
            *self.limited() = Some(*until);
        }
    }

    /// Refuses a call that GitHub said would come too early: asking on makes the wait longer.
    /// <https://docs.github.com/en/rest/using-the-rest-api/best-practices-for-using-the-rest-api#handle-rate-limit-errors-appropriately>
    pub(super) fn may_ask(&self, what: &str) -> Result<(), Failure> {
        let (now, until) = (self.app.clock.now(), *self.limited());
        match until {
            Some(until) if now < until && until <= now + LONGEST => Err(Failure::Unavailable {
                what: what.to_owned(),
                retry_at: Some(until),
                source: format!("it wants to be left alone until {until}").into(),
            }),
            _ => Ok(()),
        }
    }

    fn limited(&self) -> std::sync::MutexGuard<'_, Option<Instant>> {
        self.limited
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Tells how much GitHub allows still. A token was fetched, so the installation's number is known.
    pub(super) async fn note_limit(&self, headers: &http::HeaderMap) {
        if let (Some((limit, remaining)), Ok(id)) = (super::allowed(headers), self.id().await) {
            self.app.metrics.forge_allows(id, limit, remaining);
        }
    }

    fn owner(&self) -> &Login {
        match &self.place {
            Place::Repository(name) => &name.owner,
            Place::Organisation(login) => login,
        }
    }

    async fn look_up(&self) -> Result<u64, Failure> {
        let route = match &self.place {
            Place::Repository(name) => {
                path(&["repos", name.owner.as_str(), &name.name, "installation"])
            }
            Place::Organisation(login) => path(&["orgs", login.as_str(), "installation"]),
        };
        let what = format!("installation of the App on {}", self.place);
        let found = self
            .app
            .call_as_app::<InstallationAnswer>(Method::GET, &what, &route, None)
            .await;
        found
            .map(|installation| installation.id)
            .map_err(|failure| self.explain(failure))
    }

    /// What to do when there is no token to be had.
    fn explain(&self, failure: Failure) -> Failure {
        match failure {
            Failure::NotFound { what } => Failure::Refused {
                what,
                reason: format!(
                    "App {} is not installed on {}: install it there",
                    self.app.id, self.place
                ),
            },
            Failure::Declined { what, words, .. } => {
                let needed: Vec<String> = self
                    .permissions
                    .iter()
                    .map(|(name, level)| format!("{name}: {level}"))
                    .collect();
                let needed = needed.join(", ");
                let reason = format!(
                    "{words}: the App needs the permissions `{needed}` on {}; grant them in its settings and have the owner accept them",
                    self.place
                );
                Failure::Refused { what, reason }
            }
            other => other,
        }
    }
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Repository(name) => name.fmt(f),
            Self::Organisation(login) => login.fmt(f),
        }
    }
}
