//! The stand-in for GitHub behaves as GitHub, as far as we know GitHub.

#![expect(clippy::unwrap_used, reason = "a test that cannot be set up fails")]

mod deploying;
mod hung_up;
mod moved;
mod signing_in;

use std::path::Path;
use std::process::Output;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::routing::post;
use bytes::Bytes;
use chrono::{TimeDelta, TimeZone, Utc};
use hallpass::clock::ManualClock;
use hallpass::domain::model::PullNumber;
use hallpass::sandbox::{
    ASSUMPTIONS, AppSpec, Change, Contracts, Down, KNOWN_KEY, Membership, MergeMethod, Outcome,
    Permission, RateLimit, ReviewSaid, Ruleset, Sandbox, SandboxOptions, Verdict, When, sign,
};
use http::{HeaderMap, StatusCode};
use octocrab::models::{AppId, InstallationId};
use octocrab::{EncodingKey, Octocrab};
use serde_json::{Value, json};
use tempfile::TempDir;

const APP: u64 = 77;
const INSTALLATION: u64 = 4711;
const GRANT: &str = "access/grants/orders/ada.yaml";

struct World {
    sandbox: Sandbox,
    clock: Arc<ManualClock>,
    dir: TempDir,
}

impl std::ops::Deref for World {
    type Target = Sandbox;
    fn deref(&self) -> &Sandbox {
        &self.sandbox
    }
}

/// Acme: ada and linus ask, grace is the DBA, root administers, eve is outside; the App `hallpass` is installed.
async fn acme() -> World {
    let clock = Arc::new(ManualClock::at(
        Utc.with_ymd_and_hms(2026, 11, 24, 9, 0, 0).unwrap(),
    ));
    let dir = tempfile::tempdir().unwrap();
    let mut options = SandboxOptions::new(clock.clone(), dir.path().join("forge"));
    options.contracts = Some(crate::contracts::github());
    let sandbox = Sandbox::start(options).await.unwrap();
    for login in ["ada", "linus", "grace", "root"] {
        sandbox.member(login);
    }
    sandbox.owner("root");
    sandbox.user("eve");
    sandbox.team("dba", &["grace"]);
    sandbox
        .repository(
            "access",
            &[
                (".github/CODEOWNERS", "/access/ @acme/dba\n"),
                ("README.md", "Access\n"),
            ],
        )
        .unwrap();
    sandbox.team_may("dba", "access", Permission::Push);
    sandbox.collaborator("access", "ada", Some(Permission::Push));
    sandbox.collaborator("access", "linus", Some(Permission::Push));
    sandbox.app(AppSpec::hallpass(APP, KNOWN_KEY)).unwrap();
    sandbox.installation(APP, INSTALLATION);
    World {
        sandbox,
        clock,
        dir,
    }
}

impl World {
    fn request(&self) -> PullNumber {
        self.push(
            "ada",
            "access",
            "ada-orders",
            &[Change::write(GRANT, "person: ada\n")],
            "Ask",
        )
        .unwrap();
        self.open_pull(
            "ada",
            "access",
            "ada-orders",
            "main",
            "Orders for ada",
            "INC-4211",
        )
        .unwrap()
    }

    fn octocrab(&self) -> Octocrab {
        let key = EncodingKey::from_rsa_pem(KNOWN_KEY.as_bytes()).unwrap();
        Octocrab::builder()
            .base_uri(self.api_url())
            .unwrap()
            .app(AppId(APP), key)
            .build()
            .unwrap()
    }

    fn installation(&self) -> Octocrab {
        self.octocrab()
            .installation(InstallationId(INSTALLATION))
            .unwrap()
    }

    /// An installation token, and what came with it.
    async fn token(&self, wanted: Value) -> (String, Value) {
        let route = format!("/app/installations/{INSTALLATION}/access_tokens");
        let answer: Value = self.octocrab().post(route, Some(&wanted)).await.unwrap();
        (answer["token"].as_str().unwrap().to_owned(), answer)
    }

    async fn call(&self, token: &str, method: &str, path: &str, body: Option<Value>) -> Reply {
        let method = reqwest::Method::from_bytes(method.as_bytes()).unwrap();
        let client = reqwest::Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .user_agent("test")
            .build()
            .unwrap();
        let mut request = client
            .request(method, format!("{}{path}", self.api_url()))
            .bearer_auth(token);
        if let Some(body) = body {
            request = request.json(&body);
        }
        let answer = request.send().await.unwrap();
        let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
        let text = answer.text().await.unwrap();
        Reply {
            status,
            headers,
            body: serde_json::from_str(&text).unwrap_or(Value::Null),
        }
    }

    fn git(&self, dir: &Path, arguments: &[&str]) -> Output {
        #[expect(
            clippy::disallowed_methods,
            reason = "git's own client is what must get along with the stand-in"
        )]
        let mut command = std::process::Command::new("git");
        command.current_dir(dir).args(arguments);
        command
            .env("GIT_TERMINAL_PROMPT", "0")
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("GIT_CONFIG_NOSYSTEM", "1");
        for (role, name) in [("AUTHOR", "Somebody"), ("COMMITTER", "Somebody")] {
            command
                .env(format!("GIT_{role}_NAME"), name)
                .env(format!("GIT_{role}_EMAIL"), "somebody@example.org");
        }
        command.output().unwrap()
    }

    fn url_with(&self, token: &str) -> String {
        self.git_url("access")
            .replace("http://", &format!("http://x-access-token:{token}@"))
    }

    /// A clone, as `token`.
    fn clone_as(&self, token: &str) -> std::path::PathBuf {
        let clone = self.dir.path().join("clone");
        let output = self.git(
            self.dir.path(),
            &["clone", "--quiet", &self.url_with(token), "clone"],
        );
        assert!(output.status.success(), "{}", text(&output));
        clone
    }

    fn commit_file(&self, clone: &Path, path: &str, content: &str) {
        std::fs::write(clone.join(path), content).unwrap();
        for arguments in [vec!["add", "."], vec!["commit", "--quiet", "-m", "Change"]] {
            let output = self.git(clone, &arguments);
            assert!(output.status.success(), "{}", text(&output));
        }
    }

    fn assert_contract_held(&self) {
        assert_eq!(self.violations(), Vec::<String>::new());
    }
}

struct Reply {
    status: u16,
    headers: HeaderMap,
    body: Value,
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Everything that a receiver of webhooks saw.
type Seen = Arc<Mutex<Vec<(HeaderMap, Bytes)>>>;

async fn receiver() -> (String, Seen) {
    let seen = Seen::default();
    async fn keep(State(seen): State<Seen>, headers: HeaderMap, body: Bytes) -> StatusCode {
        seen.lock().unwrap().push((headers, body));
        StatusCode::ACCEPTED
    }
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/webhook", listener.local_addr().unwrap());
    let router = Router::new()
        .route("/webhook", post(keep))
        .with_state(seen.clone());
    tokio::spawn(async move { axum::serve(listener, router).await });
    (url, seen)
}

fn names(seen: &Seen) -> Vec<String> {
    let name = |(headers, body): &(HeaderMap, Bytes)| {
        let body: Value = serde_json::from_slice(body).unwrap();
        let event = headers["x-github-event"].to_str().unwrap();
        body["action"]
            .as_str()
            .map_or(event.to_owned(), |action| format!("{event}.{action}"))
    };
    seen.lock().unwrap().iter().map(name).collect()
}

#[test]
fn signatures_are_githubs_published_ones() {
    let expected = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";
    assert_eq!(
        sign("It's a Secret to Everybody", b"Hello, World!"),
        expected
    );
}

#[tokio::test]
async fn octocrab_signs_in_as_the_app_and_as_its_installation() {
    let world = acme().await;
    let app: Value = world.octocrab().get("/app", None::<&()>).await.unwrap();
    assert_eq!(app["slug"], "hallpass");
    let repo: Value = world
        .installation()
        .get("/repos/ACME/Access", None::<&()>)
        .await
        .unwrap();
    assert_eq!(repo["full_name"], "acme/access");
    world.assert_contract_held();
}

#[tokio::test]
async fn a_jwt_signed_by_another_key_is_refused() {
    let world = acme().await;
    let jwt = octocrab::auth::create_jwt(
        AppId(APP),
        &EncodingKey::from_rsa_pem(KNOWN_KEY.as_bytes()).unwrap(),
    )
    .unwrap();
    let (message, signature) = jwt.rsplit_once('.').unwrap();
    let forged: String = signature.chars().rev().collect();
    assert_eq!(world.call(&jwt, "GET", "/app", None).await.status, 200);
    assert_eq!(
        world
            .call(&format!("{message}.{forged}"), "GET", "/app", None)
            .await
            .status,
        401
    );
}

#[tokio::test]
async fn installation_tokens_end_after_an_hour_of_the_clock() {
    let world = acme().await;
    let (token, answer) = world.token(json!({})).await;
    assert_eq!(answer["expires_at"], "2026-11-24T10:00:00Z");
    world.clock.advance(TimeDelta::minutes(59));
    assert_eq!(
        world
            .call(&token, "GET", "/repos/acme/access", None)
            .await
            .status,
        200
    );
    world.clock.advance(TimeDelta::minutes(1));
    assert_eq!(
        world
            .call(&token, "GET", "/repos/acme/access", None)
            .await
            .status,
        401
    );
    let (token, _) = world.token(json!({})).await;
    world.expire_tokens();
    assert_eq!(
        world
            .call(&token, "GET", "/repos/acme/access", None)
            .await
            .status,
        401
    );
}

#[tokio::test]
async fn a_token_reaches_only_what_it_was_narrowed_to() {
    let world = acme().await;
    world.repository("secret", &[("a", "b")]).unwrap();
    let (token, _) = world
        .token(json!({ "repositories": ["access"], "permissions": { "contents": "read" } }))
        .await;
    assert_eq!(
        world
            .call(&token, "GET", "/repos/acme/access/branches", None)
            .await
            .status,
        200
    );
    assert_eq!(
        world
            .call(&token, "GET", "/repos/acme/secret", None)
            .await
            .status,
        404
    );
    let refused = world
        .call(&token, "GET", "/repos/acme/access/pulls", None)
        .await;
    assert_eq!(
        (refused.status, refused.body["message"].as_str()),
        (403, Some("Resource not accessible by integration"))
    );
    world.assert_contract_held();
}

#[tokio::test]
async fn each_route_needs_its_own_permission() {
    let world = acme().await;
    let number = world.request();
    world.app_permission(APP, "checks", None);
    world.app_permission(APP, "contents", Some("read"));
    let (token, _) = world.token(json!({})).await;
    let head = world.pull("access", number).head_sha;
    let check = json!({ "name": "hallpass", "head_sha": head });
    assert_eq!(
        world
            .call(&token, "POST", "/repos/acme/access/check-runs", Some(check))
            .await
            .status,
        403
    );
    assert_eq!(
        world
            .call(&token, "PUT", "/repos/acme/access/pulls/1/merge", None)
            .await
            .status,
        403
    );
    assert_eq!(
        world
            .call(&token, "GET", "/repos/acme/access/pulls/1", None)
            .await
            .status,
        200
    );
}

#[tokio::test]
async fn a_person_cannot_make_a_check_run() {
    let world = acme().await;
    let number = world.request();
    let token = world.personal_token("root");
    let check = json!({ "name": "hallpass", "head_sha": world.pull("access", number).head_sha });
    assert_eq!(
        world
            .call(&token, "POST", "/repos/acme/access/check-runs", Some(check))
            .await
            .status,
        403
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn gits_own_client_clones_and_pushes() {
    let world = acme().await;
    let token = world.personal_token("ada");
    let clone = world.clone_as(&token);
    assert_eq!(
        std::fs::read_to_string(clone.join("README.md")).unwrap(),
        "Access\n"
    );
    world.git(&clone, &["switch", "--quiet", "-c", "feature/x"]);
    world.commit_file(&clone, "new.txt", "new\n");
    let pushed = world.git(&clone, &["push", "--quiet", "origin", "feature/x"]);
    assert!(pushed.status.success(), "{}", text(&pushed));
    assert_eq!(
        world.file("access", "feature/x", "new.txt").unwrap(),
        b"new\n"
    );
    let activity = world.activity("access").pop().unwrap();
    assert_eq!(
        (activity.kind.as_str(), activity.actor.as_str()),
        ("branch_creation", "ada")
    );
    assert_eq!(world.calls()["GIT receive-pack"], 1);
    world.assert_contract_held();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_push_over_git_moves_the_pull_request_along() {
    let world = acme().await;
    let number = world.request();
    let clone = world.clone_as(&world.personal_token("linus"));
    world.git(&clone, &["switch", "--quiet", "ada-orders"]);
    world.commit_file(&clone, "more.txt", "more\n");
    assert!(world.git(&clone, &["push", "--quiet"]).status.success());
    let head = world.pull("access", number).head_sha;
    assert_eq!(
        world.branch_tip("access", "ada-orders").unwrap().as_str(),
        head
    );
    let last = world.deliveries().pop().unwrap();
    assert_eq!(
        (last.event.as_str(), last.action.as_deref()),
        ("pull_request", Some("synchronize"))
    );
    assert_eq!(last.payload["sender"]["login"], "linus");
    let fetched = world.git(&clone, &["fetch", "--quiet", "origin", "refs/pull/1/head"]);
    assert!(fetched.status.success(), "{}", text(&fetched));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_that_was_once_the_head_can_still_be_fetched() {
    let world = acme().await;
    let number = world.request();
    let old = world.pull("access", number).head_sha;
    world
        .force_push(
            "ada",
            "access",
            "ada-orders",
            "main",
            &[Change::write("x", "y")],
            "Other",
        )
        .unwrap();
    let clone = world.clone_as(&world.personal_token("grace"));
    let fetched = world.git(&clone, &["fetch", "--quiet", "origin", &old]);
    assert!(fetched.status.success(), "{}", text(&fetched));
    assert_eq!(world.activity("access").pop().unwrap().kind, "force_push");
}

#[tokio::test(flavor = "multi_thread")]
async fn git_refuses_strangers_readers_and_what_it_is_told_to_refuse() {
    let world = acme().await;
    let dir = world.dir.path();
    assert!(
        !world
            .git(dir, &["clone", "--quiet", &world.git_url("access"), "a"])
            .status
            .success()
    );
    assert!(
        !world
            .git(
                dir,
                &["clone", "--quiet", &world.url_with("ghp_wrong"), "b"]
            )
            .status
            .success()
    );
    assert!(
        !world
            .git(
                dir,
                &[
                    "clone",
                    "--quiet",
                    &world.url_with(&world.personal_token("eve")),
                    "c"
                ]
            )
            .status
            .success()
    );
    let clone = world.clone_as(&world.personal_token("ada"));
    world.commit_file(&clone, "x", "y");
    world.reject_pushes(Some("not today"));
    let refused = world.git(&clone, &["push", "--quiet"]);
    assert!(!refused.status.success());
    assert!(text(&refused).contains("not today"), "{}", text(&refused));
    world.reject_pushes(None);
    world.ruleset(
        "access",
        Some(Ruleset {
            pull_request: true,
            ..Ruleset::default()
        }),
    );
    assert!(!world.git(&clone, &["push", "--quiet"]).status.success());
    world.ruleset("access", None);
    assert!(world.git(&clone, &["push", "--quiet"]).status.success());
}

#[tokio::test]
async fn the_life_of_a_pull_request_is_told_in_signed_and_valid_webhooks() {
    let world = acme().await;
    let (url, seen) = receiver().await;
    world.deliver_to(url, "s3cret");
    let number = world.request();
    world
        .push(
            "linus",
            "access",
            "ada-orders",
            &[Change::write(GRANT, "person: ada\nrole: r\n")],
            "Role",
        )
        .unwrap();
    let review = world
        .review("grace", "access", number, Verdict::RequestChanges, "Why?")
        .unwrap();
    world
        .dismiss_review("root", "access", number, review)
        .unwrap();
    world
        .review("grace", "access", number, Verdict::Approve, "")
        .unwrap();
    world.convert_to_draft("ada", "access", number).unwrap();
    world.ready_for_review("ada", "access", number).unwrap();
    world.close_pull("ada", "access", number).unwrap();
    world.reopen("ada", "access", number).unwrap();
    world
        .push("root", "access", "lax", &[Change::write("lax", "")], "Lax")
        .unwrap();
    world.retarget("ada", "access", number, "lax").unwrap();
    world.retarget("ada", "access", number, "main").unwrap();
    world
        .merge_as_admin("root", "access", number, MergeMethod::Squash)
        .unwrap();
    world.settle().await;
    let expected = [
        "push",
        "pull_request.opened",
        "push",
        "pull_request.synchronize",
        "pull_request_review.submitted",
        "pull_request_review.dismissed",
        "pull_request_review.submitted",
        "pull_request.converted_to_draft",
        "pull_request.ready_for_review",
        "pull_request.closed",
        "pull_request.reopened",
        "push",
        "pull_request.edited",
        "pull_request.edited",
        "pull_request.closed",
        "push",
    ];
    assert_eq!(names(&seen), expected);
    for (headers, body) in seen.lock().unwrap().iter() {
        assert_eq!(
            headers["x-hub-signature-256"].to_str().unwrap(),
            sign("s3cret", body)
        );
        assert_eq!(headers["x-github-hook-installation-target-id"], "77");
    }
    assert!(
        world
            .deliveries()
            .iter()
            .all(|delivery| delivery.outcome == Outcome::Answered(202))
    );
    world.assert_contract_held();
}

#[tokio::test]
async fn an_app_reads_and_merges_within_the_contract() {
    let world = acme().await;
    let number = world.request();
    world
        .review("grace", "access", number, Verdict::Approve, "")
        .unwrap();
    let (token, _) = world.token(json!({})).await;
    let get = async |path: &str| {
        let reply = world.call(&token, "GET", path, None).await;
        assert_eq!(reply.status, 200, "{path}: {}", reply.body);
        reply.body
    };
    let pull = get("/repos/acme/access/pulls/1").await;
    assert_eq!(
        (&pull["mergeable"], &pull["changed_files"], &pull["commits"]),
        (&json!(true), &json!(1), &json!(1))
    );
    assert_eq!(
        get("/repos/acme/access/pulls?state=open&head=acme:ada-orders").await[0]["number"],
        1
    );
    assert_eq!(
        get("/repos/acme/access/pulls/1/reviews").await[0]["state"],
        "APPROVED"
    );
    assert_eq!(
        get("/repos/acme/access/pulls/1/files").await[0]["filename"],
        GRANT
    );
    assert_eq!(
        get("/repos/acme/access/pulls/1/commits")
            .await
            .as_array()
            .unwrap()
            .len(),
        1
    );
    assert_eq!(
        get("/repos/acme/access/activity?ref=ada-orders").await[0]["actor"]["login"],
        "ada"
    );
    assert_eq!(
        get("/repos/acme/access/compare/main...ada-orders").await["ahead_by"],
        1
    );
    assert_eq!(
        get("/repos/acme/access/branches/ada-orders").await["name"],
        "ada-orders"
    );
    assert_eq!(
        get("/repos/acme/access/git/ref/heads/ada-orders").await["object"]["sha"],
        pull["head"]["sha"]
    );
    assert_eq!(
        get("/repos/acme/access/codeowners/errors").await["errors"],
        json!([])
    );
    let merge = json!({ "sha": pull["head"]["sha"], "commit_title": "Grant", "commit_message": "why", "merge_method": "squash" });
    let merged = world
        .call(
            &token,
            "PUT",
            "/repos/acme/access/pulls/1/merge",
            Some(merge),
        )
        .await;
    assert_eq!(merged.status, 200, "{}", merged.body);
    let commit = merged.body["sha"].as_str().unwrap();
    assert_eq!(
        get(&format!("/repos/acme/access/commits/{commit}")).await["commit"]["message"],
        "Grant\n\nwhy"
    );
    assert_eq!(
        get(&format!("/repos/acme/access/commits/{commit}/pulls")).await[0]["number"],
        1
    );
    assert_eq!(
        get("/repos/acme/access/pulls/1/files")
            .await
            .as_array()
            .unwrap()
            .len(),
        1
    );
    assert_eq!(world.activity("access").pop().unwrap().kind, "pr_merge");
    world.assert_contract_held();
}

#[tokio::test]
async fn the_installation_of_a_repository_is_found_as_the_app() {
    let world = acme().await;
    let found: Value = world
        .octocrab()
        .get("/repos/acme/access/installation", None::<&()>)
        .await
        .unwrap();
    assert_eq!(
        (&found["id"], &found["permissions"]["checks"]),
        (&json!(INSTALLATION), &json!("write"))
    );
    world.assert_contract_held();
}

#[tokio::test]
async fn a_check_run_is_made_completed_and_found() {
    let world = acme().await;
    let number = world.request();
    let head = world.pull("access", number).head_sha;
    let (token, _) = world.token(json!({})).await;
    let check = json!({ "name": "hallpass", "head_sha": head, "status": "in_progress", "output": { "title": "Waiting", "summary": "for owners" } });
    let made = world
        .call(&token, "POST", "/repos/acme/access/check-runs", Some(check))
        .await;
    assert_eq!(made.status, 201, "{}", made.body);
    let annotation = json!({ "path": GRANT, "start_line": 1, "end_line": 1, "annotation_level": "failure", "message": "no" });
    let change = json!({ "conclusion": "failure", "output": { "title": "No", "summary": "no", "annotations": [annotation] } });
    let path = format!("/repos/acme/access/check-runs/{}", made.body["id"]);
    let changed = world.call(&token, "PATCH", &path, Some(change)).await;
    assert_eq!(
        (changed.status, &changed.body["status"]),
        (200, &json!("completed")),
        "{}",
        changed.body
    );
    let found = world
        .call(
            &token,
            "GET",
            &format!("/repos/acme/access/commits/{head}/check-runs?check_name=hallpass"),
            None,
        )
        .await;
    assert_eq!(
        (
            &found.body["total_count"],
            &found.body["check_runs"][0]["conclusion"]
        ),
        (&json!(1), &json!("failure"))
    );
    assert_eq!(
        world
            .call(&token, "GET", &format!("{path}/annotations"), None)
            .await
            .body[0]["message"],
        "no"
    );
    let check = world.checks("access", &head).pop().unwrap();
    assert_eq!((check.title.as_str(), check.annotations.len()), ("No", 1));
    let told: Vec<_> = world
        .deliveries()
        .into_iter()
        .filter(|sent| sent.event == "check_run")
        .filter_map(|sent| sent.action)
        .collect();
    assert_eq!(told, ["created", "completed"]);
    world.assert_contract_held();
}

#[tokio::test]
async fn another_app_cannot_touch_our_check_run() {
    let world = acme().await;
    let number = world.request();
    world
        .app(AppSpec {
            id: 78,
            slug: "other".to_owned(),
            ..AppSpec::hallpass(78, KNOWN_KEY)
        })
        .unwrap();
    world.sandbox.installation(78, 4712);
    let head = world.pull("access", number).head_sha;
    let (ours, _) = world.token(json!({})).await;
    let made = world
        .call(
            &ours,
            "POST",
            "/repos/acme/access/check-runs",
            Some(json!({ "name": "hallpass", "head_sha": head })),
        )
        .await;
    let key = EncodingKey::from_rsa_pem(KNOWN_KEY.as_bytes()).unwrap();
    let jwt = octocrab::auth::create_jwt(AppId(78), &key).unwrap();
    assert_eq!(
        world
            .call(&jwt, "POST", "/app/installations/4711/access_tokens", None)
            .await
            .status,
        404
    );
    let theirs = world
        .call(&jwt, "POST", "/app/installations/4712/access_tokens", None)
        .await
        .body;
    let path = format!("/repos/acme/access/check-runs/{}", made.body["id"]);
    let change = json!({ "status": "completed", "conclusion": "success" });
    assert_eq!(
        world
            .call(
                theirs["token"].as_str().unwrap(),
                "PATCH",
                &path,
                Some(change)
            )
            .await
            .status,
        403
    );
}

#[tokio::test]
async fn a_merge_of_another_tip_is_409_and_of_a_conflict_405() {
    let world = acme().await;
    world.request();
    let (token, _) = world.token(json!({})).await;
    let stale = json!({ "sha": "0000000000000000000000000000000000000000" });
    assert_eq!(
        world
            .call(
                &token,
                "PUT",
                "/repos/acme/access/pulls/1/merge",
                Some(stale)
            )
            .await
            .status,
        409
    );
    world
        .push_to_main(
            "root",
            "access",
            &[Change::write(GRANT, "person: linus\n")],
            "Sneak in",
        )
        .unwrap();
    assert_eq!(
        world
            .call(&token, "GET", "/repos/acme/access/pulls/1", None)
            .await
            .body["mergeable"],
        false
    );
    assert_eq!(
        world
            .call(&token, "PUT", "/repos/acme/access/pulls/1/merge", None)
            .await
            .status,
        405
    );
    assert_eq!(
        world
            .call(&token, "GET", "/repos/acme/access/pulls/1/merge", None)
            .await
            .status,
        404
    );
    world.assert_contract_held();
}

#[tokio::test]
async fn rules_hold_back_a_merge_until_owner_and_check_agree() {
    let world = acme().await;
    let number = world.request();
    let rules = Ruleset {
        code_owner_review: true,
        approvals: 1,
        required_check: Some(("hallpass".to_owned(), Some(APP))),
        ..Ruleset::default()
    };
    world.ruleset("access", Some(rules.clone()));
    let merge = || world.merge("ada", "access", number, MergeMethod::Merge);
    assert!(
        merge()
            .unwrap_err()
            .message
            .contains("Required status check \"hallpass\" is expected.")
    );
    world
        .review("linus", "access", number, Verdict::Approve, "")
        .unwrap();
    let (token, _) = world.token(json!({})).await;
    let check = json!({ "name": "hallpass", "head_sha": world.pull("access", number).head_sha, "conclusion": "success" });
    world
        .call(&token, "POST", "/repos/acme/access/check-runs", Some(check))
        .await;
    assert!(
        merge()
            .unwrap_err()
            .message
            .contains("Waiting on code owner review.")
    );
    let shown = world
        .call(
            &token,
            "GET",
            "/repos/acme/access/rules/branches/main",
            None,
        )
        .await
        .body;
    assert_eq!(
        (&shown[0]["type"], &shown[1]["type"]),
        (&json!("pull_request"), &json!("required_status_checks"))
    );
    let refused = world
        .call(&token, "PUT", "/repos/acme/access/pulls/1/merge", None)
        .await;
    assert_eq!(refused.status, 405);
    world
        .review("grace", "access", number, Verdict::Approve, "")
        .unwrap();
    merge().unwrap();
    world.assert_contract_held();
}

#[tokio::test]
async fn an_app_on_the_bypass_list_merges_regardless() {
    let world = acme().await;
    world.request();
    world.ruleset(
        "access",
        Some(Ruleset {
            approvals: 2,
            bypass_apps: vec![APP],
            ..Ruleset::default()
        }),
    );
    let (token, _) = world.token(json!({})).await;
    assert_eq!(
        world
            .call(&token, "PUT", "/repos/acme/access/pulls/1/merge", None)
            .await
            .status,
        200
    );
}

#[tokio::test]
async fn every_merge_method_brings_the_files_to_main() {
    for (method, parents) in [
        (MergeMethod::Merge, 2),
        (MergeMethod::Squash, 1),
        (MergeMethod::Rebase, 1),
    ] {
        let world = acme().await;
        let number = world.request();
        world
            .push_to_main(
                "root",
                "access",
                &[Change::write("other", "x")],
                "Meanwhile",
            )
            .unwrap();
        let commit = world
            .merge_as_admin("root", "access", number, method)
            .unwrap();
        assert_eq!(world.branch_tip("access", "main").unwrap(), commit);
        assert_eq!(
            world.file("access", "main", GRANT).unwrap(),
            b"person: ada\n"
        );
        assert_eq!(
            world.pull("access", number).merged.as_deref(),
            Some(commit.as_str())
        );
        let git = git2::Repository::open(world.repository_path("access")).unwrap();
        let commit = git
            .find_commit(git2::Oid::from_str(commit.as_str()).unwrap())
            .unwrap();
        assert_eq!(commit.parent_count(), parents, "{method:?}");
    }
}

#[tokio::test]
async fn a_stacked_pull_request_is_merged_by_the_merge_of_the_one_above() {
    let world = acme().await;
    let below = world.request();
    let branch = world.branch_tip("access", "ada-orders").unwrap();
    world
        .force_push(
            "linus",
            "access",
            "stack",
            branch.as_str(),
            &[Change::write("more", "x")],
            "More",
        )
        .unwrap();
    let above = world
        .open_pull("linus", "access", "stack", "main", "Both", "")
        .unwrap();
    world
        .merge_as_admin("root", "access", above, MergeMethod::Merge)
        .unwrap();
    let below = world.pull("access", below);
    assert!(!below.open);
    assert_eq!(below.merged, world.pull("access", above).merged);
}

#[tokio::test]
async fn a_review_may_name_an_older_commit() {
    let world = acme().await;
    let number = world.request();
    let old = world.branch_tip("access", "ada-orders").unwrap();
    world
        .push(
            "ada",
            "access",
            "ada-orders",
            &[Change::write(GRANT, "person: ada\nrole: admin\n")],
            "More",
        )
        .unwrap();
    world
        .review_at("grace", "access", number, Verdict::Approve, "", &old)
        .unwrap();
    assert_eq!(world.pull("access", number).reviews[0].commit, old.as_str());
}

#[tokio::test]
async fn nobody_approves_their_own_pull_request_unless_github_errs() {
    let world = acme().await;
    let number = world.request();
    assert_eq!(
        world
            .review("ada", "access", number, Verdict::Approve, "")
            .unwrap_err()
            .status,
        422
    );
    world
        .review_unchecked("ada", "access", number, Verdict::Approve, "")
        .unwrap();
    assert_eq!(
        world.pull("access", number).reviews[0].said,
        ReviewSaid::Approved
    );
}

#[tokio::test]
async fn a_push_dismisses_approvals_where_the_rules_say_so() {
    let world = acme().await;
    let number = world.request();
    world.ruleset(
        "access",
        Some(Ruleset {
            dismiss_stale: true,
            ..Ruleset::default()
        }),
    );
    world
        .review("grace", "access", number, Verdict::Approve, "")
        .unwrap();
    world
        .push(
            "ada",
            "access",
            "ada-orders",
            &[Change::write("x", "y")],
            "More",
        )
        .unwrap();
    assert_eq!(
        world.pull("access", number).reviews[0].said,
        ReviewSaid::Dismissed
    );
}

#[tokio::test]
async fn a_deleted_branch_closes_its_pull_request_and_a_rewritten_one_stays_closed() {
    let world = acme().await;
    let number = world.request();
    world.delete_branch("ada", "access", "ada-orders").unwrap();
    assert!(!world.pull("access", number).open);
    assert!(world.reopen("ada", "access", number).is_err());
    world
        .push(
            "ada",
            "access",
            "ada-orders",
            &[Change::write("x", "y")],
            "Again",
        )
        .unwrap();
    assert!(world.reopen("ada", "access", number).is_err());
}

#[tokio::test]
async fn a_pull_request_from_a_fork_shows_its_origin() {
    let world = acme().await;
    let number = world
        .open_pull_from_fork(
            "eve",
            "access",
            "main",
            &[Change::write(GRANT, "person: eve\n")],
            "Me too",
        )
        .unwrap();
    world
        .push_to_fork("eve", "access", number, &[Change::write("x", "y")], "More")
        .unwrap();
    let (token, _) = world.token(json!({})).await;
    let pull = world
        .call(&token, "GET", "/repos/acme/access/pulls/1", None)
        .await
        .body;
    assert_eq!(
        (
            &pull["head"]["label"],
            &pull["head"]["repo"]["fork"],
            &pull["commits"]
        ),
        (&json!("eve:main"), &json!(true), &json!(2))
    );
    let listed = world
        .call(
            &token,
            "GET",
            "/repos/acme/access/pulls?head=eve:main",
            None,
        )
        .await
        .body;
    assert_eq!(listed[0]["number"], 1);
    assert_eq!(
        world.deliveries().pop().unwrap().payload["sender"]["login"],
        "eve"
    );
    world.assert_contract_held();
}

#[tokio::test]
async fn team_membership_is_active_for_members_and_pending_for_others() {
    let world = acme().await;
    let (token, _) = world.token(json!({})).await;
    let team = "/orgs/acme/teams/DBA";
    let put = async |login: &str| {
        world
            .call(
                &token,
                "PUT",
                &format!("{team}/memberships/{login}"),
                Some(json!({ "role": "member" })),
            )
            .await
    };
    assert_eq!(put("ada").await.body["state"], "active");
    assert_eq!(put("eve").await.body["state"], "pending");
    let listed = world
        .call(&token, "GET", &format!("{team}/members?per_page=100"), None)
        .await
        .body;
    let listed: Vec<_> = listed
        .as_array()
        .unwrap()
        .iter()
        .map(|user| user["login"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(listed, ["ada", "grace"]);
    assert_eq!(
        world
            .call(&token, "GET", &format!("{team}/invitations"), None)
            .await
            .body[0]["login"],
        "eve"
    );
    assert_eq!(
        world
            .call(&token, "GET", &format!("{team}/memberships/EVE"), None)
            .await
            .body["state"],
        "pending"
    );
    assert_eq!(
        world
            .call(&token, "GET", "/orgs/acme/members/eve", None)
            .await
            .status,
        404
    );
    assert_eq!(
        world
            .call(&token, "GET", "/orgs/acme/memberships/eve", None)
            .await
            .body["state"],
        "pending"
    );
    assert_eq!(
        world
            .call(&token, "DELETE", &format!("{team}/memberships/ada"), None)
            .await
            .status,
        204
    );
    assert_eq!(
        world
            .call(&token, "DELETE", &format!("{team}/memberships/ada"), None)
            .await
            .status,
        404
    );
    world.join("eve");
    assert_eq!(
        world.team_members("dba"),
        [
            ("grace".to_owned(), Membership::Active),
            ("eve".to_owned(), Membership::Active)
        ]
    );
    world.expel("eve");
    assert_eq!(
        world
            .call(&token, "GET", &format!("{team}/memberships/eve"), None)
            .await
            .status,
        404
    );
    assert_eq!(
        world.call(&token, "GET", team, None).await.body["members_count"],
        1
    );
    world.assert_contract_held();
}

#[tokio::test]
async fn a_team_shows_the_members_of_its_child_teams_and_its_permission() {
    let world = acme().await;
    world.child_team("dba", "dba-oncall", &["linus"]);
    let (token, _) = world.token(json!({})).await;
    let members = world
        .call(&token, "GET", "/orgs/acme/teams/dba/members", None)
        .await
        .body;
    assert_eq!(members.as_array().unwrap().len(), 2);
    assert_eq!(
        world
            .call(
                &token,
                "GET",
                "/orgs/acme/teams/dba/memberships/linus",
                None
            )
            .await
            .body["state"],
        "active"
    );
    let path = "/orgs/acme/teams/dba-oncall/repos/acme/access";
    assert_eq!(world.call(&token, "GET", path, None).await.status, 204);
    let mut installation = world.installation();
    let mut headers = HeaderMap::new();
    headers.insert(
        "accept",
        "application/vnd.github.v3.repository+json".parse().unwrap(),
    );
    let answer = installation
        ._get_with_headers(path, Some(headers))
        .await
        .unwrap();
    let body: Value =
        serde_json::from_str(&installation.body_to_string(answer).await.unwrap()).unwrap();
    assert_eq!(
        (&body["permissions"]["push"], &body["role_name"]),
        (&json!(true), &json!("write"))
    );
    installation = world.installation();
    let mine: Value = installation
        .get(
            "/repos/acme/access/collaborators/GRACE/permission",
            None::<&()>,
        )
        .await
        .unwrap();
    assert_eq!(
        (&mine["permission"], &mine["user"]["login"]),
        (&json!("write"), &json!("grace"))
    );
    world.assert_contract_held();
}

#[tokio::test]
async fn a_renamed_account_keeps_its_number_and_frees_its_name() {
    let world = acme().await;
    let (token, _) = world.token(json!({})).await;
    let before = world.call(&token, "GET", "/users/ada", None).await.body;
    world.rename_user("ada", "ada-l");
    assert_eq!(
        world.call(&token, "GET", "/users/ada", None).await.status,
        404
    );
    let after = world
        .call(&token, "GET", &format!("/user/{}", before["id"]), None)
        .await
        .body;
    assert_eq!(after["login"], "ada-l");
    let squatter = world.user("ada");
    assert_ne!(json!(squatter.0), before["id"]);
    world.assert_contract_held();
}

#[tokio::test]
async fn a_deleted_author_is_null() {
    let world = acme().await;
    let number = world.request();
    world
        .review("grace", "access", number, Verdict::Approve, "")
        .unwrap();
    world.delete_user("grace");
    let (token, _) = world.token(json!({})).await;
    assert_eq!(
        world
            .call(&token, "GET", "/repos/acme/access/pulls/1/reviews", None)
            .await
            .body[0]["user"],
        Value::Null
    );
    world.assert_contract_held();
}

#[tokio::test]
async fn lists_come_in_pages_with_links() {
    let world = acme().await;
    let number = world.request();
    for _ in 0..5 {
        world
            .review("grace", "access", number, Verdict::Comment, "hm")
            .unwrap();
    }
    let (token, _) = world.token(json!({})).await;
    let first = world
        .call(
            &token,
            "GET",
            "/repos/acme/access/pulls/1/reviews?per_page=2",
            None,
        )
        .await;
    let link = first.headers["link"].to_str().unwrap();
    assert!(
        link.contains("per_page=2&page=2>; rel=\"next\"") && link.contains("page=3>; rel=\"last\""),
        "{link}"
    );
    let last = world
        .call(
            &token,
            "GET",
            "/repos/acme/access/pulls/1/reviews?per_page=2&page=3",
            None,
        )
        .await;
    assert_eq!(last.body.as_array().unwrap().len(), 1);
    assert!(!last.headers["link"].to_str().unwrap().contains("next"));
    for name in ["a", "b", "c"] {
        world
            .push("linus", "access", name, &[Change::write(name, "")], name)
            .unwrap();
    }
    let (mut path, mut seen) = (
        "/repos/acme/access/activity?per_page=1".to_owned(),
        Vec::new(),
    );
    loop {
        let page = world.call(&token, "GET", &path, None).await;
        seen.push(page.body[0]["ref"].as_str().unwrap().to_owned());
        let Some(link) = page.headers.get("link") else {
            break;
        };
        let url = link
            .to_str()
            .unwrap()
            .trim_start_matches('<')
            .split('>')
            .next()
            .unwrap()
            .to_owned();
        path = url.strip_prefix(&world.api_url()).unwrap().to_owned();
    }
    assert_eq!(
        seen,
        [
            "refs/heads/c",
            "refs/heads/b",
            "refs/heads/a",
            "refs/heads/ada-orders"
        ]
    );
    world.assert_contract_held();
}

#[tokio::test]
async fn refs_are_made_moved_and_deleted_over_rest() {
    let world = acme().await;
    let (token, _) = world.token(json!({})).await;
    let main = world.branch_tip("access", "main").unwrap();
    let next = world
        .push("linus", "access", "next", &[Change::write("n", "")], "Next")
        .unwrap();
    let refs = "/repos/acme/access/git/refs";
    let made = json!({ "ref": "refs/heads/hallpass/reverts", "sha": main.as_str() });
    assert_eq!(
        world
            .call(&token, "POST", refs, Some(made.clone()))
            .await
            .status,
        201
    );
    assert_eq!(
        world.call(&token, "POST", refs, Some(made)).await.status,
        422
    );
    let reverts = format!("{refs}/heads/hallpass/reverts");
    assert_eq!(
        world
            .call(
                &token,
                "PATCH",
                &reverts,
                Some(json!({ "sha": next.as_str() }))
            )
            .await
            .status,
        200
    );
    assert_eq!(
        world
            .call(
                &token,
                "PATCH",
                &reverts,
                Some(json!({ "sha": main.as_str() }))
            )
            .await
            .status,
        422
    );
    assert_eq!(
        world
            .call(
                &token,
                "PATCH",
                &reverts,
                Some(json!({ "sha": main.as_str(), "force": true }))
            )
            .await
            .status,
        200
    );
    assert_eq!(
        world
            .call(
                &token,
                "GET",
                "/repos/acme/access/branches/hallpass%2Freverts",
                None
            )
            .await
            .status,
        200
    );
    assert_eq!(
        world.call(&token, "DELETE", &reverts, None).await.status,
        204
    );
    assert_eq!(
        world
            .call(
                &token,
                "GET",
                "/repos/acme/access/git/ref/heads/hallpass/reverts",
                None
            )
            .await
            .status,
        404
    );
    world.assert_contract_held();
}

#[tokio::test]
async fn comments_and_labels_are_kept() {
    let world = acme().await;
    let number = world.request();
    let (token, _) = world.token(json!({})).await;
    let issue = "/repos/acme/access/issues/1";
    let comment = world
        .call(
            &token,
            "POST",
            &format!("{issue}/comments"),
            Some(json!({ "body": "one" })),
        )
        .await;
    let path = format!("/repos/acme/access/issues/comments/{}", comment.body["id"]);
    assert_eq!(
        world
            .call(&token, "PATCH", &path, Some(json!({ "body": "two" })))
            .await
            .body["body"],
        "two"
    );
    assert_eq!(
        world
            .call(&token, "GET", &format!("{issue}/comments"), None)
            .await
            .body[0]["user"]["login"],
        "hallpass[bot]"
    );
    world
        .call(
            &token,
            "POST",
            &format!("{issue}/labels"),
            Some(json!({ "labels": ["access", "late"] })),
        )
        .await;
    assert_eq!(
        world
            .call(&token, "DELETE", &format!("{issue}/labels/late"), None)
            .await
            .status,
        200
    );
    let pull = world.pull("access", number);
    assert_eq!(
        (pull.comments, pull.labels),
        (vec!["two".to_owned()], vec!["access".to_owned()])
    );
    world.assert_contract_held();
}

#[tokio::test]
async fn codeowners_errors_name_unknown_owners() {
    let world = acme().await;
    let file = "/access/ @acme/dba @acme/nobody @eve\n!/x @ada\n";
    world
        .push_to_main(
            "root",
            "access",
            &[Change::write(".github/CODEOWNERS", file)],
            "Own",
        )
        .unwrap();
    let (token, _) = world.token(json!({})).await;
    let errors = world
        .call(
            &token,
            "GET",
            "/repos/acme/access/codeowners/errors?ref=main",
            None,
        )
        .await
        .body["errors"]
        .clone();
    let kinds: Vec<_> = errors
        .as_array()
        .unwrap()
        .iter()
        .map(|error| {
            (
                error["line"].as_u64().unwrap(),
                error["kind"].as_str().unwrap(),
            )
        })
        .collect();
    assert_eq!(
        kinds,
        [
            (1, "Unknown owner"),
            (1, "Unknown owner"),
            (2, "Invalid pattern")
        ]
    );
    world.assert_contract_held();
}

#[tokio::test]
async fn a_wrong_request_is_caught_by_the_contract() {
    let world = acme().await;
    world.request();
    let (token, _) = world.token(json!({})).await;
    let wrong = [
        (
            "GET",
            "/repos/acme/access/pulls?status=open",
            None,
            "query parameter `status`",
        ),
        (
            "POST",
            "/repos/acme/access/check-runs",
            Some(json!({ "name": "hallpass" })),
            "head_sha",
        ),
        (
            "PATCH",
            "/repos/acme/access/pulls/1",
            Some(json!({ "titel": "x" })),
            "property `titel`",
        ),
        (
            "PUT",
            "/repos/acme/access/pulls/1/merge",
            Some(json!({ "merge_method": "fast" })),
            "merge_method",
        ),
        (
            "GET",
            "/repos/acme/access/stargazers",
            None,
            "not an operation",
        ),
        (
            "POST",
            "/repos/acme/access/issues/1/comments",
            None,
            "no body",
        ),
    ];
    for (index, (method, path, body, words)) in wrong.into_iter().enumerate() {
        let reply = world.call(&token, method, path, body).await;
        assert_eq!(reply.status, 500, "{path}");
        let found = world.violations();
        assert_eq!(found.len(), index + 1, "{found:?}");
        assert!(found[index].contains(words), "{found:?}");
        assert!(
            reply.body["message"].as_str().unwrap().contains(words),
            "{}",
            reply.body
        );
    }
}

/// The contracts, as if GitHub demanded one field more of repositories.
fn stricter_contracts(dir: &Path) -> Contracts {
    let stricter = |name: &str, schemas: &[&str]| {
        let original = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("tests/contracts")
            .join(name);
        let mut contract: Value =
            serde_json::from_slice(&std::fs::read(original).unwrap()).unwrap();
        for schema in schemas {
            let required = &mut contract["components"]["schemas"][*schema]["required"];
            required.as_array_mut().unwrap().push("colour".into());
        }
        std::fs::write(dir.join(name), contract.to_string()).unwrap();
        dir.join(name)
    };
    let rest = stricter("github-rest.json", &["full-repository"]);
    let webhooks = stricter("github-webhooks.json", &["webhook-push"]);
    Contracts::load(rest, webhooks).unwrap()
}

#[tokio::test]
async fn a_wrong_answer_and_a_wrong_webhook_are_caught_by_the_contract() {
    let dir = tempfile::tempdir().unwrap();
    let clock = Arc::new(ManualClock::at(
        Utc.with_ymd_and_hms(2026, 11, 24, 9, 0, 0).unwrap(),
    ));
    let mut options = SandboxOptions::new(clock.clone(), dir.path().join("forge"));
    options.contracts = Some(stricter_contracts(dir.path()));
    let sandbox = Sandbox::start(options).await.unwrap();
    sandbox.member("ada");
    sandbox.repository("access", &[("a", "b")]).unwrap();
    let world = World {
        sandbox,
        clock,
        dir,
    };
    let reply = world
        .call(
            &world.personal_token("ada"),
            "GET",
            "/repos/acme/access",
            None,
        )
        .await;
    assert_eq!(reply.status, 500);
    world
        .push("ada", "access", "x", &[Change::write("x", "")], "x")
        .unwrap();
    let found = world.violations();
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(
        found[0].starts_with("response GET /repos/{owner}/{repo} 200")
            && found[0].contains("colour"),
        "{found:?}"
    );
    assert!(
        found[1].starts_with("webhook push") && found[1].contains("colour"),
        "{found:?}"
    );
}

#[tokio::test]
async fn a_fault_before_the_effect_leaves_nothing_and_after_it_everything() {
    let world = acme().await;
    let number = world.request();
    let (token, _) = world.token(json!({})).await;
    let merge = "PUT /repos/{owner}/{repo}/pulls/{pull_number}/merge";
    let call = async || {
        world
            .call(&token, "PUT", "/repos/acme/access/pulls/1/merge", None)
            .await
            .status
    };
    world.fail_next(Some(merge), 2, 502, When::Before);
    assert_eq!((call().await, call().await), (502, 502));
    assert!(world.pull("access", number).open);
    world.fail_next(Some(merge), 1, 504, When::After);
    assert_eq!(
        world
            .call(&token, "GET", "/repos/acme/access", None)
            .await
            .status,
        200
    );
    assert_eq!(call().await, 504);
    assert!(world.pull("access", number).merged.is_some());
    assert_eq!(world.calls()[merge], 3);
    world.reset_calls();
    assert!(world.calls().is_empty());
}

#[tokio::test]
async fn rate_limits_say_when_to_come_back() {
    let world = acme().await;
    let (token, _) = world.token(json!({})).await;
    let plain = world.call(&token, "GET", "/repos/acme/access", None).await;
    assert_eq!(plain.headers["x-ratelimit-remaining"], "4999");
    world.rate_limit(Some(RateLimit::Primary { reset_in: 600 }));
    let limited = world.call(&token, "GET", "/repos/acme/access", None).await;
    assert_eq!(
        (
            limited.status,
            limited.headers["x-ratelimit-remaining"].to_str().unwrap()
        ),
        (403, "0")
    );
    assert_eq!(
        limited.headers["x-ratelimit-reset"].to_str().unwrap(),
        "1795511400"
    );
    world.rate_limit(Some(RateLimit::Secondary { retry_after: 60 }));
    assert_eq!(
        world
            .call(&token, "GET", "/repos/acme/access", None)
            .await
            .headers["retry-after"],
        "60"
    );
    world.rate_limit(None);
    assert_eq!(
        world.call(&token, "GET", "/rate_limit", None).await.body["rate"]["used"],
        1
    );
    world.assert_contract_held();
}

#[tokio::test]
async fn the_forge_goes_away_and_comes_back_on_the_same_port() {
    let world = acme().await;
    let (token, _) = world.token(json!({})).await;
    let client = reqwest::Client::builder()
        .no_proxy()
        .user_agent("test")
        .build()
        .unwrap();
    let get = async || {
        client
            .get(format!("{}/repos/acme/access", world.api_url()))
            .bearer_auth(&token)
            .send()
            .await
            .map(|answer| answer.status().as_u16())
    };
    assert_eq!(get().await.unwrap(), 200);
    world.down(Down::Unavailable);
    assert_eq!(get().await.unwrap(), 503);
    world.down(Down::Refused);
    assert!(get().await.is_err());
    assert!(get().await.is_err());
    world.down(Down::No);
    let mut answered = get().await;
    while answered.is_err() {
        tokio::task::yield_now().await;
        answered = get().await;
    }
    assert_eq!(answered.unwrap(), 200);
}

#[tokio::test]
async fn a_suspended_installation_is_403() {
    let world = acme().await;
    let (token, _) = world.token(json!({})).await;
    world.suspend(INSTALLATION, true);
    assert_eq!(
        world
            .call(&token, "GET", "/repos/acme/access", None)
            .await
            .status,
        403
    );
    world.suspend(INSTALLATION, false);
    assert_eq!(
        world
            .call(&token, "GET", "/repos/acme/access", None)
            .await
            .status,
        200
    );
}

#[tokio::test]
async fn latency_is_felt() {
    let world = acme().await;
    let (token, _) = world.token(json!({})).await;
    world.latency(Duration::from_secs(3600));
    let call = world.call(&token, "GET", "/repos/acme/access", None);
    assert!(
        tokio::time::timeout(Duration::from_millis(50), call)
            .await
            .is_err()
    );
}

#[tokio::test]
async fn webhooks_are_dropped_doubled_reordered_and_sent_again() {
    let world = acme().await;
    let (url, seen) = receiver().await;
    world.deliver_to(url, "s3cret");
    world.deaf(true);
    let number = world.request();
    world.settle().await;
    assert!(seen.lock().unwrap().is_empty());
    assert!(
        world
            .deliveries()
            .iter()
            .all(|delivery| delivery.outcome == Outcome::Dropped)
    );
    world.deaf(false);
    world.duplicate(true);
    world.convert_to_draft("ada", "access", number).unwrap();
    world.settle().await;
    assert_eq!(
        names(&seen),
        [
            "pull_request.converted_to_draft",
            "pull_request.converted_to_draft"
        ]
    );
    world.duplicate(false);
    seen.lock().unwrap().clear();
    world.reorder(true);
    world.ready_for_review("ada", "access", number).unwrap();
    world.close_pull("ada", "access", number).unwrap();
    world.settle().await;
    assert_eq!(
        names(&seen),
        ["pull_request.closed", "pull_request.ready_for_review"]
    );
    let guid = world.deliveries()[0].guid.clone();
    assert!(world.redeliver(&guid));
    world.settle().await;
    assert_eq!(
        seen.lock().unwrap().last().unwrap().0["x-github-delivery"]
            .to_str()
            .unwrap(),
        guid
    );
}

#[tokio::test]
async fn a_receiver_that_is_away_is_not_waited_for() {
    let world = acme().await;
    world.deliver_to("http://127.0.0.1:1/webhook", "s3cret");
    world.request();
    world.settle().await;
    assert!(
        world
            .deliveries()
            .iter()
            .all(|delivery| matches!(delivery.outcome, Outcome::Failed(_)))
    );
}

#[test]
fn every_assumption_names_its_page() {
    for assumption in ASSUMPTIONS {
        assert!(
            assumption.page.starts_with("https://docs.github.com/"),
            "{}",
            assumption.name
        );
        assert!(!assumption.belief.is_empty());
    }
}
