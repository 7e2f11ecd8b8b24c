//! Runs that wait for an environment, and what Apps may say of them.

use hallpass::sandbox::RunView;
use serde_json::{Value, json};

use super::{APP, World, acme};

const REPO: &str = "access";

async fn deploying() -> World {
    let world = acme().await;
    world.app_permission(APP, "actions", Some("read"));
    world.app_permission(APP, "deployments", Some("write"));
    world.environment(REPO, "production");
    world.environment(REPO, "docs");
    world.protect(REPO, "production", APP, true);
    world
}

impl World {
    /// Answers for our rule; the status.
    async fn answer(&self, run: u64, body: Value) -> u16 {
        let route = format!("/repos/acme/{REPO}/actions/runs/{run}/deployment_protection_rule");
        let answer = self.installation()._post(route, Some(&body)).await;
        answer.unwrap().status().as_u16()
    }

    async fn read(&self, route: &str) -> Value {
        let route = format!("/repos/acme/{REPO}{route}");
        self.installation().get(route, None::<&()>).await.unwrap()
    }

    fn view(&self, run: u64) -> RunView {
        self.run(REPO, run)
    }
}

#[tokio::test]
async fn a_run_waits_until_every_rule_of_its_environment_lets_it_through() {
    let world = deploying().await;
    world.review_deployments(REPO, "production");
    let run = world
        .start_run("ada", REPO, &["production", "docs"])
        .unwrap();
    let waiting = world.read("/actions/runs?status=waiting").await;
    assert_eq!(waiting["workflow_runs"][0]["id"], run);
    assert_eq!(
        waiting["workflow_runs"][0]["triggering_actor"]["login"],
        "ada"
    );
    let pending = world
        .read(&format!("/actions/runs/{run}/pending_deployments"))
        .await;
    assert_eq!(pending.as_array().unwrap().len(), 1);
    assert_eq!(pending[0]["environment"]["name"], "production");
    let yes = json!({ "environment_name": "Production", "state": "approved", "comment": "Fine" });
    assert_eq!(world.answer(run, yes).await, 204);
    assert_eq!(world.view(run).status, "waiting");
    world.let_through(REPO, run);
    assert_eq!(world.view(run).status, "in_progress");
    let waiting = world.read("/actions/runs?status=waiting").await;
    assert_eq!(waiting["total_count"], 0);
    assert_eq!(world.violations(), [""; 0]);
}

#[tokio::test]
async fn an_app_answers_once_and_only_where_it_is_asked() {
    let world = deploying().await;
    world.review_deployments(REPO, "docs");
    let run = world
        .start_run("ada", REPO, &["production", "docs"])
        .unwrap();
    let yes = |environment: &str| json!({ "environment_name": environment, "state": "approved" });
    assert_eq!(world.answer(run, yes("docs")).await, 422);
    assert_eq!(world.answer(run, yes("nowhere")).await, 422);
    assert_eq!(world.answer(run + 1, yes("production")).await, 404);
    let words = json!({ "environment_name": "production", "comment": "Wait" });
    for _ in 0..10 {
        assert_eq!(world.answer(run, words.clone()).await, 204);
    }
    assert_eq!(world.answer(run, words).await, 422, "ten words are enough");
    assert_eq!(world.answer(run, yes("production")).await, 204);
    assert_eq!(world.answer(run, yes("production")).await, 422);
    assert_eq!(
        (world.view(run).approvals, world.view(run).words.len()),
        (1, 11)
    );
    world.cancel_run(REPO, run);
    world.rerun("linus", REPO, run);
    let again = world.read(&format!("/actions/runs/{run}")).await;
    assert_eq!(
        (&again["run_attempt"], &again["actor"]["login"]),
        (&json!(2), &json!("ada"))
    );
    assert_eq!(again["triggering_actor"]["login"], "linus");
    let no = json!({ "environment_name": "production", "state": "rejected" });
    assert_eq!(world.answer(run, no).await, 204);
    assert_eq!(world.view(run).conclusion.as_deref(), Some("failure"));
    assert_eq!(world.violations(), [""; 0]);
}

#[tokio::test]
async fn an_environment_tells_its_rules_to_whoever_may_read_actions() {
    let world = deploying().await;
    let rules = "/environments/production/deployment_protection_rules";
    let told = world.read(rules).await;
    let told = &told["custom_deployment_protection_rules"][0];
    assert_eq!(
        (&told["app"]["id"], &told["enabled"]),
        (&json!(APP), &json!(true))
    );
    world.protect(REPO, "production", APP, false);
    assert_eq!(world.read(rules).await["total_count"], 0);
    world.app_permission(APP, "actions", None);
    let route = format!("/repos/acme/{REPO}{rules}");
    let refused = world.installation()._get(route).await.unwrap();
    assert_eq!(refused.status().as_u16(), 403);
    assert_eq!(world.violations(), [""; 0]);
}

#[tokio::test]
async fn the_app_is_asked_by_a_webhook_for_each_job() {
    let world = deploying().await;
    world
        .start_run("ada", REPO, &["production", "docs"])
        .unwrap();
    let asked = world.deliveries();
    let events: Vec<&str> = asked.iter().map(|d| d.event.as_str()).collect();
    assert_eq!(events, ["deployment_protection_rule"]);
    assert_eq!(asked[0].payload["environment"], "production");
    assert_eq!(world.violations(), [""; 0]);
}
