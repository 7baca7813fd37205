//! One prometheus.yml, given to a real Prometheus and to the built binary, which scrape the same
//! exporters: both must have the same series, also after targets came and went.

use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader};
use std::net::Ipv4Addr;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use paramedic_integration::{Address, ScaledClock, TcpTransport, Transport as _};
use paramedic_model::Clock as _;
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use crate::process::{Site, eventually};

const PAGE: &str = r#"# HELP requests_total Requests.
# TYPE requests_total counter
requests_total{code="200",job="own"} 7
requests_total{code="500",instance="theirs",exported_instance="older"} 1
# TYPE temp gauge
temp{room="a b",site="x"} 21.5
temp{room="ü"} NaN
# TYPE go_threads gauge
go_threads 9
odd:name{} 1
pushed{job="group",instance=""} 3
pushed{job="",instance="",site="",room="x"} 4
"#;

/// Pages whose samples state their own time, but for two series; one is far ahead, and two vanish after
/// some time.
fn timed(path: &str, began_ms: i64, vanished: bool) -> String {
    let at = |seconds: i64| began_ms + seconds * 1000;
    let mut page = format!("stays 1 {}\nnow 2\nahead 3 {}\n", at(-20), at(3600));
    if !vanished {
        page.push_str(&format!("vanishes 4 {}\nnow_vanishes 5\n", at(-10)));
    }
    match path {
        "/timed-openmetrics" => {
            let seconds = at(-20) as f64 / 1000.0;
            format!("# TYPE om gauge\nom{{a=\"b\"}} 6 {seconds}\n# EOF\n")
        }
        _ => page,
    }
}

/// An exporter on loopback, which asks for a password where the path says so.
async fn exporter() -> u16 {
    exporter_with(Arc::default()).await
}

/// The same; some samples vanish once `vanished` says so.
async fn exporter_with(vanished: Arc<AtomicBool>) -> u16 {
    let began = ScaledClock::wall().now().0;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a free port");
    let port = listener.local_addr().expect("a bound port").port();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let vanished = vanished.clone();
            tokio::spawn(async move {
                let mut request = Vec::new();
                let mut buffer = [0; 4096];
                while !request.windows(4).any(|end| end == b"\r\n\r\n") {
                    match stream.read(&mut buffer).await {
                        Ok(count) if count > 0 => request.extend_from_slice(&buffer[..count]),
                        _ => return,
                    }
                }
                let request = String::from_utf8_lossy(&request).to_lowercase();
                let path = request.split(' ').nth(1).unwrap_or_default().to_owned();
                // `ann:secret`
                let known = request.contains("authorization: basic yw5uonnly3jlda==");
                let timed = timed(&path, began, vanished.load(Ordering::Relaxed));
                let kind = match path.as_str() {
                    "/timed-openmetrics" => "application/openmetrics-text; version=1.0.0",
                    _ => "text/plain; version=0.0.4",
                };
                let (status, more, body) = match path.as_str() {
                    path if path.starts_with("/timed") => ("200 OK", "", timed.as_str()),
                    "/locked" if !known => ("401 Unauthorized", "", ""),
                    "/moved" => ("302 Found", "Location: /metrics\r\n", ""),
                    path if path.starts_with("/probe?") => {
                        ("200 OK", "", if path.ends_with("=a.test") { "probe 1\n" } else { "" })
                    }
                    _ => ("200 OK", "", PAGE),
                };
                let head = format!(
                    "HTTP/1.1 {status}\r\n{more}Content-Type: {kind}\r\n\
                     Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
                    body.len()
                );
                let _ = stream.write_all(head.as_bytes()).await;
            });
        }
    });
    port
}

fn config(port: u16) -> String {
    format!(
        r#"
global: {{ scrape_interval: 1s, scrape_timeout: 1s }}
scrape_configs:
- job_name: plain
  static_configs: [{{ targets: ["127.0.0.1:{port}"], labels: {{ site: lab }} }}]
- job_name: honest
  honor_labels: true
  static_configs: [{{ targets: ["127.0.0.1:{port}"], labels: {{ site: lab }} }}]
- job_name: locked
  metrics_path: /locked
  basic_auth: {{ username: ann, password: secret }}
  static_configs: [{{ targets: ["127.0.0.1:{port}"] }}]
- job_name: moved
  metrics_path: /moved
  static_configs: [{{ targets: ["127.0.0.1:{port}"] }}]
- job_name: relabelled
  static_configs: [{{ targets: ["127.0.0.1:{port}", "drop.test:1"], labels: {{ env: prod }} }}]
  relabel_configs:
  - {{ source_labels: [__address__], regex: "drop.*", action: drop }}
  - {{ source_labels: [__address__], regex: "([^:]+):(.*)", target_label: instance, replacement: "$1" }}
  - {{ source_labels: [env], target_label: job, action: uppercase }}
  metric_relabel_configs:
  - {{ source_labels: [__name__], regex: "go_.*", action: drop }}
  - {{ source_labels: [room], modulus: 8, target_label: shard, action: hashmod }}
  - {{ regex: "exported_(.*)", replacement: "their_$1", action: labelmap }}
  - {{ regex: "code", action: labeldrop }}
- job_name: probed
  metrics_path: /probe
  params: {{ module: [icmp] }}
  static_configs: [{{ targets: ["a.test", "b.test"] }}]
  relabel_configs:
  - {{ source_labels: [__address__], target_label: __param_target }}
  - {{ source_labels: [__param_target], target_label: instance }}
  - {{ target_label: __address__, replacement: "127.0.0.1:{port}" }}
- job_name: limited
  sample_limit: 3
  static_configs: [{{ targets: ["127.0.0.1:{port}"] }}]
- job_name: long
  label_value_length_limit: 11
  static_configs: [{{ targets: ["127.0.0.1:{port}"] }}]
- job_name: files
  file_sd_configs: [{{ files: ["targets/*.json"] }}]
  relabel_configs: [{{ source_labels: [__meta_filepath], regex: ".*/(.*)", target_label: file }}]
"#
    )
}

struct Prometheus {
    process: Child,
    address: Address,
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Prometheus {
    async fn start(site: &Site) -> Self {
        let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a free port");
        let address = free.local_addr().expect("a bound port").to_string();
        drop(free);
        #[expect(clippy::disallowed_methods, reason = "the peer of this test is a process")]
        let mut command = Command::new("prometheus");
        let mut process = command
            .current_dir(site.path())
            .args(["--config.file=prometheus.yml", "--storage.tsdb.path=theirs"])
            .arg(format!("--web.listen-address={address}"))
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("prometheus starts");
        let stderr = process.stderr.take().expect("standard error is a pipe");
        let mut lines = BufReader::new(stderr).lines().map_while(Result::ok);
        let ready = lines.by_ref().any(|line| line.contains("ready to receive web requests"));
        assert!(ready, "prometheus ended");
        // Whatever else it says must not fill the pipe.
        std::thread::spawn(move || lines.for_each(drop));
        Self { process, address: Address::parse(&address).expect("an address") }
    }

    async fn get(&self, path: &str) -> String {
        let mut stream = TcpTransport.connect(&self.address).await.expect("prometheus listens");
        let request = format!("GET {path} HTTP/1.0\r\n\r\n");
        stream.write_all(request.as_bytes()).await.expect("prometheus reads");
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.expect("prometheus answers");
        String::from_utf8(answer).expect("an answer in UTF-8")
    }
}

/// Series as they stand now. What we say of a failure besides `up 0` is ours alone.
const NOW: &str =
    "/api/v1/query?query=%7B__name__%3D~%22.%2B%22%2C__name__%21~%22paramedic_.%2A%22%7D";

fn series(answer: &str) -> BTreeSet<String> {
    let (_, body) = answer.split_once("\r\n\r\n").expect("a head and a body");
    let answer: Value = serde_json::from_str(body).unwrap_or_else(|e| panic!("{e}: {answer}"));
    let series = answer["data"]["result"].as_array().unwrap_or_else(|| panic!("{answer}"));
    // What takes time and what counts attempts differs from one scrape to the next. Of a scrape beyond
    // a limit, each counts as far as it came.
    let one = |series: &Value| {
        let name = series["metric"]["__name__"].as_str().unwrap_or_default();
        let refused = ["limited", "long"].map(Value::from).contains(&series["metric"]["job"]);
        let varies = name == "scrape_duration_seconds"
            || name == "scrape_series_added"
            || refused && name.starts_with("scrape_samples_");
        let value = if varies { "" } else { series["value"][1].as_str().unwrap_or_default() };
        format!("{} {value}", series["metric"])
    };
    series.iter().map(one).collect()
}

/// What an answer says, but for words that changed since 2.42.
fn data(answer: &str) -> Value {
    let (_, body) = answer.split_once("\r\n\r\n").expect("a head and a body");
    let body = body.replace("Invalid parameter", "invalid parameter");
    serde_json::from_str(&body).unwrap_or_else(|e| panic!("{e}: {answer}"))
}

/// The same, the elements of the list in an order of their own: targets have none there.
fn sorted(mut answer: Value) -> Value {
    if let Some(list) = answer["data"].as_array_mut() {
        // There reading stops where a label is too long.
        list.retain(|one| one["target"]["job"] != "long");
        // Keys of objects have an order here, so texts are compared.
        list.sort_by_key(|one| {
            let of_target = |name: &str| one["target"][name].to_string();
            (of_target("job"), of_target("instance"), one["metric"].to_string())
        });
    }
    answer
}

/// Waits until both have the same series, many of them, and `b.json` yields some or none.
async fn same(what: &str, theirs: &Prometheus, ours: &crate::process::Serve, second: bool) {
    let is_due = |found: &BTreeSet<String>| {
        found.len() >= 80 && second == found.iter().any(|one| one.contains("b.json"))
    };
    same_by(NOW, what, theirs, ours, is_due).await;
}

/// Waits until both answer a query with the same series, and those are as they should be.
async fn same_by(
    query: &str,
    what: &str,
    theirs: &Prometheus,
    ours: &crate::process::Serve,
    is_due: impl Fn(&BTreeSet<String>) -> bool,
) {
    let last = std::sync::Mutex::new((BTreeSet::new(), BTreeSet::new()));
    let wait = eventually(what, async || {
        let found = (series(&theirs.get(query).await), series(&ours.get(query).await));
        let equal = found.0 == found.1 && is_due(&found.0);
        *last.lock().expect("nobody panicked") = found;
        equal.then_some(())
    });
    if tokio::time::timeout(std::time::Duration::from_secs(60), wait).await.is_err() {
        let (theirs, ours) = &*last.lock().expect("nobody panicked");
        let show = |set: &BTreeSet<String>, other| {
            set.difference(other).cloned().collect::<Vec<_>>().join("\n  ")
        };
        panic!(
            "{what}: {} there, {} here\nonly there:\n  {}\nonly here:\n  {}",
            theirs.len(),
            ours.len(),
            show(theirs, ours),
            show(ours, theirs)
        );
    }
    let count = last.lock().expect("nobody panicked").0.len();
    println!("{what}: {count} series, the same in both");
}

/// Whether there is a Prometheus; where there is none, that is said.
fn is_there(test: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).any(|folder| folder.join("prometheus").is_file());
    if !found {
        assert!(std::env::var("CI").as_deref() != Ok("true"), "no prometheus");
        println!("skipped: {test}: apt-get install prometheus");
    }
    found
}

#[tokio::test]
async fn prometheus_and_the_binary_have_the_same_series() {
    if !is_there("prometheus_yml") {
        return;
    }
    let (one, two) = (exporter().await, exporter().await);
    let groups = |ports: &[u16]| {
        let targets = ports.iter().map(|port| format!("\"127.0.0.1:{port}\""));
        let targets = targets.collect::<Vec<_>>().join(",");
        format!(r#"[{{"targets": [{targets}], "labels": {{"from": "file"}}}}]"#)
    };
    let site = Site::new(&[
        ("prometheus.yml", &config(one)),
        ("targets/a.json", &groups(&[one, two])),
        (
            "paramedic.yml",
            "prometheus: prometheus.yml\ndata_dir: data\nserver: { listen: \"127.0.0.1:0\" }\n",
        ),
    ]);
    let theirs = Prometheus::start(&site).await;
    let ours = site.serve().await;
    same("as it began", &theirs, &ours, false).await;
    for path in ["metadata", "metadata?metric=temp", "metadata?limit=0", "metadata?limit=x"] {
        let asked = format!("/api/v1/{path}");
        let found = (data(&theirs.get(&asked).await), data(&ours.get(&asked).await));
        assert_eq!(found.0, found.1, "{path}");
    }
    for path in [
        "targets/metadata",
        "targets/metadata?match_target=%7Bjob=%22plain%22%7D",
        "targets/metadata?match_target=%7Bjob=~%22p.%2A%22%7D&metric=go_threads",
        "targets/metadata?match_target=%7B",
        "targets/metadata?limit=x",
    ] {
        let asked = format!("/api/v1/{path}");
        let found = (data(&theirs.get(&asked).await), data(&ours.get(&asked).await));
        assert_eq!(sorted(found.0), sorted(found.1), "{path}");
    }
    // A target goes, and a file with another one comes.
    site.write("targets/a.json", &groups(&[two]));
    site.write("targets/b.json", &groups(&[one]));
    same("after a move", &theirs, &ours, true).await;
    std::fs::remove_file(site.path().join("targets/b.json")).expect("it is there");
    same("after a loss", &theirs, &ours, false).await;
}

#[tokio::test]
async fn samples_that_state_their_time_are_the_same_in_both() {
    if !is_there("prometheus_yml, times") {
        return;
    }
    let vanished = Arc::new(AtomicBool::new(false));
    let port = exporter_with(vanished.clone()).await;
    let to = format!("static_configs: [{{ targets: [\"127.0.0.1:{port}\"] }}]");
    let config = format!(
        r#"
global: {{ scrape_interval: 1s, scrape_timeout: 1s }}
scrape_configs:
- job_name: honoured
  metrics_path: /timed
  {to}
- job_name: not
  metrics_path: /timed
  honor_timestamps: false
  {to}
- job_name: relabelled
  metrics_path: /timed
  metric_relabel_configs: [{{ source_labels: [__name__], regex: now, action: drop }}]
  {to}
- job_name: openmetrics
  metrics_path: /timed-openmetrics
  {to}
"#
    );
    let site = Site::new(&[
        ("prometheus.yml", &config),
        (
            "paramedic.yml",
            "prometheus: prometheus.yml\ndata_dir: data\nserver: { listen: \"127.0.0.1:0\" }\n",
        ),
    ]);
    let theirs = Prometheus::start(&site).await;
    let ours = site.serve().await;
    // The moments that samples stand at, where they are not those of a scrape; and all values.
    let times =
        "/api/v1/query?query=timestamp%28stays%7Bjob%21%3D%22not%22%7D%29%20or%20timestamp%28om%29";
    let all = "/api/v1/query?query=%7B__name__%3D~%22stays%7Cnow%7Cahead%7Cvanishes%7Cnow_vanishes%7Com%22%7D";
    let count = |wanted: usize| move |found: &BTreeSet<String>| found.len() == wanted;
    // 4 without the one that is ahead, 5 where times are not honoured, 3 without `now`, and one.
    same_by(all, "values", &theirs, &ours, count(13)).await;
    same_by(times, "times", &theirs, &ours, count(3)).await;
    vanished.store(true, Ordering::Relaxed);
    // What states its time stays for five minutes.
    let is_left = |found: &BTreeSet<String>| {
        let name = "\"__name__\":\"vanishes\"";
        found.len() == 9 && found.iter().filter(|one| one.contains(name)).count() == 2
    };
    same_by(all, "after some vanished", &theirs, &ours, is_left).await;
    let said = "/api/v1/query?query=%7B__name__%3D~%22up%7Cscrape_samples_.%2A%22%7D";
    same_by(said, "what is said of scrapes", &theirs, &ours, count(12)).await;
}
