//! What GitHub says about pull requests and owners, read as it is: doubt stays doubt.

use std::collections::BTreeSet;

use hallpass::domain::model::{ActorKind, Login, Owner, PullNumber, UserId};
use hallpass::domain::pull::{Lookup, Pull, PullState, Pushers, ReviewState};
use hallpass::forge::{Forge, ForgeError};
use serde_json::{Value, json};

use super::scripted::{Scripted, pull, push, said, user};

fn head() -> String {
    "a".repeat(40)
}

/// A server with one pull request, its reviews and the activity of its branch.
async fn with(pull: Value, reviews: Value, activity: Value) -> Scripted {
    Scripted::new(move |asked| {
        let path = asked.call.split('?').next().unwrap();
        match path.trim_start_matches("GET /repos/acme/access/") {
            "pulls/12" => Some(said(200, &pull)),
            "pulls/12/reviews" => Some(said(200, &reviews)),
            "activity" => Some(said(200, &activity)),
            _ => None,
        }
    })
    .await
}

async fn pushers(activity: Value) -> Pushers {
    let server = with(pull(&head()), json!([]), activity).await;
    server.github().pull(PullNumber(12)).await.unwrap().pushers
}

async fn reviewed(reviews: Value) -> Pull {
    let server = with(
        pull(&head()),
        reviews,
        json!([push("push", user(1, "octocat"), &head())]),
    )
    .await;
    server.github().pull(PullNumber(12)).await.unwrap()
}

#[tokio::test]
async fn a_pull_request_is_read_with_three_calls() {
    let server = with(
        pull(&head()),
        json!([]),
        json!([push("push", user(1, "octocat"), &head())]),
    )
    .await;
    let pull = server.github().pull(PullNumber(12)).await.unwrap();
    assert_eq!(pull.state, PullState::Open);
    assert_eq!(pull.author.unwrap().id, UserId(1));
    assert_eq!(server.calls().len(), 3);
    assert!(server.calls().contains(
        &"GET /repos/acme/access/activity?ref=refs%2Fheads%2Fada&per_page=100".to_owned()
    ));
}

#[tokio::test]
async fn everybody_who_pushed_in_whatever_way_is_a_pusher() {
    let found = pushers(json!([
        push("force_push", user(3, "mallory"), &head()),
        push("pr_merge", user(4, "eve"), &"c".repeat(40)),
        push("something_new", user(5, "trent"), &"c".repeat(40)),
        push("push", user(2, "grace"), &"d".repeat(40)),
        push("branch_creation", user(1, "octocat"), &"e".repeat(40)),
        push("branch_deletion", user(9, "walter"), &"0".repeat(40)),
    ]))
    .await;
    assert_eq!(found, Pushers::Known([1, 2, 3, 4, 5].map(UserId).into()));
}

#[tokio::test]
async fn a_pusher_whose_account_is_gone_leaves_the_pushers_unknown() {
    let found = pushers(json!([
        push("push", user(1, "octocat"), &head()),
        push("push", Value::Null, &"c".repeat(40))
    ]))
    .await;
    assert!(matches!(found, Pushers::Unknown(why) if why.contains("no longer exists")));
}

#[tokio::test]
async fn a_record_of_pushes_that_lags_behind_the_branch_leaves_the_pushers_unknown() {
    for stale in [
        json!([]),
        json!([push("push", user(1, "octocat"), &"c".repeat(40))]),
    ] {
        assert!(
            matches!(pushers(stale).await, Pushers::Unknown(why) if why.contains("aaaaaaaaaaaa"))
        );
    }
}

#[tokio::test]
async fn the_pushers_of_a_fork_are_unknown_and_the_way_out_is_named() {
    for fork in [json!({ "id": 6 }), Value::Null] {
        let mut forked = pull(&head());
        forked["head"]["repo"] = fork;
        let server = with(
            forked,
            json!([]),
            json!([push("push", user(1, "octocat"), &head())]),
        )
        .await;
        let pull = server.github().pull(PullNumber(12)).await.unwrap();
        assert!(pull.from_fork);
        assert!(
            matches!(pull.pushers, Pushers::Unknown(why) if why.contains("push the branch to this repository"))
        );
    }
}

#[tokio::test]
async fn a_failed_question_about_pushers_fails_the_whole_reading() {
    let server = Scripted::new(|asked| match asked.call.as_str() {
        "GET /repos/acme/access/pulls/12" => Some(said(200, &pull(&head()))),
        call if call.contains("activity") => Some(said(500, &json!({}))),
        call if call.contains("reviews") => Some(said(200, &json!([]))),
        _ => None,
    })
    .await;
    assert!(matches!(
        server.github().pull(PullNumber(12)).await,
        Err(ForgeError::Unavailable { .. })
    ));
}

#[tokio::test]
async fn reviews_come_oldest_first_by_when_they_were_submitted() {
    let review = |id: u64, at: &str| json!({ "id": id, "user": user(2, "grace"), "state": "COMMENTED", "commit_id": head(), "submitted_at": at });
    let pull = reviewed(json!([
        { "id": 1, "user": user(2, "grace"), "state": "PENDING", "commit_id": head() },
        review(2, "2026-11-24T11:30:00Z"),
        review(3, "2026-11-24T11:10:00Z"),
    ]))
    .await;
    assert_eq!(
        pull.reviews.iter().map(|r| r.id).collect::<Vec<_>>(),
        [3, 2, 1]
    );
}

/// The state of grace's dismissed review, where the pull request's history says this.
async fn dismissed(history: Value) -> ReviewState {
    let review =
        json!([{ "id": 5, "user": user(2, "grace"), "state": "DISMISSED", "commit_id": head() }]);
    let server = Scripted::new(move |asked| {
        let path = asked.call.split('?').next().unwrap();
        match path.trim_start_matches("GET /repos/acme/access/") {
            "pulls/12" => Some(said(200, &pull(&head()))),
            "pulls/12/reviews" => Some(said(200, &review)),
            "issues/12/events" => Some(said(200, &history)),
            "activity" => {
                let pushed = push("push", user(1, "octocat"), &head());
                Some(said(200, &json!([pushed])))
            }
            _ => None,
        }
    })
    .await;
    let pull = server.github().pull(PullNumber(12)).await.unwrap();
    pull.reviews[0].state
}

#[tokio::test]
async fn what_a_dismissed_review_said_stands_in_the_history() {
    let event = |by: Value, review: u64, state: &str| json!({ "event": "review_dismissed", "actor": by, "dismissed_review": { "review_id": review, "state": state } });
    let (grace, mallory) = (|| user(2, "grace"), || user(3, "mallory"));
    let others = json!({ "event": "labeled", "actor": mallory() });
    let cases = [
        (
            json!([event(mallory(), 5, "approved")]),
            ReviewState::Dismissed,
        ),
        (
            json!([event(mallory(), 5, "changes_requested")]),
            ReviewState::ObjectionDismissed,
        ),
        (
            json!([others, event(Value::Null, 5, "changes_requested")]),
            ReviewState::ObjectionDismissed,
        ),
        (
            json!([event(grace(), 5, "changes_requested")]),
            ReviewState::Dismissed,
        ),
        (
            json!([event(mallory(), 6, "approved")]),
            ReviewState::Unknown,
        ),
        (
            json!([event(mallory(), 5, "frowned")]),
            ReviewState::Unknown,
        ),
        (json!([]), ReviewState::Unknown),
    ];
    for (history, expected) in cases {
        let text = history.to_string();
        assert_eq!(dismissed(history).await, expected, "{text}");
    }
}

#[tokio::test]
async fn unknown_words_and_absent_people_stay_what_they_are() {
    let pull = reviewed(json!([
        { "id": 1, "user": null, "state": "APPROVED", "commit_id": null, "submitted_at": "2026-11-24T11:00:00Z" },
        { "id": 2, "user": { "id": 8, "login": "robot[bot]", "type": "Bot" }, "state": "BLESSED",
          "commit_id": head(), "submitted_at": "2026-11-24T11:01:00Z", "body": null },
        { "id": 3, "user": { "id": 9, "login": "dummy" }, "state": "APPROVED", "commit_id": head(),
          "submitted_at": "2026-11-24T11:02:00Z", "body": "yes" },
    ]))
    .await;
    let [gone, robot, dummy] = &pull.reviews[..] else {
        panic!()
    };
    assert_eq!(
        (&gone.reviewer, &gone.commit, gone.state),
        (&None, &None, ReviewState::Approved)
    );
    assert_eq!(robot.state, ReviewState::Unknown);
    assert_eq!(robot.reviewer.as_ref().unwrap().kind, ActorKind::Bot);
    assert_eq!(dummy.reviewer.as_ref().unwrap().kind, ActorKind::Other);
}

#[tokio::test]
async fn a_state_that_we_do_not_know_is_not_open() {
    let mut odd = pull(&head());
    odd["state"] = "frozen".into();
    let server = with(odd, json!([]), json!([])).await;
    assert_eq!(
        server.github().pull(PullNumber(12)).await.unwrap().state,
        PullState::Closed
    );
}

#[tokio::test]
async fn merged_without_a_commit_makes_no_sense_and_is_asked_again() {
    let mut odd = pull(&head());
    odd["merged"] = true.into();
    let server = with(odd, json!([]), json!([])).await;
    assert!(matches!(
        server.github().pull(PullNumber(12)).await,
        Err(ForgeError::Unavailable { .. })
    ));
}

#[tokio::test]
async fn one_failed_lookup_is_neither_yes_nor_no_and_spoils_no_other() {
    let server = Scripted::new(|asked| {
        let path = asked.call.split('?').next().unwrap();
        let grace =
            json!({ "permission": "write", "role_name": "maintain", "user": user(2, "Grace") });
        match path.trim_start_matches("GET /") {
            "repos/acme/access/collaborators/grace/permission" => Some(said(200, &grace)),
            "repos/acme/access/collaborators/broken/permission" => {
                Some(said(500, &json!({ "message": "oops" })))
            }
            // An answer about somebody else.
            "repos/acme/access/collaborators/old/permission" => Some(said(200, &grace)),
            _ => None,
        }
    })
    .await;
    let login = |name: &str| Login::new(name).unwrap();
    let owners = ["grace", "broken", "old", "nobody"].map(|name| Owner::User(login(name)));
    let foreign = Owner::Team {
        organisation: login("other"),
        slug: "dba".to_owned(),
    };
    let owners: BTreeSet<Owner> = owners
        .into_iter()
        .chain([foreign.clone(), Owner::Email("a@b.c".to_owned())])
        .collect();
    let roster = server.github().roster(&owners).await;

    let Lookup::Found(grace) = &roster.users[&login("grace")] else {
        panic!()
    };
    assert_eq!((grace.actor.id, grace.can_write), (UserId(2), true));
    let Lookup::Failed(why) = &roster.users[&login("broken")] else {
        panic!()
    };
    assert!(why.contains("@broken") && why.contains("oops"), "{why}");
    assert!(matches!(&roster.users[&login("old")], Lookup::Failed(_)));
    assert_eq!(roster.users[&login("nobody")], Lookup::Absent);
    assert_eq!(roster.teams[&foreign], Lookup::Absent);
    assert!(
        !server
            .calls()
            .iter()
            .any(|call| call.contains("/orgs/other"))
    );
}

/// A comment as GitHub lists it.
fn said_by(id: u64, user: Value, app: Option<u64>, body: &str) -> Value {
    let app = app.map(|id| json!({ "id": id, "slug": "hallpass" }));
    json!({ "id": id, "user": user, "body": body, "performed_via_github_app": app })
}

#[tokio::test]
async fn only_what_the_app_itself_wrote_is_edited() {
    let bot = || json!({ "id": 9, "login": "hallpass[bot]", "type": "Bot" });
    let comments = json!([
        // A person who acted through our App, another App, nobody any more, and ourselves about something else.
        said_by(1, user(1, "octocat"), Some(7), "<!-- some:mark -->"),
        said_by(2, bot(), Some(8), "<!-- some:mark -->"),
        said_by(3, Value::Null, None, "<!-- some:mark -->"),
        said_by(4, bot(), Some(7), "See <!-- some:mark -->"),
        said_by(6, bot(), Some(7), "<!-- some:mark -->\nLater."),
        said_by(5, bot(), Some(7), "<!-- some:mark -->\nOurs."),
    ]);
    let server = Scripted::new(move |asked| {
        let (method, path) = asked.call.split_once(' ').unwrap();
        match (method, path.split('?').next().unwrap()) {
            ("GET", "/repos/acme/access/issues/12/comments") => Some(said(200, &comments)),
            ("PATCH", "/repos/acme/access/issues/comments/5") => Some(said(
                200,
                &said_by(
                    5,
                    json!({ "id": 9, "login": "hallpass[bot]", "type": "Bot" }),
                    Some(7),
                    "",
                ),
            )),
            _ => None,
        }
    })
    .await;
    let github = server.github();
    github
        .comment(PullNumber(12), "some:mark", "New.")
        .await
        .unwrap();
    assert_eq!(server.calls().len(), 2, "{:?}", server.calls());
    let sent = server.asked().pop().unwrap().body;
    assert_eq!(sent, json!({ "body": "<!-- some:mark -->\nNew." }));
}

/// What GitHub says about the account that owns the repository when it lists no members.
async fn members_of(kind: &'static str) -> Result<Option<usize>, String> {
    let server = Scripted::new(move |asked| match asked.call.as_str() {
        call if call.contains("/orgs/acme/members") => {
            Some(said(404, &json!({ "message": "Not Found" })))
        }
        call if call.ends_with("/users/acme") => Some(said(
            200,
            &json!({ "login": "acme", "id": 1, "type": kind }),
        )),
        _ => None,
    })
    .await;
    let members = server.github().members().await;
    members
        .map(|found| found.map(|list| list.len()))
        .map_err(|error| error.to_string())
}

#[tokio::test]
async fn only_a_persons_repository_has_no_members() {
    assert_eq!(members_of("User").await, Ok(None));
    // An organisation that is hidden from us is not one without members.
    let error = members_of("Organization").await.unwrap_err();
    assert!(error.contains("members of acme"), "{error}");
}
