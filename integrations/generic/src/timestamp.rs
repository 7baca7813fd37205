use std::time::Duration;

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use paramedic_model::TimeMs;

/// How `systemctl show` writes a moment under `TZ=UTC`, without the zone at its end.
const FORMAT: &str = "%a %Y-%m-%d %H:%M:%S";

/// Reads a moment of `systemctl show`: `Sat 2026-11-21 02:22:00 UTC`. `None` for a moment that
/// never was (empty or `n/a`) and for any other text.
pub(crate) fn parse(text: &str) -> Option<TimeMs> {
    let text = text.strip_suffix(" UTC")?;
    let at = DateTime::strptime(FORMAT, text).ok()?.to_zoned(TimeZone::UTC).ok()?;
    Some(TimeMs(at.timestamp().as_millisecond()))
}

/// Writes a moment as `systemctl show` does: in whole seconds.
pub(crate) fn format(at: TimeMs) -> String {
    let at = Timestamp::from_millisecond(at.0).unwrap_or(Timestamp::UNIX_EPOCH);
    format!("{} UTC", at.strftime(FORMAT))
}

/// Reads a time span of `systemctl show`: `100ms`, `5min`, `1h 30s`. `None` for `infinity` and for
/// any other text.
pub(crate) fn parse_span(text: &str) -> Option<Duration> {
    const UNITS: [(&str, f64); 9] = [
        ("us", 1e-6),
        ("ms", 1e-3),
        ("min", 60.0),
        ("month", 2_629_800.0),
        ("y", 31_557_600.0),
        ("w", 604_800.0),
        ("d", 86_400.0),
        ("h", 3600.0),
        ("s", 1.0),
    ];
    let part = |part: &str| {
        let digits = part.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(part.len());
        let (count, unit) = part.split_at(digits);
        let unit = if unit.is_empty() { "s" } else { unit };
        let (_, seconds) = UNITS.iter().find(|(name, _)| *name == unit)?;
        let seconds = count.parse::<f64>().ok()? * seconds;
        Duration::try_from_secs_f64(seconds).ok()
    };
    let mut total = Duration::ZERO;
    for text in text.split_whitespace() {
        total = total.checked_add(part(text)?)?;
    }
    (!text.trim().is_empty()).then_some(total)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_read() {
        let check = |text: &str, ms: Option<u64>| {
            assert_eq!(parse_span(text), ms.map(Duration::from_millis), "{text:?}");
        };
        check("100ms", Some(100));
        check("5min", Some(300_000));
        check("1h 30s", Some(3_630_000));
        check("1.5s", Some(1500));
        check("0", Some(0));
        for text in ["", "infinity", "s", "5 apples", "-1s", "1e400s"] {
            check(text, None);
        }
    }

    #[test]
    fn moments_read_and_print() {
        let at = TimeMs(1_795_227_720_000);
        assert_eq!(format(at), "Sat 2026-11-21 02:22:00 UTC");
        assert_eq!(parse("Sat 2026-11-21 02:22:00 UTC"), Some(at));
        for text in ["", "n/a", "Sat 2026-11-21 02:22:00 CET", "2026-11-21", " UTC"] {
            assert_eq!(parse(text), None, "{text:?}");
        }
    }
}
