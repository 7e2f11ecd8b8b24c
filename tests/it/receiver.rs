//! What a receiver or a program of one's own gives: the kinds `webhook` and `command`.

#![expect(clippy::unwrap_used, reason = "a test that cannot be set up fails")]

mod canary;
mod contract;
mod odd;
mod program;
pub mod server;
