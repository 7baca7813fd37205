use std::fmt;

use serde_json::{Map, Value};

/// What a probe saw.
#[derive(Debug, Clone, PartialEq)]
pub struct Evidence {
    /// Typed facts, as the probe's signature declares them; what conditions read.
    pub facts: Map<String, Value>,
    /// One line for a person, without a full stop.
    pub summary: String,
    /// The part of the raw answer that shows it, redacted, at most a few kilobytes; may be empty.
    pub excerpt: String,
}

/// One declared fact.
#[derive(Debug, Clone)]
pub struct Field {
    /// The key in the facts.
    pub name: &'static str,
    /// What it holds.
    pub kind: FieldType,
    /// What it means, with its unit.
    pub doc: &'static str,
}

impl Field {
    /// Declares a fact that is always there.
    pub const fn new(name: &'static str, kind: FieldType, doc: &'static str) -> Self {
        Self { name, kind, doc }
    }
}

/// The type of a fact.
#[derive(Debug, Clone)]
pub enum FieldType {
    /// `true` or `false`.
    Bool,
    /// A whole number.
    Int,
    /// A number.
    Float,
    /// A text.
    Text,
    /// Any number of values of one type.
    List(Box<FieldType>),
    /// Named facts.
    Record(Vec<Field>),
    /// The value, or null where the system does not say.
    Optional(Box<FieldType>),
}

impl FieldType {
    /// A list of records.
    pub fn records(fields: Vec<Field>) -> Self {
        Self::List(Box::new(Self::Record(fields)))
    }

    /// A list of texts.
    pub fn texts() -> Self {
        Self::List(Box::new(Self::Text))
    }

    /// This type, or null.
    pub fn or_null(self) -> Self {
        Self::Optional(Box::new(self))
    }
}

/// Facts that are not what the signature declares: a defect of the integration, not of the system.
#[derive(Debug, Clone, PartialEq)]
pub struct FactError {
    /// Where: `lines[3].text`.
    pub path: String,
    /// What was expected there and what was found.
    pub reason: String,
}

impl fmt::Display for FactError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "fact `{}`: {}", self.path, self.reason)
    }
}

impl std::error::Error for FactError {}

/// Checks that `facts` hold exactly the declared `fields`, each of its type.
pub(crate) fn check(fields: &[Field], facts: &Map<String, Value>) -> Result<(), FactError> {
    check_record(fields, facts, "")
}

fn check_record(fields: &[Field], facts: &Map<String, Value>, at: &str) -> Result<(), FactError> {
    let join = |name: &str| if at.is_empty() { name.to_owned() } else { format!("{at}.{name}") };
    for field in fields {
        let path = join(field.name);
        match facts.get(field.name) {
            Some(value) => check_value(&field.kind, value, &path)?,
            None => return Err(FactError { path, reason: "declared but missing".to_owned() }),
        }
    }
    match facts.keys().find(|key| fields.iter().all(|field| field.name != key.as_str())) {
        Some(key) => Err(FactError { path: join(key), reason: "not declared".to_owned() }),
        None => Ok(()),
    }
}

fn check_value(kind: &FieldType, value: &Value, path: &str) -> Result<(), FactError> {
    let fits = match (kind, value) {
        (FieldType::Optional(_), Value::Null) => true,
        (FieldType::Optional(kind), value) => return check_value(kind, value, path),
        (FieldType::List(kind), Value::Array(items)) => {
            return items
                .iter()
                .enumerate()
                .try_for_each(|(i, item)| check_value(kind, item, &format!("{path}[{i}]")));
        }
        (FieldType::Record(fields), Value::Object(facts)) => {
            return check_record(fields, facts, path);
        }
        (FieldType::Bool, Value::Bool(_)) | (FieldType::Text, Value::String(_)) => true,
        (FieldType::Int, Value::Number(number)) => number.is_i64() || number.is_u64(),
        (FieldType::Float, Value::Number(_)) => true,
        _ => false,
    };
    if fits {
        return Ok(());
    }
    Err(FactError { path: path.to_owned(), reason: format!("expected {kind}, found {value}") })
}

/// The type as the catalogue prints it: `list of {name: text, pid: int or null}`.
impl fmt::Display for FieldType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bool => f.write_str("bool"),
            Self::Int => f.write_str("int"),
            Self::Float => f.write_str("float"),
            Self::Text => f.write_str("text"),
            Self::List(kind) => write!(f, "list of {kind}"),
            Self::Optional(kind) => write!(f, "{kind} or null"),
            Self::Record(fields) => {
                f.write_str("{")?;
                for (i, field) in fields.iter().enumerate() {
                    let separator = if i == 0 { "" } else { ", " };
                    write!(f, "{separator}{}: {}", field.name, field.kind)?;
                }
                f.write_str("}")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn facts_are_held_to_their_declaration() {
        let line = vec![
            Field::new("text", FieldType::Text, ""),
            Field::new("pid", FieldType::Int.or_null(), ""),
        ];
        let fields = [Field::new("lines", FieldType::records(line), "")];
        let check = |facts: Value, expected: &str| {
            let Value::Object(facts) = facts else { panic!("facts are an object") };
            let got = check(&fields, &facts).map_err(|e| e.to_string());
            assert_eq!(got.err().unwrap_or_default(), expected);
        };
        let json = |text: &str| serde_json::from_str(text).unwrap();
        check(json(r#"{"lines":[{"text":"a","pid":1},{"text":"b","pid":null}]}"#), "");
        check(json("{}"), "fact `lines`: declared but missing");
        check(json(r#"{"lines":[],"x":1}"#), "fact `x`: not declared");
        check(
            json(r#"{"lines":[{"text":"a","pid":"1"}]}"#),
            r#"fact `lines[0].pid`: expected int, found "1""#,
        );
    }
}
