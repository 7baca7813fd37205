//! The loop that carries out what the pure crates decide.
