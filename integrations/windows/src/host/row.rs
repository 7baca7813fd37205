use jiff::Timestamp;
use paramedic_model::TimeMs;

use crate::winrm::Element;

/// One instance of a query: `<p:Win32_Service>`, or `<w:XmlFragment>` around the chosen properties.
///
/// All values are texts. Null is an element that says `xsi:nil`, an array is repeated elements, a
/// moment is an element inside the element.
pub(crate) struct Row(pub Element);

impl Row {
    /// The property, where it is there and not null.
    pub(crate) fn get(&self, property: &str) -> Option<&Element> {
        let element = self.0.child(property)?;
        let null = element.attribute("nil").is_some_and(|nil| nil == "true" || nil == "1");
        (!null).then_some(element)
    }

    /// The property as text; empty for null.
    pub(crate) fn text(&self, property: &str) -> String {
        self.get(property).map(|element| element.text.clone()).unwrap_or_default()
    }

    /// All values of an array.
    pub(crate) fn texts(&self, property: &str) -> Vec<String> {
        self.0.children(property).map(|element| element.text.clone()).collect()
    }

    /// The property as a flag; `None` for null and for anything else.
    pub(crate) fn flag(&self, property: &str) -> Option<bool> {
        match self.get(property)?.text.trim().to_ascii_lowercase().as_str() {
            "true" => Some(true),
            "false" => Some(false),
            _ => None,
        }
    }

    /// The property as a number; `None` for null and for anything else.
    pub(crate) fn number(&self, property: &str) -> Option<u64> {
        self.get(property)?.text.trim().parse().ok()
    }

    /// The property as a moment; `None` for null and for anything else.
    pub(crate) fn time(&self, property: &str) -> Option<TimeMs> {
        let element = self.get(property)?;
        let text = element.child("Datetime").unwrap_or(element).text.trim();
        let moment = text.parse::<Timestamp>().ok().map(|at| TimeMs(at.as_millisecond()));
        moment.or_else(|| dmtf(text))
    }

    /// The key of the instance that a reference points to, with its class: `Win32_Service`, `RpcSs`.
    pub(crate) fn reference(&self, property: &str) -> Option<(String, String)> {
        let reference = self.get(property)?;
        let resource = reference.find("ResourceURI")?.text.trim().to_owned();
        let class = resource.rsplit('/').next()?.to_owned();
        let selectors = reference.find("SelectorSet")?;
        let key = selectors.children("Selector").find(|s| s.attribute("Name") == Some("Name"))?;
        Some((class, key.text.trim().to_owned()))
    }
}

/// A moment as CIM writes it: `20261121022200.000000+060`, the offset in minutes.
fn dmtf(text: &str) -> Option<TimeMs> {
    let (digits, rest) = text.split_at_checked(14)?;
    let (fraction, offset) = rest.strip_prefix('.')?.split_at_checked(6)?;
    let part = |from: usize, to: usize| digits.get(from..to).filter(|d| d.is_ascii());
    let utc = format!(
        "{}-{}-{}T{}:{}:{}.{fraction}Z",
        part(0, 4)?,
        part(4, 6)?,
        part(6, 8)?,
        part(8, 10)?,
        part(10, 12)?,
        part(12, 14)?
    );
    let local = utc.parse::<Timestamp>().ok()?.as_millisecond();
    let offset_minutes: i64 = offset.parse().ok()?;
    Some(TimeMs(local - offset_minutes * 60_000))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(inner: &str) -> Row {
        Row(Element::parse(&format!("<X xmlns:xsi=\"urn:xsi\">{inner}</X>")).unwrap())
    }

    #[test]
    fn values_come_out_of_their_texts() {
        let row = row("<A>7</A><B xsi:nil=\"true\"/><C>true</C><D>x</D><D>y</D>");
        assert_eq!((row.number("A"), row.number("B"), row.number("D")), (Some(7), None, None));
        assert_eq!((row.flag("C"), row.flag("B")), (Some(true), None));
        assert_eq!(row.texts("D"), ["x", "y"]);
        assert_eq!(row.text("B"), "");
    }

    #[test]
    fn moments_come_in_two_forms() {
        let check = |text: &str, expected: Option<i64>| {
            let wrapped = row(&format!("<T><Datetime>{text}</Datetime></T>"));
            assert_eq!(wrapped.time("T").map(|at| at.0), expected, "{text}");
            assert_eq!(row(&format!("<T>{text}</T>")).time("T").map(|at| at.0), expected);
        };
        check("2026-11-21T02:22:00.5Z", Some(1_795_227_720_500));
        check("2026-11-21T03:22:00+01:00", Some(1_795_227_720_000));
        check("20261121032200.000000+060", Some(1_795_227_720_000));
        check("20261120212200.000000-300", Some(1_795_227_720_000));
        check("yesterday", None);
        check("é0261121032200.000000+060", None);
    }
}
