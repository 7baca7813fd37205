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

#[cfg(test)]
mod tests {
    use super::*;

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
