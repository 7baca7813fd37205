use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use paramedic_exposition::Format;
use paramedic_integration::{
    Connections, Credentials, Environment, HttpClient, SettingsError, TlsSettings, TlsTrust,
};
use paramedic_model::Labels;
use paramedic_relabel::Rule;

/// A job of `scrape_configs`: where its targets come from, and how they are scraped.
#[derive(Debug, Clone)]
pub struct Job {
    /// `job_name`, unique.
    pub name: String,
    /// `scrape_interval`
    pub interval: Duration,
    /// `scrape_timeout`, at most the interval.
    pub timeout: Duration,
    /// `scheme`, of targets that do not say another.
    pub scheme: String,
    /// `metrics_path`
    pub metrics_path: String,
    /// `params`
    pub params: BTreeMap<String, Vec<String>>,
    /// `honor_labels`: whether labels of a sample win over those of its target.
    pub honor_labels: bool,
    /// `honor_timestamps`: whether a sample stands at the time that it states itself.
    pub honor_timestamps: bool,
    /// `track_timestamps_staleness`: whether series of such samples end when the target no longer
    /// yields them.
    pub track_timestamps: bool,
    /// `enable_compression`
    pub compression: bool,
    /// The `Accept` header.
    pub accept: String,
    /// How a body is read whose `Content-Type` says nothing that is known; `None` refuses it.
    pub fallback: Option<Format>,
    /// How its targets are reached.
    pub client: ClientOptions,
    /// What a scrape may hold.
    pub limits: Limits,
    /// `target_limit`; 0 is none.
    pub target_limit: usize,
    /// `keep_dropped_targets`; 0 is all.
    pub keep_dropped: usize,
    /// `relabel_configs`
    pub relabel: Vec<Rule>,
    /// `metric_relabel_configs`
    pub metric_relabel: Arc<[Rule]>,
    /// Where the targets come from.
    pub sources: Sources,
}

/// What is asked for where a configuration says nothing else: OpenMetrics first, as Prometheus does.
const ACCEPT: &str = "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,\
                      application/openmetrics-text;version=0.0.1;q=0.5,\
                      text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,\
                      text/plain;version=0.0.4;q=0.3,*/*;q=0.2";

impl Job {
    /// A job with Prometheus's defaults and without targets.
    pub fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            interval: Duration::from_secs(60),
            timeout: Duration::from_secs(10),
            scheme: "http".to_owned(),
            metrics_path: "/metrics".to_owned(),
            params: BTreeMap::new(),
            honor_labels: false,
            honor_timestamps: true,
            track_timestamps: false,
            compression: true,
            accept: ACCEPT.to_owned(),
            fallback: None,
            client: ClientOptions::default(),
            limits: Limits::default(),
            target_limit: 0,
            keep_dropped: 0,
            relabel: Vec::new(),
            metric_relabel: Arc::default(),
            sources: Sources::default(),
        }
    }
}

/// What a scrape may hold; one that holds more fails as a whole. 0 is no limit.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Limits {
    /// `body_size_limit`, in bytes after decompression.
    pub body_bytes: usize,
    /// `sample_limit`, after relabelling.
    pub samples: usize,
    /// `label_limit`
    pub labels: usize,
    /// `label_name_length_limit`, in bytes.
    pub label_name_bytes: usize,
    /// `label_value_length_limit`, in bytes.
    pub label_value_bytes: usize,
}

/// Where targets come from.
#[derive(Debug, Clone, Default)]
pub struct Sources {
    /// `static_configs`
    pub fixed: Vec<TargetGroup>,
    /// `file_sd_configs`
    pub files: Vec<FileSource>,
    /// `http_sd_configs`
    pub http: Vec<HttpSource>,
}

/// Targets with the labels that they share.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TargetGroup {
    /// The addresses.
    pub targets: Vec<String>,
    /// The labels.
    pub labels: Labels,
}

/// Files that list target groups.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileSource {
    /// Paths; the last part may hold `*`.
    pub patterns: Vec<PathBuf>,
    /// `refresh_interval`. A file that changed is read sooner.
    pub refresh: Duration,
}

/// A server that lists target groups.
#[derive(Debug, Clone)]
pub struct HttpSource {
    /// The URL.
    pub url: String,
    /// `refresh_interval`
    pub refresh: Duration,
    /// How the server is reached.
    pub client: ClientOptions,
}

/// How HTTP servers are reached. A clone shares the connections that are kept.
#[derive(Debug, Clone)]
pub struct ClientOptions {
    /// `basic_auth` or `authorization`
    pub credentials: Option<Credentials>,
    /// `tls_config`; `None` where no authority is known, so that https fails.
    pub tls: Option<TlsSettings>,
    /// `follow_redirects`
    pub follow_redirects: bool,
    /// Connections that wait for the next request.
    pub connections: Connections,
}

impl Default for ClientOptions {
    fn default() -> Self {
        let connections = Connections::default();
        Self { credentials: None, tls: None, follow_redirects: true, connections }
    }
}

impl ClientOptions {
    /// A client of the server at `url`, which has no path.
    ///
    /// # Errors
    ///
    /// A URL that is none, or https without anybody to believe.
    pub fn open(&self, url: &str, environment: &Environment) -> Result<HttpClient, SettingsError> {
        let tls = match (&self.tls, url.starts_with("https:")) {
            (Some(tls), _) => tls.clone(),
            // Never used behind http.
            (None, false) => TlsSettings::new("tls_config", &TlsTrust::Anyone)?,
            (None, true) => {
                let reason = "https needs `ca_file`: no list of authorities is on this machine";
                return Err(SettingsError::new("tls_config", reason));
            }
        };
        let client = HttpClient::new("targets", url, tls, None, environment)?;
        let client = client.with_credentials(self.credentials.clone());
        Ok(client.with_connections(&self.connections))
    }
}

/// `alerting`: whom alerts are sent to.
#[derive(Debug, Clone, Default)]
pub struct Alerting {
    /// `alert_relabel_configs`, before those of each Alertmanager.
    pub relabel: Vec<Rule>,
    /// `alertmanagers`
    pub alertmanagers: Vec<Alertmanager>,
}

/// Alertmanagers that are found in one way and spoken to alike.
#[derive(Debug, Clone)]
pub struct Alertmanager {
    /// `http` or `https`
    pub scheme: String,
    /// `path_prefix`, before `/api/v2/alerts`.
    pub path_prefix: String,
    /// How long sending may take.
    pub timeout: Duration,
    /// How they are reached.
    pub client: ClientOptions,
    /// `relabel_configs`, for the addresses.
    pub relabel: Vec<Rule>,
    /// `alert_relabel_configs`, for what is sent to these.
    pub alert_relabel: Vec<Rule>,
    /// Where the addresses come from.
    pub sources: Sources,
}
