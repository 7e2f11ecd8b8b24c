//! The life of a bundle over two target systems: the vault, and a team of the organisation.

use chrono::TimeDelta;
use hallpass::sandbox::{Change, MergeMethod, Verdict};
use hallpass::worker::Resync;

use crate::scenario::{hearing_and_deaf, hearing_and_deaf_with};
use crate::vault::Fault;
use crate::world::{Ears, REPO, World, at_every_wait, file, grant};

/// Reads the database and answers customers; `@acme/dba` owns the one, `@acme/security` the other.
const KIT: &str = "\
description: What whoever is on call needs
risk: low
roles:
  responder:
    description: Reads the orders and answers customers
    bundle: [db/readonly, crew/reader]
    max_duration: 8h
";

/// A role that gives the same as db/readonly.
const MIRROR: &str = "\
description: The orders database, by another name
risk: critical
provider: vault
roles:
  reader:
    description: SELECT on every table
    entitlement: { role: reader }
    max_duration: 8h
";

const OWNERS: &str = "\
* @acme/security
/access/grants/db/ @acme/dba
/access/grants/mirror/ @acme/dba
";

fn hours(n: i64) -> TimeDelta {
    TimeDelta::hours(n)
}

fn minutes(n: i64) -> TimeDelta {
    TimeDelta::minutes(n)
}

pub async fn declared(world: &World) {
    world
        .decree(&[
            Change::write("access/resources/kit.yaml", KIT),
            Change::write("access/resources/mirror.yaml", MIRROR),
            Change::write(".github/CODEOWNERS", OWNERS),
        ])
        .await;
}

pub fn readers(world: &World) -> Vec<String> {
    let members = world.sandbox.team_members("readers").into_iter();
    members.map(|(login, _)| login).collect()
}

/// ada asks for two hours of the kit, and the owners of both parts approve it.
async fn granted(world: &World) {
    declared(world).await;
    let text = grant("ada", "responder", "2h");
    let pull = world.request("ada", "kit/ada-night", &text).await;
    world.approve(pull, "grace").await;
    assert!(!world.is_merged(pull), "mei has not approved");
    world.approve(pull, "mei").await;
    assert!(world.is_merged(pull), "{:?}", world.check(pull));
}

async fn states(world: &World) -> Vec<String> {
    let entries = world.entries().await;
    let state = |e: &hallpass::domain::ledger::Entry| {
        let part = e.part.as_ref().map(ToString::to_string);
        format!("{} {}", part.unwrap_or_default(), e.state.as_str())
    };
    entries.iter().map(state).collect()
}

fn assert_each_event_once(world: &World) {
    let evidence = world.evidence();
    let keys: Vec<&str> = evidence
        .iter()
        .flat_map(|m| m.lines().find(|l| l.starts_with("Event-Key:")))
        .collect();
    let once: std::collections::BTreeSet<_> = keys.iter().collect();
    assert_eq!(once.len(), keys.len(), "{keys:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bundle_is_approved_by_the_owners_of_its_parts_and_given_taken_and_tidied_up_as_one() {
    hearing_and_deaf(async |world| {
        declared(world).await;
        let text = grant("ada", "responder", "2h");
        let pull = world.request("ada", "kit/ada-night", &text).await;
        let check = world.check(pull);
        assert_eq!(
            check.title,
            "Waiting for @acme/dba, @acme/security (0 of 2 approvals)"
        );
        assert!(
            check
                .summary
                .contains("`db/readonly`: waiting for @acme/dba (0 of 1)"),
            "{}",
            check.summary
        );
        world.approve(pull, "grace").await;
        assert_eq!(
            world.check(pull).title,
            "Waiting for @acme/security (0 of 1 approval)"
        );
        assert_eq!(world.vault.calls(), 0);
        world.approve(pull, "mei").await;
        assert!(world.is_merged(pull), "{:?}", world.check(pull));
        assert_eq!(world.holders("reader"), ["ada"]);
        assert_eq!(readers(world), ["ada"]);
        assert_eq!(
            states(world).await,
            ["crew/reader active", "db/readonly active"]
        );

        world.advance(hours(2)).await;
        assert!(world.holders("reader").is_empty());
        assert!(readers(world).is_empty());
        world.advance(minutes(1)).await;
        let kit = file("kit/ada-night");
        assert!(world.sandbox.file(REPO, "main", &kit).is_none());
        assert!(world.open_pulls().is_empty());
        let reverts = world.sandbox.pulls(REPO);
        let titles: Vec<&str> = reverts
            .iter()
            .map(|p| p.title.as_str())
            .filter(|t| t.starts_with("Remove"))
            .collect();
        assert_eq!(
            titles,
            ["Remove ended access: ada on crew/reader, db/readonly"]
        );
        let kinds = ["requested", "approved", "granted", "revoked", "reverted"];
        assert_eq!(
            kinds.map(|k| world.told(k).len()),
            [1, 2, 2, 2, 2],
            "{:#?}",
            world.evidence()
        );
        assert_each_event_once(world);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_administrators_merge_gives_no_part_while_one_lacks_its_approval() {
    hearing_and_deaf(async |world| {
        declared(world).await;
        let text = grant("ada", "responder", "2h");
        let pull = world.request("ada", "kit/ada-night", &text).await;
        world.approve(pull, "grace").await;
        world.merge_as_admin(pull, MergeMethod::Merge).await;
        assert_eq!(world.vault.calls(), 0);
        assert!(readers(world).is_empty());
        assert_eq!(world.ledger().await, ["kit/ada-night denied"]);
        assert_eq!(world.told("merged-without-proof").len(), 1);
        world.advance(minutes(5)).await;
        assert!(
            world
                .sandbox
                .file(REPO, "main", &file("kit/ada-night"))
                .is_none(),
            "reverted"
        );
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_target_that_is_down_delays_its_own_part_alone() {
    hearing_and_deaf(async |world| {
        world.vault.down(true);
        granted(world).await;
        assert_eq!(readers(world), ["ada"]);
        assert!(world.holders("reader").is_empty());
        world.vault.down(false);
        world.advance(minutes(10)).await;
        assert_eq!(world.holders("reader"), ["ada"]);

        world.vault.down(true);
        world.advance(hours(2)).await;
        assert!(readers(world).is_empty(), "the other part ends on time");
        assert_eq!(
            states(world).await,
            ["crew/reader ended", "db/readonly revoking"]
        );
        for _ in 0..3 {
            world.advance(minutes(10)).await;
            assert!(
                world.open_pulls().is_empty(),
                "not tidied while a part may be held"
            );
        }
        assert!(
            world
                .sandbox
                .file(REPO, "main", &file("kit/ada-night"))
                .is_some()
        );
        world.vault.down(false);
        world.advance(minutes(10)).await;
        assert!(world.holders("reader").is_empty());
        world.advance(minutes(2)).await;
        assert!(
            world
                .sandbox
                .file(REPO, "main", &file("kit/ada-night"))
                .is_none()
        );
        assert_eq!(world.told("reverted").len(), 2);
        assert_each_event_once(world);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_asks_the_forge_again_and_again_while_one_part_is_over_and_another_lives() {
    let world = World::hearing().await;
    world.vault.down(true);
    granted(&world).await;
    world.vault.down(false);
    world.advance(minutes(10)).await;
    world.vault.down(true);
    world.advance(hours(2)).await;
    let worker = world.service().worker();
    worker.run_once(Resync::QueueOnly).await.unwrap();
    world.sandbox.reset_calls();
    for _ in 0..5 {
        world
            .service()
            .worker()
            .run_once(Resync::QueueOnly)
            .await
            .unwrap();
    }
    let calls = world.sandbox.calls();
    assert!(calls.is_empty(), "{calls:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bundle_is_renewed_part_by_part_without_a_gap() {
    hearing_and_deaf(async |world| {
        granted(world).await;
        world.advance(hours(1)).await;
        let text = grant("ada", "responder", "4h").replace("look wrong", "still look wrong");
        let pull = world.request("ada", "kit/ada-night", &text).await;
        world.approve(pull, "linus").await;
        assert!(
            !world.is_merged(pull),
            "the other part is renewed by its own owners"
        );
        world.approve(pull, "mei").await;
        assert!(world.is_merged(pull), "{:?}", world.check(pull));
        assert_eq!(world.vault.effects(), ["+reader ada"], "no gap");
        world.advance(hours(3)).await;
        assert_eq!(world.holders("reader"), ["ada"], "the old term is over");
        assert_eq!(readers(world), ["ada"]);
        world.advance(hours(1)).await;
        assert!(world.holders("reader").is_empty() && readers(world).is_empty());
        assert_eq!(world.told("renewed").len(), 2);
        assert_eq!(world.told("granted").len(), 2);
        assert_each_event_once(world);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bundle_is_given_back_whole_by_its_holder_or_an_owner_of_a_part() {
    for who in ["ada", "linus"] {
        hearing_and_deaf(async |world| {
            granted(world).await;
            world.advance(minutes(30)).await;
            let back = world
                .propose(who, &[Change::delete(file("kit/ada-night"))])
                .await;
            assert!(world.is_merged(back), "{:?}", world.check(back));
            assert!(world.holders("reader").is_empty());
            assert!(readers(world).is_empty());
            assert!(
                world
                    .told("revoked")
                    .iter()
                    .all(|m| m.contains("withdrawn"))
            );
            assert_eq!(world.told("revoked").len(), 2);
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_part_that_a_grant_by_itself_gives_too_is_held_until_the_last_of_them_ends() {
    hearing_and_deaf(async |world| {
        declared(world).await;
        let single = world
            .request("ada", "mirror/ada-look", &grant("ada", "reader", "4h"))
            .await;
        world.approve(single, "grace").await;
        let text = grant("ada", "responder", "2h");
        let pull = world.request("ada", "kit/ada-night", &text).await;
        world.approve(pull, "grace").await;
        world.approve(pull, "mei").await;
        assert!(world.is_merged(pull), "{:?}", world.check(pull));
        world.advance(hours(2)).await;
        assert!(readers(world).is_empty());
        assert_eq!(world.holders("reader"), ["ada"]);
        assert_eq!(world.vault.effects(), ["+reader ada"]);
        world.advance(hours(2)).await;
        assert_eq!(world.vault.effects(), ["+reader ada", "-reader ada"]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_later_change_of_the_bundle_changes_nothing_that_is_held() {
    hearing_and_deaf(async |world| {
        granted(world).await;
        let other = KIT.replace("[db/readonly, crew/reader]", "[db/admin, crew/reader]");
        world
            .decree(&[Change::write("access/resources/kit.yaml", other)])
            .await;
        world.resync().await;
        assert_eq!(world.holders("reader"), ["ada"]);
        assert!(world.holders("admin").is_empty());
        world.advance(hours(2)).await;
        assert!(world.holders("reader").is_empty() && readers(world).is_empty());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scheduled_bundle_begins_in_every_part_that_is_still_approved_then() {
    hearing_and_deaf(async |world| {
        declared(world).await;
        let text = format!(
            "{}starts: 2026-11-23T12:00:00Z\n",
            grant("ada", "responder", "2h")
        );
        let pull = world.request("ada", "kit/ada-night", &text).await;
        world.approve(pull, "grace").await;
        world.approve(pull, "mei").await;
        assert_eq!(
            states(world).await,
            ["crew/reader scheduled", "db/readonly scheduled"]
        );
        world.sandbox.leave_team("grace", "dba");
        world.advance(hours(3)).await;
        assert_eq!(readers(world), ["ada"]);
        assert!(world.holders("reader").is_empty(), "who approved it left");
        world.advance(hours(2)).await;
        assert!(readers(world).is_empty());
        world.advance(minutes(2)).await;
        assert!(
            world
                .sandbox
                .file(REPO, "main", &file("kit/ada-night"))
                .is_none()
        );
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn people_who_object_to_the_bundle_itself_are_heard() {
    hearing_and_deaf_with("merge = \"auto\"\nmerge_reverts = true", async |world| {
        let owners = OWNERS.to_owned()
            + "/access/grants/kit/ @acme/security\n/access/grants/crew/ @acme/dba\n";
        declared(world).await;
        world
            .decree(&[Change::write(".github/CODEOWNERS", owners)])
            .await;
        let text = grant("ada", "responder", "2h");
        let pull = world.request("ada", "kit/ada-night", &text).await;
        let why = "Ask again tomorrow, the kit is being changed.";
        world
            .review(pull, "mei", Verdict::RequestChanges, why)
            .await;
        world.approve(pull, "grace").await;
        assert!(!world.is_merged(pull));
        assert_eq!(world.check(pull).title, "Blocked: @mei asked for changes");
        world.approve(pull, "mei").await;
        assert!(world.is_merged(pull), "{:?}", world.check(pull));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failure_that_hides_an_effect_is_settled_for_its_part() {
    hearing_and_deaf(async |world| {
        world.vault.fail([Fault::After, Fault::Before]);
        granted(world).await;
        world.advance(minutes(1)).await;
        world.advance(minutes(1)).await;
        assert_eq!(world.told("granted").len(), 2);
        assert_each_event_once(world);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_bundle_excludes_waits_until_all_of_it_was_taken() {
    hearing_and_deaf(async |world| {
        granted(world).await;
        let strict = KIT.to_owned() + "    conflicts_with: [mirror/writer]\n";
        let writer = "  writer:\n    description: Writes\n    entitlement: { role: writer }\n    max_duration: 8h\n";
        world
            .decree(&[
                Change::write("access/resources/kit.yaml", strict),
                Change::write("access/resources/mirror.yaml", MIRROR.to_owned() + writer),
            ])
            .await;
        world.vault.down(true);
        let leave = [Change::delete(file("kit/ada-night"))];
        let leave = world.propose("ada", &leave).await;
        assert!(world.is_merged(leave), "{:?}", world.check(leave));
        let text = grant("ada", "writer", "1h");
        let pull = world.request("ada", "mirror/ada-writes", &text).await;
        let title = world.check(pull).title;
        assert!(title.contains("role-conflict"), "{title}");
        world.approve(pull, "grace").await;
        assert!(!world.is_merged(pull));
        world.vault.down(false);
        world.advance(minutes(20)).await;
        assert!(world.is_merged(pull), "all of it was taken");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_at_any_wait_while_a_bundle_is_admitted_ends_in_the_same_world() {
    let calm = crashed(usize::MAX).await.1;
    at_every_wait(12, async |at| {
        let (finished, end) = crashed(at).await;
        assert_eq!(end, calm, "crashed at wait {at}");
        finished
    })
    .await;
}

async fn crashed(at: usize) -> (bool, String) {
    let mut world = World::new(Ears::Hearing, "merge = \"off\"\nmerge_reverts = true").await;
    declared(&world).await;
    let text = grant("ada", "responder", "2h");
    let pull = world.request("ada", "kit/ada-night", &text).await;
    world.approve(pull, "grace").await;
    world.approve(pull, "mei").await;
    world
        .sandbox
        .merge_as_admin("root", REPO, pull, MergeMethod::Merge)
        .unwrap();
    world.sandbox.settle().await;
    let finished = world.crashed_at(at).await;
    world.advance(minutes(10)).await;
    assert_eq!(
        world.vault.effects(),
        ["+reader ada"],
        "crashed at wait {at}"
    );
    assert_eq!(readers(&world), ["ada"], "crashed at wait {at}");
    assert_eq!(
        states(&world).await,
        ["crew/reader active", "db/readonly active"],
        "crashed at wait {at}"
    );
    assert_each_event_once(&world);
    (finished, world.summary().await)
}
