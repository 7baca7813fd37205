//! XML as a small tree of elements, each with its namespace.
//!
//! Prefixes differ from server to server and from client to client, so only namespaces and local
//! names are compared. Document types and entities besides the five of XML are refused: no message
//! of WS-Management has any, and they are how a hostile document grows.

use quick_xml::events::{BytesStart, Event};
use quick_xml::name::ResolveResult;
use quick_xml::reader::NsReader;

/// Deeper than this nothing of WS-Management goes.
const DEPTH_MAX: usize = 64;

/// One element.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Element {
    /// The namespace; empty for none.
    pub space: String,
    /// The local name.
    pub name: String,
    /// Attributes by local name, in the order of the document.
    pub attributes: Vec<(String, String)>,
    /// All character data directly inside, entities resolved.
    pub text: String,
    /// The elements inside.
    pub children: Vec<Element>,
}

impl Element {
    /// Reads a document.
    ///
    /// # Errors
    ///
    /// Where `text` is not one well-formed element, in words for a message.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let mut reader = NsReader::from_str(text);
        reader.config_mut().expand_empty_elements = true;
        let mut open: Vec<Self> = Vec::new();
        loop {
            let (space, event) = reader.read_resolved_event().map_err(|e| e.to_string())?;
            match event {
                Event::Start(start) => {
                    let space = match space {
                        ResolveResult::Bound(space) => space.0.to_owned(),
                        ResolveResult::Unbound => String::new(),
                        ResolveResult::Unknown(prefix) => {
                            return Err(format!("prefix {prefix:?} stands for no namespace"));
                        }
                    };
                    if open.len() == DEPTH_MAX {
                        return Err(format!("elements nested deeper than {DEPTH_MAX}"));
                    }
                    open.push(Self::of(space, &start)?);
                }
                Event::End(_) => {
                    let done = open.pop().ok_or("an end tag too many")?;
                    match open.last_mut() {
                        Some(parent) => parent.children.push(done),
                        None => return Ok(done),
                    }
                }
                Event::Text(piece) => push(&mut open, &piece.xml10_content()),
                Event::CData(piece) => push(&mut open, &piece.xml10_content()),
                Event::GeneralRef(entity) => {
                    let resolved = match entity.resolve_char_ref().map_err(|e| e.to_string())? {
                        Some(character) => Some(character.to_string()),
                        None => predefined(&entity).map(str::to_owned),
                    };
                    let resolved = resolved
                        .ok_or_else(|| format!("entity {:?} is none of XML's own", &*entity))?;
                    push(&mut open, &resolved);
                }
                Event::DocType(_) => return Err("a document type is not allowed".to_owned()),
                Event::Comment(_) | Event::PI(_) | Event::Decl(_) => {}
                Event::Empty(_) => return Err("an empty element that was not expanded".to_owned()),
                Event::Eof => return Err("it ends before its root element does".to_owned()),
            }
        }
    }

    fn of(space: String, start: &BytesStart<'_>) -> Result<Self, String> {
        let mut element =
            Self { space, name: start.local_name().as_ref().to_owned(), ..Self::default() };
        for attribute in start.attributes() {
            let attribute = attribute.map_err(|e| e.to_string())?;
            let value = quick_xml::escape::unescape(&attribute.value).map_err(|e| e.to_string())?;
            let name = attribute.key.local_name().as_ref().to_owned();
            element.attributes.push((name, value.into_owned()));
        }
        Ok(element)
    }

    /// The first element inside with this local name.
    pub(crate) fn child(&self, name: &str) -> Option<&Self> {
        self.children.iter().find(|child| child.name == name)
    }

    /// All elements inside with this local name.
    pub(crate) fn children<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Self> {
        self.children.iter().filter(move |child| child.name == name)
    }

    /// The element that a path of local names leads to, the first one at each step.
    pub(crate) fn at(&self, path: &[&str]) -> Option<&Self> {
        path.iter().try_fold(self, |element, name| element.child(name))
    }

    /// The first element with this local name, this one or anywhere inside.
    pub(crate) fn find(&self, name: &str) -> Option<&Self> {
        if self.name == name {
            return Some(self);
        }
        self.children.iter().find_map(|child| child.find(name))
    }

    /// The attribute with this local name.
    pub(crate) fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
    }
}

fn push(open: &mut [Element], piece: &str) {
    if let Some(element) = open.last_mut() {
        element.text.push_str(piece);
    }
}

fn predefined(entity: &str) -> Option<&'static str> {
    match entity {
        "lt" => Some("<"),
        "gt" => Some(">"),
        "amp" => Some("&"),
        "apos" => Some("'"),
        "quot" => Some("\""),
        _ => None,
    }
}

/// `text` as character data or between the quotes of an attribute.
///
/// Control characters other than tab and line ends have no place in XML 1.0, escaped or not; they
/// become U+FFFD, so that a stranger's text cannot make the document unreadable.
pub(crate) fn escape(text: &str) -> String {
    let allowed = |c: char| !c.is_control() || matches!(c, '\t' | '\n' | '\r') || c > '\u{7f}';
    let text: String = text
        .chars()
        .map(|c| if allowed(c) && !matches!(c, '\u{fffe}' | '\u{ffff}') { c } else { '\u{fffd}' })
        .collect();
    quick_xml::escape::escape(text).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn namespaces_are_resolved_and_text_is_unescaped() {
        let text = r#"<?xml version="1.0"?><a:x xmlns:a="urn:one" k="1 &amp; 2"><y xmlns="urn:two">
            &lt;b&gt;&#x41;<![CDATA[<c>]]></y><a:z/></a:x>"#;
        let root = Element::parse(text).unwrap();
        assert_eq!(
            (&*root.space, &*root.name, root.attribute("k")),
            ("urn:one", "x", Some("1 & 2"))
        );
        let y = root.child("y").unwrap();
        assert_eq!((&*y.space, y.text.trim()), ("urn:two", "<b>A<c>"));
        assert!(root.at(&["z"]).is_some() && root.find("nothing").is_none());
    }

    #[test]
    fn what_is_not_well_formed_is_refused_in_words() {
        let check = |text: &str, part: &str| {
            let error = Element::parse(text).unwrap_err();
            assert!(error.contains(part), "{text}: {error}");
        };
        check("", "ends before");
        check("<a><b></a>", "expected");
        check("<a>&nbsp;</a>", "none of XML's own");
        check("<!DOCTYPE a [<!ENTITY b 'c'>]><a/>", "document type");
        check("<p:a/>", "prefix");
        check(&"<a>".repeat(100), "deeper");
    }

    #[test]
    fn an_escaped_text_comes_back_as_it_was() {
        for text in ["a'b\"c<d>e&f", "tab\t\nline", "日本語", "]]>"] {
            let document = format!("<x k=\"{0}\">{0}</x>", escape(text).replace('\n', "&#10;"));
            assert_eq!(Element::parse(&document).unwrap().text, text);
        }
        assert_eq!(escape("a\0b\u{1b}c"), "a\u{fffd}b\u{fffd}c");
    }
}
