//! GitHub as the forge and as a target: first against a server that says exactly what a test tells it (what GitHub may say but the
//! stand-in never does), then against the stand-in, which has a state and checks every call against GitHub's own description.

#![expect(
    clippy::unwrap_used,
    reason = "what a test needs and does not get fails the test"
)]

mod app;
mod approved;
mod checks;
mod deployment;
mod kinds;
mod membership;
mod moved;
mod repository;
mod scripted;
mod snapshots;
mod standin;
mod team;
