//! The integration for oxidized.
