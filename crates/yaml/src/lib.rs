//! YAML as a tree whose every node knows its place.
//!
//! The keys of a system depend on its kind, those of a block on what it binds, and all mistakes of a
//! file are to be reported, not only the first. So files are read as trees, and whoever knows what
//! they mean walks them.
//!
//! Not here: what keys mean, and how a mistake is worded.

use std::fmt;
use std::ops::Range;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::{Location, NonFiniteFloatPolicy, Spanned};

/// How deep lists and maps may stand in one another. Reading them recurses, and a thread's stack
/// must be enough for it without optimisation as well.
pub const DEPTH_MAX: usize = 24;

/// How many values a text may hold: enough for the largest rule files.
const NODES_MAX: usize = 5_000_000;

/// A line and a column, both counted from 1; zero where there is none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The line.
    pub line: usize,
    /// The column, in characters.
    pub column: usize,
}

impl From<Location> for Place {
    fn from(location: Location) -> Self {
        let number = |n: u64| usize::try_from(n).unwrap_or(usize::MAX);
        Self { line: number(location.line()), column: number(location.column()) }
    }
}

/// A value with its place.
#[derive(Clone, Debug)]
pub struct Node {
    /// What it is.
    pub kind: Kind,
    /// Where it is used.
    pub place: Place,
    /// The bytes of the file that it was written as; an alias has those of its anchor.
    pub bytes: Range<usize>,
}

/// What a value is.
#[derive(Clone, Debug)]
pub enum Kind {
    /// Nothing: an empty value, `~` or `null`.
    Null,
    /// A scalar. A number or a boolean is its text, as Prometheus reads it into a string.
    Scalar(String),
    /// A list.
    List(Vec<Node>),
    /// A map, in the order of the file; no key stands twice.
    Map(Vec<(Key, Node)>),
}

/// A key of a map.
#[derive(Clone, Debug)]
pub struct Key {
    /// The key.
    pub text: String,
    /// Where it stands.
    pub place: Place,
    /// Its first byte.
    pub start: usize,
}

/// Reads all documents of a text; an empty one has none.
///
/// # Errors
///
/// The place and the reason, without the word "yaml".
pub fn read(text: &str) -> Result<Vec<Node>, (Place, String)> {
    let options = serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_depth: DEPTH_MAX,
            max_nodes: NODES_MAX,
            max_events: 4 * NODES_MAX,
            // One anchor for the annotations of all rules of a file is how people use them. Against
            // aliases of aliases that become billions there is a limit on what comes of them.
            enforce_alias_anchor_ratio: false,
        },
        // `.inf` and `.nan` are scalars like any other: their text counts.
        non_finite_float_policy: NonFiniteFloatPolicy::PassThrough,
    };
    let documents = serde_saphyr::from_multiple_with_options(text, options);
    let documents: Vec<Spanned<Raw>> = documents.map_err(|error| {
        let place = error.location().map_or(Place::default(), Place::from);
        (place, reason(error.without_snippet()))
    })?;
    Ok(documents.into_iter().map(|raw| resolve(raw, text)).collect())
}

/// What is wrong, without its place: that is printed by us, for every mistake alike.
fn reason(error: &serde_saphyr::Error) -> String {
    match error {
        serde_saphyr::Error::DuplicateMappingKey { key: Some(key), .. } => {
            format!("the key `{key}` stands twice")
        }
        serde_saphyr::Error::RecursiveReferencesRequireWeakTypes { .. } => {
            "an alias stands within its own anchor".to_owned()
        }
        other => {
            let text = other.to_string();
            let line = text.lines().next().unwrap_or_default().trim_start_matches("error: ");
            line.rsplit_once(" at line ").map_or(line, |(reason, _)| reason).to_owned()
        }
    }
}

/// A value as the deserializer sees it, before plain scalars are taken back from the text.
enum Raw {
    Null,
    Text(String),
    /// A scalar that YAML reads as a number or a boolean: `1.10`, `true`.
    Plain,
    List(Vec<Spanned<Raw>>),
    Map(Vec<(Spanned<String>, Spanned<Raw>)>),
}

fn resolve(raw: Spanned<Raw>, text: &str) -> Node {
    let place = Place::from(raw.referenced);
    let span = raw.defined.span();
    let offset = |n: Option<u64>| n.and_then(|n| usize::try_from(n).ok()).unwrap_or(0);
    let start = offset(span.byte_offset()).min(text.len());
    let bytes = start..start.saturating_add(offset(span.byte_len())).min(text.len());
    let kind = match raw.value {
        Raw::Null => Kind::Null,
        Raw::Text(text) => Kind::Scalar(text),
        Raw::Plain => Kind::Scalar(text.get(bytes.clone()).unwrap_or_default().trim().to_owned()),
        Raw::List(items) => Kind::List(items.into_iter().map(|item| resolve(item, text)).collect()),
        Raw::Map(pairs) => Kind::Map(
            pairs
                .into_iter()
                .map(|(key, value)| {
                    let place = Place::from(key.referenced);
                    let start = offset(key.referenced.span().byte_offset()).min(text.len());
                    (Key { text: key.value, place, start }, resolve(value, text))
                })
                .collect(),
        ),
    };
    Node { kind, place, bytes }
}

impl Node {
    /// Where the byte at `offset` of this scalar's value stands in the file `text`.
    ///
    /// The value differs from what is written by quotes, escapes, indentation and folded lines, but
    /// in all styles the characters that are no white space come in the same order. So they are
    /// paired one by one; where that fails, the place is that of the whole value.
    pub fn place_in_value(&self, offset: usize, text: &str) -> Place {
        let Kind::Scalar(value) = &self.kind else { return self.place };
        let written = text.get(self.bytes.clone()).unwrap_or_default();
        match pair_up(written, value) {
            Some(positions) => {
                let before = value.get(..offset).unwrap_or(value);
                let solid = before.chars().filter(|c| !c.is_whitespace()).count();
                let on_solid = value
                    .get(offset..)
                    .and_then(|rest| rest.chars().next())
                    .is_some_and(|c| !c.is_whitespace());
                let at = match (on_solid, solid) {
                    (true, _) => positions.get(solid).map(|range| range.start),
                    (false, 0) => Some(0),
                    // Between or behind: right after the last character.
                    (false, _) => positions.get(solid - 1).map(|range| range.end),
                };
                at.map_or(self.place, |at| place_of(text, self.bytes.start + at))
            }
            None => self.place,
        }
    }
}

fn place_of(text: &str, byte: usize) -> Place {
    let before = text.get(..byte).unwrap_or(text);
    let line_start = before.rfind('\n').map_or(0, |at| at + 1);
    let column = before[line_start..].chars().count() + 1;
    Place { line: before.matches('\n').count() + 1, column }
}

/// The bytes of `written` behind each character of `value` that is no white space.
fn pair_up(written: &str, value: &str) -> Option<Vec<Range<usize>>> {
    let solid: Vec<char> = value.chars().filter(|c| !c.is_whitespace()).collect();
    // A block scalar's text may or may not start with its header line.
    let body = written.find('\n').map_or(written.len(), |at| at + 1);
    [(0, Style::Plain), (0, Style::Single), (0, Style::Double), (body, Style::Plain)]
        .into_iter()
        .find_map(|(skip, style)| pair_up_as(written.get(skip..)?, style, &solid, skip))
}

#[derive(Clone, Copy, PartialEq)]
enum Style {
    Plain,
    Single,
    Double,
}

fn pair_up_as(
    written: &str,
    style: Style,
    solid: &[char],
    skipped: usize,
) -> Option<Vec<Range<usize>>> {
    let mark = match style {
        Style::Plain => None,
        Style::Single => Some('\''),
        Style::Double => Some('"'),
    };
    let mut rest = written.trim_start();
    if let Some(mark) = mark {
        rest = rest.strip_prefix(mark)?;
    }
    let mut positions = Vec::with_capacity(solid.len());
    let mut want = solid.iter();
    let mut next = want.next();
    while let (Some(wanted), Some(c)) = (next, rest.chars().next()) {
        let start = written.len() - rest.len();
        let (taken, found) = match (style, c) {
            (Style::Single, '\'') => (rest.starts_with("''").then_some(2)?, '\''),
            (Style::Double, '\\') => escape(rest)?,
            (Style::Double, '"') => return None,
            _ => (c.len_utf8(), c),
        };
        rest = rest.get(taken..)?;
        if found.is_whitespace() {
            continue;
        }
        if found != *wanted {
            return None;
        }
        positions.push(skipped + start..skipped + start + taken);
        next = want.next();
    }
    next.is_none().then_some(positions)
}

/// The length of an escape in a double-quoted scalar, and the character that it stands for.
fn escape(rest: &str) -> Option<(usize, char)> {
    let letter = rest[1..].chars().next()?;
    let hex = |digits: usize| {
        let code = u32::from_str_radix(rest.get(2..2 + digits)?, 16).ok()?;
        Some((2 + digits, char::from_u32(code)?))
    };
    match letter {
        'x' => hex(2),
        'u' => hex(4),
        'U' => hex(8),
        'n' | 't' | 'r' | 'v' | 'f' | 'N' | 'L' | 'P' | '_' | ' ' | '\n' => {
            Some((1 + letter.len_utf8(), ' '))
        }
        '0' => Some((2, '\0')),
        'a' => Some((2, '\x07')),
        'b' => Some((2, '\x08')),
        'e' => Some((2, '\x1b')),
        _ => Some((1 + letter.len_utf8(), letter)),
    }
}

impl<'de> Deserialize<'de> for Raw {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(RawVisitor)
    }
}

struct RawVisitor;

impl<'de> Visitor<'de> for RawVisitor {
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

/// The known word that `word` was probably meant to be: a third of it differs at most, enough for a
/// typo and too little for another word.
pub fn nearest<'a>(word: &str, known: &[&'a str]) -> Option<&'a str> {
    known
        .iter()
        .map(|key| (distance(word, key), *key))
        .filter(|(distance, key)| *distance <= key.len().max(word.len()).div_ceil(3))
        .min()
        .map(|(_, key)| key)
}

/// How many characters must be changed, added or removed to make one from the other.
pub fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, ca) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, cb) in b.iter().enumerate() {
            let substituted = diagonal + usize::from(ca != *cb);
            diagonal = row[j + 1];
            row[j + 1] = substituted.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The place of the first `!` of the value of `expr`, in every style of writing it.
    #[test]
    fn a_place_in_a_value_is_found_in_every_style() {
        let check = |text: &str, line, column| {
            let node = &read(text).expect(text)[0];
            let Kind::Map(pairs) = &node.kind else { panic!("{text}") };
            let value = &pairs[0].1;
            let Kind::Scalar(expr) = &value.kind else { panic!("{text}") };
            let offset = expr.find('!').expect("the text has a mark");
            assert_eq!(value.place_in_value(offset, text), Place { line, column }, "{text}");
        };
        check("expr: up ! 1\n", 1, 10);
        check("expr: \"up ! 1\"\n", 1, 11);
        check("expr: 'up{a=''b''} ! 1'\n", 1, 20);
        check("expr: \"up{a=\\\"b\\\"} ! 1\"\n", 1, 20);
        check("expr: |\n  up\n    == ! 1\n", 3, 8);
        check("expr: >-\n  up\n  and\n\n  ! 1\n", 5, 3);
        check("# é\nexpr: |-\n    \"é\" ! 1\n", 3, 9);
        check("expr: up\n  and !\n", 2, 7);
    }

    #[test]
    fn behind_the_last_character_is_a_place_too() {
        let text = "expr: |\n  sum(up\n";
        let node = &read(text).expect("parses")[0];
        let Kind::Map(pairs) = &node.kind else { panic!("a map") };
        assert_eq!(pairs[0].1.place_in_value(7, text), Place { line: 2, column: 9 });
    }

    #[test]
    fn what_is_too_deep_is_refused() {
        assert!(read(&"- ".repeat(DEPTH_MAX)).is_ok());
        for piece in ["- ", "{a: ", "[", "? "] {
            for count in [DEPTH_MAX + 1, 20_000] {
                assert!(read(&piece.repeat(count)).is_err(), "{piece:?}");
            }
        }
    }

    #[test]
    fn one_anchor_serves_many() {
        let aliases = "- *a\n".repeat(2_000);
        let documents = read(&format!("- &a {{x: y, z: [1, 2, 3]}}\n{aliases}"));
        let documents = documents.expect("no bomb");
        let Kind::List(items) = &documents[0].kind else { panic!("a list") };
        assert_eq!(items.len(), 2_001);
    }

    #[test]
    fn scalars_keep_their_spelling() {
        let text = "[1.10, true, 0x1F, '1', ~, \"\", 1e3, .inf, -.INF, .nan]";
        let node = &read(text).expect("parses")[0];
        let Kind::List(items) = &node.kind else { panic!("a list") };
        let texts: Vec<_> = items
            .iter()
            .map(|item| match &item.kind {
                Kind::Null => "null",
                Kind::Scalar(text) => text,
                _ => "?",
            })
            .collect();
        assert_eq!(
            texts,
            ["1.10", "true", "0x1F", "1", "null", "", "1e3", ".inf", "-.INF", ".nan"]
        );
    }

    #[test]
    fn an_empty_text_has_no_document() {
        assert!(read("").expect("empty").is_empty());
        assert!(read("# nothing\n").expect("a comment").is_empty());
        assert_eq!(read("a: 1\n---\nb: 2\n").expect("two").len(), 2);
    }

    #[test]
    fn only_a_near_word_is_suggested() {
        let known = ["expr", "for", "labels", "annotations", "keep_firing_for", "rule_files"];
        let check = |word: &str, want: Option<&str>| assert_eq!(nearest(word, &known), want);
        check("exp", Some("expr"));
        check("label", Some("labels"));
        check("anotations", Some("annotations"));
        check("keep_firing", Some("keep_firing_for"));
        check("rules_file", Some("rule_files"));
        check("severity", None);
        check("fro", None);
    }
}
