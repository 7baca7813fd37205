use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use paramedic_model::{BoxFuture, Clock, TimeMs};
use tokio::time::Instant;

/// The wall clock, or one over tokio's timer that may run faster.
///
/// That of `serve` asks the system for the time whenever it is asked: the system may be set right
/// after the start, or sleep. With a `speed` of 30 it is the lab's: thirty of its seconds pass in one.
/// Under a paused tokio runtime that one is virtual time, for drills and tests.
#[derive(Debug, Clone)]
pub struct ScaledClock {
    course: Course,
    speed: f64,
}

#[derive(Debug, Clone)]
enum Course {
    /// From a moment on, by tokio's timer.
    Counted { epoch: TimeMs, start: Instant },
    /// As the system says.
    Wall(Arc<Mutex<Shown>>),
}

/// What a wall clock showed last, since the epoch, and when that was.
///
/// Samples, rounds and deadlines are in the order of time, so the clock never goes back. Where the
/// system does, it goes on at nine tenths of its speed until the two agree: one that stood still would
/// collect nothing, and fire nothing, for as long as the system went back.
#[derive(Debug)]
struct Shown {
    time: Duration,
    at: Instant,
}

impl Shown {
    /// What it shows at the moment `at`, when the system says `system`.
    fn next(&mut self, system: Duration, at: Instant) -> Duration {
        let elapsed = at.saturating_duration_since(self.at);
        *self = Self { time: system.max(self.time + elapsed / 10 * 9), at };
        self.time
    }
}

/// What the system says is the time, since the epoch.
#[expect(clippy::disallowed_methods, reason = "the one place where wall time enters")]
fn system_time() -> Duration {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default()
}

impl ScaledClock {
    /// A clock that shows `epoch` now and runs `speed` times as fast as tokio's. Speeds below a
    /// thousandth count as that.
    pub fn new(epoch: TimeMs, speed: f64) -> Self {
        let course = Course::Counted { epoch, start: Instant::now() };
        Self { course, speed: speed.max(0.001) }
    }

    /// The wall clock. Where the system's clock is set, or its machine slept, it shows that at once;
    /// but it never goes back: where the system does, it runs at nine tenths of its speed until the
    /// two agree.
    pub fn wall() -> Self {
        let shown = Shown { time: system_time(), at: Instant::now() };
        Self { course: Course::Wall(Arc::new(Mutex::new(shown))), speed: 1.0 }
    }

    /// The wall clock's moment, `speed` times as fast from there.
    pub fn wall_at_speed(speed: f64) -> Self {
        Self::new(TimeMs(0) + system_time(), speed)
    }
}

impl Clock for ScaledClock {
    fn now(&self) -> TimeMs {
        match &self.course {
            Course::Counted { epoch, start } => *epoch + start.elapsed().mul_f64(self.speed),
            Course::Wall(shown) => {
                let mut shown = shown.lock().unwrap_or_else(PoisonError::into_inner);
                TimeMs(0) + shown.next(system_time(), Instant::now())
            }
        }
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

    #[tokio::test(start_paused = true)]
    async fn the_wall_clock_follows_the_system_and_never_goes_back() {
        let start = Instant::now();
        let mut shown = Shown { time: Duration::ZERO, at: start };
        // Seconds since the start, what the system says, and what is shown.
        for (elapsed, system, expected) in [
            (10, 10, 10),
            // The machine slept for an hour, which the timer does not know.
            (11, 3611, 3611),
            // Before its time was right it said another year.
            (12, 1_000_000, 1_000_000),
            // It is set back by a minute, which takes ten to make good.
            (22, 999_950, 1_000_009),
            (112, 1_000_040, 1_000_090),
            (612, 1_000_540, 1_000_540),
            (613, 1_000_541, 1_000_541),
        ] {
            let at = start + Duration::from_secs(elapsed);
            let found = shown.next(Duration::from_secs(system), at);
            assert_eq!(found, Duration::from_secs(expected), "{elapsed} s after the start");
        }
    }
}
