//! What to do after the files are written, in order.

use std::collections::BTreeSet;
use std::path::Path;

use super::answers::{Answers, Mode};
use super::pieces::MAIN;
use super::standing::IN_REPOSITORY;

/// The steps, each a sentence with its command.
pub(super) fn steps(dir: &Path, answers: &Answers) -> Vec<String> {
    let (dir, setup) = (dir.display(), answers.setup.display());
    let repository = &answers.repository;
    let config = match answers.mode {
        Mode::Service => format!("{setup}/hallpass.toml"),
        Mode::ServiceLess => format!("{dir}/{IN_REPOSITORY}"),
    };
    let mut steps = vec![format!(
        "Read what was written, correct it, and check it: hallpass validate {dir}"
    )];
    steps.extend(by_hand(answers, &config));
    if answers.standing.sketch.github.app_id.is_none() {
        let more = match answers.mode {
            Mode::Service => "--url https://the.address.of.your.server".to_owned(),
            Mode::ServiceLess => format!("--keys {setup} --service-less"),
        };
        steps.push(format!(
            "Create the GitHub App, with exactly the permissions that it needs: hallpass app create --config {config} {more}"
        ));
        steps.push("Install it on the organisation, for the access repository: at the address that the last command ends with".to_owned());
    }
    steps.push(format!(
        "Push it: git -C {dir} init -b {MAIN} && git -C {dir} add . && git -C {dir} commit -m 'Begin' && gh repo create {repository} --private \
         --source {dir} --push"
    ));
    steps.extend(access_of_owners(answers));
    for name in ["main", "evidence"] {
        steps.push(format!(
            "Set the rules: gh api --method POST repos/{repository}/rulesets --input {setup}/rulesets/{name}.json"
        ));
    }
    steps.extend(match answers.mode {
        Mode::Service => vec![
            format!("Ask whether everything is as it must be: hallpass doctor --config {config}"),
            format!("Start it: hallpass serve --config {config}"),
        ],
        Mode::ServiceLess => in_actions(answers),
    });
    steps
}

/// What GitHub wants of a team before it takes it for an owner.
fn access_of_owners(answers: &Answers) -> Vec<String> {
    let of_resource = answers.resource.iter().flat_map(|r| &r.owners);
    let owners: BTreeSet<&String> = answers.owners.iter().chain(of_resource).collect();
    let teams = owners.into_iter().filter_map(|owner| {
        let (organisation, team) = owner.strip_prefix('@')?.split_once('/')?;
        Some(format!(
            "Give {owner} write access, without which GitHub takes it for no owner: gh api --method PUT \
             orgs/{organisation}/teams/{team}/repos/{} -f permission=push",
            answers.repository
        ))
    });
    teams.collect()
}

/// What a first resource needs in files that stand there already and are not touched.
fn by_hand(answers: &Answers, config: &str) -> Vec<String> {
    let Some(resource) = &answers.resource else {
        return Vec::new();
    };
    let mut steps = Vec::new();
    let standing = &answers.standing;
    if standing.codeowners.is_there() {
        steps.push(format!(
            "Say in CODEOWNERS who decides about requests for it: /access/grants/{}/ {}",
            resource.name,
            match resource.owners.as_slice() {
                [] => "@organisation/team".to_owned(),
                owners => owners.join(" "),
            }
        ));
    }
    let connection = resource.kind.connection;
    let known = standing.sketch.github.repository.is_some();
    if known && !standing.sketch.providers.contains_key(connection) {
        steps.push(format!(
            "Say in {config} what gives it: [providers.{connection}], by docs/providers/{}.md",
            resource.kind.kind
        ));
    }
    steps
}

/// How the workflow gets its secrets, and nobody else.
fn in_actions(answers: &Answers) -> Vec<String> {
    let (repository, setup) = (&answers.repository, answers.setup.display());
    vec![
        format!(
            "Make the environment that holds the secrets, for {MAIN} alone: gh api --method PUT repos/{repository}/environments/hallpass \
             -F 'deployment_branch_policy[protected_branches]=false' -F 'deployment_branch_policy[custom_branch_policies]=true' && \
             gh api --method POST repos/{repository}/environments/hallpass/deployment-branch-policies -f name={MAIN}"
        ),
        format!(
            "Give it the secrets: gh secret set HALLPASS_GITHUB_PRIVATE_KEY --env hallpass --repo {repository} < {setup}/hallpass.pem && \
             gh secret set HALLPASS_EVIDENCE_KEY --env hallpass --repo {repository} < {setup}/evidence_key"
        ),
        format!("Run it once by hand: gh workflow run 'Hallpass reconcile' --repo {repository}"),
    ]
}
