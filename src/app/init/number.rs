//! GitHub's number of an account, which anybody may ask for.

use std::time::Duration;

use reqwest::blocking::Client;
use serde::Deserialize;

use crate::domain::model::Login;
use crate::reconcile::chain;

const PATIENCE: Duration = Duration::from_secs(20);

#[derive(Deserialize)]
struct Account {
    id: u64,
    login: String,
}

/// GitHub's number of `login`, by the API at `api`.
///
/// # Errors
/// Why it is not known, in words.
pub fn number_of(api: &str, login: &Login) -> Result<u64, String> {
    let ask = || {
        let client = Client::builder()
            .user_agent(concat!("hallpass/", env!("CARGO_PKG_VERSION")))
            .timeout(PATIENCE)
            .build()?;
        let answer = client.get(format!("{api}/users/{login}")).send()?;
        answer.error_for_status()?.json::<Account>()
    };
    let found: Account = ask().map_err(|error| match error.status() {
        Some(status) if status.as_u16() == 404 => "GitHub knows no such account".to_owned(),
        _ => format!("GitHub does not tell its number: {}", chain(&error)),
    })?;
    if !found.login.eq_ignore_ascii_case(login.as_str()) {
        return Err(format!(
            "GitHub answers with another account, {}",
            found.login
        ));
    }
    Ok(found.id)
}
