//! Who sits on the bench for one path: the people behind the owners of its deciding line, and who of them must stand aside.

use std::collections::{BTreeMap, BTreeSet};

use super::super::catalogue::Catalogue;
use super::super::codeowners::Ownership;
use super::super::decision::Case;
use super::super::model::{
    Access, Actor, ActorKind, Grant, GrantPath, Login, Owner, RepoPath, RoleRef, Subject, UserId,
};
use super::super::pull::{Collaborator, Lookup, Pull, Pushers, Roster, Team};

/// The people behind the owners of one path.
pub(in super::super) struct Bench<'a> {
    path: RepoPath,
    ownership: Ownership<'a>,
    /// For a part of a bundle: which, and the bench of the file. Who sits there may object, and not approve.
    part: Option<(RoleRef, Box<Bench<'a>>)>,
    members: BTreeMap<UserId, Member<'a>>,
    absent: Vec<String>,
    unknown: Vec<String>,
    pushers: PushersMay,
}

/// Whether those who pushed to a pull request may approve what it brings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum PushersMay {
    /// They stand aside: it is what they wrote.
    StandAside,
    /// They may: what can be pushed there is only an owner's word.
    Approve,
}

/// One person on the bench.
pub(in super::super) struct Member<'a> {
    pub(in super::super) actor: &'a Actor,
    /// The owner of the line through which the person counts: the first, or where a policy asks for how long, the one through which the
    /// person has counted for the longest.
    pub(in super::super) through: &'a Owner,
    /// The others through which the person would count as well.
    others: Vec<&'a Owner>,
    /// Why the person must stand aside.
    pub(super) barred: Option<Barred>,
}

/// Why an owner cannot approve.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Barred {
    /// Opened the pull request.
    Author,
    /// Pushed to it.
    Pusher,
    /// Receives the access, or is accountable for the service that does.
    Beneficiary,
    /// A policy of the organisation refuses them.
    Policy,
    /// A policy of the organisation refuses them because they have not been owners for long enough. Time alone mends it.
    Season,
}

/// Why a policy refuses an owner, as the end of a sentence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// Whatever time goes by.
    Lasting(String),
    /// Until they have been owners for long enough.
    Passing(String),
}

impl Refusal {
    /// Why.
    pub fn why(&self) -> &str {
        match self {
            Self::Lasting(why) | Self::Passing(why) => why,
        }
    }

    fn barred(&self) -> Barred {
        match self {
            Self::Lasting(_) => Barred::Policy,
            Self::Passing(_) => Barred::Season,
        }
    }
}

/// Everybody who gains by a grant: they cannot approve it, under any of their accounts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Beneficiary {
    ids: BTreeSet<UserId>,
    logins: BTreeSet<Login>,
}

impl Beneficiary {
    /// Who gains by `grant`: the person or the service's accountable owner, by number and by login, and everybody who is
    /// declared to use the same account in the target system.
    pub fn of(base: &Catalogue, path: &GrantPath, grant: &Grant) -> Self {
        Self::by(base, &grant.subject, base.access(path, grant).as_ref())
    }

    /// [`Beneficiary::of`] giving `role` to `subject`, by itself or as part of a bundle.
    pub fn of_role(base: &Catalogue, role: &RoleRef, subject: &Subject) -> Self {
        Self::by(base, subject, base.access_to(role, subject).as_ref())
    }

    /// Who gains by giving `access` to `subject`, whether or not it is declared any more.
    pub(super) fn by(base: &Catalogue, subject: &Subject, access: Option<&Access>) -> Self {
        let mut ids: BTreeSet<UserId> = base.beneficiaries(subject).into_iter().collect();
        let login = match subject {
            Subject::Person(login) => Some(login.clone()),
            Subject::Service(name) => base.services.get(name).map(|s| s.owner.clone()),
        };
        if let Some(access) = access {
            ids.extend(access.account.github_id);
            let shares = base.using(&access.connection, &access.account.name);
            ids.extend(shares.map(|p| p.github_id));
        }
        Self {
            ids,
            logins: login.into_iter().collect(),
        }
    }

    /// Whether `actor` is one of them. A login alone is enough: in doubt, somebody else approves.
    pub fn includes(&self, actor: &Actor) -> bool {
        self.ids.contains(&actor.id) || self.logins.contains(&actor.login)
    }
}

impl Member<'_> {
    fn count_through_the_longest(&mut self, case: &Case<'_>) {
        for owner in std::mem::take(&mut self.others) {
            let known = |owner| case.owner_minutes(owner, self.actor.id);
            if known(owner) > known(self.through) {
                self.through = owner;
            }
        }
    }
}

impl<'a> Bench<'a> {
    /// The people behind the owners of `path`, by the base's CODEOWNERS and the memberships of now.
    pub(in super::super) fn of(
        case: &Case<'a>,
        path: &RepoPath,
        beneficiary: &Beneficiary,
    ) -> Self {
        let ownership = case.base.codeowners.owners(path);
        let mut bench = Self {
            path: path.clone(),
            ownership,
            part: None,
            members: BTreeMap::new(),
            absent: Vec::new(),
            unknown: Vec::new(),
            pushers: PushersMay::StandAside,
        };
        let owners: &'a [Owner] = match bench.ownership {
            Ownership::Owned { owners, .. } => owners,
            Ownership::Cleared { .. } | Ownership::Unowned => &[],
        };
        for owner in owners {
            bench.seat(owner, case);
        }
        for member in bench.members.values_mut() {
            member.barred = barred(case.pull, beneficiary, member.actor);
            if case.base.policies.seasons_owners() {
                member.count_through_the_longest(case);
            }
        }
        bench
    }

    /// The people who approve `part` of the bundle that the file at `path` asks for: the owners of a grant of the same name for
    /// that part alone.
    pub(in super::super) fn of_part(
        case: &Case<'a>,
        path: &GrantPath,
        part: &RoleRef,
        beneficiary: &Beneficiary,
    ) -> Self {
        let alone = path.within(&part.resource).as_repo_path();
        let of_file = Self::of(case, &path.as_repo_path(), beneficiary);
        Self {
            part: Some((part.clone(), Box::new(of_file))),
            ..Self::of(case, &alone, beneficiary)
        }
    }

    /// The path whose owners they are.
    pub(super) fn path(&self) -> &RepoPath {
        &self.path
    }

    /// The part of a bundle that they approve; `None` where they own the file itself.
    pub(super) fn part(&self) -> Option<&RoleRef> {
        self.part.as_ref().map(|(part, _)| part)
    }

    /// What they own, after "an owner of".
    pub(super) fn thing(&self) -> String {
        self.part()
            .map_or("this file".to_owned(), ToString::to_string)
    }

    /// Lets those approve who pushed to the pull request.
    pub(super) fn welcome_pushers(&mut self) {
        self.pushers = PushersMay::Approve;
        for member in self.members.values_mut() {
            member.barred = member.barred.filter(|why| *why != Barred::Pusher);
        }
    }

    /// Why it is not known of anybody whether they may approve; `None` where it is, or makes no difference.
    pub(super) fn pushers_unknown<'p>(&self, pull: &'p Pull) -> Option<&'p str> {
        match (self.pushers, &pull.pushers) {
            (PushersMay::StandAside, Pushers::Unknown(why)) => Some(why),
            (PushersMay::StandAside, Pushers::Known(_)) | (PushersMay::Approve, _) => None,
        }
    }

    /// Bars whom a policy refuses.
    pub(super) fn refuse(&mut self, refused: &BTreeMap<UserId, Refusal>) {
        for (id, member) in &mut self.members {
            if let Some(refusal) = refused.get(id) {
                member.barred.get_or_insert(refusal.barred());
            }
        }
    }

    /// The owners of the deciding line.
    pub(super) fn owners(&self) -> &[Owner] {
        self.ownership.owners()
    }

    /// Who decides, and on which line.
    pub(super) fn ownership(&self) -> &Ownership<'a> {
        &self.ownership
    }

    /// Owners that count as absent: a sentence each.
    pub(super) fn absent(&self) -> &[String] {
        &self.absent
    }

    /// Owners that could not be looked up: a sentence each.
    pub(super) fn unknown(&self) -> &[String] {
        &self.unknown
    }

    /// The person on the bench with this number.
    pub(super) fn member(&self, id: UserId) -> Option<&Member<'a>> {
        self.members.get(&id)
    }

    /// Everybody on the bench.
    pub(in super::super) fn members(&self) -> impl Iterator<Item = &Member<'a>> {
        self.members.values()
    }

    /// Everybody on the bench who need not stand aside and is none of `taken`.
    pub(super) fn free(&self, taken: &[UserId]) -> impl Iterator<Item = &Member<'a>> {
        self.members()
            .filter(move |m| m.barred.is_none() && !taken.contains(&m.actor.id))
    }

    /// Whether the person with this number is an owner, standing aside or not: of the part or of the file.
    pub(in super::super) fn seats(&self, id: UserId) -> bool {
        let of_file = |bench: &Self| bench.seats(id);
        self.members.contains_key(&id) || self.part.as_ref().is_some_and(|(_, b)| of_file(b))
    }

    /// Whether it is not known of everybody whether they are an owner: of the part or of the file.
    pub(super) fn has_doubts(&self) -> bool {
        let of_file = |bench: &Self| bench.has_doubts();
        !self.unknown.is_empty() || self.part.as_ref().is_some_and(|(_, b)| of_file(b))
    }

    fn seat(&mut self, owner: &'a Owner, case: &Case<'a>) {
        let roster: &'a Roster = case.roster;
        match owner {
            Owner::Email(address) => self.absent.push(format!(
                "The owner {address} counts as absent: an email address does not say which account it is."
            )),
            Owner::Team { .. } => match roster.teams.get(owner) {
                Some(Lookup::Found(team)) => self.seat_team(owner, team),
                other => self.not_seated(owner, other),
            },
            Owner::User(login) => match roster.users.get(login) {
                Some(Lookup::Found(person)) if changed_hands(case.base, login, person) => {
                    let why = "its login belongs to another account now than the one in access/people/";
                    self.absent.push(absent(owner, why));
                }
                Some(Lookup::Found(person)) => self.seat_person(owner, person),
                other => self.not_seated(owner, other),
            },
        }
    }

    fn seat_team(&mut self, owner: &'a Owner, team: &'a Team) {
        if !team.can_write {
            let why = "the team cannot write to this repository";
            return self.absent.push(absent(owner, why));
        }
        let people = team.members.iter().filter(|a| a.kind == ActorKind::User);
        let before = self.members.len();
        for actor in people {
            self.sit(owner, actor);
        }
        if before == self.members.len() && team.members.is_empty() {
            self.absent
                .push(absent(owner, "the team has no active member"));
        }
    }

    fn seat_person(&mut self, owner: &'a Owner, person: &'a Collaborator) {
        if person.actor.kind != ActorKind::User {
            return self
                .absent
                .push(absent(owner, "it is not a person's account"));
        }
        if !person.can_write {
            let why = "the account cannot write to this repository";
            return self.absent.push(absent(owner, why));
        }
        self.sit(owner, &person.actor);
    }

    fn sit(&mut self, owner: &'a Owner, actor: &'a Actor) {
        let member = || Member {
            actor,
            through: owner,
            others: Vec::new(),
            barred: None,
        };
        let seated = self.members.entry(actor.id);
        seated
            .and_modify(|member| member.others.push(owner))
            .or_insert_with(member);
    }

    fn not_seated<T>(&mut self, owner: &Owner, lookup: Option<&Lookup<T>>) {
        match lookup {
            Some(Lookup::Absent) => {
                let why = "it does not exist, or is not visible here";
                self.absent.push(absent(owner, why));
            }
            Some(Lookup::Failed(why)) => {
                let sentence = format!("Who stands behind {owner} could not be looked up: {why}");
                self.unknown.push(sentence);
            }
            // Found is handled by the callers; anything else was not asked, which is no answer either.
            Some(Lookup::Found(_)) | None => {
                let sentence = format!("Who stands behind {owner} was not looked up.");
                self.unknown.push(sentence);
            }
        }
    }
}

/// Whether a login is known with another number: it was free after a renaming, and somebody else registered it.
fn changed_hands(base: &Catalogue, login: &Login, found: &Collaborator) -> bool {
    let known = base.people.get(login);
    known.is_some_and(|person| person.github_id != found.actor.id)
}

fn absent(owner: &Owner, why: &str) -> String {
    format!("The owner {owner} counts as absent: {why}.")
}

fn barred(pull: &Pull, beneficiary: &Beneficiary, actor: &Actor) -> Option<Barred> {
    let pushed = match &pull.pushers {
        Pushers::Known(ids) => ids.contains(&actor.id),
        // Nobody can be cleared of having pushed; that is reported once, for the whole pull request.
        Pushers::Unknown(_) => false,
    };
    if pull.author.as_ref().is_some_and(|a| a.id == actor.id) {
        Some(Barred::Author)
    } else if beneficiary.includes(actor) {
        Some(Barred::Beneficiary)
    } else {
        pushed.then_some(Barred::Pusher)
    }
}
