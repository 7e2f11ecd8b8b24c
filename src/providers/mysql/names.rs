//! How accounts and roles are called.

use std::fmt;

/// More bytes than any server allows for either half of a name.
const LONGEST: usize = 1024;

/// The host of an account that may connect from everywhere.
const ANYWHERE: &str = "%";

/// What a role is listed with among the holders of another.
const ROLE: &str = "role ";

/// An account, `'user'@'host'`; or a role, which has no host on MariaDB.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Name {
    pub user: String,
    pub host: String,
}

impl Name {
    pub fn new(user: impl Into<String>, host: impl Into<String>) -> Self {
        Self {
            user: user.into(),
            host: host.into(),
        }
    }

    /// Reads `user` or `user@host`. `None` for what no server can have.
    pub fn account(text: &str) -> Option<Self> {
        let (user, host) = text.rsplit_once('@').unwrap_or((text, ANYWHERE));
        let possible = !user.is_empty()
            && !host.is_empty()
            && text.len() <= LONGEST
            // The tables of accounts have three bytes for a character, and would turn others into "?".
            && text.chars().all(|c| c != '\0' && c <= '\u{ffff}');
        possible.then(|| Self::new(user, host))
    }

    /// How it is listed where it is a role that has another one.
    pub fn listed_as_role(&self) -> String {
        format!("{ROLE}{self}")
    }

    /// What follows in a text of [`Self::listed_as_role`].
    pub fn after_role(listed: &str) -> Option<&str> {
        listed.strip_prefix(ROLE)
    }

    /// As statements name it. Within backquotes only a backquote has a meaning, whatever `sql_mode` says.
    pub fn quoted(&self) -> String {
        if self.host.is_empty() {
            return quoted(&self.user);
        }
        format!("{}@{}", quoted(&self.user), quoted(&self.host))
    }
}

/// The one way in which an account is written: two spellings would be two holders of one account's access. One that could be taken for
/// another thing is written with its host.
impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.host.as_str() {
            "" => write!(f, "{}", self.user),
            ANYWHERE if !self.user.contains('@') && !self.user.starts_with(ROLE) => {
                write!(f, "{}", self.user)
            }
            host => write!(f, "{}@{host}", self.user),
        }
    }
}

fn quoted(name: &str) -> String {
    format!("`{}`", name.replace('`', "``"))
}
