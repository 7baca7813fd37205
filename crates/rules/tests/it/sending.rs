use std::time::Duration;

use crate::support::{Drive, labels, seconds};
use paramedic_model::Series;

/// When a firing alert is told, with evaluations every `interval_s`, over ten minutes.
fn told_at(interval_s: i64) -> Vec<i64> {
    let mut drive = Drive::new(&format!(
        "groups: [{{name: g, interval: {interval_s}s, rules: [{{alert: A, expr: up == 0}}]}}]"
    ));
    (0..=600 / interval_s)
        .map(|i| i * interval_s)
        .filter(|s| {
            drive.window.put(seconds(*s), &Series { labels: labels("up"), value: 0.0 });
            drive.evaluate(seconds(*s));
            !drive.group.take_outgoing(seconds(*s), Duration::from_secs(60)).is_empty()
        })
        .collect()
}

#[test]
fn a_firing_alert_is_told_again_after_more_than_the_delay() {
    assert_eq!(told_at(60), [0, 120, 240, 360, 480, 600]);
    assert_eq!(told_at(5)[..4], [0, 65, 130, 195]);
    assert_eq!(told_at(15)[..4], [0, 75, 150, 225]);
    assert_eq!(told_at(300), [0, 300, 600]);
}

#[test]
fn an_end_is_told_at_once_and_repeated_while_it_is_remembered() {
    let mut drive = Drive::new(
        "groups: [{name: g, rules: [{alert: A, expr: up == 0, for: 1m, annotations: {a: b}}]}]",
    );
    let mut told = Vec::new();
    for minute in 0..25 {
        let at = seconds(60 * minute);
        let value = if minute < 4 { 0.0 } else { 1.0 };
        drive.window.put(at, &Series { labels: labels("up"), value });
        drive.evaluate(at);
        for alert in drive.group.take_outgoing(at, Duration::from_secs(60)) {
            let minutes = |ms: i64| ms / 60_000;
            let (starts, ends) = (minutes(alert.starts_at.0), minutes(alert.ends_at.0));
            told.push((minute, starts, ends, alert.is_resolved));
        }
    }
    // It fires at 1, is told until 1 + 4, again at 3; ends at 4; forgotten 15 minutes later.
    let mut want = vec![(1, 1, 5, false), (3, 1, 7, false)];
    want.extend((4..=19).step_by(2).map(|minute| (minute, 1, 4, true)));
    assert_eq!(told, want);
}
