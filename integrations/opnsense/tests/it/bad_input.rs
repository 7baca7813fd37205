use http::{Response, StatusCode};
use http_body_util::Full;
use paramedic_catalog::Settings;
use paramedic_integration::{Integration, serve_http};
use paramedic_model::SystemName;
use paramedic_opnsense::Opnsense;
use paramedic_testkit::Bench;

use crate::support::{address, collect, firing, print};

/// A collection of something that is no healthy firewall: it must say so, name the place, and hold
/// no sample that reads as healthy.
async fn check(bench: &Bench, class: &str, says: &str) {
    let collection = collect(bench).await;
    let text = print(&collection);
    let failure = collection.failure.as_ref().unwrap_or_else(|| panic!("healthy?\n{text}"));
    assert_eq!(failure.class(), class, "{text}");
    assert!(text.contains("sut.test:1000") && text.contains(says), "{says:?} in\n{text}");
    assert_eq!(firing("OPNsenseFirewallUnreachable", &collection).len(), 1, "{text}");
    let healthy = collection.series.iter().filter(|series| series.value != 0.0);
    assert_eq!(healthy.count(), 0, "{text}");
    for signature in &Opnsense.catalog().probes {
        let with: &[(&str, &str)] = match signature.params.first().map(|param| param.name) {
            Some("service") => &[("service", "unbound")],
            Some("interface") => &[("interface", "wgsite"), ("peer", "branch-a")],
            _ => &[],
        };
        let looked = bench.probe(&Opnsense, signature.name, with).await;
        let told_of_failure = signature.name == "api-reach"
            && looked.as_ref().is_ok_and(|evidence| evidence.facts["answers"] == false);
        assert!(looked.is_err() || told_of_failure, "{}: {looked:?}", signature.name);
    }
}

/// A firewall that answers every request with this.
async fn answering(status: StatusCode, body: &'static str) -> Bench {
    let bench = Bench::new(&Opnsense);
    bench.network.listen(address(), move |stream| {
        Box::pin(serve_http(stream, move |_| {
            Box::pin(async move {
                let mut response = Response::new(Full::new(body.into()));
                *response.status_mut() = status;
                Some(response)
            })
        }))
    });
    bench
}

#[tokio::test(start_paused = true)]
async fn unreachable() {
    let bench = Bench::new(&Opnsense);
    bench.network.close(&address());
    check(&bench, "connect", "connection refused").await;
}

#[tokio::test(start_paused = true)]
async fn silent() {
    let bench = Bench::new(&Opnsense);
    bench.network.hang(address());
    check(&bench, "deadline", "no answer within 15 s").await;
}

#[tokio::test(start_paused = true)]
async fn a_page() {
    let page = "<!DOCTYPE html><html><title>Request Denied</title></html>";
    check(&answering(StatusCode::OK, page).await, "answer", "expected JSON, got a page").await;
}

#[tokio::test(start_paused = true)]
async fn an_error_page() {
    let page = "<html>Request Denied</html>";
    let bench = answering(StatusCode::SERVICE_UNAVAILABLE, page).await;
    check(&bench, "answer", "HTTP 503").await;
}

#[tokio::test(start_paused = true)]
async fn a_php_error() {
    let body = r#"{"errorMessage":"Unexpected error, check log for details"}"#;
    let bench = answering(StatusCode::INTERNAL_SERVER_ERROR, body).await;
    check(&bench, "answer", "HTTP 500").await;
}

#[tokio::test(start_paused = true)]
async fn an_error_with_status_200() {
    let body = r#"{"errorMessage":"in use","errorTitle":"x","errorLevel":"warning"}"#;
    check(&answering(StatusCode::OK, body).await, "answer", "the firewall says: in use").await;
}

#[tokio::test(start_paused = true)]
async fn an_empty_body() {
    check(&answering(StatusCode::OK, "").await, "answer", "empty body").await;
}

#[tokio::test(start_paused = true)]
async fn no_rows() {
    let body = r#"{"total":0,"rowCount":0,"current":1,"rows":[]}"#;
    check(&answering(StatusCode::OK, body).await, "answer", "configd").await;
}

#[tokio::test(start_paused = true)]
async fn an_empty_list() {
    check(&answering(StatusCode::OK, "[]").await, "answer", "expected rows").await;
}

#[tokio::test(start_paused = true)]
async fn truncated_json() {
    check(&answering(StatusCode::OK, r#"{"total":3,"rows":[{"id":"#).await, "answer", "EOF").await;
}

#[tokio::test(start_paused = true)]
async fn types_that_mean_nothing() {
    let body = r#"{"rows":[{"id":"unbound","name":"unbound","running":"perhaps"}]}"#;
    check(&answering(StatusCode::OK, body).await, "answer", "running flag").await;
}

#[tokio::test(start_paused = true)]
async fn a_dead_back_end() {
    let bench = Bench::new(&Opnsense);
    bench.simulator.inject("backend-dead").expect("a declared fault");
    let collection = collect(&bench).await;
    assert_eq!(firing("OPNsenseServiceDown", &collection), []);
    assert!(print(&collection).contains("configd"), "{}", print(&collection));
    assert_eq!(collection.series.iter().filter(|series| series.value != 0.0).count(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_wrong_key() {
    let mut bench = Bench::new(&Opnsense);
    let settings = bench.simulator.settings().with_secret("api_secret", "wrong-secret");
    let name = SystemName::from("sut");
    bench.system = Opnsense.open(&name, &settings, &bench.environment).expect("they are settings");
    check(&bench, "denied", "the API key or its secret is not accepted (HTTP 401)").await;
    assert!(!print(&collect(&bench).await).contains("wrong-secret"));
}

#[tokio::test(start_paused = true)]
async fn a_key_without_a_privilege() {
    let body = r#"{"status":403,"message":"Forbidden"}"#;
    let bench = answering(StatusCode::FORBIDDEN, body).await;
    check(&bench, "denied", "lacks the privilege for Status: Services (HTTP 403)").await;
}

#[test]
fn settings_that_cannot_work() {
    let good = || {
        Settings::default()
            .with_text("url", "https://fw1.example.net")
            .with_secret("api_key", "key-key")
            .with_secret("api_secret", "secret-secret")
    };
    let tls = |table: Settings| {
        let mut settings = good();
        settings.set("tls", paramedic_catalog::SettingValue::Table(table));
        settings
    };
    let mut skip = good().with_text("url", "http://fw1");
    skip.set("skip", paramedic_catalog::SettingValue::TextList(vec!["dns".to_owned()]));
    let check = |settings: Settings, says: &str| {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .expect("a runtime");
        let error = runtime.block_on(async {
            let environment = Bench::new(&Opnsense).environment;
            Opnsense.open(&SystemName::from("fw1"), &settings, &environment).err()
        });
        assert_eq!(error.expect("it cannot work").to_string(), says);
    };
    check(good(), "setting \"tls\": an https URL needs one of ca, pin and insecure: true");
    check(
        tls(Settings::default().with_text("pin", "ab")),
        "setting \"tls.pin\": write the SHA-256 fingerprint of the certificate as 64 hexadecimal \
         digits",
    );
    check(skip, "setting \"skip\": \"dns\" is none of status, wireguard, carp, gateways");
    check(
        good().with_text("url", "http://fw1").with_secret("act_key", "other-key"),
        "setting \"act_secret\": belongs to `act_key`",
    );
    check(
        good().with_text("url", "fw1"),
        "setting \"url\": write http://host:port or https://host:port, not \"fw1\"",
    );
}
