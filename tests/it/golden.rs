//! Whole pull requests, as folders of `tests/golden`, and the check that each of them gets, word for word.
//!
//! A case is a folder: `base/` and `head/` hold what differs from `_base` (an organisation that all cases share), `pull.yaml`
//! tells what the forge says, `expected.md` is the check. Other folders of a case are trees that a review looked at.

mod emergencies;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use chrono::TimeDelta;
use hallpass::domain::catalogue::{Catalogue, ChangedFile, File, REGULAR_FILE};
use hallpass::domain::changes::Changes;
use hallpass::domain::decision::{Case, Pending, Surroundings, decide};
use hallpass::domain::history::{Ending, Past};
use hallpass::domain::ledger::Holding;
use hallpass::domain::model::{
    Actor, ActorKind, BlobId, CommitId, GrantPath, Instant, Login, Owner, PullNumber, RoleRef,
    ServiceName, Subject, UserId,
};
use hallpass::domain::parse::read_tree;
use hallpass::domain::people::Members;
use hallpass::domain::pull::{
    Collaborator, Lookup, Pull, PullState, Pushers, Review, ReviewState, Reviewed, Roster, Team,
};
use hallpass::domain::report::{self, Check, CheckStatus};
use serde::Deserialize;

use crate::approval::scene::{commit, login};

/// Everybody who occurs, by number.
const PEOPLE: [&str; 10] = [
    "nobody",
    "octocat",
    "grace",
    "heidi",
    "ivan",
    "judy",
    "linus",
    "mei",
    "mallory",
    "acme-deploy-bot",
];

/// Set to `1` to write what the checks say now over every `expected.md`.
const BLESS: &str = "HALLPASS_BLESS";

/// What `pull.yaml` may say.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Story {
    /// What the case shows, in a sentence.
    about: String,
    #[serde(default = "octocat")]
    author: Option<String>,
    /// The author, if it does not say.
    pushers: Option<Vec<String>>,
    pushers_unknown: Option<String>,
    #[serde(default)]
    fork: bool,
    #[serde(default)]
    draft: bool,
    #[serde(default)]
    closed: bool,
    #[serde(default = "main_branch")]
    branch: String,
    now: Instant,
    #[serde(default)]
    teams: BTreeMap<String, TeamSays>,
    #[serde(default)]
    users: BTreeMap<String, UserSays>,
    #[serde(default)]
    reviews: Vec<ReviewSays>,
    #[serde(default)]
    holdings: Vec<HoldingSays>,
    /// Emergencies by the ledger that nobody has signed yet.
    #[serde(default)]
    emergencies: Vec<emergencies::EmergencySays>,
    /// The members of the organisation; nobody has to be one where it is left out.
    members: Option<MembersSay>,
    /// What was over before, by the ledger.
    #[serde(default)]
    past: Vec<PastSays>,
    /// Files of the base that the pull request removes.
    #[serde(default)]
    removes: Vec<String>,
    /// Grant files of the base whose access has ended.
    #[serde(default)]
    ended: Vec<GrantPath>,
    /// What other open pull requests ask for.
    #[serde(default)]
    pending: Vec<PendingSays>,
    /// When the pull request was last seen to aim at another branch.
    elsewhere: Option<Instant>,
}

fn octocat() -> Option<String> {
    Some("octocat".to_owned())
}

fn main_branch() -> String {
    "main".to_owned()
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum TeamSays {
    Members(Vec<String>),
    Failed { failed: String },
    ReadOnly { can_only_read: Vec<String> },
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum MembersSay {
    Listed(Vec<String>),
    Failed { failed: String },
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
enum UserSays {
    Write,
    Read,
    Absent,
    /// The name belongs to another account now.
    Another,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ReviewSays {
    by: String,
    says: Said,
    /// The tree that was looked at.
    #[serde(default = "head")]
    saw: String,
    #[serde(default)]
    body: String,
    /// When it was given; just before the time of the story, if it does not say.
    at: Option<Instant>,
}

fn head() -> String {
    "head".to_owned()
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Said {
    Approved,
    Changes,
    Comment,
    Dismissed,
    /// A change request that somebody else dismissed.
    Overruled,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct HoldingSays {
    /// The file by its short name, such as `orders/octocat-incident`; another than any request's where it is left out.
    file: Option<String>,
    /// When the unbroken access began; `starts` where it is left out.
    since: Option<Instant>,
    person: Option<Login>,
    service: Option<ServiceName>,
    role: RoleRef,
    starts: Instant,
    ends: Instant,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct PendingSays {
    pull: u64,
    person: Login,
    role: RoleRef,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct PastSays {
    person: Option<Login>,
    service: Option<ServiceName>,
    role: RoleRef,
    pull: Option<u64>,
    from: Option<Instant>,
    at: Instant,
    how: EndingSays,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum EndingSays {
    Expired,
    Returned,
    Replaced,
    Revoked,
    NeverBegan,
    Unproved,
    TurnedDown,
}

type Tree = BTreeMap<String, Arc<[u8]>>;

/// Everything that a case of the domain points at.
struct Facts {
    story: Story,
    pull: Pull,
    base_commit: CommitId,
    base: Catalogue,
    changes: Arc<Changes>,
    reviewed: Reviewed,
    roster: Roster,
    holdings: Vec<Holding>,
    ended: BTreeMap<GrantPath, BlobId>,
    around: Surroundings,
}

fn actor(name: &str) -> Actor {
    let id = PEOPLE.iter().position(|p| *p == name);
    Actor {
        id: UserId(id.unwrap_or_else(|| panic!("{name} is nobody of these tests")) as u64),
        login: login(name),
        kind: ActorKind::User,
    }
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden")
}

/// Lays the files of `folder` over `tree`.
fn lay(tree: &mut Tree, folder: &Path) {
    fn walk(tree: &mut Tree, folder: &Path, inside: &Path) {
        let Ok(entries) = fs::read_dir(folder) else {
            return;
        };
        for entry in entries {
            let path = entry.unwrap().path();
            let inside = inside.join(path.file_name().unwrap());
            if path.is_dir() {
                walk(tree, &path, &inside);
            } else {
                let bytes = fs::read(&path).unwrap();
                tree.insert(inside.to_str().unwrap().to_owned(), bytes.into());
            }
        }
    }
    walk(tree, folder, Path::new(""));
}

fn blob(bytes: &[u8]) -> BlobId {
    let id = git2::Oid::hash_object(git2::ObjectType::Blob, bytes).unwrap();
    BlobId::new(id.to_string()).unwrap()
}

fn files(tree: &Tree) -> Vec<File> {
    let file = |(path, bytes): (&String, &Arc<[u8]>)| File {
        path: path.clone(),
        mode: REGULAR_FILE,
        blob: blob(bytes),
        bytes: Arc::clone(bytes),
    };
    tree.iter().map(file).collect()
}

fn changes(base: &Tree, head: &Tree) -> Vec<ChangedFile> {
    let paths: BTreeSet<&String> = base.keys().chain(head.keys()).collect();
    let differs = paths.into_iter().filter(|p| base.get(*p) != head.get(*p));
    let change = |path: &String| ChangedFile {
        path: path.clone(),
        before: base.get(path).map(|bytes| (blob(bytes), REGULAR_FILE)),
        after: head.get(path).map(|bytes| File {
            path: path.clone(),
            mode: REGULAR_FILE,
            blob: blob(bytes),
            bytes: Arc::clone(bytes),
        }),
    };
    differs.map(change).collect()
}

impl Facts {
    fn read(folder: &Path) -> Self {
        let said = folder.join("pull.yaml");
        let text = fs::read_to_string(&said).unwrap_or_else(|e| panic!("{}: {e}", said.display()));
        let story: Story =
            serde_yaml::from_str(&text).unwrap_or_else(|e| panic!("{}: {e}", said.display()));
        let mut base = Tree::new();
        lay(&mut base, &root().join("_base"));
        lay(&mut base, &folder.join("base"));
        let tree = |name: &str| {
            let mut tree = base.clone();
            lay(&mut tree, &folder.join(name));
            if name == "head" {
                tree.retain(|path, _| !story.removes.contains(path));
                for brought in story.emergencies.iter().filter(|e| e.brought) {
                    let (path, text) =
                        (brought.told().record_path(), brought.told().record().text());
                    tree.insert(path.to_string(), text.into_bytes().into());
                }
            }
            tree
        };
        let changes = changes(&base, &tree("head"));
        let pull = story.pull();
        let mut reviewed = Reviewed::new();
        for review in &story.reviews {
            let seen = tree(&review.saw);
            let paths = Case::paths_to_compare(&changes);
            let at = |path: hallpass::domain::model::RepoPath| {
                let content = seen.get(path.as_str()).map(|bytes| blob(bytes));
                (path, content)
            };
            reviewed.insert(commit(&review.saw), paths.into_iter().map(at).collect());
        }
        let ended = story.ended.iter();
        let ended = ended.map(|path| (path.clone(), blob(&base[path.as_str()])));
        let catalogue = read_tree(&files(&base));
        for person in catalogue.people.values() {
            assert_eq!(person.github_id, actor(person.login.as_str()).id);
        }
        Self {
            pull,
            base_commit: commit("base"),
            base: catalogue,
            changes: Arc::new(Changes::read(changes)),
            reviewed,
            roster: story.roster(),
            holdings: story.holdings(),
            ended: ended.collect(),
            around: story.around(),
            story,
        }
    }

    /// The check as it reads when somebody looks this long after the time of the story.
    fn check(&self, later: TimeDelta) -> Check {
        let case = Case {
            pull: &self.pull,
            protected_branch: "main",
            base_commit: &self.base_commit,
            base: &self.base,
            changes: Arc::clone(&self.changes),
            reviewed: &self.reviewed,
            roster: &self.roster,
            holdings: &self.holdings,
            ended: &self.ended,
            around: &self.around,
            now: self.story.now + later,
        };
        report::check(&case, &decide(&case))
    }
}

impl Story {
    fn pull(&self) -> Pull {
        let author = self.author.as_deref().map(actor);
        let ids = |names: &[String]| names.iter().map(|name| actor(name).id).collect();
        let pushers = match (&self.pushers_unknown, &self.pushers) {
            (Some(why), _) => Pushers::Unknown(why.clone()),
            (None, Some(names)) => Pushers::Known(ids(names)),
            (None, None) => Pushers::Known(author.iter().map(|a| a.id).collect()),
        };
        Pull {
            number: PullNumber(12),
            author,
            title: "@everybody <b>please</b>".to_owned(),
            state: if self.closed {
                PullState::Closed
            } else {
                PullState::Open
            },
            draft: self.draft,
            base_branch: self.branch.clone(),
            head: commit("head"),
            head_branch: "@somebody/please".to_owned(),
            from_fork: self.fork,
            commits: 1,
            pushers,
            reviews: (101..)
                .zip(&self.reviews)
                .map(|(id, says)| review(id, says, self.now - TimeDelta::minutes(1)))
                .collect(),
        }
    }

    fn around(&self) -> Surroundings {
        let pending = |says: &PendingSays| Pending {
            pull: PullNumber(says.pull),
            subject: Subject::Person(says.person.clone()),
            role: says.role.clone(),
        };
        Surroundings {
            pending: self.pending.iter().map(pending).collect(),
            elsewhere: self.elsewhere,
            emergencies: self.emergencies.iter().map(|e| e.told()).collect(),
            members: self.members(),
            past: self.past.iter().map(PastSays::past).collect(),
            ..Surroundings::default()
        }
    }

    fn roster(&self) -> Roster {
        let mut roster = Roster::default();
        let usual = [
            ("dba", vec!["grace", "heidi", "ivan"]),
            ("finance", vec!["linus", "mei"]),
            ("security", vec!["judy"]),
        ];
        for (slug, members) in usual {
            roster.teams.insert(owner(slug), staffed(&members, true));
        }
        for (slug, says) in &self.teams {
            let borrowed = |names: &[String]| -> Vec<&'static str> {
                PEOPLE
                    .into_iter()
                    .filter(|p| names.iter().any(|n| n == p))
                    .collect()
            };
            let lookup = match says {
                TeamSays::Members(names) => staffed(&borrowed(names), true),
                TeamSays::ReadOnly { can_only_read } => staffed(&borrowed(can_only_read), false),
                TeamSays::Failed { failed } => Lookup::Failed(failed.clone()),
            };
            roster.teams.insert(owner(slug), lookup);
        }
        for (name, says) in &self.users {
            let lookup = match says {
                UserSays::Absent => Lookup::Absent,
                UserSays::Another => Lookup::Found(Collaborator {
                    actor: Actor {
                        login: login(name),
                        ..actor("mallory")
                    },
                    can_write: true,
                }),
                UserSays::Read | UserSays::Write => Lookup::Found(Collaborator {
                    actor: actor(name),
                    can_write: matches!(says, UserSays::Write),
                }),
            };
            roster.users.insert(login(name), lookup);
        }
        roster
    }

    fn members(&self) -> Option<Lookup<Arc<Members>>> {
        Some(match self.members.as_ref()? {
            MembersSay::Listed(names) => {
                Lookup::Found(Arc::new(names.iter().map(|n| actor(n)).collect()))
            }
            MembersSay::Failed { failed } => Lookup::Failed(failed.clone()),
        })
    }

    fn holdings(&self) -> Vec<Holding> {
        let path = |i: usize, says: &HoldingSays| {
            let unnamed = || format!("{}/held-{i}", says.role.resource);
            let name = says.file.clone().unwrap_or_else(unnamed);
            GrantPath::new(format!("access/grants/{name}.yaml")).unwrap()
        };
        let holding = |(i, says): (usize, &HoldingSays)| Holding {
            id: path(i, says).id(&commit("held")),
            path: path(i, says),
            since: Some(says.since.unwrap_or(says.starts)),
            subject: subject(says.person.as_ref(), says.service.as_ref()),
            role: says.role.clone(),
            access_key: String::new(),
            starts: says.starts,
            ends: says.ends,
        };
        self.holdings.iter().enumerate().map(holding).collect()
    }
}

fn subject(person: Option<&Login>, service: Option<&ServiceName>) -> Subject {
    match (person, service) {
        (Some(login), None) => Subject::Person(login.clone()),
        (None, Some(name)) => Subject::Service(name.clone()),
        _ => panic!("either a person or a service: {person:?}, {service:?}"),
    }
}

impl PastSays {
    fn past(&self) -> Past {
        Past {
            subject: subject(self.person.as_ref(), self.service.as_ref()),
            role: self.role.clone(),
            pull: self.pull.map(PullNumber),
            held_from: self.from,
            at: self.at,
            ending: match self.how {
                EndingSays::Expired => Ending::Expired,
                EndingSays::Returned => Ending::Returned,
                EndingSays::Replaced => Ending::Replaced,
                EndingSays::Revoked => Ending::Revoked,
                EndingSays::NeverBegan => Ending::NeverBegan,
                EndingSays::Unproved => Ending::Unproved,
                EndingSays::TurnedDown => Ending::TurnedDown,
            },
        }
    }
}

fn owner(slug: &str) -> Owner {
    Owner::Team {
        organisation: login("acme"),
        slug: slug.to_owned(),
    }
}

fn staffed(members: &[&str], can_write: bool) -> Lookup<Team> {
    Lookup::Found(Team {
        can_write,
        members: members.iter().map(|m| actor(m)).collect(),
    })
}

fn review(id: u64, says: &ReviewSays, usual: Instant) -> Review {
    Review {
        id,
        reviewer: Some(actor(&says.by)),
        state: match says.says {
            Said::Approved => ReviewState::Approved,
            Said::Changes => ReviewState::ChangesRequested,
            Said::Comment => ReviewState::Commented,
            Said::Dismissed => ReviewState::Dismissed,
            Said::Overruled => ReviewState::ObjectionDismissed,
        },
        commit: Some(commit(&says.saw)),
        body: says.body.clone(),
        submitted_at: Some(says.at.unwrap_or(usual)),
    }
}

/// The check as one page.
fn page(about: &str, check: &Check) -> String {
    let status = match check.status {
        CheckStatus::InProgress => "in progress",
        CheckStatus::Success => "success",
        CheckStatus::Neutral => "neutral",
        CheckStatus::Failure => "failure",
    };
    let mut page = format!(
        "<!-- {about} -->\n# {}\n\n({status})\n\n{}",
        check.title, check.summary
    );
    if !check.annotations.is_empty() {
        page.push_str("## Beside the lines\n\n");
    }
    for one in &check.annotations {
        let weight = if one.warning { "warning" } else { "error" };
        let message = one.message.replace('\n', "\n  ");
        let (path, line, column, rule) = (&one.path, one.line, one.column, &one.title);
        page.push_str(&format!(
            "- {path}:{line}:{column} {weight} {rule}\n  {message}\n"
        ));
    }
    page.trim_end().to_owned() + "\n"
}

fn cases() -> Vec<(String, PathBuf)> {
    let mut cases: Vec<(String, PathBuf)> = fs::read_dir(root())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_dir())
        .map(|path| (path.file_name().unwrap().to_str().unwrap().to_owned(), path))
        .filter(|(name, _)| name != "_base")
        .collect();
    cases.sort();
    assert!(cases.len() >= 20, "only {} cases", cases.len());
    cases
}

/// The first line in which two texts differ, with both sides.
fn difference(expected: &str, found: &str) -> String {
    let (mut old, mut new) = (expected.lines(), found.lines());
    for number in 1.. {
        match (old.next(), new.next()) {
            (None, None) => break,
            (old, new) if old == new => {}
            (old, new) => {
                let show = |line: Option<&str>| line.unwrap_or("(the end)").to_owned();
                return format!(
                    "line {number}\n  expected: {}\n  found:    {}",
                    show(old),
                    show(new)
                );
            }
        }
    }
    "line ends".to_owned()
}

#[test]
fn every_pull_request_gets_the_check_that_is_written_down() {
    #[expect(clippy::disallowed_methods, reason = "a switch of this test alone")]
    let bless = std::env::var(BLESS).is_ok_and(|value| value == "1");
    let mut wrong = Vec::new();
    for (name, folder) in cases() {
        let facts = Facts::read(&folder);
        let found = page(&facts.story.about, &facts.check(TimeDelta::zero()));
        let file = folder.join("expected.md");
        if bless {
            fs::write(&file, &found).unwrap();
            continue;
        }
        match fs::read_to_string(&file) {
            Err(_) => wrong.push(format!("{name}: there is no expected.md")),
            Ok(expected) if expected != found => {
                wrong.push(format!("{name}: {}", difference(&expected, &found)));
            }
            Ok(_) => {}
        }
    }
    assert!(
        wrong.is_empty(),
        "{}\n\nIf the new words are right, run again with {BLESS}=1 and read the difference in git.",
        wrong.join("\n")
    );
}

#[test]
fn a_check_does_not_change_because_time_passes() {
    for (name, folder) in cases() {
        let facts = Facts::read(&folder);
        let first = facts.check(TimeDelta::zero());
        for later in [TimeDelta::milliseconds(1), TimeDelta::seconds(37 * 60 + 11)] {
            assert_eq!(first, facts.check(later), "{name}");
        }
    }
}
