//! Commits of our own on the main history: the removal of what ended, the record of an emergency.

use hallpass::domain::model::{CommitId, GrantPath, RepoPath};
use hallpass::repo::{Addition, Mirror, RepoError};

use super::fixture::{Origin, at, path};

async fn remove(mirror: &Mirror, onto: &CommitId, paths: &[GrantPath]) -> Option<CommitId> {
    let when = at("2026-11-24T18:00:00Z");
    mirror
        .commit_removal(
            "hallpass/tidy",
            onto,
            paths,
            "Remove expired access\n\nTwo grants ended.",
            when,
        )
        .await
        .unwrap()
}

async fn three() -> (Origin, CommitId, Mirror) {
    let origin = Origin::new();
    let files = ["orders/ada", "orders/bob", "ledger/ada"].map(|short| path(short).to_string());
    let mut entries: Vec<(&str, Option<&str>)> = files
        .iter()
        .map(|file| (file.as_str(), Some("x")))
        .collect();
    entries.extend([
        ("README", Some("hello")),
        ("access/people/ada.yaml", Some("x")),
    ]);
    let commit = origin.commit(&[], &entries);
    origin.set("refs/heads/main", &commit);
    let mirror = origin.mirror().await;
    (origin, commit, mirror)
}

#[tokio::test]
async fn a_removal_takes_the_files_and_the_folders_that_it_empties() {
    let (origin, onto, mirror) = three().await;
    let commit = remove(
        &mirror,
        &onto,
        &[path("orders/ada"), path("ledger/ada"), path("ledger/eve")],
    )
    .await
    .unwrap();
    let git = |args: &[&str]| origin.git(args);
    assert_eq!(
        git(&["ls-tree", "-r", "-t", "--name-only", commit.as_str()]),
        "README\naccess\naccess/grants\naccess/grants/orders\naccess/grants/orders/bob.yaml\naccess/people\naccess/people/ada.yaml"
    );
    assert_eq!(
        git(&[
            "log",
            "-1",
            "--format=%an <%ae> %aI %cn %cI %P %B",
            commit.as_str()
        ]),
        format!(
            "Hallpass <hallpass@users.noreply.github.com> 2026-11-24T18:00:00Z Hallpass 2026-11-24T18:00:00Z {onto} \
             Remove expired access\n\nTwo grants ended."
        )
    );
    git(&["fsck", "--strict", "--no-dangling", commit.as_str()]);
}

#[tokio::test]
async fn the_same_removal_is_the_same_commit() {
    let (_origin, onto, mirror) = three().await;
    let first = remove(&mirror, &onto, &[path("orders/ada"), path("orders/bob")]).await;
    let other = remove(&mirror, &onto, &[path("ledger/ada")]).await;
    let again = remove(
        &mirror,
        &onto,
        &[path("orders/bob"), path("orders/ada"), path("orders/bob")],
    )
    .await;
    assert!(first.is_some());
    assert_eq!(first, again);
    assert_ne!(first, other);
}

#[tokio::test]
async fn removing_what_is_not_there_commits_nothing() {
    let (_origin, onto, mirror) = three().await;
    assert_eq!(remove(&mirror, &onto, &[]).await, None);
    assert_eq!(
        remove(&mirror, &onto, &[path("orders/eve"), path("nowhere/ada")]).await,
        None
    );
    let absent = CommitId::new("00000000000000000000000000000000000000aa").unwrap();
    let when = at("2026-11-24T18:00:00Z");
    let error = mirror
        .commit_removal("tidy", &absent, &[path("orders/ada")], "x", when)
        .await
        .unwrap_err();
    assert!(matches!(error, RepoError::NoCommit(id) if id == absent));
}

#[tokio::test]
async fn a_repository_of_one_file_becomes_an_empty_one() {
    let origin = Origin::new();
    let onto = origin.commit(&[], &[("access/grants/orders/ada.yaml", Some("x"))]);
    origin.set("refs/heads/main", &onto);
    let mirror = origin.mirror().await;
    let commit = remove(&mirror, &onto, &[path("orders/ada")]).await.unwrap();
    assert!(mirror.files(&commit).await.unwrap().is_empty());
    assert_eq!(mirror.changes(&onto, &commit).await.unwrap().len(), 1);
}

#[tokio::test]
async fn opening_keeps_what_is_there_and_refuses_what_is_no_mirror() {
    let (origin, onto, _mirror) = three().await;
    let again = Mirror::open(&origin.path()).await.unwrap();
    assert_eq!(again.tip("main").await.unwrap(), Some(onto));
    let file = origin.path().join("file");
    std::fs::write(&file, "x").unwrap();
    assert!(matches!(
        Mirror::open(&file).await,
        Err(RepoError::Broken { .. })
    ));
}

async fn add(mirror: &Mirror, onto: &CommitId, path: &str, text: &str) -> Option<CommitId> {
    let addition = Addition {
        onto: onto.clone(),
        path: RepoPath::new(path).unwrap(),
        bytes: text.as_bytes().to_vec(),
        message: "Review break-glass".to_owned(),
        at: at("2026-11-24T18:00:00Z"),
    };
    mirror
        .commit_file("hallpass/emergency/x", addition)
        .await
        .unwrap()
}

const RECORD: &str = "access/emergencies/orders/ada-0123456789ab.yaml";

#[tokio::test]
async fn a_file_is_added_beside_everything_else_and_replaced_in_its_place() {
    let (origin, onto, mirror) = three().await;
    let git = |args: &[&str]| origin.git(args);
    let before = git(&["ls-tree", "-r", onto.as_str()]);
    let first = add(&mirror, &onto, RECORD, "one").await.unwrap();
    let tree = git(&["ls-tree", "-r", first.as_str()]);
    let (ours, others): (Vec<&str>, Vec<&str>) =
        tree.lines().partition(|line| line.ends_with(RECORD));
    assert!(
        ours.len() == 1 && ours[0].starts_with("100644 blob "),
        "{ours:?}"
    );
    assert_eq!(others, before.lines().collect::<Vec<_>>());
    let second = add(&mirror, &first, RECORD, "two").await.unwrap();
    assert_eq!(git(&["show", &format!("{second}:{RECORD}")]), "two");
    assert_eq!(
        git(&["diff", "--name-status", first.as_str(), second.as_str()]),
        format!("M\t{RECORD}")
    );
    git(&["fsck", "--strict", "--no-dangling", second.as_str()]);
}

#[tokio::test]
async fn the_same_addition_is_the_same_commit_and_what_stands_already_is_none() {
    let (_origin, onto, mirror) = three().await;
    let first = add(&mirror, &onto, RECORD, "one").await.unwrap();
    assert_eq!(
        add(&mirror, &onto, RECORD, "one").await,
        Some(first.clone())
    );
    assert_eq!(add(&mirror, &first, RECORD, "one").await, None);
    // A file in the place of a folder gives way.
    let odd = add(&mirror, &onto, "README/odd", "one").await.unwrap();
    assert_eq!(mirror.changes(&onto, &odd).await.unwrap().len(), 2);
}
