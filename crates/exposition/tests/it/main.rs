//! The crate as its users meet it.

/// A body after another one.
mod again;

/// Bodies in, samples or the place of the mistake out, for both formats.
mod reading;

/// What is written is read back, and no body makes a panic.
mod round_trip;
