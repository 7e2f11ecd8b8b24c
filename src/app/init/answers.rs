//! What has to be known of a new access repository: given as flags, standing in the folder, or asked.

use std::io::{BufRead, Write};
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

/// Asks a person, line by line.
pub struct Interview<'a> {
    /// Where answers come from.
    pub answers: &'a mut dyn BufRead,
    /// Where questions go.
    pub questions: &'a mut dyn Write,
}

impl std::fmt::Debug for Interview<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Interview")
    }
}

impl Interview<'_> {
    /// Asks until `fits` takes the answer; an empty one is `usual`.
    fn ask(
        &mut self,
        question: &str,
        usual: Option<&str>,
        fits: impl Fn(&str) -> Result<(), String>,
    ) -> Result<String, Unanswered> {
        loop {
            let shown = usual.map(|u| format!(" [{u}]")).unwrap_or_default();
            write!(self.questions, "{question}{shown}: ")?;
            self.questions.flush()?;
            let mut line = String::new();
            if self.answers.read_line(&mut line)? == 0 {
                writeln!(self.questions)?;
                return Err(std::io::Error::from(std::io::ErrorKind::UnexpectedEof).into());
            }
            let answer = match (line.trim(), usual) {
                ("", Some(usual)) => usual,
                (answer, _) => answer,
            };
            match fits(answer) {
                Ok(()) => return Ok(answer.to_owned()),
                Err(why) => writeln!(self.questions, "  {why}")?,
            }
        }
    }
}

impl Given {
    /// Asks for what is missing and does not stand there already.
    ///
    /// # Errors
    /// When the terminal fails.
    pub fn complete(
        mut self,
        standing: &Standing,
        interview: &mut Interview<'_>,
    ) -> Result<Self, Unanswered> {
        if self.repository_of(standing).is_err() {
            let is_login = |text: &str| Login::new(text).map(drop).map_err(|e| e.to_string());
            self.organisation = Some(interview.ask(
                "The organisation at GitHub that has the access repository",
                self.organisation.as_deref(),
                is_login,
            )?);
            let organisation = self.organisation.clone().unwrap_or_default();
            let is_name = |text: &str| repository(&organisation, text).map(drop);
            let usual = self.repository.as_deref().unwrap_or("access");
            self.repository = Some(interview.ask("Its name", Some(usual), is_name)?);
        }
        let organisation = match self.repository_of(standing) {
            Ok(repository) => repository.owner.to_string(),
            Err(_) => String::new(),
        };
        let are_owners = |text: &str| list(text).iter().try_for_each(|owner| is_owner(owner));
        if !standing.codeowners.is_there() && self.owners.is_empty() {
            let usual = format!("@{organisation}/security");
            let question = "Who decides about rules, people and resources (a team, or people)";
            self.owners = list(&interview.ask(question, Some(&usual), are_owners)?);
        }
        if !standing.resources.is_there() && self.resource.is_none() {
            self.ask_for_resource(standing, interview)?;
        }
        if !standing.people.is_there() && self.people.is_empty() {
            let question = "Who may be given access first (logins at GitHub, or - for nobody yet)";
            let are_people = |text: &str| people(&list(text)).map(drop).map_err(|e| e.to_string());
            let said = interview.ask(question, Some("-"), are_people)?;
            self.people = list(&said);
        }
        Ok(self)
    }

    fn ask_for_resource(
        &mut self,
        standing: &Standing,
        interview: &mut Interview<'_>,
    ) -> Result<(), Unanswered> {
        let is_name = |text: &str| match text {
            "-" => Ok(()),
            text => ResourceName::new(text).map(drop).map_err(|e| e.to_string()),
        };
        let question = "The first thing that can be asked for, in one word (or - for none yet)";
        let name = interview.ask(question, Some("-"), is_name)?;
        if name == "-" {
            return Ok(());
        }
        let is_kind = |text: &str| kind(text).map(drop);
        let question = format!(
            "What gives it ({})",
            Beginning::names().collect::<Vec<_>>().join(", ")
        );
        self.kind = Some(interview.ask(&question, Some("github-team"), is_kind)?);
        if !standing.codeowners.is_there() && self.resource_owners.is_empty() {
            let usual = self.owners.join(" ");
            let are_owners = |text: &str| list(text).iter().try_for_each(|owner| is_owner(owner));
            let question = format!("Who decides about requests for {name}");
            self.resource_owners = list(&interview.ask(&question, Some(&usual), are_owners)?);
        }
        self.resource = Some(name);
        Ok(())
    }

    fn repository_of(&self, standing: &Standing) -> Result<RepoName, Unanswered> {
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
        let web = self
            .web
            .as_deref()
            .or(standing.sketch.github.web.as_deref());
        let web = wrong("--web", web.unwrap_or("https://github.com"), |text| {
            Url::parse(text).map_err(|e| e.to_string())
        })?;
        let api = match standing.sketch.github.api.clone() {
            Some(api) => api,
            None => api_of(&web, &repository)?,
        };
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
        let mut found = Vec::new();
        for person in people(&self.people)? {
            let id = match person.id {
                Some(id) => id,
                None => lookup(&api, &person.login).map_err(|why| Unanswered::Wrong {
                    flag: "--person",
                    value: person.login.to_string(),
                    why: format!(
                        "{why}; give the number too: --person {}=NUMBER",
                        person.login
                    ),
                })?,
            };
            found.push((person.login, id));
        }
        let mode = match standing.service_less.is_there() {
            true => Mode::ServiceLess,
            false => self.mode,
        };
        Ok(Answers {
            repository,
            owners,
            resource,
            people: found,
            web,
            api,
            mode,
            setup,
            standing,
        })
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

fn api_of(web: &Url, repository: &RepoName) -> Result<String, Unanswered> {
    let page = format!("{}/{repository}", web.as_str().trim_end_matches('/'));
    let place = wrong("--web", &page, crate::app::propose::Place::of_remote)?;
    Ok(place.api)
}

fn repository(organisation: &str, name: &str) -> Result<RepoName, String> {
    RepoName::try_from(format!("{organisation}/{name}")).map_err(|e| e.to_string())
}

fn kind(text: &str) -> Result<&'static Beginning, String> {
    Beginning::of(text).ok_or_else(|| {
        let known: Vec<_> = Beginning::names().collect();
        format!("it is none of {}", known.join(", "))
    })
}

/// Whether CODEOWNERS takes it for an owner of its own form: by its own reader.
fn is_owner(text: &str) -> Result<(), String> {
    let line = format!("* {text}\n");
    let read = codeowners::Codeowners::parse(".github/CODEOWNERS", line.as_bytes());
    match read.problems.first() {
        Some(problem) => Err(problem.message.clone()),
        None if text.starts_with('@') => Ok(()),
        None => Err("write @login or @organisation/team".to_owned()),
    }
}

/// `octocat`, or `octocat=583231`.
fn people(given: &[String]) -> Result<Vec<Person>, Unanswered> {
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
fn list(text: &str) -> Vec<String> {
    let parts = text
        .split([',', ' '])
        .filter(|part| !part.is_empty() && *part != "-");
    parts.map(str::to_owned).collect()
}
