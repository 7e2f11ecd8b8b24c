//! What Hallpass says on a pull request: one comment for each purpose, found by its marker and its author, edited in place.

use chrono::SecondsFormat;
use serde::Serialize;

use super::wire::{IssueComment, ListedComment};
use super::{GitHub, cut};
use crate::domain::model::{Instant, PullNumber};
use crate::domain::remark::Remark;
use crate::github_app::{Failure, query};

/// GitHub's limit for a comment, in characters; bytes are never fewer.
pub(super) const BODY: usize = 65_536;
pub(super) const BODY_CUT: &str = "\n\n*The rest is too long to be shown here.*";

#[derive(Serialize)]
struct Text<'a> {
    body: &'a str,
}

impl GitHub {
    pub(super) async fn write_comment(
        &self,
        number: PullNumber,
        marker: &str,
        text: &str,
    ) -> Result<(), Failure> {
        // A comment in HTML does not show.
        let mark = format!("<!-- {marker} -->");
        let body = cut(&format!("{mark}\n{text}"), BODY, BODY_CUT);
        let body = &Text { body: &body };
        let what = format!("comment on pull request {number}");
        if let Some(ours) = self.find_comment(number, &mark).await? {
            if ours.body.as_deref() == Some(body.body) {
                return Ok(());
            }
            let route = self.route(&["issues", "comments", &ours.id.to_string()]);
            match self.api.patch::<IssueComment>(&what, &route, body).await {
                // Somebody removed it meanwhile.
                Err(Failure::NotFound { .. }) => {}
                done => return done.map(drop),
            }
        }
        let route = self.route(&["issues", &number.to_string(), "comments"]);
        self.api
            .post::<IssueComment>(&what, &route, body)
            .await
            .map(drop)
    }

    /// What people wrote on pull requests. Whose account is gone, or is none of our kinds, is left out: nobody can be answered.
    pub(super) async fn read_remarks(&self, at: Instant) -> Result<Vec<Remark>, Failure> {
        let since = at.to_rfc3339_opts(SecondsFormat::Secs, true);
        let route = query(
            &self.route(&["issues", "comments"]),
            &[
                ("sort", "updated"),
                ("direction", "asc"),
                ("since", &since),
                ("per_page", "100"),
            ],
        );
        let what = "comments of the repository";
        let found: Vec<ListedComment> = self.api.list(what, &route).await?;
        Ok(found.into_iter().filter_map(remark).collect())
    }

    /// The oldest comment of ours with this mark.
    async fn find_comment(
        &self,
        number: PullNumber,
        mark: &str,
    ) -> Result<Option<IssueComment>, Failure> {
        let route = query(
            &self.route(&["issues", &number.to_string(), "comments"]),
            &[("per_page", "100")],
        );
        let what = format!("comments of pull request {number}");
        let found: Vec<IssueComment> = self.api.list(&what, &route).await?;
        let ours = |comment: &IssueComment| {
            let marked = comment.body.as_deref().is_some_and(|b| b.starts_with(mark));
            marked && comment.is_of_app(self.app.id())
        };
        Ok(found.into_iter().filter(ours).min_by_key(|c| c.id))
    }
}

fn remark(comment: ListedComment) -> Option<Remark> {
    let pull = comment.pull()?;
    Some(Remark {
        id: comment.written.id,
        pull,
        author: comment.written.user?.actor().ok()?,
        through_app: comment.written.performed_via_github_app.is_some(),
        text: comment.written.body.unwrap_or_default(),
        written_at: comment.created_at,
        changed_at: comment.updated_at,
    })
}
