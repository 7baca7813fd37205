use std::sync::Arc;

use paramedic_catalog::{SettingValue, Settings};
use paramedic_generic::integration;
use paramedic_integration::{Environment, ScaledClock};
use paramedic_model::{Redactor, SystemName};
use paramedic_testkit::{MemoryNetwork, NoProcesses, VIRTUAL_EPOCH};

use crate::world::World;

fn words(words: &[&str]) -> SettingValue {
    SettingValue::TextList(words.iter().map(|word| (*word).to_owned()).collect())
}

fn tables(name: &str, table: Settings) -> SettingValue {
    SettingValue::TableMap([(name.to_owned(), table)].into())
}

#[tokio::test(start_paused = true)]
async fn settings_that_cannot_work_are_named() {
    let network = MemoryNetwork::default();
    let environment = Environment {
        clock: Arc::new(ScaledClock::new(VIRTUAL_EPOCH, 1.0)),
        transport: Arc::new(network),
        processes: Arc::new(NoProcesses),
        redactor: Redactor::default(),
    };
    let good = World::new().bench.simulator.settings();
    let check = |name: &str, value: SettingValue, setting: &str, reason: &str| {
        let mut settings = good.clone();
        settings.set(name, value);
        let error = integration().open(&SystemName::from("sut"), &settings, &environment);
        let error = error.err().expect("the setting cannot work");
        assert_eq!(error.setting, setting);
        assert!(error.reason.contains(reason), "{setting}: {}", error.reason);
        assert!(!error.reason.contains("PRIVATE"), "{setting}: {}", error.reason);
    };
    let ssh = |key: &str, value: SettingValue| {
        let mut ssh = good.table("ssh").cloned().unwrap();
        ssh.set(key, value);
        SettingValue::Table(ssh)
    };
    let text = |text: &str| SettingValue::Text(text.to_owned());
    check("ssh", ssh("address", text("fw1")), "ssh.address", "expected host:port");
    check("ssh", ssh("host_key", text("AAAA")), "ssh.host_key", "ssh-ed25519 AAAA...");
    let no_key = SettingValue::Secret(paramedic_model::Secret::new("-----BEGIN PRIVATE KEY-----"));
    check("ssh", ssh("key", no_key), "ssh.key", "no private key in OpenSSH's format");
    let service = |unit: &str| Settings::default().with_text("unit", unit);
    check("services", tables("a", service("a b")), "services.a.unit", "named safely");
    check("services", tables("a", service("-H")), "services.a.unit", "named safely");
    check("services", tables("a", Settings::default()), "services.a", "`status` command");
    for url in ["127.0.0.1:80", "http://a/?x&y", "http://u:p@a/", "http://a/$(id)"] {
        let local = tables("a", service("a").with_text("local_url", url));
        check("services", local, "services.a.local_url", "over SSH unchanged");
    }
    let mut both = service("a");
    both.set("start", words(&["x"]));
    check("services", tables("a", both), "services.a.start", "either `unit` or commands");
    let check_map =
        |target: &str| SettingValue::TextMap([("a".to_owned(), target.to_owned())].into());
    check("checks", check_map("nonsense"), "checks.a", "host:port");
    check("checks", check_map("ftp://x/"), "checks.a", "write http://");
    check("checks", check_map("http://u:p@x/"), "checks.a", "credentials");
    check("checks", check_map("http://x/../y"), "checks.a", "no path");
    let command = |words: &[&str]| {
        let words = words.iter().map(|word| (*word).to_owned()).collect();
        SettingValue::ListMap([("a".to_owned(), words)].into())
    };
    check("commands", command(&[]), "commands.a", "as its words");
    check("commands", command(&["sh", "-c", "a; b"]), "commands.a", "over SSH unchanged");
}

#[test]
fn every_setting_is_documented_by_an_example() {
    for setting in &integration().catalog().settings {
        assert!(!setting.doc.is_empty() && !setting.example.is_empty(), "{}", setting.name);
    }
}
