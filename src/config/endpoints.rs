//! The tables of connections that speak HTTP.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use secrecy::{ExposeSecret, SecretString};
use url::Url;

use super::sections::address;
use super::table::Table;
use super::{Aws, Endpoint, PlaceKind, Provider};

/// The keys of a secret: for the environment variable and for the file that hold it, and how not to write it.
pub(super) struct Keys {
    pub env: &'static str,
    pub file: &'static str,
    pub wrong: &'static str,
    pub remedy: &'static str,
}

pub(super) const TOKEN: Keys = Keys {
    env: "token_env",
    file: "token_file",
    wrong: "token",
    remedy: "Name the environment variable that holds it with token_env, or the file with token_file.",
};

/// `kind = "scim"`.
pub(super) fn scim(table: &mut Table<'_>) -> Option<Provider> {
    let endpoint = endpoint(table, "https://api.slack.com/scim/v2");
    let token = secret(table, &TOKEN);
    Some(Provider::Scim {
        endpoint: endpoint?,
        token: token?,
    })
}

/// `kind = "http"` of a place where anchors are kept.
pub(super) fn receiver(table: &mut Table<'_>) -> Option<PlaceKind> {
    let endpoint = endpoint(table, "https://anchors.example.org/hallpass");
    let token = secret(table, &TOKEN);
    Some(PlaceKind::Http {
        endpoint: endpoint?,
        token: token?,
    })
}

const SIGNING: Keys = Keys {
    env: "secret_env",
    file: "secret_file",
    wrong: "secret",
    remedy: "Name the environment variable that holds it with secret_env, or the file with secret_file.",
};

const SIGNING_BEFORE: Keys = Keys {
    env: "previous_secret_env",
    file: "previous_secret_file",
    wrong: "previous_secret",
    remedy: "Name the environment variable that holds it with previous_secret_env, or the file with previous_secret_file.",
};

/// `kind = "webhook"`.
pub(super) fn webhook(table: &mut Table<'_>) -> Option<Provider> {
    let endpoint = endpoint(table, "https://access.example.org/hallpass");
    let entitlements = entitlements(table);
    let secrets = signing_secrets(table);
    Some(Provider::Webhook {
        endpoint: endpoint?,
        secrets,
        entitlements,
    })
}

/// What calls are signed with: the secret, and the one before while it is being changed.
pub(super) fn signing_secrets(table: &mut Table<'_>) -> Vec<SecretString> {
    let current = signing(table, &SIGNING);
    let changing = table.has(SIGNING_BEFORE.env) || table.has(SIGNING_BEFORE.file);
    let before = changing.then(|| signing(table, &SIGNING_BEFORE)).flatten();
    table.no_secret(SIGNING_BEFORE.wrong, SIGNING_BEFORE.remedy);
    current.into_iter().chain(before).collect()
}

/// A secret of Standard Webhooks. The words never repeat it.
fn signing(table: &mut Table<'_>, keys: &Keys) -> Option<SecretString> {
    let line = table.line();
    let secret = secret(table, keys)?;
    let key = secret.expose_secret().strip_prefix("whsec_");
    let key = key.and_then(|key| STANDARD.decode(key).ok());
    if key.is_none_or(|key| !(24..=64).contains(&key.len())) {
        let what = "leads to a secret that cannot be used";
        let remedy =
            "Write whsec_ and 24 to 64 bytes in base64: echo whsec_$(openssl rand -base64 32).";
        table.report(line, keys.env, what, remedy);
    }
    Some(secret)
}

/// Which entitlements a connection has that has no shape of its own: a JSON Schema in a file.
pub(super) fn entitlements(table: &mut Table<'_>) -> Option<String> {
    table.file("entitlements_file")
}

const SECRET_KEY: Keys = Keys {
    env: "secret_key_env",
    file: "secret_key_file",
    wrong: "secret_key",
    remedy: "Name the environment variable that holds it with secret_key_env, or the file with secret_key_file.",
};

const SESSION_TOKEN: Keys = Keys {
    env: "session_token_env",
    file: "session_token_file",
    wrong: "session_token",
    remedy: "Name the environment variable that holds it with session_token_env, or the file with session_token_file.",
};

/// `kind = "aws-iam"` and `kind = "aws-identity-center"`.
pub(super) fn aws(table: &mut Table<'_>) -> Option<Box<Aws>> {
    const REGION: &str = "Write region = \"eu-central-1\".";
    const ACCESS_KEY: &str = "Write access_key = \"AKIA...\"; it is no secret.";
    let region = table.required("region", REGION, |text| plain(text, b"-", REGION));
    let access_key = table.required("access_key", ACCESS_KEY, |text| {
        plain(text, b"", ACCESS_KEY)
    });
    let endpoint: Option<Url> = table.parsed("endpoint", address);
    let ca = table.file("ca_file");
    let allow_link_local = table.switch("allow_link_local");
    let secret_key = secret(table, &SECRET_KEY);
    let temporary = table.has(SESSION_TOKEN.env) || table.has(SESSION_TOKEN.file);
    let session_token = temporary.then(|| secret(table, &SESSION_TOKEN)).flatten();
    table.no_secret(SESSION_TOKEN.wrong, SESSION_TOKEN.remedy);
    Some(Box::new(Aws {
        region: region?,
        access_key: access_key?,
        secret_key: secret_key?,
        session_token,
        endpoint,
        ca,
        allow_link_local,
    }))
}

/// Letters, digits and `more`: what can be part of a host's name or of a header.
fn plain(text: &str, more: &[u8], remedy: &'static str) -> Result<String, &'static str> {
    let fine = |b: u8| b.is_ascii_alphanumeric() || more.contains(&b);
    let fine = !text.is_empty() && text.bytes().all(fine);
    fine.then(|| text.to_owned())
        .ok_or(remedy.trim_end_matches('.'))
}

/// `kind = "okta"`.
pub(super) fn okta(table: &mut Table<'_>) -> Option<Provider> {
    let endpoint = endpoint(table, "https://acme.okta.com");
    let token = secret(table, &TOKEN);
    Some(Provider::Okta {
        endpoint: endpoint?,
        token: token?,
    })
}

pub(super) fn endpoint(table: &mut Table<'_>, example: &str) -> Option<Endpoint> {
    let url: Option<Url> = table.required("url", &format!("Write url = \"{example}\"."), address);
    let ca = table.file("ca_file");
    let allow_link_local = table.switch("allow_link_local");
    Some(Endpoint {
        url: url?,
        ca,
        allow_link_local,
    })
}

/// A secret that a connection must have.
pub(super) fn secret(table: &mut Table<'_>, keys: &Keys) -> Option<SecretString> {
    table.no_secret(keys.wrong, keys.remedy);
    let variable = table.text(keys.env);
    let set = variable.as_ref().map_or("", |at| at.value.as_str());
    let found = table.secret(set, keys.file);
    match (&found, variable) {
        (None, Some(at)) => {
            let what = format!("names {}, which is not set", at.value);
            table.report(at.line, keys.env, &what, "Set it.");
        }
        (None, None) => table.missing(keys.env, keys.remedy),
        (Some(_), _) => {}
    }
    // What is empty was reported already.
    found.filter(|secret| !secret.expose_secret().is_empty())
}
