use std::fmt::Write as _;

use paramedic_model::{Labels, METRIC_NAME, MetricType, escape_label_value, is_legacy_label_name};

use crate::{Family, float};

/// The `Content-Type` of what [`write_text`] gives. Names beyond the classic character set come
/// quoted, so a reader that cannot have them must not be answered with them.
pub const TEXT_CONTENT_TYPE: &str =
    "text/plain; version=0.0.4; charset=utf-8; escaping=allow-utf-8";

/// Writes families in Prometheus text format, in the order given: help, type, samples.
pub fn write_text(families: &[Family]) -> String {
    let mut out = String::new();
    for family in families {
        let metadata = &family.metadata;
        let name = quoted_unless_classic(&metadata.name);
        if !metadata.help.is_empty() {
            let help = metadata.help.replace('\\', "\\\\").replace('\n', "\\n");
            line(&mut out, format_args!("# HELP {name} {help}"));
        }
        line(&mut out, format_args!("# TYPE {name} {}", text_word(metadata.metric_type)));
        for sample in &family.samples {
            let series = series(&sample.series.labels);
            let value = float::format(sample.series.value);
            match sample.at {
                Some(at) => line(&mut out, format_args!("{series} {value} {}", at.0)),
                None => line(&mut out, format_args!("{series} {value}")),
            }
        }
    }
    out
}

/// The word in a `# TYPE` line of the text format, which has fewer types.
fn text_word(metric_type: MetricType) -> &'static str {
    match metric_type {
        MetricType::Info | MetricType::StateSet => MetricType::Gauge.word(),
        MetricType::GaugeHistogram | MetricType::Unknown => "untyped",
        other => other.word(),
    }
}

fn line(out: &mut String, line: std::fmt::Arguments<'_>) {
    writeln!(out, "{line}").expect("a String takes every write");
}

fn is_classic_metric_name(name: &str) -> bool {
    is_legacy_label_name(&name.replace(':', "_"))
}

fn quoted_unless_classic(name: &str) -> String {
    if is_classic_metric_name(name) {
        name.to_owned()
    } else {
        format!("\"{}\"", escape_label_value(name))
    }
}

/// As `name{a="b"}`, or `{"odd name",a="b"}` where the name needs quotes.
fn series(labels: &Labels) -> String {
    let name = labels.value(METRIC_NAME);
    let is_classic = is_classic_metric_name(name);
    let mut inside = Vec::new();
    if !is_classic {
        inside.push(quoted_unless_classic(name));
    }
    for (label, value) in labels.iter().filter(|(label, _)| *label != METRIC_NAME) {
        let value = escape_label_value(value);
        if is_legacy_label_name(label) {
            inside.push(format!("{label}=\"{value}\""));
        } else {
            inside.push(format!("\"{}\"=\"{value}\"", escape_label_value(label)));
        }
    }
    match (is_classic, inside.is_empty()) {
        (true, true) => name.to_owned(),
        (true, false) => format!("{name}{{{}}}", inside.join(",")),
        (false, _) => format!("{{{}}}", inside.join(",")),
    }
}
