//! `reconcile`: being built.
