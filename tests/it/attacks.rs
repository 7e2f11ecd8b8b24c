//! Attacks that a repository writer, a requester, an administrator, a provider or a clock can try. Each was possible once; the
//! label (AC, F) is the one of the catalogue of threats.

use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;
use hallpass::domain::model::GrantPath;
use hallpass::sandbox::{Change, Down, MergeMethod, Verdict};
use hallpass::worker::Resync;
use tokio_util::sync::CancellationToken;

use crate::audit::Desk;
use crate::vault::Fault;
use crate::world::{Ears, REPO, World, file, grant};

/// AC-20: a later approval on the merged pull request does not heal it, however late the service looks.
#[tokio::test(flavor = "multi_thread")]
async fn an_approval_given_after_the_merge_counts_for_nothing_even_if_the_service_looks_later() {
    let mut world = World::hearing().await;
    let pull = world
        .request("ada", "db/ada-incident", &grant("ada", "readonly", "2h"))
        .await;
    world.stop().await;
    world.sandbox.deaf(true);
    world
        .sandbox
        .merge_as_admin("root", REPO, pull, MergeMethod::Merge)
        .unwrap();
    world.clock.advance(TimeDelta::minutes(1));
    world
        .sandbox
        .review("grace", REPO, pull, Verdict::Approve, "Looks fine.")
        .unwrap();
    world.start().await;
    world
        .service()
        .worker()
        .run_once(Resync::Everything)
        .await
        .unwrap();
    world.settle().await;
    assert_eq!(world.vault.calls(), 0, "{:?}", world.ledger().await);
    assert_eq!(world.told("merged-without-proof").len(), 1);
}

/// AC-28: an owner's name on a pull request is no leave for others to end everybody's access through it.
#[tokio::test(flavor = "multi_thread")]
async fn somebody_who_pushes_to_an_owners_pull_request_cannot_end_anothers_access() {
    let world = World::hearing().await;
    let pull = world
        .request("ada", "db/ada-incident", &grant("ada", "readonly", "2h"))
        .await;
    world.approve(pull, "grace").await;
    assert_eq!(world.holders("reader"), ["ada"]);

    let pull = world
        .request("grace", "db/grace-own", &grant("grace", "readonly", "2h"))
        .await;
    let branch = world.sandbox.pull(REPO, pull).head;
    let sabotage = [
        Change::delete(file("db/grace-own")),
        Change::delete(file("db/ada-incident")),
    ];
    world
        .sandbox
        .push("mallory", REPO, &branch, &sabotage, "Tidy up")
        .unwrap();
    world.settle().await;
    assert!(!world.is_merged(pull), "{:?}", world.check(pull));
    assert_eq!(world.holders("reader"), ["ada"]);
    world.approve(pull, "linus").await;
    assert!(world.is_merged(pull), "another owner may agree");
    assert!(world.holders("reader").is_empty());
}

/// Commits a grant file straight onto main with a committer date of the attacker's choice, as `git push` can.
fn push_with_date(world: &World, name: &str, text: &str, seconds: i64) {
    let git = git2::Repository::open(world.sandbox.repository_path(REPO)).unwrap();
    let main = git.refname_to_id("refs/heads/main").unwrap();
    let parent = git.find_commit(main).unwrap();
    let mut update = git2::build::TreeUpdateBuilder::new();
    let blob = git.blob(text.as_bytes()).unwrap();
    update.upsert(file(name), blob, git2::FileMode::Blob);
    let tree = update
        .create_updated(&git, &parent.tree().unwrap())
        .unwrap();
    let tree = git.find_tree(tree).unwrap();
    let when = git2::Time::new(seconds, 0);
    let who = git2::Signature::new("mallory", "m@example.org", &when).unwrap();
    git.commit(
        Some("refs/heads/main"),
        &who,
        &who,
        "Nothing",
        &tree,
        &[&parent],
    )
    .unwrap();
}

/// AC-13, AC-21: both dates of a commit are free text.
#[tokio::test(flavor = "multi_thread")]
async fn the_date_of_a_pushed_commit_neither_hides_nor_crashes_anything() {
    // The year 2100; the last second that a date can have; before there was git.
    for seconds in [4_102_444_800, 8_210_266_876_799, -5] {
        let world = World::new(Ears::Deaf, "").await;
        push_with_date(
            &world,
            "db/mallory",
            &grant("ada", "readonly", "2h"),
            seconds,
        );
        world.settle().await;
        world.advance(TimeDelta::minutes(5)).await;
        world.advance(TimeDelta::minutes(5)).await;
        assert_eq!(world.vault.calls(), 0);
        assert_eq!(world.ledger().await, ["db/mallory denied"], "{seconds}");
        assert_eq!(world.told("merged-without-proof").len(), 1, "{seconds}");
    }
}

/// AC-21: a date in the past does not cost a merge that the forge still has to connect with its pull request its time.
#[tokio::test(flavor = "multi_thread")]
async fn a_commit_with_an_old_date_is_not_denied_before_the_forge_had_its_time() {
    let world = World::new(Ears::Deaf, "").await;
    push_with_date(&world, "db/ada-late", &grant("ada", "readonly", "2h"), 0);
    world.settle().await;
    assert_eq!(world.ledger().await, ["db/ada-late arrived"]);
}

/// AC-74, F9: a call that perhaps had its effect is no longer held than a term that certainly began.
#[tokio::test(flavor = "multi_thread")]
async fn a_grant_that_never_answered_ends_on_time_without_the_forge() {
    let world = World::hearing().await;
    let pull = world
        .request("ada", "db/ada-incident", &grant("ada", "readonly", "10m"))
        .await;
    world.vault.fail([Fault::After; 40]);
    world.approve(pull, "grace").await;
    for doubling in 0..9 {
        world.advance(TimeDelta::seconds(1 << doubling)).await;
    }
    assert_eq!(world.ledger().await, ["db/ada-incident granting"]);
    assert_eq!(world.holders("reader"), ["ada"]);
    world.sandbox.down(Down::Unavailable);
    world.advance(TimeDelta::seconds(600 - 511)).await;
    assert!(world.holders("reader").is_empty());
}

/// Whoever had access has it in the evidence, though nobody knew of it before it was over.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_given_without_an_answer_is_told_as_given_when_it_ends_before_the_next_call() {
    let world = World::hearing().await;
    let pull = world
        .request("ada", "db/ada-incident", &grant("ada", "readonly", "2h"))
        .await;
    world.vault.fail([Fault::After]);
    world.approve(pull, "grace").await;
    assert_eq!(world.ledger().await, ["db/ada-incident granting"]);
    let gone = Change::delete(file("db/ada-incident"));
    world.propose("ada", &[gone]).await;
    assert_eq!(world.ledger().await, ["db/ada-incident ended"]);
    assert_eq!(world.vault.effects(), ["+reader ada", "-reader ada"]);
    for kind in ["granted", "revoked"] {
        assert_eq!(world.told(kind).len(), 1, "{kind}");
    }
    let (code, said) = Desk::of(&world).verify(&[]);
    assert_eq!(code, 0, "{said}");

    // What was never given is not told as given.
    let pull = world
        .request("ada", "db/ada-again", &grant("ada", "readonly", "2h"))
        .await;
    world.vault.fail([Fault::Before]);
    world.approve(pull, "grace").await;
    assert_eq!(world.ledger().await[0], "db/ada-again granting");
    let gone = Change::delete(file("db/ada-again"));
    world.propose("ada", &[gone]).await;
    assert_eq!(world.told("granted").len(), 1);
    assert_eq!(world.vault.effects().len(), 2);
}

/// AC-25, AC-27: what went and came back between two looks ended when it went.
#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_was_deleted_and_came_back_unseen_no_longer_holds_its_access() {
    let mut world = World::hearing().await;
    let text = grant("ada", "readonly", "2h");
    let pull = world.request("ada", "db/ada-incident", &text).await;
    world.approve(pull, "grace").await;
    assert_eq!(world.holders("reader"), ["ada"]);
    world.stop().await;
    world.sandbox.deaf(true);
    let path = file("db/ada-incident");
    for change in [Change::delete(path.clone()), Change::write(path, &text)] {
        world
            .sandbox
            .push_to_main("root", REPO, &[change], "By hand")
            .unwrap();
    }
    world.start().await;
    world
        .service()
        .worker()
        .run_once(Resync::Everything)
        .await
        .unwrap();
    assert!(
        world.holders("reader").is_empty(),
        "{:?}",
        world.ledger().await
    );
    world.advance(TimeDelta::minutes(5)).await;
    assert_eq!(
        world.ledger().await,
        ["db/ada-incident denied", "db/ada-incident ended"]
    );
    assert!(GrantPath::new(file("db/ada-incident")).is_ok());
}

/// AC-88, F15: a target that hangs delays only itself.
#[tokio::test(flavor = "multi_thread")]
async fn a_target_that_hangs_keeps_nobody_elses_access_alive() {
    let world = World::hearing().await;
    for (name, role, term) in [
        ("db/ada-incident", "readonly", "1h"),
        ("crew/ada-mail", "reader", "2h"),
    ] {
        let pull = world.request("ada", name, &grant("ada", role, term)).await;
        world.approve(pull, "grace").await;
    }
    assert_eq!(world.sandbox.team_members("readers").len(), 1);
    let stop = CancellationToken::new();
    world.vault.hangs(true);
    let worker = Arc::clone(world.service().worker());
    let running = tokio::spawn({
        let stop = stop.clone();
        async move { worker.run(stop).await }
    });
    // The vault's grant ends first and hangs; the team's is due while it hangs.
    world.clock.advance(TimeDelta::hours(1));
    tokio::time::sleep(Duration::from_secs(1)).await;
    world.clock.advance(TimeDelta::hours(1));
    for _ in 0..150 {
        if world.sandbox.team_members("readers").is_empty() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert!(world.sandbox.team_members("readers").is_empty());
    assert_eq!(world.holders("reader"), ["ada"]);
    stop.cancel();
    world.vault.hangs(false);
    running.abort();
}

/// AC-74: what is about to be given is written down before the target is called, so that it is answered for whatever comes then.
#[tokio::test(flavor = "multi_thread")]
async fn while_a_target_is_called_the_ledger_says_for_what() {
    let world = World::hearing().await;
    let pull = world
        .request("ada", "db/ada-incident", &grant("ada", "readonly", "2h"))
        .await;
    world.vault.hangs(true);
    let look = async {
        while world.vault.hanging() == 0 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let meanwhile = world.ledger().await;
        world.vault.hangs(false);
        meanwhile
    };
    let ((), meanwhile) = tokio::join!(world.approve(pull, "grace"), look);
    assert_eq!(meanwhile, ["db/ada-incident granting"]);
    assert_eq!(world.holders("reader"), ["ada"]);
}

/// AC-87: what became due while the service was off goes before anything new is given.
#[tokio::test(flavor = "multi_thread")]
async fn a_start_takes_away_what_is_overdue_before_it_looks_at_anything() {
    let mut world = World::new(Ears::Hearing, "merge = \"off\"").await;
    let mut asked = Vec::new();
    for who in ["ada", "linus"] {
        let text = grant(who, "readonly", "2h");
        let pull = world.request(who, &format!("db/{who}"), &text).await;
        world.approve(pull, "grace").await;
        asked.push(pull);
    }
    world.merge_as_admin(asked[0], MergeMethod::Merge).await;
    world.stop().await;
    world.clock.advance(TimeDelta::hours(3));
    let sandbox = &world.sandbox;
    sandbox
        .merge_as_admin("root", REPO, asked[1], MergeMethod::Merge)
        .unwrap();
    world.start().await;
    let worker = world.service().worker();
    worker.run_once(Resync::Everything).await.unwrap();
    let effects = ["+reader ada", "-reader ada", "+reader linus"];
    assert_eq!(world.vault.effects(), effects);
    // Not even the branch was looked at before.
    let told = world.evidence();
    let last = |kind| told.iter().rposition(|message| message.contains(kind));
    assert!(last("Event: revoked") < last("Event: landed"), "{told:#?}");
}

/// AC-80: what was taken and is still there by another way is not over, and is asked for until it is.
#[tokio::test(flavor = "multi_thread")]
async fn access_that_goes_on_by_another_way_is_not_over() {
    let world = World::hearing().await;
    let pull = world
        .request("ada", "db/ada-incident", &grant("ada", "readonly", "10m"))
        .await;
    world.approve(pull, "grace").await;
    world.vault.leads_through(Some("the group admins"));
    world.advance(TimeDelta::minutes(10)).await;
    assert_eq!(world.ledger().await, ["db/ada-incident revoking"]);
    assert!(world.told("revoked").is_empty());
    let said = world.entries().await.remove(0).last_error.unwrap();
    assert!(said.contains("the group admins"), "{said}");
    world.vault.leads_through(None);
    world.advance(TimeDelta::hours(1)).await;
    assert_eq!(world.ledger().await, ["db/ada-incident ended"]);
    assert_eq!(world.told("revoked").len(), 1);
}

/// AC-01: whoever a pull request names in CODEOWNERS owns nothing before it is merged.
#[tokio::test(flavor = "multi_thread")]
async fn owners_that_a_pull_request_names_do_not_approve_it() {
    let world = World::hearing().await;
    let owners = Change::write(".github/CODEOWNERS", "* @linus\n");
    let pull = world.propose("mallory", &[owners]).await;
    world.approve(pull, "linus").await;
    assert_eq!(world.conclusion(pull), "in_progress");
    world.approve(pull, "mei").await;
    assert_eq!(world.conclusion(pull), "success");
}

/// AC-88, F25: a bug that one target brings to light stops nobody else.
#[tokio::test(flavor = "multi_thread")]
async fn a_panic_stops_only_what_it_happened_in() {
    let world = World::hearing().await;
    let pull = world
        .request("ada", "db/ada-incident", &grant("ada", "readonly", "2h"))
        .await;
    world.vault.panics(true);
    world.approve(pull, "grace").await;
    assert!(world.is_merged(pull));
    let other = world
        .request("linus", "db/linus-own", &grant("linus", "readonly", "2h"))
        .await;
    assert_eq!(world.conclusion(other), "in_progress");
    world.vault.panics(false);
    world.advance(TimeDelta::minutes(1)).await;
    assert_eq!(world.holders("reader"), ["ada"]);
}

/// AC-29: more files than a request may have are refused as one, and leave one line of evidence rather than hundreds.
#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_requests_is_one_denial() {
    let world = World::hearing().await;
    let changes: Vec<Change> = (0..60)
        .map(|n| {
            let text = grant("ada", "readonly", "1h");
            Change::write(file(&format!("db/ada-{n}")), text)
        })
        .collect();
    let pull = world.propose("mallory", &changes).await;
    assert_eq!(world.conclusion(pull), "failure");
    assert!(world.check(pull).annotations.len() <= 200);
    assert!(world.told("requested").is_empty());
    assert_eq!(world.told("denied").len(), 1);
}
