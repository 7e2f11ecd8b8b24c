//! Opening, changing, closing and reviewing pull requests.

use git2::Oid;
use serde_json::json;

use super::git;
use super::model::{ReviewSaid, Verdict};
use super::refusal::Refusal;
use super::render;
use super::world::{Dismissed, Pull, Review, World};

/// What a new pull request says.
#[derive(Debug, Clone)]
pub struct NewPull {
    pub head: String,
    pub base: String,
    pub title: String,
    pub body: Option<String>,
    pub draft: bool,
}

/// What changes about a pull request.
#[derive(Debug, Clone, Default)]
pub struct Edit {
    pub title: Option<String>,
    pub body: Option<String>,
    pub base: Option<String>,
}

fn invalid_field(field: &str) -> Refusal {
    let mut refusal = Refusal::new(422, "Validation Failed");
    refusal.errors = vec![json!({ "resource": "PullRequest", "field": field, "code": "invalid" })];
    refusal
}

impl World {
    /// Opens a pull request.
    pub fn open_pull(&mut self, repo: usize, by: u64, new: NewPull) -> Result<u64, Refusal> {
        let git = self.git(repo)?;
        let head = match new.head.split_once(':') {
            Some((owner, head)) if owner.eq_ignore_ascii_case(self.organisation_login()) => {
                head.to_owned()
            }
            Some(_) => return Err(invalid_field("head")),
            None => new.head.clone(),
        };
        let head_id =
            git::tip(&git, &format!("refs/heads/{head}"))?.ok_or_else(|| invalid_field("head"))?;
        let base_id = git::tip(&git, &format!("refs/heads/{}", new.base))?
            .ok_or_else(|| invalid_field("base"))?;
        self.refuse_second(repo, &head, &new.base)?;
        if git::commits_between(&git, base_id, head_id)?.is_empty() {
            return Err(Refusal::invalid(format!(
                "No commits between {} and {head}",
                new.base
            )));
        }
        let new = NewPull { head, ..new };
        self.add_pull(repo, by, new, head_id, base_id, None)
    }

    /// Gives a pull request its number, and tells.
    pub fn add_pull(
        &mut self,
        repo: usize,
        by: u64,
        new: NewPull,
        head_id: Oid,
        base_id: Oid,
        fork: Option<u64>,
    ) -> Result<u64, Refusal> {
        let number = self.repos[repo].next_number;
        self.repos[repo].next_number += 1;
        let reference = format!("refs/pull/{number}/head");
        self.git(repo)?
            .reference(&reference, head_id, true, "sandbox")?;
        let (id, now) = (self.fresh_id(), self.now());
        let pull = Pull {
            id,
            number,
            author: by,
            title: new.title,
            body: new.body,
            base: new.base,
            base_sha: base_id.to_string(),
            head: new.head,
            head_sha: head_id.to_string(),
            fork,
            draft: new.draft,
            open: true,
            created_at: now,
            updated_at: now,
            closed_at: None,
            merged: None,
            reviews: Vec::new(),
            labels: Vec::new(),
        };
        self.repos[repo].pulls.insert(number, pull);
        self.tell_pull(repo, number, "opened", by)?;
        Ok(number)
    }

    fn refuse_second(&self, repo: usize, head: &str, base: &str) -> Result<(), Refusal> {
        let mut pulls = self.repos[repo].pulls.values();
        if pulls.any(|pull| pull.open && pull.comes_from(head) && pull.base == base) {
            let label = format!("{}:{head}", self.organisation_login());
            return Err(Refusal::invalid(format!(
                "A pull request already exists for {label}."
            )));
        }
        Ok(())
    }

    /// Closes a pull request without merging it.
    pub fn close(&mut self, repo: usize, number: u64, by: u64) -> Result<(), Refusal> {
        let now = self.now();
        let pull = self.pull_mut(repo, number)?;
        if !pull.open {
            return Ok(());
        }
        pull.open = false;
        pull.closed_at = Some(now);
        pull.updated_at = now;
        self.tell_pull(repo, number, "closed", by)
    }

    /// Reopens a closed pull request, at the tip its branch has now.
    pub fn reopen(&mut self, repo: usize, number: u64, by: u64) -> Result<(), Refusal> {
        let pull = self.pull(repo, number)?;
        if pull.open {
            return Ok(());
        }
        if pull.merged.is_some() {
            return Err(Refusal::invalid("Cannot reopen a merged pull request."));
        }
        let tip = match pull.fork {
            Some(_) => Oid::from_str(&pull.head_sha)?,
            None => self.reopened_tip(repo, pull)?,
        };
        let reference = format!("refs/pull/{number}/head");
        self.git(repo)?
            .reference(&reference, tip, true, "sandbox")?;
        let now = self.now();
        let pull = self.pull_mut(repo, number)?;
        pull.head_sha = tip.to_string();
        pull.open = true;
        pull.closed_at = None;
        pull.updated_at = now;
        self.tell_pull(repo, number, "reopened", by)
    }

    /// The tip that a closed pull request's branch has now, if GitHub would reopen it.
    fn reopened_tip(&self, repo: usize, pull: &Pull) -> Result<Oid, Refusal> {
        let cannot = |why: &str| {
            Refusal::invalid(format!("state cannot be changed. The head branch {why}."))
        };
        self.refuse_second(repo, &pull.head, &pull.base)?;
        let git = self.git(repo)?;
        let tip = git::tip(&git, &format!("refs/heads/{}", pull.head))?;
        let tip = tip.ok_or_else(|| cannot("has been deleted"))?;
        if !git::contains(&git, tip, Oid::from_str(&pull.head_sha)?) {
            return Err(cannot("was force-pushed or recreated"));
        }
        Ok(tip)
    }

    /// Changes title, text or base.
    pub fn edit(&mut self, repo: usize, number: u64, edit: Edit, by: u64) -> Result<(), Refusal> {
        let git = self.git(repo)?;
        let now = self.now();
        let new_base = match &edit.base {
            None => None,
            Some(base) => Some(
                git::tip(&git, &format!("refs/heads/{base}"))?
                    .ok_or_else(|| invalid_field("base"))?,
            ),
        };
        let pull = self.pull_mut(repo, number)?;
        let mut changes = json!({});
        if let Some(title) = edit.title.filter(|title| *title != pull.title) {
            changes["title"] = json!({ "from": std::mem::replace(&mut pull.title, title) });
        }
        if let Some(body) = edit.body.filter(|body| Some(body) != pull.body.as_ref()) {
            changes["body"] = json!({ "from": pull.body.replace(body).unwrap_or_default() });
        }
        if let (Some(base), Some(id)) = (edit.base, new_base)
            && base != pull.base
        {
            let from = std::mem::replace(&mut pull.base, base);
            let sha = std::mem::replace(&mut pull.base_sha, id.to_string());
            changes["base"] = json!({ "ref": { "from": from }, "sha": { "from": sha } });
        }
        if changes == json!({}) {
            return Ok(());
        }
        pull.updated_at = now;
        let mut payload = render::events::pull(self, repo, number, "edited", by)?;
        payload["changes"] = changes;
        self.post.send("pull_request", payload);
        Ok(())
    }

    /// Converts to a draft, or marks ready for review.
    pub fn set_draft(
        &mut self,
        repo: usize,
        number: u64,
        draft: bool,
        by: u64,
    ) -> Result<(), Refusal> {
        let now = self.now();
        let pull = self.pull_mut(repo, number)?;
        if pull.draft == draft {
            return Ok(());
        }
        pull.draft = draft;
        pull.updated_at = now;
        self.tell_pull(
            repo,
            number,
            if draft {
                "converted_to_draft"
            } else {
                "ready_for_review"
            },
            by,
        )
    }

    /// Reviews. GitHub does not let authors approve or refuse their own pull request.
    pub fn review(
        &mut self,
        repo: usize,
        number: u64,
        by: u64,
        verdict: Verdict,
        body: &str,
        commit: Option<&str>,
    ) -> Result<u64, Refusal> {
        let pull = self.pull(repo, number)?;
        if pull.author == by && verdict != Verdict::Comment {
            let what = if verdict == Verdict::Approve {
                "approve"
            } else {
                "request changes on"
            };
            return Err(Refusal::new(
                422,
                format!("Can not {what} your own pull request"),
            ));
        }
        if verdict != Verdict::Approve && body.is_empty() {
            return Err(Refusal::new(422, "Body can't be blank"));
        }
        self.add_review(repo, number, by, verdict, body, commit)
    }

    /// Records a review without asking whether GitHub would let it be given.
    pub fn add_review(
        &mut self,
        repo: usize,
        number: u64,
        by: u64,
        verdict: Verdict,
        body: &str,
        commit: Option<&str>,
    ) -> Result<u64, Refusal> {
        let (id, now) = (self.fresh_id(), self.now());
        let commit = match commit {
            None => self.pull(repo, number)?.head_sha.clone(),
            Some(commit) => {
                let found = self
                    .git(repo)?
                    .find_commit(Oid::from_str(commit)?)
                    .map(|commit| commit.id().to_string());
                found.map_err(|_| Refusal::new(422, "commit_id is not part of the pull request"))?
            }
        };
        let review = Review {
            id,
            user: by,
            body: body.to_owned(),
            said: verdict.said(),
            commit,
            submitted_at: now,
            dismissed: None,
        };
        let pull = self.pull_mut(repo, number)?;
        pull.reviews.push(review);
        pull.updated_at = now;
        let payload = render::events::review(self, repo, number, id, "submitted", by)?;
        self.post.send("pull_request_review", payload);
        Ok(id)
    }

    /// Dismisses a review that approved or asked for changes.
    pub fn dismiss(
        &mut self,
        repo: usize,
        number: u64,
        review: u64,
        by: u64,
    ) -> Result<(), Refusal> {
        let (now, event) = (self.now(), self.fresh_id());
        let pull = self.pull_mut(repo, number)?;
        let found = pull
            .reviews
            .iter_mut()
            .find(|candidate| candidate.id == review)
            .ok_or_else(Refusal::not_found)?;
        if !matches!(
            found.said,
            ReviewSaid::Approved | ReviewSaid::ChangesRequested
        ) {
            return Err(Refusal::new(
                422,
                "Can not dismiss a commented pull request review",
            ));
        }
        found.dismissed = Some(Dismissed {
            event,
            was: found.said,
            by,
            at: now,
        });
        found.said = ReviewSaid::Dismissed;
        pull.updated_at = now;
        let payload = render::events::review(self, repo, number, review, "dismissed", by)?;
        self.post.send("pull_request_review", payload);
        Ok(())
    }

    /// Dismisses the approvals of earlier commits, where the rules say so.
    pub fn dismiss_stale(&mut self, repo: usize, number: u64, by: u64) -> Result<(), Refusal> {
        if !self.repos[repo]
            .ruleset
            .as_ref()
            .is_some_and(|rules| rules.dismiss_stale)
        {
            return Ok(());
        }
        let pull = self.pull(repo, number)?;
        let stale = pull
            .reviews
            .iter()
            .filter(|review| review.said == ReviewSaid::Approved && review.commit != pull.head_sha);
        for review in stale.map(|review| review.id).collect::<Vec<_>>() {
            self.dismiss(repo, number, review, by)?;
        }
        Ok(())
    }
}
