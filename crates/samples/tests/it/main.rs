//! The tests of the window.

/// What series that come and go cost, and what limits do.
mod churn;
/// What a source promises to the evaluator, whatever was committed.
mod columns;
/// What commits take, refuse, end and report.
mod commits;
/// What is left when the process is killed.
mod crash;
/// Lists that come again, and what they do when they do not.
mod lists;
/// What a restart finds: after a stop, a crash, damage.
mod log;
/// Random numbers that are the same in every run, and what a window holds as plain data.
mod support;
