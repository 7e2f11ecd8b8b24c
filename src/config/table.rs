//! Reading one table of a TOML file: each key once, with its line, everything wrong collected.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use secrecy::SecretString;
use toml::de::{DeTable, DeValue};

use super::Problem;
use crate::domain::model::TermLength;

/// How a path begins that is below the folder of the service's credentials.
const CREDENTIALS: &str = "$CREDENTIALS_DIRECTORY/";

/// What every table needs: the text for line numbers, the environment, and a place for problems.
pub(super) struct Context<'a> {
    pub text: &'a str,
    pub folder: &'a Path,
    pub env: &'a dyn Fn(&str) -> Option<String>,
    pub problems: RefCell<Vec<Problem>>,
}

impl Context<'_> {
    pub(super) fn report(&self, line: Option<usize>, what: String, remedy: impl Into<String>) {
        self.problems.borrow_mut().push(Problem {
            line,
            what,
            remedy: remedy.into(),
        });
    }

    pub(super) fn line(&self, offset: usize) -> usize {
        let before = self.text.as_bytes().iter().take(offset);
        1 + before.filter(|byte| **byte == b'\n').count()
    }
}

/// A value with its line.
pub(super) struct At<T> {
    pub line: usize,
    pub value: T,
}

/// A table, from which keys are taken. What is left at the end is unknown.
pub(super) struct Table<'a> {
    context: &'a Context<'a>,
    name: String,
    line: usize,
    left: BTreeMap<String, At<DeValue<'a>>>,
    known: Vec<&'static str>,
}

impl<'a> Table<'a> {
    pub(super) fn new(
        context: &'a Context<'a>,
        name: &str,
        line: usize,
        table: DeTable<'a>,
    ) -> Self {
        let left = table.into_iter().map(|(key, value)| {
            let line = context.line(key.span().start);
            (
                key.into_inner().into_owned(),
                At {
                    line,
                    value: value.into_inner(),
                },
            )
        });
        Self {
            context,
            name: name.to_owned(),
            line,
            left: left.collect(),
            known: Vec::new(),
        }
    }

    /// `[name] key` as people find it, or the key alone at the top of the file.
    fn place(&self, key: &str) -> String {
        if self.name.is_empty() {
            format!("`{key}`")
        } else {
            format!("`{key}` of [{}]", self.name)
        }
    }

    pub(super) fn report(&self, line: usize, key: &str, what: &str, remedy: impl Into<String>) {
        self.context
            .report(Some(line), format!("{} {what}", self.place(key)), remedy);
    }

    fn take(&mut self, key: &'static str) -> Option<At<DeValue<'a>>> {
        self.known.push(key);
        self.left.remove(key)
    }

    /// Says that a key which must be there is not.
    pub(super) fn missing(&self, key: &str, remedy: &str) {
        self.report(self.line, key, "is missing", remedy);
    }

    pub(super) fn text(&mut self, key: &'static str) -> Option<At<String>> {
        let At { line, value } = self.take(key)?;
        match value {
            DeValue::String(value) => Some(At {
                line,
                value: value.into_owned(),
            }),
            other => {
                self.report(
                    line,
                    key,
                    &format!("is {}, not text", other.type_str()),
                    "Put it in quotes.",
                );
                None
            }
        }
    }

    /// A list of texts; empty where the key is left out.
    pub(super) fn texts(&mut self, key: &'static str) -> Vec<At<String>> {
        let Some(At { line, value }) = self.take(key) else {
            return Vec::new();
        };
        let DeValue::Array(values) = value else {
            self.report(line, key, "is no list", "Write [\"...\", \"...\"].");
            return Vec::new();
        };
        let mut texts = Vec::new();
        for value in values {
            let line = self.context.line(value.span().start);
            match value.into_inner() {
                DeValue::String(value) => texts.push(At {
                    line,
                    value: value.into_owned(),
                }),
                other => {
                    let what = format!("holds {}, not text", other.type_str());
                    self.report(line, key, &what, "Put each in quotes.");
                }
            }
        }
        texts
    }

    pub(super) fn switch(&mut self, key: &'static str) -> bool {
        match self.take(key) {
            None => false,
            Some(At {
                value: DeValue::Boolean(value),
                ..
            }) => value,
            Some(At { line, .. }) => {
                self.report(
                    line,
                    key,
                    "is not true or false",
                    "Write true or false, without quotes.",
                );
                false
            }
        }
    }

    /// A whole number above zero.
    pub(super) fn number(&mut self, key: &'static str) -> Option<u64> {
        let At { line, value } = self.take(key)?;
        let number = value
            .as_integer()
            .filter(|n| n.radix() == 10)
            .and_then(|n| n.as_str().parse().ok());
        if let Some(number) = number.filter(|n| *n > 0) {
            return Some(number);
        }
        self.report(
            line,
            key,
            "is not a whole number above zero",
            "Write digits only, without quotes.",
        );
        None
    }

    /// A text that `read` understands, or the default.
    pub(super) fn parsed<T, E: std::fmt::Display>(
        &mut self,
        key: &'static str,
        read: impl Fn(&str) -> Result<T, E>,
    ) -> Option<T> {
        let At { line, value } = self.text(key)?;
        match read(&value) {
            Ok(value) => Some(value),
            Err(error) => {
                self.report(line, key, "cannot be used", format!("{error}."));
                None
            }
        }
    }

    /// Like [`Table::parsed`], but the key must be there.
    pub(super) fn required<T, E: std::fmt::Display>(
        &mut self,
        key: &'static str,
        remedy: &str,
        read: impl Fn(&str) -> Result<T, E>,
    ) -> Option<T> {
        if !self.left.contains_key(key) {
            self.missing(key, remedy);
        }
        self.parsed(key, read)
    }

    pub(super) fn duration(&mut self, key: &'static str, default: Duration) -> Duration {
        self.parsed(key, duration).unwrap_or(default)
    }

    /// A time of grace: hours or days.
    pub(super) fn days(&mut self, key: &'static str, default: Duration) -> Duration {
        self.parsed(key, grace).unwrap_or(default)
    }

    /// A path, relative to the file.
    pub(super) fn path(&mut self, key: &'static str) -> Option<At<PathBuf>> {
        let At { line, value } = self.text(key)?;
        Some(At {
            line,
            value: self.context.folder.join(value),
        })
    }

    /// Where the file of a secret is: relative to the configuration, or below the folder in which systemd gives a service its
    /// credentials. `None` where that folder is not known.
    fn secret_path(&self, text: &str) -> Option<PathBuf> {
        match text.strip_prefix(CREDENTIALS) {
            None => Some(self.context.folder.join(text)),
            Some(name) => (self.context.env)("CREDENTIALS_DIRECTORY")
                .map(|folder| Path::new(&folder).join(name)),
        }
    }

    /// The content of the file that `key` names, which is no secret.
    pub(super) fn file(&mut self, key: &'static str) -> Option<String> {
        let At { line, value: path } = self.path(key)?;
        let read = std::fs::read_to_string(&path);
        let told = |error| {
            let what = format!("names the file `{}`, which cannot be read", path.display());
            self.report(line, key, &what, format!("{error}."));
        };
        read.map_err(told).ok()
    }

    /// The variable `name` of the environment.
    pub(super) fn variable(&self, name: &str) -> Option<SecretString> {
        (self.context.env)(name).map(SecretString::from)
    }

    /// Refuses a key that would hold a secret.
    pub(super) fn no_secret(&mut self, key: &'static str, remedy: &str) {
        if let Some(At { line, .. }) = self.left.remove(key) {
            self.report(
                line,
                key,
                "is a secret, and secrets do not stand in this file",
                remedy,
            );
        }
    }

    /// A secret from environment variable `variable` or from the file that `key` names. Both at once are a mistake; neither is
    /// `None`.
    pub(super) fn secret(&mut self, variable: &str, key: &'static str) -> Option<SecretString> {
        let from_env = (self.context.env)(variable);
        let from_file = self.text(key);
        let (value, origin, line) = match (from_env, from_file) {
            (Some(_), Some(At { line, .. })) => {
                let remedy = format!("Remove the key, or unset {variable}.");
                self.report(
                    line,
                    key,
                    &format!("is given, and so is {variable}"),
                    remedy,
                );
                return Some(SecretString::default());
            }
            (None, None) => return None,
            (Some(value), None) => (value, format!("the environment variable {variable}"), None),
            (None, Some(At { line, value: text })) => {
                let Some(path) = self.secret_path(&text) else {
                    let remedy = "systemd sets it for a service with LoadCredential=; elsewhere, set it to the folder of the files.";
                    self.report(
                        line,
                        key,
                        "needs CREDENTIALS_DIRECTORY, which is not set",
                        remedy,
                    );
                    return Some(SecretString::default());
                };
                let origin = format!("the file `{}`", path.display());
                match std::fs::read_to_string(&path) {
                    Ok(value) => (value, origin, Some(line)),
                    Err(error) => {
                        self.report(
                            line,
                            key,
                            &format!("names {origin}, which cannot be read"),
                            format!("{error}."),
                        );
                        return Some(SecretString::default());
                    }
                }
            }
        };
        let value = value.trim_end_matches(['\r', '\n']);
        if value.trim().is_empty() {
            self.context
                .report(line, format!("{origin} is empty"), "Put the secret there.");
        }
        Some(SecretString::from(value))
    }

    /// Reports every key that nobody took.
    pub(super) fn finish(self) {
        for (key, At { line, .. }) in &self.left {
            self.report(*line, key, "is unknown", suggestion(key, &self.known));
        }
    }

    /// Takes the tables below this one, whatever their names.
    pub(super) fn children(&mut self) -> Vec<(String, Table<'a>)> {
        let mut children = Vec::new();
        for (key, At { line, value }) in std::mem::take(&mut self.left) {
            let name = if self.name.is_empty() {
                key.clone()
            } else {
                format!("{}.{key}", self.name)
            };
            match value {
                DeValue::Table(table) => {
                    children.push((key, Table::new(self.context, &name, line, table)))
                }
                _ => self.report(
                    line,
                    &key,
                    "is not a table",
                    format!("Write [{name}] and its keys below it."),
                ),
            }
        }
        children
    }

    /// The table of this name below this one.
    pub(super) fn child(&mut self, key: &'static str) -> Option<Table<'a>> {
        let At { line, value } = self.take(key)?;
        let name = format!("{}.{key}", self.name);
        match value {
            DeValue::Table(table) => Some(Table::new(self.context, &name, line, table)),
            _ => {
                let remedy = format!("Write [{name}] and its keys below it.");
                self.report(line, key, "is not a table", remedy);
                None
            }
        }
    }

    /// Where a key stands, or the table that should have it.
    pub(super) fn line_of(&self, key: &str) -> usize {
        self.left.get(key).map_or(self.line, |at| at.line)
    }

    pub(super) fn line(&self) -> usize {
        self.line
    }

    pub(super) fn has(&self, key: &str) -> bool {
        self.left.contains_key(key)
    }
}

/// What to write instead of an unknown name.
pub(super) fn suggestion(key: &str, known: &[&str]) -> String {
    let near = known
        .iter()
        .map(|name| (strsim::jaro_winkler(key, name), name))
        .max_by(|a, b| a.0.total_cmp(&b.0));
    match near {
        Some((likeness, name)) if likeness > 0.8 => format!("Did you mean `{name}`?"),
        _ => format!("Known here: {}.", known.join(", ")),
    }
}

/// `12h`, `7d`, `1d12h`: as terms are written in grants.
fn grace(text: &str) -> Result<Duration, &'static str> {
    const FORM: &str = "Write a time such as \"12h\" or \"7d\", at most 90d";
    let length = TermLength::parse(text).map_err(|_| FORM)?;
    let length = length.delta().to_std().map_err(|_| FORM)?;
    let most = Duration::from_secs(90 * 86_400);
    Some(length).filter(|length| *length <= most).ok_or(FORM)
}

/// `500ms`, `60s`, `5m`, `1h`.
fn duration(text: &str) -> Result<Duration, &'static str> {
    const FORM: &str =
        "Write a duration such as \"500ms\", \"60s\", \"5m\" or \"1h\", at most a day";
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let count: u32 = text[..digits].parse().map_err(|_| FORM)?;
    let unit = match &text[digits..] {
        "ms" => Duration::from_millis(1),
        "s" => Duration::from_secs(1),
        "m" => Duration::from_secs(60),
        "h" => Duration::from_secs(3600),
        _ => return Err(FORM),
    };
    let day = Duration::from_secs(86_400);
    unit.checked_mul(count)
        .filter(|length| !length.is_zero() && *length <= day)
        .ok_or(FORM)
}
