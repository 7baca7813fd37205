use std::time::Duration;

use paramedic_model::{Labels, Sample, Series, TimeMs, is_stale, stale_nan};
use paramedic_promql::{EvalOptions, Plan, Value};
use paramedic_promql::{Source, parse};
use paramedic_samples::{Commit, Rejected, TargetId, Window, WindowOptions};

fn at(seconds: i64) -> TimeMs {
    TimeMs(seconds * 1000)
}

fn service(name: &str, value: f64) -> Series {
    Series::new("running", [("name", name)], value)
}

fn up(value: f64) -> Series {
    Series::new("up", [], value)
}

fn changed(commit: &Commit) -> Vec<&str> {
    commit.changed.iter().map(|name| &**name).collect()
}

/// All samples of a family, row by row: `running{name="dns"} 10:1 20:stale`.
fn samples(source: &dyn Source, name: &str) -> Vec<String> {
    let Some(family) = source.find_family(name) else { return Vec::new() };
    let mut lines = Vec::new();
    for row in 0..source.family(family).row_count() as u32 {
        let (row, mut samples) = (paramedic_promql::RowRef { family, row }, Vec::new());
        source.range(row, TimeMs(i64::MIN), TimeMs(i64::MAX), &mut samples);
        if samples.is_empty() {
            continue;
        }
        let texts: Vec<String> = samples
            .iter()
            .map(|sample| {
                let seconds = sample.at.0 / 1000;
                let value = sample.value;
                if is_stale(value) {
                    format!("{seconds}:stale")
                } else {
                    format!("{seconds}:{value}")
                }
            })
            .collect();
        lines.push(format!("{} {}", source.labels(row), texts.join(" ")));
    }
    lines.sort();
    lines
}

#[test]
fn a_series_that_its_target_no_longer_yields_ends() {
    let (mut window, target) = (Window::default(), TargetId::from("fw1"));
    let first =
        window.commit_target(&target, at(10), &[up(1.0), service("dns", 1.0), service("vpn", 1.0)]);
    assert_eq!(first.accepted, 3);
    assert_eq!(changed(&first), ["running", "up"]);
    let second = window.commit_target(&target, at(20), &[up(1.0), service("dns", 1.0)]);
    // `up` and `dns` are as they were: only the end of `vpn` is news.
    assert_eq!((second.accepted, changed(&second)), (2, vec!["running"]));
    assert_eq!(
        samples(&window, "running"),
        [r#"running{name="dns"} 10:1 20:1"#, r#"running{name="vpn"} 10:1 20:stale"#]
    );
    // It ends once.
    let third = window.commit_target(&target, at(30), &[up(0.0)]);
    assert_eq!(changed(&third), ["running", "up"]);
    assert_eq!(
        samples(&window, "running"),
        [r#"running{name="dns"} 10:1 20:1 30:stale"#, r#"running{name="vpn"} 10:1 20:stale"#]
    );
    // And begins again.
    window.commit_target(&target, at(40), &[up(1.0), service("vpn", 0.0)]);
    assert_eq!(samples(&window, "running")[1], r#"running{name="vpn"} 10:1 20:stale 40:0"#);
}

#[test]
fn targets_do_not_end_each_others_series() {
    let mut window = Window::default();
    let (a, b) = (TargetId::from("a"), TargetId::from("b"));
    window.commit_target(&a, at(10), &[service("dns", 1.0)]);
    window.commit_target(&b, at(11), &[service("vpn", 1.0)]);
    window.commit_target(&b, at(21), &[service("vpn", 1.0)]);
    // A series that moved to another target goes on.
    window.commit_target(&b, at(22), &[service("vpn", 1.0), service("dns", 1.0)]);
    let commit = window.commit_target(&a, at(22), &[]);
    assert!(commit.changed.is_empty());
    assert_eq!(samples(&window, "running")[0], r#"running{name="dns"} 10:1 22:1"#);
}

#[test]
fn a_retired_target_leaves_nothing_live() {
    let (mut window, target) = (Window::default(), TargetId::from("fw1"));
    window.commit_target(&target, at(10), &[up(1.0), service("dns", 1.0)]);
    assert_eq!(window.targets().collect::<Vec<_>>(), [&target]);
    let commit = window.retire_target(&target, at(20));
    assert_eq!((commit.accepted, changed(&commit)), (0, vec!["running", "up"]));
    assert_eq!(window.targets().count(), 0);
    assert_eq!(samples(&window, "up"), ["up 10:1 20:stale"]);
    assert!(window.retire_target(&target, at(30)).changed.is_empty());
}

#[test]
fn what_does_not_fit_in_time_is_counted_and_left_out() {
    let mut window = Window::default();
    window.append(at(10), &[up(1.0)]);
    let late = window.append(at(5), &[up(1.0), service("dns", 1.0)]);
    assert_eq!(late.rejected, Rejected { out_of_order: 1, ..Rejected::default() });
    assert_eq!((late.accepted, changed(&late)), (1, vec!["running"]));
    let other = window.append(at(10), &[up(0.0)]);
    assert_eq!(other.rejected, Rejected { duplicate: 1, ..Rejected::default() });
    assert_eq!(other.rejected.total(), 1);
    // The very same sample again is none too many.
    let same = window.append(at(10), &[up(1.0)]);
    assert_eq!((same.accepted, same.rejected.total()), (1, 0));
    assert_eq!(samples(&window, "up"), ["up 10:1"]);
    // Twice in one collection: the first stands.
    let twice = window.append(at(20), &[up(1.0), up(0.0)]);
    assert_eq!((twice.accepted, twice.rejected.duplicate), (1, 1));
}

#[test]
fn not_a_number_is_a_value_like_others() {
    let mut window = Window::default();
    assert_eq!(changed(&window.append(at(10), &[up(f64::NAN)])), ["up"]);
    assert!(window.append(at(20), &[up(f64::NAN)]).changed.is_empty());
    assert_eq!(changed(&window.append(at(30), &[up(stale_nan())])), ["up"]);
    assert_eq!(samples(&window, "up"), ["up 10:NaN 20:NaN 30:stale"]);
}

#[test]
fn samples_go_with_time_and_their_rows_are_used_again() {
    let retention = Duration::from_secs(80);
    let mut window = Window::new(WindowOptions { retention, ..WindowOptions::default() });
    window.append(at(0), &[service("dns", 1.0), up(1.0)]);
    for seconds in (10..=70).step_by(10) {
        window.append(at(seconds), &[up(1.0)]);
    }
    assert_eq!(window.series_count(), 2);
    window.append(at(100), &[up(1.0)]);
    assert_eq!(window.series_count(), 1);
    assert_eq!(samples(&window, "up"), ["up 30:1 40:1 50:1 60:1 70:1 100:1"]);
    assert!(samples(&window, "running").is_empty());
    // The row is free, and no label of the old series clings to it.
    window.append(at(110), &[Series::new("running", [("job", "x")], 1.0)]);
    assert_eq!(samples(&window, "running"), [r#"running{job="x"} 110:1"#]);
    let family = window.find_family("running").expect("the family");
    assert_eq!(window.family(family).row_count(), 1);
}

#[test]
fn a_snapshot_stays_as_it_was() {
    let mut window = Window::default();
    window.append(at(10), &[up(1.0), service("dns", 1.0)]);
    let snapshot = window.snapshot();
    window.append(at(20), &[up(0.0), service("vpn", 1.0), Series::new("new", [("a", "b")], 1.0)]);
    assert_eq!(samples(&snapshot, "up"), ["up 10:1"]);
    assert_eq!(samples(&snapshot, "running"), [r#"running{name="dns"} 10:1"#]);
    assert_eq!(snapshot.find_family("new"), None);
    assert_eq!((snapshot.series_count(), window.series_count()), (2, 4));
    assert_eq!(samples(&window, "up"), ["up 10:1 20:0"]);
}

#[test]
fn an_ended_series_is_gone_for_a_rule_at_once() {
    let (mut window, target) = (Window::default(), TargetId::from("fw1"));
    let plan = Plan::new(parse("running == 0").expect("parses"), "running == 0").expect("a plan");
    let found = |window: &Window, seconds| {
        let value = plan.eval_instant(window, at(seconds), &EvalOptions::default());
        let Value::Vector(elements) = value.expect("evaluates").value else { panic!("no vector") };
        elements.len()
    };
    window.commit_target(&target, at(10), &[service("dns", 0.0)]);
    assert_eq!(found(&window, 10), 1);
    assert_eq!(found(&window, 309), 1);
    assert_eq!(found(&window, 310), 0);
    window.commit_target(&target, at(20), &[]);
    assert_eq!(found(&window, 20), 0);
    assert_eq!(found(&window, 19), 1);
}

#[test]
fn samples_of_a_script_are_appended_as_they_are() {
    let mut window = Window::default();
    let sample = |seconds, value| Sample { at: at(seconds), value };
    let labels = Labels::from([("a", "b")]);
    let commit =
        window.append_samples(&labels, &[sample(0, 1.0), sample(60, 2.0), sample(30, 3.0)]);
    assert_eq!((commit.accepted, commit.rejected.out_of_order), (2, 1));
    // A series without a metric name has the empty one.
    assert_eq!(changed(&commit), [""]);
    assert_eq!(samples(&window, ""), [r#"{a="b"} 0:1 60:2"#]);
}

#[test]
fn a_generation_stands_for_one_layout_of_rows() {
    let (mut window, mut other) = (Window::default(), Window::default());
    assert_eq!(window.generation(), other.generation());
    window.append(at(10), &[up(1.0)]);
    other.append(at(10), &[up(1.0)]);
    let first = window.generation();
    assert_ne!(first, other.generation());
    let snapshot = window.snapshot();
    window.append(at(20), &[up(0.0)]);
    assert_eq!((window.generation(), snapshot.generation()), (first, first));
    window.append(at(20), &[service("dns", 1.0)]);
    assert_ne!(window.generation(), first);
    assert_eq!(snapshot.generation(), first);
    // A row that goes is another layout as well.
    let second = window.generation();
    window.append(at(8000), &[up(1.0)]);
    window.append(at(8500), &[up(1.0)]);
    assert_ne!(window.generation(), second);
}
