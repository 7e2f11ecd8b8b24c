//! Speaking to GitHub for somebody who signs in: one code for one token, which is used to learn who they are and then dropped.

use http::header::{ACCEPT, CONTENT_TYPE};
use http::{Method, StatusCode};
use octocrab::{OctoBody, Octocrab};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use url::{Url, form_urlencoded};

use super::{App, CALL_TIME, Failure, client, decode, exchange};
use crate::domain::visitor::Came;

/// What is asked for.
const WHAT: &str = "a sign-in";

/// As what the App lets people sign in.
/// <https://docs.github.com/en/apps/creating-github-apps/authenticating-with-a-github-app/generating-a-user-access-token-for-a-github-app>
#[derive(Debug, Clone)]
pub struct SignIn {
    client_id: String,
    client_secret: SecretString,
    /// Where people go to sign in is not where the API is.
    crab: Octocrab,
}

impl SignIn {
    /// Signing in to the App of this client id and secret at `web`: `https://github.com`, or `https://HOST`.
    ///
    /// # Errors
    /// [`Failure::Refused`] when the machine has no certificates to trust.
    pub fn new(client_id: String, client_secret: SecretString, web: &Url) -> Result<Self, Failure> {
        let crab = client(web)?;
        Ok(Self {
            client_id,
            client_secret,
            crab,
        })
    }
}

#[derive(Deserialize)]
struct Exchanged {
    access_token: Option<String>,
    error: Option<String>,
}

impl App {
    /// The token of whoever came back.
    ///
    /// # Errors
    /// [`Failure::Declined`] when GitHub does not take the code; any other [`Failure`].
    pub async fn user_token(
        &self,
        sign_in: &SignIn,
        came: Came<'_>,
    ) -> Result<SecretString, Failure> {
        let request = question(sign_in, came).map_err(|e| Failure::unreadable(WHAT, e))?;
        let answer = tokio::time::timeout(CALL_TIME, exchange(&sign_in.crab, request)).await;
        let token = match answer {
            Ok(Ok((parts, body))) => token_in(parts.status, &body),
            Ok(Err(source)) => Err(Failure::unavailable(WHAT, source)),
            Err(elapsed) => Err(Failure::unavailable(WHAT, elapsed)),
        };
        self.metrics.asked_forge(match &token {
            Ok(_) => "ok",
            Err(failure) => failure.outcome(),
        });
        token
    }

    /// Reads one thing with somebody's own rights.
    ///
    /// # Errors
    /// Any [`Failure`].
    pub async fn get_as<T: DeserializeOwned>(
        &self,
        token: &SecretString,
        what: &str,
        route: &str,
    ) -> Result<T, Failure> {
        let request = http::Request::builder()
            .method(Method::GET)
            .uri(route)
            .header(ACCEPT, "application/vnd.github+json");
        let answer = self.call(token.expose_secret(), what, request, None);
        decode(what, &answer.await?.body)
    }
}

/// The question, as a form.
fn question(sign_in: &SignIn, came: Came<'_>) -> Result<http::Request<OctoBody>, http::Error> {
    let body = form_urlencoded::Serializer::new(String::new())
        .append_pair("client_id", &sign_in.client_id)
        .append_pair("client_secret", sign_in.client_secret.expose_secret())
        .append_pair("code", came.code)
        .append_pair("code_verifier", came.verifier)
        .append_pair("redirect_uri", came.callback)
        .finish();
    http::Request::builder()
        .method(Method::POST)
        .uri("/login/oauth/access_token")
        .header(ACCEPT, "application/json")
        .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
        .body(OctoBody::from(body))
}

/// The token in an answer. GitHub says no with 200 as well; what it says is not repeated, but for its word: it may hold what was sent.
fn token_in(status: StatusCode, body: &[u8]) -> Result<SecretString, Failure> {
    if status.is_server_error() {
        return Err(Failure::unavailable(WHAT, status.to_string()));
    }
    let declined = |words: &str| Failure::Declined {
        what: WHAT.to_owned(),
        status,
        words: words.to_owned(),
    };
    let said: Exchanged = decode(WHAT, body)?;
    said.access_token.map(SecretString::from).ok_or_else(|| {
        let word = said.error.unwrap_or_default();
        let plain = !word.is_empty() && word.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
        declined(if plain { &word } else { "it gave no token" })
    })
}
