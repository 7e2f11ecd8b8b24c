//! Which keys are believed, record by record.

use hallpass::domain::audit::{Chain, Link, Rule, Signature};
use hallpass::domain::evidence::{Event, Place, key_changed, seal, started};
use hallpass::domain::model::CommitId;

use crate::approval::scene::{at, commit};

/// A branch whose records count up, each signed by a key of some name.
#[derive(Clone)]
struct Branch {
    links: Vec<Link>,
    place: Place,
}

impl Branch {
    fn new() -> Self {
        Self {
            links: Vec::new(),
            place: Place::first(),
        }
    }

    fn add(mut self, key: &str, event: &Event) -> Self {
        let sealed = seal(event, &self.place);
        let parents: Vec<CommitId> = self
            .links
            .last()
            .map(|l| l.commit.clone())
            .into_iter()
            .collect();
        self.links.push(Link {
            commit: commit(&self.links.len().to_string()),
            parents,
            message: sealed.message,
            size: sealed.record.len(),
            record: Some(sealed.record.into_bytes()),
            signature: Signature::By(key.to_owned()),
        });
        self.place = sealed.next;
        self
    }

    /// The key of this name signs that something happened.
    fn tells(self, key: &str) -> Self {
        let minute = i64::try_from(self.links.len()).unwrap();
        self.add(key, &started("digest", at(minute)))
    }

    /// The key of this name signs that another one signs from here on.
    fn announces(self, key: &str, new: &str) -> Self {
        let minute = i64::try_from(self.links.len()).unwrap();
        self.add(key, &key_changed(Some("before"), new, at(minute)))
    }

    /// What is wrong for whoever was given these keys: the place of the commit, from 0, and the rule.
    fn wrong(&self, keys: &[&str]) -> Vec<(usize, Rule)> {
        let mut chain = Chain::new(keys.iter().map(|key| (*key).to_owned()));
        for link in &self.links {
            chain.next(link);
        }
        let place = |commit: &CommitId| self.links.iter().position(|l| l.commit == *commit);
        let problems = chain.finish().into_iter();
        let told = problems.map(|p| (p.commit.as_ref().and_then(place).unwrap(), p.rule));
        told.collect()
    }
}

/// The key `old` tells twice, gives way to `new` at place 2, and `new` tells twice.
fn changed() -> Branch {
    let old = Branch::new().tells("old").tells("old");
    old.announces("old", "new").tells("new").tells("new")
}

const UNKNOWN: Rule = Rule::UnknownKey;

#[test]
fn a_change_of_the_key_is_whole_for_whoever_has_the_old_one_or_both() {
    assert_eq!(changed().wrong(&["old"]), []);
    assert_eq!(changed().wrong(&["old", "new"]), []);
    let before = [(0, UNKNOWN), (1, UNKNOWN), (2, UNKNOWN)];
    assert_eq!(changed().wrong(&["new"]), before);
}

#[test]
fn a_key_that_was_replaced_is_not_believed_any_more() {
    let later = changed().tells("old").tells("new");
    for keys in [&["old"][..], &["old", "new"]] {
        assert_eq!(later.wrong(keys), [(5, UNKNOWN)], "{keys:?}");
    }
    // Nor can it announce another.
    let stolen = changed().announces("old", "thief").tells("thief");
    assert_eq!(stolen.wrong(&["old"]), [(5, UNKNOWN), (6, UNKNOWN)]);
}

#[test]
fn who_signs_with_a_replaced_key_is_told_which_commit_replaced_it() {
    let later = changed().tells("old");
    let mut chain = Chain::new(["old".to_owned()]);
    for link in &later.links {
        chain.next(link);
    }
    let told = chain.finish();
    let said = format!(
        "signed by old, which {} replaced",
        later.links[2].commit.short()
    );
    assert_eq!(told[0].message, said);
}

#[test]
fn a_key_that_is_announced_again_is_believed_again() {
    let back = changed().announces("new", "old").tells("old");
    assert_eq!(back.wrong(&["old"]), []);
    assert_eq!(back.wrong(&["old", "new"]), []);
    assert_eq!(back.tells("new").wrong(&["old"]), [(7, UNKNOWN)]);
}

#[test]
fn a_key_that_announces_itself_takes_the_place_of_the_one_that_was_lost() {
    let lost = Branch::new()
        .tells("lost")
        .announces("new", "new")
        .tells("new");
    assert_eq!(lost.wrong(&["lost", "new"]), []);
    // Nobody vouches for it where it was not given, and then it replaces nothing.
    assert_eq!(lost.wrong(&["lost"]), [(1, UNKNOWN), (2, UNKNOWN)]);
    let found = lost.tells("lost");
    assert_eq!(found.wrong(&["lost", "new"]), [(3, UNKNOWN)]);
    // A key that is yet to come stays believed.
    let again = found.announces("third", "third").tells("third");
    assert_eq!(again.wrong(&["lost", "new", "third"]), [(3, UNKNOWN)]);
}

#[test]
fn whoever_signed_before_the_change_still_vouches_for_anchors() {
    let mut chain = Chain::new(["old".to_owned()]);
    for link in &changed().links {
        chain.next(link);
    }
    let keys = chain.keys().unwrap();
    assert_eq!(keys, ["new", "old"].map(str::to_owned).into());
}

#[test]
fn what_a_stranger_wrote_down_first_hides_no_record_that_is_believed() {
    let ours = Branch::new().tells("ours").links.remove(0);
    let signed = |key: &str| Link {
        signature: Signature::By(key.to_owned()),
        ..ours.clone()
    };
    let mut chain = Chain::new(["ours".to_owned()]);
    assert!(chain.believed(&signed("stranger")).is_none());
    assert!(chain.believed(&ours).is_some());
    assert!(chain.believed(&ours).is_none(), "it happened once");
}
