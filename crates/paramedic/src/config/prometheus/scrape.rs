use std::collections::BTreeMap;
use std::sync::Arc;

use paramedic_exposition::Format;
use paramedic_relabel::NameScheme;
use paramedic_scrape::Job;

use super::super::yaml::{Mistake, Node, Read as _, Table};
use super::super::{Global, Reader};
use super::scheme;

/// What is asked for where nothing else is said.
pub(super) const DEFAULT_PROTOCOLS: [&str; 4] =
    ["OpenMetricsText1.0.0", "OpenMetricsText0.0.1", "PrometheusText1.0.0", "PrometheusText0.0.4"];

const PROTOBUF: &str = "PrometheusProto";

impl Reader<'_> {
    pub(in super::super) fn jobs(&mut self, node: Option<&Node>, global: &Global) -> Vec<Arc<Job>> {
        let Some(node) = node else { return Vec::new() };
        let Some(items) = self.note(node.list("scrape_configs")) else { return Vec::new() };
        let mut jobs: Vec<Arc<Job>> = Vec::new();
        for item in items {
            let job = self.job(item, global);
            let Some(job) = self.note(job) else { continue };
            if jobs.iter().any(|earlier| earlier.name == job.name) {
                let message = format!("found multiple scrape configs with job name {:?}", job.name);
                self.mistakes.push(item.mistake(message));
            }
            jobs.push(Arc::new(job));
        }
        jobs
    }

    fn job(&mut self, node: &Node, global: &Global) -> Result<Job, Mistake> {
        let mut table = Table::new(node, "scrape_configs")?;
        let name = table.require("job_name")?.text("job_name")?.to_owned();
        if name.is_empty() {
            return Err(node.mistake("job_name is empty"));
        }
        let interval = self.duration(table.get("scrape_interval"), "scrape_interval");
        let interval = interval.filter(|i| !i.is_zero()).unwrap_or(global.scrape_interval);
        let timeout_node = table.get("scrape_timeout");
        let timeout = self.duration(timeout_node, "scrape_timeout").filter(|t| !t.is_zero());
        if timeout.is_some_and(|timeout| timeout > interval) {
            let message = format!(
                "scrape timeout greater than scrape interval for scrape config with job name {name:?}"
            );
            self.mistakes.push(timeout_node.unwrap_or(node).mistake(message));
        }
        let timeout = timeout.unwrap_or(global.scrape_timeout.min(interval));
        let metrics_path = match table.get("metrics_path") {
            Some(node) => node.text("metrics_path")?.to_owned(),
            None => "/metrics".to_owned(),
        };
        let scheme = scheme(table.get("scheme"))?;
        let mut params = BTreeMap::new();
        if let Some(node) = table.get("params") {
            for (key, values) in node.pairs("params")? {
                params.insert(key.text.clone(), values.texts("params")?);
            }
        }
        let honor_labels = self.flag(table.get("honor_labels"), "honor_labels").unwrap_or(false);
        let honor_timestamps = self.flag(table.get("honor_timestamps"), "honor_timestamps");
        let tracked = table.get("track_timestamps_staleness");
        let track_timestamps = self.flag(tracked, "track_timestamps_staleness");
        let compression = self.flag(table.get("enable_compression"), "enable_compression");
        let defaults = self.job_defaults(&mut table, &global.jobs)?;
        let fallback = match table.get("fallback_scrape_protocol") {
            None => None,
            Some(node) => Some(fallback(node)?),
        };
        let client = self.client(&mut table, node)?;
        let relabel_node = table.get("relabel_configs");
        let relabel = self.rules(relabel_node, "relabel_configs", defaults.names);
        let metric_node = table.get("metric_relabel_configs");
        let metric_relabel = self.rules(metric_node, "metric_relabel_configs", defaults.names);
        let sources = self.sources(&mut table, defaults.names)?;
        const REFUSED: [(&str, &str); 3] = [
            ("scrape_failure_log_file", "failed scrapes are on standard error and on the pages"),
            ("native_histogram_bucket_limit", "targets are scraped in the text formats"),
            ("native_histogram_min_bucket_factor", "targets are scraped in the text formats"),
        ];
        self.refuse(&mut table, &REFUSED);
        self.mistakes.extend(table.unknown());
        Ok(Job {
            name,
            interval,
            timeout,
            scheme,
            metrics_path,
            params,
            honor_labels,
            honor_timestamps: honor_timestamps.unwrap_or(true),
            track_timestamps: track_timestamps.unwrap_or(false),
            compression: compression.unwrap_or(true),
            accept: accept(&defaults.protocols, defaults.names),
            fallback,
            client,
            limits: defaults.limits,
            target_limit: defaults.target_limit,
            keep_dropped: defaults.keep_dropped,
            relabel,
            metric_relabel: metric_relabel.into(),
            sources,
        })
    }
}

/// The names under `scrape_protocols`.
pub(super) fn protocols(node: &Node) -> Result<Vec<String>, Mistake> {
    let mut names: Vec<String> = Vec::new();
    for item in node.list("scrape_protocols")? {
        let name = item.text("scrape_protocols")?;
        check_protocol(item, name)?;
        if names.iter().any(|earlier| earlier == name) {
            let message = format!("duplicated protocol in scrape_protocols, got {name}");
            return Err(item.mistake(message));
        }
        names.push(name.to_owned());
    }
    match names.is_empty() {
        true => Err(node.mistake("scrape_protocols cannot be empty")),
        false => Ok(names),
    }
}

fn check_protocol(node: &Node, name: &str) -> Result<(), Mistake> {
    if name == PROTOBUF {
        let message = "`PrometheusProto` is not supported: targets are scraped in the text formats; \
                       leave it out";
        return Err(node.mistake(message));
    }
    if !DEFAULT_PROTOCOLS.contains(&name) {
        let message =
            format!("unknown scrape protocol {name}, supported: {}", DEFAULT_PROTOCOLS.join(", "));
        return Err(node.mistake(message));
    }
    Ok(())
}

fn fallback(node: &Node) -> Result<Format, Mistake> {
    let name = node.text("fallback_scrape_protocol")?;
    check_protocol(node, name)?;
    Ok(match name.starts_with("OpenMetrics") {
        true => Format::OpenMetrics,
        false => Format::Text,
    })
}

/// The `Accept` header that asks for these, the first first.
fn accept(protocols: &[String], names: NameScheme) -> String {
    let escaping = match names {
        NameScheme::Utf8 => "allow-utf-8",
        NameScheme::Legacy => "underscores",
    };
    let mut weight = protocols.len() + 2;
    let mut text = String::new();
    for name in protocols {
        let (media, version) = match name.as_str() {
            "OpenMetricsText1.0.0" => ("application/openmetrics-text", "1.0.0"),
            "OpenMetricsText0.0.1" => ("application/openmetrics-text", "0.0.1"),
            "PrometheusText1.0.0" => ("text/plain", "1.0.0"),
            _ => ("text/plain", "0.0.4"),
        };
        text.push_str(&format!("{media};version={version}"));
        if version == "1.0.0" {
            text.push_str(&format!(";escaping={escaping}"));
        }
        text.push_str(&format!(";q=0.{weight},"));
        weight -= 1;
    }
    text + &format!("*/*;q=0.{weight}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_formats_are_asked_for_as_prometheus_asks() {
        let all = DEFAULT_PROTOCOLS.map(str::to_owned);
        assert_eq!(
            accept(&all, NameScheme::Utf8),
            "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,\
             application/openmetrics-text;version=0.0.1;q=0.5,\
             text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,\
             */*;q=0.2"
        );
    }
}
