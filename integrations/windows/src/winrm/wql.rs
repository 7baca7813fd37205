//! WQL queries: data from a host, by a language that has no way to change anything.
//!
//! A query is built from class and property names that stand in this program, and literals that
//! are escaped. What a person or a label names is never put into one: it is compared with what the
//! host lists.

use paramedic_model::TimeMs;

/// Where a class lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Namespace {
    /// `root/cimv2`: services, processes, disks, logs.
    Cimv2,
    /// `root/StandardCimv2`: the network.
    StandardCimv2,
}

impl Namespace {
    /// The resource URI of every class in it.
    pub(crate) fn uri(self) -> &'static str {
        match self {
            Self::Cimv2 => "http://schemas.microsoft.com/wbem/wsman/1/wmi/root/cimv2/*",
            Self::StandardCimv2 => {
                "http://schemas.microsoft.com/wbem/wsman/1/wmi/root/StandardCimv2/*"
            }
        }
    }
}

/// One `SELECT`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Query {
    pub namespace: Namespace,
    pub class: &'static str,
    text: String,
    conditions: usize,
}

impl Query {
    /// All instances of `class`, with these properties; with none named, all of them.
    pub(crate) fn select(
        namespace: Namespace,
        class: &'static str,
        properties: &[&'static str],
    ) -> Self {
        let list = if properties.is_empty() { "*".to_owned() } else { properties.join(",") };
        Self { namespace, class, text: format!("SELECT {list} FROM {class}"), conditions: 0 }
    }

    /// Only those where `property` equals this text.
    pub(crate) fn with_text(self, property: &'static str, value: &str) -> Self {
        let value = value.replace('\\', "\\\\").replace('\'', "\\'");
        self.condition(property, "=", &format!("'{value}'"))
    }

    /// Only those where `property` equals this number.
    pub(crate) fn with_number(self, property: &'static str, value: u64) -> Self {
        self.condition(property, "=", &value.to_string())
    }

    /// Only those where the moment `property` is not before this one.
    pub(crate) fn not_before(self, property: &'static str, value: TimeMs) -> Self {
        self.condition(property, ">=", &format!("'{}'", dmtf(value)))
    }

    /// The query as it is sent.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    fn condition(mut self, property: &str, operator: &str, literal: &str) -> Self {
        let word = if self.conditions == 0 { "WHERE" } else { "AND" };
        self.text.push_str(&format!(" {word} {property}{operator}{literal}"));
        self.conditions += 1;
        self
    }
}

/// A moment as CIM writes it in a literal: `20261121022200.000000+000`.
pub(crate) fn dmtf(at: TimeMs) -> String {
    let digits: String = at.to_string().chars().filter(|c| c.is_ascii_digit()).take(17).collect();
    let (seconds, millis) = digits.split_at(14.min(digits.len()));
    format!("{seconds}.{millis}000+000")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_literal_cannot_end_before_its_quote() {
        let query = Query::select(Namespace::Cimv2, "CIM_DataFile", &["Name", "FileSize"])
            .with_text("Name", r"C:\it's' OR Name LIKE '%")
            .with_number("FileSize", 3);
        assert_eq!(
            query.text(),
            r"SELECT Name,FileSize FROM CIM_DataFile WHERE Name='C:\\it\'s\' OR Name LIKE \'%' AND FileSize=3"
        );
        assert_eq!(dmtf(TimeMs(1_795_227_720_123)), "20261121022200.123000+000");
    }
}
