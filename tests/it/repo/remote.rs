//! Fetching and pushing over HTTP.

use axum::http::StatusCode;
use hallpass::domain::model::CommitId;
use hallpass::repo::{Mirror, Remote, RepoError, propose};
use tempfile::TempDir;

use super::fixture::{Mood, Origin, Server, TOKEN, at, git_in, path};

const GRANT: &str = "access/grants/orders/ada.yaml";

struct World {
    origin: Origin,
    server: Server,
    dir: TempDir,
    mirror: Mirror,
    first: CommitId,
}

impl World {
    async fn new() -> Self {
        let origin = Origin::new();
        let first = origin.commit(&[], &[(GRANT, Some("one")), ("README", Some("hello"))]);
        origin.set("refs/heads/main", &first);
        let server = Server::of(&origin).await;
        let dir = TempDir::new().unwrap();
        let mirror = Mirror::open(&dir.path().join("mirror.git")).await.unwrap();
        Self {
            origin,
            server,
            dir,
            mirror,
            first,
        }
    }

    async fn fetch(&self, branches: &[&str], pulls: &[u64]) -> Result<(), RepoError> {
        self.mirror
            .fetch(&self.server.remote(), branches, pulls)
            .await
    }

    async fn remove(&self, onto: &CommitId, message: &str) -> CommitId {
        let when = at("2026-11-24T18:00:00Z");
        let made = self
            .mirror
            .commit_removal("tidy", onto, &[path("orders/ada")], message, when)
            .await;
        made.unwrap().unwrap()
    }

    async fn push(&self, force: bool) -> Result<(), RepoError> {
        self.mirror.push(&self.server.remote(), "tidy", force).await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fetch_brings_the_branches_and_the_pull_requests_that_exist() {
    let world = World::new().await;
    let pull = world
        .origin
        .commit(&[&world.first], &[("README", Some("changed"))]);
    world.origin.set("refs/pull/7/head", &pull);

    world
        .fetch(&["main", "hallpass/evidence"], &[7, 8])
        .await
        .unwrap();

    assert_eq!(
        world.mirror.tip("main").await.unwrap(),
        Some(world.first.clone())
    );
    assert_eq!(world.mirror.tip("hallpass/evidence").await.unwrap(), None);
    assert!(world.mirror.is_ancestor(&world.first, &pull).await.unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn however_many_pull_requests_were_fetched_the_refs_are_those_of_the_branches() {
    let world = World::new().await;
    for n in 0..20_u64 {
        let changed = [("README", Some(&*n.to_string()))];
        let pull = world.origin.commit(&[&world.first], &changed);
        world.origin.set(&format!("refs/pull/{n}/head"), &pull);
        world.fetch(&["main"], &[n]).await.unwrap();
        assert!(world.mirror.is_ancestor(&world.first, &pull).await.unwrap());
    }
    let mirror = git2::Repository::open(world.dir.path().join("mirror.git")).unwrap();
    let refs = mirror.references().unwrap();
    let names: Vec<String> = refs.map(|r| r.unwrap().name().unwrap().into()).collect();
    assert_eq!(names, ["refs/heads/main"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fetch_that_brings_nothing_new_asks_once() {
    let world = World::new().await;
    world.fetch(&["main"], &[]).await.unwrap();
    assert_eq!(world.server.seen().len(), 2);
    world.fetch(&["main"], &[]).await.unwrap();
    assert_eq!(
        world.server.seen()[2..],
        ["GET /acme/access.git/info/refs?service=git-upload-pack"]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_forced_or_deleted_on_the_remote_is_so_here() {
    let world = World::new().await;
    world.origin.set("refs/heads/a", &world.first);
    world.fetch(&["main", "a"], &[]).await.unwrap();

    let other = world
        .origin
        .commit(&[], &[("README", Some("another history"))]);
    world.origin.set("refs/heads/main", &other);
    world.origin.git(&["update-ref", "-d", "refs/heads/a"]);
    world.origin.set("refs/heads/a/b", &other);
    world.fetch(&["a/b", "main", "a"], &[]).await.unwrap();

    assert_eq!(world.mirror.tip("main").await.unwrap(), Some(other.clone()));
    assert_eq!(world.mirror.tip("a").await.unwrap(), None);
    assert_eq!(world.mirror.tip("a/b").await.unwrap(), Some(other));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_token_is_refused_after_one_request() {
    let world = World::new().await;
    for remote in [
        world.server.remote_with("ghs_wrong"),
        Remote {
            token: None,
            ..world.server.remote()
        },
    ] {
        let before = world.server.seen().len();
        let error = world
            .mirror
            .fetch(&remote, &["main"], &[])
            .await
            .unwrap_err();
        assert!(
            matches!(&error, RepoError::Refused { reason } if reason.contains("Invalid username or token.")),
            "{error}"
        );
        assert_eq!(world.server.seen().len(), before + 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_token_is_in_no_file_and_in_no_error() {
    let world = World::new().await;
    world.fetch(&["main"], &[]).await.unwrap();
    world.remove(&world.first, "Remove").await;
    world.push(false).await.unwrap();
    world.server.be(Mood::Answers(StatusCode::FORBIDDEN));
    let error = format!("{:?}", world.fetch(&["main"], &[]).await.unwrap_err());

    let secrets = [TOKEN.to_owned(), "eC1hY2Nlc3MtdG9rZW46".to_owned()];
    let mut folders = vec![world.dir.path().to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap().map(Result::unwrap) {
            if entry.file_type().unwrap().is_dir() {
                folders.push(entry.path());
                continue;
            }
            let content =
                String::from_utf8_lossy(&std::fs::read(entry.path()).unwrap()).into_owned();
            assert!(
                !secrets.iter().any(|secret| content.contains(secret)),
                "{:?}",
                entry.path()
            );
        }
    }
    assert!(
        !secrets.iter().any(|secret| error.contains(secret)),
        "{error}"
    );
    assert!(
        !world
            .server
            .seen()
            .iter()
            .any(|request| request.contains(TOKEN))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redirect_is_refused_and_nobody_follows_it() {
    let world = World::new().await;
    world.server.be(Mood::Redirects);
    let error = world.fetch(&["main"], &[]).await.unwrap_err();
    assert!(
        matches!(&error, RepoError::Refused { reason } if reason.contains("moved")),
        "{error}"
    );
    assert_eq!(world.server.seen().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_token_goes_only_to_the_address_that_it_was_given_for() {
    let world = World::new().await;
    let elsewhere = World::new().await;
    let (here, there) = (world.server.remote().url, elsewhere.server.remote().url);
    let setting = format!("url.{there}.insteadOf");
    git_in(
        &world.dir.path().join("mirror.git"),
        &["config", &setting, &here],
        b"",
    );
    world.fetch(&["main"], &[]).await.unwrap_err();
    assert_eq!(elsewhere.server.seen(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_in_trouble_is_unavailable_and_one_that_says_no_refuses() {
    let world = World::new().await;
    for (status, refuses) in [
        (500, false),
        (503, false),
        (429, false),
        (401, true),
        (403, true),
        (404, true),
        (410, true),
    ] {
        world
            .server
            .be(Mood::Answers(StatusCode::from_u16(status).unwrap()));
        let error = world.fetch(&["main"], &[]).await.unwrap_err();
        assert_eq!(
            matches!(error, RepoError::Refused { .. }),
            refuses,
            "{status}: {error:?}"
        );
        assert_eq!(
            matches!(error, RepoError::Unavailable { .. }),
            !refuses,
            "{status}: {error:?}"
        );
        assert!(
            format!("{error:?}").contains("come back later"),
            "{error:?}"
        );
    }
    world.server.be(Mood::Html);
    let error = world.fetch(&["main"], &[]).await.unwrap_err();
    assert!(matches!(error, RepoError::Unavailable { .. }), "{error:?}");
    assert!(format!("{error:?}").contains("text/html"), "{error:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_does_not_listen_is_unavailable() {
    let world = World::new().await;
    let port = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let remote = Remote {
        url: format!("http://127.0.0.1:{port}/acme/access.git"),
        token: Some(TOKEN.into()),
    };
    let error = world
        .mirror
        .fetch(&remote, &["main"], &[])
        .await
        .unwrap_err();
    assert!(matches!(error, RepoError::Unavailable { .. }), "{error:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_fetch_leaves_the_mirror_as_it_was() {
    let world = World::new().await;
    world.fetch(&["main"], &[]).await.unwrap();
    world.server.be(Mood::Answers(StatusCode::BAD_GATEWAY));
    world.fetch(&["main"], &[]).await.unwrap_err();
    assert_eq!(world.mirror.tip("main").await.unwrap(), Some(world.first));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_branch_whose_name_is_not_text_hinders_nobody() {
    let world = World::new().await;
    let refs = format!("{} refs/heads/main\n", world.first).into_bytes();
    let strange = [
        format!("{} refs/heads/", world.first).as_bytes(),
        b"\xff\xfe\n",
    ]
    .concat();
    let packed = [
        b"# pack-refs with: peeled fully-peeled sorted \n".to_vec(),
        refs,
        strange,
    ]
    .concat();
    world.origin.git(&["update-ref", "-d", "refs/heads/main"]);
    std::fs::write(world.origin.path().join("packed-refs"), packed).unwrap();

    world.fetch(&["main"], &[]).await.unwrap();
    assert_eq!(world.mirror.tip("main").await.unwrap(), Some(world.first));
}

#[tokio::test(flavor = "multi_thread")]
async fn trees_that_git_would_not_make_are_fetched_like_others() {
    let world = World::new().await;
    let blob = world.origin.blob("x");
    let names: [&[u8]; 4] = [b"..", b"a/b", b".git", b"\xff"];
    for name in names {
        let tree = world.origin.tree(&[
            ("100644", name, blob.as_str()),
            ("100644", name, blob.as_str()),
        ]);
        let evil = world.origin.commit_tree(
            &world.origin.tree(&[("40000", b"access", &tree)]),
            &[&world.first],
        );
        world.origin.set("refs/pull/9/head", &evil);
        world.fetch(&["main"], &[9]).await.unwrap();
        assert_eq!(world.mirror.files(&evil).await.unwrap()[0].mode, 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_is_no_branch_is_refused_before_anything_is_sent() {
    let world = World::new().await;
    for name in ["a..b", "a b", "x:refs/heads/main", "*"] {
        let error = world.fetch(&[name], &[]).await.unwrap_err();
        assert!(matches!(error, RepoError::Refused { .. }), "{error:?}");
    }
    assert!(world.server.seen().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_that_was_pushed_away_is_fetched_by_its_id() {
    let world = World::new().await;
    let gone = world
        .origin
        .commit(&[&world.first], &[("README", Some("pushed away"))]);
    let never = CommitId::new("1234567890123456789012345678901234567890").unwrap();
    let remote = world.server.remote();

    world
        .mirror
        .fetch_commits(&remote, std::slice::from_ref(&gone))
        .await
        .unwrap();
    let absent = world.mirror.files(&gone).await;
    assert!(
        matches!(absent, Err(RepoError::NoCommit(id)) if id == gone),
        "a server may not let us"
    );

    world
        .origin
        .git(&["config", "uploadpack.allowAnySHA1InWant", "true"]);
    world
        .mirror
        .fetch_commits(&remote, &[never.clone(), gone.clone()])
        .await
        .unwrap();
    assert_eq!(world.mirror.files(&gone).await.unwrap().len(), 1);
    assert!(
        matches!(world.mirror.files(&never).await, Err(RepoError::NoCommit(id)) if id == never)
    );

    let requests = world.server.seen().len();
    world.mirror.fetch_commits(&remote, &[gone]).await.unwrap();
    assert_eq!(
        world.server.seen().len(),
        requests,
        "what is here is not asked for"
    );

    world.server.be(Mood::Answers(StatusCode::UNAUTHORIZED));
    let error = world
        .mirror
        .fetch_commits(&remote, &[never])
        .await
        .unwrap_err();
    assert!(matches!(error, RepoError::Refused { .. }), "{error:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_push_puts_the_local_branch_on_the_remote() {
    let world = World::new().await;
    world.fetch(&["main"], &[]).await.unwrap();
    assert!(
        matches!(world.push(false).await, Err(RepoError::NoRevision(_))),
        "nothing to push yet"
    );

    let made = world.remove(&world.first, "Remove").await;
    assert_eq!(
        world.mirror.tip("tidy").await.unwrap(),
        None,
        "not on the remote yet"
    );
    world.push(false).await.unwrap();

    assert_eq!(world.origin.git(&["rev-parse", "tidy"]), made.as_str());
    assert_eq!(world.mirror.tip("tidy").await.unwrap(), Some(made));
    world
        .push(false)
        .await
        .expect("pushing what is there already is fine");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_push_that_a_rule_of_the_server_declines_is_refused_in_its_words() {
    let world = World::new().await;
    world.fetch(&["main"], &[]).await.unwrap();
    world.remove(&world.first, "Remove").await;
    for (hook, script) in [
        ("update", "echo 'GH013: a rule forbids $1' >&2; exit 1"),
        ("pre-receive", "echo 'GH013: a rule forbids it' >&2; exit 1"),
    ] {
        world.origin.hook(hook, script);
        let error = world.push(false).await.unwrap_err();
        assert!(
            matches!(&error, RepoError::Refused { reason } if reason.contains("GH013")),
            "{error:?}"
        );
        assert_eq!(world.mirror.tip("tidy").await.unwrap(), None);
        std::fs::remove_file(world.origin.path().join("hooks").join(hook)).unwrap();
    }
    world.push(false).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn only_a_forced_push_replaces_what_is_there() {
    let world = World::new().await;
    world.fetch(&["main"], &[]).await.unwrap();
    let theirs = world
        .origin
        .commit(&[&world.first], &[("README", Some("theirs"))]);
    world.origin.set("refs/heads/tidy", &theirs);
    let ours = world.remove(&world.first, "Ours").await;

    for fetched in [false, true] {
        if fetched {
            world.fetch(&["tidy"], &[]).await.unwrap();
        }
        let error = world.push(false).await.unwrap_err();
        assert!(matches!(error, RepoError::Refused { .. }), "{error:?}");
        assert_eq!(world.origin.git(&["rev-parse", "tidy"]), theirs.as_str());
    }
    world.push(true).await.unwrap();
    assert_eq!(world.origin.git(&["rev-parse", "tidy"]), ours.as_str());
    assert_eq!(world.mirror.tip("tidy").await.unwrap(), Some(ours));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fetch_between_a_commit_and_its_push_takes_nothing_away() {
    let world = World::new().await;
    world.origin.set("refs/heads/tidy", &world.first);
    world.fetch(&["main", "tidy"], &[]).await.unwrap();
    let made = world.remove(&world.first, "Remove").await;
    world.fetch(&["main", "tidy"], &[]).await.unwrap();
    world.push(false).await.unwrap();
    assert_eq!(world.origin.git(&["rev-parse", "tidy"]), made.as_str());
}

#[tokio::test(flavor = "multi_thread")]
async fn many_calls_at_once_take_turns() {
    let world = World::new().await;
    world.fetch(&["main"], &[]).await.unwrap();
    let again = Mirror::open(&world.dir.path().join("mirror.git"))
        .await
        .unwrap();
    let mut calls = tokio::task::JoinSet::new();
    for n in 0..12_u64 {
        let (mirror, remote) = (
            if n % 2 == 0 {
                world.mirror.clone()
            } else {
                again.clone()
            },
            world.server.remote(),
        );
        let pull = world
            .origin
            .commit(&[&world.first], &[("README", Some(&n.to_string()))]);
        world.origin.set(&format!("refs/pull/{n}/head"), &pull);
        calls.spawn(async move {
            mirror.fetch(&remote, &["main"], &[n]).await.unwrap();
            assert_eq!(mirror.resolve(pull.as_str()).await.unwrap(), pull);
        });
    }
    calls.join_all().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proposal_is_not_pushed_over_what_came_to_its_branch_since_the_look() {
    let world = World::new().await;
    let theirs = [("README", Some("theirs"))];
    let theirs = world.origin.commit(&[&world.first], &theirs);
    let push = async |seen: Option<&CommitId>| {
        let (remote, seen) = (world.server.remote(), seen.cloned());
        let (folder, first) = (world.dir.path().join("clone"), world.first.clone());
        let push = move || {
            let repo = git2::Repository::init_bare(folder).unwrap();
            propose::fetch_branch(&repo, &remote, ("origin", "main")).unwrap();
            let first = git2::Oid::from_str(first.as_str()).unwrap();
            let first = repo.find_commit(first).unwrap();
            repo.branch("ask", &first, true).unwrap();
            propose::push_branch(&repo, &remote, "ask", seen.as_ref())
        };
        tokio::task::spawn_blocking(push).await.unwrap()
    };
    let there = || world.origin.git(&["rev-parse", "refs/heads/ask"]);
    world.origin.set("refs/heads/ask", &theirs);
    for seen in [None, Some(&world.first)] {
        let error = push(seen).await.unwrap_err();
        assert!(
            matches!(&error, RepoError::Refused { reason } if reason.contains("changed it there meanwhile")),
            "{error}"
        );
        assert_eq!(there(), theirs.as_str());
    }
    push(Some(&theirs)).await.unwrap();
    assert_eq!(there(), world.first.as_str());
}
