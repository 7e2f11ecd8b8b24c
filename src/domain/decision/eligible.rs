//! Who may ask for a role where that takes the forge's word: members of teams.
//!
//! People, services and attributes are the tree's own and are told by [`rules::check_change`]; here they count once more by what
//! the protected branch declares now, for a grant that begins after its merge.

use std::collections::{BTreeMap, BTreeSet};

use super::super::catalogue::Catalogue;
use super::super::changes::Changes;
use super::super::finding::Finding;
use super::super::model::{
    Eligibility, Grant, GrantPath, Owner, RepoPath, RoleRef, Subject, UserId,
};
use super::super::pull::Lookup;
use super::super::rules::{self, Eligible, refusal};
use super::{Asks, Case, Request};

/// Whether the subject of a grant may ask for its role, as far as a tree tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MayAsk {
    /// It may, or other rules say why there is nothing to ask for.
    Yes,
    /// It may not: the role is for these.
    No(Eligibility),
    /// It may as an active member of one of the teams.
    InTeams(Eligibility),
}

impl MayAsk {
    /// For `role`, which `grant` asks for by itself or as part of a bundle, by what `tree` declares.
    pub fn by(tree: &Catalogue, role: &RoleRef, grant: &Grant) -> Self {
        let Some((_, role)) = tree.role(&role.resource, &role.role) else {
            return Self::Yes;
        };
        match rules::eligible(tree, grant, role) {
            Eligible::Yes => Self::Yes,
            Eligible::No(named) => Self::No(named.clone()),
            Eligible::InTeams(named) => Self::InTeams(named.clone()),
        }
    }

    /// The teams that must be looked up to tell.
    pub fn teams(&self) -> impl Iterator<Item = &Owner> {
        let named = match self {
            Self::InTeams(named) => Some(named),
            Self::Yes | Self::No(_) => None,
        };
        named.into_iter().flat_map(|named| &named.teams)
    }
}

impl Case<'_> {
    /// Who may ask for what a change asks for in view of `base`, by what `tree` declares: for each file and each role that binds
    /// it.
    pub fn may_ask(
        base: &Catalogue,
        tree: &Catalogue,
        changes: &Changes,
    ) -> BTreeMap<(GrantPath, RoleRef), MayAsk> {
        let mut may_ask = BTreeMap::new();
        for (path, declared) in changes.asked() {
            for role in base.binding(path, &declared.grant) {
                let may = MayAsk::by(tree, &role, &declared.grant);
                may_ask.insert((path.clone(), role), may);
            }
        }
        may_ask
    }

    /// The files that say who may ask for this.
    pub fn files_of_eligibility(asks: &Asks) -> Vec<RepoPath> {
        let mut files = BTreeSet::new();
        for (subject, role) in asks {
            files.insert(format!("access/resources/{}.yaml", role.resource));
            if let Subject::Person(login) = subject {
                files.insert(format!("access/people/{login}.yaml"));
            }
        }
        files
            .iter()
            .filter_map(|path| RepoPath::new(path).ok())
            .collect()
    }
}

/// What is wrong with `requests`.
pub(super) fn findings(case: &Case<'_>, requests: &[Request]) -> Vec<Finding> {
    let mut found = Vec::new();
    for (request, grant, role, named) in not_said(case, requests) {
        if let Membership::No(named) = membership(case, grant, &named) {
            let (message, help) = refusal(&grant.subject, role, &named);
            let place = case.changes.places(&request.path).subject;
            let path = request.path.as_str();
            found.push(Finding::error("not-eligible", path, place, message, help));
        }
    }
    found
}

/// What is not known about who may ask.
pub(super) fn unknowns(case: &Case<'_>, requests: &[Request]) -> Vec<String> {
    let mut unknown = Vec::new();
    for (_, grant, _, named) in not_said(case, requests) {
        if let Membership::Unknown(why) = membership(case, grant, &named) {
            unknown.extend(why);
        }
    }
    unknown
}

/// What the tree of the base does not answer with yes: every judgement that is asked for, with its request and its role.
fn not_said<'r>(
    case: &Case<'_>,
    requests: &'r [Request],
) -> impl Iterator<Item = (&'r Request, &'r Grant, &'r RoleRef, MayAsk)> {
    requests.iter().flat_map(|request| {
        let Some(grant) = &request.grant else {
            return Vec::new();
        };
        let of_role = |role: &'r RoleRef| {
            let by_base = MayAsk::by(case.base, role, grant);
            // What the base alone refuses has been told already.
            let by_base = Some(by_base).filter(|may| matches!(may, MayAsk::InTeams(_)));
            let key = (request.path.clone(), role.clone());
            let now = case.around.may_ask_now.get(&key).cloned();
            let judgements = by_base.into_iter().chain(now);
            judgements
                .filter(|may| *may != MayAsk::Yes)
                .map(move |may| (request, grant, role, may))
                .collect::<Vec<_>>()
        };
        request.binding().flat_map(of_role).collect()
    })
}

enum Membership {
    Yes,
    No(Eligibility),
    Unknown(Vec<String>),
}

/// Whether the subject is an active member of one of the teams, by its number and never by its login.
fn membership(case: &Case<'_>, grant: &Grant, may: &MayAsk) -> Membership {
    let named = match may {
        MayAsk::Yes => return Membership::Yes,
        MayAsk::No(named) => return Membership::No(named.clone()),
        MayAsk::InTeams(named) => named,
    };
    let Some(id) = case.base.github_id(&grant.subject) else {
        // Not declared, which is told already.
        return Membership::Yes;
    };
    let mut unknown = BTreeSet::new();
    for team in &named.teams {
        match in_team(case, team, id) {
            Ok(true) => return Membership::Yes,
            Ok(false) => {}
            Err(why) => drop(unknown.insert(why)),
        }
    }
    if unknown.is_empty() {
        Membership::No(named.clone())
    } else {
        Membership::Unknown(unknown.into_iter().collect())
    }
}

fn in_team(case: &Case<'_>, team: &Owner, id: UserId) -> Result<bool, String> {
    match case.roster.teams.get(team) {
        Some(Lookup::Found(team)) => Ok(team.members.iter().any(|member| member.id == id)),
        Some(Lookup::Absent) => Ok(false),
        Some(Lookup::Failed(why)) => Err(format!(
            "Who is in {team}, whose members may ask for a role, could not be looked up: {why}"
        )),
        None => Err(format!(
            "Who is in {team}, whose members may ask for a role, was not looked up."
        )),
    }
}
