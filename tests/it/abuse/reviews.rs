//! Approvals that were given for something else, by somebody else, at another time, or not at all.

use chrono::TimeDelta;
use hallpass::domain::decision::{Admission, Outcome};
use hallpass::domain::model::{Actor, ActorKind, CommitId};
use hallpass::domain::pull::{Lookup, Pushers, ReviewState};
use hallpass::sandbox::{AppSpec, Change, KNOWN_KEY, MergeMethod, Verdict};
use proptest::prelude::*;

use super::{fate, gives};
use crate::approval::scene::{FILE, Scene, actor, commit};
use crate::decision::office::{WANTED, failed, request, verdict};
use crate::scenario::{hearing_and_deaf, hearing_and_deaf_with};
use crate::world::{Ears, REPO, World, file, grant};

const NAME: &str = "db/ada-incident";

#[tokio::test(flavor = "multi_thread")]
async fn ac_04_a_push_after_the_approval_voids_it() {
    // A byte, a mode, a path: whatever the push changes.
    let wanted = grant("ada", "readonly", "2h");
    let executable = Change::WriteMode {
        path: file(NAME),
        content: wanted.clone().into_bytes(),
        mode: 0o100_755,
    };
    let moved = [
        Change::delete(file(NAME)),
        Change::write(file("db/ada-other"), &wanted),
    ];
    let pushes: [&[Change]; 3] = [
        &[Change::write(file(NAME), wanted.replace("2h", "3h"))],
        &[executable],
        &moved,
    ];
    for push in pushes {
        hearing_and_deaf_with("merge = \"off\"", async |world| {
            let pull = world.request("ada", NAME, &wanted).await;
            world.approve(pull, "grace").await;
            assert_eq!(world.conclusion(pull), "success");
            let view = world.sandbox.pull(REPO, pull);
            world
                .sandbox
                .force_push("ada", REPO, &view.head, &view.head_sha, push, "More")
                .unwrap();
            world.settle().await;
            assert_ne!(world.conclusion(pull), "success", "{push:?}");
            world.merge_as_admin(pull, MergeMethod::Squash).await;
            assert_eq!(world.vault.calls(), 0, "{push:?}");
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn ac_05_a_review_that_names_an_older_commit_counts_only_for_what_stood_there() {
    hearing_and_deaf(async |world| {
        let pull = world
            .request("ada", NAME, &grant("ada", "readonly", "2h"))
            .await;
        let first = CommitId::new(world.sandbox.pull(REPO, pull).head_sha).unwrap();
        world
            .push("ada", pull, NAME, &grant("ada", "readonly", "8h"))
            .await;
        world
            .sandbox
            .review_at("grace", REPO, pull, Verdict::Approve, "Two hours", &first)
            .unwrap();
        world.settle().await;
        assert_eq!(world.conclusion(pull), "in_progress");
        // A commit of the repository that is no part of the pull request shows nothing of it.
        let main = crate::world::main_tip(world);
        world
            .sandbox
            .review_at("linus", REPO, pull, Verdict::Approve, "Any", &main)
            .unwrap();
        world.settle().await;
        assert_eq!(world.conclusion(pull), "in_progress");
        // The same content at another commit is the same content.
        world
            .push("ada", pull, NAME, &grant("ada", "readonly", "2h"))
            .await;
        assert_eq!(world.holders("reader"), ["ada"]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ac_06_a_clean_update_keeps_the_approval_and_one_that_adds_a_line_does_not() {
    for evil in [false, true] {
        hearing_and_deaf_with("merge = \"off\"", async |world| {
            let wanted = grant("ada", "readonly", "2h");
            let pull = world.request("ada", NAME, &wanted).await;
            world.approve(pull, "grace").await;
            let readme = [Change::write("README.md", "Moved on.\n")];
            world
                .sandbox
                .push_to_main("root", REPO, &readme, "Move on")
                .unwrap();
            let branch = world.sandbox.pull(REPO, pull).head;
            if evil {
                let merge = evil_merge(world, &branch, &wanted.replace("2h", "8h"));
                world
                    .sandbox
                    .force_push("mallory", REPO, &branch, &merge, &[], "Update branch")
                    .unwrap();
            } else {
                world
                    .sandbox
                    .merge_into("mallory", REPO, &branch, "main")
                    .unwrap();
            }
            world.settle().await;
            let expected = if evil { "in_progress" } else { "success" };
            assert_eq!(world.conclusion(pull), expected);
            world.merge_as_admin(pull, MergeMethod::Merge).await;
            assert_eq!(world.holders("reader").is_empty(), evil);
        })
        .await;
    }
}

/// Merges main into a branch as the conflict editor does, with another text for the grant.
fn evil_merge(world: &World, branch: &str, text: &str) -> String {
    let git = git2::Repository::open(world.sandbox.repository_path(REPO)).unwrap();
    let tip = |name: &str| {
        let id = git.refname_to_id(&format!("refs/heads/{name}")).unwrap();
        git.find_commit(id).unwrap()
    };
    let (ours, theirs) = (tip(branch), tip("main"));
    let mut update = git2::build::TreeUpdateBuilder::new();
    let blob = git.blob(text.as_bytes()).unwrap();
    update.upsert(file(NAME), blob, git2::FileMode::Blob);
    let tree = update
        .create_updated(&git, &theirs.tree().unwrap())
        .unwrap();
    let tree = git.find_tree(tree).unwrap();
    let who = git2::Signature::new("ada", "a@example.org", &git2::Time::new(0, 0)).unwrap();
    git.commit(None, &who, &who, "Merge main", &tree, &[&ours, &theirs])
        .unwrap()
        .to_string()
}

#[test]
fn ac_13_who_pushed_does_not_approve_and_in_doubt_nobody_does() {
    let mut scene = request();
    scene.approves("grace");
    assert!(gives(&scene));
    scene.pull.pushers = Pushers::Known([actor("octocat").id, actor("grace").id].into());
    assert!(!gives(&scene));
    scene.pull.pushers = Pushers::Unknown("the list is behind".to_owned());
    assert!(matches!(fate(&scene).0, Outcome::Uncertain(_)));
    assert!(!gives(&scene));
    // Another owner, who did not push, is enough.
    scene.pull.pushers = Pushers::Known([actor("octocat").id, actor("grace").id].into());
    scene.approves("heidi");
    assert!(gives(&scene));
}

#[tokio::test(flavor = "multi_thread")]
async fn ac_13_a_reviewer_who_applies_a_suggestion_of_their_own_does_not_count() {
    // Hearing and deaf: who pushed is read from the forge's record, not from a delivery that may be lost.
    hearing_and_deaf(async |world| {
        let pull = world
            .request("ada", NAME, &grant("ada", "readonly", "2h"))
            .await;
        world
            .push("grace", pull, NAME, &grant("ada", "readonly", "4h"))
            .await;
        world.approve(pull, "grace").await;
        // Pushed over by somebody else: what the branch held before stays known.
        let view = world.sandbox.pull(REPO, pull);
        world
            .sandbox
            .force_push("ada", REPO, &view.head, &view.head_sha, &[], "Nothing")
            .unwrap();
        world.settle().await;
        assert_eq!(world.conclusion(pull), "in_progress");
        assert_eq!(world.vault.calls(), 0);
    })
    .await;
}

/// What can become of an owner between two looks.
type Flip = (&'static str, fn(&mut Scene));

fn flips() -> [Flip; 5] {
    [
        ("left the team", |s| {
            s.staff("dba", &["heidi"]);
        }),
        ("the team can only read", |s| {
            if let Lookup::Found(team) = s.team("dba") {
                team.can_write = false;
            }
        }),
        ("the team is gone", |s| *s.team("dba") = Lookup::Absent),
        ("became an app", |s| {
            if let Lookup::Found(team) = s.team("dba") {
                team.members[0].kind = ActorKind::Bot;
            }
        }),
        ("cannot be looked up", |s| failed(s, "dba")),
    ]
}

#[test]
fn ac_14_an_approver_who_is_none_at_any_later_look_does_not_count() {
    for (what, flip) in flips() {
        let mut scene = request();
        scene.approves("grace");
        flip(&mut scene);
        let (open, merged) = fate(&scene);
        if what == "cannot be looked up" {
            assert!(matches!(open, Outcome::Uncertain(_)), "{open:?}");
            assert!(matches!(merged, Some(Admission::Unknown(_))), "{merged:?}");
        } else {
            assert!(
                matches!(open, Outcome::Waiting | Outcome::Denied),
                "{what}: {open:?}"
            );
            assert!(matches!(merged, Some(Admission::Unapproved(_))), "{what}");
        }
    }
    // A new name is no new person.
    let mut scene = request();
    scene.approves("grace");
    if let Lookup::Found(team) = scene.team("dba") {
        team.members[0] = Actor {
            login: crate::approval::scene::login("grace-married"),
            ..actor("grace")
        };
    }
    assert!(gives(&scene));
}

#[tokio::test(flavor = "multi_thread")]
async fn ac_14_membership_is_asked_for_again_before_the_target_is_called() {
    hearing_and_deaf(async |world| {
        let text = format!(
            "{}starts: 2026-11-23T12:00:00Z\n",
            grant("ada", "readonly", "2h")
        );
        let pull = world.request("ada", NAME, &text).await;
        world.approve(pull, "grace").await;
        assert!(world.is_merged(pull));
        world.sandbox.expel("grace");
        world.advance(TimeDelta::hours(3)).await;
        assert_eq!(world.vault.calls(), 0);
    })
    .await;
}

use ReviewState::{
    Approved, ChangesRequested, Commented, Dismissed, ObjectionDismissed, Pending, Unknown,
};

#[test]
fn ac_16_the_last_word_of_a_reviewer_counts_and_nothing_comes_back_to_life() {
    let words = [
        Approved,
        ChangesRequested,
        Commented,
        Dismissed,
        ObjectionDismissed,
        Pending,
        Unknown,
    ];
    let mut sequences = 0;
    for first in words {
        for second in words {
            for third in words {
                let said = [first, second, third];
                let mut scene = request();
                for state in said {
                    scene.reviews("grace", state);
                }
                // The model: comments and drafts say nothing; what is left last decides.
                let last = said.iter().rfind(|s| !matches!(s, Commented | Pending));
                assert_eq!(gives(&scene), last == Some(&Approved), "{said:?}");
                // An objection without an approval after it blocks what another owner approves.
                let objection = said
                    .iter()
                    .rposition(|s| matches!(s, ChangesRequested | ObjectionDismissed | Unknown));
                let approval = said.iter().rposition(|s| *s == Approved);
                scene.approves("heidi");
                assert_eq!(gives(&scene), objection <= approval, "{said:?}, heidi");
                sequences += 1;
            }
        }
    }
    assert_eq!(sequences, 343);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn ac_18_no_text_of_a_comment_or_of_a_request_for_changes_approves(body in "(/approve|LGTM|:\\+1:|APPROVED|hallpass approve|.){0,6}") {
        let mut scene = request();
        for state in [Commented, Pending, ChangesRequested] {
            scene.reviews("grace", state).last().body.clone_from(&body);
        }
        scene.pull.title.clone_from(&body);
        scene.pull.head_branch = body;
        prop_assert!(!gives(&scene));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn ac_18_comments_are_never_even_read() {
    let world = World::hearing().await;
    world.sandbox.reset_calls();
    let pull = world
        .request("ada", NAME, &grant("ada", "readonly", "2h"))
        .await;
    for body in ["/approve", "/lgtm", "hallpass approve", "\u{1f44d}"] {
        world.review(pull, "grace", Verdict::Comment, body).await;
    }
    assert_eq!(world.vault.calls(), 0);
    assert_eq!(world.conclusion(pull), "in_progress");
    world.approve(pull, "grace").await;
    assert_eq!(world.holders("reader"), ["ada"]);
    let calls = world.sandbox.calls();
    assert!(
        !calls.keys().any(|call| call.contains("comments")),
        "{calls:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn ac_19_a_check_that_somebody_else_publishes_under_our_name_says_nothing() {
    hearing_and_deaf(async |world| {
        world.sandbox.reset_calls();
        let forger = forger(world);
        let pull = world
            .request("ada", NAME, &grant("ada", "readonly", "2h"))
            .await;
        let head = world.sandbox.pull(REPO, pull).head_sha;
        let forged = serde_json::json!({
            "name": "hallpass", "head_sha": head, "status": "completed", "conclusion": "success",
            "output": { "title": "Approved by @grace", "summary": "All is well" },
        });
        let route = format!("/repos/acme/{REPO}/check-runs");
        let _: serde_json::Value = forger.post(route, Some(&forged)).await.unwrap();
        world.settle().await;
        world.resync().await;
        assert!(!world.is_merged(pull));
        world.merge_as_admin(pull, MergeMethod::Merge).await;
        assert_eq!(world.vault.calls(), 0);
        let calls = world.sandbox.calls();
        let statuses = calls.keys().filter(|call| call.contains("status"));
        assert_eq!(statuses.collect::<Vec<_>>(), [""; 0]);
    })
    .await;
}

/// Another App of the organisation, which may write checks.
fn forger(world: &World) -> octocrab::Octocrab {
    let spec = AppSpec {
        slug: "forger".to_owned(),
        ..AppSpec::hallpass(9_000, KNOWN_KEY)
    };
    world.sandbox.app(spec).unwrap();
    world.sandbox.installation(9_000, 9_001);
    let key = octocrab::jsonwebtoken::EncodingKey::from_rsa_pem(KNOWN_KEY.as_bytes()).unwrap();
    let app = octocrab::Octocrab::builder()
        .base_uri(world.sandbox.api_url())
        .unwrap()
        .app(9_000.into(), key)
        .build()
        .unwrap();
    app.installation(9_001.into()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn ac_17_a_request_for_changes_that_somebody_else_dismisses_still_blocks() {
    hearing_and_deaf(async |world| {
        let pull = world
            .request("ada", NAME, &grant("ada", "readonly", "2h"))
            .await;
        let objection = world
            .sandbox
            .review("grace", REPO, pull, Verdict::RequestChanges, "Not today.")
            .unwrap();
        world.settle().await;
        world
            .sandbox
            .dismiss_review("mallory", REPO, pull, objection)
            .unwrap();
        world.approve(pull, "linus").await;
        assert!(!world.is_merged(pull), "{:?}", world.check(pull));
        assert_eq!(world.vault.calls(), 0);
        // Only grace takes her word back.
        world.approve(pull, "grace").await;
        assert_eq!(world.holders("reader"), ["ada"]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ac_17_an_approval_that_was_dismissed_blocks_nobody() {
    hearing_and_deaf(async |world| {
        let pull = world
            .request("ada", "db/ada-migration", &grant("ada", "admin", "2h"))
            .await;
        let first = world
            .sandbox
            .review("grace", REPO, pull, Verdict::Approve, "Yes")
            .unwrap();
        world
            .sandbox
            .dismiss_review("mallory", REPO, pull, first)
            .unwrap();
        world.approve(pull, "linus").await;
        assert_eq!(world.conclusion(pull), "in_progress");
        world.approve(pull, "grace").await;
        assert_eq!(world.holders("admin"), ["ada"]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ac_07_an_approval_on_another_branch_is_not_carried_to_main() {
    for ears in [Ears::Hearing, Ears::Deaf] {
        let world = World::new(ears, "").await;
        // A branch whose CODEOWNERS make anybody an owner.
        let lax = [Change::write(".github/CODEOWNERS", "* @mallory\n")];
        world
            .sandbox
            .push("root", REPO, "lax", &lax, "Lax")
            .unwrap();
        let wanted = [Change::write(file(NAME), grant("ada", "readonly", "2h"))];
        world
            .sandbox
            .push("ada", REPO, "request", &wanted, "Please")
            .unwrap();
        let pull = world
            .sandbox
            .open_pull("ada", REPO, "request", "lax", "Please", "")
            .unwrap();
        world.settle().await;
        world.approve(pull, "mallory").await;
        assert_eq!(world.vault.calls(), 0);
        world.sandbox.retarget("ada", REPO, pull, "main").unwrap();
        world.settle().await;
        world.resync().await;
        // The refusal of before stays on the commit as an older check; the newest is the one that is shown.
        let head = world.sandbox.pull(REPO, pull).head_sha;
        let checks = world.sandbox.checks(REPO, &head);
        let newest = checks.iter().max_by_key(|c| c.id).unwrap();
        assert_eq!(newest.status, "in_progress", "mallory owns nothing on main");
        assert!(!world.is_merged(pull));
        world.merge_as_admin(pull, MergeMethod::Merge).await;
        assert_eq!(world.vault.calls(), 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn ac_07_an_owners_approval_of_a_harmless_branch_is_asked_for_again_on_main() {
    // The event of the retarget may be lost: what counts is where the pull request was seen to aim.
    for ears in [Ears::Hearing, Ears::Deaf] {
        let world = World::new(ears, "").await;
        world
            .sandbox
            .push("root", REPO, "playground", &[], "Play")
            .unwrap();
        let wanted = [Change::write(file(NAME), grant("ada", "readonly", "2h"))];
        world
            .sandbox
            .push("ada", REPO, "request", &wanted, "Please")
            .unwrap();
        let pull = world
            .sandbox
            .open_pull("ada", REPO, "request", "playground", "Please", "")
            .unwrap();
        world.settle().await;
        world.approve(pull, "grace").await;
        world.sandbox.retarget("ada", REPO, pull, "main").unwrap();
        world.settle().await;
        world.resync().await;
        assert!(!world.is_merged(pull), "{ears:?}");
        assert_eq!(world.vault.calls(), 0);
        world.clock.advance(TimeDelta::minutes(1));
        world.approve(pull, "grace").await;
        assert_eq!(world.holders("reader"), ["ada"], "{ears:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn ac_07_who_decides_is_approved_again_on_main_and_is_not_cleared_elsewhere() {
    for ears in [Ears::Hearing, Ears::Deaf] {
        let world = World::new(ears, "").await;
        let sandbox = &world.sandbox;
        sandbox
            .push("root", REPO, "playground", &[], "Play")
            .unwrap();
        let wanted = [Change::write(".github/CODEOWNERS", "* @mallory\n")];
        sandbox
            .push("mallory", REPO, "takeover", &wanted, "Please")
            .unwrap();
        let here = sandbox.open_pull("mallory", REPO, "takeover", "main", "Please", "");
        let here = here.unwrap();
        world.settle().await;
        assert_eq!(world.conclusion(here), "in_progress");
        // The same commit, where it is nobody's concern: the check of the commit stays what it is.
        let there = sandbox.open_pull("mallory", REPO, "takeover", "playground", "Play", "");
        let there = there.unwrap();
        world.settle().await;
        world.resync().await;
        let checks = sandbox.checks(REPO, &sandbox.pull(REPO, here).head_sha);
        let cleared = checks.iter().filter(|c| c.conclusion.is_some());
        assert_eq!(cleared.count(), 0, "{ears:?}");
        sandbox.close_pull("mallory", REPO, here).unwrap();
        // An owner says yes to the playground, and to nothing else.
        world.approve(there, "mei").await;
        sandbox.retarget("mallory", REPO, there, "main").unwrap();
        world.settle().await;
        world.resync().await;
        assert_ne!(world.conclusion(there), "success", "{ears:?}");
    }
}

#[test]
fn ac_50_an_approval_of_other_content_is_void_however_fresh() {
    let mut scene = request();
    scene.approves("grace").last().commit = Some(commit("earlier"));
    scene.shows("earlier", FILE, Some(&WANTED.replace("2h", "8h")));
    assert_eq!(verdict(&scene).outcome, Outcome::Waiting);
    assert!(!gives(&scene));
}
