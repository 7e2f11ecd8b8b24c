//! GitHub's REST API as the user: pull requests of one repository.

use std::time::Duration;

use reqwest::blocking::{Client, RequestBuilder};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};

use super::place::Place;
use crate::domain::model::{Login, PullNumber};

const PATIENCE: Duration = Duration::from_secs(30);

/// Why GitHub did not do it, in its own words where it had some.
#[derive(Debug, thiserror::Error)]
pub enum RestError {
    /// It could not be asked.
    #[error("{0} cannot be reached")]
    Unreachable(String, #[source] reqwest::Error),
    /// It said no.
    #[error("{host} says {status}: {words}")]
    Refused {
        /// Which GitHub.
        host: String,
        /// The status.
        status: u16,
        /// Its words, on one line.
        words: String,
    },
}

/// An open pull request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct OpenPull {
    /// Its number.
    pub number: PullNumber,
    /// Its page.
    pub url: String,
    /// Its title. Untrusted.
    #[serde(skip)]
    pub title: String,
    /// Who opened it.
    pub author: Option<Login>,
}

/// A pull request to be opened.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct NewPull<'a> {
    /// Its title.
    pub title: &'a str,
    /// Its text, Markdown.
    pub body: &'a str,
    /// Its branch.
    pub head: &'a str,
    /// The branch it wants to change.
    pub base: &'a str,
}

#[derive(Deserialize)]
struct PullAnswer {
    number: u64,
    html_url: String,
    title: String,
    user: Option<UserAnswer>,
}

#[derive(Deserialize)]
struct UserAnswer {
    login: String,
}

#[derive(Deserialize, Default)]
struct ErrorAnswer {
    #[serde(default)]
    message: String,
    #[serde(default)]
    errors: Vec<serde_json::Value>,
}

/// The API of one place, as the user.
pub struct Rest<'a> {
    place: &'a Place,
    token: &'a SecretString,
    client: Client,
}

impl<'a> Rest<'a> {
    pub fn new(place: &'a Place, token: &'a SecretString) -> Result<Self, RestError> {
        let client = Client::builder()
            .user_agent(concat!("hallpass/", env!("CARGO_PKG_VERSION")))
            // The token is for this host alone.
            .redirect(reqwest::redirect::Policy::none())
            .timeout(PATIENCE);
        let client = if place.is_here() {
            client.no_proxy()
        } else {
            client
        };
        let client = client
            .build()
            .map_err(|error| RestError::Unreachable(place.host.clone(), error))?;
        Ok(Self {
            place,
            token,
            client,
        })
    }

    /// The open pull request of a branch of the repository, if there is one.
    pub fn find_open(&self, branch: &str, base: &str) -> Result<Option<OpenPull>, RestError> {
        let head = format!("{}:{branch}", self.place.repository.owner);
        let request = self.client.get(self.pulls()).query(&[
            ("state", "open"),
            ("head", &head),
            ("base", base),
            ("per_page", "100"),
        ]);
        let found: Vec<PullAnswer> = self.ask(request)?;
        Ok(found.into_iter().next().map(OpenPull::from))
    }

    /// Opens one.
    pub fn open(&self, new: &NewPull<'_>) -> Result<OpenPull, RestError> {
        let answer: PullAnswer = self.ask(self.client.post(self.pulls()).json(new))?;
        Ok(answer.into())
    }

    fn pulls(&self) -> String {
        format!("{}/repos/{}/pulls", self.place.api, self.place.repository)
    }

    /// A question about something else, by its path.
    pub(super) fn get(&self, path: &str) -> RequestBuilder {
        self.client.get(format!("{}{path}", self.place.api))
    }

    /// Where it asks.
    pub(super) fn place(&self) -> &Place {
        self.place
    }

    /// An answer that makes no sense.
    pub(super) fn odd(&self, expected: &str) -> RestError {
        RestError::Refused {
            host: self.place.host.clone(),
            status: 200,
            words: format!("something that is not {expected}"),
        }
    }

    /// Sends a request, and reads the answer.
    pub(super) fn ask<T: serde::de::DeserializeOwned>(
        &self,
        request: RequestBuilder,
    ) -> Result<T, RestError> {
        let host = || self.place.host.clone();
        let unreachable =
            |error: reqwest::Error| RestError::Unreachable(host(), error.without_url());
        let answer = request
            .bearer_auth(self.token.expose_secret())
            .header("accept", "application/vnd.github+json")
            .send()
            .map_err(unreachable)?;
        let status = answer.status();
        if status.is_success() {
            return answer.json().map_err(unreachable);
        }
        let said: ErrorAnswer = answer.json().unwrap_or_default();
        let more = said
            .errors
            .iter()
            .filter_map(|e| e.as_str().or_else(|| e["message"].as_str()));
        let words: Vec<&str> = std::iter::once(said.message.as_str()).chain(more).collect();
        Err(RestError::Refused {
            host: host(),
            status: status.as_u16(),
            words: one_line(&words.join(" ")),
        })
    }
}

/// What a server said, so that it cannot move the cursor: at most 300 characters.
fn one_line(text: &str) -> String {
    let words = text
        .split(|c: char| c.is_whitespace() || c.is_control())
        .filter(|word| !word.is_empty());
    let line: String = words.collect::<Vec<_>>().join(" ");
    line.chars().take(300).collect()
}

impl From<PullAnswer> for OpenPull {
    fn from(answer: PullAnswer) -> Self {
        Self {
            number: PullNumber(answer.number),
            url: answer.html_url,
            title: answer.title,
            author: answer.user.and_then(|user| Login::new(user.login).ok()),
        }
    }
}
