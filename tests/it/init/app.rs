//! The App by GitHub's manifest flow, against the stand-in: page, form, code, files.

use std::io::{BufRead, BufReader, Read};
use std::os::unix::fs::PermissionsExt;
use std::process::{Child, Command, Stdio};

use hallpass::sandbox::Sandbox;
use regex::Regex;
use reqwest::redirect::Policy;

use super::{Desk, FLAGS, assert_well, examined, standin};

/// A run of `hallpass app create` that waits for somebody to come back.
struct Run {
    child: Child,
    page: String,
}

impl Run {
    #[expect(clippy::disallowed_methods, reason = "runs the real program")]
    fn start(desk: &Desk, more: &[&str]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_hallpass"))
            .current_dir(desk.path(""))
            .args(["app", "create", "--config", "access-setup/hallpass.toml"])
            .args(more)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let mut said = BufReader::new(child.stderr.take().unwrap());
        said.read_line(&mut line).unwrap();
        let page = line.trim().rsplit(' ').next().unwrap().to_owned();
        assert!(page.starts_with("http://127.0.0.1:"), "{line}");
        // Read on, so that it is not stopped by a pipe that nobody empties.
        std::thread::spawn(move || {
            let mut rest = String::new();
            let _ = said.read_to_string(&mut rest);
        });
        Self { child, page }
    }

    fn end(mut self) -> (Option<i32>, String) {
        let mut said = String::new();
        let out = self.child.stdout.take();
        out.unwrap().read_to_string(&mut said).unwrap();
        (self.child.wait().unwrap().code(), said)
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        // Gone already, where it came to its end.
        let _ = self.child.kill();
    }
}

fn browser() -> reqwest::Client {
    let client = reqwest::Client::builder().redirect(Policy::none());
    client.build().unwrap()
}

/// Reads the form of the page: where it goes, and the manifest.
async fn form(page: &str) -> (String, String) {
    let answer = browser().get(page).send().await.unwrap();
    let policy = answer.headers()["content-security-policy"]
        .to_str()
        .unwrap();
    assert!(policy.starts_with("default-src 'none'"), "{policy}");
    let html = answer.text().await.unwrap();
    let text = |pattern: &str| {
        let found = Regex::new(pattern).unwrap();
        let found = found.captures(&html).unwrap_or_else(|| panic!("{html}"));
        let text = found[1].replace("&#34;", "\"").replace("&quot;", "\"");
        text.replace("&#38;", "&").replace("&amp;", "&")
    };
    (
        text(r#"action="([^"]*)""#),
        text(r#"name="manifest" value="([^"]*)""#),
    )
}

/// Sends the form as a browser does, and says where GitHub sends one back to.
async fn agree(action: &str, manifest: &str) -> String {
    let body = url::form_urlencoded::Serializer::new(String::new())
        .append_pair("manifest", manifest)
        .finish();
    let answer = browser()
        .post(action)
        .header("content-type", "application/x-www-form-urlencoded")
        .body(body)
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), 302, "{:?}", answer.text().await);
    answer.headers()["location"].to_str().unwrap().to_owned()
}

async fn begun(sandbox: &Sandbox) -> Desk {
    let desk = Desk::new();
    let (code, said) = desk.run(&[&FLAGS[..], &["--web", sandbox.url()]].concat());
    assert_eq!(code, Some(0), "{said}");
    assert!(!desk.path("access-setup/rulesets").exists());
    desk
}

async fn world() -> (tempfile::TempDir, Sandbox) {
    let folder = tempfile::tempdir().unwrap();
    let sandbox = standin(folder.path()).await;
    for login in ["morgan", "mei"] {
        sandbox.member(login);
        sandbox.owner(login);
    }
    (folder, sandbox)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_app_is_made_by_one_click_and_the_doctor_wants_nothing_of_it() {
    let (_folder, sandbox) = world().await;
    let desk = begun(&sandbox).await;
    let run = Run::start(&desk, &["--url", "https://hallpass.acme.example/"]);
    let (action, manifest) = form(&run.page).await;
    let asked: serde_json::Value = serde_json::from_str(&manifest).unwrap();
    assert_eq!(asked["public"], false);
    assert_eq!(
        asked["hook_attributes"],
        serde_json::json!({ "url": "https://hallpass.acme.example/webhook", "active": true })
    );
    let permissions = serde_json::json!({
        "checks": "write", "contents": "write", "issues": "write", "members": "write", "metadata": "read", "pull_requests": "write",
    });
    assert_eq!(asked["default_permissions"], permissions);

    let back = agree(&action, &manifest).await;
    // Somebody else's link does not end it.
    let forged = back.replace("state=", "state=0");
    let answer = browser().get(&forged).send().await.unwrap();
    assert_eq!(answer.status(), 400);
    let answer = browser().get(&back).send().await.unwrap();
    assert_eq!(answer.status(), 200, "{:?}", answer.text().await);
    let (code, said) = run.end();
    assert_eq!(code, Some(0), "{said}");

    let secrets = ["hallpass.pem", "webhook-secret", "client-secret"];
    for name in secrets {
        let path = desk.path(&format!("access-setup/{name}"));
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(!said.contains(text.trim()), "{name} is shown");
    }
    let toml = desk.read("access-setup/hallpass.toml");
    let app = Regex::new(r"(?m)^app_id = (\d+)$").unwrap();
    let app: u64 = app.captures(&toml).unwrap_or_else(|| panic!("{toml}"))[1]
        .parse()
        .unwrap();
    assert!(said.contains("/installations/new"), "{said}");

    let lines = examined(&desk, &sandbox, app).await;
    assert_well(&lines);
    let violations = sandbox.violations();
    assert!(violations.is_empty(), "{violations:#?}");

    // What is there is left alone.
    let (code, said) = desk.run(&["app", "create", "--config", "access-setup/hallpass.toml"]);
    assert_eq!(code, Some(2));
    assert!(said.contains(&format!("names App {app} already")), "{said}");
    let before = desk.files();
    let (code, said) = desk.run(&["init", "access"]);
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(desk.files(), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_code_that_was_brought_by_hand_is_exchanged_once() {
    let (_folder, sandbox) = world().await;
    let desk = begun(&sandbox).await;
    let config = ["--config", "access-setup/hallpass.toml"];
    let create = |more: &[&str]| desk.run(&[&["app", "create"][..], &config, more].concat());
    let done = desk.hallpass(&[&["app", "create"][..], &config, &["--manifest"]].concat());
    let manifest = String::from_utf8(done.stdout).unwrap();
    let asked: serde_json::Value = serde_json::from_str(&manifest).unwrap();
    assert_eq!(asked["hook_attributes"]["active"], false);
    assert_eq!(asked["redirect_url"], "http://127.0.0.1/created");
    assert_eq!(asked["default_events"], serde_json::json!([]));
    let action = format!("{}/organizations/acme/settings/apps/new", sandbox.url());
    let back = agree(&action, &manifest).await;
    let code = back.rsplit("code=").next().unwrap();
    let (ended, said) = create(&["--code", "../../user"]);
    assert_eq!(ended, Some(2));
    assert!(said.contains("is no code"), "{said}");
    let (ended, said) = create(&["--code", code, "--json"]);
    assert_eq!(ended, Some(0), "{said}");
    let answer: serde_json::Value = serde_json::from_str(&said).unwrap();
    assert_eq!(
        answer["files"].as_array().unwrap().len(),
        2,
        "no webhook, no secret of one"
    );
    let toml = desk.read("access-setup/hallpass.toml");
    let again = toml.replace("app_id = ", "# app_id = ");
    std::fs::write(desk.path("access-setup/hallpass.toml"), again).unwrap();
    let (ended, said) = create(&["--code", code]);
    assert_eq!(ended, Some(2));
    assert!(said.contains("is not overwritten"), "{said}");
    let elsewhere = ["--code", code, "--keys", "elsewhere"];
    let (ended, said) = create(&elsewhere);
    assert_eq!(ended, Some(2));
    assert!(said.contains("it is taken once"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_that_is_reached_by_another_name_says_nothing() {
    let (_folder, sandbox) = world().await;
    let desk = begun(&sandbox).await;
    let run = Run::start(&desk, &[]);
    let answer = browser()
        .get(&run.page)
        .header("host", "rebound.example:80")
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), 404);
}

#[test]
fn what_an_app_is_asked_for_follows_from_the_connections() {
    let permissions = |kind: &str| {
        let desk = Desk::new();
        let words = [
            "init",
            "access",
            "--organisation",
            "acme",
            "--resource",
            "thing",
            "--kind",
            kind,
            "--yes",
        ];
        desk.run(&words);
        let create = [
            "app",
            "create",
            "--config",
            "access-setup/hallpass.toml",
            "--manifest",
            "--url",
            "https://hallpass.example",
        ];
        let done = desk.hallpass(&create);
        let asked: serde_json::Value = serde_json::from_slice(&done.stdout).unwrap();
        asked
    };
    let postgres = permissions("postgres");
    assert_eq!(postgres["default_permissions"]["members"], "read");
    assert_eq!(postgres["default_permissions"].get("administration"), None);
    let repository = permissions("github-repository");
    assert_eq!(repository["default_permissions"]["administration"], "write");
    let deployment = permissions("github-deployment");
    let events = deployment["default_events"].as_array().unwrap();
    assert!(
        events.contains(&"deployment_protection_rule".into()),
        "{events:?}"
    );
    assert!(
        !postgres["default_events"]
            .as_array()
            .unwrap()
            .contains(&"deployment_protection_rule".into())
    );
}
