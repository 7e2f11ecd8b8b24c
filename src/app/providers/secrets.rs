//! What each kind of connection is told and nobody may repeat.

use secrecy::{ExposeSecret, SecretString};
use url::Url;

use crate::config::Provider;
use crate::secrets::Secrets;

/// The secrets in the configuration of one connection. Tokens that GitHub makes for it are hidden where calls are made.
pub(super) fn of(provider: &Provider) -> Secrets {
    let none = Secrets::default();
    let with = |name: &str, secret: &SecretString| none.with(name, secret.expose_secret());
    match provider {
        Provider::AwsIam(aws) | Provider::AwsIdentityCenter(aws) => {
            let secrets = with("the secret key", &aws.secret_key);
            match &aws.session_token {
                Some(token) => secrets.with("the session token", token.expose_secret()),
                None => secrets,
            }
        }
        Provider::Ldap(directory) => with("the password", &directory.password),
        Provider::Postgres { url, .. } | Provider::Mysql { url, .. } => of_address(url),
        Provider::Okta { token, .. } | Provider::Scim { token, .. } => with("the token", token),
        // Both know more than the configuration: see `providers/asked`.
        Provider::Command(_) | Provider::Webhook { .. } => none,
        Provider::GithubDeployment { .. }
        | Provider::GithubOrganizationRole { .. }
        | Provider::GithubRepository { .. }
        | Provider::GithubTeam { .. } => none,
    }
}

/// An address, and the password in it.
fn of_address(url: &SecretString) -> Secrets {
    let whole = Secrets::default().with("the address", url.expose_secret());
    let Ok(parsed) = Url::parse(url.expose_secret()) else {
        return whole;
    };
    let Some(encoded) = parsed.password() else {
        return whole;
    };
    // A `+` is one here, and not the space that it is in forms.
    let form = format!("password={}", encoded.replace('+', "%2B"));
    let decoded = url::form_urlencoded::parse(form.as_bytes()).next();
    let password = decoded.map(|(_, password)| password.into_owned());
    whole
        .with("the password", encoded)
        .with("the password", &password.unwrap_or_default())
}
