//! Break-glass: what is enough beforehand, and whose word signs it afterwards.
//!
//! Invariant: without a single approval nobody breaks the glass for another. The author and everybody who pushed are the person
//! who receives the access, and GitHub says so.

use std::collections::BTreeSet;

use super::super::decision::Case;
use super::super::emergency::Emergency;
use super::super::model::{BlobId, GrantPath, Subject, UserId};
use super::super::pull::Pushers;
use super::bench::Bench;
use super::{
    Approval, Basis, Beneficiary, Counted, DeadEnd, Demand, Missing, Proof, Question, proof,
    reviews, weigh, weigh_before, words,
};

/// Proves that `content` may be given at `path` in an emergency to the person with the number `person`: as many owners as
/// `demand` says approved it, which may be none.
///
/// # Errors
/// What is missing.
pub fn prove_emergency(
    case: &Case<'_>,
    path: &GrantPath,
    content: &BlobId,
    demand: &Demand,
    person: Option<UserId>,
) -> Result<Proof, Box<Missing>> {
    let file = path.as_repo_path();
    let counted = if demand.needed > 0 {
        weigh(case, &file, Some(content), demand)?
    } else {
        let bench = Bench::of(case, &file, &demand.beneficiary);
        let question = Question {
            path: &file,
            owned: &file,
            content: Some(content),
            demand,
        };
        alone(case, &question, &bench, person)?
    };
    Ok(proof(case, path, content, Basis::Emergency, counted))
}

/// Nobody's approval is needed: the request is the person's own, and no owner objects. Approvals that count are noted all the
/// same.
fn alone(
    case: &Case<'_>,
    question: &Question<'_>,
    bench: &Bench<'_>,
    person: Option<UserId>,
) -> Result<Vec<Counted>, Box<Missing>> {
    let heard = reviews::hear(case, question, bench);
    let dead_end = by_another(case, person);
    if dead_end.is_none() && heard.blocks.is_empty() && heard.unknown.is_empty() {
        return Ok(heard.counted);
    }
    let mut reasons = words::blocks(&heard.blocks);
    reasons.extend(heard.discounted);
    Err(Box::new(Missing {
        needed: 0,
        have: 0,
        reasons,
        unknown: heard.unknown,
        owners: bench.owners().to_vec(),
        candidates: BTreeSet::new(),
        blocked_by: heard.blocks.into_iter().map(|b| b.login).collect(),
        dead_end,
    }))
}

/// Why the request is not the person's own; `None` where it is, and where GitHub did not tell yet who pushed.
fn by_another(case: &Case<'_>, person: Option<UserId>) -> Option<DeadEnd> {
    let pull = case.pull;
    let message = if pull.from_fork {
        "it comes from a fork, where GitHub does not tell who pushed".to_owned()
    } else if pull.author.is_none() || pull.author.as_ref().map(|a| a.id) != person {
        "somebody else opened this pull request".to_owned()
    } else {
        match &pull.pushers {
            Pushers::Known(ids) if person.is_some_and(|id| *ids == [id].into()) => return None,
            Pushers::Known(_) => "somebody else pushed to this pull request".to_owned(),
            Pushers::Unknown(_) => return None,
        }
    };
    Some(DeadEnd {
        rule: "emergency-for-another",
        message: format!(
            "without anybody's approval people break the glass for themselves alone, and {message}"
        ),
        help: "Let the person themself open a pull request, from a branch of this repository to which nobody else pushes; or remove `emergency` and ask the owners for a quick review.".to_owned(),
    })
}

/// The approval by which an owner of the grant signs the review of `emergency`: of `content`, the record that the pull request
/// brings, by somebody who neither received the access nor had a hand in the pull request.
///
/// # Errors
/// What is missing.
pub fn sign(
    case: &Case<'_>,
    emergency: &Emergency,
    content: &BlobId,
) -> Result<Approval, Box<Missing>> {
    let subject = Subject::Person(emergency.person.clone());
    let demand = &Demand {
        needed: 1,
        beneficiary: Beneficiary::by(case.base, &subject, Some(&emergency.access)),
        ..Demand::default()
    };
    let record = &emergency.record_path().as_repo_path();
    let grant = &emergency.path.as_repo_path();
    let question = Question {
        path: record,
        owned: grant,
        content: Some(content),
        demand,
    };
    let bench = Bench::of(case, grant, &demand.beneficiary);
    let counted = weigh_before(case, &question, &bench)?;
    let first = counted.into_iter().next();
    // Enough for one: there is one.
    first.map(|c| c.of(content)).ok_or_else(Box::default)
}
