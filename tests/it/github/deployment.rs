//! The gate at GitHub: what waits, who is asked, and what an answer means.

use std::sync::Arc;

use hallpass::domain::deployment::{Deployment, Place, WaitingRun};
use hallpass::domain::model::{Access, Account, Login, RepoName, UserId};
use hallpass::providers::github_deployment::{self, GithubDeployment};
use hallpass::providers::{Gate, Provider, ProviderError, Said};
use hallpass::sandbox::{AccountKind, When};
use serde_json::{Value, json};

use super::standin::{World, github_at};
use crate::contract::approved::approved;
use crate::contract::{connection, order};

const REPO: &str = "access";
const RUN: &str = "GET /repos/{owner}/{repo}/actions/runs/{run_id}";
const ANSWER: &str = "POST /repos/{owner}/{repo}/actions/runs/{run_id}/deployment_protection_rule";

async fn world() -> (World, Arc<GithubDeployment>) {
    let world = World::new().await;
    let sandbox = &world.sandbox;
    for (name, level) in [("actions", "read"), ("deployments", "write")] {
        sandbox.app_permission(7, name, Some(level));
    }
    sandbox.environment(REPO, "production");
    sandbox.protect(REPO, "production", 7, true);
    sandbox.environment(REPO, "free");
    let organisation = Login::new("acme").unwrap();
    let github = github_at(&sandbox.api_url(), sandbox.url(), 7, world.clock.clone());
    let client =
        github.client_for_organisation(&organisation, Some(70), github_deployment::PERMISSIONS);
    let gate = GithubDeployment::new(connection(), organisation, client);
    (world, Arc::new(gate))
}

fn repository() -> RepoName {
    RepoName::try_from(format!("acme/{REPO}")).unwrap()
}

fn place(environment: &str) -> Place {
    Place {
        repository: repository(),
        environment: environment.to_owned(),
    }
}

/// The one run that waits, and its one job.
async fn waiting(gate: &dyn Gate) -> (WaitingRun, Deployment) {
    let mut runs = gate.waiting(&repository()).await.unwrap();
    assert_eq!(runs.len(), 1, "{runs:?}");
    let mut jobs = gate.jobs(&runs[0]).await.unwrap();
    assert_eq!(jobs.len(), 1, "{jobs:?}");
    (runs.remove(0), jobs.remove(0))
}

/// What waits after octocat started a run to production.
async fn started(world: &World, gate: &dyn Gate) -> (u64, Deployment) {
    let run = world
        .sandbox
        .start_run("octocat", REPO, &["production"])
        .unwrap();
    (run, waiting(gate).await.1)
}

#[tokio::test]
async fn what_waits_is_told_with_the_attempt_and_whoever_started_it() {
    let (world, gate) = world().await;
    let run = world
        .sandbox
        .start_run("octocat", REPO, &["production", "free"])
        .unwrap();
    let (_, job) = waiting(&*gate).await;
    let found = (job.run, job.attempt, job.place.environment.as_str());
    assert_eq!(found, (run, 1, "production"));
    assert_eq!(job.starter.unwrap().id, world.ids["octocat"]);
    world.sandbox.cancel_run(REPO, run);
    assert_eq!(gate.waiting(&repository()).await.unwrap(), []);
    world.sandbox.rerun("grace", REPO, run);
    let (_, job) = waiting(&*gate).await;
    assert_eq!(
        (job.attempt, job.starter.unwrap().id),
        (2, world.ids["grace"])
    );
}

#[tokio::test]
async fn runs_are_listed_to_the_last_page() {
    let (world, gate) = world().await;
    for _ in 0..105 {
        world
            .sandbox
            .start_run("octocat", REPO, &["production"])
            .unwrap();
    }
    assert_eq!(gate.waiting(&repository()).await.unwrap().len(), 105);
}

#[tokio::test]
async fn another_attempt_by_somebody_else_is_not_what_waited() {
    let (world, gate) = world().await;
    let (run, job) = started(&world, &*gate).await;
    assert!(gate.still_waits(&job).await.unwrap());
    let mallory = Deployment {
        starter: job.starter.clone().map(|mut s| {
            s.id = world.ids["mallory"];
            s
        }),
        ..job.clone()
    };
    assert!(!gate.still_waits(&mallory).await.unwrap());
    let elsewhere = Deployment {
        place: place("free"),
        ..job.clone()
    };
    assert!(!gate.still_waits(&elsewhere).await.unwrap());
    world.sandbox.cancel_run(REPO, run);
    assert!(!gate.still_waits(&job).await.unwrap());
    world.sandbox.rerun("octocat", REPO, run);
    assert!(!gate.still_waits(&job).await.unwrap());
    let gone = Deployment { run: 1, ..job };
    assert!(!gate.still_waits(&gone).await.unwrap());
}

#[tokio::test]
async fn an_answer_is_taken_once_and_words_decide_nothing() {
    let (world, gate) = world().await;
    let (run, job) = started(&world, &*gate).await;
    let told = gate.tell(&job, "How to ask").await.unwrap();
    assert!(matches!(told, Said::Taken(_)), "{told:?}");
    assert!(gate.still_waits(&job).await.unwrap());
    let said = gate.approve(&job, "By a grant").await.unwrap();
    let Said::Taken(read_back) = said else {
        panic!("{said:?}")
    };
    assert!(read_back.ends_with("the run is in_progress"), "{read_back}");
    let again = gate.approve(&job, "By a grant").await.unwrap();
    assert!(matches!(again, Said::Declined(_)), "{again:?}");
    let found = world.sandbox.run(REPO, run);
    assert_eq!(found.words, ["How to ask", "By a grant"]);
    assert_eq!(found.approvals, 1);
}

#[tokio::test]
async fn an_answer_that_was_taken_is_taken_whatever_can_be_read_of_it() {
    for status in [403, 404, 500] {
        let (world, gate) = world().await;
        let (_, job) = started(&world, &*gate).await;
        world.sandbox.fail_next(Some(RUN), 1, status, When::Before);
        let said = gate.approve(&job, "By a grant").await.unwrap();
        assert!(matches!(said, Said::Taken(_)), "{status}: {said:?}");
    }
}

#[tokio::test]
async fn an_answer_whose_fate_is_unknown_is_asked_for_again_and_a_missing_permission_is_for_a_person()
 {
    let (world, gate) = world().await;
    let (_, job) = started(&world, &*gate).await;
    world.sandbox.fail_next(Some(ANSWER), 1, 502, When::Before);
    let error = gate.approve(&job, "By a grant").await.unwrap_err();
    assert!(
        matches!(error, ProviderError::Unavailable { .. }),
        "{error}"
    );
    world.sandbox.fail_next(Some(ANSWER), 1, 403, When::Before);
    let error = gate.approve(&job, "By a grant").await.unwrap_err();
    assert!(matches!(error, ProviderError::Refused { .. }), "{error}");
    assert!(gate.still_waits(&job).await.unwrap());
}

#[tokio::test]
async fn only_an_enabled_rule_of_this_app_guards_an_environment() {
    let (world, gate) = world().await;
    assert!(gate.guards(&place("production")).await.unwrap());
    assert!(!gate.guards(&place("free")).await.unwrap());
    world.sandbox.protect(REPO, "free", 8, true);
    assert!(!gate.guards(&place("free")).await.unwrap());
    for nowhere in ["nowhere", "../../../..", "a/b", "?x=1"] {
        let error = gate.guards(&place(nowhere)).await.unwrap_err();
        assert!(matches!(error, ProviderError::Refused { .. }), "{error}");
    }
}

#[tokio::test]
async fn without_the_rule_everybody_may_deploy_and_only_a_person_can_change_that() {
    let (world, gate) = world().await;
    let account = |name: &str, id| Account {
        name: name.to_owned(),
        github_id: Some(id),
        id: None,
    };
    let access = |environment: &str, account| Access {
        connection: connection(),
        account,
        entitlement: json!({ "repository": "acme/access", "environment": environment }),
        entitlement_id: None,
    };
    let octocat = account("octocat", world.ids["octocat"]);
    let free = access("free", octocat.clone());
    let error = gate.grant(&approved(&free), &order()).await.unwrap_err();
    assert!(error.to_string().contains("turn it on"), "{error}");
    let holders = gate.holders(&free.entitlement).await.unwrap();
    assert_eq!(holders.len(), 1);
    let everybody = account(&holders[0].name, UserId(1));
    let revoked = gate.revoke(&access("free", everybody), &order()).await;
    assert!(revoked.unwrap_err().to_string().contains("turn it on"));

    let kept = access("production", octocat);
    gate.grant(&approved(&kept), &order()).await.unwrap();
    assert_eq!(gate.holders(&kept.entitlement).await.unwrap(), []);
    // No login can look like everybody.
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '[' | ']');
    assert!(!holders[0].name.chars().all(plain));
}

#[tokio::test]
async fn an_entitlement_is_for_the_organisation_of_its_connection() {
    let (world, gate) = world().await;
    world.sandbox.account("other", None, AccountKind::User);
    let at = |repository: &str| json!({ "repository": repository, "environment": "production" });
    assert_eq!(gate.place(&at("acme/access")), Some(place("production")));
    assert!(
        gate.place(&at("ACME/Access"))
            .unwrap()
            .is(&place("production"))
    );
    let odd: [Value; 7] = [
        at("other/access"),
        at("access"),
        at("acme/.."),
        at("acme/access/x"),
        json!({ "repository": "acme/access", "environment": "" }),
        json!({ "repository": "acme/access", "environment": "x".repeat(256) }),
        json!({ "repository": "acme/access", "environment": "production", "role": "x" }),
    ];
    for odd in odd {
        assert_eq!(gate.place(&odd), None, "{odd}");
        assert!(gate.holders(&odd).await.is_err(), "{odd}");
    }
    let theirs = RepoName::try_from("other/access".to_owned()).unwrap();
    assert!(gate.answers_for(&repository()) && !gate.answers_for(&theirs));
}
