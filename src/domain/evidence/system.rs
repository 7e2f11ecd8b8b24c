//! What happens to Hallpass itself.

use super::super::anchor::SignedAnchor;
use super::super::model::{CommitId, Instant, PullNumber};
use super::super::pull::{Pull, ReviewState};
use super::super::safety::SafeMode;
use super::draft::{Draft, actor_word, instant, precise};
use super::record::{Who, digest};
use super::{Event, Kind};

/// A first-parent commit of the protected branch that changes who has access or who decides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Arrived {
    /// Which one.
    pub commit: CommitId,
    /// The governed paths that it changes, up to a hundred of them. May be hostile.
    pub paths: Vec<String>,
    /// How many there are.
    pub count: u64,
}

impl Arrived {
    /// Whether it changes anything but grants: files that say who decides, or by what rules.
    pub fn decides(&self) -> bool {
        let grant = |path: &String| path.starts_with("access/grants/");
        self.count > self.paths.len() as u64 || !self.paths.iter().all(grant)
    }
}

/// The protected branch was looked at for the first time: what it holds was there before Hallpass.
pub fn first_look(tip: &CommitId, at: Instant) -> Event {
    let sentence = format!("First look: the protected branch is at {}", tip.short());
    Draft::new(Kind::FirstLook, "first-look".to_owned(), at, &sentence)
        .line("Tip", tip.as_str())
        .finish()
}

/// Governed files changed on the protected branch. `merge` is the pull request that brought a change of what decides, where the forge
/// knows one.
pub fn landed(arrived: &Arrived, merge: Option<&Pull>, at: Instant) -> Event {
    let commit = &arrived.commit;
    let what = match arrived.count {
        1 => "1 file".to_owned(),
        n => format!("{n} files"),
    };
    let what = match arrived.decides() {
        true => format!("{what} that decide"),
        false => format!("{what} of grants"),
    };
    let sentence = format!("Landed: {} changes {what}", commit.short());
    let draft = Draft::new(Kind::Landed, format!("landed:{commit}"), at, &sentence)
        .line("Tip", commit.as_str())
        .number("Count", arrived.count)
        .lines("Changes", &arrived.paths);
    let Some(pull) = merge else {
        return draft.finish();
    };
    let approved = pull
        .reviews
        .iter()
        .filter(|r| r.state == ReviewState::Approved);
    let approved = approved.map(|review| {
        let who = actor_word(review.reviewer.as_ref());
        match &review.commit {
            Some(commit) => format!("{who} review {} at {commit}", review.id),
            None => format!("{who} review {}", review.id),
        }
    });
    let by = pull.state.merged_by();
    let number: PullNumber = pull.number;
    draft
        .number("Pull", number.0)
        .data("author", pull.author.as_ref().map(Who::from))
        .maybe("Merged-by", by.map(|by| actor_word(Some(by))))
        .lines("Reviewed-by", approved)
        .finish()
}

/// An anchor was written at `place`, which answered `receipt`. What the anchor names stands before this record.
pub fn anchored(place: &str, anchor: &SignedAnchor, receipt: &str, at: Instant) -> Event {
    let sentence = format!("Anchored: up to record {} at {place}", anchor.seq);
    let written = instant(anchor.written);
    let key = format!("anchored:{place}:{}@{written}", anchor.seq);
    Draft::new(Kind::Anchored, key, at, &sentence)
        .line("Place", place)
        .line("Anchor", anchor.name())
        .line("Anchor-Digest", digest(&anchor.file()))
        .number("Anchored-Seq", anchor.seq)
        .line("Anchored-Record", &anchor.record)
        .line("Anchored-Commit", anchor.commit.as_str())
        .line("Written", written)
        .line("Receipt", receipt)
        .finish()
}

/// How the keys of [`key_changed`] begin.
const KEY_CHANGED: &str = "key-changed:";

/// Whether an event of this key is written by the chain of records itself, whatever the database holds.
pub fn is_of_the_chain(key: &str) -> bool {
    key.starts_with(KEY_CHANGED)
}

/// The public key that an event of this key announces; `None` where it announces none.
pub fn announced(key: &str) -> Option<&str> {
    let (new, _at) = key.strip_prefix(KEY_CHANGED)?.rsplit_once('@')?;
    Some(new)
}

/// Another key signs from here on. `from` is the fingerprint of the one that did; `None` where that is not known any more.
pub fn key_changed(from: Option<&str>, to: &str, at: Instant) -> Event {
    let sentence = "Key changed: another key signs the evidence from here on";
    let key = format!("{KEY_CHANGED}{to}@{}", instant(at));
    Draft::new(Kind::KeyChanged, key, at, sentence)
        .maybe("Key-before", from)
        .line("Signing-key", to)
        .finish()
}

/// The service began to work, by a configuration of this digest.
pub fn started(config: &str, at: Instant) -> Event {
    service(Kind::Started, "Started", config, at)
}

/// The service ended in order.
pub fn stopped(config: &str, at: Instant) -> Event {
    service(Kind::Stopped, "Stopped", config, at)
}

fn service(kind: Kind, what: &str, config: &str, at: Instant) -> Event {
    let sentence = format!("{what}: Hallpass {}", env!("CARGO_PKG_VERSION"));
    let key = format!("{}:{}", kind.as_str(), precise(at));
    Draft::new(kind, key, at, &sentence)
        .line("Config-Digest", config)
        .finish()
}

/// Nothing is given any more, and nothing is inferred.
pub fn safe_mode_entered(mode: &SafeMode, at: Instant) -> Event {
    let sentence = format!("Safe mode: nothing is granted ({})", mode.as_str());
    let key = format!("safe-mode:entered@{}", precise(at));
    Draft::new(Kind::SafeMode, key, at, &sentence)
        .line("Mode", "entered")
        .line("Cause", mode.as_str())
        .line("Reason", mode.to_string())
        .finish()
}

/// What contradicted each other is settled: `cause` is [`SafeMode::as_str`] of what it was, `how` says by what.
pub fn safe_mode_left(cause: &str, how: &str, at: Instant) -> Event {
    left(cause, how, at).finish()
}

/// [`safe_mode_left`] by a recovery, which goes on from `tip` of the protected branch.
pub fn recovered(cause: &str, how: &str, tip: Option<&CommitId>, at: Instant) -> Event {
    left(cause, how, at)
        .maybe("Tip", tip.map(CommitId::as_str))
        .finish()
}

fn left(cause: &str, how: &str, at: Instant) -> Draft {
    let sentence = format!("Safe mode is over: what is proved is granted again ({cause})");
    let key = format!("safe-mode:left@{}", precise(at));
    Draft::new(Kind::SafeMode, key, at, &sentence)
        .line("Mode", "left")
        .line("Cause", cause)
        .line("Reason", how)
}
