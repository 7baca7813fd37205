//! The named queries, and how long they take over HTTP.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow, bail};
use serde_json::Value;

use super::{clock, http};

/// How long one query may take.
const TIMEOUT: Duration = Duration::from_secs(120);
/// Each engine is asked so often, or as often as fits into the time.
const ROUNDS: usize = 60;
const ROUNDS_MIN: usize = 5;
/// The query that is compared in process, too, and how often its evaluation is asked about: apart, so
/// that telling of it costs the others nothing.
pub const IN_PROCESS: &str = "compare-empty";
const ROUNDS_INNER: usize = 15;

/// A query with the name that results keep.
pub struct Query {
    pub name: &'static str,
    pub expr: &'static str,
    pub title: &'static str,
}

/// What people and rules ask.
pub const QUERIES: [Query; 7] = [
    Query {
        name: "compare-empty",
        title: "newest-sample comparison, nothing found",
        expr: "opnsense_services_status == 2",
    },
    Query {
        name: "compare-found",
        title: "newest-sample comparison, some found",
        expr: "opnsense_services_status == 0",
    },
    Query {
        name: "sum-rate",
        title: "`sum by (host) (rate(x[5m]))`",
        expr: "sum by (host) (rate(http_requests_total[5m]))",
    },
    Query {
        name: "and-on",
        title: "`and on`",
        expr: "opnsense_wireguard_peer_status == 0 and on (device_name) \
               opnsense_wireguard_interfaces_status == 1",
    },
    Query {
        name: "quantile",
        title: "`histogram_quantile` per host",
        expr: "histogram_quantile(0.9, sum by (host, le) \
               (rate(http_request_duration_seconds_bucket[5m])))",
    },
    Query {
        name: "regex",
        title: "selector with a regular expression",
        expr: "opnsense_services_status{name=~\"(open|wire).*\",opnsense_instance=~\"fw.*7\"} == 0",
    },
    Query {
        name: "day",
        title: "`max_over_time` over 24 h of 100 series",
        expr: "max_over_time(bench_backfill[24h])",
    },
];

/// What asking one query many times showed.
pub struct Latency {
    pub p50: Duration,
    pub p99: Duration,
    /// How often it was asked.
    pub count: usize,
    /// How many elements the answer had.
    pub rows: usize,
    /// How long the evaluation took by the engine's own account, where it gives one: the median.
    pub inner: Option<Duration>,
}

/// Asks all engines `query` by turns, so that whatever disturbs the machine disturbs all, until it is
/// well known, for at most about `budget` each.
pub fn measure(addresses: &[SocketAddr], query: &Query, budget: Duration) -> Vec<Result<Latency>> {
    let mut asked: Vec<_> = addresses.iter().map(|address| Asked::new(*address, query)).collect();
    for round in 0..ROUNDS {
        for asked in &mut asked {
            if round < ROUNDS_MIN || asked.spent < budget {
                asked.ask(query);
            }
        }
    }
    if query.name == IN_PROCESS {
        for _ in 0..ROUNDS_INNER {
            asked.iter_mut().for_each(|asked| asked.ask_about(query));
        }
    }
    asked.into_iter().map(Asked::latency).collect()
}

/// One engine while it is asked.
struct Asked {
    address: SocketAddr,
    times: Vec<Duration>,
    inner: Vec<Duration>,
    spent: Duration,
    /// How many elements the first answer had, or what went wrong since.
    rows: Result<usize>,
}

impl Asked {
    /// The first answer warms caches, and is the one that is looked into.
    fn new(address: SocketAddr, query: &Query) -> Self {
        let rows = ask(address, query.expr, None).and_then(|answer| rows(&answer));
        Self { address, times: Vec::new(), inner: Vec::new(), spent: Duration::ZERO, rows }
    }

    fn ask(&mut self, query: &Query) {
        if self.rows.is_err() {
            return;
        }
        let start = clock::now();
        let answer = http::get(self.address, &path(query.expr, None), TIMEOUT);
        let time = start.elapsed();
        self.spent += time;
        match answer {
            Ok(answer) if answer.status == 200 => self.times.push(time),
            Ok(answer) => self.rows = Err(refused(&answer)),
            Err(error) => self.rows = Err(error),
        }
    }

    /// Asks for the engine's own account; one that gives none has none.
    fn ask_about(&mut self, query: &Query) {
        let path = path(query.expr, None) + "&stats=1";
        if let Ok(answer) = http::get(self.address, &path, TIMEOUT) {
            self.inner.extend(inner_time(&answer.body));
        }
    }

    fn latency(mut self) -> Result<Latency> {
        let inner = (!self.inner.is_empty()).then(|| percentile(&mut self.inner, 0.5));
        let mut share = |share| percentile(&mut self.times, share);
        let (p50, p99) = (share(0.5), share(0.99));
        Ok(Latency { p50, p99, count: self.times.len(), rows: self.rows?, inner })
    }
}

/// The seconds of evaluation that Prometheus tells where it is asked for `stats`.
fn inner_time(body: &str) -> Option<Duration> {
    let rest = body.rsplit_once("\"evalTotalTime\":")?.1;
    let number = rest.split([',', '}']).next()?;
    Duration::try_from_secs_f64(number.trim().parse().ok()?).ok()
}

fn refused(answer: &http::Answer) -> anyhow::Error {
    anyhow!("status {}: {}", answer.status, shortened(&answer.body))
}

/// The answer to an instant query, at a moment or now.
pub fn ask(address: SocketAddr, expr: &str, at_ms: Option<i64>) -> Result<Value> {
    let answer = http::get(address, &path(expr, at_ms), TIMEOUT)?;
    if answer.status != 200 {
        return Err(refused(&answer));
    }
    serde_json::from_str(&answer.body).context("the answer is not JSON")
}

fn path(expr: &str, at_ms: Option<i64>) -> String {
    let mut path = format!("/api/v1/query?query={}", http::escape(expr));
    if let Some(ms) = at_ms {
        path.push_str(&format!("&time={}.{:03}", ms / 1000, ms % 1000));
    }
    path
}

fn rows(answer: &Value) -> Result<usize> {
    let result = answer["data"]["result"].as_array().context("the answer has no result")?;
    Ok(result.len())
}

/// The number that `expr` comes to where it yields one element, and 0 where none.
pub fn number(address: SocketAddr, expr: &str, at_ms: Option<i64>) -> Result<f64> {
    let answer = ask(address, expr, at_ms)?;
    match answer["data"]["result"].as_array().map(Vec::as_slice) {
        Some([]) => Ok(0.0),
        Some([one]) => {
            let value = one["value"][1].as_str().context("no value")?;
            value.parse().with_context(|| format!("{value} is no number"))
        }
        _ => bail!("not one element"),
    }
}

fn shortened(text: &str) -> String {
    text.chars().take(200).collect::<String>().trim().to_owned()
}

/// The smallest of `times` that at least `share` of them do not exceed; zero for none.
pub fn percentile(times: &mut [Duration], share: f64) -> Duration {
    times.sort_unstable();
    let rank = (share * times.len() as f64).ceil() as usize;
    times.get(rank.max(1) - 1).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_of_evaluation_is_found_where_it_is_told() {
        let body = r#"{"data":{"result":[],"stats":{"timings":{"evalTotalTime":0.0005,"x":1}}}}"#;
        assert_eq!(inner_time(body), Some(Duration::from_micros(500)));
        assert_eq!(inner_time(r#"{"data":{"result":[]}}"#), None);
    }

    #[test]
    fn percentiles_are_of_the_nearest_rank() {
        let mut times: Vec<_> = (1..=100).rev().map(Duration::from_millis).collect();
        assert_eq!(percentile(&mut times, 0.5), Duration::from_millis(50));
        assert_eq!(percentile(&mut times, 0.99), Duration::from_millis(99));
        assert_eq!(percentile(&mut times[..1], 0.99), Duration::from_millis(1));
        assert_eq!(percentile(&mut [], 0.5), Duration::ZERO);
    }
}
