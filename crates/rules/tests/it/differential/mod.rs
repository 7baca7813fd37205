//! Alerts that come and go, ours beside a real Prometheus's.
//!
//! Prometheus evaluates in wall time, so it goes first: it gets rule files and samples, those of the
//! next minutes included, and is followed while it evaluates, crashes, starts again, and gets its rules
//! edited. What it did and when stands in its own series. Then each group is evaluated here at these
//! moments, over these samples, and everything must be the same, however slow the machine was:
//! `ALERTS`, `ALERTS_FOR_STATE` and recorded series with their ends, states, starts, values,
//! annotations, what Alertmanagers were told and when, and how rules fail.
//!
//! An evaluation that the crash interrupted is not compared, because a group here is evaluated as a
//! whole. What it wrote until then is copied: it is all that the next process finds of it. A group of
//! which the edit interrupted an evaluation is not followed any further.

mod alertmanager;
mod replay;
mod scenario;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::mpsc::Receiver;
use std::time::{Duration, SystemTime};

use paramedic_model::{Labels, TimeMs};
use paramedic_rules::{GroupSpec, Outgoing, RuleFile};
use serde_json::Value;
use tempfile::TempDir;

use crate::prometheus::Prometheus;
use replay::{EXTERNAL_URL, Points, Replay, Told};
use scenario::{GRACE, GROUPS, LOOKBACK, PACE_MS, RESEND};

/// How often every group is evaluated at least: before the crash, after it, and after the edit.
const ROUNDS: [usize; STAGES] = [9, 8, 6];
const STAGES: usize = 3;
/// How long between two questions to Prometheus, where nothing comes from it.
const PACE: Duration = Duration::from_millis(100);
/// How many differences are shown, and how much of each.
const SHOWN_MAX: usize = 10;
const SHOWN_CHARS_MAX: usize = 2_000;

/// Moments by group.
type Moments = BTreeMap<String, BTreeSet<TimeMs>>;

/// What was seen of Prometheus.
#[derive(Default)]
struct Theirs {
    /// Alerts as `/api/v1/rules` had them, by group and position of their rule, as JSON.
    alerts: [BTreeSet<(String, usize, String)>; STAGES],
    /// Rules that failed or did not, by group and position.
    health: [BTreeSet<(String, usize, Option<String>)>; STAGES],
    /// What it told an Alertmanager, in order, and how much of it before the edit.
    told: Vec<Value>,
    told_before_edit: usize,
}

fn configure(folder: &TempDir, alertmanager: &str, rules: &str) {
    let config = format!(
        "global: {{ external_labels: {{ cluster: c1 }} }}\nrule_files: [rules.yml]\n\
         alerting:\n  alertmanagers:\n  - timeout: 5m\n    \
         static_configs: [{{ targets: [\"{alertmanager}\"] }}]\n"
    );
    for (name, text) in [("prometheus.yml", &*config), ("rules.yml", rules)] {
        std::fs::write(folder.path().join(name), text).expect("it is ours");
    }
}

/// The result of a query, now.
fn query(prometheus: &Prometheus, text: &str) -> Vec<Value> {
    let answer = prometheus.ask("/api/v1/query", &[("query", text)]);
    let result = answer["data"]["result"].as_array();
    result.unwrap_or_else(|| panic!("{text}: {answer}")).clone()
}

fn labels(object: &Value) -> Labels {
    let pairs = object.as_object().expect("labels");
    pairs.iter().map(|(name, value)| (&**name, value.as_str().expect("a text"))).collect()
}

/// What is there of a selector in steps.
fn range(
    prometheus: &Prometheus,
    selector: &str,
    from: TimeMs,
    to: TimeMs,
    step: Duration,
) -> Points {
    let seconds = |at: TimeMs| format!("{}.{:03}", at.0 / 1000, at.0 % 1000);
    let step = step.as_secs_f64().to_string();
    let params =
        [("query", selector), ("start", &seconds(from)), ("end", &seconds(to)), ("step", &step)];
    let answer = prometheus.ask("/api/v1/query_range", &params);
    points(answer["data"]["result"].as_array().unwrap_or_else(|| panic!("{answer}")))
}

/// What a matrix holds.
fn points(matrix: &[Value]) -> Points {
    let point = |pair: &Value| {
        let at = (pair[0].as_f64().expect("a time") * 1000.0).round() as i64;
        let value: f64 = pair[1].as_str().expect("a value").parse().expect("a number");
        (at, value.to_string())
    };
    let series = |series: &Value| {
        let values = series["values"].as_array().expect("samples");
        (labels(&series["metric"]), values.iter().map(point).collect())
    };
    matrix.iter().map(series).collect()
}

/// Of each group the moments at which it recorded `metric`.
fn moments(prometheus: &Prometheus, metric: &str) -> Moments {
    let recorded = points(&query(prometheus, &format!("{metric}[1h]")));
    let of_group = |(labels, points): (Labels, BTreeMap<i64, String>)| {
        (labels.value("g").to_owned(), points.into_keys().map(TimeMs).collect())
    };
    recorded.into_iter().map(of_group).collect()
}

/// Looks until every group has recorded `metric` so often since `after`.
fn follow(
    prometheus: &Prometheus,
    told: &Receiver<Vec<Value>>,
    metric: &str,
    after: TimeMs,
    rounds: usize,
    stage: usize,
    theirs: &mut Theirs,
) {
    let mut last = 0;
    loop {
        if let Ok(first) = told.recv_timeout(PACE) {
            theirs.told.extend(first.into_iter().chain(told.try_iter().flatten()));
        }
        let moments = moments(prometheus, metric);
        let count = |moments: &BTreeSet<TimeMs>| moments.range(after..).count();
        let least = moments.values().map(count).min().unwrap_or(0);
        if moments.len() == GROUPS && least > last {
            last = least;
            look(prometheus, stage, theirs);
        }
        if last >= rounds {
            return;
        }
    }
}

/// Reads how groups, rules and alerts stand.
fn look(prometheus: &Prometheus, stage: usize, theirs: &mut Theirs) {
    let answer = prometheus.request("GET", "/api/v1/rules", "", b"");
    let (_, json) = answer.split_once("\r\n\r\n").expect("a head and a body");
    let answer: Value = serde_json::from_str(json).unwrap_or_else(|e| panic!("{e}: {json}"));
    for group in answer["data"]["groups"].as_array().expect("groups") {
        let name = group["name"].as_str().expect("a name");
        for (i, rule) in group["rules"].as_array().expect("rules").iter().enumerate() {
            if rule["health"] != "unknown" {
                let reason = rule["lastError"].as_str().map(str::to_owned);
                theirs.health[stage].insert((name.to_owned(), i, reason));
            }
            for alert in rule["alerts"].as_array().into_iter().flatten() {
                theirs.alerts[stage].insert((name.to_owned(), i, alert.to_string()));
            }
        }
    }
}

/// Nanoseconds since the epoch.
fn nanoseconds(moment: &Value) -> i128 {
    let moment: jiff::Timestamp = moment.as_str().expect("a time").parse().expect("a time");
    moment.as_nanosecond()
}

/// The moment, cut to milliseconds.
fn cut(nanoseconds: i128) -> TimeMs {
    TimeMs(i64::try_from(nanoseconds.div_euclid(1_000_000)).expect("a time of today"))
}

/// What differs, with what was compared.
#[derive(Default)]
struct Comparison {
    differences: Vec<String>,
    counts: BTreeMap<&'static str, usize>,
}

impl Comparison {
    fn count(&mut self, what: &'static str, count: usize) {
        *self.counts.entry(what).or_default() += count;
    }

    /// Series must be the same, sample by sample.
    fn series(&mut self, what: &'static str, group: &str, ours: &Points, theirs: &Points) {
        self.count(what, theirs.values().map(BTreeMap::len).sum());
        let all: BTreeSet<_> = ours.keys().chain(theirs.keys()).collect();
        for labels in all {
            let (none, mut text) = (BTreeMap::new(), String::new());
            let (ours, theirs) = (ours.get(labels).unwrap_or(&none), theirs.get(labels));
            let theirs = theirs.unwrap_or(&none);
            let times: BTreeSet<_> = ours.keys().chain(theirs.keys()).collect();
            for at in times.into_iter().filter(|at| ours.get(at) != theirs.get(at)) {
                let _ = write!(text, "\n    {at}: {:?}, {:?}", ours.get(at), theirs.get(at));
            }
            if !text.is_empty() {
                self.differences.push(format!("{what} of {group}, {labels}: ours, theirs{text}"));
            }
        }
    }

    /// Alerts as they were looked at must be as an evaluation left them.
    ///
    /// Prometheus shows them while it evaluates: annotations are those of one evaluation, the rest may
    /// be of the one before; or the evaluation then drops all of them, or is interrupted by the crash.
    /// Which state was when, the series tell.
    fn alerts(
        &mut self,
        replay: &Replay,
        history: &History<'_>,
        alerts: &BTreeSet<(String, usize, String)>,
    ) {
        let group = replay.group().name();
        for (_, rule, json) in alerts.iter().filter(|(of, ..)| of == group) {
            let alert: Value = serde_json::from_str(json).expect("it was one");
            let key = (*rule, labels(&alert["labels"]));
            let annotations: Vec<_> = labels_with_empty(&alert["annotations"]);
            let value: f64 = alert["value"].as_str().expect("a value").parse().expect("a number");
            let (value, active_at) = (value.to_string(), cut(nanoseconds(&alert["activeAt"])));
            let none = Vec::new();
            let seen = replay.alerts.get(&key).unwrap_or(&none);
            let near = |i: usize| &seen[i.saturating_sub(1)..=i];
            let found = (0..seen.len()).filter(|i| seen[*i].3 == annotations).any(|i| {
                near(i).iter().any(|seen| alert["state"] == seen.0)
                    && near(i).iter().any(|seen| active_at == seen.1)
                    && near(i).iter().any(|seen| value == seen.2)
            });
            self.count("alerts looked at", 1);
            let at = annotations.iter().find(|(name, _)| name == "at").map(|(_, at)| &**at);
            let is_it = |of: &&TimeMs| at == Some(&*format!("{:.3}", of.as_secs_f64()));
            let stays = |at: &TimeMs| !replay.failed.contains(&(*rule, *at));
            if !found && history.done.iter().find(is_it).is_some_and(stays) {
                let last: Vec<_> = seen.iter().rev().take(3).collect();
                let text =
                    format!("alert of {group}: theirs\n    {json}\n  ours at last {last:#?}");
                self.differences.push(text);
            }
        }
    }

    /// Rules must fail for the same reasons.
    fn health(&mut self, replay: &Replay, theirs: &BTreeSet<(String, usize, Option<String>)>) {
        let group = replay.group().name();
        for (_, rule, reason) in theirs.iter().filter(|(of, ..)| of == group) {
            let mut seen = replay.health[rule].iter();
            let reason = reason.as_deref().map(sorted);
            if !seen.any(|seen| seen.as_deref().map(sorted) == reason) {
                let seen = &replay.health[rule];
                let text = format!("rule {rule} of {group}: theirs {reason:?}\n    ours {seen:?}");
                self.differences.push(text);
            }
        }
    }

    /// What was told of an alert must be, in order, what there was to tell.
    ///
    /// Prometheus tells nobody before it has found its Alertmanager, after a reload anew, and the last
    /// words of a process that is killed may not be heard. In between nothing is missing. `is_cut`: an
    /// evaluation was interrupted by the edit, and what comes after it is not among these.
    fn told(
        &mut self,
        ours: [Told; STAGES],
        theirs: &[Value],
        history: &History<'_>,
        is_cut: bool,
    ) {
        let group = &history.edit.name;
        let valid_for = 4 * history.interval.max(RESEND);
        let mut heard = [None::<(TimeMs, TimeMs)>; STAGES];
        let mut by_labels: BTreeMap<Labels, Vec<String>> = BTreeMap::new();
        for alert in theirs.iter().filter(|alert| alert["labels"]["g"] == **group) {
            let url = alert["generatorURL"].as_str().expect("a link");
            let (_, expr) = url.split_once("/graph?g0.expr=").expect(url);
            assert!(url.starts_with(EXTERNAL_URL) && expr.ends_with("&g0.tab=1"), "{url}");
            let ends_at = cut(nanoseconds(&alert["endsAt"]));
            // Of an alert that fires this is when it was told.
            let at = ends_at - valid_for;
            if history.done.contains(&at) && !history.done.contains(&ends_at) {
                let heard = &mut heard[history.stage(at)];
                let (first, last) = heard.get_or_insert((at, at));
                (*first, *last) = ((*first).min(at), (*last).max(at));
            }
            let labels = labels(&alert["labels"]);
            assert_eq!(labels.value("cluster"), "c1");
            by_labels.entry(labels.without(&["cluster"])).or_default().push(format!(
                "{} {ends_at} {} {:?}",
                cut(nanoseconds(&alert["startsAt"])),
                unescaped(expr.trim_end_matches("&g0.tab=1")),
                labels_with_empty(&alert["annotations"]),
            ));
        }
        let ours = ours.map(|told| {
            let line = |(at, out): (TimeMs, Outgoing)| {
                let Outgoing { annotations, starts_at, ends_at, expr, .. } = out;
                (at, format!("{starts_at} {ends_at} {expr} {annotations:?}"))
            };
            let lines = |(labels, told): (Labels, Vec<_>)| {
                (labels, told.into_iter().map(line).collect::<Vec<_>>())
            };
            told.into_iter().map(lines).collect::<BTreeMap<_, _>>()
        });
        let all: BTreeSet<_> = ours.iter().flatten().map(|(labels, _)| labels).collect();
        let all: BTreeSet<_> = all.into_iter().chain(by_labels.keys()).collect();
        for labels in all {
            let (none, nothing) = (Vec::new(), Vec::new());
            let theirs = by_labels.get(labels).unwrap_or(&none);
            let told = [0, 1, 2].map(|i| ours[i].get(labels).unwrap_or(&nothing));
            self.count("notices", theirs.len());
            let fits = |crash: usize, edit: usize| {
                // An evaluation that was interrupted may have told of it as well.
                let more = [history.interrupted().is_some(), is_cut, false].map(usize::from);
                let parts = [&theirs[..crash], &theirs[crash..edit], &theirs[edit..]];
                (0..STAGES).all(|i| {
                    (parts[i].len().saturating_sub(more[i])..=parts[i].len())
                        .any(|end| is_stretch(&parts[i][..end], told[i], heard[i]))
                })
            };
            let count = theirs.len();
            if !(0..=count).any(|crash| (crash..=count).any(|edit| fits(crash, edit))) {
                let text =
                    format!("notices on {labels}, heard {heard:?}\n{theirs:#?}\n  ours\n{told:#?}");
                self.differences.push(text);
            }
        }
    }
}

/// Whether `theirs` stand in `ours` without a gap; what is left out is not from between the first
/// and the last moment that was heard of.
fn is_stretch(
    theirs: &[String],
    ours: &[(TimeMs, String)],
    heard: Option<(TimeMs, TimeMs)>,
) -> bool {
    let silent = |part: &[(TimeMs, String)]| {
        part.iter().all(|(at, _)| heard.is_none_or(|(first, last)| *at <= first || *at >= last))
    };
    (0..=ours.len().saturating_sub(theirs.len())).any(|start| {
        let rest = &ours[start..];
        let equal = theirs.len() <= rest.len()
            && rest.iter().map(|(_, o)| o).zip(theirs).all(|(a, b)| a == b);
        equal && silent(&ours[..start]) && silent(&rest[theirs.len()..])
    })
}

/// Names and values, empty ones included, which labels do not have.
fn labels_with_empty(object: &Value) -> Vec<(String, String)> {
    let pairs = object.as_object().into_iter().flatten();
    let mut pairs: Vec<_> = pairs
        .map(|(name, value)| (name.clone(), value.as_str().expect("a text").to_owned()))
        .collect();
    pairs.sort();
    pairs
}

/// The text that a form holds.
fn unescaped(text: &str) -> String {
    let (mut bytes, mut rest) = (Vec::new(), text.as_bytes());
    while let Some((first, after)) = rest.split_first() {
        rest = after;
        bytes.push(match first {
            b'+' => b' ',
            b'%' => {
                let (hex, after) = rest.split_at(2);
                rest = after;
                let hex = std::str::from_utf8(hex).expect("two digits");
                u8::from_str_radix(hex, 16).expect("two digits")
            }
            other => *other,
        });
    }
    String::from_utf8(bytes).expect("UTF-8")
}

#[test]
fn prometheus_lives_through_the_same() {
    let name = "differential::prometheus_lives_through_the_same";
    let folder = Arc::new(tempfile::tempdir().expect("a folder can be made"));
    let (alertmanager, told) = alertmanager::listen();
    let ms = |flag: &str, duration: Duration| format!("--{flag}={}ms", duration.as_millis());
    let flags = [
        ms("query.lookback-delta", LOOKBACK),
        ms("rules.alert.for-grace-period", GRACE),
        ms("rules.alert.resend-delay", RESEND),
        format!("--web.external-url={EXTERNAL_URL}"),
        "--web.enable-lifecycle".to_owned(),
    ];
    let flags: Vec<_> = flags.iter().map(|flag| &**flag).collect();
    let start = || Prometheus::start_in(name, folder.clone(), &flags);

    // When groups are evaluated depends on the path of their file. Samples keep away from there.
    configure(&folder, &alertmanager, &scenario::silent_rules());
    let Some(prometheus) = start() else { return };
    let mut theirs = Theirs::default();
    follow(&prometheus, &told, "silent", TimeMs(0), 1, 0, &mut theirs);
    let silent = moments(&prometheus, "silent");
    let began_at = now();
    let data: Vec<_> = (0..GROUPS)
        .map(|group| {
            let moment = silent[&scenario::name(group)].first().expect("it was evaluated");
            scenario::data(group, *moment, began_at)
        })
        .collect();
    data.iter().for_each(|of_group| prometheus.write(of_group));

    configure(&folder, &alertmanager, &scenario::rules());
    let answer = prometheus.request("POST", "/-/reload", "", b"");
    assert!(answer.starts_with("HTTP/1.0 200"), "{answer}");
    theirs = Theirs::default();
    follow(&prometheus, &told, "done", TimeMs(0), ROUNDS[0], 0, &mut theirs);
    drop(prometheus);
    let crashed_at = now();
    let prometheus = start().expect("it is there");
    follow(&prometheus, &told, "done", crashed_at, ROUNDS[1], 1, &mut theirs);
    theirs.told_before_edit = theirs.told.len();
    configure(&folder, &alertmanager, &scenario::edited_rules());
    let answer = prometheus.request("POST", "/-/reload", "", b"");
    assert!(answer.starts_with("HTTP/1.0 200"), "{answer}");
    follow(&prometheus, &told, "edited", crashed_at, ROUNDS[2], 2, &mut theirs);
    // What was told or shown by now is of evaluations that are done then.
    let seen_at = now();
    let is_done = |moments: &BTreeSet<TimeMs>| moments.last() > Some(&seen_at);
    while !moments(&prometheus, "done").values().all(is_done) {}

    let [begun, done, edited] =
        ["begun", "done", "edited"].map(|metric| moments(&prometheus, metric));
    let path = folder.path().join("rules.yml").display().to_string();
    let [file, edited_file] = [scenario::rules(), scenario::edited_rules()].map(|text| {
        RuleFile::parse(&path, &text).unwrap_or_else(|mistakes| panic!("{mistakes:#?}"))
    });
    let mut comparison = Comparison::default();
    for (i, spec) in file.groups.iter().enumerate() {
        let replay = Replay::new(&path, spec, &data[i]);
        let interval = replay.group().interval();
        let [begun, done, edited] = [&begun, &done, &edited].map(|of| &of[&spec.name]);
        let edit = &edited_file.groups[i];
        let history = History { interval, begun, done, crashed_at, edited, edit };
        compare(&prometheus, &theirs, replay, &history, &mut comparison);
    }
    let Comparison { differences, counts } = comparison;
    println!("{counts:#?}");
    let cut = |text: &String| text.chars().take(SHOWN_CHARS_MAX).collect::<String>();
    let shown: Vec<_> = differences.iter().take(SHOWN_MAX).map(cut).collect();
    assert!(differences.is_empty(), "{} differ\n{}", differences.len(), shown.join("\n"));
    for (what, least) in [
        ("evaluations", 100),
        ("failed rules", 100),
        ("samples of ALERTS", 1_000),
        ("alerts looked at", 100),
        ("alerts given back", 1),
        ("notices", 20),
    ] {
        let count = counts.get(what).copied().unwrap_or(0);
        assert!(count >= least, "{what}: {count}, which shows little");
    }
}

#[expect(clippy::disallowed_methods, reason = "the peer of this test lives in wall time")]
fn now() -> TimeMs {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    TimeMs(since.expect("it is later than 1970").as_millis() as i64)
}

/// The reason with the series that it lists in order: Prometheus finds them in any.
fn sorted(reason: &str) -> String {
    let Some((start, rest)) = reason.split_once(": [") else { return reason.to_owned() };
    let Some((list, end)) = rest.split_once(']') else { return reason.to_owned() };
    let mut list: Vec<_> = list.split(", {").map(|one| one.trim_start_matches('{')).collect();
    list.sort_unstable();
    format!("{start}: {list:?}{end}")
}

/// When Prometheus evaluated a group.
struct History<'a> {
    interval: Duration,
    begun: &'a BTreeSet<TimeMs>,
    done: &'a BTreeSet<TimeMs>,
    crashed_at: TimeMs,
    /// When the edited rules were evaluated, and what they are.
    edited: &'a BTreeSet<TimeMs>,
    edit: &'a GroupSpec,
}

impl History<'_> {
    /// Whether an evaluation was before the crash, after it, or of the edited rules.
    fn stage(&self, at: TimeMs) -> usize {
        match self.edited.contains(&at) {
            true => 2,
            false => usize::from(at >= self.crashed_at),
        }
    }

    /// The evaluation that the crash interrupted.
    fn interrupted(&self) -> Option<&TimeMs> {
        self.begun.range(..self.crashed_at).find(|at| !self.done.contains(at))
    }
}

fn compare(
    prometheus: &Prometheus,
    theirs: &Theirs,
    mut replay: Replay,
    history: &History<'_>,
    comparison: &mut Comparison,
) {
    let group = replay.group().name().to_owned();
    let History { interval, done, crashed_at, .. } = history;
    let mut stages = [Vec::new(), Vec::new(), Vec::new()];
    done.iter().for_each(|at| stages[history.stage(*at)].push(*at));
    let [before, mut after, mut edited] = stages;
    let selector = |metric: &str| format!("{metric}{{g=\"{group}\"}}");
    let mut written: BTreeMap<&str, Points> = BTreeMap::new();
    for metric in ["ALERTS", "ALERTS_FOR_STATE", "zone:load:sum", "load:max", "collides"] {
        let text = format!("{}[1h]", selector(metric));
        written.insert(metric, points(&query(prometheus, &text)));
    }

    let restored_at = restored_at(theirs, &group, &written["ALERTS_FOR_STATE"], &before);
    // So late that it depends on parts of a millisecond when an alert fires.
    let late = restored_at.0 - after[1].0;
    assert!(late >= 0, "{group} was restored {late} ms after an evaluation");
    if late % PACE_MS == PACE_MS / 2 {
        after.clear();
        edited.clear();
        comparison.count("groups not followed beyond the crash", 1);
    }
    let mut unfinished = history.begun.range(*crashed_at..).filter(|at| !done.contains(at));
    let is_cut = unfinished.any(|at| edited.first() > Some(at));
    if is_cut {
        edited.clear();
        comparison.count("groups not followed beyond the edit", 1);
    }

    replay.run(&before, None);
    let told_before = std::mem::take(&mut replay.told);
    if history.interrupted().is_none() {
        comparison.health(&replay, &theirs.health[0]);
    }
    comparison.alerts(&replay, history, &theirs.alerts[0]);
    let interrupted = history.interrupted();
    if let Some(at) = interrupted {
        comparison.count("interrupted evaluations", 1);
        for (metric, samples) in &written {
            let later = *at + Duration::from_millis(1);
            let there = range(prometheus, &selector(metric), later, later, *interval);
            replay.copy(&selector(metric), *at, samples, &there);
        }
    }
    replay.restart();
    replay.run(&after, Some(restored_at));
    if let Some(first) = after.first() {
        comparison.alerts(&replay, history, &theirs.alerts[1]);
        let alerts = replay.group().rules().iter().flat_map(|rule| rule.alerts());
        let earlier = alerts.filter(|alert| alert.state.active_at() < Some(*first));
        comparison.count("alerts given back", earlier.count());
    }
    comparison.count("failed rules", replay.failed.len());
    let told_after = std::mem::take(&mut replay.told);
    if is_cut && !after.is_empty() {
        let told = [told_before, told_after, Told::new()];
        let theirs = &theirs.told[..theirs.told_before_edit];
        comparison.told(told, theirs, history, is_cut);
    } else if !edited.is_empty() {
        comparison.health(&replay, &theirs.health[1]);
        replay.edit(history.edit);
        replay.run(&edited, None);
        comparison.alerts(&replay, history, &theirs.alerts[2]);
        comparison.health(&replay, &theirs.health[2]);
        comparison.count("evaluations of edited rules", edited.len());
        let told = [told_before, told_after, std::mem::take(&mut replay.told)];
        comparison.told(told, &theirs.told, history, is_cut);
    }
    comparison.count("evaluations", replay.evaluations);

    let compared = before.iter().chain(&after).chain(&edited).chain(interrupted);
    let compared: BTreeSet<i64> = compared.map(|at| at.0).collect();
    let until = *done.last().expect("it was evaluated");
    for (metric, mut theirs) in written {
        theirs.values_mut().for_each(|points| points.retain(|at, _| compared.contains(at)));
        theirs.retain(|_, points| !points.is_empty());
        let ours = replay.samples(&selector(metric), until);
        let what = match metric {
            "ALERTS" => "samples of ALERTS",
            "ALERTS_FOR_STATE" => "samples of ALERTS_FOR_STATE",
            _ => "recorded samples",
        };
        comparison.series(what, &group, &ours, &theirs);
        // Ends are seen by what is not there any more right after an evaluation.
        let later = |at: &TimeMs| *at + Duration::from_millis(1);
        for moments in [&before, &after, &edited] {
            let [Some(from), Some(to)] = [moments.first(), moments.last()].map(|m| m.map(later))
            else {
                continue;
            };
            let theirs = range(prometheus, &selector(metric), from, to, *interval);
            let ours = replay.presence(&selector(metric), from, to, *interval);
            comparison.series("samples in steps", &group, &ours, &theirs);
        }
    }
}

/// When the second process gave a group its alerts back: an alert that is pending for an hour tells,
/// because its start was moved by the time from its last sample until then.
fn restored_at(theirs: &Theirs, group: &str, starts: &Points, before: &[TimeMs]) -> TimeMs {
    let (_, samples) = starts
        .iter()
        .find(|(labels, _)| labels.value("alertname") == "Always")
        .expect("it is always there");
    let down_at = before.last().expect("it was evaluated before the crash");
    let active_s: i128 = samples[&down_at.0].parse().expect("whole seconds");
    let of_always = theirs.alerts[1].iter().filter_map(|(of, _, json)| {
        let alert: Value = serde_json::from_str(json).expect("it was one");
        let is_it = of == group && alert["labels"]["alertname"] == "Always";
        is_it.then(|| nanoseconds(&alert["activeAt"]))
    });
    let moved = of_always.min().expect("it was looked at");
    cut(moved + (i128::from(down_at.0 / 1000) - active_s) * 1_000_000_000)
}
