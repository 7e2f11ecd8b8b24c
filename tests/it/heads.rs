//! Pull requests with the same head: the forge has one check for all of them, and it says the worst.

use hallpass::domain::model::PullNumber;
use hallpass::domain::report::{CheckStatus, Voice, speaker};
use hallpass::sandbox::Change;

use crate::scenario::{hearing_and_deaf, hearing_and_deaf_with};
use crate::world::{DB, Ears, REPO, World, file, grant};

const NAME: &str = "db/ada-incident";
const COPY: &str = "copy";

/// Somebody opens another pull request with the head of `pull`, as a draft.
async fn beside(world: &World, who: &str, pull: PullNumber) -> PullNumber {
    let head = world.sandbox.pull(REPO, pull).head_sha;
    let git = git2::Repository::open(world.repository_path()).unwrap();
    let head = git2::Oid::from_str(&head).unwrap();
    git.reference(&format!("refs/heads/{COPY}"), head, true, "copied")
        .unwrap();
    let copy = world
        .sandbox
        .open_draft(who, REPO, COPY, "main", "The same");
    let copy = copy.unwrap();
    world.settle().await;
    copy
}

/// A request that grace has approved, and which people are to merge.
async fn approved(world: &World) -> PullNumber {
    let text = grant("ada", "readonly", "2h");
    let pull = world.request("ada", NAME, &text).await;
    world.approve(pull, "grace").await;
    assert_eq!(world.conclusion(pull), "success");
    pull
}

const PEOPLE_MERGE: &str = "merge = \"off\"\nmerge_reverts = true";

#[tokio::test(flavor = "multi_thread")]
async fn the_check_of_a_commit_says_the_worst_and_of_which_pull_request_until_that_is_closed() {
    hearing_and_deaf_with(PEOPLE_MERGE, async |world| {
        let pull = approved(world).await;
        let own = world.check(pull);
        let copy = beside(world, "mallory", pull).await;
        let shared = world.check(pull);
        assert_eq!(shared.status, "in_progress");
        assert!(
            shared.title.starts_with(&format!("#{copy}: ")),
            "{}",
            shared.title
        );
        for told in [
            format!("#{pull}. A check"),
            format!("If #{copy} is not wanted, close it"),
        ] {
            assert!(shared.summary.contains(&told), "{}", shared.summary);
        }
        // Whoever is looked at again leaves it as it is.
        world.sandbox.reset_calls();
        world.advance(chrono::TimeDelta::minutes(11)).await;
        world.resync().await;
        let calls = world.sandbox.calls();
        assert!(
            !calls.keys().any(|call| call.contains("check-runs")),
            "{calls:?}"
        );
        world.sandbox.close_pull("mallory", REPO, copy).unwrap();
        world.settle().await;
        let alone = world.check(pull);
        assert_eq!(alone.conclusion.as_deref(), Some("success"));
        assert_eq!(alone.title, own.title);
        assert!(!alone.summary.contains("not wanted"), "{}", alone.summary);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_was_closed_unheard_speaks_no_longer() {
    let world = World::new(Ears::Deaf, PEOPLE_MERGE).await;
    // What asks for no access is noted nowhere else.
    let change = Change::write(
        "access/resources/db.yaml",
        DB.replace("Schema", "All schema"),
    );
    let pull = world.propose("ada", &[change]).await;
    world.approve(pull, "mei").await;
    let own = world.conclusion(pull);
    assert_eq!(own, "success");
    let copy = beside(&world, "mallory", pull).await;
    assert!(world.check(pull).title.starts_with(&format!("#{copy}: ")));
    world.sandbox.close_pull("mallory", REPO, copy).unwrap();
    world.settle().await;
    assert_eq!(world.conclusion(pull), own);
    assert!(!world.check(pull).title.contains('#'));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pull_request_that_gets_another_head_lets_the_others_speak() {
    hearing_and_deaf_with(PEOPLE_MERGE, async |world| {
        let pull = approved(world).await;
        beside(world, "mallory", pull).await;
        assert_eq!(world.conclusion(pull), "in_progress");
        let more = Change::write(file(NAME), grant("ada", "readonly", "1h"));
        world
            .sandbox
            .push("mallory", REPO, COPY, &[more], "Shorter")
            .unwrap();
        world.settle().await;
        assert_eq!(world.conclusion(pull), "success");
        assert!(!world.check(pull).title.contains('#'));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_aims_at_another_branch_does_not_speak_for_what_aims_at_the_protected_one() {
    hearing_and_deaf(async |world| {
        let pull = world
            .request("ada", NAME, &grant("ada", "readonly", "2h"))
            .await;
        let own = world.check(pull);
        let branch = world.sandbox.pull(REPO, pull).head;
        world
            .sandbox
            .push("root", REPO, "playground", &[], "Play")
            .unwrap();
        world
            .sandbox
            .open_pull("mallory", REPO, &branch, "playground", "The same", "")
            .unwrap();
        world.settle().await;
        let check = world.check(pull);
        assert_eq!((check.status, check.title), (own.status, own.title));
        assert_eq!(check.summary, own.summary);
    })
    .await;
}

#[test]
fn the_worst_speaks_of_equals_the_oldest_and_elsewhere_only_where_nobody_is_here() {
    use CheckStatus::{Failure, InProgress, Neutral, Success};
    let here = |pull: u64, status: CheckStatus| Voice {
        pull: PullNumber(pull),
        here: true,
        status,
    };
    let elsewhere = Voice {
        here: false,
        ..here(9, Failure)
    };
    let who = |voices: &[Voice]| speaker(voices).map(|voice| voice.pull.0);
    assert_eq!(who(&[]), None);
    assert_eq!(who(&[elsewhere]), Some(9));
    assert_eq!(who(&[here(1, Success), elsewhere]), Some(1));
    assert_eq!(who(&[here(1, Success), here(2, Neutral)]), Some(2));
    assert_eq!(who(&[here(1, Neutral), here(2, InProgress)]), Some(2));
    assert_eq!(who(&[here(1, InProgress), here(2, Failure)]), Some(2));
    assert_eq!(who(&[here(2, Failure), here(1, Failure)]), Some(1));
}
