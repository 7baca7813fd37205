//! A real OpenSSH server on loopback. The container of a test has no systemd, so `systemctl` and
//! `journalctl` are scripts there; `df`, `date`, `ss` and the rest are the real ones.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;

use paramedic_catalog::{SettingValue, Settings};
use paramedic_generic::{SimulatedHost, integration};
use paramedic_integration::{
    Address, Environment, OsProcesses, ProbeError, ScaledClock, TcpTransport, serve_http,
};
use paramedic_model::{Redactor, SystemName};
use paramedic_testkit::{ActFailure, Bench, VIRTUAL_EPOCH};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::net::TcpListener;

use crate::world::{SERVICE, World};

const SSHD: &str = "/usr/sbin/sshd";

/// Prints the state of the one unit from files, changes them on start, and notes what was asked.
const SYSTEMCTL: &str = r#"#!/bin/sh
cd DIR
echo "systemctl $*" >> asked
case "$*" in
    "--no-ask-password start -- traefik.service" | "--no-ask-password restart -- traefik.service")
        [ -e denied ] && { echo "Failed to start traefik.service: Access denied" >&2; exit 4; }
        echo active > active; echo running > sub; echo $$ > pid; echo success > result
        date -u "+%a %Y-%m-%d %H:%M:%S UTC" > since ;;
    "show --no-pager -p "*" -- traefik.service")
        echo "Id=traefik.service"; echo "LoadState=loaded"; echo "UnitFileState=enabled"
        echo "ActiveState=$(cat active)"; echo "SubState=$(cat sub)"; echo "MainPID=$(cat pid)"
        echo "Result=$(cat result)"; echo "ExecMainCode=1"; echo "ExecMainStatus=1"; echo "NRestarts=0"
        echo "RestartUSec=100ms"; echo "StateChangeTimestamp=$(cat since)"
        echo "ActiveEnterTimestamp=$(cat since)"; echo "InactiveEnterTimestamp=$(cat since)" ;;
    *) echo "Unknown command: $*" >&2; exit 1 ;;
esac
"#;

/// Prints one line, or, where 900 are asked for, so many long ones that they exceed a window of the
/// protocol.
const JOURNALCTL: &str = r#"#!/bin/sh
cd DIR
echo "journalctl $*" >> asked
count=1; text=hello
[ "$4" = "--lines=900" ] && { count=900; text=$(printf '%03000d' 0); }
while [ "$count" -gt 0 ]; do
    count=$((count - 1))
    printf '{"__REALTIME_TIMESTAMP":"1795227720000000","_PID":"812","PRIORITY":"6","MESSAGE":"%s"}\n' "$text"
done
"#;

/// A running sshd whose files go away with it.
struct Sshd {
    dir: TempDir,
    address: Address,
    /// Where a service of this machine answers 204.
    url: String,
    _process: tokio::process::Child,
}

impl Sshd {
    /// Starts a server that lets the simulated host's visitor in, with `options` before its key;
    /// `None` where there is no sshd and none is demanded.
    async fn start(test: &str, options: &str) -> Option<Self> {
        if !Path::new(SSHD).exists() {
            assert!(std::env::var("CI").as_deref() != Ok("true"), "{test}: no {SSHD}");
            println!("skipped: sshd::{test}: apt-get install openssh-server");
            return None;
        }
        // A server that root starts separates privileges in this folder, which its package makes
        // at boot.
        if whoami() == "root" {
            fs::create_dir_all("/run/sshd").expect("root may make the folder");
        }
        let dir = tempfile::tempdir().expect("a temporary folder");
        let path = dir.path();
        let write = |name: &str, text: &str, mode: u32| {
            fs::write(path.join(name), text).expect("the folder is writable");
            let mode = fs::Permissions::from_mode(mode);
            fs::set_permissions(path.join(name), mode).expect("the file is ours");
        };
        fs::create_dir(path.join("bin")).expect("the folder is writable");
        let here = path.to_str().expect("a plain path");
        write("bin/systemctl", &SYSTEMCTL.replace("DIR", here), 0o755);
        write("bin/journalctl", &JOURNALCTL.replace("DIR", here), 0o755);
        let wrapper = include_str!("../../host/paramedic-host-command");
        write("wrapper", wrapper, 0o755);
        let state =
            [("active", "failed"), ("sub", "failed"), ("pid", "0"), ("result", "exit-code")];
        for (name, text) in state {
            write(name, text, 0o644);
        }
        write("since", "Sat 2026-11-21 02:22:00 UTC", 0o644);
        write("asked", "", 0o644);
        let keys = keys();
        write("host_key", &keys.host, 0o600);
        let options = options.replace("DIR", here);
        write("authorized_keys", &format!("{options} {}\n", keys.client_public), 0o600);
        let port = {
            let free = TcpListener::bind(("127.0.0.1", 0)).await.expect("a free port");
            free.local_addr().expect("a bound port").port()
        };
        let url = web().await;
        let config = format!(
            "Port {port}\nListenAddress 127.0.0.1\nHostKey {here}/host_key\nPidFile none\n\
             AuthorizedKeysFile {here}/authorized_keys\nStrictModes no\nUsePAM no\n\
             PermitRootLogin prohibit-password\nPasswordAuthentication no\n\
             SetEnv PATH={here}/bin:/usr/sbin:/usr/bin:/sbin:/bin \"PARAMEDIC_URLS={url}\"\n"
        );
        write("sshd_config", &config, 0o644);
        #[expect(clippy::disallowed_methods, reason = "the peer of this test is a process")]
        let mut process = tokio::process::Command::new(SSHD);
        process.args(["-D", "-e", "-f", &format!("{here}/sshd_config")]);
        process.stdin(Stdio::null()).stderr(Stdio::piped()).kill_on_drop(true);
        let mut process = process.spawn().expect("sshd starts");
        let stderr = process.stderr.take().expect("its standard error is a pipe");
        let mut lines = BufReader::new(stderr).lines();
        let mut said = Vec::new();
        while let Ok(Some(line)) = lines.next_line().await {
            if line.starts_with("Server listening on") {
                // Whatever else it says must not fill the pipe.
                tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
                let address = Address::new("127.0.0.1", port);
                return Some(Self { dir, address, url, _process: process });
            }
            said.push(line);
        }
        panic!("sshd ended: {said:?}");
    }

    fn settings(&self) -> Settings {
        let mut settings = keys().settings;
        let mut ssh = settings.table("ssh").cloned().expect("a simulated host has ssh");
        ssh = ssh.with_text("address", self.address.to_string()).with_text("user", whoami());
        settings.set("ssh", SettingValue::Table(ssh));
        let traefik = Settings::default().with_text("unit", "traefik.service");
        let mut services = std::collections::BTreeMap::new();
        for (name, url) in [("traefik", self.url.as_str()), ("elsewhere", "http://127.0.0.1:1/")] {
            services.insert(name.to_owned(), traefik.clone().with_text("local_url", url));
        }
        settings.set("services", SettingValue::TableMap(services));
        settings
    }

    /// The server as Paramedic sees it, on a clock that runs fast so that a proof takes no time.
    fn bench(&self, settings: &Settings) -> Bench {
        let World { bench, .. } = World::new();
        let clock = Arc::new(ScaledClock::new(VIRTUAL_EPOCH, 50.0));
        let environment = Environment {
            clock: clock.clone(),
            transport: Arc::new(TcpTransport),
            processes: Arc::new(OsProcesses),
            redactor: Redactor::default(),
        };
        let system = integration().open(&SystemName::from("sut"), settings, &environment);
        Bench { clock, system: system.expect("the settings open"), environment, ..bench }
    }

    fn asked(&self) -> String {
        fs::read_to_string(self.dir.path().join("asked")).expect("the scripts write it")
    }
}

/// Answers 204 to everything on loopback, until the test ends.
async fn web() -> String {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a free port");
    let address = listener.local_addr().expect("a bound port");
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let serve = serve_http(Box::new(stream), |_| {
                let mut answer = http::Response::new(http_body_util::Full::default());
                *answer.status_mut() = http::StatusCode::NO_CONTENT;
                Box::pin(async move { Some(answer) })
            });
            tokio::spawn(serve);
        }
    });
    format!("http://{address}/")
}

/// The keys of a simulated host serve the real one as well.
struct Keys {
    settings: Settings,
    host: String,
    client_public: String,
}

fn keys() -> Keys {
    let clock = Arc::new(ScaledClock::new(VIRTUAL_EPOCH, 1.0));
    let host = SimulatedHost::new(clock, 7, [("traefik.service", crate::world::unit())]);
    let settings = host.settings(&Address::new("127.0.0.1", 1));
    let (host, client_public) = (host.host_key_file(), host.client_key_line());
    Keys { settings, host, client_public }
}

fn whoami() -> String {
    use std::os::unix::fs::MetadataExt as _;
    // Who we are shows in the owner of a file that we make.
    let file = tempfile::NamedTempFile::new().expect("a temporary file");
    let uid = file.as_file().metadata().expect("our own file").uid();
    let users = fs::read_to_string("/etc/passwd").expect("the list of users");
    let user = users.lines().find(|line| line.split(':').nth(2) == Some(&uid.to_string()));
    user.and_then(|line| line.split(':').next()).unwrap_or("root").to_owned()
}

/// Everything that a runbook needs, through a server that allows all or only what it must.
async fn works(test: &str, options: &str) {
    let Some(sshd) = Sshd::start(test, options).await else { return };
    let bench = sshd.bench(&sshd.settings());
    let probe = async |name, with: &[(&str, &str)]| {
        bench.probe(integration(), name, with).await.unwrap_or_else(|e| panic!("{name}: {e}"))
    };
    let status = probe("service-status", &[SERVICE]).await;
    assert_eq!((&status.facts["failed"], &status.facts["exit_code"]), (&true.into(), &1.into()));
    let log = probe("service-log", &[SERVICE, ("lines", "900")]).await;
    assert_eq!(log.facts["line_count"], 900);
    let resources = probe("host-resources", &[]).await;
    assert!(resources.facts["memory_total_mib"].as_i64().is_some_and(|mib| mib > 0));
    assert!(resources.facts["fullest_path"].as_str().is_some_and(|path| path.starts_with('/')));

    let answer = probe("service-answer", &[SERVICE]).await;
    assert_eq!((&answer.facts["answers"], &answer.facts["status"]), (&true.into(), &204.into()));

    let done = bench.act(integration(), "service-start", &[SERVICE]).await.expect("it starts");
    assert!(done.acted.summary.starts_with("started traefik; it is active (running)"));
    let changes = || {
        let asked = sshd.asked();
        asked
            .lines()
            .filter(|line| line.contains("--no-ask"))
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    assert_eq!(changes(), ["systemctl --no-ask-password start -- traefik.service"]);
    let done = bench.act(integration(), "service-restart", &[SERVICE]).await.expect("it restarts");
    assert_eq!(done.blast_radius.count, 1);
    assert_eq!(changes()[1], "systemctl --no-ask-password restart -- traefik.service");

    fs::write(sshd.dir.path().join("denied"), "").expect("the folder is writable");
    let failure =
        bench.act(integration(), "service-restart", &[SERVICE]).await.expect_err("it is refused");
    assert!(matches!(failure, ActFailure::Action(_)), "{failure}");
}

#[tokio::test]
async fn works_with_a_plain_key() {
    works("works_with_a_plain_key", "restrict").await;
}

#[tokio::test]
async fn works_with_a_key_that_may_run_nothing_else() {
    works("works_with_a_key_that_may_run_nothing_else", r#"restrict,command="DIR/wrapper""#).await;
}

#[tokio::test]
async fn a_restricted_key_runs_nothing_else() {
    let test = "a_restricted_key_runs_nothing_else";
    let options = r#"restrict,command="DIR/wrapper""#;
    let Some(sshd) = Sshd::start(test, options).await else { return };
    let commands = [
        "id",
        "cat /etc/passwd",
        "systemctl --no-ask-password stop -- traefik.service",
        "systemctl --no-ask-password start -- sshd.service",
        "systemctl --no-ask-password start -- traefik.service sshd.service",
        "sudo -n id",
        "journalctl --no-pager -o json --lines=1 --since=@1 -u sshd.service",
        "curl -q -sS -k --noproxy localhost,127.0.0.1,::1 -m 5 -o /dev/null -D - http://10.0.0.1/",
        "curl -o /etc/passwd http://127.0.0.1/",
    ];
    let words = |line: &str| line.split(' ').map(str::to_owned).collect::<Vec<_>>();
    let lists = commands.iter().enumerate().map(|(i, line)| (format!("c{i}"), words(line)));
    let mut settings = sshd.settings();
    settings.set("commands", SettingValue::ListMap(lists.collect()));
    let bench = sshd.bench(&settings);
    for (i, line) in commands.iter().enumerate() {
        let name = format!("c{i}");
        let error = bench.probe(integration(), "command", &[("name", &name)]).await;
        let error = error.expect_err(line).to_string();
        assert!(error.contains("paramedic-host-command: not allowed"), "{error}");
    }
    assert_eq!(sshd.asked(), "");
    let other = bench.probe(integration(), "service-answer", &[("service", "elsewhere")]).await;
    let error = other.expect_err("the place is not allowed").to_string();
    assert!(error.contains("paramedic-host-command: not allowed"), "{error}");
}

#[tokio::test]
async fn a_real_server_is_held_to_its_key_and_holds_us_to_ours() {
    let test = "a_real_server_is_held_to_its_key_and_holds_us_to_ours";
    let Some(sshd) = Sshd::start(test, "restrict").await else { return };
    let look = async |key: &str, value: SettingValue| -> ProbeError {
        let mut settings = sshd.settings();
        let mut ssh = settings.table("ssh").cloned().expect("it is there");
        ssh.set(key, value);
        settings.set("ssh", SettingValue::Table(ssh));
        let bench = sshd.bench(&settings);
        bench.probe(integration(), "host-resources", &[]).await.expect_err(key)
    };
    let other = World::new().bench.simulator.settings();
    let other = other.table("ssh").expect("it is there");
    let host_key = other.text("host_key").expect("it is there").to_owned();
    let error = look("host_key", SettingValue::Text(host_key)).await;
    assert!(error.to_string().contains("another host answers"), "{error}");
    let key = other.secret("key").expect("it is there").clone();
    let error = look("key", SettingValue::Secret(key)).await;
    assert!(error.to_string().contains("does not let"), "{error}");
    let ecdsa = "ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBEmKSENjQ\
                 EezOmxkZMy7opKgwFB9nkt5YRrYMjNuG5N87uRgg6CLrbo5wAdT/y6v0mKV0U2w0WZ2YB/++Tpockg=";
    let error = look("host_key", SettingValue::Text(ecdsa.to_owned())).await;
    assert!(error.to_string().contains("no host key of the configured type"), "{error}");
    assert_eq!(sshd.asked(), "");
}
