//! `hallpass audit report`.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use chrono::{DurationRound as _, TimeDelta};
use clap::Args;

use super::verify::Measure;
use super::{Where, instant};
use crate::app::audit::{Clone, now};
use crate::domain::audit::report::{Asked, Report};
use crate::domain::audit::{Lives, Verified};
use crate::domain::model::{Instant, TermLength};
use crate::domain::render::{ForgeAddress, audit_report};

/// Write a report on a period: one page to look at, to print and to keep, or the same figures for programs
///
/// It begins with whether the evidence is whole and right, and with open exceptions. Then: what happened, standing access beside access just
/// in time, how long people waited, how soon access was gone, who held what when on each resource, and which records show which control of
/// ISO 27001, SOC 2, CIS and NIST. Each figure names the commits that show it. The page loads nothing and runs nothing.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct WriteReport {
    #[command(flatten)]
    place: Where,
    /// The public key of the service, as for `verify`. Without it, signatures are not checked, and the report says so
    #[arg(long, value_name = "FILE")]
    key: Vec<PathBuf>,
    #[command(flatten)]
    by: Measure,
    /// From this instant on, in UTC: 2026-07-01 [default: the first record, at most a year before the end]
    #[arg(long, value_name = "INSTANT", value_parser = instant)]
    from: Option<Instant>,
    /// Before this instant [default: now]
    #[arg(long, value_name = "INSTANT", value_parser = instant)]
    to: Option<Instant>,
    /// Access that was given for longer than this, renewals included, counts as standing
    #[arg(long, value_name = "TERM", default_value = "7d", value_parser = TermLength::parse)]
    standing: TermLength,
    /// Where to write the page; `-`: to standard output
    #[arg(long, value_name = "FILE", required_unless_present = "json")]
    html: Option<PathBuf>,
    /// Write the figures to standard output, in JSON
    #[arg(long)]
    json: bool,
    /// What the commits are linked to, like https://github.com/acme/access [default: what the clone's origin says]
    #[arg(long, value_name = "URL", value_parser = forge)]
    forge: Option<ForgeAddress>,
}

const EXAMPLES: &str = "\
Examples:
  hallpass audit report --key evidence_key.pub --html report.html
  hallpass audit report --key evidence_key.pub --from 2026-07-01 --to 2026-10-01 --html q3.html
  hallpass audit report --from 2026-07-01 --to 2026-10-01 --json > q3.json

Exit status:
  0  written; nothing wrong was found and no exception is open
  1  written; somebody must look
  2  could not run";

/// The longest period that is chosen where none is asked for.
const YEAR: TimeDelta = TimeDelta::days(365);

fn forge(text: &str) -> Result<ForgeAddress, String> {
    ForgeAddress::of_remote(text)
        .ok_or_else(|| "write the address of the repository: https://github.com/acme/access".into())
}

impl WriteReport {
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        let to_output = self
            .html
            .as_ref()
            .is_some_and(|file| file.as_os_str() == "-");
        if to_output && self.json {
            bail!("--html - and --json both write to standard output; give --html a file");
        }
        let clone = self.place.open()?;
        let (verified, lives) = self.by.check(&clone, &self.key)?;
        let asked = self.asked(&verified, &lives)?;
        let report = Report::of(&lives, &verified, &asked);
        if self.json {
            super::super::print(&(serde_json::to_string(&report)? + "\n"))?;
        }
        if let Some(file) = &self.html {
            let page = audit_report(&report, self.forge(&clone).as_ref())?;
            if to_output {
                super::super::print(&page)?;
            } else {
                let name = file.display();
                std::fs::write(file, page).with_context(|| format!("cannot write {name}"))?;
            }
        }
        Ok(ExitCode::from(u8::from(report.is_alarming())))
    }

    fn asked(&self, verified: &Verified, lives: &Lives) -> anyhow::Result<Asked> {
        let now = now();
        let last = verified.anchor.as_ref().map_or(now, |last| last.at);
        // Whole seconds: what the report names is the period to the letter.
        let second = TimeDelta::seconds(1);
        let to = match self.to {
            Some(to) => to,
            None => now.max(last).duration_trunc(second)? + second,
        };
        let from = match (self.from, Report::beginning(lives)) {
            (Some(from), _) => from,
            (None, Some(first)) => first.duration_trunc(second)?.max(to - YEAR),
            (None, None) => to - YEAR,
        };
        if from >= to {
            bail!("--from must be before --to");
        }
        Ok(Asked {
            from,
            to,
            now,
            late: self.by.late(),
            standing: self.standing,
        })
    }

    fn forge(&self, clone: &Clone) -> Option<ForgeAddress> {
        let origin = || ForgeAddress::of_remote(&clone.origin()?);
        self.forge.clone().or_else(origin)
    }
}
