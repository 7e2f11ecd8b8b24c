//! The organisation's guardrails: Cedar policies under `access/policies/`, and what they say to a request.
//!
//! A tree's policies are [`crate::domain::catalogue::Catalogue::policies`]. Whoever judges by other policies than the base's, as a
//! replay does, judges with another base: `let with = Catalogue { policies: head.policies.clone(), ..base.clone() }`, then
//! [`crate::domain::decision::decide`]. Whoever asks a single thing builds a [`Question`] and calls [`Guardrails::ask`].
//! Cases that are written beside policies are [`crate::domain::catalogue::Catalogue::policy_tests`]; [`cases::run`] runs them.
//!
//! Meaning: without any policy file the built-in default holds, `permit (principal, action, resource);`, which approves nothing
//! automatically. With files only they count, as Cedar means them: a permit is needed, and a forbid wins.
//!
//! Invariant: a policy that is kept passed strict validation against [`schema_source`], so that a misspelt attribute is refused in
//! its own pull request and never silently false. Whatever cannot be read or evaluated denies.

mod ask;
pub mod cases;
mod facts;
mod gate;
mod guardrails;
mod read;
mod reference;
mod schema;
mod vocabulary;

pub use ask::Answer;
pub use facts::{
    Action, Circumstances, Machine, Principal, Question, Somebody, Wanted, begun_minutes, continues,
};
pub use gate::{MAX_DEPTH, MAX_POLICIES, MAX_TOKENS};
pub use guardrails::{Guardrails, MAX_BYTES, MAX_TEAMS, PolicyRef};
pub use read::MAX_MESSAGE;
pub(crate) use read::{PolicyFile, read};
pub use reference::reference;
pub use schema::source as schema_source;
pub use vocabulary::{Kind, RISKS, Row, WEEKDAYS, table};
