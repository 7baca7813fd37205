//! Measures the window: `cargo run --release -p paramedic-samples --example window_bench [SERIES] [SCRAPES]`.
//!
//! The data has the shape of the shipped rules: per host 100 series, two thirds of them statuses,
//! the rest counters, buckets and gauges; one collection per host each 15 s.

use std::time::Instant;

use paramedic_model::{Labels, METRIC_NAME, Series, TimeMs};
use paramedic_promql::{FamilyId, RowRef, Source};
use paramedic_samples::{LogOptions, SeriesRef, TargetId, Window, WindowOptions};

const STEP_MS: i64 = 15_000;
const START_MS: i64 = 1_700_000_000_000;

struct Numbers(u64);

impl Numbers {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }
}

fn labels(host: usize, index: usize) -> Labels {
    let instance = format!("host-{host:05}.example.net:9100");
    let (name, label, count) = match index {
        0..30 => ("opnsense_services_status", "name", 30),
        30..40 => ("opnsense_wireguard_peer_status", "peer", 10),
        40..50 => ("windows_service_status", "name", 10),
        50..66 => ("oxidized_status", "device", 16),
        66..86 => ("http_requests_total", "route", 20),
        86..94 => ("http_request_duration_seconds_bucket", "le", 8),
        _ => ("process_gauge", "kind", 6),
    };
    let value = format!("{label}-{}", index % count);
    Labels::from([
        (METRIC_NAME, name),
        ("instance", instance.as_str()),
        ("job", "bench"),
        (label, value.as_str()),
    ])
}

fn next(index: usize, value: f64, numbers: &mut Numbers) -> f64 {
    match index {
        0..66 if numbers.below(400) == 0 => 1.0 - value,
        0..66 => value,
        66..71 => value + numbers.below(200) as f64,
        71..86 => value + f64::from(u8::from(numbers.below(20) == 0)),
        86..94 => value + numbers.below(5) as f64,
        94..97 => (numbers.below(8000) as f64) / 100.0,
        97 => value + numbers.below(1000) as f64 * 0.000_123,
        _ => (numbers.below(1 << 30) * 4096) as f64,
    }
}

fn resident_mib() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap_or_default();
    let kib: f64 = line.split_whitespace().nth(1).and_then(|n| n.parse().ok()).unwrap_or(0.0);
    kib / 1024.0
}

#[expect(clippy::disallowed_methods, reason = "it measures how long things take")]
fn now() -> Instant {
    Instant::now()
}

fn main() {
    let mut arguments = std::env::args().skip(1).filter_map(|text| text.parse::<usize>().ok());
    let hosts = arguments.next().unwrap_or(100_000) / 100;
    let scrapes = arguments.next().unwrap_or(240);
    let series_count = hosts * 100;
    let mut window = Window::new(WindowOptions::default());
    let targets: Vec<TargetId> = (0..hosts).map(|host| format!("host-{host}").into()).collect();
    let mut numbers = Numbers(7);
    let before = resident_mib();

    let mut refs: Vec<Vec<(SeriesRef, f64)>> = Vec::new();
    let sets: Vec<Vec<Labels>> =
        (0..hosts).map(|host| (0..100).map(|index| labels(host, index)).collect()).collect();
    let with_labels = resident_mib();
    let begin = now();
    for sets in &sets {
        let of_host = sets.iter().map(|set| (window.series_ref(set).expect("no limit"), 1.0));
        refs.push(of_host.collect());
    }
    let seconds = begin.elapsed().as_secs_f64();
    println!("create: {:.0} series/s", series_count as f64 / seconds);
    println!("labels of the caller: {:.1} MiB", with_labels - before);
    drop(sets);

    let (mut seconds, mut accepted) = (0.0, 0);
    for scrape in 0..scrapes as i64 {
        let at = TimeMs(START_MS + scrape * STEP_MS);
        for samples in &mut refs {
            for (index, (_, value)) in samples.iter_mut().enumerate() {
                *value = next(index, *value, &mut numbers);
            }
        }
        let begin = now();
        for (target, samples) in targets.iter().zip(&refs) {
            accepted += window.commit_refs(target, at, samples).accepted;
        }
        seconds += begin.elapsed().as_secs_f64();
    }
    println!("ingest by reference: {:.2} M samples/s", accepted as f64 / seconds / 1e6);
    let bytes = window.memory_bytes();
    println!(
        "memory: estimate {:.1} MiB, {:.0} B/series, {:.2} B/sample; resident {:.1} MiB",
        bytes as f64 / 1048576.0,
        bytes as f64 / series_count as f64,
        bytes as f64 / accepted as f64,
        resident_mib() - before
    );

    // A snapshot held over a round: what is copied on write.
    let snapshot = window.snapshot();
    let at = TimeMs(START_MS + scrapes as i64 * STEP_MS);
    let begin = now();
    for (target, samples) in targets.iter().zip(&refs) {
        window.commit_refs(target, at, samples);
    }
    let seconds = begin.elapsed().as_secs_f64();
    println!("ingest under a snapshot: {:.2} M samples/s", series_count as f64 / seconds / 1e6);

    for minutes in [5, 60] {
        let after = at - std::time::Duration::from_secs(60 * minutes);
        let (mut found, mut out) = (0, Vec::new());
        let begin = now();
        for family in (0..snapshot.family_count() as u32).map(FamilyId) {
            for row in 0..snapshot.family(family).row_count() as u32 {
                out.clear();
                snapshot.range(RowRef { family, row }, after, at, &mut out);
                found += out.len();
            }
        }
        let seconds = begin.elapsed().as_secs_f64();
        println!(
            "range of {minutes} min: {:.1} M samples/s, {:.2} us a row",
            found as f64 / seconds / 1e6,
            seconds * 1e6 / series_count as f64
        );
    }
    drop(snapshot);
    drop(window);
    logged(&targets, scrapes, &mut numbers);
    by_label_sets(&targets);
}

/// The same through a log: what it costs, and what a restart takes.
fn logged(targets: &[TargetId], scrapes: usize, numbers: &mut Numbers) {
    let dir = std::env::temp_dir().join(format!("window_bench.{}", std::process::id()));
    let log = LogOptions { checkpoint_bytes: None, ..LogOptions::default() };
    let options = WindowOptions { log, ..WindowOptions::default() };
    let (mut window, _) = Window::open(&dir, options.clone()).expect("opens");
    let mut refs: Vec<Vec<(SeriesRef, f64)>> = (0..targets.len())
        .map(|host| {
            let refs = (0..100).map(|index| window.series_ref(&labels(host, index)));
            refs.map(|series| (series.expect("no limit"), 1.0)).collect()
        })
        .collect();
    let (mut seconds, mut accepted) = (0.0, 0);
    for scrape in 0..scrapes as i64 {
        let at = TimeMs(START_MS + scrape * STEP_MS);
        for samples in &mut refs {
            for (index, (_, value)) in samples.iter_mut().enumerate() {
                *value = next(index, *value, numbers);
            }
        }
        let begin = now();
        for (target, samples) in targets.iter().zip(&refs) {
            accepted += window.commit_refs(target, at, samples).accepted;
        }
        seconds += begin.elapsed().as_secs_f64();
    }
    let bytes = dir_bytes(&dir);
    println!(
        "logged ingest: {:.2} M samples/s, {:.2} B/sample on disk",
        accepted as f64 / seconds / 1e6,
        bytes as f64 / accepted as f64
    );
    drop(window);
    let reopen = |what: &str| {
        let before = resident_mib();
        let begin = now();
        let (window, replayed) = Window::open(&dir, options.clone()).expect("opens");
        println!(
            "restart from {what}: {:.2} s, {} series, {:.1} M samples replayed, resident +{:.1} MiB",
            begin.elapsed().as_secs_f64(),
            replayed.series,
            replayed.samples as f64 / 1e6,
            resident_mib() - before
        );
        window
    };
    let mut window = reopen("segments");
    let begin = now();
    let checkpoint = window.checkpoint().expect("begins").expect("a log");
    let begun = begin.elapsed().as_secs_f64();
    checkpoint.write().expect("writes");
    println!(
        "checkpoint: {:.4} s to begin, {:.2} s to write, {:.2} B/sample",
        begun,
        begin.elapsed().as_secs_f64(),
        dir_bytes(&dir) as f64 / accepted as f64
    );
    drop(window);
    drop(reopen("a checkpoint"));
    std::fs::remove_dir_all(&dir).expect("removes");
}

fn dir_bytes(dir: &std::path::Path) -> u64 {
    let entries = std::fs::read_dir(dir).expect("reads").flatten();
    entries.filter_map(|entry| entry.metadata().ok()).map(|metadata| metadata.len()).sum()
}

/// The same list of label sets again and again, shared and not.
fn by_label_sets(targets: &[TargetId]) {
    let mut window = Window::default();
    let lists: Vec<Vec<Series>> = (0..targets.len())
        .map(|host| {
            (0..100).map(|index| Series { labels: labels(host, index), value: 1.0 }).collect()
        })
        .collect();
    let again: Vec<Vec<Series>> = (0..targets.len())
        .map(|host| {
            (0..100).map(|index| Series { labels: labels(host, index), value: 1.0 }).collect()
        })
        .collect();
    for (what, lists, round) in [("first", &lists, 1), ("shared", &lists, 2), ("equal", &again, 3)]
    {
        let at = TimeMs(START_MS + round * STEP_MS);
        let begin = now();
        let mut accepted = 0;
        for (target, list) in targets.iter().zip(lists) {
            accepted += window.commit_target(target, at, list).accepted;
        }
        let seconds = begin.elapsed().as_secs_f64();
        println!(
            "ingest by label sets, {what}: {:.2} M samples/s",
            accepted as f64 / seconds / 1e6
        );
    }
}
