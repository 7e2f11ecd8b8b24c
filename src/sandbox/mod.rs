//! `sandbox`: being built.
