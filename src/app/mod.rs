//! The composition root: the only place that names concrete adapters.

mod anchors;
pub mod audit;
mod channels;
pub mod demo;
pub mod doctor;
pub mod init;
pub mod inspect;
pub mod logging;
pub mod needs;
pub mod offline;
pub mod propose;
mod providers;
pub mod reconcile;
pub mod recover;
pub mod registration;
pub mod serve;
pub mod service;
pub mod traces;
