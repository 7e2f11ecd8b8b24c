//! What target systems really hold, against what was approved.

use chrono::TimeDelta;
use hallpass::domain::drift::{Difference, Drift, Holdings, Watched, compare};
use hallpass::domain::ledger::{Entry, Holder, State};
use hallpass::domain::model::{DriftMode, PullNumber};
use hallpass::domain::target::Names;
use hallpass::sandbox::{Change, MergeMethod};
use serde_json::json;

use crate::returning::Desk;
use crate::scenario::hearing_and_deaf;
use crate::world::{Ears, REPO, World, grant};

const DB: &str = "access/resources/db.yaml";

/// The resync after which target systems are compared anew.
async fn compared(world: &World) {
    world.advance(TimeDelta::minutes(10)).await;
    world.resync().await;
}

async fn given(world: &World) {
    let text = grant("ada", "readonly", "8h");
    let pull = world.request("ada", "db/ada-incident", &text).await;
    world.approve(pull, "grace").await;
    assert_eq!(world.holders("reader"), ["ada"]);
}

/// ada asks for what she has by hand already; an owner approves.
async fn given_nothing_new(world: &World, name: &str, more: &str) {
    let text = grant("ada", "readonly", "1h");
    let pull = world.request("ada", name, &format!("{text}{more}")).await;
    world.approve(pull, "grace").await;
}

async fn enforce(world: &World) {
    let text = format!("drift: enforce\n{}", crate::world::DB);
    world.decree(&[Change::write(DB, text)]).await;
}

fn issues(world: &World) -> Vec<(String, bool)> {
    let issues = world.sandbox.issues(REPO);
    issues
        .into_iter()
        .map(|(title, _, open)| (title, open))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_given_outside_is_told_once_and_left_alone_until_it_is_over() {
    hearing_and_deaf(async |world| {
        given(world).await;
        world.vault.give_by_hand("reader", "linus");
        compared(world).await;
        compared(world).await;
        let told = world.told("drift");
        assert_eq!(
            told,
            ["Drift: linus at vault has it, and not from Hallpass"]
        );
        assert_eq!(world.holders("reader"), ["ada", "linus"]);
        let title = "Drift: access to db that differs from what was approved".to_owned();
        assert_eq!(issues(world), [(title.clone(), true)]);
        let (_, body, _) = world.sandbox.issues(REPO).remove(0);
        for part in [
            "| `linus` | `db/readonly` |",
            "/new/main?filename=access/grants/db/linus-readonly.yaml&value=person%3A%20linus",
        ] {
            assert!(body.contains(part), "{part}: {body}");
        }
        world.vault.take_by_hand("reader", "linus");
        compared(world).await;
        assert_eq!(
            world.told("drift-over"),
            ["Drift over: linus at vault is as it should be"]
        );
        assert_eq!(issues(world), [(title, false)]);
        // The grant was never in doubt.
        assert_eq!(world.ledger().await, ["db/ada-incident active"]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_taken_away_by_hand_is_told_and_not_given_again() {
    hearing_and_deaf(async |world| {
        given(world).await;
        world.vault.take_by_hand("reader", "ada");
        compared(world).await;
        compared(world).await;
        let told = world.told("drift");
        assert_eq!(
            told,
            ["Drift: ada at vault should have it, and does not: it was taken away there"]
        );
        assert!(world.holders("reader").is_empty());
        let drifted = world
            .evidence()
            .into_iter()
            .find(|m| m.contains("Event: drift\n"));
        assert!(drifted.unwrap().contains("Grant: db/ada-incident@"));
        // It ends as it was to end, and the drift with it.
        world.advance(TimeDelta::hours(8)).await;
        compared(world).await;
        assert_eq!(world.ledger().await, ["db/ada-incident ended"]);
        assert_eq!(world.told("drift-over").len(), 1);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_that_vanished_is_told_as_such_and_its_grant_ends_on_time() {
    hearing_and_deaf(async |world| {
        given(world).await;
        world.vault.remove_account("ada");
        compared(world).await;
        compared(world).await;
        assert_eq!(
            world.told("drift"),
            ["Drift: ada at vault should have it, and does not exist there any more"]
        );
        let (_, body, open) = world.sandbox.issues(REPO).remove(0);
        assert!(
            open && body.contains("does not exist there any more"),
            "{body}"
        );
        assert!(
            body.contains("To have it again") && body.contains("To leave it so"),
            "{body}"
        );
        world.advance(TimeDelta::hours(8)).await;
        compared(world).await;
        assert_eq!(world.ledger().await, ["db/ada-incident ended"]);
        assert_eq!(world.told("drift-over").len(), 1);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_that_was_created_anew_under_the_old_name_is_told_and_left_alone() {
    hearing_and_deaf(async |world| {
        world.vault.identify("ada", 7);
        given(world).await;
        compared(world).await;
        assert!(world.told("drift").is_empty());
        world.vault.remove_account("ada");
        world.vault.identify("ada", 8);
        world.vault.give_by_hand("reader", "ada");
        compared(world).await;
        compared(world).await;
        let told = world.told("drift");
        assert_eq!(
            told,
            ["Drift: ada at vault was created anew under the old name: it is another account"]
        );
        assert_eq!(world.holders("reader"), ["ada"], "not ours to take");
        assert_eq!(issues(world).len(), 1);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_start_on_systems_with_people_in_them_changes_nothing_and_import_proposes_it_all()
{
    let world = World::hearing().await;
    // By hand, before Hallpass came: mei whom everybody knows, and somebody who has no file yet.
    let newbie = world.sandbox.member("newbie");
    for login in ["mei", "newbie"] {
        world.sandbox.join_team(login, "readers");
    }
    let members = |world: &World| world.sandbox.team_members("readers").len();
    for _ in 0..3 {
        compared(&world).await;
    }
    assert_eq!((members(&world), world.vault.calls()), (2, 0));
    assert!(
        world.entries().await.is_empty(),
        "nothing is granted by being there"
    );
    assert_eq!(world.told("drift").len(), 2);

    let proposed = world.import(&["--json"]);
    let people = &proposed["people"];
    let file = people["access/people/newbie.yaml"]
        .as_str()
        .unwrap_or_default();
    assert!(file.contains(&format!("github_id: {newbie}")), "{proposed}");
    let grants = |proposed: &serde_json::Value| -> Vec<Change> {
        let grants = proposed["grants"].as_object().unwrap();
        let text = |text: &serde_json::Value| text.as_str().unwrap().to_owned();
        grants
            .iter()
            .map(|(path, value)| Change::write(path, text(value)))
            .collect()
    };
    assert_eq!(grants(&proposed).len(), 1, "mei's: {proposed}");
    assert_eq!(members(&world), 2, "nothing is changed by asking");

    // The people first, in a pull request of their own, however often it is asked; then the grants of all of them.
    let desk = Desk::new(&world);
    let folder = desk.clone().display().to_string();
    let open = || world.import(&["--json", "--open", &folder])["pulls"].clone();
    let pull = |pulls: &serde_json::Value| {
        assert_eq!(pulls.as_array().unwrap().len(), 1, "{pulls}");
        PullNumber(pulls[0]["pull"]["number"].as_u64().unwrap())
    };
    // On a branch of that name, somebody's other work is left alone.
    let branch = "import/people";
    let work = [Change::write("notes.md", "Not finished yet.\n")];
    let pushed = world.sandbox.push("mei", REPO, branch, &work, "Notes");
    let tip = pushed.unwrap();
    let refused = open();
    let why = refused[0]["why"].as_str().unwrap_or_default();
    assert!(why.contains("holds something else"), "{refused}");
    assert_eq!(world.sandbox.branch_tip(REPO, branch), Some(tip));
    let deleted = world.sandbox.delete_branch("mei", REPO, branch);
    deleted.unwrap();
    let people = pull(&open());
    let again = open();
    assert_eq!((pull(&again), &again[0]["already"]), (people, &json!(true)));
    world.settle().await;
    world.approve(people, "mei").await;
    world.merge_as_admin(people, MergeMethod::Merge).await;
    world.advance(TimeDelta::minutes(10)).await;
    let wishes = open();
    assert_eq!(wishes[0]["files"], 2, "{wishes}");
    let pull = pull(&wishes);
    world.settle().await;
    world.approve(pull, "grace").await;
    assert!(world.is_merged(pull), "{:?}", world.check(pull));
    assert_eq!(members(&world), 2);
    compared(&world).await;
    assert_eq!(world.told("drift-over").len(), 2);
    let ledger = world.ledger().await;
    assert!(
        ledger.iter().all(|line| line.ends_with(" active")),
        "{ledger:?}"
    );
    world.advance(TimeDelta::days(31)).await;
    assert_eq!(members(&world), 0, "what was adopted ends like any other");
}

#[tokio::test(flavor = "multi_thread")]
async fn where_a_resource_enforces_what_was_given_outside_is_taken_away() {
    hearing_and_deaf(async |world| {
        given(world).await;
        enforce(world).await;
        world.vault.give_by_hand("reader", "linus");
        compared(world).await;
        assert_eq!(world.holders("reader"), ["ada"]);
        assert_eq!(world.told("drift").len(), 1);
        assert_eq!(
            world.told("drift-removed"),
            ["Drift removed: linus at vault"]
        );
        assert!(world.told("drift-over").is_empty());
        compared(world).await;
        assert_eq!(world.told("drift-removed").len(), 1);
        assert!(
            issues(world).is_empty(),
            "nothing is left to do: {:?}",
            issues(world)
        );
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn more_than_can_be_believed_is_not_taken_away_at_once() {
    let world = World::new(Ears::Deaf, "").await;
    given(&world).await;
    enforce(&world).await;
    for n in 0..6 {
        world.vault.give_by_hand("reader", &format!("guest{n}"));
    }
    compared(&world).await;
    assert_eq!(world.holders("reader").len(), 7);
    assert_eq!(world.told("drift").len(), 6);
    assert!(issues(&world)[0].1);
    world.vault.take_by_hand("reader", "guest0");
    compared(&world).await;
    assert_eq!(world.holders("reader"), ["ada"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_given_by_hand_is_taken_over_only_where_the_request_says_so() {
    hearing_and_deaf(async |world| {
        world.vault.give_by_hand("reader", "ada");
        compared(world).await;
        given_nothing_new(world, "db/ada-waits", "").await;
        assert_eq!(world.told("blocked").len(), 1);
        let text = grant("linus", "readonly", "2h");
        world.vault.give_by_hand("reader", "linus");
        let pull = world
            .request("linus", "db/linus-adopts", &format!("{text}adopt: true\n"))
            .await;
        let said = world.check(pull).summary;
        assert!(said.contains("| **Takes over** |"), "{said}");
        world.approve(pull, "grace").await;
        let granted = world
            .evidence()
            .into_iter()
            .find(|m| m.contains("Event: granted\n"));
        assert!(granted.unwrap().contains("Taken-over: "));
        world.advance(TimeDelta::hours(2)).await;
        assert_eq!(world.holders("reader"), ["ada"], "it was never ours");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_system_that_does_not_answer_is_no_drift_and_ends_none() {
    let world = World::new(Ears::Deaf, "").await;
    given(&world).await;
    world.vault.give_by_hand("reader", "linus");
    compared(&world).await;
    world.vault.down(true);
    compared(&world).await;
    assert_eq!(world.told("drift").len(), 1);
    assert!(world.told("drift-over").is_empty());
    world.vault.down(false);
}

fn entry(account: &str, id: Option<&str>, state: State) -> Entry {
    let mut entry = crate::store::active("x", "ada", 10);
    entry.state = state;
    if let Some(terms) = &mut entry.terms {
        terms.access.account.name = account.to_owned();
        terms.access.account.id = id.map(str::to_owned);
        terms.access.entitlement = json!({ "role": "reader" });
    }
    entry
}

fn holder(name: &str, id: Option<&str>) -> Holder {
    Holder {
        name: name.to_owned(),
        id: id.map(str::to_owned),
        pending: false,
    }
}

fn found(
    holders: &[Holder],
    before: &[Entry],
    after: &[Entry],
    names: Names,
) -> Vec<(String, Difference)> {
    let connection = crate::store::active("x", "ada", 10)
        .terms
        .unwrap()
        .access
        .connection;
    let watched = Watched {
        connection,
        entitlement: json!({ "role": "reader" }),
        roles: Default::default(),
        mode: DriftMode::Report,
    };
    let [before, after] = [before, after].map(|entries| {
        let mut holdings = Holdings::default();
        entries.iter().for_each(|e| holdings.note(e));
        holdings
    });
    let found = compare(&watched, holders, &before, &after, names);
    found
        .into_iter()
        .map(|d: Drift| (d.account, d.difference))
        .collect()
}

#[test]
fn what_changes_while_a_system_is_asked_is_no_drift() {
    let (granting, active) = (
        entry("ada", None, State::Granting),
        entry("ada", None, State::Active),
    );
    let held = [holder("ada", None)];
    // It was given, or taken, between the two readings of the ledger: the listing may show either.
    for (before, after) in [
        (vec![], vec![granting.clone()]),
        (vec![granting], vec![active.clone()]),
        (vec![active.clone()], vec![]),
    ] {
        assert_eq!(found(&held, &before, &after, Names::Exact), []);
        assert_eq!(found(&[], &before, &after, Names::Exact), []);
    }
    let settled = [active];
    assert_eq!(found(&held, &settled, &settled, Names::Exact), []);
    assert_eq!(
        found(&[], &settled, &settled, Names::Exact),
        [("ada".to_owned(), Difference::RemovedOutside)]
    );
    assert_eq!(
        found(&held, &[], &[], Names::Exact),
        [("ada".to_owned(), Difference::GivenOutside)]
    );
}

#[test]
fn whoever_was_created_anew_under_the_old_name_is_another() {
    let settled = [entry("ada", Some("17"), State::Active)];
    let same = [holder("ada", Some("17"))];
    assert_eq!(found(&same, &settled, &settled, Names::Exact), []);
    let other = [holder("ada", Some("18"))];
    assert_eq!(
        found(&other, &settled, &settled, Names::Exact),
        [("ada".to_owned(), Difference::AccountRecreated)]
    );
    // A target that tells no ids leaves it at the name.
    let unknown = [holder("ada", None)];
    assert_eq!(found(&unknown, &settled, &settled, Names::Exact), []);
}

#[test]
fn names_are_told_apart_as_the_target_tells_them_apart() {
    let settled = [entry("ada", None, State::Active)];
    let shouted = [holder("ADA", None)];
    assert_eq!(
        found(&shouted, &settled, &settled, Names::CaseInsensitive),
        []
    );
    assert_eq!(found(&shouted, &settled, &settled, Names::Exact).len(), 2);
}
