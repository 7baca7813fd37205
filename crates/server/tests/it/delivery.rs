use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::http::{Request, Response};
use http_body_util::Full;
use paramedic_engine::{Alertmanager, AlertmanagerSet, Sending};
use paramedic_integration::{
    Address, Environment, HttpClient, ScaledClock, TlsSettings, TlsTrust, serve_http,
};
use paramedic_model::{Clock, Redactor};
use paramedic_testkit::{MemoryNetwork, NoProcesses, VIRTUAL_EPOCH};

use crate::world::{World, run};

/// Alertmanagers in memory, and how many requests each took.
struct Them {
    network: MemoryNetwork,
    environment: Environment,
    heard: Arc<Mutex<BTreeMap<&'static str, usize>>>,
}

impl Them {
    fn new() -> Self {
        let network = MemoryNetwork::default();
        let environment = Environment {
            clock: Arc::new(ScaledClock::new(VIRTUAL_EPOCH, 1.0)),
            transport: Arc::new(network.clone()),
            processes: Arc::new(NoProcesses),
            redactor: Redactor::default(),
        };
        Self { network, environment, heard: Arc::default() }
    }

    fn listen(&self, name: &'static str) {
        let heard = self.heard.clone();
        self.network.listen(Address::new(name, 9093), move |stream| {
            let heard = heard.clone();
            Box::pin(serve_http(stream, move |request: Request<_>| {
                assert_eq!(request.uri(), "/api/v2/alerts");
                *heard.lock().expect("nobody panicked").entry(name).or_default() += 1;
                Box::pin(async { Some(Response::new(Full::default())) })
            }))
        });
    }

    fn heard(&self, name: &str) -> usize {
        self.heard.lock().expect("nobody panicked").get(name).copied().unwrap_or_default()
    }

    fn set(&self, names: &[&str]) -> AlertmanagerSet {
        let active = names.iter().map(|name| {
            let tls = TlsSettings::new("tls", &TlsTrust::Anyone).expect("never used");
            let url = format!("http://{name}:9093");
            let client = HttpClient::new("url", &url, tls, None, &self.environment);
            Alertmanager { client: client.expect("a client"), relabel: Vec::new() }
        });
        AlertmanagerSet { active: active.collect(), dropped: vec!["http://dropped:1/x".to_owned()] }
    }

    /// A world that tells `first` of its alerts.
    async fn world(&self, first: &[&str], drain_timeout: Duration) -> World {
        let alertmanagers = vec![self.set(first)];
        let sending = Sending { alertmanagers, drain_timeout, ..Sending::default() };
        World::virtual_with(self.environment.clock.clone(), sending).await
    }
}

#[test]
fn alertmanagers_come_and_go() {
    run(async {
        let them = Them::new();
        ["am1", "am2", "am3"].into_iter().for_each(|name| them.listen(name));
        // Nobody was found yet, and alerts are for whoever will be.
        let world = them.world(&[], Duration::ZERO).await;
        world.break_as(Some("crashed")).await;
        let take = async |names: &[&str]| {
            world.handle.alertmanagers(0, them.set(names)).await.expect("the engine runs");
            world.pass(120).await;
            ["am1", "am2", "am3"].map(|name| them.heard(name))
        };
        let first = take(&["am1", "am2", "am1"]).await;
        assert!(first[0] > 0 && first[0] == first[1] && first[2] == 0, "{first:?}");
        // One goes, one stays, one comes.
        let second = take(&["am2", "am3"]).await;
        assert!(second[0] == first[0] && second[1] > first[1] && second[2] > 0, "{second:?}");
        let answer = world.client.get("/api/v1/alertmanagers").await;
        assert_eq!(
            answer.text,
            "{\"status\":\"success\",\"data\":{\"activeAlertmanagers\":[\
             {\"url\":\"http://am2:9093/api/v2/alerts\"},{\"url\":\"http://am3:9093/api/v2/alerts\"}],\
             \"droppedAlertmanagers\":[{\"url\":\"http://dropped:1/x\"}]}}"
        );
        let third = take(&[]).await;
        assert_eq!(third, second);
    });
}

#[test]
fn what_waits_is_sent_before_the_end_but_not_for_ever() {
    for (drain, expected) in [(Duration::from_secs(10), 1), (Duration::ZERO, 0)] {
        run(async {
            let (them, clock) = (Them::new(), Arc::new(ScaledClock::new(VIRTUAL_EPOCH, 1.0)));
            let world = them.world(&["am1"], drain).await;
            world.break_as(Some("crashed")).await;
            assert_eq!(them.heard("am1"), 0, "it is away");
            // Without anybody who holds it, the engine ends. The Alertmanager comes back meanwhile.
            drop(world);
            clock.sleep(Duration::from_secs(2)).await;
            them.listen("am1");
            clock.sleep(Duration::from_secs(60)).await;
            assert_eq!(them.heard("am1"), expected);
        });
    }
}
