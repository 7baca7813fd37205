//! The named queries, and how long they take over HTTP.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use super::{clock, http};

/// How long one query may take.
const TIMEOUT: Duration = Duration::from_secs(120);
/// A query is asked so often, or as often as fits into the time.
const ROUNDS: usize = 40;
const ROUNDS_MIN: usize = 3;

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
    /// How many elements the answer had.
    pub rows: usize,
}

/// Asks `query` until it is well known, for at most about `budget`.
pub fn measure(address: SocketAddr, query: &Query, budget: Duration) -> Result<Latency> {
    // The first answer warms caches, and is the one that is looked into.
    let rows = rows(&ask(address, query.expr, None)?)?;
    let start = clock::now();
    let mut times = Vec::new();
    while times.len() < ROUNDS && (times.len() < ROUNDS_MIN || start.elapsed() < budget) {
        let asked = clock::now();
        let answer = http::get(address, &path(query.expr, None), TIMEOUT)?;
        times.push(asked.elapsed());
        if answer.status != 200 {
            bail!("status {}: {}", answer.status, shortened(&answer.body));
        }
    }
    Ok(Latency { p50: percentile(&mut times, 0.5), p99: percentile(&mut times, 0.99), rows })
}

/// The answer to an instant query, at a moment or now.
pub fn ask(address: SocketAddr, expr: &str, at_ms: Option<i64>) -> Result<Value> {
    let answer = http::get(address, &path(expr, at_ms), TIMEOUT)?;
    if answer.status != 200 {
        bail!("status {}: {}", answer.status, shortened(&answer.body));
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
    fn percentiles_are_of_the_nearest_rank() {
        let mut times: Vec<_> = (1..=100).rev().map(Duration::from_millis).collect();
        assert_eq!(percentile(&mut times, 0.5), Duration::from_millis(50));
        assert_eq!(percentile(&mut times, 0.99), Duration::from_millis(99));
        assert_eq!(percentile(&mut times[..1], 0.99), Duration::from_millis(1));
        assert_eq!(percentile(&mut [], 0.5), Duration::ZERO);
    }
}
