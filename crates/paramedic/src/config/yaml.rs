//! Reads the tree of a configuration key by key, and names the keys that nobody asked for.

use paramedic_yaml::{Key, Place, nearest};
pub use paramedic_yaml::{Kind, Node};

/// A mistake in a file, at its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistake {
    /// Where; zeros where the place is not known.
    pub place: Place,
    /// What is wrong and what to write.
    pub message: String,
}

/// Reads one document. An empty one is null.
pub fn read(text: &str) -> Result<Node, Mistake> {
    let mut documents =
        paramedic_yaml::read(text).map_err(|(place, message)| Mistake { place, message })?;
    match documents.len() {
        0 => Ok(Node { kind: Kind::Null, place: Place { line: 1, column: 1 }, bytes: 0..0 }),
        1 => Ok(documents.remove(0)),
        _ => Err(documents[1].mistake("a configuration is one document; a second one begins here")),
    }
}

/// What a value is read as; each answers with a mistake at the value's place.
pub trait Read {
    /// A mistake at this place.
    fn mistake(&self, message: impl Into<String>) -> Mistake;
    /// The scalar that `key` must hold.
    fn text(&self, key: &str) -> Result<&str, Mistake>;
    /// The items of the list that `key` must hold; none where it is empty.
    fn list(&self, key: &str) -> Result<&[Node], Mistake>;
    /// The texts of the list that `key` must hold.
    fn texts(&self, key: &str) -> Result<Vec<String>, Mistake>;
    /// The pairs of the map that `key` must hold; none where it is empty.
    fn pairs(&self, key: &str) -> Result<&[(Key, Node)], Mistake>;
}

/// What a value is, for a message.
fn describe(node: &Node) -> &'static str {
    match node.kind {
        Kind::Null => "nothing",
        Kind::Scalar(_) => "a text",
        Kind::List(_) => "a list",
        Kind::Map(_) => "a map",
    }
}

impl Read for Node {
    fn mistake(&self, message: impl Into<String>) -> Mistake {
        Mistake { place: self.place, message: message.into() }
    }

    fn text(&self, key: &str) -> Result<&str, Mistake> {
        match &self.kind {
            Kind::Scalar(text) => Ok(text),
            _ => Err(self.mistake(format!("`{key}` must be a text, not {}", describe(self)))),
        }
    }

    fn list(&self, key: &str) -> Result<&[Node], Mistake> {
        match &self.kind {
            Kind::List(items) => Ok(items),
            Kind::Null => Ok(&[]),
            _ => Err(self.mistake(format!("`{key}` must be a list, not {}", describe(self)))),
        }
    }

    fn texts(&self, key: &str) -> Result<Vec<String>, Mistake> {
        self.list(key)?.iter().map(|item| item.text(key).map(str::to_owned)).collect()
    }

    fn pairs(&self, key: &str) -> Result<&[(Key, Node)], Mistake> {
        match &self.kind {
            Kind::Map(pairs) => Ok(pairs),
            Kind::Null => Ok(&[]),
            _ => Err(self.mistake(format!("`{key}` must be a map, not {}", describe(self)))),
        }
    }
}

/// Reads the keys of one map, and afterwards names those that nobody asked for.
pub struct Table<'a> {
    at: &'a Node,
    pairs: &'a [(Key, Node)],
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
        let (_, value) = self.pairs.iter().find(|(name, _)| name.text.as_str() == key)?;
        (!matches!(value.kind, Kind::Null)).then_some(value)
    }

    /// The value of `key`, where it is there, null or not.
    pub fn get_or_null(&mut self, key: &'a str) -> Option<&'a Node> {
        self.known.push(key);
        self.pairs.iter().find(|(name, _)| name.text.as_str() == key).map(|(_, value)| value)
    }

    /// All keys, in the order of the file.
    pub fn keys(&self) -> impl Iterator<Item = &'a str> + use<'a> {
        self.pairs.iter().map(|(name, _)| name.text.as_str())
    }

    /// The value of `key`.
    pub fn require(&mut self, key: &'a str) -> Result<&'a Node, Mistake> {
        let at = self.at;
        self.get(key).ok_or_else(|| at.mistake(format!("`{key}` is missing")))
    }

    /// One mistake for each key that was never asked for, with the nearest known one.
    pub fn unknown(self) -> Vec<Mistake> {
        let unknown =
            self.pairs.iter().filter(|(name, _)| !self.known.contains(&name.text.as_str()));
        let message = |key: &str| match nearest(key, &self.known) {
            Some(near) => format!("unknown key `{key}`; did you mean `{near}`?"),
            None => format!("unknown key `{key}`; known here: {}", self.known.join(", ")),
        };
        unknown
            .map(|(name, _)| Mistake { place: name.place, message: message(&name.text) })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_key_is_named_with_its_place() {
        let node = read("a: 1\nscrap_configs: []\n").unwrap();
        let mut table = Table::new(&node, "").unwrap();
        table.get("a");
        table.get("scrape_configs");
        let message = "unknown key `scrap_configs`; did you mean `scrape_configs`?".to_owned();
        assert_eq!(table.unknown(), [Mistake { place: Place { line: 2, column: 1 }, message }]);
    }
}
