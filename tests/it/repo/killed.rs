//! A mirror as a process leaves it that is killed while it writes.

use hallpass::repo::{Mirror, RepoError};

use super::fixture::{Origin, Server, git_in};

/// Every file that libgit2 makes while it changes a mirror or makes one.
const LOCKS: [&str; 5] = [
    "HEAD.lock",
    "config.lock",
    "packed-refs.lock",
    "refs/heads/main.lock",
    "refs/hallpass/incoming/heads/main.lock",
];

#[tokio::test(flavor = "multi_thread")]
async fn what_a_killed_process_locked_is_free_at_the_next_start() {
    let origin = Origin::new();
    let first = origin.commit(&[], &[("README", Some("hello"))]);
    origin.set("refs/heads/main", &first);
    let server = Server::of(&origin).await;
    let dir = tempfile::TempDir::new().unwrap();
    let folder = dir.path().join("mirror.git");
    let fetched = async || -> Result<_, RepoError> {
        let mirror = Mirror::open(&folder).await?;
        mirror.fetch(&server.remote(), &["main"], &[]).await?;
        mirror.tip("main").await
    };
    // Before there is a whole mirror, and after.
    std::fs::create_dir(&folder).unwrap();
    for _ in 0..2 {
        for lock in LOCKS {
            let lock = folder.join(lock);
            std::fs::create_dir_all(lock.parent().unwrap()).unwrap();
            std::fs::write(lock, "").unwrap();
        }
        assert_eq!(fetched().await.unwrap(), Some(first.clone()));
    }
    git_in(&folder, &["fsck", "--strict"], b"");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_another_process_is_writing_stays_locked() {
    let dir = tempfile::TempDir::new().unwrap();
    let folder = dir.path().join("mirror.git");
    Mirror::open(&folder).await.unwrap();
    let writing = std::fs::File::open(folder.join("hallpass.lock")).unwrap();
    writing.lock().unwrap();
    let lock = folder.join("refs/heads/main.lock");
    std::fs::write(&lock, "").unwrap();
    Mirror::open(&folder).await.unwrap();
    assert!(lock.exists());
}
