//! The files of a new access repository, and of what stands beside it.

use std::fmt::Write as _;

use super::Executable;
use super::answers::{Answers, Mode, Resource};
use super::standing::IN_REPOSITORY;
use crate::app::reconcile::NOTES;
use crate::domain::doctor::{Tidying, Wanted};
use crate::domain::model::Login;
use crate::domain::schema;
use crate::forge::github::{self, GitHub};

/// Where a file belongs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// In the access repository.
    Repository,
    /// Beside it: what the server is told, and what is done once.
    Setup,
}

/// A file to be written.
#[derive(Debug)]
pub(super) struct Piece {
    pub place: Place,
    pub path: String,
    pub text: String,
}

impl Piece {
    fn repository(path: impl Into<String>, text: impl Into<String>) -> Self {
        let (path, text) = (path.into(), text.into());
        Self {
            place: Place::Repository,
            path,
            text,
        }
    }

    fn setup(path: impl Into<String>, text: impl Into<String>) -> Self {
        let place = Place::Setup;
        Self {
            place,
            ..Self::repository(path, text)
        }
    }

    /// Scripts can be run.
    pub fn executable(&self) -> Executable {
        match self.path.ends_with(".sh") {
            true => Executable::Yes,
            false => Executable::No,
        }
    }
}

macro_rules! actions {
    ($($path:literal),* $(,)?) => {
        [$(($path, include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/", $path)))),*]
    };
}

/// The actions of this repository, which an access repository has a copy of: what its workflows run is what its owners reviewed.
const ACTIONS: [(&str, &str); 4] = actions![
    ".github/actions/setup/action.yml",
    ".github/actions/setup/install.sh",
    ".github/actions/validate/action.yml",
    ".github/actions/validate/validate.sh",
];

/// The branch that counts, in a new repository.
pub(super) const MAIN: &str = "main";
/// The branch that evidence is written to, unless a server is told otherwise.
const EVIDENCE: &str = "hallpass/evidence";

/// Everything that belongs to a repository and to what stands beside it.
pub(super) fn all(answers: &Answers) -> anyhow::Result<Vec<Piece>> {
    let standing = &answers.standing;
    let mut pieces = Vec::new();
    if !standing.codeowners.is_there() {
        pieces.push(Piece::repository(".github/CODEOWNERS", codeowners(answers)));
    }
    let readme = include_str!("templates/access.md");
    let readme = readme.replace("REPOSITORY", &answers.repository.to_string());
    pieces.push(Piece::repository("README.md", readme));
    let words = include_str!("templates/pull_request.md");
    pieces.push(Piece::repository(".github/pull_request_template.md", words));
    let validate = include_str!("templates/hallpass.yml");
    pieces.push(Piece::repository(
        ".github/workflows/hallpass.yml",
        validate,
    ));
    pieces.extend(ACTIONS.map(|(path, text)| Piece::repository(path, text)));
    pieces.extend(schema::Kind::ALL.map(|kind| {
        let path = format!("schemas/{}.schema.json", kind.name());
        Piece::repository(path, kind.source())
    }));
    if let Some(resource) = &answers.resource {
        let path = format!("access/resources/{}.yaml", resource.name);
        pieces.push(Piece::repository(path, declared(resource)?));
    }
    for (login, id) in &answers.people {
        let path = format!("access/people/{}.yaml", login.as_str().to_ascii_lowercase());
        pieces.push(Piece::repository(path, person(answers, login, *id)));
    }
    pieces.extend(by_mode(answers));
    if let Some(app) = standing.sketch.github.app_id {
        let tidying = match standing.sketch.github.merge_reverts {
            true => Tidying::ByUs,
            false => Tidying::ByPeople,
        };
        let files = rulesets(app, tidying, answers.mode)?;
        pieces.extend(files.map(|(path, text)| Piece::setup(path, text)));
    }
    Ok(pieces)
}

fn by_mode(answers: &Answers) -> Vec<Piece> {
    let text = configuration(answers);
    match answers.mode {
        Mode::Service => vec![Piece::setup("hallpass.toml", text)],
        Mode::ServiceLess => vec![
            Piece::repository(IN_REPOSITORY, text),
            Piece::repository(
                ".github/workflows/hallpass-reconcile.yml",
                include_str!("templates/reconcile.yml"),
            ),
            Piece::repository(
                ".github/workflows/hallpass-wake.yml",
                include_str!("templates/wake.yml"),
            ),
        ],
    }
}

/// The rulesets that `hallpass doctor` looks for, as files that `gh api` takes.
///
/// # Errors
/// Never, unless JSON cannot be written.
pub fn rulesets(
    app: u64,
    tidying: Tidying,
    mode: Mode,
) -> Result<[(&'static str, String); 2], serde_json::Error> {
    let written = match mode {
        Mode::Service => &[EVIDENCE][..],
        Mode::ServiceLess => &[EVIDENCE, NOTES],
    };
    let text = |wanted: &Wanted| {
        let text = serde_json::to_string_pretty(&github::ruleset(wanted))?;
        Ok::<_, serde_json::Error>(text + "\n")
    };
    let main = Wanted::of_protected(MAIN, app, GitHub::check_name(), tidying);
    Ok([
        ("rulesets/main.json", text(&main)?),
        (
            "rulesets/evidence.json",
            text(&Wanted::of_evidence(written, app))?,
        ),
    ])
}

fn codeowners(answers: &Answers) -> String {
    let security = answers.owners.join(" ");
    let mut lines = vec![
        ("*".to_owned(), &security),
        ("/.github/".to_owned(), &security),
        ("/.gitattributes".to_owned(), &security),
        ("/access/".to_owned(), &security),
        ("/schemas/".to_owned(), &security),
    ];
    let own = answers.resource.as_ref().map(|r| (r, r.owners.join(" ")));
    if let Some((resource, owners)) = &own {
        lines.push((format!("/access/grants/{}/", resource.name), owners));
    }
    let width = lines.iter().map(|(path, _)| path.len()).max().unwrap_or(0);
    let mut text = "# Who owns what: the last line that matches a path decides, alone.\n\
         # Whatever decides about access, and this file, is decided by the same people.\n"
        .to_owned();
    for (n, (path, owners)) in lines.iter().enumerate() {
        if n == 5 {
            text.push_str("\n# Requests belong to the owners of what is asked for.\n");
        }
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{path:width$}  {owners}");
    }
    text
}

fn declared(resource: &Resource) -> Result<String, serde_json::Error> {
    let mut gives = Vec::new();
    for (key, value) in &resource.gives {
        gives.push(format!("{key}: {}", serde_json::to_string(value)?));
    }
    Ok(format!(
        "# yaml-language-server: $schema=../../schemas/resource.schema.json\n\
         description: {name}, to be described for those who ask for it and those who approve\n\
         risk: moderate            # low | moderate | high | critical\n\
         provider: {provider}\n\
         roles:\n\
         \x20 member:\n\
         \x20   description: What {kind} gives; say what one can do with it\n\
         \x20   entitlement: {{ {gives} }}\n\
         \x20   max_duration: 8h      # the longest term of one grant\n\
         \x20   approvals: 1          # how many owners must approve\n",
        name = resource.name,
        provider = resource.kind.connection,
        kind = resource.kind.kind,
        gives = gives.join(", "),
    ))
}

fn person(answers: &Answers, login: &Login, id: u64) -> String {
    let mut text = format!(
        "# yaml-language-server: $schema=../../schemas/person.schema.json\n\
         github_id: {id}\n\
         identities:\n\
         \x20 github: {login}\n"
    );
    let connection = answers.resource.as_ref().map(|r| r.kind);
    if let Some(kind) = connection.filter(|k| k.connection != "github") {
        let note = match kind.is_github() {
            true => "",
            false => "    # the account's name there, if it is another",
        };
        let _ = writeln!(text, "  {}: {login}{note}", kind.connection);
    }
    text
}

fn configuration(answers: &Answers) -> String {
    let where_ = match answers.mode {
        Mode::Service => {
            "# Hallpass, on the server: not part of the access repository. `hallpass serve --example` explains every key.\n\
             # No secret stands in this file."
        }
        Mode::ServiceLess => {
            "# Hallpass, in GitHub Actions: `hallpass reconcile --once` goes by this. `hallpass serve --example` explains every key.\n\
             # No secret stands in this file: they come from the environment `hallpass` of this repository."
        }
    };
    let mut text = format!(
        "{where_}\n\n[github]\nrepository = \"{}\"\n# `hallpass app create` fills it in.\n# app_id = 123456\n",
        answers.repository
    );
    if answers.web.as_str().trim_end_matches('/') != "https://github.com" {
        let web = answers.web.as_str().trim_end_matches('/');
        let _ = writeln!(text, "api = \"{}\"\nweb = \"{web}\"", answers.api);
    }
    text.push_str(
        "# Hallpass merges what is approved, and tidies up after what has ended.\nmerge = \"auto\"\nmerge_reverts = true\n",
    );
    text.push_str(
        "\n[notices]\n# Pull requests carry a label that says how they stand.\nlabels = true\n",
    );
    if answers.mode == Mode::ServiceLess {
        text.push_str(
            "\n[timing]\n# A run does not wait to gather what ended.\nrevert_window = \"1s\"\n",
        );
    }
    let kind = answers.resource.as_ref().map(|r| (r.kind, &r.name));
    match kind {
        Some((kind, name)) => {
            let table = kind.table.replace("RESOURCE", name.as_str());
            let table = table.replace("ORGANISATION", answers.repository.owner.as_str());
            let _ = write!(
                text,
                "\n# What access/resources/{name}.yaml names as its provider.\n[providers.{}]\nkind = \"{}\"\n{table}",
                kind.connection, kind.kind
            );
        }
        None => text.push_str(
            "\n# One table for each system that access/resources/*.yaml names as `provider`; see docs/providers.\n# [providers.github]\n\
             # kind = \"github-team\"\n# organisation = \"acme\"\n",
        ),
    }
    text
}
