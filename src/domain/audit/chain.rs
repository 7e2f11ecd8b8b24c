//! Whether the evidence is whole: signed by keys that are believed, nothing altered, taken out, put in or moved.

use std::collections::{BTreeSet, HashSet};

use super::super::evidence::{Kind, LARGEST, Place, Record, canonical, digest};
use super::super::model::CommitId;
use super::{Problem, Rule, Trust, problem};

/// A commit of the evidence branch, as git holds it.
#[derive(Debug, Clone)]
pub struct Link {
    /// Which one.
    pub commit: CommitId,
    /// Its parents.
    pub parents: Vec<CommitId>,
    /// Its whole message.
    pub message: String,
    /// The bytes of its `record.json`, where there is one that is not too large to be read.
    pub record: Option<Vec<u8>>,
    /// How many bytes that has, read or not; 0 where there is none.
    pub size: usize,
    /// What its signature says.
    pub signature: Signature,
}

/// What the signature of a commit says, before it is asked whether the key is believed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Signature {
    /// There is none.
    Missing,
    /// It is not one of this commit.
    Wrong,
    /// This public key made it, on one line as OpenSSH writes it.
    By(String),
}

/// A record that was looked at.
#[derive(Debug, Clone)]
pub struct Checked {
    /// What it says.
    pub record: Record,
    /// The digest of its bytes.
    pub digest: String,
}

/// The check of a whole branch, one commit after the other, oldest first.
#[derive(Debug)]
pub struct Chain {
    /// Which keys are believed; `None`: nobody's signature is asked for.
    trusted: Option<Trust>,
    place: Place,
    before: Option<CommitId>,
    keys: HashSet<String>,
    /// The keys of what [`Chain::believed`] handed on.
    handed_on: HashSet<String>,
    problems: Vec<Problem>,
    count: u64,
}

impl Chain {
    /// A check that believes `trusted`: public keys, on one line each as OpenSSH writes them without a comment.
    pub fn new(trusted: impl IntoIterator<Item = String>) -> Self {
        Self::believing(Some(Trust::new(trusted)))
    }

    /// A check of everything but signatures, for whoever has no key.
    pub fn without_keys() -> Self {
        Self::believing(None)
    }

    fn believing(trusted: Option<Trust>) -> Self {
        Self {
            trusted,
            place: Place::first(),
            before: None,
            keys: HashSet::new(),
            handed_on: HashSet::new(),
            problems: Vec::new(),
            count: 0,
        }
    }

    /// [`Chain::next`], where only what is signed by somebody who is believed counts.
    pub fn believed(&mut self, link: &Link) -> Option<Checked> {
        let believed = self.trusts(link);
        let checked = self.next(link)?;
        // What is written down twice happened once, whatever a stranger wrote before.
        let key = &checked.record.key;
        (believed && self.handed_on.insert(key.clone())).then_some(checked)
    }

    fn trusts(&self, link: &Link) -> bool {
        let trusted = self.trusted.as_ref();
        matches!(&link.signature, Signature::By(key) if trusted.is_some_and(|keys| keys.believes(key)))
    }

    /// Checks the next commit. Returns its record if it is one, believed or not: what is wrong is a problem, and the story goes on.
    pub fn next(&mut self, link: &Link) -> Option<Checked> {
        self.count += 1;
        self.signed(link);
        if link.parents.iter().ne(self.before.iter()) {
            let said = match (&self.before, link.parents.as_slice()) {
                (None, _) => "the first commit has a parent: its history was cut".to_owned(),
                (Some(before), _) => format!(
                    "its parent is not {} alone: something was taken out, put in or merged",
                    before.short()
                ),
            };
            self.say(Rule::Parents, link, said);
        }
        self.before = Some(link.commit.clone());
        let checked = self.record(link)?;
        self.place_of(link, &checked);
        let record = &checked.record;
        if !self.keys.insert(record.key.clone()) {
            self.say(
                Rule::KeyTwice,
                link,
                format!("{} is written down already", record.key),
            );
        }
        if let (Some(trusted), Signature::By(key)) = (&mut self.trusted, &link.signature) {
            let announced = record.signing_key.as_deref();
            let announced = announced.filter(|_| record.kind == Kind::KeyChanged);
            trusted.pass(&link.commit, key, announced);
        }
        Some(checked)
    }

    /// Says where the commit is not signed by somebody who is believed.
    fn signed(&mut self, link: &Link) {
        let Some(trusted) = &self.trusted else {
            return;
        };
        match &link.signature {
            Signature::By(_) if self.trusts(link) => {}
            Signature::By(key) => {
                let said = match trusted.replaced(key) {
                    Some(by) => format!("signed by {key}, which {} replaced", by.short()),
                    None => format!("signed by {key}, which nobody vouches for"),
                };
                self.say(Rule::UnknownKey, link, said);
            }
            Signature::Missing => self.say(Rule::Unsigned, link, "it is not signed"),
            Signature::Wrong => self.say(
                Rule::BadSignature,
                link,
                "its signature is not one of this content",
            ),
        }
    }

    fn record(&mut self, link: &Link) -> Option<Checked> {
        let Some(bytes) = &link.record else {
            let said = match link.size > LARGEST {
                true => format!("its record.json is larger than {LARGEST} bytes, and was not read"),
                false => "it holds no record.json".to_owned(),
            };
            self.say(Rule::NoRecord, link, said);
            return None;
        };
        let (record, value) = match (Record::read(bytes), serde_json::from_slice(bytes)) {
            (Ok(record), Ok(value)) => (record, value),
            (Err(error), _) | (_, Err(error)) => {
                let said = format!("its record.json cannot be read: {error}");
                self.say(Rule::NoRecord, link, said);
                return None;
            }
        };
        if canonical(&value).as_bytes() != bytes.as_slice() {
            self.say(
                Rule::NotCanonical,
                link,
                "its record.json is not in the form of RFC 8785",
            );
        }
        let digest = digest(bytes);
        let lines: Vec<&str> = link.message.lines().collect();
        let says = |name: &str, value: &str| {
            let wanted = format!("{name}: {value}");
            lines.iter().filter(|line| **line == wanted).count() == 1
        };
        let agrees = lines.first() == Some(&record.sentence.as_str())
            && says("Event", record.kind.as_str())
            && says("Event-Key", &record.key)
            && says("Sequence", &record.seq.to_string())
            && says("Record", &digest);
        if !agrees {
            self.say(
                Rule::MessageDiffers,
                link,
                "its message says something else than its record.json",
            );
        }
        Some(Checked { record, digest })
    }

    fn place_of(&mut self, link: &Link, Checked { record, digest }: &Checked) {
        let sequence = self.place.sequence;
        if record.seq != sequence {
            let said = format!("it is number {}, and {sequence} was to come", record.seq);
            self.say(Rule::Sequence, link, said);
        }
        if record.prev != self.place.previous {
            self.say(
                Rule::ChainBroken,
                link,
                "it does not name the record before it",
            );
        }
        // Goes on from what is there, so that one gap is told once.
        if let Some(next) = Place::behind(record.seq, digest.clone()) {
            self.place = next;
        }
    }

    /// Every key that is believed by now, or was before another took its place. `None`: nobody's signature is asked for.
    pub fn keys(&self) -> Option<BTreeSet<String>> {
        self.trusted.as_ref().map(Trust::ever)
    }

    /// The problems, when all commits were seen.
    pub fn finish(mut self) -> Vec<Problem> {
        if self.count == 0 {
            self.problems.push(Problem {
                rule: Rule::Empty,
                commit: None,
                message: "the branch holds no commit".to_owned(),
            });
        }
        self.problems
    }

    fn say(&mut self, rule: Rule, link: &Link, message: impl Into<String>) {
        self.problems.push(problem(rule, &link.commit, message));
    }
}
