//! The simulated Traefik process: its configuration, its health checks, its metrics.
//!
//! Time moves only when somebody asks: [`Process::advance`] makes up for the health checks that were
//! due since the last time. The life cycle of the gauge is that of version 3: no series until one
//! interval after a start or a change, the last value kept across a change, and a series whose
//! service is gone exposed for one more scrape.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::time::Duration;

use paramedic_model::TimeMs;

use super::config::Config;

/// What the dynamic file on disk holds now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum DynamicFile {
    /// A configuration that can be read.
    Good(Config),
    /// Something that cannot, with what Traefik says of it.
    Broken(&'static str),
}

/// One server of one service: `shop@file` and the URL.
type Server = (String, String);

/// One run of Traefik, from its start to its end.
#[derive(Debug, Clone)]
pub(super) struct Process {
    pub started: TimeMs,
    /// When the present configuration was applied; the checks count from here.
    applied: TimeMs,
    reloads: u64,
    pub config: Config,
    gauge: BTreeMap<Server, bool>,
    /// What the API says; a server that is not in it counts as `UP`.
    down: BTreeSet<Server>,
    /// Series whose service is gone, exposed once more.
    leaving: BTreeSet<Server>,
    /// The number of the last round of checks, by service.
    rounds: BTreeMap<&'static str, u64>,
}

impl Process {
    /// A process that started at `now` with this file. The second value is what it logs.
    pub fn start(now: TimeMs, file: &DynamicFile) -> (Self, Option<String>) {
        let (config, log) = match file {
            DynamicFile::Good(config) => (config.clone(), None),
            DynamicFile::Broken(error) => {
                let message = "Error while building configuration (for the first time)";
                (Config::default(), Some(error_line(now, error, message)))
            }
        };
        let process = Self {
            started: now,
            applied: now,
            reloads: 1,
            config,
            gauge: BTreeMap::new(),
            down: BTreeSet::new(),
            leaving: BTreeSet::new(),
            rounds: BTreeMap::new(),
        };
        (process, log)
    }

    /// The file on disk has changed and the watcher saw it. Returns what Traefik logs.
    pub fn reload(&mut self, now: TimeMs, file: &DynamicFile) -> Option<String> {
        let config = match file {
            DynamicFile::Good(config) => config,
            DynamicFile::Broken(error) => {
                return Some(error_line(now, error, "Error occurred during watcher callback"));
            }
        };
        if *config == self.config {
            return None;
        }
        self.config = config.clone();
        self.applied = now;
        self.reloads += 1;
        self.rounds.clear();
        self.down.clear();
        let configured = self.configured();
        self.leaving =
            self.gauge.keys().filter(|key| !configured.contains(*key)).cloned().collect();
        None
    }

    /// Makes up for the health checks that were due up to `now`. `healthy` says whether a server
    /// passes the check of its service.
    pub fn advance(&mut self, now: TimeMs, healthy: impl Fn(&str, &str) -> bool) {
        for service in &self.config.services {
            let Some(check) = &service.check else { continue };
            if self.config.used_by(service.name).is_empty() {
                // The checker has stopped; the series stays as it was.
                continue;
            }
            let interval = Duration::from_secs(check.interval_seconds.max(1)).as_millis() as u64;
            let round = now.since(self.applied).as_millis() as u64 / interval;
            if round <= self.rounds.get(service.name).copied().unwrap_or(0) {
                continue;
            }
            self.rounds.insert(service.name, round);
            for url in &service.urls {
                let up = healthy(service.name, url);
                let server = (format!("{}@file", service.name), url.clone());
                if up {
                    self.down.remove(&server);
                } else {
                    self.down.insert(server.clone());
                }
                self.gauge.insert(server, up);
            }
        }
    }

    /// Every server of `service` fails its check now, whatever the interval says.
    pub fn fail_checks(&mut self, service: &str) {
        let Some(service) = self.config.service(service) else { return };
        for url in &service.urls {
            let server = (format!("{}@file", service.name), url.clone());
            self.down.insert(server.clone());
            self.gauge.insert(server, false);
        }
    }

    /// What the API says of a server.
    pub fn api_up(&self, service: &str, url: &str) -> bool {
        !self.down.contains(&(service.to_owned(), url.to_owned()))
    }

    /// `/metrics`. Reading it ends the series whose service is gone.
    pub fn metrics(&mut self, now: TimeMs) -> String {
        let mut out = String::new();
        let mut family = |name: &str, kind: &str, help: &str, samples: &[(String, f64)]| {
            let _ = writeln!(out, "# HELP {name} {help}\n# TYPE {name} {kind}");
            for (labels, value) in samples {
                let _ = writeln!(out, "{name}{labels} {value}");
            }
        };
        let plain = |value: f64| vec![(String::new(), value)];
        let seconds = |at: TimeMs| (at.0 / 1000) as f64;
        let age = now.since(self.started).as_secs_f64();
        family(
            "process_cpu_seconds_total",
            "counter",
            "Total user and system CPU time spent in seconds.",
            &plain(0.2 + (age / 100.0).floor() / 10.0),
        );
        family(
            "process_max_fds",
            "gauge",
            "Maximum number of open file descriptors.",
            &plain(20_000.0),
        );
        family("process_open_fds", "gauge", "Number of open file descriptors.", &plain(13.0));
        family(
            "process_resident_memory_bytes",
            "gauge",
            "Resident memory size in bytes.",
            &plain(90_820_608.0),
        );
        family(
            "process_start_time_seconds",
            "gauge",
            "Start time of the process since unix epoch in seconds.",
            &plain(self.started.as_secs_f64()),
        );
        family(
            "traefik_config_last_reload_success",
            "gauge",
            "Last config reload success",
            &plain(seconds(self.applied)),
        );
        family(
            "traefik_config_reloads_total",
            "counter",
            "Config reloads",
            &plain(self.reloads as f64),
        );
        family(
            "traefik_open_connections",
            "gauge",
            "How many open connections exist, by entryPoint and protocol",
            &[
                ("{entrypoint=\"traefik\",protocol=\"TCP\"}".to_owned(), 1.0),
                ("{entrypoint=\"web\",protocol=\"TCP\"}".to_owned(), 0.0),
            ],
        );
        let up: Vec<_> = self
            .gauge
            .iter()
            .map(|((service, url), up)| {
                (format!("{{service=\"{service}\",url=\"{url}\"}}"), f64::from(u8::from(*up)))
            })
            .collect();
        if !up.is_empty() {
            family(
                "traefik_service_server_up",
                "gauge",
                "service server is up, described by gauge value of 0 or 1.",
                &up,
            );
        }
        for server in std::mem::take(&mut self.leaving) {
            self.gauge.remove(&server);
        }
        out
    }

    fn configured(&self) -> BTreeSet<Server> {
        let servers = self.config.services.iter().flat_map(|service| {
            let name = format!("{}@file", service.name);
            service.urls.iter().map(move |url| (name.clone(), url.clone()))
        });
        servers.collect()
    }
}

/// An error as Traefik writes it with `log.format: json`.
fn error_line(now: TimeMs, error: &str, message: &str) -> String {
    format!(
        r#"{{"level":"error","providerName":"file","error":{error:?},"time":"{}","message":"{message}"}}"#,
        rfc3339_seconds(now)
    )
}

/// A moment as Traefik's log writes it: without a fraction.
pub(super) fn rfc3339_seconds(at: TimeMs) -> String {
    let text = at.to_string();
    match text.split_once('.') {
        Some((whole, _)) => format!("{whole}Z"),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::super::config::{Check, Router, Service};
    use super::*;

    const BEGIN: TimeMs = TimeMs(1_795_227_720_000);

    fn config(interval_seconds: u64) -> Config {
        let check = Check { path: "/health", interval_seconds, timeout_seconds: 1 };
        Config {
            routers: vec![Router { name: "app", service: "app" }],
            services: vec![Service {
                name: "app",
                urls: vec!["http://b:1".to_owned()],
                check: Some(check),
            }],
        }
    }

    fn up(process: &mut Process, now: TimeMs) -> Option<String> {
        let text = process.metrics(now);
        let line = text.lines().find(|line| line.starts_with("traefik_service_server_up"))?;
        line.rsplit(' ').next().map(str::to_owned)
    }

    /// The sequence of the reference, section 7.2.
    #[test]
    fn the_gauge_lives_as_in_version_3() {
        let second = |s: u64| BEGIN + Duration::from_secs(s);
        let (mut process, log) = Process::start(BEGIN, &DynamicFile::Good(config(10)));
        assert_eq!(log, None);
        process.advance(second(9), |_, _| true);
        assert_eq!(up(&mut process, second(9)), None, "no series before the first check");
        process.advance(second(10), |_, _| true);
        assert_eq!(up(&mut process, second(10)).as_deref(), Some("1"));
        process.advance(second(20), |_, _| false);
        assert_eq!(up(&mut process, second(20)).as_deref(), Some("0"));
        assert!(!process.api_up("app@file", "http://b:1"));

        // An unrelated change: the gauge keeps its value, the API forgets.
        let mut other = config(10);
        other.routers.push(Router { name: "new", service: "app" });
        process.reload(second(25), &DynamicFile::Good(other));
        process.advance(second(26), |_, _| false);
        assert_eq!(up(&mut process, second(26)).as_deref(), Some("0"));
        assert!(process.api_up("app@file", "http://b:1"));
        process.advance(second(35), |_, _| false);
        assert!(!process.api_up("app@file", "http://b:1"));

        // A broken file changes nothing but the log.
        let line = process.reload(second(36), &DynamicFile::Broken("yaml: line 3: x")).unwrap();
        assert!(line.contains(r#""error":"yaml: line 3: x""#), "{line}");
        assert!(line.contains(r#""message":"Error occurred during watcher callback""#), "{line}");

        // The router goes, the service stays: frozen. The service goes: one more scrape.
        let frozen = Config { routers: Vec::new(), ..config(10) };
        process.reload(second(40), &DynamicFile::Good(frozen));
        process.advance(second(60), |_, _| true);
        assert_eq!(up(&mut process, second(60)).as_deref(), Some("0"));
        process.reload(second(61), &DynamicFile::Good(Config::default()));
        assert_eq!(up(&mut process, second(61)).as_deref(), Some("0"));
        assert_eq!(up(&mut process, second(62)), None);
    }

    #[test]
    fn a_start_with_a_broken_file_has_no_routes_and_says_so() {
        let (process, log) = Process::start(BEGIN, &DynamicFile::Broken("yaml: line 3: x"));
        assert!(log.unwrap().contains("(for the first time)"));
        assert_eq!(process.config, Config::default());
    }
}
