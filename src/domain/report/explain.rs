//! The answers to what people ask by comments: `/hallpass explain` and `/hallpass return`.

use super::super::decision::{Case, Outcome, Request, Standing, Verdict};
use super::super::finding::Severity;
use super::super::ledger::{Entry, State};
use super::super::remark::Ask;
use super::markdown::{code, sentence};
use super::{Pages, bundle, context, request, summary, utc};

/// How many files of a pull request are gone through.
const FILES: usize = 20;

/// What the pull request is by now.
#[derive(Debug, Clone, Copy)]
pub enum Answer<'a> {
    /// Open, and judged.
    Open {
        /// What it was judged by.
        case: &'a Case<'a>,
        /// How.
        verdict: &'a Verdict,
        /// The title of its check.
        title: &'a str,
    },
    /// Closed or merged.
    Past {
        /// What it brought and is not over.
        live: &'a [Entry],
    },
}

/// The comment that answers.
pub fn answer(ask: Ask, on: Answer<'_>, pages: &Pages) -> String {
    match (ask, on) {
        (Ask::Unknown, _) => "Here I answer `/hallpass explain` and `/hallpass return`. A comment approves nothing and ends nothing: \
             reviews approve, and removing a file ends what it gives.\n"
            .to_owned(),
        (
            Ask::Explain,
            Answer::Open {
                case,
                verdict,
                title,
            },
        ) => explain(case, verdict, title),
        (Ask::Explain, Answer::Past { live }) => past(live),
        (Ask::Return, Answer::Open { .. }) => {
            "This pull request has given nothing yet. **To take the request back, close it.** To give back something else, comment on the \
             pull request that gave it, or use `hallpass return`.\n"
                .to_owned()
        }
        (Ask::Return, Answer::Past { live }) => give_back(live, pages),
    }
}

fn explain(case: &Case<'_>, verdict: &Verdict, title: &str) -> String {
    let mut out = format!("**{}**\n\n", sentence(title));
    for note in &verdict.notes {
        out.push_str(&format!("> {}\n\n", sentence(note)));
    }
    out.push_str(&summary::findings(verdict, Severity::Error));
    if let Outcome::Uncertain(what) = &verdict.outcome {
        out.push_str("**Could not be looked up**\n");
        for one in what.iter().take(FILES) {
            out.push_str(&format!("- {}\n", sentence(one)));
        }
        out.push('\n');
    }
    out.push_str(&context::who_completes(verdict));
    let files: Vec<&[Request]> = bundle::by_file(&verdict.requests).collect();
    for file in files.iter().take(FILES) {
        for one in *file {
            out.push_str(&standing(verdict, one));
        }
    }
    if files.len() > FILES {
        out.push_str("The check has the other files.\n\n");
    }
    for file in verdict.control.iter().take(FILES) {
        if let Some(missing) = &file.missing {
            out.push_str(&format!("{}\n\n", code(&file.path)));
            out.push_str(&request::missing_words(verdict, missing));
        }
    }
    out.push_str(&format!(
        "**What happens next**\n{}\n\n",
        next(case, verdict)
    ));
    out.push_str("This is how it stands now; the check keeps up with what changes. Comments decide nothing.\n");
    out
}

/// Who approves one request, and what of that is missing.
fn standing(verdict: &Verdict, one: &Request) -> String {
    let name = match &one.role {
        Some(role) => format!("{}: {}", code(one.path.short()), code(&role.to_string())),
        None => code(one.path.short()),
    };
    let words = match &one.approval {
        Standing::NotNeeded(why) => format!("{}\n\n", sentence(why)),
        Standing::Approved(proof) => {
            let lines: String = request::approved_lines(proof).collect();
            match lines.is_empty() {
                true => "Nobody's approval is needed beforehand.\n\n".to_owned(),
                false => format!("Approved by\n{lines}\n"),
            }
        }
        Standing::Missing(missing) => {
            let owners: Vec<String> = missing.owners.iter().map(ToString::to_string).collect();
            let owners = match owners.is_empty() {
                true => String::new(),
                false => format!(
                    "Its owners by CODEOWNERS: {}. Approvals: {} of {}.\n",
                    sentence(&owners.join(", ")),
                    missing.have,
                    missing.needed
                ),
            };
            format!("{owners}\n{}", request::missing_words(verdict, missing))
        }
    };
    format!("{name}\n\n{words}")
}

fn next(case: &Case<'_>, verdict: &Verdict) -> &'static str {
    match &verdict.outcome {
        Outcome::NotConcerned => "Nothing, as far as Hallpass is concerned.",
        Outcome::Denied => {
            "Nothing is granted as it is. Push the repair to this branch: the check looks again by itself."
        }
        Outcome::Uncertain(_) => "It is looked up again by itself. Nothing is granted before.",
        _ if case.pull.draft => "It is a draft: mark it as ready for review.",
        Outcome::Waiting => {
            "Owners approve by a review of this pull request. When there are enough, it can be merged, and what it asks for is given \
             within seconds of that; it ends by itself."
        }
        Outcome::Approved => {
            "It can be merged. What it asks for is given within seconds of that; it ends by itself."
        }
    }
}

fn past(live: &[Entry]) -> String {
    if live.is_empty() {
        return "Nothing that this pull request brought is held or waited for: it is over, was never given, or the pull request was closed. \
                The evidence has the story: `hallpass audit history`.\n"
            .to_owned();
    }
    let mut out = String::from("**What this pull request brought**\n");
    for entry in live.iter().take(FILES) {
        let Some((subject, role)) = entry.subject_and_role() else {
            out.push_str(&format!(
                "- {}: was merged, and its approval is being weighed\n",
                code(entry.path.short())
            ));
            continue;
        };
        let ends = entry.terms.as_ref().map(|t| utc(t.ends));
        out.push_str(&format!(
            "- {} of {}: {}\n",
            code(&role.to_string()),
            code(&subject.to_string()),
            where_it_stands(entry.state, ends.as_deref().unwrap_or("its end"))
        ));
    }
    if live.len() > FILES {
        out.push_str("- and more\n");
    }
    out
}

fn where_it_stands(state: State, ends: &str) -> String {
    match state {
        State::Arrived => "its approval is being weighed".to_owned(),
        State::Scheduled => format!("begins later, and ends at **{ends}**"),
        State::Granting => "is being given".to_owned(),
        State::Active => format!("held until **{ends}**"),
        State::Revoking => "is being taken away".to_owned(),
        State::Denied | State::Ended => "is over".to_owned(),
    }
}

fn give_back(live: &[Entry], pages: &Pages) -> String {
    let mut files: Vec<_> = live.iter().map(|entry| &entry.path).collect();
    files.sort();
    files.dedup();
    if files.is_empty() {
        return "Nothing that this pull request brought is held any more: there is nothing to give back.\n".to_owned();
    }
    let mut out = String::from(
        "A comment ends nothing; removing the file does. Whoever holds the access, or owns it, asks for that alone, and nobody has to \
         approve it:\n",
    );
    for path in files.into_iter().take(FILES) {
        let name = path.short();
        out.push_str(&format!(
            "- {} in a clone, or [delete {}]({}) in the browser and propose that as a pull request\n",
            code(&format!("hallpass return {name}")),
            code(name),
            pages.delete(path),
        ));
    }
    out.push_str("\nThe access ends within seconds of the merge.\n");
    out
}
