//! The brake and its release, told in sentences: what is only inferred and too much is held, shown, and let go by two owners; a
//! different set is held anew; what ends by time never waits.

use chrono::TimeDelta;
use hallpass::domain::model::PullNumber;
use hallpass::reconcile::Vouched;
use hallpass::sandbox::{Change, MergeMethod, Verdict};

use crate::world::{Ears, REPO, World, file, grant, person, person_file};

const DB: &str = "access/resources/db.yaml";

fn minutes(n: i64) -> TimeDelta {
    TimeDelta::minutes(n)
}

pub fn crowd(count: usize) -> Vec<String> {
    (0..count).map(|n| format!("crowd-{n}")).collect()
}

/// People with a grant of db/readonly each, for the hours that `term` says.
pub async fn crowded(world: &World, people: &[String], term: impl Fn(usize) -> &'static str) {
    let join = |login: &String| {
        let id = world.sandbox.member(login);
        Change::write(person_file(login), person(login, id))
    };
    let files: Vec<Change> = people.iter().map(join).collect();
    world.decree(&files).await;
    // The members were listed before they came.
    world.advance(minutes(10)).await;
    let ask = |(n, login): (usize, &String)| {
        let name = file(&format!("db/{login}"));
        Change::write(name, grant(login, "readonly", term(n)))
    };
    let wishes: Vec<Change> = people.iter().enumerate().map(ask).collect();
    let pull = world.propose("ada", &wishes).await;
    world.approve(pull, "grace").await;
    assert_eq!(
        world.holders("reader").len(),
        people.len(),
        "{:?}",
        world.check(pull)
    );
}

/// The files of these grants vanish from main, by nobody's request.
pub async fn vanish(world: &World, people: &[String]) {
    let gone: Vec<Change> = people
        .iter()
        .map(|login| Change::delete(file(&format!("db/{login}"))))
        .collect();
    world.decree(&gone).await;
}

/// The only pull request that asks for a release.
fn release(world: &World) -> PullNumber {
    let pulls = world.sandbox.pulls(REPO).into_iter();
    let asks = |title: &str| title.starts_with("Release what is held back: ");
    let mut found = pulls.filter(|p| p.open && asks(&p.title));
    let pull = found
        .next()
        .unwrap_or_else(|| panic!("no release: {:?}", world.open_pulls()));
    assert!(
        found.next().is_none(),
        "one is enough: {:?}",
        world.open_pulls()
    );
    pull.number
}

fn removed(world: &World) -> Vec<String> {
    let gone = world.vault.effects().into_iter();
    let mut gone: Vec<String> = gone.filter(|e| e.starts_with('-')).collect();
    gone.sort();
    gone
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_held_goes_once_two_owners_release_exactly_that() {
    // So many grants are given in any order, so the two worlds are not compared.
    for ears in [Ears::Hearing, Ears::Deaf] {
        let world = World::new(ears, "").await;
        let people = crowd(10);
        crowded(&world, &people, |_| "8h").await;
        vanish(&world, &people[..6]).await;
        assert_eq!(world.holders("reader").len(), 10, "held back");
        let held = "Held back: 6 grants on db at vault would go at once";
        assert_eq!(world.told("held"), [held]);
        let told = world
            .evidence()
            .into_iter()
            .find(|m| m.contains("Event: held\n"));
        assert_eq!(told.unwrap().matches("\nRemoval: db/crowd-").count(), 6);

        let pull = release(&world);
        let asked = world.sandbox.pull(REPO, pull);
        assert_eq!(
            asked.title,
            "Release what is held back: 6 grants on db at vault"
        );
        for told in [
            "@acme/dba",
            "nothing of it is removed yet",
            "`db/crowd-0@",
            "`db/crowd-5@",
        ] {
            assert!(asked.body.contains(told), "{told}: {}", asked.body);
        }
        assert!(!asked.body.contains("crowd-6"));
        let title = "6 grants on db at vault held back: waiting for @acme/dba";
        assert_eq!(
            world.check(pull).title,
            format!("{title} (0 of 2 approvals)")
        );

        world.approve(pull, "grace").await;
        assert_eq!(
            world.check(pull).title,
            format!("{title} (1 of 2 approvals)")
        );
        // Nobody who does not own the grants helps, whoever they are.
        world.approve(pull, "root").await;
        world.approve(pull, "mei").await;
        assert!(!world.is_merged(pull) && removed(&world).is_empty());

        world.approve(pull, "linus").await;
        assert!(world.is_merged(pull), "{:?}", world.check(pull));
        assert_eq!(
            world.check(pull).title,
            "6 grants on db at vault: released by @grace, @linus"
        );
        world.advance(minutes(2)).await;
        assert_eq!(
            world.holders("reader"),
            &people[6..],
            "{:?}",
            world.ledger().await
        );
        assert_eq!(
            world.told("released"),
            ["Released: grace and linus let 6 grants on db at vault go"]
        );
        let told = world.told("revoked");
        assert_eq!(told.len(), 6, "{told:?}");
        assert!(told[0].contains("withdrawn"), "{told:?}");
        assert_eq!(world.told("held").len(), 1);

        // It released these and no others, and is used up.
        vanish(&world, &people[6..]).await;
        assert!(world.holders("reader").is_empty(), "four are believed");
        world.assert_contract();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn files_that_were_rewritten_without_approval_are_held_like_files_that_vanished() {
    for ears in [Ears::Hearing, Ears::Deaf] {
        let world = World::new(ears, "").await;
        let people = crowd(8);
        crowded(&world, &people, |_| "8h").await;
        let rewrite = |login: &String| {
            let text = format!("# In order.\n{}", grant(login, "readonly", "8h"));
            Change::write(file(&format!("db/{login}")), text)
        };
        let rewritten: Vec<Change> = people[..6].iter().map(rewrite).collect();
        world.decree(&rewritten).await;
        // The forge gets time to say that it was a pull request after all.
        world.advance(minutes(3)).await;
        world.advance(minutes(3)).await;
        assert_eq!(world.told("merged-without-proof").len(), 6);
        assert_eq!(world.holders("reader").len(), 8, "held back");
        let held = "Held back: 6 grants on db at vault would go at once";
        assert_eq!(world.told("held"), [held]);
        let pull = release(&world);
        let body = world.sandbox.pull(REPO, pull).body;
        assert!(
            body.contains("say something else without approval"),
            "{body}"
        );
        world.approve(pull, "grace").await;
        world.approve(pull, "linus").await;
        assert!(world.is_merged(pull), "{:?}", world.check(pull));
        world.advance(minutes(2)).await;
        assert_eq!(world.holders("reader"), &people[6..]);
        world.assert_contract();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_set_that_grows_is_held_anew_and_old_approvals_do_not_count() {
    for ears in [Ears::Hearing, Ears::Deaf] {
        let world = World::new(ears, "").await;
        let people = crowd(9);
        crowded(&world, &people, |_| "8h").await;
        vanish(&world, &people[..6]).await;
        let pull = release(&world);
        world.approve(pull, "grace").await;
        vanish(&world, &people[6..7]).await;
        assert_eq!(release(&world), pull, "the same pull request asks for more");
        let title = world.check(pull).title;
        assert!(title.ends_with("(0 of 2 approvals)"), "{title}");
        world.approve(pull, "linus").await;
        assert!(!world.is_merged(pull), "grace approved another set");
        assert_eq!(world.holders("reader").len(), 9);
        world.approve(pull, "grace").await;
        assert!(world.is_merged(pull), "{:?}", world.check(pull));
        world.advance(minutes(2)).await;
        assert_eq!(world.holders("reader"), &people[7..]);
        assert_eq!(world.told("held").len(), 2);
        assert_eq!(world.told("released").len(), 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_ends_by_time_does_not_wait_and_costs_no_approval() {
    let world = World::hearing().await;
    let people = crowd(8);
    crowded(&world, &people, |n| if n == 0 { "1h" } else { "8h" }).await;
    vanish(&world, &people[..7]).await;
    let pull = release(&world);
    world.approve(pull, "grace").await;
    world.advance(TimeDelta::hours(1)).await;
    assert_eq!(removed(&world), ["-reader crowd-0"], "due by time");
    world.approve(pull, "linus").await;
    assert!(
        world.is_merged(pull),
        "grace's approval was for these and one more"
    );
    world.advance(minutes(2)).await;
    assert_eq!(world.holders("reader"), ["crowd-7"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_comes_back_is_not_held_any_more_and_releases_nothing() {
    let world = World::hearing().await;
    let people = crowd(8);
    crowded(&world, &people, |_| "8h").await;
    vanish(&world, &people[..6]).await;
    let pull = release(&world);
    // It was a mistake: the files come back by an approved request.
    let again: Vec<Change> = people[..6]
        .iter()
        .map(|login| Change::write(file(&format!("db/{login}")), grant(login, "readonly", "4h")))
        .collect();
    let request = world.propose("ada", &again).await;
    world.approve(request, "grace").await;
    assert!(world.is_merged(request), "{:?}", world.check(request));
    world.advance(minutes(2)).await;
    assert_eq!(world.holders("reader").len(), 8);
    assert!(removed(&world).is_empty());
    world.approve(pull, "grace").await;
    world.approve(pull, "linus").await;
    assert!(!world.is_merged(pull));
    assert_eq!(world.check(pull).title, "Denied: release-record");
    assert_eq!(
        world.told("hold-over"),
        ["Hold over: nothing is held back any more of 6 grants on db at vault"]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_release_that_was_merged_without_two_owners_lets_nothing_go_and_is_asked_for_anew() {
    let world = World::hearing().await;
    let people = crowd(7);
    crowded(&world, &people, |_| "8h").await;
    vanish(&world, &people[..6]).await;
    let first = release(&world);
    world.approve(first, "grace").await;
    world.merge_as_admin(first, MergeMethod::Squash).await;
    assert_eq!(world.holders("reader").len(), 7);
    assert_eq!(
        world.told("release-unsigned"),
        ["Merged unsigned: 6 grants on db at vault are still held back"]
    );
    let second = release(&world);
    assert_ne!(first, second);
    let body = world.sandbox.pull(REPO, second).body;
    assert!(
        body.contains(&format!("#{first} was merged without")),
        "{body}"
    );
    // Approving what is merged already heals nothing.
    world.approve(first, "linus").await;
    assert_eq!(world.holders("reader").len(), 7);
    world.approve(second, "grace").await;
    world.approve(second, "linus").await;
    world.advance(minutes(2)).await;
    assert_eq!(world.holders("reader"), ["crowd-6"]);
    world.assert_contract();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_closed_release_is_opened_again_and_an_objection_holds_it() {
    let world = World::hearing().await;
    let people = crowd(7);
    crowded(&world, &people, |_| "8h").await;
    vanish(&world, &people[..6]).await;
    let first = release(&world);
    world.sandbox.close_pull("mallory", REPO, first).unwrap();
    world.settle().await;
    world.advance(minutes(2)).await;
    world.resync().await;
    let pull = release(&world);
    world.approve(pull, "grace").await;
    world
        .review(pull, "linus", Verdict::RequestChanges, "Who deleted these?")
        .await;
    world.approve(pull, "grace").await;
    assert_eq!(world.check(pull).title, "Blocked: @linus asked for changes");
    assert_eq!(world.holders("reader").len(), 7);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_that_somebody_wrote_by_hand_or_changed_is_refused() {
    let world = World::hearing().await;
    let people = crowd(7);
    crowded(&world, &people, |_| "8h").await;
    vanish(&world, &people[..6]).await;
    let pull = release(&world);
    let branch = world.sandbox.pull(REPO, pull).head;
    let told = world
        .evidence()
        .into_iter()
        .find(|m| m.contains("Event: held\n"));
    let told = told.unwrap();
    let path = told
        .lines()
        .find_map(|l| l.strip_prefix("Record: "))
        .unwrap();
    let text = world.sandbox.file(REPO, &branch, path).unwrap();
    let text = String::from_utf8(text).unwrap();
    // The true record, in a pull request of their own; and one that names fewer.
    for (text, title) in [
        (text.clone(), "Waiting for @acme/security (0 of 1 approval)"),
        (
            text.replace("count: 6", "count: 5"),
            "Denied: release-record",
        ),
    ] {
        let own = world.propose("mallory", &[Change::write(path, text)]).await;
        assert_eq!(world.check(own).title, title);
        world.approve(own, "root").await;
        world.sandbox.close_pull("mallory", REPO, own).unwrap();
        world.settle().await;
    }
    assert_eq!(world.holders("reader").len(), 7);
}

#[tokio::test(flavor = "multi_thread")]
async fn people_who_are_gone_at_once_are_released_by_the_owners_of_their_files() {
    for ears in [Ears::Hearing, Ears::Deaf] {
        let world = World::new(ears, "").await;
        let people = crowd(8);
        crowded(&world, &people, |_| "8h").await;
        for login in &people[..6] {
            world.sandbox.expel(login);
        }
        world.settle().await;
        world.advance(minutes(10)).await;
        assert_eq!(world.holders("reader").len(), 8, "held back");
        assert_eq!(
            world.told("held"),
            ["Held back: 6 people who left would go at once"]
        );
        let pull = release(&world);
        let owners = "waiting for @acme/security (0 of 2 approvals)";
        assert_eq!(
            world.check(pull).title,
            format!("6 people who left held back: {owners}")
        );
        for owner in ["grace", "root", "mei"] {
            assert!(!world.is_merged(pull));
            world.approve(pull, owner).await;
        }
        assert!(world.is_merged(pull), "{:?}", world.check(pull));
        world.advance(minutes(2)).await;
        assert_eq!(world.holders("reader"), &people[6..]);
        let told = world.told("revoked");
        assert!(told.iter().all(|t| t.contains("subject-gone")), "{told:?}");
        // Whoever is released, comes back and goes again is nobody of whom it was said.
        assert_eq!(world.told("released").len(), 1);
        world.assert_contract();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_given_outside_in_numbers_goes_when_the_owners_of_the_resource_release_it() {
    let world = World::new(Ears::Deaf, "").await;
    let text = grant("ada", "readonly", "8h");
    let request = world.request("ada", "db/ada-incident", &text).await;
    world.approve(request, "grace").await;
    let enforced = format!("drift: enforce\n{}", crate::world::DB);
    world.decree(&[Change::write(DB, enforced)]).await;
    for n in 0..7 {
        world.vault.give_by_hand("reader", &format!("guest{n}"));
    }
    let compared = async || {
        world.advance(minutes(10)).await;
        world.resync().await;
    };
    compared().await;
    assert_eq!(world.holders("reader").len(), 8);
    let pull = release(&world);
    assert_eq!(
        world.check(pull).title,
        "7 accounts from outside on db at vault held back: waiting for @acme/security (0 of 2 approvals)"
    );
    world.approve(pull, "root").await;
    compared().await;
    assert_eq!(world.holders("reader").len(), 8);
    world.approve(pull, "mei").await;
    assert!(world.is_merged(pull));
    compared().await;
    assert_eq!(world.holders("reader"), ["ada"]);
    assert_eq!(world.told("drift-removed").len(), 7);
    compared().await;
    // The release is used up.
    for n in 0..7 {
        world.vault.give_by_hand("reader", &format!("guest{n}"));
    }
    compared().await;
    assert_eq!(world.holders("reader").len(), 8);
    release(&world);
}

#[tokio::test(flavor = "multi_thread")]
async fn wherever_a_release_is_cut_short_it_lets_go_once_and_all_of_it() {
    for at in [0, 3, 9, 20, 40, 70, 110, 160, 240] {
        let mut world = World::hearing().await;
        let people = crowd(7);
        crowded(&world, &people, |_| "8h").await;
        vanish(&world, &people[..6]).await;
        let pull = release(&world);
        world.approve(pull, "grace").await;
        let body = "Fine with me, they were all temporary.";
        world
            .sandbox
            .review("linus", REPO, pull, Verdict::Approve, body)
            .unwrap();
        world.sandbox.settle().await;
        world.crashed_at(at).await;
        world.advance(minutes(2)).await;
        assert_eq!(world.holders("reader"), ["crowd-6"], "crashed at {at}");
        assert_eq!(world.told("held").len(), 1, "crashed at {at}");
        assert_eq!(world.told("released").len(), 1, "crashed at {at}");
        assert_eq!(removed(&world).len(), 6, "crashed at {at}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_two_owners_let_go_is_not_asked_again_after_the_database_was_lost() {
    let mut world = World::hearing().await;
    let people = crowd(7);
    crowded(&world, &people, |_| "8h").await;
    vanish(&world, &people[..6]).await;
    let pull = release(&world);
    world.approve(pull, "grace").await;
    world.vault.down(true);
    world.approve(pull, "linus").await;
    assert_eq!(world.told("released").len(), 1);
    assert_eq!(removed(&world).len(), 0, "the target cannot be reached");

    world.lose_database().await;
    world.recover(&Vouched::default()).await;
    world.vault.down(false);
    world.resync().await;
    world.advance(minutes(10)).await;
    assert_eq!(world.holders("reader"), ["crowd-6"]);
    assert_eq!(world.told("held").len(), 1, "nobody is asked again");
    assert_eq!(removed(&world).len(), 6);
}
