//! A grant with its proof, got the only way there is: by having its pull request judged.

use std::collections::BTreeMap;

use hallpass::domain::catalogue::{ChangedFile, File, REGULAR_FILE};
use hallpass::domain::changes::Changes;
use hallpass::domain::decision::{Admission, Approved, Case, admit};
use hallpass::domain::model::{
    Actor, ActorKind, BlobId, CommitId, GrantPath, Login, PullNumber, RepoPath, UserId,
};
use hallpass::domain::parse::read_tree;
use hallpass::domain::pull::{
    Collaborator, Lookup, Pull, PullState, Pushers, Review, ReviewState, Roster,
};

use super::scripted::noon;

const GRANT: &str = "access/grants/oncall/night.yaml";

fn file(path: &str, content: &str) -> File {
    let blob = BlobId::new(
        hex::encode(content.as_bytes())
            .chars()
            .chain("0".repeat(40).chars())
            .take(40)
            .collect::<String>(),
    );
    File {
        path: path.to_owned(),
        mode: REGULAR_FILE,
        blob: blob.unwrap(),
        bytes: content.as_bytes().into(),
    }
}

fn actor(id: u64, login: &str) -> Actor {
    Actor {
        id: UserId(id),
        login: Login::new(login).unwrap(),
        kind: ActorKind::User,
    }
}

/// `login`, recorded as account `id`, may be in the team `oncall` with this role there: approved by grace, the owner.
pub fn approved(login: &str, id: UserId, role: &str) -> Approved {
    let base = read_tree(&[
        file(".github/CODEOWNERS", "/access/ @grace\n"),
        file(
            &format!("access/people/{login}.yaml"),
            &format!("github_id: {id}\nidentities:\n  teams: {login}\n"),
        ),
        file(
            "access/resources/oncall.yaml",
            &format!(
                "description: On call\nrisk: low\nprovider: teams\nroles:\n  caller:\n    description: Is called\n    \
                 entitlement: {{ team: oncall, role: {role} }}\n    max_duration: 8h\n    approvals: 1\n"
            ),
        ),
    ]);
    assert_eq!(base.findings, []);
    let asked = file(
        GRANT,
        &format!("person: {login}\nrole: caller\nduration: 2h\nreason: It is my night.\n"),
    );
    let (blob, head, path) = (
        asked.blob.clone(),
        CommitId::new("a".repeat(40)).unwrap(),
        GrantPath::new(GRANT).unwrap(),
    );
    let review = Review {
        id: 1,
        reviewer: Some(actor(2, "grace")),
        state: ReviewState::Approved,
        commit: Some(head.clone()),
        body: String::new(),
        submitted_at: Some(noon()),
    };
    let pull = Pull {
        number: PullNumber(1),
        author: Some(actor(id.0, login)),
        title: String::new(),
        state: PullState::Merged {
            commit: CommitId::new("c".repeat(40)).unwrap(),
            at: noon(),
            by: None,
        },
        draft: false,
        base_branch: "main".to_owned(),
        head: head.clone(),
        head_branch: "night".to_owned(),
        from_fork: false,
        commits: 1,
        pushers: Pushers::Known([id].into()),
        reviews: vec![review],
    };
    let grace = Collaborator {
        actor: actor(2, "grace"),
        can_write: true,
    };
    let roster = Roster {
        teams: BTreeMap::new(),
        users: [(grace.actor.login.clone(), Lookup::Found(grace))].into(),
    };
    let seen = [(RepoPath::new(GRANT).unwrap(), Some(blob.clone()))].into();
    let case = Case {
        pull: &pull,
        protected_branch: "main",
        base_commit: &CommitId::new("b".repeat(40)).unwrap(),
        base: &base,
        changes: Changes::read(vec![ChangedFile {
            path: GRANT.to_owned(),
            before: None,
            after: Some(asked),
        }])
        .into(),
        reviewed: &[(head, seen)].into(),
        roster: &roster,
        holdings: &[],
        ended: &BTreeMap::new(),
        around: &Default::default(),
        now: noon(),
    };
    match admit(&case, &path, &blob) {
        Admission::Approved(approved) => *approved,
        other => panic!("{other:?}"),
    }
}
