//! What is measured, in the order in which people read it, and the table of it.

use std::fmt::Write as _;

use super::queries::QUERIES;
use super::result::ResultFile;
use super::rules::Rules;

/// The bar: how many times better than Prometheus.
pub struct Measure {
    pub key: String,
    pub title: String,
    /// Whether more is better.
    pub more: bool,
    /// At least so many times better than Prometheus, at 100,000 series.
    pub bar: Option<f64>,
}

/// All measures.
pub fn measures() -> Vec<Measure> {
    let mut all = Vec::new();
    let mut add = |key: String, title: String, bar| {
        let more = key == "ingest_samples_per_cpu_second";
        all.push(Measure { key, title, more, bar });
    };
    for query in &QUERIES {
        let bar = match query.name {
            "compare-empty" => Some(30.0),
            "sum-rate" => Some(20.0),
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
        ("memory_bytes_per_sample", "memory above the idle process: bytes a sample", None),
        ("disk_bytes_per_sample", "disk: bytes a sample", None),
        ("restart_s", "restart to first correct answer: s", Some(5.0)),
    ];
    for (key, title, bar) in fixed {
        add(key.to_owned(), title.to_owned(), bar);
    }
    add("none.cpu_s_per_min".to_owned(), "no rules: CPU s a minute".to_owned(), None);
    for rules in [Rules::Published, Rules::Generated] {
        let name = rules.name();
        let bar = (rules == Rules::Published).then_some(20.0);
        add(format!("{name}.cpu_s_per_min"), format!("{name} rules: CPU s a minute"), None);
        let title = format!("{name} rules: CPU s a minute of evaluation");
        add(format!("{name}.eval_cpu_s_per_min"), title, bar);
        add(
            format!("{name}.eval_s_per_round"),
            format!("{name} rules: evaluation s a round"),
            None,
        );
        add(format!("{name}.missed"), format!("{name} rules: missed rounds of groups"), None);
        add(
            format!("{name}.memory_steady_mib"),
            format!("{name} rules: memory, steady: MiB"),
            None,
        );
    }
    all
}

/// How many times better `ours` is; `None` where that cannot be said.
pub fn ratio(more: bool, ours: f64, other: f64) -> Option<f64> {
    let (better, worse) = if more { (ours, other) } else { (other, ours) };
    (worse > 0.0 && better >= 0.0).then(|| better / worse)
}

/// A table in Markdown: a line per measure that anybody has, a column per engine, the ratio of
/// Prometheus to ours, and the bar where there is one.
pub fn render(file: &ResultFile) -> String {
    let names: Vec<&String> = file.engines.keys().collect();
    let mut rows = vec![
        std::iter::once("".to_owned())
            .chain(names.iter().map(|name| (*name).clone()))
            .chain(["times better".to_owned(), "bar".to_owned()])
            .collect::<Vec<_>>(),
    ];
    let get = |name: &str, key: &str| file.engines.get(name)?.measures.get(key).copied();
    for measure in measures() {
        if names.iter().all(|name| get(name, &measure.key).is_none()) {
            continue;
        }
        let mut row = vec![measure.title];
        row.extend(names.iter().map(|name| get(name, &measure.key).map_or("-".to_owned(), number)));
        let both = get("ours", &measure.key).zip(get("prometheus", &measure.key));
        let times = both.and_then(|(ours, other)| ratio(measure.more, ours, other));
        row.push(times.map_or("-".to_owned(), number));
        row.push(match (measure.bar, times) {
            (None, _) => String::new(),
            // The bars are set for one size; at another a ratio proves nothing about them.
            (Some(bar), _) if file.series != 100_000 => format!("{} at 100,000", number(bar)),
            (Some(bar), None) => format!("{}: not measured", number(bar)),
            (Some(bar), Some(times)) if times >= bar => format!("{}: reached", number(bar)),
            (Some(bar), Some(_)) => format!("{}: not reached", number(bar)),
        });
        rows.push(row);
    }
    align(&rows)
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

    fn file(series: usize, ours: &[(&str, f64)], prometheus: &[(&str, f64)]) -> ResultFile {
        let engine = |measures: &[(&str, f64)]| EngineResult {
            measures: measures.iter().map(|(key, value)| ((*key).to_owned(), *value)).collect(),
            ..EngineResult::default()
        };
        let mut file = ResultFile::new(series, 5, 15, 1.0);
        file.engines.insert("ours".to_owned(), engine(ours));
        file.engines.insert("prometheus".to_owned(), engine(prometheus));
        file
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
    fn better_is_less_or_more() {
        assert_eq!(ratio(false, 2.0, 10.0), Some(5.0));
        assert_eq!(ratio(true, 10.0, 2.0), Some(5.0));
        assert_eq!(ratio(false, 0.0, 10.0), None);
    }

    #[test]
    fn bars_are_reached_missed_or_unknown() {
        let ours = [("restart_s", 1.0), ("memory_steady_mib", 100.0)];
        let other = [("restart_s", 6.0), ("memory_steady_mib", 200.0)];
        let both = [("ingest_samples_per_cpu_second", 1.0)];
        let table = render(&file(100_000, &ours, &[&other[..], &both].concat()));
        let line = |text: &str| table.lines().find(|line| line.contains(text)).unwrap().to_owned();
        assert!(line("restart").contains("5.00: reached"));
        assert!(line("steady (RSS)").contains("3.00: not reached"));
        assert!(line("ingest").contains("5.00: not measured"));
        let small = render(&file(2_000, &ours, &other));
        assert!(!small.contains("reached"), "a bar is for one size: {small}");
    }

    #[test]
    fn every_line_is_as_long_as_the_first() {
        let table = render(&file(100_000, &[("restart_s", 1.0)], &[("restart_s", 12345.0)]));
        let lengths: std::collections::HashSet<_> =
            table.lines().map(|l| l.chars().count()).collect();
        assert_eq!(lengths.len(), 1, "{table}");
    }
}
