//! From the first request to the access: steps 1 to 4.

use std::time::{Duration, Instant};

use anyhow::Context as _;
use chrono::TimeDelta;

use super::acts::{OCTOCAT, Part, Play, SECONDS, TEAM, TERM, state};
use super::desk::Desk;
use super::stage::REPO;
use super::teller::Mark;
use super::wait::until;
use crate::clock::{Clock as _, SystemClock};
use crate::domain::evidence::instant;
use crate::sandbox::{CheckView, Verdict};

/// The branch that octocat works on.
const BRANCH: &str = "checkout-incident";

impl Play<'_, '_> {
    /// A request that no owner should have to refuse. Returns how long the answer took.
    pub async fn asks_too_much(&mut self, octocat: &Desk) -> anyhow::Result<Duration> {
        let (path, text) = OCTOCAT;
        self.teller
            .step("octocat, in an incident, asks to read the orders database: for two days");
        let text = text.replace(TERM, "duration: 2d");
        octocat
            .push(BRANCH, path, &text, "Ask for the orders database")
            .await?;
        let asked = Instant::now();
        self.pull = self.open("octocat", BRANCH, "Read access to orders for INC-4211")?;
        let check = self.check_becomes("failure", "Denied").await?;
        let took = asked.elapsed();
        let number = self.pull;
        self.teller.tell(
            Mark::No,
            &format!(
                "check on #{number}: {}, {} ms after it was opened",
                check.title,
                took.as_millis()
            ),
        );
        self.tell_findings(&check);
        let kept = self.keep("1-refused", &check)?;
        self.teller.look(&kept);
        self.count(Part::Refused, 1).await;
        self.teller.breathe().await;
        Ok(took)
    }

    fn tell_findings(&mut self, check: &CheckView) {
        for finding in &check.annotations {
            let path = finding["path"].as_str().unwrap_or_default();
            self.teller
                .detail(&format!("{path}:{}", finding["start_line"]));
            for line in finding["message"].as_str().unwrap_or_default().lines() {
                self.teller.detail(&format!("  {line}"));
            }
        }
    }

    /// The corrected request waits for the owners, and shows them what they decide about.
    pub async fn corrects_it(&mut self, octocat: &Desk, answered: Duration) -> anyhow::Result<()> {
        let (path, text) = OCTOCAT;
        // Long enough that the steps before the end fit in, on a slow machine too.
        let slow = i64::try_from(answered.as_secs()).unwrap_or(0) * 8;
        let seconds = SECONDS + slow;
        self.ends = SystemClock.now() + TimeDelta::seconds(seconds + 1);
        let ends = instant(self.ends);
        self.ends = ends.parse().context("an instant reads back")?;
        self.teller.step(&format!(
            "octocat corrects it: {seconds} seconds here, instead of 2 hours"
        ));
        let text = text.replace(TERM, &format!("expires: {ends}"));
        octocat
            .push(BRANCH, path, &text, "Ask for less time")
            .await?;
        let check = self.check_becomes("in_progress", "Waiting for").await?;
        self.teller.tell(Mark::Waits, &check.title);
        let rows = facts(&check);
        self.teller.table(&rows);
        let kept = self.keep("2-what-the-owner-sees", &check)?;
        self.teller.look(&kept);
        self.count(Part::Waits, 1).await;
        self.teller.breathe().await;
        Ok(())
    }

    /// An approval that does not count, and why.
    pub async fn colleague_approves(&mut self) -> anyhow::Result<()> {
        self.teller
            .step("ada, a colleague who does not own it, approves");
        let said = Verdict::Approve;
        self.stage
            .sandbox
            .review("ada", REPO, self.pull, said, "Looks right to me.")?;
        let pull = self.pull;
        let (check, why) = until("the check says why @ada's review does not count", || {
            let check = self.stage.check(pull).ok_or_else(|| self.seen(pull))?;
            let why = check.summary.lines().find(|line| line.contains("@ada"));
            match (state(&check), why) {
                ("in_progress", Some(why)) => {
                    let why = why.trim_start_matches(['-', ' ']).to_owned();
                    Ok((check, why))
                }
                _ => Err(self.seen(pull)),
            }
        })
        .await?;
        self.teller
            .tell(Mark::Waits, &format!("still: {}", check.title));
        self.teller.detail(&why);
        let kept = self.keep("3-does-not-count", &check)?;
        self.teller.look(&kept);
        self.count(Part::DoesNotCount, 0).await;
        self.teller.breathe().await;
        Ok(())
    }

    /// The approval that counts: merged by the service, granted, read back.
    pub async fn owner_approves(&mut self) -> anyhow::Result<()> {
        self.teller.step("grace, an owner, approves");
        let reviewed = Instant::now();
        self.stage.sandbox.review(
            "grace",
            REPO,
            self.pull,
            Verdict::Approve,
            "The incident is real.",
        )?;
        let pull = self.pull;
        self.octocat_is_in_the_team().await?;
        let took = reviewed.elapsed().as_millis();
        let check = self.check_becomes("success", "Approved").await?;
        let commit = self.stage.sandbox.pull(REPO, pull).merged;
        let commit = commit.context("the pull request was merged before the access was given")?;
        let by = self.stage.merged_by(&commit).unwrap_or_default();
        self.teller.tell(
            Mark::Done,
            &format!(
                "check: {}; merged by {by} as {}",
                check.title,
                &commit[..10]
            ),
        );
        self.teller.tell(
            Mark::Done,
            &format!("octocat is in acme/{TEAM}, {took} ms after the review"),
        );
        let kept = self.keep("4-approved", &check)?;
        self.teller.look(&kept);
        self.count(Part::Granted, 0).await;
        Ok(())
    }

    async fn octocat_is_in_the_team(&self) -> anyhow::Result<()> {
        let expected = format!("octocat is a member of acme/{TEAM}");
        let there = until(&expected, || {
            let (who, check) = (self.stage.who(TEAM), self.seen(self.pull));
            match self.stage.members(TEAM).as_slice() {
                [login] if login == "octocat" => Ok(()),
                _ => Err(format!("in the team: {who}; {check}")),
            }
        });
        Ok(there.await?)
    }

    /// Waits for the check to become so.
    async fn check_becomes(&self, wanted: &str, title: &str) -> anyhow::Result<CheckView> {
        let expected = format!(
            "the check `hallpass` on #{}: {wanted}, {title} ...",
            self.pull
        );
        let check = until(&expected, || {
            let check = self.stage.check(self.pull);
            check
                .filter(|check| state(check) == wanted && check.title.starts_with(title))
                .ok_or_else(|| self.seen(self.pull))
        })
        .await?;
        Ok(check)
    }
}

/// The rows of the summary's table that fit into a few lines.
fn facts(check: &CheckView) -> Vec<(String, String)> {
    let row = |line: &str| {
        let (name, value) = line.strip_prefix("| **")?.split_once("** | ")?;
        let wanted = ["Who", "What", "Where", "How long", "Risk"].contains(&name);
        let plain = value
            .trim_end_matches([' ', '|'])
            .replace(['`', '*', '\\'], "");
        wanted.then(|| (name.to_lowercase(), plain))
    };
    check.summary.lines().filter_map(row).collect()
}
