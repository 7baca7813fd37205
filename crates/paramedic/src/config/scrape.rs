use std::time::Duration;

use paramedic_integration::{Address, Auth, TlsTrust};
use paramedic_model::{Labels, Secret};

use super::yaml::{Mistake, Node, Read as _, Table};
use super::{Global, Reader};

/// One target of a job in `scrape_configs`.
#[derive(Debug, Clone)]
pub struct HttpScrape {
    /// The job.
    pub job: String,
    /// How often.
    pub interval: Duration,
    /// How long one scrape may take.
    pub timeout: Duration,
    /// `http` or `https`.
    pub scheme: Scheme,
    /// The server.
    pub address: Address,
    /// The path below it.
    pub path: String,
    /// Labels besides `job` and `instance`.
    pub labels: Labels,
    /// Credentials.
    pub auth: Option<Auth>,
    /// Whom to believe, where the scheme is `https`.
    pub trust: Option<TlsTrust>,
}

/// The protocol of a scrape.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scheme {
    /// Plain HTTP.
    Http,
    /// HTTP over TLS.
    Https,
}

impl Reader<'_> {
    pub(super) fn scrapes(&mut self, node: Option<&Node>, global: &Global) -> Vec<HttpScrape> {
        let Some(node) = node else { return Vec::new() };
        let Some(jobs) = self.note(node.list("scrape_configs")) else { return Vec::new() };
        let mut scrapes = Vec::new();
        for job in jobs {
            let result = self.job(job, global);
            scrapes.extend(self.note(result).unwrap_or_default());
        }
        scrapes
    }

    fn job(&mut self, node: &Node, global: &Global) -> Result<Vec<HttpScrape>, Mistake> {
        let mut table = Table::new(node, "scrape_configs")?;
        let job = table.require("job_name")?.text("job_name")?.to_owned();
        let interval = self.duration(table.get("scrape_interval"), "scrape_interval");
        let interval = interval.unwrap_or(global.scrape_interval);
        let timeout = self.duration(table.get("scrape_timeout"), "scrape_timeout");
        let timeout = timeout.unwrap_or(global.scrape_timeout).min(interval);
        let path = match table.get("metrics_path") {
            Some(node) => node.text("metrics_path")?.to_owned(),
            None => "/metrics".to_owned(),
        };
        let scheme = match table.get("scheme") {
            None => Scheme::Http,
            Some(node) => match node.text("scheme")? {
                "http" => Scheme::Http,
                "https" => Scheme::Https,
                other => {
                    return Err(node.mistake(format!("`scheme` is http or https, not {other:?}")));
                }
            },
        };
        let auth = match table.get("basic_auth") {
            Some(node) => Some(self.basic_auth(node)?),
            None => None,
        };
        let trust = match table.get("tls_config") {
            Some(node) => self.tls_config(node)?,
            None => None,
        };
        if scheme == Scheme::Https && trust.is_none() {
            let message = "https needs `tls_config` with `ca_file`: this machine's own list of \
                           authorities is not used";
            return Err(node.mistake(message));
        }
        let mut scrapes = Vec::new();
        if let Some(configs) = table.get("static_configs") {
            for config in configs.list("static_configs")? {
                let mut table = Table::new(config, "static_configs")?;
                let labels: Labels = self.map(table.get("labels"), "labels").into_iter().collect();
                for target in table.require("targets")?.list("targets")? {
                    let text = target.text("targets")?;
                    let default_port = if scheme == Scheme::Https { 443 } else { 80 };
                    let address = Address::parse(text)
                        .or_else(|_| Address::parse(&format!("{text}:{default_port}")))
                        .map_err(|error| target.mistake(error.to_string()))?;
                    scrapes.push(HttpScrape {
                        job: job.clone(),
                        interval,
                        timeout,
                        scheme,
                        address,
                        path: path.clone(),
                        labels: labels.clone(),
                        auth: auth.clone(),
                        trust: trust.clone(),
                    });
                }
                self.mistakes.extend(table.unknown());
            }
        }
        const LATER: [(&str, &str); 8] = [
            ("relabel_configs", "give the labels under `static_configs`"),
            ("metric_relabel_configs", "samples are kept as they come"),
            ("file_sd_configs", "list the targets under `static_configs`"),
            ("http_sd_configs", "list the targets under `static_configs`"),
            ("dns_sd_configs", "list the targets under `static_configs`"),
            ("kubernetes_sd_configs", "list the targets under `static_configs`"),
            ("consul_sd_configs", "list the targets under `static_configs`"),
            ("params", "write a `metrics_path` that needs none"),
        ];
        self.refuse(&mut table, &LATER);
        self.mistakes.extend(table.unknown());
        Ok(scrapes)
    }

    fn basic_auth(&mut self, node: &Node) -> Result<Auth, Mistake> {
        let mut table = Table::new(node, "basic_auth")?;
        let user = Secret::new(table.require("username")?.text("username")?);
        if let Some(password) = table.get("password") {
            let message = "a password does not belong into this file; use `password_file`";
            return Err(password.mistake(message));
        }
        let file = table.require("password_file")?;
        let password = self.secret_file(file, file.text("password_file")?)?;
        self.mistakes.extend(table.unknown());
        Ok(Auth::Basic { user, password })
    }

    fn tls_config(&mut self, node: &Node) -> Result<Option<TlsTrust>, Mistake> {
        let mut table = Table::new(node, "tls_config")?;
        let insecure = table.get("insecure_skip_verify");
        let insecure = self.flag(insecure, "insecure_skip_verify").unwrap_or(false);
        let trust = match table.get("ca_file") {
            Some(file) => {
                let pem = self.secret_file(file, file.text("ca_file")?)?;
                Some(TlsTrust::Authorities(pem.expose().to_owned()))
            }
            None => insecure.then_some(TlsTrust::Anyone),
        };
        self.mistakes.extend(table.unknown());
        Ok(trust)
    }
}
