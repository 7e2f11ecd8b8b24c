//! Proposing a change of files as the user: from their own clone, as a pull request of theirs, without touching the work tree.
//!
//! What could not be done is left so that it can be finished by hand: the commit stands on a branch of the clone, and
//! [`Outcome::Prepared`] says what is left to do.
//!
//! The token goes to the host that it is for and nowhere else, and is never written down.

mod known;
mod person;
mod place;
mod reading;
mod requests;
mod rest;
mod token;

use std::path::{Path, PathBuf};

use git2::{ErrorCode, Repository};
use secrecy::SecretString;

use crate::config;
use crate::domain::catalogue::File;
use crate::domain::model::{CommitId, Malformed};
use crate::reconcile::chain;
use crate::repo::propose as git;
use crate::repo::{Remote, RepoError, read};

pub use crate::repo::propose::FileChange;
pub use known::{BranchState, Evidence};
pub use person::{Identity, Me, Source};
pub use place::{NoPlace, Place};
pub use requests::{OpenRequest, OpenRequests, RequestsError, Waits};
use rest::{NewPull, Rest};
pub use rest::{OpenPull, RestError};

/// Why nothing could be proposed.
#[derive(Debug, thiserror::Error)]
pub enum ProposeError {
    /// Point at a clone.
    #[error(
        "there is no git repository at {0} or above it; run this in a clone of the access repository"
    )]
    NoClone(PathBuf),
    /// Name a remote.
    #[error("this clone has no remote `{name}`{}", .others.as_ref().map_or(String::new(), |o| format!("; name one of {o} with --remote")))]
    NoRemote {
        /// The remote that was looked for.
        name: String,
        /// Those that are there.
        others: Option<String>,
    },
    /// Point at a clone of a repository on GitHub.
    #[error("the remote `{name}` leads to no repository on GitHub: {why}")]
    NotGithub {
        /// Its name. The address is not repeated, as it may hold a password.
        name: String,
        /// Why.
        why: NoPlace,
    },
    /// Fetch, or name the branch that counts.
    #[error(
        "this clone knows no branch `{branch}` of `{remote}`; run `git fetch {remote}`, or name the branch that counts with --base"
    )]
    NoBase {
        /// The remote.
        remote: String,
        /// The branch.
        branch: String,
    },
    /// Name another branch: nothing is pushed to this one.
    #[error("`{branch}` is {whose}; name another one with --branch")]
    Kept {
        /// The branch.
        branch: String,
        /// What it is.
        whose: &'static str,
    },
    /// Name another branch, or look at what is there.
    #[error(
        "a branch `{branch}` of `{remote}` holds something else; name another one, or delete it there"
    )]
    Taken {
        /// The remote.
        remote: String,
        /// The branch.
        branch: String,
    },
    /// Look at the repository.
    #[error(transparent)]
    Git(#[from] RepoError),
    /// A name that git would not take.
    #[error(transparent)]
    Name(#[from] Malformed),
}

/// Which clone, and what of it.
#[derive(Debug, Clone, Copy)]
pub struct Choice<'a> {
    /// A folder in it.
    pub dir: &'a Path,
    /// The remote; `None`: `origin`, or the only one.
    pub remote: Option<&'a str>,
    /// The branch that counts; `None`: the remote's own.
    pub base: Option<&'a str>,
    /// Whether the network may be used.
    pub network: Network,
}

/// Whether the network may be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Network {
    /// As far as there is a token.
    Use,
    /// Not at all.
    Leave,
}

/// The user's clone of the access repository, with what the branch that counts holds.
pub struct OwnClone {
    repo: Repository,
    remote: String,
    base: String,
    place: Place,
    token: Option<SecretString>,
    tip: CommitId,
    stale: Option<String>,
}

/// What is proposed.
#[derive(Debug, Clone, Copy)]
pub struct Proposal<'a> {
    /// Its branch.
    pub branch: &'a str,
    /// The title, and the first line of the commit.
    pub title: &'a str,
    /// The text, and the rest of the commit's message.
    pub body: &'a str,
    /// What changes.
    pub files: &'a [FileChange],
}

/// How far it went.
#[derive(Debug, Clone)]
pub enum Outcome {
    /// The pull request is open.
    Opened(OpenPull),
    /// It was open before: nothing was done.
    Already(OpenPull),
    /// The commit is on its branch; the rest is for the user.
    Prepared {
        /// Why it went no further.
        why: String,
        /// Commands and addresses, in order.
        next: Vec<String>,
    },
}

impl OwnClone {
    /// Opens the clone, and fetches the branch that counts if there is a token. What could not be fetched is as it was last seen.
    ///
    /// # Errors
    /// [`ProposeError`] says what to do.
    pub fn open(choice: &Choice<'_>) -> Result<Self, ProposeError> {
        let repo = read::open(choice.dir).map_err(|error| match error {
            RepoError::Broken { source, .. } if source.code() == ErrorCode::NotFound => {
                ProposeError::NoClone(choice.dir.to_owned())
            }
            other => other.into(),
        })?;
        let (remote, place) = find_remote(&repo, choice.remote)?;
        let base = choice.base.map(str::to_owned);
        let base = base.or_else(|| git::default_branch(&repo, &remote));
        let base = base.unwrap_or_else(|| "main".to_owned());
        let token = match choice.network {
            Network::Use => token::find(&place, &config::environment),
            Network::Leave => None,
        };
        let stale = match (choice.network, &token) {
            (Network::Leave, _) => Some("GitHub was not to be asked".to_owned()),
            (Network::Use, None) => Some(format!(
                "there is no token for {} (set {}, or run `gh auth login`)",
                place.host,
                token::variable(&place)
            )),
            (Network::Use, Some(token)) => fetch(&repo, &place, token, (&remote, &base)),
        };
        let tip = git::known_tip(&repo, &remote, &base)?;
        let tip = tip.ok_or_else(|| ProposeError::NoBase {
            remote: remote.clone(),
            branch: base.clone(),
        })?;
        Ok(Self {
            repo,
            remote,
            base,
            place,
            token,
            tip,
            stale,
        })
    }

    /// The branch that counts.
    pub fn base(&self) -> &str {
        &self.base
    }

    /// Why what is known of it may be old; `None` when it was just fetched.
    pub fn stale(&self) -> Option<&str> {
        self.stale.as_deref()
    }

    /// Every governed file of it.
    ///
    /// # Errors
    /// When the repository cannot be read.
    pub fn files(&self) -> Result<Vec<File>, ProposeError> {
        Ok(read::files(&self.repo, &self.tip)?)
    }

    /// Commits, pushes and opens the pull request, as far as that is possible.
    ///
    /// # Errors
    /// When the branch is somebody else's, or not even the commit could be made.
    pub fn propose(&self, proposal: &Proposal<'_>) -> Result<Outcome, ProposeError> {
        let branch = proposal.branch;
        self.may_push(branch)?;
        let message = format!("{}\n\n{}\n", proposal.title, proposal.body);
        let change = git::Change {
            branch,
            onto: &self.tip,
            files: proposal.files,
            message: &message,
        };
        let rest = self.token.as_ref().map(|t| Rest::new(&self.place, t));
        let Some(rest) = rest.and_then(Result::ok) else {
            git::commit_change(&self.repo, &change)?;
            let why = self.stale.clone().unwrap_or_default();
            return Ok(self.prepared(why, branch, Pushed::No));
        };
        // It is pushed over what stands there, which must be ours.
        let there = git::fetch_branch(&self.repo, &self.remote(), (&self.remote, branch));
        if let Ok(Some(tip)) = &there {
            let is_attempt = change.is_attempt(&self.repo, tip);
            // Whoever goes on with the pull request, by a merge or a commit of their own, asks for the same.
            let asks_the_same = |open: &OpenPull| is_attempt || alike(&open.title, proposal.title);
            let open = rest.find_open(branch, &self.base).ok().flatten();
            if let Some(open) = open.filter(asks_the_same) {
                return Ok(Outcome::Already(open));
            }
            if !is_attempt {
                return Err(ProposeError::Taken {
                    remote: self.remote.clone(),
                    branch: branch.to_owned(),
                });
            }
        }
        git::commit_change(&self.repo, &change)?;
        let push = |seen: Option<CommitId>| {
            git::push_branch(&self.repo, &self.remote(), branch, seen.as_ref())
        };
        let pushed = there.and_then(push);
        if let Err(error) = pushed {
            return Ok(self.prepared(chain(&error), branch, Pushed::No));
        }
        let new = NewPull {
            title: proposal.title,
            body: proposal.body,
            head: branch,
            base: &self.base,
        };
        match rest.open(&new) {
            Ok(open) => Ok(Outcome::Opened(open)),
            Err(error) => Ok(self.prepared(chain(&error), branch, Pushed::Yes)),
        }
    }

    /// Refuses the branches that nobody proposes from, whatever branch counts.
    fn may_push(&self, branch: &str) -> Result<(), ProposeError> {
        let whose = if branch == self.base {
            "the branch that counts"
        } else if git::default_branch(&self.repo, &self.remote).as_deref() == Some(branch) {
            "the default branch of the remote"
        } else if branch.split('/').next() == Some("hallpass") {
            "for Hallpass itself"
        } else {
            return Ok(());
        };
        Err(ProposeError::Kept {
            branch: branch.to_owned(),
            whose,
        })
    }

    fn remote(&self) -> Remote {
        Remote {
            url: self.place.git_url(),
            token: self.token.clone(),
        }
    }

    fn prepared(&self, why: String, branch: &str, pushed: Pushed) -> Outcome {
        let push = format!("git push {} {branch}", self.remote);
        let compare = self.place.compare(&self.base, branch);
        let next = match pushed {
            Pushed::No => vec![push, compare],
            Pushed::Yes => vec![compare],
        };
        Outcome::Prepared { why, next }
    }
}

enum Pushed {
    Yes,
    No,
}

fn find_remote(repo: &Repository, wanted: Option<&str>) -> Result<(String, Place), ProposeError> {
    let all = git::remotes(repo)?;
    let name = match (wanted, all.as_slice()) {
        (Some(name), _) => name.to_owned(),
        (None, [only]) => only.clone(),
        (None, _) => "origin".to_owned(),
    };
    let address = git::remote_url(repo, &name)?;
    let address = address.ok_or_else(|| ProposeError::NoRemote {
        name: name.clone(),
        others: (!all.is_empty()).then(|| all.join(", ")),
    })?;
    match Place::of_remote(&address) {
        Ok(place) => Ok((name, place)),
        Err(why) => Err(ProposeError::NotGithub { name, why }),
    }
}

/// Why the branch could not be fetched; `None` when it was.
fn fetch(
    repo: &Repository,
    place: &Place,
    token: &SecretString,
    branch: (&str, &str),
) -> Option<String> {
    let remote = Remote {
        url: place.git_url(),
        token: Some(token.clone()),
    };
    let fetched = git::fetch_branch(repo, &remote, branch);
    fetched.err().map(|error| chain(&error))
}

/// Whether two titles say the same but for numbers, such as of how many it is about.
fn alike(one: &str, other: &str) -> bool {
    let words = |title: &str| title.replace(|c: char| c.is_ascii_digit(), "");
    words(one) == words(other)
}
