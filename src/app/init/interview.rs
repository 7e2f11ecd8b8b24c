//! Asking a person what is not known yet, in plain words, with the usual answer at hand.

use std::io::{BufRead, Write};

use super::answers::{Given, Unanswered, is_owner, kind, list, people, repository};
use super::kinds::Beginning;
use super::standing::Standing;
use crate::domain::model::{Login, ResourceName};

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
            self.ask_for_repository(interview)?;
        }
        let owner = self.repository_of(standing).map(|r| r.owner.to_string());
        if !standing.codeowners.is_there() && self.owners.is_empty() {
            let usual = format!("@{}/security", owner.unwrap_or_default());
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

    fn ask_for_repository(&mut self, interview: &mut Interview<'_>) -> Result<(), Unanswered> {
        let is_login = |text: &str| Login::new(text).map(drop).map_err(|e| e.to_string());
        let organisation = interview.ask(
            "The organisation at GitHub that has the access repository",
            self.organisation.as_deref(),
            is_login,
        )?;
        let is_name = |text: &str| repository(&organisation, text).map(drop);
        let usual = self.repository.as_deref().unwrap_or("access");
        self.repository = Some(interview.ask("Its name", Some(usual), is_name)?);
        self.organisation = Some(organisation);
        Ok(())
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
            let question = format!("Who decides about requests for {name}");
            self.resource_owners = list(&interview.ask(&question, Some(&usual), are_owners)?);
        }
        self.resource = Some(name);
        Ok(())
    }
}

fn are_owners(text: &str) -> Result<(), String> {
    list(text).iter().try_for_each(|owner| is_owner(owner))
}
