//! `/metrics`: what this process counts of its own work, in the names of Prometheus, so that the
//! dashboards and alerts that watch a Prometheus watch this one.
//!
//! A metric is there where it means here what it means there; what has no counterpart is left out
//! rather than shown as zero. `rule_group` is `file;group`, as there. Metrics of our own begin with
//! `paramedic_`.
//!
//! Not here: metrics of systems, which are samples and answer queries.

use axum::extract::State;
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use paramedic_engine::{Engine, GroupVitals, SendingVitals};
use paramedic_exposition::{Family, Metadata, MetricType, ScrapedSample, TEXT_CONTENT_TYPE};
use paramedic_incident::{Incident, Signal};
use paramedic_model::{Series, TimeMs};
use paramedic_rules::Group;

use crate::app::App;
use crate::problem::Problem;
use crate::process::Process;
use crate::prometheus::PROMETHEUS_VERSION;

/// The shares of rounds that a summary tells, as in Prometheus.
const QUANTILES: [(f64, &str); 5] =
    [(0.01, "0.01"), (0.05, "0.05"), (0.5, "0.5"), (0.9, "0.9"), (0.99, "0.99")];

pub(crate) async fn show(State(app): State<App>, headers: HeaderMap) -> Result<Response, Problem> {
    app.access().check_site(&headers)?;
    let mut page = app.read(|engine, _| of_engine(engine)).await?;
    of_server(&mut page, &app);
    of_process(&mut page, Process::here(), app.prometheus().started());
    let text = paramedic_exposition::write_text(&page.0);
    Ok(([(header::CONTENT_TYPE, TEXT_CONTENT_TYPE)], text).into_response())
}

/// Families in the order in which they are shown.
#[derive(Default)]
struct Page(Vec<Family>);

impl Page {
    /// Begins a family.
    fn family(&mut self, name: &str, metric_type: MetricType, help: &str) -> &mut Family {
        let metadata = Metadata {
            name: name.to_owned(),
            metric_type,
            help: help.to_owned(),
            unit: String::new(),
        };
        self.0.push(Family { metadata, samples: Vec::new() });
        let last = self.0.len() - 1;
        &mut self.0[last]
    }

    fn gauge(&mut self, name: &str, help: &str, value: f64) {
        let family = self.family(name, MetricType::Gauge, help);
        sample(family, name, [], value);
    }

    fn counter(&mut self, name: &str, help: &str, value: f64) {
        let family = self.family(name, MetricType::Counter, help);
        sample(family, name, [], value);
    }
}

fn sample<const N: usize>(family: &mut Family, name: &str, labels: [(&str, &str); N], value: f64) {
    let series = Series::new(name, labels, value);
    family.samples.push(ScrapedSample { series, at: None });
}

fn seconds(at: TimeMs) -> f64 {
    at.0 as f64 / 1000.0
}

fn of_engine(engine: &Engine) -> Page {
    let mut page = Page::default();
    of_rules(&mut page, engine);
    of_samples(&mut page, engine);
    of_sending(&mut page, engine);
    let targets = engine.targets().len();
    let unseen = engine.targets().keys().filter(|target| engine.failure(target).is_some()).count();
    page.gauge("paramedic_targets", "Number of targets that are collected.", targets as f64);
    page.gauge(
        "paramedic_targets_failing",
        "Number of targets whose last collection failed.",
        unseen as f64,
    );
    let open = engine.incidents().filter(|incident| incident.is_open()).count();
    page.gauge("paramedic_incidents_open", "Number of open incidents.", open as f64);
    let of_open = |is: fn(&Incident) -> bool| {
        engine.incidents().filter(|one| one.is_open() && is(one)).count() as f64
    };
    page.gauge(
        "paramedic_incidents_blind",
        "Number of open incidents of which it is not known whether the alert fires.",
        of_open(|incident| incident.signal == Signal::Blind),
    );
    page.gauge(
        "paramedic_targets_lost",
        "Number of targets whose loss has an open incident of its own.",
        of_open(|incident| incident.opened.lost.is_some() && incident.signal != Signal::Clear),
    );
    page
}

/// How the value of an Alertmanager's metric is found.
type OfSending = fn(&SendingVitals) -> f64;

/// Alerts on their way to Alertmanagers; nothing where nobody is told.
fn of_sending(page: &mut Page, engine: &Engine) {
    use MetricType::{Counter, Gauge};
    let vitals = engine.sending_vitals();
    if vitals.is_empty() {
        return;
    }
    let families: [(&str, MetricType, &str, OfSending); 4] = [
        (
            "prometheus_notifications_dropped_total",
            Counter,
            "Total number of alerts dropped due to errors when sending to Alertmanager.",
            |vitals| vitals.dropped as f64,
        ),
        (
            "prometheus_notifications_errors_total",
            Counter,
            "Total number of requests to Alertmanager that failed.",
            |vitals| vitals.errors as f64,
        ),
        (
            "prometheus_notifications_queue_length",
            Gauge,
            "The number of alert notifications in the queue.",
            |vitals| vitals.waiting as f64,
        ),
        (
            "prometheus_notifications_sent_total",
            Counter,
            "Total number of alerts sent.",
            |vitals| vitals.sent as f64,
        ),
    ];
    for (name, kind, help, value) in families {
        let family = page.family(name, kind, help);
        for (url, vitals) in &vitals {
            sample(family, name, [("alertmanager", url.as_str())], value(vitals));
        }
    }
}

/// How the value of a group's metric is found.
type OfGroup = fn(&Group, &GroupVitals) -> Option<f64>;

fn of_rules(page: &mut Page, engine: &Engine) {
    use MetricType::{Counter, Gauge};
    let vitals = engine.rule_vitals();
    let families: [(&str, MetricType, &str, OfGroup); 9] = [
        (
            "prometheus_rule_evaluation_failures_total",
            Counter,
            "The total number of rule evaluation failures.",
            |_, vitals| Some(vitals.failures as f64),
        ),
        (
            "prometheus_rule_evaluations_total",
            Counter,
            "The total number of rule evaluations.",
            |_, vitals| Some(vitals.evaluations as f64),
        ),
        (
            "prometheus_rule_group_interval_seconds",
            Gauge,
            "The interval of a rule group.",
            |group, _| Some(group.interval().as_secs_f64()),
        ),
        (
            "prometheus_rule_group_iterations_missed_total",
            Counter,
            "The total number of rule group evaluations missed due to slow rule group evaluation.",
            |_, vitals| Some(vitals.missed as f64),
        ),
        (
            "prometheus_rule_group_iterations_total",
            Counter,
            "The total number of scheduled rule group evaluations, whether executed or missed.",
            |_, vitals| Some((vitals.rounds + vitals.missed) as f64),
        ),
        (
            "prometheus_rule_group_last_duration_seconds",
            Gauge,
            "The duration of the last rule group evaluation.",
            |_, vitals| (vitals.rounds > 0).then_some(vitals.last_duration.as_secs_f64()),
        ),
        (
            "prometheus_rule_group_last_evaluation_samples",
            Gauge,
            "The number of samples returned during the last rule group evaluation.",
            |_, vitals| (vitals.rounds > 0).then_some(vitals.last_samples as f64),
        ),
        (
            "prometheus_rule_group_last_evaluation_timestamp_seconds",
            Gauge,
            "The timestamp of the last rule group evaluation in seconds.",
            |group, _| group.evaluated_at().map(seconds),
        ),
        ("prometheus_rule_group_rules", Gauge, "The number of rules.", |group, _| {
            Some(group.rules().len() as f64)
        }),
    ];
    let mut groups: Vec<_> = engine.groups().iter().map(|group| (group.key(), group)).collect();
    groups.sort_by(|(a, _), (b, _)| a.cmp(b));
    for (name, metric_type, help, value) in families {
        let family = page.family(name, metric_type, help);
        for (key, group) in &groups {
            let vitals = vitals.groups().get(key).copied().unwrap_or_default();
            if let Some(value) = value(group, &vitals) {
                sample(family, name, [("rule_group", key)], value);
            }
        }
    }
    let name = "prometheus_rule_group_duration_seconds";
    let family = page.family(name, MetricType::Summary, "The duration of rule group evaluations.");
    let durations = vitals.quantiles(QUANTILES.map(|(share, _)| share));
    for (i, (_, quantile)) in QUANTILES.iter().enumerate() {
        let value = durations.map_or(f64::NAN, |durations| durations[i].as_secs_f64());
        sample(family, name, [("quantile", quantile)], value);
    }
    let (rounds, duration) = vitals.total();
    sample(family, &format!("{name}_sum"), [], duration.as_secs_f64());
    sample(family, &format!("{name}_count"), [], rounds as f64);
}

fn of_samples(page: &mut Page, engine: &Engine) {
    let (vitals, window) = (engine.ingest_vitals(), engine.window());
    let name = "prometheus_tsdb_head_samples_appended_total";
    let family = page.family(name, MetricType::Counter, "Total number of appended samples.");
    sample(family, name, [("type", "float")], vitals.appended as f64);
    page.gauge(
        "prometheus_tsdb_head_series",
        "Total number of series in the head block.",
        window.series_count() as f64,
    );
    let refused = [
        (
            "prometheus_target_scrapes_sample_duplicate_timestamp_total",
            "Total number of samples rejected due to duplicate timestamps but different values.",
            vitals.duplicate,
        ),
        (
            "prometheus_target_scrapes_sample_out_of_order_total",
            "Total number of samples rejected due to not being out of the expected order.",
            vitals.out_of_order,
        ),
        (
            "prometheus_target_scrapes_sample_out_of_bounds_total",
            "Total number of samples rejected due to timestamp falling outside of the time bounds.",
            vitals.expired,
        ),
        (
            "paramedic_samples_over_limit_total",
            "Total number of samples rejected because their series would exceed the memory limit.",
            vitals.over_limit,
        ),
        (
            "paramedic_samples_unlogged_total",
            "Total number of samples that were taken but not logged, so that a restart loses them.",
            vitals.unlogged,
        ),
    ];
    for (name, help, value) in refused {
        page.counter(name, help, value as f64);
    }
    page.gauge(
        "paramedic_samples_log_failing",
        "Whether samples cannot be logged at present.",
        f64::from(u8::from(engine.unlogged().is_some())),
    );
    let refused = engine.targets().keys().filter(|target| engine.refused(target).is_some());
    page.gauge(
        "paramedic_targets_refused",
        "Number of targets of whose last collection not all samples were taken.",
        refused.count() as f64,
    );
    page.gauge(
        "paramedic_samples_bytes",
        "Estimated memory of all samples and their labels.",
        window.memory_bytes() as f64,
    );
}

fn of_server(page: &mut Page, app: &App) {
    let version = env!("CARGO_PKG_VERSION");
    let name = "prometheus_build_info";
    let help = "A metric with a constant '1' value: which Prometheus this answers as.";
    let family = page.family(name, MetricType::Gauge, help);
    let revision = format!("paramedic-{version}");
    sample(family, name, [("version", PROMETHEUS_VERSION), ("revision", &revision)], 1.0);
    let name = "paramedic_build_info";
    let help = "A metric with a constant '1' value labeled by version.";
    let family = page.family(name, MetricType::Gauge, help);
    sample(family, name, [("version", version)], 1.0);
    let api = app.prometheus();
    // A configuration that cannot be used is refused at the start: without a reload all is well.
    let (is_good, good_at) =
        app.reloader().map_or((true, api.started()), |reloader| reloader.last());
    page.gauge(
        "prometheus_config_last_reload_success_timestamp_seconds",
        "Timestamp of the last successful configuration reload.",
        seconds(good_at),
    );
    page.gauge(
        "prometheus_config_last_reload_successful",
        "Whether the last configuration reload attempt was successful.",
        f64::from(u8::from(is_good)),
    );
    let needs_restart = app.reloader().is_some_and(|reloader| reloader.needs_restart());
    page.gauge(
        "paramedic_config_needs_restart",
        "Whether the configuration says something, as last read, that only a restart applies.",
        f64::from(u8::from(needs_restart)),
    );
    let (running, places) = api.queries();
    page.gauge(
        "prometheus_engine_queries",
        "The current number of queries being executed.",
        running as f64,
    );
    page.gauge(
        "prometheus_engine_queries_concurrent_max",
        "The max number of concurrent queries.",
        places as f64,
    );
    page.gauge(
        "prometheus_ready",
        "Whether startup was fully completed and the server is ready for normal operation.",
        1.0,
    );
}

/// The names that client libraries of Prometheus give every process.
fn of_process(page: &mut Page, process: Option<Process>, started: TimeMs) {
    page.gauge(
        "process_start_time_seconds",
        "Start time of the process since unix epoch in seconds.",
        seconds(started),
    );
    let Some(process) = process else { return };
    page.counter(
        "process_cpu_seconds_total",
        "Total user and system CPU time spent in seconds.",
        process.cpu_seconds,
    );
    let bytes = [
        ("process_resident_memory_bytes", "Resident memory size in bytes.", process.resident_bytes),
        ("process_virtual_memory_bytes", "Virtual memory size in bytes.", process.virtual_bytes),
        ("process_open_fds", "Number of open file descriptors.", process.open_fds),
    ];
    for (name, help, value) in bytes {
        page.gauge(name, help, value as f64);
    }
}
