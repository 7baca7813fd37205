use std::collections::BTreeMap;

use paramedic_catalog::Args;
use paramedic_model::Labels;

use crate::scene::{Scene, traefik};

fn hostile() -> Vec<String> {
    let mut values: Vec<String> = [
        "x; rm -rf /",
        "../../etc/passwd",
        "..",
        "\"'`$(reboot)",
        "shop@file\r\nX-Evil: 1",
        "shop@file\nreboot",
        "shop@file/../../rawdata",
        "http://evil.test/",
        "%2e%2e%2f",
        "-rf",
        "\u{0}",
        "é\u{202e}",
    ]
    .map(str::to_owned)
    .to_vec();
    values.push("a".repeat(10_000));
    values
}

/// The restart takes no argument at all, so nothing that a label says can reach it.
#[tokio::test(start_paused = true)]
async fn the_restart_takes_nothing_from_a_label() {
    let signature = traefik().catalog().action("restart").unwrap();
    assert!(signature.params.is_empty());
    for value in hostile() {
        let given = BTreeMap::from([("service".to_owned(), value)]);
        assert!(Args::bind(&signature.params, &given).is_err());
    }
}

/// No step of the page does anything for a service that Traefik does not list: the back end's name
/// comes from the operator's settings by way of Traefik's own list.
#[tokio::test(start_paused = true)]
async fn a_strange_service_name_starts_nothing() {
    let scene = Scene::new();
    scene.wait(60).await;
    scene.bench.simulator.inject("backends-crashed").unwrap();
    scene.wait(12).await;
    for value in hostile() {
        let labels = Labels::from([("service", value.as_str()), ("instance", value.as_str())]);
        let responder = scene.responder();
        let situation = responder.diagnose(&labels).await;
        let likely = scene.page.diagnose(&situation).likely().map(|l| l.cause.id.clone());
        assert!(likely.is_none_or(|cause| cause == "service-removed"), "{value:?}");
        for step in ["start-backend", "restart-backend"] {
            assert!(responder.action(step, &situation).is_err(), "{step} with {value:?}");
        }
        let direct =
            scene.bench.probe(traefik(), "backend-check", &[("service", value.as_str())]).await;
        assert!(direct.is_err(), "{value:?}: {direct:?}");
    }
    assert!(scene.bench.simulator.recorded().is_empty());
}

/// URLs come from Traefik's answers. Only those that the operator wrote down are asked.
#[tokio::test(start_paused = true)]
async fn a_server_that_nobody_wrote_down_is_not_asked() {
    let scene = Scene::new();
    let mut settings = scene.bench.simulator.settings();
    settings.set("backends", paramedic_catalog::SettingValue::TextMap(BTreeMap::new()));
    let name = paramedic_model::SystemName::from("sut");
    let system = traefik().open(&name, &settings, &scene.bench.environment).unwrap();
    let probe = system.kit.probe("backend-check").unwrap();
    let signature = traefik().catalog().probe("backend-check").unwrap();
    let given = BTreeMap::from([("service".to_owned(), "shop@file".to_owned())]);
    let args = Args::bind(&signature.params, &given).unwrap();
    let error = probe.look(&args, scene.bench.look(60)).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "no server of \"shop@file\" is listed under the setting `backends`, so none was asked"
    );
}
