use std::process::Stdio;

use expect_test::{Expect, expect};
use paramedic_integration::{Address, TcpTransport, Transport};
use paramedic_model::Secret;
use paramedic_server::{PrometheusOptions, Server, ServerOptions};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, Command};

use crate::remote_write::body_at;
use crate::sockets::{exchange, run};
use crate::world::{TOKEN, World};

/// Whether a program is there; says so where it is not, and fails where it must be.
pub fn is_here(test: &str, program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    if std::env::split_paths(&path).any(|folder| folder.join(program).is_file()) {
        return true;
    }
    assert!(std::env::var("CI").as_deref() != Ok("true"), "{test}: no {program}");
    println!("skipped: {test}: cargo xtask peers install brings {program}");
    false
}

/// Whether Python has a module; as [`is_here`].
pub fn promised(test: &str, module: &str) -> bool {
    #[expect(clippy::disallowed_methods, reason = "the peer of these tests is a process")]
    let output =
        std::process::Command::new("python3").args(["-c", &format!("import {module}")]).output();
    if output.is_ok_and(|output| output.status.success()) {
        return true;
    }
    assert!(std::env::var("CI").as_deref() != Ok("true"), "{test}: no {module}");
    println!("skipped: {test}: cargo xtask peers install brings {module}");
    false
}

#[expect(clippy::disallowed_methods, reason = "the peer of these tests is a process")]
pub fn command(program: &str) -> Command {
    let mut command = Command::new(program);
    command.kill_on_drop(true).stdin(Stdio::null());
    command
}

/// A server of ours on a real socket, today.
pub async fn serve() -> (World, Address) {
    let world = World::today().await;
    let prometheus = PrometheusOptions { remote_write: true, ..PrometheusOptions::default() };
    let options = ServerOptions { prometheus, ..ServerOptions::new(Secret::new(TOKEN)) };
    let server = Server::bind(world.handle.clone(), world.clock.clone(), options).await;
    let server = server.expect("there is a free port");
    let address = server.address().clone();
    tokio::spawn(server.run());
    (world, address)
}

/// Posts in HTTP/1.0, so that the answer is what comes until the end.
pub async fn post(address: &Address, path: &str, headers: &str, body: &[u8]) -> String {
    let mut stream = TcpTransport.connect(address).await.expect("it listens");
    let length = body.len();
    let head = format!(
        "POST {path} HTTP/1.0\r\nHost: {address}\r\n{headers}Content-Length: {length}\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await.expect("it reads");
    stream.write_all(body).await.expect("it reads");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("it answers");
    answer
}

pub async fn write(address: &Address, body: &[u8]) {
    let headers = format!(
        "Content-Type: application/x-protobuf\r\nContent-Encoding: snappy\r\n\
         Authorization: Bearer {TOKEN}\r\n"
    );
    let answer = post(address, "/api/v1/write", &headers, body).await;
    assert!(answer.contains(" 204 "), "{answer}");
}

/// Five samples, 15 s apart, of three series, the last ones at `end`, in milliseconds.
pub fn samples(end: i64) -> Vec<u8> {
    let at = |i: i64| end - (4 - i) * 15_000;
    let values =
        |value: fn(f64) -> f64| -> Vec<_> { (0..5).map(|i| (at(i), value(i as f64))).collect() };
    let names: [&[(&str, &str)]; 4] = [
        &[("__name__", "m"), ("instance", "1"), ("job", "a")],
        &[("__name__", "m"), ("instance", "2"), ("job", "a")],
        &[("__name__", "m"), ("instance", "1"), ("job", "b")],
        &[("__name__", "odd"), ("text", "\"ä\\\n")],
    ];
    let values = [values(|i| i), values(|i| 10.0 - i / 4.0), values(|_| 7.0), values(|i| i * 1e-7)];
    let series: Vec<_> = names.iter().zip(&values).map(|(n, v)| (*n, v.as_slice())).collect();
    body_at(&series)
}

/// What promtool prints, and says when it fails.
async fn promtool(address: &Address, end: i64, args: &[&str]) -> String {
    let url = format!("http://{address}");
    let args = args.iter().map(|arg| if *arg == "URL" { &*url } else { *arg });
    let output = command("promtool").arg("query").args(args).output().await;
    let output = output.expect("promtool runs");
    let text = [output.stdout, output.stderr].concat();
    let mut text = String::from_utf8(text).expect("promtool prints UTF-8");
    for i in 0..5 {
        let at = (end / 1000) - (4 - i) * 15;
        text = text.replace(&at.to_string(), &format!("T{i}"));
    }
    text
}

#[test]
fn promtool_has_nothing_to_say_of_our_metrics() {
    if !is_here("promtool_has_nothing_to_say_of_our_metrics", "promtool") {
        return;
    }
    run(async {
        let page = World::today().await.client.get("/metrics").await.text;
        let mut check = command("promtool");
        check.args(["check", "metrics"]).stdin(Stdio::piped());
        let mut check =
            check.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("promtool runs");
        let mut stdin = check.stdin.take().expect("it is piped");
        stdin.write_all(page.as_bytes()).await.expect("promtool reads");
        drop(stdin);
        let output = check.wait_with_output().await.expect("promtool ends");
        let text = [output.stdout, output.stderr].concat();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&text));
        assert_eq!(String::from_utf8_lossy(&text), "");
    });
}

#[test]
fn promtool_reads_our_answers() {
    if !is_here("promtool_reads_our_answers", "promtool") {
        return;
    }
    run(async {
        let (world, address) = serve().await;
        let end = world.clock.now().0 / 1000 * 1000;
        write(&address, &samples(end)).await;
        let (first, last) = ((end / 1000 - 60).to_string(), (end / 1000).to_string());
        let check = async |args: &[&str], expected: Expect| {
            expected.assert_eq(&promtool(&address, end, args).await);
        };
        let instant = |query| ["instant", "--time", &last, "URL", query];
        check(
            &instant("m"),
            expect![[r#"
            m{instance="1", job="a"} => 4 @[T4]
            m{instance="2", job="a"} => 9 @[T4]
            m{instance="1", job="b"} => 7 @[T4]
        "#]],
        )
        .await;
        check(
            &instant("sum by (job) (m)"),
            expect![[r#"
            {job="a"} => 13 @[T4]
            {job="b"} => 7 @[T4]
        "#]],
        )
        .await;
        check(
            &instant("1 / 3"),
            expect![[r#"
            scalar: 0.3333333333333333 @[T4]
        "#]],
        )
        .await;
        check(
            &instant("m{job=\"b\"}[1m]"),
            expect![[r#"
            m{instance="1", job="b"} =>
            7 @[T1]
            7 @[T2]
            7 @[T3]
            7 @[T4]
        "#]],
        )
        .await;
        check(
            &instant("odd"),
            expect![[r#"
            odd{text="\"ä\\\n"} => 0.0000004 @[T4]
        "#]],
        )
        .await;
        check(&instant("sum by (job"), expect![[r#"
            query error: bad_data: invalid parameter "query": 1:12: parse error: unclosed left parenthesis
        "#]]).await;
        check(&instant("m + on () m"), expect![[r#"
            query error: execution: found duplicate series for the match group {} on the right hand-side of the operation: [{__name__="m", instance="1", job="a"}, {__name__="m", instance="2", job="a"}];many-to-many matching not allowed: matching labels must be unique on one side
        "#]]).await;
        let range = ["range", "--start", &first, "--end", &last, "--step", "30s", "URL"];
        check(
            &[&range[..], &["sum by (job) (m)"]].concat(),
            expect![[r#"
            {job="a"} =>
            10 @[T0]
            11.5 @[T2]
            13 @[T4]
            {job="b"} =>
            7 @[T0]
            7 @[T2]
            7 @[T4]
        "#]],
        )
        .await;
        check(&[&range[..], &["m[5m]"]].concat(), expect![[r#"
            query error: bad_data: invalid parameter "query": invalid expression type "range vector" for range query, must be Scalar or instant Vector
        "#]]).await;
        let between = ["--start", &*first, "--end", &*last, "URL"];
        let series = ["series", "--match", "m", "--match", "odd"];
        check(
            &[&series[..], &between].concat(),
            expect![[r#"
            {__name__="m", instance="1", job="a"}
            {__name__="m", instance="1", job="b"}
            {__name__="m", instance="2", job="a"}
            {__name__="odd", text="\"ä\\\n"}
        "#]],
        )
        .await;
        check(
            &[&["labels"][..], &between, &["job"]].concat(),
            expect![[r#"
            a
            b
        "#]],
        )
        .await;
    });
}

/// A real Prometheus, ready.
pub struct Prometheus {
    _process: Child,
    pub address: Address,
    /// Its data go away with it.
    _folder: tempfile::TempDir,
}

pub async fn prometheus(config: &str, flags: &[&str]) -> Prometheus {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let file = folder.path().join("prometheus.yml");
    std::fs::write(&file, config).expect("a file can be written");
    let free = std::net::TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
    let port = free.local_addr().expect("a bound port").port();
    drop(free);
    let address = Address::new("127.0.0.1", port);
    let mut process = command("prometheus")
        .arg(format!("--config.file={}", file.display()))
        .arg(format!("--storage.tsdb.path={}", folder.path().join("data").display()))
        .arg(format!("--web.listen-address={address}"))
        .args(flags)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("prometheus starts");
    let stderr = process.stderr.take().expect("standard error is a pipe");
    let mut lines = BufReader::new(stderr).lines();
    let mut said = String::new();
    while let Ok(Some(line)) = lines.next_line().await {
        if line.contains("Server is ready to receive web requests") {
            // Whatever else it says must not fill the pipe.
            tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
            return Prometheus { _process: process, address, _folder: folder };
        }
        said.push_str(&line);
    }
    panic!("prometheus ended: {said}");
}

#[test]
fn a_real_prometheus_writes_to_us() {
    if !is_here("a_real_prometheus_writes_to_us", "prometheus") {
        return;
    }
    run(async {
        let (world, address) = serve().await;
        let config = format!(
            "scrape_configs:\n- job_name: things\n  scrape_interval: 1s\n  static_configs: \
             [{{ targets: [\"{address}\"], labels: {{ site: berlin }} }}]\nremote_write:\n- url: \
             http://{address}/api/v1/write\n  authorization: {{ credentials: {TOKEN} }}\n  \
             queue_config: {{ batch_send_deadline: 100ms }}\n  \
             metadata_config: {{ send_interval: 1s }}\n"
        );
        let _prometheus = prometheus(&config, &[]).await;
        // What it scrapes is our own page of metrics.
        let mut version = world.handle.version();
        let path = "/api/v1/query?query=up%7Bsite%3D%22berlin%22%7D";
        let mut text = String::new();
        // It sends every second, and our own targets come but every 15 s.
        for _ in 0..60 {
            let get = format!("GET {path} HTTP/1.0\r\nhost: {address}\r\n\r\n");
            text = exchange(&address, &get).await;
            if text.contains("\"value\"") {
                break;
            }
            version.changed().await.expect("the engine runs");
        }
        let labels =
            format!(r#"{{"__name__":"up","instance":"{address}","job":"things","site":"berlin"}}"#);
        assert!(text.contains(&labels) && text.contains(r#","1"]"#), "{text}");
        // What it read of types and help texts on that page, it hands on.
        let said = r#""paramedic_targets":[{"type":"gauge","help":"Number of targets that are collected.","unit":""}]"#;
        for _ in 0..60 {
            let get = format!("GET /api/v1/metadata HTTP/1.0\r\nhost: {address}\r\n\r\n");
            text = exchange(&address, &get).await;
            if text.contains(said) {
                return;
            }
            version.changed().await.expect("the engine runs");
        }
        panic!("{text}");
    });
}

#[test]
fn a_real_prometheus_answers_the_same() {
    if !is_here("a_real_prometheus_answers_the_same", "prometheus") {
        return;
    }
    run(async {
        let (world, ours) = serve().await;
        let real = prometheus("global: {}\n", &["--web.enable-remote-write-receiver"]).await;
        let end = world.clock.now().0 / 1000 * 1000;
        let body = samples(end);
        write(&ours, &body).await;
        write(&real.address, &body).await;
        let seconds = |back: i64| (end / 1000 - back).to_string();
        let instant = |query: &str| {
            ("query", vec![("query", query.to_owned()), ("time", seconds(1) + ".250")])
        };
        let range = |query: &str, step: &str| {
            let parts = [query.to_owned(), seconds(70), seconds(0), step.to_owned()];
            ("query_range", ["query", "start", "end", "step"].into_iter().zip(parts).collect())
        };
        let list = |endpoint: &'static str, selector: &str| {
            let parts = [selector.to_owned(), seconds(70), seconds(0)];
            (endpoint, ["match[]", "start", "end"].into_iter().zip(parts).collect())
        };
        let asked: Vec<(&str, Vec<(&str, String)>)> = vec![
            instant("sort(m)"),
            instant("sum by (job) (m)"),
            instant("m{job=\"none\"}"),
            instant("m[50s]"),
            instant("1 / 3"),
            instant("1e30"),
            instant("-Inf"),
            instant("vector(1e30)"),
            instant("vector(NaN)"),
            instant("\"a < b & c\""),
            instant("odd"),
            instant("max_over_time(odd[50s])"),
            instant("sum by (job"),
            instant("m{"),
            instant("m < b and"),
            instant("rate(m)"),
            instant("nosuch(m)"),
            instant(""),
            range("m", "15"),
            range("m{job=\"b\"}", "0.5"),
            range("1 + 1", "30s"),
            range("none", "1m"),
            range("m[1m]", "15"),
            range("\"a\"", "15"),
            range("m", "0"),
            range("m", "-5"),
            range("m", "x"),
            range("m", "0.001"),
            list("series", "m{job=\"a\"}"),
            list("series", "{__name__=~\"m|odd\"}"),
            list("series", "none"),
            list("series", "m{"),
            list("series", "{}"),
            list("series", "{job=~\".*\"}"),
            list("labels", "odd"),
            ("series", vec![]),
            ("query", vec![("query", "1".to_owned()), ("timeout", "x".to_owned())]),
            ("query_range", vec![("query", "1".to_owned()), ("start", "abc".to_owned())]),
            ("query_exemplars", vec![("query", "m".to_owned())]),
        ];
        let form = "Content-Type: application/x-www-form-urlencoded\r\n";
        let mut differ = String::new();
        for (endpoint, params) in asked {
            let pairs =
                form_urlencoded::Serializer::new(String::new()).extend_pairs(&params).finish();
            let path = format!("/api/v1/{endpoint}");
            let mut answers = Vec::new();
            for address in [&real.address, &ours] {
                let answer = post(address, &path, form, pairs.as_bytes()).await;
                let (head, body) = answer.split_once("\r\n\r\n").expect("a head and a body");
                let status = head.split(' ').nth(1).unwrap_or_default();
                answers.push(format!("{status} {body}"));
            }
            if answers[0] != answers[1] {
                let [theirs, ours] = [&answers[0], &answers[1]];
                let query = params.first().map_or("", |(_, value)| value);
                differ.push_str(&format!("{endpoint} {query}\n  {theirs}\n  {ours}\n"));
            }
        }
        // Prometheus 3 names the parameter there, 2 does not.
        expect![[r#"
            query_range m[1m]
              400 {"status":"error","errorType":"bad_data","error":"invalid expression type \"range vector\" for range query, must be Scalar or instant Vector"}
              400 {"status":"error","errorType":"bad_data","error":"invalid parameter \"query\": invalid expression type \"range vector\" for range query, must be Scalar or instant Vector"}
            query_range "a"
              400 {"status":"error","errorType":"bad_data","error":"invalid expression type \"string\" for range query, must be Scalar or instant Vector"}
              400 {"status":"error","errorType":"bad_data","error":"invalid parameter \"query\": invalid expression type \"string\" for range query, must be Scalar or instant Vector"}
        "#]].assert_eq(&differ);
    });
}
