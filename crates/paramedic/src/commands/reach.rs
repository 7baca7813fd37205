//! The way from the command line to a running server.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context as _, bail};
use clap::Args;
use paramedic_integration::{
    Auth, Environment, HttpClient, HttpRequest, HttpResponse, OsProcesses, ScaledClock,
    TcpTransport, TlsSettings, TlsTrust, UrlPath,
};
use paramedic_model::{Redactor, Secret};
use serde_json::Value;

/// How to reach a running server.
#[derive(Args)]
pub struct Reach {
    /// The server.
    #[arg(long, env = "PARAMEDIC_SERVER", default_value = "http://127.0.0.1:9190")]
    server: String,
    /// The file with its token, in the server's `data_dir`.
    #[arg(long, env = "PARAMEDIC_TOKEN_FILE", default_value = "paramedic-data/token")]
    token_file: PathBuf,
}

/// An address of the API.
pub fn path(rest: &[&str]) -> anyhow::Result<UrlPath> {
    let segments = [&["api", "paramedic", "v1"][..], rest].concat();
    Ok(UrlPath::new(&segments)?)
}

impl Reach {
    /// What the server says there.
    pub fn get(&self, rest: &[&str]) -> anyhow::Result<Value> {
        Ok(self.send(HttpRequest::get(path(rest)?))?.json()?)
    }

    /// The server's answer, whatever its status.
    pub fn send(&self, request: HttpRequest) -> anyhow::Result<HttpResponse> {
        let token = std::fs::read_to_string(&self.token_file).with_context(|| {
            format!(
                "could not read the token file {}; the server writes it into its data_dir, and \
                 --token-file says where that is",
                self.token_file.display()
            )
        })?;
        let environment = Environment {
            clock: Arc::new(ScaledClock::wall()),
            transport: Arc::new(TcpTransport),
            processes: Arc::new(OsProcesses),
            redactor: Redactor::default(),
        };
        if !self.server.starts_with("http://") {
            bail!("--server must be http://127.0.0.1:PORT: the server listens on loopback only");
        }
        // Never used, because the scheme is http.
        let tls = TlsSettings::new("--server", &TlsTrust::Anyone)?;
        let auth = Auth::Bearer(Secret::new(token.trim()));
        let client = HttpClient::new("--server", &self.server, tls, Some(auth), &environment)?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(client.send(request)).with_context(|| {
            format!("could not reach the server at {}; is `paramedic serve` running?", self.server)
        })
    }
}
