//! The expressions of published rule files.

use std::path::Path;

use paramedic_promql::{Plan, parse};

use crate::conformance::shared;

/// All of them, where the corpus is there.
pub fn expressions() -> Option<Vec<String>> {
    let folder = shared("corpus", "CORPUS_DIR")?;
    let mut expressions = Vec::new();
    collect(&folder, &mut expressions);
    println!("{} expressions", expressions.len());
    assert!(expressions.len() > 900, "{}", expressions.len());
    Some(expressions)
}

#[test]
fn every_published_expression_parses_and_prints() {
    for text in expressions().unwrap_or_default() {
        let expr = parse(&text).unwrap_or_else(|error| panic!("{error}\n{text}"));
        let printed = expr.to_string();
        let again = parse(&printed).unwrap_or_else(|error| panic!("{error}\n{printed}"));
        assert_eq!(again.to_string(), printed);
        Plan::new(expr, &text).unwrap_or_else(|error| panic!("{error}\n{text}"));
    }
}

/// Another parser, made from Prometheus's grammar by other people, reads and prints the same. What
/// its versions do not have yet (`info`, `anchored`, ...) published rules do not use either.
#[test]
fn an_independent_parser_agrees() {
    let plain = |text: &str| text.split_whitespace().collect::<String>();
    for text in expressions().unwrap_or_default() {
        let theirs = promql_parser::parser::parse(&text);
        let theirs = theirs.unwrap_or_else(|error| panic!("{error}\n{text}"));
        let ours = parse(&text).unwrap_or_else(|error| panic!("{error}\n{text}"));
        assert_eq!(plain(&ours.to_string()), plain(&theirs.to_string()), "{text}");
    }
}

fn collect(folder: &Path, expressions: &mut Vec<String>) {
    for entry in std::fs::read_dir(folder).expect("the folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            collect(&path, expressions);
        } else if path.extension().is_some_and(|extension| extension == "yml") {
            let text = std::fs::read_to_string(&path).expect("a rule file");
            expressions.extend(text.lines().filter_map(expression));
        }
    }
}

/// The value of an `expr:` line. The corpus writes all of them on one line, plain or quoted.
fn expression(line: &str) -> Option<String> {
    let value = line.trim().trim_start_matches("- ").strip_prefix("expr:")?.trim();
    Some(match value.as_bytes() {
        [b'\'', .., b'\''] => value[1..value.len() - 1].replace("''", "'"),
        [b'"', .., b'"'] => value[1..value.len() - 1].replace("\\\"", "\"").replace("\\\\", "\\"),
        _ => value.to_owned(),
    })
}
