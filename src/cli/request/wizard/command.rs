//! The command that has every answer so far: what somebody who leaves can go on with.

use super::Wizard;
use crate::cli::request::Request;
use crate::cli::request::draft::Emergency;
use crate::cli::visible::visible;
use crate::domain::evidence::instant;
use crate::domain::model::{Subject, Term};

impl Wizard<'_> {
    /// The command that has every answer so far.
    pub(super) fn command(&self, flags: &Request) -> String {
        let draft = &self.draft;
        let mut words = vec!["hallpass".to_owned(), "request".to_owned()];
        words.extend(draft.role.iter().map(ToString::to_string));
        let mut flag = |name: &str, value: Option<String>| {
            words.extend(value.into_iter().flat_map(|value| [name.to_owned(), value]));
        };
        match &draft.subject {
            Some(Subject::Person(login)) => flag("--person", Some(login.to_string())),
            Some(Subject::Service(name)) => flag("--service", Some(name.to_string())),
            None => {}
        }
        match draft.term {
            Some(Term::Duration(length)) => flag("--for", Some(length.to_string())),
            Some(Term::Expires(at)) => flag("--until", Some(instant(at))),
            None => {}
        }
        flag("--starts", draft.starts.map(instant));
        flag("--reason", draft.reason.clone());
        flag("--ticket", draft.ticket.clone());
        flag("--risk", draft.risk.clone());
        flag("--name", draft.name.clone());
        if draft.emergency == Emergency::Yes {
            words.push("--emergency".to_owned());
        }
        words.extend(flags.which.flags());
        let words: Vec<String> = words.iter().map(|word| for_shell(word)).collect();
        words.join(" ")
    }
}

/// A word as a shell takes it for one. What would move the cursor is written out instead.
fn for_shell(word: &str) -> String {
    let word = visible(word);
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:@%+=,".contains(c);
    match !word.is_empty() && word.chars().all(plain) {
        true => word,
        false => format!("'{}'", word.replace('\'', "'\\''")),
    }
}
