use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex};

use paramedic_catalog::{SettingValue, Settings};
use paramedic_generic::integration;
use paramedic_integration::{ActionError, Environment, Finished, Happened, Processes};
use paramedic_model::{BoxFuture, SystemName};
use paramedic_testkit::{ActFailure, Bench};

use crate::world::World;

const SERVICE: (&str, &str) = ("service", "proxy");

/// A machine whose one service is run by scripts.
#[derive(Default)]
struct Scripts {
    running: Mutex<bool>,
    run: Mutex<Vec<String>>,
}

impl Processes for Scripts {
    fn run<'a>(
        &'a self,
        program: &'a str,
        args: &'a [String],
        environment: &'a BTreeMap<String, String>,
    ) -> BoxFuture<'a, io::Result<Finished>> {
        assert_eq!(environment.get("LC_ALL").map(String::as_str), Some("C"));
        let mut running = self.running.lock().expect("the look succeeds");
        let line = format!("{program} {}", args.join(" "));
        self.run.lock().expect("the look succeeds").push(line.clone());
        let (code, text) = match line.as_str() {
            "ctl status proxy" => (if *running { 0 } else { 3 }, ""),
            "ctl start proxy" | "ctl restart proxy" => {
                *running = true;
                (0, "")
            }
            "ctl log proxy" => (0, "hello\nerror: it broke\n"),
            "ctl status broken" => (4, "no such thing"),
            _ => return Box::pin(async { Err(io::ErrorKind::NotFound.into()) }),
        };
        let (stdout, stderr) = (text.to_owned(), String::new());
        Box::pin(async move { Ok(Finished { code: Some(code), stdout, stderr }) })
    }
}

fn settings() -> Settings {
    let list = |words: &str| SettingValue::TextList(words.split(' ').map(str::to_owned).collect());
    let mut proxy = Settings::default();
    for verb in ["status", "start", "restart", "log"] {
        proxy.set(verb, list(&format!("ctl {verb} proxy")));
    }
    let (mut broken, mut absent) = (Settings::default(), Settings::default());
    broken.set("status", list("ctl status broken"));
    absent.set("status", list("nowhere"));
    absent.set("start", list("nowhere"));
    let services = [("proxy", proxy), ("broken", broken), ("absent", absent)];
    let services = services.map(|(name, service)| (name.to_owned(), service)).into();
    let mut settings = Settings::default();
    settings.set("services", SettingValue::TableMap(services));
    settings
}

fn bench() -> (Bench, Arc<Scripts>) {
    let World { bench, .. } = World::new();
    let scripts = Arc::new(Scripts::default());
    let environment = Environment { processes: scripts.clone(), ..bench.environment.clone() };
    let system = integration().open(&SystemName::from("sut"), &settings(), &environment);
    (Bench { system: system.expect("the settings open"), environment, ..bench }, scripts)
}

#[tokio::test(start_paused = true)]
async fn a_service_of_commands_is_looked_at_and_started() {
    let (bench, scripts) = bench();
    let status = bench.probe(integration(), "service-status", &[SERVICE]).await.unwrap();
    assert_eq!(
        (status.summary.as_str(), &status.facts["running"]),
        ("proxy is inactive", &false.into())
    );
    let log = bench.probe(integration(), "service-log", &[SERVICE]).await.unwrap();
    assert_eq!(
        (log.facts["line_count"].clone(), log.summary.as_str()),
        (2.into(), "error: it broke")
    );
    let done = bench.act(integration(), "service-start", &[SERVICE]).await.unwrap();
    assert_eq!(done.acted.summary, "started proxy; it is active");
    assert!(*scripts.running.lock().unwrap());
    let done = bench.act(integration(), "service-restart", &[SERVICE]).await.unwrap();
    assert_eq!(done.blast_radius.count, 1);
    let now = bench.clock.now();
    let happened = bench.happened(integration(), "service-start", &[SERVICE], now).await.unwrap();
    assert!(matches!(happened, Happened::Unknown(_)));
}

#[tokio::test(start_paused = true)]
async fn a_command_that_does_not_answer_is_no_state() {
    let (bench, scripts) = bench();
    let status = async |service| {
        let error = bench.probe(integration(), "service-status", &[("service", service)]).await;
        error.unwrap_err().to_string()
    };
    assert_eq!(
        status("broken").await,
        "understand the answer of the status command: expected the exit code 0 or 3: `ctl status \
         broken` ended with 4: no such thing"
    );
    assert_eq!(
        status("absent").await,
        "nowhere cannot be started on this machine: entity not found"
    );
    let failure = bench.act(integration(), "service-start", &[("service", "broken")]).await;
    let failure = failure.unwrap_err();
    assert!(matches!(failure, ActFailure::Look(_)), "{failure}");
    assert_eq!(
        failure.to_string(),
        "could not look: the service broken has no `start` command, so nothing was done"
    );
    let restarts = scripts.run.lock().unwrap().iter().filter(|line| line.contains("start")).count();
    assert_eq!(restarts, 0);
}

#[tokio::test(start_paused = true)]
async fn hostile_labels_start_no_process() {
    let (bench, scripts) = bench();
    for action in ["service-start", "service-restart"] {
        for label in ["x; reboot", "../proxy", "proxy start", "ctl", "$(x)", "a\nb"] {
            let failure =
                bench.act(integration(), action, &[("service", label)]).await.unwrap_err();
            assert!(!matches!(failure, ActFailure::Action(ActionError::Uncertain(_))), "{failure}");
        }
    }
    assert!(scripts.run.lock().unwrap().is_empty());
}

#[tokio::test(start_paused = true)]
async fn without_ssh_units_are_those_of_this_machine() {
    let World { bench, .. } = World::new();
    let mut settings = Settings::default();
    let unit = Settings::default().with_text("unit", "traefik");
    let services = [("traefik".to_owned(), unit)].into();
    settings.set("services", SettingValue::TableMap(services));
    let system = integration().open(&SystemName::from("sut"), &settings, &bench.environment);
    let bench = Bench { system: system.expect("the settings open"), ..bench };
    assert_eq!(bench.system.instance, "localhost");
    let error = bench.probe(integration(), "service-status", &[("service", "traefik")]).await;
    assert_eq!(
        error.unwrap_err().to_string(),
        "date cannot be started on this machine: unsupported"
    );
}
