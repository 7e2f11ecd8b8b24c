//! Labels of pull requests: of ours there is at most one, and those of others are left alone.

use serde::{Deserialize, Serialize};

use super::GitHub;
use crate::domain::label::Label;
use crate::domain::model::PullNumber;
use crate::github_app::{Failure, query};

/// A `label`.
#[derive(Debug, Deserialize)]
struct Named {
    name: String,
}

#[derive(Serialize)]
struct Added<'a> {
    labels: [&'a str; 1],
}

impl GitHub {
    pub(super) async fn set_label(
        &self,
        number: PullNumber,
        label: Option<Label>,
    ) -> Result<bool, Failure> {
        let what = format!("labels of pull request {number}");
        let pull = number.to_string();
        let route = |more: &[&str]| self.route(&[&["issues", &pull, "labels"], more].concat());
        let all = query(&route(&[]), &[("per_page", "100")]);
        let found: Vec<Named> = self.api.list(&what, &all).await?;
        // GitHub tells labels apart without regard to case.
        let has = |name: &str| found.iter().any(|f| f.name.eq_ignore_ascii_case(name));
        let mut changed = false;
        for other in Label::ALL {
            let name = other.name();
            if Some(other) == label && !has(name) {
                let labels = &Added { labels: [name] };
                let _: Vec<Named> = self.api.post(&what, &route(&[]), labels).await?;
                changed = true;
            }
            if Some(other) != label && has(name) {
                match self.api.delete(&what, &route(&[name])).await {
                    // Somebody took it away meanwhile.
                    Ok(()) | Err(Failure::NotFound { .. }) => changed = true,
                    Err(failure) => return Err(failure),
                }
            }
        }
        Ok(changed)
    }
}
