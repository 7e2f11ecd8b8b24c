//! `hallpass show`: the whole story of one grant.

use std::fmt::Write as _;
use std::process::ExitCode;

use clap::Args;
use serde::Serialize;

use super::clone::{View, Which, grant_path, near};
use super::grants::{Filter, Line, notes, standing, until};
use super::visible::{visible, visible_lines};
use crate::app::propose::{OpenPull, OpenRequest};
use crate::domain::audit::{self, Life, Stands};
use crate::domain::evidence::instant;
use crate::domain::model::{CommitId, GrantPath};

/// Tell the whole story of a grant: its file, who owns it, where it stands, who approved it, and everything that happened
///
/// By the branch that counts and the evidence, as the clone holds them, and, with your token, by the pull requests that are open. A name can be used
/// again: every grant that ever had it is told, the newest first.
#[derive(Debug, Args)]
#[command(after_help = "Try `hallpass show --help` for examples.", after_long_help = EXAMPLES)]
pub struct Show {
    /// The grant: RESOURCE/NAME, the path of its file, or RESOURCE/NAME@COMMIT for one of them
    #[arg(value_name = "RESOURCE/NAME")]
    grant: String,
    #[command(flatten)]
    which: Which,
    /// Answer in JSON, for programs
    #[arg(long)]
    json: bool,
}

const EXAMPLES: &str = "\
Examples:
  hallpass show orders/octocat-inc-4211
      Why, until when, approved by whom, and what happened.
  hallpass show access/grants/orders/octocat-inc-4211.yaml --local
      By the path of the file, without a question to GitHub.
  hallpass show incident-kit/grace-inc-4230 --json | jq '.now[] | {role, state, ends}'
      Where each part of a bundle stands, for programs.

Exit status:
  0  told
  1  nothing is known of such a grant
  2  could not run

With --json: grant, path, file, owners, now (as `hallpass list --json` has grants), lives (as `hallpass audit history --json` has them, newest first),
requests (pull, title, check), unknown.";

/// The answer, in the documented order of its fields.
#[derive(Serialize)]
struct Answer<'a> {
    /// As `<resource>/<name>`.
    grant: &'a str,
    path: &'a str,
    /// What stands in the file, or stood there last, or is to stand there; null where that is not known.
    file: Option<String>,
    owners: Vec<String>,
    /// What it gives now.
    now: Vec<Line>,
    /// What the evidence tells, newest first.
    lives: &'a [&'a Life],
    /// Open pull requests that change it; null where GitHub could not be asked.
    requests: Option<Vec<Open<'a>>>,
    unknown: &'a [String],
}

#[derive(Serialize)]
struct Open<'a> {
    pull: &'a OpenPull,
    title: &'a str,
    check: Option<&'a str>,
}

/// What is known of one path.
struct Story<'v> {
    path: GrantPath,
    file: Option<String>,
    now: Vec<Stands<'v>>,
    lives: Vec<&'v Life>,
    requests: Option<Vec<(Option<String>, OpenRequest)>>,
    unknown: Vec<String>,
}

impl Show {
    /// Looks and tells.
    ///
    /// # Errors
    /// When there is no clone, or it cannot be used.
    pub fn run(&self) -> anyhow::Result<ExitCode> {
        let path = grant_path(&self.grant)?;
        let view = self.which.look()?;
        let story = self.story(&view, path);
        let asked = story.requests.iter().any(|all| !all.is_empty());
        let is_known = story.file.is_some() || !story.lives.is_empty() || asked;
        super::print(&match self.json {
            true => serde_json::to_string(&story.answer(&view))? + "\n",
            false if is_known => story.human(&view),
            false => story.nothing(&view),
        })?;
        Ok(ExitCode::from(u8::from(!is_known)))
    }

    fn story<'v>(&self, view: &'v View, path: GrantPath) -> Story<'v> {
        let mut unknown = view.unknown();
        let me = view.me().map(|me| &me.login);
        let requests = match view.clone.open_requests(&view.base, me) {
            Ok(found) => {
                let mut all = found.all;
                all.retain(|request| request.paths.contains(&path));
                Some(all)
            }
            Err(error) => {
                let why = format!("{:#}", anyhow::Error::from(error));
                unknown.push(format!("what is open is not known: {why}"));
                None
            }
        };
        let lives = view.evidence.lives.as_ref();
        let lives = lives
            .into_iter()
            .flat_map(|lives| audit::of_path(lives, &path));
        let one = self.grant.contains('@').then_some(self.grant.as_str());
        let mut lives: Vec<&Life> = lives
            .filter(|life| one.is_none_or(|one| life.grant.starts_with(one)))
            .collect();
        lives.sort_by(|a, b| (b.merged_at, &a.grant).cmp(&(a.merged_at, &b.grant)));
        let mut now = standing(view, &Filter::default());
        now.retain(|stands| stands.path == path);
        Story {
            file: file(view, &path, &lives, requests.as_deref().unwrap_or_default()),
            now,
            lives,
            requests: requests.map(|all| {
                let checked = all.into_iter();
                checked
                    .map(|one| (view.clone.check_of(&one), one))
                    .collect()
            }),
            unknown,
            path,
        }
    }
}

/// What stands in the file; else what stood there last; else what is asked for.
fn file(
    view: &View,
    path: &GrantPath,
    lives: &[&Life],
    requests: &[OpenRequest],
) -> Option<String> {
    let at = |commit: &CommitId| view.clone.file_at(commit, path).ok().flatten();
    let merges = lives
        .iter()
        .filter_map(|life| CommitId::new(life.merge.as_deref()?).ok());
    let asked = || {
        let mut changes = requests.iter().flat_map(|request| request.changes.iter());
        let change = changes.find(|change| change.path == path.as_str())?;
        let bytes = &change.after.as_ref()?.bytes;
        Some(String::from_utf8_lossy(bytes).into_owned())
    };
    at(view.clone.tip())
        .or_else(|| merges.into_iter().find_map(|m| at(&m)))
        .or_else(asked)
}

impl Story<'_> {
    fn answer<'a>(&'a self, view: &View) -> Answer<'a> {
        let open = |(check, request): &'a (Option<String>, OpenRequest)| Open {
            pull: &request.pull,
            title: &request.pull.title,
            check: check.as_deref(),
        };
        Answer {
            grant: self.path.short(),
            path: self.path.as_str(),
            file: self.file.clone(),
            owners: self.owners(view),
            now: self
                .now
                .iter()
                .map(|stands| Line::of(stands, view.now))
                .collect(),
            lives: &self.lives,
            requests: self
                .requests
                .as_ref()
                .map(|all| all.iter().map(open).collect()),
            unknown: &self.unknown,
        }
    }

    /// Who decides about it: of a bundle, the owners of its parts.
    fn owners(&self, view: &View) -> Vec<String> {
        let parts = self
            .now
            .iter()
            .map(|stands| self.path.within(&stands.role.resource));
        let mut paths: Vec<GrantPath> = parts.collect();
        for (_, request) in self.requests.iter().flatten() {
            let asked = request.changes.asked_at(&self.path);
            let roles = asked.map(|asked| view.base.gives(&self.path, &asked.grant));
            let roles = roles.into_iter().flatten();
            paths.extend(roles.map(|role| self.path.within(&role.resource)));
        }
        if paths.is_empty() {
            paths.push(self.path.clone());
        }
        let owners = paths.iter().flat_map(|path| view.owners(path));
        let mut names: Vec<String> = owners.map(|owner| owner.to_string()).collect();
        names.sort();
        names.dedup();
        names
    }

    fn human(&self, view: &View) -> String {
        let mut out = format!("{}\n", self.path.short());
        // Writing to a String cannot fail.
        for stands in &self.now {
            let _ = writeln!(
                out,
                "  {} for {}: {}, {}",
                stands.role,
                view.name(&stands.subject),
                stands.state.as_str(),
                visible(&until(stands, view.now))
            );
        }
        if self.now.is_empty() {
            let _ = writeln!(out, "  nothing stands there now");
        }
        let _ = writeln!(out, "  owned by {}", visible(&self.owners(view).join(", ")));
        for (check, request) in self.requests.iter().flatten() {
            let check = check.as_deref().unwrap_or("not checked yet");
            let (number, url) = (request.pull.number, visible(&request.pull.url));
            let _ = writeln!(out, "  #{number} is open: {}; {url}", visible(check));
        }
        if let Some(file) = &self.file {
            let _ = write!(out, "\n{}:\n{}", self.path, visible_lines(file, "    "));
        }
        for life in &self.lives {
            out.push_str(&told(life));
        }
        if !self.unknown.is_empty() {
            out.push('\n');
        }
        out + &notes(&self.unknown)
    }

    fn nothing(&self, view: &View) -> String {
        let files = view.base.grants.keys().map(GrantPath::short);
        let lives = view.evidence.lives.iter().flat_map(|lives| lives.iter());
        let lives = lives.map(|life| life.grant.split_once('@').map_or("", |(name, _)| name));
        let near = near(self.path.short(), files.chain(lives));
        let mut out = format!("nothing is known of a grant {}\n", self.path.short());
        if !near.is_empty() {
            let _ = writeln!(out, "  did you mean {}?", near.join(", "));
        }
        out + &notes(&self.unknown)
    }
}

/// What happened to one grant.
fn told(life: &Life) -> String {
    let mut out = format!("\n{}\n", visible(&life.grant));
    // Writing to a String cannot fail.
    let _ = writeln!(
        out,
        "  {} for {}, account {} at {}",
        visible(&life.role),
        visible(&life.subject),
        visible(&life.account),
        visible(&life.connection)
    );
    let _ = writeln!(out, "  approved by {}", visible(&life.approved_by()));
    for step in &life.steps {
        let (at, commit) = (instant(step.at), step.commit.short());
        let _ = writeln!(out, "  {at}  {commit}  {}", visible(&step.sentence));
    }
    out
}
