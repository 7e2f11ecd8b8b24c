//! The database is lost, or an old backup is put back: nothing is given on what it says, and what is due still ends.

mod backup;
mod ledger;
mod lost;
mod program;
mod safe;
