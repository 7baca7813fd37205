//! The methods of moments and spans.

use crate::functions::{Type, text};
use crate::value::Value;

pub(crate) struct Method {
    name: &'static str,
    pub params: &'static [Type],
    pub run: fn(&Value, &[Value]) -> Result<Value, String>,
}

/// The method `name` of `receiver`, where its type has one.
pub(crate) fn find(receiver: &Value, name: &str) -> Option<&'static Method> {
    let methods = match receiver {
        Value::Time(_) => TIME,
        Value::Duration(_) => DURATION,
        Value::Month(_) | Value::Weekday(_) => NAMED,
        _ => return None,
    };
    methods.iter().find(|method| method.name == name)
}

macro_rules! methods {
    ($variant:ident: $($name:literal $params:expr, |$this:ident, $args:ident| $result:expr;)*) => {
        &[$(Method {
            name: $name,
            params: $params,
            run: |receiver, $args| match receiver {
                Value::$variant($this) => Ok($result.into()),
                other => Ok(other.clone()),
            },
        }),*]
    };
}

static TIME: &[Method] = methods! { Time:
    "Format" &[Type::String], |time, args| time.format(text(&args[0]));
    "String" &[], |time, _args| time.text();
    "UTC" &[], |time, _args| Value::Time(*time);
    "Year" &[], |time, _args| i64::from(time.civil().year());
    "Month" &[], |time, _args| Value::Month(time.month());
    "Day" &[], |time, _args| i64::from(time.civil().day());
    "YearDay" &[], |time, _args| i64::from(time.civil().day_of_year());
    "Weekday" &[], |time, _args| Value::Weekday(time.weekday());
    "Hour" &[], |time, _args| i64::from(time.civil().hour());
    "Minute" &[], |time, _args| i64::from(time.civil().minute());
    "Second" &[], |time, _args| i64::from(time.civil().second());
    "Nanosecond" &[], |time, _args| time.nanos.rem_euclid(1_000_000_000);
    "Unix" &[], |time, _args| time.nanos.div_euclid(1_000_000_000);
    "UnixMilli" &[], |time, _args| time.nanos.div_euclid(1_000_000);
    "UnixMicro" &[], |time, _args| time.nanos.div_euclid(1_000);
    "UnixNano" &[], |time, _args| time.nanos;
};

static DURATION: &[Method] = methods! { Duration:
    "String" &[], |duration, _args| duration.text();
    "Hours" &[], |duration, _args| duration.nanos as f64 / 3.6e12;
    "Minutes" &[], |duration, _args| duration.nanos as f64 / 6e10;
    "Seconds" &[], |duration, _args| duration.nanos as f64 / 1e9;
    "Milliseconds" &[], |duration, _args| duration.nanos / 1_000_000;
    "Microseconds" &[], |duration, _args| duration.nanos / 1_000;
    "Nanoseconds" &[], |duration, _args| duration.nanos;
};

static NAMED: &[Method] = &[Method {
    name: "String",
    params: &[],
    run: |receiver, _args| {
        Ok(match receiver {
            Value::Month(month) => crate::time::month_name(*month).into(),
            Value::Weekday(day) => crate::time::weekday_name(*day).into(),
            other => other.clone(),
        })
    },
}];
