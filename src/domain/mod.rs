//! The decisions of Hallpass, pure: no I/O, no clock, no async, no logging. `now` is always an argument.
//!
//! The same facts give the same verdict, today and when an auditor replays them. The shell around it ([`crate::reconcile`])
//! observes, calls [`decision::decide`] or [`plan::plan`], and acts.

pub mod address;
pub mod anchor;
pub mod approval;
pub mod asking;
pub mod audit;
pub mod brake;
pub mod catalogue;
pub mod causes;
pub mod changes;
pub mod codeowners;
pub mod decision;
pub mod deployment;
pub mod doctor;
pub mod drift;
pub mod emergency;
pub mod evidence;
pub mod finding;
pub mod foresight;
pub mod history;
pub mod impact;
pub mod import;
pub mod label;
pub mod landing;
pub mod late;
pub mod ledger;
pub mod message;
pub mod model;
pub mod notice;
pub mod parse;
pub mod people;
pub mod plan;
pub mod policy;
pub mod proposal;
pub mod pull;
pub mod recovery;
pub mod release;
pub mod remark;
pub mod render;
pub mod replay;
pub mod report;
pub mod round;
pub mod rules;
pub mod safety;
pub mod schema;
mod supposed;
pub mod target;
pub mod tenure;
pub mod visitor;
