//! The whole page: the way out first, then what is asked for, then the other files.

use super::super::approval::Basis;
use super::super::decision::{Case, Change, Control, Outcome, Request, Standing, Verdict};
use super::super::finding::{Finding, Severity};
use super::super::rules;
use super::markdown::{code, fence, sentence};
use super::{bundle, context, count, emergency, impact, release, request, round};

/// How many findings are written out; annotations carry more.
const FINDINGS: usize = 20;
/// How many rows the overview has.
const ROWS: usize = 60;
/// About how long the page may become, in bytes: GitHub takes 65,535 characters.
const PAGE: usize = 48_000;

pub(super) fn summary(case: &Case<'_>, verdict: &Verdict) -> String {
    let mut page = String::new();
    for note in &verdict.notes {
        page.push_str(&format!("> {}\n\n", sentence(note)));
    }
    if verdict.outcome == Outcome::NotConcerned {
        page.push_str("This pull request changes nothing that decides about access.\n");
        return page;
    }
    if verdict.outcome == Outcome::Waiting {
        page.push_str(&context::who_completes(verdict));
    }
    page.push_str(&findings(verdict, Severity::Error));
    if let Outcome::Uncertain(what) = &verdict.outcome {
        page.push_str("### Not known yet\n\nNothing is granted as long as this cannot be looked up. It is tried again by itself.\n\n");
        page.push_str(&fence("text", &what.join("\n")));
        page.push('\n');
    }
    if let Some(of) = &verdict.sign_off {
        page.push_str(&emergency::review_section(case, verdict, of));
    }
    if let Some(of) = &verdict.release {
        page.push_str(&release::section(verdict, of));
    }
    if let Some(of) = &verdict.answered {
        page.push_str(&round::section(verdict, of));
    }
    let files: Vec<&[Request]> = bundle::by_file(&verdict.requests).collect();
    if files.len() > 1 {
        page.push_str(&overview(case, &files));
    }
    let asked = files
        .iter()
        .filter(|of| files.len() == 1 || of.iter().any(|r| r.change != Change::Tidy));
    let mut left_out = 0;
    for file in asked {
        let section = match file {
            [one] if one.bundle.is_none() => request::section(case, verdict, one),
            parts => bundle::section(case, verdict, parts),
        };
        if page.len() + section.len() > PAGE {
            left_out += 1;
        } else {
            page.push_str(&section);
        }
    }
    if left_out > 0 {
        let files = count(left_out, "more request is", "more requests are");
        page.push_str(&format!("**{files} not shown here, because the page would become too long. Read the files before you approve.**\n\n"));
    }
    page.push_str(&control(&verdict.control));
    if let Some(told) = &verdict.impact {
        page.push_str(&impact::section(told));
        let replay = case.around.replay.as_ref();
        page.push_str(&replay.map(impact::replayed).unwrap_or_default());
    }
    page.push_str(&findings(verdict, Severity::Warning));
    page
}

pub(super) fn findings(verdict: &Verdict, severity: Severity) -> String {
    let of_it: Vec<&Finding> = verdict
        .findings
        .iter()
        .filter(|f| f.severity == severity)
        .collect();
    if of_it.is_empty() {
        return String::new();
    }
    let mut out = match severity {
        Severity::Error => "### How to get it through\n\nNothing is granted before this is settled. Repairs go to the branch of this pull request; the check then looks again by itself.\n\n".to_owned(),
        Severity::Warning => "### Worth knowing\n\n".to_owned(),
    };
    for finding in of_it.iter().take(FINDINGS) {
        let Finding {
            path,
            line,
            column,
            rule,
            message,
            help,
            ..
        } = finding;
        out.push_str(&format!("**[{rule}]({})**\n", rules::url(rule)));
        out.push_str(&fence(
            "text",
            &format!("{message}\nin {path}, line {line}, column {column}\n\n{help}"),
        ));
        out.push('\n');
    }
    if of_it.len() > FINDINGS {
        let left = count(of_it.len() - FINDINGS, "more is", "more are");
        out.push_str(&format!("{left} noted beside the lines of the files.\n\n"));
    }
    out
}

/// One row a file.
fn overview(case: &Case<'_>, files: &[&[Request]]) -> String {
    let mut out = String::from(
        "| file | who | what | how long | risk | approvals |\n|---|---|---|---|---|---|\n",
    );
    for file in files.iter().take(ROWS) {
        out.push_str(&match file {
            [one] if one.bundle.is_none() => request::row(case, one),
            parts => bundle::row(case, parts),
        });
    }
    if files.len() > ROWS {
        let left = count(files.len() - ROWS, "more file", "more files");
        out.push_str(&format!("\n... and {left}.\n"));
    }
    out.push('\n');
    out
}

fn control(files: &[Control]) -> String {
    if files.is_empty() {
        return String::new();
    }
    let mut out = String::from(
        "### Files that decide about access\n\nThey take effect when they are merged. Each needs the approval of one of its owners, by the CODEOWNERS of today.\n\n",
    );
    for file in files.iter().take(ROWS) {
        let path = code(&file.path);
        match &file.missing {
            None => out.push_str(&format!("- {path}: approved\n")),
            Some(missing) => {
                out.push_str(&format!("- {path}: not approved yet\n"));
                for reason in &missing.reasons {
                    out.push_str(&format!("  - {}\n", sentence(reason)));
                }
            }
        }
    }
    if files.len() > ROWS {
        out.push_str(&format!(
            "\n... and {}.\n",
            count(files.len() - ROWS, "more file", "more files")
        ));
    }
    out.push('\n');
    out
}

/// How many approvals one request has, of how many.
pub(super) fn approvals(case: &Case<'_>, one: &Request) -> String {
    match &one.approval {
        Standing::NotNeeded(_) => "none needed".to_owned(),
        Standing::Missing(missing) if missing.needed == 0 => "none needed beforehand".to_owned(),
        Standing::Missing(missing) => format!("{} of {}", missing.have, missing.needed),
        Standing::Approved(proof) if matches!(proof.basis(), Basis::Policy { .. }) => {
            "by policy".to_owned()
        }
        Standing::Approved(proof) => {
            let role = one.role.as_ref();
            let role = role.and_then(|role| case.base.role(&role.resource, &role.role));
            let usual = role.map_or(1, |(_, role)| role.approvals.max(1));
            match emergency::approvals_needed(case, one) {
                Some(0) => "none needed beforehand".to_owned(),
                needed => format!("{} of {}", proof.approvals().len(), needed.unwrap_or(usual)),
            }
        }
    }
}
