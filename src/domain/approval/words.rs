//! What is missing, said so that the requester knows what to do next.

use super::super::codeowners::Ownership;
use super::super::decision::Case;
use super::super::model::{Owner, UserId};
use super::super::pull::ReviewState;
use super::bench::{Barred, Bench, Member};
use super::reviews::{Block, because};
use super::{DeadEnd, Question};

/// How many names a sentence lists before it counts the rest.
const NAMES: usize = 6;

pub(super) fn blocks(blocks: &[Block]) -> Vec<String> {
    let sentence = |b: &Block| {
        let dismissed = match b.state {
            ReviewState::ObjectionDismissed => ", and dismissing that does not take it back",
            _ => "",
        };
        format!(
            "@{0} asked for changes (review {1}){dismissed}; nothing is granted until @{0} reviews again.",
            b.login, b.review
        )
    };
    blocks.iter().map(sentence).collect()
}

/// Who can give the approvals that are missing.
pub(super) fn still_needed(count: u32, bench: &Bench<'_>, taken: &[UserId]) -> String {
    let free = bench.free(taken);
    let names: Vec<String> = free.map(|m| format!("@{}", m.actor.login)).collect();
    let more = if taken.is_empty() { "" } else { " more" };
    let many = if count == 1 {
        format!("One{more} approval is needed")
    } else {
        format!("{count}{more} approvals are needed, by different people")
    };
    let owners = list(
        bench.owners().iter().map(ToString::to_string).collect(),
        "or",
    );
    let same = matches!(bench.owners(), [Owner::User(_)]);
    if names.is_empty() || same {
        format!("{many}, from {owners}.")
    } else {
        let it = if count == 1 { "it" } else { "one" };
        format!(
            "{many}, from {owners}: {} can give {it}.",
            list(names, "or")
        )
    }
}

/// Who of them can give one once time has passed, where nobody else can: a sentence each. Whose approval is there already has its own.
pub(super) fn not_yet(
    case: &Case<'_>,
    question: &Question<'_>,
    bench: &Bench<'_>,
    (count, taken): (u32, &[UserId]),
) -> Vec<String> {
    let enough = usize::try_from(count).unwrap_or(usize::MAX);
    if free(bench, taken) >= enough {
        return Vec::new();
    }
    let spoke = |id: UserId| {
        let mut reviews = case.pull.reviews.iter();
        reviews.any(|r| {
            r.state == ReviewState::Approved && r.reviewer.as_ref().is_some_and(|a| a.id == id)
        })
    };
    let early = bench.members().filter(|m| m.barred == Some(Barred::Season));
    let sentence = |member: &Member<'_>| {
        let why = question.demand.refused.get(&member.actor.id)?.why();
        Some(format!(
            "@{} cannot give it yet: {why}.",
            member.actor.login
        ))
    };
    let silent = early.filter(|m| !spoke(m.actor.id));
    silent.filter_map(sentence).take(NAMES).collect()
}

fn free(bench: &Bench<'_>, taken: &[UserId]) -> usize {
    bench.free(taken).count()
}

/// Why nobody could ever approve, if that is so. Asked only when everything could be looked up.
pub(super) fn dead_end(
    case: &Case<'_>,
    question: &Question<'_>,
    bench: &Bench<'_>,
) -> Option<DeadEnd> {
    let (line, owners) = match bench.ownership() {
        Ownership::Owned { line, owners, .. } => (*line, *owners),
        Ownership::Cleared { line, pattern } => return Some(cleared(case, *line, pattern)),
        Ownership::Unowned => return Some(unowned(case, question)),
    };
    if bench.pushers_unknown(case.pull).is_some() {
        return Some(fork());
    }
    let free = free(bench, &[]);
    let needed = usize::try_from(question.demand.needed.max(1)).unwrap_or(usize::MAX);
    // Who only lacks time is waited for.
    let later = bench.members().filter(|m| m.barred == Some(Barred::Season));
    (free + later.count() < needed).then(|| nobody(case, bench, line, owners, (free, needed)))
}

fn file(case: &Case<'_>) -> &'static str {
    case.base.codeowners.path.unwrap_or(".github/CODEOWNERS")
}

fn unowned(case: &Case<'_>, question: &Question<'_>) -> DeadEnd {
    let branch = case.protected_branch;
    let path = question.owned.as_str();
    let (message, help) = match case.base.codeowners.path {
        None => (
            format!("there is no CODEOWNERS file on `{branch}`, so nobody can approve `{path}`"),
            "An administrator of the repository has to add `.github/CODEOWNERS` to it first, and to merge that by hand.".to_owned(),
        ),
        Some(file) => {
            // A file at the root is owned by its name: a line for its folder would own everything.
            let pattern = path
                .rsplit_once('/')
                .map_or_else(|| format!("/{path}"), |(folder, _)| format!("/{folder}/"));
            (
                format!("no line of `{file}` on `{branch}` matches `{path}`, so nobody owns it and nobody can approve it"),
                format!("An administrator of the repository has to add a line such as `{pattern} @organisation/team` to `{file}` first."),
            )
        }
    };
    DeadEnd {
        rule: "owner-missing",
        message,
        help,
    }
}

fn cleared(case: &Case<'_>, line: u32, pattern: &str) -> DeadEnd {
    let (file, branch) = (file(case), case.protected_branch);
    DeadEnd {
        rule: "owner-missing",
        message: format!(
            "line {line} of `{file}` on `{branch}` (`{pattern}`) is the last that matches and names no owner, so nobody can approve this"
        ),
        help: format!(
            "An administrator of the repository has to name an owner on line {line} first."
        ),
    }
}

fn fork() -> DeadEnd {
    DeadEnd {
        rule: "pushers-unknown",
        message: "the pull request comes from a fork, and GitHub does not tell who pushed there; whoever pushed cannot approve".to_owned(),
        help: "Push the branch to this repository instead of a fork, and open the pull request from there.".to_owned(),
    }
}

fn nobody(
    case: &Case<'_>,
    bench: &Bench<'_>,
    line: u32,
    owners: &[Owner],
    (free, needed): (usize, usize),
) -> DeadEnd {
    let file = file(case);
    let named = list(owners.iter().map(ToString::to_string).collect(), "and");
    let can = match (free, needed) {
        (0, _) => "nobody of them can approve this".to_owned(),
        (1, _) => format!("it needs {needed} approvals and only one of them can give any"),
        _ => format!("it needs {needed} approvals and only {free} of them can give any"),
    };
    let why = reasons(bench);
    let team = owners
        .iter()
        .find(|o| matches!(o, Owner::Team { .. }))
        .map_or(String::new(), |team| {
            format!("add another person to {team}, or ")
        });
    DeadEnd {
        rule: "no-eligible-approver",
        message: format!(
            "the owners{} on line {line} of `{file}` are {named}, but {can}{why}",
            bench
                .part()
                .map_or(String::new(), |part| format!(" of {part}"))
        ),
        help: format!(
            "Ask an administrator to {team}add another owner to that line; or let somebody who is not an owner open the pull request. The check looks again by itself."
        ),
    }
}

/// Why nobody, or not enough people, can approve; empty, or beginning with a colon.
fn reasons(bench: &Bench<'_>) -> String {
    let barred = bench.members().filter_map(|m| Some((m.actor, m.barred?)));
    let mut why: Vec<String> = barred
        .map(|(actor, barred)| format!("@{} {}", actor.login, because(barred)))
        .take(NAMES)
        .collect();
    let absent = bench.absent().iter().map(|s| s.trim_end_matches('.'));
    why.extend(absent.map(|s| s.replacen("The owner", "the owner", 1)));
    if why.is_empty() {
        String::new()
    } else {
        format!(": {}", why.join("; "))
    }
}

/// `a`, `a or b`, `a, b or c`, `a, b, c, d, e, f or 4 others`.
pub(in super::super) fn list(mut names: Vec<String>, word: &str) -> String {
    if names.len() > NAMES + 1 {
        let others = names.len() - NAMES;
        names.truncate(NAMES);
        names.push(format!("{others} others"));
    }
    match names.pop() {
        None => "nobody".to_owned(),
        Some(only) if names.is_empty() => only,
        Some(last) => format!("{} {word} {last}", names.join(", ")),
    }
}
