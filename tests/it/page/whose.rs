//! Whose access it is to end, and who may look: doubt never helps.

use std::collections::BTreeSet;

use hallpass::domain::model::{Actor, ActorKind, Owner, UserId};
use hallpass::domain::pull::{Collaborator, Lookup, Roster, Team};
use hallpass::domain::visitor::{holds, is_among, may_own, owns, says_why};

use crate::approval::scene::{actor, login, team};
use crate::store::active;

fn roster(members: Lookup<Team>, person: Lookup<Collaborator>) -> Roster {
    Roster {
        teams: [(team("dba"), members)].into(),
        users: [(login("heidi"), person)].into(),
    }
}

fn crew(can_write: bool) -> Lookup<Team> {
    Lookup::Found(Team {
        can_write,
        members: vec![actor("grace")],
    })
}

fn heidi(can_write: bool) -> Lookup<Collaborator> {
    Lookup::Found(Collaborator {
        actor: actor("heidi"),
        can_write,
    })
}

fn owners() -> Vec<Owner> {
    vec![team("dba"), Owner::User(login("heidi"))]
}

#[test]
fn owners_are_those_who_can_write_by_number_and_what_failed_is_no_yes() {
    let failed = || Lookup::Failed("GitHub was silent".to_owned());
    let silent = Err("GitHub was silent".to_owned());
    let through_team = Ok(Some(team("dba")));
    let by_name = Ok(Some(Owner::User(login("heidi"))));
    for (who, found, expected) in [
        (
            "grace",
            roster(crew(true), heidi(true)),
            through_team.clone(),
        ),
        ("heidi", roster(crew(true), heidi(true)), by_name.clone()),
        ("grace", roster(crew(false), heidi(true)), Ok(None)),
        ("heidi", roster(crew(true), heidi(false)), Ok(None)),
        ("mallory", roster(crew(true), heidi(true)), Ok(None)),
        ("grace", roster(Lookup::Absent, Lookup::Absent), Ok(None)),
        ("grace", Roster::default(), Ok(None)),
        ("mallory", roster(failed(), heidi(true)), silent.clone()),
        (
            "mallory",
            roster(crew(true), Lookup::Failed("GitHub was silent".to_owned())),
            silent,
        ),
        ("heidi", roster(failed(), heidi(true)), by_name),
    ] {
        assert_eq!(
            owns(&owners(), &found, &actor(who)),
            expected,
            "{who} {found:?}"
        );
    }
    // A login that changed hands, and an App.
    let other = Actor {
        id: UserId(4711),
        ..actor("heidi")
    };
    let bot = Actor {
        kind: ActorKind::Bot,
        ..actor("heidi")
    };
    for who in [other, bot] {
        let found = roster(crew(true), heidi(true));
        assert_eq!(owns(&owners(), &found, &who), Ok(None));
        let all: BTreeSet<Owner> = owners().into_iter().collect();
        assert!(!is_among(&all, &found, &who));
    }
    let all: BTreeSet<Owner> = owners().into_iter().collect();
    // Who looks need not be able to write.
    assert!(is_among(
        &all,
        &roster(crew(false), failed_person()),
        &actor("grace")
    ));
    assert!(!is_among(
        &all,
        &roster(failed(), failed_person()),
        &actor("grace")
    ));
}

fn failed_person() -> Lookup<Collaborator> {
    Lookup::Failed("GitHub was silent".to_owned())
}

#[test]
fn a_holder_is_known_by_number_alone() {
    let mut entry = active("ada-incident", "ada", 60);
    assert!(
        !holds(&entry, &[], &actor("octocat")),
        "its number is not known"
    );
    let account = &mut entry.terms.as_mut().unwrap().access.account;
    account.github_id = Some(actor("grace").id);
    assert!(holds(&entry, &[], &actor("grace")));
    assert!(
        !holds(&entry, &[actor("octocat").id], &actor("octocat")),
        "a person answers for themselves"
    );
    entry.terms = None;
    assert!(!holds(&entry, &[], &actor("grace")));
}

#[test]
fn a_reason_says_something() {
    for (text, fine) in [
        ("", false),
        ("    x    ", false),
        ("lost laptop", true),
        ("\u{7f3a}\u{5931}\u{4e86}\u{8bbe}\u{5907}", true),
    ] {
        assert_eq!(says_why(text), fine, "{text:?}");
    }
    assert!(says_why(&"x".repeat(500)) && !says_why(&"x".repeat(501)));
}

#[test]
fn without_the_forge_only_a_team_or_their_own_name_lets_somebody_be_an_owner() {
    let named = [Owner::User(login("heidi"))];
    assert!(may_own(&named, &actor("heidi")));
    assert!(!may_own(&named, &actor("mallory")));
    assert!(
        may_own(&owners(), &actor("mallory")),
        "the team may know them"
    );
    assert!(!may_own(&[], &actor("heidi")));
}
