//! What would take too long or too much memory ends with an error that says so, in both evaluators.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use paramedic_model::{Series, TimeMs};
use paramedic_promql::{EvalOptions, Plan, parse};
use paramedic_samples::Window;

const TOO_MANY: &str =
    "query processing would load too many samples into memory in query execution";

/// A hundred series with twenty samples each.
fn window() -> Window {
    let mut window = Window::default();
    for step in 0..20 {
        let series: Vec<Series> = (0..100)
            .map(|n| Series::new("a", [("n", &*n.to_string()), ("job", "j")], f64::from(n)))
            .collect();
        window.append(TimeMs(step * 15_000), &series);
    }
    window
}

/// What both evaluators say at one moment and over a range, which must be the same.
fn check(text: &str, options: &EvalOptions, expected: &str) {
    let window = window();
    let plan = Plan::new(parse(text).unwrap_or_else(|e| panic!("{text}: {e}")), text).expect(text);
    let (start, end, step) = (TimeMs(200_000), TimeMs(280_000), Duration::from_secs(10));
    let answers = [
        plan.eval_instant(&window, end, options),
        plan.eval_instant_plain(&window, end, options),
        plan.eval_range(&window, start, end, step, options),
        plan.eval_range_plain(&window, start, end, step, options),
    ];
    for answer in answers {
        match answer {
            Ok(_) => panic!("{text} has a value"),
            Err(error) => assert_eq!(error.message, expected, "{text}"),
        }
    }
}

#[test]
fn steps_are_counted_before_they_are_taken() {
    let default = EvalOptions::default();
    for text in [
        "max_over_time(a[1000d:1ms])",
        "max_over_time(nothing[1000d:1ms])",
        "sum_over_time(vector(1)[100y:1ms])",
        "max_over_time(max_over_time(a[1000d:1ms])[5m:1m])",
        "sum(rate(a[1m]) and max_over_time(a[1000d:1ms]))",
    ] {
        check(text, &default, TOO_MANY);
    }
    let (window, text) = (window(), "1");
    let plan = Plan::new(parse(text).expect(text), text).expect(text);
    let (start, end, step) = (TimeMs(i64::MIN), TimeMs(i64::MAX), Duration::from_millis(1));
    for answer in [
        plan.eval_range(&window, start, end, step, &default),
        plan.eval_range_plain(&window, start, end, step, &default),
    ] {
        assert_eq!(answer.expect_err("endless").message, TOO_MANY);
    }
}

#[test]
fn samples_are_counted_while_they_are_held() {
    let options = EvalOptions { samples_max: 1_500, ..EvalOptions::default() };
    for text in [
        "max_over_time(a[5m]) + max_over_time(a[5m]) + on (n, job) a + sum_over_time(a[4m:1s])",
        "sum_over_time(a[4m:1s])",
        "count_values(\"v\", sum_over_time(a[4m:1s]))",
        "label_replace(sum_over_time(a[4m:1s]), \"x\", \"$1\", \"n\", \"(.*)\")",
    ] {
        check(text, &options, TOO_MANY);
    }
    let few = EvalOptions { samples_max: 50, ..EvalOptions::default() };
    for text in ["a", "sum(a)", "a == 1", "topk(1, a)", "a and a", "sort(a)", "timestamp(a)"] {
        check(text, &few, TOO_MANY);
    }
}

#[test]
fn whoever_has_a_clock_can_stop_it() {
    let stop = Some(Arc::new(AtomicBool::new(true)));
    let options = EvalOptions { stop, ..EvalOptions::default() };
    for text in ["a", "1 + 1", "sum(rate(a[1m]))", "max_over_time(max_over_time(a[1d:1s])[1d:1s])"]
    {
        check(text, &options, "query was canceled in query execution");
    }
}

/// Values that double with each call around another one.
#[test]
fn values_of_labels_do_not_explode() {
    let nested =
        |call: fn(&str) -> String| (0..60).fold("a{n=\"7\"}".to_owned(), |text, _| call(&text));
    let replaced =
        nested(|text| format!("label_replace({text}, \"n\", \"$1$1\", \"n\", \"(.*)\")"));
    let default = EvalOptions::default();
    check(&replaced, &default, "label value longer than 65536 bytes in label_replace()");
    let joined = nested(|text| format!("label_join({text}, \"n\", \"-\", \"n\", \"n\")"));
    check(&joined, &default, "label value longer than 65536 bytes in label_join()");
    // A hundred values that are short enough, and too much together.
    let long = "x".repeat(1_000);
    let text = format!("label_replace(a, \"n\", \"$1{long}\", \"n\", \"(.*)\")");
    let few = EvalOptions { samples_max: 2_000, ..EvalOptions::default() };
    check(&text, &few, TOO_MANY);
}

#[test]
fn regular_expressions_are_bounded_in_size_and_never_go_back() {
    let refused = |text: &str| parse(text).expect_err(text).to_string();
    for pattern in ["(a{1000}){1000}", "((((a{99}){99}){99}){99})", "\\\\pL{10000}"] {
        let message = refused(&format!("a{{n=~\"{pattern}\"}}"));
        assert!(message.starts_with("1:3: parse error: error parsing regexp: "), "{message}");
    }
    let text = "label_replace(a, \"x\", \"\", \"n\", \"(a{1000}){1000}\")";
    let message = "invalid regular expression in label_replace(): (a{1000}){1000}";
    check(text, &EvalOptions::default(), message);
    // Exponential for engines that go back; here it takes as long as the value is.
    let value = "a".repeat(2_000);
    let mut window = Window::default();
    window.append(TimeMs(0), &[Series::new("a", [("n", &*format!("{value}!"))], 1.0)]);
    for text in [
        "a{n=~\"(a+)+\"}",
        "a{n=~\"(a|aa)+\"}",
        "a{n=~\"(.*)(.*)(.*)(.*)(.*)[^!]\"}",
        "label_replace(a, \"x\", \"$1\", \"n\", \"(a|aa)+\") == 0",
    ] {
        let plan = Plan::new(parse(text).expect(text), text).expect(text);
        let found = plan.eval_instant(&window, TimeMs(0), &EvalOptions::default()).expect(text);
        let paramedic_promql::Value::Vector(elements) = found.value else { panic!("{text}") };
        assert!(elements.is_empty(), "{text}");
    }
}
