//! The published JSON Schemas, compiled in: what editors show is what the service enforces.
