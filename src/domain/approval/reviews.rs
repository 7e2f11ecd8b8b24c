//! What each reviewer says now, and whether it counts.

use std::collections::BTreeMap;

use super::super::decision::Case;
use super::super::model::{Actor, ActorKind, CommitId, Login, UserId};
use super::super::pull::{Pull, PullState, Review, ReviewState};
use super::bench::{Barred, Bench, Member};
use super::{Counted, Question, RATIONALE_CHARACTERS};

/// All reviews of a pull request, heard for one path.
#[derive(Default)]
pub(super) struct Heard {
    /// Those that count, oldest first.
    pub(super) counted: Vec<Counted>,
    /// Owners who asked for changes and have not approved since.
    pub(super) blocks: Vec<Block>,
    /// A sentence for each review that does not count.
    pub(super) discounted: Vec<String>,
    /// A sentence for each thing that must be known first.
    pub(super) unknown: Vec<String>,
}

/// An owner's standing change request.
pub(super) struct Block {
    pub(super) login: Login,
    pub(super) review: u64,
    /// Whether GitHub still shows it as one.
    pub(super) state: ReviewState,
}

/// What one person said.
struct Voice<'a> {
    actor: &'a Actor,
    /// The latest review that is more than a comment.
    latest: &'a Review,
    /// A change request, or what could be one, without an approval after it.
    objection: Option<&'a Review>,
}

pub(super) fn hear(case: &Case<'_>, question: &Question<'_>, bench: &Bench<'_>) -> Heard {
    let mut heard = Heard::default();
    if let Some(why) = bench.pushers_unknown(case.pull)
        && !case.pull.from_fork
    {
        let sentence = format!("Who pushed to this pull request could not be established: {why}");
        heard.unknown.push(sentence);
    }
    let ghosts = case
        .pull
        .reviews
        .iter()
        .filter(|r| r.reviewer.is_none() && matches!(r.state, ReviewState::Approved));
    for review in ghosts {
        heard.discounted.push(format!(
            "Review {} does not count: the account that gave it no longer exists.",
            review.id
        ));
    }
    for voice in voices(case.pull) {
        match voice.objection {
            Some(review) if review.state == ReviewState::Unknown => {
                wonder(&voice, bench, &mut heard);
            }
            Some(review) => object(&voice, review, bench, &mut heard),
            None => match count(case, question, &voice, bench) {
                Ok(counted) => heard.counted.push(counted),
                Err(why) => heard.discounted.push(why),
            },
        }
    }
    heard
}

/// Whether the review approves what had been merged by then, as far as can be told: a merge without approval is not healed by a
/// later one, however late we look.
fn comes_after_merge(pull: &Pull, review: &Review) -> bool {
    let PullState::Merged { at, .. } = pull.state else {
        return false;
    };
    review.state == ReviewState::Approved && review.submitted_at.is_none_or(|given| given > at)
}

/// What everybody says now, in the order in which they last said something.
fn voices(pull: &Pull) -> Vec<Voice<'_>> {
    let mut by_person: BTreeMap<UserId, (usize, Voice<'_>)> = BTreeMap::new();
    let in_time = |review: &&Review| !comes_after_merge(pull, review);
    for (at, review) in pull.reviews.iter().filter(in_time).enumerate() {
        let Some(actor) = &review.reviewer else {
            continue;
        };
        if matches!(review.state, ReviewState::Commented | ReviewState::Pending) {
            continue;
        }
        let earlier = by_person.remove(&actor.id);
        let standing = earlier.and_then(|(_, voice)| voice.objection);
        let objection = match review.state {
            ReviewState::Approved => None,
            ReviewState::ChangesRequested | ReviewState::ObjectionDismissed => Some(review),
            ReviewState::Unknown => standing.or(Some(review)),
            _ => standing,
        };
        let voice = Voice {
            actor,
            latest: review,
            objection,
        };
        by_person.insert(actor.id, (at, voice));
    }
    let mut voices: Vec<_> = by_person.into_values().collect();
    voices.sort_by_key(|(at, _)| *at);
    voices.into_iter().map(|(_, voice)| voice).collect()
}

fn object(voice: &Voice<'_>, objection: &Review, bench: &Bench<'_>, heard: &mut Heard) {
    let login = &voice.actor.login;
    if bench.seats(voice.actor.id) {
        heard.blocks.push(Block {
            login: login.clone(),
            review: objection.id,
            state: objection.state,
        });
    } else if !may_be_owner(bench) {
        heard.discounted.push(format!(
            "@{login} asked for changes, but is not an owner of {} now, so that does not block it.",
            bench.thing()
        ));
    } else {
        heard.unknown.push(format!(
            "@{login} asked for changes, and whether @{login} is an owner of {} is not known.",
            bench.thing()
        ));
    }
}

/// A state that this version does not know could be a new kind of change request.
fn wonder(voice: &Voice<'_>, bench: &Bench<'_>, heard: &mut Heard) {
    let sentence = format!(
        "A review by @{} is of a kind that this version of Hallpass does not know, so it does not count.",
        voice.actor.login
    );
    if bench.seats(voice.actor.id) || may_be_owner(bench) {
        heard
            .unknown
            .push(format!("{sentence} Please review again."));
    } else {
        heard.discounted.push(sentence);
    }
}

/// Whether somebody who is not on the bench could be there, if only everything were known. That the review is said to be an
/// app's is no answer: the list that could not be read may say otherwise.
fn may_be_owner(bench: &Bench<'_>) -> bool {
    bench.has_doubts()
}

/// Whether the latest review of one person counts; if not, why.
fn count(
    case: &Case<'_>,
    question: &Question<'_>,
    voice: &Voice<'_>,
    bench: &Bench<'_>,
) -> Result<Counted, String> {
    let (login, review) = (&voice.actor.login, voice.latest);
    if review.state != ReviewState::Approved {
        return Err(format!(
            "The last review by @{login} was dismissed; an earlier one does not count instead."
        ));
    }
    let no = |why: String| format!("The approval by @{login} does not count: {why}.");
    let member = may_approve(case, question, voice.actor, bench).map_err(no)?;
    let commit = saw(case, question, review).map_err(no)?;
    timely(case, question, review).map_err(no)?;
    if question.demand.rationale && review.body.trim().chars().count() < RATIONALE_CHARACTERS {
        return Err(no(format!(
            "this role asks every approver to say why, in at least {RATIONALE_CHARACTERS} characters, so please review again with a text"
        )));
    }
    Ok(Counted {
        review: review.id,
        reviewer: voice.actor.clone(),
        commit: commit.clone(),
        at: review.submitted_at,
        through: member.through.clone(),
        // A member sits on the bench through a line.
        line: bench.ownership().line().unwrap_or_default(),
    })
}

/// Whether somebody is a current and independent owner; if not, why.
fn may_approve<'b, 'a>(
    case: &Case<'_>,
    question: &Question<'_>,
    actor: &Actor,
    bench: &'b Bench<'a>,
) -> Result<&'b Member<'a>, String> {
    let login = &actor.login;
    if actor.kind != ActorKind::User {
        return Err("only people can approve, not apps".to_owned());
    }
    let member = bench
        .member(actor.id)
        .ok_or_else(|| match may_be_owner(bench) {
            true => format!(
                "whether @{login} is an owner of {} is not known",
                bench.thing()
            ),
            false => format!("@{login} is not an owner of {} now", bench.thing()),
        })?;
    if let (Some(Barred::Policy | Barred::Season), Some(refusal)) =
        (member.barred, question.demand.refused.get(&actor.id))
    {
        return Err(refusal.why().to_owned());
    }
    if let Some(barred) = member.barred {
        return Err(format!("@{login} {}", because(barred)));
    }
    if bench.pushers_unknown(case.pull).is_some() {
        return Err(format!(
            "it is not known whether @{login} pushed to this pull request"
        ));
    }
    Ok(member)
}

/// The commit that was looked at, if it shows what stands at the path now; if not, why.
fn saw<'r>(
    case: &Case<'_>,
    question: &Question<'_>,
    review: &'r Review,
) -> Result<&'r CommitId, String> {
    let Some(commit) = &review.commit else {
        return Err(
            "GitHub no longer tells which commit was looked at, so please review again".to_owned(),
        );
    };
    let files = case.reviewed.get(commit);
    match files.and_then(|files| files.get(question.path)) {
        Some(seen) if seen.as_ref() == question.content => Ok(commit),
        Some(_) => Err(format!(
            "this file has changed since commit {} that was looked at, so please review again",
            commit.short()
        )),
        None => Err(format!(
            "commit {} that was looked at cannot be read any more, so please review again",
            commit.short()
        )),
    }
}

/// Whether the review was given for this branch and recently enough; if not, why.
fn timely(case: &Case<'_>, question: &Question<'_>, review: &Review) -> Result<(), String> {
    let given = review.submitted_at;
    if let Some(sight) = case.around.elsewhere
        && given.is_none_or(|given| given <= sight)
    {
        return Err(
            "it was given when the pull request aimed at another branch, so please review again"
                .to_owned(),
        );
    }
    let Some(limit) = question.demand.max_age else {
        return Ok(());
    };
    let Some(given) = given else {
        return Err("GitHub does not tell when it was given, so please review again".to_owned());
    };
    if case.judged_at() - given > limit.delta() {
        return Err(format!(
            "it was given at {}, and for this role an approval counts for {limit}, so please review again",
            given.format("%Y-%m-%d %H:%M:%S UTC")
        ));
    }
    Ok(())
}

/// Why somebody must stand aside, after their name.
pub(super) fn because(barred: Barred) -> &'static str {
    match barred {
        Barred::Author => "opened this pull request",
        Barred::Pusher => "pushed to this pull request",
        Barred::Beneficiary => "receives the access, or is accountable for the service that does",
        Barred::Policy => "may not approve it, by a policy of the organisation",
        Barred::Season => "may not approve it yet, by a policy of the organisation",
    }
}
