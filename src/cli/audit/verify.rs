//! `hallpass audit verify` and `hallpass audit anchor`.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::IsTerminal as _;
use std::path::PathBuf;
use std::process::ExitCode;

use chrono::TimeDelta;
use clap::Args;

use super::Where;
use crate::app::audit::{self, Clone};
use crate::domain::audit::{Lives, Proved, Rule, Verified, Vouched};
use crate::domain::evidence;

/// Check that the evidence is whole and that what it tells was right
///
/// Signatures and the chain of records; that each grant has an earlier approval of exactly that content by independent owners; that each
/// end came in time; that each commit of the protected branch which changes access is told of; and that the decisions, made again from what
/// git holds, come out the same. Takes the public key by another way than the clone: who can rewrite the branch can rewrite a key beside it.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  hallpass audit verify --key evidence_key.pub
  hallpass audit verify --key evidence_key.pub --anchor anchor.json --json")]
pub(super) struct Verify {
    #[command(flatten)]
    place: Where,
    /// The public key of the service: a .pub file, or a file of allowed signers. May be given several times
    #[arg(long, value_name = "FILE", required = true)]
    key: Vec<PathBuf>,
    #[command(flatten)]
    by: Measure,
    /// Answer in JSON, for programs
    #[arg(long)]
    json: bool,
}

/// What is measured against.
#[derive(Debug, Args)]
pub(super) struct Measure {
    /// An anchor that was written earlier, or a folder of them: the branch must still hold that record. May be given several times
    #[arg(long, value_name = "PATH")]
    anchor: Vec<PathBuf>,
    /// How long after it is due a removal counts as late, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    late: u32,
}

impl Measure {
    pub(super) fn late(&self) -> TimeDelta {
        TimeDelta::seconds(self.late.into())
    }

    /// Checks the clone, and tells a terminal how far it is. Signatures are not looked at where there is no key.
    pub(super) fn check(
        &self,
        clone: &Clone,
        keys: &[PathBuf],
    ) -> anyhow::Result<(Verified, Lives)> {
        let trusted = audit::public_keys(keys)?;
        let mut anchors = Vec::new();
        for path in &self.anchor {
            anchors.extend(audit::anchors(path)?);
        }
        let shown = std::io::stderr().is_terminal();
        let checked = clone.verify(trusted, &anchors, self.late(), |count| {
            if shown {
                anstream::eprint!("\r{count} records");
            }
        })?;
        if shown {
            anstream::eprint!("\r\u{1b}[K");
        }
        Ok(checked)
    }
}

/// Print the last record's number, digest and commit: an anchor
///
/// Keep it where nobody who runs Hallpass can change it, every day. `verify --anchor FILE` then tells if anything before it was cut or
/// rewritten, even by somebody who holds the signing key.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  hallpass audit anchor > anchor.json")]
pub(super) struct PrintAnchor {
    #[command(flatten)]
    place: Where,
}

/// How many problems of one rule are told one by one.
const TOLD: usize = 20;

impl Verify {
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        let (verified, _) = self.by.check(&self.place.open()?, &self.key)?;
        let text = match self.json {
            true => serde_json::to_string(&verified)? + "\n",
            false => human(&verified),
        };
        super::super::print(&text)?;
        Ok(ExitCode::from(u8::from(!verified.problems.is_empty())))
    }
}

impl PrintAnchor {
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        let anchor = self.place.open()?.anchor()?;
        super::super::print(&(serde_json::to_string(&anchor)? + "\n"))?;
        Ok(ExitCode::SUCCESS)
    }
}

fn human(verified: &Verified) -> String {
    let mut out = String::new();
    // Writing to a String cannot fail.
    let _ = writeln!(
        out,
        "Read {} records of {} grants, up to commit {}.",
        verified.records, verified.grants, verified.evidence
    );
    if let Some(anchor) = &verified.anchor {
        let _ = writeln!(
            out,
            "The last is number {} of {}: {}",
            anchor.seq,
            evidence::instant(anchor.at),
            anchor.record
        );
    }
    match &verified.main {
        Some(main) => {
            let _ = writeln!(
                out,
                "Looked for {} commits of the protected branch up to {}, and made {} decisions again from what git holds.",
                verified.commits,
                main.short(),
                verified.replayed
            );
        }
        None => out.push_str(
            "This clone has no protected branch to compare with (name it with --main): commits were not looked for, decisions not made again.\n",
        ),
    }
    out.push_str(&by_anchors(verified));
    if verified.problems.is_empty() {
        out.push_str(
            "\nWhole and right: every signature, every link, every grant, every end in time.\n",
        );
        return out;
    }
    let mut rules: BTreeMap<Rule, Vec<String>> = BTreeMap::new();
    for problem in &verified.problems {
        rules
            .entry(problem.rule)
            .or_default()
            .push(problem.to_string());
    }
    for (rule, told) in rules {
        let _ = writeln!(
            out,
            "\n{}: {} ({})",
            rule.as_str(),
            rule.meaning(),
            told.len()
        );
        for line in told.iter().take(TOLD) {
            let _ = writeln!(out, "  {line}");
        }
        if told.len() > TOLD {
            let _ = writeln!(
                out,
                "  ... and {} more; see all with --json",
                told.len() - TOLD
            );
        }
    }
    let count = verified.problems.len();
    let _ = writeln!(
        out,
        "\n{count} problem{}.",
        if count == 1 { "" } else { "s" }
    );
    out
}

/// How many anchors are told one by one.
const ANCHORS: usize = 10;

/// What the anchors prove, and what is left to be believed.
fn by_anchors(verified: &Verified) -> String {
    let mut out = String::new();
    let Some(best) = verified.proved.last() else {
        return out;
    };
    let hidden = verified.proved.len().saturating_sub(ANCHORS);
    if hidden > 0 {
        let _ = writeln!(out, "{hidden} older anchors hold too.");
    }
    for proved in verified.proved.iter().skip(hidden) {
        let _ = writeln!(
            out,
            "{} holds: records 1 to {} are those of {}; {}.",
            escaped(&proved.name),
            proved.seq,
            evidence::instant(proved.at),
            vouched(proved)
        );
    }
    let last = verified.anchor.as_ref().map_or(best.seq, |last| last.seq);
    match last.saturating_sub(best.seq) {
        0 => out.push_str(
            "Every record is older than the newest anchor, or is the one that it names.\n",
        ),
        rest => {
            let _ = writeln!(
                out,
                "The newest {rest} of {last} records are newer than every anchor: that none of them was cut off or written anew, no anchor shows."
            );
        }
    }
    out
}

fn vouched(proved: &Proved) -> &'static str {
    match proved.vouched {
        Vouched::Signed => "it is signed by the service, so that nobody else made it up",
        Vouched::NotLookedAt => "nobody looked by whom it is signed, as no key was given",
        Vouched::Keeper => "it is not signed, and proves as much as whoever kept it is believed",
    }
}

/// A file may be called anything.
fn escaped(name: &str) -> String {
    name.escape_debug().to_string()
}
