//! Bundled roles: what they may be made of, who approves which part, and that each part lives a life of its own.

mod files;
pub mod life;
mod plan;
mod proof;
