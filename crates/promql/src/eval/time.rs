//! The calendar functions, in UTC.

/// A day of the calendar and the time of that day.
struct Civil {
    year: i64,
    month: i64,
    day: i64,
    day_of_year: i64,
    /// 0 is Sunday.
    day_of_week: i64,
    hour: i64,
    minute: i64,
}

const DAY_SECONDS: i64 = 86_400;

/// The number of days in a month of the Gregorian calendar.
fn month_days(year: i64, month: i64) -> i64 {
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    match month {
        2 if leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Splits seconds since the epoch, by the days-from-civil algorithm: eras of 400 years, and years
/// that begin in March, so that the leap day is the last.
fn civil(seconds: i64) -> Civil {
    let (days, of_day) = (seconds.div_euclid(DAY_SECONDS), seconds.rem_euclid(DAY_SECONDS));
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let from_march = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * from_march + 2) / 153;
    let day = from_march - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    Civil {
        year,
        month,
        day,
        day_of_year: (1..month).map(|month| month_days(year, month)).sum::<i64>() + day,
        day_of_week: (days + 4).rem_euclid(7), // The epoch was a Thursday.
        hour: of_day / 3600,
        minute: of_day / 60 % 60,
    }
}

/// The functions of a moment in seconds since the epoch, by name.
pub(crate) fn calendar_function(name: &str) -> Option<fn(f64) -> f64> {
    let field: fn(f64) -> f64 = match name {
        "days_in_month" => |seconds| {
            let civil = civil(seconds as i64);
            month_days(civil.year, civil.month) as f64
        },
        "day_of_month" => |seconds| civil(seconds as i64).day as f64,
        "day_of_week" => |seconds| civil(seconds as i64).day_of_week as f64,
        "day_of_year" => |seconds| civil(seconds as i64).day_of_year as f64,
        "hour" => |seconds| civil(seconds as i64).hour as f64,
        "minute" => |seconds| civil(seconds as i64).minute as f64,
        "month" => |seconds| civil(seconds as i64).month as f64,
        "year" => |seconds| civil(seconds as i64).year as f64,
        _ => return None,
    };
    Some(field)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_split_as_the_calendar_says() {
        let check = |seconds: f64, expected: [f64; 8]| {
            let names = [
                "year",
                "month",
                "day_of_month",
                "day_of_year",
                "day_of_week",
                "hour",
                "minute",
                "days_in_month",
            ];
            let found = names.map(|name| calendar_function(name).expect("in the table")(seconds));
            assert_eq!(found, expected, "{seconds}");
        };
        check(0.0, [1970.0, 1.0, 1.0, 1.0, 4.0, 0.0, 0.0, 31.0]);
        check(951_782_400.0, [2000.0, 2.0, 29.0, 60.0, 2.0, 0.0, 0.0, 29.0]);
        check(-1.0, [1969.0, 12.0, 31.0, 365.0, 3.0, 23.0, 59.0, 31.0]);
        // Beyond every calendar, and still no panic.
        check_extremes();
    }

    fn check_extremes() {
        for seconds in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            assert!(calendar_function("year").expect("in the table")(seconds).is_finite());
        }
    }
}
