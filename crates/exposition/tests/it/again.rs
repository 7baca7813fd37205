use std::sync::Arc;

use paramedic_exposition::{Format, Layout, parse, parse_again};
use paramedic_model::{Labels, Run, SeriesList, is_same_list};

/// A small generator (a linear congruence): the same numbers in every run.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, bound: usize) -> usize {
        const FACTOR: u64 = 6_364_136_223_846_793_005;
        self.0 = self.0.wrapping_mul(FACTOR).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % bound
    }
}

const LINES: [&str; 17] = [
    "# TYPE h histogram",
    "# TYPE h gauge",
    "# TYPE s summary",
    "# HELP h About h.",
    "h_bucket{le=\"1\"}",
    "h_bucket{le=\"1\",a=\"b\"}",
    "h_bucket{a=\"b\",le=\"1\"}",
    "s{quantile=\"1\"}",
    "up",
    "up{}",
    "up {a=\"b\"}",
    "upper",
    "up{a=\"}\"}",
    "up{a=\"} 1\"}",
    "{\"up\"}",
    "{\"up\",a=\"x\\\"\"}",
    "broken{",
];

/// A body that is like the last one, but for a few lines.
fn change(numbers: &mut Numbers, body: &mut Vec<usize>) {
    for _ in 0..numbers.below(3) {
        let at = numbers.below(body.len() + 1);
        match numbers.below(3) {
            0 => {
                let mostly_good = usize::from(numbers.below(9) > 0);
                body.insert(at, numbers.below(LINES.len() - mostly_good));
            }
            1 if at < body.len() => _ = body.remove(at),
            _ if at + 1 < body.len() => body.swap(at, at + 1),
            _ => {}
        }
    }
}

#[test]
fn a_body_reads_the_same_whatever_came_before() {
    for (format, blank) in [(Format::Text, "  "), (Format::OpenMetrics, " ")] {
        let content_type = match format {
            Format::Text => "text/plain",
            Format::OpenMetrics => "application/openmetrics-text",
        };
        let mut numbers = Numbers(3);
        let (mut layout, mut lines, mut good) = (Layout::default(), vec![0, 4, 8], 0);
        let (mut last, mut same, mut known) = (None::<Arc<dyn SeriesList>>, 0, 0);
        for _ in 0..2_000 {
            change(&mut numbers, &mut lines);
            lines.truncate(40);
            let mut body = String::new();
            for line in &lines {
                body.push_str(LINES[*line]);
                if !body.ends_with("histogram") && !LINES[*line].starts_with('#') {
                    body.push_str(&format!("{blank}{}", numbers.below(3)));
                    if numbers.below(9) == 0 {
                        body.push_str(&format!(" {}", numbers.below(3)));
                    }
                }
                body.push('\n');
            }
            body.push_str("# EOF\n");
            let again = parse_again(content_type, body.as_bytes(), &mut layout);
            let samples = again.as_ref().map(|reading| reading.samples().collect::<Vec<_>>());
            let parsed = parse(content_type, body.as_bytes());
            if let (Ok(reading), Ok(parsed)) = (&again, &parsed) {
                let said = reading.series.metadata();
                assert_eq!(said[..parsed.metadata.len()], parsed.metadata, "{body}");
                let times: Vec<_> = parsed.samples.iter().map(|sample| sample.at).collect();
                let none = || vec![None; times.len()];
                assert_eq!(reading.times.clone().unwrap_or_else(none), times, "{body}");
            }
            let plain = parsed.as_ref().map(|scrape| {
                scrape.samples.iter().map(|sample| sample.series.clone()).collect::<Vec<_>>()
            });
            assert_eq!(samples, plain, "{body}");
            good += usize::from(again.is_ok());
            if let Ok(reading) = again {
                let list: Arc<dyn SeriesList> = reading.series;
                same += usize::from(last.as_ref().is_some_and(|last| is_same_list(last, &list)));
                if let Some(last) = &last {
                    for Run { at, was, len } in list.runs_of(last) {
                        for n in 0..len {
                            let labels = list.labels((at + n) as usize);
                            assert_eq!(labels, last.labels((was + n) as usize), "{body}");
                            known += 1;
                        }
                    }
                }
                last = Some(list);
            } else {
                // OpenMetrics has no blank before labels.
                let bad = |line: &str| line.starts_with("broken") || line.starts_with("up {");
                lines.retain(|line| !bad(LINES[*line]));
            }
        }
        assert!(good > 500, "{format:?}: only {good} bodies could be read");
        assert!(same > 200, "{format:?}: only {same} lists were the same");
        assert!(known > 1_000, "{format:?}: only {known} series were known");
    }
}

#[test]
fn the_same_series_are_the_same_list_and_others_know_where_they_stood() {
    let mut layout = Layout::default();
    let mut list = |body: &str| -> Arc<dyn SeriesList> {
        parse_again("text/plain", body.as_bytes(), &mut layout).expect(body).series
    };
    let first = list("# TYPE a gauge\na{x=\"1\"} 1\nb 2\nc 3\n");
    // Values, times and what stands behind them do not matter.
    let second = list("# TYPE a gauge\na{x=\"1\"} NaN 1700000000000\nb 12.5e3 \nc -0\n");
    assert!(is_same_list(&first, &second));
    let third = list("a{x=\"1\"} 4\nnew 1\nc 5\nd 6\n");
    let run = |at, was, len| Run { at, was, len };
    assert_eq!(third.runs_of(&first), [run(0, 0, 1), run(2, 2, 1)]);
    assert_eq!(third.labels(1), Labels::from([("__name__", "new")]));
    let fourth = list("c 1\nd 7\na{x=\"1\"} 8\n");
    assert_eq!(fourth.runs_of(&third), [run(0, 2, 2), run(2, 0, 1)]);
    // It knows of the last list alone.
    assert_eq!(fourth.runs_of(&first), []);
    // What may be the beginning of another name is never taken for it.
    let fifth = list("up+1\n");
    assert!(!is_same_list(&fifth, &list("up2 1\n")));
}

#[test]
fn what_is_said_of_a_family_outlasts_it_for_ten_bodies() {
    let mut layout = Layout::default();
    let mut names = |body: &str| names(&mut layout, body);
    let both =
        "# TYPE a gauge\n# HELP a About \\\\ a.\na 1\n# TYPE b counter\nb{x=\"\n# HELP c\"} 1\n";
    assert_eq!(names(both), ["a", "b"]);
    assert_eq!(names("# TYPE b counter\nb 1\n"), ["b", "a"]);
    for value in 0..9 {
        // Other values of the same series, and other series.
        let body = format!("# TYPE b counter\nb {value}\nb{{x=\"{}\"}} 2\n", value / 3);
        assert_eq!(names(&body), ["b", "a"], "{value}");
    }
    assert_eq!(names("# TYPE b counter\nb 1\n"), ["b"]);
    assert_eq!(names("b 1\n"), ["b"]);
}

fn names(layout: &mut Layout, body: &str) -> Vec<String> {
    let reading = parse_again("text/plain", body.as_bytes(), layout).expect(body);
    reading.series.metadata().into_iter().map(|said| said.name).collect()
}

#[test]
fn types_helps_and_units_are_read_again_from_the_texts() {
    let mut layout = Layout::default();
    let body = "# TYPE up_seconds counter\n# UNIT up_seconds seconds\n# HELP up_seconds How \\\"long\\\".\n\
                up_seconds_total 1 1.5 # {} 1\n# TYPE i info\ni_info{a=\"b\"} 1\n# EOF\n";
    for _ in 0..2 {
        let content_type = "application/openmetrics-text";
        let reading = parse_again(content_type, body.as_bytes(), &mut layout).expect("a body");
        let said: Vec<_> = reading
            .series
            .metadata()
            .into_iter()
            .map(|said| {
                format!("{} {} {:?} {}", said.name, said.metric_type.word(), said.help, said.unit)
            })
            .collect();
        assert_eq!(said, ["up_seconds counter \"How \\\"long\\\".\" seconds", "i info \"\" "]);
        assert_eq!(reading.times, Some(vec![Some(paramedic_model::TimeMs(1500)), None]));
    }
}
