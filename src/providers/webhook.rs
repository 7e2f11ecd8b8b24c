//! `webhook`: anything that a receiver of one's own gives and takes, asked by signed HTTP calls.
//!
//! Calls are signed as Standard Webhooks 1.0.0 says: `webhook-id`, `webhook-timestamp`, and in `webhook-signature` an HMAC-SHA256 of
//! `id.timestamp.body` for each secret, so that a secret can be changed without a call being refused. What is asked and answered
//! says [`super::asked`].

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use http::{HeaderName, HeaderValue, Method};
use secrecy::{ExposeSecret, SecretSlice, SecretString};
use sha2::Sha256;
use std::fmt;

use super::asked::{self, Carried, Carrier};
use super::http::{Call, Failure, Http};
use crate::domain::model::Instant;
use crate::domain::target::{Kind, Names};
use crate::secrets::Secrets;

/// Receivers of signed calls.
pub const KIND: Kind = Kind {
    name: "webhook",
    gives: "whatever a receiver of your own gives",
    entitlement: asked::ENTITLEMENT,
    residual: "What the receiver says: sessions that it names stand in the evidence of the removal.",
    native_expiry: Some("What the receiver does at `ends`, which it is told with every grant."),
    names: Names::Exact,
};

/// A receiver.
pub struct Webhook {
    http: Http,
    secrets: Vec<SecretSlice<u8>>,
}

impl fmt::Debug for Webhook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Webhook")
            .field("http", &self.http)
            .finish_non_exhaustive()
    }
}

impl Webhook {
    /// The receiver at the root of `http`. Every call carries a signature for each of `secrets`: `whsec_` and base64.
    ///
    /// # Errors
    /// [`Failure::Refused`] when one is no such secret, or there is none.
    pub fn new(http: Http, secrets: &[SecretString]) -> Result<Self, Failure> {
        let key = |secret: &SecretString| {
            let key = secret.expose_secret().strip_prefix("whsec_")?;
            STANDARD.decode(key).ok().filter(|key| !key.is_empty())
        };
        let keys: Option<Vec<_>> = secrets
            .iter()
            .map(|s| Some(SecretSlice::from(key(s)?)))
            .collect();
        let keys = keys.filter(|keys| !keys.is_empty());
        let unusable =
            || Failure::refused("setting up the connection", "a secret is no whsec_ secret");
        let hidden = secrets.iter().fold(Secrets::default(), |hidden, secret| {
            let text = secret.expose_secret();
            let key = text.trim_start_matches("whsec_");
            hidden.with("the secret", key).with("the secret", text)
        });
        Ok(Self {
            http: http.hiding(hidden),
            secrets: keys.ok_or_else(unusable)?,
        })
    }

    fn signatures(&self, id: &str, timestamp: i64, body: &[u8]) -> Result<Vec<String>, Failure> {
        let sign = |secret: &SecretSlice<u8>| {
            let mut mac = Hmac::<Sha256>::new_from_slice(secret.expose_secret()).ok()?;
            mac.update(format!("{id}.{timestamp}.").as_bytes());
            mac.update(body);
            Some(STANDARD.encode(mac.finalize().into_bytes()))
        };
        let signed: Option<Vec<String>> = self.secrets.iter().map(sign).collect();
        signed.ok_or_else(|| Failure::refused("signing a call", "a secret cannot be used"))
    }
}

#[async_trait]
impl Carrier for Webhook {
    fn kind(&self) -> &'static Kind {
        &KIND
    }

    async fn carry(&self, what: &str, id: &str, question: Vec<u8>) -> Result<Carried, Failure> {
        let timestamp = self.http.now().timestamp();
        let text = |text: &str| {
            HeaderValue::from_str(text)
                .map_err(|_| Failure::refused(what, "no header can hold that"))
        };
        let signatures = self.signatures(id, timestamp, &question)?;
        let header: Vec<String> = signatures.iter().map(|s| format!("v1,{s}")).collect();
        let header = header.join(" ");
        let mut call = Call::new(Method::POST, self.http.route(&[], &[])?)
            .header(HeaderName::from_static("webhook-id"), text(id)?)
            .header(
                HeaderName::from_static("webhook-timestamp"),
                timestamp.into(),
            )
            .header(HeaderName::from_static("webhook-signature"), text(&header)?)
            .body("application/json", question);
        for whole in signatures.iter().chain([&header]) {
            call = call.hiding("the signature", whole);
        }
        match self.http.ask(what, call, |_| true).await {
            Ok(answer) => Ok(Carried {
                answer: answer.body,
                secrets: answer.secrets,
            }),
            Err(Failure::NotFound { .. }) => Err(Failure::refused(
                what,
                "404 Not Found: nobody receives there; correct the address of the connection",
            )),
            Err(failure) => Err(failure),
        }
    }

    fn shown(&self) -> String {
        "POST to the receiver".to_owned()
    }

    fn now(&self) -> Instant {
        self.http.now()
    }
}
