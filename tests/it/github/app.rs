//! Tokens, pages and failures.

use axum::response::Response;
use base64::Engine;
use chrono::TimeDelta;
use hallpass::domain::model::PullNumber;
use hallpass::forge::{Forge, ForgeError};
use hallpass::providers::github_team::PERMISSIONS;
use secrecy::ExposeSecret;
use serde_json::{Value, json};

use super::scripted::{Asked, Scripted, noon, pull, said, said_with};

/// The failure of listing open pull requests when GitHub says this.
async fn failure(
    status: u16,
    header: (&'static str, &'static str),
    message: &'static str,
) -> ForgeError {
    let server = Scripted::new(move |asked| {
        let body = json!({ "message": message });
        asked
            .call
            .contains("/pulls")
            .then(|| said_with(status, header.0, header.1, &body))
    })
    .await;
    server.github().open_pulls().await.unwrap_err()
}

fn listing(asked: &Asked) -> Option<Response> {
    asked.call.contains("/pulls").then(|| said(200, &json!([])))
}

#[tokio::test]
async fn a_token_is_narrowed_to_the_repository_and_to_what_we_need() {
    let server = Scripted::new(listing).await;
    server.github().open_pulls().await.unwrap();
    let asked = &server.asked()[0];
    assert_eq!(asked.call, "POST /app/installations/70/access_tokens");
    assert_eq!(asked.body["repositories"], json!(["access"]));
    let permissions = json!({
        "checks": "write", "contents": "write", "members": "read", "metadata": "read", "pull_requests": "write",
    });
    assert_eq!(asked.body["permissions"], permissions);
}

#[tokio::test]
async fn the_app_signs_itself_with_a_minute_of_slack_and_less_than_ten_minutes() {
    let server = Scripted::new(listing).await;
    server.github().open_pulls().await.unwrap();
    let jwt = server.asked()[0].token.clone();
    let parts: Vec<Value> = jwt
        .split('.')
        .take(2)
        .map(|part| {
            serde_json::from_slice(
                &base64::prelude::BASE64_URL_SAFE_NO_PAD
                    .decode(part)
                    .unwrap(),
            )
            .unwrap()
        })
        .collect();
    assert_eq!(parts[0]["alg"], "RS256");
    assert_eq!(
        parts[1],
        json!({ "iss": "7", "iat": noon().timestamp() - 60, "exp": noon().timestamp() + 480 })
    );
}

#[tokio::test]
async fn an_installation_that_is_not_configured_is_looked_up_once() {
    let server = Scripted::new(|asked| match asked.call.as_str() {
        "GET /orgs/acme/installation" => Some(said(200, &json!({ "id": 70 }))),
        _ => None,
    })
    .await;
    let organisation = "acme".to_owned().try_into().unwrap();
    let teams = server
        .github()
        .client_for_organisation(&organisation, None, PERMISSIONS);
    for _ in 0..3 {
        teams.get::<Value>("nothing", "/nothing").await.unwrap_err();
        server.clock.advance(TimeDelta::hours(1));
    }
    let look_ups = server
        .calls()
        .iter()
        .filter(|call| call.contains("/installation"))
        .count();
    assert_eq!((look_ups, server.tokens()), (1, 3));
    let token = server
        .asked()
        .into_iter()
        .find(|a| a.call.ends_with("access_tokens"))
        .unwrap();
    assert_eq!(token.body, json!({ "permissions": { "members": "write" } }));
}

#[tokio::test]
async fn many_callers_at_once_share_one_token() {
    let server = Scripted::new(listing).await;
    let github = server.github();
    let calls = (0..10).map(|_| github.open_pulls());
    for done in futures_util::future::join_all(calls).await {
        done.unwrap();
    }
    assert_eq!(server.tokens(), 1);
}

#[tokio::test]
async fn a_token_is_renewed_at_four_fifths_of_its_life() {
    let server = Scripted::new(listing).await;
    let github = server.github();
    github.open_pulls().await.unwrap();
    server.clock.advance(TimeDelta::minutes(47));
    github.open_pulls().await.unwrap();
    assert_eq!(server.tokens(), 1);
    server.clock.advance(TimeDelta::minutes(1));
    github.open_pulls().await.unwrap();
    assert_eq!(server.tokens(), 2);
    assert_eq!(server.asked().last().unwrap().token, "token-2");
}

#[tokio::test]
async fn a_token_that_cannot_be_renewed_yet_serves_until_its_end() {
    let broken = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let switch = broken.clone();
    let server = Scripted::new(move |asked| {
        let refuse = switch.load(std::sync::atomic::Ordering::Relaxed)
            && asked.call.ends_with("access_tokens");
        if refuse {
            Some(said(502, &json!({})))
        } else {
            listing(asked)
        }
    })
    .await;
    let github = server.github();
    github.open_pulls().await.unwrap();
    broken.store(true, std::sync::atomic::Ordering::Relaxed);
    server.clock.advance(TimeDelta::minutes(50));
    github.open_pulls().await.unwrap();
    server.clock.advance(TimeDelta::minutes(11));
    assert!(matches!(
        github.open_pulls().await,
        Err(ForgeError::Unavailable { .. })
    ));
}

#[tokio::test]
async fn a_token_that_github_forgot_is_replaced_and_the_call_made_again() {
    let server = Scripted::new(|asked| match asked.token.as_str() {
        "token-1" => Some(said(401, &json!({ "message": "Bad credentials" }))),
        _ => listing(asked),
    })
    .await;
    assert_eq!(server.github().open_pulls().await.unwrap(), []);
    assert_eq!(server.tokens(), 2);
}

#[tokio::test]
async fn a_fresh_token_that_is_not_accepted_is_for_a_person() {
    let server = Scripted::new(|asked| {
        asked
            .call
            .contains("/pulls")
            .then(|| said(401, &json!({ "message": "Bad credentials" })))
    })
    .await;
    let error = server.github().open_pulls().await.unwrap_err();
    assert!(
        matches!(&error, ForgeError::Refused { reason, .. } if reason.contains("Bad credentials")),
        "{error}"
    );
    assert_eq!(server.tokens(), 2);
}

#[tokio::test]
async fn an_app_whose_key_is_wrong_is_told_so() {
    let server = Scripted::new(|asked| {
        let words = json!({ "message": "A JSON web token could not be decoded" });
        asked
            .call
            .contains("access_tokens")
            .then(|| said(401, &words))
    })
    .await;
    let error = server.github().open_pulls().await.unwrap_err().to_string();
    assert!(
        error.contains("private key belongs to App 7") && error.contains("clock"),
        "{error}"
    );
}

#[tokio::test]
async fn an_app_that_is_not_installed_is_told_so() {
    let server = Scripted::new(|asked| {
        asked
            .call
            .contains("access_tokens")
            .then(|| said(404, &json!({ "message": "Not Found" })))
    })
    .await;
    let error = server.github().open_pulls().await.unwrap_err().to_string();
    assert!(error.contains("not installed on acme/access"), "{error}");
}

#[tokio::test]
async fn an_app_that_was_not_given_a_permission_is_told_which_it_needs() {
    let server = Scripted::new(|asked| {
        let words =
            json!({ "message": "The permissions requested are not granted to this installation." });
        asked
            .call
            .contains("access_tokens")
            .then(|| said(422, &words))
    })
    .await;
    let error = server.github().open_pulls().await.unwrap_err().to_string();
    assert!(
        error.contains("checks: write") && error.contains("members: read"),
        "{error}"
    );
}

#[tokio::test]
async fn a_suspended_installation_is_for_an_owner_of_the_organisation() {
    let error = failure(403, ("x-a", "b"), "This installation has been suspended").await;
    assert!(
        matches!(&error, ForgeError::Refused { reason, .. } if reason.contains("unsuspend")),
        "{error}"
    );
}

#[tokio::test]
async fn a_missing_permission_is_named() {
    let header = ("x-accepted-github-permissions", "pull_requests=read");
    let error = failure(403, header, "Resource not accessible by integration").await;
    assert!(
        matches!(&error, ForgeError::Refused { reason, .. } if reason.contains("`pull_requests=read`")),
        "{error}"
    );
}

#[tokio::test]
async fn a_spent_hour_says_when_it_begins_anew() {
    let reset = (noon() + TimeDelta::minutes(17)).timestamp().to_string();
    let server = Scripted::new(move |asked| {
        let mut answer = said_with(
            403,
            "x-ratelimit-reset",
            &reset,
            &json!({ "message": "API rate limit exceeded" }),
        );
        answer
            .headers_mut()
            .insert("x-ratelimit-remaining", "0".parse().unwrap());
        asked.call.contains("/pulls").then_some(answer)
    })
    .await;
    let error = server.github().open_pulls().await.unwrap_err();
    let ForgeError::Unavailable { retry_at, .. } = error else {
        panic!("{error}")
    };
    assert_eq!(retry_at, Some(noon() + TimeDelta::minutes(17)));
}

#[tokio::test]
async fn being_too_fast_says_how_long_to_wait() {
    for status in [403, 429] {
        let error = failure(
            status,
            ("retry-after", "90"),
            "You have exceeded a secondary rate limit",
        )
        .await;
        let ForgeError::Unavailable { retry_at, .. } = error else {
            panic!("{error}")
        };
        assert_eq!(retry_at, Some(noon() + TimeDelta::seconds(90)));
    }
    let error = failure(
        403,
        ("x-a", "b"),
        "You have exceeded a secondary rate limit",
    )
    .await;
    let ForgeError::Unavailable { retry_at, .. } = error else {
        panic!("{error}")
    };
    assert_eq!(retry_at, Some(noon() + TimeDelta::seconds(60)));
}

#[tokio::test]
async fn who_was_told_to_wait_is_not_asked_before() {
    let server = Scripted::new(|asked| {
        let limited = || said_with(429, "retry-after", "90", &json!({ "message": "slow down" }));
        asked.call.contains("/pulls").then(limited)
    })
    .await;
    let github = server.github();
    github.open_pulls().await.unwrap_err();
    let asked = server.calls().len();
    for _ in 0..3 {
        let error = github.open_pulls().await.unwrap_err();
        let ForgeError::Unavailable { retry_at, .. } = error else {
            panic!("{error}")
        };
        assert_eq!(retry_at, Some(noon() + TimeDelta::seconds(90)));
    }
    assert_eq!(server.calls().len(), asked);
    // What is known by another token is another's to say.
    let other = server.github();
    other.open_pulls().await.unwrap_err();
    assert!(server.calls().len() > asked);
}

#[tokio::test]
async fn a_server_that_stumbles_is_tried_again_later_and_the_call_is_sent_once() {
    let server =
        Scripted::new(|asked| asked.call.contains("/pulls").then(|| said(502, &json!({})))).await;
    let error = server.github().open_pulls().await.unwrap_err();
    assert!(matches!(
        error,
        ForgeError::Unavailable { retry_at: None, .. }
    ));
    assert_eq!(server.calls().len(), 1);
}

#[tokio::test]
async fn nobody_there_is_unavailable() {
    let mut server = Scripted::new(listing).await;
    server.url = "http://127.0.0.1:1".to_owned();
    let error = server.github().open_pulls().await.unwrap_err();
    assert!(matches!(error, ForgeError::Unavailable { .. }), "{error}");
}

#[tokio::test]
async fn a_repository_that_moved_is_not_followed() {
    let error = failure(
        301,
        ("location", "/repositories/9/pulls"),
        "Moved Permanently",
    )
    .await;
    assert!(
        matches!(&error, ForgeError::Refused { reason, .. } if reason.contains("renamed or transferred")),
        "{error}"
    );
}

#[tokio::test]
async fn what_is_not_there_is_not_found() {
    let server = Scripted::new(|_| None).await;
    let error = server.github().pull(PullNumber(12)).await.unwrap_err();
    assert_eq!(error.to_string(), "the forge knows no pull request 12");
}

fn numbered(number: u64) -> Value {
    let mut pull = pull(&"a".repeat(40));
    pull["number"] = number.into();
    pull
}

/// A page that says that there is another, as GitHub does: by the repository's number, and with its other links around it.
fn page(asked: &Asked, next: &str, content: &Value) -> Response {
    let api = format!("{}/api/v3/repositories/5/pulls", asked.origin);
    let link = format!(
        "<{api}?page=1>; rel=\"prev\", <{api}?page={next}>; rel=\"next\", <{api}?page=9>; rel=\"last\""
    );
    said_with(200, "link", &link, content)
}

#[tokio::test]
async fn a_list_is_read_to_its_last_page() {
    let server = Scripted::new(|asked| match asked.call.as_str() {
        "GET /repositories/5/pulls?page=2" => Some(page(asked, "3", &json!([numbered(2)]))),
        "GET /repositories/5/pulls?page=3" => Some(said(200, &json!([numbered(3), numbered(1)]))),
        call => call
            .contains("/pulls")
            .then(|| page(asked, "2", &json!([numbered(1)]))),
    })
    .await;
    let pulls: Vec<u64> = server
        .github()
        .open_pulls()
        .await
        .unwrap()
        .iter()
        .map(|p| p.number.0)
        .collect();
    // What moved to another page while we read is there once.
    assert_eq!(pulls, [1, 2, 3]);
}

#[tokio::test]
async fn a_broken_page_is_an_error_and_never_a_shorter_list() {
    let broken: [fn() -> Response; 4] = [
        || said(500, &json!({})),
        || said(200, &json!({ "message": "not a list" })),
        || said(200, &json!([{ "number": 4 }])),
        || axum::response::IntoResponse::into_response("[{\"number\": 2, \"title\":"),
    ];
    for second in broken {
        let server = Scripted::new(move |asked| match asked.call.as_str() {
            "GET /repositories/5/pulls?page=2" => Some(second()),
            call => call
                .contains("/pulls")
                .then(|| page(asked, "2", &json!([numbered(1)]))),
        })
        .await;
        let error = server.github().open_pulls().await.unwrap_err();
        assert!(matches!(error, ForgeError::Unavailable { .. }), "{error}");
    }
}

#[tokio::test]
async fn a_page_that_breaks_off_is_an_error() {
    let server = Scripted::new(|asked| {
        let whole = json!([numbered(1), numbered(2)]).to_string();
        let half = whole[..whole.len() / 2].to_owned();
        let mut answer = axum::response::IntoResponse::into_response(half);
        answer
            .headers_mut()
            .insert("content-length", whole.len().into());
        asked.call.contains("/pulls").then_some(answer)
    })
    .await;
    let error = server.github().open_pulls().await.unwrap_err();
    assert!(matches!(error, ForgeError::Unavailable { .. }), "{error}");
}

#[tokio::test]
async fn a_list_without_end_is_an_error() {
    let server = Scripted::new(|asked| {
        let here = if asked.call.ends_with("page=2") {
            "3"
        } else {
            "2"
        };
        asked
            .call
            .contains("/pulls")
            .then(|| page(asked, here, &json!([])))
    })
    .await;
    let error = server.github().open_pulls().await.unwrap_err();
    assert!(matches!(error, ForgeError::Unavailable { .. }), "{error}");
}

#[tokio::test]
async fn a_token_never_goes_to_another_server() {
    let other = Scripted::new(|_| None).await;
    let elsewhere = format!("<{}/api/v3/pulls>; rel=\"next\"", other.url);
    let server = Scripted::new(move |asked| {
        asked
            .call
            .contains("/pulls")
            .then(|| said_with(200, "link", &elsewhere, &json!([])))
    })
    .await;
    let error = server.github().open_pulls().await.unwrap_err();
    assert!(matches!(error, ForgeError::Unavailable { .. }), "{error}");
    assert!(other.asked().is_empty());
}

#[tokio::test]
async fn git_has_a_token_of_its_own_that_can_do_nothing_else() {
    let server = Scripted::new(|_| None).await;
    let github = server.github();
    let access = github.git_access().await.unwrap();
    assert_eq!(access.url, format!("{}/acme/access.git", server.url));
    assert_eq!(access.token.expose_secret(), "token-1");
    assert_eq!(
        server.asked()[0].body["permissions"],
        json!({ "contents": "write", "metadata": "read" })
    );
    let shown = format!("{access:?} {github:?}");
    assert!(
        !shown.contains("token-1") && !shown.contains("PRIVATE KEY"),
        "{shown}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_server_that_never_answers_does_not_hold_us_for_ever() {
    // It listens, and that is all it does.
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut server = Scripted::new(listing).await;
    server.url = format!("http://{}", silent.local_addr().unwrap());
    let github = server.github();
    let asked = tokio::time::timeout(std::time::Duration::from_secs(60), github.open_pulls()).await;
    assert!(
        matches!(asked, Ok(Err(ForgeError::Unavailable { .. }))),
        "{asked:?}"
    );
}
