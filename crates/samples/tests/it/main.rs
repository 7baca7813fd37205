//! The tests of the window.

/// What a source promises to the evaluator, whatever was committed.
mod columns;
/// What commits take, refuse, end and report.
mod commits;
