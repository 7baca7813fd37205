//! Pieces of a page as YAML, where every value knows its byte on the page.

use paramedic_yaml as yaml;
use paramedic_yaml::{Kind, Place};

use crate::error::Mistake;

/// A piece of a page, taken out line by line: the list that a fenced block stands in indents it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Excerpt {
    text: String,
    /// Pairs of a byte in the text and the byte on the page that it came from, ascending.
    pieces: Vec<(usize, usize)>,
}

impl Excerpt {
    /// Adds what stands at the byte `at` of the page.
    pub fn push(&mut self, text: &str, at: usize) {
        self.pieces.push((self.text.len(), at));
        self.text.push_str(text);
    }

    /// Reads the one document that it holds; nothing where it is empty.
    pub fn read(&self) -> Result<Option<yaml::Node>, Mistake> {
        let mut documents = yaml::read(&self.text).map_err(|(place, reason)| {
            // The reason ends with the place in the block; ours is on the page.
            let reason = reason.split(" at line ").next().unwrap_or_default();
            Mistake::new(self.on_page(place), format!("no YAML: {reason}"))
                .hint("a text that holds `: `, ` #` or begins with a sign stands in quotes")
        })?;
        if let Some(second) = documents.get(1) {
            let at = self.on_page(second.place);
            return Err(Mistake::new(at, "a second YAML document begins here"));
        }
        Ok(documents.pop())
    }

    fn on_page(&self, place: Place) -> usize {
        let line = place.line.saturating_sub(1);
        let start: usize = self.text.split_inclusive('\n').take(line).map(str::len).sum();
        let rest = self.text[start..].split('\n').next().unwrap_or_default();
        let column = rest.char_indices().nth(place.column.saturating_sub(1));
        let at = start + column.map_or(rest.len(), |(at, _)| at);
        let piece = self.pieces.partition_point(|(start, _)| *start <= at).saturating_sub(1);
        self.pieces.get(piece).map_or(0, |(start, page)| page + at.saturating_sub(*start))
    }
}

/// A value on the page.
#[derive(Clone, Copy)]
pub(crate) struct Node<'a> {
    node: &'a yaml::Node,
    excerpt: &'a Excerpt,
}

impl<'a> Node<'a> {
    /// Its first byte on the page.
    pub fn at(self) -> usize {
        self.excerpt.on_page(self.node.place)
    }

    /// Where the byte at `offset` of its scalar stands on the page.
    pub fn at_byte(self, offset: usize) -> usize {
        self.excerpt.on_page(self.node.place_in_value(offset, &self.excerpt.text))
    }

    /// A mistake at this place.
    pub fn mistake(self, message: impl Into<String>) -> Mistake {
        Mistake::new(self.at(), message)
    }

    fn describe(self) -> &'static str {
        match self.node.kind {
            Kind::Null => "nothing",
            Kind::Scalar(_) => "a text",
            Kind::List(_) => "a list",
            Kind::Map(_) => "a map",
        }
    }

    fn is_null(self) -> bool {
        matches!(self.node.kind, Kind::Null)
    }

    /// The text that `key` must hold.
    pub fn text(self, key: &str) -> Result<&'a str, Mistake> {
        match &self.node.kind {
            Kind::Scalar(text) => Ok(text),
            _ => Err(self.mistake(format!("`{key}` must be a text, not {}", self.describe()))),
        }
    }

    /// As [`Node::text`], where nothing is the empty text.
    pub fn text_or_empty(self, key: &str) -> Result<&'a str, Mistake> {
        if self.is_null() { Ok("") } else { self.text(key) }
    }

    /// The items of the list that `key` must hold.
    pub fn list(self, key: &str) -> Result<impl Iterator<Item = Self>, Mistake> {
        match &self.node.kind {
            Kind::List(items) => {
                Ok(items.iter().map(move |node| Node { node, excerpt: self.excerpt }))
            }
            _ => Err(self.mistake(format!("`{key}` must be a list, not {}", self.describe()))),
        }
    }

    /// The texts of the list, or the one text, that `key` must hold.
    pub fn texts(self, key: &str) -> Result<Vec<String>, Mistake> {
        match &self.node.kind {
            Kind::Scalar(text) => Ok(vec![text.clone()]),
            _ => self.list(key)?.map(|item| item.text(key).map(str::to_owned)).collect(),
        }
    }

    /// The keys of the map that `what` must be, each with its place on the page and its value.
    pub fn pairs(self, what: &str) -> Result<Vec<(&'a str, usize, Self)>, Mistake> {
        let excerpt = self.excerpt;
        match &self.node.kind {
            Kind::Map(pairs) => Ok(pairs
                .iter()
                .map(|(key, node)| {
                    (key.text.as_str(), excerpt.on_page(key.place), Node { node, excerpt })
                })
                .collect()),
            Kind::Null => Ok(Vec::new()),
            _ => Err(self.mistake(format!("{what} must hold keys, not {}", self.describe()))),
        }
    }
}

/// Reads the keys of one map; keeps the mistakes, and names the keys that nobody asked for.
pub(crate) struct Table<'a> {
    at: usize,
    what: &'a str,
    pairs: Vec<(&'a str, usize, Node<'a>)>,
    known: Vec<&'a str>,
    pub mistakes: Vec<Mistake>,
}

impl<'a> Table<'a> {
    /// The map that `node` of `excerpt` must be; `what` names it in messages. Mistakes without a
    /// better place stand at the byte `at` of the page.
    pub fn new(
        node: Option<&'a yaml::Node>,
        excerpt: &'a Excerpt,
        what: &'a str,
        at: usize,
    ) -> Self {
        let pairs = node.map_or(Ok(Vec::new()), |node| Node { node, excerpt }.pairs(what));
        let (pairs, mistakes) = match pairs {
            Ok(pairs) => (pairs, Vec::new()),
            Err(mistake) => (Vec::new(), vec![mistake]),
        };
        Self { at, what, pairs, known: Vec::new(), mistakes }
    }

    /// The keys, each with its place on the page.
    pub fn keys(&self) -> impl Iterator<Item = (&'a str, usize)> {
        self.pairs.iter().map(|(key, at, _)| (*key, *at))
    }

    /// The value of `key`, where it is there and not null.
    pub fn get(&mut self, key: &'a str) -> Option<Node<'a>> {
        self.known.push(key);
        let (.., value) = self.pairs.iter().find(|(name, ..)| *name == key)?;
        (!value.is_null()).then_some(*value)
    }

    /// The value of `key` as `read` understands it; its mistakes are kept.
    pub fn read<T>(
        &mut self,
        key: &'a str,
        read: impl FnOnce(Node<'a>) -> Result<T, Mistake>,
    ) -> Option<T> {
        let result = self.get(key).map(read)?;
        result.map_err(|mistake| self.mistakes.push(mistake)).ok()
    }

    /// As [`Table::read`], where the key must be there.
    pub fn read_required<T>(
        &mut self,
        key: &'a str,
        read: impl FnOnce(Node<'a>) -> Result<T, Mistake>,
    ) -> Option<T> {
        if self.get(key).is_none() {
            let message = format!("{} needs `{key}`", self.what);
            self.mistakes.push(Mistake::new(self.at, message));
        }
        self.read(key, read)
    }

    /// All mistakes, those of keys that were never asked for among them.
    pub fn finish(mut self) -> Vec<Mistake> {
        self.known.dedup();
        for (key, at, _) in &self.pairs {
            if !self.known.contains(key) {
                let mistake = Mistake::new(*at, format!("{} has no key `{key}`", self.what));
                self.mistakes.push(mistake.near(key, &self.known));
            }
        }
        self.mistakes
    }
}
