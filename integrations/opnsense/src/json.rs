//! Reading answers whose types vary by version: numbers as texts, flags as numbers.

use serde_json::Value;

/// The text `name`; a number as it prints. `None` where there is no such thing.
pub(crate) fn text(value: &Value, name: &str) -> Option<String> {
    match value.get(name)? {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(flag) => Some(flag.to_string()),
        _ => None,
    }
}

/// As [`text`], empty where there is none.
pub(crate) fn field(value: &Value, name: &str) -> String {
    text(value, name).unwrap_or_default()
}

/// The whole number `name`, also where it is sent as a text.
pub(crate) fn int(value: &Value, name: &str) -> Option<i64> {
    match value.get(name)? {
        Value::Number(number) => {
            number.as_i64().or_else(|| number.as_f64().map(|number| number as i64))
        }
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    }
}

/// The flag `name`: `true`, `1`, `"1"` and their opposites. `None` for anything else.
pub(crate) fn flag(value: &Value, name: &str) -> Option<bool> {
    match value.get(name)? {
        Value::Bool(flag) => Some(*flag),
        Value::Number(number) => match number.as_i64() {
            Some(0) => Some(false),
            Some(1) => Some(true),
            _ => None,
        },
        Value::String(text) => match text.as_str() {
            "0" | "false" | "" => Some(false),
            "1" | "true" => Some(true),
            _ => None,
        },
        _ => None,
    }
}

/// The number in front of a unit: `3.1 ms`, `0.0 %`.
pub(crate) fn leading_number(text: &str) -> Option<f64> {
    text.split_whitespace().next()?.trim_end_matches('%').parse().ok()
}
