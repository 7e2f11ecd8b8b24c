//! The connections: one table each, read by its kind.

use std::collections::BTreeMap;
use std::path::PathBuf;

use secrecy::{ExposeSecret, SecretString};
use url::Url;

use super::databases::{mysql_url, postgres_url};
use super::endpoints::{self, Keys, secret};
use super::sections::is_local;
use super::table::{At, Table};
use super::{Command, Directory, Provider};
use crate::domain::model::{ConnectionName, Login};

/// An address with a user and a password in it.
const URL: Keys = Keys {
    env: "url_env",
    file: "url_file",
    wrong: "url",
    remedy: "Name the environment variable that holds it with url_env, or the file with url_file.",
};

const PASSWORD: Keys = Keys {
    env: "password_env",
    file: "password_file",
    wrong: "password",
    remedy: "Name the environment variable that holds it with password_env, or the file with password_file.",
};

/// Every `[providers.<name>]`.
pub(super) fn read(
    mut table: Table<'_>,
    programs: &[PathBuf],
) -> BTreeMap<ConnectionName, Provider> {
    let mut providers = BTreeMap::new();
    for (name, section) in table.children() {
        let line = section.line();
        let provider = provider(section, programs);
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
type Read = fn(&mut Table<'_>, &[PathBuf]) -> Option<Provider>;

const KINDS: [(&str, Read); 13] = [
    ("aws-iam", |table, _| {
        Some(Provider::AwsIam(endpoints::aws(table)?))
    }),
    ("aws-identity-center", |table, _| {
        Some(Provider::AwsIdentityCenter(endpoints::aws(table)?))
    }),
    ("command", command),
    ("github-deployment", |table, _| {
        let organisation = organisation(table)?;
        Some(Provider::GithubDeployment { organisation })
    }),
    ("github-organization-role", |table, _| {
        let organisation = organisation(table)?;
        Some(Provider::GithubOrganizationRole { organisation })
    }),
    ("github-repository", |table, _| {
        let organisation = organisation(table)?;
        Some(Provider::GithubRepository { organisation })
    }),
    ("github-team", |table, _| {
        let organisation = organisation(table)?;
        Some(Provider::GithubTeam { organisation })
    }),
    ("ldap", |table, _| ldap(table)),
    ("mysql", |table, _| mysql(table)),
    ("okta", |table, _| endpoints::okta(table)),
    ("postgres", |table, _| postgres(table)),
    ("scim", |table, _| endpoints::scim(table)),
    ("webhook", |table, _| endpoints::webhook(table)),
];

fn remedy() -> String {
    let kinds = KINDS.map(|(name, _)| format!("kind = {name:?}"));
    format!("Write {}.", kinds.join(" or "))
}

fn provider(mut table: Table<'_>, programs: &[PathBuf]) -> Option<Provider> {
    let remedy = remedy();
    let kind = table.required("kind", &remedy, |text| {
        let known = KINDS.iter().find(|(name, _)| *name == text);
        known
            .map(|(_, read)| *read)
            .ok_or(remedy.trim_end_matches('.'))
    })?;
    let provider = kind(&mut table, programs);
    table.finish();
    provider
}

fn command(table: &mut Table<'_>, programs: &[PathBuf]) -> Option<Provider> {
    const REMEDY: &str = "Write program = \"/opt/hallpass/badge\".";
    let allowed = |text: &str| {
        let program = PathBuf::from(text);
        let remedy = || format!("Allow it first: [server] programs = [{text:?}]");
        Some(program)
            .filter(|p| programs.contains(p))
            .ok_or_else(remedy)
    };
    let program = table.required("program", REMEDY, allowed);
    let arguments = table.texts("arguments").into_iter().map(|at| at.value);
    let arguments = arguments.collect();
    let mut environment = Vec::new();
    for At { line, value: name } in table.texts("environment") {
        match table.variable(&name) {
            Some(value) => environment.push((name, value)),
            None => {
                let what = format!("names {name}, which is not set");
                table.report(line, "environment", &what, "Set it.");
            }
        }
    }
    let public = table.texts("public");
    for At { line, value: name } in &public {
        if environment.iter().all(|(given, _)| given != name) {
            let what = format!("names {name}, which the program does not see");
            table.report(*line, "public", &what, "Name it in environment too.");
        }
    }
    let entitlements = endpoints::entitlements(table);
    Some(Provider::Command(Box::new(Command {
        program: program?,
        arguments,
        environment,
        public: public.into_iter().map(|at| at.value).collect(),
        entitlements,
    })))
}

/// The organisation at GitHub that has what is given.
fn organisation(table: &mut Table<'_>) -> Option<Login> {
    const REMEDY: &str = "Write organisation = \"the login of the organisation\".";
    table.required("organisation", REMEDY, |text| Login::new(text))
}

fn postgres(table: &mut Table<'_>) -> Option<Provider> {
    let end_sessions = table.switch("end_sessions");
    let valid_until = table.switch("valid_until");
    let url = address(table, postgres_url)?;
    Some(Provider::Postgres {
        url,
        end_sessions,
        valid_until,
    })
}

fn ldap(table: &mut Table<'_>) -> Option<Provider> {
    let line = table.line();
    let url = table.required("url", "Write url = \"ldaps://host\".", ldap_url);
    let starttls = table.switch("starttls");
    let protected = |url: &Url| url.scheme() == "ldaps" || starttls || is_local(url);
    if url.as_ref().is_some_and(|url| !protected(url)) {
        let remedy = "Write ldaps://, or set starttls = true.";
        table.report(
            line,
            "url",
            "would send a password over the network unprotected",
            remedy,
        );
    }
    let ca = table.file("ca_file");
    let bind_dn = named(
        table,
        "bind_dn",
        "Write the distinguished name of Hallpass's account.",
    );
    let accounts = named(
        table,
        "accounts",
        "Write the distinguished name below which accounts are.",
    );
    let groups = named(
        table,
        "groups",
        "Write the distinguished name below which groups are.",
    );
    let placeholder = table.parsed("placeholder", distinguished_name);
    let account_attribute = table.parsed("account_attribute", attribute);
    let password = secret(table, &PASSWORD);
    Some(Provider::Ldap(Box::new(Directory {
        url: url?,
        starttls,
        ca,
        bind_dn: bind_dn?,
        password: password?,
        accounts: accounts?,
        account_attribute: account_attribute.unwrap_or_else(|| "uid".to_owned()),
        groups: groups?,
        placeholder,
    })))
}

fn named(table: &mut Table<'_>, key: &'static str, remedy: &str) -> Option<String> {
    table.required(key, remedy, distinguished_name)
}

fn distinguished_name(text: &str) -> Result<String, &'static str> {
    match text.contains('=') {
        true => Ok(text.to_owned()),
        false => Err("Write a distinguished name such as \"ou=people,dc=example,dc=org\""),
    }
}

fn attribute(text: &str) -> Result<String, &'static str> {
    let fine = text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    match fine {
        true => Ok(text.to_owned()),
        false => Err("Write the name of an attribute, such as \"uid\" or \"sAMAccountName\""),
    }
}

fn ldap_url(text: &str) -> Result<Url, &'static str> {
    const FORM: &str = "Write ldaps://host, without user, path or query";
    let url = Url::parse(text).map_err(|_| FORM)?;
    let bare = url.username().is_empty()
        && url.password().is_none()
        && url.query().is_none()
        && matches!(url.path(), "" | "/")
        && url.host_str().is_some_and(|host| !host.is_empty());
    let known = matches!(url.scheme(), "ldap" | "ldaps");
    Some(url).filter(|_| bare && known).ok_or(FORM)
}

fn mysql(table: &mut Table<'_>) -> Option<Provider> {
    let end_sessions = table.switch("end_sessions");
    let set_default_role = table.parsed("default_role", |text| match text {
        "set" => Ok(true),
        "leave" => Ok(false),
        _ => Err("Write \"set\" or \"leave\""),
    });
    let url = address(table, mysql_url)?;
    Some(Provider::Mysql {
        url,
        end_sessions,
        set_default_role: set_default_role.unwrap_or(true),
    })
}

/// An address with a password in it, from `url_env` or `url_file`, and fit for `check`.
fn address(
    table: &mut Table<'_>,
    check: fn(&str) -> Result<(), &'static str>,
) -> Option<SecretString> {
    table.no_secret("password", URL.remedy);
    let line = table.line();
    let url = secret(table, &URL)?;
    if let Err(remedy) = check(url.expose_secret()) {
        table.report(
            line,
            "url_env",
            "leads to an address that cannot be used",
            remedy,
        );
    }
    Some(url)
}
