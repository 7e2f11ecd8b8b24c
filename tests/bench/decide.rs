//! What one pull request costs against a base of many grants, and what a decision costs by itself: `cargo bench --bench decide`.
//!
//! The cost must grow with the change and not with the repository (DESIGN, section 8), so each line is printed for bases of
//! 1,000, 10,000 and 100,000 grants. *first* is the first pull request against a base, which builds the index that later ones
//! search; a service builds it once for each commit of the protected branch.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant as Stopwatch};

use hallpass::domain::catalogue::{Catalogue, ChangedFile, File, REGULAR_FILE};
use hallpass::domain::changes::Changes;
use hallpass::domain::decision::{Admission, Case, Outcome, Surroundings, admit_all, decide};
use hallpass::domain::model::{
    Actor, ActorKind, BlobId, CommitId, GrantPath, Instant, Login, Owner, PullNumber, UserId,
};
use hallpass::domain::parse::{instant, read_tree};
use hallpass::domain::policy::cases;
use hallpass::domain::pull::{
    Lookup, Pull, PullState, Pushers, Review, ReviewState, Reviewed, Roster, Team,
};
use hallpass::domain::rules::check_change;

const RESOURCES: usize = 200;
const ROUNDS: usize = 25;

fn main() {
    policies();
    println!(
        "{:<10}{:>12}{:>14}{:>14}{:>14}{:>14}{:>14}",
        "grants", "asked for", "read base", "first", "rules", "decide", "admit_all"
    );
    for grants in [1_000, 10_000, 100_000] {
        let files = base(grants);
        let (read, tree) = time(|| read_tree(&files));
        assert!(tree.findings.is_empty(), "{:?}", tree.findings.first());
        for asked in [1, 50] {
            let request = Request::of(asked);
            let fresh = tree.clone();
            let (first, verdict) = time(|| decide(&request.case(&fresh, State::Open)));
            assert_eq!(
                verdict.outcome,
                Outcome::Approved,
                "{:?}",
                verdict.findings.first()
            );
            let rules = median(|| check_change(&fresh, &request.changes, request.now));
            let decide = median(|| decide(&request.case(&fresh, State::Open)));
            let files = request.landed();
            let admit = median(|| {
                let all = admit_all(&request.case(&fresh, State::Merged), &files);
                assert!(all.values().all(|a| matches!(a, Admission::Approved(_))));
                all
            });
            println!(
                "{grants:<10}{asked:>12}{read:>14.1?}{first:>14.1?}{rules:>14.1?}{decide:>14.1?}{admit:>14.1?}"
            );
        }
    }
}

/// What one question to the policies of the example costs, entities and request included.
fn policies() {
    let example = [
        "access/people/ada.yaml",
        "access/people/grace.yaml",
        "access/people/octocat.yaml",
        "access/policies/guardrails.cedar",
        "access/policies/guardrails.test.yaml",
        "access/resources/dashboards.yaml",
        "access/resources/orders.yaml",
        "access/services/deploy-bot.yaml",
    ];
    let read = |path: &str| {
        let disk = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
        let text = std::fs::read_to_string(disk).expect("the example is part of the repository");
        file(path.to_owned(), text)
    };
    let (read, tree) = time(|| read_tree(&example.map(read)));
    let tests = tree.policy_tests.values().next().expect("cases");
    let asked = median(|| {
        let results = cases::run(tests, &tree);
        assert!(results.iter().all(|r| r.failure.is_none()), "{results:?}");
    });
    let count = u32::try_from(tests.cases.len()).unwrap_or(u32::MAX);
    println!(
        "policies of the example: read and validated in {read:.1?}, a question {:.1?}\n",
        asked / count
    );
}

fn time<T>(work: impl FnOnce() -> T) -> (Duration, T) {
    let started = Stopwatch::now();
    let done = work();
    (started.elapsed(), done)
}

fn median<T>(work: impl Fn() -> T) -> Duration {
    let mut times: Vec<Duration> = (0..ROUNDS).map(|_| time(|| black_box(work())).0).collect();
    times.sort();
    times[ROUNDS / 2]
}

fn commit(digit: char) -> CommitId {
    CommitId::new(digit.to_string().repeat(40)).expect("hexadecimal")
}

fn login(text: &str) -> Login {
    Login::new(text).expect("a login")
}

fn actor(id: u64, name: &str) -> Actor {
    Actor {
        id: UserId(id),
        login: login(name),
        kind: ActorKind::User,
    }
}

fn file(path: String, text: String) -> File {
    let blob = git2::Oid::hash_object(git2::ObjectType::Blob, text.as_bytes()).expect("a hash");
    File {
        path,
        mode: REGULAR_FILE,
        blob: BlobId::new(blob.to_string()).expect("hexadecimal"),
        bytes: text.into_bytes().into(),
    }
}

/// Owners, people (one for five grants), resources, and the grants.
fn base(grants: usize) -> Vec<File> {
    let owners = "* @acme/security\n/access/grants/ @acme/owners\n";
    let mut files = vec![file(".github/CODEOWNERS".to_owned(), owners.to_owned())];
    for n in 0..(grants / 5).max(60) {
        let mut text = format!("github_id: {}\nidentities:\n", 1_000 + n);
        for connection in 0..4 {
            let _ = writeln!(text, "  system-{connection}: person{n}");
        }
        files.push(file(format!("access/people/person{n}.yaml"), text));
    }
    for n in 0..RESOURCES {
        let connection = n % 4;
        let mut text = format!(
            "description: System number {n}\nrisk: high\nprovider: system-{connection}\nroles:\n"
        );
        for role in 0..6 {
            let _ = write!(
                text,
                "  role-{role}:\n    description: Role number {role}\n    entitlement: {{ role: r{n}_{role} }}\n    max_duration: 30d\n"
            );
        }
        files.push(file(format!("access/resources/resource-{n}.yaml"), text));
    }
    let people = (grants / 5).max(60);
    files.extend((0..grants).map(|n| grant(n, n % people, n / people % 5)));
    files
}

/// The `n`-th grant file.
fn grant(n: usize, person: usize, role: usize) -> File {
    let resource = n % RESOURCES;
    let text = format!(
        "person: person{person}\nrole: role-{role}\nduration: 8h\nreason: Needs to look at case {n} for a customer.\n"
    );
    file(
        format!("access/grants/resource-{resource}/grant-{n}.yaml"),
        text,
    )
}

/// When the pull request is looked at.
#[derive(Clone, Copy)]
enum State {
    Open,
    Merged,
}

/// A pull request that somebody approved.
struct Request {
    open: Pull,
    merged: Pull,
    changes: Arc<Changes>,
    reviewed: Reviewed,
    roster: Roster,
    ended: BTreeMap<GrantPath, BlobId>,
    around: Surroundings,
    base_commit: CommitId,
    now: Instant,
}

impl Request {
    fn of(asked: usize) -> Self {
        let now = instant("2026-11-24T12:00:00Z").expect("an instant");
        // A role that nobody has yet.
        let files = (0..asked).map(|n| grant(1_000_000 + n, n, 5));
        let change = |file: File| ChangedFile {
            path: file.path.clone(),
            before: None,
            after: Some(file),
        };
        let changes: Vec<ChangedFile> = files.map(change).collect();
        let shown = |c: &ChangedFile| {
            let path = hallpass::domain::model::RepoPath::new(&c.path).expect("a path");
            (path, c.after.as_ref().map(|f| f.blob.clone()))
        };
        let reviewed = Reviewed::from([(commit('a'), changes.iter().map(shown).collect())]);
        let grace = actor(7, "grace");
        let owners = Owner::Team {
            organisation: login("acme"),
            slug: "owners".to_owned(),
        };
        let team = Team {
            can_write: true,
            members: vec![grace.clone(), actor(8, "heidi")],
        };
        let merge = PullState::Merged {
            commit: commit('c'),
            at: now,
            by: None,
        };
        Self {
            open: pull(&grace, now, PullState::Open),
            merged: pull(&grace, now, merge),
            changes: Arc::new(Changes::read(changes)),
            reviewed,
            roster: Roster {
                teams: BTreeMap::from([(owners, Lookup::Found(team))]),
                users: BTreeMap::new(),
            },
            ended: BTreeMap::new(),
            around: Surroundings::default(),
            base_commit: commit('b'),
            now,
        }
    }

    fn case<'a>(&'a self, base: &'a Catalogue, state: State) -> Case<'a> {
        Case {
            pull: match state {
                State::Open => &self.open,
                State::Merged => &self.merged,
            },
            protected_branch: "main",
            base_commit: &self.base_commit,
            base,
            changes: Arc::clone(&self.changes),
            reviewed: &self.reviewed,
            roster: &self.roster,
            holdings: &[],
            ended: &self.ended,
            around: &self.around,
            now: self.now,
        }
    }

    fn landed(&self) -> BTreeMap<GrantPath, BlobId> {
        let after = self.changes.iter().filter_map(|c| c.after.as_ref());
        after
            .map(|f| (GrantPath::new(&f.path).expect("a grant"), f.blob.clone()))
            .collect()
    }
}

fn pull(reviewer: &Actor, now: Instant, state: PullState) -> Pull {
    let author = actor(9, "octocat");
    Pull {
        number: PullNumber(12),
        pushers: Pushers::Known(BTreeSet::from([author.id])),
        author: Some(author),
        title: "Please".to_owned(),
        state,
        draft: false,
        base_branch: "main".to_owned(),
        head: commit('a'),
        head_branch: "please".to_owned(),
        from_fork: false,
        commits: 1,
        reviews: vec![Review {
            id: 1,
            reviewer: Some(reviewer.clone()),
            state: ReviewState::Approved,
            commit: Some(commit('a')),
            body: String::new(),
            submitted_at: Some(now),
        }],
    }
}
