//! The forge against the stand-in: state, permissions, and GitHub's contract on every call.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;
use hallpass::clock::{Clock, ManualClock};
use hallpass::domain::model::{ActorKind, CommitId, Login, Owner, PullNumber, RepoName, UserId};
use hallpass::domain::pull::{Lookup, PullState, Pushers, ReviewState};
use hallpass::domain::report::{Annotation, Check, CheckStatus};
use hallpass::forge::github::{GitHub, GitHubSettings, MergeMethod};
use hallpass::forge::{Forge, ForgeError, MergeOutcome, Proposal};
use hallpass::metrics::Metrics;
use hallpass::sandbox::{
    AppSpec, Change, Down, KNOWN_KEY, Membership, Permission, RateLimit, Ruleset, Sandbox,
    SandboxOptions, Verdict, When,
};
use secrecy::ExposeSecret;

use super::scripted::noon;
use crate::contracts;

/// The organisation `acme` with its repository `access`, the people octocat, grace and mallory, and the team `dba` of grace.
pub struct World {
    pub sandbox: Sandbox,
    pub clock: Arc<ManualClock>,
    pub github: GitHub,
    pub ids: BTreeMap<&'static str, UserId>,
    _dir: tempfile::TempDir,
}

impl Drop for World {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            assert_eq!(self.sandbox.violations(), [""; 0]);
        }
    }
}

impl World {
    pub async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let clock = Arc::new(ManualClock::at(noon()));
        let mut options = SandboxOptions::new(clock.clone(), dir.path());
        options.contracts = Some(contracts::github());
        let sandbox = Sandbox::start(options).await.unwrap();
        sandbox.app(AppSpec::hallpass(7, KNOWN_KEY)).unwrap();
        sandbox.installation(7, 70);
        sandbox
            .repository("access", &[("README.md", "Access of acme\n")])
            .unwrap();
        let ids = ["octocat", "grace", "mallory"]
            .map(|login| (login, sandbox.member(login)))
            .into();
        sandbox.base_permission(Some(Permission::Push));
        sandbox.team("dba", &["grace"]);
        sandbox.team_may("dba", "access", Permission::Push);
        let github = github(&sandbox, clock.clone());
        Self {
            sandbox,
            clock,
            github,
            ids,
            _dir: dir,
        }
    }

    /// A pull request of octocat's from `branch`.
    fn request(&self, branch: &str) -> (PullNumber, CommitId) {
        let change = Change::write(format!("access/{branch}.yaml"), "reason: because\n");
        let head = self
            .sandbox
            .push("octocat", "access", branch, &[change], "Ask")
            .unwrap();
        let pull = self
            .sandbox
            .open_pull("octocat", "access", branch, "main", "Access", "Please.")
            .unwrap();
        (pull, head)
    }

    fn push(&self, who: &str, branch: &str) -> CommitId {
        let change = Change::write(format!("access/{branch}-{who}.yaml"), "reason: because\n");
        self.sandbox
            .push(who, "access", branch, &[change], "More")
            .unwrap()
    }

    fn ids(&self, logins: &[&str]) -> BTreeSet<UserId> {
        logins.iter().map(|login| self.ids[login]).collect()
    }
}

fn github(sandbox: &Sandbox, clock: Arc<dyn Clock>) -> GitHub {
    let (api, web) = (sandbox.api_url(), sandbox.url());
    github_at(&api, web, 7, clock)
}

/// An App at GitHub, or at what stands in front of it.
pub fn github_at(api: &str, web: &str, app_id: u64, clock: Arc<dyn Clock>) -> GitHub {
    GitHub::new(GitHubSettings {
        api: api.parse().unwrap(),
        web: web.parse().unwrap(),
        repository: RepoName::try_from("acme/access".to_owned()).unwrap(),
        app_id,
        installation_id: None,
        private_key: KNOWN_KEY.into(),
        merge_method: MergeMethod::Merge,
        clock,
        metrics: Metrics::default(),
    })
    .unwrap()
}

fn team(slug: &str) -> Owner {
    Owner::Team {
        organisation: Login::new("acme").unwrap(),
        slug: slug.to_owned(),
    }
}

fn check(head: &CommitId, status: CheckStatus) -> Check {
    Check {
        head: head.clone(),
        status,
        title: "Title".to_owned(),
        summary: "Summary".to_owned(),
        annotations: Vec::new(),
    }
}

#[tokio::test]
async fn a_pull_request_comes_whole_with_reviews_and_pushers() {
    let world = World::new().await;
    let (number, first) = world.request("ada");
    world
        .sandbox
        .review("grace", "access", number, Verdict::Approve, "Fine.")
        .unwrap();
    let change = Change::write("access/other.yaml", "reason: other\n");
    let head = world
        .sandbox
        .force_push("mallory", "access", "ada", "main", &[change], "Rewrite")
        .unwrap();

    let pull = world.github.pull(number).await.unwrap();
    assert_eq!(
        (pull.state, pull.draft, pull.from_fork, pull.commits),
        (PullState::Open, false, false, 1)
    );
    assert_eq!(
        (
            pull.head,
            pull.head_branch.as_str(),
            pull.base_branch.as_str()
        ),
        (head, "ada", "main")
    );
    assert_eq!(pull.author.unwrap().id, world.ids["octocat"]);
    assert_eq!(
        pull.pushers,
        Pushers::Known(world.ids(&["octocat", "mallory"]))
    );
    let [review] = &pull.reviews[..] else {
        panic!("{:?}", pull.reviews)
    };
    assert_eq!(
        (review.state, review.commit.as_ref(), review.body.as_str()),
        (ReviewState::Approved, Some(&first), "Fine.")
    );
    let reviewer = review.reviewer.as_ref().unwrap();
    assert_eq!(
        (reviewer.id, reviewer.kind),
        (world.ids["grace"], ActorKind::User)
    );
}

#[tokio::test]
async fn pushers_stay_known_when_the_branch_is_gone_and_used_again() {
    let world = World::new().await;
    world.request("ada");
    world
        .sandbox
        .delete_branch("octocat", "access", "ada")
        .unwrap();
    world.push("grace", "ada");
    let number = world
        .sandbox
        .open_pull("grace", "access", "ada", "main", "Again", "")
        .unwrap();
    let head = world.github.pull(number).await.unwrap().head;
    let outcome = world
        .github
        .merge(number, &head, "Merge", "")
        .await
        .unwrap();
    world
        .sandbox
        .delete_branch("mallory", "access", "ada")
        .unwrap();

    let pull = world.github.pull(number).await.unwrap();
    let PullState::Merged { commit, at, by } = pull.state else {
        panic!("{:?}", pull.state)
    };
    assert_eq!(
        (MergeOutcome::Merged(commit.clone()), at),
        (outcome, noon())
    );
    assert_eq!(by.unwrap().kind, ActorKind::Bot);
    assert_eq!(
        pull.pushers,
        Pushers::Known(world.ids(&["octocat", "grace"]))
    );
    assert_eq!(world.github.pulls_of(&commit).await.unwrap(), [number]);
}

#[tokio::test]
async fn who_pushes_to_the_branch_after_the_merge_had_no_hand_in_it() {
    let world = World::new().await;
    let (number, head) = world.request("ada");
    let merged = world.github.merge(number, &head, "Merge", "").await;
    assert!(matches!(merged, Ok(MergeOutcome::Merged(_))), "{merged:?}");
    world.clock.advance(TimeDelta::minutes(1));
    world.push("mallory", "ada");
    let pull = world.github.pull(number).await.unwrap();
    assert_eq!(pull.pushers, Pushers::Known(world.ids(&["octocat"])));
}

#[tokio::test]
async fn open_pull_requests_are_listed_and_closed_ones_are_not() {
    let world = World::new().await;
    let (open, head) = world.request("ada");
    let (closed, _) = world.request("bob");
    world
        .sandbox
        .close_pull("octocat", "access", closed)
        .unwrap();
    let listed = world.github.open_pulls().await.unwrap();
    let listed: Vec<_> = listed
        .iter()
        .map(|p| {
            (
                p.number,
                &p.head,
                p.head_branch.as_str(),
                p.base_branch.as_str(),
            )
        })
        .collect();
    assert_eq!(listed, [(open, &head, "ada", "main")]);
}

#[tokio::test]
async fn the_roster_tells_active_members_of_teams_that_may_write() {
    let world = World::new().await;
    let crowd: Vec<String> = (0..130).map(|n| format!("person-{n}")).collect();
    for login in &crowd {
        world.sandbox.member(login);
    }
    world.sandbox.team(
        "crowd",
        &crowd.iter().map(String::as_str).collect::<Vec<_>>(),
    );
    world
        .sandbox
        .team_may("crowd", "access", Permission::Maintain);
    world.sandbox.team("readers", &["octocat"]);
    world
        .sandbox
        .team_may("readers", "access", Permission::Pull);
    world.sandbox.team("strangers", &["octocat"]);
    world.sandbox.user("outsider");
    world.sandbox.join_team("outsider", "dba");

    let owners = ["dba", "crowd", "readers", "strangers", "nobody"]
        .map(team)
        .into();
    let roster = world.github.roster(&owners).await;
    let found = |slug: &str| match &roster.teams[&team(slug)] {
        Lookup::Found(found) => (found.can_write, found.members.len()),
        other => panic!("{slug}: {other:?}"),
    };
    // The outsider was only invited.
    assert_eq!(found("dba"), (true, 1));
    assert_eq!(found("crowd"), (true, 130));
    assert_eq!(found("readers"), (false, 1));
    assert_eq!(found("strangers"), (false, 1));
    assert_eq!(roster.teams[&team("nobody")], Lookup::Absent);
}

#[tokio::test]
async fn the_roster_tells_who_behind_a_login_may_write_and_what_could_not_be_asked() {
    let world = World::new().await;
    world.sandbox.user("reader");
    world
        .sandbox
        .collaborator("access", "reader", Some(Permission::Pull));
    let login = |name: &str| Login::new(name).unwrap();
    let owners: BTreeSet<Owner> = ["grace", "reader", "ghost"]
        .map(|name| Owner::User(login(name)))
        .into_iter()
        .chain([team("dba")])
        .collect();
    world.sandbox.fail_next(
        Some("GET /orgs/{org}/teams/{team_slug}/members"),
        1,
        502,
        When::Before,
    );
    let roster = world.github.roster(&owners).await;

    let can_write = |name: &str| match &roster.users[&login(name)] {
        Lookup::Found(found) => found.can_write,
        other => panic!("{name}: {other:?}"),
    };
    assert!(can_write("grace") && !can_write("reader"));
    assert_eq!(roster.users[&login("ghost")], Lookup::Absent);
    assert!(
        matches!(&roster.teams[&team("dba")], Lookup::Failed(why) if why.contains("members of team @acme/dba"))
    );
}

#[tokio::test]
async fn the_organisation_tells_all_its_active_members() {
    let world = World::new().await;
    let before = world.github.members().await.unwrap().unwrap().len();
    for n in 0..130 {
        world.sandbox.member(&format!("person-{n}"));
    }
    world.sandbox.user("invited");
    world.sandbox.belongs("invited", Membership::Pending);
    world.sandbox.user("stranger");
    let members = world.github.members().await.unwrap().unwrap();
    assert_eq!(members.len(), before + 130, "two pages");
    let named = |login: &str| members.iter().any(|m| m.login.as_str() == login);
    assert!(named("octocat") && named("person-129"));
    assert!(!named("invited") && !named("stranger"));

    let operation = Some("GET /orgs/{org}/members");
    world.sandbox.fail_next(operation, 1, 502, When::Before);
    let error = world.github.members().await.unwrap_err();
    assert!(error.to_string().contains("members of acme"), "{error}");
    assert_eq!(world.sandbox.violations(), Vec::<String>::new());
}

#[tokio::test]
async fn a_check_is_brought_up_to_date_rather_than_doubled() {
    let world = World::new().await;
    let (_, head) = world.request("ada");
    let first = world
        .github
        .publish_check(&check(&head, CheckStatus::InProgress), None)
        .await
        .unwrap();
    let again = world
        .github
        .publish_check(&check(&head, CheckStatus::Success), None)
        .await
        .unwrap();
    let [run] = &world.sandbox.checks("access", head.as_str())[..] else {
        panic!()
    };
    assert_eq!(
        (first, first.0, run.name.as_str()),
        (again, run.id, "hallpass")
    );
    assert_eq!(
        (run.status.as_str(), run.conclusion.as_deref()),
        ("completed", Some("success"))
    );

    // A review was dismissed: it waits again.
    world
        .github
        .publish_check(&check(&head, CheckStatus::InProgress), Some(first))
        .await
        .unwrap();
    let [run] = &world.sandbox.checks("access", head.as_str())[..] else {
        panic!()
    };
    assert_eq!(
        (run.status.as_str(), run.conclusion.as_deref()),
        ("in_progress", None)
    );
}

#[tokio::test]
async fn findings_stand_at_their_lines() {
    let world = World::new().await;
    let (_, head) = world.request("ada");
    let annotation = |line: u32| Annotation {
        path: "access/ada.yaml".to_owned(),
        line,
        column: 2,
        warning: false,
        title: "term-too-long".to_owned(),
        message: "Too long.".to_owned(),
    };
    let denied = Check {
        annotations: (1..=70).map(annotation).collect(),
        ..check(&head, CheckStatus::Failure)
    };
    let id = world.github.publish_check(&denied, None).await.unwrap();
    assert_eq!(world.github.publish_check(&denied, None).await.unwrap(), id);
    let [run] = &world.sandbox.checks("access", head.as_str())[..] else {
        panic!()
    };
    let lines: BTreeSet<u64> = run
        .annotations
        .iter()
        .map(|a| a["start_line"].as_u64().unwrap())
        .collect();
    assert_eq!(
        (
            run.conclusion.as_deref(),
            run.annotations.len(),
            lines.len()
        ),
        (Some("failure"), 70, 70)
    );
}

#[tokio::test]
async fn a_head_that_moved_is_not_merged() {
    let world = World::new().await;
    let (number, seen) = world.request("ada");
    let head = world.push("mallory", "ada");
    let outcome = world
        .github
        .merge(number, &seen, "Merge", "")
        .await
        .unwrap();
    assert!(matches!(outcome, MergeOutcome::NotNow(_)), "{outcome:?}");
    let outcome = world
        .github
        .merge(number, &head, "Merge", "")
        .await
        .unwrap();
    assert!(matches!(outcome, MergeOutcome::Merged(_)), "{outcome:?}");
}

#[tokio::test]
async fn rules_that_are_not_met_are_not_now() {
    let world = World::new().await;
    world.sandbox.ruleset(
        "access",
        Some(Ruleset {
            pull_request: true,
            approvals: 1,
            ..Ruleset::default()
        }),
    );
    let (number, head) = world.request("ada");
    let outcome = world
        .github
        .merge(number, &head, "Merge", "")
        .await
        .unwrap();
    assert!(matches!(outcome, MergeOutcome::NotNow(words) if words.contains("rule")));
}

#[tokio::test]
async fn merging_again_after_a_lost_answer_finds_the_same_merge() {
    let world = World::new().await;
    let (number, head) = world.request("ada");
    let operation = "PUT /repos/{owner}/{repo}/pulls/{pull_number}/merge";
    world
        .sandbox
        .fail_next(Some(operation), 1, 502, When::After);
    let lost = world.github.merge(number, &head, "Merge", "").await;
    assert!(
        matches!(lost, Err(ForgeError::Unavailable { .. })),
        "{lost:?}"
    );
    let merged = world.sandbox.pull("access", number).merged.unwrap();
    let outcome = world
        .github
        .merge(number, &head, "Merge", "")
        .await
        .unwrap();
    assert_eq!(
        outcome,
        MergeOutcome::Merged(CommitId::new(merged).unwrap())
    );
}

#[tokio::test]
async fn proposing_twice_is_one_pull_request() {
    let world = World::new().await;
    world.push("octocat", "hallpass/revert");
    let mut proposal = Proposal {
        branch: "hallpass/revert".to_owned(),
        base: "main".to_owned(),
        title: "Remove expired access".to_owned(),
        body: "One grant.".to_owned(),
    };
    let number = world.github.propose(&proposal).await.unwrap();
    assert_eq!(world.github.propose(&proposal).await.unwrap(), number);
    proposal.body = "Two grants.".to_owned();
    assert_eq!(world.github.propose(&proposal).await.unwrap(), number);
    assert_eq!(world.sandbox.pulls("access").len(), 1);
    assert_eq!(world.sandbox.pull("access", number).body, "Two grants.");
    assert_eq!(
        world.sandbox.calls()["PATCH /repos/{owner}/{repo}/pulls/{pull_number}"],
        1
    );

    // Somebody closed it: the access is over all the same, and the file still stands.
    world.sandbox.close_pull("grace", "access", number).unwrap();
    assert_ne!(world.github.propose(&proposal).await.unwrap(), number);
}

#[tokio::test]
async fn a_token_lives_on_through_expiry_and_revocation() {
    let world = World::new().await;
    let (number, _) = world.request("ada");
    world.github.pull(number).await.unwrap();
    world.sandbox.expire_tokens();
    world.github.pull(number).await.unwrap();
    world.clock.advance(TimeDelta::minutes(59));
    world.github.pull(number).await.unwrap();
    world.clock.advance(TimeDelta::days(3));
    world.github.pull(number).await.unwrap();
    assert_eq!(
        world.sandbox.calls()["POST /app/installations/{installation_id}/access_tokens"],
        4
    );
    assert_eq!(
        world.sandbox.calls()["GET /repos/{owner}/{repo}/installation"],
        1
    );
}

#[tokio::test]
async fn a_suspended_app_is_for_a_person() {
    let world = World::new().await;
    let (number, _) = world.request("ada");
    world.sandbox.suspend(70, true);
    let error = world.github.pull(number).await.unwrap_err();
    assert!(
        matches!(&error, ForgeError::Refused { reason, .. } if reason.contains("unsuspend")),
        "{error}"
    );
    world.sandbox.suspend(70, false);
    world.github.pull(number).await.unwrap();
}

#[tokio::test]
async fn a_permission_that_was_not_granted_is_named() {
    let world = World::new().await;
    let (number, _) = world.request("ada");
    world.sandbox.app_permission(7, "checks", None);
    let error = world.github.pull(number).await.unwrap_err();
    assert!(
        matches!(&error, ForgeError::Refused { reason, .. } if reason.contains("checks: write")),
        "{error}"
    );
}

#[tokio::test]
async fn a_rate_limit_says_when_to_come_back() {
    for (limit, wait) in [
        (RateLimit::Primary { reset_in: 900 }, 900),
        (RateLimit::Secondary { retry_after: 30 }, 30),
    ] {
        let world = World::new().await;
        let (number, _) = world.request("ada");
        world.github.pull(number).await.unwrap();
        world.sandbox.rate_limit(Some(limit));
        let error = world.github.pull(number).await.unwrap_err();
        let ForgeError::Unavailable { retry_at, .. } = error else {
            panic!("{error}")
        };
        assert_eq!(retry_at, Some(noon() + TimeDelta::seconds(wait)));
    }
}

#[tokio::test]
async fn a_forge_that_is_away_is_unavailable_and_is_found_again() {
    let world = World::new().await;
    let (number, _) = world.request("ada");
    for down in [Down::Unavailable, Down::Refused] {
        world.sandbox.down(down);
        let error = world.github.pull(number).await.unwrap_err();
        assert!(matches!(error, ForgeError::Unavailable { .. }), "{error}");
        world.sandbox.down(Down::No);
        world.github.pull(number).await.unwrap();
    }
}

#[tokio::test]
async fn git_takes_the_token_that_it_is_given() {
    let world = World::new().await;
    let access = world.github.git_access().await.unwrap();
    let client = reqwest::Client::builder()
        .no_proxy()
        .timeout(Duration::from_secs(10))
        .build()
        .unwrap();
    let refs = format!("{}/info/refs?service=git-upload-pack", access.url);
    let answer = client
        .get(refs)
        .basic_auth("x-access-token", Some(access.token.expose_secret()))
        .send()
        .await
        .unwrap();
    assert!(answer.text().await.unwrap().contains("refs/heads/main"));
}

#[tokio::test]
async fn an_app_that_was_installed_anew_is_found_again() {
    let world = World::new().await;
    let (number, _) = world.request("ada");
    world.github.pull(number).await.unwrap();
    world.sandbox.suspend(70, true);
    world.sandbox.expire_tokens();
    world.github.pull(number).await.unwrap_err();
    world.sandbox.suspend(70, false);
    // Forge and git ask for tokens of their own, but where the App is installed is asked once each time.
    world.github.pull(number).await.unwrap();
    world.github.git_access().await.unwrap();
    assert_eq!(
        world.sandbox.calls()["GET /repos/{owner}/{repo}/installation"],
        2
    );
}

#[tokio::test]
async fn a_token_in_doubt_serves_while_github_gives_no_other() {
    let world = World::new().await;
    let (number, _) = world.request("ada");
    world.github.pull(number).await.unwrap();
    let before = world.github.git_access().await.unwrap().token;
    // One of the tokens is not taken: those of others may have ended with it.
    let some = "GET /repos/{owner}/{repo}/pulls/{pull_number}";
    world.sandbox.fail_next(Some(some), 1, 401, When::Before);
    world.github.pull(number).await.unwrap();
    let tokens = "POST /app/installations/{installation_id}/access_tokens";
    world.sandbox.fail_next(Some(tokens), 99, 503, When::Before);
    let during = world.github.git_access().await.unwrap().token;
    assert_eq!(during.expose_secret(), before.expose_secret());
    world.sandbox.heal();
    let after = world.github.git_access().await.unwrap().token;
    assert_ne!(after.expose_secret(), before.expose_secret());
}

#[tokio::test]
async fn a_comment_is_written_once_and_edited_in_place() {
    let world = World::new().await;
    let (pull, _) = world.request("ada");
    let say = async |text: &str| world.github.comment(pull, "some:mark", text).await.unwrap();
    say("It ends soon.").await;
    let first = "<!-- some:mark -->\nIt ends soon.";
    assert_eq!(world.sandbox.pull("access", pull).comments, [first]);

    // Nothing to write, nothing written.
    world.sandbox.reset_calls();
    say("It ends soon.").await;
    let calls = world.sandbox.calls();
    assert_eq!(
        calls.keys().collect::<Vec<_>>(),
        ["GET /repos/{owner}/{repo}/issues/{issue_number}/comments"]
    );

    say("It ends now.").await;
    let second = "<!-- some:mark -->\nIt ends now.";
    assert_eq!(world.sandbox.pull("access", pull).comments, [second]);
    // Another purpose, another comment.
    world
        .github
        .comment(pull, "other:mark", "Hello.")
        .await
        .unwrap();
    assert_eq!(world.sandbox.pull("access", pull).comments.len(), 2);
}

#[tokio::test]
async fn somebody_elses_comment_is_never_taken_for_ours() {
    let world = World::new().await;
    let (pull, _) = world.request("ada");
    let forged = "<!-- some:mark -->\nTrust me.";
    world
        .sandbox
        .comment("mallory", "access", pull, forged)
        .unwrap();
    world
        .github
        .comment(pull, "some:mark", "Ours.")
        .await
        .unwrap();
    let comments = world.sandbox.pull("access", pull).comments;
    assert_eq!(comments, [forged, "<!-- some:mark -->\nOurs."]);
}

#[tokio::test]
async fn a_comment_may_be_written_on_a_merged_pull_request_and_far_down_the_list() {
    let world = World::new().await;
    let (pull, _) = world.request("ada");
    world
        .sandbox
        .merge_as_admin(
            "grace",
            "access",
            pull,
            hallpass::sandbox::MergeMethod::Merge,
        )
        .unwrap();
    for n in 0..130 {
        world
            .sandbox
            .comment("octocat", "access", pull, &format!("Comment {n}"))
            .unwrap();
    }
    world
        .github
        .comment(pull, "some:mark", "Ours.")
        .await
        .unwrap();
    world
        .github
        .comment(pull, "some:mark", "Ours, later.")
        .await
        .unwrap();
    let comments = world.sandbox.pull("access", pull).comments;
    assert_eq!(
        (comments.len(), comments[130].as_str()),
        (131, "<!-- some:mark -->\nOurs, later.")
    );
}
