//! The file in which owners answer.

use std::fmt::Write as _;

use chrono::SubsecRound as _;

use super::super::evidence::instant;
use super::super::model::{GrantId, Instant, RoleRef, Subject};
use super::{Answer, Line, Sheet};

/// The content of `access/reviews/<day>/<owners>-<12 digits>.yaml`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answers {
    /// When the round began.
    pub round: Instant,
    /// Until when owners are to answer.
    pub answer_by: Instant,
    /// What becomes of what nobody answers.
    pub unanswered: Answer,
    /// How many grants are asked about.
    pub count: u64,
    /// SHA-256 of their sorted ids, each followed by a line feed.
    pub digest: String,
    /// Which attempt to have them answered this is.
    pub attempt: u32,
    /// One for each grant; those that owners deleted are gone.
    pub lines: Vec<AnswerLine>,
}

/// One grant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AnswerLine {
    /// What becomes of it.
    pub decision: Answer,
    /// `person <login>` or `service <name>`.
    pub who: String,
    /// What they have.
    pub role: RoleRef,
    /// Since when.
    pub since: Instant,
    /// Until when.
    pub until: Instant,
    /// When the account was last used, by whatever it may do: where that is known.
    pub account_last_used: Option<Instant>,
    /// Which grant.
    pub grant: GrantId,
}

impl AnswerLine {
    /// The line as Hallpass writes it.
    fn row(&self) -> String {
        let used = self.account_last_used.map(instant);
        let used = used.map_or_else(String::new, |at| format!("account_last_used: {at}, "));
        format!(
            "  - {{ decision: {}, who: {}, role: {}, since: {}, until: {}, {used}grant: \"{}\" }}\n",
            self.decision.as_str(),
            self.who,
            self.role,
            instant(self.since),
            instant(self.until),
            self.grant
        )
    }

    /// Whether `other` is an answer to this line.
    pub(super) fn asks_the_same(&self, other: &Self) -> bool {
        let decision = other.decision;
        let own = Self {
            decision,
            ..self.clone()
        };
        own == *other
    }
}

impl Line {
    /// `person octocat` or `service deploy-bot`.
    pub fn who(&self) -> String {
        match &self.subject {
            Subject::Person(login) => format!("person {login}"),
            Subject::Service(name) => format!("service {name}"),
        }
    }

    /// The line before anybody answered: it is kept.
    fn unanswered(&self) -> AnswerLine {
        AnswerLine {
            decision: Answer::Keep,
            who: self.who(),
            role: self.role.clone(),
            since: self.since.trunc_subsecs(0),
            until: self.ends.trunc_subsecs(0),
            account_last_used: self.account_last_used.map(|at| at.trunc_subsecs(0)),
            grant: self.grant.clone(),
        }
    }

    /// How many bytes it takes in a file.
    pub(super) fn size(&self) -> usize {
        self.unanswered().row().len()
    }
}

impl Sheet {
    /// What its file says before anybody answered: that everything is kept.
    pub fn answers(&self) -> Answers {
        Answers {
            round: self.round,
            // Asked for only once it is known until when.
            answer_by: self.answer_by.unwrap_or(self.round),
            unanswered: self.unanswered,
            count: self.lines.len() as u64,
            digest: self.digest(),
            attempt: self.attempt,
            lines: self.lines.iter().map(Line::unanswered).collect(),
        }
    }
}

impl Answers {
    /// The file as Hallpass writes it.
    pub fn text(&self) -> String {
        let mut text = format!(
            "# yaml-language-server: $schema=../../../schemas/review-sheet.schema.json\n\
             # Written by Hallpass: who has this for long. Change `keep` to `end`, or delete a line, to end that access; leave\n\
             # everything else as it is. An owner's approval of this file signs what it says.\n\
             round: {}\nanswer_by: {}\nunanswered: {}\ncount: {}\ndigest: \"{}\"\n",
            instant(self.round),
            instant(self.answer_by),
            self.unanswered.as_str(),
            self.count,
            self.digest
        );
        // Writing to a String cannot fail.
        if self.attempt > 1 {
            let _ = writeln!(text, "attempt: {}", self.attempt);
        }
        text.push_str(if self.lines.is_empty() {
            "lines: []\n"
        } else {
            "lines:\n"
        });
        text.extend(self.lines.iter().map(AnswerLine::row));
        text
    }
}
