//! `hallpass explain`: what a rule demands, and the way out.

use std::process::ExitCode;

use anyhow::bail;
use clap::Args;
use serde::Serialize;

use crate::domain::rules::{self, RULES, Rule};
use crate::domain::schema::nearest;

/// Explain a rule: what it demands, what it refuses, and the way out
///
/// Findings end with the name of their rule. Without a name, every rule is listed.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Explain {
    /// The rule, such as term-too-long
    #[arg(value_name = "RULE")]
    rule: Option<String>,
    /// Tell it as JSON, for programs
    #[arg(long)]
    json: bool,
}

const EXAMPLES: &str = "\
Examples:
  hallpass explain term-too-long
  hallpass explain --json | jq -r '.rules[].name'

Exit status:
  0  explained
  2  there is no such rule";

#[derive(Serialize)]
struct Listing {
    rules: Vec<Told>,
}

#[derive(Serialize)]
struct Told {
    name: &'static str,
    meaning: &'static str,
    example: &'static str,
    remedy: &'static str,
    url: String,
}

impl Told {
    fn of(rule: &'static Rule) -> Self {
        Self {
            name: rule.name,
            meaning: rule.meaning,
            example: rule.example,
            remedy: rule.remedy,
            url: rules::url(rule.name),
        }
    }
}

impl Explain {
    /// Tells.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        let told = match &self.rule {
            None => RULES.iter().map(Told::of).collect(),
            Some(name) => vec![Told::of(known(name)?)],
        };
        super::print(&if self.json {
            serde_json::to_string(&Listing { rules: told })? + "\n"
        } else if self.rule.is_some() {
            told.iter().map(page).collect()
        } else {
            told.iter().map(line).collect()
        })?;
        Ok(ExitCode::SUCCESS)
    }
}

fn known(name: &str) -> anyhow::Result<&'static Rule> {
    match (
        rules::find(name),
        nearest(name, RULES.iter().map(|rule| rule.name)),
    ) {
        (Some(rule), _) => Ok(rule),
        (None, Some(near)) => bail!("there is no rule {name:?}; did you mean `{near}`?"),
        (None, None) => bail!("there is no rule {name:?}; `hallpass explain` lists them all"),
    }
}

fn line(rule: &Told) -> String {
    format!("{:<30} {}\n", rule.name, rule.meaning)
}

fn page(rule: &Told) -> String {
    let Told {
        name,
        meaning,
        example,
        remedy,
        url,
    } = rule;
    format!(
        "{name}\n  {meaning}\n\n  Refused, for example: {example}\n  The way out: {remedy}\n  {url}\n"
    )
}
