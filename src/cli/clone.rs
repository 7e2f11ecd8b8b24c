//! The clone that a requester's command works in, and what is known from it.

use std::path::PathBuf;

use clap::Args;

use crate::app::offline;
use crate::app::propose::{Choice, Evidence, Identity, Me, Network, OwnClone, Source};
use crate::domain::catalogue::{Catalogue, File};
use crate::domain::model::{GrantPath, Instant, Login, Owner, ServiceName, Subject};
use crate::domain::parse;

use super::visible::visible;

/// Which clone, and what of it.
#[derive(Debug, Args)]
pub(super) struct Which {
    /// A clone of the access repository, or a folder in it
    #[arg(long, value_name = "DIR", default_value = ".")]
    dir: PathBuf,
    /// The remote that is the access repository [default: origin, or the only one]
    #[arg(long, value_name = "NAME")]
    remote: Option<String>,
    /// The branch that counts [default: the remote's own]
    #[arg(long, value_name = "BRANCH")]
    base: Option<String>,
    /// Ask GitHub nothing, fetch and push nothing: go by what the clone holds
    #[arg(long)]
    local: bool,
}

impl Which {
    pub(super) fn open(&self) -> anyhow::Result<OwnClone> {
        Ok(OwnClone::open(&Choice {
            dir: &self.dir,
            remote: self.remote.as_deref(),
            base: self.base.as_deref(),
            network: match self.local {
                true => Network::Leave,
                false => Network::Use,
            },
        })?)
    }

    /// Opens the clone and reads what it knows.
    pub(super) fn look(&self) -> anyhow::Result<View> {
        let clone = self.open()?;
        let files = clone.files()?;
        let base = parse::read_tree(&files);
        let identity = clone.identity(&base);
        let evidence = clone.evidence();
        Ok(View {
            clone,
            files,
            base,
            identity,
            evidence,
            now: offline::now(),
        })
    }

    /// The flags that name another clone than the usual one, as they were given.
    pub(super) fn flags(&self) -> Vec<String> {
        let mut words = Vec::new();
        if self.dir.as_os_str() != "." {
            words.extend(["--dir".to_owned(), self.dir.display().to_string()]);
        }
        for (flag, value) in [("--remote", &self.remote), ("--base", &self.base)] {
            words.extend(value.iter().flat_map(|v| [flag.to_owned(), v.clone()]));
        }
        if self.local {
            words.push("--local".to_owned());
        }
        words
    }
}

/// A clone and what is known from it at one moment.
pub(super) struct View {
    pub(super) clone: OwnClone,
    /// The governed files of the branch that counts.
    pub(super) files: Vec<File>,
    /// What they declare.
    pub(super) base: Catalogue,
    pub(super) identity: Identity,
    pub(super) evidence: Evidence,
    pub(super) now: Instant,
}

impl View {
    pub(super) fn me(&self) -> Option<&Me> {
        self.identity.known()
    }

    /// What is not known, and why: a sentence each.
    pub(super) fn unknown(&self) -> Vec<String> {
        let mut unknown = Vec::new();
        if let Some(stale) = self.clone.stale() {
            unknown.push(format!(
                "{} is as it was last fetched: {stale}",
                self.clone.base()
            ));
        }
        let why = self.evidence.why.as_deref();
        match (&self.evidence.lives, why) {
            (None, Some(why)) => unknown.push(format!(
                "what was given, and when it ends, is not known: {why}"
            )),
            (Some(_), Some(why)) if self.clone.stale() != Some(why) => {
                unknown.push(format!("the evidence is as it was last fetched: {why}"));
            }
            _ => {}
        }
        unknown.extend(self.evidence.left_out.clone());
        unknown
    }

    /// `octocat (Mona Lisa Octocat)`, or `service deploy-bot (grace answers for it)`.
    pub(super) fn name(&self, subject: &Subject) -> String {
        let more = match subject {
            Subject::Person(login) => {
                let person = self.base.people.get(login);
                person.and_then(|person| person.name.clone())
            }
            Subject::Service(name) => {
                let service = self.base.services.get(name);
                service.map(|service| format!("{} answers for it", service.owner))
            }
        };
        match more {
            Some(more) => format!("{subject} ({})", visible(&more)),
            None => subject.to_string(),
        }
    }

    /// Whether `login` has what `subject` has, or answers for it.
    pub(super) fn is_of(&self, subject: &Subject, login: &Login) -> bool {
        match subject {
            Subject::Person(person) => person == login,
            Subject::Service(name) => {
                let service = self.base.services.get(name);
                service.is_some_and(|service| service.owner == *login)
            }
        }
    }

    /// The subject of that name: a person before a service.
    pub(super) fn subject(&self, name: &str) -> Option<Subject> {
        let name = name.trim_start_matches('@');
        let person = Login::new(name).ok();
        let person = person.filter(|login| self.base.people.contains_key(login));
        let service = || {
            let name = ServiceName::new(name.trim_start_matches("service ")).ok()?;
            self.base.services.contains_key(&name).then_some(name)
        };
        person
            .map(Subject::Person)
            .or_else(|| service().map(Subject::Service))
    }

    /// The owners of a grant file.
    pub(super) fn owners(&self, path: &GrantPath) -> Vec<Owner> {
        let owners = self.base.codeowners.owners(&path.as_repo_path());
        owners.owners().to_vec()
    }
}

/// How it is known who somebody is, after their name.
pub(super) fn known_by(source: Source) -> &'static str {
    match source {
        Source::Token => "by your token",
        Source::Git => "by the configuration of git",
    }
}

/// `orders/ada`, the path of the file, or the id of the grant.
pub(super) fn grant_path(text: &str) -> Result<GrantPath, crate::domain::model::Malformed> {
    let name = text.strip_prefix("./").unwrap_or(text);
    let name = name.strip_prefix("access/grants/").unwrap_or(name);
    let name = name.split_once('@').map_or(name, |(name, _)| name);
    let name = name.strip_suffix(".yaml").unwrap_or(name);
    GrantPath::new(format!("access/grants/{name}.yaml"))
}

/// At most three names that are like the one that was asked for.
pub(super) fn near<'a>(asked: &str, there: impl Iterator<Item = &'a str>) -> Vec<String> {
    let mut likely: Vec<(f64, &str)> = there
        .map(|other| (strsim::jaro_winkler(asked, other), other))
        .filter(|(likeness, _)| *likeness > 0.85)
        .collect();
    likely.sort_by(|a, b| b.0.total_cmp(&a.0).then_with(|| a.1.cmp(b.1)));
    likely.dedup_by_key(|(_, name)| *name);
    let names = likely.into_iter().take(3);
    names.map(|(_, name)| name.to_owned()).collect()
}
