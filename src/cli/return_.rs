//! `hallpass return`: the pull request that ends a grant early.

use std::fmt::Write as _;
use std::process::ExitCode;

use clap::Args;
use serde::Serialize;

use super::clone::{Which, grant_path, near};
use super::proposed::Proposed;
use super::visible::visible;
use crate::app::propose::{FileChange, OpenPull, Outcome, OwnClone, Proposal, ProposeError};
use crate::domain::catalogue::Catalogue;
use crate::domain::model::{GrantPath, Login, Subject};
use crate::domain::parse;

/// Give access back before its end: open the pull request that removes its file
///
/// Whoever holds the access, is accountable for the service that does, or owns the file by CODEOWNERS needs nobody's approval: the
/// access ends once the pull request is merged. Anybody else needs one of the owners. The commit is made on top of the branch that
/// counts, fetched first; your work tree, index and current branch are not touched.
///
/// It is pushed and opened with your own token: GH_TOKEN or GITHUB_TOKEN for github.com, GH_ENTERPRISE_TOKEN or
/// GITHUB_ENTERPRISE_TOKEN (or one of the former) for the Enterprise Server that GH_HOST names, and for no other; or the one that
/// `gh auth login` keeps. Without one, the commit waits on a branch of your clone, and what is left to do is told.
#[derive(Debug, Args)]
#[command(after_help = "Try `hallpass return --help` for examples.", after_long_help = EXAMPLES)]
pub struct Return {
    /// The grant: RESOURCE/NAME, or the path of its file
    #[arg(value_name = "RESOURCE/NAME")]
    grant: String,
    #[command(flatten)]
    which: Which,
    /// The branch for the pull request [default: return/RESOURCE-NAME]
    #[arg(long, value_name = "BRANCH")]
    branch: Option<String>,
    /// Answer in JSON, for programs
    #[arg(long)]
    json: bool,
}

const EXAMPLES: &str = "\
Examples:
  hallpass return orders/octocat-inc-4211
      The incident is over: give the access back now instead of at its end.
  hallpass return access/grants/orders/octocat-inc-4211.yaml
      The same, by the path of the file.
  GH_TOKEN=... hallpass return orders/octocat-inc-4211 --json | jq -r .pull.url
      In a script: the pull request.
  hallpass return orders/octocat-inc-4211 --local
      Make the commit only, and say how to push and propose it.

Exit status:
  0  the pull request is open
  1  there is no such grant, or the pull request is left for you to open
  2  could not run";

/// The answer, in the documented order of its fields.
#[derive(Serialize)]
struct Answer<'a> {
    /// As `<resource>/<name>`.
    grant: &'a str,
    path: &'a str,
    /// Whether it stands on the branch that counts.
    found: bool,
    /// Names that are near, where it does not.
    near: Vec<String>,
    /// Who holds it, as `login` or `service name`; null where the file cannot be read.
    subject: Option<String>,
    role: Option<String>,
    /// Who owns the file.
    owners: Vec<String>,
    #[serde(flatten)]
    proposed: Proposed<'a>,
    /// `none` where it is known that nobody must approve, else `unless-holder-or-owner`.
    approval: &'static str,
}

/// What the branch that counts says of the grant.
struct Told {
    path: GrantPath,
    subject: Option<Subject>,
    role: Option<String>,
    /// Who may end it beside the owners.
    holders: Vec<Login>,
    owners: Vec<String>,
}

impl Return {
    /// Proposes the removal, and tells.
    ///
    /// # Errors
    /// When there is no clone, or it cannot be used.
    pub fn run(&self) -> anyhow::Result<ExitCode> {
        let path = grant_path(&self.grant)?;
        let clone = self.which.open()?;
        let files = clone.files()?;
        let declared = parse::read_tree(&files);
        let branch = match &self.branch {
            Some(name) => name.clone(),
            None => format!("return/{}", path.short().replace('/', "-")),
        };
        let paths = files.iter().filter_map(|f| GrantPath::new(&f.path).ok());
        let paths: Vec<GrantPath> = paths.collect();
        if !paths.contains(&path) {
            self.tell_absent(&clone, &path, &branch, &paths)?;
            return Ok(ExitCode::FAILURE);
        }
        let told = Told::of(&declared, path);
        let outcome = propose(&clone, &told, &branch)?;
        let answer = told.answer(&outcome, &branch, clone.stale());
        super::print(&if self.json {
            serde_json::to_string(&answer)? + "\n"
        } else {
            human(&answer, &told, clone.base())
        })?;
        Ok(ExitCode::from(u8::from(answer.proposed.pull.is_none())))
    }

    fn tell_absent(
        &self,
        clone: &OwnClone,
        path: &GrantPath,
        branch: &str,
        there: &[GrantPath],
    ) -> anyhow::Result<()> {
        let near = near(path.short(), there.iter().map(GrantPath::short));
        let why = format!(
            "there is no grant {} on {}",
            path.short(),
            visible(clone.base())
        );
        if self.json {
            let answer = Answer {
                grant: path.short(),
                path: path.as_str(),
                found: false,
                near,
                subject: None,
                role: None,
                owners: Vec::new(),
                proposed: Proposed {
                    branch,
                    pull: None,
                    already: false,
                    why: Some(&why),
                    next: &[],
                    stale: clone.stale(),
                },
                approval: "unless-holder-or-owner",
            };
            return super::print(&(serde_json::to_string(&answer)? + "\n"));
        }
        let mut out = format!("{why}\n");
        if !near.is_empty() {
            let _ = writeln!(out, "  did you mean {}?", near.join(", "));
        }
        out.push_str("  what has ended already is removed by Hallpass itself\n");
        if let Some(stale) = clone.stale() {
            let _ = writeln!(out, "  looked at as last fetched: {}", visible(stale));
        }
        super::print(&out)
    }
}

fn propose(clone: &OwnClone, told: &Told, branch: &str) -> Result<Outcome, ProposeError> {
    let name = told.path.short();
    let files = [FileChange {
        path: told.path.as_repo_path(),
        content: None,
    }];
    clone.propose(&Proposal {
        branch,
        title: &format!("Return access: {name}"),
        body: &format!(
            "Removes `{}`. The access that it gives ends when this is merged.",
            told.path
        ),
        files: &files,
    })
}

impl Told {
    fn of(declared: &Catalogue, path: GrantPath) -> Self {
        let grant = declared.grants.get(&path).map(|d| &d.grant);
        let subject = grant.map(|g| g.subject.clone());
        let person = |subject: &Subject| match subject {
            Subject::Person(login) => Some(login.clone()),
            Subject::Service(name) => declared.services.get(name).map(|s| s.owner.clone()),
        };
        let owners = declared.codeowners.owners(&path.as_repo_path());
        Self {
            role: grant.map(|g| format!("{}/{}", path.resource(), g.role)),
            holders: subject.iter().filter_map(person).collect(),
            owners: owners.owners().iter().map(ToString::to_string).collect(),
            subject,
            path,
        }
    }

    fn answer<'a>(
        &'a self,
        outcome: &'a Outcome,
        branch: &'a str,
        stale: Option<&'a str>,
    ) -> Answer<'a> {
        let proposed = Proposed::of(outcome, branch, stale);
        Answer {
            grant: self.path.short(),
            path: self.path.as_str(),
            found: true,
            near: Vec::new(),
            subject: self.subject.as_ref().map(ToString::to_string),
            role: self.role.clone(),
            owners: self.owners.clone(),
            approval: if self.holds(proposed.pull) {
                "none"
            } else {
                "unless-holder-or-owner"
            },
            proposed,
        }
    }

    /// Whether whoever opened the pull request holds the access.
    fn holds(&self, pull: Option<&OpenPull>) -> bool {
        let author = pull.and_then(|open| open.author.as_ref());
        author.is_some_and(|author| self.holders.contains(author))
    }
}

fn human(answer: &Answer<'_>, told: &Told, base: &str) -> String {
    let mut out = match (&answer.subject, &answer.role) {
        (Some(subject), Some(role)) => format!("{}: {role} of {subject}\n", answer.grant),
        _ => format!("{}\n", answer.grant),
    };
    out.push_str(&answer.proposed.lines(base));
    out.push_str(&approval(answer, told));
    out
}

/// Who may do so without anybody's approval.
fn approval(answer: &Answer<'_>, told: &Told) -> String {
    if answer.approval == "none" {
        return "  you hold it, so nobody needs to approve: it ends once this is merged\n"
            .to_owned();
    }
    let mut may: Vec<String> = told
        .holders
        .iter()
        .map(|login| format!("@{login}"))
        .collect();
    may.extend(answer.owners.iter().cloned());
    match may.as_slice() {
        [] => "  nobody owns the file, so an administrator has to remove it\n".to_owned(),
        [only] => format!("  {only} needs nobody's approval; anybody else needs one of an owner\n"),
        several => format!(
            "  {} need nobody's approval; anybody else needs one of an owner\n",
            several.join(", ")
        ),
    }
}
