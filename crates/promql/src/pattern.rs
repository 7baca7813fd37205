//! Regular expressions of matchers, without running one where comparing texts says the same.
//!
//! ```text
//! running|stopped     one of a few texts
//! (open|wire).*       a text at the start, and whatever after it
//! fw.+7               the same at both ends
//! [a-z]+\d{2}         a regular expression
//! ```
//!
//! # Invariants
//!
//! - What a pattern matches is what the anchored regular expression matches: both forms are read off
//!   its syntax tree, and whatever is not exactly one of them is run.
//! - One text is compiled once: patterns are shared by all queries, as long as they are few.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use paramedic_regexp::{Anchored, RegexpError, anchored};
use regex_syntax::hir::literal::Extractor;
use regex_syntax::hir::{Dot, Hir, HirKind, Look};

/// How many patterns are kept for the next query that has them; above it all are forgotten.
const PATTERNS_MAX: usize = 512;

/// Longer texts are compiled each time, so that what is kept stays small.
const KEPT_LEN_MAX: usize = 1024;

/// Up to so many texts are compared one by one.
const FEW: usize = 8;

static PATTERNS: LazyLock<Mutex<HashMap<String, Arc<Pattern>>>> = LazyLock::new(Mutex::default);

/// What a label's value must look like as a whole.
#[derive(Debug)]
pub(crate) enum Pattern {
    /// One of these, sorted.
    OneOf(Vec<Box<str>>),
    /// One of `starts`, at least `gap` bytes of anything, one of `ends`.
    Around { starts: Vec<Box<str>>, gap: usize, ends: Vec<Box<str>> },
    /// Whatever this finds.
    Regex(Box<Anchored>),
}

impl Pattern {
    /// The pattern of this text, compiled unless it is known.
    ///
    /// # Errors
    ///
    /// Where it is no regular expression, or one that is too large.
    pub fn of(text: &str) -> Result<Arc<Self>, RegexpError> {
        let patterns = || PATTERNS.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = patterns().get(text) {
            return Ok(known.clone());
        }
        let made = Arc::new(match compare_texts(&anchored(text)?) {
            Some(pattern) => pattern,
            None => Pattern::Regex(Box::new(Anchored::new(text)?)),
        });
        if text.len() <= KEPT_LEN_MAX {
            let mut patterns = patterns();
            if patterns.len() >= PATTERNS_MAX {
                patterns.clear();
            }
            patterns.insert(text.to_owned(), made.clone());
        }
        Ok(made)
    }

    /// Whether all of `value` is what the pattern says.
    pub fn matches(&self, value: &str) -> bool {
        match self {
            Pattern::OneOf(texts) if texts.len() <= FEW => {
                texts.iter().any(|text| **text == *value)
            }
            Pattern::OneOf(texts) => texts.binary_search_by(|text| (**text).cmp(value)).is_ok(),
            Pattern::Around { starts, gap, ends } => starts.iter().any(|start| {
                let rest = value.strip_prefix(&**start);
                rest.is_some_and(|rest| {
                    ends.iter().any(|end| rest.len() >= end.len() + gap && rest.ends_with(&**end))
                })
            }),
            Pattern::Regex(regex) => regex.is_match(value),
        }
    }
}

/// The pattern as texts to compare, where the anchored regular expression is no more than that.
fn compare_texts(anchored: &str) -> Option<Pattern> {
    let tree = regex_syntax::parse(anchored).ok()?;
    let HirKind::Concat(parts) = tree.into_kind() else { return None };
    let [first, inner @ .., last] = &parts[..] else { return None };
    let is = |part: &Hir, look: Look| matches!(part.kind(), HirKind::Look(found) if *found == look);
    if !is(first, Look::Start) || !is(last, Look::End) {
        return None;
    }
    let inner = flat(inner);
    // Anchors and word boundaries within are no texts.
    if inner.iter().any(|part| !part.properties().look_set().is_empty()) {
        return None;
    }
    let Some(at) = inner.iter().position(|part| gap(part).is_some()) else {
        return Some(Pattern::OneOf(texts(&inner)?));
    };
    let (starts, ends) = (texts(&inner[..at])?, texts(&inner[at + 1..])?);
    Some(Pattern::Around { starts, gap: gap(inner[at])?, ends })
}

/// The parts of a sequence, without the groups around them.
fn flat<'h>(parts: impl IntoIterator<Item = &'h Hir>) -> Vec<&'h Hir> {
    let mut out = Vec::new();
    for part in parts {
        match part.kind() {
            HirKind::Concat(parts) => out.extend(flat(parts)),
            HirKind::Capture(capture) => out.extend(flat([&*capture.sub])),
            _ => out.push(part),
        }
    }
    out
}

/// How many bytes `.*` and `.+` need at least; `None` for anything else.
fn gap(part: &Hir) -> Option<usize> {
    let HirKind::Repetition(repetition) = part.kind() else { return None };
    let any = *repetition.sub == Hir::dot(Dot::AnyChar);
    (any && repetition.max.is_none() && repetition.min < 2).then_some(repetition.min as usize)
}

/// All texts that a sequence matches, sorted, where these are few.
fn texts(parts: &[&Hir]) -> Option<Vec<Box<str>>> {
    let sequence = Hir::concat(parts.iter().map(|part| (*part).clone()).collect());
    let found = Extractor::new().extract(&sequence);
    if !found.is_exact() {
        return None;
    }
    let text = |bytes: &[u8]| std::str::from_utf8(bytes).ok().map(Box::from);
    let texts = found.literals()?.iter().map(|literal| text(literal.as_bytes()));
    let mut texts: Vec<Box<str>> = texts.collect::<Option<_>>()?;
    texts.sort_unstable();
    texts.dedup();
    Some(texts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_compared_where_that_says_the_same() {
        const PATTERNS: [&str; 44] = [
            "",
            "a",
            "a|b",
            "ab|b|",
            "foo.*",
            "foo.+",
            ".*",
            ".+",
            ".*bar",
            ".+bar",
            "foo.*bar",
            "(open|wire).*",
            "(?:a|b).*(c|d)",
            "fw.*7",
            "5..",
            "[ab]x",
            "[^a]",
            "a?b",
            "a{2}b",
            "(?i)ab",
            "(?i)ab.*",
            "(?-s:.*)",
            "(?-s)a.*",
            "a*",
            "a.*b.*",
            ".*a.*",
            "^a$",
            "a$|b",
            "a\\b.*",
            "a)|(b",
            "a|(b.*)",
            "x.*?",
            "x.+?y",
            "((a)(b))|(c)",
            "a\\.b",
            "\\d",
            "é.*",
            ".",
            "..",
            "é|e",
            "[a-c]{2}",
            "(a|b)(c|d).*",
            "(?m)^a$",
            "a\n.*",
        ];
        const VALUES: [&str; 40] = [
            "", "a", "b", "ab", "aab", "foo", "foox", "foo\nx", "bar", "xbar", "foobar", "fooxbar",
            "foo\nbar", "opendns", "wire", "open", "bc", "ad", "axc", "fw7", "fw17", "fw1", "500",
            "5\n0", "50", "ax", "bx", "c", "AB", "Abc", "aa", "axb", "x", "xy", "x1y", "a.b", "é",
            "éa", "a\n", "a\nb",
        ];
        let mut compared = 0;
        for text in PATTERNS {
            let Ok(regex) = Anchored::new(text) else {
                assert!(Pattern::of(text).is_err(), "{text}");
                continue;
            };
            let pattern = Pattern::of(text).expect(text);
            compared += usize::from(!matches!(*pattern, Pattern::Regex(_)));
            for value in VALUES {
                let expected = regex.is_match(value);
                assert_eq!(pattern.matches(value), expected, "{text:?} on {value:?}: {pattern:?}");
            }
        }
        assert!(compared > 25, "only {compared} without a regular expression");
    }

    #[test]
    fn many_texts_are_searched() {
        let texts: Vec<String> = (0..100).map(|number| format!("host{number}")).collect();
        let pattern = Pattern::of(&texts.join("|")).expect("a regular expression");
        assert!(matches!(&*pattern, Pattern::OneOf(found) if found.len() == 100));
        assert!(
            pattern.matches("host42") && !pattern.matches("host") && !pattern.matches("host100")
        );
    }
}
