//! Evidence that is tampered with between two runs, and the keys that vouch for it.

use git2::{Oid, Repository};
use hallpass::sandbox::Change;

use super::{Team, assert_wants, minutes};
use crate::world::{REPO, file, grant};

const EVIDENCE: &str = "refs/heads/hallpass/evidence";

/// Ada has `db/readonly` for two hours, by runs that are over.
async fn with_ada() -> Team {
    let team = Team::new().await;
    team.run().await;
    let pull = team.request("ada", "db/ada-incident", &grant("ada", "readonly", "2h"));
    team.approve(pull, "grace");
    team.run_later(minutes(5)).await;
    assert_eq!(team.world.holders("reader"), ["ada"]);
    team
}

fn git(team: &Team) -> Repository {
    Repository::open(team.world.repository_path()).unwrap()
}

fn tip(team: &Team) -> Oid {
    git(team).refname_to_id(EVIDENCE).unwrap()
}

fn move_to(team: &Team, commit: Oid) {
    git(team)
        .reference(EVIDENCE, commit, true, "moved")
        .unwrap();
}

/// A run that finds the evidence cut, and gives nothing by what stands approved.
async fn assert_found(team: &Team) {
    let pull = team.request(
        "linus",
        "db/linus-incident",
        &grant("linus", "readonly", "1h"),
    );
    team.approve(pull, "grace");
    team.world.clock.advance(minutes(5));
    let done = team.try_run().await.unwrap();
    assert_wants(&done, &["was cut or rewritten", "hallpass/notes"]);
    assert!(!team.world.is_merged(pull), "nothing is merged");
    assert_eq!(team.world.vault.effects(), ["+reader ada"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn evidence_that_was_deleted_between_two_runs_disowns_nothing() {
    let team = with_ada().await;
    let whole = tip(&team);
    git(&team)
        .find_reference(EVIDENCE)
        .unwrap()
        .delete()
        .unwrap();
    // However often it is looked at: what a run leaves behind vouches for nothing less.
    assert_found(&team).await;
    team.world.clock.advance(minutes(5));
    let again = team.try_run().await.unwrap();
    assert!(!again.attention.is_empty());
    assert!(
        git(&team).find_reference(EVIDENCE).is_err(),
        "nothing is written there"
    );

    move_to(&team, whole);
    team.run_later(minutes(120)).await;
    assert_eq!(
        team.world.vault.effects()[..2],
        ["+reader ada", "-reader ada"]
    );
    team.run_later(minutes(70)).await;
    assert!(team.world.holders("reader").is_empty());
    team.assert_evidence_is_whole();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_left_of_evidence_that_was_cut_still_ends_what_is_due() {
    let team = with_ada().await;
    let kept = tip(&team);
    let pull = team.request("mei", "db/mei-incident", &grant("mei", "support", "2h"));
    team.approve(pull, "grace");
    team.run_later(minutes(5)).await;
    let effects = team.world.vault.effects();
    move_to(&team, kept);
    team.world.clock.advance(minutes(120));
    let done = team.try_run().await.unwrap();
    assert!(!done.attention.is_empty());
    assert!(team.world.holders("reader").is_empty(), "{effects:?}");
    assert_eq!(tip(&team), kept, "nothing is written behind a cut");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_earlier_key_vouches_for_ends_after_that_key_is_gone() {
    let mut team = with_ada().await;
    let (other, first) = (Team::new().await, team.public.clone());
    team.previous = Some(team.key.clone());
    team.key = other.key.clone();
    team.run_later(minutes(5)).await;
    let pull = team.request(
        "linus",
        "db/linus-incident",
        &grant("linus", "support", "4h"),
    );
    team.approve(pull, "grace");
    team.run_later(minutes(5)).await;

    team.previous = None;
    team.world.clock.advance(minutes(5));
    let done = team.try_run().await.unwrap();
    assert_wants(&done, &["signed by no key that is known"]);

    team.earlier = vec![first];
    team.run_later(minutes(106)).await;
    assert!(team.world.holders("reader").is_empty());
    team.run_later(minutes(5)).await;
    assert!(!team.stands("db/ada-incident"));
    team.assert_evidence_is_whole();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_history_by_an_earlier_key_alone_is_for_a_person_to_vouch_for() {
    let mut team = with_ada().await;
    let (other, first) = (Team::new().await, team.public.clone());
    // Whoever has a key that leaked once could write such a history, and put it there.
    team.key = other.key.clone();
    team.earlier = vec![first];
    team.world.clock.advance(minutes(5));
    let done = team.try_run().await.unwrap();
    assert_wants(&done, &["signed by no key that is known"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn notes_alone_do_not_keep_a_new_team_from_beginning() {
    let team = Team::new().await;
    let written = [Change::write(
        file("db/ada-incident"),
        grant("ada", "readonly", "1h"),
    )];
    let sandbox = &team.world.sandbox;
    sandbox
        .push("mallory", REPO, "hallpass/notes", &written, "Notes")
        .unwrap();
    team.run().await;
    let pull = team.request("ada", "db/ada-real", &grant("ada", "readonly", "1h"));
    team.approve(pull, "grace");
    team.run_later(minutes(5)).await;
    assert_eq!(team.world.holders("reader"), ["ada"]);
}
