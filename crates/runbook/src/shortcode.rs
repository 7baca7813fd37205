//! Hugo shortcodes: `{{% rule "file" "Alert" %}}`, `{{< note >}}`.
//!
//! They are blanked, byte for byte, so that everything else keeps its place. What stands between
//! `{{% comment %}}` and `{{% /comment %}}` is no part of the page.

use std::ops::Range;

/// A page without its shortcodes.
#[derive(Debug, Clone, Default)]
pub(crate) struct Plain {
    /// As long as the page.
    pub text: String,
    /// What stands in comments.
    pub hidden: Vec<Range<usize>>,
}

impl Plain {
    /// Whether the byte at `at` stands in a comment.
    pub fn hides(&self, at: usize) -> bool {
        self.hidden.iter().any(|range| range.contains(&at))
    }
}

pub(crate) fn strip(page: &str) -> Plain {
    let mut plain = Plain::default();
    let mut comment = None;
    let mut rest = 0;
    while let Some(code) = next(page, rest) {
        plain.text.push_str(&page[rest..code.start]);
        // Line breaks stay: they separate blocks, and count lines.
        plain.text.extend(page[code.clone()].bytes().map(|b| match b {
            b'\n' | b'\r' => b as char,
            _ => ' ',
        }));
        let words = page[code.start + 3..code.end - 3].trim();
        match (words, comment) {
            ("comment", None) => comment = Some(code.end),
            ("/comment" | "/ comment", Some(start)) => {
                plain.hidden.push(start..code.start);
                comment = None;
            }
            _ => {}
        }
        rest = code.end;
    }
    plain.text.push_str(&page[rest..]);
    plain
}

/// The next shortcode from `from` on, with its braces.
fn next(page: &str, from: usize) -> Option<Range<usize>> {
    let mut at = from;
    // An end that is not found once is not there for later beginnings either.
    let mut without_end = None;
    loop {
        at += page[at..].find("{{")?;
        let close = match page[at + 2..].bytes().next() {
            Some(b'%') => "%}}",
            Some(b'<') => ">}}",
            _ => {
                at += 2;
                continue;
            }
        };
        if without_end != Some(close) {
            match page[at + 3..].find(close) {
                Some(length) => return Some(at..at + 3 + length + 3),
                None => without_end = Some(close),
            }
        }
        at += 3;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shortcodes_are_blanked_in_place() {
        let check = |page: &str, text: &str, hidden: &[&str]| {
            let plain = strip(page);
            assert_eq!(plain.text, text);
            assert_eq!(plain.text.len(), page.len());
            let got: Vec<&str> = plain.hidden.iter().map(|range| &page[range.clone()]).collect();
            assert_eq!(got, hidden);
        };
        check("a {{% rule \"x\" %}} b", "a                  b", &[]);
        check("{{< n\n>}}é", "     \n   é", &[]);
        check("{{% comment %}}x{{% /comment %}}y", &format!("{:15}x{:16}y", "", ""), &["x"]);
        check("{{ $labels.name }} {{% open", "{{ $labels.name }} {{% open", &[]);
        check("{{%}}", "{{%}}", &[]);
        check("{{%%}}", "      ", &[]);
        check("{{% /comment %}}", &" ".repeat(16), &[]);
    }
}
