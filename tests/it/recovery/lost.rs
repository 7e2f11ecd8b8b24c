//! The database is lost at any moment, put together again, and the world ends as if nothing had happened.

use std::collections::BTreeSet;

use chrono::TimeDelta;
use hallpass::app::recover::Written;
use hallpass::domain::ledger::Entry;
use hallpass::domain::model::CommitId;
use hallpass::reconcile::Vouched;
use hallpass::sandbox::{Change, MergeMethod, Verdict};

use crate::breakglass::{ada_breaks_the_glass, offer, review_of_ada};
use crate::bundle::life::{declared, readers};
use crate::world::{Ears, REPO, World, at_every_wait, file, grant, main_tip};

fn hours(n: i64) -> TimeDelta {
    TimeDelta::hours(n)
}

fn minutes(n: i64) -> TimeDelta {
    TimeDelta::minutes(n)
}

/// The ledger, without what only says how often it was written.
async fn ledger(world: &World) -> Vec<Entry> {
    let entries = world.entries().await.into_iter();
    let plain = entries.map(|entry| Entry {
        version: 0,
        ..entry
    });
    plain.collect()
}

/// Something of everything: held, held by two files, renewed, scheduled, over by time, given back, denied, reverted and not.
async fn busy() -> World {
    let world = World::new(Ears::Deaf, "").await;
    let ask = async |login: &str, name: &str, text: &str| {
        let pull = world.request(login, name, text).await;
        world.approve(pull, "grace").await;
        if !world.is_merged(pull) {
            world.approve(pull, "linus").await;
        }
        assert!(world.is_merged(pull), "{:?}", world.check(pull));
    };
    ask("ada", "db/ada-short", &grant("ada", "readonly", "1h")).await;
    ask("mei", "db/mei-back", &grant("mei", "readonly", "8h")).await;
    let stranger = grant("ada", "readonly", "8h");
    let unapproved = world.request("ada", "db/ada-unproved", &stranger).await;
    world.merge_as_admin(unapproved, MergeMethod::Merge).await;
    world.advance(hours(1)).await;
    let back = Change::delete(file("db/mei-back"));
    let back = world.propose("mei", &[back]).await;
    assert!(world.is_merged(back));
    world.advance(hours(1)).await;
    ask("mei", "db/mei-long", &grant("mei", "readonly", "4h")).await;
    ask("ada", "db/ada-long", &grant("ada", "readonly", "8h")).await;
    let later = format!(
        "{}starts: 2026-11-24T07:00:00Z\n",
        grant("ada", "admin", "1h")
    );
    ask("ada", "db/ada-later", &later).await;
    let more = grant("mei", "readonly", "6h").replace("look wrong", "still look wrong");
    ask("mei", "db/mei-long", &more).await;
    world.advance(minutes(20)).await;
    world
}

#[tokio::test(flavor = "multi_thread")]
async fn the_ledger_that_is_put_together_is_the_one_that_was_lost() {
    let mut world = busy().await;
    let before = ledger(&world).await;
    let states: BTreeSet<_> = before.iter().map(|e| e.state.as_str()).collect();
    assert_eq!(states, ["active", "denied", "ended", "scheduled"].into());
    let effects = world.vault.effects();

    world.lose_database().await;
    let outcome = world.recover(&Vouched::default()).await;
    assert_eq!(outcome.written, Written::Written);
    assert_eq!(outcome.recovery.notes, Vec::<String>::new());
    assert_eq!(outcome.recovery.problems, []);
    world.resync().await;

    let after = ledger(&world).await;
    assert_eq!(after.len(), before.len());
    for (after, before) in after.iter().zip(&before) {
        // What people write freely is not in the evidence, and nobody needs it of what is over.
        let known = |entry: &Entry| {
            let mut entry = entry.clone();
            if let (true, Some(terms)) = (entry.state.is_final(), &mut entry.terms) {
                terms.reason.clear();
                terms.ticket = None;
            }
            // Nothing asks whether the file of what is over was replaced.
            entry.superseded &= !entry.state.is_final();
            // Only of what the files say; the terms say the same.
            entry.asked = entry.asked.filter(|_| entry.terms.is_none());
            entry
        };
        assert_eq!(known(after), known(before));
    }
    assert_eq!(world.vault.effects(), effects, "nothing is given twice");
    assert_eq!(
        world.told("safe-mode"),
        ["Safe mode is over: what is proved is granted again (evidence-ahead)"]
    );

    world.advance(hours(24)).await;
    assert!(world.holders("reader").is_empty());
    assert!(world.holders("admin").is_empty());
    assert!(world.open_pulls().is_empty());
    world.assert_contract();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_lost_at_any_wait_from_the_approval_to_the_access_ends_in_the_same_world() {
    lost_everywhere(Moment::Approved).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_lost_at_any_wait_while_revoking_ends_in_the_same_world() {
    lost_everywhere(Moment::Over).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_lost_at_any_wait_while_an_emergency_is_given_ends_in_the_same_world() {
    lost_everywhere(Moment::Emergency).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_lost_at_any_wait_while_an_emergency_is_signed_ends_in_the_same_world() {
    lost_everywhere(Moment::Signed).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_lost_at_any_wait_while_a_bundle_is_given_ends_in_the_same_world() {
    lost_everywhere(Moment::Bundle).await;
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Moment {
    Approved,
    Bundle,
    Over,
    Emergency,
    Signed,
}

async fn lost_everywhere(moment: Moment) {
    let (_, calm) = lose(moment, usize::MAX).await;
    at_every_wait(8, async |at| {
        let (finished, end) = lose(moment, at).await;
        assert_eq!(end, calm, "lost at wait {at}");
        finished
    })
    .await;
}

async fn lose(moment: Moment, at: usize) -> (bool, String) {
    let merging = match moment {
        Moment::Approved => "merge = \"auto\"\nmerge_reverts = true",
        _ => "merge = \"off\"\nmerge_reverts = true",
    };
    let mut world = World::new(Ears::Hearing, merging).await;
    match moment {
        Moment::Bundle => declared(&world).await,
        _ => offer(&world).await,
    }
    let merge = |world: &World, pull| {
        let merged = world
            .sandbox
            .merge_as_admin("root", REPO, pull, MergeMethod::Merge);
        merged.unwrap();
    };
    if matches!(moment, Moment::Emergency | Moment::Signed) {
        let pull = ada_breaks_the_glass(&world).await;
        merge(&world, pull);
        if moment == Moment::Signed {
            world.settle().await;
            let (review, why) = (review_of_ada(&world), "I was there.");
            let signed = world
                .sandbox
                .review("grace", REPO, review, Verdict::Approve, why);
            signed.unwrap();
        }
    } else {
        let (name, role, second) = match moment {
            Moment::Bundle => ("kit/ada-night", "responder", "mei"),
            _ => ("db/ada-incident", "readonly", "linus"),
        };
        let pull = world.request("ada", name, &grant("ada", role, "2h")).await;
        world.approve(pull, "grace").await;
        if moment == Moment::Approved {
            let why = "Fine with me, the incident is real.";
            let approved = world
                .sandbox
                .review(second, REPO, pull, Verdict::Approve, why);
            approved.unwrap();
        } else {
            world.approve(pull, second).await;
            merge(&world, pull);
        }
        if moment == Moment::Over {
            world.settle().await;
            world.clock.advance(hours(2));
        }
    }
    world.sandbox.settle().await;
    let finished = world.lost_at(at).await;
    world.advance(minutes(20)).await;
    world.resync().await;
    let wanted: &[&str] = match moment {
        Moment::Approved | Moment::Bundle => &["+reader ada"],
        Moment::Over => &["+reader ada", "-reader ada"],
        Moment::Emergency | Moment::Signed => &["+admin ada"],
    };
    assert_eq!(world.vault.effects(), wanted, "lost at wait {at}");
    world.assert_each_event_once();
    if moment == Moment::Bundle {
        assert_eq!(readers(&world), ["ada"], "lost at wait {at}");
        let parts = ["kit/ada-night active"; 2];
        assert_eq!(world.ledger().await, parts, "lost at wait {at}");
    }
    let titles = world.sandbox.pulls(REPO).into_iter().map(|p| p.title);
    let of_ours = |title: &String| title.starts_with("Remove ended") || title.starts_with("Review");
    let pulls = titles.filter(of_ours).count();
    let wanted = usize::from(!matches!(moment, Moment::Approved | Moment::Bundle));
    assert_eq!(pulls, wanted, "one pull request, lost at wait {at}");
    let summary = world.summary().await;
    let calm = summary.lines().filter(|line| !line.contains("Safe mode"));
    (finished, calm.collect::<Vec<_>>().join("\n"))
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_merged_while_there_was_no_database_is_weighed_like_anything_else() {
    let mut world = busy().await;
    world.lose_database().await;
    world.start().await;
    let text = grant("linus", "readonly", "1h");
    let pull = world.request("linus", "db/linus-incident", &text).await;
    world.approve(pull, "grace").await;
    world.merge_as_admin(pull, MergeMethod::Merge).await;
    assert!(!world.holders("reader").contains(&"linus".to_owned()));
    world.recover(&Vouched::default()).await;
    world.resync().await;
    assert!(world.holders("reader").contains(&"linus".to_owned()));
    let told = world.told("safe-mode");
    assert_eq!(
        told,
        [
            "Safe mode: nothing is granted (evidence-ahead)",
            "Safe mode is over: what is proved is granted again (evidence-ahead)",
        ]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_access_that_somebody_gave_by_hand_is_still_nobody_elses_after_a_recovery() {
    let mut world = World::new(Ears::Deaf, "").await;
    world.vault.give_by_hand("reader", "ada");
    let text = grant("ada", "readonly", "1h");
    let pull = world.request("ada", "db/ada-incident", &text).await;
    world.approve(pull, "grace").await;
    assert_eq!(world.told("blocked").len(), 1);
    world.lose_database().await;
    world.recover(&Vouched::default()).await;
    world.advance(hours(2)).await;
    world.resync().await;
    assert_eq!(world.holders("reader"), ["ada"], "it was never ours");
    assert!(world.told("granted").is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_begins_later_was_not_given_whatever_its_account_has() {
    let mut world = World::new(Ears::Deaf, "").await;
    world.vault.give_by_hand("reader", "mei");
    let text = grant("mei", "readonly", "1h");
    let text = format!("{text}starts: 2026-11-23T12:00:00Z\n");
    let pull = world.request("mei", "db/mei-later", &text).await;
    world.approve(pull, "grace").await;
    assert_eq!(world.ledger().await, ["db/mei-later scheduled"]);
    world.lose_database().await;
    world.recover(&Vouched::default()).await;
    world.resync().await;
    assert_eq!(world.ledger().await, ["db/mei-later scheduled"]);
    world.advance(hours(3)).await;
    assert_eq!(world.told("blocked").len(), 1, "somebody else's as ever");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_target_that_does_not_say_who_has_what_is_a_doubt_and_nothing_is_written() {
    let mut world = World::new(Ears::Deaf, "merge = \"off\"").await;
    let text = grant("ada", "readonly", "1h");
    let pull = world.request("ada", "db/ada-incident", &text).await;
    world.approve(pull, "grace").await;
    world.stop().await;
    let merged = world
        .sandbox
        .merge_as_admin("root", REPO, pull, MergeMethod::Merge);
    merged.unwrap();
    world.lose_database().await;
    world.start().await;
    world.vault.down(true);
    let doing = hallpass::app::recover::Doing::Write;
    let nobody = Vouched::default();
    let outcome = hallpass::app::recover::recover(world.service(), &nobody, doing);
    let outcome = outcome.await.unwrap();
    assert_eq!(outcome.written, Written::Doubtful);
    assert_eq!(outcome.recovery.doubts.len(), 1, "{outcome:?}");
    assert!(world.entries().await.is_empty());
    world.vault.down(false);
    world.recover(&Vouched::default()).await;
    world.resync().await;
    assert_eq!(world.holders("reader"), ["ada"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_was_lost_too_is_vouched_for_by_its_public_half() {
    let mut world = busy().await;
    let before = ledger(&world).await.len();
    let key = world.evidence_key();
    world.lose_everything().await;
    world.start().await;
    let doing = hallpass::app::recover::Doing::Write;
    let nobody = Vouched::default();
    let outcome = hallpass::app::recover::recover(world.service(), &nobody, doing);
    assert_eq!(outcome.await.unwrap().written, Written::Doubtful);
    let vouched = Vouched {
        keys: vec![key],
        main: None,
    };
    world.recover(&vouched).await;
    world.resync().await;
    assert_eq!(ledger(&world).await.len(), before);
    assert_eq!(world.told("key-changed").len(), 1);
    world.advance(hours(24)).await;
    assert!(world.holders("reader").is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rewritten_main_is_gone_on_with_where_somebody_vouches_for_it() {
    let mut world = World::new(Ears::Deaf, "").await;
    let first = main_tip(&world);
    let ask = async |world: &World, login: &str, hours: &str| {
        let name = format!("db/{login}-incident");
        let text = grant(login, "readonly", hours);
        let pull = world.request(login, &name, &text).await;
        world.approve(pull, "grace").await;
        assert!(world.is_merged(pull));
        text
    };
    let ended = ask(&world, "mei", "1h").await;
    world.advance(hours(1)).await;
    let held = ask(&world, "ada", "8h").await;
    // All in one commit of another name, with a file that ended and one that nobody approved.
    let changes = [
        Change::write(file("db/ada-incident"), held),
        Change::write(file("db/mei-incident"), ended),
        Change::write(file("db/linus-incident"), grant("linus", "readonly", "8h")),
    ];
    let onto = first.to_string();
    world
        .sandbox
        .force_push("root", REPO, "main", &onto, &changes, "squashed")
        .unwrap();
    world.resync().await;
    assert_eq!(world.holders("reader"), ["ada"]);
    let vouched = |main: CommitId| Vouched {
        keys: Vec::new(),
        main: Some(main),
    };
    world.recover(&vouched(main_tip(&world))).await;
    world.resync().await;
    world.advance(minutes(20)).await;
    assert_eq!(world.holders("reader"), ["ada"], "it goes on, and no other");
    assert_eq!(world.told("merged-without-proof").len(), 1);
    assert_eq!(world.vault.effects().len(), 3);
    // The evidence knows of it, so that another loss does not bring the contradiction back.
    world.lose_database().await;
    world.recover(&Vouched::default()).await;
    world.resync().await;
    let firm = world
        .service()
        .worker()
        .reconciler()
        .safe_mode()
        .await
        .unwrap();
    assert_eq!(firm, None);
    world.advance(hours(8)).await;
    assert!(world.holders("reader").is_empty());
    assert_eq!(world.vault.effects().len(), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_goes_back_to_its_own_key_announces_it() {
    let mut world = World::hearing().await;
    let folder = tempfile::tempdir().unwrap();
    let (own, other) = (
        world.data().join("evidence_key"),
        folder.path().join("other_key"),
    );
    hallpass::repo::Signers::at(&other).unwrap();
    let before = |path: &std::path::Path| format!("previous_key_file = {path:?}\n");
    let owners = |line: &str| [Change::write(".github/CODEOWNERS", line)];
    world.decree(&owners("* @acme/dba @acme/security\n")).await;
    let there = format!("[evidence]\nkey_file = {other:?}\n{}", before(&own));
    world.configure(&there).await;
    world.decree(&owners("* @acme/security\n")).await;
    assert_eq!(world.told("key-changed").len(), 1);
    let back = format!("[evidence]\n{}", before(&other));
    world.reconfigure(&there, &back).await;
    world.decree(&owners("* @acme/dba\n")).await;
    assert_eq!(world.told("key-changed").len(), 2);
    assert!(world.told("landed").len() >= 2);
}
