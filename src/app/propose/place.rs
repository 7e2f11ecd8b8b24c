//! Where a clone came from: the repository on GitHub behind the address of a remote.

use url::{Host, Url};

use crate::domain::model::RepoName;

/// A repository on github.com, on a data-residency host of GitHub's, or on a GitHub Enterprise Server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The host, with a port where the address of the web has one.
    pub host: String,
    /// Which repository.
    pub repository: RepoName,
    /// The root of the REST API, without a slash at its end.
    pub api: String,
    /// The repository's page; with `.git` behind it, what git fetches over HTTP.
    pub page: String,
}

/// Why an address leads to no repository that can be asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoPlace {
    /// Another kind of address.
    #[error(
        "it is none of https://HOST/OWNER/NAME, git@HOST:OWNER/NAME and ssh://git@HOST/OWNER/NAME"
    )]
    Form,
    /// A token would travel where everybody can read it.
    #[error("it is not encrypted; use https")]
    Plain,
}

impl Place {
    /// The repository behind the address of a remote: `https://`, `ssh://` or `git@host:owner/name`. Names and passwords in it are
    /// left out.
    ///
    /// # Errors
    /// When it leads to none.
    pub fn of_remote(address: &str) -> Result<Self, NoPlace> {
        if !address.contains("://") {
            return Self::of_scp(address);
        }
        let url = Url::parse(address).map_err(|_| NoPlace::Form)?;
        let host = url.host_str().ok_or(NoPlace::Form)?;
        let path = url.path();
        match url.scheme() {
            "https" => Self::new("https", &with_port(host, url.port()), path),
            "http" if is_here(&url) => Self::new("http", &with_port(host, url.port()), path),
            "http" => Err(NoPlace::Plain),
            // The port is ssh's; the web has its own.
            "ssh" | "git+ssh" => Self::new("https", host, path),
            _ => Err(NoPlace::Form),
        }
    }

    /// `git@host:owner/name`: ssh without a scheme.
    fn of_scp(address: &str) -> Result<Self, NoPlace> {
        let (host, path) = address.split_once(':').ok_or(NoPlace::Form)?;
        let host = host.rsplit_once('@').map_or(host, |(_, host)| host);
        // `C:/folder` is a folder of this machine.
        if host.len() < 2 {
            return Err(NoPlace::Form);
        }
        Self::new("https", host, path)
    }

    fn new(scheme: &str, host: &str, path: &str) -> Result<Self, NoPlace> {
        let host = host.to_ascii_lowercase();
        let host = match host.as_str() {
            "www.github.com" | "ssh.github.com" => "github.com",
            other => other,
        };
        // `evil.example#.ghe.com` ends like a host of GitHub's, and leads to evil.example.
        let led = Url::parse(&format!("{scheme}://{host}")).ok();
        let led = led.and_then(|url| Some(with_port(url.host_str()?, url.port())));
        if led.as_deref() != Some(host) {
            return Err(NoPlace::Form);
        }
        let path = path.trim_matches('/');
        let name = path.strip_suffix(".git").unwrap_or(path);
        let repository = RepoName::try_from(name.to_owned()).map_err(|_| NoPlace::Form)?;
        let api = if host == "github.com" {
            "https://api.github.com".to_owned()
        } else if host.ends_with(".ghe.com") {
            format!("https://api.{host}")
        } else {
            format!("{scheme}://{host}/api/v3")
        };
        Ok(Self {
            host: host.to_owned(),
            page: format!("{scheme}://{host}/{repository}"),
            repository,
            api,
        })
    }

    /// What git fetches from and pushes to with a token.
    pub fn git_url(&self) -> String {
        format!("{}.git", self.page)
    }

    /// The page on which a pushed branch is proposed by hand.
    pub fn compare(&self, base: &str, branch: &str) -> String {
        format!("{}/compare/{base}...{branch}?expand=1", self.page)
    }

    /// Whether it is a host of GitHub's own.
    pub(super) fn is_githubs(&self) -> bool {
        self.host == "github.com" || self.host.ends_with(".ghe.com")
    }

    /// Whether it is this machine: then no proxy is asked.
    pub(super) fn is_here(&self) -> bool {
        Url::parse(&self.page).is_ok_and(|url| is_here(&url))
    }
}

fn with_port(host: &str, port: Option<u16>) -> String {
    port.map_or(host.to_owned(), |port| format!("{host}:{port}"))
}

fn is_here(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => ip.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    }
}
