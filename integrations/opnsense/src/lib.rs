//! The integration for opnsense.
