//! `hallpass policy replay`: past requests, judged by other files.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use crate::app::offline;
use crate::domain::render;
use crate::domain::replay::replay;

/// Judge past requests by the policies, roles and owners of two revisions, and tell which would be decided otherwise
///
/// Needs no network and no secret. Looks at the requests that were merged before --head, as git tells them: what each file asked
/// for, about when (the time of the commit), who was declared then and what they held. Who asked and who was in which team is not
/// in git: where that decides, the request is told as one that may be decided otherwise. Reviews are not judged.
#[derive(Debug, Args)]
#[command(after_help = "Try `hallpass policy replay --help` for examples.", after_long_help = EXAMPLES)]
pub struct Replay {
    /// The access repository, or a folder in it
    #[arg(default_value = ".", value_name = "DIR")]
    dir: PathBuf,
    /// The revision whose files decide as things are
    #[arg(long, value_name = "REF")]
    base: String,
    /// The revision whose files would decide, and whose past is judged
    #[arg(long, value_name = "REF", default_value = "HEAD")]
    head: String,
    /// How many requests, the last ones first
    #[arg(long, value_name = "N", default_value_t = 1000)]
    last: usize,
    /// One object for programs: {"judged": n, "counts": {...}, "changed": [...]}
    #[arg(long)]
    json: bool,
}

const EXAMPLES: &str = "\
Examples:
  hallpass policy replay --base origin/main
      What the policies of your branch would have done to the last 1000 requests.
  hallpass policy replay --base HEAD~1 --head HEAD --last 200 --json | jq '.counts'
      How many of the last 200 the newest commit would decide otherwise.

Exit status:
  0  judged, whatever changes
  2  could not run";

impl Replay {
    /// Judges and tells.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        let history = offline::history(&self.dir, &self.base, &self.head, self.last)?;
        let found = replay(&history.past, &history.base, &history.head);
        super::super::print(&if self.json {
            render::replay_json(&found)
        } else {
            render::replay(&found)
        })?;
        Ok(ExitCode::SUCCESS)
    }
}
