use paramedic_integration::{ActionError, Happened, Precondition};

use crate::scene::{Scene, windows};

fn reason(verdict: Precondition) -> String {
    match verdict {
        Precondition::Fails(reason) => reason,
        Precondition::Holds(reason) => panic!("it holds: {reason}"),
    }
}

#[tokio::test(start_paused = true)]
async fn what_must_not_be_touched_is_refused_with_the_reason() {
    for (fault, action, service, says) in [
        ("crashed", "service-start", "WinRM", "a person must"),
        ("crashed", "service-restart", "RpcSs", "a person must"),
        ("crashed", "service-restart", "ShopWorker", "start it instead"),
        ("crashed", "service-start", "Spooler", "is running, not stopped"),
        ("crashed", "service-start", "RemoteRegistry", "a person decided"),
        ("crash-loop", "service-start", "ShopWorker", "one more crash"),
        ("logon-failure", "service-start", "ShopWorker", "lock the account"),
        ("stopped-by-person", "service-start", "ShopWorker", r"WIN-SHOP01\anna"),
        ("disabled-by-person", "service-start", "ShopWorker", "is disabled"),
        ("trigger-start", "service-start", "ShopImport", "triggers"),
        ("delayed-start", "service-start", "ShopReports", "starts late"),
        ("update-in-progress", "service-start", "ShopWorker", "msiserver runs"),
        ("recovery-pending", "service-start", "ShopWorker", "its own recovery"),
        ("dependency-stopped", "service-start", "ShopWorker", "needs Shop Queue"),
        ("hung-stopping", "service-restart", "ShopWorker", "takes no control"),
        ("hung-starting", "service-restart", "ShopWorker", "takes no control"),
        ("port-conflict", "service-start", "ShopWeb", "held by another process"),
        ("disk-full", "service-start", "ShopWorker", "no space"),
        ("crashed", "service-start-dependency", "ShopWorker", "is running"),
    ] {
        let scene = Scene::with_fault(fault).await;
        let action = scene.named(action, service);
        let reason = reason(scene.precondition(&action).await);
        assert!(reason.contains(says), "{fault}: {service}: {reason}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_restart_counts_and_brings_back_what_depends_on_it() {
    let scene = Scene::with_fault("paused").await;
    let restart = scene.named("service-restart", "shopworker");
    let radius = restart.0.blast_radius(&restart.1, scene.bench.look(90)).await.unwrap();
    assert_eq!((radius.count, radius.summary.contains("Shop Notifier")), (1, true), "{radius:?}");
    let acted = scene.act(&restart).await.unwrap();
    assert!(acted.summary.contains("restarted Shop Worker (ShopWorker)"), "{acted:?}");
    let changes: Vec<_> = scene.recorded().into_iter().map(|r| r.change).collect();
    let expected = ["stop ShopNotify", "stop ShopWorker", "start ShopWorker", "start ShopNotify"];
    assert_eq!(changes, expected);
    let status = scene.bench.probe(windows(), "service-status", &[("name", "ShopNotify")]).await;
    assert_eq!(status.unwrap().facts["running"], true);
}

#[tokio::test(start_paused = true)]
async fn accepted_is_not_started() {
    // The host accepts the start of a service that crashes a moment later.
    let scene = Scene::with_fault("crash-loop").await;
    let start = scene.named("service-start", "ShopWorker");
    let acted = scene.act(&start).await;
    let Err(ActionError::Ineffective(reason)) = acted else { panic!("{acted:?}") };
    assert!(reason.contains("did not stay up"), "{reason}");
    assert!(scene.recorded().iter().all(|r| r.forbidden), "the simulator counts it as wrong");
}

#[tokio::test(start_paused = true)]
async fn a_refused_logon_is_told_as_such() {
    let scene = Scene::with_fault("logon-failure").await;
    let start = scene.named("service-start", "ShopWorker");
    let acted = scene.act(&start).await;
    let Err(ActionError::Ineffective(reason)) = acted else { panic!("{acted:?}") };
    assert!(reason.contains("could not log on"), "{reason}");
}

#[tokio::test(start_paused = true)]
async fn after_a_crash_the_host_tells_whether_a_start_happened() {
    let scene = Scene::with_fault("crashed").await;
    let start = scene.named("service-start", "ShopWorker");
    let intended = scene.bench.clock.now();
    let happened = async || {
        let look = scene.bench.look(90);
        start.0.happened(&start.1, intended, look).await.expect("the host can be looked at")
    };
    scene.wait(5).await;
    assert!(matches!(happened().await, Happened::No(_)), "{:?}", happened().await);
    scene.act(&start).await.unwrap();
    assert!(matches!(happened().await, Happened::Yes(_)), "{:?}", happened().await);
    let later = scene.bench.clock.now();
    let look = scene.bench.look(90);
    let again = start.0.happened(&start.1, later, look).await.unwrap();
    assert!(matches!(again, Happened::No(_)), "an older process proves nothing: {again:?}");
}

#[tokio::test(start_paused = true)]
async fn after_a_crash_the_host_tells_whether_a_restart_happened() {
    let scene = Scene::with_fault("paused").await;
    let restart = scene.named("service-restart", "ShopWorker");
    let intended = scene.bench.clock.now();
    scene.wait(5).await;
    let look = scene.bench.look(90);
    let before = restart.0.happened(&restart.1, intended, look).await.unwrap();
    assert!(matches!(before, Happened::No(_)), "{before:?}");
    scene.act(&restart).await.unwrap();
    let look = scene.bench.look(90);
    let after = restart.0.happened(&restart.1, intended, look).await.unwrap();
    assert!(matches!(after, Happened::Yes(_)), "{after:?}");
    // Half-way: stopped, and not started again.
    let scene = Scene::with_fault("crashed").await;
    let restart = scene.named("service-restart", "ShopWorker");
    let look = scene.bench.look(90);
    let half = restart.0.happened(&restart.1, look.now, look).await.unwrap();
    assert!(matches!(half, Happened::Unknown(_)), "{half:?}");
}

#[tokio::test(start_paused = true)]
async fn after_a_crash_the_host_tells_whether_a_dependency_was_started() {
    let scene = Scene::with_fault("dependency-stopped").await;
    let start = scene.named("service-start-dependency", "ShopWorker");
    let intended = scene.bench.clock.now();
    scene.wait(5).await;
    let look = scene.bench.look(90);
    let before = start.0.happened(&start.1, intended, look).await.unwrap();
    assert!(matches!(before, Happened::No(_)), "{before:?}");
    scene.act(&start).await.unwrap();
    let look = scene.bench.look(90);
    let after = start.0.happened(&start.1, intended, look).await.unwrap();
    assert!(matches!(after, Happened::Yes(_)), "{after:?}");
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_is_lost_leaves_the_outcome_open() {
    let scene = Scene::with_fault("crashed").await;
    let start = scene.named("service-start", "ShopWorker");
    // The look before the act fails: nothing was sent.
    scene.bench.network.hang(crate::scene::address());
    let acted = scene.act(&start).await;
    assert!(matches!(acted, Err(ActionError::Refused(_))), "{acted:?}");
    assert_eq!(scene.recorded(), []);
}

#[tokio::test(start_paused = true)]
async fn another_account_acts_and_only_acts() {
    use paramedic_catalog::{SettingValue, Settings};
    use paramedic_model::SystemName;

    let mut scene = Scene::with_fault("crashed").await;
    let mut settings = scene.bench.simulator.settings();
    let actor = Settings::default().with_text("user", "nobody").with_secret("password", "unknown");
    settings.set("act_as", SettingValue::Table(actor));
    let name = SystemName::from("sut");
    let opened = windows().open(&name, &settings, &scene.bench.environment);
    scene.bench.system = opened.expect("the settings work");
    let start = scene.named("service-start", "ShopWorker");
    assert!(matches!(scene.precondition(&start).await, Precondition::Holds(_)));
    let acted = scene.act(&start).await;
    let Err(ActionError::Refused(error)) = acted else { panic!("{acted:?}") };
    assert!(error.to_string().contains("user nobody"), "{error}");
    assert_eq!(scene.recorded(), []);
}
