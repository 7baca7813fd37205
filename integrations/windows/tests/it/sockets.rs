use std::net::Ipv4Addr;
use std::sync::Arc;

use paramedic_integration::{
    Address, Environment, Integration, Look, ScaledClock, Simulator, SimulatorEnvironment, System,
    TcpTransport,
};
use paramedic_model::{Clock, Redactor, SystemName};
use paramedic_testkit::NoProcesses;
use tokio::net::TcpListener;
use tokio::process::Command;

use crate::scene::{print, windows};

/// A simulated host on loopback, with the addresses of its ports.
async fn host(clock: &Arc<dyn Clock>) -> (Arc<dyn Simulator>, Vec<Address>) {
    let factory = windows().simulator().expect("simulated");
    let mut listeners = Vec::new();
    for _ in factory.ports() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a free port");
        listeners.push(listener);
    }
    let port = |listener: &TcpListener| listener.local_addr().expect("it is bound").port();
    let addresses: Vec<_> =
        listeners.iter().map(|listener| Address::new("127.0.0.1", port(listener))).collect();
    let simulator = factory.start(SimulatorEnvironment {
        clock: clock.clone(),
        seed: 1,
        addresses: addresses.clone(),
    });
    for (listener, port) in listeners.into_iter().zip(factory.ports()) {
        let simulator = simulator.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                stream.set_nodelay(true).expect("loopback has no delay to set");
                tokio::spawn(simulator.serve(port, Box::new(stream)));
            }
        });
    }
    (simulator, addresses)
}

/// Whether pywinrm can be imported; where not, the test may be skipped, except on CI.
async fn pywinrm_is_here(test: &str) -> bool {
    let found = python(&["-c", "import winrm"]).await.is_some_and(|(well, _)| well);
    if !found {
        let advice = "pip install pywinrm, or cargo xtask peers install";
        assert!(std::env::var("CI").as_deref() != Ok("true"), "{test} needs pywinrm: {advice}");
        println!("skipped: {test}: {advice}");
    }
    found
}

/// Runs Python: whether it ended well, and what it wrote.
async fn python(args: &[&str]) -> Option<(bool, String)> {
    #[expect(clippy::disallowed_methods, reason = "the peer of a test is a real process")]
    let mut command = Command::new("python3");
    // A proxy of the environment has no business on loopback.
    command.args(args).env("NO_PROXY", "*").env("no_proxy", "*").kill_on_drop(true);
    let output = command.output().await.ok()?;
    let text = [output.stdout, output.stderr].concat();
    Some((output.status.success(), String::from_utf8_lossy(&text).into_owned()))
}

/// What the simulator says is what somebody else's client understands: sealed NTLM, NTLM and Basic
/// inside TLS, queries in pages, a fault, a method call, a refused password.
#[tokio::test(flavor = "multi_thread")]
async fn pywinrm_understands_the_simulator() {
    if !pywinrm_is_here("pywinrm_understands_the_simulator").await {
        return;
    }
    let clock: Arc<dyn Clock> = Arc::new(ScaledClock::wall_at_speed(10.0));
    let (simulator, addresses) = host(&clock).await;
    simulator.inject("crashed").expect("a declared fault");
    let settings = simulator.settings();
    let urls: Vec<String> =
        addresses.iter().map(|address| format!("http://{address}/wsman")).collect();
    let user = settings.text("user").expect("it has a user");
    let password = settings.secret("password").expect("it has a password").expose();
    let script = include_str!("pywinrm.py");
    let ran = python(&["-c", script, &urls[0], &urls[1], user, password]).await;
    let (_, text) = ran.expect("python3 can be started");
    let seen: Vec<&str> = text.lines().collect();
    let expected = [
        "ntlm sealed: Running",
        "services: 22 pulls: 4",
        "fault: 2147749904",
        "started: 0 Running",
        "ntlm plain: Running",
        "basic: Running",
        "refused: ntlm",
        "refused: basic",
    ];
    assert_eq!(seen, expected, "{text}");
    let changes: Vec<_> = simulator.recorded().into_iter().map(|r| r.change).collect();
    assert_eq!(changes, ["start ShopWorker"]);
}

fn open(simulator: &dyn Simulator, clock: &Arc<dyn Clock>) -> System {
    let environment = Environment {
        clock: clock.clone(),
        transport: Arc::new(TcpTransport),
        processes: Arc::new(NoProcesses),
        redactor: Redactor::default(),
    };
    let integration: &dyn Integration = windows();
    integration
        .open(&SystemName::from("sut"), &simulator.settings(), &environment)
        .expect("a simulator's settings open its system")
}

/// A login belongs to its connection. A client that shares connections fails here now and then.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_sessions_at_once_do_not_mix() {
    const SESSIONS: usize = 20;
    let clock: Arc<dyn Clock> = Arc::new(ScaledClock::wall());
    let (simulator, _) = host(&clock).await;
    let system = Arc::new(open(&*simulator, &clock));
    let sessions: Vec<_> = (0..SESSIONS)
        .map(|_| {
            let (system, clock) = (system.clone(), clock.clone());
            tokio::spawn(async move {
                let collector = system.collector.as_ref().expect("hosts are collected");
                for _ in 0..3 {
                    let look = Look { now: clock.now(), since: clock.now() };
                    let collection = collector.collect(look).await;
                    assert!(collection.failure.is_none(), "{}", print(&collection));
                }
            })
        })
        .collect();
    for session in sessions {
        session.await.expect("every session got its answers");
    }
}
