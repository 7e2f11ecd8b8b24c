//! The HTTP client of everything that speaks HTTP to others than GitHub: kinds of target systems, and channels that people read.
//!
//! Promises:
//! - A call is sent once, to the server that is configured, and to no other: redirects are not followed, proxies of the environment
//!   are not used, and the way to a next page must be on the same server.
//! - TLS is verified, against the machine's authorities and those of `ca_file`. Without TLS only the machine itself is spoken to.
//! - Addresses that only a machine's neighbours and its cloud answer to are refused, whatever name leads there: see [`Guard`].
//! - A call ends: within [`CALL`], with at most [`ANSWER`] bytes, or as few as the kind knows to be enough. So does a [`Listing`].
//! - That something is not there is said by nobody but the server itself, in words that the kind knows: a bare 404 is none of them.
//! - No error repeats an address, a header or a secret, whatever the server says back.

mod failure;
mod listing;
mod reach;
mod signed;

use std::error::Error as _;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, LINK};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use reqwest::{Certificate, Client, Response, redirect, retry};
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;
use serde::de::DeserializeOwned;
use url::Url;

pub use crate::domain::causes::chain;
pub use failure::Failure;
pub use listing::Listing;
pub use reach::{Guard, LinkLocal, Reach};
pub use signed::Signer;

use crate::domain::model::Instant;
use crate::secrets::Secrets;

/// How long one call may take, from connecting to the last byte of the answer; and so may all that one change needs.
pub const CALL: Duration = Duration::from_secs(30);

/// How long connecting may take.
const CONNECTING: Duration = Duration::from_secs(10);

/// The longest answer that is read: a group of 100,000 members takes about 10 MiB.
pub const ANSWER: usize = 16 << 20;

/// How much is read of an answer that is a no. What it says is said in less.
const NO: usize = 64 << 10;

/// The time: a target says when to come back in seconds from now.
pub type Now = Arc<dyn Fn() -> Instant + Send + Sync>;

/// How a server is reached.
#[derive(Clone)]
pub struct Settings {
    /// The root of the API. Plain `http` only to this machine.
    pub url: Url,
    /// Further authorities that its certificate may be from, as PEM.
    pub ca: Option<String>,
    /// Whether link-local addresses are allowed.
    pub link_local: LinkLocal,
    /// The time.
    pub now: Now,
}

/// One server.
pub struct Http {
    client: Client,
    url: Url,
    authorization: Option<HeaderValue>,
    secrets: Secrets,
    now: Now,
}

impl fmt::Debug for Http {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Http")
            .field("url", &self.url.as_str())
            .finish_non_exhaustive()
    }
}

/// One call.
#[derive(Debug)]
pub struct Call {
    method: Method,
    url: Url,
    headers: HeaderMap,
    body: Option<Vec<u8>>,
    secrets: Vec<(&'static str, SecretString)>,
    most: usize,
}

/// An answer: of [`Http::send`] a success.
#[derive(Debug)]
pub struct Answer {
    /// Which answer.
    pub status: StatusCode,
    /// What the server says about it.
    pub headers: HeaderMap,
    /// What it says.
    pub body: Vec<u8>,
    /// What it may say back and nobody may repeat.
    pub secrets: Secrets,
}

impl Call {
    /// Reads.
    pub fn get(url: Url) -> Self {
        Self::new(Method::GET, url)
    }

    /// Does whatever `method` means there.
    pub fn new(method: Method, url: Url) -> Self {
        Self {
            method,
            url,
            headers: HeaderMap::new(),
            body: None,
            secrets: Vec::new(),
            most: ANSWER,
        }
    }

    /// With an answer of at most so many bytes.
    #[must_use]
    pub fn at_most(mut self, bytes: usize) -> Self {
        self.most = bytes;
        self
    }

    /// With a secret that stands somewhere in it. If the server says it back, `[name]` is repeated in its place.
    #[must_use]
    pub fn hiding(mut self, name: &'static str, secret: &str) -> Self {
        self.secrets.push((name, secret.into()));
        self
    }

    /// With a header.
    #[must_use]
    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.insert(name, value);
        self
    }

    /// With these bytes, of the media type `kind`.
    #[must_use]
    pub fn body(mut self, kind: &'static str, body: Vec<u8>) -> Self {
        self.body = Some(body);
        self.header(CONTENT_TYPE, HeaderValue::from_static(kind))
    }

    /// With a value as JSON, of the media type `kind`.
    #[must_use]
    pub fn json(self, kind: &'static str, value: &impl Serialize) -> Self {
        // What we send is made of maps with text keys, which always can be written.
        self.body(kind, serde_json::to_vec(value).unwrap_or_default())
    }
}

impl Answer {
    /// Reads it as JSON.
    ///
    /// # Errors
    /// [`Failure::Unavailable`]: an answer that makes no sense is as good as none.
    pub fn json<T: DeserializeOwned>(&self, what: &str) -> Result<T, Failure> {
        serde_json::from_slice(&self.body).map_err(|error| self.unreadable(what, &error))
    }

    /// An answer that makes no sense, as `error` says in words that may repeat some of it.
    pub fn unreadable(&self, what: &str, error: &impl fmt::Display) -> Failure {
        Failure::unreadable(what, self.secrets.hide(&error.to_string()))
    }
}

impl Http {
    /// A server that takes `scheme token` as `Authorization`. Nothing is connected yet.
    ///
    /// # Errors
    /// [`Failure::Refused`] when it cannot be reached like that, whoever tries.
    pub fn with_token(
        settings: Settings,
        scheme: &str,
        token: &SecretString,
    ) -> Result<Self, Failure> {
        let mut value = HeaderValue::from_str(&format!("{scheme} {}", token.expose_secret()))
            .map_err(|_| {
                Failure::refused(
                    "setting up the connection",
                    "the token has characters that no token has",
                )
            })?;
        value.set_sensitive(true);
        let mut http = Self::new(settings)?;
        http.authorization = Some(value);
        Ok(http.hiding(Secrets::default().with("the token", token.expose_secret())))
    }

    /// The same server, which is told `secrets` in some way and whose words are repeated without them.
    #[must_use]
    pub fn hiding(mut self, secrets: Secrets) -> Self {
        self.secrets = self.secrets.and(&secrets);
        self
    }

    /// A server that is not told who we are. Nothing is connected yet.
    ///
    /// # Errors
    /// As [`Http::with_token`].
    pub fn new(settings: Settings) -> Result<Self, Failure> {
        let refused = |reason: String| Failure::refused("setting up the connection", reason);
        let reach = Reach::of(&settings.url, settings.link_local).map_err(refused)?;
        let authorities = match &settings.ca {
            None => Vec::new(),
            Some(pem) => {
                let found = Certificate::from_pem_bundle(pem.as_bytes());
                let found = found.ok().filter(|found| !found.is_empty());
                found.ok_or_else(|| {
                    refused("ca_file holds no certificates in PEM form".to_owned())
                })?
            }
        };
        let client = Client::builder()
            .dns_resolver(Guard::new(reach))
            .redirect(redirect::Policy::none())
            .retry(retry::never())
            .no_proxy()
            .timeout(CALL)
            .connect_timeout(CONNECTING)
            .pool_idle_timeout(Duration::from_secs(30))
            .tls_certs_merge(authorities)
            .referer(false)
            .user_agent(concat!("hallpass/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|error| refused(format!("there is no HTTPS client: {}", chain(&error))))?;
        Ok(Self {
            client,
            url: settings.url,
            authorization: None,
            secrets: Secrets::default(),
            now: settings.now,
        })
    }

    /// The time.
    pub fn now(&self) -> Instant {
        (self.now)()
    }

    /// The address of `segments` below the root, with a query. Whatever a segment holds, it stays one.
    ///
    /// # Errors
    /// [`Failure::Refused`] for a segment that no address can hold.
    pub fn route(&self, segments: &[&str], query: &[(&str, &str)]) -> Result<Url, Failure> {
        let mut url = self.url.clone();
        // To a URL `..` is the folder above, however it is encoded; and line ends and tabs are nothing, so that another name is left.
        let lost = |c: char| matches!(c, '\t' | '\n' | '\r');
        let unfit = |segment: &str| segment.bytes().all(|b| b == b'.') || segment.contains(lost);
        if let Some(odd) = segments.iter().find(|segment| unfit(segment)) {
            return Err(Failure::refused(
                "writing an address",
                format!("{odd:?} cannot be part of one"),
            ));
        }
        if let (false, Ok(mut path)) = (segments.is_empty(), url.path_segments_mut()) {
            path.pop_if_empty().extend(segments);
        }
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        Ok(url)
    }

    /// The path and query of an address, for people.
    pub fn shown(url: &Url) -> String {
        match url.query() {
            None => url.path().to_owned(),
            Some(query) => format!("{}?{query}", url.path()),
        }
    }

    /// What the `Link` header of an answer calls the next page.
    ///
    /// # Errors
    /// [`Failure::Unavailable`] when it is on another server: our token would go there.
    pub fn next_page(&self, what: &str, answer: &Answer) -> Result<Option<Url>, Failure> {
        let unreadable = |why: &'static str| Failure::unreadable(what, why);
        for value in answer.headers.get_all(LINK) {
            let value = value.to_str().map_err(|_| unreadable("no text"))?;
            // One header a link at Okta; an address holds no `>`, so that commas in it do not matter.
            for link in value.split('<').skip(1) {
                let Some((address, parameters)) = link.split_once('>') else {
                    continue;
                };
                let next = parameters
                    .split([';', ','])
                    .any(|p| matches!(p.trim(), r#"rel="next""# | "rel=next"));
                if !next {
                    continue;
                }
                let url = Url::parse(address).map_err(|_| unreadable("no address"))?;
                if url.origin() != self.url.origin() {
                    return Err(unreadable("the next page is on another server"));
                }
                return Ok(Some(url));
            }
        }
        Ok(None)
    }

    /// Makes a call, once. Any 2xx is a success. `what` is what is being done: "looking up the account".
    ///
    /// # Errors
    /// Any [`Failure`].
    pub async fn send(&self, what: &str, call: Call) -> Result<Answer, Failure> {
        self.ask(what, call, |_| false).await
    }

    /// As [`Http::send`], at a server with words of its own for what is not there: of the body of a 404 or a 410, `gone` tells whether
    /// it is them.
    ///
    /// # Errors
    /// Any [`Failure`]; [`Failure::NotFound`] for those words only.
    pub async fn ask(
        &self,
        what: &str,
        call: Call,
        gone: fn(&[u8]) -> bool,
    ) -> Result<Answer, Failure> {
        let answer = self.exchange(what, call).await?;
        match answer.status {
            status if status.is_success() => Ok(answer),
            StatusCode::NOT_FOUND | StatusCode::GONE if gone(&answer.body) => {
                Err(Failure::NotFound {
                    what: what.to_owned(),
                })
            }
            _ => Err(self.no(what, &answer)),
        }
    }

    /// Makes a call, once, and answers whatever comes back.
    ///
    /// # Errors
    /// Any [`Failure`] of getting there and back.
    pub async fn exchange(&self, what: &str, call: Call) -> Result<Answer, Failure> {
        let mut headers = call.headers;
        headers
            .entry(ACCEPT)
            .or_insert(HeaderValue::from_static("application/json"));
        if let Some(authorization) = &self.authorization {
            headers.insert(AUTHORIZATION, authorization.clone());
        }
        let mut request = self.client.request(call.method, call.url).headers(headers);
        if let Some(body) = call.body {
            request = request.body(body);
        }
        let of_this_call = call.secrets.iter();
        let secrets = of_this_call.fold(self.secrets.clone(), |all, (name, secret)| {
            all.with(name, secret.expose_secret())
        });
        let lost = |error: reqwest::Error| lost(what, error);
        let response = request.send().await.map_err(lost)?;
        let (status, headers) = (response.status(), response.headers().clone());
        let body = whole(what, response, call.most).await?;
        Ok(Answer {
            status,
            headers,
            body,
            secrets,
        })
    }

    /// What an answer that is no success means.
    pub fn no(&self, what: &str, answer: &Answer) -> Failure {
        let (status, headers) = (answer.status, &answer.headers);
        let words = failure::words(status, &answer.body, &answer.secrets);
        Failure::of_answer(what, status, headers, words, self.now())
    }
}

/// Reads an answer of at most `most` bytes to its end, and the beginning of a no.
async fn whole(what: &str, mut response: Response, most: usize) -> Result<Vec<u8>, Failure> {
    let fine = response.status().is_success();
    let most = if fine { most } else { NO };
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| lost(what, error))? {
        let room = most - body.len();
        if chunk.len() <= room {
            body.extend_from_slice(&chunk);
        } else if fine {
            let long = format!("it does not end within {} KiB", most >> 10);
            return Err(Failure::unreadable(what, long));
        } else {
            body.extend_from_slice(&chunk[..room]);
            break;
        }
    }
    Ok(body)
}

/// No answer, or only a part of it.
fn lost(what: &str, error: reqwest::Error) -> Failure {
    let error = error.without_url();
    let mut cause = error.source();
    while let Some(inner) = cause {
        if let Some(forbidden) = inner.downcast_ref::<reach::Forbidden>() {
            return Failure::refused(what, forbidden.to_string());
        }
        cause = inner.source();
    }
    Failure::unavailable(what, error)
}
