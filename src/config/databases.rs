//! Addresses of databases: where they lead, and how the way there is protected.

use std::collections::BTreeMap;

use url::Url;

use super::sections::is_local;

/// The words never repeat the address, which holds a password.
pub(super) fn postgres_url(text: &str) -> Result<(), &'static str> {
    let url = Url::parse(text)
        .map_err(|_| "Write postgres://user:password@host/database?sslmode=verify-full.")?;
    if !matches!(url.scheme(), "postgres" | "postgresql") {
        return Err("It must begin with postgres://.");
    }
    let said = parameters(&url)?;
    let folder = said.get("host");
    // To the driver they count more than what stands before them.
    let elsewhere = ["hostaddr", "user", "password"]
        .iter()
        .any(|key| said.contains_key(*key));
    if elsewhere || folder.is_some_and(|folder| !folder.starts_with('/')) {
        return Err("Write user, password and host before the question mark.");
    }
    // The driver would take PGHOST of its environment, which leads who knows where.
    if folder.is_none() && url.host_str().is_none_or(str::is_empty) {
        return Err(
            "Name the host, or the folder of a socket: postgres:///database?host=/run/postgresql.",
        );
    }
    let known = ["disable", "require", "verify-ca", "verify-full"];
    let chosen = said
        .get("sslmode")
        .is_some_and(|mode| known.contains(&mode.as_str()));
    if chosen || folder.is_some() || is_socket(&url) || is_local(&url) {
        return Ok(());
    }
    // The default, `prefer`, goes on without encryption when somebody in between says so.
    Err(
        "Say how the connection is protected: add ?sslmode=verify-full. Only localhost and sockets need none.",
    )
}

/// Whether the host is the folder of a socket, as the driver reads it: with its slashes encoded.
fn is_socket(url: &Url) -> bool {
    url.host_str()
        .is_some_and(|host| host.to_ascii_lowercase().starts_with("%2f"))
}

/// The words never repeat the address, which holds a password.
pub(super) fn mysql_url(text: &str) -> Result<(), &'static str> {
    let url = Url::parse(text)
        .map_err(|_| "Write mysql://user:password@host/?ssl-mode=VERIFY_IDENTITY.")?;
    if !matches!(url.scheme(), "mysql" | "mariadb") {
        return Err("It must begin with mysql://.");
    }
    let said = parameters(&url)?;
    let chosen = said.get("sslmode").is_some_and(|mode| {
        let known = ["disabled", "required", "verify_ca", "verify_identity"];
        known.iter().any(|known| mode.eq_ignore_ascii_case(known))
    });
    if chosen || is_local(&url) {
        return Ok(());
    }
    // The default, `PREFERRED`, goes on without encryption when somebody in between says so.
    Err("Say how the connection is protected: add ?ssl-mode=VERIFY_IDENTITY.")
}

/// What an address says after the question mark, with `ssl-mode` by its other name, `sslmode`.
fn parameters(url: &Url) -> Result<BTreeMap<String, String>, &'static str> {
    let mut said = BTreeMap::new();
    for (key, value) in url.query_pairs() {
        let key = if key == "ssl-mode" { "sslmode" } else { &*key };
        let before = said.insert(key.to_owned(), value.into_owned());
        if before.is_some() {
            return Err("Write each parameter once: of two, the driver takes the last.");
        }
    }
    Ok(said)
}
