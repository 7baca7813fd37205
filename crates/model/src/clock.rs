use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use crate::TimeMs;

/// A boxed future that may move between threads; what the traits of this workspace return.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// The only source of time for a decision.
///
/// `serve` passes the wall clock, the lab one that runs faster, drills and tests a virtual one.
/// Deadlines of I/O do not use it: a socket is as slow as it is, at any speed.
pub trait Clock: Send + Sync {
    /// The current moment.
    fn now(&self) -> TimeMs;

    /// Returns once `duration` of this clock's time has passed.
    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()>;
}
