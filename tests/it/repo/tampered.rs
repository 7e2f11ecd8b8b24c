//! Whatever is done to the evidence branch is found and named.

use std::collections::BTreeSet;

use git2::{ObjectType, Oid, Repository};
use hallpass::domain::audit::{Chain, Problem, Rule};
use hallpass::domain::evidence::{Event, Kind, LARGEST};
use hallpass::domain::model::CommitId;
use hallpass::repo::read::{self, Signatures};
use hallpass::repo::{Mirror, Signers};
use tempfile::TempDir;

use super::evidence::{BRANCH, events};
use crate::evidence::every_kind;

/// A mirror with evidence, written by the service's own code.
struct Book {
    dir: TempDir,
    repo: Repository,
    signers: Signers,
    commits: Vec<Oid>,
}

impl Book {
    async fn of(events: &[Event]) -> Self {
        let dir = TempDir::new().unwrap();
        let path = dir.path().join("mirror.git");
        let mirror = Mirror::open(&path).await.unwrap();
        let signers = Signers::at(&dir.path().join("evidence_key")).unwrap();
        let written = mirror
            .append_evidence(&signers, BRANCH, events)
            .await
            .unwrap();
        Self {
            dir,
            repo: Repository::open_bare(path).unwrap(),
            signers,
            commits: written.iter().map(oid).collect(),
        }
    }

    fn check(&self, tip: Oid) -> Vec<Problem> {
        self.check_with(tip, &[self.signers.public()])
    }

    fn check_with(&self, tip: Oid, keys: &[String]) -> Vec<Problem> {
        let mut chain = Chain::new(keys.iter().cloned());
        let tip = CommitId::new(tip.to_string()).unwrap();
        read::links(&self.repo, &tip, Signatures::Checked, |link| {
            chain.next(&link);
        })
        .unwrap();
        chain.finish()
    }

    fn rules(&self, tip: Oid) -> BTreeSet<Rule> {
        self.check(tip).into_iter().map(|p| p.rule).collect()
    }

    fn raw(&self, commit: Oid) -> Vec<u8> {
        let odb = self.repo.odb().unwrap();
        odb.read(commit).unwrap().data().to_vec()
    }

    fn write(&self, commit: &[u8]) -> Oid {
        let odb = self.repo.odb().unwrap();
        odb.write(ObjectType::Commit, commit).unwrap()
    }

    /// The commit with this record instead of its own, and everything else as it is.
    fn with_record(&self, commit: Oid, record: &[u8]) -> Oid {
        let tree = self.repo.find_commit(commit).unwrap().tree().unwrap();
        let mut builder = self.repo.treebuilder(Some(&tree)).unwrap();
        let blob = self.repo.blob(record).unwrap();
        builder.insert("record.json", blob, 0o100_644).unwrap();
        let (before, after) = (tree.id().to_string(), builder.write().unwrap().to_string());
        let text = String::from_utf8(self.raw(commit)).unwrap();
        self.write(text.replacen(&before, &after, 1).as_bytes())
    }

    fn record(&self, commit: Oid) -> Vec<u8> {
        let tree = self.repo.find_commit(commit).unwrap().tree().unwrap();
        let id = tree.get_name("record.json").unwrap().id();
        self.repo.find_blob(id).unwrap().content().to_vec()
    }

    /// The commit on another parent, with its own signature.
    fn onto(&self, commit: Oid, parent: Oid) -> Oid {
        let text = String::from_utf8(self.raw(commit)).unwrap();
        let before = self.repo.find_commit(commit).unwrap().parent_id(0).unwrap();
        self.write(
            text.replacen(&before.to_string(), &parent.to_string(), 1)
                .as_bytes(),
        )
    }
}

fn oid(commit: &CommitId) -> Oid {
    Oid::from_str(commit.as_str()).unwrap()
}

/// Places to alter: some of each part of `bytes`, the first and the last among them.
fn places(bytes: &[u8]) -> BTreeSet<usize> {
    let step = (bytes.len() / 12).max(1);
    let mut places: BTreeSet<usize> = (0..bytes.len()).step_by(step).collect();
    // One of each class of byte, wherever it stands.
    for class in [
        |b: u8| b.is_ascii_digit(),
        |b: u8| b.is_ascii_lowercase(),
        |b: u8| b.is_ascii_uppercase(),
        |b: u8| b.is_ascii_punctuation(),
        |b: u8| b == b'\n',
    ] {
        places.extend(bytes.iter().position(|b| class(*b)));
    }
    places.insert(bytes.len() - 1);
    places
}

#[tokio::test(flavor = "multi_thread")]
async fn what_nobody_touched_is_whole() {
    let mut events = every_kind("something");
    // Behind the word that another key signs, this one is not believed.
    events.sort_by_key(|event| event.kind == Kind::KeyChanged);
    let book = Book::of(&events).await;
    let problems = book.check(*book.commits.last().unwrap());
    assert!(problems.is_empty(), "{problems:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_record_is_read_at_its_place_like_any_other() {
    let mut events = events(0..4);
    let long = "x".repeat(100_000);
    events[1].record.insert("reason".to_owned(), long.into());
    let book = Book::of(&events).await;
    let problems = book.check(book.commits[3]);
    assert!(problems.is_empty(), "{problems:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_that_is_larger_than_any_that_is_written_is_named_and_not_read() {
    let book = Book::of(&events(0..3)).await;
    let tip = book.with_record(book.commits[2], &vec![b' '; LARGEST + 1]);
    let problems = book.check(tip).into_iter();
    let told: Vec<String> = problems
        .filter(|p| p.rule == Rule::NoRecord)
        .map(|p| p.message)
        .collect();
    let [told] = told.as_slice() else {
        panic!("{told:?}");
    };
    assert!(told.contains("larger than"), "{told}");
    let tip = CommitId::new(tip.to_string()).unwrap();
    assert_eq!(read::record(&book.repo, &tip).unwrap(), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_byte_that_is_altered_anywhere_in_any_kind_of_record_is_found() {
    let mut altered = 0;
    for event in every_kind("something") {
        let book = Book::of(std::slice::from_ref(&event)).await;
        let commit = book.commits[0];
        let record = book.record(commit);
        for place in places(&record) {
            let mut bytes = record.clone();
            bytes[place] ^= 1;
            let rules = book.rules(book.with_record(commit, &bytes));
            assert!(
                rules.contains(&Rule::BadSignature),
                "byte {place} of {}: {rules:?}",
                String::from_utf8_lossy(&record)
            );
            altered += 1;
        }
    }
    assert!(altered > 300, "{altered}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_byte_that_is_altered_anywhere_in_a_commit_is_found() {
    for event in every_kind("something").into_iter().step_by(5) {
        let book = Book::of(std::slice::from_ref(&event)).await;
        let raw = book.raw(book.commits[0]);
        // The tree's id is the first line: another one is another record, which is looked at by itself.
        let start = raw.iter().position(|b| *b == b'\n').unwrap() + 1;
        for place in places(&raw[start..]) {
            let mut bytes = raw.clone();
            bytes[start + place] ^= 1;
            // git itself refuses what is no commit any more.
            let odb = book.repo.odb().unwrap();
            let Ok(id) = odb.write(ObjectType::Commit, &bytes) else {
                continue;
            };
            if book.repo.find_commit(id).is_err() {
                continue;
            }
            assert!(
                !book.check(id).is_empty(),
                "byte {place} of {}",
                String::from_utf8_lossy(&raw)
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_that_is_taken_out_is_found() {
    let book = Book::of(&events(0..5)).await;
    let cut = book.onto(book.commits[3], book.commits[1]);
    let rules = book.rules(book.onto(book.commits[4], cut));
    for rule in [Rule::BadSignature, Rule::Sequence, Rule::ChainBroken] {
        assert!(rules.contains(&rule), "{rules:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn records_that_change_places_are_found() {
    let book = Book::of(&events(0..4)).await;
    let later = book.onto(book.commits[3], book.commits[1]);
    let rules = book.rules(book.onto(book.commits[2], later));
    assert!(rules.contains(&Rule::Sequence), "{rules:?}");
    assert!(rules.contains(&Rule::ChainBroken), "{rules:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_that_somebody_put_in_is_found_even_where_it_is_signed() {
    let book = Book::of(&events(0..2)).await;
    // Somebody else's evidence, whole in itself, with a key that nobody gave to the check.
    let other = Book::of(&events(5..6)).await;
    let stranger = other.raw(other.commits[0]);
    let odb = other.repo.odb().unwrap();
    let tree = other
        .repo
        .find_commit(other.commits[0])
        .unwrap()
        .tree()
        .unwrap();
    let to = book.repo.odb().unwrap();
    to.write(ObjectType::Tree, odb.read(tree.id()).unwrap().data())
        .unwrap();
    for entry in &tree {
        to.write(ObjectType::Blob, odb.read(entry.id()).unwrap().data())
            .unwrap();
    }
    let tip = book.write(&stranger);
    assert_eq!(book.rules(tip), [Rule::UnknownKey].into());
    // And behind ours it has no parent that is ours.
    let text = String::from_utf8(stranger).unwrap();
    let (first, rest) = text.split_once('\n').unwrap();
    let tip = book.write(format!("{first}\nparent {}\n{rest}", book.commits[1]).as_bytes());
    let rules = book.rules(tip);
    for rule in [Rule::BadSignature, Rule::Sequence, Rule::ChainBroken] {
        assert!(rules.contains(&rule), "{rules:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_history_that_is_cut_at_its_beginning_is_found() {
    let book = Book::of(&events(0..3)).await;
    let text = String::from_utf8(book.raw(book.commits[1])).unwrap();
    let parent = format!("parent {}\n", book.commits[0]);
    let first = book.write(text.replacen(&parent, "", 1).as_bytes());
    let rules = book.rules(book.onto(book.commits[2], first));
    assert!(rules.contains(&Rule::Sequence), "{rules:?}");
    assert!(rules.contains(&Rule::ChainBroken), "{rules:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_holds_the_key_and_rewrites_a_record_breaks_the_chain_behind_it() {
    let book = Book::of(&events(0..3)).await;
    let forger = Mirror::open(&book.dir.path().join("forged.git"))
        .await
        .unwrap();
    let mut forged = events(0..3);
    forged[1].message = forged[1].message.replace("octocat", "mallory");
    forged[1]
        .record
        .insert("account".to_owned(), "mallory".into());
    let written = forger
        .append_evidence(&book.signers, BRANCH, &forged)
        .await
        .unwrap();
    // Whole in itself: only what was kept elsewhere tells. The digests differ from the altered record on.
    let path = book.dir.path().join("forged.git");
    let other = Book {
        dir: TempDir::new().unwrap(),
        repo: Repository::open_bare(path).unwrap(),
        signers: book.signers.clone(),
        commits: written.iter().map(oid).collect(),
    };
    assert!(other.check(other.commits[2]).is_empty());
    assert_eq!(other.record(other.commits[0]), book.record(book.commits[0]));
    assert_ne!(other.record(other.commits[2]), book.record(book.commits[2]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_key_is_believed_because_the_one_before_it_announced_it() {
    let book = Book::of(&events(0..2)).await;
    let mirror = Mirror::open(&book.dir.path().join("mirror.git"))
        .await
        .unwrap();
    let key = |name: &str| {
        let path = book.dir.path().join(name);
        Signers::at(&path).unwrap();
        secrecy::SecretString::from(std::fs::read_to_string(path).unwrap())
    };
    let (old, new) = (key("evidence_key"), key("new_key"));
    let signers = Signers::new(&new, Some(&old)).unwrap();
    let written = mirror
        .append_evidence(&signers, BRANCH, &events(2..4))
        .await
        .unwrap();
    let tip = oid(written.last().unwrap());
    // The first key is enough for all of it; the second vouches for nothing that came before it.
    assert!(book.check(tip).is_empty());
    let rules: Vec<Rule> = book
        .check_with(tip, &[signers.public()])
        .iter()
        .map(|p| p.rule)
        .collect();
    assert_eq!(rules, [Rule::UnknownKey; 3]);
    // Who lost the first key says so; then nobody vouches for the second.
    let lost = Signers::new(&key("third_key"), None).unwrap();
    let written = mirror
        .append_evidence(&lost, BRANCH, &events(4..5))
        .await
        .unwrap();
    let rules = book.rules(oid(written.last().unwrap()));
    assert_eq!(rules, [Rule::UnknownKey].into());
}
