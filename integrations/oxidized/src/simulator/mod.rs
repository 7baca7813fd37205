//! A simulated Oxidized with its web extension and an exporter, on one simulated host.
//!
//! ```text
//!   api ──────> REST API of oxidized-web, or whoever stands in front of it
//!   exporter ─> akquinet/oxidized-exporter, which asks the same API
//!   ssh ──────> SimulatedHost: oxidized.service, oxidized-exporter.service
//! ```
//!
//! The host owns who runs: the API answers exactly while its unit runs. A route that changes state
//! is recorded, because in Oxidized a mere `GET` does.

mod faults;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use jiff::Timestamp;
use paramedic_catalog::{SettingValue, Settings};
use paramedic_generic::{Failure, Locally, Resources, SimulatedHost, Start, UnitModel, UnitState};
use paramedic_integration::{
    Address, BoxStream, Fault, Recorded, Simulator, SimulatorEnvironment, SimulatorFactory,
    UnknownFault, serve_http,
};
use paramedic_model::{BoxFuture, TimeMs};
use serde_json::json;
use tokio::io::AsyncReadExt;

pub(crate) static FACTORY: Factory = Factory;

pub(crate) struct Factory;

const PORTS: &[&str] = &["api", "ssh", "exporter"];
const OXIDIZED: &str = "oxidized.service";
const EXPORTER: &str = "oxidized-exporter.service";
/// What the shipped unit says: a crash means five minutes down.
const RESTART_MS: u64 = 300_000;
/// Name, group and model of each device.
const DEVICES: [(&str, &str, &str); 4] = [
    ("sw-core-01", "core", "IOS"),
    ("sw-core-02", "core", "IOS"),
    ("rtr-edge-01", "edge", "JunOS"),
    ("fw-branch-01", "branch", "FortiOS"),
];

impl SimulatorFactory for Factory {
    fn ports(&self) -> &'static [&'static str] {
        PORTS
    }

    fn faults(&self) -> &'static [Fault] {
        faults::FAULTS
    }

    fn start(&self, environment: SimulatorEnvironment) -> Arc<dyn Simulator> {
        let units = [
            (OXIDIZED, UnitModel::new("Oxidized").with_restart_ms(RESTART_MS)),
            (EXPORTER, UnitModel::new("Oxidized exporter")),
        ];
        let host = SimulatedHost::new(environment.clock.clone(), environment.seed, units);
        let shared = Arc::new(Shared { environment, host, state: Mutex::default() });
        let weak = Arc::downgrade(&shared);
        shared.host.answer_locally("oxidized", "http://127.0.0.1:8888/", move || {
            weak.upgrade().map_or(Locally::Closed, |shared| shared.answer_locally())
        });
        shared.heal();
        Arc::new(OxidizedSimulator(shared))
    }
}

struct OxidizedSimulator(Arc<Shared>);

struct Shared {
    environment: SimulatorEnvironment,
    host: SimulatedHost,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    mode: Mode,
    recorded: Vec<Recorded>,
}

/// What a client of the API meets while Oxidized runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Mode {
    #[default]
    Healthy,
    /// This process answers nothing; another one would.
    Frozen(Option<u32>),
    /// The list hangs, the root page does not.
    Locked,
    /// The port is still closed: the list is being loaded.
    Loading,
    /// What comes from elsewhere is dropped.
    Blocked {
        /// Whether it listens at another port than its own host is asked at.
        moved: bool,
    },
    /// What comes from elsewhere is refused.
    BoundLocally,
    Prefix,
    HostDenied,
    ProxyLogin,
    ProxyUpstream,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> TimeMs {
        self.environment.clock.now()
    }

    /// A line as Oxidized writes it.
    fn log(&self, level: &str, text: &str) {
        self.host.log(OXIDIZED, format!("{level} [4242:380] {text}"));
    }

    fn log_good_start(&self) {
        self.log("I", "Oxidized::CLI -- Oxidized starting, running as pid 4242");
        self.log("I", "Oxidized::Nodes -- Loading nodes");
        self.log("I", "Oxidized::Nodes -- Loaded 4 nodes");
        self.log("I", "Oxidized::API::Web -- Oxidized-web server listening on 0.0.0.0:8888");
    }

    fn heal(&self) {
        self.lock().mode = Mode::Healthy;
        self.host.change_resources(|resources| *resources = Resources::default());
        self.host.forbid(OXIDIZED, false);
        self.host.on_start(OXIDIZED, || Start::Succeeds);
        self.log_good_start();
        for unit in [OXIDIZED, EXPORTER] {
            if !self.host.unit_running(unit) {
                self.host.set_unit(unit, UnitState::Running);
            }
        }
    }

    /// The last start failed with these lines, and so will every other.
    fn dies(&self, lines: &[&str]) {
        let lines: Vec<String> = lines.iter().map(|line| (*line).to_owned()).collect();
        lines.iter().for_each(|line| self.host.log(OXIDIZED, line.clone()));
        self.host.set_unit(OXIDIZED, UnitState::Failed(Failure::ExitCode(1)));
        self.host.forbid(OXIDIZED, true);
        let failure = Failure::ExitCode(1);
        self.host.on_start(OXIDIZED, move || Start::Dies { lines: lines.clone(), failure });
    }

    fn inject(&self, fault: &str) -> Result<(), UnknownFault> {
        const STARTING: &str =
            "I [4343:380] Oxidized::CLI -- Oxidized starting, running as pid 4343";
        const LOADING: &str = "I [4343:380] Oxidized::Nodes -- Loading nodes";
        const LOADED: &str = "I [4343:380] Oxidized::Nodes -- Loaded 4 nodes";
        const CRASHED: &str = "F [4343:380 cli.rb:38] Oxidized::CLI -- Oxidized crashed, crashfile written in /var/lib/oxidized/crash";
        self.heal();
        let mode = |mode| self.lock().mode = mode;
        // In all of these a restart does harm: what is up would go down, or what is down stay so.
        self.host.forbid(OXIDIZED, !matches!(fault, "oxidized-killed" | "oxidized-frozen"));
        match fault {
            "oxidized-killed" => self.host.set_unit(OXIDIZED, UnitState::Failed(Failure::OomKill)),
            "oxidized-frozen" => {
                mode(Mode::Frozen(self.host.unit(OXIDIZED).and_then(|unit| unit.pid)));
            }
            "oxidized-list-locked" => mode(Mode::Locked),
            "oxidized-way-blocked" => mode(Mode::Blocked { moved: false }),
            "oxidized-way-blocked-door-moved" => mode(Mode::Blocked { moved: true }),
            "oxidized-bound-locally" => mode(Mode::BoundLocally),
            "oxidized-stopped" => self.host.set_unit(OXIDIZED, UnitState::Stopped),
            "oxidized-auto-restart" => {
                self.log("F", CRASHED);
                let due = self.now() + Duration::from_secs(600);
                let failure = Failure::ExitCode(1);
                self.host.set_unit(OXIDIZED, UnitState::AutoRestart { failure, due });
            }
            "oxidized-loading" => {
                [STARTING, LOADING].iter().for_each(|line| self.host.log(OXIDIZED, *line));
                mode(Mode::Loading);
            }
            "oxidized-port-taken" => self.dies(&[
                STARTING,
                LOADING,
                LOADED,
                CRASHED,
                "Address already in use - bind(2) for \"0.0.0.0\" port 8888 [Errno::EADDRINUSE]",
            ]),
            "oxidized-config-broken" => self.dies(&[
                "Error loading config: (/home/oxidized/.config/oxidized/config): did not find \
                 expected key while parsing a block mapping at line 3 column 1",
            ]),
            "oxidized-disk-full" => {
                self.host.change_resources(|resources| resources.fill("/var"));
                self.dies(&[
                    STARTING,
                    LOADING,
                    LOADED,
                    CRASHED,
                    "No space left on device @ rb_sysopen - /var/lib/oxidized/pid [Errno::ENOSPC]",
                ]);
            }
            "oxidized-prefix-changed" => mode(Mode::Prefix),
            "oxidized-host-denied" => mode(Mode::HostDenied),
            "oxidized-proxy-login" => mode(Mode::ProxyLogin),
            "oxidized-proxy-upstream" => mode(Mode::ProxyUpstream),
            _ => return Err(UnknownFault::new(fault, faults::FAULTS)),
        }
        Ok(())
    }

    /// The mode that holds now: a new process has left the old one's trouble behind.
    fn mode(&self) -> Mode {
        let pid = self.host.unit(OXIDIZED).and_then(|unit| unit.pid);
        let mut state = self.lock();
        if matches!(state.mode, Mode::Frozen(frozen) if frozen != pid) {
            state.mode = Mode::Healthy;
        }
        state.mode
    }

    /// What the root page answers its own host.
    fn answer_locally(&self) -> Locally {
        match self.mode() {
            _ if !self.host.unit_running(OXIDIZED) => Locally::Closed,
            Mode::Loading | Mode::Blocked { moved: true } => Locally::Closed,
            Mode::Frozen(_) => Locally::Silent,
            Mode::HostDenied => Locally::Answers(403),
            Mode::Prefix => Locally::Answers(404),
            _ => Locally::Answers(302),
        }
    }

    async fn serve_api(self: Arc<Self>, mut stream: BoxStream) {
        let running = self.host.unit_running(OXIDIZED);
        // A proxy answers whoever runs behind it.
        let proxied = matches!(self.mode(), Mode::ProxyLogin | Mode::ProxyUpstream);
        if !matches!(self.mode(), Mode::Blocked { .. }) && !proxied {
            let closed = matches!(self.mode(), Mode::Loading | Mode::BoundLocally);
            if !running || closed {
                return;
            }
        }
        if let Mode::Frozen(_) | Mode::Blocked { .. } = self.mode() {
            swallow(&mut stream).await;
            return;
        }
        serve_http(stream, move |request| {
            let shared = self.clone();
            Box::pin(async move {
                if shared.mode() == Mode::Locked && request.uri().path() != "/" {
                    // The lock is never had; the client gives up first.
                    std::future::pending::<()>().await;
                }
                Some(shared.answer(&request))
            })
        })
        .await;
    }

    fn answer(&self, request: &Request<Bytes>) -> Response<Full<Bytes>> {
        let path = request.uri().path();
        match self.mode() {
            Mode::HostDenied => {
                return plain(StatusCode::FORBIDDEN, "text/plain", "Host not permitted");
            }
            Mode::ProxyLogin => return proxy(StatusCode::UNAUTHORIZED),
            Mode::ProxyUpstream => return proxy(StatusCode::BAD_GATEWAY),
            Mode::Prefix if !path.starts_with("/backup/") => {
                return plain(StatusCode::NOT_FOUND, "text/plain", &format!("Not Found: {path}"));
            }
            _ => {}
        }
        match path {
            "/" => {
                let mut response = plain(StatusCode::FOUND, "text/html;charset=utf-8", "");
                response.headers_mut().insert("location", http::HeaderValue::from_static("/nodes"));
                response
            }
            "/nodes.json" => {
                let nodes: Vec<_> = DEVICES.iter().map(|device| self.node(*device)).collect();
                plain(StatusCode::OK, "application/json", &json!(nodes).to_string())
            }
            "/reload.json" => {
                self.record("reload of the list");
                plain(StatusCode::OK, "application/json", "[\"reloaded list of nodes\"]")
            }
            _ if path.starts_with("/node/next/") => {
                self.record("next run of a device");
                plain(StatusCode::OK, "application/json", "[\"ok\"]")
            }
            _ => plain(StatusCode::NOT_FOUND, "text/html;charset=utf-8", "<h1>Not Found</h1>"),
        }
    }

    fn record(&self, change: &str) {
        let recorded = Recorded { at: self.now(), change: change.to_owned(), forbidden: true };
        self.lock().recorded.push(recorded);
    }

    fn node(&self, (name, group, model): (&str, &str, &str)) -> serde_json::Value {
        let since = self.host.unit(OXIDIZED).and_then(|unit| unit.active_since);
        // The first round of backups takes a minute after a start; then there is one each hour.
        let began = since.unwrap_or(self.now()) + Duration::from_secs(60);
        let hours = self.now().since(began).as_secs() / 3600;
        let start = began + Duration::from_secs(hours * 3600);
        let text = |at: TimeMs| {
            let at = Timestamp::from_millisecond(at.0).unwrap_or(Timestamp::UNIX_EPOCH);
            at.strftime("%Y-%m-%d %H:%M:%S UTC").to_string()
        };
        let done = self.now() >= began;
        let end = text(start + Duration::from_secs(6));
        let last = done.then(|| {
            json!({ "start": text(start), "end": end, "status": "success", "time": 5.605724157 })
        });
        json!({
            "name": name, "full_name": format!("{group}/{name}"), "ip": "192.0.2.21", "group": group,
            "model": model, "last": last, "vars": { "enable": "simulated-enable" },
            "mtime": "unknown", "status": if done { "success" } else { "never" },
            "time": if done { end } else { "never".to_owned() },
        })
    }

    async fn serve_exporter(self: Arc<Self>, mut stream: BoxStream) {
        if !self.host.unit_running(EXPORTER) {
            return;
        }
        if matches!(self.mode(), Mode::Frozen(_) | Mode::Locked | Mode::Blocked { .. }) {
            // It has no time limit: it hangs with Oxidized. What is dropped on the way is dropped.
            swallow(&mut stream).await;
            return;
        }
        let up = self.host.unit_running(OXIDIZED) && self.mode() == Mode::Healthy;
        serve_http(stream, move |_| {
            let text = format!(
                "# HELP oxidized_status Status of oxidized\n# TYPE oxidized_status gauge\n\
                 oxidized_status {}\n",
                u8::from(up)
            );
            Box::pin(async move { Some(plain(StatusCode::OK, "text/plain; version=0.0.4", &text)) })
        })
        .await;
    }

    fn address(&self, at: usize) -> String {
        self.environment.addresses.get(at).map(Address::to_string).unwrap_or_default()
    }
}

/// The kernel takes the connection; nobody ever answers.
async fn swallow(stream: &mut BoxStream) {
    let mut unread = [0; 1024];
    while stream.read(&mut unread).await.is_ok_and(|count| count > 0) {}
}

fn plain(status: StatusCode, content_type: &'static str, body: &str) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(body.to_owned())));
    *response.status_mut() = status;
    // Oxidized sends neither Server nor Date.
    response.headers_mut().insert("content-type", http::HeaderValue::from_static(content_type));
    response.headers_mut().remove("date");
    response
}

fn proxy(status: StatusCode) -> Response<Full<Bytes>> {
    let mut response = plain(status, "text/html", "<html><body><h1>refused</h1></body></html>");
    response.headers_mut().insert("server", http::HeaderValue::from_static("nginx"));
    response
}

impl Simulator for OxidizedSimulator {
    fn settings(&self) -> Settings {
        let mut settings = Settings::default()
            .with_text("url", format!("http://{}", self.0.address(0)))
            .with_text("exporter_url", format!("http://{}/metrics", self.0.address(2)));
        settings.set("deadline", SettingValue::Duration(Duration::from_secs(5)));
        if let Some(host) = self.host() {
            settings.set("host", SettingValue::Table(host));
        }
        settings
    }

    fn host(&self) -> Option<Settings> {
        Some(self.0.host.settings(self.0.environment.addresses.get(1)?))
    }

    fn inject(&self, fault: &str) -> Result<(), UnknownFault> {
        self.0.inject(fault)
    }

    fn heal(&self) {
        self.0.heal();
    }

    fn serve(&self, port: &str, stream: BoxStream) -> BoxFuture<'static, ()> {
        let shared = self.0.clone();
        match port {
            "api" => Box::pin(shared.serve_api(stream)),
            "ssh" => shared.host.serve(stream),
            "exporter" => Box::pin(shared.serve_exporter(stream)),
            _ => Box::pin(async {}),
        }
    }

    fn recorded(&self) -> Vec<Recorded> {
        let mut recorded = self.0.host.recorded();
        recorded.extend(self.0.lock().recorded.clone());
        recorded
    }
}
