//! What the stand-in shows now: the only thing that the play's lines are told from.

use super::stage::{REPO, Stage};
use crate::domain::model::PullNumber;
use crate::sandbox::{CheckView, Membership, PullView};

impl Stage {
    /// The check `hallpass` on the tip of a pull request.
    pub fn check(&self, pull: PullNumber) -> Option<CheckView> {
        let head = self.sandbox.pull(REPO, pull).head_sha;
        let checks = self.sandbox.checks(REPO, &head);
        checks.into_iter().find(|check| check.name == "hallpass")
    }

    /// Who is an active member of a team.
    pub fn members(&self, team: &str) -> Vec<String> {
        let members = self.sandbox.team_members(team).into_iter();
        members
            .filter(|(_, membership)| *membership == Membership::Active)
            .map(|(login, _)| login)
            .collect()
    }

    /// Who is an active member of a team, in words.
    pub fn who(&self, team: &str) -> String {
        let members = self.members(team);
        if members.is_empty() {
            "nobody".to_owned()
        } else {
            members.join(", ")
        }
    }

    /// Whether a file is on `main`.
    pub fn stands(&self, path: &str) -> bool {
        self.sandbox.file(REPO, "main", path).is_some()
    }

    /// The newest pull request that the service opened.
    pub fn newest_revert(&self) -> Option<PullView> {
        let mut pulls = self.sandbox.pulls(REPO).into_iter();
        pulls.rfind(|pull| pull.author == "hallpass[bot]")
    }

    /// Who merged a commit into `main`.
    pub fn merged_by(&self, commit: &str) -> Option<String> {
        let activity = self.sandbox.activity(REPO).into_iter();
        let mut merges = activity.filter(|entry| entry.kind == "pr_merge" && entry.after == commit);
        merges.next().map(|entry| entry.actor)
    }

    /// The newest message on the evidence branch that tells `kind` of the file at `path`.
    pub fn evidence(&self, kind: &str, path: &str) -> Option<String> {
        let tip = self.sandbox.branch_tip(REPO, "hallpass/evidence")?;
        let git = git2::Repository::open_bare(self.sandbox.repository_path(REPO)).ok()?;
        let mut walk = git.revwalk().ok()?;
        walk.push(git2::Oid::from_str(tip.as_str()).ok()?).ok()?;
        let (kind, path) = (format!("Event: {kind}"), format!("Path: {path}"));
        let has = |message: &str, line: &str| message.lines().any(|l| l == line);
        walk.filter_map(|id| {
            let message = git.find_commit(id.ok()?).ok()?.message().ok()?.to_owned();
            (has(&message, &kind) && has(&message, &path)).then_some(message)
        })
        .next()
    }
}
