//! How much of what a target lists is read. A part of a list is no list: more is refused, and never cut off.

/// Holders of one thing, members of one group, lines about one role.
pub(super) const MOST: usize = 20_000;

/// [`MOST`] and one, which tells that there are more: the limit to ask a database for.
pub(super) const MOST_AND_ONE: i64 = 20_001;

/// More than is read.
#[derive(Debug, thiserror::Error)]
#[error(
    "there are more than {MOST}, which is the most that Hallpass reads; divide it into smaller ones"
)]
pub(super) struct TooMany;

/// All of them, unless they are too many.
pub(super) fn whole<T>(rows: Vec<T>) -> Result<Vec<T>, sqlx::Error> {
    match rows.len() {
        ..=MOST => Ok(rows),
        _ => Err(sqlx::Error::Decode(Box::new(TooMany))),
    }
}

/// Whether that is why reading failed.
pub(super) fn is_too_many(error: &sqlx::Error) -> bool {
    matches!(error, sqlx::Error::Decode(why) if why.is::<TooMany>())
}
