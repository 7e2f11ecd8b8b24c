//! Where a person works: a clone of their own, and git as everybody has it.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context as _, bail};
use base64::Engine as _;
use tokio::process::Command;

/// Git in `folder`, without the habits of whoever runs the demo (signing, hooks, proxies, prompts).
#[expect(
    clippy::disallowed_methods,
    reason = "the demo plays people, who have git"
)]
fn git(folder: &Path) -> Command {
    let mut command = Command::new("git");
    for name in [
        "GIT_DIR",
        "GIT_WORK_TREE",
        "GIT_INDEX_FILE",
        "GIT_OBJECT_DIRECTORY",
    ] {
        command.env_remove(name);
    }
    command
        .current_dir(folder)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_TERMINAL_PROMPT", "0")
        .env("NO_PROXY", "*")
        .env("no_proxy", "*")
        .env("LC_ALL", "C")
        .stdin(Stdio::null())
        .kill_on_drop(true);
    command
}

/// Runs it, and returns what it wrote.
async fn run(mut command: Command, arguments: &[&str]) -> anyhow::Result<String> {
    let said = arguments.join(" ");
    let done = command
        .args(arguments)
        .output()
        .await
        .with_context(|| format!("cannot run `git {said}`"))?;
    if !done.status.success() {
        let error = String::from_utf8_lossy(&done.stderr);
        bail!("`git {said}` failed: {}", error.trim());
    }
    Ok(String::from_utf8_lossy(&done.stdout).trim_end().to_owned())
}

/// Runs git in a repository of this machine, and returns what it wrote.
pub async fn read(folder: &Path, arguments: &[&str]) -> anyhow::Result<String> {
    run(git(folder), arguments).await
}

/// Says so at once when there is no git, or one that cannot serve over HTTP.
pub async fn demand_git() -> anyhow::Result<()> {
    let place = read(Path::new("."), &["--exec-path"])
        .await
        .context("the demo needs git; install it first")?;
    if !Path::new(&place).join("git-http-backend").exists() {
        bail!(
            "this git has no `git http-backend`, which serves the demo's repository; install it (on Alpine: the package git-daemon)"
        );
    }
    Ok(())
}

/// One person's clone.
#[derive(Debug)]
pub struct Desk {
    login: String,
    folder: PathBuf,
    token: String,
}

impl Desk {
    /// Clones `url` into `folder`.
    pub async fn clone(
        login: &str,
        token: String,
        url: &str,
        folder: PathBuf,
    ) -> anyhow::Result<Self> {
        let parent = folder.parent().unwrap_or(Path::new("/")).to_owned();
        std::fs::create_dir_all(&parent)?;
        let desk = Self {
            login: login.to_owned(),
            folder,
            token,
        };
        let target = desk.folder.display().to_string();
        run(desk.git(&parent), &["clone", "--quiet", url, &target]).await?;
        Ok(desk)
    }

    /// Writes one file on a branch of its own (new, or the one from before), commits it, and pushes.
    pub async fn push(
        &self,
        branch: &str,
        path: &str,
        text: &str,
        message: &str,
    ) -> anyhow::Result<()> {
        let known = format!("refs/heads/{branch}");
        let exists = self
            .run(&["rev-parse", "--verify", "--quiet", &known])
            .await;
        if exists.is_err() {
            self.run(&["switch", "--quiet", "--create", branch]).await?;
        }
        let file = self.folder.join(path);
        if let Some(parent) = file.parent() {
            std::fs::create_dir_all(parent)?;
        }
        std::fs::write(&file, text)?;
        self.run(&["add", path]).await?;
        self.run(&["commit", "--quiet", "--message", message])
            .await?;
        self.run(&["push", "--quiet", "origin", branch]).await?;
        Ok(())
    }

    /// Runs git here, as this person.
    pub async fn run(&self, arguments: &[&str]) -> anyhow::Result<String> {
        run(self.git(&self.folder), arguments).await
    }

    fn git(&self, folder: &Path) -> Command {
        let basic =
            base64::prelude::BASE64_STANDARD.encode(format!("{}:{}", self.login, self.token));
        let address = format!("{}@users.noreply.github.com", self.login);
        let mut command = git(folder);
        // By the environment, so that the token stands neither in the clone nor in the list of processes.
        command
            .env("GIT_CONFIG_COUNT", "1")
            .env("GIT_CONFIG_KEY_0", "http.extraHeader")
            .env(
                "GIT_CONFIG_VALUE_0",
                format!("Authorization: Basic {basic}"),
            );
        for role in ["AUTHOR", "COMMITTER"] {
            command
                .env(format!("GIT_{role}_NAME"), &self.login)
                .env(format!("GIT_{role}_EMAIL"), &address);
        }
        command
    }
}
