//! The integration for windows.
