//! Every test of Hallpass, as one binary: one link, and one place for what tests share.

#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot go on should stop there"
)]

mod abuse;
mod actions;
mod anchors;
mod approval;
mod asking;
mod attacks;
mod audit;
mod aws;
mod badges;
mod brake;
mod breakglass;
mod browser;
mod bundle;
mod causes;
mod codeowners;
mod config;
mod context;
mod contract;
mod contracts;
mod decision;
mod demo;
mod deployments;
mod doctor;
mod drift;
mod duties;
mod evidence;
mod github;
mod golden;
mod guards;
mod hanging;
mod heads;
mod http_client;
mod impact;
mod init;
mod kills;
mod labels;
mod late;
mod ldap;
mod leaks;
mod metrics;
mod mysql;
mod notices;
mod notify;
mod okta;
mod once;
mod overlap;
mod page;
mod people;
mod plan;
mod policy;
mod postgres;
mod program;
mod promises;
mod receiver;
mod recovery;
mod remarks;
mod replay;
mod replicas;
mod repo;
mod report;
mod returning;
mod reviews;
mod running;
mod sandbox;
mod scenario;
mod scim;
mod serve;
mod store;
mod terms;
mod text;
mod tidy;
mod traces;
mod vault;
mod webhook;
mod wire;
mod world;

/// Whether this run may take long, as `tests/run --long` says.
fn is_long() -> bool {
    std::env::var_os("HALLPASS_LONG").is_some()
}
