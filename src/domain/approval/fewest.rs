//! The smallest set of people whose reviews would complete a pull request: whom to ask, so that nobody is asked in vain.
//!
//! Exact as long as that is cheap, which it nearly always is: people who can approve the same files are alike, so what is counted
//! is kinds of people. Beyond that the person who helps most files comes next. Deterministic either way.

use std::collections::{BTreeMap, BTreeSet};

use super::super::model::Login;
use super::Missing;

/// How many steps the exact search may take.
const STEPS: usize = 20_000;

/// So many of these people, whichever.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Group {
    /// How many.
    pub count: usize,
    /// Of whom, by login. Never fewer than `count`.
    pub of: Vec<Login>,
}

/// What one file still needs.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Need {
    count: usize,
    of: BTreeSet<Login>,
}

/// The fewest people whose reviews give everything that is missing, over all files. Whoever asked for changes is among them.
/// `None` when nobody is missing, or when no set of people is enough.
pub fn fewest<'a>(missing: impl Iterator<Item = &'a Missing>) -> Option<Vec<Group>> {
    let missing: Vec<&Missing> = missing.collect();
    let bound: BTreeSet<Login> = missing
        .iter()
        .flat_map(|m| &m.blocked_by)
        .cloned()
        .collect();
    let needs: BTreeSet<Need> = missing
        .iter()
        .map(|m| need(m, &bound))
        .filter(|n| n.count > 0)
        .collect();
    let needs: Vec<Need> = needs.into_iter().collect();
    if needs.iter().any(|n| n.of.len() < n.count) || (needs.is_empty() && bound.is_empty()) {
        return None;
    }
    let mut groups: Vec<Group> = bound
        .into_iter()
        .map(|login| Group {
            count: 1,
            of: vec![login],
        })
        .collect();
    if !needs.is_empty() {
        groups.extend(Search::new(&needs).exact().unwrap_or_else(|| greedy(needs)));
    }
    Some(groups)
}

/// What a file needs beside those who review in any case.
fn need(missing: &Missing, bound: &BTreeSet<Login>) -> Need {
    let open = missing.needed.saturating_sub(missing.have);
    let (review, of): (BTreeSet<_>, BTreeSet<_>) = missing
        .candidates
        .iter()
        .cloned()
        .partition(|login| bound.contains(login));
    let open = usize::try_from(open).unwrap_or(usize::MAX);
    Need {
        count: open.saturating_sub(review.len()),
        of,
    }
}

/// People who can approve the same files.
struct Kind {
    files: BTreeSet<usize>,
    people: Vec<Login>,
}

/// Counts of each kind, tried in order: the fewest people first.
struct Search {
    kinds: Vec<Kind>,
    open: Vec<usize>,
    steps: usize,
}

impl Search {
    fn new(needs: &[Need]) -> Self {
        let mut files: BTreeMap<&Login, BTreeSet<usize>> = BTreeMap::new();
        for (file, need) in needs.iter().enumerate() {
            for login in &need.of {
                files.entry(login).or_default().insert(file);
            }
        }
        let mut people: BTreeMap<BTreeSet<usize>, Vec<Login>> = BTreeMap::new();
        for (login, files) in files {
            people.entry(files).or_default().push(login.clone());
        }
        let mut kinds: Vec<Kind> = people
            .into_iter()
            .map(|(files, people)| Kind { files, people })
            .collect();
        // Who helps most first: the search finds small sets early.
        kinds.sort_by(|a, b| {
            let most = b.files.len().cmp(&a.files.len());
            most.then_with(|| a.people.cmp(&b.people))
        });
        Self {
            kinds,
            open: needs.iter().map(|n| n.count).collect(),
            steps: STEPS,
        }
    }

    /// `None` when it would take too long.
    fn exact(mut self) -> Option<Vec<Group>> {
        let least = self.open.iter().copied().max().unwrap_or(0);
        let most: usize = self.open.iter().sum();
        for people in least..=most {
            let mut counts = Vec::new();
            if self.fits(people, &mut counts) {
                let chosen = self.kinds.into_iter().zip(counts);
                let groups = chosen.filter(|(_, count)| *count > 0);
                return Some(
                    groups
                        .map(|(kind, count)| Group {
                            count,
                            of: kind.people,
                        })
                        .collect(),
                );
            }
            if self.steps == 0 {
                return None;
            }
        }
        None
    }

    /// Whether `people` more, of the kinds from `counts.len()` on, are enough; `counts` then says how many of each.
    fn fits(&mut self, people: usize, counts: &mut Vec<usize>) -> bool {
        let hardest = self.open.iter().copied().max().unwrap_or(0);
        if hardest == 0 {
            return true;
        }
        if hardest > people || counts.len() == self.kinds.len() || self.steps == 0 {
            return false;
        }
        self.steps -= 1;
        let kind = &self.kinds[counts.len()];
        let (files, size) = (kind.files.clone(), kind.people.len());
        let useful = files.iter().map(|f| self.open[*f]).max().unwrap_or(0);
        let before = self.open.clone();
        for count in (0..=useful.min(size).min(people)).rev() {
            for file in &files {
                self.open[*file] = before[*file].saturating_sub(count);
            }
            counts.push(count);
            if self.fits(people - count, counts) {
                return true;
            }
            counts.pop();
        }
        self.open = before;
        false
    }
}

/// Whoever helps most files, again and again.
fn greedy(mut needs: Vec<Need>) -> Vec<Group> {
    let mut chosen = Vec::new();
    while needs.iter().any(|n| n.count > 0) {
        let mut helps: BTreeMap<&Login, usize> = BTreeMap::new();
        for login in needs.iter().filter(|n| n.count > 0).flat_map(|n| &n.of) {
            *helps.entry(login).or_default() += 1;
        }
        // The first of those who help most: `max_by_key` would take the last.
        let best = helps.into_iter().rev().max_by_key(|(_, files)| *files);
        let Some(login) = best.map(|(login, _)| login.clone()) else {
            break;
        };
        for need in &mut needs {
            if need.of.remove(&login) {
                need.count = need.count.saturating_sub(1);
            }
        }
        chosen.push(Group {
            count: 1,
            of: vec![login],
        });
    }
    chosen
}
