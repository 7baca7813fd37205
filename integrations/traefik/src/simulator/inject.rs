//! What each fault does to the simulated system, and how it becomes healthy again.

use std::time::Duration;

use paramedic_generic::{Failure, Listener, Resources, Start, UnitModel, UnitState};
use paramedic_integration::UnknownFault;

use super::config::{Config, Router};
use super::process::{DynamicFile, rfc3339_seconds};
use super::{BEHIND, Page, Shared, TRAEFIK, faults, healthy};

const SHOP: &str = "shop.service";
const WIKI: &str = "wiki.service";

/// What a half-written file leads to.
const YAML_ERROR: &str = "yaml: line 14: did not find expected ',' or ']'";

impl Shared {
    /// Breaks the system as the fault's id says.
    pub(super) fn inject(&self, fault: &str) -> Result<(), UnknownFault> {
        self.heal();
        // A restart of Traefik repairs one fault and makes most others worse.
        let restart_is_wrong = !matches!(fault, "traefik-wedged" | "traefik-killed");
        match fault {
            "backends-crashed" => {
                self.host.log(SHOP, "panic: runtime error: invalid memory address or nil pointer");
                self.host.set_unit(SHOP, UnitState::Failed(Failure::ExitCode(2)));
            }
            "backend-crash-loop" => self.dies(
                WIKI,
                "could not connect to the database wiki at 127.0.0.1:5432: connection refused",
            ),
            "backend-deaf" => {
                self.host.log(WIKI, "listener closed: accept tcp [::]:9003: invalid argument");
                let pid = self.host.unit(WIKI).and_then(|unit| unit.pid);
                self.lock().pages[2].deaf = pid;
            }
            "backend-drained" => self.stop_for_good(WIKI),
            "router-removed" => {
                self.host.set_unit(SHOP, UnitState::Stopped);
                self.fail_checks_of("shop");
                self.write(|config| config.routers.retain(|router| router.name != "shop"));
            }
            "dynamic-file-broken" => {
                self.write_broken();
                self.stop_for_good(SHOP);
            }
            "health-path-gone" => self.serve_shop(Page { health: 404, ..Page::default() }),
            "backend-overloaded" => {
                self.lock().pages[2].delay = Duration::from_secs(20);
                self.host.change_resources(|resources| resources.load = [9.4, 8.7, 5.1]);
            }
            "host-disk-full" => {
                self.host.change_resources(|resources| resources.fill("/var"));
                self.dies(SHOP, "write /var/lib/shop/session: no space left on device");
            }
            "traefik-killed" => self.host.set_unit(TRAEFIK, UnitState::Failed(Failure::OomKill)),
            "traefik-wedged" => self.wedge(),
            "traefik-way-blocked" => self.lock().blocked = true,
            "traefik-way-blocked-door-moved" => {
                let mut state = self.lock();
                state.blocked = true;
                state.moved = true;
            }
            "traefik-wedged-file-broken" => {
                self.write_broken();
                self.wedge();
            }
            "traefik-port-taken" => {
                self.host.change_resources(|resources| {
                    let (address, program) = ("0.0.0.0:80".to_owned(), "nginx".to_owned());
                    resources.listeners.push(Listener { address, program, pid: 4711 });
                });
                let error = "command traefik error: error while building entryPoint web: building \
                             listener: error opening listener: listen tcp :80: bind: address \
                             already in use";
                let now = rfc3339_seconds(self.environment.clock.now());
                let line = format!(
                    r#"{{"level":"error","error":"{error}","time":"{now}","message":"Command error"}}"#
                );
                self.dies(TRAEFIK, &line);
            }
            "traefik-maintenance" => self.stop_for_good(TRAEFIK),
            "router-misspelt" => self.write(|config| {
                config.routers.push(Router { name: "blog", service: "blgo" });
            }),
            "dynamic-file-emptied" => self.write(|config| *config = Config::default()),
            "restarted-with-broken-file" => {
                self.write_broken();
                self.host.set_unit(TRAEFIK, UnitState::Stopped);
                self.host.set_unit(TRAEFIK, UnitState::Running);
            }
            _ => return Err(UnknownFault::new(fault, faults::FAULTS)),
        }
        self.host.forbid(TRAEFIK, restart_is_wrong);
        self.sync();
        Ok(())
    }

    /// Makes everything as it was.
    pub(super) fn heal(&self) {
        self.host.change_resources(|resources| *resources = Resources::default());
        for unit in [TRAEFIK, BEHIND[0], BEHIND[2], BEHIND[3]] {
            self.enable(unit, true);
            self.host.on_start(unit, || Start::Succeeds);
            self.host.forbid(unit, false);
        }
        {
            let mut state = self.lock();
            state.pages = [Page::default(); 4];
            state.file = DynamicFile::Good(healthy(&state.urls));
            state.wedged = None;
            state.blocked = false;
            state.moved = false;
        }
        for unit in [TRAEFIK, BEHIND[0], BEHIND[2], BEHIND[3]] {
            if !self.host.unit_running(unit) {
                self.host.set_unit(unit, UnitState::Running);
            }
        }
        self.sync();
        self.reload();
    }

    /// Changes the dynamic file to something that can be read.
    fn write(&self, change: impl FnOnce(&mut Config)) {
        {
            let mut state = self.lock();
            let mut config = healthy(&state.urls);
            change(&mut config);
            state.file = DynamicFile::Good(config);
        }
        self.reload();
    }

    /// Changes the dynamic file to something that cannot.
    fn write_broken(&self) {
        self.lock().file = DynamicFile::Broken(YAML_ERROR);
        self.reload();
    }

    /// Traefik's watcher sees the file.
    fn reload(&self) {
        let now = self.environment.clock.now();
        let line = {
            let mut state = self.lock();
            let file = state.file.clone();
            state.process.as_mut().and_then(|process| process.reload(now, &file))
        };
        if let Some(line) = line {
            self.host.log(TRAEFIK, line);
        }
    }

    /// The present process answers nobody any more.
    fn wedge(&self) {
        let now = rfc3339_seconds(self.environment.clock.now());
        let error = "accept tcp [::]:80: accept4: too many open files";
        for _ in 0..20 {
            let line = format!(
                r#"{{"level":"error","entryPointName":"web","error":"{error}","time":"{now}"}}"#
            );
            self.host.log(TRAEFIK, line);
        }
        let mut state = self.lock();
        state.wedged = state.pid;
    }

    /// The unit died of `reason` so often that systemd gave up, and dies of it at every start.
    fn dies(&self, unit: &str, reason: &str) {
        for _ in 0..5 {
            self.host.log(unit, reason);
        }
        self.host.set_unit(unit, UnitState::Failed(Failure::StartLimit));
        let reason = reason.to_owned();
        self.host.on_start(unit, move || Start::Dies {
            lines: vec![reason.clone()],
            failure: Failure::ExitCode(1),
        });
    }

    /// A person stops the unit and says that it shall stay so.
    fn stop_for_good(&self, unit: &str) {
        self.enable(unit, false);
        self.host.set_unit(unit, UnitState::Stopped);
        self.host.forbid(unit, true);
    }

    fn enable(&self, unit: &str, enabled: bool) {
        if let Some(model) = self.host.unit(unit).filter(|model| model.enabled != enabled) {
            self.host.add_unit(unit, UnitModel { enabled, ..model });
        }
    }

    fn serve_shop(&self, page: Page) {
        let mut state = self.lock();
        state.pages[0] = page;
        state.pages[1] = page;
    }

    /// The round of checks that saw `service` die, as if its interval had just passed.
    fn fail_checks_of(&self, service: &str) {
        if let Some(process) = &mut self.lock().process {
            process.fail_checks(service);
        }
    }
}
