//! `[notices.http]`: an endpoint of one's own, called with signed JSON.

use async_trait::async_trait;
use http::Method;
use secrecy::SecretString;
use serde::Serialize;

use super::{Channel, NotifyError, Recipient, id};
use crate::domain::evidence::instant;
use crate::domain::message::{Fact, Link, Message};
use crate::http_client::{Call, Failure, Http, Signer};

const NAME: &str = "http";

/// How much of an answer is read: nobody looks at it.
const ANSWER: usize = 64 << 10;

/// The body, as Standard Webhooks proposes: what happened, when, and its data.
#[derive(Serialize)]
struct Body<'a> {
    r#type: String,
    timestamp: String,
    data: Data<'a>,
}

#[derive(Serialize)]
struct Data<'a> {
    key: &'a str,
    title: &'a str,
    facts: &'a [Fact],
    to_do: Option<&'a str>,
    links: &'a [Link],
    whose: Option<String>,
    count: u64,
    text: String,
}

/// The endpoint.
#[derive(Debug)]
pub struct Receiver {
    http: Http,
    signer: Signer,
}

impl Receiver {
    /// The endpoint at the root of `http`. Every call carries a signature for each of `secrets`: `whsec_` and base64.
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

    async fn call(&self, message: &Message) -> Result<(), Failure> {
        let what = "telling the endpoint";
        let body = Body {
            r#type: format!("hallpass.{}", message.topic),
            timestamp: instant(message.at),
            data: Data {
                key: &message.key,
                title: &message.title,
                facts: &message.facts,
                to_do: message.to_do.as_deref(),
                links: &message.links,
                whose: message.whose.as_ref().map(ToString::to_string),
                count: message.count,
                text: message.text(),
            },
        };
        let call = Call::new(Method::POST, self.http.route(&[], &[])?)
            .at_most(ANSWER)
            .json("application/json", &body);
        let call = self
            .signer
            .sign(what, call, &id(message), self.http.now())?;
        self.http.send(what, call).await.map(drop)
    }
}

#[async_trait]
impl Channel for Receiver {
    fn name(&self) -> &'static str {
        NAME
    }

    /// An endpoint has no recipients: it is told whose matter it is.
    async fn send(&self, message: &Message, _: Recipient<'_>) -> Result<(), NotifyError> {
        let sent = self.call(message).await;
        sent.map_err(|failure| NotifyError::of_call(NAME, failure))
    }

    async fn check(&self) -> Result<String, NotifyError> {
        let what = "asking whether the endpoint is there";
        let asked = async {
            let call = Call::new(Method::HEAD, self.http.route(&[], &[])?).at_most(ANSWER);
            self.http.exchange(what, call).await
        };
        match asked.await {
            // Any answer at all, to a question that it need not know.
            Ok(answer) => Ok(format!(
                "the endpoint answers ({} to HEAD); nothing was sent",
                answer.status.as_u16()
            )),
            Err(failure) => Err(NotifyError::of_call(NAME, failure)),
        }
    }
}
