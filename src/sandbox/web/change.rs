//! Changing one file: on `main` by a pull request of its own, on another branch at once.

use askama::Template;

use super::super::git;
use super::super::merging::PROTECTED;
use super::super::model::{Change, Permission};
use super::super::pulling::NewPull;
use super::super::refusal::Refusal;
use super::frame::Frame;
use super::{Replied, Reply, Visit};

/// What is to be done with the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    New,
    Edit,
    Delete,
}

impl Way {
    /// How the title begins where nobody gave one.
    fn verb(self) -> &'static str {
        match self {
            Self::New => "Add",
            Self::Edit => "Change",
            Self::Delete => "Delete",
        }
    }
}

#[derive(Template)]
#[template(path = "change.html", config = "src/sandbox/web/askama.toml")]
struct Form {
    frame: Frame,
    way: Way,
    branch: String,
    /// Whether the change asks for a pull request of its own.
    by_pull: bool,
    path: String,
    value: String,
    rows: usize,
}

impl Form {
    fn what(&self) -> &'static str {
        match self.way {
            Way::New => "New file",
            Way::Edit => "Change a file",
            Way::Delete => "Delete a file",
        }
    }

    fn verb(&self) -> &'static str {
        self.way.verb()
    }

    fn is_new(&self) -> bool {
        self.way == Way::New
    }

    fn deletes(&self) -> bool {
        self.way == Way::Delete
    }
}

/// `/new/BRANCH`, `/edit/BRANCH/PATH`, `/delete/BRANCH/PATH`: the form, and what it sends.
pub fn route(visit: &mut Visit<'_>, repo: usize, method: &str, path: &[&str]) -> Replied {
    let (way, rest) = match path {
        ["new", rest @ ..] => (Way::New, rest),
        ["edit", rest @ ..] => (Way::Edit, rest),
        ["delete", rest @ ..] => (Way::Delete, rest),
        _ => return Err(Refusal::not_found()),
    };
    let you = visit.actor()?;
    visit.world.demand(you, repo, Permission::Push)?;
    let place = super::repository::place(&visit.world.git(repo)?, rest)?;
    if !place.is_branch {
        return Err(Refusal::new(404, "There is no such branch."));
    }
    match method {
        "GET" => form(visit, repo, way, (&place.reference, &place.path)),
        "POST" => perform(visit, repo, way, &place.reference),
        _ => Err(Refusal::not_found()),
    }
}

fn form(visit: &Visit<'_>, repo: usize, way: Way, (branch, path): (&str, &str)) -> Replied {
    let (path, value) = match way {
        Way::New if visit.fields.contains_key("example") => example(visit, repo),
        Way::New => (
            visit.field("filename").to_owned(),
            visit.field("value").to_owned(),
        ),
        _ => (path.to_owned(), content(visit, repo, branch, path)?),
    };
    let mut form = Form {
        frame: Frame::of(visit, ""),
        way,
        by_pull: branch == PROTECTED,
        branch: branch.to_owned(),
        rows: value.lines().count().clamp(8, 30) + 1,
        path,
        value,
    };
    form.frame.title = form.what().to_owned();
    Ok(Reply::Page(form.render()?))
}

/// What a newcomer may ask for, in the name of whom the browser is.
fn example(visit: &Visit<'_>, repo: usize) -> (String, String) {
    let you = visit
        .you
        .map(|you| visit.world.accounts[&you].login.as_str());
    let filled = |text: &String| text.replace("{you}", you.unwrap_or_default());
    let example = visit.world.repos[repo].example.as_ref();
    example.map_or_else(Default::default, |(path, text)| {
        (filled(path), filled(text))
    })
}

fn content(visit: &Visit<'_>, repo: usize, branch: &str, path: &str) -> Result<String, Refusal> {
    let git = visit.world.git(repo)?;
    let tip = git.refname_to_id(&format!("refs/heads/{branch}"))?;
    let entry = git.find_commit(tip)?.tree()?.get_path(path.as_ref())?;
    let blob = git.find_blob(entry.id())?;
    Ok(String::from_utf8_lossy(blob.content()).into_owned())
}

fn perform(visit: &mut Visit<'_>, repo: usize, way: Way, branch: &str) -> Replied {
    let you = visit.actor()?;
    let path = visit.field("path").trim().to_owned();
    if path.is_empty()
        || path
            .split('/')
            .any(|part| part.is_empty() || part.starts_with(".."))
    {
        return Err(Refusal::new(
            422,
            "The file needs a path such as `access/grants/orders/name.yaml`.",
        ));
    }
    // As browsers send lines.
    let text = visit.field("value").replace("\r\n", "\n");
    let change = match way {
        Way::Delete => Change::delete(&path),
        _ => Change::write(&path, text),
    };
    let title = match visit.field("title").trim() {
        "" => format!("{} {path}", way.verb()),
        title => title.to_owned(),
    };
    let body = visit.field("body").trim().to_owned();
    let onto = match branch {
        PROTECTED => free_branch(visit, repo, you)?,
        other => other.to_owned(),
    };
    visit
        .world
        .push(repo, you, (&onto, None), &[change], &title)?;
    let opened = match branch {
        PROTECTED => {
            let new = NewPull {
                head: onto.clone(),
                base: PROTECTED.to_owned(),
                title,
                body: Some(body).filter(|body| !body.is_empty()),
                draft: false,
            };
            Some(visit.world.open_pull(repo, you, new)?)
        }
        _ => {
            let mut pulls = visit.world.repos[repo].pulls.values();
            let found = pulls.find(|pull| pull.open && pull.comes_from(&onto));
            found.map(|pull| pull.number)
        }
    };
    let address = visit.address(repo);
    Ok(Reply::Goto(match opened {
        Some(number) => format!("{address}/pull/{number}"),
        None => format!("{address}/tree/{onto}"),
    }))
}

/// A branch that does not exist yet, named as GitHub names those of its editor.
fn free_branch(visit: &Visit<'_>, repo: usize, you: u64) -> Result<String, Refusal> {
    let git = visit.world.git(repo)?;
    let login = &visit.world.accounts[&you].login;
    for number in 1.. {
        let name = format!("{login}-patch-{number}");
        if git::tip(&git, &format!("refs/heads/{name}"))?.is_none() {
            return Ok(name);
        }
    }
    Err(Refusal::new(500, "no name is left for a branch"))
}
