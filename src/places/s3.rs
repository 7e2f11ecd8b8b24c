//! A bucket of S3, or of a server that speaks as S3 does.
//!
//! `If-None-Match: *` writes nothing over; a lock of the bucket's objects keeps even its owner from it. The digest that goes with each
//! object is what a bucket with such a lock asks for.

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderName, HeaderValue, Method, StatusCode};
use serde::Deserialize;
use sha2::{Digest as _, Sha256};
use url::Url;

use super::http::receipt;
use super::{Place, PlaceError, Stands, failed, there_already};
use crate::domain::address::encoded;
use crate::domain::anchor::LONGEST;
use crate::providers::aws::{Keys, Paths, ToSign, sign_call};
use crate::providers::http::{Answer, Call, Failure, Http};

/// The longest page of a list: a thousand names, each of less than 2 KiB with what is told of it.
const PAGE: usize = 2 << 20;

/// How many pages of a list are read: a hundred thousand names.
const PAGES: usize = 100;

const JSON: &str = "application/json";

/// Where in which bucket.
#[derive(Debug, Clone)]
pub struct Bucket {
    /// The address of the bucket: what stands before the key of an object.
    pub url: Url,
    /// Its name.
    pub name: String,
    /// What the keys begin with: nothing, or folders without a slash at either end.
    pub prefix: String,
}

/// A bucket, and who we are there.
pub struct S3 {
    http: Http,
    keys: Keys,
    bucket: Bucket,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Page {
    #[serde(default)]
    contents: Vec<Object>,
    #[serde(default)]
    next_continuation_token: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Object {
    key: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Said {
    code: String,
    message: String,
}

impl S3 {
    /// The bucket at the root of `http`.
    pub fn new(http: Http, keys: Keys, bucket: Bucket) -> Self {
        let http = http.hiding(keys.secrets());
        Self { http, keys, bucket }
    }

    fn key<'a>(&'a self, name: &'a str) -> Vec<&'a str> {
        let folders = self
            .bucket
            .prefix
            .split('/')
            .filter(|part| !part.is_empty());
        folders.chain([name]).collect()
    }

    async fn call(
        &self,
        what: &str,
        (method, url): (Method, Url),
        headers: &[(&'static str, String)],
        body: &[u8],
    ) -> Result<Answer, Failure> {
        let unsigned = || Failure::refused(what, "the call cannot be signed; check the keys");
        let to_sign: Vec<(&str, &str)> = headers.iter().map(|(n, v)| (*n, v.as_str())).collect();
        let signed = ToSign {
            service: "s3",
            paths: Paths::AsTheyAre,
            method: method.as_str(),
            url: url.as_str(),
            headers: &to_sign,
            body,
        };
        // Its words may hold what was to be signed.
        let added = sign_call(&self.keys, self.http.now(), &signed).map_err(|_| unsigned())?;
        let mut call = Call::new(method, url).at_most(PAGE);
        for (name, value) in headers {
            let value = HeaderValue::from_str(value).map_err(|_| unsigned())?;
            call = call.header(HeaderName::from_static(name), value);
        }
        for (name, value) in added {
            call = call.header(name, value);
        }
        if !body.is_empty() {
            call = call.body(JSON, body.to_vec());
        }
        self.http.exchange(what, call).await
    }

    /// What an answer that is no success means.
    fn no(&self, what: &str, answer: &Answer) -> Failure {
        let text = String::from_utf8_lossy(&answer.body);
        let said: Said = quick_xml::de::from_str(&text).unwrap_or_default();
        if said.code.is_empty() {
            return self.http.no(what, answer);
        }
        let told = |text: &str| answer.secrets.hide(text).replace(char::is_control, " ");
        let words: String = format!("{}: {}", told(&said.code), told(&said.message));
        let words: String = words.chars().take(300).collect();
        match said.code.as_str() {
            "SlowDown" | "OperationAborted" | "ConditionalRequestConflict" | "RequestTimeout" => {
                Failure::unavailable(what, words)
            }
            _ if answer.status.is_server_error() => Failure::unavailable(what, words),
            "NoSuchBucket" => Failure::refused(what, format!("{words}: check the bucket")),
            "AccessDenied" | "InvalidAccessKeyId" | "SignatureDoesNotMatch" | "ExpiredToken" => {
                let remedy = "check the keys, their rights, and the clock of this server";
                Failure::refused(what, format!("{words}: {remedy}"))
            }
            _ => Failure::refused(what, words),
        }
    }

    /// What every key begins with.
    fn folder(&self) -> String {
        match self.bucket.prefix.as_str() {
            "" => String::new(),
            prefix => format!("{prefix}/"),
        }
    }

    async fn page(&self, token: Option<&str>) -> Result<Option<Page>, Failure> {
        const WHAT: &str = "listing the anchors";
        let prefix = self.folder();
        let mut query = vec![("list-type", "2"), ("prefix", prefix.as_str())];
        query.extend(token.map(|token| ("continuation-token", token)));
        let mut url = self.http.route(&[], &[])?;
        // S3 signs a blank as `%20`, which a form writes as `+`.
        let query: Vec<String> = query
            .iter()
            .map(|(name, value)| format!("{name}={}", encoded(value, b"")))
            .collect();
        url.set_query(Some(&query.join("&")));
        let answer = self.call(WHAT, (Method::GET, url), &[], b"").await?;
        match answer.status {
            StatusCode::OK => {}
            StatusCode::FORBIDDEN => return Ok(None),
            _ => return Err(self.no(WHAT, &answer)),
        }
        let text = std::str::from_utf8(&answer.body).map_err(|e| answer.unreadable(WHAT, &e))?;
        let page = quick_xml::de::from_str(text);
        page.map(Some).map_err(|e| answer.unreadable(WHAT, &e))
    }

    fn told(&self, failure: Failure) -> PlaceError {
        failed(&self.shown(), failure)
    }
}

#[async_trait]
impl Place for S3 {
    fn shown(&self) -> String {
        format!("the bucket {}", self.bucket.name)
    }

    async fn put(&self, name: &str, bytes: &[u8]) -> Result<String, PlaceError> {
        const WHAT: &str = "writing an anchor";
        let url = self.http.route(&self.key(name), &[]);
        let url = url.map_err(|failure| self.told(failure))?;
        let headers = [
            ("if-none-match", "*".to_owned()),
            ("content-type", JSON.to_owned()),
            (
                "x-amz-checksum-sha256",
                STANDARD.encode(Sha256::digest(bytes)),
            ),
        ];
        let answer = self.call(WHAT, (Method::PUT, url), &headers, bytes).await;
        let answer = answer.map_err(|failure| self.told(failure))?;
        match answer.status {
            status if status.is_success() => Ok(receipt(status, &answer.headers)),
            StatusCode::PRECONDITION_FAILED => {
                let stands = self.get(name).await?;
                there_already(&self.shown(), (name, bytes), stands)
            }
            _ => Err(self.told(self.no(WHAT, &answer))),
        }
    }

    async fn get(&self, name: &str) -> Result<Stands, PlaceError> {
        const WHAT: &str = "reading an anchor";
        let url = self.http.route(&self.key(name), &[]);
        let url = url.map_err(|failure| self.told(failure))?;
        let answer = self.call(WHAT, (Method::GET, url), &[], b"").await;
        let mut answer = answer.map_err(|failure| self.told(failure))?;
        match answer.status {
            StatusCode::OK => {
                answer.body.truncate(LONGEST + 1);
                Ok(Stands::This(answer.body))
            }
            StatusCode::NOT_FOUND if self.lacks(&answer) => Ok(Stands::Nothing),
            StatusCode::FORBIDDEN => Ok(Stands::Unreadable),
            _ => Err(self.told(self.no(WHAT, &answer))),
        }
    }

    async fn names(&self) -> Result<Option<Vec<String>>, PlaceError> {
        let (mut names, mut token) = (Vec::new(), None::<String>);
        for _ in 0..PAGES {
            let page = self.page(token.as_deref()).await;
            let Some(page) = page.map_err(|failure| self.told(failure))? else {
                return Ok(None);
            };
            let name = |object: &Object| {
                let name = object.key.strip_prefix(&self.folder())?;
                (!name.contains('/')).then(|| name.to_owned())
            };
            names.extend(page.contents.iter().filter_map(name));
            token = page.next_continuation_token;
            if token.is_none() {
                return Ok(Some(names));
            }
        }
        Err(PlaceError::Refused {
            place: self.shown(),
            reason: "it holds too many objects to list; give anchors a prefix of their own"
                .to_owned(),
        })
    }
}

impl S3 {
    /// Whether the server itself says that there is no such object, and not that there is no such bucket.
    fn lacks(&self, answer: &Answer) -> bool {
        let text = String::from_utf8_lossy(&answer.body);
        quick_xml::de::from_str::<Said>(&text).is_ok_and(|said| said.code == "NoSuchKey")
    }
}
