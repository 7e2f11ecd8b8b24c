//! From the end of the access to the evidence: steps 5 to 8.

use std::time::Duration;

use anyhow::Context as _;

use super::acts::{ADA, OCTOCAT, Part, Play, TEAM};
use super::desk;
use super::stage::REPO;
use super::tally::{TARGET, Tally};
use super::teller::Mark;
use super::wait::{Missed, until};
use crate::clock::{Clock as _, SystemClock};
use crate::domain::evidence::instant;
use crate::sandbox::MergeMethod;

/// The team that ada would be in.
const SUPPORT: &str = "orders-support";

impl Play<'_, '_> {
    /// The access ends on time, by itself.
    pub async fn time_ends(&mut self) -> anyhow::Result<()> {
        let ends = self.ends;
        self.teller.step(&format!(
            "octocat works; the time ends at {}",
            ends.format("%H:%M:%S UTC")
        ));
        loop {
            let left = (ends - SystemClock.now()).num_milliseconds();
            if left <= 0 {
                break;
            }
            if self.stage.members(TEAM) != ["octocat"] {
                let seen = format!("in the team: {}", self.stage.who(TEAM));
                let expected = format!("octocat is in acme/{TEAM} until {}", instant(ends));
                return Err(Missed::new(expected, seen).into());
            }
            let team = format!("in acme/{TEAM}: octocat, for {} s more", 1 + left / 1000);
            self.teller.passing(&team);
            let pause = Duration::from_millis(left.clamp(1, 200).unsigned_abs());
            tokio::time::sleep(pause).await;
        }
        self.teller.passed();
        until(&format!("nobody is in acme/{TEAM}"), || {
            let gone = self.stage.members(TEAM).is_empty();
            gone.then_some(())
                .ok_or_else(|| format!("in the team: {}", self.stage.who(TEAM)))
        })
        .await?;
        let late = (SystemClock.now() - ends).num_milliseconds();
        self.teller.tell(
            Mark::Done,
            &format!("nobody is in acme/{TEAM}, {late} ms after the instant"),
        );
        self.teller.detail(
            "by the ledger and the clock alone: it needed no webhook, no git and no person",
        );
        self.count(Part::Ended, 0).await;
        self.teller.breathe().await;
        Ok(())
    }

    /// The file of the ended grant is removed by a pull request of the service.
    pub async fn tidies_up(&mut self) -> anyhow::Result<()> {
        self.teller
            .step("Hallpass removes the file of what has ended");
        self.reverted(OCTOCAT.0).await?;
        self.count(Part::Tidied, 0).await;
        Ok(())
    }

    /// Waits until the service's pull request removed `path`, and the evidence says so.
    async fn reverted(&mut self, path: &str) -> anyhow::Result<()> {
        let revert = until(
            &format!("{path} is gone from main, and evidence tells it"),
            || {
                let revert = self.stage.newest_revert();
                let told = self.stage.evidence("reverted", path).is_some();
                match revert {
                    Some(pull) if !self.stage.stands(path) && told => Ok(pull),
                    Some(pull) if pull.open => Err(self.seen(pull.number)),
                    Some(pull) => Err(format!("#{} is merged, the evidence silent", pull.number)),
                    None => Err("no pull request of the service".to_owned()),
                }
            },
        )
        .await?;
        let commit = revert.merged.unwrap_or_default();
        let by = self.stage.merged_by(&commit).unwrap_or_default();
        self.teller
            .tell(Mark::Done, &format!("#{} {}", revert.number, revert.title));
        self.teller.detail(&format!(
            "opened and merged by {by}: it needs nobody, for it can only take away"
        ));
        self.teller.breathe().await;
        Ok(())
    }

    /// Being merged proves nothing.
    pub async fn admin_merges(&mut self) -> anyhow::Result<()> {
        let (path, text) = ADA;
        self.teller
            .step("morgan, an administrator, merges ada's request without any approval");
        let ada = self.stage.desk("ada", "people/ada").await?;
        ada.push(
            "support-rotation",
            path,
            text,
            "Ask for second-line support",
        )
        .await?;
        let pull = self.open("ada", "support-rotation", "Second-line support for ada")?;
        let sandbox = &self.stage.sandbox;
        sandbox.merge_as_admin("morgan", REPO, pull, MergeMethod::Merge)?;
        let expected = format!("evidence that #{pull} was merged without proof");
        let told = until(&expected, || {
            let told = self.stage.evidence("merged-without-proof", path);
            told.ok_or_else(|| {
                format!(
                    "no such event; in acme/{SUPPORT}: {}",
                    self.stage.who(SUPPORT)
                )
            })
        })
        .await?;
        if !self.stage.members(SUPPORT).is_empty() {
            let seen = format!("in acme/{SUPPORT}: {}", self.stage.who(SUPPORT));
            return Err(Missed::new("nothing is granted", seen).into());
        }
        let mut lines = told.lines();
        self.teller.tell(Mark::No, lines.next().unwrap_or_default());
        for missing in lines.filter_map(|line| line.strip_prefix("Missing: ")) {
            self.teller.detail(missing);
        }
        self.reverted(path).await
    }

    /// What the life of the request cost, part by part, and without the detours.
    pub fn adds_up(&mut self) {
        self.teller
            .step("What the life of #1 cost, in calls that the stand-in counted");
        let line = |name: &str, t: Tally| {
            let (forge, target, git, tokens) = (t.forge, t.target, t.git, t.tokens);
            format!("{name:<36}{forge:>6}{target:>6}{git:>6}{tokens:>8}")
        };
        let head = format!(
            "{:<36}{:>6}{:>6}{:>6}{:>8}",
            "", "forge", "team", "git", "tokens"
        );
        self.teller.detail(&head);
        let mut plain = Tally::default();
        for cost in &self.costs {
            if !cost.part.is_detour() {
                plain = plain + cost.tally;
            }
            self.teller.detail(&line(cost.part.name(), cost.tally));
        }
        self.teller.detail(&line("a life without detours", plain));
        let mark = if plain.forge <= TARGET {
            Mark::Done
        } else {
            Mark::No
        };
        self.teller.tell(
            mark,
            &format!(
                "{} calls of the forge; the target is at most {TARGET}",
                plain.forge
            ),
        );
    }

    /// What an auditor has: a clone.
    pub async fn reads_the_evidence(&mut self) -> anyhow::Result<()> {
        self.teller
            .step("mei, an auditor, clones the repository and reads");
        let clone = self.stage.desk("mei", "access").await?;
        clone
            .run(&[
                "branch",
                "--quiet",
                "--track",
                "hallpass/evidence",
                "origin/hallpass/evidence",
            ])
            .await?;
        // The stand-in ends with the demo; its repository stays.
        let origin = format!("../github/acme/{REPO}.git");
        clone.run(&["remote", "set-url", "origin", &origin]).await?;
        let folder = self.stage.folder.path("access");
        let story = desk::read(
            &folder,
            &["log", "--reverse", "--format=%s", "hallpass/evidence"],
        )
        .await
        .context("the evidence cannot be read")?;
        self.teller
            .detail("git log --reverse --format=%s hallpass/evidence");
        for line in story.lines() {
            self.teller.detail(&format!("  {line}"));
        }
        Ok(())
    }
}
