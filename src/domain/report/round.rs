//! An access review, for the owners who are to answer it.

use super::super::approval::Missing;
use super::super::decision::{Answered, Case, Outcome, Verdict};
use super::super::model::Owner;
use super::super::round::{Answer, Line, Sheet};
use super::markdown::{cell, code, sentence};
use super::{CheckStatus, request, utc};

/// Title and body of the pull request in which owners are asked. Naming them here is what tells them.
pub fn review_sheet_proposal<'a>(
    sheet: &Sheet,
    owners: impl IntoIterator<Item = &'a Owner>,
) -> (String, String) {
    let title = format!("{}: {}", sheet.title(), sheet.what());
    let told = owners.into_iter().map(|o| sentence(&o.to_string()));
    let told: Vec<String> = told.collect();
    let owners = match told.as_slice() {
        [] => "Nobody owns these grants. Whoever decides about CODEOWNERS".to_owned(),
        names => names.join(", "),
    };
    let mut body = format!(
        "{owners}: is the access below **still needed**? It lasts long, so it is reviewed once in a while.\n\n\
         1. What is still needed stays as it is.\n\
         2. What is not: edit {} in this pull request, and change its {} to {}, or delete its line.\n\
         3. Then approve. **Your approval is the signature**: Hallpass merges it, ends what you ended, and keeps what you kept until its own end. Whoever edited may approve too; nobody answers for access of their own.\n\n\
         Please answer until **{}**. {}\n\n",
        code(sheet.record_path().as_str()),
        code("keep"),
        code("end"),
        by(sheet),
        unanswered(sheet)
    );
    for pull in &sheet.unsigned {
        body.push_str(&format!(
            "> #{pull} was merged without an owner's approval, which answers nothing.\n\n"
        ));
    }
    body.push_str(&table(sheet, |_| "keep"));
    (title, body)
}

fn by(sheet: &Sheet) -> String {
    sheet.answer_by.map(utc).unwrap_or_default()
}

fn unanswered(sheet: &Sheet) -> &'static str {
    match sheet.unanswered {
        Answer::Keep => {
            "What nobody answers until then is kept, and stands among the exceptions until somebody does."
        }
        Answer::End => "What nobody answers until then **ends**.",
    }
}

/// Every line: who, what, since when, until when, why.
fn table(sheet: &Sheet, answer: impl Fn(&Line) -> &'static str) -> String {
    let mut text = String::from(
        "| answer | who | what | since | until | account last used | grant |\n|---|---|---|---|---|---|---|\n",
    );
    for line in &sheet.lines {
        let used = line
            .account_last_used
            .map(|at| at.format("%Y-%m-%d").to_string());
        let used = used.unwrap_or_else(|| "not known".to_owned());
        text.push_str(&format!(
            "| **{}** | {} | {} | {} | {} | {} | {} |\n",
            answer(line),
            cell(&line.who()),
            cell(&line.role.to_string()),
            line.since.format("%Y-%m-%d"),
            line.ends.format("%Y-%m-%d"),
            used,
            cell(line.grant.as_str())
        ));
    }
    text.push_str("\nWhy it was asked for stands in the file of each grant. *Account last used* is when the account in that system was used at all, as the system told when the review began: by whatever the account may do there, not by this role.\n\n");
    text
}

/// The title of the check of answers.
pub(super) fn title(case: &Case<'_>, verdict: &Verdict, of: &Answered) -> Option<String> {
    let review = of.sheet.title();
    match (&verdict.outcome, &of.signed) {
        (Outcome::Approved, Ok(signed)) => {
            let approvals = signed.approvals.iter();
            let who = approvals.map(|a| format!("@{}", a.reviewer.login));
            let who = super::title::names(who);
            Some(format!("{review}: {}, signed by {who}", of.what_becomes()))
        }
        (Outcome::Waiting | Outcome::Uncertain(_), _) if of.sheet.lapsed.is_some() => {
            Some(format!(
                "Overdue: the {} was to be answered until {}",
                lower(&review),
                by(&of.sheet)
            ))
        }
        (Outcome::Waiting, _) if case.pull.draft => None,
        (Outcome::Waiting, Err(missing)) if missing.iter().all(|m| m.blocked_by.is_empty()) => {
            let mut owners: Vec<String> = owners(missing);
            owners.sort();
            owners.dedup();
            let owners = super::title::names(owners.into_iter());
            Some(format!(
                "{review}: waiting for {owners} to answer until {}",
                by(&of.sheet)
            ))
        }
        _ => None,
    }
}

fn lower(title: &str) -> String {
    title.replacen("Access", "access", 1)
}

fn owners(missing: &[Missing]) -> Vec<String> {
    let owners = missing.iter().flat_map(|m| &m.owners);
    owners.map(ToString::to_string).collect()
}

/// Where the check of answers stands: red once nobody answered in time, until somebody does.
pub(super) fn status(verdict: &Verdict) -> Option<CheckStatus> {
    let of = verdict.answered.as_ref()?;
    let late = of.sheet.lapsed.is_some() && verdict.outcome != Outcome::Approved;
    late.then_some(CheckStatus::Failure)
}

/// The page of answers.
pub(super) fn section(verdict: &Verdict, of: &Answered) -> String {
    let sheet = &of.sheet;
    let mut out = format!(
        "### {}\n\nTo be answered until **{}**. {}\n\n",
        sheet.title(),
        by(sheet),
        unanswered(sheet)
    );
    if !of.answers.is_empty() {
        let ended = of.answers.values().any(|a| *a == Answer::End);
        if ended {
            out.push_str("**With the merge, everything marked `end` below is taken away.**\n\n");
        }
        let said = |line: &Line| of.answers.get(&line.grant).map_or("", |a| a.as_str());
        out.push_str(&table(sheet, said));
    }
    out.push_str(&signatures(verdict, of));
    out
}

/// Who signed, or what is missing.
fn signatures(verdict: &Verdict, of: &Answered) -> String {
    let mut out = String::new();
    match &of.signed {
        Ok(signed) => {
            for one in &signed.approvals {
                out.push_str(&format!(
                    "- signed by @{} for {} (CODEOWNERS line {}, review {})\n",
                    sentence(one.reviewer.login.as_str()),
                    sentence(&one.through.to_string()),
                    one.line,
                    one.review
                ));
            }
            for grant in &signed.nobodys {
                out.push_str(&format!(
                    "- nobody can sign for {}: whoever owns it has it. It is asked for again, for other owners to sign\n",
                    code(grant.as_str())
                ));
            }
            out.push('\n');
        }
        Err(missing) => {
            for one in missing {
                out.push_str(&request::missing_words(verdict, one));
            }
        }
    }
    out
}
