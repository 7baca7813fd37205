use paramedic_catalog::{SettingValue, Settings};
use paramedic_generic::{SimulatedHost, UnitModel, integration};
use paramedic_integration::{Address, Finished};
use paramedic_testkit::ActFailure;

use crate::world::{SERVICE, World, address};

/// Every probe that goes to the host fails in this class, with these words; so do the actions,
/// and nothing is changed.
async fn fails(world: &World, class: &str, words: &str) {
    let probes: [(&str, &[(&str, &str)]); 4] = [
        ("service-status", &[SERVICE]),
        ("service-log", &[SERVICE]),
        ("host-resources", &[]),
        ("listeners", &[]),
    ];
    for (probe, with) in probes {
        let error = world.bench.probe(integration(), probe, with).await.expect_err("it is refused");
        assert_eq!(error.class(), class, "{probe}: {error}");
        assert!(error.to_string().contains(words), "{probe}: {error}");
        assert!(error.to_string().contains("sut.test:22"), "{probe}: {error}");
    }
    for action in ["service-start", "service-restart"] {
        let failure =
            world.bench.act(integration(), action, &[SERVICE]).await.expect_err("it is refused");
        let ActFailure::Look(error) = failure else { panic!("{action}: {failure}") };
        assert_eq!(error.class(), class, "{action}: {error}");
    }
    assert!(world.changes().is_empty());
}

/// `settings` with one key below `ssh` from elsewhere.
fn with_ssh(settings: Settings, key: &str, value: SettingValue) -> Settings {
    let mut ssh = settings.table("ssh").cloned().unwrap_or_default();
    ssh.set(key, value);
    let mut settings = settings;
    settings.set("ssh", SettingValue::Table(ssh));
    settings
}

/// The settings of a host with other keys.
fn elsewhere() -> Settings {
    let clock = paramedic_integration::ScaledClock::new(paramedic_testkit::VIRTUAL_EPOCH, 1.0);
    let units = [("x.service", UnitModel::new("X"))];
    let other = SimulatedHost::new(std::sync::Arc::new(clock), 2, units);
    other.settings(&address()).table("ssh").cloned().unwrap_or_default()
}

#[tokio::test(start_paused = true)]
async fn a_closed_port_is_no_answer() {
    let world = World::new();
    world.bench.network.close(&address());
    fails(&world, "connect", "connection refused").await;
}

#[tokio::test(start_paused = true)]
async fn silence_ends_at_the_deadline() {
    let world = World::with(|mut settings| {
        let deadline = std::time::Duration::from_secs(7);
        settings.set("deadline", SettingValue::Duration(deadline));
        settings
    });
    world.bench.network.hang(address());
    fails(&world, "deadline", "no answer within 7 s").await;
}

#[tokio::test(start_paused = true)]
async fn another_host_is_refused_before_anything_is_sent() {
    let key = elsewhere().text("host_key").unwrap().to_owned();
    let world = World::with(|settings| with_ssh(settings, "host_key", SettingValue::Text(key)));
    fails(&world, "denied", "another host answers, or it was installed anew").await;
    assert_eq!(world.host.command_lines(), Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn a_key_that_is_not_let_in_is_said() {
    let key = elsewhere().secret("key").unwrap().clone();
    let world = World::with(|settings| with_ssh(settings, "key", SettingValue::Secret(key)));
    fails(&world, "denied", "does not let paramedic in with the key SHA256:").await;
    let world =
        World::with(|settings| with_ssh(settings, "user", SettingValue::Text("root".to_owned())));
    fails(&world, "denied", "does not let root in").await;
}

#[tokio::test(start_paused = true)]
async fn what_is_no_ssh_server_is_no_answer() {
    use tokio::io::AsyncWriteExt;
    let greetings: [&[u8]; 4] = [
        b"",
        b"HTTP/1.1 400 Bad Request\r\n\r\n<html>",
        b"SSH-2.0-x\r\n",
        b"SSH-2.0-x\r\n\0\0\0\0",
    ];
    for greeting in greetings {
        let world = World::new();
        world.bench.network.listen(address(), move |mut stream| {
            Box::pin(async move {
                let _ = stream.write_all(greeting).await;
                let _ = stream.shutdown().await;
            })
        });
        fails(&world, "connect", "connect to ssh://sut.test:22: ").await;
    }
}

#[tokio::test(start_paused = true)]
async fn nonsense_from_a_command_is_no_answer() {
    let answers = [
        (Some(0), ""),
        (Some(0), "<html><body>Welcome to the jump host</body></html>"),
        (Some(0), "\u{0}\u{1}\u{2}"),
        (Some(1), "Failed to connect to bus"),
        (Some(127), "sh: not found"),
        (None, ""),
    ];
    for (code, stdout) in answers {
        let world = World::new();
        // Whatever is asked first gets that answer.
        for line in ["date +%s", "df -P -k", "ss -H -ltnp"] {
            let (stdout, stderr) = (stdout.to_owned(), String::new());
            let finished = Finished { code, stdout, stderr };
            world.host.answer(line, move || finished.clone());
        }
        if (code, stdout) == (Some(0), "") {
            // No line at all is an answer of `ss`: nothing listens.
            let error = world.bench.probe(integration(), "service-status", &[SERVICE]).await;
            assert_eq!(error.unwrap_err().class(), "answer");
            let error = world.bench.probe(integration(), "host-resources", &[]).await;
            assert_eq!(error.unwrap_err().class(), "answer");
            continue;
        }
        fails(&world, "answer", "understand the answer of ssh://sut.test:22").await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_breaks_within_a_start_leaves_it_uncertain() {
    use paramedic_generic::{Failure, Start, UnitState};
    use paramedic_integration::ActionError;
    let world = World::new();
    world.host.set_unit("traefik.service", UnitState::Failed(Failure::ExitCode(1)));
    let network = world.bench.network.clone();
    world.host.on_start("traefik.service", move || {
        network.close(&Address::new("sut.test", 22));
        Start::Succeeds
    });
    let failure = world.bench.act(integration(), "service-start", &[SERVICE]).await.unwrap_err();
    assert!(matches!(failure, ActFailure::Action(ActionError::Uncertain(_))), "{failure}");
    assert!(world.host.unit_running("traefik.service"));
}
