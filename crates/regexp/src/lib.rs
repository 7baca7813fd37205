//! Regular expressions as Go's package `regexp` reads them, run by the crate `regex`.
//!
//! ```text
//! pattern (Go's syntax) --translate--> pattern (ours, the same language) --compile--> Regexp
//! ```
//!
//! The two dialects differ where nobody looks: `\d` is ASCII in Go, `{` without a count is a brace,
//! `[a&&b]` is no intersection, `\Q...\E` quotes, `$01` names no group. A configuration that was
//! written for Prometheus must mean what it means there, so the pattern is translated piece by piece.
//!
//! # Invariants
//!
//! - What cannot be translated is refused; nothing is passed on that only our crate understands.
//!
//! Not here: which texts are matched, and templates of other kinds.

mod expand;
mod translate;

pub use expand::expand;
use regex::{Captures, Regex, RegexBuilder};
use translate::translate;

/// Go's limit on the size of a compiled expression has no counterpart; this bounds memory.
const REGEX_BYTES_MAX: usize = 10 << 20;

/// Why a text is no regular expression.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("error parsing regexp: {reason}: `{at}`")]
pub struct RegexpError {
    /// What is wrong, in Go's words where Go has some.
    pub reason: String,
    /// The part of the pattern that it is about.
    pub at: String,
}

/// Compiles `pattern`, which is written in Go's syntax, to be found anywhere in a text.
///
/// # Errors
///
/// A pattern that Go refuses, or that is too large.
pub fn compile(pattern: &str) -> Result<Regex, RegexpError> {
    build(&translate(pattern)?, pattern)
}

/// The text that says to the crate `regex` what [`Anchored`] makes of `pattern`, for whoever looks
/// into its syntax.
///
/// # Errors
///
/// A pattern that Go refuses. Some mistakes are left for the compiler to find.
pub fn anchored(pattern: &str) -> Result<String, RegexpError> {
    // The anchors go around the text before it is read, as there: `a)|(b` is taken.
    translate(&format!("^(?s:{pattern})$"))
}

fn build(text: &str, pattern: &str) -> Result<Regex, RegexpError> {
    let error = |error: regex::Error| {
        let shown = error.to_string();
        let reason = shown.lines().last().unwrap_or_default().trim_start_matches("error: ");
        RegexpError { reason: reason.to_owned(), at: pattern.to_owned() }
    };
    RegexBuilder::new(text).size_limit(REGEX_BYTES_MAX).build().map_err(error)
}

/// A regular expression that must match all of a text, as those of matchers and of relabelling.
///
/// `.` matches line feeds too, as in Prometheus since version 3.
#[derive(Clone, Debug)]
pub struct Anchored {
    pattern: String,
    regex: Regex,
}

impl Anchored {
    /// Compiles `pattern`, which is written in Go's syntax.
    ///
    /// # Errors
    ///
    /// A pattern that Go refuses, or that is too large.
    pub fn new(pattern: &str) -> Result<Self, RegexpError> {
        let regex = build(&anchored(pattern)?, pattern)?;
        Ok(Self { pattern: pattern.to_owned(), regex })
    }

    /// The pattern as it was written.
    pub fn pattern(&self) -> &str {
        &self.pattern
    }

    /// Whether all of `text` matches.
    pub fn is_match(&self, text: &str) -> bool {
        self.regex.is_match(text)
    }

    /// `text` with what matches replaced by the expanded `template`: all of it, but for patterns such
    /// as `a)|(b`, whose ends are anchored one by one.
    pub fn replace_all(&self, text: &str, template: &str) -> String {
        let mut out = String::new();
        let mut copied = 0;
        for captures in self.regex.captures_iter(text) {
            let Some(found) = captures.get(0) else { continue };
            out.push_str(&text[copied..found.start()]);
            expand(&captures, template, &mut out);
            copied = found.end();
        }
        out + &text[copied..]
    }

    /// The groups, where all of `text` matches.
    pub fn captures<'t>(&self, text: &'t str) -> Option<Captures<'t>> {
        self.regex.captures(text)
    }
}

impl PartialEq for Anchored {
    fn eq(&self, other: &Self) -> bool {
        self.pattern == other.pattern
    }
}

impl Eq for Anchored {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_means_what_it_means_in_go() {
        let check = |pattern: &str, text: &str, expected: bool| {
            let regex = Anchored::new(pattern).unwrap_or_else(|error| panic!("{pattern}: {error}"));
            assert_eq!(regex.is_match(text), expected, "{pattern:?} on {text:?}");
        };
        check("a|b", "ab", false);
        check("a|b", "b", true);
        check("a.b", "a\nb", true);
        check(r"\d+", "42", true);
        check(r"\d+", "٤٢", false);
        check(r"\w", "é", false);
        check(r"\W", "é", true);
        check(r"[\w-]+", "a-b", true);
        check(r"[^\d]", "é", true);
        check(r"[^\D]", "é", false);
        check(r"[^\D]", "7", true);
        check(r"\s", "\u{b}", false);
        check(r"\bfoo\b", "foo", true);
        check(r"a\Bb", "ab", true);
        check("{", "{", true);
        check("a{,3}", "a{,3}", true);
        check("a{,3}", "aa", false);
        check("a{1,2}", "aa", true);
        check("{{ .x }}", "{{ .x }}", true);
        check("[[a]", "[", true);
        check("[a&&b]", "&", true);
        check("[a~~b]", "~", true);
        check("[]a]", "]", true);
        check("[^]a]", "]", false);
        check("[[:alpha:]_]", "_", true);
        check("[[:^alpha:]]", "1", true);
        check(r"\Qa.b\E+", "a.bb", true);
        check("a)|(b", "ax", true);
        check(r"\<a\>", "<a>", true);
        check(r"a\/b\-c", "a/b-c", true);
        check(r"\x41\x{42}\103", "ABC", true);
        check("\\z", "", true);
        check("(?i)AB", "aB", true);
        check("(?-s:.)", "\n", false);
        check("(?P<n>a)", "a", true);
        check(r"\pL\p{^Lu}", "Aa", true);
        check("(?U)a+", "aa", true);
        check("a|", "", true);
        check("#", "#", true);
    }

    #[test]
    fn what_go_refuses_is_refused() {
        let check = |pattern: &str, expected: &str| {
            let error = Anchored::new(pattern).expect_err(pattern);
            assert_eq!(error.to_string(), format!("error parsing regexp: {expected}"));
        };
        check("a**", "invalid nested repetition operator: `**`");
        check("*", "missing argument to repetition operator: `*`");
        check("(?x)a", "invalid or unsupported Perl syntax: `(?x`");
        check("(?=a)", "invalid or unsupported Perl syntax: `(?=`");
        check(r"\1", r"invalid escape sequence: `\1`");
        check(r"\q", r"invalid escape sequence: `\q`");
        check("[a", "missing closing ]: `[a)$`");
        check("[b-a]", "invalid character class range: `b-a`");
        check("[[:nope:]]", "invalid character class range: `[:nope:]`");
        check("a{1001}", "invalid repeat count: `{1001}`");
        check("a{2,1}", "invalid repeat count: `{2,1}`");
        check("a\\", "missing closing ): `^(?s:a\\)$`");
        check(r"\Qa", r"missing closing ): `^(?s:\Qa)$`");
        check("(a", "missing closing ): `^(?s:(a)$`");
        check("a)", "unexpected ): `^(?s:a))$`");
    }

    #[test]
    fn a_template_expands_as_in_go() {
        let check = |pattern: &str, text: &str, template: &str, expected: &str| {
            let regex = Anchored::new(pattern).expect(pattern);
            let captures = regex.captures(text).expect(text);
            let mut out = String::new();
            expand(&captures, template, &mut out);
            assert_eq!(out, expected, "{template:?}");
        };
        check("(a)(b)?", "a", "$1-$2-$3", "a--");
        check("(a)", "a", "$1x", "");
        check("(a)", "a", "${1}x", "ax");
        check("(a)", "a", "$$1$", "$1$");
        check("(a)", "a", "${1", "${1");
        check("(a)", "a", "${a-b}", "${a-b}");
        check("(a)", "a", "$01", "");
        check("(?P<n>a)", "a", "${n}$n", "aa");
        check("(a)", "a", "$é.", ".");
        check("(a)", "a", "é$-", "é$-");
        check("(a)", "a", "$0", "a");
    }
}
