//! What Hallpass tells in issues: one for each purpose, found by its marker and its author, edited in place.

use serde::Serialize;

use super::super::Issue;
use super::comments::{BODY, BODY_CUT};
use super::wire::{IssueComment as Written, ListedIssue};
use super::{GitHub, cut};
use crate::github_app::{Failure, query};

#[derive(Serialize)]
struct New<'a> {
    title: &'a str,
    body: &'a str,
}

#[derive(Serialize)]
struct Edited<'a> {
    title: &'a str,
    body: &'a str,
    state: &'a str,
}

impl GitHub {
    pub(super) async fn write_issue(
        &self,
        issue: &Issue,
        known: Option<u64>,
    ) -> Result<Option<u64>, Failure> {
        // A comment in HTML does not show.
        let mark = format!("<!-- {} -->", issue.marker);
        let body = cut(&format!("{mark}\n{}", issue.body), BODY, BODY_CUT);
        let what = format!("issue {:?}", issue.title);
        let number = match known {
            Some(number) => Some(number),
            None => self.find_issue(&mark).await?,
        };
        if let Some(number) = number {
            let route = self.route(&["issues", &number.to_string()]);
            let edited = Edited {
                title: &issue.title,
                body: &body,
                state: if issue.open { "open" } else { "closed" },
            };
            match self
                .issues
                .patch::<ListedIssue>(&what, &route, &edited)
                .await
            {
                // Somebody deleted it, or moved it to another repository.
                Err(Failure::NotFound { .. }) => {}
                done => return done.map(|found| Some(found.number)),
            }
        }
        if !issue.open {
            return Ok(None);
        }
        let new = New {
            title: &issue.title,
            body: &body,
        };
        let route = self.route(&["issues"]);
        let made: ListedIssue = self.issues.post(&what, &route, &new).await?;
        Ok(Some(made.number))
    }

    /// The oldest open issue of ours with this mark.
    async fn find_issue(&self, mark: &str) -> Result<Option<u64>, Failure> {
        let route = query(
            &self.route(&["issues"]),
            &[("state", "open"), ("per_page", "100")],
        );
        let found: Vec<ListedIssue> = self.issues.list("open issues", &route).await?;
        let ours = |issue: &ListedIssue| {
            let text: &Written = &issue.written;
            let marked = text.body.as_deref().is_some_and(|b| b.starts_with(mark));
            marked && issue.pull_request.is_none() && text.is_of_app(self.app.id())
        };
        let ours = found.into_iter().filter(ours);
        Ok(ours.map(|issue| issue.number).min())
    }
}
