//! Break-glass: what a role may offer, and what a request for it must satisfy, as far as files alone can tell.

use chrono::TimeDelta;

use super::change::Asked;
use super::grant::Judged;
use crate::domain::catalogue::{Catalogue, ChangedFile};
use crate::domain::finding::{Finding, Place};
use crate::domain::model::{EmergencyOffer, GrantPath, Login, Role, RoleRef, Subject};
use crate::domain::parse::MAX_PATH;
use crate::domain::schema::nearest;

/// How long access given in an emergency may last, whatever a role says.
const LONGEST: TimeDelta = TimeDelta::hours(24);

/// By how much the path of the record is longer than that of the grant: another folder, and the digits of the merge.
const RECORD: usize = "emergencies".len() - "grants".len() + "-0123456789ab".len();

impl Judged<'_> {
    /// What is wrong with breaking the glass for `role`.
    pub(super) fn emergency(&self, role: &Role, found: &mut Vec<Finding>) {
        if !self.grant.emergency {
            return;
        }
        let place = self.places.emergency;
        let Some(offer) = &role.emergency else {
            return found.push(self.error(
                "emergency-not-offered",
                place,
                format!("{} does not offer emergency access", self.role_ref()),
                "Remove `emergency` and ask the owners for a quick review.",
            ));
        };
        self.listed(offer, found);
        let limit = offer.max_duration.min(role.max_duration);
        if self.lasts() > limit.delta() {
            found.push(self.error(
                "emergency-too-long",
                self.places.term,
                format!("in an emergency {} lasts at most {limit}", self.role_ref()),
                format!("Ask for at most {limit}, and for more without `emergency` meanwhile."),
            ));
        }
        if self.grant.starts.is_some() {
            found.push(self.error(
                "emergency-planned",
                self.places.starts,
                "emergency access begins at the merge, and `starts` plans it for another time"
                    .to_owned(),
                "Remove `starts`; or remove `emergency`, and let the owners approve what can be planned.",
            ));
        }
        self.named_shortly(found);
    }

    /// The record has a longer path than the grant.
    fn named_shortly(&self, found: &mut Vec<Finding>) {
        let length = self.path.as_str().len() + RECORD;
        if length > MAX_PATH {
            found.push(self.error(
                "path-too-long",
                Place::START,
                format!("the path of the review that follows would have {length} bytes; the limit is {MAX_PATH}"),
                "Choose a shorter name.",
            ));
        }
    }

    fn listed(&self, offer: &EmergencyOffer, found: &mut Vec<Finding>) {
        let login = match &self.grant.subject {
            Subject::Person(login) => login,
            Subject::Service(name) => {
                return found.push(self.error(
                    "emergency-for-person",
                    self.places.emergency,
                    format!("{name} is a service account, and only a person can break the glass: somebody must answer for it afterwards"),
                    "Ask for the access of the person who acts; or remove `emergency` and ask the owners for a quick review.",
                ));
            }
        };
        // Without anybody's approval the list is what decides, so an empty one names nobody.
        let everybody = offer.people.is_empty() && offer.approvals > 0;
        if !everybody && !offer.people.contains(login) {
            found.push(self.error(
                "emergency-not-listed",
                self.places.emergency,
                format!("{login} is not on the emergency list of {}", self.role_ref()),
                format!(
                    "Remove `emergency` and ask the owners for a quick review. Who is on the list stands in access/resources/{}.yaml.",
                    self.path.resource()
                ),
            ));
        }
    }
}

/// What is wrong with emergencies among the grants that one change asks for.
pub(super) fn asked(changes: &[ChangedFile], asked: &[Asked], found: &mut Vec<Finding>) {
    let emergencies = || asked.iter().filter(|(_, grant, _)| grant.emergency);
    for (path, grant, places) in emergencies() {
        let stood = |c: &ChangedFile| c.path == path.as_str() && c.before.is_some();
        if changes.iter().any(stood) {
            found.push(Finding::error(
                "emergency-renewal",
                path.as_str(),
                places.emergency,
                "the file stands there already, and an emergency neither renews nor changes a grant",
                "Renew without `emergency`: the owners approve. For another emergency add another file.",
            ));
        }
        let earlier = |(other, theirs, _): &&Asked| other < path && theirs.subject == grant.subject;
        if let Some((other, ..)) = emergencies().find(earlier) {
            found.push(one_at_a_time(path, places.emergency, other, &grant.subject));
        }
    }
}

fn one_at_a_time(path: &GrantPath, place: Place, other: &GrantPath, who: &Subject) -> Finding {
    Finding::error(
        "emergency-twice",
        path.as_str(),
        place,
        format!(
            "{other} of this change is an emergency of {who} too; one is reviewed before the next"
        ),
        "Keep one of them, and ask for the other without `emergency`.",
    )
}

/// What is wrong with what roles offer, and with records that stand in the tree.
pub(super) fn check(tree: &Catalogue, found: &mut Vec<Finding>) {
    for (name, resource) in &tree.resources {
        for (role, says) in &resource.roles {
            let Some(offer) = &says.emergency else {
                continue;
            };
            let own = RoleRef {
                resource: name.clone(),
                role: role.clone(),
            };
            offered(tree, &own, says, offer, found);
        }
    }
    for (path, record) in &tree.emergencies {
        let named = format!("{}@{}", path.grant().short(), record.merge.short());
        let own = record.grant.as_str() == named
            && path.short().ends_with(record.merge.short())
            && record.role.resource == path.grant().resource();
        if !own {
            found.push(Finding::error(
                "emergency-record",
                path.as_str(),
                Place::START,
                "it stands under another name than its grant and its merge have, or names the role of another resource",
                "Leave access/emergencies/ to Hallpass.",
            ));
        }
    }
}

fn offered(
    tree: &Catalogue,
    own: &RoleRef,
    role: &Role,
    offer: &EmergencyOffer,
    found: &mut Vec<Finding>,
) {
    let limits = |below: &str, message: String, help: &str| {
        at(tree, own, below, "emergency-offer", message, help)
    };
    if offer.approvals > role.approvals {
        let (asked, usual) = (offer.approvals, role.approvals);
        let message =
            format!("{own} needs {asked} approvals in an emergency and {usual} otherwise");
        let help = "Demand at most as many approvals as without an emergency.";
        found.push(limits("approvals", message, help));
    }
    if offer.approvals == 0 && offer.people.is_empty() {
        let message = format!("{own} needs nobody's approval in an emergency and lists nobody");
        let help = "List under `people` who may use it; or demand at least one approval.";
        found.push(limits("", message, help));
    }
    let limit = role.max_duration;
    if offer.max_duration.delta() > LONGEST {
        let message = format!("{own} lasts {} in an emergency", offer.max_duration);
        found.push(limits("max_duration", message, "Choose at most 24h."));
    } else if offer.max_duration > limit {
        let message = format!("{own} lasts {limit} at most, in an emergency too");
        let help = "Nothing needs to be done: the shorter of the two counts.";
        found.push(limits("max_duration", message, help).as_warning());
    }
    let unknown = offer.people.iter().filter(|l| !tree.people.contains_key(l));
    found.extend(unknown.map(|login| nobody(tree, own, login)));
}

/// Somebody on the list who has no file.
fn nobody(tree: &Catalogue, own: &RoleRef, login: &Login) -> Finding {
    let known = tree.people.keys().map(|known| known.as_str());
    let add = format!("dd access/people/{login}.yaml first, or take them off the list.");
    let help = match nearest(login.as_str(), known) {
        Some(near) => format!("Did you mean `{near}`? Otherwise a{add}"),
        None => format!("A{add}"),
    };
    let message = format!("nobody is known as `{login}`");
    let below = format!("people/{login}");
    at(tree, own, &below, "unknown-person", message, &help)
}

/// A finding at what the role says about emergencies, `below` that.
fn at(
    tree: &Catalogue,
    own: &RoleRef,
    below: &str,
    rule: &'static str,
    message: String,
    help: &str,
) -> Finding {
    let place = |label: &str| tree.index.role_place(own, label);
    let place = place(&format!("emergency/{below}"))
        .or_else(|| place("emergency"))
        .unwrap_or_default();
    let file = format!("access/resources/{}.yaml", own.resource);
    Finding::error(rule, file, place, message, help)
}
