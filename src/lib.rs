//! Hallpass: access requests as pull requests.

#[forbid(unsafe_code)]
pub mod domain;

pub mod clock;
pub mod cli;
pub mod config;
pub mod forge;
pub mod http;
pub mod providers;
pub mod reconcile;
pub mod repo;
pub mod sandbox;
pub mod store;
