//! The play: who acts, in which order.

use std::time::Instant;

use super::stage::{REPO, Stage};
use super::tally::Tally;
use super::teller::Teller;
use crate::clock::{Clock as _, SystemClock};
use crate::domain::model::{Instant as Time, PullNumber};
use crate::sandbox::CheckView;

/// The request of the incident, as in the example.
pub const OCTOCAT: (&str, &str) = (
    "access/grants/orders/octocat-checkout-incident.yaml",
    include_str!(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/access/grants/orders/octocat-checkout-incident.yaml"
    )),
);
/// The request that an administrator merges.
pub const ADA: (&str, &str) = (
    "access/grants/orders/ada-support-rotation.yaml",
    include_str!(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/access/grants/orders/ada-support-rotation.yaml"
    )),
);
/// What the example asks for.
pub const TERM: &str = "duration: 2h";
/// The team that stands for reading the orders database.
pub const TEAM: &str = "orders-ro";
/// How long the access is asked for, in seconds, counted from the request.
pub const SECONDS: i64 = 25;

/// Where the play stands.
pub struct Play<'a, 'o> {
    pub stage: &'a Stage,
    pub teller: &'a mut Teller<'o>,
    /// The request of the incident.
    pub pull: PullNumber,
    /// When its access ends.
    pub ends: Time,
    /// What each part of its life cost.
    pub costs: Vec<Cost>,
}

/// What one part of the request's life cost.
#[derive(Debug, Clone, Copy)]
pub struct Cost {
    /// Which.
    pub part: Part,
    /// Its calls.
    pub tally: Tally,
}

/// The parts of the request's life that are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// Asked for too much: a detour.
    Refused,
    /// Waits for its owners.
    Waits,
    /// Approved by somebody who cannot: a detour.
    DoesNotCount,
    /// Approved, merged, granted.
    Granted,
    /// Over.
    Ended,
    /// Its file removed.
    Tidied,
}

impl Part {
    /// As it is shown, by the number of its step.
    pub fn name(self) -> &'static str {
        match self {
            Self::Refused => "1 refused (a detour)",
            Self::Waits => "2 waits for its owners",
            Self::DoesNotCount => "3 does not count (a detour)",
            Self::Granted => "4 approved, merged, granted",
            Self::Ended => "5 ended",
            Self::Tidied => "6 tidied up",
        }
    }

    /// Whether most requests do without it.
    pub fn is_detour(self) -> bool {
        matches!(self, Self::Refused | Self::DoesNotCount)
    }
}

/// Plays it from the first step to the last.
pub async fn play(stage: &Stage, teller: &mut Teller<'_>) -> anyhow::Result<()> {
    let begun = Instant::now();
    introduce(stage, teller);
    let octocat = stage.desk("octocat", "people/octocat").await?;
    stage.sandbox.reset_calls();
    let mut play = Play {
        stage,
        teller,
        pull: PullNumber(0),
        ends: SystemClock.now(),
        costs: Vec::new(),
    };
    let answered = play.asks_too_much(&octocat).await?;
    play.corrects_it(&octocat, answered).await?;
    play.colleague_approves().await?;
    play.owner_approves().await?;
    play.time_ends().await?;
    play.tidies_up().await?;
    play.admin_merges().await?;
    play.reads_the_evidence().await?;
    play.adds_up();
    finish(stage, teller, begun);
    Ok(())
}

fn introduce(stage: &Stage, teller: &mut Teller<'_>) {
    teller.heading("An incident, from request to revert, on this machine alone");
    teller.line(
        "    A pull request is the request, an owner's review the approval, the merge the grant; the end is certain.",
    );
    teller.line("");
    let row = |name: &str, value: String| (name.to_owned(), value);
    teller.table(&[
        row(
            "stand-in of GitHub",
            format!(
                "{}  REST, webhooks, git over HTTP; repository acme/{REPO}",
                stage.sandbox.url()
            ),
        ),
        row(
            "hallpass serve",
            format!(
                "{}  by {}",
                stage.service.url,
                stage.folder.show("hallpass.toml")
            ),
        ),
        row("its log", stage.folder.show("hallpass.log")),
        row(
            "what is asked for",
            format!(
                "the orders database: membership of the team acme/{TEAM}, which has {} in it",
                stage.who(TEAM)
            ),
        ),
    ]);
}

fn finish(stage: &Stage, teller: &mut Teller<'_>, begun: Instant) {
    let clone = stage.folder.show("access");
    teller.line("");
    teller.heading(&format!(
        "Done in {} seconds. Read on:",
        begun.elapsed().as_secs()
    ));
    teller.line("");
    teller.line(&format!("  git -C {clone} log hallpass/evidence"));
    let key = stage.folder.show("data/evidence_key");
    teller.line(&format!(
        "  ssh-keygen -y -f {key} > evidence_key.pub && hallpass audit verify --repo {clone} --key evidence_key.pub"
    ));
    teller.line(&format!("  hallpass audit access --repo {clone}"));
    teller.line("");
    teller.line(&format!(
        "  {} says what else lies there.",
        stage.folder.show("README.md")
    ));
}

impl Play<'_, '_> {
    /// The check of a pull request as far as it can be seen, in words.
    pub fn seen(&self, pull: PullNumber) -> String {
        match self.stage.check(pull) {
            None => "no check `hallpass` on the pull request".to_owned(),
            Some(check) => format!("the check `hallpass`: {}, {}", state(&check), check.title),
        }
    }

    /// Counts what this part of the request's life cost, when nothing follows any more. `pushes` were done by people.
    pub async fn count(&mut self, part: Part, pushes: u64) {
        self.stage.rest().await;
        let tally = Tally::of(&self.stage.sandbox.calls(), pushes);
        self.stage.sandbox.reset_calls();
        self.costs.push(Cost { part, tally });
    }

    /// Somebody opens a pull request.
    pub fn open(&self, author: &str, branch: &str, title: &str) -> anyhow::Result<PullNumber> {
        let sandbox = &self.stage.sandbox;
        Ok(sandbox.open_pull(author, REPO, branch, "main", title, "")?)
    }

    /// Keeps what a check told, to be read. Returns where.
    pub fn keep(&self, name: &str, check: &CheckView) -> anyhow::Result<String> {
        let text = format!("# {}\n\n{}\n{}", check.title, check.summary, check.text);
        self.stage.folder.write(&format!("checks/{name}.md"), &text)
    }
}

/// `in_progress`, `failure`, `success`.
pub fn state(check: &CheckView) -> &str {
    check.conclusion.as_deref().unwrap_or(&check.status)
}
