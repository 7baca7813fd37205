//! The built binary as a process, and simulated firewalls on loopback for it to watch.
//!
//! Nothing sleeps for a guessed time: [`eventually`] asks for a state until it is there.

use std::io::{BufRead as _, BufReader};
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use paramedic::kinds;
use paramedic::lab::Simulated;
use paramedic_integration::{Address, BoxStream, ScaledClock, TcpTransport, Transport as _};
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::sync::watch;

/// How long a state may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(90);
/// How long between two questions.
const PACE: Duration = Duration::from_millis(50);

/// Asks until there is an answer; fails with `what` where none comes.
pub async fn eventually<T>(what: &str, ask: impl AsyncFn() -> Option<T>) -> T {
    let begun = tokio::time::Instant::now();
    loop {
        if let Some(answer) = ask().await {
            return answer;
        }
        assert!(begun.elapsed() < PATIENCE, "never: {what}");
        tokio::time::sleep(PACE).await;
    }
}

/// The built binary, called with these arguments in this folder.
pub fn command(folder: &Path, args: &[&str]) -> Command {
    #[expect(clippy::disallowed_methods, reason = "the test is about the process")]
    let mut command = Command::new(env!("CARGO_BIN_EXE_paramedic"));
    command.args(args).current_dir(folder).env_clear().env("USER", "ann").stdin(Stdio::null());
    command
}

/// Runs the built binary to its end.
pub fn run(folder: &Path, args: &[&str]) -> Output {
    command(folder, args).output().expect("the binary runs")
}

/// A folder with a configuration, rules, a page, and the data of a server.
pub struct Site(tempfile::TempDir);

impl Site {
    /// A folder with these files.
    pub fn new(files: &[(&str, &str)]) -> Self {
        let site = Self(tempfile::tempdir().expect("a folder can be made"));
        files.iter().for_each(|(name, text)| site.write(name, text));
        site
    }

    pub fn path(&self) -> &Path {
        self.0.path()
    }

    pub fn write(&self, name: &str, text: &str) {
        let path = self.path().join(name);
        let folder = path.parent().expect("it stands in the site");
        std::fs::create_dir_all(folder).expect("a folder can be made");
        std::fs::write(path, text).expect("a file can be written");
    }

    /// Starts `paramedic serve` on `paramedic.yml`.
    pub async fn serve(&self) -> Serve {
        let mut child = command(self.path(), &["serve", "--config", "paramedic.yml"])
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary starts");
        let stderr = child.stderr.take().expect("standard error is a pipe");
        let said = Arc::new(Mutex::new(String::new()));
        let heard = said.clone();
        std::thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                let mut said = heard.lock().unwrap_or_else(PoisonError::into_inner);
                said.push_str(&line);
                said.push('\n');
            }
        });
        let mut serve =
            Serve { child, said, address: Address::new("", 0), folder: self.path().into() };
        serve.address = eventually("the server says where it listens", async || {
            let said = serve.said();
            let (_, rest) = said.split_once("pages and API on http://")?;
            let (address, _) = rest.split_once('/')?;
            Some(Address::parse(address).expect("an address"))
        })
        .await;
        serve
    }
}

/// A running `paramedic serve`; killed when dropped, and then its words are those of the test.
pub struct Serve {
    child: Child,
    said: Arc<Mutex<String>>,
    address: Address,
    folder: PathBuf,
}

impl Serve {
    /// What it wrote to standard error so far.
    pub fn said(&self) -> String {
        self.said.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// SIGKILL.
    pub fn kill(mut self) {
        self.child.kill().expect("it runs");
        self.child.wait().expect("it ends");
    }

    /// Whether it still runs, and has not panicked.
    pub fn is_well(&mut self) -> bool {
        let runs = self.child.try_wait().expect("it can be waited for").is_none();
        runs && !self.said().contains("panicked")
    }

    /// SIGHUP.
    pub fn hang_up(&self) {
        #[expect(clippy::disallowed_methods, reason = "the test is about the process")]
        let mut kill = Command::new("kill");
        let sent = kill.args(["-HUP", &self.child.id().to_string()]).status();
        assert!(sent.expect("kill is there").success());
    }

    /// A page or an answer of the API, with its head.
    pub async fn get(&self, path: &str) -> String {
        self.request("GET", path).await
    }

    /// What it answers, with its head.
    pub async fn request(&self, method: &str, path: &str) -> String {
        let mut stream =
            TcpTransport.connect(&self.address).await.expect("the server accepts connections");
        let token = std::fs::read_to_string(self.folder.join("data/token")).expect("a token");
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {}\r\n\
             Content-Length: 0\r\nConnection: close\r\n\r\n",
            self.address,
            token.trim()
        );
        stream.write_all(request.as_bytes()).await.expect("the server reads");
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.expect("the server answers");
        String::from_utf8(answer).expect("an answer in UTF-8")
    }

    /// The JSON of the API.
    pub async fn api(&self, path: &str) -> Value {
        let answer = self.get(&format!("/api/paramedic/v1/{path}")).await;
        let (head, body) = answer.split_once("\r\n\r\n").expect("a head and a body");
        assert!(head.starts_with("HTTP/1.1 200"), "{head}\n{body}");
        serde_json::from_str(body).unwrap_or_else(|error| panic!("{error}: {head}\n{body}"))
    }

    /// A command of the same binary to this server.
    pub fn ask(&self, args: &[&str]) -> Output {
        let server = format!("http://{}", self.address);
        let reach = ["--server", &server, "--token-file", "data/token"];
        run(&self.folder, &[args, &reach].concat())
    }

    /// The only incident, once `want` finds in it what it looks for.
    pub async fn incident<T>(&self, what: &str, want: impl Fn(&Value) -> Option<T>) -> T {
        eventually(what, async || {
            let list = self.api("incidents").await;
            let rows = list["incidents"].as_array().cloned().unwrap_or_default();
            assert!(rows.len() < 2, "more than one incident: {list:#}");
            let id = rows.first()?["id"].as_u64()?;
            want(&self.api(&format!("incidents/{id}")).await)
        })
        .await
    }
}

impl Drop for Serve {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
        eprintln!("{}", self.said());
    }
}

/// A simulated firewall on loopback, with a gate that holds answers back.
pub struct Firewall {
    pub simulated: Arc<Simulated>,
    gate: Arc<Gate>,
}

/// Holds back the answers to some requests.
struct Gate {
    /// What a request line must contain to be held back.
    held: Mutex<Option<&'static str>>,
    /// How many answers are being held back, and how often the gate was opened.
    state: watch::Sender<(usize, usize)>,
}

impl Gate {
    fn held(&self) -> MutexGuard<'_, Option<&'static str>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until the gate is opened, where `request` is one that it holds.
    async fn pass(&self, request: &str) {
        if !self.held().is_some_and(|held| request.contains(held)) {
            return;
        }
        let mut state = self.state.subscribe();
        let opened = state.borrow_and_update().1;
        self.state.send_modify(|(count, _)| *count += 1);
        // The gate lives as long as its connections.
        let _ = state.wait_for(|(_, now)| *now > opened).await;
    }
}

impl Firewall {
    /// A healthy firewall.
    pub async fn start() -> Self {
        let listener =
            TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port is to be had");
        let port = listener.local_addr().expect("it is bound").port();
        let integration = kinds::kind("opnsense").expect("the kind is built in");
        let addresses = vec![Address::new("127.0.0.1", port)];
        let clock = Arc::new(ScaledClock::wall());
        let simulated = Simulated::start("fw1", integration, addresses, clock, 1);
        let simulated = Arc::new(simulated.expect("the kind has a simulator"));
        let gate = Arc::new(Gate { held: Mutex::new(None), state: watch::Sender::new((0, 0)) });
        let (simulator, held) = (simulated.simulator.clone(), gate.clone());
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (here, there) = tokio::io::duplex(1 << 20);
                tokio::spawn(simulator.serve("api", Box::new(there)));
                tokio::spawn(relay(Box::new(stream), Box::new(here), held.clone()));
            }
        });
        Self { simulated, gate }
    }

    /// The entry of `systems` that reaches it.
    pub fn system(&self) -> String {
        let settings = self.simulated.simulator.settings();
        format!(
            "  - name: fw1\n    kind: opnsense\n    url: {}\n    interval: 1s\n    \
             api_key: {{ file: key }}\n    api_secret: {{ file: secret }}\n",
            settings.text("url").expect("it has a URL"),
        )
    }

    /// Its key and secret, as files.
    pub fn secrets(&self, site: &Site) {
        let settings = self.simulated.simulator.settings();
        for (file, name) in [("key", "api_key"), ("secret", "api_secret")] {
            site.write(file, settings.secret(name).expect("it has one").expose());
        }
    }

    pub fn inject(&self, fault: &str) {
        self.simulated.simulator.inject(fault).expect("the simulator has the fault");
    }

    /// What it was asked to change.
    pub fn changes(&self) -> Vec<String> {
        let recorded = self.simulated.simulator.recorded();
        recorded.into_iter().map(|recorded| recorded.change).collect()
    }

    /// From now on, answers to requests whose first line contains `request` are held back.
    pub fn hold(&self, request: &'static str) {
        *self.gate.held() = Some(request);
    }

    /// Waits until an answer is being held back.
    pub async fn holding(&self) {
        let mut state = self.gate.state.subscribe();
        let waiting = state.wait_for(|(count, _)| *count > 0);
        let waited = tokio::time::timeout(PATIENCE, waiting).await;
        waited.expect("a request comes to the gate").expect("the gate is there");
    }

    /// Lets everything pass again.
    pub fn open(&self) {
        *self.gate.held() = None;
        self.gate.state.send_modify(|(count, opened)| (*count, *opened) = (0, *opened + 1));
    }
}

/// Carries one connection. The requests come one after the other, as HTTP/1.1 has them.
async fn relay(mut client: BoxStream, mut server: BoxStream, gate: Arc<Gate>) {
    let mut request = String::new();
    let (mut up, mut down) = (vec![0; 1 << 16], vec![0; 1 << 16]);
    loop {
        tokio::select! {
            biased;
            read = client.read(&mut up) => {
                let Ok(count @ 1..) = read else { return };
                request = String::from_utf8_lossy(&up[..count]).into_owned();
                if server.write_all(&up[..count]).await.is_err() {
                    return;
                }
            }
            read = server.read(&mut down) => {
                let Ok(count @ 1..) = read else { return };
                gate.pass(request.lines().next().unwrap_or_default()).await;
                if client.write_all(&down[..count]).await.is_err() {
                    return;
                }
            }
        }
    }
}
