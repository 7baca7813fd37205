use std::fmt;
use std::sync::Arc;

use paramedic_model::{METRIC_NAME, escape_label_value, is_legacy_label_name};
use paramedic_regexp::RegexpError;

use crate::pattern::Pattern;

/// How a label is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MatchOp {
    /// `=`
    Equal,
    /// `!=`
    NotEqual,
    /// `=~`, anchored on both ends
    Regex,
    /// `!~`
    NotRegex,
}

impl MatchOp {
    /// The sign of the language.
    pub fn sign(self) -> &'static str {
        match self {
            MatchOp::Equal => "=",
            MatchOp::NotEqual => "!=",
            MatchOp::Regex => "=~",
            MatchOp::NotRegex => "!~",
        }
    }
}

/// What one label of a series must satisfy. A label that is not there has the empty value.
#[derive(Clone, Debug)]
pub struct Matcher {
    name: String,
    op: MatchOp,
    value: String,
    pattern: Option<Arc<Pattern>>,
}

impl Matcher {
    /// A matcher on the label `name`.
    ///
    /// # Errors
    ///
    /// Where `op` compares by regular expression and `value` is none.
    pub fn new(name: &str, op: MatchOp, value: &str) -> Result<Self, RegexpError> {
        let pattern = match op {
            MatchOp::Equal | MatchOp::NotEqual => None,
            MatchOp::Regex | MatchOp::NotRegex => Some(Pattern::of(value)?),
        };
        Ok(Self { name: name.to_owned(), op, value: value.to_owned(), pattern })
    }

    /// The matcher `name="value"`.
    pub fn equal(name: &str, value: &str) -> Self {
        Self { name: name.to_owned(), op: MatchOp::Equal, value: value.to_owned(), pattern: None }
    }

    /// The label.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// How it compares.
    pub fn op(&self) -> MatchOp {
        self.op
    }

    /// What it compares with.
    pub fn value(&self) -> &str {
        &self.value
    }

    /// Whether a label with `value` satisfies it.
    pub fn matches(&self, value: &str) -> bool {
        let found = match &self.pattern {
            Some(pattern) => pattern.matches(value),
            None => self.value == value,
        };
        found == matches!(self.op, MatchOp::Equal | MatchOp::Regex)
    }

    /// The metric name that it fixes, where it does: `__name__="up"`.
    pub(crate) fn fixed_metric_name(&self) -> Option<&str> {
        (self.name == METRIC_NAME && self.op == MatchOp::Equal).then_some(self.value.as_str())
    }
}

impl PartialEq for Matcher {
    fn eq(&self, other: &Self) -> bool {
        (&self.name, self.op, &self.value) == (&other.name, other.op, &other.value)
    }
}

/// `name="value"`, the name quoted where it must be.
impl fmt::Display for Matcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if is_legacy_label_name(&self.name) {
            f.write_str(&self.name)?;
        } else {
            write!(f, "\"{}\"", escape_label_value(&self.name))?;
        }
        write!(f, "{}{}", self.op.sign(), crate::print::quoted(&self.value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn regular_expressions_match_the_whole_value() {
        let check = |op, pattern: &str, value: &str, expected: bool| {
            let matcher = Matcher::new("l", op, pattern).expect(pattern);
            assert_eq!(matcher.matches(value), expected, "{matcher} on {value:?}");
        };
        check(MatchOp::Regex, "a|b", "ab", false);
        check(MatchOp::Regex, "a|b", "b", true);
        check(MatchOp::Regex, "a.b", "a\nb", true);
        check(MatchOp::Regex, "a.*", "xa", false);
        check(MatchOp::NotRegex, "a.*", "xa", true);
        check(MatchOp::Regex, "", "", true);
        check(MatchOp::NotEqual, "", "", false);
    }
}
