use std::fmt;
use std::ops::{Add, Sub};
use std::time::Duration;

/// A moment: milliseconds since the Unix epoch, as Prometheus counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct TimeMs(pub i64);

impl TimeMs {
    /// Seconds since the epoch, with fractions, as in Prometheus's API.
    pub fn as_secs_f64(self) -> f64 {
        self.0 as f64 / 1000.0
    }

    /// How long ago `earlier` was; zero where it is not earlier.
    pub fn since(self, earlier: TimeMs) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }
}

impl Add<Duration> for TimeMs {
    type Output = TimeMs;
    fn add(self, duration: Duration) -> TimeMs {
        TimeMs(self.0.saturating_add(duration_ms(duration)))
    }
}

impl Sub<Duration> for TimeMs {
    type Output = TimeMs;
    fn sub(self, duration: Duration) -> TimeMs {
        TimeMs(self.0.saturating_sub(duration_ms(duration)))
    }
}

fn duration_ms(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

/// Prints RFC 3339 in UTC with milliseconds: `2026-11-21T02:22:01.000Z`.
///
/// Computed here, by the days-from-civil algorithm, since this crate has no dependencies.
impl fmt::Display for TimeMs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const DAY_MS: i64 = 86_400_000;
        let (days, ms) = (self.0.div_euclid(DAY_MS), self.0.rem_euclid(DAY_MS));
        let z = days + 719_468;
        let (era, day_of_era) = (z.div_euclid(146_097), z.rem_euclid(146_097));
        let year_of_era =
            (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let shifted_month = (5 * day_of_year + 2) / 153;
        let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
        let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
        let year = year_of_era + era * 400 + i64::from(month <= 2);
        let (hours, minutes) = (ms / 3_600_000, ms / 60_000 % 60);
        let (seconds, millis) = (ms / 1000 % 60, ms % 1000);
        write!(f, "{year:04}-{month:02}-{day:02}T{hours:02}:{minutes:02}:{seconds:02}.{millis:03}Z")
    }
}

/// Why a text is no duration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DurationError {
    text: String,
    is_too_long: bool,
}

impl fmt::Display for DurationError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.text.as_str(), self.is_too_long) {
            ("", _) => f.write_str("empty duration string"),
            (_, true) => f.write_str("duration out of range"),
            (text, false) => write!(f, "not a valid duration string: {text:?}"),
        }
    }
}

impl std::error::Error for DurationError {}

/// Units in Prometheus's order, the largest first; each may stand once, in this order.
const UNITS: [(&str, u64); 7] = [
    ("y", 31_536_000_000),
    ("w", 604_800_000),
    ("d", 86_400_000),
    ("h", 3_600_000),
    ("m", 60_000),
    ("s", 1000),
    ("ms", 1),
];

/// Reads a duration as Prometheus writes it: `5m`, `1h30m`, `0`; a year has 365 days.
///
/// # Errors
///
/// Anything else, a repeated or misplaced unit, or one beyond 292 years.
pub fn parse_duration(text: &str) -> Result<Duration, DurationError> {
    let error = || DurationError { text: text.to_owned(), is_too_long: false };
    let too_long = || DurationError { text: text.to_owned(), is_too_long: true };
    if text == "0" {
        return Ok(Duration::ZERO);
    }
    let (mut rest, mut next_unit, mut total_ms) = (text, 0, Some(0u64));
    if rest.is_empty() {
        return Err(error());
    }
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).ok_or_else(error)?;
        if digits == 0 {
            return Err(error());
        }
        // Only digits: what does not fit is too large.
        let count: Option<u64> = rest[..digits].parse().ok();
        rest = &rest[digits..];
        let letters = rest.find(|c: char| c.is_ascii_digit()).unwrap_or(rest.len());
        let unit = UNITS.iter().position(|(name, _)| *name == &rest[..letters]);
        let unit = unit.filter(|unit| *unit >= next_unit).ok_or_else(error)?;
        rest = &rest[letters..];
        next_unit = unit + 1;
        let ms = count.and_then(|count| count.checked_mul(UNITS[unit].1));
        total_ms = total_ms.zip(ms).and_then(|(total, ms)| total.checked_add(ms));
    }
    let in_range = |ms: &u64| i64::try_from(*ms).is_ok_and(|ms| ms <= i64::MAX / 1_000_000);
    total_ms.filter(in_range).map(Duration::from_millis).ok_or_else(too_long)
}

/// Prints a duration as Prometheus does: `1h30m`, `0s`. Less than a millisecond is dropped.
///
/// Years and weeks are used only where they divide the whole: 90 days print as `90d`, 14 as `2w`.
pub fn format_duration(duration: Duration) -> String {
    let mut ms = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    if ms == 0 {
        return "0s".to_owned();
    }
    let mut text = String::new();
    for (unit, size) in UNITS {
        // Years and weeks only where nothing remains: `1w1d` would read worse than `8d`.
        let only_exact = matches!(unit, "y" | "w");
        let count = ms / size;
        if count > 0 && (!only_exact || ms.is_multiple_of(size)) {
            text.push_str(&format!("{count}{unit}"));
            ms -= count * size;
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_and_print_as_in_prometheus() {
        let check = |text: &str, ms: u64, printed: &str| {
            let duration = parse_duration(text).expect(text);
            assert_eq!(duration, Duration::from_millis(ms), "{text}");
            assert_eq!(format_duration(duration), printed, "{text}");
        };
        check("0", 0, "0s");
        check("0s", 0, "0s");
        check("324ms", 324, "324ms");
        check("3s", 3000, "3s");
        check("5m", 300_000, "5m");
        check("1h30m", 5_400_000, "1h30m");
        check("4d", 345_600_000, "4d");
        check("4d1h", 349_200_000, "4d1h");
        check("14d", 1_209_600_000, "2w");
        check("8w", 4_838_400_000, "8w");
        check("10y", 315_360_000_000, "10y");
        for bad in ["", "1", "1y1m1d", "-1w", "1.5d", "d", "294y", "5m5m", "99999999999999999999s"]
        {
            assert!(parse_duration(bad).is_err(), "{bad:?}");
        }
        let reason = |text: &str| parse_duration(text).expect_err(text).to_string();
        assert_eq!(reason(""), "empty duration string");
        assert_eq!(reason("294y"), "duration out of range");
        assert_eq!(reason("5x"), "not a valid duration string: \"5x\"");
    }

    #[test]
    fn moments_print_as_rfc_3339() {
        let check = |ms, text: &str| assert_eq!(TimeMs(ms).to_string(), text);
        check(0, "1970-01-01T00:00:00.000Z");
        check(-1, "1969-12-31T23:59:59.999Z");
        check(951_782_400_000, "2000-02-29T00:00:00.000Z");
        check(1_795_228_921_500, "2026-11-21T02:42:01.500Z");
    }
}
