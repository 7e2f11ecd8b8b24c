//! Evidence that was cut, rewritten, replaced or deleted, and places that were tampered with.

use std::collections::BTreeSet;

use chrono::TimeDelta;
use git2::{Oid, Repository};
use hallpass::app::recover::{self, Doing, Written};
use hallpass::domain::doctor::Verdict;
use hallpass::domain::safety::SafeMode;
use hallpass::reconcile::Vouched;
use hallpass::sandbox::Change;

use super::{Anchored, files, hours, memory, safe_mode, told_by_doctor};
use crate::world::{Ears, REPO, World, grant};

const EVIDENCE: &str = "hallpass/evidence";

fn tip(world: &World) -> Oid {
    let tip = world.sandbox.branch_tip(REPO, EVIDENCE).unwrap();
    Oid::from_str(tip.as_str()).unwrap()
}

/// Moves the evidence branch on the forge, as somebody may on whom no rule is enforced.
fn move_to(world: &World, commit: Oid) {
    let git = Repository::open(world.repository_path()).unwrap();
    let name = format!("refs/heads/{EVIDENCE}");
    git.reference(&name, commit, true, "moved").unwrap();
}

fn before(world: &World, commit: Oid, n: u32) -> Oid {
    let git = Repository::open(world.repository_path()).unwrap();
    let commit = git.find_commit(commit).unwrap();
    (0..n).fold(commit, |c, _| c.parent(0).unwrap()).id()
}

/// Ada has `db/readonly` for two hours, and what tells of it was anchored.
async fn with_ada() -> Anchored {
    let of = Anchored::every(Ears::Deaf, "10m").await;
    let text = grant("ada", "readonly", "2h");
    let pull = of.world.request("ada", "db/ada-incident", &text).await;
    of.world.approve(pull, "grace").await;
    let before = of.anchors().len();
    of.world.advance(TimeDelta::minutes(11)).await;
    of.world.resync().await;
    assert!(of.anchors().len() > before, "what tells of ada is anchored");
    of
}

/// The evidence must hold this, and does not.
async fn assert_found(of: &Anchored, how: &str) {
    let world = &of.world;
    world.resync().await;
    let mode = safe_mode(world).await;
    assert!(
        matches!(&mode, Some(SafeMode::EvidenceCut { place, .. }) if place == "vault"),
        "{how}: {mode:?}"
    );
    let text = grant("linus", "readonly", "1h");
    let pull = world.request("linus", "db/linus-incident", &text).await;
    world.approve(pull, "grace").await;
    assert!(!world.is_merged(pull), "{how}: nothing is merged");
    assert_eq!(
        world.holders("reader"),
        ["ada"],
        "{how}: nothing is granted"
    );
    world.advance(hours(2)).await;
    world.resync().await;
    assert!(
        world.holders("reader").is_empty(),
        "{how}: what is due ends"
    );
}

async fn cut_by(how: &str, change: impl FnOnce(&World, Oid)) {
    let of = with_ada().await;
    let whole = tip(&of.world);
    change(&of.world, whole);
    let held = of.anchors().len();
    assert_found(&of, how).await;
    let world = &of.world;
    world.advance(TimeDelta::days(1)).await;
    world.resync().await;
    assert_eq!(of.anchors().len(), held, "{how}: nothing vouches for that");

    // Pushed back, everything goes on, and what happened meanwhile is told.
    move_to(world, whole);
    world.resync().await;
    world.resync().await;
    assert_eq!(safe_mode(world).await, None, "{how}");
    assert_eq!(
        world.told("safe-mode"),
        [
            "Safe mode: nothing is granted (evidence-cut)",
            "Safe mode is over: what is proved is granted again (evidence-cut)",
        ],
        "{how}"
    );
    assert_eq!(world.told("revoked").len(), 1, "{how}");
    assert!(of.anchors().len() > held, "{how}: anchors go on");
    let keys: Vec<String> = world
        .evidence()
        .iter()
        .filter_map(|m| Some(m.lines().find(|l| l.starts_with("Event-Key:"))?.to_owned()))
        .collect();
    let once: BTreeSet<&String> = keys.iter().collect();
    assert_eq!(once.len(), keys.len(), "{how}: an event stands twice");
}

#[tokio::test(flavor = "multi_thread")]
async fn evidence_that_was_cut_is_found_and_goes_on_once_it_is_put_back() {
    cut_by("cut", |world, whole| {
        move_to(world, before(world, whole, 3))
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn evidence_that_was_replaced_is_found() {
    cut_by("replaced", |world, _| {
        let onto = world.sandbox.branch_tip(REPO, "main").unwrap();
        let change = [Change::write("story.txt".to_owned(), "It was otherwise.")];
        let pushed =
            world
                .sandbox
                .force_push("root", REPO, EVIDENCE, onto.as_str(), &change, "otherwise");
        pushed.unwrap();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn evidence_that_was_rewritten_by_one_commit_is_found() {
    cut_by("rewritten", |world, whole| {
        let onto = before(world, whole, 2).to_string();
        let change = [Change::write("record.json".to_owned(), "{}")];
        let pushed = world
            .sandbox
            .force_push("root", REPO, EVIDENCE, &onto, &change, "otherwise");
        pushed.unwrap();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn evidence_that_was_deleted_is_found() {
    cut_by("deleted", |world, _| {
        let git = Repository::open(world.repository_path()).unwrap();
        let name = format!("refs/heads/{EVIDENCE}");
        git.find_reference(&name).unwrap().delete().unwrap();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_lost_everything_but_its_key_finds_the_cut_by_what_the_place_holds() {
    let mut of = with_ada().await;
    let whole = tip(&of.world);
    let older = before(&of.world, whole, 4);
    move_to(&of.world, older);
    // Neither database nor mirror can tell: only the place can.
    of.world.lose_all_but_the_key().await;
    of.world.start().await;
    let world = &of.world;
    world.resync().await;
    world.resync().await;
    let mode = safe_mode(world).await;
    assert!(
        matches!(mode, Some(SafeMode::EvidenceCut { .. })),
        "{mode:?}"
    );
    // What was cut may say that something is over: nothing is put together from the rest.
    let asked = recover::recover(world.service(), &Vouched::default(), Doing::Write).await;
    let asked = asked.unwrap();
    assert_eq!(asked.written, Written::Doubtful);
    assert!(
        asked.recovery.doubts[0].contains("was cut or rewritten"),
        "{:?}",
        asked.recovery.doubts
    );

    move_to(world, whole);
    world.resync().await;
    let mode = safe_mode(world).await;
    assert!(
        matches!(mode, Some(SafeMode::EvidenceAhead { .. })),
        "{mode:?}"
    );
    of.world.recover(&Vouched::default()).await;
    of.world.resync().await;
    assert_eq!(safe_mode(&of.world).await, None);
    assert_eq!(of.world.holders("reader"), ["ada"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_database_asks_the_places_before_it_gives_anything() {
    for recovering in [false, true] {
        let mut of = with_ada().await;
        let git = Repository::open(of.world.repository_path()).unwrap();
        let name = format!("refs/heads/{EVIDENCE}");
        git.find_reference(&name).unwrap().delete().unwrap();
        of.world.lose_all_but_the_key().await;
        let effects = of.world.vault.effects();
        if recovering {
            let service = of.world.assemble().await;
            let asked = recover::recover(&service, &Vouched::default(), Doing::Write).await;
            assert_eq!(asked.unwrap().written, Written::Doubtful);
        } else {
            of.world.start().await;
            of.world.resync().await;
        }
        assert_eq!(of.world.vault.effects(), effects);
        assert!(git.find_reference(&name).is_err(), "nothing begins anew");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_recovered_while_a_place_does_not_answer() {
    let mut of = with_ada().await;
    let older = before(&of.world, tip(&of.world), 4);
    move_to(&of.world, older);
    of.world.lose_all_but_the_key().await;
    let (place, aside) = (of.folder(), of.folder().with_extension("aside"));
    std::fs::rename(&place, &aside).unwrap();
    let service = of.world.assemble().await;
    // However often it is asked.
    for _ in 0..2 {
        let asked = recover::recover(&service, &Vouched::default(), Doing::Write).await;
        let asked = asked.unwrap();
        assert_eq!(asked.written, Written::Doubtful);
        let why = &asked.recovery.doubts[0];
        assert!(
            why.contains("the anchors at `vault` cannot be read"),
            "{why}"
        );
    }
    service.store().close().await;
    std::fs::rename(&aside, &place).unwrap();
    of.world.start().await;
    of.world.resync().await;
    let mode = safe_mode(&of.world).await;
    assert!(
        matches!(mode, Some(SafeMode::EvidenceCut { .. })),
        "{mode:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_place_that_lost_or_changed_an_anchor_is_told_of() {
    for changed in [false, true] {
        let of = Anchored::new().await;
        let world = &of.world;
        world.resync().await;
        let file = &files(&of.folder())[0];
        let whole = std::fs::read(file).unwrap();
        if changed {
            let mut anchor = of.anchors().remove(0);
            anchor.seq += 1;
            std::fs::write(file, anchor.file()).unwrap();
        } else {
            std::fs::remove_file(file).unwrap();
        }
        world.advance(hours(23)).await;
        world.advance(hours(1)).await;
        world.resync().await;
        let trouble = memory(world, "vault").await.trouble.unwrap();
        let what = match changed {
            true => "was changed there",
            false => "is not there any more",
        };
        assert!(trouble.contains(what), "{trouble}");
        let told = told_by_doctor(world).await;
        let failure = told.iter().find(|l| l.verdict == Verdict::Failure);
        assert!(failure.unwrap().says.contains(what), "{told:?}");
        assert_eq!(safe_mode(world).await, None, "the evidence is whole");

        // It is told of until it stands there again, and not only until the next one is written.
        world.advance(TimeDelta::days(2)).await;
        world.resync().await;
        assert!(memory(world, "vault").await.trouble.is_some());
        std::fs::write(file, whole).unwrap();
        world.advance(TimeDelta::days(2)).await;
        world.resync().await;
        assert_eq!(memory(world, "vault").await.trouble, None);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn files_that_others_put_at_a_place_hide_nothing_and_frighten_nobody() {
    let mut of = Anchored::new().await;
    of.world.resync().await;
    let mine = of.anchors().remove(0);
    let mut forged = mine.clone();
    forged.seq += 1000;
    std::fs::write(of.folder().join(forged.name()), forged.file()).unwrap();
    let mut stranger = mine.clone();
    stranger.repository = "acme/other".to_owned();
    stranger.seq += 2000;
    std::fs::write(of.folder().join(stranger.name()), stranger.file()).unwrap();
    std::fs::write(
        of.folder()
            .join("anchor-20991123T090000Z-000000009999.json"),
        "{}",
    )
    .unwrap();
    std::fs::write(of.folder().join("readme.txt"), "Anchors of Hallpass.").unwrap();
    of.world.start().await;
    of.world.resync().await;
    assert_eq!(safe_mode(&of.world).await, None);
    let known = memory(&of.world, "vault").await;
    assert_eq!(known.trouble, None);
    assert_eq!(known.seen.unwrap().seq, mine.seq);
}
