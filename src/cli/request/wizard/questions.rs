//! Each question: what helps to answer it, and what is wrong with an answer.

use super::{Answer, Wizard};
use crate::cli::clone::known_by;
use crate::cli::request::draft::Emergency;
use crate::cli::request::missing::{REASON, RISK, limits, limits_in_words, looks_like, requires};
use crate::cli::request::prompt::{NoAnswer, Prompt, Question, Verdict, say};
use crate::cli::visible::visible;
use crate::domain::asking::tidy;
use crate::domain::evidence::instant;
use crate::domain::model::{Field, Resource, Role, RoleRef, Subject, Term, TermLength};
use crate::domain::parse;

impl Wizard<'_> {
    pub(super) fn answer(&mut self, what: Answer) -> Result<(), NoAnswer> {
        match what {
            Answer::Subject => self.ask_subject(),
            Answer::Role => self.ask_role(),
            Answer::Emergency => self.ask_emergency(),
            Answer::Term => self.ask_term(),
            Answer::Starts => self.ask_starts(),
            Answer::Reason => {
                let reason =
                    self.ask_text("Why is it needed?", REASON, self.draft.reason.clone())?;
                self.draft.reason = reason;
                Ok(())
            }
            Answer::Ticket => self.ask_ticket(),
            Answer::Risk => {
                let help = self.optional(Field::Risk, RISK);
                self.draft.risk =
                    self.ask_text("What could go wrong?", &help, self.draft.risk.clone())?;
                Ok(())
            }
        }
    }

    fn ask_subject(&mut self) -> Result<(), NoAnswer> {
        match self.view.me() {
            Some(me) => say(&format!(
                "You are {} {}, who has no file under access/people/.",
                me.login,
                known_by(me.by)
            ))?,
            None => say("It is not known who you are.")?,
        }
        let base = &self.view.base;
        let people = base.people.keys().cloned().map(Subject::Person);
        let services = base.services.keys().cloned().map(Subject::Service);
        let all: Vec<Subject> = people.chain(services).collect();
        let names: Vec<String> = all.iter().map(|subject| self.view.name(subject)).collect();
        let chosen = self.prompt.choose("Who is to have the access?", &names)?;
        self.draft.subject = all.get(chosen).cloned();
        Ok(())
    }

    fn ask_role(&mut self) -> Result<(), NoAnswer> {
        let resources = self.view.base.resources.values();
        let roles = resources.flat_map(|resource| {
            resource.roles.iter().map(move |(name, role)| {
                let role_ref = RoleRef {
                    resource: resource.name.clone(),
                    role: name.clone(),
                };
                (role_ref, resource, role)
            })
        });
        let roles: Vec<_> = roles.collect();
        if roles.is_empty() {
            say("There is nothing to ask for: the repository declares no resource.")?;
            return Err(NoAnswer::Left);
        }
        let named = roles.iter().map(|(name, ..)| name.to_string().len());
        let widest = named.max().unwrap_or_default();
        let option = |(name, resource, role): &(RoleRef, &Resource, &Role)| {
            let name = name.to_string();
            let (risk, most) = (resource.risk.to_string(), role.max_duration.to_string());
            format!(
                "{name:widest$}  {risk:8}  {most:>5}  {} ({})",
                role.description, resource.description
            )
        };
        let options: Vec<String> = roles
            .iter()
            .map(option)
            .map(|line| self.fitting(&line))
            .collect();
        let chosen = self.prompt.choose("What do you need?", &options)?;
        self.draft.role = roles.get(chosen).map(|(name, ..)| name.clone());
        Ok(())
    }

    /// A line that is not folded, where it is one of a list.
    pub(super) fn fitting(&self, line: &str) -> String {
        let line = visible(line);
        match (self.prompt, terminal_size::terminal_size()) {
            (Prompt::Screen, Some((terminal_size::Width(width), _))) => {
                let room = usize::from(width).saturating_sub(4).max(20);
                cut(&line, room)
            }
            _ => line,
        }
    }

    fn ask_emergency(&mut self) -> Result<(), NoAnswer> {
        let binding = self.draft.binding(self.view);
        let offer = binding.iter().find_map(|(_, role)| role.emergency.as_ref());
        let Some(offer) = offer else {
            self.draft.emergency = Emergency::Declined;
            return Ok(());
        };
        let before = match offer.approvals {
            0 => "at once".to_owned(),
            n => format!("with {n} approvals"),
        };
        let options = [
            "Ask the owners".to_owned(),
            format!(
                "Break the glass: {before}, for at most {}; an owner reviews it within {}",
                offer.max_duration, offer.review_within
            ),
        ];
        self.draft.emergency = match self.prompt.choose("Is it an emergency?", &options)? {
            1 => Emergency::Yes,
            _ => Emergency::Declined,
        };
        Ok(())
    }

    fn ask_term(&mut self) -> Result<(), NoAnswer> {
        let limits = limits(&self.draft.binding(self.view), self.draft.emergency);
        let help = format!(
            "90m, 2h, 1d12h, counted from the merge; or an instant such as 2026-12-04T18:00:00Z{}",
            limits_in_words(&limits)
        );
        let kept = match self.draft.term {
            Some(Term::Duration(length)) => Some(length.to_string()),
            Some(Term::Expires(at)) => Some(instant(at)),
            None => None,
        };
        let question = Question {
            asks: "For how long?",
            help: &help,
            kept: kept.as_deref(),
        };
        let judge = |typed: &str| -> Verdict {
            let length = match term(typed)? {
                Term::Duration(length) => length,
                Term::Expires(_) => return Ok(()),
            };
            match (limits.least, limits.most) {
                (_, Some(most)) if length > most => Err(format!("at most {most}")),
                (Some(least), _) if length < least => Err(format!("at least {least}")),
                _ => Ok(()),
            }
        };
        let typed = self.prompt.text(&question, judge)?;
        self.draft.term = term(&typed).ok();
        Ok(())
    }

    fn ask_starts(&mut self) -> Result<(), NoAnswer> {
        let kept = self.draft.starts.map(instant);
        let question = Question {
            asks: "From when?",
            help: "an instant such as 2026-12-04T18:00:00Z, at most 14 days ahead; nothing for the merge",
            kept: kept.as_deref(),
        };
        let judge = |typed: &str| -> Verdict {
            let ok = typed.is_empty() || parse::instant(typed).is_some();
            ok.then_some(())
                .ok_or_else(|| "write it in UTC, like 2026-12-04T18:00:00Z".to_owned())
        };
        let typed = self.prompt.text(&question, judge)?;
        self.draft.starts = parse::instant(&typed);
        Ok(())
    }

    fn ask_ticket(&mut self) -> Result<(), NoAnswer> {
        let binding = self.draft.binding(self.view);
        let patterns: Vec<_> = binding
            .iter()
            .filter_map(|(name, role)| self.view.base.ticket_pattern(name, role)?)
            .collect();
        let form = looks_like(&binding);
        let help = self.optional(Field::Ticket, &format!("its key{form}"));
        let kept = self.draft.ticket.clone();
        let question = Question {
            asks: "Which ticket does it belong to?",
            help: &help,
            kept: kept.as_deref(),
        };
        let optional = !requires(&binding, Field::Ticket);
        let judge = |typed: &str| -> Verdict {
            let fits = patterns.iter().all(|pattern| pattern.is_match(typed));
            match typed.is_empty() {
                true if optional => Ok(()),
                false if fits => Ok(()),
                _ => Err(format!("its key{form}")),
            }
        };
        let typed = tidy(&self.prompt.text(&question, judge)?);
        self.draft.ticket = Some(typed).filter(|ticket| !ticket.is_empty());
        Ok(())
    }

    fn optional(&self, field: Field, help: &str) -> String {
        match requires(&self.draft.binding(self.view), field) {
            true => help.to_owned(),
            false => format!("{help}; nothing, if there is none"),
        }
    }

    /// A text that the check judges.
    fn ask_text(
        &self,
        asks: &str,
        help: &str,
        kept: Option<String>,
    ) -> Result<Option<String>, NoAnswer> {
        let question = Question {
            asks,
            help,
            kept: kept.as_deref(),
        };
        let typed = tidy(&self.prompt.text(&question, |_| Ok(()))?);
        Ok(Some(typed).filter(|text| !text.is_empty()))
    }
}

/// A duration, or an instant.
fn term(typed: &str) -> Result<Term, String> {
    if let Some(at) = parse::instant(typed) {
        return Ok(Term::Expires(at));
    }
    let length = TermLength::parse(typed);
    length
        .map(Term::Duration)
        .map_err(|error| error.to_string())
}

/// At most so many columns of a line.
fn cut(line: &str, room: usize) -> String {
    use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};
    if line.width() <= room {
        return line.to_owned();
    }
    let mut used = 0;
    let fits = |c: &char| {
        used += c.width().unwrap_or_default();
        used < room
    };
    let kept: String = line.chars().take_while(fits).collect();
    format!("{kept}…")
}
