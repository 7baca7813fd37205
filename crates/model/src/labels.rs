use std::fmt;
use std::sync::Arc;

use crate::Fingerprint;

/// The label that holds a series' metric name.
pub const METRIC_NAME: &str = "__name__";

/// An immutable label set, sorted by name, without empty values.
///
/// An empty value means "no such label" in Prometheus, so it is dropped on construction. Cloning is
/// a reference count.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Labels(Arc<[(Arc<str>, Arc<str>)]>);

impl Labels {
    /// The set without labels.
    pub fn empty() -> Self {
        Self::default()
    }

    /// Whether both are clones of one set, which is cheaper to say than whether they are equal.
    pub fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// The value of `name`, or `None` where the set does not have it.
    pub fn get(&self, name: &str) -> Option<&str> {
        let at = self.0.binary_search_by(|(n, _)| (**n).cmp(name)).ok()?;
        Some(&self.0[at].1)
    }

    /// The value of `name`, or the empty string, as a matcher sees it.
    pub fn value(&self, name: &str) -> &str {
        self.get(name).unwrap_or("")
    }

    /// The metric name, where there is one.
    pub fn metric_name(&self) -> Option<&str> {
        self.get(METRIC_NAME)
    }

    /// Name and value pairs in the order of the names.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (&**name, &**value))
    }

    /// The number of labels.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is no label.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// A builder that starts from this set.
    pub fn to_builder(&self) -> LabelsBuilder {
        LabelsBuilder { pairs: self.0.to_vec() }
    }

    /// This set with `name` set to `value` (removed where `value` is empty).
    pub fn with(&self, name: &str, value: &str) -> Self {
        let mut builder = self.to_builder();
        builder.set(name, value);
        builder.build()
    }

    /// This set without the labels that `drop` names.
    pub fn without(&self, drop: &[&str]) -> Self {
        self.iter().filter(|(name, _)| !drop.contains(name)).collect()
    }

    /// Only the labels that `keep` names.
    pub fn only(&self, keep: &[&str]) -> Self {
        self.iter().filter(|(name, _)| keep.contains(name)).collect()
    }

    /// The identity of this set.
    pub fn fingerprint(&self) -> Fingerprint {
        const SEPARATOR: u8 = 0xff; // Never a byte of UTF-8, so `{a="bc"}` and `{ab="c"}` differ.
        let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
        let mut eat = |byte: u8| hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        for (name, value) in self.iter() {
            name.bytes().for_each(&mut eat);
            eat(SEPARATOR);
            value.bytes().for_each(&mut eat);
            eat(SEPARATOR);
        }
        Fingerprint(hash)
    }
}

impl<N: AsRef<str>, V: AsRef<str>> FromIterator<(N, V)> for Labels {
    /// Collects pairs; of two with one name the later wins.
    fn from_iter<I: IntoIterator<Item = (N, V)>>(pairs: I) -> Self {
        let mut builder = LabelsBuilder::default();
        for (name, value) in pairs {
            builder.set(name.as_ref(), value.as_ref());
        }
        builder.build()
    }
}

impl<const N: usize> From<[(&str, &str); N]> for Labels {
    fn from(pairs: [(&str, &str); N]) -> Self {
        pairs.into_iter().collect()
    }
}

/// As Prometheus prints a series: `name{a="b"}`, or `{a="b"}` without a metric name.
impl fmt::Display for Labels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.metric_name().filter(|name| is_legacy_metric_name(name));
        f.write_str(name.unwrap_or(""))?;
        let mut rest = self.iter().filter(|(n, _)| name.is_none() || *n != METRIC_NAME).peekable();
        if name.is_some() && rest.peek().is_none() {
            return Ok(());
        }
        f.write_str("{")?;
        let mut separator = "";
        for (label, value) in rest {
            if is_legacy_label_name(label) {
                write!(f, "{separator}{label}=\"{}\"", escape_label_value(value))?;
            } else {
                let label = escape_label_value(label);
                write!(f, "{separator}\"{label}\"=\"{}\"", escape_label_value(value))?;
            }
            separator = ", ";
        }
        f.write_str("}")
    }
}

impl fmt::Debug for Labels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Sets and removes labels, then makes a [`Labels`].
#[derive(Clone, Debug, Default)]
pub struct LabelsBuilder {
    /// Sorted by name, names distinct.
    pairs: Vec<(Arc<str>, Arc<str>)>,
}

impl LabelsBuilder {
    /// Sets `name` to `value`; an empty value removes the label.
    pub fn set(&mut self, name: &str, value: &str) -> &mut Self {
        match self.pairs.binary_search_by(|(n, _)| (**n).cmp(name)) {
            Ok(at) if value.is_empty() => {
                self.pairs.remove(at);
            }
            Ok(at) => self.pairs[at].1 = value.into(),
            Err(_) if value.is_empty() => {}
            Err(at) => self.pairs.insert(at, (name.into(), value.into())),
        }
        self
    }

    /// As [`LabelsBuilder::set`], sharing the texts with other label sets. Cheapest in the order of
    /// the names.
    pub fn set_shared(&mut self, name: &Arc<str>, value: &Arc<str>) -> &mut Self {
        let comes_last = self.pairs.last().is_none_or(|(last, _)| **last < **name);
        if value.is_empty() || !comes_last {
            return self.set(name, value);
        }
        self.pairs.push((name.clone(), value.clone()));
        self
    }

    /// Removes `name` where it is there.
    pub fn remove(&mut self, name: &str) -> &mut Self {
        self.set(name, "")
    }

    /// The value of `name` as set so far.
    pub fn get(&self, name: &str) -> Option<&str> {
        let at = self.pairs.binary_search_by(|(n, _)| (**n).cmp(name)).ok()?;
        Some(&self.pairs[at].1)
    }

    /// The finished set.
    pub fn build(self) -> Labels {
        Labels(self.pairs.into())
    }
}

/// Whether `name` may stand unquoted as a label name: `[a-zA-Z_][a-zA-Z0-9_]*`.
pub fn is_legacy_label_name(name: &str) -> bool {
    let mut bytes = name.bytes();
    bytes.next().is_some_and(|b| b.is_ascii_alphabetic() || b == b'_')
        && bytes.all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

/// As for labels, and colons besides.
fn is_legacy_metric_name(name: &str) -> bool {
    let mut bytes = name.bytes();
    bytes.next().is_some_and(|b| b.is_ascii_alphabetic() || b == b'_' || b == b':')
        && bytes.all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b':')
}

/// `value` with backslash, double quote and line feed escaped, as between the quotes of a label.
pub fn escape_label_value(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sorted_distinct_and_without_empty_values() {
        let labels = Labels::from([("b", "2"), ("a", "0"), ("c", ""), ("a", "1")]);
        assert_eq!(labels.to_string(), r#"{a="1", b="2"}"#);
        assert_eq!(labels.value("c"), "");
        assert_eq!(labels.with("a", "").len(), 1);
    }

    #[test]
    fn shared_texts_come_in_any_order() {
        let mut builder = LabelsBuilder::default();
        for (name, value) in [("b", "2"), ("a", "1"), ("c", ""), ("d", "4"), ("d", "5")] {
            builder.set_shared(&name.into(), &value.into());
        }
        assert_eq!(builder.build(), Labels::from([("a", "1"), ("b", "2"), ("d", "5")]));
    }

    #[test]
    fn prints_as_prometheus_does() {
        let check = |pairs: &[(&str, &str)], text: &str| {
            assert_eq!(pairs.iter().copied().collect::<Labels>().to_string(), text);
        };
        check(&[], "{}");
        check(&[("__name__", "up")], "up");
        check(&[("__name__", "up"), ("job", "a\"b\\c\nd")], r#"up{job="a\"b\\c\nd"}"#);
        check(&[("__name__", "odd.name"), ("x.y", "z")], r#"{__name__="odd.name", "x.y"="z"}"#);
    }

    #[test]
    fn a_fingerprint_tells_where_a_name_ends() {
        let a = Labels::from([("a", "bc")]).fingerprint();
        let b = Labels::from([("ab", "c")]).fingerprint();
        assert_ne!(a, b);
    }
}
