//! YAML to values, as Go's YAML library does it for Prometheus: strict, and with its words for what
//! does not fit, because Prometheus's messages quote them.

use std::collections::BTreeMap;
use std::time::Duration;

use paramedic_model::parse_duration;
use paramedic_yaml::{Kind, Node, Place, nearest};

use crate::RuleError;

/// Reads the values of one document and gathers what is wrong with them.
pub(crate) struct Decoder<'a> {
    path: &'a str,
    /// The whole document.
    pub(crate) text: &'a str,
    /// What was wrong so far.
    pub(crate) errors: Vec<RuleError>,
    /// Whether keys that nobody knows are no mistake.
    ignore_unknown_fields: bool,
}

/// A name and a value with the places of both.
pub(crate) struct Pair<'n> {
    pub(crate) name: &'n str,
    pub(crate) name_place: Place,
    pub(crate) value: String,
    pub(crate) node: &'n Node,
}

/// The known keys of a map, each with its place.
pub(crate) type Fields<'n> = BTreeMap<&'n str, (Place, &'n Node)>;

impl<'a> Decoder<'a> {
    pub(crate) fn new(path: &'a str, text: &'a str, ignore_unknown_fields: bool) -> Self {
        Self { path, text, errors: Vec::new(), ignore_unknown_fields }
    }

    pub(crate) fn report(&mut self, place: Place, reason: impl Into<String>) {
        self.report_with(place, reason, None);
    }

    pub(crate) fn report_with(
        &mut self,
        place: Place,
        reason: impl Into<String>,
        hint: Option<String>,
    ) {
        self.errors.push(self.mistake(place, reason, hint));
    }

    pub(crate) fn mistake(
        &self,
        place: Place,
        reason: impl Into<String>,
        hint: Option<String>,
    ) -> RuleError {
        let Place { line, column } = place;
        RuleError { file: self.path.to_owned(), line, column, reason: reason.into(), hint }
    }

    pub(crate) fn cannot_unmarshal(&mut self, node: &Node, into: &str) {
        self.report(node.place, format!("cannot unmarshal {} into {into}", described(node)));
    }

    /// The fields of a map; unknown keys are reported.
    pub(crate) fn fields<'n>(
        &mut self,
        node: &'n Node,
        known: &[&str],
        go_type: &str,
    ) -> Option<Fields<'n>> {
        let pairs = match &node.kind {
            Kind::Map(pairs) => pairs.as_slice(),
            Kind::Null => &[],
            Kind::Scalar(_) | Kind::List(_) => {
                self.cannot_unmarshal(node, go_type);
                return None;
            }
        };
        let mut fields = BTreeMap::new();
        for (key, value) in pairs {
            if known.contains(&&*key.text) {
                fields.insert(&*key.text, (key.place, value));
            } else if !self.ignore_unknown_fields {
                let reason = format!("field {} not found in type {go_type}", key.text);
                let hint = nearest(&key.text, known).map(str::to_owned);
                self.report_with(key.place, reason, hint);
            }
        }
        Some(fields)
    }

    /// The items of a list. Those that are nothing are left out, as Go's library does.
    pub(crate) fn list<'n>(&mut self, node: &'n Node, go_type: &str) -> Vec<&'n Node> {
        match &node.kind {
            Kind::List(items) => {
                items.iter().filter(|item| !matches!(item.kind, Kind::Null)).collect()
            }
            Kind::Null => Vec::new(),
            _ => {
                self.cannot_unmarshal(node, go_type);
                Vec::new()
            }
        }
    }

    pub(crate) fn string(&mut self, node: &Node) -> Option<String> {
        match &node.kind {
            Kind::Scalar(text) => Some(text.clone()),
            Kind::Null => Some(String::new()),
            _ => {
                self.cannot_unmarshal(node, "string");
                None
            }
        }
    }

    /// A duration; nothing is zero.
    pub(crate) fn duration(&mut self, node: &Node) -> Option<Duration> {
        if matches!(node.kind, Kind::Null) {
            return Some(Duration::ZERO);
        }
        let text = self.string(node)?;
        match parse_duration(&text) {
            Ok(duration) => Some(duration),
            Err(error) => {
                self.report(node.place, error.to_string());
                None
            }
        }
    }

    /// A number in YAML's notation, not in quotes; nothing is zero.
    pub(crate) fn number(&mut self, node: &Node, go_type: &str) -> Option<f64> {
        let number = match &node.kind {
            Kind::Null => Some(0.0),
            Kind::Scalar(text) if !self.is_quoted(node) => yaml_number(text),
            _ => None,
        };
        if number.is_none() {
            self.cannot_unmarshal(node, go_type);
        }
        number
    }

    /// `true` or `false` in any of YAML's spellings; nothing is false.
    pub(crate) fn boolean(&mut self, node: &Node) -> Option<bool> {
        let text = match &node.kind {
            Kind::Null => return Some(false),
            Kind::Scalar(text) if !self.is_quoted(node) => text.as_str(),
            _ => "",
        };
        let answer = match text {
            "true" | "True" | "TRUE" | "yes" | "Yes" | "YES" | "on" | "On" | "ON" => Some(true),
            "false" | "False" | "FALSE" | "no" | "No" | "NO" | "off" | "Off" | "OFF" => Some(false),
            _ => None,
        };
        if answer.is_none() {
            self.cannot_unmarshal(node, "bool");
        }
        answer
    }

    pub(crate) fn string_map<'n>(&mut self, node: &'n Node) -> Vec<Pair<'n>> {
        let pairs = match &node.kind {
            Kind::Map(pairs) => pairs,
            Kind::Null => return Vec::new(),
            _ => {
                self.cannot_unmarshal(node, "map[string]string");
                return Vec::new();
            }
        };
        pairs
            .iter()
            .filter_map(|(key, node)| {
                let value = self.string(node)?;
                Some(Pair { name: &key.text, name_place: key.place, value, node })
            })
            .collect()
    }

    fn is_quoted(&self, node: &Node) -> bool {
        let written = self.text.get(node.bytes.clone()).unwrap_or_default().trim_start();
        written.starts_with(['"', '\'', '|', '>'])
    }
}

/// A number as YAML 1.1 writes it: decimal, hexadecimal, octal, binary, `.inf`, `.nan`.
fn yaml_number(text: &str) -> Option<f64> {
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => (-1.0, digits),
        None => (1.0, text.strip_prefix('+').unwrap_or(text)),
    };
    match digits {
        ".inf" | ".Inf" | ".INF" => return Some(sign * f64::INFINITY),
        ".nan" | ".NaN" | ".NAN" => return Some(f64::NAN),
        _ => {}
    }
    let digits = digits.replace('_', "");
    let radix = |prefix: &str, radix| {
        let number = u64::from_str_radix(digits.strip_prefix(prefix)?, radix).ok()?;
        Some(number as f64)
    };
    let is_decimal = digits.starts_with(|c: char| c.is_ascii_digit() || c == '.')
        && digits.chars().all(|c| c.is_ascii_digit() || ".eE+-".contains(c));
    let octal = || digits.chars().all(|c| c.is_ascii_digit()).then(|| radix("0", 8)).flatten();
    let number = radix("0x", 16)
        .or_else(|| radix("0b", 2))
        .or_else(|| radix("0o", 8))
        .or_else(octal)
        .or_else(|| is_decimal.then(|| digits.parse().ok()).flatten());
    number.map(|number| sign * number)
}

/// What Go's YAML library calls the value in a message.
fn described(node: &Node) -> String {
    match &node.kind {
        Kind::Null => "!!null".to_owned(),
        Kind::Scalar(text) => {
            const SHOWN_CHARS_MAX: usize = 10;
            let mut shown: String = text.chars().take(SHOWN_CHARS_MAX).collect();
            if shown.len() < text.len() {
                shown.push_str("...");
            }
            format!("!!str `{shown}`")
        }
        Kind::List(_) => "!!seq".to_owned(),
        Kind::Map(_) => "!!map".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_yamls() {
        for (text, number) in [
            ("5", 5.0),
            ("-1.5e3", -1500.0),
            (".5", 0.5),
            ("1_000", 1000.0),
            ("0x10", 16.0),
            ("0o17", 15.0),
            ("017", 15.0),
            ("0b11", 3.0),
            ("0", 0.0),
            ("0.1", 0.1),
            ("-.inf", f64::NEG_INFINITY),
        ] {
            assert_eq!(yaml_number(text), Some(number), "{text}");
        }
        assert!(yaml_number(".nan").is_some_and(f64::is_nan));
        for text in ["", "NaN", "Inf", "inf", "five", "1m", "1 2", "e5", "--1"] {
            assert_eq!(yaml_number(text), None, "{text}");
        }
    }
}
