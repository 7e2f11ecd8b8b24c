//! `command`: anything that a program on the server gives and takes, given a question on its standard input.
//!
//! Promises:
//! - Only a program that the operator allows by its path is run, directly and never by a shell; and only while nobody but its owner, who is
//!   root or Hallpass' own user, can change it or the folders above it.
//! - It sees no environment but `PATH`, `LANG` and the variables that its connection names, and starts in `/`.
//! - It ends: with the time that a change may take, all that it started in its process group is killed.
//! - Its answer is bounded. What it writes to standard error is logged as plain text, bounded too.
//! - Neither tells the values of those variables, unless the operator says that they are public.
//!
//! What is asked and answered says [`super::asked`].

use std::ffi::OsString;
use std::fmt;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;

use async_trait::async_trait;
use rustix::process::{Pid, Signal, geteuid, kill_process_group};
use secrecy::{ExposeSecret, SecretString};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{Child, Command};
use tracing::warn;

use super::asked::{self, Carried, Carrier};
use super::http::{Failure, Now};
use crate::domain::model::Instant;
use crate::domain::target::{Kind, Names};
use crate::secrets::Secrets;

/// Programs on the server.
pub const KIND: Kind = Kind {
    name: "command",
    gives: "whatever a program of your own gives",
    entitlement: asked::ENTITLEMENT,
    residual: "What the program says: sessions that it names stand in the evidence of the removal.",
    native_expiry: Some("What the program does about `ends`, which it is told with every grant."),
    names: Names::Exact,
};

/// The longest answer that is read.
const ANSWER: u64 = 16 << 20;

/// How much of standard error is kept.
const ERRORS: u64 = 4 << 10;

/// What is run.
#[derive(Clone)]
pub struct Settings {
    /// Where it is: absolute, without links.
    pub program: PathBuf,
    /// Its arguments.
    pub arguments: Vec<String>,
    /// The variables that it sees beside `PATH` and `LANG`.
    pub environment: Vec<(String, SecretString)>,
    /// Those of them whose values may be repeated.
    pub public: Vec<String>,
    /// The time.
    pub now: Now,
}

/// A program.
#[derive(Clone)]
pub struct Program(Arc<Settings>, Secrets);

impl fmt::Debug for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Program").field(&self.0.program).finish()
    }
}

/// Why a program is not run.
#[derive(Debug, thiserror::Error)]
enum Untrusted {
    #[error("{0} cannot be looked at: {1}")]
    Unseen(String, io::Error),
    #[error("{0} is reached through a link; allow what it leads to")]
    Link(String),
    #[error("{0} is no file that can be executed")]
    NoProgram(String),
    #[error("{0} can be changed by others than its owner: chmod go-w")]
    Writable(String),
    #[error("{0} belongs to neither root nor the user that Hallpass runs as")]
    Stranger(String),
}

/// The process group of a child: killed unless the child was seen to end.
struct Group(Option<Pid>);

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(group) = self.0 {
            // Whoever is gone already need not be killed.
            let _ = kill_process_group(group, Signal::KILL);
        }
    }
}

impl Program {
    /// Nothing is run yet.
    pub fn new(settings: Settings) -> Self {
        let variables = settings.environment.iter();
        let hidden = variables.filter(|(name, _)| !settings.public.contains(name));
        let secrets = hidden.fold(Secrets::default(), |secrets, (name, value)| {
            secrets.with(&format!("the value of {name}"), value.expose_secret())
        });
        Self(Arc::new(settings), secrets)
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "the one kind whose target is a program, allowed by the operator by its path"
    )]
    fn start(&self) -> io::Result<Child> {
        let mut command = Command::new(&self.0.program);
        command
            .args(&self.0.arguments)
            .env_clear()
            .env("PATH", "/usr/local/bin:/usr/bin:/bin")
            .env("LANG", "C.UTF-8");
        for (name, value) in &self.0.environment {
            command.env(name, OsString::from(value.expose_secret()));
        }
        command
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
    }

    async fn run(&self, what: &str, question: &[u8]) -> Result<Vec<u8>, Failure> {
        let lost = |error: io::Error| Failure::unavailable(what, error);
        let mut child = self.start().map_err(lost)?;
        let mut group = Group(child.id().and_then(|id| Pid::from_raw(id.try_into().ok()?)));
        let (stdin, stdout, stderr) =
            (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let tell = async {
            if let Some(mut stdin) = stdin {
                // Whoever does not listen may answer all the same.
                let _ = stdin.write_all(question).await;
                let _ = stdin.shutdown().await;
            }
        };
        let ((), answer, errors) =
            tokio::join!(tell, bounded(stdout, ANSWER), bounded(stderr, ERRORS));
        self.log(&errors.map_err(lost)?);
        let answer = answer.map_err(lost)?;
        if answer.len() as u64 >= ANSWER {
            return Err(Failure::unreadable(what, "it does not end"));
        }
        let status = child.wait().await.map_err(lost)?;
        group.0 = None;
        match status.success() {
            true => Ok(answer),
            false => Err(Failure::unavailable(
                what,
                format!("the program ended with {status}"),
            )),
        }
    }

    fn log(&self, errors: &[u8]) {
        let text = String::from_utf8_lossy(errors);
        // What lies behind was not kept.
        let text = match errors.len() as u64 {
            ERRORS => self.1.hide_in_beginning(&text),
            _ => self.1.hide(&text),
        };
        for line in text.lines().filter(|line| !line.trim().is_empty()) {
            warn!(program = %self.0.program.display(), "the program says: {}", asked::plain(line));
        }
    }
}

/// What a stream says, at most `most` bytes of it; what is longer is read to its end or to the end of the program, and dropped.
async fn bounded(stream: Option<impl AsyncRead + Unpin>, most: u64) -> io::Result<Vec<u8>> {
    let mut kept = Vec::new();
    if let Some(stream) = stream {
        let mut first = stream.take(most);
        first.read_to_end(&mut kept).await?;
        if kept.len() as u64 == most {
            tokio::io::copy(first.get_mut(), &mut tokio::io::sink()).await?;
        }
    }
    Ok(kept)
}

/// Whether only root and we decide what is run from `program`.
fn trusted(program: &Path) -> Result<(), Untrusted> {
    let name = |path: &Path| path.display().to_string();
    let unseen = |path: &Path| {
        let name = name(path);
        move |error| Untrusted::Unseen(name, error)
    };
    let real = program.canonicalize().map_err(unseen(program))?;
    if real != program {
        return Err(Untrusted::Link(name(program)));
    }
    for (depth, path) in program.ancestors().enumerate() {
        let found = path.metadata().map_err(unseen(path))?;
        if depth == 0 && (!found.is_file() || found.mode() & 0o111 == 0) {
            return Err(Untrusted::NoProgram(name(path)));
        }
        // In a sticky folder nobody can replace what is another's.
        let sticky = depth > 0 && found.mode() & 0o1000 != 0;
        if found.mode() & 0o022 != 0 && !sticky {
            return Err(Untrusted::Writable(name(path)));
        }
        if found.uid() != 0 && found.uid() != geteuid().as_raw() {
            return Err(Untrusted::Stranger(name(path)));
        }
    }
    Ok(())
}

#[async_trait]
impl Carrier for Program {
    fn kind(&self) -> &'static Kind {
        &KIND
    }

    async fn carry(&self, what: &str, _: &str, question: Vec<u8>) -> Result<Carried, Failure> {
        let program = self.0.program.clone();
        let checked = tokio::task::spawn_blocking(move || trusted(&program)).await;
        let checked = checked.map_err(|error| Failure::unavailable(what, error))?;
        checked.map_err(|why| Failure::refused(what, why.to_string()))?;
        Ok(Carried {
            answer: self.run(what, &question).await?,
            secrets: self.1.clone(),
        })
    }

    fn shown(&self) -> String {
        format!("run {}", self.0.program.display())
    }

    fn now(&self) -> Instant {
        (self.0.now)()
    }
}
