//! Role memberships on a real PostgreSQL server.

#![expect(clippy::unwrap_used, reason = "a test that cannot be set up fails")]

pub mod server;
