//! Broken expressions: what both refuse, where, and with which words; how both print what is whole.
//!
//! Whole expressions with one to three words left out, doubled, swapped, replaced or put in.
//! `DIFFERENTIAL_CASES` and `DIFFERENTIAL_SEED` are as in the comparison of values.

use std::collections::BTreeMap;

use paramedic_promql::parse;

use super::prometheus::Prometheus;
use super::random::Random;
use super::setting;
use crate::corpus::expressions;

const CASES: u64 = 2_000;

/// Whole expressions, between them of every part of the language that 2.42 has.
const WHOLE: &[&str] = &[
    "sum by (job, zone) (rate(c_total{job=\"api\", zone!=\"x\"}[5m] offset 1m)) > 0.5",
    "a{x=~\"b.*\",y!~'c|d'} - on(job) group_left(zone, z) b",
    "topk(3, a) or bottomk by (job) (2, b) unless (c and ignoring(zone) d)",
    "max_over_time(rate(a[1m])[10m:30s] @ end() offset -5m)",
    "quantile without (le) (0.9, histogram_quantile(0.5, sum by (le) (rate(h_bucket[5m]))))",
    "-a ^ 2 ^ -b % 7.5e-3 atan2 1e3",
    "a == bool 1 and on() b != bool c",
    "label_replace(up, \"x\", \"$1\", \"job\", \"(.*)\") * ignoring(x) group_right c",
    "count_values(\"version\", build_info) by (job)",
    "avg without(instance, job)(x) / scalar(sum(y{__name__=\"y\"}))",
    "absent_over_time(nothing{a=\"b\"}[5m]) == 1",
    "a @ 1600000000.5 + b[5m:1m] offset 30s",
    "predict_linear(disk_free[1h], 4 * 3600) < 0",
    "a @ start() # the rest is a comment\n + `raw\\` == 0",
    "((1 + 2) * -3) > bool 0x1F",
    "{__name__=~\"a|b\", job=\"c\"}",
    "round(x, 0.5) >= vector(time()) <= Inf",
    "clamp_max(a:b:c{d='e\\'f\\x41\\u00e9'}, NaN)",
    "sum(sum) by (by) + on(on) group_left(bool) bool",
    "stddev(x offset 1w2d3h4m5s6ms)",
];

const WORDS: &[&str] = &[
    "a",
    "a:b",
    "sum",
    "topk",
    "count_values",
    "by",
    "without",
    "on",
    "ignoring",
    "bool",
    "offset",
    "group_left",
    "group_right",
    "and",
    "or",
    "unless",
    "atan2",
    "start",
    "end",
    "rate",
    "nope",
    "(",
    ")",
    "{",
    "}",
    "[",
    "]",
    ",",
    "=",
    "==",
    "=~",
    "!=",
    "!~",
    "!",
    "~",
    "<",
    "<=",
    ">",
    "+",
    "-",
    "*",
    "/",
    "%",
    "^",
    "@",
    ":",
    ";",
    "$",
    "☺",
    "\"",
    "'",
    "`",
    "\"s\"",
    "'s'",
    "1",
    "-1",
    "0x1g",
    "1.2.3",
    "1e",
    "08",
    "5m",
    "5mm",
    "1h30m",
    "[5m]",
    "[5m:]",
    "[5m:1m]",
    "Inf",
    "NaN",
    "# x\n",
    "\n",
    " ",
    "()",
    "{}",
    "{a=\"b\"}",
    "time()",
    "\"\\c\"",
    "'\\xz'",
    "5",
    "0",
    "__name__",
];

/// Words, numbers, strings, blanks, and every other character alone.
fn pieces(text: &str) -> Vec<&str> {
    let (mut pieces, mut rest) = (Vec::new(), text);
    while let Some(first) = rest.chars().next() {
        let is_word = |c: char| c.is_ascii_alphanumeric() || "_.:".contains(c);
        let end = match first {
            '"' | '\'' | '`' => rest[1..].find(first).map_or(rest.len(), |at| at + 2),
            c if is_word(c) => rest.find(|c| !is_word(c)).unwrap_or(rest.len()),
            c => c.len_utf8(),
        };
        let (piece, after) = rest.split_at(end);
        pieces.push(piece);
        rest = after;
    }
    pieces
}

fn broken(random: &mut Random, whole: &str) -> String {
    let mut pieces = pieces(whole);
    for _ in 0..=random.below(2) {
        let at = random.below(pieces.len());
        match random.below(7) {
            0 if pieces.len() > 1 => {
                pieces.remove(at);
            }
            1 => pieces.insert(at, pieces[at]),
            2 => {
                let other = random.below(pieces.len());
                pieces.swap(at, other);
            }
            3 => pieces[at] = random.pick(WORDS),
            4 => pieces.truncate(at + 1),
            _ => pieces.insert(at, random.pick(WORDS)),
        }
    }
    pieces.concat()
}

/// What 3.x says in other words than 2.42: the words of the latter, and of the former.
const REWORDED: &[(&str, &str)] = &[
    ("in offset, expected duration", "in offset, expected number, duration, step(), or range()"),
    ("\"<Item 57385>\" <op:@>", "<op:@>"),
];

/// What 2.42 says where the language has become another since, and what has.
const LISTED: &[(&str, &str)] = &[
    ("missing unit character in duration", "brackets hold numbers and arithmetic"),
    ("bad duration syntax", "brackets hold numbers and arithmetic"),
    ("unexpected colon", "brackets hold numbers and arithmetic"),
    ("in subquery or range, expected", "brackets hold numbers and arithmetic"),
    ("in subquery selector, expected", "brackets hold numbers and arithmetic"),
    ("in offset, expected duration", "an offset is a number, too"),
    ("unexpected duration", "a duration is a number"),
    ("unexpected number", "a second dot belongs to the number"),
    ("bad number or duration syntax: \".", "a second dot belongs to the number"),
    ("error parsing number", "an exponent at the end of the text is no number"),
    ("unexpected metric identifier", "label names may be any UTF-8"),
    ("unexpected string", "names may be quoted"),
    ("in label matching, expected identifier", "names may be quoted"),
    ("unexpected \"(\"", "start() and end() are functions"),
];

/// Whether both accept it and print it, but for how 2.42 breaks lines and shows large numbers, and
/// that it leaves out a `group_left ()` behind an `ignoring ()` that it leaves out.
fn prints_alike(ours: &str, theirs: &str) -> bool {
    let plain = |text: &str| {
        let text: String = text.split_whitespace().collect();
        text.replace("ignoring()group_left()", "").replace("ignoring()group_right()", "")
    };
    let value = |text: &str| parse(text).map(|expr| plain(&expr.to_string()));
    plain(ours) == plain(theirs) || value(ours) == value(theirs)
}

#[test]
fn prometheus_prints_published_expressions_alike() {
    let name = "differential::prometheus_prints_published_expressions_alike";
    let (Some(prometheus), Some(texts)) = (Prometheus::start(name), expressions()) else {
        return;
    };
    for text in texts {
        let answer = prometheus.ask("/api/v1/format_query", &[("query", &text)]);
        let theirs = answer["data"].as_str().unwrap_or_else(|| panic!("{text}: {answer}"));
        let ours = parse(&text).unwrap_or_else(|error| panic!("{text}: {error}")).to_string();
        assert!(prints_alike(&ours, theirs), "{ours}\n{theirs}");
    }
}

#[test]
fn prometheus_finds_the_same_mistakes() {
    let Some(prometheus) = Prometheus::start("differential::prometheus_finds_the_same_mistakes")
    else {
        return;
    };
    let mut random = Random(setting("DIFFERENTIAL_SEED", 1));
    let (cases, mut differences) = (setting("DIFFERENTIAL_CASES", CASES), Vec::new());
    let mut counts = BTreeMap::new();
    for _ in 0..cases {
        let whole = match random.below(3) {
            0 => random.expression(),
            _ => random.pick(WHOLE).to_owned(),
        };
        let text = broken(&mut random, &whole);
        let ours = parse(&text).map(|expr| expr.to_string()).map_err(|error| error.to_string());
        let answer = prometheus.ask("/api/v1/format_query", &[("query", &text)]);
        let theirs = match answer["status"].as_str() {
            Some("success") => Ok(answer["data"].as_str().expect("a text")),
            _ => Err(answer["error"].as_str().expect("a text")),
        };
        let kind = match (&ours, theirs) {
            (Ok(ours), Ok(theirs)) if prints_alike(ours, theirs) => "accepted by both",
            (Err(ours), Err(theirs)) if *ours == reworded(theirs) => "refused with the same words",
            (_, Err(theirs)) if let Some(reason) = listed(&text, theirs) => reason,
            _ => {
                differences.push(format!("{text}\n  ours   {ours:?}\n  theirs {theirs:?}"));
                continue;
            }
        };
        *counts.entry(kind).or_insert(0) += 1;
    }
    println!("{cases} expressions: {counts:#?}");
    assert!(differences.is_empty(), "{} differ\n{}", differences.len(), differences.join("\n"));
}

fn reworded(theirs: &str) -> String {
    let mut text = theirs.replacen("invalid parameter \"query\": ", "", 1);
    for (old, new) in REWORDED {
        text = text.replace(old, new);
    }
    text
}

fn listed(text: &str, theirs: &str) -> Option<&'static str> {
    let text: String = text.split_whitespace().collect();
    // An argument that is a duration is one that is missing.
    if theirs.contains("trailing commas") && (text.contains(",5m") || text.contains(",1h30m")) {
        return Some("a duration is a number");
    }
    LISTED.iter().find(|(words, _)| theirs.contains(words)).map(|(_, reason)| *reason)
}
