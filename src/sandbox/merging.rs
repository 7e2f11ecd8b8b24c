//! Merging, and the rules that stand in its way.

use git2::Oid;

use super::changes::Moved;
use super::codeowners;
use super::git::{self, MergeBy};
use super::model::{MergeMethod, Permission, ReviewSaid, Ruleset};
use super::refusal::Refusal;
use super::render::pulls::label_of;
use super::world::{Pull, World};

/// The branch that a [`Ruleset`] protects.
pub const PROTECTED: &str = "main";

/// How somebody asks for a merge.
#[derive(Debug, Clone)]
pub struct MergeWish {
    pub method: MergeMethod,
    pub title: Option<String>,
    pub message: Option<String>,
    /// The tip that the caller saw.
    pub sha: Option<String>,
    /// Whether the rules are not asked.
    pub bypass: bool,
}

impl World {
    /// Merges a pull request.
    pub fn merge(
        &mut self,
        repo: usize,
        number: u64,
        by: u64,
        app: Option<u64>,
        wish: MergeWish,
    ) -> Result<Oid, Refusal> {
        let pull = self.pull(repo, number)?.clone();
        if !pull.open {
            return Err(Refusal::new(405, "Pull Request is not mergeable"));
        }
        if pull.draft {
            return Err(Refusal::new(405, "Pull Request is still a draft"));
        }
        if wish.sha.as_ref().is_some_and(|sha| *sha != pull.head_sha) {
            return Err(Refusal::new(
                409,
                "Head branch was modified. Review and try the merge again.",
            ));
        }
        let unmet = self.unmet(repo, &pull)?;
        if !wish.bypass && !unmet.is_empty() && !self.may_bypass(repo, by, app) {
            return Err(Refusal::new(
                405,
                format!("Repository rule violations found\n\n{}", unmet.join("\n\n")),
            ));
        }
        let git = self.git(repo)?;
        let reference = format!("refs/heads/{}", pull.base);
        let base = git::tip(&git, &reference)?
            .ok_or_else(|| Refusal::new(405, "Base branch was deleted"))?;
        let commit = self.write_merge(&git, &pull, base, by, &wish)?;
        // Marked before the ref moves, so that the move does not take it for an indirect merge.
        self.mark_merged(repo, number, base, commit, by)?;
        self.move_ref(
            repo,
            Moved {
                reference,
                before: Some(base),
                after: Some(commit),
                by,
                merge: true,
            },
        )?;
        Ok(commit)
    }

    fn write_merge(
        &self,
        git: &git2::Repository,
        pull: &Pull,
        base: Oid,
        by: u64,
        wish: &MergeWish,
    ) -> Result<Oid, Refusal> {
        let (title, body) = match wish.method {
            MergeMethod::Squash => (
                format!("{} (#{})", pull.title, pull.number),
                pull.body.clone().unwrap_or_default(),
            ),
            _ => (
                format!(
                    "Merge pull request #{} from {}",
                    pull.number,
                    label_of(self, pull).replacen(':', "/", 1)
                ),
                pull.title.clone(),
            ),
        };
        let title = wish.title.clone().unwrap_or(title);
        let body = wish.message.clone().unwrap_or(body);
        let message = if body.is_empty() {
            title
        } else {
            format!("{title}\n\n{body}")
        };
        let author = if wish.method == MergeMethod::Squash {
            pull.author
        } else {
            by
        };
        let author = self.signature(author)?;
        let committer = git::signature("GitHub", "noreply@github.com", self.now())?;
        let by = MergeBy {
            author: &author,
            committer: &committer,
            message: &message,
        };
        git::merge(git, base, Oid::from_str(&pull.head_sha)?, wish.method, &by)
    }

    /// How an account signs commits made for it.
    pub fn signature(&self, user: u64) -> Result<git2::Signature<'static>, Refusal> {
        let login = &self.accounts[&user].login;
        git::signature(
            login,
            &format!("{user}+{login}@users.noreply.github.com"),
            self.now(),
        )
    }

    /// Whether rules keep a branch from being moved by anybody, where there are rules.
    pub fn is_guarded(&self, repo: usize, branch: &str) -> bool {
        branch == PROTECTED || self.repos[repo].guarded.contains(branch)
    }

    /// Whether the rules of the protected branch are not enforced on somebody.
    pub fn may_bypass(&self, repo: usize, user: u64, app: Option<u64>) -> bool {
        let Some(rules) = &self.repos[repo].ruleset else {
            return true;
        };
        let login = &self.accounts[&user].login;
        app.is_some_and(|app| rules.bypass_apps.contains(&app))
            || rules
                .bypass_users
                .iter()
                .any(|name| name.eq_ignore_ascii_case(login))
    }

    /// The rules that a merge would break, in GitHub's words.
    pub fn unmet(&self, repo: usize, pull: &Pull) -> Result<Vec<String>, Refusal> {
        let Some(rules) = self.repos[repo]
            .ruleset
            .as_ref()
            .filter(|_| pull.base == PROTECTED)
        else {
            return Ok(Vec::new());
        };
        let mut unmet = Vec::new();
        if let Some((name, app)) = &rules.required_check
            && !self.check_passed(repo, &pull.head_sha, name, *app)
        {
            unmet.push(format!("Required status check \"{name}\" is expected."));
        }
        unmet.extend(self.reviews_unmet(repo, pull, rules)?);
        Ok(unmet)
    }

    fn check_passed(&self, repo: usize, sha: &str, name: &str, app: Option<u64>) -> bool {
        let runs = self.repos[repo].checks.values();
        let mut runs = runs.filter(|run| {
            run.head_sha == sha && run.name == name && app.is_none_or(|app| run.app == app)
        });
        runs.next_back().is_some_and(|run| {
            matches!(
                run.conclusion.as_deref(),
                Some("success" | "neutral" | "skipped")
            )
        })
    }

    fn reviews_unmet(
        &self,
        repo: usize,
        pull: &Pull,
        rules: &Ruleset,
    ) -> Result<Vec<String>, Refusal> {
        let latest = latest_reviews(pull);
        let writes = |user: &u64| {
            self.permission(*user, repo)
                .is_some_and(|permission| permission >= Permission::Push)
        };
        let approvers: Vec<u64> = latest
            .iter()
            .filter(|(user, said)| *said == ReviewSaid::Approved && writes(user))
            .map(|(user, _)| *user)
            .collect();
        let mut unmet = Vec::new();
        if latest
            .iter()
            .any(|(user, said)| *said == ReviewSaid::ChangesRequested && writes(user))
            && rules.approvals > 0
        {
            unmet.push("Changes were requested by a reviewer.".to_owned());
        }
        if (approvers.len() as u64) < u64::from(rules.approvals) {
            unmet.push(format!(
                "At least {} approving review is required by reviewers with write access.",
                rules.approvals
            ));
        }
        if rules.code_owner_review && !self.owners_approved(repo, pull, &approvers)? {
            unmet.push("Waiting on code owner review.".to_owned());
        }
        Ok(unmet)
    }

    /// GitHub's simple meaning: of every changed path that has owners, one of them approved.
    fn owners_approved(
        &self,
        repo: usize,
        pull: &Pull,
        approvers: &[u64],
    ) -> Result<bool, Refusal> {
        let git = self.git(repo)?;
        let Some(base) = git::tip(&git, &format!("refs/heads/{}", pull.base))? else {
            return Ok(false);
        };
        let Some((_, lines)) = codeowners::read(&git, base)? else {
            return Ok(true);
        };
        let files = git::diff(&git, base, Oid::from_str(&pull.head_sha)?)?;
        Ok(files.iter().all(|file| {
            let owners = codeowners::owners(&lines, &file.path);
            owners.is_empty() || approvers.iter().any(|user| self.owns(*user, owners))
        }))
    }

    fn owns(&self, user: u64, owners: &[String]) -> bool {
        let login = &self.accounts[&user].login;
        owners
            .iter()
            .filter_map(|owner| owner.strip_prefix('@'))
            .any(|owner| match owner.split_once('/') {
                None => owner.eq_ignore_ascii_case(login),
                Some((_, slug)) => self.team_named(slug).is_some_and(|team| {
                    let ids = self.team_and_below(self.teams[team].id);
                    self.teams.iter().any(|team| {
                        ids.contains(&team.id)
                            && team
                                .members
                                .get(&user)
                                .is_some_and(|belonging| belonging.active)
                    })
                }),
            })
    }
}

/// What each reviewer said last, comments aside.
fn latest_reviews(pull: &Pull) -> Vec<(u64, ReviewSaid)> {
    let mut latest: Vec<(u64, ReviewSaid)> = Vec::new();
    for review in pull
        .reviews
        .iter()
        .filter(|review| review.said != ReviewSaid::Commented)
    {
        latest.retain(|(user, _)| *user != review.user);
        latest.push((review.user, review.said));
    }
    latest
}
