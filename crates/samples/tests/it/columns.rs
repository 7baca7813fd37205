use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use paramedic_model::{Labels, METRIC_NAME, Sample, TimeMs};
use paramedic_promql::{
    EvalOptions, Family, FamilyId, NO_VALUE, Plan, RowRef, Source, Symbol, Value, parse,
};
use paramedic_samples::{Window, WindowOptions};

use crate::support::Numbers;

/// What stands at the head of `source.rs`, checked on every row.
fn check_invariants(source: &dyn Source) {
    let mut names = HashSet::new();
    let mut texts: BTreeMap<String, Symbol> = BTreeMap::new();
    for id in (0..source.family_count() as u32).map(FamilyId) {
        let family = source.family(id);
        assert!(names.insert(family.name.to_owned()), "two families {}", family.name);
        assert_eq!(source.find_family(family.name), Some(id));
        let rows = family.row_count();
        assert_eq!(family.newest_value.len(), rows);
        for column in family.columns {
            assert_ne!(column.name, METRIC_NAME);
            assert_eq!(column.codes.len(), rows);
            assert_eq!(column.values[NO_VALUE as usize], Symbol::EMPTY);
            assert!(column.codes.iter().all(|code| (*code as usize) < column.values.len()));
            for symbol in &column.values[1..] {
                let text = source.text(*symbol).to_owned();
                assert!(!text.is_empty());
                assert_eq!(*texts.entry(text).or_insert(*symbol), *symbol, "two symbols of a text");
            }
        }
        let mut sets = HashSet::new();
        for row in 0..rows as u32 {
            let mut samples = Vec::new();
            let row = RowRef { family: id, row };
            source.range(row, TimeMs(i64::MIN), TimeMs(i64::MAX), &mut samples);
            let newest = family.newest_at[row.row as usize];
            if newest == Family::NEVER {
                assert!(samples.is_empty());
                continue;
            }
            assert!(sets.insert(source.labels(row)), "two rows of {}", source.labels(row));
            assert!(samples.is_sorted_by(|a, b| a.at < b.at));
            let last = samples.last().expect("a row in use has a sample");
            assert_eq!(last.at, newest);
            assert_eq!(last.value.to_bits(), family.newest_value[row.row as usize].to_bits());
        }
    }
}

#[test]
fn the_window_keeps_what_a_plain_map_keeps() {
    check_with_plain_map(42, 400, Duration::ZERO);
}

#[test]
fn late_samples_find_their_place_as_in_a_plain_map() {
    for seed in 0..5 {
        check_with_plain_map(seed, 200, Duration::from_secs(15));
    }
}

fn check_with_plain_map(seed: u64, rounds: i64, out_of_order: Duration) {
    let retention = Duration::from_secs(600);
    let options = WindowOptions { retention, out_of_order, ..WindowOptions::default() };
    let mut window = Window::new(options);
    let mut plain: BTreeMap<Labels, Vec<Sample>> = BTreeMap::new();
    let (mut numbers, mut newest) = (Numbers(seed), TimeMs(i64::MIN));
    for round in 0..rounds {
        let at = TimeMs(round * 5000);
        for _ in 0..numbers.below(6) {
            let mut labels = Labels::from([(
                METRIC_NAME,
                ["up", "running", "bytes"][numbers.below(3) as usize],
            )]);
            for name in ["instance", "name", "job"] {
                let value = ["", "a", "b", "c"][numbers.below(4) as usize];
                labels = labels.with(name, value);
            }
            let sample = Sample {
                at: at - Duration::from_secs(numbers.below(20)),
                value: numbers.below(3) as f64,
            };
            let commit = window.append_samples(&labels, &[sample]);
            newest = newest.max(sample.at);
            let samples = plain.entry(labels).or_default();
            let is_late = samples.last().is_some_and(|last| last.at > sample.at);
            match samples.binary_search_by_key(&sample.at, |sample| sample.at) {
                Ok(index) if samples[index].value == sample.value => {
                    assert!(commit.accepted == 1 || is_late);
                }
                Ok(_) => assert_eq!(commit.accepted, 0),
                Err(_)
                    if is_late
                        && (out_of_order.is_zero() || sample.at <= newest - out_of_order) =>
                {
                    assert_eq!(commit.rejected.out_of_order, 1);
                }
                Err(index) => {
                    assert_eq!(commit.accepted, 1);
                    samples.insert(index, sample);
                }
            }
        }
        if round % 50 == 0 {
            check_invariants(&window);
        }
    }
    check_invariants(&window);
    // Within the retention nothing is missing and nothing is new.
    let (after, until) = (newest - retention, TimeMs(i64::MAX));
    let mut found: BTreeMap<Labels, Vec<Sample>> = BTreeMap::new();
    for family in (0..window.family_count() as u32).map(FamilyId) {
        for row in 0..window.family(family).row_count() as u32 {
            let (row, mut samples) = (RowRef { family, row }, Vec::new());
            window.range(row, after, until, &mut samples);
            let newest = samples.last().copied();
            assert_eq!(window.newest_in(row, after, until), newest);
            if newest.is_some() {
                found.insert(window.labels(row), samples);
            }
        }
    }
    for samples in plain.values_mut() {
        samples.retain(|sample| sample.at > after);
    }
    plain.retain(|_, samples| !samples.is_empty());
    assert_eq!(found, plain);
}

#[test]
fn a_selection_follows_the_rows() {
    let hour = WindowOptions { retention: Duration::from_secs(3600), ..WindowOptions::default() };
    let mut window = Window::new(hour);
    let text = "up{host=~\"a.*|b[0-9]+\", zone!=\"z\"}";
    let plan = Plan::new(parse(text).expect(text), text).expect(text);
    let count = |source: &dyn Source, at: TimeMs| {
        let found = plan.eval_instant(source, at, &EvalOptions::default()).expect(text).value;
        if let Value::Vector(elements) = found { elements.len() } else { 0 }
    };
    let host = |name: &str| Labels::from([("__name__", "up"), ("host", name)]);
    let at = |seconds: i64| TimeMs(1_000_000_000 + seconds * 1000);
    let put = |window: &mut Window, labels: &Labels, at: TimeMs| {
        window.append_samples(labels, &[Sample { at, value: 1.0 }]);
    };
    put(&mut window, &host("a1"), at(0));
    put(&mut window, &host("c1"), at(0));
    let before = window.snapshot();
    assert_eq!((count(&window, at(0)), count(&before, at(0))), (1, 1));
    // A series that is known before it has a sample is found when it has one.
    let early = window.series_ref(&host("b7")).expect("no limit");
    assert_eq!(count(&window, at(1)), 1);
    window.append_refs(&[(early, Sample { at: at(1), value: 1.0 })]);
    assert_eq!((count(&window, at(1)), count(&before, at(1))), (2, 1));
    put(&mut window, &host("a1").with("zone", "z"), at(2));
    put(&mut window, &host("b"), at(2));
    put(&mut window, &host("ax"), at(2));
    assert_eq!((count(&window, at(2)), count(&before, at(2))), (3, 1));
    // Rows that were freed are used again by others, and dictionaries are made anew.
    for hour in 1..4 {
        for number in 0..100 {
            put(&mut window, &host(&format!("x{hour}-{number}")), at(hour * 7200));
        }
        put(&mut window, &host(&format!("b{hour}")), at(hour * 7200));
        assert_eq!(count(&window, at(hour * 7200)), 1, "hour {hour}");
    }
    assert_eq!(count(&before, at(2)), 1);
}
