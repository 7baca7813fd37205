//! What was expected against what came: equal or not is promtool's business, who belongs to whom in
//! a report is ours.

use std::collections::BTreeSet;

use super::file::{ExpectedAlert, ExpectedSample, SampleValue};
use super::histogram::canonical;

/// One way in which a result is not the expected one.
#[derive(Clone, Debug, PartialEq)]
pub enum Difference<T> {
    /// Expected, and nothing like it came.
    Missing(T),
    /// It came, and nothing like it was expected.
    Unexpected(T),
    /// These two belong together and are not the same.
    Changed {
        /// What was expected.
        expected: T,
        /// What came.
        got: T,
    },
}

/// What is compared in a test.
pub(crate) trait Comparable: Clone {
    /// Whether promtool calls both the same; `fuzzy` is its `fuzzy_compare`.
    fn same(&self, other: &Self, fuzzy: bool) -> bool;

    /// How many labels both have in common, the name not counted, and how many texts differ.
    fn likeness(&self, other: &Self) -> (usize, usize);
}

impl Comparable for ExpectedAlert {
    fn same(&self, other: &Self, _: bool) -> bool {
        self == other
    }

    fn likeness(&self, other: &Self) -> (usize, usize) {
        let common = |(name, value): (&String, &String)| {
            name != crate::ALERT_NAME && other.labels.get(name) == Some(value)
        };
        let common = self.labels.iter().filter(|pair| common(*pair)).count();
        let labels = differing(&self.labels, &other.labels).len();
        // A label says more about who is meant than an annotation.
        (common, 100 * labels + differing(&self.annotations, &other.annotations).len())
    }
}

/// The names whose value is not the same on both sides.
pub(crate) fn differing<'m>(
    one: &'m std::collections::BTreeMap<String, String>,
    other: &'m std::collections::BTreeMap<String, String>,
) -> BTreeSet<&'m str> {
    let names = one.keys().chain(other.keys());
    names.filter(|name| one.get(*name) != other.get(*name)).map(String::as_str).collect()
}

impl Comparable for ExpectedSample {
    fn same(&self, other: &Self, fuzzy: bool) -> bool {
        self.labels == other.labels && self.value.same(&other.value, fuzzy)
    }

    fn likeness(&self, other: &Self) -> (usize, usize) {
        let has = |labels: &paramedic_model::Labels, (name, value): (&str, &str)| {
            labels.get(name) == Some(value)
        };
        let common = self.labels.iter().filter(|pair| has(&other.labels, *pair)).count();
        let here = self.labels.len() - common;
        let there = other.labels.iter().filter(|pair| !has(&self.labels, *pair)).count();
        let empty = self.labels.is_empty() && other.labels.is_empty();
        (common + usize::from(empty), here + there)
    }
}

impl SampleValue {
    fn same(&self, other: &Self, fuzzy: bool) -> bool {
        match (self, other) {
            (Self::Number(one), Self::Number(other)) => {
                // No NaN is equal to any, as in promtool.
                one == other || fuzzy && (one.next_up() == *other || one.next_down() == *other)
            }
            (Self::Histogram(one), Self::Histogram(other)) => canonical(one) == canonical(other),
            _ => false,
        }
    }
}

/// The differences, none where both are the same.
pub(crate) fn compare<T: Comparable>(
    mut expected: Vec<T>,
    mut got: Vec<T>,
    fuzzy: bool,
) -> Vec<Difference<T>> {
    expected.retain(|one| match got.iter().position(|other| one.same(other, fuzzy)) {
        Some(at) => {
            got.remove(at);
            false
        }
        None => true,
    });
    let mut differences = Vec::new();
    // The most alike find each other first.
    loop {
        let single = expected.len() == 1 && got.len() == 1;
        let mut best: Option<(usize, usize, usize)> = None;
        for (i, one) in expected.iter().enumerate() {
            for (j, other) in got.iter().enumerate() {
                let (common, cost) = one.likeness(other);
                let alike = common > 0 || single;
                if alike && best.is_none_or(|(_, _, least)| cost < least) {
                    best = Some((i, j, cost));
                }
            }
        }
        let Some((i, j, _)) = best else { break };
        let (expected, got) = (expected.remove(i), got.remove(j));
        differences.push(Difference::Changed { expected, got });
    }
    differences.extend(expected.into_iter().map(Difference::Missing));
    differences.extend(got.into_iter().map(Difference::Unexpected));
    differences
}
