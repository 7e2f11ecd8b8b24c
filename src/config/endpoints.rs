//! The tables of connections that speak HTTP.

use secrecy::{ExposeSecret, SecretString};
use url::Url;

use super::sections::address;
use super::table::Table;
use super::{Endpoint, Provider};

/// The keys of a secret: for the environment variable and for the file that hold it, and how not to write it.
pub(super) struct Keys {
    pub env: &'static str,
    pub file: &'static str,
    pub wrong: &'static str,
    pub remedy: &'static str,
}

const TOKEN: Keys = Keys {
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

fn endpoint(table: &mut Table<'_>, example: &str) -> Option<Endpoint> {
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
