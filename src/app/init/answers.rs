//! What has to be known of a new access repository: given as flags, standing in the folder, or asked.

use std::path::PathBuf;

use url::Url;

use super::kinds::Beginning;
use super::standing::Standing;
use crate::domain::codeowners;
use crate::domain::model::{Login, RepoName, ResourceName};

/// Who does the work.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Mode {
    /// A server of one's own.
    #[default]
    Service,
    /// Scheduled runs of GitHub Actions.
    ServiceLess,
}

/// What was given beforehand. What is absent is asked for, or has its usual value.
#[derive(Debug, Clone, Default)]
pub struct Given {
    /// The organisation.
    pub organisation: Option<String>,
    /// The repository's name, or `organisation/name`.
    pub repository: Option<String>,
    /// Who owns everything that decides about access.
    pub owners: Vec<String>,
    /// The first resource.
    pub resource: Option<String>,
    /// What it is given by.
    pub kind: Option<String>,
    /// What it gives, as `key=value`.
    pub gives: Vec<String>,
    /// Who owns it.
    pub resource_owners: Vec<String>,
    /// The first people: `login`, or `login=number`.
    pub people: Vec<String>,
    /// Where GitHub's pages are.
    pub web: Option<String>,
    /// Who does the work.
    pub mode: Mode,
}

/// A person of whom only GitHub's number may be missing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Person {
    /// Their login.
    pub login: Login,
    /// GitHub's number of the account, where it was given.
    pub id: Option<u64>,
}

/// A first resource.
#[derive(Debug)]
pub struct Resource {
    /// Its name.
    pub name: ResourceName,
    /// What it is given by.
    pub kind: &'static Beginning,
    /// What it gives.
    pub gives: Vec<(String, String)>,
    /// Who owns requests for it.
    pub owners: Vec<String>,
}

/// Everything that is written into files.
#[derive(Debug)]
pub struct Answers {
    /// The access repository.
    pub repository: RepoName,
    /// Who owns everything that decides; empty where CODEOWNERS stands already.
    pub owners: Vec<String>,
    /// The first resource, if there is one to write.
    pub resource: Option<Resource>,
    /// The first people, with GitHub's numbers.
    pub people: Vec<(Login, u64)>,
    /// Where GitHub's pages are.
    pub web: Url,
    /// The root of its REST API.
    pub api: String,
    /// Who does the work.
    pub mode: Mode,
    /// The folder for what does not belong into the repository.
    pub setup: PathBuf,
    /// What stands there already.
    pub standing: Standing,
}

/// Why a repository cannot be begun.
#[derive(Debug, thiserror::Error)]
pub enum Unanswered {
    /// Something must be given.
    #[error("nobody says {what}; give it with {flag}")]
    Missing {
        /// What.
        what: &'static str,
        /// How.
        flag: &'static str,
    },
    /// Something cannot be used.
    #[error("{flag} {value:?} cannot be used: {why}")]
    Wrong {
        /// How it is given.
        flag: &'static str,
        /// What was given.
        value: String,
        /// Why.
        why: String,
    },
    /// The terminal.
    #[error("cannot ask")]
    Terminal(#[from] std::io::Error),
}

impl Given {
    pub(super) fn repository_of(&self, standing: &Standing) -> Result<RepoName, Unanswered> {
        let stands = standing.sketch.github.repository.as_deref();
        let (flag, given) = match (&self.repository, &self.organisation, stands) {
            (None, None, Some(stands)) => {
                return wrong("[github] repository", stands, |text| {
                    RepoName::try_from(text.to_owned()).map_err(|e| e.to_string())
                });
            }
            (Some(name), None, _) if name.contains('/') => ("--repository", name.clone()),
            (name, Some(organisation), _) => {
                let name = name.as_deref().unwrap_or("access");
                let name = name.split_once('/').map_or(name, |(_, name)| name);
                ("--organisation", format!("{organisation}/{name}"))
            }
            (_, None, _) => {
                return Err(Unanswered::Missing {
                    what: "which organisation has the access repository",
                    flag: "--organisation",
                });
            }
        };
        wrong(flag, &given, |text| {
            RepoName::try_from(text.to_owned()).map_err(|e| e.to_string())
        })
    }

    /// The answers, each in its form. `lookup` tells GitHub's number of a login.
    ///
    /// # Errors
    /// The first that is missing, or cannot be used.
    pub fn answers(
        self,
        standing: Standing,
        setup: PathBuf,
        lookup: impl Fn(&str, &Login) -> Result<u64, String>,
    ) -> Result<Answers, Unanswered> {
        let repository = self.repository_of(&standing)?;
        let (web, api) = self.addresses(&standing, &repository)?;
        let owners = match (standing.codeowners.is_there(), self.owners.as_slice()) {
            (true, _) => Vec::new(),
            (false, []) => vec![format!("@{}/security", repository.owner)],
            (false, owners) => owners.to_vec(),
        };
        for owner in owners.iter().chain(&self.resource_owners) {
            wrong("--owner", owner, is_owner)?;
        }
        let resource = match &self.resource {
            Some(name) => Some(self.first_resource(name, &repository, &owners)?),
            None => None,
        };
        Ok(Answers {
            people: numbered(&self.people, |login| lookup(&api, login))?,
            mode: match standing.service_less.is_there() {
                true => Mode::ServiceLess,
                false => self.mode,
            },
            repository,
            owners,
            resource,
            web,
            api,
            setup,
            standing,
        })
    }

    /// Where GitHub's pages are, and the root of its REST API.
    fn addresses(
        &self,
        standing: &Standing,
        repository: &RepoName,
    ) -> Result<(Url, String), Unanswered> {
        let known = &standing.sketch.github;
        let web = self.web.as_deref().or(known.web.as_deref());
        let web = wrong("--web", web.unwrap_or("https://github.com"), |text| {
            Url::parse(text).map_err(|e| e.to_string())
        })?;
        if let Some(api) = known.api.clone() {
            return Ok((web, api));
        }
        let page = format!("{}/{repository}", web.as_str().trim_end_matches('/'));
        let place = wrong("--web", &page, crate::app::propose::Place::of_remote)?;
        Ok((web, place.api))
    }

    fn first_resource(
        &self,
        name: &str,
        repository: &RepoName,
        owners: &[String],
    ) -> Result<Resource, Unanswered> {
        let name = wrong("--resource", name, |text| {
            ResourceName::new(text).map_err(|e| e.to_string())
        })?;
        let kind = wrong(
            "--kind",
            self.kind.as_deref().unwrap_or("github-team"),
            kind,
        )?;
        let usual = |text: &str| {
            let text = text.replace("ORGANISATION", repository.owner.as_str());
            text.replace("RESOURCE", name.as_str())
        };
        let mut gives = Vec::new();
        for given in &self.gives {
            gives.push(wrong("--gives", given, |text| {
                let pair = text.split_once('=').ok_or("write it as key=value")?;
                Ok::<_, &str>((pair.0.to_owned(), pair.1.to_owned()))
            })?);
        }
        if gives.is_empty() {
            let pairs = kind.gives.iter();
            gives = pairs.map(|(k, v)| ((*k).to_owned(), usual(v))).collect();
        }
        let own = self.resource_owners.clone();
        Ok(Resource {
            kind,
            gives,
            owners: if own.is_empty() { owners.to_vec() } else { own },
            name,
        })
    }
}

fn wrong<T, E: ToString>(
    flag: &'static str,
    value: &str,
    read: impl Fn(&str) -> Result<T, E>,
) -> Result<T, Unanswered> {
    read(value).map_err(|why| Unanswered::Wrong {
        flag,
        value: value.to_owned(),
        why: why.to_string(),
    })
}

/// People with GitHub's numbers.
fn numbered(
    given: &[String],
    lookup: impl Fn(&Login) -> Result<u64, String>,
) -> Result<Vec<(Login, u64)>, Unanswered> {
    let mut found = Vec::new();
    for Person { login, id } in people(given)? {
        let id = match id {
            Some(id) => id,
            None => lookup(&login).map_err(|why| Unanswered::Wrong {
                flag: "--person",
                value: login.to_string(),
                why: format!("{why}; give the number too: --person {login}=NUMBER"),
            })?,
        };
        found.push((login, id));
    }
    Ok(found)
}

pub(super) fn repository(organisation: &str, name: &str) -> Result<RepoName, String> {
    RepoName::try_from(format!("{organisation}/{name}")).map_err(|e| e.to_string())
}

pub(super) fn kind(text: &str) -> Result<&'static Beginning, String> {
    Beginning::of(text).ok_or_else(|| {
        let known: Vec<_> = Beginning::names().collect();
        format!("it is none of {}", known.join(", "))
    })
}

/// Whether CODEOWNERS takes it for an owner of its own form: by its own reader.
pub(super) fn is_owner(text: &str) -> Result<(), String> {
    let line = format!("* {text}\n");
    let read = codeowners::Codeowners::parse(".github/CODEOWNERS", line.as_bytes());
    match read.problems.is_empty() && text.starts_with('@') {
        true => Ok(()),
        false => Err("write @login or @organisation/team".to_owned()),
    }
}

/// `octocat`, or `octocat=583231`.
pub(super) fn people(given: &[String]) -> Result<Vec<Person>, Unanswered> {
    let read = |text: &str| {
        let text = text.trim_start_matches('@');
        let (login, id) = match text.split_once('=') {
            Some((login, id)) => {
                let id = id.parse().map_err(|_| format!("{id:?} is no number"))?;
                (login, Some(id))
            }
            None => (text, None),
        };
        let login = Login::new(login).map_err(|e| e.to_string())?;
        Ok::<_, String>(Person { login, id })
    };
    given
        .iter()
        .map(|text| wrong("--person", text, read))
        .collect()
}

/// What is between commas and spaces; `-` is nothing.
pub(super) fn list(text: &str) -> Vec<String> {
    let parts = text
        .split([',', ' '])
        .filter(|part| !part.is_empty() && *part != "-");
    parts.map(str::to_owned).collect()
}
