//! The functions that Prometheus adds to Go's: numbers for people, queries, addresses, patterns.

use std::net::IpAddr;
use std::sync::Arc;

use paramedic_regexp::{compile, expand};

use crate::functions::{Functions, text};
use crate::number::{FloatError, format_float, format_shortest, parse_float};
use crate::quote::quote;
use crate::time::{Duration, Time};
use crate::value::{Map, Value};
use crate::{OUTPUT_BYTES_MAX, VALUE_DEPTH_MAX, functions};

type Result<T = Value> = std::result::Result<T, String>;

/// The number that a value stands for; text is read as a float.
fn number(value: &Value) -> Result<f64> {
    match value {
        Value::Float(float) => Ok(*float),
        Value::Int(int) => Ok(*int as f64),
        Value::String(text) => parse_float(text).map_err(|error| {
            let reason = match error {
                FloatError::Syntax => "invalid syntax",
                FloatError::Range => "value out of range",
            };
            format!("strconv.ParseFloat: parsing {}: {reason}", quote(text))
        }),
        _ => Err(format!("can't convert {} to float", value.type_name())),
    }
}

/// Four significant digits.
fn short(value: f64) -> String {
    format_float(value, 'g', Some(4))
}

/// Scales by thousands below one and appends the prefix.
fn scaled_up(mut value: f64) -> String {
    let mut prefix = "";
    for next in ["m", "u", "n", "p", "f", "a", "z", "y"] {
        if value.abs() >= 1.0 {
            break;
        }
        prefix = next;
        value *= 1000.0;
    }
    format!("{}{prefix}", short(value))
}

fn scaled_down(mut value: f64, step: f64, prefixes: &[&'static str]) -> String {
    let mut prefix = "";
    for next in prefixes {
        if value.abs() < step {
            break;
        }
        prefix = next;
        value /= step;
    }
    format!("{}{prefix}", short(value))
}

pub(crate) fn humanize(_: &Functions<'_>, args: &[Value]) -> Result {
    let value = number(&args[0])?;
    Ok(if value == 0.0 || !value.is_finite() {
        short(value)
    } else if value.abs() >= 1.0 {
        scaled_down(value, 1000.0, &["k", "M", "G", "T", "P", "E", "Z", "Y"])
    } else {
        scaled_up(value)
    }
    .into())
}

pub(crate) fn humanize1024(_: &Functions<'_>, args: &[Value]) -> Result {
    let value = number(&args[0])?;
    Ok(if value.abs() <= 1.0 || !value.is_finite() {
        short(value)
    } else {
        scaled_down(value, 1024.0, &["ki", "Mi", "Gi", "Ti", "Pi", "Ei", "Zi", "Yi"])
    }
    .into())
}

pub(crate) fn humanize_duration(_: &Functions<'_>, args: &[Value]) -> Result {
    let value = number(&args[0])?;
    if !value.is_finite() {
        return Ok(short(value).into());
    }
    if value == 0.0 {
        return Ok("0s".into());
    }
    if value.abs() < 1.0 {
        return Ok(format!("{}s", scaled_up(value)).into());
    }
    let (sign, value) = if value < 0.0 { ("-", -value) } else { ("", value) };
    // Go converts to a 64-bit integer; the cast saturates where that would overflow.
    let whole = value as i64;
    let (days, hours, minutes, seconds) =
        (whole / 86_400, whole / 3600 % 24, whole / 60 % 60, whole % 60);
    Ok(if days > 0 {
        format!("{sign}{days}d {hours}h {minutes}m {seconds}s")
    } else if hours > 0 {
        format!("{sign}{hours}h {minutes}m {seconds}s")
    } else if minutes > 0 {
        format!("{sign}{minutes}m {seconds}s")
    } else {
        format!("{sign}{}s", short(value))
    }
    .into())
}

pub(crate) fn humanize_percentage(_: &Functions<'_>, args: &[Value]) -> Result {
    Ok(format!("{}%", short(number(&args[0])? * 100.0)).into())
}

pub(crate) fn humanize_timestamp(_: &Functions<'_>, args: &[Value]) -> Result {
    let value = number(&args[0])?;
    Ok(if value.is_finite() { moment(value)?.text() } else { short(value) }.into())
}

/// Seconds since the epoch as a moment, with milliseconds, truncated towards zero.
fn moment(seconds: f64) -> Result<Time> {
    let too_far = || {
        let seconds = format_shortest(seconds);
        format!(
            "{seconds} cannot be represented as a nanoseconds timestamp since it overflows int64"
        )
    };
    let whole = seconds.trunc();
    let millis = ((seconds - whole) * 1000.0) as i64;
    let nanos = (whole as i64)
        .checked_mul(1_000_000_000)
        .and_then(|nanos| nanos.checked_add(millis * 1_000_000))
        .filter(|_| whole.abs() < 9.3e9)
        .ok_or_else(too_far)?;
    Ok(Time { nanos })
}

fn finite(value: &Value) -> Result<f64> {
    let value = number(value)?;
    if value.is_finite() { Ok(value) } else { Err("value is NaN or Inf".to_owned()) }
}

pub(crate) fn to_time(_: &Functions<'_>, args: &[Value]) -> Result {
    Ok(Value::Time(moment(finite(&args[0])?)?))
}

pub(crate) fn to_duration(_: &Functions<'_>, args: &[Value]) -> Result {
    let nanos = finite(&args[0])? * 1e9;
    if nanos.abs() >= i64::MAX as f64 {
        let seconds = format_shortest(nanos / 1e9);
        return Err(format!(
            "{seconds} cannot be represented as a nanoseconds timestamp since it overflows int64"
        ));
    }
    Ok(Value::Duration(Duration { nanos: nanos as i64 }))
}

pub(crate) fn parse_duration(_: &Functions<'_>, args: &[Value]) -> Result {
    let whole = text(&args[0]);
    let (sign, unsigned) = match whole.strip_prefix('-') {
        Some(rest) => (-1.0, rest),
        None => (1.0, whole),
    };
    match paramedic_model::parse_duration(unsigned) {
        Ok(duration) => Ok(Value::Float(sign * duration.as_millis() as f64 / 1000.0)),
        Err(_) if unsigned.is_empty() => Err("empty duration string".to_owned()),
        Err(_) => match unknown_unit(unsigned) {
            Some(unit) => Err(format!("unknown unit {} in duration {}", quote(unit), quote(whole))),
            None => Err(format!("not a valid duration string: {}", quote(whole))),
        },
    }
}

/// The first run of other characters after digits that is no unit.
fn unknown_unit(duration: &str) -> Option<&str> {
    let mut rest = duration;
    while rest.starts_with(|c: char| c.is_ascii_digit()) {
        rest = rest.trim_start_matches(|c: char| c.is_ascii_digit());
        let end = rest.find(|c: char| c.is_ascii_digit()).unwrap_or(rest.len());
        let unit = &rest[..end];
        if !unit.is_empty() && !["ms", "s", "m", "h", "d", "w", "y"].contains(&unit) {
            return Some(unit);
        }
        rest = &rest[end..];
    }
    None
}

pub(crate) fn args(_: &Functions<'_>, args: &[Value]) -> Result {
    let map: Map =
        args.iter().enumerate().map(|(i, arg)| (format!("arg{i}"), arg.clone())).collect();
    if map.depth() > VALUE_DEPTH_MAX {
        return Err(format!("maps nested more than {VALUE_DEPTH_MAX} deep"));
    }
    Ok(Value::Map(map))
}

pub(crate) fn query(functions: &Functions<'_>, args: &[Value]) -> Result {
    Ok(Value::Samples((functions.query)(text(&args[0]))?.into()))
}

pub(crate) fn first(_: &Functions<'_>, args: &[Value]) -> Result {
    match &args[0] {
        Value::Samples(samples) if !samples.is_empty() => Ok(Value::Sample(samples[0].clone())),
        _ => Err("first() called on vector with no elements".to_owned()),
    }
}

pub(crate) fn label(_: &Functions<'_>, args: &[Value]) -> Result {
    Ok(sample_label(&args[1], text(&args[0])))
}

pub(crate) fn strvalue(_: &Functions<'_>, args: &[Value]) -> Result {
    Ok(sample_label(&args[0], "__value__"))
}

fn sample_label(sample: &Value, name: &str) -> Value {
    match sample {
        Value::Sample(sample) => sample.labels.value(name).into(),
        _ => "".into(),
    }
}

pub(crate) fn value(_: &Functions<'_>, args: &[Value]) -> Result {
    match &args[0] {
        Value::Sample(sample) => Ok(Value::Float(sample.value)),
        other => Ok(other.clone()),
    }
}

pub(crate) fn sort_by_label(_: &Functions<'_>, args: &[Value]) -> Result {
    let name = text(&args[0]);
    let mut samples = match &args[1] {
        Value::Samples(samples) => samples.to_vec(),
        _ => Vec::new(),
    };
    samples.sort_by(|a, b| a.labels.value(name).cmp(b.labels.value(name)));
    Ok(Value::Samples(samples.into()))
}

pub(crate) fn title(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let (mut in_word, mut after_mid) = (false, false);
    for c in text.chars() {
        // Characters that join letters to one word, unless two of them meet.
        let is_mid = matches!(c, '\'' | '’' | '‘' | '.' | '·' | ':' | '․' | '‧');
        if after_mid && is_mid {
            in_word = false;
        }
        if c.is_lowercase() || c.is_uppercase() {
            if in_word {
                out.push(c);
            } else {
                push_title_case(&mut out, c);
                in_word = true;
            }
        } else {
            out.push(c);
            let joins = is_mid || c.is_alphanumeric() || c == '_' || is_combining(c);
            in_word &= joins;
        }
        after_mid = is_mid;
    }
    out
}

/// Marks that stand on a letter do not end its word.
fn is_combining(c: char) -> bool {
    matches!(u32::from(c), 0x300..=0x36f | 0x1ab0..=0x1aff | 0x20d0..=0x20ff | 0xfe20..=0xfe2f)
}

fn push_title_case(out: &mut String, c: char) {
    // The four letters that are two: their title case is neither upper nor lower case.
    let digraph = match c {
        'Ǆ' | 'ǅ' | 'ǆ' => Some('ǅ'),
        'Ǉ' | 'ǈ' | 'ǉ' => Some('ǈ'),
        'Ǌ' | 'ǋ' | 'ǌ' => Some('ǋ'),
        'Ǳ' | 'ǲ' | 'ǳ' => Some('ǲ'),
        _ => None,
    };
    if let Some(c) = digraph {
        return out.push(c);
    }
    let mut upper = c.to_uppercase();
    out.extend(upper.next());
    out.extend(upper.flat_map(char::to_lowercase));
}

/// One character for one: `ß` has no upper case of its own and stays.
pub(crate) fn to_upper(text: &str) -> String {
    text.chars()
        .map(|c| {
            let mut upper = c.to_uppercase();
            match (upper.next(), upper.next()) {
                (Some(upper), None) => upper,
                _ => c,
            }
        })
        .collect()
}

/// One character for one, without regard to its place in the word.
pub(crate) fn to_lower(text: &str) -> String {
    text.chars().filter_map(|c| c.to_lowercase().next()).collect()
}

pub(crate) fn matches(_: &Functions<'_>, args: &[Value]) -> Result {
    Ok(Value::Bool(
        compile(text(&args[0])).map_err(|error| error.to_string())?.is_match(text(&args[1])),
    ))
}

pub(crate) fn replace_all(_: &Functions<'_>, args: &[Value]) -> Result {
    let (pattern, replacement, subject) = (text(&args[0]), text(&args[1]), text(&args[2]));
    let regex =
        compile(pattern).map_err(|error| format!("regexp: Compile(`{pattern}`): {error}"))?;
    let mut out = String::new();
    let mut copied = 0;
    for captures in regex.captures_iter(subject) {
        let Some(found) = captures.get(0) else { continue };
        out.push_str(&subject[copied..found.start()]);
        expand(&captures, replacement, &mut out);
        copied = found.end();
        if out.len() > OUTPUT_BYTES_MAX {
            return Err(functions::too_long());
        }
    }
    out.push_str(&subject[copied..]);
    Ok(out.into())
}

pub(crate) fn link(expression: &str, tab: u8) -> Value {
    format!("/graph?g0.expr={}&g0.tab={tab}", query_escape(expression)).into()
}

pub(crate) fn external_url(functions: &Functions<'_>, _: &[Value]) -> Result {
    address(functions).map(Value::from)
}

/// The external address, or what Go says where Prometheus has none.
fn address<'a>(functions: &Functions<'a>) -> Result<&'a str> {
    let reason = "runtime error: invalid memory address or nil pointer dereference";
    functions.external_url.ok_or_else(|| reason.into())
}

pub(crate) fn path_prefix(functions: &Functions<'_>, _: &[Value]) -> Result {
    let url = address(functions)?;
    let after_scheme = url.find("://").map_or(0, |at| at + 3);
    let path = url[after_scheme..].find('/').map_or("", |at| &url[after_scheme + at..]);
    Ok(path.split(['?', '#']).next().unwrap_or("").into())
}

/// Form escaping: a blank becomes `+`.
pub(crate) fn query_escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                out.push(char::from(byte));
            }
            b' ' => out.push('+'),
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

/// Host and port of `host:port`; none where the text is something else, as Go decides it.
fn split_host_port(text: &str) -> Option<(&str, &str)> {
    let (host, port) = text.rsplit_once(':')?;
    if let Some(inner) = host.strip_prefix('[') {
        let host = inner.strip_suffix(']')?;
        return (!host.contains(['[', ']'])).then_some((host, port));
    }
    (!host.contains([':', '[', ']']) && !port.contains(['[', ']'])).then_some((host, port))
}

pub(crate) fn strip_port(address: &str) -> Arc<str> {
    split_host_port(address).map_or(address, |(host, _)| host).into()
}

pub(crate) fn strip_domain(address: &str) -> String {
    let (host, port) = match split_host_port(address) {
        Some((host, port)) => (host, port),
        None => (address, ""),
    };
    if host.parse::<IpAddr>().is_ok() {
        return address.to_owned();
    }
    let host = host.split('.').next().unwrap_or("");
    if port.is_empty() { host.to_owned() } else { format!("{host}:{port}") }
}
