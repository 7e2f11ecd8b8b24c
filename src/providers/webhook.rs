//! `webhook`: anything that a receiver of one's own gives and takes, asked by signed HTTP calls.
//!
//! Calls are signed as [`Signer`] does. What is asked and answered says [`super::asked`].

use async_trait::async_trait;
use http::Method;
use secrecy::SecretString;
use std::fmt;

use super::asked::{self, Carried, Carrier};
use super::http::{Call, Failure, Http, Signer};
use crate::domain::model::Instant;
use crate::domain::target::{Kind, Names};

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
    signer: Signer,
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
        let signer = Signer::new(secrets)?;
        Ok(Self {
            http: http.hiding(signer.secrets()),
            signer,
        })
    }
}

#[async_trait]
impl Carrier for Webhook {
    fn kind(&self) -> &'static Kind {
        &KIND
    }

    async fn carry(&self, what: &str, id: &str, question: Vec<u8>) -> Result<Carried, Failure> {
        let call =
            Call::new(Method::POST, self.http.route(&[], &[])?).body("application/json", question);
        let call = self.signer.sign(what, call, id, self.http.now())?;
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
