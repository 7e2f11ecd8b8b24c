//! The sections of the file, one function each.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Component, Path, PathBuf};
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use url::Url;

use super::table::{At, Context, Table, suggestion};
use super::{Config, Evidence, Github, Merge, MergeMethod, Notices, Server, Store, Timing, Traces};
use crate::domain::evidence;
use crate::domain::model::RepoName;
use crate::domain::notice::EndsSoon;

const SECTIONS: [&str; 8] = [
    "server",
    "github",
    "store",
    "evidence",
    "timing",
    "notices",
    "page",
    "providers",
];

/// The variable by which collectors make themselves known.
const COLLECTOR: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";

/// Reads every section, so that all problems are found; `None` where one of them reported what it needs.
pub(super) fn read<'a>(context: &'a Context<'a>, table: toml::de::DeTable<'a>) -> Option<Config> {
    let mut sections: BTreeMap<String, Table<'a>> = Table::new(context, "", 1, table)
        .children()
        .into_iter()
        .collect();
    for (name, section) in &sections {
        if !SECTIONS.contains(&name.as_str()) {
            context.report(
                Some(section.line()),
                format!("[{name}] is unknown"),
                suggestion(name, &SECTIONS),
            );
        }
    }
    let mut section = |name: &str| {
        sections
            .remove(name)
            .unwrap_or_else(|| Table::new(context, name, 1, toml::de::DeTable::new()))
    };
    let server = server(context, section("server"));
    let github = github(context, section("github"));
    let store = store(context, section("store"), &server.data_dir);
    let evidence = evidence(section("evidence"));
    let timing = timing(section("timing"));
    let mut told = section("notices");
    let channels = super::channels::read(&mut told);
    let notices = notices(told);
    let page = match sections.remove("page") {
        Some(table) => super::page::read(table).map(Some),
        None => Some(None),
    };
    let mut section = |name: &str| {
        sections
            .remove(name)
            .unwrap_or_else(|| Table::new(context, name, 1, toml::de::DeTable::new()))
    };
    let providers = super::providers::read(section("providers"), &server.programs);
    Some(Config {
        digest: evidence::digest(context.text.as_bytes()),
        server,
        github: github?,
        store: store?,
        evidence,
        timing,
        notices,
        channels,
        page: page?,
        providers,
    })
}

fn server(context: &Context<'_>, mut table: Table<'_>) -> Server {
    let listen: Option<SocketAddr> = table.parsed("listen", |text| {
        text.parse()
            .map_err(|_| "Write an address and a port, such as \"127.0.0.1:8080\"")
    });
    let listen = listen.unwrap_or_else(|| SocketAddr::from(([127, 0, 0, 1], 8080)));
    let metrics = table.parsed("metrics", |text| match text.parse() {
        Ok(address) if address != listen || listen.port() == 0 => Ok(address),
        _ => Err("Write an address and a port of its own, such as \"127.0.0.1:9469\""),
    });
    let traces = traces(context, &mut table);
    let data_dir = table
        .path("data_dir")
        .map_or_else(|| context.folder.join("data"), |at| at.value);
    let programs = programs(&mut table);
    table.finish();
    Server {
        listen,
        metrics,
        traces,
        data_dir,
        programs,
    }
}

/// Where traces go: by the file, or by what OpenTelemetry's own variables say.
fn traces(context: &Context<'_>, table: &mut Table<'_>) -> Option<Traces> {
    let variable = |name| (context.env)(name).filter(|value| !value.is_empty());
    let endpoint = match table.has("traces") {
        true => table.parsed("traces", collector),
        false => variable(COLLECTOR).and_then(|text| {
            let told = |remedy: &str| {
                context.report(
                    None,
                    format!("the variable {COLLECTOR} cannot be used"),
                    format!("{remedy}, or unset it."),
                );
            };
            collector(&text).map_err(told).ok()
        }),
    };
    Some(Traces {
        endpoint: endpoint?,
        service: variable("OTEL_SERVICE_NAME").unwrap_or_else(|| "hallpass".to_owned()),
    })
}

/// The address of a collector, to which the path for traces is added. Nothing secret is sent there, so it may be `http:`.
fn collector(text: &str) -> Result<Url, &'static str> {
    const FORM: &str = "Write the address of its OTLP over HTTP, such as \"http://127.0.0.1:4318\"";
    let mut url = Url::parse(text).map_err(|_| FORM)?;
    let bare = url.username().is_empty()
        && url.password().is_none()
        && url.query().is_none()
        && url.fragment().is_none();
    if !matches!(url.scheme(), "http" | "https") || url.host().is_none() || !bare {
        return Err(FORM);
    }
    let path = format!("{}/v1/traces", url.path().trim_end_matches('/'));
    url.set_path(&path);
    Ok(url)
}

/// The programs that connections may run.
fn programs(table: &mut Table<'_>) -> Vec<PathBuf> {
    let mut programs = Vec::new();
    for At { line, value } in table.texts("programs") {
        let path = PathBuf::from(&value);
        let plain = |step| matches!(step, Component::RootDir | Component::Normal(_));
        if path.is_absolute() && path.components().all(plain) {
            programs.push(path);
        } else {
            let what = format!("holds {value:?}, which is no path from the root");
            table.report(
                line,
                "programs",
                &what,
                "Write it as \"/opt/hallpass/badge\".",
            );
        }
    }
    programs
}

fn github(context: &Context<'_>, mut table: Table<'_>) -> Option<Github> {
    no_secrets(&mut table);
    let api = table
        .parsed("api", address)
        .or_else(|| Url::parse("https://api.github.com").ok());
    let web = table
        .parsed("web", address)
        .or_else(|| Url::parse("https://github.com").ok());
    let repository = table.required("repository", "Write repository = \"owner/name\".", |text| {
        RepoName::try_from(text.to_owned())
    });
    if !table.has("app_id") {
        table.missing(
            "app_id",
            "Write the number that GitHub shows as \"App ID\": app_id = 123456.",
        );
    }
    let app_id = table.number("app_id");
    let installation_id = table.number("installation_id");
    let private_key = private_key(context, &mut table);
    let webhook_secrets = webhook_secrets(context, &mut table);
    let protected_branch = table
        .parsed("protected_branch", branch)
        .unwrap_or_else(|| "main".to_owned());
    let merge = table.parsed("merge", merge).unwrap_or(Merge::Off);
    let merge_method = table
        .parsed("merge_method", merge_method)
        .unwrap_or(MergeMethod::Merge);
    let merge_reverts = table.switch("merge_reverts");
    let outsiders = table.switch("outsiders");
    table.finish();
    Some(Github {
        api: api?,
        web: web?,
        repository: repository?,
        app_id: app_id?,
        installation_id,
        private_key: private_key?,
        webhook_secrets,
        protected_branch,
        merge,
        merge_method,
        merge_reverts,
        outsiders,
    })
}

fn no_secrets(table: &mut Table<'_>) {
    table.no_secret(
        "private_key",
        "Set HALLPASS_GITHUB_PRIVATE_KEY, or name a file with private_key_file.",
    );
    table.no_secret(
        "webhook_secret",
        "Set HALLPASS_WEBHOOK_SECRET, or name a file with webhook_secret_file.",
    );
    table.no_secret(
        "webhook_secret_previous",
        "Set HALLPASS_WEBHOOK_SECRET_PREVIOUS, or name a file with webhook_secret_previous_file.",
    );
}

fn merge(text: &str) -> Result<Merge, &'static str> {
    match text {
        "auto" => Ok(Merge::Auto),
        "off" => Ok(Merge::Off),
        _ => Err("Write \"auto\" or \"off\""),
    }
}

fn merge_method(text: &str) -> Result<MergeMethod, &'static str> {
    let mut methods = [MergeMethod::Merge, MergeMethod::Squash, MergeMethod::Rebase].into_iter();
    methods
        .find(|method| method.as_str() == text)
        .ok_or("Write \"merge\", \"squash\" or \"rebase\"")
}

fn private_key(context: &Context<'_>, table: &mut Table<'_>) -> Option<SecretString> {
    let key = table.secret("HALLPASS_GITHUB_PRIVATE_KEY", "private_key_file");
    let remedy = "Download one from the App's page; set HALLPASS_GITHUB_PRIVATE_KEY, or name its file with private_key_file.";
    match &key {
        None => context.report(None, "the App's private key is missing".to_owned(), remedy),
        Some(key) if key.expose_secret().is_empty() => {}
        Some(key) if key.expose_secret().contains("PRIVATE KEY-----") => {}
        Some(_) => context.report(
            None,
            "the App's private key is not in PEM form".to_owned(),
            remedy,
        ),
    }
    key
}

fn webhook_secrets(context: &Context<'_>, table: &mut Table<'_>) -> Vec<SecretString> {
    let current = table.secret("HALLPASS_WEBHOOK_SECRET", "webhook_secret_file");
    let previous = table.secret(
        "HALLPASS_WEBHOOK_SECRET_PREVIOUS",
        "webhook_secret_previous_file",
    );
    if current.is_none() {
        let remedy = "Set HALLPASS_WEBHOOK_SECRET (or webhook_secret_file) to what the App's page has as \"Webhook secret\".";
        context.report(None, "the webhook's secret is missing".to_owned(), remedy);
    }
    current.into_iter().chain(previous).collect()
}

fn store(context: &Context<'_>, mut table: Table<'_>, data_dir: &Path) -> Option<Store> {
    const REMEDY: &str = "Set HALLPASS_STORE_URL, or name a file with url_file.";
    let key = ["url_file", "url"].into_iter().find(|key| table.has(key));
    let line = key.map(|key| table.line_of(key));
    let secret = table.secret("HALLPASS_STORE_URL", "url_file");
    let plain = table.parsed("url", |text| {
        if Url::parse(text).is_ok_and(|url| {
            url.password().is_some() || url.query().is_some_and(|q| q.contains("password"))
        }) {
            return Err(format!(
                "It has a password, and secrets do not stand in this file. {REMEDY}"
            ));
        }
        let known = ["sqlite:", "postgres:", "postgresql:"]
            .iter()
            .any(|scheme| text.starts_with(scheme));
        if known {
            Ok(SecretString::from(text))
        } else {
            Err("Write sqlite://... or postgres://...".to_owned())
        }
    });
    table.finish();
    let default = || {
        SecretString::from(format!(
            "sqlite://{}",
            data_dir.join("hallpass.db").display()
        ))
    };
    let url = secret.or(plain).unwrap_or_else(default);
    if url.expose_secret().starts_with("postgres")
        && let Err(remedy) = super::databases::postgres_url(url.expose_secret())
    {
        let what = "the address of the database cannot be used".to_owned();
        context.report(line, what, remedy);
    }
    Some(Store { url })
}

fn evidence(mut table: Table<'_>) -> Evidence {
    let name = table
        .parsed("branch", branch)
        .unwrap_or_else(|| "hallpass/evidence".to_owned());
    let key = table.secret("HALLPASS_EVIDENCE_KEY", "key_file");
    let previous_key = table.secret("HALLPASS_EVIDENCE_KEY_PREVIOUS", "previous_key_file");
    let earlier_keys = table
        .texts("earlier_keys")
        .into_iter()
        .map(|at| at.value)
        .collect();
    let anchors = table.child("anchor").map(super::anchors::read);
    table.finish();
    Evidence {
        branch: name,
        key,
        previous_key,
        earlier_keys,
        anchors: anchors.unwrap_or_default(),
    }
}

fn timing(mut table: Table<'_>) -> Timing {
    let timing = Timing {
        resync: table.duration("resync", Duration::from_secs(60)),
        revert_window: table.duration("revert_window", Duration::from_secs(60)),
        drift: table.duration("drift", Duration::from_secs(600)),
        retry_cap: table.duration("retry_cap", Duration::from_secs(300)),
        orphan_grace: table.days("orphan_grace", Duration::from_secs(7 * 86_400)),
    };
    table.finish();
    timing
}

fn notices(mut table: Table<'_>) -> Notices {
    let ends_soon = table.parsed("ends_soon", |text| match text {
        "off" => Ok(None),
        share => EndsSoon::parse(share)
            .map(Some)
            .map_err(|_| "Write a share of the term from \"1%\" to \"90%\", or \"off\""),
    });
    let labels = table.switch("labels");
    table.finish();
    Notices {
        labels,
        ends_soon: ends_soon.unwrap_or_else(|| Some(EndsSoon::default())),
    }
}

/// Whether an address is this machine's own, so that nothing in between can read along.
pub(super) fn is_local(url: &Url) -> bool {
    match url.host() {
        None => true,
        Some(url::Host::Ipv4(ip)) => ip.is_loopback(),
        Some(url::Host::Ipv6(ip)) => ip.is_loopback(),
        // Not a special scheme to `url`, so that addresses arrive as names.
        Some(url::Host::Domain(name)) => {
            name == "localhost" || name == "127.0.0.1" || name.is_empty()
        }
    }
}

/// An address to which secrets are sent.
pub(super) fn address(text: &str) -> Result<Url, &'static str> {
    let url =
        Url::parse(text).map_err(|_| "Write an address such as \"https://api.github.com\"")?;
    match url.scheme() {
        "https" => {}
        "http" if is_local(&url) => {}
        _ => return Err("It must begin with https://: tokens are sent there"),
    }
    let bare = url.username().is_empty()
        && url.password().is_none()
        && url.query().is_none()
        && url.fragment().is_none();
    if bare {
        Ok(url)
    } else {
        Err("Write the address alone, without user, password or query")
    }
}

/// A branch name, by the rules of `git check-ref-format` that matter here.
fn branch(text: &str) -> Result<String, &'static str> {
    let plain = |b: u8| b.is_ascii_graphic() && !b"~^:?*[\\".contains(&b);
    let parts = text
        .split('/')
        .all(|part| !part.is_empty() && !part.starts_with('.') && !part.ends_with(".lock"));
    let ok = text.bytes().all(plain)
        && parts
        && !text.starts_with("refs/")
        && !text.starts_with('-')
        && !text.contains("..")
        && !text.contains("@{")
        && !text.ends_with('.');
    if ok {
        Ok(text.to_owned())
    } else {
        Err("Write the name of a branch, without refs/heads/")
    }
}
