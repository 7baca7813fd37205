//! Groups of rules of every sort, and samples that let their alerts come and go.
//!
//! From 3.0 on windows are open on the left. So no sample is ever as old as a window is long: those of
//! the input stand [`PHASE_MS`] after an evaluation's moment, and windows are not whole paces.

use std::time::Duration;

use paramedic_model::{Labels, Sample, TimeMs, stale_nan};

/// How many groups there are.
pub const GROUPS: usize = 10;
/// How far samples of one series are from each other, and evaluations of the quick groups.
pub const PACE_MS: i64 = 500;
/// How long after the moment of an evaluation a sample stands.
const PHASE_MS: i64 = 137;
/// For how long there are samples.
const SAMPLES: i64 = 360;
/// How long a sample stands for its series.
pub const LOOKBACK: Duration = Duration::from_millis(2_250);
/// Rules with a shorter `for` are not restored.
pub const GRACE: Duration = Duration::from_millis(2_250);
/// How often Alertmanagers are told again. No multiple of a pace: it is waited for longer than that.
pub const RESEND: Duration = Duration::from_millis(1_250);

/// A small generator (a linear congruence): the same numbers for the same seed.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        const FACTOR: u64 = 6_364_136_223_846_793_005;
        self.0 = self.0.wrapping_mul(FACTOR).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % bound
    }

    fn pick<'t>(&mut self, texts: &[&'t str]) -> &'t str {
        texts[self.below(texts.len())]
    }
}

/// The name of a group, and the label `g` of all that belongs to it.
pub fn name(group: usize) -> String {
    format!("g{group}")
}

pub fn interval(group: usize) -> Duration {
    Duration::from_millis(if group % 5 == 4 { 1_000 } else { 500 })
}

/// A file whose groups only tell when they are evaluated, in `silent`.
pub fn silent_rules() -> String {
    file(|_| "  - { record: silent, expr: time(), labels: { g: @G } }\n".to_owned())
}

/// The file with everything. The first rule of each group says in `begun` that it is evaluated, the
/// last one in `done` that it was.
pub fn rules() -> String {
    with(RULES.to_owned())
}

/// The same after somebody edited it, with a rule more that says so in `edited`.
pub fn edited_rules() -> String {
    let mut rules = RULES.to_owned();
    for (old, new) in EDITS {
        assert!(rules.contains(old), "{old}");
        rules = rules.replace(old, new);
    }
    with(rules)
}

fn with(rules: String) -> String {
    file(|group| {
        let mut random = Random(group as u64);
        let mut text = rules.replace("@TEXTS", TEXTS);
        // Long enough to be restored, or not; no multiple of a pace where it is.
        for (placeholder, choices) in [
            ("@SHORT", ["0s", "500ms", "1s", "1500ms"]),
            ("@MIDDLE", ["1s", "1200ms", "2s", "2250ms"]),
            ("@LONG", ["2250ms", "3250ms", "4750ms", "8250ms"]),
            ("@KEEP", ["500ms", "1s", "1700ms", "3s"]),
        ] {
            text = text.replace(placeholder, random.pick(&choices));
        }
        text
    })
}

fn file(rules: impl Fn(usize) -> String) -> String {
    let mut text = "groups:\n".to_owned();
    for group in 0..GROUPS {
        let interval = interval(group).as_millis();
        text += &format!("- name: {}\n  interval: {interval}ms\n", name(group));
        if group % 7 == 3 {
            text += "  limit: 3\n";
        }
        text += &format!("  rules:\n{}", rules(group)).replace("@G", &name(group));
    }
    text
}

/// What alerts are told with. `at` says which evaluation it was that wrote it.
const TEXTS: &str = r#"labels: { g: @G }
    annotations: &all
      at: '{{ with query "time()" }}{{ . | first | value | printf "%.3f" }}{{ end }}'
      value: '{{ $value }} {{ .Value | humanize }} {{ printf "%.2f" $value }}'
      labels: '{{ $labels }} {{ .Labels.i }} {{ $labels.nothing }}'
      outside: '{{ $externalLabels.cluster }} {{ $externalURL }} {{ externalURL }}'
      zones: >-
        {{ range query "zone:load:sum{g='@G'}" | sortByLabel "zone" -}}
        {{ .Labels.zone | toUpper }}={{ .Value }};{{ end }}
      broken: '{{ humanize "x" }}'
      empty: ''"#;

const RULES: &str = r#"  - { record: begun, expr: time(), labels: { g: @G } }
  - { record: "zone:load:sum", expr: 'sum by (g, zone) (load{g="@G"})' }
  - { record: "load:max", expr: 'max by (g, zone) (max_over_time(load{g="@G"}[2250ms]))', labels: { of: "{{ 1 }}" } }
  - { record: collides, expr: 'load{g="@G"}', labels: { i: "" } }
  - alert: Plain
    expr: switch{g="@G"} == 1
    @TEXTS
  - alert: Waits
    expr: switch{g="@G"} == 1
    for: @SHORT
    annotations: &texts
      at: '{{ with query "time()" }}{{ . | first | value | printf "%.3f" }}{{ end }}'
      value: '{{ $value }} of {{ $labels.i }}'
    labels: { g: @G, severity: '{{ if eq $labels.i "0" }}page{{ else }}ticket{{ end }}', fixed: yes }
  - alert: Keeps
    expr: load{g="@G"} > 5
    for: @SHORT
    keep_firing_for: @KEEP
    labels: { g: @G }
    annotations: *texts
  - alert: Restarts
    expr: slow{g="@G"} == 1
    for: @LONG
    keep_firing_for: @KEEP
    labels: { g: @G, of: "{{ $labels.i }}" }
    annotations: *texts
  - alert: StaysPending
    expr: slow{g="@G"} >= 0
    for: 20250ms
    labels: { g: @G }
    annotations: *texts
  - alert: Flaps
    expr: changes(switch{g="@G"}[3250ms]) >= 2
    for: @MIDDLE
    labels: { g: @G }
    annotations: *texts
  - alert: OnRecorded
    expr: zone:load:sum{g="@G"} > 9
    for: @MIDDLE
    labels: { g: @G }
    annotations: *texts
  - alert: OnAlert
    expr: ALERTS{g="@G",alertname="Waits",alertstate="firing"}
    for: @SHORT
    labels: { g: @G }
    annotations: *all
  - alert: Joined
    expr: load{g="@G"} * on (i) group_left (team) info{g="@G"} > 4
    for: @SHORT
    labels: { g: @G }
    annotations: *texts
  - alert: Collides
    expr: switch{g="@G"} == 1
    labels: { g: @G, i: "" }
    annotations: *texts
  - alert: SometimesLabelled
    expr: load{g="@G"} > 2
    for: 500ms
    labels: { g: @G, high: '{{ if gt $value 4.0 }}high{{ end }}' }
    annotations: *all
  - alert: Missing
    expr: absent(switch{g="@G",i="0"})
    for: @MIDDLE
    keep_firing_for: 1s
    labels: { g: @G }
    annotations: *all
  - alert: Unless
    expr: load{g="@G"} unless on (i) switch{g="@G"} == 1
    for: @MIDDLE
    labels: { g: @G }
    annotations: *texts
  - alert: NoNumber
    expr: load{g="@G"} != load{g="@G"}
    for: @SHORT
    labels: { g: @G }
    annotations: *all
  - alert: Scalar
    expr: scalar(slow{g="@G",i="0"})
    for: @LONG
    labels: { g: @G }
    annotations: *texts
  - alert: Text
    expr: '"neither a vector nor a scalar"'
    labels: { g: @G }
  - alert: Before
    expr: switch{g="@G"} offset 1s == 1
    for: @SHORT
    labels: { g: @G }
    annotations: *texts
  - alert: Always
    expr: vector(1)
    for: 1h
    labels: { g: @G }
    annotations: *texts
  - { record: done, expr: time(), labels: { g: @G } }
"#;

/// What is edited. No `for` becomes longer: 2.42 then lets fire on what fires.
const EDITS: &[(&str, &str)] = &[
    // Another rule goes on with the same series, and one that reads it stands before it now.
    (
        r#"  - { record: "load:max", expr: 'max by (g, zone) (max_over_time(load{g="@G"}[2250ms]))', labels: { of: "{{ 1 }}" } }
"#,
        r#"  - { alert: OnMax, expr: 'load:max{g="@G"} > 5', labels: { g: @G }, annotations: { at: '{{ with query "time()" }}{{ . | first | value | printf "%.3f" }}{{ end }}' } }
  - { record: "load:max", expr: 'label_replace(max by (g, zone) (max_over_time(load{g="@G"}[2250ms])), "of", "{{ 1 }}", "", "")' }
"#,
    ),
    (
        "  - { record: done,",
        "  - { record: edited, expr: time(), labels: { g: @G } }\n  - { record: done,",
    ),
    // Another expression, and a shorter wait.
    (
        "  - alert: Keeps\n    expr: load{g=\"@G\"} > 5\n    for: @SHORT\n    keep_firing_for: @KEEP\n",
        "  - alert: Keeps\n    expr: load{g=\"@G\"} > 3\n    for: 0s\n    keep_firing_for: 700ms\n",
    ),
    // Another label, hence another rule.
    (
        "    for: @MIDDLE\n    labels: { g: @G }\n    annotations: *texts\n  - alert: OnRecorded\n",
        "    for: @MIDDLE\n    labels: { g: @G, new: yes }\n    annotations: *texts\n  - alert: OnRecorded\n",
    ),
    // Another name, and with it another rule; the old one is gone.
    ("alert: NoNumber", "alert: NotANumber"),
    // Other texts.
    ("'{{ $value }} of {{ $labels.i }}'", "'{{ $value }}, {{ $labels.i }}'"),
];

/// How a series goes on and off.
struct Course {
    /// For how many samples it stays as it is, at least and at most.
    dwell: (usize, usize),
    /// Of how many changes one makes it vanish; of these every other one with a staleness marker.
    vanishes: usize,
}

/// All series of a group that is evaluated at `moment` and whole paces from there, from `start` on.
pub fn data(group: usize, moment: TimeMs, start: TimeMs) -> Vec<(Labels, Vec<Sample>)> {
    let mut random = Random(1_000 + group as u64);
    let before = (start.0 - moment.0 - PHASE_MS).rem_euclid(PACE_MS);
    let first = start.0 - before;
    let g = name(group);
    let mut data = Vec::new();
    let mut series = |metric: &str, more: &[(&str, &str)], values: Vec<Option<f64>>| {
        let labels = more.iter().copied().chain([("__name__", metric), ("g", &*g)]);
        let at = |k: usize| TimeMs(first + k as i64 * PACE_MS);
        let samples = values.into_iter().enumerate();
        let samples = samples.filter_map(|(k, value)| Some(Sample { at: at(k), value: value? }));
        data.push((labels.collect(), samples.collect()));
    };
    for i in ["0", "1", "2", "3"] {
        let course = Course { dwell: (2, 9), vanishes: 4 };
        series("switch", &[("i", i)], on_off(&mut random, &course));
        let course = Course { dwell: (8, 40), vanishes: 5 };
        series("slow", &[("i", i)], on_off(&mut random, &course));
        let loads = (0..SAMPLES).map(|_| match random.below(40) {
            0 => None,
            1 => Some(f64::NAN),
            2 => Some(f64::INFINITY),
            // Multiples of a quarter: sums of them are exact, in whatever order.
            _ => Some(random.below(17) as f64 / 4.0 + 2.0),
        });
        let loads = loads.collect();
        series("load", &[("i", i), ("zone", if i < "2" { "x" } else { "y" })], loads);
        series("info", &[("i", i), ("team", "blue")], vec![Some(1.0); SAMPLES as usize]);
    }
    // While there are two for one, they cannot be joined.
    let mut there = false;
    let twice = (0..SAMPLES).map(|_| {
        there ^= random.below(8) == 0;
        Some(if there { 1.0 } else { stale_nan() })
    });
    let twice = twice.collect();
    series("info", &[("i", "2"), ("team", "green")], twice);
    data
}

fn on_off(random: &mut Random, course: &Course) -> Vec<Option<f64>> {
    let mut values = Vec::new();
    let mut on = false;
    while values.len() < SAMPLES as usize {
        let (least, most) = course.dwell;
        let count = least + random.below(most - least);
        let value = match random.below(2 * course.vanishes) {
            0 => None,
            1 => {
                values.push(Some(stale_nan()));
                None
            }
            _ => {
                on = !on;
                Some(f64::from(u8::from(on)))
            }
        };
        values.extend(std::iter::repeat_n(value, count));
    }
    values.truncate(SAMPLES as usize);
    values
}
