//! Where a commit is shown on the forge.

use super::super::super::model::CommitId;

/// The address of a repository on its forge: `https://github.com/acme/access`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForgeAddress(String);

impl ForgeAddress {
    /// What the address of a remote says: `https://`, `ssh://`, or `git@host:owner/name`. `None` for a folder, for plain HTTP and for
    /// whatever is no repository of an owner. A name or a token before the host is left out.
    pub fn of_remote(remote: &str) -> Option<Self> {
        let (host, path) = if let Some(rest) = remote.strip_prefix("https://") {
            rest.split_once('/')?
        } else if let Some(rest) = remote.strip_prefix("ssh://") {
            let (host, path) = rest.split_once('/')?;
            let host = host.rsplit_once('@').map_or(host, |(_, host)| host);
            // The port is that of SSH.
            (host.split_once(':').map_or(host, |(host, _)| host), path)
        } else {
            let (host, path) = remote.split_once(':')?;
            host.contains('@').then_some((host, path))?
        };
        let host = host.rsplit_once('@').map_or(host, |(_, host)| host);
        let path = path.trim_end_matches('/');
        let path = path.strip_suffix(".git").unwrap_or(path);
        let (owner, name) = path.split_once('/')?;
        let plain = |text: &str, more: &str| {
            let known = |c: char| c.is_ascii_alphanumeric() || more.contains(c);
            !text.is_empty() && !text.starts_with(['-', '.']) && text.chars().all(known)
        };
        let ok = plain(host, ".-:") && plain(owner, "._-") && plain(name, "._-");
        ok.then(|| Self(format!("https://{host}/{owner}/{name}")))
    }

    /// The repository: `acme/access`.
    pub fn repository(&self) -> &str {
        let after_host = self.0.splitn(4, '/').nth(3);
        after_host.unwrap_or_default()
    }

    /// The repository's own page.
    pub fn page(&self) -> &str {
        &self.0
    }

    /// The page of a commit.
    pub fn commit(&self, commit: &CommitId) -> String {
        format!("{}/commit/{commit}", self.0)
    }
}
