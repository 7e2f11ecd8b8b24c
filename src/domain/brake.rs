//! When removals that are only inferred (a file vanished or was rewritten, a listing came back short) are too many to be believed at once.
//!
//! What is due by time never passes a brake.

/// The most that may go at once without a second thought, however few there are.
const FLOOR: usize = 5;

/// Whether `removals` at once are held back: more than five, and more than a quarter of the `held`.
pub fn holds(removals: usize, held: usize) -> bool {
    removals > FLOOR.max(held / 4)
}
