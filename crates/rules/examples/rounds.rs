//! What rounds of rules cost, over a window of the shape of the benchmarks: hosts with a hundred
//! series each, scraped every 5 s, and rules every 15 s.
//!
//! `cargo run --release -p paramedic-rules --example rounds -- SERIES GENERATED [FOLDER]`
//!
//! Evaluates the five rules of the shipped pages, the published ones in `FOLDER` and `GENERATED` more,
//! and says how long a round of all of them takes, and which rules take most of it.

use std::path::Path;
use std::time::{Duration, Instant};

use paramedic_model::{Labels, METRIC_NAME, Series, TimeMs};
use paramedic_promql::{EvalOptions, SelectorCache, Source, Value};
use paramedic_rules::{Context, Group, GroupDefaults, RuleFile, Store};
use paramedic_samples::{TargetId, Window};

const SCRAPE_MS: i64 = 5_000;
/// Scrapes before the first round: a window of five minutes is full then.
const SCRAPES: i64 = 64;
const ROUNDS: i64 = 8;
const SCRAPES_PER_ROUND: i64 = 3;
const HOSTS_PER_TARGET: usize = 20;
const START_MS: i64 = 1_800_000_000_000;

/// The value of a series at a scrape.
type Course = fn(host: usize, at: usize, scrape: i64) -> f64;

struct Feed {
    target: TargetId,
    series: Vec<Series>,
    courses: Vec<(usize, usize, Course)>,
}

const UP: Course = |_, _, _| 1.0;
const BUSY: Course = |host, at, scrape| ((host % 11 + at) as i64 * 35 * scrape) as f64;
const SLOW: Course = |host, at, scrape| ((host as i64 + scrape) * at as i64 / 40) as f64;
const SWING: Course =
    |host, _, scrape| (20.0 + ((scrape as f64 + host as f64) / 12.0).sin() * 200.0).round() / 100.0;

fn feed(number: usize, hosts: std::ops::Range<usize>) -> Feed {
    let instance = format!("127.0.0.1:{}", 20_000 + number);
    let mut feed =
        Feed { target: instance.as_str().into(), series: Vec::new(), courses: Vec::new() };
    for host in hosts {
        let mut add = |name: &str, pairs: &[(&str, String)], at: usize, course: Course| {
            let fixed =
                [(METRIC_NAME, name), ("job", "synthetic"), ("instance", instance.as_str())];
            let pairs = pairs.iter().map(|(name, value)| (*name, value.as_str()));
            let labels: Labels = fixed.into_iter().chain(pairs).collect();
            feed.series.push(Series { labels, value: 0.0 });
            feed.courses.push((host, at, course));
        };
        let (fw, own) = (format!("fw{host}"), ("host", format!("host{host}")));
        for at in 0..30 {
            let name = ("name", format!("service{at}"));
            let pairs = [
                ("opnsense_instance", fw.clone()),
                name,
                ("description", format!("service{at} service")),
            ];
            let down: Course = |host, at, _| f64::from(u8::from(host % 33 != 7 || at != host % 30));
            add("opnsense_services_status", &pairs, at, down);
        }
        for at in 0..12 {
            let device = [
                ("opnsense_instance", fw.clone()),
                ("device", format!("wg{}", at % 2)),
                ("device_type", "wireguard".to_owned()),
                ("device_name", format!("tunnel{host}-{}", at % 2)),
            ];
            if at < 2 {
                add("opnsense_wireguard_interfaces_status", &device, at, UP);
            } else {
                let peer = [("peer_name", format!("peer{at}"))];
                let pairs: Vec<_> = device.iter().chain(&peer).cloned().collect();
                let down: Course = |host, at, _| f64::from(u8::from(host % 100 != 3 || at != 6));
                add("opnsense_wireguard_peer_status", &pairs, at, down);
            }
        }
        for at in 0..6 {
            let pairs = [
                own.clone(),
                ("service", format!("app{}@docker", at / 2)),
                ("url", format!("http://192.0.2.{at}:8080")),
            ];
            add("traefik_service_server_up", &pairs, at, UP);
        }
        add("oxidized_status", std::slice::from_ref(&own), 0, UP);
        for at in 0..10 {
            let pairs = [own.clone(), ("name", format!("service{at}")), ("status", "ok".into())];
            add("windows_service_status", &pairs, at, UP);
        }
        for at in 0..20 {
            let pairs = [
                own.clone(),
                ("handler", format!("/api/{}", at / 4)),
                ("code", ["200", "301", "404", "500"][at % 4].to_owned()),
            ];
            add("http_requests_total", &pairs, at, if at % 4 == 0 { BUSY } else { SLOW });
        }
        for (at, le) in
            ["0.005", "0.01", "0.025", "0.05", "0.1", "0.25", "0.5", "1", "2.5", "5", "+Inf"]
                .into_iter()
                .enumerate()
        {
            let pairs = [own.clone(), ("le", le.to_owned())];
            add("http_request_duration_seconds_bucket", &pairs, at, BUSY);
        }
        add("http_request_duration_seconds_sum", std::slice::from_ref(&own), 1, BUSY);
        add("http_request_duration_seconds_count", std::slice::from_ref(&own), 1, BUSY);
        let memory: Course = |_, at, _| [16e9, 8e9][at];
        add("node_memory_MemTotal_bytes", std::slice::from_ref(&own), 0, memory);
        add("node_memory_MemAvailable_bytes", std::slice::from_ref(&own), 1, memory);
        for name in [
            "node_load1",
            "process_resident_memory_bytes",
            "process_open_fds",
            "go_goroutines",
            "room_temperature_celsius",
            "room_humidity_percent",
        ] {
            add(name, std::slice::from_ref(&own), 0, SWING);
        }
    }
    let fixed = [(METRIC_NAME, "up"), ("job", "synthetic"), ("instance", instance.as_str())];
    feed.series.push(Series { labels: fixed.into(), value: 1.0 });
    feed.courses.push((0, 0, UP));
    feed
}

fn scrape(window: &mut Window, feeds: &mut [Feed], scrape: i64) -> TimeMs {
    let at = TimeMs(START_MS + scrape * SCRAPE_MS);
    for Feed { target, series, courses } in feeds {
        for (series, (host, number, course)) in series.iter_mut().zip(courses) {
            series.value = course(*host, *number, scrape);
        }
        window.commit_target(target, at, series);
    }
    at
}

fn five() -> String {
    let rules = [
        "opnsense_services_status == 0",
        "opnsense_wireguard_peer_status == 0 and on(device_name) opnsense_wireguard_interfaces_status == 1",
        "oxidized_status == 0",
        "count(traefik_service_server_up) by (service) == 0",
        "windows_service_status{status=\"ok\"} != 1",
    ];
    group("five", rules.into_iter().map(str::to_owned))
}

fn group(name: &str, rules: impl Iterator<Item = String>) -> String {
    let rules = rules.enumerate().map(|(at, expr)| {
        format!(
            "  - alert: {name}{at}\n    expr: '{expr}'\n    for: 1m\n    labels: {{ severity: critical }}\n    \
             annotations: {{ summary: 'instance {{{{ $labels.instance }}}}' }}\n"
        )
    });
    format!("groups:\n- name: {name}\n  rules:\n{}", rules.collect::<String>())
}

/// As people have them: most look at one host, some at all.
fn generated(number: usize, hosts: usize) -> String {
    let host = (number * 7) % hosts;
    match (number % 40, number % 4) {
        (0, _) => format!("opnsense_services_status == {}", 2 + number),
        (1, _) => format!(
            "sum by (host) (rate(http_requests_total{{code=\"500\"}}[5m])) > {}",
            100_000 + number
        ),
        (_, 0) => format!("opnsense_services_status{{opnsense_instance=\"fw{host}\"}} == 3"),
        (_, 1) => format!(
            "sum(rate(http_requests_total{{host=\"host{host}\",code=~\"5..\"}}[5m])) > 100000"
        ),
        (_, 2) => format!(
            "node_memory_MemAvailable_bytes{{host=\"host{host}\"}} / node_memory_MemTotal_bytes{{host=\"host{host}\"}} < 0.05"
        ),
        (_, _) => {
            format!("avg_over_time(room_temperature_celsius{{host=~\"host{host}\"}}[5m]) > 45")
        }
    }
}

fn collect(folder: &Path, texts: &mut Vec<String>) {
    let entries = std::fs::read_dir(folder).expect("a readable folder");
    let mut paths: Vec<_> = entries.map(|entry| entry.expect("a readable entry").path()).collect();
    paths.sort();
    for path in paths {
        if path.is_dir() {
            collect(&path, texts);
        } else if path.extension().is_some_and(|extension| extension == "yml") {
            texts.push(std::fs::read_to_string(path).expect("a readable file"));
        }
    }
}

struct Rows<'a>(&'a mut Window);

impl Store for Rows<'_> {
    fn source(&self) -> &dyn Source {
        self.0
    }

    fn append(&mut self, at: TimeMs, series: &[Series]) -> Result<(), String> {
        self.0.append(at, series);
        Ok(())
    }
}

/// How long this thread has worked, so that a busy machine does not count; where nobody says, how
/// long it has been.
#[expect(clippy::disallowed_methods, reason = "it measures the time that passes")]
fn worked(start: Instant) -> Duration {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let nanos = text.split_whitespace().next().and_then(|text| text.parse().ok());
    nanos.map_or_else(|| Instant::now() - start, Duration::from_nanos)
}

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let number = |at: usize, default: usize| {
        args.get(at).map_or(default, |text| text.parse().expect("a number"))
    };
    let (series, rules) = (number(0, 100_000), number(1, 0));
    let hosts = series.div_ceil(100);
    let mut texts = vec![five()];
    if let Some(folder) = args.get(2) {
        collect(Path::new(folder), &mut texts);
    }
    for first in (0..rules).step_by(100) {
        let group_rules = (first..rules.min(first + 100)).map(|at| generated(at, hosts));
        texts.push(group(&format!("generated{first}"), group_rules));
    }
    let defaults = GroupDefaults { interval: Duration::from_secs(15), ..GroupDefaults::default() };
    let mut groups = Vec::new();
    for (number, text) in texts.iter().enumerate() {
        let path = format!("rules-{number}.yml");
        let file = RuleFile::parse(&path, text).expect("a rule file");
        let specs = file.groups.iter();
        groups.extend(specs.map(|spec| Group::new(&path, spec, &defaults, TimeMs(START_MS))));
    }
    let mut window = Window::default();
    let mut feeds: Vec<Feed> = (0..hosts)
        .step_by(HOSTS_PER_TARGET)
        .enumerate()
        .map(|(at, first)| feed(at, first..hosts.min(first + HOSTS_PER_TARGET)))
        .collect();
    #[expect(clippy::disallowed_methods, reason = "it measures the time that passes")]
    let start = Instant::now();
    let began = worked(start);
    for at in 0..SCRAPES {
        scrape(&mut window, &mut feeds, at);
    }
    let count = groups.iter().map(|group| group.rules().len()).sum::<usize>();
    println!(
        "{} series, {} groups, {count} rules, {} samples in {:?}",
        window.series_count(),
        groups.len(),
        window.series_count() as i64 * SCRAPES,
        worked(start) - began
    );
    let (options, none) = (EvalOptions::default(), Labels::empty());
    let context = Context { options: &options, external_labels: &none, external_url: "" };
    let mut at = TimeMs(0);
    for round in 0..ROUNDS {
        for turn in 0..SCRAPES_PER_ROUND {
            let number = SCRAPES + round * SCRAPES_PER_ROUND + turn;
            at = scrape(&mut window, &mut feeds, number) + Duration::from_millis(1200);
        }
        let (mut samples, mut failures, mut spent) = (0, 0, Duration::ZERO);
        let mut heaviest = (Duration::ZERO, String::new());
        for group in &mut groups {
            let began = worked(start);
            let done = group.evaluate(&mut Rows(&mut window), at, &context);
            let took = worked(start) - began;
            spent += took;
            heaviest = heaviest.max((took, group.key()));
            samples += done.samples;
            failures += done.failures.len();
        }
        println!(
            "round {round}: {spent:?}, {samples} samples written, {failures} failures, {heaviest:?}"
        );
    }
    let mut cache = SelectorCache::default();
    let mut costs = Vec::new();
    for rule in groups.iter().flat_map(|group| group.rules()).map(|state| state.rule()) {
        let mut least = Duration::MAX;
        let mut elements = 0;
        for _ in 0..3 {
            let began = worked(start);
            let found = rule.expr().eval_instant_shared(&window, at, &options, &mut cache);
            least = least.min(worked(start) - began);
            if let Ok(Value::Vector(found)) = found.map(|found| found.value) {
                elements = found.len();
            }
            at = at + Duration::from_millis(1);
        }
        costs.push((least, elements, rule.expr().text()));
    }
    costs.sort_by_key(|cost| std::cmp::Reverse(cost.0));
    let total: Duration = costs.iter().map(|cost| cost.0).sum();
    println!("expressions alone: {total:?}");
    for (cost, elements, text) in costs.iter().take(25) {
        let text: String = text.split_whitespace().collect::<Vec<_>>().join(" ");
        println!("{:10.3} ms {elements:6}  {text}", cost.as_secs_f64() * 1000.0);
    }
    let small = costs.iter().filter(|cost| cost.0 < Duration::from_micros(20));
    let (number, sum) = small.fold((0, Duration::ZERO), |(n, sum), cost| (n + 1, sum + cost.0));
    println!("{number} below 20 us, together {sum:?}");
}
