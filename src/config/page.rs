//! `[page]`: the page for people, which is off without it.

use std::collections::BTreeSet;

use secrecy::ExposeSecret;
use url::Url;

use super::Page;
use super::sections::address;
use super::table::{At, Table};
use crate::domain::model::{Login, Owner};

const URL: &str = "Write where people reach it: url = \"https://hallpass.example.org\".";
const CLIENT_ID: &str =
    "Write the \"Client ID\" that the App's page shows: client_id = \"Iv1.0123456789abcdef\".";
const SECRET: &str = "Make one on the App's page; set HALLPASS_CLIENT_SECRET, or name its file with client_secret_file.";

/// Reads the section; `None` where it reported what it needs.
pub(super) fn read(mut table: Table<'_>) -> Option<Page> {
    table.no_secret("client_secret", SECRET);
    let url = table.required("url", URL, origin);
    let client_id = table.required("client_id", CLIENT_ID, plain);
    let secret = table.secret("HALLPASS_CLIENT_SECRET", "client_secret_file");
    if secret.is_none() {
        table.report(
            table.line(),
            "client_secret_file",
            "and HALLPASS_CLIENT_SECRET are both missing",
            SECRET,
        );
    }
    let auditors = auditors(&mut table);
    table.finish();
    Some(Page {
        url: url?,
        client_id: client_id?,
        client_secret: secret.filter(|s| !s.expose_secret().is_empty())?,
        auditors,
    })
}

/// Scheme, host and port alone: cookies of the page are for a whole host.
fn origin(text: &str) -> Result<Url, &'static str> {
    let url = address(text).map_err(|_| {
        "Write https:// and a host, such as \"https://hallpass.example.org\": people sign in there"
    })?;
    match url.path() {
        "/" | "" => Ok(url),
        _ => Err("It must have a host of its own: write it without a path"),
    }
}

fn plain(text: &str) -> Result<String, &'static str> {
    let fine = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
    let fine = (1..=100).contains(&text.len()) && text.bytes().all(fine);
    fine.then(|| text.to_owned())
        .ok_or("Write the \"Client ID\" as the App's page shows it")
}

fn auditors(table: &mut Table<'_>) -> BTreeSet<Owner> {
    let mut found = BTreeSet::new();
    for At { line, value } in table.texts("auditors") {
        match auditor(&value) {
            Some(owner) => drop(found.insert(owner)),
            None => {
                let what = format!("holds {value:?}, which is neither a login nor a team");
                let remedy = "Write a login as \"octocat\", a team as \"@acme/auditors\".";
                table.report(line, "auditors", &what, remedy);
            }
        }
    }
    found
}

fn auditor(text: &str) -> Option<Owner> {
    let name = text.strip_prefix('@').unwrap_or(text);
    let Some((organisation, slug)) = name.split_once('/') else {
        return Login::new(name).ok().map(Owner::User);
    };
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_');
    let fits = text.starts_with('@') && !slug.is_empty() && slug.bytes().all(plain);
    let organisation = Login::new(organisation).ok().filter(|_| fits)?;
    Some(Owner::Team {
        organisation,
        slug: slug.to_ascii_lowercase(),
    })
}
