use std::time::Duration;

use paramedic_model::{BoxFuture, Clock, TimeMs};
use tokio::time::Instant;

/// A clock over tokio's timer, which may run faster than the wall.
///
/// With `speed` 1 it is the wall clock of `serve`; with 30, the lab's: thirty of its seconds pass
/// in one. Under a paused tokio runtime it is virtual time, for drills and tests.
#[derive(Debug, Clone)]
pub struct ScaledClock {
    epoch: TimeMs,
    start: Instant,
    speed: f64,
}

impl ScaledClock {
    /// A clock that shows `epoch` now and runs `speed` times as fast as tokio's. Speeds below a
    /// thousandth count as that.
    pub fn new(epoch: TimeMs, speed: f64) -> Self {
        Self { epoch, start: Instant::now(), speed: speed.max(0.001) }
    }

    /// The wall clock.
    #[expect(clippy::disallowed_methods, reason = "the one place where wall time enters")]
    pub fn wall() -> Self {
        let since_epoch =
            std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        Self::new(TimeMs(0) + since_epoch, 1.0)
    }

    /// The wall clock's moment, `speed` times as fast from there.
    pub fn wall_at_speed(speed: f64) -> Self {
        Self { speed: speed.max(0.001), ..Self::wall() }
    }
}

impl Clock for ScaledClock {
    fn now(&self) -> TimeMs {
        self.epoch + self.start.elapsed().mul_f64(self.speed)
    }

    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        Box::pin(tokio::time::sleep(duration.div_f64(self.speed)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_fast_clock_sleeps_less_and_shows_more() {
        let clock = ScaledClock::new(TimeMs(1000), 30.0);
        let before = Instant::now();
        clock.sleep(Duration::from_secs(300)).await;
        assert_eq!(before.elapsed(), Duration::from_secs(10));
        assert_eq!(clock.now(), TimeMs(301_000));
    }
}
