//! Who is still there, by what stands on the protected branch and by the organisation's list.

use std::collections::BTreeSet;
use std::sync::Arc;

use hallpass::domain::catalogue::Catalogue;
use hallpass::domain::model::{Actor, ActorKind, ServiceName, Subject, UserId};
use hallpass::domain::parse::read_tree;
use hallpass::domain::people::{Attendance, Members, Outsiders, Presence, Receiver, Register};
use hallpass::domain::pull::Lookup;

use crate::approval::scene::{file, login};

const NOBODY_FAILED: Lookup<Arc<Members>> = Lookup::Absent;

fn tree(files: &[(&str, &str)]) -> Catalogue {
    let files: Vec<_> = files.iter().map(|(path, text)| file(path, text)).collect();
    read_tree(&files)
}

fn members(list: &[(u64, &str)]) -> Lookup<Arc<Members>> {
    let actor = |(id, name): &(u64, &str)| Actor {
        id: UserId(*id),
        login: login(name),
        kind: ActorKind::User,
    };
    Lookup::Found(Arc::new(list.iter().map(actor).collect()))
}

fn person(name: &str, id: u64) -> Receiver {
    Receiver {
        subject: Subject::Person(login(name)),
        github_id: Some(UserId(id)),
    }
}

fn service(id: Option<u64>) -> Receiver {
    Receiver {
        subject: Subject::Service(ServiceName::new("bot").unwrap()),
        github_id: id.map(UserId),
    }
}

fn attendance(
    tree: &Catalogue,
    members: &Lookup<Arc<Members>>,
    outsiders: Outsiders,
    receivers: &[Receiver],
) -> Attendance {
    let register = Register {
        tree,
        members,
        outsiders,
        released: &BTreeSet::new(),
    };
    register.attendance(&receivers.iter().cloned().collect())
}

/// What is known of one receiver.
fn known(
    tree: &Catalogue,
    members: &Lookup<Arc<Members>>,
    outsiders: Outsiders,
    receiver: Receiver,
) -> Option<Presence> {
    let attendance = attendance(tree, members, outsiders, std::slice::from_ref(&receiver));
    assert!(attendance.held_back.is_empty());
    attendance.presences.get(&receiver).copied()
}

const ADA: (&str, &str) = ("access/people/ada.yaml", "github_id: 1\n");
const ADA_ANEW: (&str, &str) = ("access/people/ada.yaml", "github_id: 9\n");
const ADA_FAULTY: (&str, &str) = ("access/people/ada.yaml", "github_id: one\n");

#[test]
fn a_person_is_there_by_file_by_number_and_by_membership() {
    use Outsiders::{Allowed, Refused};
    use Presence::{Doubtful, Gone};
    let failed = || Lookup::Failed("502".to_owned());
    let none: &[(&str, &str)] = &[];
    let table = [
        ("there", &[ADA][..], members(&[(1, "ada")]), Refused, None),
        (
            "file gone",
            none,
            members(&[(1, "ada")]),
            Refused,
            Some(Gone),
        ),
        ("file gone", none, failed(), Allowed, Some(Gone)),
        (
            "file faulty",
            &[ADA_FAULTY],
            members(&[(1, "ada")]),
            Refused,
            Some(Doubtful),
        ),
        (
            "file faulty, and left",
            &[ADA_FAULTY],
            members(&[(2, "bob")]),
            Refused,
            Some(Gone),
        ),
        ("left", &[ADA], members(&[(2, "bob")]), Refused, Some(Gone)),
        ("an outsider", &[ADA], members(&[(2, "bob")]), Allowed, None),
        ("not listed", &[ADA], failed(), Refused, None),
        ("no organisation", &[ADA], NOBODY_FAILED, Refused, None),
        (
            "another number in the file",
            &[ADA_ANEW],
            members(&[(1, "ada")]),
            Allowed,
            Some(Gone),
        ),
        (
            "another number in the file, and a member too",
            &[ADA_ANEW],
            members(&[(9, "ada")]),
            Refused,
            Some(Gone),
        ),
        (
            "another number in the file, and no organisation",
            &[ADA_ANEW],
            NOBODY_FAILED,
            Refused,
            Some(Gone),
        ),
        ("renamed", &[ADA], members(&[(1, "ada-new")]), Refused, None),
        (
            "renamed, and the login taken",
            &[ADA],
            members(&[(1, "ada-new"), (9, "ada")]),
            Refused,
            Some(Gone),
        ),
        (
            "the login taken from an outsider",
            &[ADA],
            members(&[(9, "ada")]),
            Allowed,
            Some(Gone),
        ),
    ];
    for (case, files, members, outsiders, expected) in table {
        let found = known(&tree(files), &members, outsiders, person("ada", 1));
        assert_eq!(found, expected, "{case}");
    }
}

#[test]
fn a_service_is_there_as_long_as_somebody_answers_for_it() {
    use Presence::{Doubtful, Gone, Orphaned};
    const BOT: (&str, &str) = (
        "access/services/bot.yaml",
        "description: Exports the orders every night.\nowner: ada\n",
    );
    const MACHINE: (&str, &str) = (
        "access/services/bot.yaml",
        "description: Exports the orders every night.\nowner: ada\ngithub_id: 50\n",
    );
    const FAULTY: (&str, &str) = ("access/services/bot.yaml", "owner: [ada]\n");
    let here = || members(&[(1, "ada")]);
    let table = [
        ("owned", &[BOT, ADA][..], here(), None, None),
        (
            "the owner's file gone",
            &[BOT],
            here(),
            None,
            Some(Orphaned),
        ),
        (
            "the owner's file faulty",
            &[BOT, ADA_FAULTY],
            here(),
            None,
            Some(Doubtful),
        ),
        (
            "the owner left",
            &[BOT, ADA],
            members(&[(2, "bob")]),
            None,
            Some(Orphaned),
        ),
        (
            "nobody knows",
            &[BOT, ADA],
            Lookup::Failed("502".to_owned()),
            None,
            None,
        ),
        ("its own file gone", &[ADA], here(), None, Some(Orphaned)),
        (
            "its own file faulty",
            &[FAULTY, ADA],
            here(),
            None,
            Some(Doubtful),
        ),
        ("its machine user", &[MACHINE, ADA], here(), Some(50), None),
        (
            "another machine user",
            &[MACHINE, ADA],
            here(),
            Some(51),
            Some(Gone),
        ),
        // The number was written into its file later: that is no other machine.
        ("a number came", &[MACHINE, ADA], here(), None, None),
        ("the number went", &[BOT, ADA], here(), Some(50), None),
        // Whoever has the owner's login now and a file of their own is a person who answers.
        (
            "the owner is another",
            &[BOT, ADA_ANEW],
            members(&[(9, "ada")]),
            None,
            None,
        ),
    ];
    for (case, files, members, id, expected) in table {
        let found = known(&tree(files), &members, Outsiders::Refused, service(id));
        assert_eq!(found, expected, "{case}");
    }
}

fn crowd(people: usize) -> (Catalogue, Vec<Receiver>, Vec<(u64, String)>) {
    let names: Vec<(u64, String)> = (1..=people as u64).map(|n| (n, format!("p{n}"))).collect();
    let files: Vec<(String, String)> = names
        .iter()
        .map(|(id, name)| {
            (
                format!("access/people/{name}.yaml"),
                format!("github_id: {id}\n"),
            )
        })
        .collect();
    let files: Vec<(&str, &str)> = files
        .iter()
        .map(|(p, t)| (p.as_str(), t.as_str()))
        .collect();
    let receivers = names.iter().map(|(id, name)| person(name, *id)).collect();
    (tree(&files), receivers, names)
}

#[test]
fn leavers_whom_owners_released_are_gone_and_the_others_meet_the_brake_by_themselves() {
    let (tree, receivers, names) = crowd(30);
    let stay: Vec<(u64, &str)> = names[14..]
        .iter()
        .map(|(id, name)| (*id, name.as_str()))
        .collect();
    let members = members(&stay);
    let held_back = |released: usize| {
        let register = Register {
            tree: &tree,
            members: &members,
            outsiders: Outsiders::Refused,
            released: &names[..released].iter().map(|(_, n)| n.clone()).collect(),
        };
        let found = register.attendance(&receivers.iter().cloned().collect());
        assert_eq!(found.leavers.len(), 14);
        let gone = |p: &&Presence| **p == Presence::Gone;
        (
            found.held_back.len(),
            found.presences.values().filter(gone).count(),
        )
    };
    assert_eq!(held_back(0), (14, 0));
    assert_eq!(held_back(6), (8, 6));
    assert_eq!(held_back(7), (0, 14), "seven more of thirty are believed");
}

#[test]
fn more_leavers_at_once_than_can_be_believed_are_held_back() {
    for (people, leave, believed) in [
        (6, 5, true),
        (6, 6, false),
        (20, 5, true),
        (20, 6, false),
        (40, 10, true),
        (40, 11, false),
    ] {
        let (tree, receivers, names) = crowd(people);
        let stay: Vec<(u64, &str)> = names[leave..]
            .iter()
            .map(|(id, name)| (*id, name.as_str()))
            .collect();
        // An empty list is refused before it comes here; one more member keeps this one from being empty.
        let stay = [&stay[..], &[(1000, "root")]].concat();
        let found = attendance(&tree, &members(&stay), Outsiders::Refused, &receivers);
        let expected = if believed {
            Presence::Gone
        } else {
            Presence::Doubtful
        };
        assert_eq!(found.presences.len(), leave, "{people} {leave}");
        assert!(found.presences.values().all(|p| *p == expected));
        assert_eq!(found.held_back.len(), if believed { 0 } else { leave });
    }
}

#[test]
fn whoever_held_something_under_two_numbers_is_one_person_to_the_brake() {
    let (tree, mut receivers, _) = crowd(5);
    let others: Vec<Receiver> = (1..=5).map(|n| person(&format!("p{n}"), 100 + n)).collect();
    receivers.extend(others.clone());
    let none = members(&[(1000, "root")]);
    let found = attendance(&tree, &none, Outsiders::Refused, &receivers);
    assert!(found.held_back.is_empty(), "five people, ten receivers");
    assert_eq!(found.presences.len(), 10);
}

#[test]
fn the_service_of_somebody_who_is_held_back_is_not_orphaned() {
    let (_, mut receivers, names) = crowd(7);
    let mut files: Vec<(String, String)> = names
        .iter()
        .map(|(id, name)| {
            (
                format!("access/people/{name}.yaml"),
                format!("github_id: {id}\n"),
            )
        })
        .collect();
    files.push((
        "access/services/bot.yaml".to_owned(),
        "description: Exports the orders every night.\nowner: p7\n".to_owned(),
    ));
    let files: Vec<(&str, &str)> = files
        .iter()
        .map(|(p, t)| (p.as_str(), t.as_str()))
        .collect();
    receivers.retain(|r| *r != person("p7", 7));
    receivers.push(service(None));
    let none = members(&[(1000, "root")]);
    let found = attendance(&tree(&files), &none, Outsiders::Refused, &receivers);
    assert_eq!(found.held_back.len(), 7, "its owner counts");
    let presences: BTreeSet<_> = found.presences.values().map(|p| format!("{p:?}")).collect();
    assert_eq!(presences, BTreeSet::from(["Doubtful".to_owned()]));
}

#[test]
fn two_lists_know_everybody_who_is_on_one_of_them() {
    let list = |pairs: &[(u64, &str)]| match members(pairs) {
        Lookup::Found(found) => found,
        other => panic!("{other:?}"),
    };
    let both = list(&[(1, "ada"), (2, "bob")]).joined(&list(&[(2, "bob"), (3, "eve")]));
    assert!([1, 2, 3].iter().all(|id| both.contains(UserId(*id))));
    assert_eq!(both.behind(&login("eve")), Some(UserId(3)));
    assert!(!both.contains(UserId(4)) && !both.is_empty());
}
