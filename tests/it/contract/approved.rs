//! An approved grant, by the only way there is: a merged pull request with an owner's review.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, TimeDelta};
use hallpass::domain::catalogue::{ChangedFile, File, REGULAR_FILE};
use hallpass::domain::changes::Changes;
use hallpass::domain::decision::{Admission, Approved, Case, admit};
use hallpass::domain::model::{
    Access, Actor, ActorKind, BlobId, CommitId, Gives, GrantPath, Instant, Login, Owner,
    PullNumber, RepoPath, UserId,
};
use hallpass::domain::parse::read_tree;
use hallpass::domain::pull::{
    Collaborator, Lookup, Pull, PullState, Pushers, Review, ReviewState, Roster,
};

const PATH: &str = "access/grants/orders/octocat-incident.yaml";

fn file(path: &str, digit: char, text: &str) -> File {
    File {
        path: path.to_owned(),
        mode: REGULAR_FILE,
        blob: BlobId::new(digit.to_string().repeat(40)).unwrap(),
        bytes: text.as_bytes().into(),
    }
}

fn commit(digit: char) -> CommitId {
    CommitId::new(digit.to_string().repeat(40)).unwrap()
}

fn actor(id: u64, login: &str) -> Actor {
    Actor {
        id: UserId(id),
        login: Login::new(login).unwrap(),
        kind: ActorKind::User,
    }
}

fn at(minute: i64) -> Instant {
    DateTime::from_timestamp(1_800_000_000, 0).unwrap() + TimeDelta::minutes(minute)
}

/// `access`, asked for by octocat and approved by grace.
pub fn approved(access: &Access) -> Approved {
    let mut base = read_tree(&[
        file(".github/CODEOWNERS", '1', "/access/ @grace\n"),
        file(
            "access/people/octocat.yaml",
            '2',
            "github_id: 1\nidentities:\n  db: replaced\n",
        ),
        file("access/people/grace.yaml", '3', "github_id: 2\n"),
        file(
            "access/resources/orders.yaml",
            '4',
            "description: Orders database\nrisk: low\nprovider: db\nroles:\n  readonly:\n    description: SELECT on every table\n    \
             entitlement: { role: replaced }\n    max_duration: 8h\n",
        ),
    ]);
    // The parser is stricter than the server, which these tests are about.
    let person = base
        .people
        .get_mut(&Login::new("octocat").unwrap())
        .unwrap();
    let id = access.account.github_id.unwrap();
    person.github_id = id;
    person
        .identities
        .insert(access.connection.clone(), access.account.name.clone());
    let resource = base.resources.values_mut().next().unwrap();
    resource.roles.values_mut().next().unwrap().gives = Gives::Entitlement {
        connection: access.connection.clone(),
        value: access.entitlement.clone(),
    };

    let asked = file(
        PATH,
        '5',
        "person: octocat\nrole: readonly\nduration: 2h\nreason: Checkout fails for some customers.\n",
    );
    let (path, blob) = (GrantPath::new(PATH).unwrap(), asked.blob.clone());
    let changes = Changes::read(vec![ChangedFile {
        path: PATH.to_owned(),
        before: None,
        after: Some(asked),
    }]);
    let head = commit('b');
    let reviewed = BTreeMap::from([(
        head.clone(),
        BTreeMap::from([(RepoPath::new(PATH).unwrap(), Some(blob.clone()))]),
    )]);
    let admission = admit(
        &Case {
            pull: &merged(&head, id),
            protected_branch: "main",
            base_commit: &commit('a'),
            base: &base,
            changes: changes.into(),
            reviewed: &reviewed,
            roster: &roster(),
            holdings: &[],
            ended: &BTreeMap::new(),
            around: &Default::default(),
            now: at(3),
        },
        &path,
        &blob,
    );
    match admission {
        Admission::Approved(approved) => {
            let (account, given) = (access.account.id.clone(), access.entitlement_id.clone());
            let approved = approved.bound(account, given);
            assert_eq!(approved.access(), access);
            approved
        }
        other => panic!("{other:?}"),
    }
}

fn merged(head: &CommitId, author: UserId) -> Pull {
    let review = Review {
        id: 9,
        reviewer: Some(actor(2, "grace")),
        state: ReviewState::Approved,
        commit: Some(head.clone()),
        body: "Needed.".to_owned(),
        submitted_at: Some(at(1)),
    };
    Pull {
        number: PullNumber(7),
        author: Some(actor(author.0, "octocat")),
        title: "Read the orders".to_owned(),
        state: PullState::Merged {
            commit: commit('c'),
            at: at(2),
            by: Some(actor(2, "grace")),
        },
        draft: false,
        base_branch: "main".to_owned(),
        head: head.clone(),
        head_branch: "octocat-incident".to_owned(),
        from_fork: false,
        commits: 1,
        pushers: Pushers::Known(BTreeSet::from([author])),
        reviews: vec![review],
    }
}

fn roster() -> Roster {
    let grace = Collaborator {
        actor: actor(2, "grace"),
        can_write: true,
    };
    let login = grace.actor.login.clone();
    debug_assert_eq!(Owner::User(login.clone()).to_string(), "@grace");
    Roster {
        teams: BTreeMap::new(),
        users: BTreeMap::from([(login, Lookup::Found(grace))]),
    }
}
