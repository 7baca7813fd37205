//! Moments and spans as Go prints them.

use std::fmt::Write as _;

/// A moment: nanoseconds since the Unix epoch, in UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Time {
    pub(crate) nanos: i64,
}

/// A span: nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Duration {
    pub(crate) nanos: i64,
}

pub(crate) const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
pub(crate) const WEEKDAYS: [&str; 7] =
    ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];

/// The name of a month, counted from 1.
pub(crate) fn month_name(month: u8) -> &'static str {
    MONTHS.get(usize::from(month).wrapping_sub(1)).copied().unwrap_or("%!Month")
}

/// The name of a weekday; Sunday is 0.
pub(crate) fn weekday_name(weekday: u8) -> &'static str {
    WEEKDAYS.get(usize::from(weekday)).copied().unwrap_or("%!Weekday")
}

impl Time {
    pub(crate) fn civil(self) -> jiff::civil::DateTime {
        jiff::Timestamp::from_nanosecond(i128::from(self.nanos))
            .expect("64 bits of nanoseconds lie within jiff's years")
            .to_zoned(jiff::tz::TimeZone::UTC)
            .datetime()
    }

    pub(crate) fn month(self) -> u8 {
        self.civil().month().unsigned_abs()
    }

    pub(crate) fn weekday(self) -> u8 {
        self.civil().weekday().to_sunday_zero_offset().unsigned_abs()
    }

    /// As `String()`: `2012-11-24 11:14:12.5 +0000 UTC`.
    pub(crate) fn text(self) -> String {
        self.format("2006-01-02 15:04:05.999999999 -0700 MST")
    }

    /// As `Format`: the layout spells the moment 2006-01-02 15:04:05 -0700 MST.
    pub(crate) fn format(self, layout: &str) -> String {
        let mut out = String::with_capacity(layout.len() + 10);
        let mut rest = layout;
        while !rest.is_empty() {
            let found = FIELDS.iter().find(|field| field.stands_at(rest));
            if let Some(field) = found {
                self.write_field(&mut out, field.text);
                rest = &rest[field.text.len()..];
            } else if let Some(taken) = self.write_fraction(&mut out, rest, layout) {
                rest = &rest[taken..];
            } else {
                let c = rest.chars().next().expect("the rest is not empty");
                out.push(c);
                rest = &rest[c.len_utf8()..];
            }
        }
        out
    }

    fn write_field(self, out: &mut String, field: &str) {
        let civil = self.civil();
        let hour12 = match civil.hour() % 12 {
            0 => 12,
            hour => hour,
        };
        let half = |am: &'static str, pm: &'static str| if civil.hour() < 12 { am } else { pm };
        let written = match field {
            "January" => write!(out, "{}", month_name(self.month())),
            "Jan" => write!(out, "{}", &month_name(self.month())[..3]),
            "Monday" => write!(out, "{}", weekday_name(self.weekday())),
            "Mon" => write!(out, "{}", &weekday_name(self.weekday())[..3]),
            "MST" => write!(out, "UTC"),
            "2006" => write!(out, "{:04}", civil.year()),
            "06" => write!(out, "{:02}", civil.year().rem_euclid(100)),
            "01" => write!(out, "{:02}", civil.month()),
            "1" => write!(out, "{}", civil.month()),
            "02" => write!(out, "{:02}", civil.day()),
            "_2" => write!(out, "{:2}", civil.day()),
            "2" => write!(out, "{}", civil.day()),
            "002" => write!(out, "{:03}", civil.day_of_year()),
            "__2" => write!(out, "{:3}", civil.day_of_year()),
            "15" => write!(out, "{:02}", civil.hour()),
            "03" => write!(out, "{hour12:02}"),
            "3" => write!(out, "{hour12}"),
            "04" => write!(out, "{:02}", civil.minute()),
            "4" => write!(out, "{}", civil.minute()),
            "05" => write!(out, "{:02}", civil.second()),
            "5" => write!(out, "{}", civil.second()),
            "PM" => write!(out, "{}", half("AM", "PM")),
            "pm" => write!(out, "{}", half("am", "pm")),
            "-07:00:00" => write!(out, "+00:00:00"),
            "-07:00" => write!(out, "+00:00"),
            "-070000" => write!(out, "+000000"),
            "-0700" => write!(out, "+0000"),
            "-07" => write!(out, "+00"),
            // The ISO forms, all of them `Z` in UTC.
            _ => write!(out, "Z"),
        };
        written.expect("a String takes every write");
    }

    /// Writes a fraction of the second where `rest` starts with one (`.000`, `,999`), and says how
    /// many bytes of the layout it took.
    fn write_fraction(self, out: &mut String, rest: &str, layout: &str) -> Option<usize> {
        let point = rest.chars().next().filter(|c| ".,".contains(*c))?;
        let digit = rest[1..].chars().next().filter(|c| "09".contains(*c))?;
        let count = rest[1..].chars().take_while(|c| *c == digit).count();
        let follows_digit = rest[1 + count..].starts_with(|c: char| c.is_ascii_digit());
        let after_second =
            layout[..layout.len() - rest.len()].ends_with(['5', '0']) || digit == '0';
        if follows_digit || !after_second {
            return None;
        }
        let nanos = self.nanos.rem_euclid(1_000_000_000);
        let all = format!("{nanos:09}");
        let mut digits = all[..count.min(9)].to_owned();
        digits.extend(std::iter::repeat_n('0', count.saturating_sub(9)));
        if digit == '9' {
            digits.truncate(digits.trim_end_matches('0').len());
        }
        if !digits.is_empty() {
            out.push(point);
            out.push_str(&digits);
        }
        Some(1 + count)
    }
}

/// One element of a layout.
struct Field {
    text: &'static str,
    /// Characters that may not follow: `Jan` is no month in `Janet`.
    not_before_lowercase: bool,
}

impl Field {
    fn stands_at(&self, rest: &str) -> bool {
        rest.strip_prefix(self.text).is_some_and(|after| {
            !(self.not_before_lowercase && after.starts_with(|c: char| c.is_ascii_lowercase()))
        })
    }
}

const fn field(text: &'static str) -> Field {
    Field { text, not_before_lowercase: false }
}

const fn name(text: &'static str) -> Field {
    Field { text, not_before_lowercase: true }
}

/// A longer element stands before one that it starts with.
const FIELDS: [Field; 33] = [
    field("January"),
    name("Jan"),
    field("Monday"),
    name("Mon"),
    field("MST"),
    field("2006"),
    field("002"),
    field("01"),
    field("02"),
    field("03"),
    field("04"),
    field("05"),
    field("06"),
    field("15"),
    field("1"),
    field("__2"),
    field("_2"),
    field("2"),
    field("3"),
    field("4"),
    field("5"),
    field("PM"),
    field("pm"),
    field("-07:00:00"),
    field("-07:00"),
    field("-070000"),
    field("-0700"),
    field("-07"),
    field("Z07:00:00"),
    field("Z07:00"),
    field("Z070000"),
    field("Z0700"),
    field("Z07"),
];

impl Duration {
    /// As `String()`: `1h30m0s`, `500ms`, `1.5µs`.
    pub(crate) fn text(self) -> String {
        let nanos = self.nanos.unsigned_abs();
        let sign = if self.nanos < 0 { "-" } else { "" };
        let fraction = |value: u64, unit: u64, digits: usize| {
            let text = format!("{}.{:0digits$}", value / unit, value % unit);
            text.trim_end_matches('0').trim_end_matches('.').to_owned()
        };
        let text = match nanos {
            0 => "0s".to_owned(),
            1..1_000 => format!("{nanos}ns"),
            1_000..1_000_000 => format!("{}µs", fraction(nanos, 1_000, 3)),
            1_000_000..1_000_000_000 => format!("{}ms", fraction(nanos, 1_000_000, 6)),
            _ => {
                let (minutes, rest) = (nanos / 60_000_000_000, nanos % 60_000_000_000);
                let seconds = fraction(rest, 1_000_000_000, 9);
                match (minutes / 60, minutes % 60) {
                    (0, 0) => format!("{seconds}s"),
                    (0, minutes) => format!("{minutes}m{seconds}s"),
                    (hours, minutes) => format!("{hours}h{minutes}m{seconds}s"),
                }
            }
        };
        format!("{sign}{text}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layouts_spell_the_reference_moment() {
        let at = Time { nanos: 1_435_065_584_128_000_000 };
        let check = |layout: &str, text: &str| assert_eq!(at.format(layout), text, "{layout}");
        check("2006-01-02T15:04:05Z07:00", "2015-06-23T13:19:44Z");
        check("Mon, 2 Jan 2006 15:04:05.000 MST", "Tue, 23 Jun 2015 13:19:44.128 UTC");
        check("3:04PM", "1:19PM");
        check("05.999999", "44.128");
        check("Janet 2006", "Janet 2015");
        check("002 __2 _2 -0700", "174 174 23 +0000");
    }

    #[test]
    fn spans_print_as_go() {
        let check = |nanos, text: &str| assert_eq!(Duration { nanos }.text(), text);
        check(0, "0s");
        check(1, "1ns");
        check(1_500, "1.5µs");
        check(500_000_000, "500ms");
        check(90_061_500_000_000, "25h1m1.5s");
        check(-60_000_000_000, "-1m0s");
        check(i64::MIN, "-2562047h47m16.854775808s");
    }
}
