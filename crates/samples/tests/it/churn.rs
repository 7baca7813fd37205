use std::sync::Arc;
use std::time::Duration;

use paramedic_model::{BucketSpan, Histogram, Labels, Sample, Series, TimeMs, is_histogram};
use paramedic_promql::{RowRef, Source};
use paramedic_samples::{Rejected, TargetId, Window, WindowOptions};

use crate::support::{Numbers, contents, series};

fn options() -> WindowOptions {
    WindowOptions { retention: Duration::from_secs(600), ..WindowOptions::default() }
}

fn at(round: i64) -> TimeMs {
    TimeMs(round * 15_000)
}

#[test]
fn labels_that_come_and_go_do_not_grow_memory() {
    let (mut window, target) = (Window::new(options()), TargetId::from("a"));
    let mut peaks = Vec::new();
    for generation in 0..1000 {
        // Each has its own names: of metrics, of labels, and values that no other has.
        let list: Vec<Series> = (0..20)
            .map(|n| {
                let name = format!("metric_{}", (generation / 50 * 7 + n) % 300);
                let value = format!("container-{generation}-{n}-with-a-name-of-some-length");
                let label = format!("label_{}", generation / 100);
                let labels = series(&name, &label, &value).with("job", "x");
                Series { labels, value: generation as f64 }
            })
            .collect();
        window.commit_target(&target, at(generation), &list);
        if generation % 100 == 99 {
            peaks.push(window.memory_bytes());
        }
    }
    // Each series lives for a round and is kept for 40: the first hundred are the steady state.
    assert!(window.series_count() <= 20 * 47, "{} series", window.series_count());
    let bound = peaks[1] + peaks[1] / 4;
    assert!(peaks.iter().all(|bytes| *bytes < bound), "{peaks:?}");
    // A snapshot has no texts of series that are gone.
    let all = contents(&window);
    assert!(all.keys().all(|labels| !labels.to_string().contains("container-9-")));
}

#[test]
fn a_burst_gives_back_what_it_took() {
    let mut window = Window::new(options());
    let steady = [Series::new("up", [("instance", "a")], 1.0)];
    window.append(at(0), &steady);
    let before = window.memory_bytes();
    let burst: Vec<Series> = (0..5000)
        .map(|n| Series { labels: series("up", "instance", &format!("burst-{n}")), value: 1.0 })
        .collect();
    window.append(at(1), &burst);
    assert!(window.memory_bytes() > before + 1_000_000);
    for round in 2..60 {
        window.append(at(round), &steady);
    }
    assert_eq!(window.series_count(), 1);
    assert!(window.memory_bytes() < before + 20_000, "{} bytes", window.memory_bytes());
}

#[test]
fn a_reference_is_never_mistaken_for_another_series() {
    let (mut window, target) = (Window::new(options()), TargetId::from("a"));
    let old = window.series_ref(&series("up", "job", "old")).expect("no limit");
    assert_eq!(window.series_ref(&series("up", "job", "old")), Some(old));
    assert_eq!(window.commit_refs(&target, at(0), &[(old, 1.0)]).accepted, 1);
    window.commit_refs(&target, at(1), &[]);
    for round in 2..80 {
        window.append(at(round), &[Series::new("other", [], 1.0)]);
    }
    // Its row is free, and another series has it now.
    let new = window.series_ref(&series("up", "job", "new")).expect("no limit");
    let commit = window.commit_refs(&target, at(80), &[(old, 5.0), (new, 7.0)]);
    assert_eq!(commit.rejected, Rejected { unknown: 1, ..Rejected::default() });
    assert_eq!(commit.accepted, 1);
    let all = contents(&window);
    assert_eq!(all[&series("up", "job", "new")], [(at(80).0, 7f64.to_bits())]);
    assert!(!all.contains_key(&series("up", "job", "old")));
}

#[test]
fn references_label_sets_and_mixed_lists_do_the_same() {
    let mut numbers = Numbers(3);
    let sets: Vec<Labels> =
        (0..12).map(|n| series(["a", "b"][n % 2], "n", &n.to_string())).collect();
    let target = TargetId::from("t");
    let (mut by_sets, mut by_refs) = (Window::new(options()), Window::new(options()));
    for round in 0..300 {
        // Lists are mostly as they were; sometimes some are missing or stand elsewhere.
        let shift = if numbers.below(5) == 0 { numbers.below(12) as usize } else { 0 };
        let missing = if numbers.below(4) == 0 { numbers.below(12) } else { 99 };
        let list: Vec<Series> = (0..12)
            .map(|n| (n + shift) % 12)
            .filter(|n| *n as u64 != missing)
            .map(|n| Series { labels: sets[n].clone(), value: numbers.below(3) as f64 })
            .collect();
        let first = by_sets.commit_target(&target, at(round), &list);
        let refs: Vec<_> = list
            .iter()
            .map(|one| (by_refs.series_ref(&one.labels).expect("no limit"), one.value))
            .collect();
        let second = by_refs.commit_refs(&target, at(round), &refs);
        assert_eq!(first, second);
        assert_eq!(first.accepted, list.len());
    }
    assert_eq!(contents(&by_sets), contents(&by_refs));
}

#[test]
fn beyond_the_memory_limit_new_series_are_refused_and_known_ones_go_on() {
    let options = WindowOptions { memory_limit: Some(600_000), ..options() };
    let mut window = Window::new(options);
    let (good, bad) = (TargetId::from("good"), TargetId::from("bad"));
    let known = [Series::new("up", [("job", "good")], 1.0)];
    window.commit_target(&good, at(0), &known);
    let mut refused = 0;
    for round in 1..30 {
        let explosion: Vec<Series> = (0..300)
            .map(|n| {
                let id = format!("request-{round}-{n}");
                Series { labels: series("requests", "id", &id), value: 1.0 }
            })
            .collect();
        let commit = window.commit_target(&bad, at(round), &explosion);
        refused += commit.rejected.over_limit;
        assert_eq!(commit.accepted + commit.rejected.over_limit, 300);
        let commit = window.commit_target(&good, at(round), &known);
        assert_eq!((commit.accepted, commit.rejected.total()), (1, 0));
    }
    assert!(refused > 3000, "{refused} refused");
    assert!(window.memory_bytes() < 600_000, "{} bytes", window.memory_bytes());
    // What is left is for others, as long as it lasts.
    let mut taken = 0;
    let refused = loop {
        let labels = series("new", "n", &taken.to_string());
        let commit = window.append(at(30), &[Series { labels, value: 1.0 }]);
        if commit.accepted == 0 {
            break commit.rejected.to_string();
        }
        taken += 1;
    };
    assert!(taken > 50, "{taken} taken");
    assert_eq!(refused, "samples not taken: 1 of new series beyond the memory limit");
    // Once the flood is over and what it brought has expired, there is room again.
    for round in 31..120 {
        window.commit_target(&good, at(round), &known);
        window.commit_target(&bad, at(round), &[]);
    }
    assert_eq!(window.append(at(120), &[Series::new("newer", [], 1.0)]).accepted, 1);
}

#[test]
fn beyond_the_retention_in_bytes_the_oldest_samples_go() {
    let most = 100_000;
    let options = WindowOptions {
        retention: Duration::from_secs(365 * 86_400),
        retention_bytes: Some(most),
        ..WindowOptions::default()
    };
    let mut window = Window::new(options);
    let mut numbers = Numbers(1);
    let labels = [series("x", "n", "1"), series("x", "n", "2")];
    for round in 0..30_000 {
        let list: Vec<Series> = labels
            .iter()
            .map(|labels| Series {
                labels: labels.clone(),
                value: f64::from_bits(numbers.below(1 << 31) << 31 | 1 << 60),
            })
            .collect();
        assert_eq!(window.append(at(round), &list).accepted, 2);
        assert!(window.memory_bytes() < most + 5_000);
    }
    let all = contents(&window);
    let kept = all[&labels[0]].len();
    assert!((5_000..15_000).contains(&kept), "{kept} samples kept");
    assert_eq!(all[&labels[0]].last().expect("some").0, at(29_999).0);
}

#[test]
fn a_histogram_stands_behind_its_sample_as_long_as_it_is_kept() {
    let mut window = Window::new(options());
    let labels = series("latency", "job", "x");
    let histogram = |count: f64| {
        Arc::new(Histogram {
            count,
            positive_spans: vec![BucketSpan { offset: 0, length: 1 }],
            positive_buckets: vec![count],
            ..Histogram::default()
        })
    };
    let list = [(at(0), histogram(1.0)), (at(1), histogram(2.0))];
    let commit = window.append_histograms(&labels, &list);
    assert_eq!((commit.accepted, commit.changed.len()), (2, 1));
    // The same again is known, another one at this moment is one too many.
    assert_eq!(window.append_histograms(&labels, &list[1..]).accepted, 1);
    let other = window.append_histograms(&labels, &[(at(1), histogram(9.0))]);
    assert_eq!(other.rejected.duplicate, 1);
    window.append_samples(&labels, &[Sample { at: at(2), value: 5.0 }]);
    let family = window.find_family("latency").expect("the family");
    let row = RowRef { family, row: 0 };
    let mut samples = Vec::new();
    window.range(row, TimeMs(-1), at(9), &mut samples);
    let kinds: Vec<bool> = samples.iter().map(|sample| is_histogram(sample.value)).collect();
    assert_eq!(kinds, [true, true, false]);
    assert_eq!(window.histogram(row, at(1)).as_deref(), Some(&*list[1].1));
    assert_eq!(window.histogram(row, at(2)), None);
    let snapshot = window.snapshot();
    for round in 3..100 {
        window.append_samples(&labels, &[Sample { at: at(round), value: 5.0 }]);
    }
    assert_eq!(window.histogram(row, at(1)), None);
    assert!(snapshot.histogram(row, at(1)).is_some());
}
