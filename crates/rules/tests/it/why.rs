//! Why an alert fires at a moment, or does not.

use std::time::Duration;

use paramedic_model::{Series, TimeMs};
use paramedic_promql::EvalOptions;
use paramedic_rules::{Rule, RuleFile};

use crate::support::Window;

const MINUTE: i64 = 60_000;

/// What is said at minute 20 of a rule over `up`, which has had `values`, one a minute, until then.
fn verdict(rule: &str, values: &str) -> String {
    let text = format!(
        "groups:\n- name: g\n  rules:\n  - alert: A\n    {}\n",
        rule.replace("; ", "\n    ")
    );
    let file = RuleFile::parse("a.yml", &text).expect("the rule loads");
    let Rule::Alert(alert) = &file.groups[0].rules[0] else { panic!("an alert rule") };
    let mut window = Window::new();
    let values: Vec<&str> = values.split_whitespace().collect();
    for (index, value) in values.iter().enumerate() {
        let at = TimeMs((21 + index as i64 - values.len() as i64) * MINUTE);
        if let Ok(value) = value.parse() {
            window.put(at, &Series::new("up", [("instance", "a")], value));
        }
        window.put(at, &Series::new("up", [("instance", "b")], 1.0));
    }
    let at = TimeMs(20 * MINUTE);
    let why = alert.why(&window, at, Duration::from_secs(60), &EvalOptions::default());
    why.verdict.to_string()
}

#[test]
fn the_verdict_names_what_holds_the_alert_back() {
    let cases = [
        ("expr: up == 0", "1 1 0", "it fires"),
        ("expr: up == 0; for: 2m", "1 0 0 0", "it fires"),
        ("expr: up", "1 1 1", "it fires for 2 label sets"),
        (
            "expr: up == 0; for: 5m",
            "1 1 0 0",
            "it is pending: the expression holds since 1970-01-01T00:19:00.000Z and has to until \
             1970-01-01T00:24:00.000Z",
        ),
        (
            "expr: up == 0; for: 5m",
            "0 0 0 1 0 0 1 1",
            "it does not fire: the expression held from 1970-01-01T00:13:00.000Z to \
             1970-01-01T00:15:00.000Z, that is 2m of the 5m that `for` wants",
        ),
        (
            "expr: up == 0; for: 2m; keep_firing_for: 5m",
            "0 0 0 1 1",
            "it fires, although the expression does not hold: keep_firing_for lasts until \
             1970-01-01T00:23:00.000Z",
        ),
        (
            "expr: up == 0; for: 2m",
            "0 0 0 1 1",
            "it does not fire any more: the expression last held at 1970-01-01T00:18:00.000Z: up == 0: \
             the comparison is false for all 2",
        ),
        (
            "expr: up == 0",
            "1 1 1",
            "it does not fire: the expression is empty: up == 0: the comparison is false for all 2",
        ),
        (
            "expr: sum(down) > 0",
            "1",
            "it does not fire: the expression is empty: down: no series is called down",
        ),
        (
            "expr: up == 1 and on (instance) up{instance=\"c\"}",
            "1",
            "it does not fire: the expression is empty: up{instance=\"c\"}: instance=\"c\" fits none of the \
             series, which have a, b",
        ),
        (
            "expr: up + on () up",
            "1",
            "it cannot be evaluated: 1:1: found duplicate series for the match group {} on the right \
             hand-side of the operation: [{__name__=\"up\", instance=\"a\"}, {__name__=\"up\", \
             instance=\"b\"}];many-to-many matching not allowed: matching labels must be unique on one side",
        ),
    ];
    for (rule, values, expected) in cases {
        assert_eq!(verdict(rule, values), expected, "{rule} with {values}");
    }
}
