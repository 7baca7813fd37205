//! The recorded answers are those of version 3.7.9 with the configuration of the real test.

use std::collections::BTreeSet;

use http::Method;
use paramedic_integration::{Address, HttpClient, HttpRequest, TlsSettings, TlsTrust, UrlPath};
use paramedic_testkit::Bench;
use serde_json::Value;

/// The types of all values in `json`, by their path; lists count by what any of their items has.
pub fn shape(json: &Value) -> BTreeSet<String> {
    fn walk(json: &Value, path: &str, shape: &mut BTreeSet<String>) {
        match json {
            Value::Object(fields) => {
                for (name, value) in fields {
                    // Server URLs are keys; what they are called does not matter.
                    let name = if name.contains("://") { "<url>" } else { name };
                    walk(value, &format!("{path}.{name}"), shape);
                }
            }
            Value::Array(items) => {
                shape.insert(format!("{path}: list"));
                items.iter().for_each(|item| walk(item, &format!("{path}[]"), shape));
            }
            Value::String(_) => drop(shape.insert(format!("{path}: text"))),
            Value::Number(_) => drop(shape.insert(format!("{path}: number"))),
            Value::Bool(_) => drop(shape.insert(format!("{path}: bool"))),
            Value::Null => drop(shape.insert(format!("{path}: null"))),
        }
    }
    let mut found = BTreeSet::new();
    walk(json, "", &mut found);
    found
}

/// Names, types and labels of the `traefik_` and `process_` families of an exposition.
pub fn families(text: &str) -> BTreeSet<String> {
    let ours = |name: &str| name.starts_with("traefik_") || name.starts_with("process_");
    let line = |line: &str| match line.strip_prefix("# ") {
        Some(comment) => {
            let mut words = comment.split(' ');
            let (word, name) = (words.next()?, words.next()?);
            ours(name).then(|| format!("# {word} {name} {}", words.collect::<Vec<_>>().join(" ")))
        }
        None => {
            let series = line.rsplit_once(' ')?.0;
            let (name, labels) = series.split_once('{').unwrap_or((series, ""));
            let keys: Vec<_> =
                labels.split(',').filter_map(|pair| Some(pair.split_once('=')?.0)).collect();
            ours(name).then(|| format!("{name}{{{}}}", keys.join(",")))
        }
    };
    text.lines().filter_map(line).collect()
}

/// What the simulator leaves out: of no use to a responder.
const LEFT_OUT: &[&str] = &[
    "process_network_receive_bytes_total",
    "process_network_transmit_bytes_total",
    "process_virtual_memory_bytes",
    "process_virtual_memory_max_bytes",
];

fn client(bench: &Bench) -> HttpClient {
    let tls = TlsSettings::new("test", &TlsTrust::Anyone).expect("no file is read");
    let url = format!("http://{}", Address::new("sut.test", 1000));
    HttpClient::new("test", &url, tls, None, &bench.environment).expect("a plain URL works")
}

async fn get(bench: &Bench, path: &'static str) -> paramedic_integration::HttpResponse {
    let request = HttpRequest::get(UrlPath::fixed(path));
    client(bench).send(request).await.expect("the simulator answers")
}

#[tokio::test(start_paused = true)]
async fn the_simulator_answers_in_the_shape_of_the_recorded_answers() {
    let bench = Bench::new(paramedic_traefik::integration());
    // A disabled router, as the recorded configuration has one.
    bench.simulator.inject("router-misspelt").unwrap();
    let recorded: [(&str, &str); 6] = [
        ("/api/version", include_str!("../answers/v3.7.9/version.json")),
        ("/api/overview", include_str!("../answers/v3.7.9/overview.json")),
        ("/api/entrypoints", include_str!("../answers/v3.7.9/entrypoints.json")),
        ("/api/http/routers", include_str!("../answers/v3.7.9/http-routers.json")),
        ("/api/http/services", include_str!("../answers/v3.7.9/http-services.json")),
        ("/api/http/middlewares", include_str!("../answers/v3.7.9/http-middlewares.json")),
    ];
    for (path, text) in recorded {
        let ours = get(&bench, path).await;
        let theirs: Value = serde_json::from_str(text).unwrap();
        assert_eq!(shape(&ours.json().unwrap()), shape(&theirs), "{path}");
    }
    let ours = families(&get(&bench, "/metrics").await.text());
    let theirs: BTreeSet<_> = families(include_str!("../answers/v3.7.9/metrics.txt"))
        .into_iter()
        .filter(|line| !LEFT_OUT.iter().any(|name| line.contains(name)))
        .collect();
    assert_eq!(ours, theirs);
}

#[tokio::test(start_paused = true)]
async fn the_simulator_has_the_quirks_of_the_real_one() {
    let bench = Bench::new(paramedic_traefik::integration());
    let ping = get(&bench, "/pingfoo").await;
    assert_eq!((ping.status.as_u16(), ping.text().as_str()), (200, "OK"));
    let unknown = get(&bench, "/api/nothing").await;
    assert_eq!((unknown.status.as_u16(), unknown.text().as_str()), (404, "404 page not found\n"));
    let missing = get(&bench, "/api/http/services/ghost@file").await;
    assert_eq!(missing.text(), "{\"message\":\"service not found: ghost@file\"}\n");
    assert_eq!(missing.header("content-type"), Some("text/plain; charset=utf-8"));
    let list = get(&bench, "/api/http/routers").await;
    assert_eq!(list.header("x-next-page"), Some("1"), "the last page names the first");
    let paged = get(&bench, "/api/http/routers?page=1&per_page=3").await;
    assert_eq!(paged.header("x-next-page"), Some("2"));
    let beyond = get(&bench, "/api/http/services?page=99").await;
    assert_eq!(beyond.status.as_u16(), 400);
    assert_eq!(beyond.text(), "{\"message\":\"invalid request: page: 99, per_page: 100\"}\n");
    let request =
        HttpRequest { method: Method::POST, ..HttpRequest::get(UrlPath::fixed("/api/version")) };
    assert_eq!(client(&bench).send(request).await.unwrap().status.as_u16(), 405);
}
