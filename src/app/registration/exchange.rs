//! The exchange of a code for what GitHub made.

use std::time::Duration;

use anyhow::{Context as _, bail};
use reqwest::redirect::Policy;
use secrecy::SecretString;
use serde::{Deserialize, Deserializer};

const PATIENCE: Duration = Duration::from_secs(30);

/// An App that was just made, with its secrets.
#[derive(Debug, Deserialize)]
pub struct Created {
    /// Its number.
    pub id: u64,
    /// Its name in addresses.
    pub slug: String,
    /// Its page.
    pub html_url: String,
    /// What its sign-in is known by.
    pub client_id: String,
    #[serde(deserialize_with = "secret")]
    pub(super) client_secret: SecretString,
    /// `None` where it delivers no webhooks.
    #[serde(default, deserialize_with = "perhaps_secret")]
    pub(super) webhook_secret: Option<SecretString>,
    #[serde(deserialize_with = "secret")]
    pub(super) pem: SecretString,
}

fn secret<'de, D: Deserializer<'de>>(from: D) -> Result<SecretString, D::Error> {
    String::deserialize(from).map(SecretString::from)
}

fn perhaps_secret<'de, D: Deserializer<'de>>(from: D) -> Result<Option<SecretString>, D::Error> {
    let text = Option::<String>::deserialize(from)?;
    Ok(text.filter(|text| !text.is_empty()).map(SecretString::from))
}

/// Exchanges `code`, which GitHub takes once and for an hour.
pub(super) async fn exchange(api: &str, code: &str) -> anyhow::Result<Created> {
    // It becomes a part of an address.
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_');
    if code.is_empty() || !code.bytes().all(plain) {
        bail!("what came back from GitHub is no code");
    }
    let client = reqwest::Client::builder()
        .user_agent(concat!("hallpass/", env!("CARGO_PKG_VERSION")))
        .redirect(Policy::none())
        .timeout(PATIENCE)
        .build()?;
    let answer = client
        .post(format!("{api}/app-manifests/{code}/conversions"))
        .header("accept", "application/vnd.github+json")
        .send()
        .await
        .map_err(reqwest::Error::without_url)
        .context("GitHub does not answer")?;
    let status = answer.status();
    if !status.is_success() {
        bail!(
            "GitHub does not exchange the code ({status}): it is taken once, and for an hour. If the App is there already, delete it in the \
             organisation's settings, and begin again."
        );
    }
    let made = answer.json().await.map_err(reqwest::Error::without_url);
    made.context("GitHub's answer is not what it documents")
}
