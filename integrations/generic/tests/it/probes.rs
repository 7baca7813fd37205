use paramedic_catalog::{SettingValue, Settings};
use paramedic_generic::{Failure, Listener, Locally, UnitState, integration};
use paramedic_integration::Finished;
use serde_json::{Value, json};

use crate::world::{SERVICE, TRAEFIK, World};

/// The named facts of a probe's evidence, and its summary.
async fn facts(world: &World, probe: &str, with: &[(&str, &str)], names: &[&str]) -> Value {
    let evidence = world.bench.probe(integration(), probe, with).await.expect("the look succeeds");
    let mut picked: serde_json::Map<_, _> =
        names.iter().map(|name| ((*name).to_owned(), evidence.facts[*name].clone())).collect();
    picked.insert("summary".to_owned(), evidence.summary.into());
    picked.into()
}

#[tokio::test(start_paused = true)]
async fn kit_and_catalogue_agree() {
    let world = World::new();
    let differences = world.bench.system.kit.differences(integration().catalog());
    assert!(differences.is_empty(), "{differences:?}");
}

#[tokio::test(start_paused = true)]
async fn a_look_leaves_no_connection_behind() {
    let world = World::new();
    let began = world.bench.clock.now();
    for _ in 0..5 {
        world.bench.probe(integration(), "service-status", &[SERVICE]).await.unwrap();
    }
    // No look waits for a timer, so virtual time stands still meanwhile.
    assert_eq!(world.bench.clock.now(), began);
    world.pass(1).await;
    assert_eq!(tokio::runtime::Handle::current().metrics().num_alive_tasks(), 0);
}

#[tokio::test(start_paused = true)]
async fn service_status_tells_how_a_unit_is() {
    let world = World::new();
    let names = ["running", "result", "exit_code", "signal", "auto_restart", "stopped_on_request"];
    let status = async || facts(&world, "service-status", &[SERVICE], &names).await;
    assert_eq!(
        status().await,
        json!({
            "running": true, "result": "success", "exit_code": null, "signal": null,
            "auto_restart": false, "stopped_on_request": null,
            "summary": "traefik is active (running) since 1d",
        })
    );

    world.host.set_unit(TRAEFIK, UnitState::Failed(Failure::ExitCode(1)));
    world.pass(90).await;
    assert_eq!(
        status().await,
        json!({
            "running": false, "result": "exit-code", "exit_code": 1, "signal": null,
            "auto_restart": false, "stopped_on_request": false,
            "summary": "traefik is failed (exit-code 1) since 1m30s",
        })
    );

    world.host.set_unit(TRAEFIK, UnitState::Failed(Failure::OomKill));
    assert_eq!(status().await["signal"], 9);
    assert_eq!(status().await["result"], "oom-kill");

    world.host.set_unit(TRAEFIK, UnitState::Running);
    world.host.set_unit(TRAEFIK, UnitState::Stopped);
    assert_eq!(
        status().await,
        json!({
            "running": false, "result": "success", "exit_code": null, "signal": 15,
            "auto_restart": false, "stopped_on_request": true,
            "summary": "traefik is inactive (success) since 0s, stopped on request",
        })
    );
}

#[tokio::test(start_paused = true)]
async fn service_status_tells_what_systemd_will_do() {
    let world = World::new();
    let due = world.bench.clock.now() + std::time::Duration::from_secs(300);
    let failure = Failure::ExitCode(1);
    world.host.set_unit("oxidized.service", UnitState::AutoRestart { failure, due });
    world.pass(100).await;
    let names = ["auto_restart", "restart_in_seconds", "running", "restart_count"];
    let status = async || facts(&world, "service-status", &[("service", "oxidized")], &names).await;
    assert_eq!(
        status().await,
        json!({
            "auto_restart": true, "restart_in_seconds": 200.0, "running": false,
            "restart_count": 0,
            "summary": "oxidized is activating (exit-code 1) since 1m40s; systemd starts it again \
                        in 3m20s",
        })
    );
    world.pass(200).await;
    assert_eq!(
        status().await,
        json!({
            "auto_restart": false, "restart_in_seconds": null, "running": true,
            "restart_count": 1,
            "summary": "oxidized is active (running) since 0s; systemd restarted it once",
        })
    );
}

#[tokio::test(start_paused = true)]
async fn service_status_tells_masked_missing_and_given_up() {
    let world = World::new();
    let names = ["exists", "masked", "start_limit_hit", "enabled"];
    let status = async || facts(&world, "service-status", &[SERVICE], &names).await;
    world.host.set_unit(TRAEFIK, UnitState::Masked);
    assert_eq!(status().await["masked"], true);
    world.host.set_unit(TRAEFIK, UnitState::Failed(Failure::StartLimit));
    assert_eq!(status().await["start_limit_hit"], true);
    world.host.set_unit(TRAEFIK, UnitState::NotFound);
    assert_eq!(
        status().await,
        json!({
            "exists": false, "masked": false, "start_limit_hit": false, "enabled": false,
            "summary": "traefik is not there: the host has no unit traefik.service",
        })
    );
}

#[tokio::test(start_paused = true)]
async fn a_status_needs_no_right_to_the_journal() {
    let world = World::new();
    world.host.set_unit(TRAEFIK, UnitState::Stopped);
    world.host.set_may_read_journal(false);
    let names = ["running", "stopped_on_request"];
    let status = facts(&world, "service-status", &[SERVICE], &names).await;
    assert_eq!(status["running"], false);
    assert_eq!(status["stopped_on_request"], Value::Null);
}

#[tokio::test(start_paused = true)]
async fn service_log_shows_lines_errors_and_requests() {
    let world = World::new();
    world.pass(3600).await;
    world.host.log(TRAEFIK, "\u{1b}[31mERR\u{1b}[0m Cannot listen error=\"address in use\"");
    world.host.set_unit(TRAEFIK, UnitState::Failed(Failure::ExitCode(1)));
    let names = ["line_count", "error_count", "last_error", "start_count", "stopped_on_request"];
    assert_eq!(
        facts(&world, "service-log", &[SERVICE], &names).await,
        json!({
            "line_count": 3, "error_count": 1,
            "last_error": "ERR Cannot listen error=\"address in use\"",
            "start_count": 0, "stopped_on_request": false,
            "summary": "ERR Cannot listen error=\"address in use\"",
        })
    );
    let lines = facts(&world, "service-log", &[SERVICE, ("lines", "1")], &["lines"]).await;
    let line = &lines["lines"][0];
    assert_eq!(line["text"], "traefik.service: Failed with result 'exit-code'.");
    assert_eq!((&line["manager"], &line["source"]), (&json!(true), &json!("systemd")));
    assert_eq!(line["at"], "2026-11-21T03:22:00.000Z");
    let all = [SERVICE, ("since", "2d")];
    assert_eq!(facts(&world, "service-log", &all, &["start_count"]).await["start_count"], 1);
}

#[tokio::test(start_paused = true)]
async fn an_empty_log_is_told_from_one_that_may_not_be_read() {
    let world = World::new();
    let log = async || world.bench.probe(integration(), "service-log", &[SERVICE]).await;
    assert_eq!(log().await.unwrap().summary, "traefik logged nothing in this time");
    world.host.set_may_read_journal(false);
    let error = log().await.unwrap_err();
    assert_eq!(error.class(), "denied");
    assert_eq!(
        error.to_string(),
        "log in to ssh://sut.test:22: the login may not read the journal of traefik.service: add \
         it to the group systemd-journal"
    );
}

#[tokio::test(start_paused = true)]
async fn host_resources_show_what_is_scarce() {
    let world = World::new();
    let names = [
        "fullest_path",
        "fullest_percent",
        "memory_available_percent",
        "swap_used_percent",
        "load5",
        "load5_per_cpu",
    ];
    let resources = async || facts(&world, "host-resources", &[], &names).await;
    assert_eq!(
        resources().await,
        json!({
            "fullest_path": "/", "fullest_percent": 40.0, "memory_available_percent": 62.5,
            "swap_used_percent": 0.0, "load5": 0.17, "load5_per_cpu": 0.085,
            "summary": "/ is 40 % full, 2560 of 4096 MiB memory available, load 0.17 on 2 \
                        processors",
        })
    );
    world.host.change_resources(|resources| {
        resources.fill("/var");
        resources.memory_available_kib = 40 << 10;
        resources.swap_total_kib = 0;
        resources.load = [30.0, 24.0, 8.0];
    });
    assert_eq!(
        resources().await,
        json!({
            "fullest_path": "/var", "fullest_percent": 100.0, "memory_available_percent": 1.0,
            "swap_used_percent": null, "load5": 24.0, "load5_per_cpu": 12.0,
            "summary": "/var is 100 % full, 40 of 4096 MiB memory available, load 24.00 on 2 \
                        processors",
        })
    );
    world.host.change_resources(|resources| {
        resources.mounts.retain(|mount| mount.path != "/var");
        resources.mounts[0].inodes_used = resources.mounts[0].inodes_total;
    });
    assert_eq!(resources().await["fullest_percent"], 100.0);
}

#[tokio::test(start_paused = true)]
async fn listeners_name_the_owner_of_a_port() {
    let world = World::new();
    let port = [("port", "80")];
    let listeners = async || facts(&world, "listeners", &port, &["count", "listeners"]).await;
    assert_eq!(listeners().await["summary"], "nothing listens on port 80");
    world.host.change_resources(|resources| {
        resources.listeners.push(Listener {
            address: "*:80".to_owned(),
            program: "nginx".to_owned(),
            pid: 4711,
        });
    });
    assert_eq!(
        listeners().await,
        json!({
            "count": 1,
            "listeners": [{ "address": "*", "port": 80, "program": "nginx", "pid": 4711 }],
            "summary": "port 80: nginx (pid 4711) on *:80",
        })
    );
}

fn checks(mut settings: Settings) -> Settings {
    let checks = [("ssh", "sut.test:22"), ("silent", "silent.test:1"), ("closed", "sut.test:23")];
    let urls = [("web", "http://web.test:80/ping?x=1"), ("dead", "https://sut.test:24")];
    let checks = checks.iter().chain(&urls);
    let checks = checks.map(|(name, target)| ((*name).to_owned(), (*target).to_owned()));
    settings.set("checks", SettingValue::TextMap(checks.collect()));
    settings
}

#[tokio::test(start_paused = true)]
async fn tcp_check_tells_refusal_from_silence() {
    let world = World::with(checks);
    world.bench.network.hang(paramedic_integration::Address::new("silent.test", 1));
    let names = ["reachable", "failure"];
    let check = async |name| {
        let mut facts = facts(&world, "tcp-check", &[("check", name)], &names).await;
        facts["summary"].take()
    };
    assert_eq!(check("ssh").await, "sut.test:22 accepts connections");
    assert_eq!(check("closed").await, "sut.test:23 cannot be reached: connection refused");
    // A listener that accepts and then says nothing is reachable: TCP promises no more.
    assert_eq!(check("silent").await, "silent.test:1 accepts connections");
    assert_eq!(check("dead").await, "sut.test:24 cannot be reached: connection refused");
}

#[tokio::test(start_paused = true)]
async fn http_check_shows_status_and_body() {
    use paramedic_integration::{Address, serve_http};
    let world = World::with(checks);
    world.bench.network.listen(Address::new("web.test", 80), |stream| {
        Box::pin(serve_http(stream, |request| {
            let path = request.uri().to_string();
            let (status, body) = if path == "/ping?x=1" { (503, "<h1>no</h1>") } else { (404, "") };
            let mut answer = response(body);
            *answer.status_mut() = status.try_into().expect("a status");
            Box::pin(async move { Some(answer) })
        }))
    });
    let names = ["reachable", "ok", "status", "body", "failure"];
    let check = async |name| facts(&world, "http-check", &[("check", name)], &names).await;
    assert_eq!(
        check("web").await,
        json!({
            "reachable": true, "ok": false, "status": 503, "body": "<h1>no</h1>", "failure": "",
            "summary": "http://web.test:80/ping?x=1 answers 503",
        })
    );
    let dead = check("dead").await;
    assert_eq!((&dead["reachable"], &dead["failure"]), (&json!(false), &json!("refused")));
    world.bench.network.hang(Address::new("web.test", 80));
    assert_eq!(check("web").await["failure"], "timeout");
}

fn response(body: &'static str) -> http::Response<http_body_util::Full<bytes::Bytes>> {
    http::Response::new(bytes::Bytes::from_static(body.as_bytes()).into())
}

#[tokio::test(start_paused = true)]
async fn service_answer_asks_the_host_itself() {
    let said = std::sync::Arc::new(std::sync::Mutex::new(Locally::Answers(200)));
    let world = World::new();
    let hears = said.clone();
    world.host.answer_locally("traefik", "http://127.0.0.1:8080/ping", move || {
        *hears.lock().expect("nobody panics")
    });
    let system = integration().open(
        &paramedic_model::SystemName::from("sut"),
        &world.bench.simulator.settings(),
        &world.bench.environment,
    );
    let world = World {
        bench: paramedic_testkit::Bench { system: system.expect("it opens"), ..world.bench },
        ..world
    };
    let names = ["answers", "status", "failure"];
    let answer = async || facts(&world, "service-answer", &[SERVICE], &names).await;
    assert_eq!(
        answer().await,
        json!({
            "answers": true, "status": 200, "failure": "",
            "summary": "asked on its own host, traefik answers 200",
        })
    );
    *said.lock().expect("nobody panics") = Locally::Silent;
    assert_eq!(answer().await["summary"], "asked on its own host, traefik does not answer");
    *said.lock().expect("nobody panics") = Locally::Closed;
    assert_eq!(answer().await["failure"], "refused");
    // Where nobody said where it answers, nobody could look.
    let other = [("service", "oxidized")];
    let error = world.bench.probe(integration(), "service-answer", &other).await;
    assert_eq!(
        error.unwrap_err().to_string(),
        "nobody can tell whether oxidized answers on its own host: set \
         `services.oxidized.local_url` of the host"
    );
}

#[tokio::test(start_paused = true)]
async fn command_runs_what_the_configuration_allows() {
    let world = World::with(|mut settings| {
        let words = ["traefik", "version"].map(str::to_owned).to_vec();
        let commands = [("version".to_owned(), words)].into();
        settings.set("commands", SettingValue::ListMap(commands));
        settings
    });
    let version = async || {
        let with = [("name", "version")];
        world.bench.probe(integration(), "command", &with).await
    };
    let error = version().await.unwrap_err().to_string();
    assert!(error.ends_with("`traefik version` ended with 127: sh: 1: traefik version: not found"));
    world.host.answer("traefik version", || Finished {
        code: Some(0),
        stdout: "Version:      3.5.2\nCodename:     x\n".to_owned(),
        stderr: String::new(),
    });
    let evidence = version().await.unwrap();
    assert_eq!(evidence.facts["lines"][0], "Version:      3.5.2");
    let error = world.bench.probe(integration(), "command", &[("name", "reboot")]).await;
    assert_eq!(
        error.unwrap_err().to_string(),
        "the host has no \"reboot\" under `commands`, which lists version; nothing was sent"
    );
}
