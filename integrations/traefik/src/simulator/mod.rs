//! A simulated Traefik with four back ends on one simulated host.
//!
//! ```text
//!   api ───> http ──> process (configuration, checks, gauge)
//!   backend-1..4 ───> pages of shop, shop, wiki, files
//!   ssh ────────────> SimulatedHost: traefik, shop, wiki, files .service
//! ```
//!
//! The host owns who runs: a Traefik or a back end answers exactly while its unit runs, and a new
//! process id is a new process that has read its files anew.
//!
//! | unit | servers | health check |
//! | --- | --- | --- |
//! | `shop.service` | `backend-1`, `backend-2` | `/health` every 10 s |
//! | `wiki.service` | `backend-3` | `/health` every 10 s |
//! | `files.service` | `backend-4` | none |

mod config;
mod faults;
mod http;
mod inject;
mod process;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ::http::StatusCode;
use paramedic_catalog::{SettingValue, Settings};
use paramedic_generic::{Locally, SimulatedHost, UnitModel};
use paramedic_integration::{
    Address, BoxStream, Fault, Recorded, Simulator, SimulatorEnvironment, SimulatorFactory,
    UnknownFault, serve_http,
};
use paramedic_model::BoxFuture;
use tokio::io::AsyncReadExt;

use config::{Check, Config, Router, Service};
use process::{DynamicFile, Process};

pub(crate) static FACTORY: Factory = Factory;

pub(crate) struct Factory;

const PORTS: &[&str] = &["api", "ssh", "backend-1", "backend-2", "backend-3", "backend-4"];
/// Where the back ends begin among the ports.
const BACKENDS_AT: usize = 2;
/// The unit behind each back end.
const BEHIND: [&str; 4] = ["shop.service", "shop.service", "wiki.service", "files.service"];
const TRAEFIK: &str = "traefik.service";
const CHECK: Check = Check { path: "/health", interval_seconds: 10, timeout_seconds: 3 };

impl SimulatorFactory for Factory {
    fn ports(&self) -> &'static [&'static str] {
        PORTS
    }

    fn faults(&self) -> &'static [Fault] {
        faults::FAULTS
    }

    fn start(&self, environment: SimulatorEnvironment) -> Arc<dyn Simulator> {
        let units = [
            (TRAEFIK, "Traefik"),
            ("shop.service", "Shop"),
            ("wiki.service", "Wiki"),
            ("files.service", "Files"),
        ];
        let units = units.map(|(name, description)| (name, UnitModel::new(description)));
        let host = SimulatedHost::new(environment.clock.clone(), environment.seed, units);
        let addresses = environment.addresses.clone();
        let urls = addresses.iter().skip(BACKENDS_AT).map(|address| format!("http://{address}"));
        let urls: Vec<_> = urls.collect();
        let state = State {
            file: DynamicFile::Good(healthy(&urls)),
            process: None,
            pid: None,
            wedged: None,
            blocked: false,
            moved: false,
            pages: [Page::default(); 4],
            urls,
        };
        let shared = Arc::new(Shared { environment, host, state: Mutex::new(state) });
        shared.sync();
        let weak = Arc::downgrade(&shared);
        shared.host.answer_locally("traefik", "http://127.0.0.1:8080/ping", move || {
            weak.upgrade().map_or(Locally::Closed, |shared| shared.answer_locally())
        });
        Arc::new(TraefikSimulator(shared))
    }
}

/// The dynamic configuration of a healthy system.
fn healthy(urls: &[String]) -> Config {
    let service = |name, servers: &[usize], check| Service {
        name,
        urls: servers.iter().filter_map(|at| urls.get(*at).cloned()).collect(),
        check,
    };
    let names = ["shop", "wiki", "files"];
    Config {
        routers: names.map(|name| Router { name, service: name }).to_vec(),
        services: vec![
            service("shop", &[0, 1], Some(CHECK)),
            service("wiki", &[2], Some(CHECK)),
            service("files", &[3], None),
        ],
    }
}

struct TraefikSimulator(Arc<Shared>);

struct Shared {
    environment: SimulatorEnvironment,
    host: SimulatedHost,
    state: Mutex<State>,
}

struct State {
    /// The dynamic file on disk.
    file: DynamicFile,
    /// The process, where its unit runs.
    process: Option<Process>,
    /// Its id on the host; another one is another process.
    pid: Option<u32>,
    /// The process that hangs.
    wedged: Option<u32>,
    /// Whether what comes from elsewhere is dropped.
    blocked: bool,
    /// Whether it answers its own host elsewhere than is known here.
    moved: bool,
    pages: [Page; 4],
    urls: Vec<String>,
}

impl State {
    /// Whether the present process hangs.
    fn is_wedged(&self) -> bool {
        self.wedged.is_some() && self.wedged == self.pid
    }
}

/// What a back end answers while its unit runs.
#[derive(Debug, Clone, Copy)]
struct Page {
    health: u16,
    delay: Duration,
    /// The process that has closed its port; another one opens it anew.
    deaf: Option<u32>,
}

impl Default for Page {
    fn default() -> Self {
        Self { health: 200, delay: Duration::ZERO, deaf: None }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Brings the process up to the present: started or ended as its unit was, checks made.
    fn sync(&self) {
        let now = self.environment.clock.now();
        let unit = self.host.unit(TRAEFIK);
        let pid = unit.as_ref().and_then(|unit| unit.pid);
        let listening: Vec<_> = (0..BEHIND.len()).map(|at| self.listens(at)).collect();
        let mut state = self.lock();
        if pid != state.pid {
            state.pid = pid;
            state.process = None;
            if let Some(unit) = unit.filter(|unit| unit.pid.is_some()) {
                let started = unit.active_since.unwrap_or(now);
                let (process, line) = Process::start(started, &state.file);
                state.process = Some(process);
                if let Some(line) = line {
                    self.host.log(TRAEFIK, line);
                }
            }
        }
        let State { process, pages, urls, .. } = &mut *state;
        if let Some(process) = process {
            let timeout = Duration::from_secs(CHECK.timeout_seconds);
            process.advance(now, |_, url| {
                let at = urls.iter().position(|known| known == url);
                at.is_some_and(|at| {
                    let page = pages[at];
                    listening[at] && page.delay < timeout && (200..400).contains(&page.health)
                })
            });
        }
    }

    /// Whether a back end takes connections.
    fn listens(&self, at: usize) -> bool {
        let pid = self.host.unit(BEHIND[at]).and_then(|unit| unit.pid);
        pid.is_some() && pid != self.lock().pages[at].deaf
    }

    /// What ping answers its own host.
    fn answer_locally(&self) -> Locally {
        self.sync();
        let state = self.lock();
        match state.process {
            None => Locally::Closed,
            Some(_) if state.moved => Locally::Closed,
            Some(_) if state.is_wedged() => Locally::Silent,
            Some(_) => Locally::Answers(200),
        }
    }

    async fn serve_api(self: Arc<Self>, mut stream: BoxStream) {
        self.sync();
        let (alive, silent) = {
            let state = self.lock();
            (state.process.is_some(), state.blocked || state.is_wedged())
        };
        if silent {
            // The kernel takes the connection, or a firewall the packets; nobody ever answers.
            let mut unread = [0; 1024];
            while stream.read(&mut unread).await.is_ok_and(|count| count > 0) {}
            return;
        }
        if !alive {
            return;
        }
        serve_http(stream, move |request| {
            let shared = self.clone();
            Box::pin(async move {
                shared.sync();
                let now = shared.environment.clock.now();
                let api = shared.address(0);
                let mut state = shared.lock();
                let process = state.process.as_mut()?;
                Some(http::answer(process, now, &api, &request))
            })
        })
        .await;
    }

    async fn serve_backend(self: Arc<Self>, at: usize, stream: BoxStream) {
        if !self.listens(at) {
            return;
        }
        serve_http(stream, move |request| {
            let shared = self.clone();
            Box::pin(async move {
                let page = shared.lock().pages[at];
                // I/O is as slow as it is at any speed of the clock.
                tokio::time::sleep(page.delay).await;
                let health = request.uri().path() == CHECK.path;
                let status = if health { page.health } else { 200 };
                let status = StatusCode::from_u16(status).unwrap_or(StatusCode::OK);
                Some(http::plain(status, "a page\n", Some("text/plain")))
            })
        })
        .await;
    }

    fn address(&self, at: usize) -> String {
        self.environment.addresses.get(at).map(Address::to_string).unwrap_or_default()
    }
}

impl Simulator for TraefikSimulator {
    fn settings(&self) -> Settings {
        let mut settings =
            Settings::default().with_text("url", format!("http://{}", self.0.address(0)));
        let named = self
            .0
            .lock()
            .urls
            .iter()
            .zip(BEHIND)
            .map(|(url, unit)| {
                (url.clone(), unit.strip_suffix(".service").unwrap_or(unit).to_owned())
            })
            .collect();
        settings.set("backends", SettingValue::TextMap(named));
        if let Some(host) = self.host() {
            settings.set("host", SettingValue::Table(host));
        }
        settings
    }

    fn host(&self) -> Option<Settings> {
        let address = self.0.environment.addresses.get(1)?;
        Some(self.0.host.settings(address))
    }

    fn inject(&self, fault: &str) -> Result<(), UnknownFault> {
        self.0.inject(fault)
    }

    fn heal(&self) {
        self.0.heal();
    }

    fn serve(&self, port: &str, stream: BoxStream) -> BoxFuture<'static, ()> {
        let shared = self.0.clone();
        match PORTS.iter().position(|known| *known == port) {
            Some(0) => Box::pin(shared.serve_api(stream)),
            Some(1) => shared.host.serve(stream),
            Some(at) => Box::pin(shared.serve_backend(at - BACKENDS_AT, stream)),
            None => Box::pin(async {}),
        }
    }

    fn recorded(&self) -> Vec<Recorded> {
        self.0.host.recorded()
    }
}
