//! What a configuration says so far: for commands that help to complete one, and need none of its secrets.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;

use crate::domain::model::Login;

/// A configuration that need not be usable yet. What it holds beside this is not looked at.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Sketch {
    /// The access repository and the App.
    pub github: GithubSketch,
    /// Where it keeps its files.
    pub server: ServerSketch,
    /// The connections, by name.
    pub providers: BTreeMap<String, ProviderSketch>,
}

/// What it says of where files are kept.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct ServerSketch {
    /// The folder for the database and the mirror.
    pub data_dir: Option<String>,
}

/// What it says of the access repository and the App.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct GithubSketch {
    /// The access repository, `owner/name`.
    pub repository: Option<String>,
    /// The App's number.
    pub app_id: Option<u64>,
    /// The REST API's address.
    pub api: Option<String>,
    /// The web's address.
    pub web: Option<String>,
    /// The branch that counts.
    pub protected_branch: Option<String>,
    /// Whether Hallpass merges the pull requests that tidy up.
    pub merge_reverts: bool,
    /// The file of the App's private key.
    pub private_key_file: Option<String>,
    /// The file of the webhook's secret.
    pub webhook_secret_file: Option<String>,
}

/// What it says of a connection.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct ProviderSketch {
    /// Its kind.
    pub kind: String,
    /// The organisation at GitHub, for kinds of GitHub.
    pub organisation: Option<Login>,
}

/// Why a sketch cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum SketchError {
    /// The file.
    #[error("cannot read it")]
    File(#[from] std::io::Error),
    /// Its text.
    #[error("it is no configuration: {0}")]
    Text(#[from] toml::de::Error),
}

impl Sketch {
    /// Reads the file at `path`.
    ///
    /// # Errors
    /// When it cannot be read, or is not TOML.
    pub fn read(path: &Path) -> Result<Self, SketchError> {
        Ok(toml::from_str(&std::fs::read_to_string(path)?)?)
    }
}
