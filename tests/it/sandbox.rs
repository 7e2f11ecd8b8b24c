//! The stand-in for GitHub behaves as GitHub, as far as we know GitHub.

use std::path::Path;
use std::process::Output;
use std::sync::{Arc, LazyLock, Mutex};
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

static CONTRACTS: LazyLock<Contracts> = LazyLock::new(|| {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/contracts");
    Contracts::load(
        dir.join("github-rest.json"),
        dir.join("github-webhooks.json"),
    )
    .expect("the contracts are in the repository")
});

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
    options.contracts = Some(CONTRACTS.clone());
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
