//! What a change does to one live grant.

use std::collections::BTreeSet;

use chrono::TimeDelta;

use super::asks::Asks;
use super::{Effect, Held, Known, Touched, is_live};
use crate::domain::catalogue::{Catalogue, role_at};
use crate::domain::model::{Grant, GrantPath, Instant, RoleRef, Subject, Term};
use crate::domain::rules;

/// Rules about the subject itself, of which an effect of its own says more.
const OF_SUBJECTS: [&str; 3] = ["unknown-person", "unknown-service", "unknown-owner"];
/// What a broken CODEOWNERS does to each grant, which is told once.
const OF_OWNERS: [&str; 2] = ["codeowners-broken", "owner-missing"];
/// What broken policies do to each grant, which is told once.
const OF_POLICIES: [&str; 1] = ["policy-broken"];
/// Rules about how long a grant lasts from its begin.
const OF_LENGTHS: [&str; 2] = ["term-too-long", "term-too-short"];

/// A Wednesday at noon, the seventh of January 2026: at which somebody may have asked for a grant of unknown age. Policies about the
/// hour or the day forbid it only if they forbid it then.
const ORDINARY: Instant = chrono::DateTime::from_timestamp(1_767_787_200, 0)
    .expect("the number of seconds is that of a date");

/// The two trees and what else is known.
pub(super) struct Judge<'a> {
    pub(super) base: &'a Catalogue,
    pub(super) head: &'a Catalogue,
    pub(super) known: &'a Known<'a>,
    /// `None` where the policies need not be asked.
    pub(super) asks: Option<&'a Asks<'a>>,
    /// As [`super::Impact::breaks_codeowners`].
    pub(super) breaks_codeowners: bool,
}

impl Judge<'_> {
    /// What becomes of a grant that the change concerns, the `i`-th of them; `None` if nothing does.
    pub(super) fn touched(&self, i: usize, path: &GrantPath, grant: &Grant) -> Option<Touched> {
        let mut effects = Vec::new();
        self.subject(grant, &mut effects);
        self.refused(path, grant, &mut effects);
        if let Some(asks) = self.asks.filter(|asks| i < asks.most && effects.is_empty()) {
            let held = self.known.held.get(path);
            let since = held
                .map(|held| held.since)
                .filter(|since| Some(*since) != held.map(|h| h.starts));
            effects.extend(asks.effect(path, grant, (asked_at(grant, held), since)));
        }
        self.limits(path, grant, &mut effects);
        self.access(path, grant, &mut effects);
        effects.sort();
        effects.dedup();
        let fate = effects.iter().map(Effect::fate).min()?;
        Some(Touched {
            path: path.clone(),
            subject: grant.subject.clone(),
            role: role_at(path, grant),
            fate,
            effects,
        })
    }

    fn subject(&self, grant: &Grant, effects: &mut Vec<Effect>) {
        let (base, head) = (self.base, self.head);
        let before = base.github_id(&grant.subject);
        // A number that is only added or taken away says nothing about who holds the access.
        if let (Some(before), Some(after)) = (before, head.github_id(&grant.subject))
            && before != after
        {
            effects.push(Effect::AccountReplaced {
                subject: grant.subject.clone(),
                before,
                after,
            });
        }
        match &grant.subject {
            Subject::Person(login) => {
                if base.people.contains_key(login) && !head.people.contains_key(login) {
                    effects.push(Effect::PersonGone(login.clone()));
                }
            }
            Subject::Service(name) => match (base.services.get(name), head.services.get(name)) {
                (Some(_), None) => effects.push(Effect::ServiceGone(name.clone())),
                (Some(old), Some(new))
                    if base.people.contains_key(&old.owner)
                        && !head.people.contains_key(&new.owner) =>
                {
                    effects.push(Effect::OwnerGone {
                        service: name.clone(),
                        owner: new.owner.clone(),
                    });
                }
                _ => {}
            },
        }
    }

    /// Rules that would refuse the same request after the change and would not before it.
    fn refused(&self, path: &GrantPath, grant: &Grant, effects: &mut Vec<Effect>) {
        let held = self.known.held.get(path);
        let at = asked_at(grant, held);
        let before = self.findings(self.base, path, grant, at);
        let before: BTreeSet<&str> = before.iter().map(|(rule, _)| *rule).collect();
        let of_length = |rule: &str| {
            held.is_none() && matches!(grant.term, Term::Expires(_)) && OF_LENGTHS.contains(&rule)
        };
        for (rule, message) in self.findings(self.head, path, grant, at) {
            let of_owners = self.breaks_codeowners && OF_OWNERS.contains(&rule);
            let of_tree = OF_SUBJECTS.contains(&rule) || OF_POLICIES.contains(&rule);
            let told = of_tree || of_owners || of_length(rule);
            if !told && !before.contains(rule) {
                effects.push(Effect::Refused { rule, message });
            }
        }
    }

    fn findings(
        &self,
        tree: &Catalogue,
        path: &GrantPath,
        grant: &Grant,
        at: Instant,
    ) -> Vec<(&'static str, String)> {
        let others = |role: &RoleRef| {
            let others = self.base.giving(&grant.subject, role);
            let live = others.filter(|(path, _)| {
                let declared = self.base.grants.get(*path);
                declared.is_some_and(|declared| is_live(path, declared, self.known))
            });
            live.collect()
        };
        let findings = rules::check_request(tree, (path, grant), others, at);
        findings.into_iter().map(|f| (f.rule, f.message)).collect()
    }

    /// How long in all, and by how many: what the rules over a tree cannot know.
    fn limits(&self, path: &GrantPath, grant: &Grant, effects: &mut Vec<Effect>) {
        for role in self.base.binding(path, grant) {
            self.limits_of(path, grant, &role, effects);
        }
    }

    fn limits_of(
        &self,
        path: &GrantPath,
        grant: &Grant,
        role: &RoleRef,
        effects: &mut Vec<Effect>,
    ) {
        let limits = |tree: &'_ Catalogue| {
            tree.role(&role.resource, &role.role)
                .map(|(_, role)| (role.max_total, role.approvals))
        };
        let (Some((old_total, old_needed)), Some((limit, needed))) =
            (limits(self.base), limits(self.head))
        else {
            return;
        };
        let held = self.known.held.get(path);
        // How many approved which part of a bundle is not known here: at least as many as it took.
        let bundled = *role != role_at(path, grant);
        // What renews nothing is judged by the rules alone.
        if let Some(held) = held.filter(|held| held.since < held.starts) {
            let (since, total) = (held.since, held.ends - held.since);
            if total > limit.delta() && total <= old_total.delta() {
                effects.push(Effect::LongerInAll { since, limit });
            }
        }
        let had = held
            .filter(|_| !bundled)
            .map_or(old_needed, |held| held.approvals);
        if needed > old_needed && had < needed {
            effects.push(Effect::FewerApprovals { had, needed });
        }
    }

    /// Whether what is held is what the files would give after the change.
    fn access(&self, path: &GrantPath, grant: &Grant, effects: &mut Vec<Effect>) {
        let (old, new) = (self.base.gives(path, grant), self.head.gives(path, grant));
        let own = role_at(path, grant);
        // A role that is gone has its own rule.
        if old != new && self.head.role(&own.resource, &own.role).is_some() {
            effects.push(Effect::OtherEntitlement(own));
        }
        for role in old.iter().filter(|role| new.contains(role)) {
            self.access_to(role, &grant.subject, effects);
        }
    }

    fn access_to(&self, role: &RoleRef, subject: &Subject, effects: &mut Vec<Effect>) {
        let access = |tree: &Catalogue| tree.access_to(role, subject);
        let (Some(old), Some(new)) = (access(self.base), access(self.head)) else {
            return;
        };
        if old.connection != new.connection {
            effects.push(Effect::OtherConnection {
                before: old.connection,
                after: new.connection,
            });
        } else if old.account.name != new.account.name {
            effects.push(Effect::OtherAccount {
                connection: new.connection.clone(),
            });
        }
        if old.entitlement != new.entitlement {
            effects.push(Effect::OtherEntitlement(role.clone()));
        }
    }
}

/// The instant at which the rules about terms judge a grant as they did when it was given. Where nobody knows when that was, one
/// that depends on nothing but the file, so that the same files always give the same answer.
fn asked_at(grant: &Grant, held: Option<&Held>) -> Instant {
    match (held, grant.term) {
        (Some(held), _) => held.starts,
        (None, Term::Expires(at)) => grant.starts.unwrap_or(at - TimeDelta::seconds(1)),
        (None, Term::Duration(_)) => grant.starts.unwrap_or(ORDINARY),
    }
}
