//! Data on the standard output.
//!
//! Whoever reads it may hang up early, as `head` does. Then nobody is left to tell, and the program
//! ends quietly; `println!` would panic.

use std::fmt::Arguments;
use std::io::{ErrorKind, Write as _};

use crate::exit;

/// Writes, or ends the program where the output is closed.
pub fn write(text: Arguments<'_>) {
    let mut stdout = std::io::stdout().lock();
    let Err(error) = stdout.write_fmt(text).and_then(|()| stdout.flush()) else { return };
    if error.kind() != ErrorKind::BrokenPipe {
        eprintln!("paramedic: write to the standard output: {error}");
    }
    std::process::exit(i32::from(exit::FAILED));
}

/// Prints to the standard output.
macro_rules! out {
    ($($arg:tt)*) => { $crate::out::write(format_args!($($arg)*)) };
}

/// Prints a line to the standard output.
macro_rules! outln {
    ($($arg:tt)*) => { $crate::out::write(format_args!("{}\n", format_args!($($arg)*))) };
}

pub(crate) use {out, outln};
