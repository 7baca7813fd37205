//! The integration for generic.
