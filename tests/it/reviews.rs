//! Access reviews, told in sentences: on a schedule owners are asked who keeps long access; what they end goes, what nobody answers
//! becomes what the schedule says, and nobody answers for themselves.

mod auditors;
mod crash;
mod lapse;
mod tamper;
mod used;

use chrono::TimeDelta;
use hallpass::domain::model::PullNumber;
use hallpass::sandbox::{Change, MergeMethod};

use crate::scenario::hearing_and_deaf;
use crate::world::{REPO, World, file, grant};

/// `db` with a role for long.
pub const DB: &str = "\
description: The orders database, production
risk: critical
provider: vault
roles:
  support:
    description: SELECT on orders
    entitlement: { role: support }
    max_duration: 180d
    max_total: 365d
";

/// A review a month from 1 December on, of what lasts longer than a month.
pub const SCHEDULE: &str = "first: 2026-12-01T09:00:00Z\nevery: 30d\nwithin: 7d\n";

fn days(n: i64) -> TimeDelta {
    TimeDelta::days(n)
}

async fn schedule(world: &World, text: &str) {
    let changes = [
        Change::write("access/resources/db.yaml", DB),
        Change::write("access/reviews.yaml", text),
    ];
    world.decree(&changes).await;
}

/// These people have db/support for 90 days.
async fn supported(world: &World, people: &[&str]) {
    for person in people {
        let text = grant(person, "support", "90d");
        let name = format!("db/{person}-support");
        let pull = world.request("mallory", &name, &text).await;
        let owner = if *person == "grace" { "linus" } else { "grace" };
        world.approve(pull, owner).await;
        assert!(world.is_merged(pull), "{:?}", world.check(pull));
    }
}

/// 1 December, and a tick.
async fn first_round(world: &World) {
    world.advance(days(8)).await;
    world.resync().await;
}

/// A world in its first round, in which these people have had db/support for eight days.
async fn asked(world: &World, text: &str, people: &[&str]) -> PullNumber {
    schedule(world, text).await;
    supported(world, people).await;
    assert!(world.open_pulls().is_empty(), "not before its time");
    first_round(world).await;
    review(world)
}

/// The open pull requests in which owners are asked.
fn reviews(world: &World) -> Vec<PullNumber> {
    let pulls = world.sandbox.pulls(REPO).into_iter();
    let open = pulls.filter(|p| p.open && p.title.starts_with("Access review of "));
    open.map(|p| p.number).collect()
}

/// The only one.
fn review(world: &World) -> PullNumber {
    let found = reviews(world);
    assert_eq!(found.len(), 1, "{:?}", world.open_pulls());
    found[0]
}

/// The file that it brings, and what it says.
pub fn sheet(world: &World, pull: PullNumber) -> (String, String) {
    let branch = world.sandbox.pull(REPO, pull).head;
    let path = format!(
        "access/reviews/{}.yaml",
        branch.strip_prefix("hallpass/review/").unwrap()
    );
    let text = world.sandbox.file(REPO, &branch, &path).unwrap();
    (path, String::from_utf8(text).unwrap())
}

/// Somebody pushes another text of it.
async fn edit(world: &World, who: &str, pull: PullNumber, change: impl Fn(&str) -> String) {
    let branch = world.sandbox.pull(REPO, pull).head;
    let (path, text) = sheet(world, pull);
    let changed = change(&text);
    assert_ne!(changed, text);
    let change = Change::write(path, changed);
    world
        .sandbox
        .push(who, REPO, &branch, &[change], "Answer")
        .unwrap();
    world.settle().await;
}

/// The line of somebody says `end`.
pub fn ended(text: &str, person: &str) -> String {
    let line = |line: &str| match line.contains(&format!("who: person {person},")) {
        true => line.replace("decision: keep", "decision: end") + "\n",
        false => format!("{line}\n"),
    };
    text.lines().map(line).collect()
}

/// The line of somebody is gone.
fn deleted(text: &str, person: &str) -> String {
    let kept = text
        .lines()
        .filter(|line| !line.contains(&format!("who: person {person},")));
    kept.map(|line| format!("{line}\n")).collect()
}

/// The trailers of the only event of this kind.
fn event(world: &World, kind: &str) -> String {
    let trailer = format!("Event: {kind}\n");
    let found: Vec<String> = world
        .evidence()
        .into_iter()
        .filter(|m| m.contains(&trailer))
        .collect();
    assert_eq!(found.len(), 1, "{found:?}");
    found.into_iter().next().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn owners_keep_what_is_needed_end_what_is_not_and_sign_both_with_one_review() {
    hearing_and_deaf(async |world| {
        let pull = asked(world, SCHEDULE, &["ada", "mei", "linus"]).await;
        let asked = world.sandbox.pull(REPO, pull);
        assert_eq!(asked.title, "Access review of 2026-12-01: 3 grants of @acme/dba");
        for told in ["@acme/dba", "**2026-12-08 09:00 UTC**", "is kept, and stands among the exceptions", "`person mei`", "| 2026-11-23 | 2027-02-21 |"] {
            assert!(asked.body.contains(told), "{told}: {}", asked.body);
        }
        let check = world.check(pull);
        assert_eq!(
            check.title,
            "Access review of 2026-12-01: waiting for @acme/dba to answer until 2026-12-08 09:00 UTC"
        );
        let opened = event(world, "access-review-opened");
        assert!(opened.starts_with("Opened: the access review of 2026-12-01 asks about 3 grants on 1 sheet"), "{opened}");

        // Pushing is how owners answer, so whoever pushed may sign.
        edit(world, "grace", pull, |text| deleted(&ended(text, "mei"), "ada")).await;
        assert_eq!(world.conclusion(pull), "in_progress");
        assert!(world.check(pull).summary.contains("| **end** | `person ada` |"), "{}", world.check(pull).summary);
        world.approve(pull, "grace").await;
        assert!(world.is_merged(pull), "{:?}", world.check(pull));
        assert_eq!(world.check(pull).title, "Access review of 2026-12-01: 1 kept, 2 ended, signed by @grace");

        world.resync().await;
        assert_eq!(world.holders("support"), ["linus"]);
        assert_eq!(
            world.told("access-review-completed"),
            ["Completed: grace answered the access review of 2026-12-01: 1 kept, 2 ended"]
        );
        let completed = event(world, "access-review-completed");
        assert_eq!(completed.matches("\nGrant: ").count(), 3, "{completed}");
        assert!(completed.contains("\nKept: 1\nEnded: 2\n"), "{completed}");
        let told = world.told("revoked");
        assert_eq!(told.len(), 2, "{told:?}");
        assert!(told.iter().all(|t| t.contains("(review-ended)")), "{told:?}");
        // Their files are tidied like those of everything that ended.
        world.advance(TimeDelta::minutes(2)).await;
        world.resync().await;
        assert!(world.sandbox.file(REPO, "main", &file("db/mei-support")).is_none());
        assert!(world.sandbox.file(REPO, "main", &file("db/linus-support")).is_some());
        assert!(world.open_pulls().is_empty(), "{:?}", world.open_pulls());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_signs_for_their_own_access() {
    hearing_and_deaf(async |world| {
        let pull = asked(world, SCHEDULE, &["linus", "mei"]).await;
        world.approve(pull, "linus").await;
        assert!(!world.is_merged(pull), "his own line needs somebody else");
        let summary = world.check(pull).summary;
        assert!(
            summary.contains("Can be completed by** @grace alone"),
            "{summary}"
        );
        // Nobody who does not own the grants helps, whoever they are.
        world.approve(pull, "root").await;
        assert!(!world.is_merged(pull));
        world.approve(pull, "grace").await;
        assert!(world.is_merged(pull), "{:?}", world.check(pull));
        assert_eq!(
            world.told("access-review-completed"),
            ["Completed: linus and grace answered the access review of 2026-12-01: 2 kept, 0 ended"]
        );
        assert_eq!(world.holders("support"), ["linus", "mei"]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_only_its_holder_owns_is_asked_again_for_others_to_sign() {
    hearing_and_deaf(async |world| {
        let owners =
            "* @acme/security\n/access/grants/db/ @acme/dba\n/access/grants/db/grace-support.yaml @grace\n";
        supported_by_all(world).await;
        // From now on grace alone owns her own access, and nobody can sign for it.
        world
            .decree(&[Change::write(".github/CODEOWNERS", owners)])
            .await;
        first_round(world).await;
        let found = reviews(world);
        assert_eq!(found.len(), 2, "{:?}", world.open_pulls());
        let (hers, theirs) = match sheet(world, found[0]).1.contains("person grace") {
            true => (found[0], found[1]),
            false => (found[1], found[0]),
        };
        world.approve(hers, "grace").await;
        assert_eq!(world.check(hers).title, "Denied: no-eligible-approver");
        world.approve(theirs, "linus").await;
        assert!(world.is_merged(theirs), "{:?}", world.check(theirs));
        // Another owner is named, and can.
        let owners = owners.replace("@grace", "@grace @linus");
        world
            .decree(&[Change::write(".github/CODEOWNERS", owners)])
            .await;
        world.resync().await;
        world.approve(hers, "linus").await;
        assert!(world.is_merged(hers), "{:?}", world.check(hers));
        assert_eq!(world.told("access-review-completed").len(), 2);
    })
    .await;
}

/// ada and grace have db/support, and a review is scheduled.
async fn supported_by_all(world: &World) {
    schedule(world, SCHEDULE).await;
    supported(world, &["ada", "grace"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_one_sheet_what_nobody_can_sign_is_left_to_be_answered() {
    hearing_and_deaf(async |world| {
        let pull = asked(world, SCHEDULE, &["ada", "grace"]).await;
        // linus leaves: grace alone is left, and her own line is for nobody.
        world.sandbox.leave_team("linus", "dba");
        world.settle().await;
        world.resync().await;
        edit(world, "grace", pull, |text| ended(text, "ada")).await;
        world.approve(pull, "grace").await;
        assert!(world.is_merged(pull), "{:?}", world.check(pull));
        world.resync().await;
        assert_eq!(world.holders("support"), ["grace"], "ada's answer counts");
        let left = review(world);
        assert_ne!(left, pull);
        let (_, text) = sheet(world, left);
        assert!(
            text.contains("attempt: 2\n") && text.contains("count: 1\n"),
            "{text}"
        );
        assert_eq!(world.check(left).title, "Denied: no-eligible-approver");
        world.sandbox.join_team("linus", "dba");
        world.settle().await;
        world.resync().await;
        world.approve(left, "linus").await;
        assert!(world.is_merged(left), "{:?}", world.check(left));
        assert_eq!(world.told("access-review-completed").len(), 2);
        assert!(reviews(world).is_empty());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_set_of_owners_is_asked_by_itself_and_about_long_access_alone() {
    hearing_and_deaf(async |world| {
        schedule(world, SCHEDULE).await;
        supported(world, &["ada"]).await;
        let short = grant("mei", "support", "20d");
        let short = world.request("mei", "db/mei-support", &short).await;
        world.approve(short, "grace").await;
        // A month of this and a month more of that lasts two months without a gap.
        let crew = world
            .request("ada", "crew/ada-mail", &grant("ada", "reader", "30d"))
            .await;
        world.approve(crew, "grace").await;
        let owners = "* @acme/security\n/access/grants/db/ @acme/dba\n/access/grants/crew/ @mei\n";
        world
            .decree(&[Change::write(".github/CODEOWNERS", owners)])
            .await;
        world.advance(days(7)).await;
        let again = grant("ada", "reader", "29d").replace("wrong today", "wrong again");
        let again = world.request("ada", "crew/ada-mail", &again).await;
        world.approve(again, "mei").await;
        assert!(world.is_merged(again), "{:?}", world.check(again));
        world.advance(days(1)).await;
        world.resync().await;
        let mut titles = world.open_pulls();
        titles.sort();
        assert_eq!(
            titles,
            [
                "Access review of 2026-12-01: 1 grant of @acme/dba",
                "Access review of 2026-12-01: 1 grant of @mei"
            ]
        );
        for pull in reviews(world) {
            world.approve(pull, "grace").await;
            world.approve(pull, "mei").await;
            assert!(world.is_merged(pull), "{:?}", world.check(pull));
        }
        assert_eq!(world.told("access-review-completed").len(), 2);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_round_is_asked_once_and_the_next_one_when_its_time_comes() {
    hearing_and_deaf(async |world| {
        let first = asked(world, SCHEDULE, &["ada"]).await;
        for _ in 0..3 {
            world.resync().await;
        }
        assert_eq!(review(world), first);
        world.approve(first, "grace").await;
        assert!(world.is_merged(first));
        world.advance(days(29)).await;
        world.resync().await;
        assert!(reviews(world).is_empty());
        world.advance(days(1)).await;
        world.resync().await;
        let second = world.sandbox.pull(REPO, review(world)).title;
        assert_eq!(second, "Access review of 2026-12-31: 1 grant of @acme/dba");
        assert_eq!(world.told("access-review-opened").len(), 2);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_round_that_finds_nothing_says_so() {
    hearing_and_deaf(async |world| {
        schedule(world, SCHEDULE).await;
        first_round(world).await;
        world.resync().await;
        assert!(world.open_pulls().is_empty());
        assert_eq!(
            world.told("access-review-opened"),
            ["Opened: the access review of 2026-12-01 finds no access of more than 30d"]
        );
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_that_an_administrator_merges_are_none_and_are_asked_for_again() {
    for method in [MergeMethod::Merge, MergeMethod::Squash] {
        hearing_and_deaf(async |world| {
            let pull = asked(world, SCHEDULE, &["ada", "mei"]).await;
            edit(world, "mallory", pull, |text| ended(text, "mei")).await;
            world.merge_as_admin(pull, method).await;
            // An approval that comes after the merge signs nothing either.
            world.approve(pull, "grace").await;
            world.resync().await;
            assert_eq!(world.holders("support"), ["ada", "mei"]);
            assert_eq!(world.told("access-review-unsigned").len(), 1);
            let again = review(world);
            let body = world.sandbox.pull(REPO, again).body;
            assert!(
                body.contains(&format!("#{pull} was merged without an owner's approval")),
                "{body}"
            );
            let (_, text) = sheet(world, again);
            assert!(text.contains("attempt: 2\n"), "{text}");
            assert!(!text.contains("decision: end"), "{text}");
            world.approve(again, "grace").await;
            assert!(world.is_merged(again), "{:?}", world.check(again));
            assert_eq!(world.told("access-review-completed").len(), 1);
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_grant_that_ended_or_was_renewed_meanwhile_is_left_alone() {
    hearing_and_deaf(async |world| {
        let pull = asked(world, SCHEDULE, &["ada", "mei"]).await;
        let back = world
            .propose("ada", &[Change::delete(file("db/ada-support"))])
            .await;
        assert!(world.is_merged(back), "{:?}", world.check(back));
        let again = grant("mei", "support", "40d").replace("wrong today", "wrong again");
        let again = world.request("mei", "db/mei-support", &again).await;
        world.approve(again, "linus").await;
        assert!(world.is_merged(again), "{:?}", world.check(again));
        edit(world, "grace", pull, |text| {
            ended(&ended(text, "ada"), "mei")
        })
        .await;
        world.approve(pull, "grace").await;
        assert!(world.is_merged(pull), "{:?}", world.check(pull));
        world.resync().await;
        assert_eq!(
            world.holders("support"),
            ["mei"],
            "an owner renewed hers since, by another grant"
        );
        let told = world.told("revoked");
        assert!(!told.iter().any(|t| t.contains("review-ended")), "{told:?}");
    })
    .await;
}
