//! No text and no data makes the evaluator panic or run away.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use paramedic_model::{Series, TimeMs, stale_nan};
use paramedic_promql::{
    EvalOptions, FUNCTIONS, ParseOptions, Plan, parse, parse_series, parse_with,
};
use paramedic_samples::Window;

/// A small generator (a linear congruence): the same numbers in every run.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, bound: usize) -> usize {
        const FACTOR: u64 = 6_364_136_223_846_793_005;
        self.0 = self.0.wrapping_mul(FACTOR).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % bound
    }
}

const VALUES: [f64; 9] =
    [0.0, 1.0, -1.0, 1e308, -1e308, f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 0.5];

fn window(numbers: &mut Numbers) -> Window {
    let mut window = Window::default();
    for step in 0..20 {
        let mut series = Vec::new();
        for name in ["a", "b_total", "c_bucket"] {
            for le in ["1", "+Inf", "x", ""] {
                let value = match numbers.below(VALUES.len() + 1) {
                    index if index < VALUES.len() => VALUES[index],
                    _ => stale_nan(),
                };
                series.push(Series::new(name, [("le", le), ("job", "j")], value));
            }
        }
        window.append(TimeMs(step * 15_000), &series);
    }
    window
}

const WORDS: [&str; 64] = [
    "a",
    "b_total",
    "c_bucket",
    "{le=\"1\"}",
    "{job=~\".+\"}",
    "1",
    "-1",
    "NaN",
    "Inf",
    "0x1F",
    "5m",
    "\"job\"",
    "'x'",
    "\"$1\"",
    "\"(\"",
    "+",
    "-",
    "*",
    "/",
    "%",
    "^",
    "atan2",
    "==",
    "!=",
    "<",
    ">",
    "<=",
    ">=",
    "and",
    "or",
    "unless",
    "bool",
    "on",
    "ignoring",
    "group_left",
    "group_right",
    "by",
    "without",
    "(",
    ")",
    "(",
    ")",
    "(",
    ")",
    ",",
    ",",
    "[5m]",
    "[1m]",
    "[2m:30s]",
    "[1m:]",
    "offset",
    "@",
    "@ 200",
    "@ -9e15",
    "start()",
    "end()",
    "sum",
    "topk",
    "quantile",
    "count_values",
    "fill",
    "limit_ratio",
    "#",
    "☺",
];

fn evaluate(text: &str, window: &Window) -> bool {
    let options = ParseOptions { experimental: true, ..ParseOptions::default() };
    let Ok(expr) = parse_with(text, &options) else { return false };
    let printed = expr.to_string();
    let again = parse_with(&printed, &options).unwrap_or_else(|error| {
        panic!("{text} prints as {printed}, which does not parse: {error}")
    });
    // (The sign that infinity prints with is an operator before `^`, in Prometheus too.)
    if !printed.contains("Inf ^") {
        assert_eq!(again.to_string(), printed, "{text}");
    }
    let Ok(plan) = Plan::new(expr, text) else { return false };
    let (start, end, step) = (TimeMs(200_000), TimeMs(300_000), Duration::from_secs(30));
    for delayed_name_removal in [false, true] {
        let options =
            EvalOptions { samples_max: 20_000, delayed_name_removal, ..Default::default() };
        let _ = plan.eval_instant(window, end, &options);
        let _ = plan.eval_range(window, start, end, step, &options);
        for at in [i64::MIN, -1, i64::MAX] {
            let _ = plan.eval_instant(window, TimeMs(at), &options);
            let _ = plan.eval_range(window, TimeMs(i64::MIN), TimeMs(at), step, &options);
        }
        let _ = plan.eval_traced(window, end, &options, &mut |_, _| {});
    }
    true
}

#[test]
fn a_soup_of_words_does_no_harm() {
    let mut numbers = Numbers(7);
    let window = window(&mut numbers);
    let mut evaluated = 0;
    for _ in 0..20_000 {
        let words: Vec<&str> =
            (0..=numbers.below(9)).map(|_| WORDS[numbers.below(WORDS.len())]).collect();
        evaluated += usize::from(evaluate(&words.join(" "), &window));
        let _ = parse_series(&words.join(" "));
    }
    assert!(evaluated > 300, "only {evaluated} of the texts are expressions");
}

#[test]
fn every_function_takes_every_argument() {
    let mut numbers = Numbers(11);
    let window = window(&mut numbers);
    for function in FUNCTIONS {
        for _ in 0..20 {
            let count = function.args.len() + numbers.below(3);
            let mut args = Vec::new();
            for index in 0..count {
                let wanted = function.args.get(index).or(function.args.last());
                let choices = match wanted.map(|wanted| wanted.name()) {
                    Some("vector") => ["a", "{job=\"j\"}", "c_bucket == 1", "vector(NaN)"],
                    Some("matrix") => {
                        ["a[1m]", "{job=\"j\"}[5m]", "sum(a)[2m:10s]", "a[1s] offset -1m"]
                    }
                    Some("scalar") => ["0.5", "NaN", "-1e300", "scalar(a)"],
                    _ => ["\"job\"", "\"\"", "\"(\"", "\"__name__\""],
                };
                args.push(choices[numbers.below(choices.len())]);
            }
            evaluate(&format!("{}({})", function.name, args.join(", ")), &window);
        }
    }
}

#[test]
fn endless_work_is_refused_or_stopped() {
    let window = Window::default();
    let fails = |text: &str, options: &EvalOptions| {
        let plan = Plan::new(parse(text).expect(text), text).expect(text);
        let found = plan.eval_instant(&window, TimeMs(0), options);
        found.expect_err(text).message
    };
    let default = EvalOptions::default();
    assert_eq!(
        fails("absent_over_time(nothing[100y:1ms])", &default),
        "query processing would load too many samples into memory in query execution"
    );
    let stopped = EvalOptions { stop: Some(Arc::new(AtomicBool::new(true))), ..default };
    assert_eq!(fails("1 + 1", &stopped), "query was canceled in query execution");
}
