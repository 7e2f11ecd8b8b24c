//! `http`: being built.
