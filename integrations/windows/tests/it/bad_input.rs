use http::{Response, StatusCode};
use http_body_util::Full;
use paramedic_catalog::{SettingValue, Settings};
use paramedic_integration::serve_http;
use paramedic_model::SystemName;
use paramedic_testkit::Bench;

use crate::scene::{address, collect, print, windows};

/// A collection of something that is no healthy host: it must say so, name the place, and hold no
/// sample that reads as healthy.
async fn check(bench: &Bench, class: &str, says: &str) {
    let collection = collect(&bench.system, bench.look(0)).await;
    let text = print(&collection);
    let failure = collection.failure.as_ref().unwrap_or_else(|| panic!("healthy?\n{text}"));
    assert_eq!(failure.class(), class, "{text}");
    assert!(text.contains("sut.test:1000") && text.contains(says), "{says:?} in\n{text}");
    assert_eq!(collection.series.iter().filter(|series| series.value != 0.0).count(), 0, "{text}");
    for signature in &windows().catalog().probes {
        let named = signature.params.iter().any(|param| param.name == "name");
        let with: &[(&str, &str)] = if named { &[("name", "ShopWorker")] } else { &[] };
        let looked = bench.probe(windows(), signature.name, with).await;
        let told_of_failure = signature.name == "winrm-reach"
            && looked.as_ref().is_ok_and(|evidence| evidence.facts["lists_services"] == false);
        assert!(looked.is_err() || told_of_failure, "{}: {looked:?}", signature.name);
    }
    for signature in &windows().catalog().actions {
        let action = bench.system.kit.action(signature.name).expect("declared");
        let given = [("name".to_owned(), "ShopWorker".to_owned())].into();
        let args = paramedic_catalog::Args::bind(&signature.params, &given).expect("they fit");
        assert!(action.precondition(&args, bench.look(90)).await.is_err(), "{}", signature.name);
        assert!(action.act(&args, bench.look(90)).await.is_err(), "{}", signature.name);
    }
    assert_eq!(bench.simulator.recorded(), []);
}

/// A host that answers every request with this.
fn answering(status: StatusCode, kind: &'static str, body: &'static str) -> Bench {
    let bench = Bench::new(windows());
    bench.network.listen(address(), move |stream| {
        Box::pin(serve_http(stream, move |_| {
            Box::pin(async move {
                let response = Response::builder().status(status).header("content-type", kind);
                response.body(Full::new(body.into())).ok()
            })
        }))
    });
    bench
}

#[tokio::test(start_paused = true)]
async fn unreachable() {
    let bench = Bench::new(windows());
    bench.network.close(&address());
    check(&bench, "connect", "connection refused").await;
}

#[tokio::test(start_paused = true)]
async fn silent() {
    let bench = Bench::new(windows());
    bench.network.hang(address());
    check(&bench, "deadline", "no answer within 15 s").await;
}

#[tokio::test(start_paused = true)]
async fn closed_at_once() {
    let bench = Bench::new(windows());
    bench.network.listen(address(), |stream| Box::pin(async move { drop(stream) }));
    check(&bench, "connect", "connect to http://sut.test:1000/wsman").await;
}

#[tokio::test(start_paused = true)]
async fn no_http() {
    let bench = Bench::new(windows());
    bench.network.listen(address(), |mut stream| {
        Box::pin(async move {
            use tokio::io::{AsyncReadExt, AsyncWriteExt};
            let mut request = [0; 64];
            let _ = stream.read(&mut request).await;
            let _ = stream.write_all(b"SSH-2.0-OpenSSH_for_Windows_9.5\r\n").await;
        })
    });
    check(&bench, "connect", "invalid HTTP").await;
}

#[tokio::test(start_paused = true)]
async fn a_page() {
    let page = "<!DOCTYPE html><html><title>IIS Windows Server</title></html>";
    let bench = answering(StatusCode::OK, "text/html", page);
    check(&bench, "answer", "HTTP 200").await;
}

#[tokio::test(start_paused = true)]
async fn a_web_server_without_winrm() {
    let bench = answering(StatusCode::NOT_FOUND, "text/html", "<h1>Not Found</h1>");
    check(&bench, "answer", "a web server without WinRM").await;
}

#[tokio::test(start_paused = true)]
async fn an_error_page() {
    let bench = answering(StatusCode::SERVICE_UNAVAILABLE, "text/html", "<h1>503</h1>");
    check(&bench, "answer", "HTTP 503").await;
}

#[tokio::test(start_paused = true)]
async fn an_empty_error() {
    let bench = answering(StatusCode::INTERNAL_SERVER_ERROR, "text/plain", "");
    check(&bench, "answer", "HTTP 500").await;
}

#[tokio::test(start_paused = true)]
async fn a_proxy_in_between() {
    let bench = answering(StatusCode::FORBIDDEN, "text/html", "<h1>blocked</h1>");
    check(&bench, "denied", "proxy").await;
}

#[tokio::test(start_paused = true)]
async fn a_server_that_offers_no_ntlm() {
    let bench = answering(StatusCode::UNAUTHORIZED, "text/plain", "");
    check(&bench, "denied", "it offers no NTLM").await;
}

#[tokio::test(start_paused = true)]
async fn no_rights() {
    let bench = Bench::new(windows());
    bench.simulator.inject("rights-lost").expect("a declared fault");
    let collection = collect(&bench.system, bench.look(0)).await;
    let text = print(&collection);
    assert!(text.contains("the list of services is empty"), "{text}");
    assert!(
        text.contains(r#"windows_exporter_collector_success{collector="service"} 0"#),
        "{text}"
    );
    assert!(text.contains(r#"windows_exporter_collector_success{collector="os"} 1"#), "{text}");
    assert!(!text.contains("windows_service_state"), "{text}");
}

fn open_with(bench: &mut Bench, settings: &Settings) {
    let name = SystemName::from("sut");
    let opened = windows().open(&name, settings, &bench.environment);
    bench.system = opened.expect("the settings work");
}

#[tokio::test(start_paused = true)]
async fn a_wrong_password_is_tried_once_in_a_quarter_of_an_hour() {
    let mut bench = Bench::new(windows());
    let settings = bench.simulator.settings().with_secret("password", "wrong-password");
    open_with(&mut bench, &settings);
    check(&bench, "denied", "user paramedic or the password is not accepted").await;
    let text = print(&collect(&bench.system, bench.look(0)).await);
    assert!(text.contains("it is not tried again for"), "{text}");
    assert!(!text.contains("wrong-password"), "{text}");
    bench.clock.sleep(std::time::Duration::from_secs(901)).await;
    let text = print(&collect(&bench.system, bench.look(0)).await);
    assert!(!text.contains("it is not tried again for"), "tried anew: {text}");
}

#[tokio::test(start_paused = true)]
async fn settings_that_cannot_work_say_what_to_write() {
    let bench = Bench::new(windows());
    let good = || {
        Settings::default()
            .with_text("url", "https://win01.example.net")
            .with_text("user", r"WIN01\paramedic")
            .with_secret("password", "secret-secret")
    };
    let tls = |table: Settings| {
        let mut settings = good();
        settings.set("tls", SettingValue::Table(table));
        settings
    };
    let pinned = || tls(Settings::default().with_text("pin", "ab".repeat(32)));
    let mut insecure = Settings::default();
    insecure.set("insecure", SettingValue::Bool(true));
    let mut ports = pinned();
    ports.set("ports", SettingValue::TextMap([("W3SVC".to_owned(), "http".to_owned())].into()));
    let check = |settings: Settings, says: &str| {
        let opened = windows().open(&SystemName::from("sut"), &settings, &bench.environment);
        let error = opened.err().unwrap_or_else(|| panic!("{says}")).to_string();
        assert!(error.contains(says), "{says:?} in {error:?}");
    };
    check(Settings::default(), "setting \"url\": it is required");
    check(good(), "an https URL needs one of ca, pin and insecure");
    check(tls(Settings::default().with_text("pin", "abc")), "setting \"tls.pin\"");
    check(tls(insecure.clone()).with_text("auth", "basic"), "would give the password to anyone");
    check(pinned().with_text("auth", "kerberos"), "write ntlm or basic");
    check(pinned().with_text("user", ""), "setting \"user\"");
    check(good().with_text("url", "http://win01"), "sealed_http: true");
    check(good().with_text("url", "http://win01").with_text("auth", "basic"), "needs an https url");
    check(pinned().with_text("url", "http://win01"), "it has no effect: no URL is https");
    let mut nobody = pinned();
    nobody.set("act_as", SettingValue::Table(Settings::default().with_text("user", "x")));
    check(nobody, "setting \"act_as.password\": it is required");
    check(good().with_text("url", "win01"), "write https://host:port");
    check(ports, "setting \"ports.W3SVC\"");
    let opened = windows().open(&SystemName::from("sut"), &pinned(), &bench.environment);
    let instance = opened.map(|system| system.instance);
    assert_eq!(instance, Ok("win01.example.net:5986".to_owned()));
}
