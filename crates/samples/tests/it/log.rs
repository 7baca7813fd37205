use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use paramedic_model::{Histogram, Sample, Series, TimeMs};
use paramedic_promql::{RowRef, Source};
use paramedic_samples::{
    Fsync, LogOptions, OnDamage, OpenError, Replayed, TargetId, Window, WindowOptions,
};
use tempfile::TempDir;

use crate::support::{Numbers, Plain, contents, series};

const RETENTION: Duration = Duration::from_secs(3600);

fn options(log: LogOptions) -> WindowOptions {
    let log = LogOptions { checkpoint_bytes: None, ..log };
    WindowOptions { retention: RETENTION, log, ..WindowOptions::default() }
}

/// As it is where only the process ends: nothing waits for a disk.
fn quick() -> LogOptions {
    LogOptions { fsync: Fsync::Never, ..LogOptions::default() }
}

fn open(dir: &Path) -> (Window, Replayed) {
    Window::open(dir, options(quick())).expect("opens")
}

fn at(round: i64) -> TimeMs {
    TimeMs(1_700_000_000_000 + round * 15_000)
}

/// The directory as a crash would leave it now.
fn copy(dir: &Path) -> TempDir {
    let copy = TempDir::new().expect("a directory");
    for name in names(dir) {
        fs::copy(dir.join(&name), copy.path().join(&name)).expect("copies");
    }
    copy
}

fn names(dir: &Path) -> BTreeSet<String> {
    let entries = fs::read_dir(dir).expect("reads").map(|entry| entry.expect("an entry"));
    entries.map(|entry| entry.file_name().into_string().expect("a text")).collect()
}

/// One round of everything that a window takes.
fn commit(window: &mut Window, round: i64, numbers: &mut Numbers) {
    for target in ["a", "b"] {
        let mut list = Vec::new();
        for n in 0..6 {
            let value = match numbers.below(6) {
                0 => numbers.below(1 << 40) as f64,
                1 => numbers.below(1000) as f64 / 100.0,
                2 => f64::NAN,
                _ => 1.0,
            };
            if numbers.below(8) > 0 {
                let labels = series(["running", "bytes"][n % 2], target, &n.to_string());
                list.push(Series { labels, value });
            }
        }
        if numbers.below(20) == 0 {
            window.retire_target(&target.into(), at(round));
        } else {
            window.commit_target(&target.into(), at(round), &list);
        }
    }
    if numbers.below(3) == 0 {
        let labels = series("rule:sum", "rule", &numbers.below(3).to_string());
        window.append(at(round), &[Series { labels, value: numbers.below(9) as f64 }]);
    }
    if numbers.below(5) == 0 {
        let labels = series("written", "n", &numbers.below(3).to_string());
        let samples = [0, 5, 10].map(|after| Sample {
            at: at(round) + Duration::from_secs(after),
            value: numbers.below(4) as f64 + 0.5,
        });
        window.append_samples(&labels, &samples);
    }
    if numbers.below(5) == 0 {
        let histogram = Histogram { count: numbers.below(9) as f64, ..Histogram::default() };
        window.append_histograms(&series("latency", "n", "1"), &[(at(round), Arc::new(histogram))]);
    }
}

fn histograms(source: &dyn Source, since: i64) -> Vec<(i64, f64)> {
    let Some(family) = source.find_family("latency") else { return Vec::new() };
    let (row, mut samples) = (RowRef { family, row: 0 }, Vec::new());
    source.range(row, TimeMs(since - 1), TimeMs(i64::MAX), &mut samples);
    let of = |sample: &Sample| source.histogram(row, sample.at).expect("the histogram").count;
    samples.iter().map(|sample| (sample.at.0, of(sample))).collect()
}

/// What is within the retention: when the rest goes depends on when a window was opened.
fn recent(window: &Window) -> Plain {
    let mut all = contents(window);
    let newest = all.values().flatten().map(|(at, _)| *at).max().unwrap_or(0);
    for samples in all.values_mut() {
        samples.retain(|(at, _)| *at > newest - RETENTION.as_millis() as i64);
    }
    all.retain(|_, samples| !samples.is_empty());
    all
}

/// Says which series differs, not all of them.
fn check_same_contents(found: Plain, expected: Plain) {
    assert!(found.keys().eq(expected.keys()), "{:?}\n{:?}", found.keys(), expected.keys());
    for (labels, samples) in &expected {
        let differs = found[labels].iter().zip(samples).find(|(found, expected)| found != expected);
        let lens = (found[labels].len(), samples.len());
        assert!(differs.is_none() && lens.0 == lens.1, "{labels}: {differs:?} {lens:?}");
    }
}

fn check_same(found: &Window, expected: &Window) {
    check_same_contents(recent(found), recent(expected));
    let since = recent(expected).values().flatten().map(|(at, _)| *at).min().unwrap_or(0);
    assert_eq!(histograms(found, since), histograms(expected, since));
    let targets = |window: &Window| window.targets().cloned().collect::<BTreeSet<TargetId>>();
    assert_eq!(targets(found), targets(expected));
}

#[test]
fn what_was_committed_is_there_whenever_the_crash_comes() {
    for seed in 0..4 {
        let dir = TempDir::new().expect("a directory");
        let mut numbers = Numbers(seed);
        // Small segments, so that there are many; half of the runs have checkpoints.
        let fsync = match seed {
            0 => Fsync::Always,
            1 => Fsync::Interval(Duration::from_secs(60)),
            _ => Fsync::Never,
        };
        let log = LogOptions { segment_bytes: 2000, fsync, ..LogOptions::default() };
        let (mut window, _) = Window::open(dir.path(), options(log)).expect("opens");
        // The disk is waited for in one of them.
        for round in 0..if seed == 0 { 60 } else { 300 } {
            commit(&mut window, round, &mut numbers);
            if seed % 2 == 0 && numbers.below(60) == 0 {
                let checkpoint = window.checkpoint().expect("begins").expect("a log");
                if numbers.below(3) > 0 {
                    checkpoint.write().expect("writes");
                }
            }
            if numbers.below(40) == 0 {
                let crashed = copy(dir.path());
                let (mut again, replayed) = open(crashed.path());
                assert_eq!((replayed.rejected, replayed.torn.len()), (0, 0));
                assert_eq!(replayed.damaged, []);
                check_same(&again, &window);
                // What targets yield next ends what they do not.
                again.commit_target(&"a".into(), at(round + 1), &[]);
                let mut other = copy_of(&window, dir.path());
                other.commit_target(&"a".into(), at(round + 1), &[]);
                check_same(&again, &other);
            }
        }
    }
}

/// The window again, by its own log.
fn copy_of(window: &Window, dir: &Path) -> Window {
    let again = open(copy(dir).path()).0;
    check_same(&again, window);
    again
}

#[test]
fn a_log_goes_on_after_each_restart() {
    let dir = TempDir::new().expect("a directory");
    let (mut numbers, mut memory) = (Numbers(9), Window::new(options(quick())));
    let mut same = Numbers(9);
    for run in 0..15 {
        let (mut window, replayed) = open(dir.path());
        assert_eq!(replayed.series, window.series_count());
        check_same(&window, &memory);
        for round in run * 40..(run + 1) * 40 {
            commit(&mut window, round, &mut numbers);
            commit(&mut memory, round, &mut same);
        }
        check_same(&window, &memory);
    }
    // Many segments became a checkpoint.
    assert!(names(dir.path()).len() < 12, "{:?}", names(dir.path()));
}

/// A log of some commits; what it held before and after the last one; where the last one begins.
fn short_log() -> (TempDir, Plain, Plain, PathBuf, usize) {
    let dir = TempDir::new().expect("a directory");
    let (mut window, _) = open(dir.path());
    let mut numbers = Numbers(5);
    for round in 0..6 {
        commit(&mut window, round, &mut numbers);
    }
    let path = dir.path().join("00000001.segment");
    let last = |round| [Series { labels: series("rule:sum", "rule", "x"), value: round as f64 }];
    window.append(at(6), &last(6));
    let (before, begin) = (contents(&window), fs::read(&path).expect("reads").len());
    window.append(at(7), &last(7));
    let after = contents(&window);
    assert_ne!(before, after);
    (dir, before, after, path, begin)
}

#[test]
fn a_torn_record_is_cut_off_wherever_it_is_torn() {
    let (dir, before, after, path, begin) = short_log();
    let end = fs::read(&path).expect("reads").len();
    let (window, replayed) = open(copy(dir.path()).path());
    assert_eq!((contents(&window), replayed.torn.len()), (after, 0));
    for cut in begin..end {
        let torn = copy(dir.path());
        let path = torn.path().join("00000001.segment");
        let bytes = fs::read(&path).expect("reads");
        fs::write(&path, &bytes[..cut]).expect("writes");
        let (window, replayed) = open(torn.path());
        assert_eq!(contents(&window), before, "cut at {cut}");
        assert_eq!(replayed.damaged, []);
        let places: Vec<_> = replayed.torn.iter().map(|flaw| (&flaw.file, flaw.offset)).collect();
        if cut == begin {
            assert_eq!(places, []);
        } else {
            assert_eq!(places, [(&path, begin as u64)]);
            assert_eq!(fs::read(&path).expect("reads").len(), begin);
        }
        drop(window);
        assert_eq!(open(torn.path()).1.torn, []);
    }
    // A file system that made the file longer and lost what was to fill it.
    let torn = copy(dir.path());
    let path = torn.path().join("00000001.segment");
    let mut bytes = fs::read(&path).expect("reads")[..begin].to_vec();
    bytes.resize(end + 4096, 0);
    fs::write(&path, bytes).expect("writes");
    let (window, replayed) = open(torn.path());
    assert_eq!((contents(&window), replayed.torn[0].offset), (before, begin as u64));
}

#[test]
fn a_flipped_bit_is_found_named_and_costs_no_more_than_what_follows_it() {
    let (dir, _, after, path, _) = short_log();
    let bytes = fs::read(&path).expect("reads");
    for byte in 0..bytes.len() {
        let damaged = copy(dir.path());
        let path = damaged.path().join("00000001.segment");
        let mut flipped = bytes.clone();
        flipped[byte] ^= 1 << (byte % 8);
        fs::write(&path, &flipped).expect("writes");
        if byte % 16 == 0 {
            let log = LogOptions { on_damage: OnDamage::Refuse, ..quick() };
            let refused = Window::open(damaged.path(), options(log)).expect_err("refuses");
            assert!(matches!(&refused, OpenError::Damaged(flaw) if flaw.file == path), "{refused}");
            assert_eq!(fs::read(&path).expect("reads"), flipped);
        }
        let (window, replayed) = open(damaged.path());
        assert_eq!((replayed.torn.len(), replayed.damaged.len()), (0, 1), "byte {byte}");
        let flaw = &replayed.damaged[0];
        assert!(flaw.file == path && flaw.offset <= byte as u64, "byte {byte}: {flaw}");
        // What is kept was committed, and nothing else is there.
        let kept = contents(&window);
        for (labels, samples) in &kept {
            assert!(after[labels].starts_with(samples), "byte {byte}: {labels}");
        }
        // What was kept survives, and the damaged file is there for a person to look at.
        drop(window);
        let (window, replayed) = open(damaged.path());
        assert_eq!((contents(&window), replayed.damaged), (kept, vec![]));
        assert!(names(damaged.path()).contains("00000001.segment.damaged"));
    }
}

#[test]
fn a_damaged_checkpoint_costs_what_follows_in_it_and_no_segment() {
    let (dir, ..) = short_log();
    let (mut window, _) = open(dir.path());
    window.checkpoint().expect("begins").expect("a log").write().expect("writes");
    window.commit_target(&"a".into(), at(20), &[Series::new("late", [], 1.0)]);
    let all = contents(&window);
    drop(window);
    let name = names(dir.path()).into_iter().find(|name| name.ends_with("checkpoint"));
    let name = name.expect("a checkpoint");
    let bytes = fs::read(dir.path().join(&name)).expect("reads");
    for byte in (0..bytes.len()).chain([bytes.len()]) {
        let damaged = copy(dir.path());
        let mut flipped = bytes.clone();
        match flipped.get_mut(byte) {
            Some(byte) => *byte ^= 4,
            None => flipped.truncate(byte - 10),
        }
        fs::write(damaged.path().join(&name), flipped).expect("writes");
        let (window, replayed) = open(damaged.path());
        assert_eq!(replayed.damaged.len(), 1, "byte {byte}");
        assert!(replayed.damaged[0].file.ends_with(&name));
        let kept = contents(&window);
        assert!(kept.iter().all(|(labels, samples)| all[labels].starts_with(&samples[..1])));
        assert!(kept.contains_key(&Series::new("late", [], 1.0).labels));
    }
}

#[test]
fn one_process_at_a_time_and_no_later_format() {
    let dir = TempDir::new().expect("a directory");
    let (window, _) = open(dir.path());
    let second = Window::open(dir.path(), options(quick())).expect_err("is in use");
    assert!(matches!(second, OpenError::Locked(_)), "{second}");
    drop(window);
    let (mut window, _) = open(dir.path());
    window.append(at(0), &[Series::new("up", [], 1.0)]);
    drop(window);
    let path = dir.path().join("00000001.segment");
    let mut bytes = fs::read(&path).expect("reads");
    // The header: magic, length 3, kind 1, checksum, version, what it is, number, checksum.
    bytes[17] = 3;
    let check = crc32fast::hash(&[1, 3, 0, 1]);
    bytes[20..24].copy_from_slice(&check.to_le_bytes());
    fs::write(&path, bytes).expect("writes");
    let later = Window::open(dir.path(), options(quick())).expect_err("is later");
    assert!(matches!(later, OpenError::Version { found: 3, .. }), "{later}");
}

/// A file of records that have their checksums and say anything.
fn strange_file(numbers: &mut Numbers) -> Vec<u8> {
    let mut out = b"PMSAMPLE".to_vec();
    for _ in 0..numbers.below(12) {
        let kind = 1 + numbers.below(12) as u8;
        // Small numbers mostly, so that counts, lengths and numbers of series often fit.
        let payload: Vec<u8> = (0..numbers.below(40))
            .map(|_| match numbers.below(4) {
                0 => numbers.below(256) as u8,
                _ => numbers.below(6) as u8,
            })
            .collect();
        put_record(&mut out, kind, &payload);
    }
    out
}

/// Appends a record with its checksums, whatever it says.
fn put_record(out: &mut Vec<u8>, kind: u8, payload: &[u8]) {
    let start = out.len();
    out.extend((payload.len() as u32).to_le_bytes());
    out.push(kind);
    out.extend(crc32fast::hash(&out[start..]).to_le_bytes());
    out.extend(payload);
    out.extend(crc32fast::hash(&[&[kind], payload].concat()).to_le_bytes());
}

/// A record's kind, and what it says.
type Record<'a> = (u8, &'a [u8]);

#[test]
fn a_checkpoint_that_says_what_cannot_be_leaves_nothing_half_made() {
    const FAMILY: u8 = 11;
    const POINTS: u8 = 5;
    const BLOCKS: u8 = 9;
    // A name, how many series; how many columns; of each its name, its values, a code per series.
    let family = |codes: &[u8], values: &[u8]| {
        [&[1, b'm', codes.len() as u8, 1, 1, b'a'], values, codes].concat()
    };
    let one = family(&[1], &[1, 1, b'x']);
    // The first series, one of them; no sealed block, a growing one from 0 on, no tail.
    let pack = [&[0x40, 0, 1, 0, 99, 0][..], &[0; 13], &[0, 0, 0, 0]].concat();
    let wide = [&[0, 1, 0, 0, pack.len() as u8], &pack[..], &[0, 0]].concat();
    let cases: &[(&str, &[Record])] = &[
        ("two series of one label set", &[(FAMILY, &family(&[1, 1], &[1, 1, b'x']))]),
        ("a value twice", &[(FAMILY, &family(&[1, 2], &[2, 1, b'x', 1, b'x']))]),
        ("an empty value", &[(FAMILY, &family(&[1, 0], &[1, 0]))]),
        ("a code without value", &[(FAMILY, &family(&[1, 2], &[1, 1, b'x']))]),
        ("a family twice", &[(FAMILY, &one), (FAMILY, &one)]),
        ("commits", &[(FAMILY, &one), (POINTS, &[1, 0, 2, 2])]),
        // Its first pack has a width beyond a word, the last is whole.
        ("a width", &[(FAMILY, &one), (BLOCKS, &wide)]),
        // Times that stand still.
        ("no step", &[(FAMILY, &one), (BLOCKS, &[0, 1, 0, 0, 6, 0x41, 0, 0, 0, 0, 0, 0, 0])]),
    ];
    for (what, records) in cases {
        let dir = TempDir::new().expect("a directory");
        let mut file = b"PMSAMPLE".to_vec();
        records.iter().for_each(|(kind, payload)| put_record(&mut file, *kind, payload));
        fs::write(dir.path().join("00000001.checkpoint"), file).expect("writes");
        let (mut window, replayed) = open(dir.path());
        assert_eq!(replayed.damaged.len(), 1, "{what}: {replayed:?}");
        assert_eq!(replayed.damaged[0].reason, "a record says what cannot be", "{what}");
        let series = ["x", "y"].map(|value| Series::new("m", [("a", value), ("b", "z")], 1.0));
        let commit = window.commit_target(&"t".into(), at(1), &series);
        assert_eq!((commit.accepted, contents(&window).len()), (2, 2), "{what}");
    }
}

#[test]
fn records_that_say_anything_are_damage_and_never_a_panic() {
    let mut numbers = Numbers(11);
    for round in 0..1000 {
        let dir = TempDir::new().expect("a directory");
        let name = ["00000001.segment", "00000001.checkpoint"][round % 2];
        fs::write(dir.path().join(name), strange_file(&mut numbers)).expect("writes");
        // What is refused needs no checkpoint, and no disk to wait for.
        let on_damage = if round % 16 < 2 { OnDamage::SetAside } else { OnDamage::Refuse };
        let log = LogOptions { on_damage, ..quick() };
        match Window::open(dir.path(), options(log)) {
            Ok((mut window, _)) => {
                contents(&window);
                commit(&mut window, 1, &mut numbers);
            }
            Err(OpenError::Version { .. } | OpenError::Damaged(_)) => {}
            Err(error) => panic!("{error}"),
        }
    }
}

#[test]
fn a_checkpoint_replaces_what_was_before_it() {
    let dir = TempDir::new().expect("a directory");
    let log = LogOptions { segment_bytes: 1000, ..quick() };
    let (mut window, _) = Window::open(dir.path(), options(log)).expect("opens");
    let mut numbers = Numbers(2);
    for round in 0..200 {
        commit(&mut window, round, &mut numbers);
    }
    assert!(names(dir.path()).len() > 10);
    fs::write(dir.path().join("00000003.partial"), "left by a crash").expect("writes");
    window.checkpoint().expect("begins").expect("a log").write().expect("writes");
    drop(window.snapshot());
    assert_eq!(names(dir.path()).len(), 4, "{:?}", names(dir.path()));
    let (again, replayed) = open(copy(dir.path()).path());
    assert_eq!((replayed.samples, replayed.files), (0, 2));
    check_same(&again, &window);
}

#[test]
fn what_a_lower_memory_limit_has_no_room_for_stays_out() {
    let dir = TempDir::new().expect("a directory");
    let (mut window, _) = open(dir.path());
    let series: Vec<_> = (0..2000)
        .map(|n| Series::new("m", [("host", &*(n % 40).to_string()), ("n", &n.to_string())], 1.0))
        .collect();
    window.commit_target(&"a".into(), at(0), &series);
    window.checkpoint().expect("begins").expect("a log").write().expect("writes");
    drop(window);
    let mut settings = options(quick());
    settings.memory_limit = Some(300_000);
    let (mut window, replayed) = Window::open(dir.path(), settings).expect("opens");
    assert!((100..1900).contains(&replayed.series), "{}", replayed.series);
    let commit = window.commit_target(&"a".into(), at(1), &series);
    assert!(commit.accepted >= replayed.series && commit.rejected.over_limit > 100);
    assert_eq!(commit.accepted + commit.rejected.over_limit, 2000);
}

#[test]
fn checkpoints_are_written_beside_the_commits() {
    let dir = TempDir::new().expect("a directory");
    let mut settings = options(quick());
    settings.log.checkpoint_bytes = Some(1);
    let (mut window, _) = Window::open(dir.path(), settings.clone()).expect("opens");
    let mut numbers = Numbers(2);
    for round in 0..1000 {
        commit(&mut window, round, &mut numbers);
    }
    let all = recent(&window);
    drop(window);
    assert!(names(dir.path()).iter().any(|name| name.ends_with("checkpoint")));
    let (window, _) = Window::open(dir.path(), settings).expect("opens");
    check_same_contents(recent(&window), all);
}

#[test]
fn a_batch_is_one_write_and_is_there_when_it_returned() {
    let dir = TempDir::new().expect("a directory");
    let log = LogOptions { segment_bytes: 5000, ..quick() };
    let (mut window, _) = Window::open(dir.path(), options(log)).expect("opens");
    let mut numbers = Numbers(4);
    for batch in 0..20 {
        let sizes = || -> u64 {
            let entries = fs::read_dir(dir.path()).expect("reads").flatten();
            entries.map(|entry| entry.metadata().expect("an entry").len()).sum()
        };
        let before = sizes();
        let ((), unlogged) = window.batch(|window| {
            for round in batch * 10..batch * 10 + 10 {
                commit(window, round, &mut numbers);
                // A segment that grew too large may be followed by another in between.
                assert!(batch > 0 || sizes() == before + 24);
            }
        });
        assert_eq!(unlogged, None);
        check_same(&open(copy(dir.path()).path()).0, &window);
    }
}

#[test]
fn what_cannot_be_logged_is_said_and_still_read() {
    let dir = TempDir::new().expect("a directory");
    let log = LogOptions { segment_bytes: 1, ..quick() };
    let (mut window, _) = Window::open(&dir.path().join("log"), options(log)).expect("opens");
    let up = [Series::new("up", [], 1.0)];
    assert_eq!(window.append(at(0), &up).unlogged, None);
    fs::rename(dir.path().join("log"), dir.path().join("gone")).expect("renames");
    let commit = window.append(at(1), &up);
    let error = commit.unlogged.expect("is told");
    assert_eq!((commit.accepted, error.action), (1, "create"));
    fs::rename(dir.path().join("gone"), dir.path().join("log")).expect("renames");
    assert_eq!(window.append(at(2), &up).unlogged, None);
    let (again, _) = open(copy(&dir.path().join("log")).path());
    let times: Vec<i64> = contents(&again)[&up[0].labels].iter().map(|(at, _)| *at).collect();
    assert_eq!(times, [at(0).0, at(2).0]);
}
