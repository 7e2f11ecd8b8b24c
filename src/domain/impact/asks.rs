//! Whether the policies would permit live grants to be asked for again.

use std::collections::{BTreeSet, HashMap};

use super::{ASKED, Effect, Known, live};
use crate::domain::catalogue::Catalogue;
use crate::domain::model::{Grant, GrantPath, Instant, RoleRef, Subject};
use crate::domain::supposed::{Reading, Supposed, affordable, readings, refused};

/// What asking the policies about live grants needs.
pub(super) struct Asks<'a> {
    base: &'a Catalogue,
    head: &'a Catalogue,
    readings: Vec<Reading>,
    /// About how many grants they are asked.
    pub(super) most: usize,
    /// The live grants of each subject.
    holdings: HashMap<&'a Subject, Vec<(&'a GrantPath, &'a Grant)>>,
}

impl<'a> Asks<'a> {
    /// `None` where there is nothing to ask: nothing is forbidden after the change, or nothing could be permitted.
    pub(super) fn between(
        base: &'a Catalogue,
        head: &'a Catalogue,
        known: &Known<'a>,
    ) -> Option<Self> {
        if head.policies.is_default() || head.policies.broken().is_some() {
            return None;
        }
        let mut holdings: HashMap<&Subject, Vec<(&GrantPath, &Grant)>> = HashMap::new();
        for (path, declared) in live(base, known) {
            let grant = &*declared.grant;
            holdings
                .entry(&grant.subject)
                .or_default()
                .push((path, grant));
        }
        let readings = readings([base, head]);
        Some(Self {
            base,
            head,
            most: affordable([base, head], &readings).min(ASKED),
            readings,
            holdings,
        })
    }

    /// What the policies would say to the same request, made `at` the time at which it was.
    pub(super) fn effect(
        &self,
        path: &GrantPath,
        grant: &Grant,
        (at, since): (Instant, Option<Instant>),
    ) -> Option<Effect> {
        let others = self.holdings.get(&grant.subject).into_iter().flatten();
        let others = others.filter(|(other, _)| *other != path);
        let live_roles: BTreeSet<RoleRef> =
            others.flat_map(|(p, g)| self.base.gives(p, g)).collect();
        let supposed = Supposed {
            path,
            grant,
            at,
            since,
            live_roles,
        };
        let mut by = BTreeSet::new();
        for reading in &self.readings {
            by.extend(refused(self.head, &supposed, reading)?);
        }
        let permitted = |reading| refused(self.base, &supposed, reading).is_none();
        // What was not permitted before is no effect of the change.
        if !self.readings.iter().any(permitted) {
            return None;
        }
        Some(Effect::Forbidden {
            by: by.into_iter().collect(),
        })
    }
}
