//! How much one listing may take.

use super::{Answer, Failure};

/// The most pages of one listing.
const PAGES: usize = 1000;

/// The most bytes of all pages of one listing.
const LISTING: usize = 64 << 20;

/// What a listing has taken so far. A longer one is refused: one that is cut would say of somebody that they have nothing.
#[derive(Debug, Default)]
pub struct Listing {
    pages: usize,
    bytes: usize,
}

impl Listing {
    /// Whether no page was read yet.
    pub fn is_new(&self) -> bool {
        self.pages == 0
    }

    /// One page more.
    ///
    /// # Errors
    /// [`Failure::Refused`] when that is too much.
    pub fn add(&mut self, what: &str, page: &Answer) -> Result<(), Failure> {
        self.pages += 1;
        self.bytes += page.body.len();
        if self.pages <= PAGES && self.bytes <= LISTING {
            return Ok(());
        }
        Err(Failure::refused(
            what,
            format!(
                "the list has more than {PAGES} pages or {} MiB, and is not read on; shorten it at the target",
                LISTING >> 20
            ),
        ))
    }
}
