//! What stands in a folder already, so that it is not asked for again.

use std::path::Path;

use crate::config::Sketch;

/// The configuration of a team without a server, in the repository itself: it holds no secret.
pub const IN_REPOSITORY: &str = ".github/hallpass.toml";

/// What a folder holds before anything is written.
#[derive(Debug, Clone, Default)]
pub struct Standing {
    /// Whether it says who owns what.
    pub codeowners: Presence,
    /// Whether it declares anything to ask for.
    pub resources: Presence,
    /// Whether it names anybody.
    pub people: Presence,
    /// Whether its configuration is in the repository.
    pub service_less: Presence,
    /// What its configuration says so far.
    pub sketch: Sketch,
}

/// Whether something is there.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Presence {
    /// It is.
    There,
    /// It is not.
    #[default]
    Absent,
}

impl Presence {
    fn when(there: bool) -> Self {
        match there {
            true => Self::There,
            false => Self::Absent,
        }
    }

    /// Whether it is there.
    pub fn is_there(self) -> bool {
        self == Self::There
    }
}

impl Standing {
    /// Looks into the repository `dir`, and into `setup` beside it.
    pub fn of(dir: &Path, setup: &Path) -> Self {
        let there = |path: &str| dir.join(path).exists();
        let holds = |folder: &str| {
            let entries = std::fs::read_dir(dir.join(folder)).into_iter().flatten();
            let mut names = entries.flatten().map(|entry| entry.path());
            names.any(|path| path.extension().is_some_and(|e| e == "yaml"))
        };
        let owned = [".github/CODEOWNERS", "CODEOWNERS", "docs/CODEOWNERS"];
        let service_less = there(IN_REPOSITORY);
        let config = match service_less {
            true => dir.join(IN_REPOSITORY),
            false => setup.join("hallpass.toml"),
        };
        Self {
            codeowners: Presence::when(owned.into_iter().any(there)),
            resources: Presence::when(holds("access/resources")),
            people: Presence::when(holds("access/people")),
            service_less: Presence::when(service_less),
            // One that cannot be read is not ours to repair, and says nothing.
            sketch: Sketch::read(&config).unwrap_or_default(),
        }
    }
}
