//! What the brake holds, for the owners who are to look at it.

use super::super::decision::{Case, LettingGo, Outcome, Verdict};
use super::super::model::Owner;
use super::super::release::{Hold, Inferred};
use super::markdown::{code, sentence};
use super::{count, request, utc};

/// How many removals are named; the evidence has all of them.
const NAMED: usize = 100;

/// Title and body of the pull request in which owners are asked to release what is held. Naming them here is what tells them.
pub fn release_proposal<'a>(
    hold: &Hold,
    owners: impl IntoIterator<Item = &'a Owner>,
) -> (String, String) {
    let title = format!("Release what is held back: {}", hold.what());
    let told = owners.into_iter().map(|o| sentence(&o.to_string()));
    let told: Vec<String> = told.collect();
    let owners = match told.as_slice() {
        [] => "The owners".to_owned(),
        names => names.join(", "),
    };
    let mut body = format!(
        "{owners}: **{}**, more at once than Hallpass believes, so **nothing of it is removed yet**. Please look whether that is meant. \
         If it is, approve this pull request: two owners of everything that is concerned let exactly these removals go, and no others. \
         If it is not, repair what went wrong, and this is over by itself. What ends by time ends all the same.\n\n",
        why(hold)
    );
    for pull in &hold.unsigned {
        body.push_str(&format!(
            "> #{pull} was merged without the approval of two owners, which lets nothing go.\n\n"
        ));
    }
    body.push_str(&facts(hold));
    (title, body)
}

fn why(hold: &Hold) -> String {
    let number = hold.members.len();
    let on = hold.whose.resource.as_ref();
    let on = on
        .map(|r| format!(" of {}", code(r.as_str())))
        .unwrap_or_default();
    match hold.whose.inferred {
        Inferred::Withdrawn => {
            let live = count(number, "live grant", "live grants");
            format!("{live}{on} lost their files, or these say something else without approval")
        }
        Inferred::Left => format!("{} with access are gone", count(number, "person", "people")),
        Inferred::Outside => {
            let accounts = count(number, "account", "accounts");
            format!(
                "{accounts} have access{on} that Hallpass did not give, and it is to be enforced"
            )
        }
    }
}

fn facts(hold: &Hold) -> String {
    let record = hold.record();
    let mut text = format!(
        "| | |\n|---|---|\n| **Held back since** | {} |\n| **Seen at** | {} |\n| **Which, as a digest** | {} |\n\n",
        utc(hold.since),
        code(record.base.as_str()),
        code(&record.digest)
    );
    for member in hold.members.iter().take(NAMED) {
        text.push_str(&format!("- {}\n", code(member)));
    }
    let more = hold.members.len().saturating_sub(NAMED);
    if more > 0 {
        text.push_str(&format!(
            "- and {more} more: the event `held` of the evidence names all of them\n"
        ));
    }
    text.push('\n');
    text
}

/// The title of the check of a release.
pub(super) fn title(case: &Case<'_>, verdict: &Verdict, of: &LettingGo) -> Option<String> {
    let what = of.hold.what();
    match (&verdict.outcome, &of.released) {
        (Outcome::Waiting, _) if case.pull.draft => None,
        (Outcome::Approved, Ok(approvals)) => {
            let who = approvals.iter().map(|a| format!("@{}", a.reviewer.login));
            Some(format!("{what}: released by {}", super::title::names(who)))
        }
        (Outcome::Waiting, Err(missing)) if missing.blocked_by.is_empty() => {
            let owners = missing.owners.iter().map(ToString::to_string);
            Some(format!(
                "{what} held back: waiting for {} ({} of {})",
                super::title::names(owners),
                missing.have,
                count(missing.needed as usize, "approval", "approvals")
            ))
        }
        _ => None,
    }
}

/// The page of a release.
pub(super) fn section(verdict: &Verdict, of: &LettingGo) -> String {
    let mut out = format!(
        "### Held back: {}\n\n**{}**, more at once than Hallpass believes. The approval of two owners lets exactly these removals go.\n\n",
        sentence(&of.hold.what()),
        why(&of.hold)
    );
    out.push_str(&facts(&of.hold));
    match &of.released {
        Ok(approvals) => {
            for one in approvals {
                out.push_str(&format!(
                    "- released by @{} for {} (CODEOWNERS line {}, review {})\n",
                    sentence(one.reviewer.login.as_str()),
                    sentence(&one.through.to_string()),
                    one.line,
                    one.review
                ));
            }
            out.push('\n');
        }
        Err(missing) => out.push_str(&request::missing_words(verdict, missing)),
    }
    out
}
