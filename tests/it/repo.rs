//! The git port, against repositories made with git itself and served by `git http-backend`.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod evidence;
mod fixture;
mod history;
mod killed;
mod packs;
mod remote;
mod signed;
mod tampered;
mod trees;
mod writing;
