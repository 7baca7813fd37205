//! How long expressions take, plainly and by columns, over a window of the size of the benchmarks:
//! a family of 30,000 rows, 20,000 counters and 13,000 buckets, five minutes at 15 s.
//!
//! `cargo run --release -p paramedic-promql --example columnar_bench [-- EXPRESSION...]`, where naming
//! expressions leaves out all others.

use std::time::{Duration, Instant};

use paramedic_model::{Labels, Sample, TimeMs};
use paramedic_promql::{EvalOptions, Evaluation, Plan, SelectorCache, Value, parse};
use paramedic_samples::Window;

const STEP_MS: i64 = 15_000;
const SCRAPES: i64 = 21;

const INSTANT: [&str; 15] = [
    "services_status == 2",
    "services_status == 0",
    "services_status{name=~\"s[0-4].*\"} == 0",
    "services_status{host=\"host7\"}",
    "count by (name) (services_status == 1)",
    "services_status == 0 and on (host) up == 1",
    "absent(nothing) or services_status == 0",
    "services_status * on (host) group_left () up",
    "sum by (host) (rate(requests_total[5m]))",
    "topk(5, sum by (handler) (rate(requests_total[5m])))",
    "sum by (host) (rate(requests_total{code=\"500\"}[5m])) / sum by (host) (rate(requests_total[5m])) > 0.01",
    "rate(requests_total[5m])",
    "rate(requests_total[5m]) / rate(requests_total[1m])",
    "histogram_quantile(0.9, sum by (le, host) (rate(latency_bucket[5m])))",
    "label_replace(sum by (host) (rate(requests_total[5m])), \"h\", \"$1\", \"host\", \"host(.*)\")",
];

const RANGE: [&str; 3] = [
    "sum by (host) (rate(requests_total[1m]))",
    "services_status == 0",
    "max_over_time(services_status[1m])",
];

/// The value of a series, by its number, at a scrape.
type Course = fn(usize, i64) -> f64;

/// The labels of all series, and the course of each.
fn series() -> Vec<(Labels, Course)> {
    let mut series: Vec<(Labels, Course)> = Vec::new();
    let mut add = |name: &str, pairs: &[(&str, String)], value: Course| {
        let pairs = pairs.iter().map(|(name, value)| (*name, value.as_str()));
        series.push((
            [("__name__", name), ("job", "node")].into_iter().chain(pairs).collect(),
            value,
        ));
    };
    for host in 0..1_000 {
        let host = ("host", format!("host{host}"));
        add("up", std::slice::from_ref(&host), |_, _| 1.0);
        for service in 0..30 {
            let name = ("name", format!("s{service}"));
            add("services_status", &[host.clone(), name], |at, _| {
                f64::from(u8::from(at % 97 != 0))
            });
        }
        for handler in 0..5 {
            for code in ["200", "301", "404", "500"] {
                let labels =
                    [host.clone(), ("handler", format!("/{handler}")), ("code", code.to_owned())];
                add("requests_total", &labels, |at, scrape| ((at % 13) as i64 * scrape) as f64);
            }
        }
        for le in
            ["0.1", "0.2", "0.5", "1", "2", "5", "10", "20", "50", "100", "200", "500", "+Inf"]
        {
            let labels = [host.clone(), ("le", le.to_owned())];
            add("latency_bucket", &labels, |at, scrape| (at as i64 * scrape) as f64);
        }
    }
    series
}

/// The median of a few runs, and how many elements there were.
#[expect(clippy::disallowed_methods, reason = "it measures the time that passes")]
fn measure(runs: usize, mut evaluate: impl FnMut() -> Evaluation) -> (Duration, usize) {
    let mut times = Vec::new();
    let mut count = 0;
    for _ in 0..runs {
        let start = Instant::now();
        let found = evaluate();
        times.push(start.elapsed());
        count = match &found.value {
            Value::Vector(elements) => elements.len(),
            Value::Matrix(series) => series.len(),
            _ => 1,
        };
    }
    times.sort();
    (times[times.len() / 2], count)
}

fn report(text: &str, plain: Duration, columns: (Duration, usize), shared: Option<Duration>) {
    let ms = |time: Duration| time.as_secs_f64() * 1000.0;
    let ratio = plain.as_secs_f64() / columns.0.as_secs_f64();
    let shared = shared.map(|time| format!("{:9.3}", ms(time))).unwrap_or_default();
    println!(
        "{:9.3} {:9.3} {shared:>9} {ratio:6.1}x {:6}  {text}",
        ms(plain),
        ms(columns.0),
        columns.1
    );
}

fn main() {
    let named: Vec<String> = std::env::args().skip(1).collect();
    let is_wanted = |text: &&str| named.is_empty() || named.iter().any(|named| named == text);
    let series = series();
    let mut window = Window::default();
    let mut now = TimeMs(0);
    for scrape in 0..SCRAPES {
        now = TimeMs(1_800_000_000_000 + scrape * STEP_MS);
        for (at, (labels, value)) in series.iter().enumerate() {
            let sample = Sample { at: now, value: value(at, scrape) };
            window.append_samples(labels, &[sample]);
        }
    }
    let options = EvalOptions::default();
    let plan = |text: &str| Plan::new(parse(text).expect(text), text).expect(text);
    println!("{} series\n plain ms columns ms shared ms  ratio  found", series.len());
    for text in INSTANT.into_iter().filter(is_wanted) {
        let plan = plan(text);
        let (plain, _) =
            measure(3, || plan.eval_instant_plain(&window, now, &options).expect(text));
        let columns = measure(15, || plan.eval_instant(&window, now, &options).expect(text));
        let mut cache = SelectorCache::default();
        let (shared, _) = measure(15, || {
            plan.eval_instant_shared(&window, now, &options, &mut cache).expect(text)
        });
        report(text, plain, columns, Some(shared));
    }
    println!("over {} steps:", SCRAPES);
    let start = TimeMs(now.0 - (SCRAPES - 1) * STEP_MS);
    let step = Duration::from_millis(STEP_MS as u64);
    for text in RANGE.into_iter().filter(is_wanted) {
        let plan = plan(text);
        let (plain, _) =
            measure(1, || plan.eval_range_plain(&window, start, now, step, &options).expect(text));
        let columns =
            measure(5, || plan.eval_range(&window, start, now, step, &options).expect(text));
        report(text, plain, columns, None);
    }
}
