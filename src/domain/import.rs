//! The first day on a system with people in it: what to propose so that access given by hand becomes access with an end.
//!
//! Nothing is adopted by itself: each proposal is a request as any other, approved by the owners of its resource.

use std::collections::{BTreeMap, BTreeSet};

use super::catalogue::Catalogue;
use super::drift::{Difference, Drift};
use super::model::{ConnectionName, Field, GrantPath, Login, RoleRef, Subject};

/// What to propose.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Import {
    /// Files of people who are not declared yet, by path. They come first, in a pull request of their own.
    pub people: BTreeMap<String, String>,
    /// Requests, by path.
    pub grants: BTreeMap<String, String>,
    /// Accounts of which nobody knows whose they are: on which connection, and what they have.
    pub unknown: Vec<Drift>,
}

/// Proposes for everything that was `found` to be given outside. `github` are the connections whose accounts are GitHub's, so that the
/// target's id of one is what a person's file holds.
pub fn import(tree: &Catalogue, found: &[Drift], github: &BTreeSet<ConnectionName>) -> Import {
    let mut import = Import::default();
    let outside = found
        .iter()
        .filter(|d| d.difference == Difference::GivenOutside);
    for drift in outside {
        let Some(role) = drift.roles.first() else {
            continue;
        };
        match tree.holder_of(&drift.connection, &drift.account) {
            Some(subject) => {
                if let Some((path, text)) = request(tree, &import.grants, role, &subject) {
                    import.grants.insert(path, text);
                }
            }
            None if !github.contains(&drift.connection) => import.unknown.push(drift.clone()),
            None => match person(tree, drift) {
                Some((path, text)) => drop(import.people.insert(path, text)),
                None => import.unknown.push(drift.clone()),
            },
        }
    }
    import
}

/// The request of `subject` for what it has; `None` where no file can have its name.
fn request(
    tree: &Catalogue,
    taken: &BTreeMap<String, String>,
    role: &RoleRef,
    subject: &Subject,
) -> Option<(String, String)> {
    let (_, limits) = tree.role(&role.resource, &role.role)?;
    let (key, name) = match subject {
        Subject::Person(login) => ("person", login.as_str()),
        Subject::Service(name) => ("service", name.as_str()),
    };
    let stem = format!(
        "access/grants/{}/{}-{}",
        role.resource,
        name.to_lowercase(),
        role.role
    );
    let path = (1..100).find_map(|n| {
        let path = if n == 1 {
            format!("{stem}.yaml")
        } else {
            format!("{stem}-{n}.yaml")
        };
        let path = GrantPath::new(path).ok()?;
        let free = !tree.grants.contains_key(&path) && !taken.contains_key(path.as_str());
        free.then(|| path.as_str().to_owned())
    })?;
    let mut text = format!(
        "{key}: {name}\nrole: {}\nduration: {}\nadopt: true\nreason: Had this access before Hallpass came; it ends now unless somebody says why it is still needed.\n",
        role.role, limits.max_duration
    );
    // Nobody but who asks knows them: the check tells what is missing.
    for (field, line) in [(Field::Ticket, "# ticket:\n"), (Field::Risk, "# risk:\n")] {
        if limits.requires.contains(&field) {
            text.push_str(line);
        }
    }
    Some((path, text))
}

/// The file of a person whom only GitHub knows so far; `None` for one who is declared under this login and has another account.
fn person(tree: &Catalogue, drift: &Drift) -> Option<(String, String)> {
    let id: u64 = drift.account_id.as_ref()?.parse().ok()?;
    let login = Login::new(drift.account.to_lowercase()).ok()?;
    if tree.people.contains_key(&login) {
        return None;
    }
    let path = format!("access/people/{login}.yaml");
    let text = format!(
        "github_id: {id}\nidentities:\n  {}: {}\n",
        drift.connection, drift.account
    );
    Some((path, text))
}
