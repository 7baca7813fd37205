//! Targets and the loop that collects them.
