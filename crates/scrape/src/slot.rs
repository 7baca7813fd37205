use std::time::Duration;

use paramedic_model::{Labels, TimeMs};

/// Within which time the first collections of all targets begin.
const START_WITHIN: Duration = Duration::from_secs(5);

/// When in its interval a target is collected: at the same moment of each, and at another one than
/// most other targets, so that a thousand do not ask at once. As in Prometheus, labels and URL decide,
/// and a seed that differs from server to server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Slot(u64);

impl Slot {
    /// That of a target.
    pub fn new(labels: &Labels, url: &str, seed: u64) -> Self {
        Self(hash(&format!("{labels}{url}")) ^ seed)
    }

    /// A seed, from what tells this server from others: its name and its external labels.
    pub fn seed(host: &str, labels: &Labels) -> u64 {
        hash(&format!("{host}{labels}"))
    }

    /// The first of these moments after `after`.
    pub fn next_after(self, after: TimeMs, interval: Duration) -> TimeMs {
        let interval = i64::try_from(interval.as_millis()).unwrap_or(i64::MAX).max(1);
        let offset = (self.0 % interval.unsigned_abs()) as i64;
        let past = after.0.saturating_sub(offset).rem_euclid(interval);
        TimeMs(after.0.saturating_add(interval - past))
    }

    /// How long the first collection waits: a few seconds at most, as until then rules are not
    /// evaluated.
    pub fn first(self, interval: Duration) -> Duration {
        let within = interval.min(START_WITHIN).as_millis().max(1);
        Duration::from_millis((u128::from(self.0) % within) as u64)
    }
}

/// FNV-1a, and behind it a finalizer: the last bits of what is alike are to differ as much as any.
fn hash(text: &str) -> u64 {
    let fnv = text.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3)
    });
    let mixed = (fnv ^ (fnv >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    mixed ^ (mixed >> 33)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slot(n: usize) -> Slot {
        let instance = format!("host-{n}:9100");
        let labels = Labels::from([("job", "node"), ("instance", &*instance)]);
        Slot::new(&labels, &format!("http://{instance}/metrics"), 7)
    }

    #[test]
    fn a_thousand_targets_do_not_ask_at_once() {
        for interval in [15, 60].map(Duration::from_secs) {
            let mut by_second = vec![0; interval.as_secs() as usize];
            for n in 0..1000 {
                let at = slot(n).next_after(TimeMs(0), interval).0 - 1;
                by_second[at as usize / 1000] += 1;
            }
            let mean = 1000 / by_second.len();
            let most = by_second.iter().max().copied().unwrap_or_default();
            assert!(most < mean * 2 + 5, "{most} in one second, {mean} on average");
        }
        let mut first = [0; 5];
        for n in 0..1000 {
            first[slot(n).first(Duration::from_secs(60)).as_millis() as usize / 1000] += 1;
        }
        assert!(first.iter().all(|count| (150..250).contains(count)), "{first:?}");
    }

    #[test]
    fn a_slot_is_the_same_moment_of_each_interval() {
        let interval = Duration::from_secs(15);
        let mut at = slot(1).next_after(TimeMs(1_795_227_720_123), interval);
        assert!(at > TimeMs(1_795_227_720_123) && at <= TimeMs(1_795_227_735_123));
        for _ in 0..3 {
            let next = slot(1).next_after(at, interval);
            assert_eq!(next, at + interval);
            // Also for whoever is a little late.
            assert_eq!(slot(1).next_after(TimeMs(at.0 + 14_999), interval), next);
            at = next;
        }
        assert_ne!(slot(1), slot(2));
        let labels = Labels::empty();
        assert_ne!(Slot::seed("a", &labels), Slot::seed("b", &labels));
        // Whatever the clock says, there is a next moment.
        assert!(slot(1).next_after(TimeMs(-5), interval) > TimeMs(-5));
        slot(1).next_after(TimeMs(i64::MAX), Duration::MAX);
    }
}
