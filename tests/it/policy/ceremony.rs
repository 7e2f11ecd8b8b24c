//! Ceremony that a careful organisation can ask for by its policies: caps for each person, owners who must have been owners for a while.

use chrono::TimeDelta;
use hallpass::domain::decision::{Admission, Outcome};
use hallpass::domain::model::UserId;
use hallpass::domain::policy::Guardrails;
use hallpass::domain::pull::{Lookup, PullState, Team};
use hallpass::domain::tenure::{ALWAYS, Tenure};
use hallpass::sandbox::{Change, When};

use super::requests::{
    AUTO, OTHER, admin, admission, amended, forbidding, longer, missing, path, under,
};
use super::{BASELINE, FILE, forbid, tree};
use crate::approval::scene::{Scene, actor, at, login, team};
use crate::decision::office::{holds, merged, rules, standing, verdict};
use crate::scenario::{hearing_and_deaf, hearing_and_deaf_with};
use crate::world::{REPO, World, file, grant};

/// Who approves has been an owner for an hour.
pub const SEASONED: &str = "@id(\"seasoned\")\n@message(\"Owners approve once they have been owners for an hour.\")\nforbid (principal, action == Action::\"approve\", resource)\nwhen { context.owner_minutes < 60 };\n";

/// Nobody asks for more while two requests of theirs are open.
pub const TWO_AT_ONCE: &str = "@id(\"two-at-once\")\n@message(\"Two open requests are enough: wait for one, or close it.\")\nforbid (principal, action == Action::\"request\", resource)\nwhen { context.open_requests >= 2 };\n";

/// The protected branch gets these policies beside the baseline, and everything is looked at.
pub async fn govern(world: &World, policies: &str) {
    let policies = format!("{BASELINE}{policies}");
    world.decree(&[Change::write(FILE, policies)]).await;
    world.resync().await;
}

fn minutes(n: i64) -> TimeDelta {
    TimeDelta::minutes(n)
}

// How many roles somebody has.

#[test]
fn what_somebody_has_by_other_files_is_counted() {
    let capped = || forbidding("context.live_count >= 1");
    assert_eq!(rules(&verdict(&capped())), [""; 0]);
    let mut scene = capped();
    holds(&mut scene, "octocat", "ledger", "readonly", 10);
    assert_eq!(rules(&verdict(&scene)), ["policy-forbids"]);
    let mut scene = capped();
    holds(&mut scene, "ivan", "ledger", "readonly", 10);
    assert_eq!(rules(&verdict(&scene)), [""; 0], "somebody else's");
    let renewed = format!("{BASELINE}{}", forbid("no", "context.live_count >= 1"));
    let mut scene = amended(&renewed, &longer());
    holds(&mut scene, "octocat", "orders", "readonly", 10);
    scene.holdings[0].path = path();
    assert_eq!(rules(&verdict(&scene)), [""; 0], "its own");
}

#[test]
fn what_is_in_doubt_counts_where_that_forbids_and_not_where_it_permits() {
    let mut scene = forbidding("context.live_count >= 2");
    holds(&mut scene, "octocat", "ledger", "readonly", 10);
    scene.adds(OTHER, &admin());
    assert_eq!(rules(&verdict(&scene)), ["policy-forbids"; 2]);
    // What has a file and was never given may be nothing: neither a cap nor its opposite lets it pass.
    for (count, outcome) in [
        ("context.live_count == 0", Outcome::Waiting),
        ("context.live_count == 1", Outcome::Waiting),
        ("context.live_count <= 1", Outcome::Approved),
    ] {
        let automatic = AUTO.replace("when {", &format!("when {{ {count} &&"));
        let mut scene = under(&format!("{BASELINE}{automatic}"));
        standing(&mut scene, OTHER, &admin());
        assert_eq!(verdict(&scene).outcome, outcome, "{count}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_has_ended_counts_no_longer_while_its_file_still_stands() {
    hearing_and_deaf_with("merge_reverts = false\nmerge = \"auto\"\n", async |world| {
        govern(world, &forbid("cap", "context.live_count >= 1")).await;
        let first = world
            .request("ada", "db/ada-1", &grant("ada", "readonly", "30m"))
            .await;
        world.approve(first, "grace").await;
        world.advance(minutes(30)).await;
        world.advance(minutes(2)).await;
        assert_eq!(world.ledger().await, ["db/ada-1 ended"]);
        assert_eq!(
            world.open_pulls().len(),
            1,
            "its file is still to be removed"
        );
        let second = world
            .request("ada", "db/ada-2", &grant("ada", "admin", "30m"))
            .await;
        assert_eq!(world.conclusion(second), "in_progress");
    })
    .await;
}

// How many requests somebody has open.

#[test]
fn requests_that_were_opened_before_are_counted_while_one_is_open() {
    let capped = |open: Option<Lookup<usize>>| {
        let mut scene = under(&format!("{BASELINE}{TWO_AT_ONCE}"));
        scene.around.open_requests = open;
        scene.approves("grace");
        scene
    };
    for (open, denied) in [
        (None, false),
        (Some(0), false),
        (Some(1), false),
        (Some(2), true),
    ] {
        let scene = capped(open.map(Lookup::Found));
        let expected: &[&str] = if denied { &["policy-forbids"] } else { &[] };
        assert_eq!(rules(&verdict(&scene)), expected, "{open:?}");
    }
    let mut scene = capped(None);
    merged(&mut scene);
    assert!(matches!(admission(&scene), Admission::Approved(_)));
}

#[test]
fn how_many_are_open_is_doubt_where_it_is_not_known_and_a_policy_asks() {
    let unknown = || Some(Lookup::Failed("GitHub answered 502".to_owned()));
    for condition in ["context.open_requests >= 2", "context.open_requests < 2"] {
        let mut scene = forbidding(condition);
        scene.approves("grace");
        scene.around.open_requests = unknown();
        let said = verdict(&scene);
        let Outcome::Uncertain(why) = &said.outcome else {
            panic!("{condition}: {said:?}");
        };
        assert!(why[0].contains("GitHub answered 502"), "{why:?}");
    }
    // Not even a policy's own approval.
    let automatic = AUTO.replace("when {", "when { context.open_requests < 2 &&");
    let mut scene = under(&format!("{BASELINE}{automatic}"));
    assert_eq!(verdict(&scene).outcome, Outcome::Approved);
    scene.around.open_requests = unknown();
    assert!(matches!(verdict(&scene).outcome, Outcome::Uncertain(_)));
    let mut scene = forbidding("context.minutes > 600");
    scene.approves("grace");
    scene.around.open_requests = unknown();
    assert_eq!(verdict(&scene).outcome, Outcome::Approved, "nobody asks");
}

#[test]
fn what_no_policy_mentions_is_not_looked_up() {
    let asks = |condition: &str| -> (bool, bool) {
        let policies: Guardrails = tree(&format!("{BASELINE}{condition}")).policies;
        (policies.counts_requests(), policies.seasons_owners())
    };
    assert_eq!(asks(""), (false, false));
    assert_eq!(asks(&forbid("x", "context.live_count > 3")), (false, false));
    assert_eq!(asks(TWO_AT_ONCE), (true, false));
    assert_eq!(asks(SEASONED), (false, true));
    let hidden = SEASONED.replace("context.owner_minutes", "context[\"owner_minutes\"]");
    assert_eq!(asks(&hidden), (false, true));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_too_many_is_refused_in_the_policys_words_until_another_is_closed() {
    hearing_and_deaf(async |world| {
        govern(world, TWO_AT_ONCE).await;
        // It is counted who asks, for whomever.
        let ask = async |whom: &str| {
            let text = grant(whom, "readonly", "2h");
            world.request("ada", &format!("db/{whom}-1"), &text).await
        };
        let (first, second) = (ask("mei").await, ask("linus").await);
        let third = ask("ada").await;
        let check = world.check(third);
        assert_eq!(check.title, "Denied: policy-forbids");
        let told = check.annotations[0]["message"].as_str().unwrap();
        assert!(told.starts_with("Two open requests are enough"), "{told}");
        // What was there before it, and what others ask, goes on.
        for pull in [first, second] {
            assert_eq!(world.conclusion(pull), "in_progress");
        }
        let other = world
            .request("mei", "db/mei-2", &grant("mei", "admin", "2h"))
            .await;
        assert_eq!(world.conclusion(other), "in_progress");
        world.approve(third, "grace").await;
        assert!(!world.is_merged(third));
        world.sandbox.close_pull("ada", REPO, first).unwrap();
        world.settle().await;
        assert!(world.is_merged(third), "{:?}", world.check(third));
        assert_eq!(world.holders("reader"), ["ada"]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn open_requests_that_cannot_be_listed_are_neither_few_nor_many() {
    let world = World::hearing().await;
    govern(&world, &TWO_AT_ONCE.replace(">= 2", ">= 1")).await;
    let text = grant("ada", "readonly", "2h");
    world.request("ada", "db/ada-1", &text).await;
    let listing = Some("GET /repos/{owner}/{repo}/pulls");
    world.sandbox.fail_next(listing, 1_000, 502, When::Before);
    let second = world.request("ada", "db/ada-2", &text).await;
    world.approve(second, "grace").await;
    assert!(!world.is_merged(second));
    let title = world.check(second).title;
    assert!(!title.starts_with("Denied"), "{title}");
    world.sandbox.heal();
    world.advance(minutes(20)).await;
    assert_eq!(world.check(second).title, "Denied: policy-forbids");
    assert!(world.holders("reader").is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn drafts_count_and_what_asks_for_no_access_does_not() {
    hearing_and_deaf(async |world| {
        govern(world, &TWO_AT_ONCE.replace(">= 2", ">= 1")).await;
        let sandbox = &world.sandbox;
        let readme = [Change::write("README.md", "Access of acme, and more.\n")];
        world.propose("ada", &readme).await;
        let text = grant("ada", "readonly", "2h");
        let draft = world.request("ada", "db/ada-1", &text).await;
        assert_eq!(world.conclusion(draft), "in_progress");
        sandbox.convert_to_draft("ada", REPO, draft).unwrap();
        let second = world.request("ada", "db/ada-2", &text).await;
        assert_eq!(world.check(second).title, "Denied: policy-forbids");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_for_another_branch_does_not_count() {
    hearing_and_deaf(async |world| {
        govern(world, &TWO_AT_ONCE.replace(">= 2", ">= 1")).await;
        let text = grant("ada", "readonly", "2h");
        let wanted = [Change::write(file("db/ada-1"), &text)];
        let sandbox = &world.sandbox;
        sandbox.push("root", REPO, "lax", &[], "Begin it").unwrap();
        sandbox
            .push("ada", REPO, "elsewhere", &wanted, "Please")
            .unwrap();
        sandbox
            .open_pull("ada", REPO, "elsewhere", "lax", "Please", "")
            .unwrap();
        world.settle().await;
        let here = world.request("ada", "db/ada-2", &text).await;
        assert_eq!(world.conclusion(here), "in_progress");
        let another = world.request("ada", "db/ada-3", &text).await;
        assert_eq!(world.check(another).title, "Denied: policy-forbids");
    })
    .await;
}

// For how long somebody has been an owner.

fn found(members: &[&str]) -> Lookup<Team> {
    Lookup::Found(Team {
        can_write: true,
        members: members.iter().map(|m| actor(m)).collect(),
    })
}

/// What is known after these looks, each some minutes after noon.
fn looks(all: &[(i64, Lookup<Team>)]) -> Tenure {
    let mut known = None;
    for (minute, found) in all {
        known = Tenure::after(known.as_ref(), found, at(*minute));
    }
    known.expect("something was found")
}

#[test]
fn whoever_is_there_at_the_first_reading_always_was_and_others_since_they_were_seen() {
    let failed = || Lookup::Failed("GitHub answered 502".to_owned());
    let minutes = |known: &Tenure, who: &str, now: i64| known.minutes(actor(who).id, at(now));
    let known = looks(&[
        (0, found(&["grace"])),
        (10, found(&["grace", "mallory"])),
        (20, found(&["grace", "mallory"])),
    ]);
    assert_eq!(minutes(&known, "grace", 0), ALWAYS);
    assert_eq!(minutes(&known, "mallory", 69), 59);
    assert_eq!(minutes(&known, "mallory", 9), 0, "before they were seen");
    assert_eq!(minutes(&known, "judy", 69), 0, "never seen");
    // A look that failed, or that found no such team, tells of nobody that they left.
    for gap in [failed(), Lookup::Absent] {
        let known = looks(&[
            (0, found(&["grace"])),
            (10, found(&["grace", "mallory"])),
            (20, gap),
            (30, found(&["mallory", "grace"])),
        ]);
        assert_eq!(minutes(&known, "grace", 40), ALWAYS);
        assert_eq!(minutes(&known, "mallory", 40), 30);
    }
    // Who goes begins anew, whoever it is.
    let known = looks(&[
        (0, found(&["grace", "heidi"])),
        (9, found(&["heidi"])),
        (10, found(&["heidi"])),
        (20, found(&["grace", "heidi"])),
    ]);
    assert_eq!(minutes(&known, "grace", 40), 20);
    assert_eq!(minutes(&known, "heidi", 40), ALWAYS);
    // Who comes into a team that did not exist was not always there.
    let known = looks(&[(0, Lookup::Absent), (10, found(&["mallory"]))]);
    assert_eq!(minutes(&known, "mallory", 40), 30);
    assert_eq!(Tenure::after(None, &failed(), at(0)), None);
}

/// Everybody of `seated` was in the team before anybody looked, `joined` since so many minutes after noon.
pub fn seen(scene: &mut Scene, slug: &str, seated: &[&str], joined: &[(&str, i64)]) {
    let mut all = seated.to_vec();
    let mut readings = vec![(0, found(&all))];
    for (who, minute) in joined {
        all.push(who);
        readings.push((*minute, found(&all)));
    }
    scene.staff(slug, &all);
    scene.around.tenures.insert(team(slug), looks(&readings));
}

/// octocat's request where owners season, `minutes` after noon.
pub fn seasoning(minutes: i64) -> Scene {
    let mut scene = under(&format!("{BASELINE}{SEASONED}"));
    scene.now = at(minutes);
    scene
}

#[test]
fn an_approval_counts_once_its_owner_has_been_one_for_long_enough() {
    for (now, outcome) in [
        (30, Outcome::Waiting),
        (70, Outcome::Waiting),
        (71, Outcome::Approved),
    ] {
        let mut scene = seasoning(now);
        seen(&mut scene, "dba", &["grace"], &[("mallory", 10)]);
        scene.approves("mallory");
        let said = verdict(&scene);
        assert_eq!(said.outcome, outcome, "{now}");
        if outcome == Outcome::Waiting {
            assert_eq!(
                missing(&said),
                [
                    "One approval is needed, from @acme/dba: @grace can give it.",
                    "The approval by @mallory does not count: Owners approve once they have been owners for an hour (policy seasoned)."
                ]
            );
        }
    }
}

#[test]
fn an_owner_of_whom_nothing_is_known_is_no_old_one() {
    let mut scene = seasoning(600);
    scene.approves("grace");
    assert_eq!(verdict(&scene).outcome, Outcome::Waiting);
}

#[test]
fn of_several_owners_through_whom_somebody_counts_the_oldest_decides() {
    let owned = |owners: &str| {
        let mut scene = seasoning(30);
        scene.owned(&format!("/access/ {owners}\n"));
        seen(&mut scene, "dba", &["grace"], &[("mallory", 10)]);
        seen(&mut scene, "security", &["judy"], &[]);
        scene.approves("mallory");
        scene
    };
    assert_eq!(verdict(&owned("@acme/dba")).outcome, Outcome::Waiting);
    for owners in ["@acme/dba @acme/security", "@acme/security @acme/dba"] {
        let mut scene = owned(owners);
        assert_eq!(verdict(&scene).outcome, Outcome::Waiting, "{owners}");
        seen(&mut scene, "security", &["judy", "mallory"], &[]);
        assert_eq!(verdict(&scene).outcome, Outcome::Approved, "{owners}");
    }
    for owners in ["@acme/dba @mallory", "@mallory @acme/dba"] {
        let mut scene = owned(owners);
        scene.person("mallory", true);
        assert_eq!(verdict(&scene).outcome, Outcome::Approved, "{owners}");
        // Through a name that stands for nobody here, nobody has always been an owner.
        scene.person("mallory", false);
        assert_eq!(verdict(&scene).outcome, Outcome::Waiting, "{owners}");
        scene.person("mallory", true);
        let mallory = scene.base.people.get_mut(&login("mallory")).unwrap();
        mallory.github_id = UserId(77);
        assert_eq!(verdict(&scene).outcome, Outcome::Waiting, "{owners}");
    }
}

#[test]
fn at_the_merge_it_counts_for_how_long_somebody_had_been_an_owner_by_then() {
    let landed = |minute: i64| {
        let mut scene = seasoning(600);
        seen(&mut scene, "dba", &["grace"], &[("mallory", 10)]);
        scene.approves("mallory");
        merged(&mut scene);
        if let PullState::Merged { at: when, .. } = &mut scene.pull.state {
            *when = at(minute);
        }
        admission(&scene)
    };
    assert!(matches!(landed(69), Admission::Unapproved(_)));
    assert!(matches!(landed(70), Admission::Approved(_)));
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_leaves_the_team_and_comes_back_begins_anew() {
    hearing_and_deaf(async |world| {
        govern(world, SEASONED).await;
        let look = async || {
            world.advance(minutes(10)).await;
            world.resync().await;
        };
        world.sandbox.join_team("mallory", "dba");
        look().await;
        world.advance(minutes(61)).await;
        let pull = world
            .request("ada", "db/ada-1", &grant("ada", "readonly", "30m"))
            .await;
        world.approve(pull, "mallory").await;
        assert!(world.is_merged(pull), "{:?}", world.check(pull));

        world.sandbox.leave_team("mallory", "dba");
        look().await;
        look().await;
        world.sandbox.join_team("mallory", "dba");
        look().await;
        let pull = world
            .request("ada", "db/ada-2", &grant("ada", "admin", "30m"))
            .await;
        world.approve(pull, "mallory").await;
        world.approve(pull, "linus").await;
        assert!(!world.is_merged(pull), "{:?}", world.check(pull));
        for _ in 0..7 {
            look().await;
        }
        assert!(world.is_merged(pull), "{:?}", world.check(pull));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_kept_of_owners_survives_a_restart_and_is_lost_with_the_database() {
    let mut world = World::hearing().await;
    govern(&world, SEASONED).await;
    world.sandbox.join_team("mallory", "dba");
    world.advance(minutes(10)).await;
    world.resync().await;
    world.start().await;
    world.resync().await;
    let text = grant("ada", "readonly", "30m");
    let pull = world.request("ada", "db/ada-1", &text).await;
    world.approve(pull, "mallory").await;
    assert!(!world.is_merged(pull), "{:?}", world.check(pull));
    // The limit that the documentation tells: whoever is there at the first reading counts as always having been.
    world.lose_database().await;
    world.recover(&Default::default()).await;
    world.resync().await;
    assert!(world.is_merged(pull), "{:?}", world.check(pull));
}

#[tokio::test(flavor = "multi_thread")]
async fn owners_are_read_before_anybody_asks_and_only_where_a_policy_wants_it() {
    // The members of a team are read for drift too; what it may do here is not.
    const TEAM: &str = "GET /orgs/{org}/teams/{team_slug}/repos/{owner}/{repo}";
    let world = World::hearing().await;
    let read = || world.sandbox.calls().get(TEAM).copied().unwrap_or(0);
    let look_after = async |n: i64| {
        world.advance(minutes(n)).await;
        world.resync().await;
    };
    look_after(10).await;
    assert_eq!(read(), 0);
    govern(&world, SEASONED).await;
    assert_eq!(read(), 2, "each team of CODEOWNERS once");
    look_after(1).await;
    assert_eq!(read(), 2, "and not with every tick");
    world
        .sandbox
        .fail_next(Some(TEAM), 1_000, 502, When::Before);
    look_after(10).await;
    world.sandbox.heal();
    let failed = read();
    look_after(1).await;
    assert_eq!(read(), failed + 2, "what failed is read with the next look");
    look_after(1).await;
    assert_eq!(read(), failed + 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_life_under_all_of_it_costs_few_calls_of_the_forge() {
    let world = World::hearing().await;
    let cap = forbid("cap", "context.live_count >= 5");
    govern(&world, &format!("{SEASONED}{TWO_AT_ONCE}{cap}")).await;
    crate::scenario::cost_at_most(&world, 30).await;
}
