//! Membership of groups at Okta: at an emulator of it, and at servers that answer as Okta does where the emulator does not.

#![expect(clippy::unwrap_used, reason = "a test that cannot be set up fails")]

mod contract;
mod odd;
mod server;
