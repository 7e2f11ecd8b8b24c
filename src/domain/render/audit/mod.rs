//! The report for auditors as one page: HTML and inline SVG that load nothing and run nothing.
//!
//! Everything that somebody else may have written goes through the template's escaping, and what no eye would see in it is written
//! out. Invariant: what a figure cites stands in the list of commits at the end of the page.

mod answers;
mod axis;
mod charts;
mod forge;
mod lanes;
pub(super) mod words;

use std::cell::RefCell;
use std::collections::BTreeMap;

use askama::Template;
use askama::filters::HtmlSafe;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest as _, Sha256};

use super::super::audit::report::{Cited, Outcome, Report, Shown};
use super::super::audit::{AT_ONCE, Problem, Rule};
use super::super::evidence;
use super::super::model::{CommitId, Instant};
use super::human::visible;

pub use forge::ForgeAddress;

const STYLE: &str = include_str!("templates/style.css");
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// How many problems are listed of each rule.
const PROBLEMS: usize = 20;

/// The page of a report, with links to `forge` where it is known.
///
/// # Errors
/// None that could be met: templates fail where what they show does, and text does not.
pub fn audit_report(
    report: &Report<'_>,
    forge: Option<&ForgeAddress>,
) -> Result<String, askama::Error> {
    let page = Page {
        report,
        forge,
        style_digest: format!("sha256-{}", STANDARD.encode(Sha256::digest(STYLE))),
        named: RefCell::default(),
    };
    page.render()
}

/// The page.
#[derive(Template)]
#[template(path = "page.html", config = "src/domain/render/audit/askama.toml")]
struct Page<'r> {
    report: &'r Report<'r>,
    forge: Option<&'r ForgeAddress>,
    /// The only style that is obeyed.
    style_digest: String,
    /// What was cited so far: when, and what it says.
    named: RefCell<BTreeMap<&'r CommitId, (Option<Instant>, &'r str)>>,
}

/// A commit, as it is cited.
#[derive(Template)]
#[template(
    source = r#"<a class="c" href="{{ href }}" rel="noreferrer">{{ id }}</a>"#,
    ext = "html"
)]
struct Citation<'r> {
    href: String,
    id: &'r str,
}

impl HtmlSafe for Citation<'_> {}

/// A commit in the list at the end.
struct Named<'r> {
    id: &'r CommitId,
    at: String,
    sentence: String,
}

/// A line of what was checked.
struct CheckLine {
    what: &'static str,
    class: &'static str,
    result: String,
}

/// What is checked, in groups that people understand.
const CHECKS: [(&str, &[Rule]); 7] = [
    (
        "Every record is signed by a key that is believed",
        &[Rule::Unsigned, Rule::BadSignature, Rule::UnknownKey],
    ),
    (
        "No record was altered, taken out, put in or moved",
        &[
            Rule::Empty,
            Rule::Parents,
            Rule::NoRecord,
            Rule::NotCanonical,
            Rule::MessageDiffers,
            Rule::Sequence,
            Rule::ChainBroken,
            Rule::KeyTwice,
        ],
    ),
    (
        "The evidence still holds what anchors say that it held",
        &[Rule::AnchorMissing],
    ),
    (
        "Each grant was approved before, by independent people",
        &[Rule::NotApproved, Rule::NotIndependent, Rule::ApprovedLate],
    ),
    (
        "Each decision, made again from the rules in git, comes out the same",
        &[
            Rule::TooFewApprovals,
            Rule::TermTooLong,
            Rule::RulesDiffer,
            Rule::NotAnOwner,
        ],
    ),
    (
        "Each end came in time",
        &[Rule::RemovedLate, Rule::NotRemoved],
    ),
    (
        "Each change of access on the protected branch is told of",
        &[Rule::CommitUnexplained, Rule::CommitGone],
    ),
];

/// What the templates ask about commits.
impl<'r> Page<'r> {
    fn href(&self, commit: &CommitId) -> String {
        match self.forge {
            Some(forge) => forge.commit(commit),
            None => format!("#c-{commit}"),
        }
    }

    fn name(&self, commit: &'r CommitId, at: Option<Instant>, sentence: &'r str) -> Citation<'r> {
        let mut named = self.named.borrow_mut();
        named.entry(commit).or_insert((at, sentence));
        Citation {
            href: self.href(commit),
            id: commit.short(),
        }
    }

    fn cite(&self, cited: &Cited<'r>) -> Citation<'r> {
        self.name(cited.commit, Some(cited.at), cited.sentence)
    }

    fn cite_problem(&self, problem: &'r Problem, commit: &'r CommitId) -> Citation<'r> {
        self.name(commit, None, &problem.message)
    }

    /// Every commit that was cited above, oldest first.
    fn commits(&self) -> Vec<Named<'r>> {
        let named = self.named.borrow();
        let mut all: Vec<_> = named.iter().collect();
        all.sort_by_key(|(id, (at, _))| (*at, **id));
        let one = |(id, (at, sentence)): (&&'r CommitId, &(Option<Instant>, &str))| Named {
            id,
            at: at.map(words::instant).unwrap_or_default(),
            sentence: visible(sentence),
        };
        all.into_iter().map(one).collect()
    }

    /// The command that lists all records of the period that `grep` finds.
    fn log(&self, grep: &str) -> String {
        format!(
            "git log {grep}--since {} --until {} {}",
            evidence::instant(self.report.from),
            evidence::instant(self.report.to),
            self.report.check.evidence.short()
        )
    }

    fn log_of_a_kind(&self) -> String {
        self.log("--grep '^Event: KIND$' ")
    }

    fn log_all(&self) -> String {
        self.log("")
    }

    fn population(&self) -> String {
        self.list("")
    }

    fn population_of(&self, resource: &str) -> String {
        self.list(&format!(
            " --resource '{}'",
            visible(resource).replace('\'', "'\\''")
        ))
    }

    fn list(&self, of: &str) -> String {
        format!(
            "hallpass audit population{of} --from {} --to {} --csv",
            evidence::instant(self.report.from),
            evidence::instant(self.report.to)
        )
    }

    fn again(&self) -> String {
        let report = self.report;
        let key = match report.check.keys {
            0 => "",
            _ => " --key evidence_key.pub",
        };
        format!(
            "hallpass audit report{key} --from {} --to {} --late {} --standing {} --evidence {} --html report.html",
            evidence::instant(report.from),
            evidence::instant(report.to),
            report.late_seconds,
            report.standing_after,
            report.check.evidence
        )
    }
}

/// What the templates ask about the check, exceptions and controls.
impl<'r> Page<'r> {
    /// The class of the banner, its sign, and what it says.
    fn verdict(&self) -> (&'static str, &'static str, String) {
        let problems = self.report.check.problems.len() as u64;
        match (problems, self.report.check.not_looked_at().len()) {
            (0, 0) => ("good", "✓", "Whole and right.".to_owned()),
            (0, _) => (
                "warn",
                "!",
                "Nothing wrong was found, but not everything was checked.".to_owned(),
            ),
            (n, _) => (
                "bad",
                "✗",
                format!("{} found.", words::counted(n, "problem")),
            ),
        }
    }

    fn checks(&self) -> Vec<CheckLine> {
        let check = self.report.check;
        let line = |(what, rules): (&'static str, &[Rule])| {
            let found = check.problems.iter().filter(|p| rules.contains(&p.rule));
            let found = found.count() as u64;
            let (class, result) = match (found, rules.iter().all(|r| check.looked_at(*r))) {
                (1.., _) => ("bad", format!("✗ {}", words::counted(found, "problem"))),
                (0, true) => ("good", "✓ yes".to_owned()),
                (0, false) => ("warn", "! not checked".to_owned()),
            };
            CheckLine {
                what,
                class,
                result,
            }
        };
        CHECKS.into_iter().map(line).collect()
    }

    /// The first problems of each rule.
    fn problems(&self) -> Vec<&'r Problem> {
        let mut told: BTreeMap<Rule, usize> = BTreeMap::new();
        let few = |problem: &&Problem| {
            let count = told.entry(problem.rule).or_default();
            *count += 1;
            *count <= PROBLEMS
        };
        self.report.check.problems.iter().filter(few).collect()
    }

    fn problems_left_out(&self) -> u64 {
        (self.report.check.problems.len() - self.problems().len()) as u64
    }

    fn looked_at(&self, rule: &Rule) -> bool {
        self.report.check.looked_at(*rule)
    }

    fn outcome(&self, control: &Shown<'_>) -> &'static str {
        match control.outcome {
            Outcome::Look => "bad",
            Outcome::NotAllChecked => "warn",
            Outcome::NoRecord => "none",
            Outcome::Shown => "good",
        }
    }

    /// The controls, by their standard.
    fn standards(&self) -> Vec<(&'static str, &'r [Shown<'r>])> {
        let chunks = self
            .report
            .controls
            .chunk_by(|a, b| a.standard == b.standard);
        chunks.map(|chunk| (chunk[0].standard, chunk)).collect()
    }
}
