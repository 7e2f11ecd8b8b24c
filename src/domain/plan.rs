//! What must be done so that the target systems match what was proved.
//!
//! Pure: same inputs, same plan. Invariant: performing a plan and planning again yields nothing.
