//! The mirror stays small, loses nothing, and can be read all the while.

use std::path::Path;
use std::time::Duration;

use hallpass::domain::model::CommitId;
use hallpass::repo::{Mirror, Remote, Signers};
use tempfile::TempDir;

use super::fixture::{Origin, git_in, text};

fn packs(mirror: &Path) -> usize {
    let entries = std::fs::read_dir(mirror.join("objects/pack"))
        .unwrap()
        .map(Result::unwrap);
    entries
        .filter(|entry| entry.path().extension().is_some_and(|e| e == "pack"))
        .count()
}

/// A pull request for each number, each with a commit of its own.
fn pulls(origin: &Origin, count: u64) -> Vec<CommitId> {
    let root = origin.commit(&[], &[("access/people/ada.yaml", Some("ada"))]);
    origin.set("refs/heads/main", &root);
    let pull = |n: u64| {
        let commit = origin.commit(
            &[&root],
            &[("access/people/ada.yaml", Some(&format!("ada {n}")))],
        );
        origin.set(&format!("refs/pull/{n}/head"), &commit);
        commit
    };
    (0..count).map(pull).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn many_fetches_leave_few_packs_and_every_object() {
    let origin = Origin::new();
    let commits = pulls(&origin, 120);
    let remote = Remote {
        url: origin.path().to_str().unwrap().to_owned(),
        token: None,
    };
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("mirror.git");
    let mirror = Mirror::open(&path).await.unwrap();
    let reader = tokio::spawn(read_for_ever(
        Mirror::open(&path).await.unwrap(),
        commits[0].clone(),
    ));

    for n in 0..120 {
        mirror.fetch(&remote, &["main"], &[n]).await.unwrap();
    }

    assert!(packs(&path) <= 51, "{}", packs(&path));
    for (n, commit) in commits.iter().enumerate() {
        assert_eq!(
            &*mirror.files(commit).await.unwrap()[0].bytes,
            format!("ada {n}").as_bytes()
        );
    }
    git_in(&path, &["fsck", "--strict", "--full"], b"");
    assert!(!reader.is_finished(), "{:?}", reader.await);
    reader.abort();
}

async fn read_for_ever(mirror: Mirror, commit: CommitId) {
    // Often enough to meet every repack, and no processor is kept from whatever else is tested.
    let a_moment = Duration::from_millis(2);
    while mirror.resolve(commit.as_str()).await.is_err() {
        tokio::time::sleep(a_moment).await;
    }
    loop {
        assert_eq!(mirror.files(&commit).await.unwrap().len(), 1);
        tokio::time::sleep(a_moment).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn many_loose_objects_become_one_pack() {
    let origin = Origin::new();
    let mut stream =
        String::from("commit refs/heads/main\ncommitter A <a@b> 1790000000 +0000\ndata 1\nx\n");
    for n in 0..8_000 {
        stream += &format!("M 100644 inline f{n}\ndata 5\n{n:05}\n");
    }
    origin.git_with(&["fast-import", "--quiet"], stream.as_bytes());
    let everything = origin
        .git_with(&["pack-objects", "--all", "--stdout", "-q"], b"")
        .stdout;

    let dir = TempDir::new().unwrap();
    let path = dir.path().join("mirror.git");
    let mirror = Mirror::open(&path).await.unwrap();
    git_in(&path, &["unpack-objects", "-q"], &everything);
    mirror
        .append_evidence(
            &Signers::at(&path.with_file_name("evidence_key")).unwrap(),
            "hallpass/evidence",
            &[],
        )
        .await
        .unwrap();

    let counts = text(git_in(&path, &["count-objects", "-v"], b""));
    assert!(counts.starts_with("count: 0\n"), "{counts}");
    assert_eq!(packs(&path), 1);
    let main = CommitId::new(origin.git(&["rev-parse", "main"])).unwrap();
    assert!(mirror.files(&main).await.unwrap().is_empty());
    git_in(&path, &["fsck", "--full"], b"");
}
