//! The release of what the brake holds: which record says it, and whether two owners do.

use super::super::approval::{self, Missing};
use super::super::finding::{Finding, Place};
use super::super::model::ReleasePath;
use super::super::parse::Read;
use super::super::release::{Hold, OWNERS};
use super::scope::Scope;
use super::{Case, LettingGo, Request};

/// Records that name something else than what is held.
pub(super) fn findings(case: &Case<'_>, _: &[Request]) -> Vec<Finding> {
    let mut found = Vec::new();
    let is_release =
        |change: &super::super::catalogue::ChangedFile| ReleasePath::new(&change.path).is_ok();
    for (_, reading) in case.changes.readings(is_release) {
        let Some(Ok(Read::Release(path, release))) = reading else {
            continue;
        };
        let known = case.around.holds.iter().find(|h| h.record_path() == *path);
        let message = match known {
            None => "Hallpass holds nothing back that this could release",
            Some(hold) if hold.record() != *release => "it is not what Hallpass holds back",
            Some(_) => continue,
        };
        found.push(Finding::error(
            "release-record",
            path.as_str(),
            Place::START,
            message,
            "Leave access/releases/ to Hallpass, which opens the pull request of each release itself, and brings it up to date when more is held back.",
        ));
    }
    found
}

/// The release that the pull request is, if it is one: the record of one hold and nothing else, where Hallpass asks for it.
pub(super) fn letting_go(case: &Case<'_>, scope: &Scope<'_>) -> Option<LettingGo> {
    let [change] = scope.control[..] else {
        return None;
    };
    let alone = scope.grants.is_empty() && !scope.others;
    let path = ReleasePath::new(&change.path).ok().filter(|_| alone)?;
    let asked_here = |h: &&Hold| h.record_path() == path && h.is_asked_in(case.pull.number);
    let hold = case.around.holds.iter().find(asked_here)?;
    Some(LettingGo {
        hold: hold.clone(),
        released: match &change.after {
            Some(file) => approval::release(case, hold, &file.blob),
            None => Err(Box::new(removed())),
        },
    })
}

fn removed() -> Missing {
    Missing {
        needed: OWNERS,
        reasons: vec!["The pull request removes the record instead of bringing it.".to_owned()],
        ..Missing::default()
    }
}
