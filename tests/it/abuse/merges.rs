//! Ways onto the protected branch: by no pull request, by another one, in a batch, by a rewritten history, and off it again.

use chrono::TimeDelta;
use hallpass::domain::decision::Outcome;
use hallpass::domain::model::PullNumber;
use hallpass::domain::pull::Pushers;
use hallpass::sandbox::{Change, MergeMethod, Verdict};

use super::gives;
use crate::approval::scene::{FILE, actor};
use crate::decision::office::{WANTED, office, standing, verdict};
use crate::scenario::{hearing_and_deaf, hearing_and_deaf_with};
use crate::world::{Ears, REPO, World, file, grant, main_tip};

const METHODS: [MergeMethod; 3] = [MergeMethod::Merge, MergeMethod::Squash, MergeMethod::Rebase];

/// What an administrator can merge without: each leaves the pull request without its proof.
const LACKS: [&str; 7] = [
    "any review",
    "an owner",
    "the second owner",
    "a review of this content",
    "consent",
    "an open mind",
    "a valid file",
];

async fn lacking(world: &World, what: &str) -> PullNumber {
    let role = if what == "the second owner" {
        "admin"
    } else {
        "readonly"
    };
    let term = if what == "a valid file" { "99d" } else { "2h" };
    let pull = world
        .request("ada", "db/ada-incident", &grant("ada", role, term))
        .await;
    match what {
        "any review" => {}
        "an owner" => world.approve(pull, "mallory").await,
        "a review of this content" => {
            world.approve(pull, "grace").await;
            world
                .push("ada", pull, "db/ada-incident", &grant("ada", role, "3h"))
                .await;
        }
        "consent" => {
            world.approve(pull, "grace").await;
            world
                .review(pull, "linus", Verdict::RequestChanges, "Not today.")
                .await;
        }
        "an open mind" => {
            let review = world
                .sandbox
                .review("grace", REPO, pull, Verdict::Approve, "Yes")
                .unwrap();
            world
                .sandbox
                .dismiss_review("grace", REPO, pull, review)
                .unwrap();
            world.settle().await;
        }
        _ => world.approve(pull, "grace").await,
    }
    pull
}

#[tokio::test(flavor = "multi_thread")]
async fn ac_20_a_merge_that_lacks_anything_gives_nothing_and_is_not_healed_later() {
    for (n, what) in LACKS.into_iter().enumerate() {
        hearing_and_deaf_with("merge = \"off\"", async |world| {
            let pull = lacking(world, what).await;
            world.merge_as_admin(pull, METHODS[n % 3]).await;
            for owner in ["grace", "linus"] {
                let verdict = Verdict::Approve;
                let late = world
                    .sandbox
                    .review(owner, REPO, pull, verdict, "Late but fine");
                late.unwrap();
            }
            world.settle().await;
            world.advance(TimeDelta::minutes(10)).await;
            assert_eq!(world.vault.calls(), 0, "without {what}");
            assert_eq!(world.ledger().await, ["db/ada-incident denied"], "{what}");
            assert_eq!(world.told("merged-without-proof").len(), 1, "{what}");
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn ac_21_a_push_beside_a_merge_is_not_covered_by_it() {
    hearing_and_deaf_with("merge = \"off\"", async |world| {
        let pull = world
            .request("ada", "db/ada-incident", &grant("ada", "readonly", "2h"))
            .await;
        world.approve(pull, "grace").await;
        let before = [Change::write(
            file("db/before"),
            grant("linus", "readonly", "2h"),
        )];
        let after = [Change::write(
            file("db/after"),
            grant("mei", "readonly", "2h"),
        )];
        let sandbox = &world.sandbox;
        sandbox.push_to_main("mallory", REPO, &before, "x").unwrap();
        sandbox
            .merge_as_admin("root", REPO, pull, MergeMethod::Squash)
            .unwrap();
        sandbox.push_to_main("mallory", REPO, &after, "x").unwrap();
        world.settle().await;
        world.advance(TimeDelta::minutes(5)).await;
        world.advance(TimeDelta::minutes(5)).await;
        assert_eq!(world.vault.effects(), ["+reader ada"]);
        assert_eq!(world.told("merged-without-proof").len(), 2);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ac_21_an_approved_file_that_a_later_push_edits_no_longer_speaks() {
    hearing_and_deaf_with("merge = \"off\"", async |world| {
        let pull = world
            .request("ada", "db/ada-incident", &grant("ada", "readonly", "2h"))
            .await;
        world.approve(pull, "grace").await;
        let edited = [Change::write(
            file("db/ada-incident"),
            grant("ada", "readonly", "8h"),
        )];
        let sandbox = &world.sandbox;
        sandbox
            .merge_as_admin("root", REPO, pull, MergeMethod::Merge)
            .unwrap();
        sandbox.push_to_main("mallory", REPO, &edited, "x").unwrap();
        world.settle().await;
        world.advance(TimeDelta::minutes(5)).await;
        world.advance(TimeDelta::minutes(5)).await;
        assert!(
            world.holders("reader").is_empty(),
            "{:?}",
            world.ledger().await
        );
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ac_22_a_stacked_pull_request_lends_its_approval_to_nothing() {
    // C stands on main, D on C. D is merged by an administrator; C becomes merged with it.
    for method in [MergeMethod::Merge, MergeMethod::Squash] {
        hearing_and_deaf_with("merge = \"off\"", async |world| {
            let sandbox = &world.sandbox;
            let write = |name: &str, text: String| [Change::write(file(name), text)];
            let c = write("db/ada-small", grant("ada", "readonly", "1h"));
            let c_tip = sandbox.push("ada", REPO, "c", &c, "C").unwrap();
            let d = write("db/ada-large", grant("ada", "admin", "2h"));
            sandbox
                .force_push("ada", REPO, "d", c_tip.as_str(), &d, "D")
                .unwrap();
            let open = |branch: &str| sandbox.open_pull("ada", REPO, branch, "main", "Please", "");
            let (c, d) = (open("c").unwrap(), open("d").unwrap());
            world.settle().await;
            world.approve(c, "grace").await;
            assert_eq!(world.conclusion(c), "success");
            world.merge_as_admin(d, method).await;
            world.advance(TimeDelta::minutes(5)).await;
            world.advance(TimeDelta::minutes(5)).await;
            assert_eq!(
                world.vault.calls(),
                0,
                "{method:?}: {:?}",
                world.ledger().await
            );
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn ac_22_what_arrives_by_a_push_of_its_commits_is_weighed_by_its_own_approvals() {
    // An indirect merge: the tip of an approved request reaches main by a push of somebody else's branch.
    for extra in [false, true] {
        hearing_and_deaf_with("merge = \"off\"", async |world| {
            let pull = world
                .request("ada", "db/ada-incident", &grant("ada", "readonly", "2h"))
                .await;
            world.approve(pull, "grace").await;
            let head = world.sandbox.pull(REPO, pull).head_sha;
            let more = [Change::write(
                file("db/mei-rider"),
                grant("mei", "readonly", "2h"),
            )];
            if extra {
                world
                    .sandbox
                    .force_push("mallory", REPO, "main", &head, &more, "Ride along")
                    .unwrap();
            } else {
                let branch = world.sandbox.pull(REPO, pull).head;
                world
                    .sandbox
                    .merge_into("mallory", REPO, "main", &branch)
                    .unwrap();
            }
            world.settle().await;
            world.advance(TimeDelta::minutes(5)).await;
            world.advance(TimeDelta::minutes(5)).await;
            let expected: &[&str] = if extra { &[] } else { &["ada"] };
            assert_eq!(world.holders("reader"), expected);
        })
        .await;
    }
}

/// How three pull requests come onto main.
#[derive(Debug, Clone, Copy)]
enum Batch {
    /// One after the other, each seen for itself.
    OneByOne(MergeMethod),
    /// As a queue lands them: all at once, none of them seen before the last is there.
    Queue(MergeMethod),
}

#[tokio::test(flavor = "multi_thread")]
async fn ac_23_one_bad_member_of_a_batch_blocks_only_itself() {
    let batches = METHODS
        .map(Batch::OneByOne)
        .into_iter()
        .chain(METHODS.map(Batch::Queue));
    for (n, batch) in batches.enumerate() {
        let bad = n % 3;
        for ears in [Ears::Hearing, Ears::Deaf] {
            let world = &World::new(ears, "merge = \"off\"").await;
            let mut pulls = Vec::new();
            for (member, person) in ["ada", "linus", "mei"].into_iter().enumerate() {
                let name = format!("db/{person}-batch");
                let pull = world
                    .request(person, &name, &grant(person, "readonly", "2h"))
                    .await;
                // Two commits each, so that a rebase brings a span of them.
                world
                    .push(person, pull, &name, &grant(person, "readonly", "3h"))
                    .await;
                if member != bad {
                    world.approve(pull, "grace").await;
                }
                pulls.push(pull);
            }
            for pull in pulls {
                let (Batch::OneByOne(method) | Batch::Queue(method)) = batch;
                world
                    .sandbox
                    .merge_as_admin("root", REPO, pull, method)
                    .unwrap();
                if matches!(batch, Batch::OneByOne(_)) {
                    world.settle().await;
                }
            }
            world.settle().await;
            world.advance(TimeDelta::minutes(1)).await;
            let mut held = world.holders("reader");
            held.sort();
            let good: Vec<&str> = ["ada", "linus", "mei"]
                .into_iter()
                .enumerate()
                .filter(|(member, _)| *member != bad)
                .map(|(_, person)| person)
                .collect();
            assert_eq!(held, good, "{batch:?}: {:?}", world.ledger().await);
            assert_eq!(world.told("merged-without-proof").len(), 1, "{batch:?}");
            world.assert_contract();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn ac_24_a_rewritten_main_gives_nothing_takes_nothing_and_still_ends_on_time() {
    for depth in 1..=3 {
        hearing_and_deaf(async |world| {
            let mut tips = vec![main_tip(world)];
            for person in ["ada", "linus", "mei"] {
                let name = format!("db/{person}-incident");
                let pull = world
                    .request(person, &name, &grant(person, "readonly", "2h"))
                    .await;
                world.approve(pull, "grace").await;
                tips.push(main_tip(world));
            }
            let onto = &tips[3 - depth];
            let change = [Change::write("README.md", "rewritten")];
            world
                .sandbox
                .force_push("root", REPO, "main", onto.as_str(), &change, "Rewrite")
                .unwrap();
            world.settle().await;
            assert_eq!(world.holders("reader").len(), 3, "depth {depth}");
            let more = [Change::write(
                file("db/root-own"),
                grant("mei", "admin", "1h"),
            )];
            world
                .sandbox
                .push_to_main("root", REPO, &more, "x")
                .unwrap();
            world.settle().await;
            assert!(world.holders("admin").is_empty());
            world.advance(TimeDelta::hours(2)).await;
            assert!(world.holders("reader").is_empty(), "depth {depth}");
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn ac_25_no_history_of_deleting_and_restoring_gives_what_ended_again() {
    #[derive(Debug, Clone, Copy)]
    enum Step {
        Delete,
        Restore,
        RestoreByPull,
    }
    use Step::{Delete, Restore, RestoreByPull};
    let histories: [&[Step]; 4] = [
        &[Restore, Delete, Restore],
        &[RestoreByPull, Delete, RestoreByPull],
        &[Restore, Delete, RestoreByPull],
        &[RestoreByPull, Delete, Restore],
    ];
    for history in histories {
        hearing_and_deaf_with("merge = \"off\"\nmerge_reverts = true", async |world| {
            let text = grant("ada", "readonly", "2h");
            let pull = world.request("ada", "db/ada-incident", &text).await;
            world.approve(pull, "grace").await;
            world.merge_as_admin(pull, MergeMethod::Merge).await;
            world.advance(TimeDelta::hours(2)).await;
            world.advance(TimeDelta::minutes(2)).await;
            let ended = ["+reader ada", "-reader ada"];
            assert_eq!(world.vault.effects(), ended);
            for step in history {
                let there = world
                    .sandbox
                    .file(REPO, "main", &file("db/ada-incident"))
                    .is_some();
                match step {
                    Delete if there => {
                        let gone = [Change::delete(file("db/ada-incident"))];
                        world
                            .sandbox
                            .push_to_main("root", REPO, &gone, "x")
                            .unwrap();
                    }
                    Restore if !there => {
                        let back = [Change::write(file("db/ada-incident"), &text)];
                        world
                            .sandbox
                            .push_to_main("root", REPO, &back, "x")
                            .unwrap();
                    }
                    RestoreByPull if !there => {
                        let pull = world.request("ada", "db/ada-incident", &text).await;
                        world.merge_as_admin(pull, MergeMethod::Squash).await;
                    }
                    _ => {}
                }
                world.settle().await;
                world.advance(TimeDelta::minutes(5)).await;
                world.advance(TimeDelta::minutes(5)).await;
                assert_eq!(world.vault.effects(), ended, "{history:?}");
            }
        })
        .await;
    }
}

#[test]
fn ac_27_a_grant_that_moves_needs_the_owners_of_where_it_goes() {
    let to = "access/grants/ledger/octocat-incident.yaml";
    let mut scene = office();
    for person in scene.base.people.values_mut() {
        let name = hallpass::domain::model::ConnectionName::new("ledger-primary").expect("a name");
        let account = format!("{}_ledger", person.login);
        person.identities.insert(name, account);
    }
    standing(&mut scene, FILE, WANTED);
    scene.changes(FILE, Some(WANTED), None);
    scene.adds(to, WANTED);
    // The old owner's word is not the new owner's.
    scene.approves("grace");
    assert_eq!(verdict(&scene).outcome, Outcome::Waiting);
    assert_eq!(
        verdict(&scene).requests.len(),
        2,
        "a removal and an addition, no rename"
    );
    scene.approves("judy");
    assert_eq!(verdict(&scene).outcome, Outcome::Approved);
    // A file at its own path again is an amendment, with everything that this takes.
    let mut scene = office();
    standing(&mut scene, FILE, WANTED);
    scene.changes(FILE, Some(WANTED), Some(&WANTED.replace("2h", "8h")));
    assert!(!gives(&scene));
}

#[test]
fn ac_28_access_is_ended_by_its_holder_an_owner_or_with_an_owners_consent() {
    let everybody = ["octocat", "grace", "heidi", "judy", "mallory"];
    let may = |who: &str| ["octocat", "grace", "heidi"].contains(&who);
    for author in everybody {
        for pusher in everybody {
            let mut scene = office();
            standing(&mut scene, FILE, WANTED);
            scene.changes(FILE, Some(WANTED), None);
            scene.pull.author = Some(actor(author));
            scene.pull.pushers = Pushers::Known([actor(pusher).id].into());
            let ends = verdict(&scene).outcome == Outcome::Approved;
            assert_eq!(
                ends,
                may(author) && may(pusher),
                "{author}, pushed by {pusher}"
            );
            scene.approves("judy");
            assert_eq!(verdict(&scene).outcome == Outcome::Approved, ends);
            scene.approves("ivan");
            assert_eq!(
                verdict(&scene).outcome,
                Outcome::Approved,
                "an owner agrees"
            );
        }
    }
}

#[test]
fn ac_28_an_owner_of_one_path_ends_nothing_at_another() {
    // The catalogue would ask two owners for many removals at once; the design lets each path's owners answer for it.
    let other = "access/grants/ledger/octocat.yaml";
    let mut scene = office();
    standing(&mut scene, FILE, WANTED);
    standing(&mut scene, other, &WANTED.replace("octocat", "ivan"));
    scene.changes(FILE, Some(WANTED), None);
    scene.changes(other, Some(&WANTED.replace("octocat", "ivan")), None);
    scene.pull.author = Some(actor("grace"));
    scene.pull.pushers = Pushers::Known([actor("grace").id].into());
    assert_eq!(verdict(&scene).outcome, Outcome::Waiting);
    scene.approves("judy");
    assert_eq!(verdict(&scene).outcome, Outcome::Approved);
}
