use std::sync::Arc;
use std::time::Duration;

use paramedic_model::{Labels, Run, STALE_NAN_BITS, Sample, Series, SeriesList, TimeMs};
use paramedic_samples::{OpenError, Rejected, TargetId, Window, WindowOptions};

use crate::support::{Numbers, contents, series};

/// A list that knows where its series stood in the one before, and counts who asks for labels.
#[derive(Debug)]
struct List {
    sets: Vec<Labels>,
    previous: Option<(Arc<dyn SeriesList>, Vec<Run>)>,
    asked: std::sync::atomic::AtomicUsize,
}

impl SeriesList for List {
    fn len(&self) -> usize {
        self.sets.len()
    }

    fn labels(&self, index: usize) -> Labels {
        self.asked.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        self.sets[index].clone()
    }

    fn runs_of(&self, previous: &Arc<dyn SeriesList>) -> Vec<Run> {
        let known = self.previous.iter().find(|(known, _)| Arc::ptr_eq(known, previous));
        known.map_or(Vec::new(), |(_, runs)| runs.clone())
    }
}

/// The list of these sets after another one, of which it knows some places and forgets others.
fn after(last: Option<&Arc<List>>, sets: Vec<Labels>, numbers: &mut Numbers) -> Arc<List> {
    let previous = last.map(|last| {
        let mut runs = Vec::new();
        for (at, labels) in sets.iter().enumerate() {
            let was = last.sets.iter().position(|other| other == labels);
            if let Some(was) = was.filter(|_| numbers.below(8) > 0) {
                Run::extend(&mut runs, at, was);
            }
        }
        (last.clone() as Arc<dyn SeriesList>, runs)
    });
    Arc::new(List { sets, previous, asked: Default::default() })
}

/// What a target yields: inserted, removed, put elsewhere.
fn change(sets: &mut Vec<Labels>, numbers: &mut Numbers) {
    for _ in 0..numbers.below(4) {
        let at = numbers.below(sets.len() as u64 + 1) as usize;
        match numbers.below(3) {
            0 => {
                let n = numbers.below(40).to_string();
                let labels = series(["a", "b", "c"][numbers.below(3) as usize], "n", &n);
                if !sets.contains(&labels) {
                    sets.insert(at, labels);
                }
            }
            1 if at < sets.len() => _ = sets.remove(at),
            _ if at < sets.len() => sets.rotate_left(at),
            _ => {}
        }
    }
}

/// Two targets, whose lists come and go, through lists and through label sets.
fn check(options: &WindowOptions, seed: u64, restart: bool) {
    let mut numbers = Numbers(seed);
    let dir = tempfile::tempdir().expect("a directory");
    let open = || loop {
        match Window::open(dir.path(), options.clone()) {
            Ok((window, _)) => break window,
            // A process that another test starts holds the lock for a moment.
            Err(OpenError::Locked(_)) => std::thread::yield_now(),
            Err(error) => panic!("{error}"),
        }
    };
    let (mut by_lists, mut by_sets) = (open(), Window::new(options.clone()));
    let targets = [TargetId::from("a"), TargetId::from("b")];
    let mut sets: [Vec<Labels>; 2] = Default::default();
    let mut lists: [Option<Arc<List>>; 2] = Default::default();
    for round in 0..400 {
        let at = TimeMs(round * 15_000);
        let which = numbers.below(2) as usize;
        if numbers.below(3) == 0 {
            change(&mut sets[which], &mut numbers);
            let last = lists[which].as_ref().filter(|_| numbers.below(6) > 0).cloned();
            lists[which] = Some(after(last.as_ref(), sets[which].clone(), &mut numbers));
            if numbers.below(8) == 0 {
                // It was never committed: the next one knows where series stood in this one.
                continue;
            }
        }
        let list = lists[which].get_or_insert_with(|| after(None, Vec::new(), &mut Numbers(0)));
        let values: Vec<f64> = sets[which].iter().map(|_| numbers.below(3) as f64).collect();
        let plain = sets[which].iter().zip(&values);
        let plain: Vec<Series> =
            plain.map(|(labels, value)| Series { labels: labels.clone(), value: *value }).collect();
        let list = list.clone() as Arc<dyn SeriesList>;
        let first = by_lists.commit_list(&targets[which], at, &list, &values);
        let second = by_sets.commit_target(&targets[which], at, &plain);
        assert_eq!(first, second, "seed {seed}, round {round}");
        match numbers.below(40) {
            0 => {
                let first = by_lists.retire_target(&targets[which], at);
                assert_eq!(first, by_sets.retire_target(&targets[which], at));
            }
            1 if restart => {
                drop(std::mem::take(&mut by_lists));
                by_lists = open();
            }
            // Somebody fails for so long that what it yielded expires.
            2 => {
                let later = TimeMs(at.0 + 14_000);
                let empty: Arc<dyn SeriesList> = Arc::new(Vec::<Labels>::new());
                let first = by_lists.commit_list(&targets[which], later, &empty, &[]);
                assert_eq!(first, by_sets.commit_target(&targets[which], later, &[]));
            }
            _ => {}
        }
    }
    assert_eq!(contents(&by_lists), contents(&by_sets), "seed {seed}");
    drop(by_lists);
    assert_eq!(contents(&open()), contents(&by_sets), "seed {seed}, after a restart");
}

#[test]
fn lists_do_what_label_sets_do() {
    for (seed, retention) in [(1, 7200), (2, 600), (3, 90)] {
        let retention = Duration::from_secs(retention);
        check(&WindowOptions { retention, ..WindowOptions::default() }, seed, false);
    }
}

#[test]
fn a_list_goes_on_over_a_restart() {
    let retention = Duration::from_secs(7 * 86_400);
    check(&WindowOptions { retention, ..WindowOptions::default() }, 4, true);
}

#[test]
fn labels_are_asked_for_once() {
    let (mut window, target) = (Window::default(), TargetId::from("a"));
    let sets: Vec<Labels> = (0..100).map(|n| series("x", "n", &n.to_string())).collect();
    let asked = |list: &List| list.asked.load(std::sync::atomic::Ordering::Relaxed);
    let mut numbers = Numbers(1);
    let list = after(None, sets.clone(), &mut numbers);
    let shared = list.clone() as Arc<dyn SeriesList>;
    for round in 0..10 {
        window.commit_list(&target, TimeMs(round * 1000), &shared, &[1.0; 100]);
    }
    assert_eq!(asked(&list), 100);
    let (previous, runs) = (shared, vec![Run { at: 1, was: 0, len: 99 }]);
    let mut sets = sets;
    sets.insert(0, series("x", "n", "new"));
    sets.pop();
    let next = List { sets, previous: Some((previous, runs)), asked: Default::default() };
    let next = Arc::new(next);
    let shared = next.clone() as Arc<dyn SeriesList>;
    window.commit_list(&target, TimeMs(10_000), &shared, &[1.0; 100]);
    assert_eq!(asked(&next), 1);
}

#[test]
fn who_fills_the_memory_is_refused_and_others_go_on_growing() {
    let options = WindowOptions { memory_limit: Some(2_000_000), ..WindowOptions::default() };
    let mut window = Window::new(options);
    let good: Vec<TargetId> = (0..5).map(|n| format!("good-{n}").into()).collect();
    let bad = TargetId::from("bad");
    let list = |target: &TargetId, count: usize, round: i64| -> (Arc<dyn SeriesList>, Vec<f64>) {
        let series = |n: usize| {
            let id = if target.as_ref() == "bad" { format!("{round}-{n}") } else { n.to_string() };
            series("requests", "id", &id).with("instance", target.as_ref())
        };
        (Arc::new((0..count).map(series).collect::<Vec<_>>()), vec![1.0; count])
    };
    let mut refused = 0;
    for round in 0..40 {
        let at = TimeMs(round * 15_000);
        let (series, values) = list(&bad, 400, round);
        let commit = window.commit_list(&bad, at, &series, &values);
        refused += commit.rejected.over_limit;
        let over_limit = commit.rejected.over_limit;
        assert_eq!(commit.rejected, Rejected { over_limit, ..Rejected::default() });
        for target in &good {
            // Each brings one more each time.
            let (series, values) = list(target, 10 + round as usize, round);
            let commit = window.commit_list(target, at, &series, &values);
            assert_eq!((commit.accepted, commit.rejected.total()), (values.len(), 0));
        }
    }
    assert!(refused > 8_000, "{refused} refused");
    assert!(window.memory_bytes() < 2_000_000, "{} bytes", window.memory_bytes());
}

#[test]
fn series_that_state_their_time_count_as_brought_by_their_target() {
    let options = WindowOptions { memory_limit: Some(2_000_000), ..WindowOptions::default() };
    let mut window = Window::new(options);
    let (bad, good) = (TargetId::from("bad"), TargetId::from("good"));
    let mut refused = 0;
    for round in 0..40 {
        let at = TimeMs(round * 15_000);
        let sets = |target: &TargetId, count: usize, round: i64| -> Vec<Labels> {
            let id = |n| format!("{round}-{n}");
            let series = |n| series("requests", "id", &id(n)).with("instance", target.as_ref());
            (0..count).map(series).collect()
        };
        let exploded = sets(&bad, 400, round);
        let samples: Vec<_> = exploded.iter().map(|set| (set, Sample { at, value: 1.0 })).collect();
        let up: Arc<dyn SeriesList> = Arc::new(vec![series("up", "instance", "bad")]);
        window.commit_list(&bad, at, &up, &[1.0]);
        let commit = window.append_timed(&bad, &samples);
        refused += commit.rejected.over_limit;
        assert_eq!(commit.accepted + commit.rejected.over_limit, 400);
        // Others go on growing, in whichever way.
        let list: Arc<dyn SeriesList> = Arc::new(sets(&good, 10 + round as usize, 0));
        let commit = window.commit_list(&good, at, &list, &vec![1.0; list.len()]);
        assert_eq!((commit.accepted, commit.rejected.total()), (list.len(), 0));
        let late = sets(&good, 1, 1000 + round);
        let commit = window.append_timed(&good, &[(&late[0], Sample { at, value: 1.0 })]);
        assert_eq!((commit.accepted, commit.rejected.total()), (1, 0));
    }
    assert!(refused > 8_000, "{refused} refused");
}

#[test]
fn series_end_where_they_are_there_and_nothing_newer_is() {
    let mut window = Window::default();
    let [old, new, none] = ["old", "new", "none"].map(|name| series("x", "n", name));
    let at = |seconds: i64| TimeMs(seconds * 1000);
    let samples = [(&old, 10), (&new, 30)];
    let samples = samples.map(|(set, s)| (set, Sample { at: at(s), value: 1.0 }));
    assert_eq!(window.append_timed(&TargetId::from("a"), &samples).accepted, 2);
    for changed in [1, 0] {
        let commit = window.end_series(&[old.clone(), new.clone(), none.clone()], at(20));
        assert_eq!(commit.changed.len(), changed, "it ends once");
        // Nothing of it counts as taken or refused, and none is made.
        assert_eq!((commit.accepted, commit.rejected), (0, Rejected::default()));
        assert_eq!(window.series_count(), 2);
    }
    let ended = |set: &Labels| {
        let samples = &contents(&window)[set];
        samples.iter().map(|(at, bits)| (*at, *bits == STALE_NAN_BITS)).collect::<Vec<_>>()
    };
    assert_eq!(ended(&old), [(10_000, false), (20_000, true)]);
    assert_eq!(ended(&new), [(30_000, false)]);
}
