//! `hallpass request`: the pull request that asks for access.

mod draft;
mod missing;
mod prompt;
mod term;
pub(super) mod told;
mod wizard;

use std::io::IsTerminal as _;
use std::process::ExitCode;

use clap::Args;

use super::clone::{View, Which};
use crate::domain::model::Instant;
use draft::Draft;
use term::instant;

pub(super) use draft::{Emergency, Ready, schemas, term_in_words};
pub(super) use missing::{Limits, limits, limits_in_words};
pub(super) use prompt::{NoAnswer, Prompt, Question};
pub(super) use term::HowLong;

/// Ask for access: answer a few questions, and open the pull request
///
/// At a terminal it asks for what is missing, and only for what the role demands: a role of the catalogue, for how long, why. The request is
/// checked by the rules of the server before anything is made, you see who will approve, and the pull request is opened with your
/// token. Where there is no terminal, or with --json, nothing is asked: what is missing is told all at once.
///
/// The commit is made on top of the branch that counts, fetched first; your work tree, index and current branch are not touched. The token is
/// GH_TOKEN or GITHUB_TOKEN for github.com, GH_ENTERPRISE_TOKEN or GITHUB_ENTERPRISE_TOKEN for the Enterprise Server that GH_HOST names, or
/// the one that `gh auth login` keeps. Without one, the commit waits on a branch of your clone, and what is left to do is told.
#[derive(Debug, Args)]
#[command(after_help = "Try `hallpass request --help` for examples.", after_long_help = EXAMPLES)]
pub struct Request {
    /// What is asked for, as the catalogue has it: orders/readonly
    #[arg(value_name = "RESOURCE/ROLE")]
    role: Option<String>,
    #[command(flatten)]
    how_long: HowLong,
    /// Not before this instant, at most 14 days ahead: 2026-11-24T22:00:00Z
    #[arg(long, value_name = "INSTANT", value_parser = instant)]
    starts: Option<Instant>,
    /// Why: a sentence for the owner who approves
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    /// The ticket that it belongs to, where the role demands one or you have one
    #[arg(long, value_name = "KEY")]
    ticket: Option<String>,
    /// What could go wrong, where the role demands it or you want to say it
    #[arg(long, value_name = "TEXT")]
    risk: Option<String>,
    /// For this person [default: you]
    #[arg(long, value_name = "LOGIN", conflicts_with = "service")]
    person: Option<String>,
    /// For this service account
    #[arg(long, value_name = "NAME")]
    service: Option<String>,
    /// Break-glass: without waiting for approval, where the role offers it
    #[arg(long)]
    emergency: bool,
    /// The name of the file [default: who, and the ticket or the role]
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// Do not ask whether to go on
    #[arg(long)]
    yes: bool,
    #[command(flatten)]
    which: Which,
    /// Answer in JSON, for programs, and ask nothing
    #[arg(long)]
    json: bool,
}

const EXAMPLES: &str = "\
Examples:
  hallpass request
      Be asked for everything.
  hallpass request orders/readonly --for 2h --ticket INC-4211 --yes \\
    --reason 'Checkout fails for some customers since 13:05' --risk 'Reads personal data.'
      Ask for two hours, counted from the merge, without a question.
  hallpass request dashboards/viewer --until 2026-12-04T18:00:00Z --local \\
    --reason 'Watches the launch of the new shop'
      Until an instant; make the commit only, and say how to push and propose it.
  hallpass request incident-kit/responder --for 4h --ticket INC-4230 --json \\
    --reason 'Orders arrive twice since noon' --risk 'May restart services.'
      A bundle, in a script: who approves each part, the pull request, or why it is refused.
  hallpass request orders/migrator --service deploy-bot --for 90m --ticket CHG-2093 --local \\
    --reason 'Adds the column promised_at to shipments'
      For a service account that you or somebody else answers for.
  hallpass request orders/admin --emergency --for 1h --ticket INC-4244 --local \\
    --reason 'The orders database accepts no writes at all' --risk 'Every right on every table.'
      Break-glass, where the role offers it: at once, and reviewed by an owner afterwards.

Exit status:
  0  the pull request is open
  1  something is missing or refused, or the pull request is left for you to open
  2  could not run

With --json: role, subject, path, file, missing, findings, depends, teams, approvals, branch, pull, already, why, next, stale.";

impl Request {
    /// Asks, checks, shows and proposes.
    ///
    /// # Errors
    /// When there is no clone, or it cannot be used.
    pub fn run(&self) -> anyhow::Result<ExitCode> {
        let view = self.which.look()?;
        if !view.clone.can_commit() {
            anyhow::bail!(
                "git does not know who you are: set user.name and user.email with `git config`"
            );
        }
        let draft = Draft::of(self, &view)?;
        if self.asks() {
            return wizard::run(self, &view, draft, Prompt::here());
        }
        self.at_once(&view, &draft)
    }

    /// Whether there is somebody to be asked.
    fn asks(&self) -> bool {
        let here = std::io::stdin().is_terminal() && std::io::stderr().is_terminal();
        here && !self.json
    }

    /// Without a question.
    fn at_once(&self, view: &View, draft: &Draft) -> anyhow::Result<ExitCode> {
        let missing = missing::missing(view, draft);
        let Some(ready) = draft.ready(view).filter(|_| missing.is_empty()) else {
            told::missing(self.json, draft, &missing)?;
            return Ok(ExitCode::FAILURE);
        };
        let checked = ready.check(view);
        if checked.is_refused() {
            told::refused(self.json, &ready, &checked)?;
            return Ok(ExitCode::FAILURE);
        }
        let done = ready.propose(view)?;
        told::done((view, self.json), &ready, &checked, &done)?;
        Ok(done.code())
    }
}
