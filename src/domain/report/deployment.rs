//! What GitHub shows of a deployment: by which grant it was let through, or how to ask for one.

use super::super::catalogue::Catalogue;
use super::super::deployment::{Deployment, Starter};
use super::super::ledger::Entry;
use super::super::model::{ConnectionName, Field, RoleRef, Subject};
use super::markdown::{code, sentence};
use super::notice::Pages;
use super::utc;

/// A role that gives deploying to an environment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offer {
    /// The role.
    pub role: RoleRef,
    /// The connection that knows its accounts.
    pub connection: ConnectionName,
}

/// Why a deployment is let through.
pub fn deployment_approved(entry: &Entry) -> String {
    let Some(terms) = &entry.terms else {
        return format!("Let through by {}.", code(entry.path.as_str()));
    };
    let pull = entry.arrival.pull;
    let pull = pull.map(|n| format!(", pull request {n} of the access repository"));
    format!(
        "{} has {} until **{}** ({}{}).",
        code(&terms.subject.to_string()),
        code(&terms.role.to_string()),
        utc(terms.ends),
        code(entry.path.as_str()),
        pull.unwrap_or_default()
    )
}

/// Why a deployment waits, and the way on. `later` is a grant that has not begun.
pub fn deployment_waiting(
    pages: &Pages,
    tree: &Catalogue,
    deployment: &Deployment,
    offers: &[Offer],
    later: Option<&Entry>,
) -> String {
    let place = &deployment.place;
    let mut out = format!(
        "This waits for access: {} has no grant for the environment {} of {} now.\n\n",
        code(deployment.by()),
        code(&place.environment),
        code(&place.repository.to_string()),
    );
    if let Some((entry, terms)) = later.and_then(|e| Some((e, e.terms.as_ref()?))) {
        out.push_str(&format!(
            "{} begins at **{}**: then this goes on by itself.\n",
            code(entry.path.as_str()),
            utc(terms.starts)
        ));
        return out;
    }
    out.push_str(&way_on(pages, tree, deployment, offers));
    out.push_str(
        "\nNothing has to be started again: this goes on by itself once the grant begins. GitHub gives it up after 30 days.\n",
    );
    out
}

fn way_on(pages: &Pages, tree: &Catalogue, deployment: &Deployment, offers: &[Offer]) -> String {
    if offers.is_empty() {
        return "No role in `access/resources/` gives this environment: whoever keeps the access repository has to declare one first.\n".to_owned();
    }
    let starter = deployment.starter.as_ref();
    let Some(subject) = starter.and_then(|s| subject(tree, s)) else {
        let who = starter.map_or_else(
            || "GitHub does not say who started it".to_owned(),
            |s| {
                format!(
                    "nobody in `access/people/` or `access/services/` has the `github_id: {}`",
                    s.id
                )
            },
        );
        let roles = offers.iter().map(|offer| code(&offer.role.to_string()));
        return format!(
            "The way is a grant of {}, but {who}. That comes first.\n",
            super::super::approval::list(roles.collect(), "or")
        );
    };
    let asks = offers.iter().map(|offer| ask(pages, tree, &subject, offer));
    format!(
        "To ask, propose one of these files as a pull request; an owner approves it:\n\n{}",
        asks.collect::<String>()
    )
}

/// Whom the access repository knows by GitHub's number.
fn subject(tree: &Catalogue, starter: &Starter) -> Option<Subject> {
    let mut people = tree.people.values();
    let person = people.find(|person| person.github_id == starter.id);
    let mut services = tree.services.iter();
    let service = services.find(|(_, service)| service.github_id == Some(starter.id));
    let person = person.map(|person| Subject::Person(person.login.clone()));
    person.or_else(|| service.map(|(name, _)| Subject::Service(name.clone())))
}

/// The file that asks for `role`, and what it says before its writer fills it in.
pub fn request_file<'a>(
    subject: &Subject,
    RoleRef { resource, role }: &RoleRef,
    needs: impl IntoIterator<Item = &'a Field>,
) -> (String, String) {
    let (key, name) = match subject {
        Subject::Person(login) => ("person", login.as_str()),
        Subject::Service(name) => ("service", name.as_str()),
    };
    // Logins of managed users have a `_`, which names of files do not.
    let file = name.to_ascii_lowercase().replace('_', "-");
    let path = format!("access/grants/{resource}/{file}-{role}.yaml");
    let mut text = format!("{key}: {name}\nrole: {role}\nduration: 1h\nreason: \n");
    for field in needs {
        text.push_str(match field {
            Field::Ticket => "ticket: \n",
            Field::Risk => "risk: \n",
        });
    }
    (path, text)
}

/// One file that asks for it, prefilled.
fn ask(pages: &Pages, tree: &Catalogue, subject: &Subject, offer: &Offer) -> String {
    let RoleRef { resource, role } = &offer.role;
    let (name, folder) = match subject {
        Subject::Person(login) => (login.as_str(), "people"),
        Subject::Service(name) => (name.as_str(), "services"),
    };
    let needs = tree.role(resource, role).map(|(_, role)| &role.requires);
    let (path, text) = request_file(subject, &offer.role, needs.into_iter().flatten());
    let known = tree.access_to(&offer.role, subject).is_some();
    let first = match known {
        true => String::new(),
        false => format!(
            " (first, {} needs an identity for {})",
            code(&format!("access/{folder}/{name}.yaml")),
            code(offer.connection.as_str())
        ),
    };
    format!(
        "- {}: [{}]({}){first}\n",
        code(&offer.role.to_string()),
        sentence(&path),
        pages.new_file(&path, &text)
    )
}
