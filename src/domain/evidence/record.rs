//! One event as data, and its place in the chain of all of them.
//!
//! The record of an event is one JSON object in the canonical form of RFC 8785, so that anybody can compute its digest anew. It names the
//! digest of the record before it and counts up by one: what is taken out, put in or moved breaks the chain at that place.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};

use super::super::approval::Approval;
use super::super::model::{Access, Actor, BlobId, CommitId, Instant};
use super::{Event, Kind, ReviewLine};

/// The version of `schemas/evidence.schema.json` that records are written by.
pub const SCHEMA: u64 = 1;

/// The largest record that is read, in bytes: whoever may push to the branch may put anything there. The largest that is written names
/// each removal that the brake holds, of which a hundred thousand fit.
pub const LARGEST: usize = 16 << 20;

/// What a decision went by: the commit that judged, and the objects of git in it that hold the rules. `git rev-parse <base>:<path>`
/// shows each of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DecidedOn {
    /// The commit whose CODEOWNERS, resources, people and policies judged.
    pub base: CommitId,
    /// The blob or tree at each of [`DecidedOn::PATHS`] that is there.
    pub objects: BTreeMap<String, String>,
}

impl DecidedOn {
    /// Where everything stands that decides.
    pub const PATHS: [&'static str; 7] = [
        ".github/CODEOWNERS",
        "CODEOWNERS",
        "docs/CODEOWNERS",
        "access/people",
        "access/policies",
        "access/resources",
        "access/services",
    ];
}

/// An account on the forge, as it was called then.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Who {
    /// GitHub's number: stays with the account.
    pub id: u64,
    /// The login at that time.
    pub login: String,
}

impl From<&Actor> for Who {
    fn from(actor: &Actor) -> Self {
        Self {
            id: actor.id.0,
            login: actor.login.to_string(),
        }
    }
}

/// A review that counted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Vote {
    /// GitHub's number of the review.
    pub review: u64,
    /// Who gave it.
    pub reviewer: Who,
    /// The commit that was looked at.
    pub commit: CommitId,
    /// What stood at the path there.
    pub blob: BlobId,
    /// When it was given; absent where the forge does not tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<Instant>,
    /// Through which owner of the deciding line the reviewer counted: `@login` or `@organisation/team`.
    pub through: String,
    /// The deciding line of CODEOWNERS, from 1.
    pub line: u32,
}

impl From<&Approval> for Vote {
    fn from(approval: &Approval) -> Self {
        Self {
            review: approval.review,
            reviewer: Who::from(&approval.reviewer),
            commit: approval.commit.clone(),
            blob: approval.blob.clone(),
            at: approval.at,
            through: approval.through.to_string(),
            line: approval.line,
        }
    }
}

/// Why a review counted: by whom it could not have been given, and as what its reviewer was read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Judged {
    /// Who opened the pull request; `null` for a deleted account.
    pub author: Option<u64>,
    /// Everybody who pushed to its branch.
    pub pushers: Vec<u64>,
    /// Who receives the access, or answers for the service that does.
    pub receivers: Vec<u64>,
    /// The membership that makes the reviewer an owner.
    pub membership: Membership,
}

/// A membership as read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Membership {
    /// The owner: `@login` or `@organisation/team`.
    pub owner: String,
    /// Who was read to be (in) it.
    pub member: u64,
    /// When.
    pub read_at: Instant,
}

macro_rules! record {
    ($($(#[$doc:meta])* $name:ident: $kind:ty,)*) => {
        /// A record as it is read back: what `schemas/evidence.schema.json` describes. What a kind of event does not have is absent.
        #[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(deny_unknown_fields)]
        pub struct Record {
            /// The version of the schema.
            pub schema: u64,
            /// Counts up by one.
            pub seq: u64,
            /// The digest of the record before; `null` for the first.
            pub prev: Option<String>,
            /// What happened.
            pub kind: Kind,
            /// Names the transition; unique for ever.
            pub key: String,
            /// The same in a sentence.
            pub sentence: String,
            /// When.
            pub at: Instant,
            /// The version of Hallpass that wrote it.
            pub hallpass: String,
            $($(#[$doc])* #[serde(default, skip_serializing_if = "Option::is_none")] pub $name: Option<$kind>,)*
        }
    };
}

record! {
    /// What is given, whole: everything that taking it away needs.
    access: Access,
    /// The account, as the target system names it.
    account: String,
    /// The target's immutable id of the account.
    account_id: String,
    /// Who caused it: `login (number)`, or `hallpass`.
    actor: String,
    /// The file of an anchor.
    anchor: String,
    /// The digest of that file.
    anchor_digest: String,
    /// The commit of the last record that an anchor names.
    anchored_commit: String,
    /// The digest of that record.
    anchored_record: String,
    /// The number of that record.
    anchored_seq: u64,
    /// Until when owners are to answer an access review.
    answer_by: Instant,
    /// The reviews that counted.
    approvals: Vec<Vote>,
    /// The policy that approved by itself, the file that holds it and its content.
    approved_by_policy: String,
    /// Which attempt of a run.
    attempt: u64,
    /// Who opened the pull request.
    author: Who,
    /// The commit that a held set of removals was inferred from.
    base: String,
    /// What made the approvals enough, where that is not their number.
    basis: String,
    /// The content of the file.
    blob: BlobId,
    /// When the call to the target system began.
    called_at: Instant,
    /// Why access ended.
    cause: String,
    /// The governed files that a commit of the protected branch changes.
    changes: Vec<String>,
    /// The digest of the server's configuration file, which holds no secret.
    config_digest: String,
    /// The connection, as the server's configuration names it.
    connection: String,
    /// How many.
    count: u64,
    /// What the decision went by.
    decided_on: DecidedOn,
    /// How the target system differs from the ledger.
    difference: String,
    /// The digest of what is held back, or of what an access review asks about.
    digest: String,
    /// When it could be done at the earliest.
    due: Instant,
    /// How many grants owners ended in an access review.
    ended: u64,
    /// What the target system gives, as canonical text.
    entitlement: String,
    /// The target's immutable id of what was given.
    entitlement_id: String,
    /// The environment that a run deploys to.
    environment: String,
    /// When the term ends.
    expires: Instant,
    /// When a difference was seen first.
    first_seen: Instant,
    /// The grant: `<resource>/<name>@<merge commit>`.
    grant: String,
    /// The grants that say otherwise, or that an access review asks about.
    grants: Vec<String>,
    /// The tip of the pull request's branch.
    head: String,
    /// What kind of removals is held back.
    held: String,
    /// Why the approval counts.
    judged: Judged,
    /// How many grants owners kept in an access review.
    kept: u64,
    /// The fingerprint of the key that signed before.
    key_before: String,
    /// From `due` to the end of the read-back.
    latency_ms: u64,
    /// What becomes of each grant that an access review asks about.
    lines: Vec<ReviewLine>,
    /// The commit of the protected branch that brought the file.
    merge: String,
    /// When that was merged.
    merged_at: Instant,
    /// Who merged.
    merged_by: String,
    /// What is missing, a sentence each.
    missing: Vec<String>,
    /// Whether safe mode was entered or left.
    mode: String,
    /// Who is asked in an access review.
    owners: Vec<String>,
    /// The parts of a bundle.
    parts: Vec<String>,
    /// The file.
    path: String,
    /// What an access review asks about: access that lasts longer than this.
    period: String,
    /// What the subject must still do.
    pending: String,
    /// The place outside at which an anchor is kept, as the configuration calls it.
    place: String,
    /// The commit that judged.
    policy_base: String,
    /// The pull request.
    pull: u64,
    /// What the target system said afterwards.
    read_back: String,
    /// Why, in Hallpass's own words.
    reason: String,
    /// What the place answered.
    receipt: String,
    /// The record of what is held back, or of the answers to an access review.
    record: String,
    /// The pull request that releases what is held back.
    release_pull: u64,
    /// What is held back.
    removals: Vec<String>,
    /// The grant whose terms it takes over.
    replaces: String,
    /// The repository that deploys.
    repository: String,
    /// The request: `<resource>/<name>#<pull request>`.
    request: String,
    /// How long something may still work after a removal.
    residual: String,
    /// The resource.
    resource: String,
    /// The live grants that give the same.
    retained_by: Vec<String>,
    /// Until when an owner must have reviewed an emergency.
    review_by: Instant,
    /// The pull request with the record of an emergency, or with the answers to an access review.
    review_pull: u64,
    /// When the review was given.
    reviewed_at: Instant,
    /// Who had approved a change of what decides.
    reviewed_by: Vec<String>,
    /// Who reviewed an emergency.
    reviewer: String,
    /// What is asked for or given, as people say it.
    role: String,
    /// The roles that give it.
    roles: Vec<String>,
    /// When an access review began, by its schedule.
    round: Instant,
    /// The rules that are broken, with their places.
    rules: Vec<String>,
    /// The run of a workflow, by GitHub's number.
    run: u64,
    /// Sessions that may still use the access.
    sessions: Vec<String>,
    /// How many sessions were ended.
    sessions_ended: u64,
    /// Which of several sheets for the same owners it is, from 1.
    sheet_part: u32,
    /// The files in which owners answer an access review.
    sheets: Vec<String>,
    /// The review that signs, as data.
    signature: Vote,
    /// The same in words.
    signed_by: String,
    /// The public key that signs from here on.
    signing_key: String,
    /// When the first grant of a chain of renewals began.
    since: Instant,
    /// Who started an attempt of a run: `login (number)`.
    started_by: String,
    /// When the term begins.
    starts: Instant,
    /// By what else the account still has the same.
    still_effective_through: Vec<String>,
    /// Who it is for: `person <login>` or `service <name>`.
    subject: String,
    /// GitHub's number of the person.
    subject_id: u64,
    /// Why access was taken over.
    taken_over: String,
    /// How long it is asked for.
    term: String,
    /// The ticket.
    ticket: String,
    /// The tip of the protected branch.
    tip: String,
    /// Until when a service may go on without an owner.
    tolerated_until: Instant,
    /// What becomes of what nobody answers in an access review: `keep` or `end`.
    unanswered: String,
    /// How long owners have to answer.
    within: String,
    /// When an anchor was made.
    written: Instant,
}

impl Record {
    /// Reads a record.
    ///
    /// # Errors
    /// What is wrong with it, and where.
    pub fn read(bytes: &[u8]) -> Result<Self, serde_json::Error> {
        serde_json::from_slice(bytes)
    }
}

/// Where a record stands in the chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Counts up by one, from 1.
    pub sequence: u64,
    /// The digest of the record before; `None` for the first.
    pub previous: Option<String>,
}

impl Place {
    /// Where a chain begins.
    pub fn first() -> Self {
        Self {
            sequence: 1,
            previous: None,
        }
    }

    /// What comes after a record of these bytes; `None` where they are no record.
    pub fn after(record: &[u8]) -> Option<Self> {
        let value: Value = serde_json::from_slice(record).ok()?;
        Self::behind(value.get("seq")?.as_u64()?, digest(record))
    }

    /// What comes after the record of this number and digest; `None` where no number is left.
    pub fn behind(sequence: u64, digest: String) -> Option<Self> {
        Some(Self {
            sequence: sequence.checked_add(1)?,
            previous: Some(digest),
        })
    }
}

/// A record at its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sealed {
    /// The bytes of the record.
    pub record: String,
    /// The whole commit message.
    pub message: String,
    /// The place of what comes next.
    pub next: Place,
}

/// Puts an event at its place.
pub fn seal(event: &Event, place: &Place) -> Sealed {
    let mut record = event.record.clone();
    record.insert("schema".to_owned(), SCHEMA.into());
    record.insert("seq".to_owned(), place.sequence.into());
    record.insert("prev".to_owned(), place.previous.clone().into());
    record.insert("kind".to_owned(), event.kind.as_str().into());
    record.insert("key".to_owned(), event.key.as_str().into());
    // What waited in the outbox from before there were records has none.
    let version = env!("CARGO_PKG_VERSION");
    record.entry("at").or_insert_with(|| json!(event.at));
    record.entry("hallpass").or_insert_with(|| version.into());
    let sentence = event.message.lines().next().unwrap_or_default();
    record.insert("sentence".to_owned(), sentence.into());
    let record = canonical(&Value::Object(record));
    let own = digest(record.as_bytes());
    let message = format!(
        "{}\nSequence: {}\nRecord: {own}\n",
        event.message.trim_end(),
        place.sequence
    );
    Sealed {
        record,
        message,
        next: Place {
            sequence: place.sequence + 1,
            previous: Some(own),
        },
    }
}

/// The one form in which a record is written: RFC 8785.
pub fn canonical(record: &Value) -> String {
    // It fails on numbers that are none and on keys that are no text; a `Value` holds neither.
    serde_json_canonicalizer::to_string(record).unwrap_or_default()
}

/// The digest of a record, as it is named elsewhere.
pub fn digest(bytes: &[u8]) -> String {
    format!("sha256:{}", hex::encode(Sha256::digest(bytes)))
}

/// Everything about an event but its place, as text for the outbox.
pub(super) type Fields = Map<String, Value>;
