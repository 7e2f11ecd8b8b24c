//! The page for people, as HTML: what is live, what waits, what ended, and the story of each grant.
//!
//! Pure: what is shown is handed in. Everything that somebody else may have written goes through the template's escaping, and what no
//! eye would see in it is written out. Nothing here holds a style or a script of its own: `style.css` and `countdown.js` are files.

mod doors;
mod lists;
mod offers;
mod rows;
mod stories;

use std::borrow::Borrow;

use super::super::evidence;
use super::super::model::{Instant, Login};
use super::super::report::Pages;
use super::audit::words;
use super::human::visible;

pub use doors::{Door, confirm, door, plain};
pub use lists::{Asking, Listing, Overview, Search, Trouble, listing, overview, search, waiting};
pub use offers::asking;
pub use stories::{Story, story};

/// The style of every page: that of the report for auditors, and what the page adds to it.
pub const STYLE: &str = concat!(
    include_str!("../audit/templates/style.css"),
    include_str!("templates/page.css")
);

/// The mark in the browser's tab.
pub const ICON: &str = include_str!("templates/icon.svg");

/// The only script: it counts down.
pub const SCRIPT: &str = include_str!("templates/countdown.js");

/// What every page has around it.
#[derive(Debug, Clone, Copy)]
pub struct Frame<'a> {
    /// Where the repository is.
    pub pages: &'a Pages,
    /// The repository: `acme/access`.
    pub repository: &'a str,
    /// Who looks.
    pub viewer: &'a Login,
    /// What proves that a form was asked for by this session.
    pub token: &'a str,
    /// Why nothing is given, where nothing is.
    pub safe_mode: Option<&'a str>,
    /// When this is.
    pub now: Instant,
}

/// What the templates ask of the frame.
impl Frame<'_> {
    fn iso(&self, at: &Instant) -> String {
        evidence::instant(*at)
    }

    fn time(&self, at: &Instant) -> String {
        words::instant(*at)
    }

    fn number(&self, n: impl Borrow<u64>) -> String {
        words::number(*n.borrow())
    }

    fn say(&self, text: &str) -> String {
        visible(text)
    }

    /// How long from now to `at`, or from `at` to now.
    fn length(&self, at: &Instant) -> String {
        let ms = (*at - self.now).num_milliseconds().unsigned_abs();
        // People count in seconds here, not in less.
        words::length(ms / 1000 * 1000)
    }

    fn root(&self) -> &str {
        self.pages.repository.trim_end_matches('/')
    }

    fn pull(&self, number: impl std::fmt::Display) -> String {
        format!("{}/pull/{number}", self.root())
    }
}
