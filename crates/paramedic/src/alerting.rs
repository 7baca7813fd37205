//! From `alerting` and `sending` of a configuration to the Alertmanagers that the engine tells.
//!
//! An entry of `alertmanagers` is a set: listed addresses, those of files, those of servers, each
//! relabelled, as in Prometheus. What cannot be an Alertmanager is said once and left out where it was
//! discovered, and refused at the start where it is listed.

use anyhow::Context as _;
use paramedic_engine::{Alertmanager, AlertmanagerSet, Handle, Sending};
use paramedic_integration::Environment;
use paramedic_model::Labels;
use paramedic_relabel::relabel;
use paramedic_scrape::{Alertmanager as Configured, Finder, TargetGroup};

use crate::config::{Config, SendingConfig};

/// Where alerts are posted below the prefix.
const PATH: &str = "/api/v2/alerts";

/// The Alertmanagers that are listed in a configuration or in its files, each with its client.
///
/// # Errors
///
/// An address that is none, and https without anybody to believe.
pub fn sending(config: &Config, environment: &Environment) -> anyhow::Result<Sending> {
    let mut alertmanagers = Vec::new();
    for configured in &config.alerting.alertmanagers {
        // What is listed must be right; what files say may be wrong for a while.
        set(configured, &configured.sources.fixed, environment, Err)?;
        let mut finder = finder(configured, environment);
        alertmanagers.push(found(configured, finder.at_once(), environment));
    }
    let SendingConfig { when_blind, resend_delay, queue_max, drain_timeout } = config.sending;
    let relabel = config.alerting.relabel.clone();
    let others = Sending::default();
    let sending = Sending { alertmanagers, relabel, resend_delay, queue_max, ..others };
    Ok(Sending { when_blind, drain_timeout, ..sending })
}

/// Tells the engine of the Alertmanagers of the entry `at`, and again whenever there are others, until
/// it stops.
pub async fn discover(at: usize, configured: Configured, environment: Environment, engine: Handle) {
    let mut finder = finder(&configured, &environment);
    finder.at_once();
    loop {
        let found = found(&configured, finder.next().await, &environment);
        if engine.alertmanagers(at, found).await.is_err() {
            return;
        }
    }
}

fn finder(configured: &Configured, environment: &Environment) -> Finder {
    Finder::new("alertmanagers", configured.sources.clone(), environment.clone())
}

/// The Alertmanagers of these groups; what cannot be one is said and left out.
fn found(
    configured: &Configured,
    groups: &[TargetGroup],
    environment: &Environment,
) -> AlertmanagerSet {
    let said = |error: anyhow::Error| {
        tracing::warn!("cannot send alerts: {error:#}");
        Ok(())
    };
    set(configured, groups, environment, said).unwrap_or_default()
}

/// The Alertmanagers of these groups. `wrong` decides what becomes of one that cannot be.
fn set(
    configured: &Configured,
    groups: &[TargetGroup],
    environment: &Environment,
    wrong: impl Fn(anyhow::Error) -> anyhow::Result<()>,
) -> anyhow::Result<AlertmanagerSet> {
    let mut set = AlertmanagerSet::default();
    for group in groups {
        for address in &group.targets {
            let place = Place::new(configured, address, &group.labels);
            let Some(relabelled) = relabel(&place.0, &configured.relabel).map(Place) else {
                set.dropped.push(place.url());
                continue;
            };
            let opened = relabelled.open(configured, environment);
            match opened.with_context(|| format!("alertmanager `{address}`")) {
                Ok(opened) => set.active.push(opened),
                Err(error) => wrong(error)?,
            }
        }
    }
    Ok(set)
}

/// Where an Alertmanager is, as labels say.
struct Place(Labels);

impl Place {
    fn new(configured: &Configured, address: &str, labels: &Labels) -> Self {
        let prefix = configured.path_prefix.trim_end_matches('/');
        let slash = if prefix.is_empty() || prefix.starts_with('/') { "" } else { "/" };
        let mut meta = labels.to_builder();
        meta.set("__address__", address)
            .set("__scheme__", &configured.scheme)
            .set("__alerts_path__", &format!("{slash}{prefix}{PATH}"));
        Self(meta.build())
    }

    /// Where alerts are posted.
    fn url(&self) -> String {
        let part = |name| self.0.value(name);
        format!("{}://{}{}", part("__scheme__"), part("__address__"), part("__alerts_path__"))
    }

    fn open(
        &self,
        configured: &Configured,
        environment: &Environment,
    ) -> anyhow::Result<Alertmanager> {
        let url = self.url();
        let base = url.strip_suffix(PATH).with_context(|| {
            let path = self.0.value("__alerts_path__");
            format!("alerts are posted to a path that ends in {PATH}, not {path:?}")
        })?;
        let mut client = configured.client.open(base, environment)?;
        if configured.client.follow_redirects {
            let (options, environment) = (configured.client.clone(), environment.clone());
            client = client.with_redirects(move |base| options.open(base, &environment));
        }
        let client = client.with_deadline(configured.timeout);
        Ok(Alertmanager { client, relabel: configured.alert_relabel.clone() })
    }
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
        let sending = sending(&config, &environment());
        (config, sending)
    }

    fn environment() -> Environment {
        Environment {
            clock: Arc::new(ScaledClock::wall()),
            transport: Arc::new(TcpTransport),
            processes: Arc::new(OsProcesses),
            redactor: Redactor::default(),
        }
    }

    fn urls(sending: &Sending) -> Vec<String> {
        let all = sending.alertmanagers.iter().flat_map(|set| &set.active);
        all.map(Alertmanager::url).collect()
    }

    #[test]
    fn what_the_documentation_shows_works() {
        let page = include_str!("../../../docs/alertmanager.md");
        let mut blocks = page.split("```yaml\n").skip(1);
        let mut next = || blocks.next().and_then(|block| block.split("```").next());
        let (_, sending) = read(next().expect("one on sending"));
        let sending = sending.expect("two Alertmanagers");
        let urls = urls(&sending);
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
            assert_eq!(urls(&sending), expected);
            let dropped = if expected.is_empty() { &["http://a:1/api/v2/alerts"][..] } else { &[] };
            assert_eq!(sending.alertmanagers[0].dropped, dropped);
        };
        check("action: drop, regex: '.*'", &[]);
        check("target_label: __address__, replacement: 'b:2'", &["http://b:2/api/v2/alerts"]);
        check("target_label: __scheme__, replacement: https", &["https://a:1/api/v2/alerts"]);
    }

    #[test]
    fn files_list_alertmanagers() {
        let folder = tempfile::tempdir().expect("a folder");
        let list =
            r#"[{"targets": ["a:1", "b:2"], "labels": {"__meta_dc": "x"}}, {"targets": ["/"]}]"#;
        std::fs::write(folder.path().join("ams.json"), list).expect("it can be written");
        let text = "alerting: { alertmanagers: [{ file_sd_configs: [{ files: ['ams.json'] }], \
                    static_configs: [{ targets: ['c:3'] }], \
                    relabel_configs: [{ source_labels: [__meta_filepath, __address__], \
                                        regex: '.*ams.json;(a:1)', target_label: __address__, \
                                        replacement: 'x-$1' }] }] }";
        let path = folder.path().join("p.yml");
        let config = Config::parse(&path, text, &[]).expect("a configuration");
        let sending = sending(&config, &environment()).expect("they can be opened");
        let expected = ["c:3", "x-a:1", "b:2"].map(|at| format!("http://{at}/api/v2/alerts"));
        assert_eq!(urls(&sending), expected, "and what is no address is left out");
    }

    #[test]
    fn what_is_listed_and_is_no_alertmanager_is_refused() {
        let (_, sending) = read(
            "alerting: { alertmanagers: [{ static_configs: [{ targets: ['a:1'] }], relabel_configs: \
             [{ target_label: __alerts_path__, replacement: /other }] }] }",
        );
        let error = format!("{:#}", sending.err().expect("it is refused"));
        assert!(error.starts_with("alertmanager `a:1`: alerts are posted to a path"), "{error}");
    }
}
