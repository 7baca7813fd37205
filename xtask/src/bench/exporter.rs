//! The synthetic exporter: a fleet of hosts with a hundred series each, in the text format.
//!
//! Shaped as the alerts of the shipped rules see the world: statuses that hardly change, counters, a
//! histogram, gauges. Names and labels are those of the exporters that people use. Values are a
//! function of host, series and time since the start alone, so every engine is fed the same.
//!
//! A target is a listener on a port of its own and serves [`HOSTS_PER_TARGET`] hosts. What does not
//! change is rendered once; a scrape copies it and writes the numbers in between.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use anyhow::Result;

use super::target::{Content, Target};

/// How many series one host has.
pub const SERIES_PER_HOST: usize = 100;
/// How many hosts one target speaks for.
const HOSTS_PER_TARGET: usize = 20;

/// The services of a host.
pub const SERVICES: [&str; 30] = [
    "unbound",
    "dhcpd",
    "ntpd",
    "syslog-ng",
    "configd",
    "cron",
    "openssh",
    "webgui",
    "suricata",
    "haproxy",
    "ipsec",
    "openvpn",
    "wireguard",
    "dnsmasq",
    "radvd",
    "monit",
    "netflow",
    "pf",
    "routing",
    "sysctl",
    "login",
    "dpinger",
    "acme",
    "ddclient",
    "telegraf",
    "zabbix",
    "squid",
    "freeradius",
    "snmpd",
    "mdns",
];
const BOUNDS: [&str; 11] =
    ["0.005", "0.01", "0.025", "0.05", "0.1", "0.25", "0.5", "1", "2.5", "5", "+Inf"];

/// How a value moves. All but `Fixed` are written at each scrape.
#[derive(Debug, Clone, Copy)]
enum Course {
    /// Grows by so much a second.
    Count { per_second: f64 },
    /// Goes up and down around a middle, by a tenth of it.
    Swing { middle: f64, phase: f64 },
}

impl Course {
    fn at(self, seconds: f64) -> f64 {
        match self {
            Self::Count { per_second } => (per_second * seconds).floor(),
            Self::Swing { middle, phase } => {
                let swing = middle * (1.0 + 0.1 * (seconds / 60.0 + phase).sin());
                (swing * 100.0).round() / 100.0
            }
        }
    }
}

/// The text of a target: fixed text, and the values between.
#[derive(Default)]
struct Page {
    /// Fixed text, and the value that follows it.
    pieces: Vec<(String, Course)>,
    /// Fixed text that no value follows yet.
    tail: String,
    samples: u64,
}

impl Page {
    fn kind(&mut self, name: &str, kind: &str) {
        let _ = writeln!(self.tail, "# TYPE {name} {kind}");
    }

    fn fixed(&mut self, series: &str, value: i64) {
        let _ = writeln!(self.tail, "{series} {value}");
        self.samples += 1;
    }

    fn moving(&mut self, series: &str, course: Course) {
        let _ = write!(self.tail, "{series} ");
        self.pieces.push((std::mem::take(&mut self.tail), course));
        self.tail.push('\n');
        self.samples += 1;
    }

    fn render(&self, seconds: f64, text: &mut String) {
        text.clear();
        for (fixed, course) in &self.pieces {
            text.push_str(fixed);
            let _ = write!(text, "{}", course.at(seconds));
        }
        text.push_str(&self.tail);
    }
}

/// The page of the hosts in `hosts`, family by family as the format wants it.
fn page(hosts: std::ops::Range<usize>) -> Page {
    let mut page = Page::default();
    statuses(&mut page, hosts.clone());
    requests(&mut page, hosts.clone());
    gauges(&mut page, hosts);
    page
}

fn statuses(page: &mut Page, hosts: std::ops::Range<usize>) {
    page.kind("opnsense_services_status", "gauge");
    for host in hosts.clone() {
        for (i, name) in SERVICES.iter().enumerate() {
            // One in a thousand is down, so that comparisons have something to find.
            let up = i64::from(host % 33 != 7 || i != host % SERVICES.len());
            let labels = format!("opnsense_instance=\"fw{host}\",name=\"{name}\"");
            page.fixed(
                &format!("opnsense_services_status{{{labels},description=\"{name} service\"}}"),
                up,
            );
        }
    }
    page.kind("opnsense_wireguard_interfaces_status", "gauge");
    for host in hosts.clone() {
        for device in 0..2 {
            page.fixed(&format!("opnsense_wireguard_interfaces_status{{opnsense_instance=\"fw{host}\",device=\"wg{device}\",device_type=\"wireguard\",device_name=\"tunnel{host}-{device}\"}}"), 1);
        }
    }
    page.kind("opnsense_wireguard_peer_status", "gauge");
    for host in hosts.clone() {
        for peer in 0..10 {
            let up = i64::from(host % 100 != 3 || peer != 4);
            page.fixed(&format!("opnsense_wireguard_peer_status{{opnsense_instance=\"fw{host}\",device=\"wg{0}\",device_type=\"wireguard\",device_name=\"tunnel{host}-{0}\",peer_name=\"peer{peer}\"}}", peer % 2), up);
        }
    }
    page.kind("traefik_service_server_up", "gauge");
    for host in hosts.clone() {
        for server in 0..6 {
            page.fixed(&format!("traefik_service_server_up{{host=\"host{host}\",service=\"app{}@docker\",url=\"http://192.0.2.{server}:8080\"}}", server / 2), 1);
        }
    }
    page.kind("oxidized_status", "gauge");
    for host in hosts.clone() {
        page.fixed(&format!("oxidized_status{{host=\"host{host}\"}}"), 1);
    }
    page.kind("windows_service_status", "gauge");
    for host in hosts {
        for service in 0..10 {
            page.fixed(&format!("windows_service_status{{host=\"host{host}\",name=\"service{service}\",status=\"ok\"}}"), 1);
        }
    }
}

fn requests(page: &mut Page, hosts: std::ops::Range<usize>) {
    page.kind("http_requests_total", "counter");
    for host in hosts.clone() {
        for i in 0..20 {
            let code = ["200", "301", "404", "500"][i % 4];
            // A quarter is busy; the rest counts now and then.
            let per_second =
                if i % 4 == 0 { 7.0 + (host % 11) as f64 } else { 0.05 * (1 + i) as f64 };
            page.moving(
                &format!("http_requests_total{{host=\"host{host}\",handler=\"/api/{}\",code=\"{code}\"}}", i / 4),
                Course::Count { per_second },
            );
        }
    }
    page.kind("http_request_duration_seconds", "histogram");
    for host in hosts {
        let name = "http_request_duration_seconds";
        let busy = 3.0 + (host % 7) as f64;
        for (i, bound) in BOUNDS.iter().enumerate() {
            let per_second = busy * (i + 1) as f64 / BOUNDS.len() as f64;
            page.moving(
                &format!("{name}_bucket{{host=\"host{host}\",le=\"{bound}\"}}"),
                Course::Count { per_second },
            );
        }
        page.moving(
            &format!("{name}_sum{{host=\"host{host}\"}}"),
            Course::Count { per_second: busy * 0.3 },
        );
        page.moving(
            &format!("{name}_count{{host=\"host{host}\"}}"),
            Course::Count { per_second: busy },
        );
    }
}

fn gauges(page: &mut Page, hosts: std::ops::Range<usize>) {
    let gauges = [
        ("node_load1", 0.4),
        ("node_memory_MemTotal_bytes", 0.0),
        ("node_memory_MemAvailable_bytes", 8e9),
        ("process_resident_memory_bytes", 3e8),
        ("process_open_fds", 120.0),
        ("go_goroutines", 60.0),
        ("room_temperature_celsius", 21.5),
        ("room_humidity_percent", 44.0),
    ];
    for (name, middle) in gauges {
        page.kind(name, "gauge");
        for host in hosts.clone() {
            let series = format!("{name}{{host=\"host{host}\"}}");
            if middle == 0.0 {
                page.fixed(&series, 16 << 30);
            } else {
                page.moving(&series, Course::Swing { middle, phase: host as f64 });
            }
        }
    }
}

/// The running exporter. It ends with the value.
pub struct Exporter {
    targets: Vec<Target>,
    counts: Arc<Counts>,
    series: usize,
}

/// What all targets served so far.
#[derive(Default)]
struct Counts {
    samples: AtomicU64,
    scrapes: AtomicU64,
}

/// What one target serves.
struct Share {
    page: Page,
    started: Instant,
    counts: Arc<Counts>,
}

impl Content for Share {
    fn render(&self, body: &mut String) {
        self.page.render(self.started.elapsed().as_secs_f64(), body);
    }

    fn served(&self) {
        self.counts.samples.fetch_add(self.page.samples, Ordering::Relaxed);
        self.counts.scrapes.fetch_add(1, Ordering::Relaxed);
    }
}

impl Exporter {
    /// Listens with as many targets as `series` series need, rounded up to whole hosts. Exporters
    /// with one `started` serve the same at the same time.
    pub fn start(series: usize, started: Instant) -> Result<Self> {
        let hosts = series.div_ceil(SERIES_PER_HOST);
        let counts = Arc::<Counts>::default();
        let targets = (0..hosts).step_by(HOSTS_PER_TARGET).map(|first| {
            let page = page(first..hosts.min(first + HOSTS_PER_TARGET));
            Target::listen(Share { page, started, counts: counts.clone() })
        });
        let targets = targets.collect::<Result<_>>()?;
        Ok(Self { targets, counts, series: hosts * SERIES_PER_HOST })
    }

    /// Where the targets listen.
    pub fn targets(&self) -> Vec<SocketAddr> {
        self.targets.iter().map(Target::address).collect()
    }

    /// How many hosts there are.
    pub fn hosts(&self) -> usize {
        self.series / SERIES_PER_HOST
    }

    /// How many samples were served so far.
    pub fn samples(&self) -> u64 {
        self.counts.samples.load(Ordering::Relaxed)
    }

    /// How many scrapes of one target were served so far.
    pub fn scrapes(&self) -> u64 {
        self.counts.scrapes.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_has_a_hundred_series_and_each_once() {
        let page = page(0..20);
        assert_eq!(page.samples as usize, 20 * SERIES_PER_HOST);
        let mut text = String::new();
        page.render(60.0, &mut text);
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        let series: std::collections::HashSet<_> =
            lines.map(|line| line.rsplit_once(' ').unwrap().0).collect();
        assert_eq!(series.len(), 20 * SERIES_PER_HOST);
    }

    #[test]
    fn values_follow_time_alone() {
        let (mut first, mut again, mut later) = (String::new(), String::new(), String::new());
        page(3..4).render(60.0, &mut first);
        page(3..4).render(60.0, &mut again);
        page(3..4).render(120.0, &mut later);
        assert_eq!(first, again);
        assert_ne!(first, later);
        assert!(first.contains(
            "\nhttp_requests_total{host=\"host3\",handler=\"/api/0\",code=\"200\"} 600\n"
        ));
        assert!(later.contains(
            "\nhttp_requests_total{host=\"host3\",handler=\"/api/0\",code=\"200\"} 1200\n"
        ));
    }
}
