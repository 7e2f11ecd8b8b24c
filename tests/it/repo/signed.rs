//! Signatures and the chain of the evidence branch, as plain git sees them.

use std::path::Path;

use hallpass::domain::evidence::{Record, digest};
use hallpass::domain::model::CommitId;
use hallpass::repo::{Keepsake, RepoError, Signers};
use secrecy::SecretString;

use super::evidence::{BRANCH, World, events};
use super::fixture::{at, git_in, text};

impl World {
    fn commits(&self) -> Vec<String> {
        let list = self.origin.git(&["rev-list", "--reverse", BRANCH]);
        list.lines().map(str::to_owned).collect()
    }

    fn bytes(&self, commit: &str) -> String {
        self.origin.git(&["show", &format!("{commit}:record.json")])
    }

    fn record(&self, commit: &str) -> Record {
        Record::read(self.bytes(commit).as_bytes()).unwrap()
    }

    /// Whether git believes `commit`, given the file of allowed signers.
    fn verifies(&self, commit: &str, allowed: &Path) -> bool {
        let file = format!("gpg.ssh.allowedSignersFile={}", allowed.display());
        let output = self
            .origin
            .git_output(&["-c", &file, "verify-commit", commit]);
        output.status.success()
    }

    /// Somebody with write access puts a commit with this message and tree on the branch.
    fn forge(&self, message: &str, of: &str) -> String {
        self.plant(&[BRANCH], &format!("{message}\n"), of)
    }

    /// The same, with these parents and exactly this message.
    fn plant(&self, parents: &[&str], message: &str, of: &str) -> String {
        let tree = self.origin.git(&["rev-parse", &format!("{of}^{{tree}}")]);
        let mut arguments = vec!["-c", "user.name=Mallory"];
        arguments.extend(["-c", "user.email=mallory@example.org", "commit-tree"]);
        arguments.extend(parents.iter().flat_map(|parent| ["-p", parent]));
        arguments.push(tree.trim());
        let commit = text(self.origin.git_with(&arguments, message.as_bytes()));
        let commit = commit.trim().to_owned();
        self.origin.set(
            &format!("refs/heads/{BRANCH}"),
            &CommitId::new(&commit).unwrap(),
        );
        commit
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn git_itself_verifies_every_commit_with_the_public_key() {
    let world = World::new().await;
    world.append(0..120).await;
    world.push().await.unwrap();
    let allowed = world.dir.path().join("allowed");
    let line = format!(
        "hallpass@users.noreply.github.com {}\n",
        world.signers.public()
    );
    std::fs::write(&allowed, line).unwrap();
    for commit in world.commits() {
        assert!(world.verifies(&commit, &allowed), "{commit}");
    }
    let shown = world
        .origin
        .git(&["show", &format!("{BRANCH}:allowed_signers")]);
    std::fs::write(&allowed, shown).unwrap();
    assert!(world.verifies(BRANCH, &allowed));
    let stranger = Signers::at(&world.dir.path().join("other_key")).unwrap();
    let line = format!("hallpass@users.noreply.github.com {}\n", stranger.public());
    std::fs::write(&allowed, line).unwrap();
    assert!(!world.verifies(BRANCH, &allowed));
}

#[tokio::test(flavor = "multi_thread")]
async fn records_count_up_and_name_the_digest_of_the_one_before_across_batches() {
    let world = World::new().await;
    world.append(0..2).await;
    world.push().await.unwrap();
    world.fetch().await;
    world.append(2..5).await;
    world.push().await.unwrap();
    let mut previous = None;
    for (place, commit) in world.commits().iter().enumerate() {
        let record = world.record(commit);
        assert_eq!(record.seq, place as u64 + 1);
        assert_eq!(record.prev, previous);
        previous = Some(digest(world.bytes(commit).as_bytes()));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_of_somebody_else_is_no_event_and_moves_nothing() {
    let world = World::new().await;
    world.append(0..2).await;
    world.push().await.unwrap();
    // It claims the key of an event that is yet to come, so that this would never be written.
    let forged = "Granted\n\nEvent-Key: granted:orders/ada#2";
    world.forge(forged, BRANCH);
    world.fetch().await;
    world.append(2..3).await;
    world.push().await.unwrap();
    let commits = world.commits();
    assert_eq!(commits.len(), 4);
    let own = world.record(&commits[3]);
    assert_eq!((own.seq, own.key.as_str()), (3, "granted:orders/ada#2"));
    assert_eq!(own.prev, Some(digest(world.bytes(&commits[1]).as_bytes())));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_merge_by_somebody_else_does_not_make_the_chain_go_on_from_before() {
    let world = World::new().await;
    world.append(0..3).await;
    world.push().await.unwrap();
    let commits = world.commits();
    // Its first parent is an older record of ours, and the end of the branch only its second.
    world.plant(&[&commits[0], BRANCH], "Merge\n", BRANCH);
    world.fetch().await;
    world.append(3..4).await;
    world.push().await.unwrap();
    let own = world.record(BRANCH);
    assert_eq!(own.seq, 4);
    assert_eq!(own.prev, Some(digest(world.bytes(&commits[2]).as_bytes())));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_looks_like_a_signature_in_a_message_is_none_and_stops_nothing() {
    let world = World::new().await;
    world.append(0..1).await;
    world.push().await.unwrap();
    for message in ["x\n\ngpgsig a\n b", "x\n\ngpgsig a", "gpgsig \n"] {
        world.plant(&[BRANCH], message, BRANCH);
    }
    world.fetch().await;
    world.append(1..2).await;
    world.push().await.unwrap();
    assert_eq!(world.record(BRANCH).seq, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_far_ahead_that_nobody_signed_does_not_make_the_chain_jump() {
    let world = World::new().await;
    world.append(0..1).await;
    world.push().await.unwrap();
    let blob = world.origin.git_with(
        &["hash-object", "-w", "--stdin"],
        br#"{"seq":18446744073709551615}"#,
    );
    let entry = format!("100644 blob {}\trecord.json\n", text(blob).trim());
    let tree = text(world.origin.git_with(&["mktree"], entry.as_bytes()));
    world.forge("Ahead", tree.trim());
    world.fetch().await;
    world.append(1..2).await;
    world.push().await.unwrap();
    assert_eq!(world.record(world.commits().last().unwrap()).seq, 2);
}

fn private(path: &Path) -> SecretString {
    std::fs::read_to_string(path).unwrap().into()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_key_is_announced_by_the_one_before_it() {
    let mut world = World::new().await;
    world.append(0..2).await;
    world.push().await.unwrap();
    world.fetch().await;
    let old = world.signers.clone();
    let (old_file, new_file) = (
        world.dir.path().join("evidence_key"),
        world.dir.path().join("new_key"),
    );
    let new = Signers::at(&new_file).unwrap();
    world.signers = Signers::new(&private(&new_file), Some(&private(&old_file))).unwrap();
    world.append(0..4).await;
    world.push().await.unwrap();
    let commits = world.commits();
    // What the old key signed is still believed, so nothing is written twice.
    assert_eq!(commits.len(), 5);
    let announced = world.record(&commits[2]);
    assert_eq!(announced.signing_key, Some(new.public()));
    assert_eq!(announced.key_before, Some(old.fingerprint()));
    let allowed = world.dir.path().join("allowed");
    let line = |key: &Signers| format!("hallpass@users.noreply.github.com {}\n", key.public());
    std::fs::write(&allowed, line(&old)).unwrap();
    let by_old: Vec<bool> = commits
        .iter()
        .map(|c| world.verifies(c, &allowed))
        .collect();
    assert_eq!(by_old, [true, true, true, false, false]);
    std::fs::write(&allowed, line(&new)).unwrap();
    let by_new: Vec<bool> = commits
        .iter()
        .map(|c| world.verifies(c, &allowed))
        .collect();
    assert_eq!(by_new, [false, false, false, true, true]);
    // And only once.
    world.fetch().await;
    world.append(4..5).await;
    assert_eq!(world.mirror_commits(), 6);
}

/// The branch after a change of the key: two events, the announcement, one more event. Returns the signers before.
async fn changed() -> (World, Signers) {
    let mut world = World::new().await;
    world.append(0..2).await;
    world.push().await.unwrap();
    world.fetch().await;
    let (old_file, new_file) = (
        world.dir.path().join("evidence_key"),
        world.dir.path().join("new_key"),
    );
    Signers::at(&new_file).unwrap();
    let now = Signers::new(&private(&new_file), Some(&private(&old_file))).unwrap();
    let before = std::mem::replace(&mut world.signers, now);
    world.append(2..3).await;
    world.push().await.unwrap();
    world.fetch().await;
    (world, before)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_replaced_key_signs_is_no_event_and_moves_nothing() {
    let (world, _) = changed().await;
    // Whoever has the old key claims the key of an event that is yet to come, in a record far ahead.
    let blob = world
        .origin
        .git_with(&["hash-object", "-w", "--stdin"], br#"{"seq":99}"#);
    let entry = format!("100644 blob {}\trecord.json\n", text(blob).trim());
    let tree = text(world.origin.git_with(&["mktree"], entry.as_bytes()));
    let key = world.dir.path().join("evidence_key");
    let signing = format!("user.signingkey={}", key.display());
    let arguments = ["-c", "user.name=Mallory", "-c", "user.email=m@example.org"];
    let by = ["-c", "gpg.format=ssh", "-c", &signing];
    let what = ["commit-tree", "-S", "-p", BRANCH, tree.trim()];
    let arguments = [&arguments[..], &by, &what].concat();
    let message = b"Granted\n\nEvent-Key: granted:orders/ada#3\n";
    let forged = text(world.origin.git_with(&arguments, message));
    let forged = CommitId::new(forged.trim()).unwrap();
    world.origin.set(&format!("refs/heads/{BRANCH}"), &forged);

    world.fetch().await;
    let written = world.append(2..4).await;
    world.push().await.unwrap();
    let commits = world.commits();
    assert_eq!(commits.len(), 6, "the event is told by its own commit");
    assert_eq!(
        [written[0].as_str(), written[1].as_str()],
        [&commits[3], &commits[5]]
    );
    let own = world.record(&commits[5]);
    assert_eq!((own.seq, own.key.as_str()), (5, "granted:orders/ada#3"));
    assert_eq!(own.prev, Some(digest(world.bytes(&commits[3]).as_bytes())));

    // Whether a server remembers the change or reads the branch anew.
    world.fetch().await;
    let other = world.another().await;
    let seen = CommitId::new(&commits[3]).unwrap();
    for mirror in [&world.mirror, &other] {
        let told = mirror.told_since(&world.signers, BRANCH, Some(&seen)).await;
        let told = told.unwrap().unwrap().events;
        let keys: Vec<Option<&str>> = told.iter().map(|(_, key)| key.as_deref()).collect();
        assert_eq!(keys, [None, Some("granted:orders/ada#3")]);
        let head = mirror.evidence_head(&world.signers, BRANCH).await;
        assert_eq!(head.unwrap().unwrap().seq, 5);
        let again = mirror
            .append_evidence(&world.signers, BRANCH, &events(2..4))
            .await;
        assert_eq!(again.unwrap(), written);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_still_has_the_old_key_writes_nothing_after_the_change() {
    let (mut world, before) = changed().await;
    let late = world.another().await;
    let commits = world.commits();
    // What the others wrote is written, by whatever key.
    let written = late.append_evidence(&before, BRANCH, &events(1..3)).await;
    let written: Vec<String> = written.unwrap().iter().map(ToString::to_string).collect();
    assert_eq!(written, [commits[1].clone(), commits[3].clone()]);
    let refused = late.append_evidence(&before, BRANCH, &events(2..4)).await;
    let refused = refused.unwrap_err();
    let RepoError::KeyReplaced { by, .. } = &refused else {
        panic!("{refused:?}")
    };
    assert_eq!(by.as_str(), commits[2]);
    // One that has the new key writes it.
    world.append(2..4).await;
    world.push().await.unwrap();
    world.fetch().await;
    assert_eq!(world.commits().len(), 5);

    // Back to the old key, announced by the one that took its place.
    let [old, new] = ["evidence_key", "new_key"].map(|name| private(&world.dir.path().join(name)));
    let between = std::mem::replace(&mut world.signers, Signers::new(&old, Some(&new)).unwrap());
    world.append(3..5).await;
    world.push().await.unwrap();
    let commits = world.commits();
    assert_eq!(commits.len(), 7);
    let announced = world.record(&commits[5]);
    assert_eq!(announced.signing_key, Some(before.public()));
    assert_eq!(announced.key_before, Some(between.fingerprint()));
    // From then on the key between is not needed any more, and its own server is the one that is late.
    world.fetch().await;
    late.fetch(&world.server.remote(), &[BRANCH], &[])
        .await
        .unwrap();
    let alone = late.append_evidence(&before, BRANCH, &events(4..6)).await;
    assert_eq!(alone.unwrap()[0].as_str(), commits[6]);
    let between = Signers::new(&new, None).unwrap();
    let refused = world
        .mirror
        .append_evidence(&between, BRANCH, &events(5..6))
        .await;
    let refused = refused.unwrap_err();
    assert!(
        matches!(refused, RepoError::KeyReplaced { .. }),
        "{refused:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn notes_of_the_key_before_count_until_the_branch_says_that_it_was_replaced() {
    const NOTES: &str = "hallpass/notes";
    async fn kept(world: &World, by: &Signers) -> bool {
        let what = Keepsake {
            bytes: b"{}".to_vec(),
            message: "Notes".to_owned(),
            at: at("2026-11-24T12:00:00Z"),
        };
        world.mirror.keep(by, NOTES, what).await.unwrap();
        let remote = world.server.remote();
        world.mirror.push(&remote, NOTES, true).await.unwrap();
        let kept = world.mirror.kept(&world.signers, NOTES, BRANCH).await;
        kept.unwrap().is_some()
    }
    let mut world = World::new().await;
    world.append(0..2).await;
    world.push().await.unwrap();
    world.fetch().await;
    let old = private(&world.dir.path().join("evidence_key"));
    let new_file = world.dir.path().join("new_key");
    Signers::at(&new_file).unwrap();
    let now = Signers::new(&private(&new_file), Some(&old)).unwrap();
    let before = std::mem::replace(&mut world.signers, now);
    assert!(kept(&world, &before).await);
    world.append(2..3).await;
    world.push().await.unwrap();
    world.fetch().await;
    assert!(!kept(&world, &before).await);
    assert!(kept(&world, &world.signers).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_read_by_other_keys_is_read_anew() {
    let mut world = World::new().await;
    world.append(0..2).await;
    world.push().await.unwrap();
    world.fetch().await;
    let [old_file, new_file] = ["evidence_key", "new_key"].map(|name| world.dir.path().join(name));
    // The key before seems to be lost.
    world.signers = Signers::at(&new_file).unwrap();
    for n in 2..4 {
        world.append(n..n + 1).await;
        world.push().await.unwrap();
        world.fetch().await;
    }
    let commits = world.commits();
    assert_eq!(commits.len(), 5);
    world.signers = Signers::new(&private(&new_file), Some(&private(&old_file))).unwrap();
    let written = world.append(0..2).await;
    let written: Vec<String> = written.iter().map(ToString::to_string).collect();
    assert_eq!(written, commits[..2]);
}

#[tokio::test(flavor = "multi_thread")]
async fn after_the_key_is_lost_the_new_one_says_so_itself_and_goes_on_counting() {
    let mut world = World::new().await;
    world.append(0..2).await;
    world.push().await.unwrap();
    world.fetch().await;
    world.signers = Signers::at(&world.dir.path().join("new_key")).unwrap();
    world.append(2..3).await;
    world.push().await.unwrap();
    let commits = world.commits();
    let announced = world.record(&commits[2]);
    assert_eq!((announced.seq, announced.key_before), (3, None));
    assert_eq!(announced.signing_key, Some(world.signers.public()));
    assert_eq!(world.record(&commits[3]).seq, 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_made_once_and_for_nobody_else_to_read() {
    use std::os::unix::fs::PermissionsExt as _;
    let dir = tempfile::TempDir::new().unwrap();
    let path = dir.path().join("evidence_key");
    let first = Signers::at(&path).unwrap().public();
    assert_eq!(Signers::at(&path).unwrap().public(), first);
    let mode = std::fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
    // OpenSSH's own tool reads it.
    #[expect(
        clippy::disallowed_methods,
        reason = "what OpenSSH reads is the question"
    )]
    let shown = std::process::Command::new("ssh-keygen")
        .arg("-y")
        .arg("-f")
        .arg(&path)
        .output()
        .unwrap();
    assert!(String::from_utf8(shown.stdout).unwrap().starts_with(&first));
}

#[test]
fn a_key_that_cannot_sign_is_refused_with_the_way_out() {
    let dir = tempfile::TempDir::new().unwrap();
    let made = |name: &str, args: &[&str]| {
        let path = dir.path().join(name);
        #[expect(clippy::disallowed_methods, reason = "keys as OpenSSH makes them")]
        let made = std::process::Command::new("ssh-keygen")
            .args(["-q", "-f"])
            .arg(&path)
            .args(args)
            .status()
            .unwrap();
        assert!(made.success());
        private(&path)
    };
    let locked = made("locked", &["-t", "ed25519", "-N", "passphrase"]);
    let other = made("other", &["-t", "ecdsa", "-N", ""]);
    let own = made("own", &["-t", "ed25519", "-N", ""]);
    assert!(Signers::new(&own, None).is_ok());
    let signers = Signers::new(&own, None).unwrap();
    let said = signers.after(&["ssh-ed25519 AAAA".to_owned()]);
    assert!(said.unwrap_err().to_string().contains("`.pub` file"));
    for (key, word) in [
        (locked, "passphrase"),
        (other, "cannot be read"),
        ("nonsense".into(), "cannot be read"),
    ] {
        let said = Signers::new(&key, None).unwrap_err().to_string();
        assert!(
            said.contains(word) && said.contains("ssh-keygen -t ed25519"),
            "{said}"
        );
    }
}

impl World {
    fn mirror_commits(&self) -> usize {
        let path = self.dir.path().join("mirror.git");
        let name = format!("refs/hallpass/local/{BRANCH}");
        text(git_in(&path, &["rev-list", &name], b""))
            .lines()
            .count()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_servers_that_write_at_once_make_one_chain() {
    let world = World::new().await;
    world.fetch().await;
    let other = world.another().await;
    world.append(0..3).await;
    other
        .append_evidence(&world.signers, BRANCH, &events(1..5))
        .await
        .unwrap();
    world.push().await.unwrap();
    other
        .push(&world.server.remote(), BRANCH, false)
        .await
        .unwrap_err();
    world.fetch_into(&other).await;
    other
        .append_evidence(&world.signers, BRANCH, &events(1..5))
        .await
        .unwrap();
    other
        .push(&world.server.remote(), BRANCH, false)
        .await
        .unwrap();
    let sequences: Vec<u64> = world
        .commits()
        .iter()
        .map(|c| world.record(c).seq)
        .collect();
    assert_eq!(sequences, [1, 2, 3, 4, 5]);
}
