//! Renewals: what a change of a grant file may change.
//!
//! Any change of a live file is a new grant whose term counts anew, so each is a renewal and says anew why, except one: an end
//! that is moved forward and nothing else.

use super::grant::Judged;
use crate::domain::finding::Finding;
use crate::domain::model::{Grant, Term};

impl Judged<'_> {
    /// What is wrong with the file as a change of the one that stands at its path on the base. Whether that one's grant has ended
    /// makes no difference: its file may be used again, for the same subject and role and with a new reason.
    pub(super) fn renewal(&self, found: &mut Vec<Finding>) {
        let Some(today) = self.base.grants.get(self.path).map(|d| &*d.grant) else {
            return;
        };
        let changed = [
            (today.subject != self.grant.subject).then(|| {
                let (before, after) = (&today.subject, &self.grant.subject);
                (
                    self.places.subject,
                    format!("it gives access to {before} today and would to {after}"),
                )
            }),
            (today.role != self.grant.role).then(|| {
                let (before, after) = (&today.role, &self.grant.role);
                (
                    self.places.role,
                    format!("it gives the role {before} today and would give {after}"),
                )
            }),
        ];
        let mut another = false;
        for (place, message) in changed.into_iter().flatten() {
            another = true;
            let help =
                "Leave this file as it is, or remove it, and add another file for the other grant.";
            found.push(self.error("renewal-changes-grant", place, message, help));
        }
        if !another && !shortens(today, self.grant) && same_text(&today.reason, &self.grant.reason)
        {
            let message = "a changed grant counts from its merge, as a new one does, and its reason is the old one";
            let help = "Say in `reason` why the access is needed from now on. Only an earlier `expires`, with nothing else changed, needs no new reason.";
            found.push(self.error(
                "renewal-needs-reason",
                self.places.reason,
                message.to_owned(),
                help,
            ));
        }
    }

    /// Whether it only ends earlier what stands at its path on the base.
    pub(super) fn only_shortens(&self) -> bool {
        let today = self.base.grants.get(self.path);
        today.is_some_and(|today| shortens(&today.grant, self.grant))
    }
}

/// Whether `after` is `before` with an earlier end and nothing else. A duration is counted anew, so it shortens nothing.
fn shortens(before: &Grant, after: &Grant) -> bool {
    let (Term::Expires(was), Term::Expires(is)) = (before.term, after.term) else {
        return false;
    };
    let rest = Grant {
        term: before.term,
        ..after.clone()
    };
    is < was && rest == *before
}

/// Whether two texts are the same but for white space, punctuation and case.
fn same_text(a: &str, b: &str) -> bool {
    fn letters(text: &str) -> impl Iterator<Item = char> {
        let lower = text.chars().flat_map(char::to_lowercase);
        lower.filter(|c| c.is_alphanumeric())
    }
    letters(a).eq(letters(b))
}
