//! YAML as a tree whose every node knows its byte on the page.
//!
//! The front matter and the fenced blocks are pieces of a page, and the keys that a block takes
//! depend on its kind; so they are read as trees, and every mistake keeps its place.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::{Location, Spanned};

use crate::error::Mistake;

/// A piece of a page, taken out line by line: the list that a fenced block stands in indents it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Excerpt {
    pub text: String,
    /// Pairs of a byte in the text and the byte on the page that it came from, ascending.
    pieces: Vec<(usize, usize)>,
}

impl Excerpt {
    /// Adds what stands at the byte `at` of the page.
    pub fn push(&mut self, text: &str, at: usize) {
        self.pieces.push((self.text.len(), at));
        self.text.push_str(text);
    }

    /// The byte on the page of a byte in the text.
    pub fn on_page(&self, at: usize) -> usize {
        let piece = self.pieces.partition_point(|(start, _)| *start <= at).saturating_sub(1);
        self.pieces.get(piece).map_or(0, |(start, page)| page + at.saturating_sub(*start))
    }
}

/// A value with its place.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    pub kind: Kind,
    /// Its first byte on the page.
    pub at: usize,
    /// Whether the page has the scalar letter by letter from there.
    pub verbatim: bool,
}

#[derive(Debug, Clone)]
pub(crate) enum Kind {
    Null,
    /// A scalar as it is written, without quotes.
    Scalar(String),
    List(Vec<Node>),
    Map(Vec<(Node, Node)>),
}

/// Reads one document. An empty one is null.
pub(crate) fn read(excerpt: &Excerpt) -> Result<Node, Mistake> {
    let raw: Spanned<Raw> = serde_saphyr::from_str(&excerpt.text).map_err(|error| {
        let at = error.location().map_or(0, |place| byte(&excerpt.text, &place));
        // The library prints the place and an excerpt behind the reason; the place is printed by
        // us, for every mistake alike.
        let message = error.to_string();
        let message = message.lines().next().unwrap_or_default().trim_start_matches("error: ");
        // Its own place would be that in the block.
        let message = match message.split_once(": ") {
            Some((place, reason)) if place.starts_with("line ") => reason,
            _ => message,
        };
        Mistake::new(excerpt.on_page(at), format!("no YAML: {message}"))
            .hint("a text that holds `: `, ` #` or begins with a sign stands in quotes")
    })?;
    Ok(resolve(raw, excerpt))
}

/// The byte of a place; columns are counted in characters.
fn byte(text: &str, place: &Location) -> usize {
    let line = usize::try_from(place.line().saturating_sub(1)).unwrap_or(usize::MAX);
    let column = usize::try_from(place.column().saturating_sub(1)).unwrap_or(usize::MAX);
    let start: usize = text.split_inclusive('\n').take(line).map(str::len).sum();
    let rest = text[start..].split('\n').next().unwrap_or_default();
    start + rest.char_indices().nth(column).map_or(rest.len(), |(at, _)| at)
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

fn resolve(raw: Spanned<Raw>, excerpt: &Excerpt) -> Node {
    let start = byte(&excerpt.text, &raw.referenced);
    let rest = excerpt.text.get(start..).unwrap_or_default();
    let mut verbatim = false;
    let mut at = excerpt.on_page(start);
    let kind = match raw.value {
        Raw::Null => Kind::Null,
        Raw::Text(text) => {
            let quote = usize::from(rest.starts_with(['"', '\'']));
            verbatim = rest.get(quote..).is_some_and(|rest| rest.starts_with(&text));
            at += if verbatim { quote } else { 0 };
            Kind::Scalar(text)
        }
        Raw::Plain => {
            let span = raw.defined.span();
            let start = span.byte_offset().unwrap_or(0) as usize;
            let end = start + span.byte_len().unwrap_or(0) as usize;
            let text = excerpt.text.get(start..end).unwrap_or_default();
            verbatim = true;
            Kind::Scalar(text.trim().to_owned())
        }
        Raw::List(items) => {
            Kind::List(items.into_iter().map(|item| resolve(item, excerpt)).collect())
        }
        Raw::Map(pairs) => Kind::Map(
            pairs
                .into_iter()
                .map(|(key, value)| {
                    let at = excerpt.on_page(byte(&excerpt.text, &key.referenced));
                    let key = Node { kind: Kind::Scalar(key.value), at, verbatim: true };
                    (key, resolve(value, excerpt))
                })
                .collect(),
        ),
    };
    Node { kind, at, verbatim }
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
        Mistake::new(self.at, message)
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

    /// The items of the list that `key` must hold.
    pub fn list(&self, key: &str) -> Result<&[Node], Mistake> {
        match &self.kind {
            Kind::List(items) => Ok(items),
            _ => Err(self.mistake(format!("`{key}` must be a list, not {}", self.describe()))),
        }
    }

    /// The pairs of the map that `key` must hold; none where it is empty.
    pub fn pairs(&self, key: &str) -> Result<&[(Node, Node)], Mistake> {
        match &self.kind {
            Kind::Map(pairs) => Ok(pairs),
            Kind::Null => Ok(&[]),
            _ => Err(self.mistake(format!("{key} must hold keys, not {}", self.describe()))),
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

/// Reads the keys of one map; keeps the mistakes, and names the keys that nobody asked for.
pub(crate) struct Table<'a> {
    at: usize,
    what: &'a str,
    pairs: &'a [(Node, Node)],
    known: Vec<&'a str>,
    pub mistakes: Vec<Mistake>,
}

impl<'a> Table<'a> {
    /// The map that `node` must hold; `what` names it in messages. Mistakes without a better place
    /// stand at the byte `at` of the page.
    pub fn new(node: &'a Node, what: &'a str, at: usize) -> Self {
        let (pairs, mistakes) = match node.pairs(what) {
            Ok(pairs) => (pairs, Vec::new()),
            Err(mistake) => (&[][..], vec![mistake]),
        };
        Self { at, what, pairs, known: Vec::new(), mistakes }
    }

    /// The value of `key`, where it is there and not null.
    pub fn get(&mut self, key: &'a str) -> Option<&'a Node> {
        self.known.push(key);
        let (_, value) = self.pairs.iter().find(|(name, _)| name.as_key() == key)?;
        (!matches!(value.kind, Kind::Null)).then_some(value)
    }

    /// The value of `key`, which must be there.
    pub fn require(&mut self, key: &'a str) -> Option<&'a Node> {
        let node = self.get(key);
        if node.is_none() {
            let message = format!("{} needs `{key}`", self.what);
            self.mistakes.push(Mistake::new(self.at, message));
        }
        node
    }

    /// The value of `key` as `read` understands it; its mistakes are kept.
    pub fn read<T>(
        &mut self,
        key: &'a str,
        read: impl FnOnce(&'a Node) -> Result<T, Mistake>,
    ) -> Option<T> {
        let result = self.get(key).map(read)?;
        self.keep(result)
    }

    /// As [`Table::read`], where the key must be there.
    pub fn read_required<T>(
        &mut self,
        key: &'a str,
        read: impl FnOnce(&'a Node) -> Result<T, Mistake>,
    ) -> Option<T> {
        let result = self.require(key).map(read)?;
        self.keep(result)
    }

    fn keep<T>(&mut self, result: Result<T, Mistake>) -> Option<T> {
        result.map_err(|mistake| self.mistakes.push(mistake)).ok()
    }

    /// All mistakes, those of keys that were never asked for among them.
    pub fn finish(mut self) -> Vec<Mistake> {
        for (name, _) in self.pairs {
            let key = name.as_key();
            if !self.known.contains(&key) {
                let mistake = name.mistake(format!("{} has no key `{key}`", self.what));
                self.mistakes.push(mistake.near(key, &self.known));
            }
        }
        self.mistakes
    }
}
