//! `POST /webhook`: verify, locate, make durable, answer.

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use hmac::{Hmac, KeyInit, Mac};
use http_body_util::LengthLimitError;
use secrecy::{ExposeSecret, SecretString};
use sha2::Sha256;
use tokio::sync::{Semaphore, SemaphorePermit};
use tracing::{Instrument as _, debug_span, field::Empty};

use super::Shared;
use super::locator::{Locator, Verdict};
use crate::store::Wake;

/// The largest body. GitHub caps payloads at 25 MB:
/// <https://docs.github.com/en/webhooks/webhook-events-and-payloads#payload-cap>.
const LARGEST: usize = 26 * 1024 * 1024;

/// How long a body may take to arrive. GitHub itself gives up after 10 seconds.
const ARRIVAL: Duration = Duration::from_secs(10);

/// How long making it durable may take.
const WRITING: Duration = Duration::from_secs(8);

/// How much memory all bodies together may take, in KiB. Senders beyond it are told to come back: before the signature is
/// verified anybody can send.
pub(super) const MEMORY_KIB: usize = 160 * 1024;

/// What even the smallest request counts for, in KiB, so that their number is limited too.
const LEAST_KIB: u32 = 64;

/// The way in: what the handlers share, and the memory that bodies may take.
#[derive(Debug)]
pub(super) struct Intake {
    pub shared: Arc<Shared>,
    pub memory: Semaphore,
}

type Answer = (StatusCode, &'static str);

/// The same words whatever was wrong: a forger learns nothing.
const UNSIGNED: Answer = (StatusCode::UNAUTHORIZED, "not signed\n");
const TOO_LARGE: Answer = (StatusCode::PAYLOAD_TOO_LARGE, "too large\n");
const BUSY: Answer = (StatusCode::SERVICE_UNAVAILABLE, "busy; try again\n");

/// Receives one delivery.
pub(super) async fn receive(
    State(intake): State<Arc<Intake>>,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    let delivery = word(&headers, "x-github-delivery").unwrap_or("unknown");
    let event = word(&headers, "x-github-event");
    let span = debug_span!(
        "webhook",
        otel.kind = "server",
        http.response.status_code = Empty
    );
    let taken = take(&intake, &headers, event, body);
    let (answer, outcome) = match taken.instrument(span.clone()).await {
        Ok(outcome) => ((StatusCode::ACCEPTED, "accepted\n"), outcome),
        Err(answer) => (answer, answer.1.trim_end()),
    };
    let status = answer.0.as_u16();
    span.record("http.response.status_code", status);
    intake.shared.metrics.heard(status);
    tracing::info!(
        delivery,
        event = event.unwrap_or("unknown"),
        status,
        outcome,
        "received a webhook"
    );
    answer
}

async fn take(
    intake: &Intake,
    headers: &HeaderMap,
    event: Option<&str>,
    body: Body,
) -> Result<&'static str, Answer> {
    let signature = signature(headers).ok_or(UNSIGNED)?;
    let _memory = reserve(intake, headers)?;
    let body = tokio::time::timeout(ARRIVAL, read(body))
        .await
        .map_err(|_| (StatusCode::REQUEST_TIMEOUT, "too slow\n"))??;
    if !is_signed(&intake.shared.secrets, &body, &signature) {
        return Err(UNSIGNED);
    }
    let event = event.ok_or((StatusCode::BAD_REQUEST, "no X-GitHub-Event\n"))?;
    let locator: Locator = serde_json::from_slice(&body).map_err(|_| {
        (
            StatusCode::BAD_REQUEST,
            "not the JSON of a webhook; is its content type application/json?\n",
        )
    })?;
    match locator.verdict(event, &intake.shared.source) {
        Verdict::Ignore(why) => Ok(why),
        Verdict::Look(wakes) => queue(&intake.shared, &wakes).await,
    }
}

/// Makes it durable, then tells the worker.
async fn queue(shared: &Shared, wakes: &[Wake]) -> Result<&'static str, Answer> {
    let written = shared.store.wake(wakes, shared.clock.now());
    match tokio::time::timeout(WRITING, written).await {
        Ok(Ok(())) => {
            shared.woken.notify_one();
            Ok("queued")
        }
        Ok(Err(error)) => {
            tracing::error!(
                error = &error as &dyn std::error::Error,
                "cannot make a webhook durable"
            );
            Err(BUSY)
        }
        Err(_) => Err(BUSY),
    }
}

/// Sets aside the memory that the body says it needs, or else may need.
fn reserve<'a>(intake: &'a Intake, headers: &HeaderMap) -> Result<SemaphorePermit<'a>, Answer> {
    let length = headers
        .get(header::CONTENT_LENGTH)
        .and_then(|length| length.to_str().ok()?.parse().ok());
    let length: usize = length.unwrap_or(LARGEST);
    if length > LARGEST {
        return Err(TOO_LARGE);
    }
    let kib = u32::try_from(length.div_ceil(1024)).map_err(|_| TOO_LARGE)?;
    intake
        .memory
        .try_acquire_many(kib.max(LEAST_KIB))
        .map_err(|_| BUSY)
}

async fn read(body: Body) -> Result<Bytes, Answer> {
    axum::body::to_bytes(body, LARGEST).await.map_err(|error| {
        let too_large =
            std::error::Error::source(&error).is_some_and(|source| source.is::<LengthLimitError>());
        if too_large {
            TOO_LARGE
        } else {
            (StatusCode::BAD_REQUEST, "the body ended too early\n")
        }
    })
}

/// The one signature of a request, if it has the form of one.
fn signature(headers: &HeaderMap) -> Option<[u8; 32]> {
    let mut values = headers.get_all("x-hub-signature-256").into_iter();
    let (Some(value), None) = (values.next(), values.next()) else {
        return None;
    };
    let mut signature = [0; 32];
    hex::decode_to_slice(value.as_bytes().strip_prefix(b"sha256=")?, &mut signature).ok()?;
    Some(signature)
}

/// Whether one of the secrets signed the body. Takes the same time whichever did, and however wrong the signature is.
fn is_signed(secrets: &[SecretString], body: &[u8], signature: &[u8]) -> bool {
    secrets.iter().fold(false, |signed, secret| {
        let mut mac = Hmac::<Sha256>::new_from_slice(secret.expose_secret().as_bytes())
            .expect("HMAC takes keys of every length");
        mac.update(body);
        signed | mac.verify_slice(signature).is_ok()
    })
}

/// A header that is one plain word: safe in a log.
fn word<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let value = headers.get(name)?.to_str().ok()?;
    let plain = value
        .bytes()
        .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'));
    (plain && !value.is_empty() && value.len() <= 64).then_some(value)
}
