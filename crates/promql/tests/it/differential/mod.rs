//! Random expressions on random data, ours beside a real Prometheus's.
//!
//! `DIFFERENTIAL_CASES` says how many expressions there are, `DIFFERENTIAL_SEED` where they begin.

mod mistakes;
mod prometheus;
mod random;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use paramedic_model::{Labels, Sample, TimeMs};
use paramedic_promql::{EvalOptions, Plan, RangeSeries, Value, parse};
use paramedic_samples::Window;
use serde_json::Value as Json;

use prometheus::Prometheus;
use random::{Random, SECONDS, START};

const CASES: u64 = 1_000;

/// Where 2.42 and 3.x differ on the language that they share: which expression, in which answers, and
/// why ours is that of 3.x (whose scripts, run by `conformance`, say so).
type Listed = (fn(&str) -> bool, fn(&Outcome<'_>) -> bool, &'static str);

const LISTED: &[Listed] = &[
    (
        |text| text.contains("-("),
        |Outcome { ours, theirs, range }| *range && ours.is_ok() && theirs.is_err(),
        "of a sign change, series that take turns under one label set are one series in 3.x",
    ),
    (
        |text| text.contains("avg"),
        |Outcome { ours, theirs, .. }| ours.is_ok() && theirs.is_ok(),
        "3.x divides a sum by a count, 2.42 moves a mean from value to value: a comparison or a \
         rounding shows the last bit",
    ),
];

/// How many of a thousand answers may be on the list.
const LISTED_PER_MILLE_MAX: u64 = 1;

/// What both say to one expression.
struct Outcome<'a> {
    ours: &'a Result<Answer, String>,
    theirs: &'a Result<Answer, String>,
    range: bool,
}

fn listed(text: &str, outcome: &Outcome<'_>) -> Option<&'static str> {
    let fits = |(of, shows, _): &&Listed| of(text) && shows(outcome);
    LISTED.iter().find(fits).map(|(.., reason)| *reason)
}
const STEP: Duration = Duration::from_secs(47);

/// Values over time by labels; one moment for an instant vector.
type Answer = BTreeMap<String, Vec<(i64, f64)>>;

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().map_or(default, |text| text.parse().expect("a number"))
}

#[test]
fn prometheus_says_the_same() {
    let Some(prometheus) = Prometheus::start("differential::prometheus_says_the_same") else {
        return;
    };
    let data = Random(setting("DIFFERENTIAL_SEED", 1)).data();
    let mut window = Window::default();
    for (labels, samples) in &data {
        assert_eq!(window.append_samples(labels, samples).accepted, samples.len());
    }
    prometheus.write(&data);

    let (cases, mut differences, mut empty, mut refused) =
        (setting("DIFFERENTIAL_CASES", CASES), Vec::new(), 0, 0);
    let mut known: BTreeMap<&str, u64> = BTreeMap::new();
    let mut random = Random(setting("DIFFERENTIAL_SEED", 1) + 1);
    for _ in 0..cases {
        let text = random.expression();
        let at = TimeMs(START.0 + 600_500 + 1000 * random.below(SECONDS as usize - 700) as i64);
        for range in [false, true] {
            let ours = ours(&window, &text, at, range);
            let theirs = theirs(&prometheus, &text, at, range);
            let reason = listed(&text, &Outcome { ours: &ours, theirs: &theirs, range });
            match (&ours, &theirs) {
                (Ok(ours), Ok(theirs)) => {
                    empty += usize::from(theirs.is_empty());
                    let any_labels = text.contains("topk") || text.contains("bottomk");
                    match (difference(ours, theirs, any_labels), reason) {
                        (None, _) => {}
                        (Some(_), Some(reason)) => *known.entry(reason).or_insert(0) += 1,
                        (Some(how), None) => {
                            differences.push(format!("{text}\n  at {at}, range {range}: {how}"));
                        }
                    }
                }
                (Err(_), Err(_)) => refused += 1,
                _ if let Some(reason) = reason => *known.entry(reason).or_insert(0) += 1,
                _ => differences.push(format!(
                    "{text}\n  at {at}, range {range}\n  ours   {ours:?}\n  theirs {theirs:?}"
                )),
            }
        }
    }
    println!(
        "{} evaluations: {} differ, {refused} refused by both, {empty} empty, listed {known:#?}",
        cases * 2,
        differences.len()
    );
    let listed: u64 = known.values().sum();
    assert!(listed * 1_000 <= LISTED_PER_MILLE_MAX * cases * 2 + 1_000, "{known:#?}");
    let shown: Vec<_> = differences.iter().take(10).cloned().collect();
    assert!(differences.is_empty(), "{} differ\n{}", differences.len(), shown.join("\n"));
}

/// The range that ends half an hour after `at`, or `at` alone.
fn end(at: TimeMs, range: bool) -> TimeMs {
    if range { TimeMs(at.0 + 1_800_000) } else { at }
}

fn ours(window: &Window, text: &str, at: TimeMs, range: bool) -> Result<Answer, String> {
    let expr = parse(text).map_err(|error| error.to_string())?;
    let plan = Plan::new(expr, text).map_err(|error| error.to_string())?;
    let options = EvalOptions::default();
    let found = match range {
        true => plan.eval_range(window, at, end(at, true), STEP, &options),
        false => plan.eval_instant(window, at, &options),
    };
    let point = |sample: &Sample| (sample.at.0, sample.value);
    let series = |series: &RangeSeries| {
        (series.labels.to_string(), series.samples.iter().map(point).collect())
    };
    Ok(match found.map_err(|error| error.to_string())?.value {
        Value::Scalar(value) => [("{}".to_owned(), vec![(at.0, value)])].into(),
        Value::Vector(elements) => elements
            .iter()
            .map(|element| (element.labels.to_string(), vec![(at.0, element.value)]))
            .collect(),
        Value::Matrix(matrix) => matrix.iter().map(series).collect(),
        Value::String(text) => panic!("{text} is no answer to any of the expressions"),
    })
}

fn theirs(prometheus: &Prometheus, text: &str, at: TimeMs, range: bool) -> Result<Answer, String> {
    let seconds = |at: TimeMs| format!("{:.3}", at.0 as f64 / 1000.0);
    let (time, last, step) = (seconds(at), seconds(end(at, true)), STEP.as_secs().to_string());
    let answer = match range {
        true => prometheus.ask(
            "/api/v1/query_range",
            &[("query", text), ("start", &time), ("end", &last), ("step", &step)],
        ),
        false => prometheus.ask("/api/v1/query", &[("query", text), ("time", &time)]),
    };
    if answer["status"] != "success" {
        return Err(answer["error"].to_string());
    }
    let (kind, result) = (&answer["data"]["resultType"], &answer["data"]["result"]);
    let point = |pair: &Json| {
        let at = (pair[0].as_f64().expect("a time") * 1000.0).round() as i64;
        let value: f64 = pair[1].as_str().expect("a value").parse().expect("a number");
        (at, value)
    };
    if kind == "scalar" {
        return Ok([("{}".to_owned(), vec![point(result)])].into());
    }
    let series = result.as_array().expect("a list").iter().map(|series| {
        let metric = series["metric"].as_object().expect("labels").iter();
        let labels: Labels =
            metric.map(|(name, value)| (name.as_str(), value.as_str().expect("a text"))).collect();
        let points = match series["values"].as_array() {
            Some(values) => values.iter().map(point).collect(),
            None => vec![point(&series["value"])],
        };
        (labels.to_string(), points)
    });
    Ok(series.collect())
}

/// Where two answers part; of `topk` only the values count, since among equals any may win.
fn difference(ours: &Answer, theirs: &Answer, any_labels: bool) -> Option<String> {
    if any_labels {
        let sorted = |answer: &Answer| {
            let mut points: Vec<_> = answer.values().flatten().copied().collect();
            points.sort_by(|a, b| {
                let (nan, other) = (a.1.is_nan(), b.1.is_nan());
                a.0.cmp(&b.0).then(nan.cmp(&other)).then(a.1.total_cmp(&b.1))
            });
            points
        };
        return first_difference(&sorted(ours), &sorted(theirs));
    }
    let labels: BTreeSet<_> = ours.keys().chain(theirs.keys()).collect();
    labels.into_iter().find_map(|labels| match (ours.get(labels), theirs.get(labels)) {
        (Some(ours), Some(theirs)) => {
            first_difference(ours, theirs).map(|how| format!("{labels}: {how}"))
        }
        (Some(points), None) => Some(format!("{labels}: only ours, {:?}", points.first())),
        (_, points) => Some(format!("{labels}: only theirs, {:?}", points.map(|p| p.first()))),
    })
}

fn first_difference(ours: &[(i64, f64)], theirs: &[(i64, f64)]) -> Option<String> {
    let near = |a: f64, b: f64| {
        let same = a == b || (a.is_nan() && b.is_nan());
        same || (a - b).abs() <= 1e-9 + 1e-9 * a.abs().max(b.abs())
    };
    let part = ours.iter().zip(theirs).find(|(a, b)| a.0 != b.0 || !near(a.1, b.1));
    match part {
        Some((ours, theirs)) => Some(format!("ours {ours:?}, theirs {theirs:?}")),
        None if ours.len() == theirs.len() => None,
        None => Some(format!("{} points and {}", ours.len(), theirs.len())),
    }
}
