//! The check `hallpass` on a commit: one check run, brought up to date in place.
//!
//! GitHub only ever *adds* annotations to a check run, and a reader of a green check must not find yesterday's errors in it. So
//! the run carries a digest of what it says at its lines; where that differs from what is to be said, the run is brought up to
//! date and a new one of the same name takes its place (GitHub shows the newest).

use serde::Serialize;
use sha2::{Digest, Sha256};

use super::wire::{CheckRun, CheckRuns};
use super::{GitHub, cut};
use crate::domain::report::{Annotation, Check, CheckStatus};
use crate::forge::CheckId;
use crate::github_app::{Failure, query};

/// The check's name, which rules of the repository require.
pub(super) const NAME: &str = "hallpass";
/// GitHub takes this many annotations a call, and appends those of further calls.
const ANNOTATIONS: usize = 50;
/// GitHub's limit for a summary, in bytes.
const SUMMARY: usize = 65_535;
/// GitHub's limit for an annotation's message: 64 KiB.
const MESSAGE: usize = 64 << 10;
/// GitHub's limit for a title, in characters; bytes are never fewer.
const TITLE: usize = 255;
const SUMMARY_CUT: &str = "\n\n*The rest is too long to be shown here.*";

/// What creating and updating send.
#[derive(Serialize)]
struct Run<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    head_sha: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    external_id: Option<&'a str>,
    status: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    conclusion: Option<&'a str>,
    output: Output<'a>,
}

#[derive(Serialize)]
struct Output<'a> {
    title: &'a str,
    summary: &'a str,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    annotations: &'a [AnnotationOut],
}

#[derive(Serialize)]
struct AnnotationOut {
    path: String,
    start_line: u32,
    end_line: u32,
    start_column: u32,
    end_column: u32,
    annotation_level: &'static str,
    title: String,
    message: String,
}

/// A check in GitHub's words and limits.
struct Prepared {
    status: &'static str,
    conclusion: Option<&'static str>,
    title: String,
    summary: String,
    annotations: Vec<AnnotationOut>,
    digest: String,
}

impl GitHub {
    pub(super) async fn write_check(
        &self,
        check: &Check,
        known: Option<CheckId>,
    ) -> Result<CheckId, Failure> {
        let prepared = Prepared::from(check);
        if let Some(CheckId(id)) = known {
            match self.update_run(check, &prepared, id).await {
                // Somebody removed it: as if it had not been known.
                Err(Failure::NotFound { .. }) => {}
                done => return done,
            }
        }
        match self.find_run(check).await? {
            Some(run) => self.update_run(check, &prepared, run.id).await,
            None => self.create_run(check, &prepared).await,
        }
    }

    /// The newest run of ours on the commit.
    async fn find_run(&self, check: &Check) -> Result<Option<CheckRun>, Failure> {
        let app = self.app.id().to_string();
        let route = query(
            &self.route(&["commits", check.head.as_str(), "check-runs"]),
            &[
                ("check_name", NAME),
                ("app_id", &app),
                ("filter", "latest"),
                ("per_page", "100"),
            ],
        );
        let what = format!("check runs of {}", check.head.short());
        let found: CheckRuns = self.api.get(&what, &route).await?;
        Ok(found.check_runs.into_iter().max_by_key(|run| run.id))
    }

    async fn update_run(
        &self,
        check: &Check,
        prepared: &Prepared,
        id: u64,
    ) -> Result<CheckId, Failure> {
        let run = self.patch_run(id, &prepared.run(&[])).await?;
        let there = run.output.annotations_count;
        let said = run.external_id.as_deref() == Some(&prepared.digest)
            && there == prepared.annotations.len() as u64;
        if said || (there == 0 && prepared.annotations.is_empty()) {
            Ok(CheckId(id))
        } else if there == 0 {
            self.annotate(prepared, id, 0).await
        } else {
            self.create_run(check, prepared).await
        }
    }

    async fn create_run(&self, check: &Check, prepared: &Prepared) -> Result<CheckId, Failure> {
        let first = prepared.annotations.len().min(ANNOTATIONS);
        let body = Run {
            name: Some(NAME),
            head_sha: Some(check.head.as_str()),
            external_id: Some(&prepared.digest),
            ..prepared.run(&prepared.annotations[..first])
        };
        let what = format!("check run on {}", check.head.short());
        let run: CheckRun = self
            .api
            .post(&what, &self.route(&["check-runs"]), &body)
            .await?;
        self.annotate(prepared, run.id, first).await
    }

    /// Appends the annotations from the one at `from` on.
    async fn annotate(
        &self,
        prepared: &Prepared,
        id: u64,
        from: usize,
    ) -> Result<CheckId, Failure> {
        for batch in prepared.annotations[from..].chunks(ANNOTATIONS) {
            let body = Run {
                external_id: Some(&prepared.digest),
                ..prepared.run(batch)
            };
            self.patch_run(id, &body).await?;
        }
        Ok(CheckId(id))
    }

    async fn patch_run(&self, id: u64, body: &Run<'_>) -> Result<CheckRun, Failure> {
        self.api
            .patch(
                &format!("check run {id}"),
                &self.route(&["check-runs", &id.to_string()]),
                body,
            )
            .await
    }
}

impl Prepared {
    fn run<'a>(&'a self, annotations: &'a [AnnotationOut]) -> Run<'a> {
        Run {
            name: None,
            head_sha: None,
            external_id: None,
            status: self.status,
            conclusion: self.conclusion,
            output: Output {
                title: &self.title,
                summary: &self.summary,
                annotations,
            },
        }
    }
}

impl From<&Check> for Prepared {
    fn from(check: &Check) -> Self {
        let (status, conclusion) = match check.status {
            CheckStatus::InProgress => ("in_progress", None),
            CheckStatus::Success => ("completed", Some("success")),
            CheckStatus::Neutral => ("completed", Some("neutral")),
            CheckStatus::Failure => ("completed", Some("failure")),
        };
        let mut digest = Sha256::new();
        for annotation in &check.annotations {
            digest.update(format!("{annotation:?}\n"));
        }
        Self {
            status,
            conclusion,
            title: cut(&check.title, TITLE, "…"),
            summary: cut(&check.summary, SUMMARY, SUMMARY_CUT),
            annotations: check.annotations.iter().map(AnnotationOut::from).collect(),
            digest: format!("annotations:{}", hex::encode(digest.finalize())),
        }
    }
}

impl From<&Annotation> for AnnotationOut {
    fn from(annotation: &Annotation) -> Self {
        Self {
            path: annotation.path.clone(),
            start_line: annotation.line,
            end_line: annotation.line,
            start_column: annotation.column,
            end_column: annotation.column,
            annotation_level: if annotation.warning {
                "warning"
            } else {
                "failure"
            },
            title: cut(&annotation.title, TITLE, "…"),
            message: cut(&annotation.message, MESSAGE, "…"),
        }
    }
}
