//! YAML as a tree whose every node knows its line and column.
//!
//! The keys of a system depend on its kind, which only the integrations know, so the configuration
//! cannot be one `struct`. This tree is read with [`Table`], which names the place of each mistake
//! and of each key that nobody asked for.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::Spanned;

/// A mistake in a file, at its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistake {
    /// Counted from 1; 0 where the place is not known.
    pub line: u64,
    /// Counted from 1.
    pub column: u64,
    /// What is wrong and what to write.
    pub message: String,
}

/// A value with its place.
#[derive(Debug, Clone)]
pub struct Node {
    pub kind: Kind,
    pub line: u64,
    pub column: u64,
}

/// What a value is.
#[derive(Debug, Clone)]
pub enum Kind {
    Null,
    /// A scalar as it is written, without quotes.
    Scalar(String),
    List(Vec<Node>),
    Map(Vec<(Node, Node)>),
}

/// Reads one document. An empty one is an empty map.
pub fn read(text: &str) -> Result<Node, Mistake> {
    let raw: Spanned<Raw> = serde_saphyr::from_str(text).map_err(|error| {
        let place = error.location();
        // The library prints the place and an excerpt behind the reason; the place is printed by
        // us, for every mistake alike.
        let message = error.to_string();
        let message = message.lines().next().unwrap_or_default();
        let message = message.trim_start_matches("error: ").to_owned();
        let (line, column) = place.map_or((0, 0), |place| (place.line(), place.column()));
        Mistake { line, column, message }
    })?;
    Ok(resolve(raw, text))
}

/// A value as the deserializer sees it, before scalars are taken back from the text.
enum Raw {
    Null,
    Text(String),
    /// A plain scalar that YAML reads as something else than text: `1.10`, `true`.
    Plain,
    List(Vec<Spanned<Raw>>),
    Map(Vec<(Spanned<String>, Spanned<Raw>)>),
}

fn resolve(raw: Spanned<Raw>, text: &str) -> Node {
    let (line, column) = (raw.referenced.line(), raw.referenced.column());
    let kind = match raw.value {
        Raw::Null => Kind::Null,
        Raw::Text(text) => Kind::Scalar(text),
        Raw::Plain => {
            let span = raw.defined.span();
            let start = span.byte_offset().unwrap_or(0) as usize;
            let end = start + span.byte_len().unwrap_or(0) as usize;
            Kind::Scalar(text.get(start..end).unwrap_or_default().trim().to_owned())
        }
        Raw::List(items) => Kind::List(items.into_iter().map(|item| resolve(item, text)).collect()),
        Raw::Map(pairs) => Kind::Map(
            pairs
                .into_iter()
                .map(|(key, value)| {
                    let (line, column) = (key.referenced.line(), key.referenced.column());
                    let key = Node { kind: Kind::Scalar(key.value), line, column };
                    (key, resolve(value, text))
                })
                .collect(),
        ),
    };
    Node { kind, line, column }
}

impl<'de> Deserialize<'de> for Raw {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct AnyValue;

        impl<'de> Visitor<'de> for AnyValue {
            type Value = Raw;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a YAML value")
            }

            fn visit_unit<E>(self) -> Result<Raw, E> {
                Ok(Raw::Null)
            }

            fn visit_none<E>(self) -> Result<Raw, E> {
                Ok(Raw::Null)
            }

            fn visit_some<D: Deserializer<'de>>(self, inner: D) -> Result<Raw, D::Error> {
                Raw::deserialize(inner)
            }

            fn visit_bool<E>(self, _: bool) -> Result<Raw, E> {
                Ok(Raw::Plain)
            }

            fn visit_i64<E>(self, _: i64) -> Result<Raw, E> {
                Ok(Raw::Plain)
            }

            fn visit_u64<E>(self, _: u64) -> Result<Raw, E> {
                Ok(Raw::Plain)
            }

            fn visit_i128<E>(self, _: i128) -> Result<Raw, E> {
                Ok(Raw::Plain)
            }

            fn visit_u128<E>(self, _: u128) -> Result<Raw, E> {
                Ok(Raw::Plain)
            }

            fn visit_f64<E>(self, _: f64) -> Result<Raw, E> {
                Ok(Raw::Plain)
            }

            fn visit_str<E>(self, text: &str) -> Result<Raw, E> {
                Ok(Raw::Text(text.to_owned()))
            }

            fn visit_string<E>(self, text: String) -> Result<Raw, E> {
                Ok(Raw::Text(text))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Raw, A::Error> {
                let mut items = Vec::new();
                while let Some(item) = access.next_element()? {
                    items.push(item);
                }
                Ok(Raw::List(items))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Raw, A::Error> {
                let mut pairs = Vec::new();
                while let Some(pair) = access.next_entry()? {
                    pairs.push(pair);
                }
                Ok(Raw::Map(pairs))
            }
        }

        deserializer.deserialize_any(AnyValue)
    }
}

impl Node {
    /// A mistake at this place.
    pub fn mistake(&self, message: impl Into<String>) -> Mistake {
        Mistake { line: self.line, column: self.column, message: message.into() }
    }

    /// What it is, for a message.
    fn describe(&self) -> &'static str {
        match self.kind {
            Kind::Null => "nothing",
            Kind::Scalar(_) => "a text",
            Kind::List(_) => "a list",
            Kind::Map(_) => "a map",
        }
    }

    /// The scalar that `key` must hold.
    pub fn text(&self, key: &str) -> Result<&str, Mistake> {
        match &self.kind {
            Kind::Scalar(text) => Ok(text),
            _ => Err(self.mistake(format!("`{key}` must be a text, not {}", self.describe()))),
        }
    }

    /// The items of the list that `key` must hold; none where it is empty.
    pub fn list(&self, key: &str) -> Result<&[Node], Mistake> {
        match &self.kind {
            Kind::List(items) => Ok(items),
            Kind::Null => Ok(&[]),
            _ => Err(self.mistake(format!("`{key}` must be a list, not {}", self.describe()))),
        }
    }

    /// The texts of the list that `key` must hold.
    pub fn texts(&self, key: &str) -> Result<Vec<String>, Mistake> {
        self.list(key)?.iter().map(|item| item.text(key).map(str::to_owned)).collect()
    }

    /// The pairs of the map that `key` must hold; none where it is empty.
    pub fn pairs(&self, key: &str) -> Result<&[(Node, Node)], Mistake> {
        match &self.kind {
            Kind::Map(pairs) => Ok(pairs),
            Kind::Null => Ok(&[]),
            _ => Err(self.mistake(format!("`{key}` must be a map, not {}", self.describe()))),
        }
    }

    /// The text of a key of a map.
    pub fn as_key(&self) -> &str {
        match &self.kind {
            Kind::Scalar(text) => text,
            _ => "",
        }
    }
}

/// Reads the keys of one map, and afterwards names those that nobody asked for.
pub struct Table<'a> {
    at: &'a Node,
    pairs: &'a [(Node, Node)],
    known: Vec<&'a str>,
}

impl<'a> Table<'a> {
    /// The map that `key` must hold.
    pub fn new(node: &'a Node, key: &str) -> Result<Self, Mistake> {
        Ok(Self { at: node, pairs: node.pairs(key)?, known: Vec::new() })
    }

    /// The value of `key`, where it is there and not null.
    pub fn get(&mut self, key: &'a str) -> Option<&'a Node> {
        self.known.push(key);
        let (_, value) = self.pairs.iter().find(|(name, _)| name.as_key() == key)?;
        (!matches!(value.kind, Kind::Null)).then_some(value)
    }

    /// The value of `key`.
    pub fn require(&mut self, key: &'a str) -> Result<&'a Node, Mistake> {
        let at = self.at;
        self.get(key).ok_or_else(|| at.mistake(format!("`{key}` is missing")))
    }

    /// One mistake for each key that was never asked for, with the nearest known one.
    pub fn unknown(self) -> Vec<Mistake> {
        let unknown = self.pairs.iter().filter(|(name, _)| !self.known.contains(&name.as_key()));
        let message = |key: &str| match nearest(key, &self.known) {
            Some(near) => format!("unknown key `{key}`; did you mean `{near}`?"),
            None => format!("unknown key `{key}`; known here: {}", self.known.join(", ")),
        };
        unknown.map(|(name, _)| name.mistake(message(name.as_key()))).collect()
    }
}

/// The known word that `word` was probably meant to be.
pub fn nearest<'a>(word: &str, known: &[&'a str]) -> Option<&'a str> {
    // A third of the letters may differ: enough for a typo, too little for another word.
    let limit = word.chars().count() / 3 + 1;
    let distances = known.iter().map(|near| (distance(word, near), *near));
    distances.filter(|(distance, _)| *distance <= limit).min().map(|(_, near)| near)
}

/// The number of letters to insert, delete or replace to make `b` of `a`.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, y) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(x != *y);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(row[j + 1] + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scalars_are_kept_as_written() {
        let node = read("version: 1.10\non: yes\nquoted: \"a b\"\nport: 0x1F\nempty:\n").unwrap();
        let mut table = Table::new(&node, "").unwrap();
        let mut text = |key| table.get(key).map(|node| node.text(key).unwrap().to_owned());
        assert_eq!(text("version").unwrap(), "1.10");
        assert_eq!(text("on").unwrap(), "yes");
        assert_eq!(text("quoted").unwrap(), "a b");
        assert_eq!(text("port").unwrap(), "0x1F");
        assert_eq!(text("empty"), None);
    }

    #[test]
    fn an_unknown_key_is_named_with_its_place() {
        let node = read("a: 1\nscrap_configs: []\n").unwrap();
        let mut table = Table::new(&node, "").unwrap();
        table.get("a");
        table.get("scrape_configs");
        let message = "unknown key `scrap_configs`; did you mean `scrape_configs`?".to_owned();
        assert_eq!(table.unknown(), [Mistake { line: 2, column: 1, message }]);
    }

    #[test]
    fn broken_yaml_is_named_with_its_place() {
        let mistake = read("a: [1\nb: 2\n").unwrap_err();
        assert!(mistake.line >= 1, "{mistake:?}");
        assert!(!mistake.message.is_empty());
    }

    #[test]
    fn the_nearest_word_is_a_typo_away() {
        let known = ["systems", "rule_files", "guards"];
        assert_eq!(nearest("system", &known), Some("systems"));
        assert_eq!(nearest("rules_file", &known), Some("rule_files"));
        assert_eq!(nearest("zebra", &known), None);
    }
}
