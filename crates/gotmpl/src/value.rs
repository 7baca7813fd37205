//! What a template computes with, and what Go would call its type.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use paramedic_model::{Labels, Series};

use crate::time::{Duration, Time};

/// A value of a template's data. Cloning is cheap: everything large is shared.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Value {
    /// Go's untyped nil: prints as `<no value>`.
    Nil,
    /// `true` or `false`.
    Bool(bool),
    /// Go's `int`.
    Int(i64),
    /// Go's `float64`.
    Float(f64),
    /// Go's `complex128`: an imaginary constant makes one.
    Complex(f64, f64),
    /// Text.
    String(Arc<str>),
    /// Go's `map[string]string`: a missing key gives the empty string.
    Labels(Labels),
    /// Go's `map[string]interface {}`: a missing key gives nil.
    Map(Map),
    /// Go's `[]interface {}`.
    List(Arc<[Value]>),
    /// The result of `query`.
    Samples(Arc<[Series]>),
    /// One sample of it.
    Sample(Series),
    /// The data of an alert's template, see [`alert_data`](crate::alert_data).
    Record(Arc<Record>),
    /// A moment, of `toTime`.
    Time(Time),
    /// A span of time, of `toDuration`.
    Duration(Duration),
    /// A month of the year, from 1.
    Month(u8),
    /// A day of the week, Sunday is 0.
    Weekday(u8),
    /// A native histogram, by its text: a template can print it, and compute nothing with it.
    Histogram(Arc<str>),
}

/// A map from names to values of any type.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Map {
    entries: Arc<BTreeMap<String, Value>>,
    /// How deep maps and lists stand in one another: bounds the recursion of printing.
    depth: usize,
}

impl Map {
    /// The value under `name`.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.entries.get(name)
    }

    /// Names and values, sorted bytewise by name.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &Value)> {
        self.entries.iter().map(|(name, value)| (&**name, value))
    }

    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(crate) fn depth(&self) -> usize {
        self.depth
    }
}

impl<N: Into<String>> FromIterator<(N, Value)> for Map {
    fn from_iter<I: IntoIterator<Item = (N, Value)>>(entries: I) -> Self {
        let entries: BTreeMap<String, Value> =
            entries.into_iter().map(|(name, value)| (name.into(), value)).collect();
        let depth = 1 + entries.values().map(Value::depth).max().unwrap_or(0);
        Self { entries: Arc::new(entries), depth }
    }
}

/// A Go struct: its fields have fixed names, and asking for another is an error.
#[derive(Debug, PartialEq)]
pub struct Record {
    pub(crate) type_name: &'static str,
    pub(crate) fields: Vec<(&'static str, Value)>,
}

impl Value {
    /// The name that Go has for the type, as messages and `%T` show it.
    pub(crate) fn type_name(&self) -> Cow<'static, str> {
        Cow::Borrowed(match self {
            Value::Nil => "<nil>",
            Value::Bool(_) => "bool",
            Value::Int(_) => "int",
            Value::Float(_) => "float64",
            Value::Complex(..) => "complex128",
            Value::String(_) => "string",
            Value::Labels(_) => "map[string]string",
            Value::Map(_) => "map[string]interface {}",
            Value::List(_) => "[]interface {}",
            Value::Samples(_) => "template.queryResult",
            Value::Sample(_) => "*template.sample",
            Value::Record(record) => record.type_name,
            Value::Time(_) => "*time.Time",
            Value::Duration(_) => "*time.Duration",
            Value::Month(_) => "time.Month",
            Value::Weekday(_) => "time.Weekday",
            Value::Histogram(_) => "*histogram.FloatHistogram",
        })
    }

    /// Go's truth: everything but zero, the empty, and nil. NaN is true.
    pub(crate) fn is_true(&self) -> bool {
        match self {
            Value::Nil => false,
            Value::Bool(value) => *value,
            Value::Int(value) => *value != 0,
            Value::Float(value) => *value != 0.0,
            Value::Complex(re, im) => *re != 0.0 || *im != 0.0,
            Value::String(text) => !text.is_empty(),
            Value::Labels(labels) => !labels.is_empty(),
            Value::Map(map) => map.len() > 0,
            Value::List(list) => !list.is_empty(),
            Value::Samples(samples) => !samples.is_empty(),
            Value::Month(number) | Value::Weekday(number) => *number != 0,
            Value::Sample(_) | Value::Record(_) | Value::Time(_) => true,
            Value::Duration(_) | Value::Histogram(_) => true,
        }
    }

    /// How deep maps and lists stand in one another.
    fn depth(&self) -> usize {
        match self {
            Value::Map(map) => map.depth,
            Value::List(list) => 1 + list.iter().map(Value::depth).max().unwrap_or(0),
            _ => 0,
        }
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Value::String(text.into())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Value::String(text.into())
    }
}

impl From<f64> for Value {
    fn from(value: f64) -> Self {
        Value::Float(value)
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Value::Bool(value)
    }
}

impl From<i64> for Value {
    fn from(value: i64) -> Self {
        Value::Int(value)
    }
}

impl From<Labels> for Value {
    fn from(labels: Labels) -> Self {
        Value::Labels(labels)
    }
}

impl From<Map> for Value {
    fn from(map: Map) -> Self {
        Value::Map(map)
    }
}

/// Objects become maps, arrays lists, `null` nil. A number written without fraction and exponent
/// becomes an int, so that it prints in full; any other becomes a float.
impl From<&serde_json::Value> for Value {
    fn from(json: &serde_json::Value) -> Self {
        match json {
            serde_json::Value::Null => Value::Nil,
            serde_json::Value::Bool(value) => Value::Bool(*value),
            serde_json::Value::Number(number) => match number.as_i64() {
                Some(value) => Value::Int(value),
                None => Value::Float(number.as_f64().unwrap_or(f64::NAN)),
            },
            serde_json::Value::String(text) => Value::from(text.as_str()),
            serde_json::Value::Array(items) => Value::List(items.iter().map(Value::from).collect()),
            serde_json::Value::Object(entries) => Value::Map(
                entries.iter().map(|(name, value)| (name.as_str(), Value::from(value))).collect(),
            ),
        }
    }
}

impl From<Arc<str>> for Value {
    fn from(text: Arc<str>) -> Self {
        Value::String(text)
    }
}
