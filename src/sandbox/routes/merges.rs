//! Merging.

use serde_json::json;

use crate::sandbox::call::{Answer, Answered, Call};
use crate::sandbox::merging::MergeWish;
use crate::sandbox::model::MergeMethod;
use crate::sandbox::refusal::Refusal;
use crate::sandbox::world::World;

/// `GET /repos/{owner}/{repo}/pulls/{pull_number}/merge`: 204 once merged.
pub fn merged(world: &mut World, call: &Call) -> Answered {
    let pull = world.pull(call.repository()?, call.number("pull_number")?)?;
    pull.merged
        .as_ref()
        .map(|_| Answer::empty())
        .ok_or_else(Refusal::not_found)
}

/// `PUT /repos/{owner}/{repo}/pulls/{pull_number}/merge`.
pub fn merge(world: &mut World, call: &Call) -> Answered {
    let method = match call.text("merge_method").as_deref() {
        None | Some("merge") => MergeMethod::Merge,
        Some("squash") => MergeMethod::Squash,
        Some("rebase") => MergeMethod::Rebase,
        Some(_) => {
            return Err(Refusal::new(
                422,
                "Invalid request.\n\nmerge_method is not one of merge, squash, rebase.",
            ));
        }
    };
    let wish = MergeWish {
        method,
        title: call.text("commit_title"),
        message: call.text("commit_message"),
        sha: call.text("sha"),
        bypass: false,
    };
    let app = call.app(world);
    let commit = world.merge(
        call.repository()?,
        call.number("pull_number")?,
        call.user()?,
        app,
        wish,
    )?;
    Ok(Answer::ok(
        json!({ "sha": commit.to_string(), "merged": true, "message": "Pull Request successfully merged" }),
    ))
}
