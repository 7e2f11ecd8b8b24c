//! Comments and labels of pull requests.

use serde_json::Value;

use crate::domain::model::Instant;
use crate::sandbox::call::{Answer, Answered, Call};
use crate::sandbox::refusal::Refusal;
use crate::sandbox::render::{events, pulls};
use crate::sandbox::world::{Comment, World};

/// `GET /repos/{owner}/{repo}/issues/{issue_number}/comments`: oldest first.
pub fn comments(world: &mut World, call: &Call) -> Answered {
    let repo = call.repository()?;
    let number = world.pull(repo, call.number("issue_number")?)?.number;
    let found = world.repos[repo]
        .comments
        .values()
        .filter(|comment| comment.number == number);
    Ok(call.page(
        found
            .map(|comment| pulls::comment(world, repo, comment))
            .collect(),
    ))
}

/// `GET /repos/{owner}/{repo}/issues/comments`: of the whole repository, by age or by their last change, oldest first where asked for.
pub fn all_comments(world: &mut World, call: &Call) -> Answered {
    let repo = call.repository()?;
    let since = call.query("since").map(str::parse::<Instant>);
    let since = since
        .transpose()
        .map_err(|_| Refusal::new(422, "since is no time"))?;
    let mut found: Vec<&Comment> = world.repos[repo]
        .comments
        .values()
        .filter(|comment| since.is_none_or(|since| comment.updated_at >= since))
        .collect();
    if call.query("sort") == Some("updated") {
        found.sort_by_key(|comment| (comment.updated_at, comment.id));
    }
    if call.query("direction") == Some("desc") {
        found.reverse();
    }
    let shown = found.into_iter();
    Ok(call.page(
        shown
            .map(|comment| pulls::comment(world, repo, comment))
            .collect(),
    ))
}

/// `POST /repos/{owner}/{repo}/issues/{issue_number}/comments`.
pub fn comment(world: &mut World, call: &Call) -> Answered {
    let repo = call.repository()?;
    let number = world.pull(repo, call.number("issue_number")?)?.number;
    let by = (call.user()?, call.app(world));
    let id = world.add_comment(repo, number, by, call.needed("body")?)?;
    let shape = pulls::comment(world, repo, &world.repos[repo].comments[&id]);
    Ok(Answer::json(201, shape))
}

impl World {
    /// Writes a comment by an account, through an App where it is one's. Returns its id.
    pub fn add_comment(
        &mut self,
        repo: usize,
        number: u64,
        (user, app): (u64, Option<u64>),
        body: String,
    ) -> Result<u64, Refusal> {
        let (id, now) = (self.fresh_id(), self.now());
        self.pull_mut(repo, number)?.updated_at = now;
        let comment = Comment {
            id,
            number,
            user,
            app,
            body,
            created_at: now,
            updated_at: now,
        };
        let payload = events::comment(self, repo, &comment)?;
        self.repos[repo].comments.insert(id, comment);
        self.post.send("issue_comment", payload);
        Ok(id)
    }
}

/// `GET /repos/{owner}/{repo}/issues/comments/{comment_id}`.
pub fn get_comment(world: &mut World, call: &Call) -> Answered {
    let repo = call.repository()?;
    let comment = world.repos[repo]
        .comments
        .get(&call.number("comment_id")?)
        .ok_or_else(Refusal::not_found)?;
    Ok(Answer::ok(pulls::comment(world, repo, comment)))
}

/// `PATCH /repos/{owner}/{repo}/issues/comments/{comment_id}`.
pub fn edit_comment(world: &mut World, call: &Call) -> Answered {
    let repo = call.repository()?;
    let now = world.now();
    let comment = world.repos[repo]
        .comments
        .get_mut(&call.number("comment_id")?)
        .ok_or_else(Refusal::not_found)?;
    comment.body = call.needed("body")?;
    comment.updated_at = now;
    let comment = comment.clone();
    Ok(Answer::ok(pulls::comment(world, repo, &comment)))
}

/// `DELETE /repos/{owner}/{repo}/issues/comments/{comment_id}`.
pub fn delete_comment(world: &mut World, call: &Call) -> Answered {
    let repo = call.repository()?;
    world.repos[repo]
        .comments
        .remove(&call.number("comment_id")?)
        .map(|_| Answer::empty())
        .ok_or_else(Refusal::not_found)
}

/// `GET /repos/{owner}/{repo}/issues/{issue_number}/events`, of which the stand-in keeps the dismissals of reviews: oldest first.
pub fn events(world: &mut World, call: &Call) -> Answered {
    let repo = call.repository()?;
    let pull = world.pull(repo, call.number("issue_number")?)?;
    let dismissed = pull
        .reviews
        .iter()
        .filter_map(|review| Some((review, review.dismissed.as_ref()?)));
    let mut dismissed: Vec<_> = dismissed.collect();
    dismissed.sort_by_key(|(_, how)| how.event);
    let shapes = dismissed
        .into_iter()
        .map(|(review, how)| pulls::dismissal(world, repo, review, how));
    Ok(call.page(shapes.collect()))
}

fn shown(world: &World, call: &Call) -> Answered {
    let repo = call.repository()?;
    let pull = world.pull(repo, call.number("issue_number")?)?;
    Ok(call.page(
        pull.labels
            .iter()
            .map(|name| pulls::label(world, repo, name))
            .collect(),
    ))
}

/// `GET /repos/{owner}/{repo}/issues/{issue_number}/labels`.
pub fn labels(world: &mut World, call: &Call) -> Answered {
    shown(world, call)
}

/// The names in the body, which is a list of names, or an object with one.
fn wanted(call: &Call) -> Vec<String> {
    let list = if call.body.is_array() {
        &call.body
    } else {
        &call.body["labels"]
    };
    let name = |label: &Value| label.as_str().or(label["name"].as_str()).map(str::to_owned);
    list.as_array()
        .into_iter()
        .flatten()
        .filter_map(name)
        .collect()
}

/// `POST /repos/{owner}/{repo}/issues/{issue_number}/labels`.
pub fn add_labels(world: &mut World, call: &Call) -> Answered {
    let pull = world.pull_mut(call.repository()?, call.number("issue_number")?)?;
    for name in wanted(call) {
        if !pull
            .labels
            .iter()
            .any(|label| label.eq_ignore_ascii_case(&name))
        {
            pull.labels.push(name);
        }
    }
    shown(world, call)
}

/// `PUT /repos/{owner}/{repo}/issues/{issue_number}/labels`.
pub fn set_labels(world: &mut World, call: &Call) -> Answered {
    world
        .pull_mut(call.repository()?, call.number("issue_number")?)?
        .labels = wanted(call);
    shown(world, call)
}

/// `DELETE /repos/{owner}/{repo}/issues/{issue_number}/labels/{name}`.
pub fn remove_label(world: &mut World, call: &Call) -> Answered {
    let pull = world.pull_mut(call.repository()?, call.number("issue_number")?)?;
    let name = call.param("name");
    let at = pull
        .labels
        .iter()
        .position(|label| label.eq_ignore_ascii_case(name))
        .ok_or_else(|| Refusal::new(404, "Label does not exist"))?;
    pull.labels.remove(at);
    shown(world, call)
}
