//! Virtual time, in-memory networks, and scenarios for tests and drills.
