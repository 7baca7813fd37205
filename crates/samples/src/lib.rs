//! The recent window of samples, in columns.
