//! What the check of a pull request would say of a change, as far as a clone tells.
//!
//! It is the check's own judgement ([`decide`]) of a pull request that nobody has reviewed yet. Who is in which team is in no file: what is
//! so whoever is in them is told as certain, the rest as what it depends on.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::approval::Basis;
use super::catalogue::Catalogue;
use super::changes::Changes;
use super::decision::{Case, MayAsk, Request, Standing, Surroundings, Verdict, decide};
use super::finding::Finding;
use super::ledger::Holding;
use super::model::{
    Actor, ActorKind, BlobId, CommitId, GrantPath, Instant, Login, Owner, PullNumber, RoleRef,
    Subject, UserId,
};
use super::pull::{Collaborator, Lookup, Pull, PullState, Pushers, Reviewed, Roster, Team};
use super::supposed;

/// What is known of a change that is about to be proposed.
#[derive(Debug)]
pub struct Facts<'a> {
    /// The branch that counts.
    pub branch: &'a str,
    /// Its commit that judges.
    pub base_commit: &'a CommitId,
    /// What that commit declares.
    pub base: &'a Catalogue,
    /// What changes.
    pub changes: Arc<Changes>,
    /// Who proposes it; `None` where that is not known.
    pub author: Option<Actor>,
    /// What subjects hold now, as far as it is known.
    pub holdings: &'a [Holding],
    /// Grants that have ended and whose files still stand, as far as it is known.
    pub ended: &'a BTreeMap<GrantPath, BlobId>,
    /// The time.
    pub now: Instant,
}

/// What the check would say.
#[derive(Debug, Default)]
pub struct Foresight {
    /// What is wrong, whoever is in which team. Sorted.
    pub findings: Vec<Finding>,
    /// What is wrong only if somebody is, or is not, in one of `teams`.
    pub depends: Vec<Finding>,
    /// The teams whose members make a difference.
    pub teams: BTreeSet<Owner>,
    /// For each role that is asked for, who has to approve it.
    pub approvals: Vec<(RoleRef, Approval)>,
}

/// Who has to approve a role.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Approval {
    /// So many of these owners.
    Owners {
        /// How many, all of them different people.
        needed: u32,
        /// Who.
        owners: Vec<Owner>,
        /// Whether each review must say why.
        rationale: bool,
    },
    /// Nobody: this policy does it by itself.
    Policy(String),
    /// Nobody beforehand: it is an emergency.
    Afterwards,
}

/// Foresees the check of a change.
pub fn foresee(facts: &Facts<'_>) -> Foresight {
    let teams = teams(facts);
    let readings = supposed::memberships(&teams.iter().collect::<Vec<_>>());
    let verdicts: Vec<Verdict> = readings
        .iter()
        .map(|in_| judge(facts, &teams, in_))
        .collect();
    let told = |verdict: &Verdict| -> BTreeSet<Finding> {
        let found = verdict.findings.iter().filter(|f| is_known(facts, f));
        found.cloned().collect()
    };
    let told: Vec<BTreeSet<Finding>> = verdicts.iter().map(told).collect();
    let all: BTreeSet<&Finding> = told.iter().flatten().collect();
    let certain = |finding: &Finding| told.iter().all(|of| of.contains(finding));
    let (findings, depends) = all.into_iter().cloned().partition(certain);
    Foresight {
        findings,
        depends,
        teams,
        approvals: approvals(facts, &verdicts),
    }
}

/// The teams that policies mention, or whose members may ask for what is asked for.
fn teams(facts: &Facts<'_>) -> BTreeSet<Owner> {
    let may_ask = Case::may_ask(facts.base, facts.base, &facts.changes);
    let of_roles = may_ask.values().flat_map(MayAsk::teams);
    let of_policies = facts.base.policies.teams();
    of_policies.iter().chain(of_roles).cloned().collect()
}

/// Judges the change, if the subjects of its requests are in just the teams `in_` of all `teams`.
fn judge(facts: &Facts<'_>, teams: &BTreeSet<Owner>, in_: &BTreeSet<Owner>) -> Verdict {
    let subjects = facts.changes.asked().map(|(_, asked)| &asked.grant.subject);
    let behind: Vec<Actor> = subjects.flat_map(|s| people(facts.base, s)).collect();
    let team = |team: &Owner| {
        let members = match in_.contains(team) {
            true => behind.clone(),
            false => Vec::new(),
        };
        let team_of = Team {
            can_write: true,
            members,
        };
        (team.clone(), Lookup::Found(team_of))
    };
    let mut roster = Roster {
        teams: teams.iter().map(team).collect(),
        users: BTreeMap::new(),
    };
    suppose_owners(facts, &mut roster);
    let pull = pull(facts);
    decide(&Case {
        pull: &pull,
        protected_branch: facts.branch,
        base_commit: facts.base_commit,
        base: facts.base,
        changes: Arc::clone(&facts.changes),
        reviewed: &Reviewed::default(),
        roster: &roster,
        holdings: facts.holdings,
        ended: facts.ended,
        around: &Surroundings::default(),
        now: facts.now,
    })
}

/// The pull request, as it will be opened.
fn pull(facts: &Facts<'_>) -> Pull {
    Pull {
        number: PullNumber(0),
        author: facts.author.clone(),
        title: String::new(),
        state: PullState::Open,
        draft: false,
        base_branch: facts.branch.to_owned(),
        head: facts.base_commit.clone(),
        head_branch: String::new(),
        from_fork: false,
        commits: 1,
        pushers: Pushers::Known(facts.author.iter().map(|author| author.id).collect()),
        reviews: Vec::new(),
    }
}

/// Seats somebody behind each owner of what is asked for. Who they are decides who can approve, which is not told here; but what could
/// not be looked up would keep policies from approving by themselves.
fn suppose_owners(facts: &Facts<'_>, roster: &mut Roster) {
    let asked = facts.changes.asked();
    let paths = asked.flat_map(|(path, asked)| {
        let roles = facts.base.gives(path, &asked.grant).into_iter();
        let owned = roles.map(|role| path.within(&role.resource));
        owned.chain([path.clone()]).collect::<Vec<_>>()
    });
    for path in paths {
        let owners = facts.base.codeowners.owners(&path.as_repo_path());
        for owner in owners.owners() {
            match owner {
                Owner::Team { .. } => {
                    let team = Lookup::Found(Team {
                        can_write: true,
                        members: Vec::from_iter(somebody(facts.base, "somebody")),
                    });
                    roster.teams.entry(owner.clone()).or_insert(team);
                }
                Owner::User(login) => {
                    let person = somebody(facts.base, login.as_str()).map(|actor| Collaborator {
                        actor,
                        can_write: true,
                    });
                    let found = person.map_or(Lookup::Absent, Lookup::Found);
                    roster.users.entry(login.clone()).or_insert(found);
                }
                Owner::Email(_) => {}
            }
        }
    }
}

/// An account of that login: the declared one, or one of a number that nobody has.
fn somebody(base: &Catalogue, login: &str) -> Option<Actor> {
    let login = Login::new(login).ok()?;
    let declared = base.people.get(&login).map(|person| person.github_id);
    Some(Actor {
        id: declared.unwrap_or(UserId(0)),
        login,
        kind: ActorKind::User,
    })
}

/// The person who is `subject`, or answers for it.
fn people(base: &Catalogue, subject: &Subject) -> Option<Actor> {
    let login: &Login = match subject {
        Subject::Person(login) => login,
        Subject::Service(name) => &base.services.get(name)?.owner,
    };
    Some(Actor {
        id: base.people.get(login)?.github_id,
        login: login.clone(),
        kind: ActorKind::User,
    })
}

/// Whether a finding follows from what is known: who is left to approve was not looked up, and who asks need not be known.
fn is_known(facts: &Facts<'_>, finding: &Finding) -> bool {
    match finding.rule {
        "no-eligible-approver" => false,
        "author-unknown" => facts.author.is_some(),
        _ => true,
    }
}

/// Who has to approve each role, if in doubt more rather than fewer.
fn approvals(facts: &Facts<'_>, verdicts: &[Verdict]) -> Vec<(RoleRef, Approval)> {
    let requests = verdicts.iter().flat_map(|verdict| &verdict.requests);
    let mut by_role: BTreeMap<RoleRef, Approval> = BTreeMap::new();
    for request in requests {
        let Some((role, approval)) = approval(facts.base, request) else {
            continue;
        };
        let is_owners = |a: &Approval| matches!(a, Approval::Owners { .. });
        match by_role.get(&role) {
            Some(known) if is_owners(known) => {}
            _ => drop(by_role.insert(role, approval)),
        }
    }
    by_role.into_iter().collect()
}

fn approval(base: &Catalogue, request: &Request) -> Option<(RoleRef, Approval)> {
    let role = request.role.clone()?;
    let approval = match &request.approval {
        Standing::Missing(missing) => Approval::Owners {
            needed: missing.needed,
            owners: missing.owners.clone(),
            rationale: request
                .binding()
                .filter_map(|role| Some(base.role(&role.resource, &role.role)?.1))
                .any(|role| role.rationale),
        },
        Standing::Approved(proof) => match proof.basis() {
            Basis::Policy { id, .. } => Approval::Policy(id.clone()),
            Basis::Emergency | Basis::Owners => Approval::Afterwards,
        },
        Standing::NotNeeded(_) => return None,
    };
    Some((role, approval))
}
