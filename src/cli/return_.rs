//! `hallpass return`: the pull request that ends a grant early.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use serde::Serialize;

use crate::app::propose::{
    Choice, FileChange, Network, OpenPull, Outcome, OwnClone, Proposal, ProposeError,
};
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
    /// A clone of the access repository, or a folder in it
    #[arg(long, value_name = "DIR", default_value = ".")]
    dir: PathBuf,
    /// The remote that is the access repository [default: origin, or the only one]
    #[arg(long, value_name = "NAME")]
    remote: Option<String>,
    /// The branch that counts [default: the remote's own]
    #[arg(long, value_name = "BRANCH")]
    base: Option<String>,
    /// The branch for the pull request [default: return/RESOURCE-NAME]
    #[arg(long, value_name = "BRANCH")]
    branch: Option<String>,
    /// Only make the commit: ask GitHub nothing, push nothing
    #[arg(long)]
    local: bool,
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
    branch: &'a str,
    pull: Option<&'a OpenPull>,
    /// Whether the pull request was there before.
    already: bool,
    /// `none` where it is known that nobody must approve, else `unless-holder-or-owner`.
    approval: &'static str,
    /// Why it went no further; null where the pull request is open.
    why: Option<&'a str>,
    /// What is left to do.
    next: &'a [String],
    /// Why the branch that counts may have moved since; null where it was just fetched.
    stale: Option<&'a str>,
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
        let clone = OwnClone::open(&Choice {
            dir: &self.dir,
            remote: self.remote.as_deref(),
            base: self.base.as_deref(),
            network: if self.local {
                Network::Leave
            } else {
                Network::Use
            },
        })?;
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
            human(&answer, &told, &outcome, clone.base())
        })?;
        Ok(ExitCode::from(u8::from(answer.pull.is_none())))
    }

    fn tell_absent(
        &self,
        clone: &OwnClone,
        path: &GrantPath,
        branch: &str,
        there: &[GrantPath],
    ) -> anyhow::Result<()> {
        let near = near(path, there);
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
                branch,
                pull: None,
                already: false,
                approval: "unless-holder-or-owner",
                why: Some(&why),
                next: &[],
                stale: clone.stale(),
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

/// `orders/ada`, the path of the file, or the id of the grant.
fn grant_path(text: &str) -> Result<GrantPath, ProposeError> {
    let name = text.strip_prefix("./").unwrap_or(text);
    let name = name.strip_prefix("access/grants/").unwrap_or(name);
    let name = name.split_once('@').map_or(name, |(name, _)| name);
    let name = name.strip_suffix(".yaml").unwrap_or(name);
    Ok(GrantPath::new(format!("access/grants/{name}.yaml"))?)
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
        let (pull, why, next) = match outcome {
            Outcome::Opened(open) | Outcome::Already(open) => (Some(open), None, &[][..]),
            Outcome::Prepared { why, next } => (None, Some(why.as_str()), next.as_slice()),
        };
        Answer {
            grant: self.path.short(),
            path: self.path.as_str(),
            found: true,
            near: Vec::new(),
            subject: self.subject.as_ref().map(ToString::to_string),
            role: self.role.clone(),
            owners: self.owners.clone(),
            branch,
            pull,
            already: matches!(outcome, Outcome::Already(_)),
            approval: if self.holds(pull) {
                "none"
            } else {
                "unless-holder-or-owner"
            },
            why,
            next,
            stale,
        }
    }

    /// Whether whoever opened the pull request holds the access.
    fn holds(&self, pull: Option<&OpenPull>) -> bool {
        let author = pull.and_then(|open| open.author.as_ref());
        author.is_some_and(|author| self.holders.contains(author))
    }
}

fn human(answer: &Answer<'_>, told: &Told, outcome: &Outcome, base: &str) -> String {
    let mut out = match (&answer.subject, &answer.role) {
        (Some(subject), Some(role)) => format!("{}: {role} of {subject}\n", answer.grant),
        _ => format!("{}\n", answer.grant),
    };
    // Writing to a String cannot fail.
    match outcome {
        Outcome::Opened(open) => {
            let _ = writeln!(out, "  opened #{}: {}", open.number, visible(&open.url));
        }
        Outcome::Already(open) => {
            let _ = writeln!(
                out,
                "  #{} is open already: {}",
                open.number,
                visible(&open.url)
            );
        }
        Outcome::Prepared { why, next } => {
            let _ = writeln!(
                out,
                "  prepared on branch {} of this clone, and no further: {}",
                visible(answer.branch),
                visible(why)
            );
            if let Some(stale) = answer.stale.filter(|stale| stale != why) {
                let _ = writeln!(
                    out,
                    "  {base} is as it was last fetched: {}",
                    visible(stale)
                );
            }
            for (verb, step) in ["then", "and"].iter().zip(next) {
                let step = visible(step);
                let what = if step.starts_with("http") {
                    "open "
                } else {
                    ""
                };
                let _ = writeln!(out, "  {verb} {what}{step}");
            }
        }
    }
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

/// At most three names that are like the one that was asked for.
fn near(path: &GrantPath, there: &[GrantPath]) -> Vec<String> {
    let asked = path.short();
    let mut likely: Vec<(f64, &str)> = there
        .iter()
        .map(|other| (strsim::jaro_winkler(asked, other.short()), other.short()))
        .filter(|(likeness, _)| *likeness > 0.85)
        .collect();
    likely.sort_by(|a, b| b.0.total_cmp(&a.0).then_with(|| a.1.cmp(b.1)));
    let names = likely.into_iter().take(3);
    names.map(|(_, name)| name.to_owned()).collect()
}

/// Text from elsewhere, which must not move the cursor.
fn visible(text: &str) -> String {
    text.chars()
        .flat_map(|c| {
            let escaped: Vec<char> = if c.is_control() {
                c.escape_unicode().collect()
            } else {
                vec![c]
            };
            escaped
        })
        .collect()
}
