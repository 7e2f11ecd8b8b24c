//! The label that a pull request carries at the forge, so that a list of pull requests shows how each of them stands.
//!
//! A label is for people and proves nothing: nothing is decided by one, and whoever may label may change it.

/// How a pull request that concerns access stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Label {
    /// It is open, and nothing of it is against the rules: owners are waited for, or the merge.
    Waiting,
    /// It is open, and as it stands nobody can approve it.
    ToBeChanged,
    /// It was merged, and something of it is held or will be.
    Live,
    /// It was merged, and nothing of it is held any more, or ever was.
    Over,
}

impl Label {
    /// Every label.
    pub const ALL: [Self; 4] = [Self::Waiting, Self::ToBeChanged, Self::Live, Self::Over];

    /// Its name at the forge.
    pub fn name(self) -> &'static str {
        match self {
            Self::Waiting => "access: waiting",
            Self::ToBeChanged => "access: to be changed",
            Self::Live => "access: live",
            Self::Over => "access: over",
        }
    }
}
