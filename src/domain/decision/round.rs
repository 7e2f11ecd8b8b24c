//! Answers to an access review: which sheet they are to, what they say, and whether owners signed them.

use std::collections::BTreeMap;

use super::super::approval::{self, Missing, Signatures};
use super::super::catalogue::ChangedFile;
use super::super::finding::{Finding, Place};
use super::super::model::{GrantId, SheetPath};
use super::super::parse::Read;
use super::super::round::{Answer, Answers, Sheet};
use super::scope::Scope;
use super::{Case, Request};

/// The answers of owners to one sheet of an access review.
#[derive(Debug, Clone)]
pub struct Answered {
    /// What they were asked.
    pub sheet: Sheet,
    /// What becomes of each grant; empty where the file cannot be read or is no answer.
    pub answers: BTreeMap<GrantId, Answer>,
    /// What signs the answers; or what is missing.
    pub signed: Result<Signatures, Vec<Missing>>,
}

impl Answered {
    /// `3 kept, 1 ended`.
    pub fn what_becomes(&self) -> String {
        let ended = |answer: &&Answer| **answer == Answer::End;
        let ended = self.answers.values().filter(ended).count();
        format!("{} kept, {ended} ended", self.answers.len() - ended)
    }
}

/// Files of answers that say something else than what is asked.
pub(super) fn findings(case: &Case<'_>, _: &[Request]) -> Vec<Finding> {
    let brought = brought(case).into_iter();
    let wrong = brought.filter_map(|(path, answers)| Some((path, refusal(case, path, answers)?)));
    let finding = |(path, why): (&SheetPath, String)| {
        Finding::error(
            "review-record",
            path.as_str(),
            Place::START,
            why,
            "Change only `keep` to `end`, or delete whole lines. To have the file written anew, close the pull request: Hallpass opens another one.",
        )
    };
    wrong.map(finding).collect()
}

fn refusal(case: &Case<'_>, path: &SheetPath, answers: &Answers) -> Option<String> {
    let mut known = case.around.sheets.iter();
    match known.find(|sheet| sheet.record_path() == *path) {
        None => Some("Hallpass asks nothing in an access review that this could answer".to_owned()),
        Some(sheet) => sheet.answered(answers).err(),
    }
}

/// The files of answers that the pull request brings, as far as they can be read.
fn brought<'a>(case: &'a Case<'_>) -> Vec<(&'a SheetPath, &'a Answers)> {
    let is_sheet = |change: &ChangedFile| SheetPath::new(&change.path).is_ok();
    let readings = case.changes.readings(is_sheet);
    let answers = readings.filter_map(|(_, reading)| match reading {
        Some(Ok(Read::Sheet(path, answers))) => Some((path, answers)),
        _ => None,
    });
    answers.collect()
}

/// The answers that the pull request is, if it is that: the file of one sheet and nothing else, where Hallpass asks for it.
pub(super) fn answered(case: &Case<'_>, scope: &Scope<'_>) -> Option<Answered> {
    let [change] = scope.control[..] else {
        return None;
    };
    let alone = scope.grants.is_empty() && !scope.others;
    let path = SheetPath::new(&change.path).ok().filter(|_| alone)?;
    let asked_here = |s: &&Sheet| s.record_path() == path && s.is_asked_in(case.pull.number);
    let sheet = case.around.sheets.iter().find(asked_here)?;
    let brought = brought(case);
    let answers = brought.first().map(|(_, answers)| sheet.answered(answers));
    Some(Answered {
        sheet: sheet.clone(),
        answers: answers.and_then(Result::ok).unwrap_or_default(),
        signed: match &change.after {
            Some(file) => approval::attest(case, sheet, &file.blob),
            None => Err(vec![Missing {
                needed: 1,
                reasons: vec![
                    "The pull request removes the answers instead of bringing them.".to_owned(),
                ],
                ..Missing::default()
            }]),
        },
    })
}
