use std::fmt;

/// One mistake in a rule file, at its place.
///
/// Prints as `rules.yml:12:9: group "g", rule 1, "Down": field 'expr' must be set in rule`, with
/// Prometheus's words for what it refuses too.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleError {
    /// The file, as it was named when it was read.
    pub file: String,
    /// Counted from 1; 0 where the file has no such place.
    pub line: usize,
    /// In characters, counted from 1.
    pub column: usize,
    /// What is wrong.
    pub reason: String,
    /// What was probably meant: a known key near the unknown one.
    pub hint: Option<String>,
}

impl fmt::Display for RuleError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}: {}", self.file, self.line, self.column, self.reason)?;
        match &self.hint {
            Some(hint) => write!(f, " (did you mean `{hint}`?)"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for RuleError {}

/// The key of `known` that is nearest to `word`, where one is near: at most a third of it differs.
pub(crate) fn nearest<'a>(word: &str, known: &[&'a str]) -> Option<&'a str> {
    known
        .iter()
        .map(|key| (distance(word, key), *key))
        .filter(|(distance, key)| *distance <= key.len().max(word.len()).div_ceil(3))
        .min()
        .map(|(_, key)| key)
}

/// How many characters must be changed, added or removed to make one from the other.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, ca) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, cb) in b.iter().enumerate() {
            let substituted = diagonal + usize::from(ca != *cb);
            diagonal = row[j + 1];
            row[j + 1] = substituted.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_near_key_is_suggested() {
        let known = ["expr", "for", "labels", "annotations", "keep_firing_for"];
        let check = |word: &str, want: Option<&str>| assert_eq!(nearest(word, &known), want);
        check("exp", Some("expr"));
        check("label", Some("labels"));
        check("anotations", Some("annotations"));
        check("keep_firing", Some("keep_firing_for"));
        check("severity", None);
        check("fro", None);
    }
}
