//! The time of owners: they are watched whatever else goes wrong, and what one look does not show takes nothing from them.

use chrono::TimeDelta;
use hallpass::domain::approval::Proof;
use hallpass::domain::decision::{Admission, Outcome, Standing};
use hallpass::domain::model::PullNumber;
use hallpass::domain::pull::{Lookup, PullState, Team};
use hallpass::domain::tenure::{ALWAYS, Tenure};
use hallpass::sandbox::{Change, MergeMethod, When};

use super::BASELINE;
use super::ceremony::{SEASONED, govern, seasoning, seen};
use super::requests::{admission, missing, under};
use crate::approval::scene::{Scene, actor, at, team};
use crate::decision::office::{merged, rules, verdict};
use crate::scenario::hearing_and_deaf;
use crate::world::{World, file, grant};

/// Which pull requests brought a commit: without it, nothing that landed can be weighed.
const PULLS_OF: &str = "GET /repos/{owner}/{repo}/commits/{commit_sha}/pulls";

/// Whether a team may write. The members of a team are read for drift too; this is not.
const TEAM: &str = "GET /orgs/{org}/teams/{team_slug}/repos/{owner}/{repo}";

fn minutes(n: i64) -> TimeDelta {
    TimeDelta::minutes(n)
}

fn found(members: &[&str]) -> Lookup<Team> {
    Lookup::Found(Team {
        can_write: true,
        members: members.iter().map(|m| actor(m)).collect(),
    })
}

/// What is known after these looks, each ten minutes after the one before.
fn looks(all: &[Lookup<Team>]) -> Tenure {
    let mut known = None;
    for (turn, found) in (0..).zip(all) {
        known = Tenure::after(known.as_ref(), found, at(turn * 10));
    }
    known.expect("something was found")
}

#[test]
fn one_look_that_lacks_somebody_takes_nothing_from_them_and_two_do() {
    let all = || found(&["grace", "heidi"]);
    let short = || found(&["heidi"]);
    let of = |known: &Tenure| known.minutes(actor("grace").id, at(100));
    let known = looks(&[all(), short(), all()]);
    assert_eq!(of(&known), ALWAYS);
    let known = looks(&[all(), short(), all(), short(), all()]);
    assert_eq!(of(&known), ALWAYS, "never twice in a row");
    let failed = Lookup::Failed("GitHub answered 502".to_owned());
    let known = looks(&[all(), short(), failed.clone(), all()]);
    assert_eq!(of(&known), ALWAYS, "what failed is no look");
    let known = looks(&[all(), short(), short(), all()]);
    assert_eq!(of(&known), 70);
    let known = looks(&[all(), short(), failed, short(), all()]);
    assert_eq!(of(&known), 60);
    // Who joined keeps the time since then, and gains none by being missed.
    let known = looks(&[short(), all(), short(), all()]);
    assert_eq!(of(&known), 90);

    // What was read side by side is one look.
    let mut known = None;
    let moment = TimeDelta::seconds(5);
    let looks = [
        (at(0), all()),
        (at(10), short()),
        (at(10) + moment, short()),
        (at(20), all()),
    ];
    for (now, found) in looks {
        known = Tenure::after(known.as_ref(), &found, now);
    }
    assert_eq!(of(&known.expect("it was found")), ALWAYS);
}

#[test]
fn a_team_that_is_shown_empty_at_once_was_not_shown() {
    let all = || found(&["grace", "heidi"]);
    let known = looks(&[all(), found(&[]), found(&[]), all()]);
    for who in ["grace", "heidi"] {
        assert_eq!(known.minutes(actor(who).id, at(100)), ALWAYS);
    }
    // One that never had anybody is as empty as it says.
    let known = looks(&[found(&[]), all()]);
    assert_eq!(known.minutes(actor("grace").id, at(100)), 90);
}

#[test]
fn who_is_missed_is_noted_so_that_another_process_knows() {
    let known = looks(&[found(&["grace", "heidi"]), found(&["heidi"])]);
    let text = serde_json::to_string(&known).unwrap();
    let read: Tenure = serde_json::from_str(&text).unwrap();
    assert_eq!(read, known);
    let earlier = r#"{"1":null,"2":"2026-11-01T12:00:00Z"}"#;
    let read: Tenure = serde_json::from_str(earlier).unwrap();
    assert_eq!(
        read.minutes(hallpass::domain::model::UserId(1), at(0)),
        ALWAYS
    );
}

/// octocat's request where owners season, with mallory's approval, who was first seen `late` after minute 10.
fn approved_by_mallory(late: TimeDelta, now: TimeDelta) -> Scene {
    let mut scene = seasoning(0);
    scene.now = at(0) + now;
    scene.staff("dba", &["grace", "mallory"]);
    let known = Tenure::after(None, &found(&["grace"]), at(0)).unwrap();
    let both = found(&["grace", "mallory"]);
    let known = Tenure::after(Some(&known), &both, at(10) + late).unwrap();
    scene.around.tenures.insert(team("dba"), known);
    scene.approves("mallory");
    scene
}

#[test]
fn what_is_green_while_it_is_open_is_approved_at_the_merge_however_the_forge_counts_its_seconds() {
    let mut green = 0;
    for late in [0, 400, 900] {
        for tenths in (0..1_400).step_by(3) {
            let now = minutes(70) + TimeDelta::milliseconds(100 * tenths);
            let mut scene = approved_by_mallory(TimeDelta::milliseconds(late), now);
            if verdict(&scene).outcome != Outcome::Approved {
                continue;
            }
            green += 1;
            merged(&mut scene);
            if let PullState::Merged { at: when, .. } = &mut scene.pull.state {
                // A whole second, by a clock that is some seconds behind ours.
                *when = at(0) + TimeDelta::seconds(now.num_seconds() - 5);
            }
            assert!(
                matches!(admission(&scene), Admission::Approved(_)),
                "{late} {now}"
            );
        }
    }
    assert!(green > 100, "{green}");
}

fn proof(scene: &Scene) -> Proof {
    let said = verdict(scene);
    match &said.requests[0].approval {
        Standing::Approved(proof) => proof.clone(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_evidence_names_the_owner_through_whom_somebody_has_counted_for_the_longest() {
    for owners in ["@acme/dba @acme/security", "@acme/security @acme/dba"] {
        let judged = |policies: &str| {
            let mut scene = under(policies);
            scene.now = at(30);
            scene.owned(&format!("/access/ {owners}\n"));
            seen(&mut scene, "dba", &["grace"], &[("mallory", 10)]);
            seen(&mut scene, "security", &["judy", "mallory"], &[]);
            scene.approves("mallory");
            proof(&scene).approvals()[0].through.to_string()
        };
        let seasoned = format!("{BASELINE}{SEASONED}");
        assert_eq!(judged(&seasoned), "@acme/security", "{owners}");
        // Where no policy asks, the first.
        let first = owners.split(' ').next().unwrap();
        assert_eq!(judged(BASELINE), first);
    }
}

#[test]
fn owners_who_only_lack_time_are_waited_for_and_are_no_dead_end() {
    let mut scene = seasoning(30);
    seen(&mut scene, "dba", &[], &[("mallory", 10)]);
    let said = verdict(&scene);
    assert_eq!((rules(&said), &said.outcome), (vec![], &Outcome::Waiting));
    let why = missing(&said).join("\n");
    assert!(
        why.contains("@mallory cannot give it yet: Owners approve once they have been owners for an hour (policy seasoned)."),
        "{why}"
    );
    // Who is barred for good is: more people are needed there.
    let forbidden = SEASONED.replace(
        "context.owner_minutes < 60",
        "context.owner_minutes < 60 || principal.login == \"mallory\"",
    );
    let mut scene = under(&format!("{BASELINE}{forbidden}"));
    scene.now = at(30);
    seen(&mut scene, "dba", &[], &[("mallory", 10)]);
    assert_eq!(rules(&verdict(&scene)), ["no-eligible-approver"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn owners_are_watched_while_what_landed_cannot_be_weighed() {
    hearing_and_deaf(async |world| {
        world
            .sandbox
            .fail_next(Some(PULLS_OF), 100_000, 502, When::Before);
        let first = world
            .request("ada", "db/ada-1", &grant("ada", "readonly", "2h"))
            .await;
        world.approve(first, "grace").await;
        assert_eq!(world.ledger().await, ["db/ada-1 arrived"]);
        govern(world, SEASONED).await;
        world.sandbox.join_team("mallory", "dba");
        world.advance(minutes(10)).await;
        world.resync().await;
        world.sandbox.heal();
        let second = world
            .request("mei", "db/mei-1", &grant("mei", "readonly", "2h"))
            .await;
        world.approve(second, "mallory").await;
        assert!(!world.is_merged(second), "{:?}", world.check(second));
    })
    .await;
}

/// A second role for ada, approved, and refused by the cap; what becomes of it is not seen until the forge heals.
async fn refused_and_unseen(world: &World) -> PullNumber {
    let second = world
        .request("ada", "db/ada-2", &grant("ada", "admin", "2h"))
        .await;
    world.approve(second, "grace").await;
    world.approve(second, "linus").await;
    assert_eq!(world.conclusion(second), "failure");
    world
        .sandbox
        .fail_next(Some(PULLS_OF), 100_000, 502, When::Before);
    second
}

#[tokio::test(flavor = "multi_thread")]
async fn what_somebody_had_at_the_merge_counts_however_late_it_is_looked_at() {
    hearing_and_deaf(async |world| {
        govern(world, &super::forbid("cap", "context.live_count >= 1")).await;
        let first = world
            .request("ada", "db/ada-1", &grant("ada", "readonly", "30m"))
            .await;
        world.approve(first, "grace").await;
        let second = refused_and_unseen(world).await;
        world.merge_as_admin(second, MergeMethod::Merge).await;
        world.advance(minutes(31)).await;
        assert_eq!(
            world.ledger().await,
            ["db/ada-1 ended", "db/ada-2 arrived"],
            "the first is over before the second is looked at"
        );
        world.sandbox.heal();
        world.advance(minutes(10)).await;
        assert_eq!(world.ledger().await, ["db/ada-1 ended", "db/ada-2 denied"]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_being_taken_at_the_merge_counts_however_late_it_is_looked_at() {
    let world = World::hearing().await;
    govern(&world, &super::forbid("cap", "context.live_count >= 1")).await;
    let first = world
        .request("ada", "db/ada-1", &grant("ada", "readonly", "4h"))
        .await;
    world.approve(first, "grace").await;
    // Its file is gone, and it cannot be taken away yet.
    world.vault.down(true);
    world.decree(&[Change::delete(file("db/ada-1"))]).await;
    let second = refused_and_unseen(&world).await;
    world.advance(minutes(1)).await;
    world.merge_as_admin(second, MergeMethod::Merge).await;
    world.vault.down(false);
    world.advance(minutes(31)).await;
    assert_eq!(world.ledger().await, ["db/ada-1 ended", "db/ada-2 arrived"]);
    world.sandbox.heal();
    world.advance(minutes(10)).await;
    assert_eq!(world.ledger().await, ["db/ada-1 ended", "db/ada-2 denied"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_team_that_cannot_be_read_is_asked_again_alone_and_less_and_less_often() {
    let world = World::hearing().await;
    govern(&world, SEASONED).await;
    let read = || world.sandbox.calls().get(TEAM).copied().unwrap_or(0);
    let look_after = async |n: i64| {
        world.advance(minutes(n)).await;
        world.resync().await;
    };
    assert_eq!(read(), 2);
    // Of two teams, the one that is asked for first fails.
    let mut asked = Vec::new();
    for minute in [10, 1, 1, 1, 1, 1, 1, 1, 1] {
        let before = read();
        world.sandbox.heal();
        world.sandbox.fail_next(Some(TEAM), 1, 502, When::Before);
        look_after(minute).await;
        asked.push(read() - before);
    }
    assert_eq!(asked, [2, 1, 0, 1, 0, 0, 0, 1, 0]);
    world.sandbox.heal();
    look_after(2).await;
    assert_eq!(read(), 9, "both, when it is time again");
}
