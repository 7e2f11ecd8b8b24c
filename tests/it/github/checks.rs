//! The check on a commit, and the commands that change pull requests.

use hallpass::domain::model::{CommitId, PullNumber};
use hallpass::domain::report::{Annotation, Check, CheckStatus};
use hallpass::forge::{CheckId, Forge, ForgeError, MergeOutcome, Proposal};
use serde_json::{Value, json};

use super::scripted::{Asked, Scripted, pull, said};

fn head() -> String {
    "a".repeat(40)
}

/// A server that keeps one check run as GitHub does: annotations are only ever added.
async fn checks() -> Scripted {
    let count = std::sync::Mutex::new((0_u64, 0_usize, Value::Null));
    Scripted::new(move |asked: &Asked| {
        let mut run = count.lock().unwrap();
        let write = asked.call.contains("/check-runs") && !asked.call.starts_with("GET");
        if asked.call.starts_with("POST") && write {
            *run = (run.0 + 1, 0, Value::Null);
        }
        if write {
            run.1 += asked.body["output"]["annotations"]
                .as_array()
                .map_or(0, Vec::len);
            if let Some(id) = asked.body.get("external_id") {
                run.2 = id.clone();
            }
        }
        let shown =
            json!({ "id": run.0, "external_id": run.2, "output": { "annotations_count": run.1 } });
        let listed = if run.0 == 0 {
            json!([])
        } else {
            json!([shown])
        };
        match asked.call.contains("/check-runs") {
            true if write => Some(said(200, &shown)),
            true => Some(said(
                200,
                &json!({ "total_count": 1, "check_runs": listed }),
            )),
            false => None,
        }
    })
    .await
}

fn check(annotations: usize) -> Check {
    let annotation = |n: usize| Annotation {
        path: "access/grants/orders/ada.yaml".to_owned(),
        line: u32::try_from(n).unwrap() + 1,
        column: 3,
        warning: n == 0,
        title: "term-too-long".to_owned(),
        message: "Too long.".to_owned(),
    };
    Check {
        head: CommitId::new(head()).unwrap(),
        status: if annotations > 0 {
            CheckStatus::Failure
        } else {
            CheckStatus::InProgress
        },
        title: "Waiting".to_owned(),
        summary: "Waiting for @acme/dba".to_owned(),
        annotations: (0..annotations).map(annotation).collect(),
    }
}

#[tokio::test]
async fn many_annotations_are_sent_fifty_at_a_time() {
    let server = checks().await;
    server
        .github()
        .publish_check(&check(120), None)
        .await
        .unwrap();
    let sent: Vec<usize> = server
        .asked()
        .iter()
        .filter_map(|a| a.body["output"]["annotations"].as_array().map(Vec::len))
        .collect();
    assert_eq!(sent, [50, 50, 20]);
    let first = &server
        .asked()
        .into_iter()
        .find(|a| a.call.starts_with("POST /repos"))
        .unwrap()
        .body;
    assert_eq!(
        (&first["status"], &first["conclusion"]),
        (&json!("completed"), &json!("failure"))
    );
    assert_eq!(
        first["output"]["annotations"][0]["annotation_level"],
        "warning"
    );
    assert_eq!(
        first["output"]["annotations"][1]["annotation_level"],
        "failure"
    );
}

#[tokio::test]
async fn saying_the_same_again_adds_no_annotations() {
    let server = checks().await;
    let github = server.github();
    let first = github.publish_check(&check(60), None).await.unwrap();
    let before = server.calls().len();
    assert_eq!(
        github.publish_check(&check(60), Some(first)).await.unwrap(),
        first
    );
    assert_eq!(
        server.calls()[before..],
        [format!("PATCH /repos/acme/access/check-runs/{}", first.0)]
    );
}

#[tokio::test]
async fn annotations_that_no_longer_hold_do_not_stay_on_the_check() {
    let server = checks().await;
    let github = server.github();
    let failed = github.publish_check(&check(3), None).await.unwrap();
    let waiting = github.publish_check(&check(0), Some(failed)).await.unwrap();
    assert_ne!(failed, waiting);
    let failed_again = github
        .publish_check(&check(2), Some(waiting))
        .await
        .unwrap();
    assert_eq!(waiting, failed_again);
}

#[tokio::test]
async fn a_summary_beyond_the_limit_is_cut_between_characters_and_says_so() {
    let server = checks().await;
    let long = Check {
        summary: "é".repeat(40_000),
        ..check(0)
    };
    server
        .github()
        .publish_check(&long, Some(CheckId(1)))
        .await
        .unwrap();
    let sent = server.asked().last().unwrap().body["output"]["summary"]
        .as_str()
        .unwrap()
        .to_owned();
    assert!(sent.len() <= 65_535 && sent.len() > 65_500);
    assert!(sent.ends_with("too long to be shown here.*"));
}

#[tokio::test]
async fn a_check_that_somebody_removed_is_made_again() {
    let server = Scripted::new(|asked| match asked.call.as_str() {
        "POST /repos/acme/access/check-runs" => Some(said(
            201,
            &json!({ "id": 9, "external_id": null, "output": { "annotations_count": 0 } }),
        )),
        call if call.starts_with("GET") => {
            Some(said(200, &json!({ "total_count": 0, "check_runs": [] })))
        }
        _ => None,
    })
    .await;
    assert_eq!(
        server
            .github()
            .publish_check(&check(0), Some(CheckId(5)))
            .await
            .unwrap(),
        CheckId(9)
    );
}

#[tokio::test]
async fn a_merge_whose_answer_was_lost_is_a_merge() {
    let mut merged = pull(&head());
    merged["merged"] = true.into();
    merged["merged_at"] = "2026-11-24T11:59:00Z".into();
    merged["merge_commit_sha"] = "c".repeat(40).into();
    let server = Scripted::new(move |asked| match asked.call.as_str() {
        "PUT /repos/acme/access/pulls/12/merge" => Some(said(
            405,
            &json!({ "message": "Pull Request is not mergeable" }),
        )),
        "GET /repos/acme/access/pulls/12" => Some(said(200, &merged)),
        _ => None,
    })
    .await;
    let head = CommitId::new(head()).unwrap();
    let outcome = server
        .github()
        .merge(PullNumber(12), &head, "Merge", "Body")
        .await
        .unwrap();
    assert_eq!(
        outcome,
        MergeOutcome::Merged(CommitId::new("c".repeat(40)).unwrap())
    );
    let sent = &server.asked()[1].body;
    assert_eq!(
        *sent,
        json!({ "commit_title": "Merge", "commit_message": "Body", "sha": head.as_str(), "merge_method": "merge" })
    );
}

#[tokio::test]
async fn a_merge_that_the_forge_declines_is_not_now_and_its_words_are_kept() {
    for (status, words) in [
        (405, "At least 1 approving review is required"),
        (409, "Head branch was modified"),
        (422, "No"),
    ] {
        let server = Scripted::new(move |asked| match asked.call.as_str() {
            "PUT /repos/acme/access/pulls/12/merge" => {
                Some(said(status, &json!({ "message": words })))
            }
            "GET /repos/acme/access/pulls/12" => Some(said(200, &pull(&head()))),
            _ => None,
        })
        .await;
        let head = CommitId::new(head()).unwrap();
        let outcome = server
            .github()
            .merge(PullNumber(12), &head, "Merge", "Body")
            .await
            .unwrap();
        assert_eq!(outcome, MergeOutcome::NotNow(words.to_owned()));
    }
}

fn proposal() -> Proposal {
    Proposal {
        branch: "ada".to_owned(),
        base: "main".to_owned(),
        title: "Access".to_owned(),
        body: "Ended.".to_owned(),
    }
}

#[tokio::test]
async fn a_proposal_that_somebody_opened_in_between_is_found() {
    let opened = std::sync::atomic::AtomicBool::new(false);
    let server = Scripted::new(move |asked| match asked.call.split('?').next().unwrap() {
        "POST /repos/acme/access/pulls" => {
            opened.store(true, std::sync::atomic::Ordering::Relaxed);
            let error = json!({ "resource": "PullRequest", "code": "custom", "message": "A pull request already exists" });
            Some(said(422, &json!({ "message": "Validation Failed", "errors": [error] })))
        }
        "GET /repos/acme/access/pulls" => {
            let open = opened.load(std::sync::atomic::Ordering::Relaxed);
            Some(said(200, &if open { json!([pull(&head())]) } else { json!([]) }))
        }
        "PATCH /repos/acme/access/pulls/12" => Some(said(200, &pull(&head()))),
        _ => None,
    })
    .await;
    assert_eq!(
        server.github().propose(&proposal()).await.unwrap(),
        PullNumber(12)
    );
    let last = server.asked().pop().unwrap();
    assert_eq!(
        (last.call.as_str(), &last.body),
        (
            "PATCH /repos/acme/access/pulls/12",
            &json!({ "title": "Access", "body": "Ended." })
        )
    );
}

#[tokio::test]
async fn a_pull_request_from_a_fork_or_for_another_branch_is_not_our_proposal() {
    let mut fork = pull(&head());
    fork["head"]["repo"]["id"] = 6.into();
    let mut elsewhere = pull(&head());
    elsewhere["head"]["ref"] = "eve".into();
    let server = Scripted::new(move |asked| match asked.call.split('?').next().unwrap() {
        "POST /repos/acme/access/pulls" => Some(said(201, &json!({ "number": 13 }))),
        "GET /repos/acme/access/pulls" => Some(said(200, &json!([fork, elsewhere]))),
        _ => None,
    })
    .await;
    assert_eq!(
        server.github().propose(&proposal()).await.unwrap(),
        PullNumber(13)
    );
}

#[tokio::test]
async fn a_proposal_without_a_difference_is_refused_in_githubs_words() {
    let server = Scripted::new(|asked| match asked.call.split('?').next().unwrap() {
        "POST /repos/acme/access/pulls" => {
            let error = json!({ "message": "No commits between main and ada" });
            Some(said(
                422,
                &json!({ "message": "Validation Failed", "errors": [error] }),
            ))
        }
        "GET /repos/acme/access/pulls" => Some(said(200, &json!([]))),
        _ => None,
    })
    .await;
    let error = server.github().propose(&proposal()).await.unwrap_err();
    assert!(
        matches!(&error, ForgeError::Refused { reason, .. } if reason.contains("No commits between")),
        "{error}"
    );
}

#[tokio::test]
async fn a_commit_that_github_does_not_have_is_not_found() {
    let server = Scripted::new(|asked| {
        asked
            .call
            .contains("/commits/")
            .then(|| said(422, &json!({ "message": "No commit found for SHA" })))
    })
    .await;
    let error = server
        .github()
        .pulls_of(&CommitId::new(head()).unwrap())
        .await
        .unwrap_err();
    assert!(matches!(error, ForgeError::NotFound { .. }), "{error}");
}
