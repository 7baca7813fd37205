//! What the exit code of every command means. The table in docs/commands.md is this one.

use std::process::ExitCode;

use crate::config::ConfigErrors;

/// The command did what it was asked for.
pub const OK: u8 = 0;
/// It ran, and the answer is no: a drill fell short, a file has mistakes, a test failed, a proposal
/// was refused.
pub const NO: u8 = 1;
// 2 is clap's: it was called in a way that it does not understand.
/// It could not run: a file, a port, a server or a journal is not to be had, or nobody reads its
/// output any more. As in promtool also: there is lint, and `--lint-fatal`.
pub const FAILED: u8 = 3;

/// A command that ran, with yes or no for an answer.
pub fn answer(yes: bool) -> ExitCode {
    ExitCode::from(if yes { OK } else { NO })
}

/// A configuration that cannot be used: it has mistakes, or there is none.
pub fn mistakes(errors: &ConfigErrors) -> ExitCode {
    ExitCode::from(if errors.is_unreadable() { FAILED } else { NO })
}
