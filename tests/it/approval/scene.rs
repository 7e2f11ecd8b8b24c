//! A pull request with its owners and reviews, built a fact at a time.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use chrono::TimeZone;
use hallpass::domain::catalogue::{Catalogue, ChangedFile, File, REGULAR_FILE};
use hallpass::domain::changes::Changes;
use hallpass::domain::codeowners::{Codeowners, LOCATIONS};
use hallpass::domain::decision::{Case, Surroundings};
use hallpass::domain::ledger::Holding;
use hallpass::domain::model::{
    Actor, ActorKind, BlobId, CommitId, ConnectionName, DriftMode, Gives, GrantPath, Instant,
    Login, Owner, PullNumber, RepoPath, Resource, ResourceName, Risk, Role, RoleName, TermLength,
    UserId,
};
use hallpass::domain::pull::{
    Collaborator, Lookup, Pull, PullState, Pushers, Review, ReviewState, Reviewed, Roster, Team,
};

/// Everybody who occurs, by number.
pub const PEOPLE: [&str; 8] = [
    "nobody", "octocat", "grace", "heidi", "ivan", "judy", "mallory", "deploy",
];

/// The grant file that is asked for.
pub const FILE: &str = "access/grants/orders/octocat-incident.yaml";

/// What CODEOWNERS says unless a test says otherwise.
pub const OWNERS: &str = "/access/ @acme/security\n/access/grants/orders/ @acme/dba\n";

/// The id that git gives to a content.
pub fn blob(content: &str) -> BlobId {
    let id = git2::Oid::hash_object(git2::ObjectType::Blob, content.as_bytes());
    BlobId::new(id.expect("a hash").to_string()).expect("hexadecimal")
}

/// A commit by a name.
pub fn commit(name: &str) -> CommitId {
    CommitId::new(blob(name).as_str()).expect("hexadecimal")
}

/// A regular file.
pub fn file(path: &str, content: &str) -> File {
    File {
        path: path.to_owned(),
        mode: REGULAR_FILE,
        blob: blob(content),
        bytes: Arc::from(content.as_bytes()),
    }
}

/// A login.
pub fn login(text: &str) -> Login {
    Login::new(text).expect("a login of the test")
}

/// An account of [`PEOPLE`].
pub fn actor(name: &str) -> Actor {
    let id = PEOPLE.iter().position(|p| *p == name);
    Actor {
        id: UserId(id.expect("somebody of the test") as u64),
        login: login(name),
        kind: ActorKind::User,
    }
}

/// A team of the organisation.
pub fn team(slug: &str) -> Owner {
    Owner::Team {
        organisation: login("acme"),
        slug: slug.to_owned(),
    }
}

/// Noon, and the given minutes.
pub fn at(minutes: i64) -> Instant {
    let noon = chrono::Utc
        .with_ymd_and_hms(2026, 11, 24, 12, 0, 0)
        .single()
        .expect("a date");
    noon + chrono::TimeDelta::minutes(minutes)
}

/// Everything that a case points at.
#[derive(Debug, Clone)]
pub struct Scene {
    pub pull: Pull,
    pub base: Catalogue,
    pub base_commit: CommitId,
    pub changes: Vec<ChangedFile>,
    pub reviewed: Reviewed,
    pub roster: Roster,
    pub holdings: Vec<Holding>,
    pub ended: BTreeMap<GrantPath, BlobId>,
    pub around: Surroundings,
    pub now: Instant,
}

impl Scene {
    /// octocat opened pull request 12, which adds [`FILE`]. grace, heidi and ivan are `@acme/dba`, judy is `@acme/security`.
    pub fn new() -> Self {
        let mut scene = Self {
            pull: pull(),
            base: Catalogue::default(),
            base_commit: commit("base"),
            changes: Vec::new(),
            reviewed: BTreeMap::new(),
            roster: Roster::default(),
            holdings: Vec::new(),
            ended: BTreeMap::new(),
            around: Surroundings::default(),
            now: at(0),
        };
        scene.owned(OWNERS);
        scene.staff("dba", &["grace", "heidi", "ivan"]);
        scene.staff("security", &["judy"]);
        scene.adds(FILE, "wanted");
        scene
    }

    /// CODEOWNERS of the base.
    pub fn owned(&mut self, text: &str) -> &mut Self {
        self.base.codeowners = Codeowners::parse(LOCATIONS[0], text.as_bytes());
        self
    }

    /// The members of a team.
    pub fn staff(&mut self, slug: &str, members: &[&str]) -> &mut Self {
        let found = Team {
            can_write: true,
            members: members.iter().map(|m| actor(m)).collect(),
        };
        self.roster.teams.insert(team(slug), Lookup::Found(found));
        self
    }

    /// A team, to be changed.
    pub fn team(&mut self, slug: &str) -> &mut Lookup<Team> {
        self.roster.teams.get_mut(&team(slug)).expect("a team")
    }

    /// A person who is named as owner.
    pub fn person(&mut self, name: &str, can_write: bool) -> &mut Self {
        let found = Collaborator {
            actor: actor(name),
            can_write,
        };
        self.roster.users.insert(login(name), Lookup::Found(found));
        self
    }

    /// The pull request adds a file with this content, and head shows it.
    pub fn adds(&mut self, path: &str, content: &str) -> &mut Self {
        self.changes(path, None, Some(content))
    }

    /// The pull request makes this of a file, and head shows it.
    pub fn changes(&mut self, path: &str, before: Option<&str>, after: Option<&str>) -> &mut Self {
        self.changes.push(ChangedFile {
            path: path.to_owned(),
            before: before.map(|content| (blob(content), REGULAR_FILE)),
            after: after.map(|content| file(path, content)),
        });
        self.shows("head", path, after)
    }

    /// What stands at a path in a commit.
    pub fn shows(&mut self, at: &str, path: &str, content: Option<&str>) -> &mut Self {
        let path = RepoPath::new(path).expect("a path of the test");
        let files = self.reviewed.entry(commit(at)).or_default();
        files.insert(path, content.map(blob));
        self
    }

    /// Somebody reviews head.
    pub fn reviews(&mut self, who: &str, state: ReviewState) -> &mut Self {
        let id = 100 + self.pull.reviews.len() as u64;
        self.pull.reviews.push(Review {
            id,
            reviewer: Some(actor(who)),
            state,
            commit: Some(commit("head")),
            body: String::new(),
            submitted_at: Some(at(i64::try_from(id).expect("small") - 100)),
        });
        self
    }

    /// Somebody approves head.
    pub fn approves(&mut self, who: &str) -> &mut Self {
        self.reviews(who, ReviewState::Approved)
    }

    /// The latest review, to be changed.
    pub fn last(&mut self) -> &mut Review {
        self.pull.reviews.last_mut().expect("a review")
    }

    /// Whom a roster must answer for.
    pub fn owners_to_ask(&self) -> BTreeSet<Owner> {
        let changes = Changes::read(self.changes.clone());
        Case::owners_to_ask(&self.base, &changes, &self.ended)
    }

    /// The case that all this makes.
    pub fn case(&self) -> Case<'_> {
        Case {
            pull: &self.pull,
            protected_branch: "main",
            base_commit: &self.base_commit,
            base: &self.base,
            changes: Arc::new(Changes::read(self.changes.clone())),
            reviewed: &self.reviewed,
            roster: &self.roster,
            holdings: &self.holdings,
            ended: &self.ended,
            around: &self.around,
            now: self.now,
        }
    }
}

/// The resource `orders` with the roles `readonly` (one approval) and `admin` (two, with a reason).
pub fn orders() -> (ResourceName, Resource) {
    let role = |description: &str, hours: &str, approvals: u32| Role {
        description: description.to_owned(),
        gives: Gives::Entitlement {
            connection: ConnectionName::new("orders-primary").expect("a name"),
            value: serde_json::json!({ "role": "orders" }),
        },
        min_duration: None,
        max_duration: TermLength::parse(hours).expect("a term"),
        max_total: Role::MAX_TOTAL,
        eligible: None,
        approval_max_age: Role::APPROVAL_MAX_AGE,
        emergency: None,
        approvals,
        requires: BTreeSet::new(),
        ticket_pattern: None,
        rationale: approvals > 1,
        conflicts_with: BTreeSet::new(),
    };
    let name = |text: &str| RoleName::new(text).expect("a name");
    let orders = Resource {
        name: ResourceName::new("orders").expect("a name"),
        description: "Orders database, production".to_owned(),
        risk: Risk::Critical,
        drift: DriftMode::Report,
        roles: [
            (name("readonly"), role("SELECT on every table", "8h", 1)),
            (name("admin"), role("Schema changes", "2h", 2)),
        ]
        .into_iter()
        .collect(),
    };
    (orders.name.clone(), orders)
}

fn pull() -> Pull {
    Pull {
        number: PullNumber(12),
        author: Some(actor("octocat")),
        title: "Please".to_owned(),
        state: PullState::Open,
        draft: false,
        base_branch: "main".to_owned(),
        head: commit("head"),
        head_branch: "octocat-incident".to_owned(),
        from_fork: false,
        commits: 1,
        pushers: Pushers::Known(BTreeSet::from([actor("octocat").id])),
        reviews: Vec::new(),
    }
}
