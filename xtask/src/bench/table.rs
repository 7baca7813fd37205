//! What is measured, in the order in which people read it, and the table of it.

use std::fmt::Write as _;

use super::bar::{BAR_SERIES, Bar, Verdict, ratio};
use super::queries::QUERIES;
use super::result::SizeResult;
use super::rules::Rules;

/// One line of the table.
pub struct Measure {
    pub key: String,
    pub title: String,
    /// Whether more is better.
    pub more: bool,
    pub bar: Option<Bar>,
}

/// All measures.
pub fn measures() -> Vec<Measure> {
    let mut all = Vec::new();
    let mut add = |key: String, title: String, bar| {
        let more = key == "ingest_samples_per_cpu_second";
        all.push(Measure { key, title, more, bar });
    };
    add(
        "in_process.compare_ms".to_owned(),
        "newest-sample comparison, in process: ms".to_owned(),
        Some(Bar::Times(100.0)),
    );
    for query in &QUERIES {
        let bar = match query.name {
            "compare-empty" => Some(Bar::Times(30.0)),
            "sum-rate" => Some(Bar::Times(20.0)),
            _ => None,
        };
        add(format!("query.{}.p50_ms", query.name), format!("{}: p50, ms", query.title), bar);
        add(format!("query.{}.p99_ms", query.name), format!("{}: p99, ms", query.title), None);
    }
    let fixed = [
        ("ingest_samples_per_cpu_second", "ingest: samples per CPU second", Some(5.0)),
        ("memory_steady_mib", "memory, steady (RSS): MiB", Some(3.0)),
        ("memory_proportional_mib", "memory, steady (PSS): MiB", None),
        ("memory_peak_mib", "memory, peak: MiB", None),
        ("memory_restarted_mib", "memory after a restart (RSS): MiB", None),
        ("memory_bytes_per_sample", "memory above the idle process: bytes a sample", None),
        ("disk_bytes_per_sample", "disk: bytes a sample", None),
        ("restart_s", "restart to first correct evaluation: s", Some(5.0)),
    ];
    for (key, title, bar) in fixed {
        add(key.to_owned(), title.to_owned(), bar.map(Bar::Times));
    }
    add("none.cpu_s_per_min".to_owned(), "no rules: CPU s a minute".to_owned(), None);
    for rules in [Rules::Published, Rules::Generated] {
        let name = rules.name();
        let largest = rules == Rules::Generated;
        let of_rules: [(&str, &str, Option<Bar>); 8] = [
            ("cpu_s_per_min", "CPU s a minute", None),
            (
                "eval_cpu_s_per_min",
                "CPU s a minute of evaluation",
                (!largest).then_some(Bar::Times(20.0)),
            ),
            ("cores", "whole process, cores", largest.then_some(Bar::AtMost(0.25))),
            ("eval_s_per_round", "evaluation s a round", None),
            ("missed", "missed rounds of groups", largest.then_some(Bar::AtMost(0.0))),
            ("failed_per_round", "failed rules a round", None),
            ("memory_steady_mib", "memory, steady: MiB", None),
            ("memory_peak_mib", "memory, peak: MiB", None),
        ];
        for (key, title, bar) in of_rules {
            add(format!("{name}.{key}"), format!("{name} rules: {title}"), bar);
        }
    }
    let of_alerts = [
        ("alerts.eval_s_per_round", "5,000 rules, 10,000 alerts: evaluation s a round"),
        ("alerts.missed", "5,000 rules, 10,000 alerts: missed rounds of groups"),
        ("alerts.cpu_s_per_min", "5,000 rules, 10,000 alerts: CPU s a minute"),
        ("alerts.memory_steady_mib", "5,000 rules, 10,000 alerts: memory, steady: MiB"),
        ("alerts.memory_peak_mib", "5,000 rules, 10,000 alerts: memory, peak: MiB"),
        ("api_rules.p50_ms", "`/api/v1/rules`: p50, ms"),
        ("api_rules.p99_ms", "`/api/v1/rules`: p99, ms"),
        ("api_rules.mib", "`/api/v1/rules`: MiB"),
        ("api_alerts.p50_ms", "`/api/v1/alerts`: p50, ms"),
        ("api_alerts.p99_ms", "`/api/v1/alerts`: p99, ms"),
        ("api_alerts.mib", "`/api/v1/alerts`: MiB"),
        ("delay.p50_ms", "from a sample to its firing alert, median of 200: ms"),
        ("delay.max_ms", "from a sample to its firing alert, worst of 200: ms"),
    ];
    for (key, title) in of_alerts {
        add(key.to_owned(), title.to_owned(), None);
    }
    all
}

/// A table in Markdown: a line per measure that anybody has, a column per engine, the ratio of
/// Prometheus to ours, and the verdict where there is a bar.
pub fn render(size: &SizeResult) -> String {
    let lines = measures();
    let rows = lines.iter().filter(|m| size.engines.keys().any(|n| size.get(n, &m.key).is_some()));
    table(size, rows)
}

/// The lines of the table that have a bar, measured or not. Empty at a size without bars.
pub fn render_bars(size: &SizeResult) -> String {
    if size.series != BAR_SERIES {
        return String::new();
    }
    let lines = measures();
    table(size, lines.iter().filter(|measure| measure.bar.is_some()))
}

fn table<'m>(size: &SizeResult, lines: impl Iterator<Item = &'m Measure>) -> String {
    let has_bars = size.series == BAR_SERIES;
    let names = columns(size);
    let mut head = vec![String::new()];
    head.extend(names.iter().map(|name| (*name).to_owned()));
    head.push("times better".to_owned());
    head.extend(has_bars.then(|| "bar".to_owned()));
    let mut rows = vec![head];
    for measure in lines {
        let get = |name: &str| size.get(name, &measure.key);
        let mut row = vec![measure.title.clone()];
        row.extend(names.iter().map(|name| get(name).map_or("-".to_owned(), number)));
        let both = get("ours").zip(get("prometheus"));
        let times = both.and_then(|(ours, other)| ratio(measure.more, ours, other));
        row.push(times.map_or("-".to_owned(), number));
        if has_bars {
            let verdict = |bar: Bar| bar.judge(measure.more, get("ours"), get("prometheus"));
            row.push(measure.bar.map(|bar| bar.says(verdict(bar))).unwrap_or_default());
        }
        rows.push(row);
    }
    align(&rows)
}

/// How many bars are reached, missed and unknown. `None` at a size without bars.
pub fn score(size: &SizeResult) -> Option<[usize; 3]> {
    let mut score = [0; 3];
    for measure in measures() {
        let Some(bar) = measure.bar else { continue };
        let (ours, other) = (size.get("ours", &measure.key), size.get("prometheus", &measure.key));
        match bar.judge(measure.more, ours, other) {
            Verdict::Reached { .. } => score[0] += 1,
            Verdict::Missed { .. } => score[1] += 1,
            Verdict::Unknown => score[2] += 1,
        }
    }
    (size.series == BAR_SERIES).then_some(score)
}

/// The engines of a size, ours first.
pub fn columns(size: &SizeResult) -> Vec<&str> {
    let mut names: Vec<&str> = size.engines.keys().map(String::as_str).collect();
    names.sort_by_key(|name| (*name != "ours", *name));
    names
}

/// `rows` as a table in Markdown, the first as its head, numbers to the right.
pub fn align(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max()
    };
    let widths: Vec<usize> = (0..columns).map(|column| width(column).unwrap_or(0).max(2)).collect();
    let mut text = String::new();
    for (i, row) in rows.iter().enumerate() {
        for (column, (cell, width)) in row.iter().zip(&widths).enumerate() {
            let _ = match column {
                0 => write!(text, "| {cell:<width$} "),
                _ => write!(text, "| {cell:>width$} "),
            };
        }
        text.push_str("|\n");
        if i == 0 {
            for (column, width) in widths.iter().enumerate() {
                let end = if column == 0 { '-' } else { ':' };
                let _ = write!(text, "| {}{end} ", "-".repeat(width - 1));
            }
            text.push_str("|\n");
        }
    }
    text
}

/// A number with three digits that mean something.
pub fn number(value: f64) -> String {
    let size = value.abs();
    if size >= 1000.0 {
        let digits = format!("{value:.0}");
        let (sign, digits) = digits.strip_prefix('-').map_or(("", &digits[..]), |rest| ("-", rest));
        let groups: Vec<&str> = digits
            .as_bytes()
            .rchunks(3)
            .rev()
            .map(|group| std::str::from_utf8(group).unwrap_or_default())
            .collect();
        return format!("{sign}{}", groups.join(","));
    }
    match size {
        _ if size == 0.0 => "0".to_owned(),
        _ if size >= 100.0 => format!("{value:.0}"),
        _ if size >= 10.0 => format!("{value:.1}"),
        _ if size >= 1.0 => format!("{value:.2}"),
        _ => format!("{value:.4}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::result::EngineResult;

    fn size(series: usize, ours: &[(&str, f64)], prometheus: &[(&str, f64)]) -> SizeResult {
        let engine = |measures: &[(&str, f64)]| EngineResult {
            measures: measures.iter().map(|(key, value)| ((*key).to_owned(), *value)).collect(),
            ..EngineResult::default()
        };
        let mut size = SizeResult { series, ..SizeResult::default() };
        size.engines.insert("ours".to_owned(), engine(ours));
        size.engines.insert("prometheus".to_owned(), engine(prometheus));
        size
    }

    fn line<'t>(table: &'t str, text: &str) -> &'t str {
        table.lines().find(|line| line.contains(text)).unwrap_or_default()
    }

    #[test]
    fn numbers_keep_three_digits() {
        for (value, text) in [
            (0.0, "0"),
            (0.04321, "0.0432"),
            (1.234, "1.23"),
            (45.67, "45.7"),
            (678.9, "679"),
            (1_234_567.8, "1,234,568"),
            (-1234.0, "-1,234"),
        ] {
            assert_eq!(number(value), text);
        }
    }

    #[test]
    fn every_bar_of_the_issue_is_in_the_table() {
        let table = render_bars(&size(BAR_SERIES, &[], &[]));
        assert_eq!(table.lines().count(), 2 + 9, "{table}");
        for text in ["100x", "30x", "20x", "5x", "3x", "at most 0.25", "at most 0 "] {
            assert!(line(&table, &format!("not measured, of {text}")).len() > 1, "{text}: {table}");
        }
        assert_eq!(render_bars(&size(2_000, &[], &[])), "");
    }

    #[test]
    fn bars_are_reached_missed_or_unknown() {
        let ours = [("restart_s", 1.0), ("memory_steady_mib", 100.0), ("2960.missed", 0.0)];
        let other = [("restart_s", 6.0), ("memory_steady_mib", 200.0)];
        let both = [("ingest_samples_per_cpu_second", 1.0)];
        let full = size(BAR_SERIES, &ours, &[&other[..], &both].concat());
        let table = render(&full);
        assert!(line(&table, "restart to").contains("reached: 6.00x of 5x"));
        assert!(line(&table, "steady (RSS)").contains("not reached: 2.00x of 3x"));
        assert!(line(&table, "ingest").contains("not measured, of 5x"));
        assert!(line(&table, "2960 rules: missed").contains("reached: 0 of at most 0"));
        assert_eq!(score(&full), Some([2, 1, 6]));
        let small = size(2_000, &ours, &other);
        assert!(!render(&small).contains("reached"), "a bar is for one size");
        assert_eq!(score(&small), None);
    }

    #[test]
    fn every_line_is_as_long_as_the_first() {
        let table = render(&size(BAR_SERIES, &[("restart_s", 1.0)], &[("restart_s", 12345.0)]));
        let lengths: std::collections::HashSet<_> =
            table.lines().map(|l| l.chars().count()).collect();
        assert_eq!(lengths.len(), 1, "{table}");
    }
}
