//! Reading history: which commit brought which grant file.

use hallpass::domain::model::CommitId;
use hallpass::repo::{Landed, Mirror, RepoError, read};

use super::fixture::{Origin, path};

const ADA: &str = "access/grants/orders/ada.yaml";
const BOB: &str = "access/grants/orders/bob.yaml";

async fn landed(
    mirror: &Mirror,
    since: Option<&CommitId>,
    tip: &CommitId,
) -> Vec<(String, CommitId)> {
    let found: Vec<Landed> = mirror.landed(since, tip).await.unwrap();
    found
        .into_iter()
        .map(|one| (one.path.short().to_owned(), one.commit))
        .collect()
}

fn brought(short: &str, commit: &CommitId) -> (String, CommitId) {
    (short.to_owned(), commit.clone())
}

struct Main {
    origin: Origin,
    tip: CommitId,
}

impl Main {
    fn new() -> Self {
        let origin = Origin::new();
        let tip = origin.commit(&[], &[("README", Some("hello"))]);
        Self { origin, tip }
    }

    /// A commit on top of main, as a squash or a direct push makes it.
    fn put(&mut self, files: &[(&str, Option<&str>)]) -> CommitId {
        self.tip = self.origin.commit(&[&self.tip], files);
        self.tip.clone()
    }

    async fn mirror(&self) -> Mirror {
        self.origin.set("refs/heads/main", &self.tip);
        self.origin.mirror().await
    }
}

#[tokio::test]
async fn a_file_lands_with_the_merge_not_with_the_commit_of_the_branch() {
    let mut main = Main::new();
    let root = main.tip.clone();
    let side = main.origin.commit(&[&root], &[(ADA, Some("draft"))]);
    let side = main.origin.commit(&[&side], &[(ADA, Some("final"))]);
    main.put(&[("README", Some("meanwhile"))]);
    let merge = main
        .origin
        .commit(&[&main.tip, &side], &[(ADA, Some("final"))]);
    main.tip = merge.clone();
    let mirror = main.mirror().await;
    assert_eq!(
        landed(&mirror, None, &merge).await,
        [brought("orders/ada", &merge)]
    );
    assert_eq!(
        landed(&mirror, Some(&root), &merge).await,
        [brought("orders/ada", &merge)]
    );
    assert_eq!(landed(&mirror, Some(&merge), &merge).await, []);
}

#[tokio::test]
async fn a_squash_and_a_rebase_land_with_the_commit_that_has_the_final_content() {
    let mut main = Main::new();
    let root = main.tip.clone();
    let squash = main.put(&[(ADA, Some("one"))]);
    main.put(&[(BOB, Some("draft"))]);
    let rebased = main.put(&[(BOB, Some("final"))]);
    let after = main.put(&[("README", Some("later"))]);
    let mirror = main.mirror().await;
    assert_eq!(
        landed(&mirror, Some(&root), &after).await,
        [
            brought("orders/ada", &squash),
            brought("orders/bob", &rebased)
        ]
    );
    assert_eq!(
        landed(&mirror, Some(&squash), &after).await,
        [brought("orders/bob", &rebased)]
    );
    let one = &mirror.landed(Some(&root), &after).await.unwrap()[0];
    assert_eq!(one.blob, main.origin.blob("one"));
    assert_eq!(
        one.at.timestamp().to_string(),
        main.origin
            .git(&["log", "-1", "--format=%ct", squash.as_str()])
    );
}

#[tokio::test]
async fn a_file_that_comes_back_lands_again_even_with_the_same_content() {
    let mut main = Main::new();
    let first = main.put(&[(ADA, Some("one"))]);
    let removed = main.put(&[(ADA, None)]);
    let mirror = main.mirror().await;
    assert_eq!(landed(&mirror, None, &removed).await, []);

    let back = main.put(&[(ADA, Some("one"))]);
    let mirror = main.mirror().await;
    assert_eq!(
        landed(&mirror, Some(&first), &back).await,
        [brought("orders/ada", &back)]
    );
    assert_eq!(
        landed(&mirror, None, &back).await,
        [brought("orders/ada", &back)]
    );

    main.put(&[(ADA, Some("two"))]);
    let reverted = main.put(&[(ADA, Some("one"))]);
    let mirror = main.mirror().await;
    assert_eq!(
        landed(&mirror, Some(&back), &reverted).await,
        [brought("orders/ada", &reverted)]
    );
}

#[tokio::test]
async fn a_file_that_becomes_regular_lands_then() {
    let main = Main::new();
    let blob = main.origin.blob("one");
    let commit = |mode: &str, parents: &[&CommitId]| {
        let tree = main.origin.tree(&[(mode, b"ada.yaml", blob.as_str())]);
        let tree = main.origin.tree(&[("40000", b"orders", &tree)]);
        let tree = main.origin.tree(&[("40000", b"grants", &tree)]);
        main.origin
            .commit_tree(&main.origin.tree(&[("40000", b"access", &tree)]), parents)
    };
    let link = commit("120000", &[&main.tip]);
    let file = commit("100644", &[&link]);
    let main = Main {
        tip: file.clone(),
        ..main
    };
    let mirror = main.mirror().await;
    assert_eq!(
        landed(&mirror, Some(&link), &file).await,
        [brought("orders/ada", &file)]
    );
    assert_eq!(landed(&mirror, Some(&main.tip), &link).await, []);
}

#[tokio::test]
async fn after_main_was_replaced_only_new_content_lands() {
    let mut main = Main::new();
    let root = main.tip.clone();
    let old = main.put(&[(ADA, Some("one")), (BOB, Some("one"))]);
    main.tip = root;
    let again = main.put(&[(ADA, Some("one"))]);
    let new = main.put(&[(BOB, Some("two"))]);
    main.origin.set("refs/heads/old", &old);
    let mirror = main.mirror().await;
    assert_eq!(
        landed(&mirror, Some(&old), &new).await,
        [brought("orders/bob", &new)]
    );
    assert_eq!(
        landed(&mirror, None, &new).await,
        [brought("orders/ada", &again), brought("orders/bob", &new)]
    );
}

#[tokio::test]
async fn a_merge_the_wrong_way_round_lands_nothing_twice() {
    let mut main = Main::new();
    let root = main.tip.clone();
    let old = main.put(&[(ADA, Some("one"))]);
    let side = main.origin.commit(&[&root], &[(BOB, Some("one"))]);
    let merge = main.origin.commit(&[&side, &old], &[(ADA, Some("one"))]);
    main.tip = merge.clone();
    let mirror = main.mirror().await;
    assert_eq!(
        landed(&mirror, Some(&old), &merge).await,
        [brought("orders/bob", &side)]
    );
}

#[tokio::test]
async fn what_is_not_here_is_said_so() {
    let main = Main::new();
    let mirror = main.mirror().await;
    let absent = CommitId::new("00000000000000000000000000000000000000aa").unwrap();
    assert!(
        matches!(mirror.landed(Some(&absent), &main.tip).await, Err(RepoError::NoCommit(id)) if id == absent)
    );
    assert!(matches!(
        mirror.is_ancestor(&absent, &main.tip).await,
        Err(RepoError::NoCommit(_))
    ));
    assert!(matches!(
        mirror.merge_base(&main.tip, &absent).await,
        Err(RepoError::NoCommit(_))
    ));
    assert!(matches!(
        mirror.ancestor(&absent, 1).await,
        Err(RepoError::NoCommit(_))
    ));
}

#[tokio::test]
async fn ancestors_follow_first_parents_and_end_at_the_root() {
    let mut main = Main::new();
    let root = main.tip.clone();
    let one = main.put(&[("a", Some("1"))]);
    let side = main.origin.commit(&[&root], &[("b", Some("1"))]);
    let merge = main.origin.commit(&[&one, &side], &[("b", Some("1"))]);
    let stranger = main.origin.commit(&[], &[("c", Some("1"))]);
    main.origin.set("refs/heads/stranger", &stranger);
    main.tip = merge.clone();
    let mirror = main.mirror().await;
    assert_eq!(
        mirror.ancestor(&merge, 0).await.unwrap(),
        Some(merge.clone())
    );
    assert_eq!(mirror.ancestor(&merge, 1).await.unwrap(), Some(one.clone()));
    assert_eq!(
        mirror.ancestor(&merge, 2).await.unwrap(),
        Some(root.clone())
    );
    assert_eq!(mirror.ancestor(&merge, 3).await.unwrap(), None);
    assert_eq!(
        mirror.merge_base(&one, &side).await.unwrap(),
        Some(root.clone())
    );
    assert_eq!(mirror.merge_base(&one, &stranger).await.unwrap(), None);
    assert!(mirror.is_ancestor(&side, &merge).await.unwrap());
    assert!(mirror.is_ancestor(&merge, &merge).await.unwrap());
    assert!(!mirror.is_ancestor(&one, &side).await.unwrap());
}

#[tokio::test]
async fn where_merges_cross_all_that_a_merge_may_take_back_is_a_change() {
    let origin = Origin::new();
    let mut stream = String::new();
    let mut commit = |mark: u32, date: u32, from: &str, files: &str| {
        stream += &format!(
            "commit refs/heads/c{mark}\nmark :{mark}\ncommitter A <a@b> {date} +0000\ndata 1\nx\n{from}{files}\n"
        );
    };
    let owners = |text: &str| format!("M 100644 inline .github/CODEOWNERS\ndata 3\n{text}\n");
    let grant = "M 100644 inline access/grants/db/b.yaml\ndata 2\nb\n\n";
    commit(1, 100, "", &owners("old"));
    // A request, whose date says that it is newer than the stricter CODEOWNERS; and both on the branch.
    commit(2, 900, "from :1\n", grant);
    commit(3, 200, "from :1\n", &owners("new"));
    commit(4, 300, "from :3\nmerge :2\n", grant);
    // It crosses that merge, and is the request without its grant.
    commit(5, 901, "from :2\nmerge :3\n", "D access/grants/db/b.yaml\n");
    origin.git_with(&["fast-import", "--quiet"], stream.as_bytes());
    let repo = read::open(&origin.path()).unwrap();
    let [main, head] = ["c4", "c5"].map(|name| read::resolve(&repo, name).unwrap());
    let changes = read::proposed(&repo, &main, &head).unwrap().unwrap();
    let paths: Vec<&str> = changes.iter().map(|c| c.path.as_str()).collect();
    assert_eq!(paths, [".github/CODEOWNERS", "access/grants/db/b.yaml"]);
}

#[tokio::test]
async fn a_long_history_is_walked_to_its_root() {
    let origin = Origin::new();
    let mut stream = String::new();
    for n in 0..3_000 {
        let date = 1_790_000_000 + n;
        stream += &format!("commit refs/heads/main\ncommitter A <a@b> {date} +0000\ndata 1\nx\n");
        stream += &format!(
            "M 100644 inline access/grants/db{}/g{n}.yaml\ndata 5\n{n:05}\n",
            n % 20
        );
        stream += &format!("M 100644 inline src/f{}.rs\ndata 5\n{n:05}\n\n", n % 50);
    }
    origin.git_with(&["fast-import", "--quiet"], stream.as_bytes());
    let mirror = origin.mirror().await;
    let tip = mirror.tip("main").await.unwrap().unwrap();
    let found = mirror.landed(None, &tip).await.unwrap();
    assert_eq!(found.len(), 3_000);
    let expected = origin.git(&[
        "log",
        "-1",
        "--format=%H",
        "main",
        "--",
        "access/grants/db7/g7.yaml",
    ]);
    let seven = found.iter().find(|one| one.path == path("db7/g7")).unwrap();
    assert_eq!(seven.commit.as_str(), expected);
}
