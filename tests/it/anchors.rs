//! Anchors: what the service says outside of where its evidence ends, and what that finds.

mod auditor;
mod cut;
mod places;
mod replicas;

use std::path::{Path, PathBuf};

use chrono::TimeDelta;
use hallpass::app::doctor::examine_with;
use hallpass::domain::anchor::{Memory, SignedAnchor, Step, Whose, newest_first, number_in};
use hallpass::domain::audit::Anchor;
use hallpass::domain::doctor::{Area, Line, Verdict};
use hallpass::domain::model::{CommitId, Instant};
use hallpass::domain::safety::SafeMode;

use crate::world::{Ears, World, at_every_wait, grant};

fn hours(n: i64) -> TimeDelta {
    TimeDelta::hours(n)
}

fn minutes(n: i64) -> TimeDelta {
    TimeDelta::minutes(n)
}

/// A world that keeps anchors in a folder outside of its own.
pub struct Anchored {
    pub world: World,
    outside: tempfile::TempDir,
}

impl Anchored {
    pub async fn new() -> Self {
        Self::that_is(Ears::Deaf).await
    }

    async fn that_is(ears: Ears) -> Self {
        Self::every(ears, "1d").await
    }

    async fn every(ears: Ears, every: &str) -> Self {
        let outside = tempfile::tempdir().unwrap();
        let table = format!(
            "[evidence.anchor.vault]\nkind = \"file\"\nevery = \"{every}\"\nfolder = \"{}\"\n",
            outside.path().join("anchors").display()
        );
        std::fs::create_dir(outside.path().join("anchors")).unwrap();
        let world = World::new(ears, &table).await;
        Self { world, outside }
    }

    pub fn folder(&self) -> PathBuf {
        self.outside.path().join("anchors")
    }

    pub fn anchors(&self) -> Vec<SignedAnchor> {
        let files = files(&self.folder());
        files
            .iter()
            .map(|file| SignedAnchor::read(&std::fs::read(file).unwrap()).unwrap())
            .collect()
    }
}

/// The files of a folder, by name.
pub fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap();
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

pub async fn safe_mode(world: &World) -> Option<SafeMode> {
    let reconciler = world.service().worker().reconciler();
    reconciler.safe_mode().await.unwrap()
}

pub async fn memory(world: &World, place: &str) -> Memory {
    let mut known = world.service().store().places().await.unwrap();
    known.remove(place).unwrap_or_default().memory
}

/// What the doctor says of evidence.
pub async fn told_by_doctor(world: &World) -> Vec<Line> {
    let (config, clock, extra) = world.parts();
    let lines = examine_with(&config, clock, extra, |_| {}).await.unwrap();
    let of_evidence = lines.into_iter().filter(|line| line.area == Area::Evidence);
    of_evidence.collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_anchor_is_written_each_day_and_what_was_written_is_evidence() {
    let of = Anchored::new().await;
    let world = &of.world;
    world.resync().await;
    let first = of.anchors();
    assert_eq!(first.len(), 1, "{first:?}");
    assert_eq!(first[0].repository, "acme/access");
    assert_eq!(first[0].branch, "hallpass/evidence");
    let name = files(&of.folder())[0].file_name().unwrap().to_owned();
    assert_eq!(name.to_str().unwrap(), first[0].name());
    let told = world.told("anchored");
    assert_eq!(
        told,
        [format!("Anchored: up to record {} at vault", first[0].seq)]
    );
    let record = world.evidence().pop().unwrap();
    assert!(
        record.contains("\nReceipt: written, and on the disk\n"),
        "{record}"
    );
    let before = std::fs::read(&files(&of.folder())[0]).unwrap();

    world.advance(hours(23)).await;
    world.resync().await;
    assert_eq!(of.anchors().len(), 1, "once a day");
    world.advance(hours(1)).await;
    world.resync().await;
    let both = of.anchors();
    assert_eq!(both.len(), 2);
    assert!(
        both[1].seq > first[0].seq,
        "the record of the first stands behind it"
    );
    assert_eq!(
        std::fs::read(&files(&of.folder())[0]).unwrap(),
        before,
        "nothing is written over"
    );
    assert_eq!(world.told("anchored").len(), 2);
    assert_eq!(safe_mode(world).await, None);
    world.assert_contract();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_was_ahead_or_goes_back_puts_no_anchor_off_and_writes_none_over() {
    let of = Anchored::new().await;
    let world = &of.world;
    world.clock.advance(TimeDelta::days(30));
    world.resync().await;
    assert_eq!(of.anchors().len(), 1);
    world.clock.advance(-TimeDelta::days(30));
    world.resync().await;
    assert_eq!(of.anchors().len(), 2, "the next one is not put off");
    world.advance(TimeDelta::days(1)).await;
    world.resync().await;
    world.clock.advance(-TimeDelta::days(1));
    world.resync().await;
    world.advance(TimeDelta::days(1)).await;
    world.resync().await;
    let anchors = of.anchors();
    assert!(anchors.len() >= 3, "{anchors:?}");
    assert_eq!(world.told("anchored").len(), anchors.len());
    assert_eq!(safe_mode(world).await, None);
    assert_eq!(memory(world, "vault").await.trouble, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_that_is_not_there_is_told_as_late_delays_nothing_and_is_tried_for_ever() {
    let of = Anchored::new().await;
    let world = &of.world;
    std::fs::remove_dir(of.folder()).unwrap();
    world.resync().await;
    let text = grant("ada", "readonly", "2h");
    let pull = world.request("ada", "db/ada-incident", &text).await;
    world.approve(pull, "grace").await;
    assert_eq!(world.holders("reader"), ["ada"]);
    for _ in 0..3 {
        world.advance(minutes(60)).await;
        world.resync().await;
    }
    assert!(world.holders("reader").is_empty(), "what is due ends");
    let told = told_by_doctor(world).await;
    let late = told.iter().find(|line| line.verdict == Verdict::Failure);
    let late = late.unwrap_or_else(|| panic!("{told:?}"));
    assert!(
        late.says.contains("`vault` is overdue for 180 minutes"),
        "{late:?}"
    );
    assert!(
        late.says.contains("it must be there; is it mounted?"),
        "{late:?}"
    );
    assert!(world.told("anchored").is_empty());

    std::fs::create_dir(of.folder()).unwrap();
    world.advance(minutes(10)).await;
    world.resync().await;
    assert_eq!(of.anchors().len(), 1);
    assert_eq!(world.told("anchored").len(), 1);
    let told = told_by_doctor(world).await;
    assert!(
        told.iter().all(|line| line.verdict == Verdict::Pass),
        "{told:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_between_any_two_steps_writes_each_anchor_once_and_records_it_once() {
    at_every_wait(24, async |at| {
        let mut of = Anchored::that_is(Ears::Hearing).await;
        let text = grant("ada", "readonly", "2h");
        of.world.request("ada", "db/ada-incident", &text).await;
        assert!(of.anchors().is_empty());
        let finished = of.world.crashed_while_anchoring(at).await;
        // Whoever was trying has no turn any more.
        of.world.clock.advance(minutes(3));
        of.world.resync().await;
        assert_eq!(of.anchors().len(), 1, "crashed at wait {at}");
        assert_eq!(of.world.told("anchored").len(), 1, "crashed at wait {at}");
        finished
    })
    .await;
}

/// An anchor is signed and noted, and nothing was written yet.
async fn about_to_write() -> (Anchored, SignedAnchor) {
    let of = Anchored::new().await;
    std::fs::remove_dir(of.folder()).unwrap();
    of.world.resync().await;
    let pending = memory(&of.world, "vault").await.pending;
    std::fs::create_dir(of.folder()).unwrap();
    (of, pending.unwrap().anchor)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_a_crash_cut_off_is_completed() {
    let (of, pending) = about_to_write().await;
    let world = &of.world;
    std::fs::write(of.folder().join(pending.name()), &pending.file()[..100]).unwrap();
    world.advance(minutes(10)).await;
    world.resync().await;
    assert_eq!(of.anchors(), [pending]);
}

#[tokio::test(flavor = "multi_thread")]
async fn something_else_under_the_name_is_left_alone_and_told() {
    let (of, pending) = about_to_write().await;
    let world = &of.world;
    let there = of.folder().join(pending.name());
    std::fs::write(&there, "mine").unwrap();
    world.advance(minutes(90)).await;
    world.resync().await;
    assert_eq!(std::fs::read(&there).unwrap(), b"mine");
    let told = format!("{:?}", told_by_doctor(world).await);
    assert!(
        told.contains("something else stands there under the name anchor-"),
        "{told}"
    );
}

fn an_anchor(seq: u64, written: &str) -> SignedAnchor {
    let whose = Whose {
        repository: "acme/access".to_owned(),
        branch: "hallpass/evidence".to_owned(),
    };
    let head = Anchor {
        seq,
        record: format!("sha256:{}", "0".repeat(64)),
        commit: CommitId::new("a".repeat(40)).unwrap(),
        at: written.parse().unwrap(),
    };
    let written: Instant = written.parse().unwrap();
    SignedAnchor::unsigned(&whose, head, "SHA256:key".to_owned(), written)
}

#[test]
fn names_are_in_order_and_hold_the_number() {
    let name = an_anchor(42, "2026-11-23T09:00:00.7Z").name();
    assert_eq!(name, "anchor-20261123T090000Z-000000000042.json");
    assert_eq!(number_in(&name), Some(42));
    for other in [
        "anchor.json",
        "anchor-20261123T090000Z-.json",
        "anchor-20261123T090000Z-12.json.tmp",
        "../anchor-20261123T090000Z-12.json",
        "anchor-ä0261123T090000Z-12.json",
        "notes.txt",
    ] {
        assert_eq!(number_in(other), None, "{other}");
    }
    // The number counts: a clock may have been far ahead.
    let names = [
        "anchor-20991123T090000Z-000000000007.json",
        "anchor-20261124T090000Z-000000000042.json",
        "anchor-20261124T090000Z-000000000041.json",
        "readme",
    ];
    let sorted = newest_first(names.map(str::to_owned).to_vec());
    assert_eq!(sorted, [names[1], names[2], names[0]]);
}

#[test]
fn what_is_next_follows_from_what_is_known_alone() {
    let (day, now): (_, Instant) = (TimeDelta::days(1), "2026-11-23T09:00:00Z".parse().unwrap());
    let fresh = Memory::default();
    assert_eq!(fresh.step(day, now), Step::Make);
    let anchor = an_anchor(1, "2026-11-23T09:00:00Z");
    let made = fresh.to_write(anchor.clone(), now);
    assert_eq!(made.step(day, now), Step::Write(anchor.clone()));
    let trying = made.clone().trying(now);
    assert!(matches!(trying.step(day, now), Step::Wait(at) if at > now));
    let later = now + minutes(3);
    assert_eq!(trying.step(day, later), Step::Write(anchor.clone()));
    let failed = trying.clone().failed("down".to_owned(), now + minutes(5));
    assert_eq!(failed.step(day, later), Step::Wait(now + minutes(5)));
    assert_eq!(failed.overdue(day, now + minutes(90)), minutes(90));
    let written = trying.written();
    assert_eq!(written.step(day, later), Step::Wait(now + day));
    assert_eq!(written.step(day, now + day), Step::Make);
    assert_eq!(written.overdue(day, now + day + minutes(7)), minutes(7));
    // A clock that was a year ahead when it was written must not put the next one off.
    let back = now - TimeDelta::days(365);
    assert_eq!(written.step(day, back), Step::Make);
}
