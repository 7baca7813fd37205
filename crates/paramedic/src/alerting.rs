//! From `alerting` and `sending` of a configuration to the Alertmanagers that the engine tells.

use anyhow::{Context as _, bail};
use paramedic_engine::{Alertmanager, Sending};
use paramedic_integration::Environment;
use paramedic_model::Labels;
use paramedic_relabel::relabel;
use paramedic_scrape::Alertmanager as Configured;

use crate::config::{Config, SendingConfig};

/// Where alerts are posted below the prefix.
const PATH: &str = "/api/v2/alerts";

/// The Alertmanagers of a configuration, each with its client.
///
/// # Errors
///
/// An address that is none, https without anybody to believe, or an Alertmanager that would have to
/// be discovered.
pub fn sending(config: &Config, environment: &Environment) -> anyhow::Result<Sending> {
    let mut alertmanagers = Vec::new();
    for configured in &config.alerting.alertmanagers {
        if !configured.sources.files.is_empty() || !configured.sources.http.is_empty() {
            bail!("alertmanagers are listed under `static_configs`, not discovered");
        }
        for group in &configured.sources.fixed {
            for address in &group.targets {
                let opened = open(configured, address, &group.labels, environment);
                let opened = opened.with_context(|| format!("alertmanager `{address}`"))?;
                alertmanagers.extend(opened);
            }
        }
    }
    let SendingConfig { when_blind, resend_delay, queue_max } = config.sending;
    let relabel = config.alerting.relabel.clone();
    let others = Sending::default();
    Ok(Sending { alertmanagers, relabel, resend_delay, queue_max, when_blind, ..others })
}

/// One Alertmanager, unless relabelling drops it.
fn open(
    configured: &Configured,
    address: &str,
    labels: &Labels,
    environment: &Environment,
) -> anyhow::Result<Option<Alertmanager>> {
    let prefix = configured.path_prefix.trim_end_matches('/');
    let mut meta = labels.to_builder();
    meta.set("__address__", address)
        .set("__scheme__", &configured.scheme)
        .set("__alerts_path__", &format!("{prefix}{PATH}"));
    let Some(labels) = relabel(&meta.build(), &configured.relabel) else { return Ok(None) };
    let path = labels.value("__alerts_path__");
    let prefix = path.strip_suffix(PATH).with_context(|| {
        format!("alerts are posted to a path that ends in {PATH}, not {path:?}")
    })?;
    let slash = if prefix.is_empty() || prefix.starts_with('/') { "" } else { "/" };
    let (scheme, address) = (labels.value("__scheme__"), labels.value("__address__"));
    let url = format!("{scheme}://{address}{slash}{prefix}");
    let client = configured.client.open(&url, environment)?.with_deadline(configured.timeout);
    Ok(Some(Alertmanager { client, relabel: configured.alert_relabel.clone() }))
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::Arc;

    use paramedic_integration::{OsProcesses, ScaledClock, TcpTransport};
    use paramedic_model::Redactor;

    use super::*;

    fn read(text: &str) -> (Config, anyhow::Result<Sending>) {
        let config = Config::parse(Path::new("p.yml"), text, &[]).expect("a configuration");
        let environment = Environment {
            clock: Arc::new(ScaledClock::wall()),
            transport: Arc::new(TcpTransport),
            processes: Arc::new(OsProcesses),
            redactor: Redactor::default(),
        };
        let sending = sending(&config, &environment);
        (config, sending)
    }

    #[test]
    fn what_the_documentation_shows_works() {
        let page = include_str!("../../../docs/alertmanager.md");
        let mut blocks = page.split("```yaml\n").skip(1);
        let mut next = || blocks.next().and_then(|block| block.split("```").next());
        let (_, sending) = read(next().expect("one on sending"));
        let sending = sending.expect("two Alertmanagers");
        let urls: Vec<_> = sending.alertmanagers.iter().map(Alertmanager::url).collect();
        let expected = [9093, 9094].map(|port| format!("http://127.0.0.1:{port}/am/api/v2/alerts"));
        assert_eq!(urls, expected);
        let (config, _) = read(next().expect("one on taking"));
        assert!(config.server.alerts);
    }

    #[test]
    fn addresses_are_relabelled() {
        let check = |rule: &str, expected: &[&str]| {
            let text = format!(
                "alerting: {{ alertmanagers: [{{ static_configs: [{{ targets: ['a:1'] }}], \
                 relabel_configs: [{{ {rule} }}] }}] }}"
            );
            let sending = read(&text).1.expect("they can be opened");
            let urls: Vec<_> = sending.alertmanagers.iter().map(Alertmanager::url).collect();
            assert_eq!(urls, expected);
        };
        check("action: drop, regex: '.*'", &[]);
        check("target_label: __address__, replacement: 'b:2'", &["http://b:2/api/v2/alerts"]);
    }
}
