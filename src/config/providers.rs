//! The connections: one table each, read by its kind.

use std::collections::BTreeMap;

use secrecy::ExposeSecret;
use url::Url;

use super::Provider;
use super::sections::is_local;
use super::table::Table;
use crate::domain::model::{ConnectionName, Login};

/// Every `[providers.<name>]`.
pub(super) fn read(mut table: Table<'_>) -> BTreeMap<ConnectionName, Provider> {
    let mut providers = BTreeMap::new();
    for (name, section) in table.children() {
        let line = section.line();
        let provider = provider(section);
        match ConnectionName::new(&name) {
            Ok(name) => {
                providers.extend(provider.map(|provider| (name, provider)));
            }
            Err(error) => table.report(
                line,
                &name,
                "cannot be the name of a provider",
                format!("{error}."),
            ),
        }
    }
    providers
}

/// How each kind's table is read.
type Read = fn(&mut Table<'_>) -> Option<Provider>;

const KINDS: [(&str, Read); 2] = [("github-team", github_team), ("postgres", postgres)];

fn remedy() -> String {
    let kinds = KINDS.map(|(name, _)| format!("kind = {name:?}"));
    format!("Write {}.", kinds.join(" or "))
}

fn provider(mut table: Table<'_>) -> Option<Provider> {
    let remedy = remedy();
    let kind = table.required("kind", &remedy, |text| {
        let known = KINDS.iter().find(|(name, _)| *name == text);
        known
            .map(|(_, read)| *read)
            .ok_or(remedy.trim_end_matches('.'))
    })?;
    let provider = kind(&mut table);
    table.finish();
    provider
}

fn github_team(table: &mut Table<'_>) -> Option<Provider> {
    let organisation = table.required(
        "organisation",
        "Write organisation = \"the login of the organisation\".",
        |text| Login::new(text),
    )?;
    Some(Provider::GithubTeam { organisation })
}

fn postgres(table: &mut Table<'_>) -> Option<Provider> {
    const REMEDY: &str =
        "Name the environment variable that holds it with url_env, or the file with url_file.";
    for key in ["url", "password"] {
        table.no_secret(key, REMEDY);
    }
    let end_sessions = table.switch("end_sessions");
    let line = table.line();
    let variable = table.text("url_env").map(|at| at.value);
    let set = variable.clone().unwrap_or_default();
    let Some(url) = table.secret(&set, "url_file") else {
        match variable {
            Some(name) => table.report(
                line,
                "url_env",
                &format!("names {name}, which is not set"),
                "Set it.",
            ),
            None => table.missing("url_env", REMEDY),
        }
        return None;
    };
    if let Err(remedy) = postgres_url(url.expose_secret()) {
        table.report(
            line,
            "url_env",
            "leads to an address that cannot be used",
            remedy,
        );
    }
    Some(Provider::Postgres { url, end_sessions })
}

/// The words never repeat the address, which holds a password.
fn postgres_url(text: &str) -> Result<(), &'static str> {
    if text.is_empty() {
        return Ok(()); // Already reported.
    }
    let url = Url::parse(text)
        .map_err(|_| "Write postgres://user:password@host/database?sslmode=verify-full.")?;
    if !matches!(url.scheme(), "postgres" | "postgresql") {
        return Err("It must begin with postgres://.");
    }
    let mode = url
        .query_pairs()
        .find(|(key, _)| key == "sslmode" || key == "ssl-mode")
        .map(|(_, mode)| mode.into_owned());
    let chosen = mode.is_some_and(|mode| {
        matches!(
            mode.as_str(),
            "disable" | "require" | "verify-ca" | "verify-full"
        )
    });
    if chosen || is_local(&url) {
        return Ok(());
    }
    // The default, `prefer`, goes on without encryption when somebody in between says so.
    Err("Say how the connection is protected: add ?sslmode=verify-full.")
}
