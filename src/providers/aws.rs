//! What the kinds of AWS share: calls signed with Signature Version 4, over the HTTP client that goes nowhere else, and what the errors of
//! AWS mean.
//!
//! AWS's own clients bring a runtime, an HTTP client and a retry loop of their own, which keep none of the promises of [`super::http`]; of
//! them only the signing is used.

use std::fmt;
use std::time::SystemTime;

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{
    PayloadChecksumKind, PercentEncodingMode, SignableBody, SignableRequest, SigningSettings,
    UriPathNormalizationMode, sign,
};
use aws_sigv4::sign::v4::SigningParams;
use chrono::TimeDelta;
use http::{HeaderName, HeaderValue, Method};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::http::{Answer, Call, Failure, Http, Listing};
use crate::domain::model::Instant;
use crate::secrets::Secrets;

/// How long to wait when we are limited: AWS does not say.
const LIMITED: TimeDelta = TimeDelta::seconds(5);

/// The longest answer, in bytes: a page of a list has at most 1000 entries, each of less than 1 KiB, or 100 of about 4 KiB.
const LONGEST: usize = 2 << 20;

/// What AWS says of a value that has not the form of such values, in either of its protocols.
const MALFORMED: [&str; 2] = ["ValidationError", "ValidationException"];

/// Who we are at AWS, and where.
#[derive(Clone)]
pub struct Keys {
    /// The region that the calls are signed for: `eu-central-1`.
    pub region: String,
    /// `AKIA...`, or `ASIA...` with a session token.
    pub access_key: String,
    /// Its secret.
    pub secret_key: SecretString,
    /// The token of temporary credentials.
    pub session_token: Option<SecretString>,
}

impl Keys {
    /// What of them nobody may repeat.
    pub fn secrets(&self) -> Secrets {
        let secrets = Secrets::default().with("the secret key", self.secret_key.expose_secret());
        match &self.session_token {
            Some(token) => secrets.with("the session token", token.expose_secret()),
            None => secrets,
        }
    }
}

/// The host of a service that every region has one of.
pub fn regional(service: &str, region: &str) -> String {
    let suffix = match region.starts_with("cn-") {
        true => "amazonaws.com.cn",
        false => "amazonaws.com",
    };
    format!("{service}.{region}.{suffix}")
}

/// One service of AWS.
pub(super) struct Service {
    http: Http,
    keys: Keys,
    name: &'static str,
}

impl fmt::Debug for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Service")
            .field("name", &self.name)
            .field("http", &self.http)
            .finish_non_exhaustive()
    }
}

/// What an error says of itself, in either of AWS's protocols.
#[derive(Debug, Default)]
struct Said {
    code: String,
    message: String,
}

#[derive(Deserialize)]
struct ErrorDocument {
    #[serde(rename = "Error")]
    error: ErrorElement,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ErrorElement {
    code: String,
    // Some services write it twice, in two cases.
    #[serde(default)]
    message: Vec<String>,
}

impl Service {
    /// `name` is the one that calls are signed for.
    pub(super) fn new(http: Http, keys: Keys, name: &'static str) -> Self {
        let http = http.hiding(keys.secrets());
        Self { http, keys, name }
    }

    /// Calls an operation of a service that speaks JSON 1.1: `SWBExternalService.ListInstances`.
    pub(super) async fn json<T: DeserializeOwned>(
        &self,
        what: &str,
        operation: &str,
        body: &Value,
    ) -> Result<T, Failure> {
        let mut alone = Listing::default();
        self.page(what, (operation, body), &mut alone).await
    }

    /// The same for one page of a list.
    pub(super) async fn page<T: DeserializeOwned>(
        &self,
        what: &str,
        (operation, body): (&str, &Value),
        listing: &mut Listing,
    ) -> Result<T, Failure> {
        let operation = HeaderValue::from_str(operation)
            .map_err(|_| Failure::refused(what, "no header can hold that"))?;
        let headers = [(HeaderName::from_static("x-amz-target"), operation)];
        let kind = "application/x-amz-json-1.1";
        let answer = self.call(what, &headers, kind, body.to_string()).await?;
        listing.add(what, &answer)?;
        answer.json(what)
    }

    /// Calls an operation of a service that takes forms and answers in XML: IAM.
    pub(super) async fn form<T: DeserializeOwned>(
        &self,
        what: &str,
        fields: &[(&str, &str)],
    ) -> Result<T, Failure> {
        self.form_page(what, fields, &mut Listing::default()).await
    }

    /// The same for one page of a list.
    pub(super) async fn form_page<T: DeserializeOwned>(
        &self,
        what: &str,
        fields: &[(&str, &str)],
        listing: &mut Listing,
    ) -> Result<T, Failure> {
        let body = url::form_urlencoded::Serializer::new(String::new())
            .extend_pairs(fields)
            .finish();
        let kind = "application/x-www-form-urlencoded; charset=utf-8";
        let answer = self.call(what, &[], kind, body).await?;
        listing.add(what, &answer)?;
        let text = std::str::from_utf8(&answer.body).map_err(|e| answer.unreadable(what, &e))?;
        quick_xml::de::from_str(text).map_err(|e| answer.unreadable(what, &e))
    }

    async fn call(
        &self,
        what: &str,
        headers: &[(HeaderName, HeaderValue)],
        kind: &'static str,
        body: String,
    ) -> Result<Answer, Failure> {
        let url = self.http.route(&[], &[])?;
        let mut call = Call::new(Method::POST, url.clone()).at_most(LONGEST);
        let mut signed = vec![("content-type", kind)];
        for (name, value) in headers {
            signed.push((name.as_str(), value.to_str().unwrap_or_default()));
            call = call.header(name.clone(), value.clone());
        }
        let unsigned = |error: Box<dyn std::error::Error + Send + Sync>| {
            // Its words may hold what was to be signed.
            drop(error);
            Failure::refused(
                what,
                "the call cannot be signed; check the keys of the connection",
            )
        };
        let to_sign = ToSign {
            service: self.name,
            paths: Paths::Tidied,
            method: "POST",
            url: url.as_str(),
            headers: &signed,
            body: body.as_bytes(),
        };
        let added = sign_call(&self.keys, self.http.now(), &to_sign).map_err(unsigned)?;
        for (name, value) in added {
            call = call.header(name, value);
        }
        let answer = self
            .http
            .exchange(what, call.body(kind, body.into_bytes()))
            .await?;
        match answer.status.is_success() {
            true => Ok(answer),
            false => Err(self.no(what, &answer)),
        }
    }

    /// What an answer that is no success means: AWS says most in a code, and little in the status.
    fn no(&self, what: &str, answer: &Answer) -> Failure {
        let said = Said::of(&answer.body);
        let told = |text: &str| super::asked::plain(&answer.secrets.hide(text));
        let words = format!("{}: {}", told(&said.code), told(&said.message));
        let refused = |remedy: &str| Failure::refused(what, format!("{words}: {remedy}"));
        match said.code.as_str() {
            "" => self.http.no(what, answer),
            "Throttling"
            | "ThrottlingException"
            | "TooManyRequestsException"
            | "RequestLimitExceeded" => Failure::Unavailable {
                what: what.to_owned(),
                retry_at: Some(self.http.now() + LIMITED),
                source: words.into(),
            },
            "NoSuchEntity" | "ResourceNotFoundException" => Failure::NotFound {
                what: what.to_owned(),
            },
            "ConflictException" | "ConcurrentModification" | "EntityTemporarilyUnmodifiable" => {
                Failure::unavailable(what, words)
            }
            "AccessDenied" | "AccessDeniedException" | "UnauthorizedOperation" => {
                refused("check the rights of the connection's keys")
            }
            "InvalidClientTokenId"
            | "UnrecognizedClientException"
            | "SignatureDoesNotMatch"
            | "InvalidSignatureException"
            | "ExpiredToken"
            | "ExpiredTokenException"
            | "IncompleteSignature"
            | "MissingAuthenticationToken" => {
                refused("check the keys of the connection, and the clock of this server")
            }
            _ if answer.status.is_server_error() => Failure::unavailable(what, words),
            _ => Failure::Declined {
                what: what.to_owned(),
                status: answer.status,
                words,
            },
        }
    }
}

/// A call that is to be signed.
#[derive(Debug, Clone, Copy)]
pub struct ToSign<'a> {
    /// The service that it is signed for.
    pub service: &'a str,
    /// How the service reads paths.
    pub paths: Paths,
    /// The method.
    pub method: &'a str,
    /// The whole address.
    pub url: &'a str,
    /// The headers that are signed with it.
    pub headers: &'a [(&'a str, &'a str)],
    /// Everything behind the headers.
    pub body: &'a [u8],
}

/// How a service reads the paths that it is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Paths {
    /// `a/../b` is `b`: every service but S3.
    Tidied,
    /// As they are, and the digest of what is sent stands in a header: S3.
    AsTheyAre,
}

/// The headers that sign a call, by Signature Version 4.
///
/// # Errors
/// When the call cannot be signed. The words of that may hold what was to be signed.
pub fn sign_call(
    keys: &Keys,
    now: Instant,
    call: &ToSign<'_>,
) -> Result<Vec<(HeaderName, HeaderValue)>, Box<dyn std::error::Error + Send + Sync>> {
    let token = keys.session_token.as_ref();
    let credentials = Credentials::new(
        keys.access_key.as_str(),
        keys.secret_key.expose_secret(),
        token.map(|token| token.expose_secret().to_owned()),
        None,
        "hallpass",
    );
    let identity = credentials.into();
    let mut settings = SigningSettings::default();
    if call.paths == Paths::AsTheyAre {
        settings.percent_encoding_mode = PercentEncodingMode::Single;
        settings.uri_path_normalization_mode = UriPathNormalizationMode::Disabled;
        settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
    }
    let parameters = SigningParams::builder()
        .identity(&identity)
        .region(&keys.region)
        .name(call.service)
        .time(SystemTime::from(now))
        .settings(settings)
        .build()?
        .into();
    let request = SignableRequest::new(
        call.method,
        call.url,
        call.headers.iter().copied(),
        SignableBody::Bytes(call.body),
    )?;
    let (instructions, _) = sign(request, &parameters)?.into_parts();
    let (added, _) = instructions.into_parts();
    let header = |(name, value): (&str, &str)| {
        let mut value = HeaderValue::from_str(value)?;
        value.set_sensitive(true);
        Ok((HeaderName::from_bytes(name.as_bytes())?, value))
    };
    added
        .iter()
        .map(|added| header((added.name(), added.value())))
        .collect()
}

/// Whether AWS says that a value has not the form of such values, so that nothing can be of that name.
pub(super) fn is_malformed(failure: &Failure) -> bool {
    let code = match failure {
        Failure::Declined { words, .. } => words.split(':').next(),
        _ => None,
    };
    code.is_some_and(|code| MALFORMED.contains(&code))
}

impl Said {
    fn of(body: &[u8]) -> Self {
        let text = String::from_utf8_lossy(body);
        if let Ok(found) = quick_xml::de::from_str::<ErrorDocument>(&text) {
            let message = found.error.message.into_iter().next();
            return Self {
                code: found.error.code,
                message: message.unwrap_or_default(),
            };
        }
        let found: Value = serde_json::from_slice(body).unwrap_or_default();
        let code = found["__type"].as_str().unwrap_or_default();
        let message = ["message", "Message"]
            .iter()
            .find_map(|key| found[*key].as_str());
        Self {
            // Some services put a namespace before it.
            code: code.rsplit('#').next().unwrap_or_default().to_owned(),
            message: message.unwrap_or_default().to_owned(),
        }
    }
}
