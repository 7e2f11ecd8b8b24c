//! The connections of the configuration, each as its kind.

mod secrets;

use std::sync::Arc;

use anyhow::Context as _;

use crate::clock::Clock;
use crate::config::{self, Config, Endpoint};
use crate::domain::model::Login;
use crate::forge::github::GitHub;
use crate::github_app::{Installation, Permission};
use crate::providers::asked::Asked;
use crate::providers::aws::{Keys, regional};
use crate::providers::aws_iam::{self, AwsIam};
use crate::providers::aws_identity_center::AwsIdentityCenter;
use crate::providers::command::{self, Program};
use crate::providers::github_deployment::{self, GithubDeployment};
use crate::providers::github_organization_role::{self, GithubOrganizationRole};
use crate::providers::github_repository::{self, GithubRepository};
use crate::providers::github_team::{self, GithubTeam};
use crate::providers::http::{Http, LinkLocal, Now, Settings};
use crate::providers::ldap::{Connecting, Ldap};
use crate::providers::mysql::{DefaultRole, MySql};
use crate::providers::okta::Okta;
use crate::providers::postgres::{Also, Postgres};
use crate::providers::scim::Scim;
use crate::providers::webhook::Webhook;
use crate::providers::{Discreet, Provider, Registry};

/// A connection for each table of the configuration. Nothing is called.
///
/// # Errors
/// When an address or a key of one cannot be used.
pub(super) fn connect(
    config: &Config,
    forge: &GitHub,
    clock: &Arc<dyn Clock>,
) -> anyhow::Result<Registry> {
    let mut registry = Registry::new();
    for (name, provider) in &config.providers {
        let unusable = || format!("cannot set up [providers.{name}]");
        let secrets = secrets::of(provider);
        let provider: Arc<dyn Provider> = match provider {
            config::Provider::AwsIam(aws) => {
                let iam = aws_http(aws, &aws_iam::host(&aws.region), clock);
                let sts = aws_http(aws, &regional("sts", &aws.region), clock);
                let (iam, sts) = (iam.with_context(unusable)?, sts.with_context(unusable)?);
                Arc::new(AwsIam::new(name.clone(), iam, sts, keys(aws)))
            }
            config::Provider::AwsIdentityCenter(aws) => {
                let center = aws_http(aws, &regional("sso", &aws.region), clock);
                let store = aws_http(aws, &regional("identitystore", &aws.region), clock);
                let (center, store) = (
                    center.with_context(unusable)?,
                    store.with_context(unusable)?,
                );
                Arc::new(AwsIdentityCenter::new(
                    name.clone(),
                    center,
                    store,
                    keys(aws),
                ))
            }
            config::Provider::Command(command) => {
                let program = Program::new(program(command, clock));
                let asked = Asked::new(name.clone(), program, command.entitlements.as_deref());
                Arc::new(asked.with_context(unusable)?)
            }
            config::Provider::GithubDeployment { organisation } => {
                let client = client(config, forge, organisation, github_deployment::PERMISSIONS);
                let organisation = organisation.clone();
                Arc::new(GithubDeployment::new(name.clone(), organisation, client))
            }
            config::Provider::GithubOrganizationRole { organisation } => {
                let client = client(
                    config,
                    forge,
                    organisation,
                    github_organization_role::PERMISSIONS,
                );
                let organisation = organisation.clone();
                Arc::new(GithubOrganizationRole::new(
                    name.clone(),
                    organisation,
                    client,
                ))
            }
            config::Provider::GithubRepository { organisation } => {
                let client = client(config, forge, organisation, github_repository::PERMISSIONS);
                let organisation = organisation.clone();
                Arc::new(GithubRepository::new(name.clone(), organisation, client))
            }
            config::Provider::GithubTeam { organisation } => {
                let client = client(config, forge, organisation, github_team::PERMISSIONS);
                Arc::new(GithubTeam::new(name.clone(), organisation.clone(), client))
            }
            config::Provider::Ldap(directory) => {
                let directory = Ldap::new(name.clone(), connecting(directory));
                Arc::new(directory.with_context(unusable)?)
            }
            config::Provider::Postgres {
                url,
                end_sessions,
                valid_until,
            } => {
                let also = Also {
                    end_sessions: *end_sessions,
                    valid_until: *valid_until,
                };
                Arc::new(Postgres::new(name.clone(), url, also).with_context(unusable)?)
            }
            config::Provider::Mysql {
                url,
                end_sessions,
                set_default_role,
            } => {
                let default_role = match set_default_role {
                    true => DefaultRole::Set,
                    false => DefaultRole::Leave,
                };
                let server = MySql::new(name.clone(), url, *end_sessions, default_role);
                Arc::new(server.with_context(unusable)?)
            }
            config::Provider::Okta { endpoint, token } => {
                let http = Http::with_token(settings(endpoint, clock), "SSWS", token);
                Arc::new(Okta::new(name.clone(), http.with_context(unusable)?))
            }
            config::Provider::Scim { endpoint, token } => {
                let http = Http::with_token(settings(endpoint, clock), "Bearer", token);
                Arc::new(Scim::new(name.clone(), http.with_context(unusable)?))
            }
            config::Provider::Webhook {
                endpoint,
                secrets,
                entitlements,
            } => {
                let http = Http::new(settings(endpoint, clock)).with_context(unusable)?;
                let receiver = Webhook::new(http, secrets).with_context(unusable)?;
                let asked = Asked::new(name.clone(), receiver, entitlements.as_deref());
                Arc::new(asked.with_context(unusable)?)
            }
        };
        let provider = Discreet::new(name.clone(), provider, secrets);
        registry.insert(name.clone(), Arc::new(provider));
    }
    Ok(registry)
}

/// GitHub for a connection to what `organisation` has.
fn client(
    config: &Config,
    forge: &GitHub,
    organisation: &Login,
    permissions: &'static [Permission],
) -> Installation {
    let own = *organisation == config.github.repository.owner;
    let installation = config.github.installation_id.filter(|_| own);
    forge.client_for_organisation(organisation, installation, permissions)
}

pub(super) fn keys(aws: &config::Aws) -> Keys {
    Keys {
        region: aws.region.clone(),
        access_key: aws.access_key.clone(),
        secret_key: aws.secret_key.clone(),
        session_token: aws.session_token.clone(),
    }
}

/// A service of AWS at `host`, or wherever the connection says that all of them are.
fn aws_http(aws: &config::Aws, host: &str, clock: &Arc<dyn Clock>) -> anyhow::Result<Http> {
    let url = match &aws.endpoint {
        Some(endpoint) => endpoint.clone(),
        None => format!("https://{host}/").parse()?,
    };
    let endpoint = Endpoint {
        url,
        ca: aws.ca.clone(),
        allow_link_local: aws.allow_link_local,
    };
    Ok(Http::new(settings(&endpoint, clock))?)
}

fn program(command: &config::Command, clock: &Arc<dyn Clock>) -> command::Settings {
    command::Settings {
        program: command.program.clone(),
        arguments: command.arguments.clone(),
        environment: command.environment.clone(),
        public: command.public.clone(),
        now: time(clock),
    }
}

/// The time, for those that a target tells when to come back.
fn time(clock: &Arc<dyn Clock>) -> Now {
    let clock = Arc::clone(clock);
    Arc::new(move || clock.now())
}

fn connecting(directory: &config::Directory) -> Connecting {
    Connecting {
        url: directory.url.clone(),
        starttls: directory.starttls,
        ca: directory.ca.clone(),
        bind_dn: directory.bind_dn.clone(),
        password: directory.password.clone(),
        accounts: directory.accounts.clone(),
        account_attribute: directory.account_attribute.clone(),
        groups: directory.groups.clone(),
        placeholder: directory.placeholder.clone(),
    }
}

/// How an HTTP server is reached.
pub(super) fn settings(endpoint: &Endpoint, clock: &Arc<dyn Clock>) -> Settings {
    Settings {
        url: endpoint.url.clone(),
        ca: endpoint.ca.clone(),
        link_local: if endpoint.allow_link_local {
            LinkLocal::Allowed
        } else {
            LinkLocal::Refused
        },
        now: time(clock),
    }
}
