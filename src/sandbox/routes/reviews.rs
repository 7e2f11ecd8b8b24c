//! Reviews.

use crate::sandbox::call::{Answer, Answered, Call};
use crate::sandbox::model::Verdict;
use crate::sandbox::refusal::Refusal;
use crate::sandbox::render::pulls;
use crate::sandbox::world::World;

/// `GET .../reviews`: oldest first.
pub fn list(world: &mut World, call: &Call) -> Answered {
    let repo = call.repository()?;
    let pull = world.pull(repo, call.number("pull_number")?)?;
    Ok(call.page(
        pull.reviews
            .iter()
            .map(|review| pulls::review(world, repo, pull, review))
            .collect(),
    ))
}

fn shown(world: &World, call: &Call, id: u64) -> Answered {
    let repo = call.repository()?;
    let pull = world.pull(repo, call.number("pull_number")?)?;
    let review = pull
        .reviews
        .iter()
        .find(|review| review.id == id)
        .ok_or_else(Refusal::not_found)?;
    Ok(Answer::ok(pulls::review(world, repo, pull, review)))
}

/// `GET .../reviews/{review_id}`.
pub fn get(world: &mut World, call: &Call) -> Answered {
    shown(world, call, call.number("review_id")?)
}

/// `POST .../reviews`.
pub fn create(world: &mut World, call: &Call) -> Answered {
    let verdict = match call.text("event").as_deref() {
        Some("APPROVE") => Verdict::Approve,
        Some("REQUEST_CHANGES") => Verdict::RequestChanges,
        Some("COMMENT") => Verdict::Comment,
        _ => {
            return Err(Refusal::new(
                422,
                "Pending reviews are not part of the stand-in: `event` must be given.",
            ));
        }
    };
    let (repo, number) = (call.repository()?, call.number("pull_number")?);
    let body = call.text("body").unwrap_or_default();
    let id = world.review(
        repo,
        number,
        call.user()?,
        verdict,
        &body,
        call.text("commit_id").as_deref(),
    )?;
    shown(world, call, id)
}

/// `PUT .../reviews/{review_id}/dismissals`.
pub fn dismiss(world: &mut World, call: &Call) -> Answered {
    call.needed("message")?;
    let id = call.number("review_id")?;
    world.dismiss(
        call.repository()?,
        call.number("pull_number")?,
        id,
        call.user()?,
    )?;
    shown(world, call, id)
}
