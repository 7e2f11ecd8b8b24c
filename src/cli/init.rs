//! `hallpass init`: an access repository from nothing.

use std::fmt::Write as _;
use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use serde::Serialize;

use super::visible::visible;
use crate::app::init::{self, Became, Given, Interview, Mode, Outcome, Scaffold, Standing};
use crate::domain::doctor::Verdict;
use crate::domain::render;

/// Begin an access repository: who owns what, a first thing to ask for, the workflow, the rules, the server's configuration
///
/// Asks for what is not given and does not stand there already. Overwrites nothing: run again, it writes what is missing. What it wrote is
/// checked by the rules of `hallpass validate` and of `hallpass doctor`. What does not belong into the repository (configuration, rulesets,
/// keys) goes into a folder beside it.
#[derive(Debug, Args)]
#[command(after_help = "Try `hallpass init --help` for examples.", after_long_help = EXAMPLES)]
pub struct Init {
    /// The folder of the access repository; it is made where it is not there
    #[arg(value_name = "DIR")]
    dir: PathBuf,
    /// The organisation at GitHub
    #[arg(long, value_name = "LOGIN")]
    organisation: Option<String>,
    /// The repository's name there [default: access]
    #[arg(long, value_name = "NAME")]
    repository: Option<String>,
    /// Who decides about rules, people and resources; may be given several times [default: @<organisation>/security]
    #[arg(long = "owner", value_name = "@OWNER")]
    owners: Vec<String>,
    /// The first thing that can be asked for
    #[arg(long, value_name = "NAME")]
    resource: Option<String>,
    /// What gives it: a kind of docs/providers [default: github-team]
    #[arg(long, value_name = "KIND", requires = "resource")]
    kind: Option<String>,
    /// What exactly is given, such as team=on-call; may be given several times
    #[arg(long = "gives", value_name = "KEY=VALUE", requires = "resource")]
    gives: Vec<String>,
    /// Who decides about requests for it [default: the owners]
    #[arg(long = "resource-owner", value_name = "@OWNER", requires = "resource")]
    resource_owners: Vec<String>,
    /// Somebody who may be given access, as LOGIN or LOGIN=NUMBER; GitHub is asked for the number that is missing
    #[arg(long = "person", value_name = "LOGIN")]
    people: Vec<String>,
    /// Without a server: scheduled runs of GitHub Actions do the work (docs/serviceless.md)
    #[arg(long)]
    service_less: bool,
    /// Where GitHub's pages are, for a GitHub Enterprise Server
    #[arg(long, value_name = "URL")]
    web: Option<String>,
    /// The folder for what does not belong into the repository [default: DIR-setup]
    #[arg(long, value_name = "DIR")]
    setup: Option<PathBuf>,
    /// Ask nothing: what is not given has its usual value, or is left out
    #[arg(long)]
    yes: bool,
    /// Answer in JSON, for programs; asks nothing
    #[arg(long)]
    json: bool,
}

const EXAMPLES: &str = "\
Examples:
  hallpass init access
      Asks, and writes access/ and access-setup/.
  hallpass init access --organisation acme --owner @acme/security --resource on-call --gives team=on-call --person octocat --yes
      Asks nothing.
  hallpass init access --service-less
      For a small team without a server.
  hallpass init access
      Again, after `hallpass app create`: the rulesets are written now that the App has a number.

Exit status:
  0  the repository stands, and nothing is wrong with it
  1  it stands, and something is wrong with it
  2  could not be written";

#[derive(Serialize)]
struct Answer<'a> {
    #[serde(flatten)]
    scaffold: &'a Scaffold,
    sound: bool,
}

impl Init {
    /// Asks, writes, and tells.
    ///
    /// # Errors
    /// When something is missing or cannot be used, or a file cannot be written.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        let setup = self.setup.clone().unwrap_or_else(|| beside(&self.dir));
        let standing = Standing::of(&self.dir, &setup);
        let (json, asks) = (self.json, !self.yes && !self.json);
        let dir = self.dir.clone();
        let mut given = self.given();
        if asks && std::io::stdin().is_terminal() {
            let mut interview = Interview {
                answers: &mut std::io::stdin().lock(),
                questions: &mut std::io::stderr().lock(),
            };
            given = given.complete(&standing, &mut interview)?;
        }
        let answers = given.answers(standing, setup, init::number_of)?;
        let scaffold = init::scaffold(&dir, &answers)?;
        let sound = scaffold.is_sound();
        super::print(&if json {
            let answer = Answer {
                scaffold: &scaffold,
                sound,
            };
            serde_json::to_string(&answer)? + "\n"
        } else {
            human(&scaffold)
        })?;
        Ok(ExitCode::from(u8::from(!sound)))
    }

    fn given(self) -> Given {
        Given {
            organisation: self.organisation,
            repository: self.repository,
            owners: self.owners,
            resource: self.resource,
            kind: self.kind,
            gives: self.gives,
            resource_owners: self.resource_owners,
            people: self.people,
            web: self.web,
            mode: match self.service_less {
                true => Mode::ServiceLess,
                false => Mode::Service,
            },
        }
    }
}

/// `access-setup` beside `access`.
fn beside(dir: &Path) -> PathBuf {
    let name = |path: &Path| path.file_name().map(|n| n.to_string_lossy().into_owned());
    match name(dir) {
        Some(own) => dir.with_file_name(format!("{own}-setup")),
        // `.` and `..` have no name of their own.
        None => {
            let whole = std::fs::canonicalize(dir).unwrap_or_else(|_| dir.to_owned());
            let own = name(&whole).unwrap_or_else(|| "access".to_owned());
            dir.join("..").join(format!("{own}-setup"))
        }
    }
}

fn human(scaffold: &Scaffold) -> String {
    let mut out = String::new();
    let of = |became: Became| scaffold.files.iter().filter(move |f| f.became == became);
    let list = |out: &mut String, title: &str, files: &mut dyn Iterator<Item = &Outcome>| {
        let mut files = files.peekable();
        if files.peek().is_some() {
            // Writing to a String cannot fail.
            let _ = writeln!(out, "{title}");
        }
        for file in files {
            let _ = writeln!(out, "  {}", visible(&file.path.display().to_string()));
        }
    };
    list(&mut out, "Written", &mut of(Became::Written));
    list(
        &mut out,
        "Left as it was, and is not what would be written now",
        &mut of(Became::Kept),
    );
    let same = of(Became::Same).count();
    if same > 0 {
        let _ = writeln!(out, "{same} files were there already.");
    }
    out.push('\n');
    out.push_str(&render::human(&scaffold.findings, |_| None));
    for line in &scaffold.checks {
        let word = match line.verdict {
            Verdict::Pass => "ok     ",
            _ => "FAILED ",
        };
        let _ = writeln!(out, "{word} {}", visible(&line.says));
        if let Some(remedy) = &line.remedy {
            let _ = writeln!(out, "        -> {}", visible(remedy));
        }
    }
    if scaffold.is_sound() {
        out.push_str("ok      the files are valid\n");
    }
    out.push_str("\nNext\n");
    for (n, step) in scaffold.next.iter().enumerate() {
        let _ = writeln!(out, "  {}. {}", n + 1, visible(step));
    }
    out
}
