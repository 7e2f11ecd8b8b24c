//! Whatever is done to the evidence, either it is found, or what is read is what was written (or the beginning of that: only an anchor
//! outside tells what was cut off at the end).
#![no_main]

use std::path::PathBuf;
use std::sync::LazyLock;

use git2::{ObjectType, Oid, Repository};
use hallpass::domain::audit::{Chain, Link, Signature};
use hallpass::domain::evidence::{Event, Kind, Place, Record, canonical};
use hallpass::domain::model::CommitId;
use hallpass::repo::read::{self, Signatures};
use hallpass::repo::{Mirror, Signers};
use hallpass_fuzz::{now, wait};
use libfuzzer_sys::arbitrary::{Result, Unstructured};
use libfuzzer_sys::fuzz_target;

const BRANCH: &str = "hallpass/evidence";

/// How many records are written.
const WRITTEN: u32 = 6;

/// Evidence as the program wrote it, once.
struct Book {
    repo: PathBuf,
    key: String,
    commits: Vec<Oid>,
    links: Vec<Link>,
}

static BOOK: LazyLock<Book> = LazyLock::new(|| {
    let folder = tempfile::tempdir().expect("a folder").keep();
    let path = folder.join("mirror.git");
    let signers = Signers::at(&folder.join("evidence_key")).expect("a key");
    let events: Vec<Event> = (0..WRITTEN).map(event).collect();
    let written = wait(async {
        let mirror = Mirror::open(&path).await.expect("a mirror");
        mirror
            .append_evidence(&signers, BRANCH, &events)
            .await
            .expect("evidence")
    });
    let repo = Repository::open_bare(&path).expect("a repository");
    let mut links = Vec::new();
    let tip = written.last().expect("some");
    read::links(&repo, tip, Signatures::Checked, |link| links.push(link)).expect("evidence");
    let oid = |id: &CommitId| Oid::from_str(id.as_str()).expect("hexadecimal");
    Book {
        repo: path,
        key: signers.public(),
        commits: written.iter().map(oid).collect(),
        links,
    }
});

fn event(n: u32) -> Event {
    let key = format!("granted:orders/ada@{n}");
    let message = format!(
        "Granted: ada on orders/readonly\n\nEvent: granted\nSubject: person ada\nEvent-Key: {key}\n"
    );
    let account = serde_json::Map::from_iter([("account".to_owned(), "ada".into())]);
    Event {
        key,
        kind: Kind::Granted,
        at: now(),
        message,
        record: account,
    }
}

/// What a check of these links finds wrong, and the records that it read.
fn check(links: &[Link], mut chain: Chain) -> (bool, Vec<Vec<u8>>) {
    let mut read = Vec::new();
    for link in links {
        if chain.next(link).is_some() {
            read.extend(link.record.clone());
        }
    }
    (chain.finish().is_empty(), read)
}

/// If nothing is found wrong, this is what was written, from its beginning on.
fn found_or_whole(links: &[Link]) {
    let written: Vec<&Vec<u8>> = BOOK
        .links
        .iter()
        .filter_map(|l| l.record.as_ref())
        .collect();
    let chains = [Chain::new([BOOK.key.clone()]), Chain::without_keys()];
    for chain in chains {
        let (whole, records) = check(links, chain);
        let same =
            records.len() <= written.len() && records.iter().zip(&written).all(|(a, b)| a == *b);
        assert!(
            !whole || (same && records.len() == links.len()),
            "nothing is wrong with {links:#?}"
        );
    }
    // Where somebody is believed, nobody's words are but those that were signed.
    let (whole, _) = check(links, Chain::new([BOOK.key.clone()]));
    let signed = links
        .iter()
        .zip(&BOOK.links)
        .all(|(a, b)| a.message == b.message);
    assert!(
        !whole || (signed && !links.is_empty()),
        "nothing is wrong with {links:#?}"
    );
}

/// Alters bytes as the input says.
fn altered(bytes: &[u8], u: &mut Unstructured<'_>) -> Result<Vec<u8>> {
    let mut bytes = bytes.to_vec();
    for _ in 0..u.int_in_range(1..=3)? {
        let at = u.choose_index(bytes.len().max(1))?;
        match u.int_in_range(0..=3)? {
            0 if at < bytes.len() => bytes[at] = u.arbitrary()?,
            1 if at < bytes.len() => drop(bytes.remove(at)),
            2 => bytes.insert(at.min(bytes.len()), u.arbitrary()?),
            _ => bytes.truncate(at),
        }
    }
    Ok(bytes)
}

/// Links that were altered, taken out, put in and moved. A commit that was touched has no signature of its own content any more.
fn links(u: &mut Unstructured<'_>) -> Result<()> {
    let mut links = BOOK.links.clone();
    for _ in 0..u.int_in_range(1..=4)? {
        if links.is_empty() {
            break;
        }
        let at = u.choose_index(links.len())?;
        let other = u.choose_index(links.len())?;
        let before = links[at].clone();
        match u.int_in_range(0..=7)? {
            0 => {
                let record = before.record.clone().unwrap_or_default();
                links[at].record = Some(altered(&record, u)?);
            }
            1 => {
                let message = altered(before.message.as_bytes(), u)?;
                links[at].message = String::from_utf8_lossy(&message).into_owned();
            }
            2 => links[at].record = links[other].record.clone(),
            3 => links[at].parents = links[other].parents.clone(),
            4 => {
                let parent = links[other].commit.clone();
                links[at].parents.push(parent);
            }
            5 => drop(links.remove(at)),
            6 => links.insert(at, links[other].clone()),
            _ => links.swap(at, other),
        }
    }
    for link in &mut links {
        let own = BOOK.links.iter().find(|l| l.commit == link.commit);
        let untouched = own.is_some_and(|own| {
            own.record == link.record && own.message == link.message && own.parents == link.parents
        });
        if !untouched {
            link.signature = match u.int_in_range(0..=2)? {
                0 => Signature::Missing,
                1 => Signature::Wrong,
                _ => {
                    Signature::By("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGFub3RoZXIga2V5".to_owned())
                }
            };
        }
    }
    found_or_whole(&links);
    Ok(())
}

/// The bytes of a commit that git holds, altered, with everything that follows put on top of it.
fn commits(u: &mut Unstructured<'_>) -> Result<()> {
    let repo = Repository::open_bare(&BOOK.repo).expect("a repository");
    let odb = repo.odb().expect("objects");
    let at = u.choose_index(BOOK.commits.len())?;
    let raw = odb
        .read(BOOK.commits[at])
        .expect("a commit")
        .data()
        .to_vec();
    let mut made = Vec::new();
    let mut write = |bytes: &[u8]| {
        let id = odb.write(ObjectType::Commit, bytes).ok()?;
        made.push(id);
        repo.find_commit(id).ok().map(|_| id)
    };
    let mut tip = write(&altered(&raw, u)?);
    for pair in BOOK.commits[at..].windows(2) {
        let Some(parent) = tip else { break };
        let next = odb.read(pair[1]).expect("a commit").data().to_vec();
        let text = String::from_utf8(next).expect("text");
        tip = write(
            text.replacen(&pair[0].to_string(), &parent.to_string(), 1)
                .as_bytes(),
        );
    }
    let mut links = Vec::new();
    if let Some(tip) = tip {
        let tip = CommitId::new(tip.to_string()).expect("hexadecimal");
        // What git cannot read is found by git.
        let read = read::links(&repo, &tip, Signatures::Checked, |link| links.push(link));
        if read.is_ok() {
            found_or_whole(&links);
        }
    }
    for id in made.iter().filter(|id| !BOOK.commits.contains(id)) {
        let name = id.to_string();
        // It may be there no more, where the same was written twice.
        let _ = std::fs::remove_file(BOOK.repo.join("objects").join(&name[..2]).join(&name[2..]));
    }
    Ok(())
}

/// Any bytes as a record.
fn records(bytes: &[u8]) {
    let read = Record::read(bytes);
    let value = serde_json::from_slice::<serde_json::Value>(bytes);
    let Ok(value) = value else {
        assert!(read.is_err(), "a record that is no JSON");
        return;
    };
    let form = canonical(&value);
    let again: serde_json::Value = serde_json::from_str(&form).expect("JSON");
    assert_eq!(canonical(&again), form, "{value}");
    if let (Ok(record), Some(place)) = (read, Place::after(bytes)) {
        assert_eq!(record.seq.checked_add(1), Some(place.sequence));
    }
}

fuzz_target!(|data: &[u8]| {
    let Some((first, rest)) = data.split_first() else {
        return;
    };
    let mut u = Unstructured::new(rest);
    // Too few bytes are no find.
    let _ = match first {
        b'r' => {
            records(rest);
            Ok(())
        }
        b'c' => commits(&mut u),
        _ => links(&mut u),
    };
});
