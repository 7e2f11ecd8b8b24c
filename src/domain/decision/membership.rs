//! Members: access is for people of the organisation, and for services that one of them answers for.

use super::super::finding::Finding;
use super::super::model::{Grant, GrantPath, Login, Subject};
use super::super::people::Members;
use super::super::pull::Lookup;
use super::{Case, Request};

/// Whoever would receive something, and is no member.
pub(super) fn findings(case: &Case<'_>, requests: &[Request]) -> Vec<Finding> {
    let Some(Lookup::Found(members)) = &case.around.members else {
        return Vec::new();
    };
    let finding = |request: &Request| {
        let grant = request.grant.as_ref()?;
        let login = answerable(case, grant)?;
        (!is_member(case, login, members)).then(|| stranger(case, &request.path, grant, login))
    };
    requests.iter().filter_map(finding).collect()
}

/// What could not be looked up about whoever would receive something.
pub(super) fn unknowns(case: &Case<'_>, requests: &[Request]) -> Vec<String> {
    let Some(Lookup::Failed(why)) = &case.around.members else {
        return Vec::new();
    };
    let asked = requests
        .iter()
        .filter_map(|r| answerable(case, r.grant.as_ref()?));
    asked
        .map(|login| format!("Whether {login} is a member of the organisation: {why}"))
        .collect()
}

/// The person who receives it, or answers for the service that does. `None` where they are not declared, which is a finding of
/// its own.
fn answerable<'a>(case: &'a Case<'_>, grant: &'a Grant) -> Option<&'a Login> {
    let login = match &grant.subject {
        Subject::Person(login) => login,
        Subject::Service(name) => &case.base.services.get(name)?.owner,
    };
    case.base.people.contains_key(login).then_some(login)
}

/// By number: a login is free to be registered by somebody else as soon as its account is gone.
fn is_member(case: &Case<'_>, login: &Login, members: &Members) -> bool {
    let person = case.base.people.get(login);
    person.is_some_and(|p| members.contains(p.github_id))
}

fn stranger(case: &Case<'_>, path: &GrantPath, grant: &Grant, login: &Login) -> Finding {
    let number = case.base.people.get(login).map(|p| p.github_id.to_string());
    let number = number.unwrap_or_default();
    let who = match &grant.subject {
        Subject::Person(_) => format!("{login} (account {number})"),
        Subject::Service(name) => {
            format!("the owner of service {name}, {login} (account {number}),")
        }
    };
    Finding::error(
        "not-a-member",
        path.as_str(),
        case.changes.places(path).subject,
        format!("{who} is not an active member of the organisation"),
        format!(
            "Accept the invitation if there is one, or ask an owner of the organisation for one. If the account changed, correct \
             `github_id` in access/people/{login}.yaml in a pull request of its own."
        ),
    )
}
