//! The comment that tells holders what ends soon, how to keep it and how to let it go.

use super::super::address;
use super::super::approval::list;
use super::super::evidence::instant;
use super::super::model::{GrantPath, Instant, Login, PullNumber, RoleRef, Subject, Term};
use super::markdown::{code, sentence};
use super::utc;

/// One file whose access ends soon.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndingGrant {
    /// Its file.
    pub path: GrantPath,
    /// Who has it.
    pub subject: Subject,
    /// The person to tell: the holder, or who is accountable for the service. `None`: nobody is known.
    pub tell: Option<Login>,
    /// What: one role, or the parts of a bundle.
    pub roles: Vec<RoleRef>,
    /// Until when.
    pub ends: Instant,
    /// How its file says so.
    pub term: Term,
}

/// Where the files of the repository are edited in a browser.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pages {
    /// The repository's page: `https://github.com/acme/access`.
    pub repository: String,
    /// The protected branch.
    pub branch: String,
    /// The branch of the evidence.
    pub evidence_branch: String,
}

impl Pages {
    /// The page that makes a new file at `path`, with `text` in it already.
    /// <https://docs.github.com/en/repositories/working-with-files/managing-files/creating-new-files>
    pub(in super::super) fn new_file(&self, path: &str, text: &str) -> String {
        let root = self.repository.trim_end_matches('/');
        let (branch, path, text) = (encoded(&self.branch), encoded(path), encoded(text));
        format!("{root}/new/{branch}?filename={path}&value={text}")
    }

    /// The page of a pull request.
    pub fn pull(&self, number: PullNumber) -> String {
        format!("{}/pull/{number}", self.repository.trim_end_matches('/'))
    }

    /// The page of what was written down.
    pub fn evidence(&self) -> String {
        let root = self.repository.trim_end_matches('/');
        format!("{root}/commits/{}", encoded(&self.evidence_branch))
    }

    /// The page that edits the file of a grant.
    pub fn edit(&self, path: &GrantPath) -> String {
        self.of("edit", path)
    }

    /// The page that deletes the file of a grant.
    pub fn delete(&self, path: &GrantPath) -> String {
        self.of("delete", path)
    }

    fn of(&self, verb: &str, path: &GrantPath) -> String {
        let root = self.repository.trim_end_matches('/');
        format!("{root}/{verb}/{}/{path}", encoded(&self.branch))
    }
}

/// The comment. `grants` are of one pull request, and not empty.
pub fn ends_soon(pages: &Pages, grants: &[EndingGrant]) -> String {
    let mut told: Vec<String> = grants
        .iter()
        .filter_map(|g| g.tell.as_ref())
        .map(|login| format!("@{}", sentence(login.as_str())))
        .collect();
    told.sort();
    told.dedup();
    let names = match told.as_slice() {
        [] => String::new(),
        names => format!("{}: ", names.join(", ")),
    };
    let mut out = format!("{names}access that this pull request gave **ends soon**.\n\n");
    for one in grants {
        out.push_str(&grant(pages, one));
    }
    out.push_str(
        "\n**To keep it:** edit the file. Say in `reason` why it is still needed and, if the time should differ, change the line shown above; \
         then propose the change as a pull request. An owner approves it as before. Merged before the end, it goes on without a gap.\n\n\
         **To let it go:** nobody has to approve that.\n\n\
         Otherwise there is nothing to do: it ends by itself.\n",
    );
    out
}

fn grant(pages: &Pages, one: &EndingGrant) -> String {
    let (path, name) = (&one.path, code(one.path.short()));
    let term = match one.term {
        Term::Duration(length) => format!(
            "{}, counted anew from the merge",
            code(&format!("duration: {length}"))
        ),
        Term::Expires(at) => format!(
            "{}, to be a later instant",
            code(&format!("expires: {}", instant(at)))
        ),
    };
    let roles = one.roles.iter().map(|r| code(&r.to_string())).collect();
    format!(
        "- {} of {} ends at **{}**\n  - keep: [edit {name}]({}) ({term})\n  - let go: {} or [delete {name}]({})\n",
        list(roles, "and"),
        code(&one.subject.to_string()),
        utc(one.ends),
        pages.edit(path),
        code(&format!("hallpass return {}", path.short())),
        pages.delete(path),
    )
}

/// With the slashes of a path left as they are.
fn encoded(text: &str) -> String {
    address::encoded(text, b"/")
}
