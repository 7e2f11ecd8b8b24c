//! Calls that are signed, so that their receiver knows who calls.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use http::{HeaderName, HeaderValue};
use secrecy::{ExposeSecret, SecretSlice, SecretString};
use sha2::Sha256;
use std::fmt;

use super::{Call, Failure};
use crate::domain::model::Instant;
use crate::secrets::Secrets;

/// Signs as Standard Webhooks 1.0.0 says: `webhook-id`, `webhook-timestamp`, and in `webhook-signature` an HMAC-SHA256 of
/// `id.timestamp.body` for each secret, so that a secret can be changed without a call being refused.
pub struct Signer {
    keys: Vec<SecretSlice<u8>>,
    secrets: Secrets,
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Signer")
    }
}

impl Signer {
    /// Signs with each of `secrets`: `whsec_` and base64.
    ///
    /// # Errors
    /// [`Failure::Refused`] when one is no such secret, or there is none.
    pub fn new(secrets: &[SecretString]) -> Result<Self, Failure> {
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
            keys: keys.ok_or_else(unusable)?,
            secrets: hidden,
        })
    }

    /// What nobody may repeat.
    pub fn secrets(&self) -> Secrets {
        self.secrets.clone()
    }

    /// `call`, which has its body, with the headers that sign it. `id` is the message's own: it stays when the message is sent again.
    ///
    /// # Errors
    /// [`Failure::Refused`] for an id that no header can hold.
    pub fn sign(&self, what: &str, call: Call, id: &str, now: Instant) -> Result<Call, Failure> {
        let timestamp = now.timestamp();
        let text = |text: &str| {
            HeaderValue::from_str(text)
                .map_err(|_| Failure::refused(what, "no header can hold that"))
        };
        let body = call.body.as_deref().unwrap_or_default();
        let signatures = self.signatures(id, timestamp, body)?;
        let header: Vec<String> = signatures.iter().map(|s| format!("v1,{s}")).collect();
        let header = header.join(" ");
        let call = call
            .header(HeaderName::from_static("webhook-id"), text(id)?)
            .header(
                HeaderName::from_static("webhook-timestamp"),
                timestamp.into(),
            )
            .header(HeaderName::from_static("webhook-signature"), text(&header)?);
        let whole = signatures.iter().chain([&header]);
        Ok(whole.fold(call, |call, whole| call.hiding("the signature", whole)))
    }

    fn signatures(&self, id: &str, timestamp: i64, body: &[u8]) -> Result<Vec<String>, Failure> {
        let sign = |secret: &SecretSlice<u8>| {
            let mut mac = Hmac::<Sha256>::new_from_slice(secret.expose_secret()).ok()?;
            mac.update(format!("{id}.{timestamp}.").as_bytes());
            mac.update(body);
            Some(STANDARD.encode(mac.finalize().into_bytes()))
        };
        let signed: Option<Vec<String>> = self.keys.iter().map(sign).collect();
        signed.ok_or_else(|| Failure::refused("signing a call", "a secret cannot be used"))
    }
}
