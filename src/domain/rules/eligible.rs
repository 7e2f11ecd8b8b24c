//! Who may ask for a role, as far as one tree tells: teams are known to the forge alone.

use std::collections::BTreeSet;

use crate::domain::catalogue::Catalogue;
use crate::domain::model::{Eligibility, Grant, Login, Role, RoleRef, Subject};
use crate::domain::parse::shown;

/// What one tree tells about whether a subject may ask for a role.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Eligible<'a> {
    /// It may.
    Yes,
    /// It may not, whatever the forge says.
    No(&'a Eligibility),
    /// It may if it is an active member of one of the teams.
    InTeams(&'a Eligibility),
}

/// Whether `subject` may ask for `role`: whoever one of the entries names may. A role without entries is open to everybody who
/// is declared. Teams are of people; a service account is named by itself. In an emergency its list names people too.
pub(crate) fn eligible<'a>(tree: &Catalogue, grant: &Grant, role: &'a Role) -> Eligible<'a> {
    let subject = &grant.subject;
    let Some(named) = &role.eligible else {
        return Eligible::Yes;
    };
    let may = match subject {
        Subject::Service(name) => named.services.contains(name),
        Subject::Person(login) => {
            let offer = role.emergency.as_ref().filter(|_| grant.emergency);
            named.people.contains(login)
                || has_attributes(tree, login, named)
                || offer.is_some_and(|offer| offer.people.contains(login))
        }
    };
    match subject {
        _ if may => Eligible::Yes,
        Subject::Person(_) if !named.teams.is_empty() => Eligible::InTeams(named),
        _ => Eligible::No(named),
    }
}

/// Whether a person has one of the values of every attribute that is named; no attributes are named by nobody.
fn has_attributes(tree: &Catalogue, login: &Login, named: &Eligibility) -> bool {
    let Some(person) = tree
        .people
        .get(login)
        .filter(|_| !named.attributes.is_empty())
    else {
        return false;
    };
    let mut wanted = named.attributes.iter();
    wanted.all(|(name, values)| {
        person
            .attributes
            .get(name)
            .is_some_and(|own| values.contains(own))
    })
}

/// Why `subject` may not ask for `role`, and the way out.
pub(crate) fn refusal(subject: &Subject, role: &RoleRef, named: &Eligibility) -> (String, String) {
    let mut who: Vec<String> = named.people.iter().map(ToString::to_string).collect();
    who.extend(named.services.iter().map(|name| format!("service {name}")));
    who.extend(named.teams.iter().map(|team| format!("members of {team}")));
    if !named.attributes.is_empty() {
        let attribute = |(name, values): (&String, &BTreeSet<String>)| {
            let values: Vec<String> = values.iter().map(|value| shown(value)).collect();
            format!("{name} {}", values.join(" or "))
        };
        let wanted: Vec<String> = named.attributes.iter().map(attribute).collect();
        who.push(format!("people with {}", wanted.join(" and ")));
    }
    let message = format!(
        "{subject} may not ask for {role}, which is for {}",
        who.join(", ")
    );
    let help = format!(
        "Ask for another role, or let access/resources/{}.yaml name {subject} under `eligible` in a pull request of its own.",
        role.resource
    );
    (message, help)
}
