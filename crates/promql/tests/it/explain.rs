//! Why an expression is empty, and what every part of it came to.

use paramedic_model::{Labels, Sample, TimeMs, stale_nan};
use paramedic_promql::{EvalOptions, PartValue, Plan, parse};
use paramedic_samples::{Window, WindowOptions};

const MINUTE: i64 = 60_000;
const AT: TimeMs = TimeMs(20 * MINUTE);

/// Two firewalls with their peers, a service that ended, one that was last seen long ago.
fn window() -> Window {
    let mut window = Window::new(WindowOptions::default());
    let mut add = |name: &str, labels: &[(&str, &str)], samples: &[(i64, f64)]| {
        let name = [("__name__", name)];
        let labels: Labels = name.iter().chain(labels).copied().collect();
        let samples: Vec<_> = samples
            .iter()
            .map(|(at, value)| Sample { at: TimeMs(at * MINUTE), value: *value })
            .collect();
        let commit = window.append_samples(&labels, &samples);
        assert_eq!(commit.rejected.total(), 0);
    };
    add("peer_up", &[("instance", "fw1"), ("peer", "anna")], &[(19, 0.0), (20, 0.0)]);
    add("peer_up", &[("instance", "fw2"), ("peer", "bert")], &[(19, 1.0), (20, 1.0)]);
    add("peer_info", &[("host", "fw1"), ("instance", "exporter:9100")], &[(20, 1.0)]);
    add("bytes_total", &[("instance", "fw1")], &[(20, 7.0)]);
    add("ended", &[("instance", "fw1")], &[(18, 1.0), (19, stale_nan())]);
    add("old", &[("instance", "fw1")], &[(1, 1.0)]);
    window
}

/// What holds `text` back: the part, and why.
fn held(text: &str) -> String {
    let plan = Plan::new(parse(text).expect(text), text).expect(text);
    let explanation = plan.explain(&window(), AT, &EvalOptions::default());
    match explanation.held() {
        Some(part) => {
            let why = part.held.as_ref().expect("the part that holds says why");
            format!("{}: {why}", part.span.of(text))
        }
        None => "nothing".to_owned(),
    }
}

#[test]
fn the_part_that_empties_an_expression_is_named_with_its_reason() {
    let cases = [
        ("peer_up == 0", "nothing"),
        ("peer_down == 0", "peer_down: no series is called peer_down"),
        ("sum(rate(peer_down[5m])) > 0", "peer_down[5m]: no series is called peer_down"),
        (
            r#"peer_up{instance="fw3"} == 0"#,
            r#"peer_up{instance="fw3"}: instance="fw3" fits none of the series, which have fw1, fw2"#,
        ),
        (
            r#"peer_up{site=~"a.*"}"#,
            r#"peer_up{site=~"a.*"}: site=~"a.*" fits none of the series, which do not have that label"#,
        ),
        (
            r#"peer_up{instance="fw1", peer="bert"}"#,
            r#"peer_up{instance="fw1", peer="bert"}: no series fits all of the matchers"#,
        ),
        ("ended == 1", "ended: the series that fits ended at 1970-01-01T00:19:00.000Z"),
        (
            "old == 1",
            "old: the newest sample of the series that fits is of 1970-01-01T00:01:00.000Z",
        ),
        (
            "rate(bytes_total[5m]) > 0",
            "rate(bytes_total[5m]): rate has too few samples, or none of its kind",
        ),
        ("(peer_up) > 1", "(peer_up) > 1: the comparison is false for all 2"),
        ("absent(peer_up)", "absent(peer_up): the series are there"),
        (
            "peer_up unless peer_up",
            "peer_up unless peer_up: each element has a partner on the right, which excludes it",
        ),
        (
            "peer_up == 0 and on (instance) peer_info",
            "peer_up == 0 and on (instance) peer_info: no value of the label instance is on both sides: \
             fw1 on the left, exporter:9100 on the right",
        ),
        (
            "peer_up * peer_info",
            "peer_up * peer_info: no value of the label host is on both sides: nothing on the left, \
             fw1 on the right",
        ),
        (
            "peer_up and ignoring (peer) bytes_total == 8",
            "bytes_total == 8: the comparison is false",
        ),
        (
            "peer_up > on (instance) bytes_total",
            "peer_up > on (instance) bytes_total: the comparison is false",
        ),
        ("peer_down or old", "peer_down: no series is called peer_down"),
    ];
    for (text, expected) in cases {
        assert_eq!(held(text), expected, "{text}");
    }
}

#[test]
fn every_part_has_its_value() {
    let text = "max_over_time(peer_up[5m]) > bool 0.5 + time()";
    let plan = Plan::new(parse(text).expect(text), text).expect(text);
    let explanation = plan.explain(&window(), AT, &EvalOptions::default());
    let told = explanation.parts.iter().map(|part| {
        let value = match part.value.as_ref().expect("it was evaluated") {
            PartValue::Scalar(value) => value.to_string(),
            PartValue::Text(text) => text.clone(),
            PartValue::Elements { count, first } => format!("{count} elements, {:?}", first[0].1),
            PartValue::Series { count, first } => format!("{count} series of {}", first[0].1),
        };
        format!("{}{}: {value}", " ".repeat(part.depth), part.span.of(text))
    });
    assert_eq!(
        told.collect::<Vec<_>>(),
        [
            "max_over_time(peer_up[5m]) > bool 0.5 + time(): 2 elements, Some(0.0)",
            " max_over_time(peer_up[5m]): 2 elements, Some(0.0)",
            "  peer_up[5m]: 2 series of 2",
            " 0.5 + time(): 1200.5",
            "  time(): 1200",
        ]
    );
}

#[test]
fn an_evaluation_that_fails_tells_how_far_it_came() {
    let text = "peer_up + on () group_left () peer_up";
    let plan = Plan::new(parse(text).expect(text), text).expect(text);
    let explanation = plan.explain(&window(), AT, &EvalOptions::default());
    assert!(explanation.error.is_some_and(|error| error.message.contains("many-to-many")));
    let known: Vec<_> = explanation.parts.iter().map(|part| part.value.is_some()).collect();
    assert_eq!(known, [false, true, true]);
}
