//! What holds for every ledger, every protected branch, every word of the forge and every time.
