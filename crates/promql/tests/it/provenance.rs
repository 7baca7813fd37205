//! Where results come from, what a plan reads, and what a trace reports.

use paramedic_model::{Labels, Series, TimeMs};
use paramedic_promql::{EvalOptions, Plan, ReadSet, Source, Value, parse};
use paramedic_samples::Window;

const AT: TimeMs = TimeMs(600_000);

/// Two firewalls with services and peers, and something without a name of its own.
fn window() -> Window {
    let mut window = Window::default();
    for at in [540_000, 570_000, 600_000] {
        let seconds = at as f64 / 1000.0;
        window.append(
            TimeMs(at),
            &[
                Series::new("up", [("instance", "a")], 1.0),
                Series::new("up", [("instance", "b")], 0.0),
                Series::new("running", [("instance", "a"), ("name", "dns")], 1.0),
                Series::new("running", [("instance", "a"), ("name", "vpn")], 0.0),
                Series::new("running", [("instance", "b"), ("name", "dns")], 0.0),
                Series::new("bytes_total", [("instance", "a")], seconds),
                Series::new("bytes_total", [("instance", "b")], seconds * 2.0),
            ],
        );
    }
    window
}

fn plan(text: &str) -> Plan {
    Plan::new(parse(text).expect(text), text).expect(text)
}

/// The elements of the result, each with the series that it came from.
fn origins(text: &str) -> Vec<String> {
    let window = window();
    let found = plan(text).eval_instant(&window, AT, &EvalOptions::default()).expect(text);
    let Value::Vector(elements) = found.value else { panic!("{text} is no vector") };
    let mut lines: Vec<String> = elements
        .iter()
        .map(|element| {
            let labels = |labels: Vec<Labels>| {
                let texts: Vec<String> = labels.iter().map(ToString::to_string).collect();
                texts.join(" ")
            };
            let origins = labels(element.origins.labels(&window));
            format!("{} {} <- {origins}", element.labels, element.value)
        })
        .collect();
    lines.sort();
    lines
}

fn check(text: &str, expected: &[&str]) {
    assert_eq!(origins(text), expected, "{text}");
}

#[test]
fn a_selector_and_a_filter_come_from_the_row_itself() {
    check("up == 0", &[r#"up{instance="b"} 0 <- up{instance="b"}"#]);
    check(
        r#"rate(bytes_total{instance="a"}[5m])"#,
        &[r#"{instance="a"} 0.25 <- bytes_total{instance="a"}"#],
    );
}

#[test]
fn an_aggregate_comes_from_its_group() {
    check(
        "sum by (instance) (running)",
        &[
            r#"{instance="a"} 1 <- running{instance="a", name="dns"} running{instance="a", name="vpn"}"#,
            r#"{instance="b"} 0 <- running{instance="b", name="dns"}"#,
        ],
    );
    check(
        "topk(1, bytes_total)",
        &[r#"bytes_total{instance="b"} 1200 <- bytes_total{instance="b"}"#],
    );
}

#[test]
fn a_join_comes_from_both_sides() {
    check(
        "running == 0 and on (instance) up == 1",
        &[
            r#"running{instance="a", name="vpn"} 0 <- up{instance="a"} running{instance="a", name="vpn"}"#,
        ],
    );
    check(
        "running * on (instance) group_left () up",
        &[
            r#"{instance="a", name="dns"} 1 <- up{instance="a"} running{instance="a", name="dns"}"#,
            r#"{instance="a", name="vpn"} 0 <- up{instance="a"} running{instance="a", name="vpn"}"#,
            r#"{instance="b", name="dns"} 0 <- up{instance="b"} running{instance="b", name="dns"}"#,
        ],
    );
}

#[test]
fn or_and_unless_come_from_the_side_that_the_element_is_of() {
    check(
        r#"up{instance="a"} or bytes_total"#,
        &[
            r#"bytes_total{instance="b"} 1200 <- bytes_total{instance="b"}"#,
            r#"up{instance="a"} 1 <- up{instance="a"}"#,
        ],
    );
    check("up unless on (instance) up == 1", &[r#"up{instance="b"} 0 <- up{instance="b"}"#]);
}

#[test]
fn what_reads_no_series_comes_from_none() {
    check("vector(1)", &["{} 1 <- "]);
    check(r#"absent(nothing{a="b"})"#, &[r#"{a="b"} 1 <- "#]);
}

#[test]
fn a_subquery_keeps_the_rows_behind_it() {
    check("max_over_time(sum(up)[1m:30s])", &[r#"{} 1 <- up{instance="a"} up{instance="b"}"#]);
    check(
        r#"label_replace(up == 0, "host", "$1", "instance", "(.*)")"#,
        &[r#"up{host="b", instance="b"} 0 <- up{instance="b"}"#],
    );
}

#[test]
fn a_plan_names_the_families_that_it_reads() {
    let reads = |text: &str| match plan(text).reads() {
        ReadSet::Names(names) => names.iter().cloned().collect::<Vec<_>>().join(" "),
        ReadSet::All => "all".to_owned(),
    };
    assert_eq!(
        reads("up == 0 and on (instance) rate({__name__=\"bytes_total\"}[5m])"),
        "bytes_total up"
    );
    assert_eq!(reads("time() - 5"), "");
    assert_eq!(reads("up or {job=\"a\"}"), "all");
    assert_eq!(reads("max_over_time(sum(up)[1m:])"), "up");
    assert!(plan("up").reads().contains("up") && !plan("up").reads().contains("down"));
}

#[test]
fn a_trace_reports_every_value_inner_before_outer() {
    let (window, text) = (window(), "sum(rate(bytes_total[5m])) > 0.5 * 1");
    let plan = plan(text);
    let mut seen = Vec::new();
    plan.eval_traced(&window, AT, &EvalOptions::default(), &mut |expr, value| {
        let size = match value {
            Value::Scalar(value) => value.to_string(),
            Value::String(text) => text.clone(),
            Value::Vector(elements) => format!("{} elements", elements.len()),
            Value::Matrix(series) => format!("{} series", series.len()),
        };
        seen.push(format!("{}: {size}", expr.span.of(text)));
    })
    .expect(text);
    assert_eq!(
        seen,
        [
            "bytes_total[5m]: 2 series",
            "rate(bytes_total[5m]): 2 elements",
            "sum(rate(bytes_total[5m])): 1 elements",
            "0.5: 0.5",
            "1: 1",
            "0.5 * 1: 0.5",
            "sum(rate(bytes_total[5m])) > 0.5 * 1: 1 elements",
        ]
    );
}

#[test]
fn limits_and_failures_name_their_place() {
    let window = window();
    let fails = |text: &str, options: &EvalOptions| {
        plan(text).eval_instant(&window, AT, options).expect_err(text).to_string()
    };
    let few = EvalOptions { samples_max: 2, ..EvalOptions::default() };
    let too_many = "query processing would load too many samples into memory in query execution";
    assert_eq!(fails("1 + sum(bytes_total) + sum(up * 2)", &few), format!("1:28: {too_many}"));
    assert_eq!(
        fails("1 +\n  up * on () running", &EvalOptions::default()),
        "2:3: found duplicate series for the match group {} on the right hand-side of the \
         operation: [{__name__=\"running\", instance=\"a\", name=\"dns\"}, {__name__=\"running\", \
         instance=\"a\", name=\"vpn\"}];many-to-many matching not allowed: matching labels must be \
         unique on one side"
    );
    let matrix = plan("up[1m]").eval_range(
        &window,
        AT,
        AT,
        std::time::Duration::from_secs(60),
        &EvalOptions::default(),
    );
    assert_eq!(
        matrix.expect_err("a matrix").message,
        "invalid expression type \"range vector\" for range query, must be Scalar or instant Vector"
    );
}

#[test]
fn the_deepest_expression_evaluates_on_a_small_stack() {
    let text = format!("up{}", " + up".repeat(199));
    let nested = format!("{}up{}", "-(".repeat(99), ")".repeat(99));
    for text in [text, nested] {
        let found = plan(&text).eval_instant(&window(), AT, &EvalOptions::default());
        let Value::Vector(elements) = found.expect("it fits").value else { panic!("no vector") };
        assert_eq!(elements.len(), 2);
    }
    let _: &dyn Source = &window();
}
