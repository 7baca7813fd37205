//! The parameters of a request: of its address and of its form, read as Prometheus reads them.

use std::time::Duration;

use axum::body::Bytes;
use axum::extract::{FromRequest, Request};
use axum::http::{StatusCode, header};
use jiff::Timestamp;
use paramedic_model::{TimeMs, parse_duration};

use super::QUERY_BODY_BYTES_MAX;
use super::answer::Failure;

/// The bounds of time, as Prometheus prints and understands them.
const BOUNDS: [(&str, i64); 2] = [
    ("-292273086-05-16T16:47:06Z", i64::MIN + SLACK_MS),
    ("+292277025-08-18T07:12:54.999999999Z", i64::MAX - SLACK_MS),
];
/// What the bounds of time leave free on both ends: 62,135,596,801 s, the years before 1970.
const SLACK_MS: i64 = 62_135_596_801_000;

/// Names and values, those of the form before those of the address.
#[derive(Debug, Default)]
pub(super) struct Params(Vec<(String, String)>);

impl<S: Send + Sync> FromRequest<S> for Params {
    type Rejection = Failure;

    async fn from_request(request: Request, state: &S) -> Result<Self, Failure> {
        let address = request.uri().query().unwrap_or_default().to_owned();
        let kind = request.headers().get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
        let kind = kind.unwrap_or_default().split(';').next().unwrap_or_default().trim();
        let is_form = kind.eq_ignore_ascii_case("application/x-www-form-urlencoded");
        let mut pairs = Vec::new();
        if is_form && !request.method().is_safe() {
            let body = Bytes::from_request(request, state).await.map_err(|error| {
                match error.status() {
                    StatusCode::PAYLOAD_TOO_LARGE => Failure::too_large(format!(
                        "the form is longer than {QUERY_BODY_BYTES_MAX} bytes"
                    )),
                    _ => Failure::bad(format!("error parsing form values: {}", error.body_text())),
                }
            })?;
            pairs.extend(form_urlencoded::parse(&body).into_owned());
        }
        pairs.extend(form_urlencoded::parse(address.as_bytes()).into_owned());
        Ok(Self(pairs))
    }
}

impl Params {
    /// The first value of a parameter; empty where there is none.
    pub fn first(&self, name: &str) -> &str {
        let mut all = self.0.iter().filter(|(key, _)| key == name);
        all.next().map_or("", |(_, value)| value)
    }

    /// Every value of a parameter.
    pub fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        self.0.iter().filter(move |(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// A moment that must be there.
    pub fn time(&self, name: &str) -> Result<TimeMs, Failure> {
        parse_time(self.first(name)).map_err(|error| Failure::parameter(name, error))
    }

    /// A moment that may be there.
    pub fn time_if_any(&self, name: &str) -> Result<Option<TimeMs>, Failure> {
        match self.first(name) {
            "" => Ok(None),
            text => parse_time(text).map(Some).map_err(|error| {
                Failure::parameter(name, format!("invalid time value for '{name}': {error}"))
            }),
        }
    }

    /// The parameter `timeout`. What is negative has passed already.
    pub fn timeout(&self) -> Result<Option<Duration>, Failure> {
        match self.first("timeout") {
            "" => Ok(None),
            text => {
                let seconds = parse_step(text).map_err(|e| Failure::parameter("timeout", e))?;
                Ok(Some(seconds.unwrap_or_default()))
            }
        }
    }

    /// The parameter `lookback_delta`.
    pub fn lookback(&self) -> Result<Option<Duration>, Failure> {
        match self.first("lookback_delta") {
            "" => Ok(None),
            text => {
                let duration = parse_step(text).map_err(|error| {
                    Failure::bad(format!("error parsing lookback delta duration: {error}"))
                })?;
                // As there: what is not positive leaves the setting.
                Ok(duration.filter(|duration| !duration.is_zero()))
            }
        }
    }

    /// The parameter `step`.
    pub fn step(&self) -> Result<Duration, Failure> {
        let step = parse_step(self.first("step")).map_err(|e| Failure::parameter("step", e))?;
        // A step below the resolution of time would never arrive.
        step.filter(|step| step.as_millis() > 0).ok_or_else(|| {
            Failure::parameter(
                "step",
                "zero or negative query resolution step widths are not accepted. Try a positive \
                 integer",
            )
        })
    }

    /// How many series are wanted at most; none where all are.
    pub fn limit(&self) -> Result<Option<usize>, Failure> {
        let fail = |message: String| Failure::parameter("limit", message);
        match self.first("limit") {
            "" => Ok(None),
            text => match text.parse::<i64>() {
                Ok(limit) if limit < 0 => Err(fail("limit must be non-negative".to_owned())),
                Ok(0) => Ok(None),
                Ok(limit) => Ok(Some(usize::try_from(limit).unwrap_or(usize::MAX))),
                Err(_) => Err(fail(format!("strconv.Atoi: parsing {text:?}: invalid syntax"))),
            },
        }
    }
}

/// Seconds with fractions since the epoch, to the millisecond, or RFC 3339.
/// A moment: RFC 3339, or seconds since 1970.
pub(crate) fn parse_time(text: &str) -> Result<TimeMs, String> {
    let error = || format!("cannot parse {text:?} to a valid timestamp");
    if let Ok(seconds) = text.parse::<f64>() {
        let ms = seconds.trunc() * 1000.0 + (seconds.fract() * 1000.0).round();
        let bound = (i64::MAX - SLACK_MS) as f64;
        return match ms.abs() < bound {
            true => Ok(TimeMs(ms as i64)),
            false => Err(error()),
        };
    }
    if let Some((_, bound)) = BOUNDS.iter().find(|(name, _)| *name == text) {
        return Ok(TimeMs(*bound));
    }
    // The parser takes more forms than RFC 3339 has.
    let bytes = text.as_bytes();
    let zone = matches!(bytes, [.., b'Z'] | [.., b'+' | b'-', _, _, b':', _, _]);
    let form = bytes.len() >= 20 && bytes[10] == b'T' && bytes[16] == b':' && zone;
    let moment = form.then(|| text.parse::<Timestamp>().ok()).flatten().ok_or_else(error)?;
    Ok(TimeMs(moment.as_nanosecond().div_euclid(1_000_000) as i64))
}

/// Seconds with fractions, or `1h30m`. `None` is negative.
fn parse_step(text: &str) -> Result<Option<Duration>, String> {
    let Ok(seconds) = text.parse::<f64>() else {
        let duration = parse_duration(text);
        return duration
            .map(Some)
            .map_err(|_| format!("cannot parse {text:?} to a valid duration"));
    };
    if seconds.is_nan() || seconds.abs() * 1e9 > i64::MAX as f64 {
        return Err(format!("cannot parse {text:?} to a valid duration. It overflows int64"));
    }
    Ok(Duration::try_from_secs_f64(seconds).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_two_forms() {
        let check = |text: &str, expected: Option<i64>| {
            let wanted = expected
                .map(TimeMs)
                .ok_or_else(|| format!("cannot parse {text:?} to a valid timestamp"));
            assert_eq!(parse_time(text), wanted);
        };
        check("1435781430.781", Some(1_435_781_430_781));
        check("1435781430", Some(1_435_781_430_000));
        check("-1.5", Some(-1_500));
        check("1e3", Some(1_000_000));
        check("0.0004", Some(0));
        check("2015-07-01T20:10:30.781Z", Some(1_435_781_430_781));
        check("2015-07-01T22:10:30.781999999+02:00", Some(1_435_781_430_781));
        check("2015-07-01T20:10:30Z", Some(1_435_781_430_000));
        check("-292273086-05-16T16:47:06Z", Some(i64::MIN + SLACK_MS));
        for text in [
            "",
            "abc",
            "NaN",
            "Inf",
            "1e30",
            "2015-07-01 20:10:30Z",
            "2015-07-01T20:10:30",
            "2015-07-01T20:10Z",
            "2015-07-01",
            "2015-13-01T00:00:00Z",
            "20150701T201030Z",
            "2015-07-01T20:10:30+02:00[Europe/Berlin]",
        ] {
            check(text, None);
        }
    }

    #[test]
    fn durations_have_two_forms() {
        let check = |text: &str, expected: Result<Option<u64>, &str>| {
            let wanted = expected.map(|ms| ms.map(Duration::from_millis));
            assert_eq!(parse_step(text), wanted.map_err(str::to_owned));
        };
        check("15", Ok(Some(15_000)));
        check("0.25", Ok(Some(250)));
        check("1h30m", Ok(Some(5_400_000)));
        check("-1", Ok(None));
        check("0", Ok(Some(0)));
        check("", Err("cannot parse \"\" to a valid duration"));
        check("-5m", Err("cannot parse \"-5m\" to a valid duration"));
        check("1e20", Err("cannot parse \"1e20\" to a valid duration. It overflows int64"));
        check("NaN", Err("cannot parse \"NaN\" to a valid duration. It overflows int64"));
    }
}
