use paramedic_integration::{Ending, Precondition};
use paramedic_model::Labels;

use crate::scene::{Scene, explain, firing, traefik};

/// Longer than one round of checks, so that the gauge has seen what happened.
const CHECK_SECONDS: u64 = 12;

#[tokio::test(start_paused = true)]
async fn a_healthy_system_fires_nothing() {
    let scene = Scene::new();
    let collection = scene.collect().await;
    assert!(collection.failure.is_none(), "{:?}", collection.failure);
    let alerts =
        ["TraefikServiceAllServersDown", "TraefikDown", "TraefikConfigErrors", "TraefikRoutesGone"];
    for alert in alerts {
        assert_eq!(firing(alert, &collection), Vec::<Labels>::new(), "{alert}");
    }
    let up = collection
        .series
        .iter()
        .filter(|s| s.labels.metric_name() == Some("traefik_service_server_up"))
        .map(|s| s.labels.value("service").to_owned())
        .collect::<Vec<_>>();
    assert_eq!(up, ["shop@file", "shop@file", "wiki@file"], "files@file has no health check");
}

/// Every fault makes its alert's expression hold, the page names its cause first, and its ending is
/// the right one: what repairs does, what must not be done is refused.
#[tokio::test(start_paused = true)]
async fn every_fault_is_diagnosed_and_ends_rightly() {
    for fault in traefik().simulator().unwrap().faults() {
        let scene = Scene::new();
        scene.wait(60).await;
        scene.bench.simulator.inject(fault.id).unwrap();
        scene.wait(CHECK_SECONDS).await;
        let fired = firing(fault.alert, &scene.collect().await);
        assert_eq!(fired.len(), 1, "{}: {} fires once", fault.id, fault.alert);
        let responder = scene.responder();
        let situation = responder.diagnose(&fired[0]).await;
        let likely = scene.page.diagnose(&situation).likely().map(|l| l.cause.id.clone());
        let why = explain(&scene.page, &situation);
        assert_eq!(likely.as_deref(), Some(fault.cause), "{}\n{why}", fault.id);
        match fault.ending {
            Ending::Repaired(steps) => {
                for step in steps {
                    let verdict = responder.precondition(step, &situation).await;
                    let holds = matches!(verdict, Ok(Precondition::Holds(_)));
                    assert!(holds, "{}: {step}: {verdict:?}\n{why}", fault.id);
                    let acted = responder.act(step, &situation).await;
                    assert!(acted.is_ok(), "{}: {step}: {acted:?}", fault.id);
                }
                scene.wait(CHECK_SECONDS).await;
                let collection = scene.collect().await;
                assert!(collection.failure.is_none(), "{}: {:?}", fault.id, collection.failure);
                let still = firing(fault.alert, &collection);
                assert!(still.is_empty(), "{}: repaired, and {still:?}", fault.id);
                assert_eq!(scene.bench.simulator.recorded().len(), steps.len(), "{}", fault.id);
            }
            Ending::LeftAlone | Ending::HandedOver => {
                // A step that somebody asks for against the page's advice does no harm either.
                let verdict = responder.precondition("restart", &situation).await;
                let refused = matches!(verdict, Ok(Precondition::Fails(_)) | Err(_));
                assert!(refused, "{}: restart: {verdict:?}", fault.id);
                assert!(responder.act("restart", &situation).await.is_err(), "{}", fault.id);
                assert!(scene.bench.simulator.recorded().is_empty(), "{}", fault.id);
                scene.bench.simulator.heal();
                scene.wait(CHECK_SECONDS).await;
                let still = firing(fault.alert, &scene.collect().await);
                assert!(still.is_empty(), "{}: healed, and {still:?}", fault.id);
            }
        }
        let forbidden: Vec<_> =
            scene.bench.simulator.recorded().into_iter().filter(|r| r.forbidden).collect();
        assert!(forbidden.is_empty(), "{}: {forbidden:?}", fault.id);
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_person_stopped_is_not_started() {
    let scene = Scene::new();
    for (fault, step) in [("backend-drained", "start-backend"), ("traefik-maintenance", "start")] {
        scene.wait(60).await;
        scene.bench.simulator.inject(fault).unwrap();
        scene.wait(CHECK_SECONDS).await;
        let labels = Labels::from([("service", "wiki@file")]);
        let situation = scene.responder().diagnose(&labels).await;
        let verdict = scene.responder().precondition(step, &situation).await;
        assert!(matches!(verdict, Ok(Precondition::Fails(_))), "{fault}: {verdict:?}");
        scene.bench.simulator.heal();
    }
}

#[tokio::test(start_paused = true)]
async fn a_restart_counts_what_it_cuts() {
    let scene = Scene::new();
    scene.wait(60).await;
    let count = async || {
        let action = scene.bench.system.kit.action("restart").unwrap();
        let args = paramedic_catalog::Args::default();
        action.blast_radius(&args, scene.bench.look(0)).await.unwrap()
    };
    let radius = count().await;
    assert_eq!(radius.count, 4, "{}", radius.summary);
    scene.bench.simulator.inject("traefik-wedged").unwrap();
    let radius = count().await;
    assert_eq!(radius.count, 0, "{}", radius.summary);
}
