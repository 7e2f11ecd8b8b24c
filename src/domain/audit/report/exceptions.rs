//! What did not go as it should, for the report.

use std::collections::BTreeMap;

use serde::Serialize;

use super::super::super::evidence::Kind;
use super::super::{Exception, Lives, exceptions};
use super::{Asked, Cited, Listed};

/// How many open ones are listed.
const OPEN: usize = 200;
/// How many closed ones are listed.
const CLOSED: usize = 50;

/// An exception, with the commit that shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Noted<'l> {
    /// What did not go as it should.
    #[serde(flatten)]
    pub exception: Exception,
    /// The commit that tells of it; where none does, because something is missing, the one that began it.
    pub cited: Option<Cited<'l>>,
}

/// How many exceptions of one kind there are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct KindCount {
    /// The kind: a word.
    pub kind: &'static str,
    /// How many are open, whenever they began.
    pub open: u64,
    /// How many of the period are closed.
    pub closed: u64,
}

/// What did not go as it should.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Exceptions<'l> {
    /// By kind.
    pub kinds: Vec<KindCount>,
    /// What somebody must still do something about, whenever it began; newest first.
    pub open: Listed<Noted<'l>>,
    /// What is closed and is of the period; newest first.
    pub closed: Listed<Noted<'l>>,
}

impl<'l> Exceptions<'l> {
    pub(super) fn of(lives: &'l Lives, asked: &Asked) -> Self {
        let mut kinds: BTreeMap<&'static str, KindCount> = BTreeMap::new();
        let (mut open, mut closed) = (Vec::new(), Vec::new());
        for exception in exceptions(lives, asked.late, asked.now) {
            if !exception.open && !asked.within(exception.at) {
                continue;
            }
            let kind = exception.kind;
            let count = kinds.entry(kind).or_insert(KindCount {
                kind,
                open: 0,
                closed: 0,
            });
            match exception.open {
                true => {
                    count.open += 1;
                    open.push(exception);
                }
                false => {
                    count.closed += 1;
                    closed.push(exception);
                }
            }
        }
        Self {
            kinds: kinds.into_values().collect(),
            open: note(lives, open, OPEN),
            closed: note(lives, closed, CLOSED),
        }
    }

    /// How many of these kinds are open.
    pub(super) fn open_of(&self, kinds: &[&str]) -> u64 {
        let these = self.kinds.iter().filter(|k| kinds.contains(&k.kind));
        these.map(|kind| kind.open).sum()
    }
}

/// The first of them, each with its commit.
fn note<'l>(lives: &'l Lives, all: Vec<Exception>, most: usize) -> Listed<Noted<'l>> {
    let Listed { of, listed } = Listed::first(all, most);
    let listed = listed.into_iter().map(|exception| {
        let cited = cite(lives, &exception);
        Noted { exception, cited }
    });
    Listed {
        of,
        listed: listed.collect(),
    }
}

fn cite<'l>(lives: &'l Lives, exception: &Exception) -> Option<Cited<'l>> {
    let life = exception
        .grant
        .as_deref()
        .and_then(|grant| lives.get(grant));
    let Some(life) = life else {
        let mut others = lives.others().iter();
        let (commit, record) =
            others.find(|(commit, _)| Some(commit) == exception.commit.as_ref())?;
        return Some(Cited {
            at: record.at,
            commit,
            sentence: &record.sentence,
        });
    };
    let told = life
        .steps
        .iter()
        .find(|step| Some(&step.commit) == exception.commit.as_ref());
    let gives = |kind| matches!(kind, Kind::Granted | Kind::Renewed);
    let began = || life.steps.iter().rev().find(|step| gives(step.kind));
    told.or_else(began).map(Cited::from)
}
