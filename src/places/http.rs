//! A receiver that takes files: each is PUT below one address, with a token, and with `If-None-Match: *` so that nothing is written over.

use async_trait::async_trait;
use http::header::{ETAG, IF_NONE_MATCH};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use url::Url;

use super::{Place, PlaceError, Stands, failed, there_already};
use crate::domain::anchor::LONGEST;
use crate::providers::http::{Answer, Call, Http};

/// A receiver.
#[derive(Debug)]
pub struct Receiver {
    http: Http,
    shown: String,
}

impl Receiver {
    /// The receiver at `url`, which is the root of `http`.
    pub fn new(http: Http, url: &Url) -> Self {
        let shown = format!("the receiver at {url}");
        Self { http, shown }
    }

    async fn exchange(&self, what: &str, call: Call) -> Result<Answer, PlaceError> {
        let answer = self.http.exchange(what, call.at_most(LONGEST + 1)).await;
        answer.map_err(|failure| failed(&self.shown, failure))
    }

    fn call(&self, method: Method, name: &str) -> Result<Call, PlaceError> {
        let url = self.http.route(&[name], &[]);
        let url = url.map_err(|failure| failed(&self.shown, failure))?;
        Ok(Call::new(method, url))
    }
}

#[async_trait]
impl Place for Receiver {
    fn shown(&self) -> String {
        self.shown.clone()
    }

    async fn put(&self, name: &str, bytes: &[u8]) -> Result<String, PlaceError> {
        const WHAT: &str = "writing an anchor";
        let call = self
            .call(Method::PUT, name)?
            .header(IF_NONE_MATCH, HeaderValue::from_static("*"))
            .body("application/json", bytes.to_vec());
        let answer = self.exchange(WHAT, call).await?;
        match answer.status {
            status if status.is_success() => Ok(receipt(status, &answer.headers)),
            StatusCode::PRECONDITION_FAILED | StatusCode::CONFLICT => {
                let stands = self.get(name).await?;
                there_already(&self.shown, (name, bytes), stands)
            }
            _ => Err(failed(&self.shown, self.http.no(WHAT, &answer))),
        }
    }

    async fn get(&self, name: &str) -> Result<Stands, PlaceError> {
        const WHAT: &str = "reading an anchor";
        let answer = self.exchange(WHAT, self.call(Method::GET, name)?).await?;
        match answer.status {
            StatusCode::OK => Ok(Stands::This(answer.body)),
            StatusCode::NOT_FOUND | StatusCode::GONE => Ok(Stands::Nothing),
            StatusCode::UNAUTHORIZED
            | StatusCode::FORBIDDEN
            | StatusCode::METHOD_NOT_ALLOWED
            | StatusCode::NOT_IMPLEMENTED => Ok(Stands::Unreadable),
            _ => Err(failed(&self.shown, self.http.no(WHAT, &answer))),
        }
    }

    async fn names(&self) -> Result<Option<Vec<String>>, PlaceError> {
        Ok(None)
    }
}

/// What a server said of what it took.
pub(super) fn receipt(status: StatusCode, headers: &HeaderMap) -> String {
    let mut said = status.to_string();
    let named = [("ETag", ETAG.as_str()), ("version", "x-amz-version-id")];
    for (word, header) in named {
        let value = headers.get(header).and_then(|value| value.to_str().ok());
        if let Some(value) = value {
            said.push_str(&format!(", {word} {value}"));
        }
    }
    said
}
