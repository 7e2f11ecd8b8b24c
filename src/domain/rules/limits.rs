//! What the limits of a role must satisfy among themselves, and whom they may name.

use crate::domain::catalogue::Catalogue;
use crate::domain::finding::Finding;
use crate::domain::model::{Eligibility, Role, RoleRef, TermLength};
use crate::domain::schema::nearest;

/// Every finding of the roles of `tree`.
pub(super) fn check(tree: &Catalogue, found: &mut Vec<Finding>) {
    for (name, resource) in &tree.resources {
        for (role_name, role) in &resource.roles {
            let own = RoleRef {
                resource: name.clone(),
                role: role_name.clone(),
            };
            order(tree, &own, role, found);
            if let Some(eligible) = &role.eligible {
                known(tree, &own, eligible, found);
            }
        }
    }
}

/// A shorter limit above a longer one would make the longer one a promise that is never kept.
fn order(tree: &Catalogue, own: &RoleRef, role: &Role, found: &mut Vec<Finding>) {
    let most = ("max_duration", role.max_duration);
    let least = role.min_duration.map(|least| ("min_duration", least));
    let pairs: [Option<(_, (&str, TermLength))>; 2] = [
        least.map(|least| (least, most)),
        Some((most, ("max_total", role.max_total))),
    ];
    for ((lower, low), (upper, high)) in
        pairs.into_iter().flatten().filter(|((_, a), (_, b))| a > b)
    {
        found.push(Finding::error(
            "limits-contradict",
            format!("access/resources/{}.yaml", own.resource),
            tree.index.role_place(own, lower).unwrap_or_default(),
            format!("{own} has {lower} {low}, which is longer than its {upper}, {high}"),
            format!("Make {lower} at most as long as {upper}."),
        ));
    }
}

/// A name that nobody bears opens the role to whoever is given it later.
fn known(tree: &Catalogue, own: &RoleRef, eligible: &Eligibility, found: &mut Vec<Finding>) {
    let mut tell = |kind: &str, name: &str, folder: &str, known: Vec<&str>| {
        let file = format!("access/{folder}/{name}.yaml");
        // A file with faults of its own tells them itself.
        if known.contains(&name) || tree.first_fault(&file).is_some() {
            return;
        }
        let near = nearest(name, known.into_iter());
        let hint = near.map(|near| format!("Did you mean `{near}`? "));
        found.push(Finding::error(
            "unknown-eligible",
            format!("access/resources/{}.yaml", own.resource),
            tree.index
                .role_place(own, &format!("eligible/{folder}/{name}"))
                .unwrap_or_default(),
            format!("{own} may be asked for by {kind} `{name}`, who is not declared"),
            format!(
                "{}Otherwise add {file}, or remove the entry.",
                hint.unwrap_or_default()
            ),
        ));
    };
    for login in &eligible.people {
        let people = tree.people.keys().map(|known| known.as_str()).collect();
        tell("the person", login.as_str(), "people", people);
    }
    for name in &eligible.services {
        let services = tree.services.keys().map(|known| known.as_str()).collect();
        tell("the service account", name.as_str(), "services", services);
    }
}
