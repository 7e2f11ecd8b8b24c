//! AWS: against moto, and against servers that answer as AWS does where moto does not.

#![expect(clippy::unwrap_used, reason = "a test that cannot be set up fails")]

mod contract;
mod gone;
mod odd;
pub mod server;
