//! The evidence branch.

use hallpass::domain::evidence::{Event, Kind, digest};
use hallpass::domain::model::CommitId;
use hallpass::repo::{Mirror, RepoError, Signers};
use tempfile::TempDir;

use super::fixture::{Mood, Origin, Server, at, git_in, text};

pub const BRANCH: &str = "hallpass/evidence";

fn event(n: u32) -> Event {
    let key = format!("granted:orders/ada#{n}");
    let message = format!(
        "granted: ada is readonly on orders\n\nReason: it burns\n\nEvent: granted\nSubject: person octocat\nGrant: orders/ada#{n}\nEvent-Key: {key}\n"
    );
    let when = at("2026-11-24T09:00:00Z") + chrono::TimeDelta::seconds(i64::from(n));
    Event {
        key,
        kind: Kind::Granted,
        at: when,
        message,
        record: serde_json::Map::new(),
    }
}

pub fn events(range: std::ops::Range<u32>) -> Vec<Event> {
    range.map(event).collect()
}

pub struct World {
    pub origin: Origin,
    pub server: Server,
    pub dir: TempDir,
    pub mirror: Mirror,
    pub signers: Signers,
}

impl World {
    pub async fn new() -> Self {
        let origin = Origin::new();
        let first = origin.commit(&[], &[("README", Some("hello"))]);
        origin.set("refs/heads/main", &first);
        let server = Server::of(&origin).await;
        let dir = TempDir::new().unwrap();
        let mirror = Mirror::open(&dir.path().join("mirror.git")).await.unwrap();
        let signers = Signers::at(&dir.path().join("evidence_key")).unwrap();
        Self {
            origin,
            server,
            dir,
            signers,
            mirror,
        }
    }

    pub async fn fetch(&self) {
        self.mirror
            .fetch(&self.server.remote(), &["main", BRANCH], &[])
            .await
            .unwrap();
    }

    /// A second server's mirror, with what the remote has now.
    pub async fn another(&self) -> Mirror {
        let path = self.dir.path().join("other.git");
        let other = Mirror::open(&path).await.unwrap();
        self.fetch_into(&other).await;
        other
    }

    pub async fn fetch_into(&self, mirror: &Mirror) {
        let remote = self.server.remote();
        mirror.fetch(&remote, &[BRANCH], &[]).await.unwrap();
    }

    pub async fn append(&self, range: std::ops::Range<u32>) -> Vec<CommitId> {
        self.mirror
            .append_evidence(&self.signers, BRANCH, &events(range))
            .await
            .unwrap()
    }

    pub async fn push(&self) -> Result<(), RepoError> {
        self.mirror.push(&self.server.remote(), BRANCH, false).await
    }

    /// The keys on the remote's branch, oldest first, as git reads them.
    fn story(&self) -> Vec<String> {
        let format = "--format=%(trailers:key=Event-Key,valueonly,separator=%x2C)";
        let log = self.origin.git(&["log", "--reverse", format, BRANCH]);
        log.lines().map(str::to_owned).collect()
    }
}

fn story(range: std::ops::Range<u32>) -> Vec<String> {
    events(range).into_iter().map(|event| event.key).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn plain_git_reads_the_story() {
    let world = World::new().await;
    world.fetch().await;
    let commits = world.append(0..3).await;
    world.push().await.unwrap();
    let git = |args: &[&str]| world.origin.git(args);

    assert_eq!(
        git(&["rev-list", "--reverse", BRANCH])
            .lines()
            .collect::<Vec<_>>(),
        commits.iter().map(CommitId::as_str).collect::<Vec<_>>()
    );
    assert_eq!(
        git(&["log", "-1", "--format=%s|%an <%ae>|%aI|%cI", BRANCH]),
        "granted: ada is readonly on orders|Hallpass <hallpass@users.noreply.github.com>|2026-11-24T09:00:02Z|2026-11-24T09:00:02Z"
    );
    assert_eq!(
        git(&[
            "log",
            "--format=%H",
            "--grep",
            "^Grant: orders/ada#1$",
            BRANCH
        ]),
        commits[1].as_str()
    );
    let message = git(&["log", "-1", "--format=%B", BRANCH]);
    let trailers = text(
        world
            .origin
            .git_with(&["interpret-trailers", "--parse"], message.as_bytes()),
    );
    assert_eq!(
        trailers,
        format!(
            "Event: granted\nSubject: person octocat\nGrant: orders/ada#2\nEvent-Key: granted:orders/ada#2\nSequence: 3\nRecord: {}",
            digest(git(&["show", &format!("{BRANCH}:record.json")]).as_bytes())
        )
    );
    assert!(
        git(&["log", "-1", "--format=%B", commits[0].as_str()])
            .starts_with(event(0).message.trim_end())
    );
    git(&["fsck", "--strict"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_branch_explains_itself_and_shares_nothing_with_main() {
    let world = World::new().await;
    world.fetch().await;
    world.append(0..2).await;
    world.push().await.unwrap();
    assert_eq!(
        world
            .origin
            .git(&["ls-tree", "-r", "--name-only", BRANCH])
            .lines()
            .collect::<Vec<_>>(),
        ["README.md", "allowed_signers", "record.json"]
    );
    let readme = world.origin.git(&["show", &format!("{BRANCH}:README.md")]);
    let origin = world.origin.path();
    let clone = TempDir::new().unwrap();
    git_in(
        clone.path(),
        &[
            "clone",
            "-q",
            "--bare",
            "--mirror",
            origin.to_str().unwrap(),
            ".",
        ],
        b"",
    );
    git_in(
        clone.path(),
        &[
            "update-ref",
            "refs/remotes/origin/hallpass/evidence",
            BRANCH,
        ],
        b"",
    );
    let commands: Vec<&str> = readme
        .lines()
        .filter(|line| line.starts_with("    git log "))
        .collect();
    assert!(commands.len() > 4, "{readme}");
    for (command, lines) in [
        ("--grep '^Event: granted$'", 2),
        ("--grep '^Subject: person octocat$'", 2),
    ] {
        assert!(readme.contains(command), "{readme}");
        let pattern = command.split('\'').nth(1).unwrap();
        let found = git_in(
            clone.path(),
            &[
                "log",
                "--format=%H",
                "--grep",
                pattern,
                "origin/hallpass/evidence",
            ],
            b"",
        );
        assert_eq!(text(found).lines().count(), lines);
    }
    let main = world.mirror.tip("main").await.unwrap().unwrap();
    let tip = world.mirror.tip(BRANCH).await.unwrap().unwrap();
    assert_eq!(world.mirror.merge_base(&main, &tip).await.unwrap(), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_at_any_point_between_writing_and_bookkeeping_repeats_nothing() {
    let world = World::new().await;
    world.fetch().await;
    let first = world.append(0..3).await;
    // Crash before the push; after the restart the same rows are unpublished.
    world.fetch().await;
    assert_eq!(world.append(0..3).await, first);
    world.push().await.unwrap();
    // Crash after the push, before the rows are marked.
    assert_eq!(world.append(0..3).await, first);
    world.fetch().await;
    assert_eq!(world.append(0..4).await[..3], first);
    world.push().await.unwrap();
    assert_eq!(world.story(), story(0..4));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_appended_and_not_pushed_yet_is_built_upon() {
    let world = World::new().await;
    world.fetch().await;
    world.append(0..2).await;
    world.append(2..4).await;
    world
        .server
        .be(Mood::Answers(http::StatusCode::BAD_GATEWAY));
    world.push().await.unwrap_err();
    world.server.be(Mood::Honest);
    world.append(3..5).await;
    world.push().await.unwrap();
    assert_eq!(world.story(), story(0..5));
}

#[tokio::test(flavor = "multi_thread")]
async fn one_key_twice_in_a_batch_is_one_commit() {
    let world = World::new().await;
    let commits = world
        .mirror
        .append_evidence(&world.signers, BRANCH, &[event(1), event(2), event(1)])
        .await
        .unwrap();
    assert_eq!(commits[0], commits[2]);
    assert_ne!(commits[0], commits[1]);
    assert_eq!(
        world
            .mirror
            .append_evidence(&world.signers, BRANCH, &[])
            .await
            .unwrap(),
        []
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_in_the_text_of_a_request_is_no_key() {
    let world = World::new().await;
    let mut forged = event(1);
    forged.message = forged.message.replace(
        "it burns",
        "it burns\n\nEvent-Key: granted:orders/ada#2\n\nand more",
    );
    world
        .mirror
        .append_evidence(&world.signers, BRANCH, &[forged])
        .await
        .unwrap();
    world.push().await.unwrap();
    world.append(2..3).await;
    world.push().await.unwrap();
    assert_eq!(world.story(), story(1..3));
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_in_a_message_is_hidden_by_a_nul() {
    let world = World::new().await;
    let mut odd = event(1);
    odd.message = odd.message.replace("it burns", "it\0burns");
    world
        .mirror
        .append_evidence(&world.signers, BRANCH, &[odd])
        .await
        .unwrap();
    world.push().await.unwrap();
    assert!(
        world
            .origin
            .git(&["log", BRANCH])
            .contains("it\u{fffd}burns")
    );
    assert_eq!(world.story(), story(1..2));
}

#[tokio::test(flavor = "multi_thread")]
async fn when_somebody_else_pushed_first_both_stories_are_kept() {
    let world = World::new().await;
    world.fetch().await;
    world.append(0..2).await;
    world.push().await.unwrap();

    let other = world.another().await;
    other
        .append_evidence(&world.signers, BRANCH, &events(2..4))
        .await
        .unwrap();
    other
        .push(&world.server.remote(), BRANCH, false)
        .await
        .unwrap();

    world.append(3..6).await;
    let error = world.push().await.unwrap_err();
    assert!(matches!(error, RepoError::Refused { .. }), "{error:?}");
    world.fetch().await;
    world.append(3..6).await;
    world.push().await.unwrap();
    assert_eq!(world.story(), story(0..6));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rewritten_or_deleted_branch_is_an_alarm_and_nothing_is_written() {
    let world = World::new().await;
    world.fetch().await;
    let commits = world.append(0..3).await;
    world.push().await.unwrap();

    let replaced = world
        .origin
        .commit(&[], &[("README", Some("a better story"))]);
    let reference = format!("refs/heads/{BRANCH}");
    for found in [Some(&commits[1]), Some(&replaced), None] {
        match found {
            Some(commit) => world.origin.set(&reference, commit),
            None => drop(world.origin.git(&["update-ref", "-d", &reference])),
        }
        world.fetch().await;
        let error = world
            .mirror
            .append_evidence(&world.signers, BRANCH, &events(3..4))
            .await
            .unwrap_err();
        let RepoError::Rewritten {
            branch,
            known,
            found: seen,
        } = &error
        else {
            panic!("{error:?}")
        };
        assert_eq!(
            (branch.as_str(), known, seen.as_ref()),
            (BRANCH, &commits[2], found)
        );
        assert_eq!(
            world.mirror.resolve(commits[2].as_str()).await.unwrap(),
            commits[2],
            "ours is still here"
        );
    }
    // The truth is put back: all is well again.
    world.origin.set(&reference, &commits[2]);
    world.fetch().await;
    world.append(3..4).await;
    world.push().await.unwrap();
    assert_eq!(world.story(), story(0..4));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_or_torn_index_is_made_again() {
    let world = World::new().await;
    world.fetch().await;
    world.append(0..20).await;
    world.push().await.unwrap();
    world.append(19..21).await;
    let folder = world.dir.path().join("mirror.git/hallpass-index-2");
    let mut files = std::fs::read_dir(folder).unwrap();
    let index = files.next().unwrap().unwrap().path();
    assert!(files.next().is_none());
    let whole = std::fs::read(&index).unwrap();
    let cuts = [0, 10, 41, whole.len() / 2, whole.len() - 1];
    let mut damaged: Vec<Option<Vec<u8>>> = cuts
        .iter()
        .map(|cut| Some(whole[..*cut].to_vec()))
        .collect();
    damaged.extend([
        None,
        Some(b"\xff\xff\n".to_vec()),
        Some(b"no such line\n".to_vec()),
    ]);
    for content in damaged {
        match content {
            Some(content) => std::fs::write(&index, content).unwrap(),
            None => std::fs::remove_file(&index).unwrap(),
        }
        world.append(0..21).await;
        assert_eq!(std::fs::read(&index).unwrap(), whole);
    }
    world.push().await.unwrap();
    assert_eq!(world.story(), story(0..21));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_mirror_knows_what_the_branch_says() {
    let world = World::new().await;
    world.fetch().await;
    let commits = world.append(0..5).await;
    world.push().await.unwrap();
    let fresh = Mirror::open(&world.dir.path().join("fresh.git"))
        .await
        .unwrap();
    fresh
        .fetch(&world.server.remote(), &[BRANCH], &[])
        .await
        .unwrap();
    assert_eq!(
        fresh
            .append_evidence(&world.signers, BRANCH, &events(0..5))
            .await
            .unwrap(),
        commits
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_events_are_one_push() {
    let world = World::new().await;
    world.fetch().await;
    world.append(0..10_000).await;
    world.push().await.unwrap();
    assert_eq!(world.origin.git(&["rev-list", "--count", BRANCH]), "10000");
    assert_eq!(world.append(0..10_000).await.len(), 10_000);
    world.append(9_999..10_001).await;
    world.push().await.unwrap();
    assert_eq!(world.origin.git(&["rev-list", "--count", BRANCH]), "10001");
    let posts = world
        .server
        .seen()
        .iter()
        .filter(|request| request.starts_with("POST"))
        .count();
    assert_eq!(posts, 3, "{:?}", world.server.seen());
}
