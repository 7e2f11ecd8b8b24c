//! Break-glass: on what terms, by whom, and what must be reviewed first.
//!
//! What a file alone can have wrong is said by [`super::super::rules`]; what is enough beforehand by
//! [`super::super::approval::prove_emergency`]. Here is what only the ledger knows: an emergency that nobody has signed yet stands
//! in the way of the next one of the same person, and a record says what was given or is refused.

use super::super::approval::{self, Missing};
use super::super::catalogue::ChangedFile;
use super::super::emergency::Emergency;
use super::super::finding::{Finding, Place};
use super::super::model::{Login, RecordPath, Subject};
use super::super::parse::Read;
use super::scope::Scope;
use super::{Case, Request, SignOff};

/// What is wrong with `requests`, and with the records that the pull request brings.
pub(super) fn findings(case: &Case<'_>, requests: &[Request]) -> Vec<Finding> {
    let mut found: Vec<Finding> = requests.iter().filter_map(|r| again(case, r)).collect();
    found.extend(records(case));
    found
}

/// A second emergency before the first is signed.
fn again(case: &Case<'_>, request: &Request) -> Option<Finding> {
    let grant = request.grant.as_ref().filter(|g| g.emergency)?;
    let Subject::Person(person) = &grant.subject else {
        return None;
    };
    let earlier =
        case.around.emergencies.iter().find(|e| {
            e.review.signed.is_none() && e.pull != case.pull.number && is(case, e, person)
        })?;
    let asked = match &earlier.review.asked {
        Some(asked) => format!("it waits for a signature in #{}", asked.pull),
        None => "the pull request for that is about to be opened".to_owned(),
    };
    Some(Finding::error(
        "emergency-unreviewed",
        request.path.as_str(),
        Place::START,
        format!(
            "{person} broke the glass with {} (#{}), and no owner has reviewed that yet: {asked}",
            earlier.grant, earlier.pull
        ),
        "Ask an owner to review it first. Without `emergency` the request can be approved at once.",
    ))
}

/// Whether `person` is who broke the glass, under whatever login.
fn is(case: &Case<'_>, emergency: &Emergency, person: &Login) -> bool {
    let number = case.base.people.get(person).map(|p| p.github_id);
    emergency.person == *person || number.is_some() && emergency.access.account.github_id == number
}

/// Records that say something else than the ledger.
fn records(case: &Case<'_>) -> Vec<Finding> {
    let mut found = Vec::new();
    let is_record = |change: &ChangedFile| RecordPath::new(&change.path).is_ok();
    for (_, reading) in case.changes.readings(is_record) {
        let Some(Ok(Read::Emergency(path, record))) = reading else {
            continue;
        };
        let known = case.around.emergencies.iter();
        let message = match known.into_iter().find(|e| e.record_path() == *path) {
            None => "Hallpass knows no emergency that this could be the record of".to_owned(),
            Some(emergency) => match record.differences(&emergency.record())[..] {
                [] => continue,
                ref fields => format!(
                    "it is not what Hallpass knows: `{}` differs",
                    fields.join("`, `")
                ),
            },
        };
        found.push(Finding::error(
            "emergency-record",
            path.as_str(),
            Place::START,
            message,
            "Leave access/emergencies/ to Hallpass, which opens the pull request of each review itself.",
        ));
    }
    found
}

/// The sign-off that the pull request is, if it is one: the record of one emergency and nothing else, where Hallpass asks for it.
pub(super) fn sign_off(case: &Case<'_>, scope: &Scope<'_>) -> Option<SignOff> {
    let [change] = scope.control[..] else {
        return None;
    };
    let alone = scope.grants.is_empty() && !scope.others;
    let path = RecordPath::new(&change.path).ok().filter(|_| alone)?;
    let asked_here = |e: &&Emergency| e.record_path() == path && e.is_asked_in(case.pull.number);
    let emergency = case.around.emergencies.iter().find(asked_here)?;
    Some(SignOff {
        emergency: emergency.clone(),
        signed: signed(case, emergency, change),
    })
}

fn signed(
    case: &Case<'_>,
    emergency: &Emergency,
    change: &ChangedFile,
) -> Result<approval::Approval, Box<Missing>> {
    match &change.after {
        Some(file) => approval::sign(case, emergency, &file.blob),
        None => Err(Box::new(Missing {
            needed: 1,
            reasons: vec!["The pull request removes the record instead of bringing it.".to_owned()],
            ..Missing::default()
        })),
    }
}
