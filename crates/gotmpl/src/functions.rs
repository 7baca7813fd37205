//! Go's built-in functions, and the table of all functions with their signatures.

use std::cmp::Ordering;

use paramedic_model::{Series, TimeMs};

use crate::OUTPUT_BYTES_MAX;
use crate::print::{self, Text, TooLong};
use crate::prometheus;
use crate::value::Value;

/// Answers a `query` of a template, or says why it cannot.
pub type QueryFn<'a> = dyn Fn(&str) -> Result<Vec<Series>, String> + 'a;

/// What the functions of a template may ask of the world.
#[derive(Clone, Copy)]
pub struct Functions<'a> {
    /// The instant query behind `query`, evaluated at [`now`](Self::now). A scalar result is one
    /// sample without labels; a string or a matrix is an error.
    pub query: &'a QueryFn<'a>,
    /// The moment that `now` gives.
    pub now: TimeMs,
    /// The address under which people reach the product, without a slash at the end: `externalURL`
    /// and the path of it, `pathPrefix`. Without one both fail, with Go's words, as in rule unit tests.
    pub external_url: Option<&'a str>,
}

impl Functions<'_> {
    /// For a template that stands outside an evaluation: `query` fails, `now` is the epoch.
    pub fn offline() -> Functions<'static> {
        Functions {
            query: &|_| Err("queries are not available here".to_owned()),
            now: TimeMs(0),
            external_url: Some(""),
        }
    }
}

/// What a parameter accepts.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Type {
    Any,
    String,
    Samples,
    Sample,
}

impl Type {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Any => "interface {}",
            Self::String => "string",
            Self::Samples => "template.queryResult",
            Self::Sample => "*template.sample",
        }
    }

    pub(crate) fn accepts(self, value: &Value) -> bool {
        match self {
            Self::Any => true,
            Self::String => matches!(value, Value::String(_)),
            Self::Samples => matches!(value, Value::Samples(_)),
            Self::Sample => matches!(value, Value::Sample(_)),
        }
    }
}

/// The body of a function. The message of an error follows "error calling NAME: ".
pub(crate) type Body = fn(&Functions<'_>, &[Value]) -> Result<Value, String>;

#[derive(Clone, Copy)]
pub(crate) enum Run {
    /// `and` and `or` stop at the first operand that decides.
    ShortCircuit {
        on: bool,
    },
    /// `call`, whose message names its first operand as written.
    Call,
    Body(Body),
}

pub(crate) struct Function {
    pub name: &'static str,
    pub params: &'static [Type],
    /// Whether any number of further values of any type may follow.
    pub variadic: bool,
    pub run: Run,
}

const fn fixed(name: &'static str, params: &'static [Type], body: Body) -> Function {
    Function { name, params, variadic: false, run: Run::Body(body) }
}

const fn open(name: &'static str, params: &'static [Type], body: Body) -> Function {
    Function { name, params, variadic: true, run: Run::Body(body) }
}

use Type::{Any, Sample, Samples, String as Str};

static TABLE: &[Function] = &[
    Function { name: "and", params: &[Any], variadic: true, run: Run::ShortCircuit { on: false } },
    Function { name: "or", params: &[Any], variadic: true, run: Run::ShortCircuit { on: true } },
    Function { name: "call", params: &[Any], variadic: true, run: Run::Call },
    fixed("not", &[Any], |_, args| Ok(Value::Bool(!args[0].is_true()))),
    open("eq", &[Any], |_, args| eq(args).map(Value::Bool)),
    fixed("ne", &[Any, Any], |_, args| eq(args).map(|equal| Value::Bool(!equal))),
    fixed("lt", &[Any, Any], |_, args| lt(args).map(Value::Bool)),
    fixed("le", &[Any, Any], |_, args| le(args).map(Value::Bool)),
    // Go inverts `le` and `lt`, so both hold where an operand is NaN.
    fixed("gt", &[Any, Any], |_, args| le(args).map(|le| Value::Bool(!le))),
    fixed("ge", &[Any, Any], |_, args| lt(args).map(|lt| Value::Bool(!lt))),
    fixed("len", &[Any], |_, args| len(&args[0])),
    open("index", &[Any], |_, args| index(args)),
    open("slice", &[Any], |_, args| slice(args)),
    open("print", &[], |_, args| written(|out| print::print(out, args))),
    open("println", &[], |_, args| written(|out| print::println(out, args))),
    open("printf", &[Str], |_, args| written(|out| print::printf(out, text(&args[0]), &args[1..]))),
    open("html", &[], |_, args| Ok(html(&joined(args)?).into())),
    open("js", &[], |_, args| Ok(js(&joined(args)?).into())),
    open("urlquery", &[], |_, args| Ok(prometheus::query_escape(&joined(args)?).into())),
    open("args", &[], prometheus::args),
    fixed("query", &[Str], prometheus::query),
    fixed("first", &[Samples], prometheus::first),
    fixed("label", &[Str, Sample], prometheus::label),
    fixed("value", &[Sample], prometheus::value),
    fixed("strvalue", &[Sample], prometheus::strvalue),
    fixed("sortByLabel", &[Str, Samples], prometheus::sort_by_label),
    fixed("humanize", &[Any], prometheus::humanize),
    fixed("humanize1024", &[Any], prometheus::humanize1024),
    fixed("humanizeDuration", &[Any], prometheus::humanize_duration),
    fixed("humanizePercentage", &[Any], prometheus::humanize_percentage),
    fixed("humanizeTimestamp", &[Any], prometheus::humanize_timestamp),
    fixed("toTime", &[Any], prometheus::to_time),
    fixed("toDuration", &[Any], prometheus::to_duration),
    fixed("now", &[], |functions, _| Ok(Value::Float(functions.now.as_secs_f64()))),
    fixed("parseDuration", &[Str], prometheus::parse_duration),
    fixed("title", &[Str], |_, args| Ok(prometheus::title(text(&args[0])).into())),
    fixed("toUpper", &[Str], |_, args| Ok(prometheus::to_upper(text(&args[0])).into())),
    fixed("toLower", &[Str], |_, args| Ok(prometheus::to_lower(text(&args[0])).into())),
    fixed("match", &[Str, Str], prometheus::matches),
    fixed("reReplaceAll", &[Str, Str, Str], prometheus::replace_all),
    fixed("graphLink", &[Str], |_, args| Ok(prometheus::link(text(&args[0]), 0))),
    fixed("tableLink", &[Str], |_, args| Ok(prometheus::link(text(&args[0]), 1))),
    fixed("pathPrefix", &[], prometheus::path_prefix),
    fixed("externalURL", &[], prometheus::external_url),
    fixed("urlQueryEscape", &[Str], |_, args| Ok(prometheus::query_escape(text(&args[0])).into())),
    fixed("stripPort", &[Str], |_, args| Ok(prometheus::strip_port(text(&args[0])).into())),
    fixed("stripDomain", &[Str], |_, args| Ok(prometheus::strip_domain(text(&args[0])).into())),
    fixed("safeHtml", &[Str], |_, args| Ok(args[0].clone())),
];

/// The function of that name.
pub(crate) fn find(name: &str) -> Option<&'static Function> {
    TABLE.iter().find(|function| function.name == name)
}

/// The text of an argument whose parameter accepts text only.
pub(crate) fn text(value: &Value) -> &str {
    match value {
        Value::String(text) => text,
        _ => "",
    }
}

/// The message where a text grows beyond its limit.
pub(crate) fn too_long() -> String {
    format!("more than {OUTPUT_BYTES_MAX} bytes of text")
}

fn written(write: impl FnOnce(&mut Text) -> Result<(), TooLong>) -> Result<Value, String> {
    let mut out = Text::new(OUTPUT_BYTES_MAX);
    write(&mut out).map_err(|TooLong| too_long())?;
    Ok(out.into_string().into())
}

/// The arguments as the escapers see them: printed, nil as `<no value>`.
fn joined(args: &[Value]) -> Result<String, String> {
    let args: Vec<Value> = args
        .iter()
        .map(|arg| if *arg == Value::Nil { "<no value>".into() } else { arg.clone() })
        .collect();
    let mut out = Text::new(OUTPUT_BYTES_MAX);
    print::print(&mut out, &args).map_err(|TooLong| too_long())?;
    Ok(out.into_string())
}

/// Kinds that compare with one another.
fn basic_kind(value: &Value) -> Option<u8> {
    Some(match value {
        Value::Bool(_) => 0,
        Value::Int(_) | Value::Month(_) | Value::Weekday(_) => 1,
        Value::Float(_) => 2,
        Value::Complex(..) => 3,
        Value::String(_) => 4,
        _ => return None,
    })
}

fn as_int(value: &Value) -> Option<i64> {
    match value {
        Value::Int(int) => Some(*int),
        Value::Month(number) | Value::Weekday(number) => Some(i64::from(*number)),
        _ => None,
    }
}

fn incompatible(a: &Value, b: &Value) -> String {
    format!("incompatible types for comparison: {} and {}", a.type_name(), b.type_name())
}

/// Whether the first is equal to any other.
fn eq(args: &[Value]) -> Result<bool, String> {
    let (first, others) = args.split_first().ok_or("missing argument for comparison")?;
    if others.is_empty() {
        return Err("missing argument for comparison".to_owned());
    }
    for other in others {
        let equal = match (first, other) {
            (Value::Nil, _) | (_, Value::Nil) => first == other,
            _ if basic_kind(first) != basic_kind(other) => {
                return Err(incompatible(first, other));
            }
            (Value::Time(_) | Value::Duration(_) | Value::Sample(_) | Value::Histogram(_), _)
                if first.type_name() == other.type_name() =>
            {
                // Pointers: two calls never give the same one.
                false
            }
            _ if basic_kind(first).is_none() => {
                let (shown, kind) = (print::shown(first), first.type_name());
                return Err(format!("non-comparable type {shown}: {kind}"));
            }
            _ => match (as_int(first), as_int(other)) {
                (Some(a), Some(b)) => a == b,
                _ => first == other,
            },
        };
        if equal {
            return Ok(true);
        }
    }
    Ok(false)
}

fn compare(args: &[Value]) -> Result<Option<Ordering>, String> {
    let (a, b) = (&args[0], &args[1]);
    let (Some(kind_a), Some(kind_b)) = (basic_kind(a), basic_kind(b)) else {
        return Err("invalid type for comparison".to_owned());
    };
    if kind_a != kind_b {
        return Err(incompatible(a, b));
    }
    match (a, b) {
        (Value::Float(a), Value::Float(b)) => Ok(a.partial_cmp(b)),
        (Value::String(a), Value::String(b)) => Ok(Some(a.cmp(b))),
        _ => match (as_int(a), as_int(b)) {
            (Some(a), Some(b)) => Ok(Some(a.cmp(&b))),
            _ => Err("invalid type for comparison".to_owned()),
        },
    }
}

fn lt(args: &[Value]) -> Result<bool, String> {
    Ok(compare(args)? == Some(Ordering::Less))
}

fn le(args: &[Value]) -> Result<bool, String> {
    Ok(matches!(compare(args)?, Some(Ordering::Less | Ordering::Equal)))
}

fn len(value: &Value) -> Result<Value, String> {
    let len = match value {
        Value::String(text) => text.len(),
        Value::Labels(labels) => labels.len(),
        Value::Map(map) => map.len(),
        Value::List(list) => list.len(),
        Value::Samples(samples) => samples.len(),
        Value::Nil => return Err("len of nil pointer".to_owned()),
        _ => return Err(format!("len of type {}", value.type_name())),
    };
    Ok(int(len))
}

fn int(value: usize) -> Value {
    Value::Int(i64::try_from(value).unwrap_or(i64::MAX))
}

/// An index into something of `len` elements; `len` itself is allowed where it ends a slice.
fn index_arg(value: &Value, bound: usize) -> Result<usize, String> {
    let position = match value {
        Value::Int(position) => *position,
        Value::Nil => return Err("cannot index slice/array with nil".to_owned()),
        _ => {
            return Err(format!("cannot index slice/array with type {}", value.type_name()));
        }
    };
    usize::try_from(position)
        .ok()
        .filter(|position| *position <= bound)
        .ok_or_else(|| format!("index out of range: {position}"))
}

fn index(args: &[Value]) -> Result<Value, String> {
    let (item, indices) = args.split_first().ok_or("index of untyped nil")?;
    if *item == Value::Nil {
        return Err("index of untyped nil".to_owned());
    }
    let mut item = item.clone();
    for index in indices {
        let element = |len: usize| {
            let position = index_arg(index, len)?;
            if position < len {
                Ok(position)
            } else {
                Err(format!("index out of range: {position}"))
            }
        };
        item = match &item {
            Value::String(text) => Value::Int(i64::from(text.as_bytes()[element(text.len())?])),
            Value::List(list) => list[element(list.len())?].clone(),
            Value::Samples(samples) => Value::Sample(samples[element(samples.len())?].clone()),
            Value::Labels(labels) => Value::from(labels.value(map_key(index)?)),
            Value::Map(map) => map.get(map_key(index)?).cloned().unwrap_or(Value::Nil),
            Value::Nil => return Err("index of nil pointer".to_owned()),
            _ => return Err(format!("can't index item of type {}", item.type_name())),
        };
    }
    Ok(item)
}

fn map_key(index: &Value) -> Result<&str, String> {
    match index {
        Value::String(key) => Ok(key),
        Value::Nil => Err("value is nil; should be of type string".to_owned()),
        _ => Err(format!("value has type {}; should be string", index.type_name())),
    }
}

fn slice(args: &[Value]) -> Result<Value, String> {
    let (item, indices) = args.split_first().ok_or("slice of untyped nil")?;
    if *item == Value::Nil {
        return Err("slice of untyped nil".to_owned());
    }
    if indices.len() > 3 {
        return Err(format!("too many slice indexes: {}", indices.len()));
    }
    let len = match item {
        Value::String(_) if indices.len() == 3 => {
            return Err("cannot 3-index slice a string".to_owned());
        }
        Value::String(text) => text.len(),
        Value::List(list) => list.len(),
        Value::Samples(samples) => samples.len(),
        _ => return Err(format!("can't slice item of type {}", item.type_name())),
    };
    let mut bounds = [0, len, len];
    for (bound, index) in bounds.iter_mut().zip(indices) {
        *bound = index_arg(index, len)?;
    }
    let [from, to, cap] = bounds;
    if from > to {
        return Err(format!("invalid slice index: {from} > {to}"));
    }
    if indices.len() == 3 && to > cap {
        return Err(format!("invalid slice index: {to} > {cap}"));
    }
    Ok(match item {
        // A cut inside a character leaves bytes that are no text: they become U+FFFD.
        Value::String(text) => String::from_utf8_lossy(&text.as_bytes()[from..to]).into(),
        Value::List(list) => Value::List(list[from..to].into()),
        Value::Samples(samples) => Value::Samples(samples[from..to].into()),
        _ => Value::Nil,
    })
}

impl From<std::borrow::Cow<'_, str>> for Value {
    fn from(text: std::borrow::Cow<'_, str>) -> Self {
        Value::String(text.into())
    }
}

fn html(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '"' => out.push_str("&#34;"),
            '\'' => out.push_str("&#39;"),
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '\0' => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

fn js(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\\' | '\'' | '"' => out.extend(['\\', c]),
            '<' | '>' | '&' | '=' | '\0'..' ' => {
                out.push_str(&format!("\\u{:04X}", u32::from(c)));
            }
            c if c.is_ascii() || crate::quote::is_print(c) => out.push(c),
            c => out.push_str(&format!("\\u{:04X}", u32::from(c))),
        }
    }
    out
}
