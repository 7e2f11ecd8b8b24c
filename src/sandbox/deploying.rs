//! Environments, and runs of workflows that deploy to them.

use std::collections::BTreeSet;

use super::Sandbox;
use super::merging::PROTECTED;
use super::refusal::Refusal;
use super::render::events;
use super::world::{Environment, Job, ProtectionRule, Run, World};

/// A run, as a test reads it back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunView {
    /// `waiting`, `in_progress`, `completed`.
    pub status: String,
    /// `failure`, `cancelled`.
    pub conclusion: Option<String>,
    /// Which attempt it is.
    pub attempt: u64,
    /// How often an App let a job of this attempt through.
    pub approvals: usize,
    /// How often an App stopped one.
    pub rejections: usize,
    /// Everything that Apps said of this attempt, oldest first.
    pub words: Vec<String>,
}

impl Run {
    /// GitHub's `status`. Nothing ever finishes here by itself.
    pub fn status(&self) -> &'static str {
        match self {
            _ if self.conclusion().is_some() => "completed",
            run if run.jobs.iter().any(|job| run.waits_for(job)) => "waiting",
            _ => "in_progress",
        }
    }

    /// GitHub's `conclusion`.
    pub fn conclusion(&self) -> Option<&'static str> {
        match self {
            run if run.cancelled => Some("cancelled"),
            run if run.jobs.iter().any(|job| job.rejected) => Some("failure"),
            _ => None,
        }
    }

    /// Whether the job waits for a rule of its environment.
    pub fn waits_for(&self, job: &Job) -> bool {
        !self.cancelled && !job.rejected && (job.person || !job.apps.is_empty())
    }
}

impl World {
    /// The environment of this name, in whatever case.
    pub fn environment(&self, repo: usize, name: &str) -> Option<&Environment> {
        let all = &self.repos[repo].environments;
        all.iter().find(|one| one.name.eq_ignore_ascii_case(name))
    }

    /// Jobs that ask every rule of their environments.
    fn jobs(&self, repo: usize, environments: &[&str]) -> Vec<Job> {
        let job = |name: &&str| {
            let found = self.environment(repo, name);
            let rules = found.iter().flat_map(|found| &found.rules);
            Job {
                environment: found.map_or_else(|| (*name).to_owned(), |found| found.name.clone()),
                apps: rules.map(|rule| rule.app).collect(),
                person: found.is_some_and(|found| found.reviewed),
                rejected: false,
                said: Vec::new(),
            }
        };
        environments.iter().map(job).collect()
    }

    /// Asks the Apps.
    fn announce(&self, repo: usize, run: u64) {
        let Some(run) = self.repos[repo].runs.get(&run) else {
            return;
        };
        for job in run.jobs.iter().filter(|job| !job.apps.is_empty()) {
            let payload = events::deployment_rule(self, repo, run, job);
            self.post.send("deployment_protection_rule", payload);
        }
    }
}

impl Sandbox {
    /// An environment that nothing protects.
    pub fn environment(&self, repo: &str, name: &str) {
        let mut world = self.world();
        let (repo, id) = (self.index(&world, repo), world.fresh_id());
        let created_at = world.now();
        world.repos[repo].environments.push(Environment {
            id,
            name: name.to_owned(),
            created_at,
            rules: Vec::new(),
            reviewed: false,
        });
    }

    /// Has an App asked before a job deploys to an environment, or not any more. Jobs that wait go on waiting.
    pub fn protect(&self, repo: &str, environment: &str, app: u64, protected: bool) {
        let mut world = self.world();
        let (repo, id) = (self.index(&world, repo), world.fresh_id());
        let all = world.repos[repo].environments.iter_mut();
        for one in all.filter(|one| one.name == environment) {
            one.rules.retain(|rule| rule.app != app);
            if protected {
                one.rules.push(ProtectionRule { id, app });
            }
        }
    }

    /// Has a person asked as well.
    pub fn review_deployments(&self, repo: &str, environment: &str) {
        let mut world = self.world();
        let repo = self.index(&world, repo);
        let all = world.repos[repo].environments.iter_mut();
        for one in all.filter(|one| one.name == environment) {
            one.reviewed = true;
        }
    }

    /// Somebody starts a workflow with a job for each of these environments. Answers its id.
    ///
    /// # Errors
    /// When the repository has no `main`.
    pub fn start_run(&self, user: &str, repo: &str, environments: &[&str]) -> Result<u64, Refusal> {
        let mut world = self.world();
        let (repo, by) = (self.index(&world, repo), self.id(&world, user));
        let (id, now) = (world.fresh_id(), world.now());
        let main = format!("refs/heads/{PROTECTED}");
        let head_sha = world.git(repo)?.refname_to_id(&main)?.to_string();
        let run = Run {
            id,
            number: 1 + u64::try_from(world.repos[repo].runs.len()).unwrap_or_default(),
            attempt: 1,
            event: "workflow_dispatch".to_owned(),
            actor: by,
            triggering_actor: by,
            head_sha,
            jobs: world.jobs(repo, environments),
            cancelled: false,
            created_at: now,
            started_at: now,
            updated_at: now,
        };
        world.repos[repo].runs.insert(id, run);
        world.announce(repo, id);
        Ok(id)
    }

    /// Somebody runs it again, once it is over.
    pub fn rerun(&self, user: &str, repo: &str, run: u64) {
        let mut world = self.world();
        let (repo, by) = (self.index(&world, repo), self.id(&world, user));
        let now = world.now();
        let old = world.repos[repo].runs[&run].clone();
        let names: Vec<&str> = old
            .jobs
            .iter()
            .map(|job| job.environment.as_str())
            .collect();
        let again = Run {
            attempt: old.attempt + 1,
            triggering_actor: by,
            jobs: world.jobs(repo, &names),
            cancelled: false,
            started_at: now,
            updated_at: now,
            ..old.clone()
        };
        world.repos[repo].runs.insert(run, again);
        world.announce(repo, run);
    }

    /// Another job of the run deploys, once those before it are through.
    pub fn next_job(&self, repo: &str, run: u64, environment: &str) {
        let mut world = self.world();
        let repo = self.index(&world, repo);
        let jobs = world.jobs(repo, &[environment]);
        if let Some(run) = world.repos[repo].runs.get_mut(&run) {
            run.jobs.extend(jobs);
        }
        world.announce(repo, run);
    }

    /// Somebody cancels it.
    pub fn cancel_run(&self, repo: &str, run: u64) {
        let mut world = self.world();
        let (repo, now) = (self.index(&world, repo), world.now());
        if let Some(run) = world.repos[repo].runs.get_mut(&run) {
            run.cancelled = true;
            run.updated_at = now;
        }
    }

    /// A person lets every job of it through, as far as people are asked.
    pub fn let_through(&self, repo: &str, run: u64) {
        let mut world = self.world();
        let repo = self.index(&world, repo);
        if let Some(run) = world.repos[repo].runs.get_mut(&run) {
            run.jobs.iter_mut().for_each(|job| job.person = false);
        }
    }

    /// The run as it is now.
    pub fn run(&self, repo: &str, run: u64) -> RunView {
        let world = self.world();
        let run = &world.repos[self.index(&world, repo)].runs[&run];
        let said: Vec<_> = run.jobs.iter().flat_map(|job| &job.said).collect();
        let count = |wanted| {
            said.iter()
                .filter(|(passes, _)| *passes == Some(wanted))
                .count()
        };
        RunView {
            status: run.status().to_owned(),
            conclusion: run.conclusion().map(str::to_owned),
            attempt: run.attempt,
            approvals: count(true),
            rejections: count(false),
            words: said.iter().map(|(_, words)| words.clone()).collect(),
        }
    }

    /// The environments whose jobs of the run still wait.
    pub fn waits_for(&self, repo: &str, run: u64) -> BTreeSet<String> {
        let world = self.world();
        let run = &world.repos[self.index(&world, repo)].runs[&run];
        let waiting = run.jobs.iter().filter(|job| run.waits_for(job));
        waiting.map(|job| job.environment.clone()).collect()
    }
}
