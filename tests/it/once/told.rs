//! What is told, asked and held back is so once, however many runs there are.

use hallpass::sandbox::Change;

use super::{Team, minutes};
use crate::notify::endpoint::Endpoint;
use crate::reviews;
use crate::world::{REPO, grant};

#[tokio::test(flavor = "multi_thread")]
async fn drift_is_told_once_and_is_over_once() {
    let team = Team::new().await;
    team.run().await;
    team.world.vault.give_by_hand("reader", "mallory");
    for _ in 0..4 {
        team.run_later(minutes(11)).await;
    }
    assert_eq!(
        team.world.told("drift").len(),
        1,
        "{:#?}",
        team.world.evidence()
    );
    team.world.vault.take_by_hand("reader", "mallory");
    for _ in 0..3 {
        team.run_later(minutes(11)).await;
    }
    assert_eq!(team.world.told("drift-over").len(), 1);
    team.assert_evidence_is_whole();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_who_closed_what_tidies_up_is_not_asked_again() {
    let team = Team::with("merge = \"auto\"\nmerge_reverts = false").await;
    team.run().await;
    let pull = team.request("ada", "db/ada-incident", &grant("ada", "readonly", "1h"));
    team.approve(pull, "grace");
    team.run_later(minutes(5)).await;
    team.run_later(minutes(60)).await;
    team.run_later(minutes(5)).await;
    let pulls = team.world.sandbox.pulls(REPO);
    let tidies = pulls.iter().find(|p| p.open).expect("it is proposed");
    let closed = team.world.sandbox.close_pull("root", REPO, tidies.number);
    closed.unwrap();
    for _ in 0..3 {
        team.run_later(minutes(5)).await;
    }
    assert!(team.world.open_pulls().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_to_an_access_review_outlive_the_run_that_asked() {
    let team = Team::new().await;
    let sandbox = &team.world.sandbox;
    let decree = [
        Change::write("access/resources/db.yaml", reviews::DB),
        Change::write("access/reviews.yaml", reviews::SCHEDULE),
    ];
    let decreed = sandbox.push_to_main("root", REPO, &decree, "Ask every month");
    decreed.unwrap();
    team.run().await;
    let pull = team.request("mallory", "db/ada-long", &grant("ada", "support", "90d"));
    team.approve(pull, "grace");
    team.run_later(minutes(5)).await;
    assert_eq!(team.world.holders("support"), ["ada"]);

    team.run_later(minutes(8 * 24 * 60)).await;
    let review = sandbox.pulls(REPO).into_iter().find(|p| p.open);
    let review = review.expect("owners are asked");
    // An owner answers on the branch; later runs leave that alone, and do what is signed.
    let (path, text) = reviews::sheet(&team.world, review.number);
    let answer = reviews::ended(&text, "ada");
    assert_ne!(answer, text);
    let change = Change::write(path, &answer);
    let pushed = sandbox.push("grace", REPO, &review.head, &[change], "Answer");
    pushed.unwrap();
    team.run_later(minutes(5)).await;
    assert_eq!(reviews::sheet(&team.world, review.number).1, answer);
    team.approve(review.number, "grace");
    team.run_later(minutes(5)).await;
    assert!(team.world.holders("support").is_empty());
    for _ in 0..3 {
        team.run_later(minutes(5)).await;
    }
    assert_eq!(team.world.told("access-review-opened").len(), 1);
    assert_eq!(team.world.told("access-review-completed").len(), 1);
    assert!(team.world.open_pulls().is_empty());
    assert!(!team.stands("db/ada-long"));
    team.assert_evidence_is_whole();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_holder_is_told_once_that_access_ends_soon() {
    let team = Team::new().await;
    team.run().await;
    let pull = team.request("ada", "db/ada-incident", &grant("ada", "readonly", "4h"));
    team.approve(pull, "grace");
    team.run_later(minutes(5)).await;
    for _ in 0..6 {
        team.run_later(minutes(35)).await;
    }
    let said = team.world.sandbox.pull(REPO, pull).comments;
    assert_eq!(said.len(), 1, "{said:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn people_are_told_once_of_what_waits_begins_and_ends_however_many_runs_there_are() {
    let endpoint = Endpoint::start().await;
    let events = "\"waiting\", \"granted\", \"ended\"";
    let github = endpoint.section(events) + "[notices]\nlabels = true\n";
    let team = Team::with(&github).await;
    team.run().await;
    let pull = team.request("ada", "db/ada-incident", &grant("ada", "readonly", "2h"));
    let labels = || team.world.sandbox.pull(REPO, pull).labels;
    for _ in 0..4 {
        team.run_later(minutes(5)).await;
    }
    assert_eq!(
        endpoint.titles_of("waiting").len(),
        1,
        "{:?}",
        endpoint.titles()
    );
    assert_eq!(labels(), ["access: waiting"]);
    // Nobody answers: the reminder comes after its hour.
    for _ in 0..10 {
        team.run_later(minutes(6)).await;
    }
    assert_eq!(
        endpoint.titles_of("waiting").len(),
        2,
        "{:?}",
        endpoint.titles()
    );
    team.approve(pull, "grace");
    for _ in 0..3 {
        team.run_later(minutes(5)).await;
    }
    assert_eq!(
        endpoint.titles_of("granted").len(),
        1,
        "{:?}",
        endpoint.titles()
    );
    assert_eq!(labels(), ["access: live"]);
    for _ in 0..3 {
        team.run_later(minutes(45)).await;
    }
    assert_eq!(
        endpoint.titles_of("ended").len(),
        1,
        "{:?}",
        endpoint.titles()
    );
    assert_eq!(
        endpoint.titles_of("waiting").len(),
        2,
        "{:?}",
        endpoint.titles()
    );
    assert_eq!(labels(), ["access: over"]);
}

/// Owners approve once they have been owners for an hour.
const SEASONED: &str = "@id(\"baseline\")\npermit (principal, action, resource);\n@id(\"seasoned\")\n@message(\"Wait an hour.\")\nforbid (principal, action == Action::\"approve\", resource)\nwhen { context.owner_minutes < 60 };\n";

#[tokio::test(flavor = "multi_thread")]
async fn owners_count_from_now_where_the_notes_of_earlier_runs_are_gone() {
    let team = Team::new().await;
    let sandbox = &team.world.sandbox;
    let policy = [Change::write("access/policies/owners.cedar", SEASONED)];
    let decreed = sandbox.push_to_main("root", REPO, &policy, "Let owners season");
    decreed.unwrap();
    team.run().await;
    sandbox.join_team("mallory", "dba");
    team.run_later(minutes(5)).await;

    // Whoever may push there can take the notes away, and is not to gain by it.
    let git = git2::Repository::open(team.world.repository_path()).unwrap();
    let mut notes = git.find_reference("refs/heads/hallpass/notes").unwrap();
    notes.delete().unwrap();
    let pull = team.request("ada", "db/ada-1", &grant("ada", "readonly", "2h"));
    team.approve(pull, "mallory");
    team.run_later(minutes(5)).await;
    assert!(!team.world.is_merged(pull), "{:?}", team.world.check(pull));
    // Nobody has been an owner for an hour, as far as anybody knows; all have, an hour later.
    for _ in 0..13 {
        team.run_later(minutes(5)).await;
    }
    assert!(team.world.is_merged(pull), "{:?}", team.world.check(pull));
}
