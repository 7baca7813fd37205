use std::collections::BTreeMap;

use paramedic_catalog::{SettingValue, Settings};
use paramedic_model::SystemName;
use paramedic_testkit::Bench;

use crate::scene::traefik;

fn url(url: &str) -> Settings {
    Settings::default().with_text("url", url)
}

fn with(name: &str, value: SettingValue) -> Settings {
    let mut settings = url("http://edge:8080");
    settings.set(name, value);
    settings
}

/// A setting that cannot work is named when the system is opened, before anything is sent.
#[tokio::test(start_paused = true)]
async fn a_setting_that_cannot_work_is_named() {
    let bench = Bench::new(traefik());
    let check = |settings: Settings, expected: &str| {
        let opened = traefik().open(&SystemName::from("x"), &settings, &bench.environment);
        let message = opened.err().map(|error| error.to_string()).unwrap_or_default();
        assert_eq!(message, expected);
    };
    check(url("http://edge:8080/traefik"), "");
    check(
        Settings::default(),
        r#"setting "url": missing; write the API's address: http://127.0.0.1:8080"#,
    );
    check(
        url("edge:8080"),
        r#"setting "url": write http://host:port or https://host:port, not "edge:8080""#,
    );
    check(
        url("https://edge"),
        r#"setting "tls": an https URL needs one of ca, pin and insecure: true"#,
    );
    check(
        with("ping_url", SettingValue::Text("https://edge:8443".to_owned())),
        r#"setting "tls": an https URL needs one of ca, pin and insecure: true"#,
    );
    let mut both = Settings::default().with_text("pin", "00").with_secret("ca", "x");
    check(
        with("tls", SettingValue::Table(both.clone())),
        r#"setting "tls": write exactly one of ca, pin and insecure: true"#,
    );
    both = Settings::default().with_secret("ca", "no certificate");
    check(
        with("tls", SettingValue::Table(both)),
        r#"setting "tls.ca": the file holds no certificate authority"#,
    );
    check(
        with("auth", SettingValue::Table(Settings::default().with_text("user", "u"))),
        r#"setting "auth": write user and password, or token alone"#,
    );
    let backends = BTreeMap::from([("10.0.0.1:80".to_owned(), "shop".to_owned())]);
    check(
        with("backends", SettingValue::TextMap(backends)),
        r#"setting "backends.10.0.0.1:80": write http://host:port or https://host:port, not "10.0.0.1:80""#,
    );
}
