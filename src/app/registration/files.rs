//! Where an App's number and secrets are kept.

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use secrecy::{ExposeSecret as _, SecretString};

use super::exchange::Created;
use super::{Wish, folder};
use crate::app::init::Mode;
use crate::config::Sketch;

const PRIVATE_KEY: &str = "hallpass.pem";
const WEBHOOK_SECRET: &str = "webhook-secret";
const CLIENT_SECRET: &str = "client-secret";

/// Refuses where a file would be in the way: once GitHub has said the secrets, it does not say them again.
pub(super) fn demand_free(keys: &Path) -> anyhow::Result<()> {
    for name in [PRIVATE_KEY, WEBHOOK_SECRET, CLIENT_SECRET] {
        let path = keys.join(name);
        if path.symlink_metadata().is_ok() {
            bail!(
                "{} is there already and is not overwritten; move it away, or name another folder with --keys",
                path.display()
            );
        }
    }
    fs::create_dir_all(keys).with_context(|| format!("cannot make {}", keys.display()))
}

/// Writes the secrets, and fills the App in where the configuration waits for it. The files that hold secrets.
pub(super) fn keep(wish: &Wish, app: &Created) -> anyhow::Result<Vec<PathBuf>> {
    let mut secrets = vec![(PRIVATE_KEY, &app.pem), (CLIENT_SECRET, &app.client_secret)];
    secrets.extend(
        app.webhook_secret
            .iter()
            .map(|secret| (WEBHOOK_SECRET, secret)),
    );
    let mut written = Vec::new();
    for (name, secret) in secrets {
        let path = wish.keys.join(name);
        write_secret(&path, secret)?;
        written.push(path);
    }
    fill_in(wish, app)?;
    Ok(written)
}

fn write_secret(path: &Path, secret: &SecretString) -> anyhow::Result<()> {
    let what = || format!("cannot write {}", path.display());
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;
        options.mode(0o600);
    }
    let mut file = options.open(path).with_context(what)?;
    file.write_all(secret.expose_secret().as_bytes())
        .and_then(|()| file.sync_all())
        .with_context(what)
}

/// Writes the App's number into the configuration, in place of the line that waits for it.
fn fill_in(wish: &Wish, app: &Created) -> anyhow::Result<()> {
    let path = &wish.config;
    let what = || {
        format!(
            "cannot fill in {}; write `app_id = {}` into its [github]",
            path.display(),
            app.id
        )
    };
    let text = fs::read_to_string(path).with_context(what)?;
    let filled = filled(&text, &lines(wish, app));
    let mut file = tempfile::NamedTempFile::new_in(folder(path)).with_context(what)?;
    file.write_all(filled.as_bytes()).with_context(what)?;
    let mode = fs::metadata(path).with_context(what)?.permissions();
    fs::set_permissions(file.path(), mode).with_context(what)?;
    file.persist(path).with_context(what)?;
    let read = Sketch::read(path).with_context(what)?;
    if read.github.app_id != Some(app.id) {
        bail!(what());
    }
    Ok(())
}

fn lines(wish: &Wish, app: &Created) -> Vec<String> {
    let mut lines = vec![
        format!("app_id = {}", app.id),
        // Nothing here goes by it; whoever signs in with the App is asked for it.
        format!("# client_id = {:?}", app.client_id),
    ];
    if wish.mode == Mode::ServiceLess {
        return lines;
    }
    let own = wish.keys == folder(&wish.config);
    let name = |file: &str| match own {
        true => file.to_owned(),
        false => wish.keys.join(file).display().to_string(),
    };
    lines.push(format!("private_key_file = {:?}", name(PRIVATE_KEY)));
    if app.webhook_secret.is_some() {
        lines.push(format!("webhook_secret_file = {:?}", name(WEBHOOK_SECRET)));
    }
    lines
}

/// `text` with `lines` in its `[github]`, in place of the comment that waits for the App's number.
fn filled(text: &str, lines: &[String]) -> String {
    let waits = |line: &str| {
        let line = line.trim_start().strip_prefix('#').map(str::trim_start);
        line.is_some_and(|l| l.starts_with("app_id"))
    };
    let told = |line: &str| line.trim() == "# `hallpass app create` fills it in.";
    let (mut out, mut done) = (Vec::new(), false);
    let place = text.lines().any(waits);
    for line in text.lines() {
        if told(line) {
            continue;
        }
        if !(place && waits(line)) {
            out.push(line.to_owned());
        }
        let here = if place {
            waits(line)
        } else {
            line.trim() == "[github]"
        };
        if here && !done {
            done = true;
            out.extend(lines.iter().cloned());
        }
    }
    out.join("\n") + "\n"
}
