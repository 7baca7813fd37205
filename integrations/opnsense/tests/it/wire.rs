use http::Method;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use paramedic_integration::{HttpRequest, HttpResponse, UrlPath};
use paramedic_opnsense::Opnsense;
use paramedic_testkit::Bench;
use serde_json::{Value, json};

use crate::support::send;

async fn get(bench: &Bench, path: &'static str) -> HttpResponse {
    send(bench, "", HttpRequest::get(UrlPath::fixed(path))).await
}

async fn post(bench: &Bench, path: &'static str, body: &Value) -> HttpResponse {
    send(bench, "", HttpRequest::post_json(UrlPath::fixed(path), body)).await
}

#[tokio::test(start_paused = true)]
async fn the_order_of_refusals() {
    let bench = Bench::new(&Opnsense);
    // 404 before the key is looked at.
    let request = HttpRequest::get(UrlPath::fixed("/api/core/service/nonsense"));
    let answer = send(&bench, "nobody", request).await;
    assert_eq!(
        (answer.status.as_u16(), answer.text().as_str()),
        (404, r#"{"errorMessage":"Endpoint not found"}"#)
    );
    // A wrong key is told so after two seconds.
    let before = bench.clock.now();
    let request = HttpRequest::get(UrlPath::fixed("/api/core/service/search"));
    let answer = send(&bench, "nobody", request).await;
    assert_eq!(answer.status.as_u16(), 401);
    assert_eq!(bench.clock.now().since(before).as_secs(), 2);
    // A missing parameter is a missing path.
    assert_eq!(post(&bench, "/api/core/service/restart", &json!({})).await.status.as_u16(), 404);
    // The other spelling is beyond a least-privilege key, though it dispatches.
    let answer = get(&bench, "/api/diagnostics/system/systemDisk").await;
    assert_eq!(answer.status.as_u16(), 403);
    // And a query string breaks a pattern without a wildcard.
    let path = UrlPath::fixed("/api/diagnostics/interface/get_vip_status").with_query("a", "b");
    assert_eq!(send(&bench, "", HttpRequest::get(path)).await.status.as_u16(), 403);
}

#[tokio::test(start_paused = true)]
async fn a_json_type_without_a_body_is_an_error_and_broken_json_is_none() {
    let bench = Bench::new(&Opnsense);
    let mut request = HttpRequest::get(UrlPath::fixed("/api/core/service/search"));
    request.headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    assert_eq!(send(&bench, "", request.clone()).await.status.as_u16(), 400);
    request.method = Method::POST;
    request.body = "{\"searchPhrase\":".into();
    let grid = send(&bench, "", request).await.json().expect("a grid");
    assert_eq!(grid["total"], 17);
}

#[tokio::test(start_paused = true)]
async fn ok_is_said_to_nonsense_and_get_changes_nothing() {
    let bench = Bench::new(&Opnsense);
    let answer = get(&bench, "/api/core/service/restart/unbound").await;
    assert_eq!(answer.text(), r#"{"result":"failed"}"#);
    assert_eq!(bench.simulator.recorded(), []);
    let answer = post(&bench, "/api/core/service/restart/no-such-thing", &json!({})).await;
    assert_eq!(answer.text(), r#"{"result":"ok"}"#);
    assert!(bench.simulator.recorded()[0].forbidden);
}

#[tokio::test(start_paused = true)]
async fn the_restart_of_the_wireguard_page_does_nothing() {
    let bench = Bench::new(&Opnsense);
    let answer = post(&bench, "/api/wireguard/service/restart", &json!({})).await;
    assert_eq!(answer.text(), r#"{"response":"OK"}"#);
    assert_eq!(bench.simulator.recorded(), []);
}

#[tokio::test(start_paused = true)]
async fn a_restart_of_an_instance_forgets_every_handshake() {
    let bench = Bench::new(&Opnsense);
    let path = "/api/core/service/restart/wireguard/55555555-5555-4555-8555-555555555555";
    post(&bench, path, &json!({})).await;
    let show = get(&bench, "/api/wireguard/service/show").await.json().expect("a grid");
    let offline = |row: &&Value| row["type"] == "peer" && row["peer-status"] == "offline";
    let rows = show["rows"].as_array().expect("rows");
    let names: Vec<_> = rows.iter().filter(offline).map(|row| &row["name"]).collect();
    assert_eq!(names, ["laptop", "phone"]);
}

#[tokio::test(start_paused = true)]
async fn grids_hold_secrets_and_slashes_are_escaped() {
    let bench = Bench::new(&Opnsense);
    let grid = get(&bench, "/api/wireguard/server/search_server").await;
    assert!(grid.text().contains("privkey"));
    let show = get(&bench, "/api/wireguard/service/show").await;
    assert!(show.text().contains(r"10.9.0.2\/32"));
    assert!(show.header("set-cookie").is_some_and(|cookie| cookie.starts_with("PHPSESSID")));
    assert!(show.headers.get(AUTHORIZATION).is_none());
}

#[tokio::test(start_paused = true)]
async fn the_status_is_a_number_or_a_word() {
    let bench = Bench::new(&Opnsense);
    let status = get(&bench, "/api/core/system/status").await.json().expect("an object");
    assert_eq!(status["metadata"]["system"]["status"], 2);
    assert!(status.get("subsystems").is_none());
    bench.simulator.inject("unbound-disk-full").expect("a declared fault");
    let status = get(&bench, "/api/core/system/status").await.json().expect("an object");
    assert_eq!(status["metadata"]["system"]["status"], "ERROR");
    assert_eq!(status["subsystems"]["diskspace"]["statusCode"], -1);
}

#[tokio::test(start_paused = true)]
async fn a_log_is_read_by_post_newest_first_from_a_moment() {
    let bench = Bench::new(&Opnsense);
    bench.simulator.inject("unbound-crash-loop").expect("a declared fault");
    let path = "/api/diagnostics/log/core/system";
    assert_eq!(get(&bench, path).await.text(), "[]");
    let crashes = async |from: i64| {
        let body = json!({ "rowCount": 50, "searchPhrase": "SIGNAL unbound", "validFrom": from });
        let log = post(&bench, path, &body).await.json().expect("a grid");
        log["rows"].as_array().expect("rows").len()
    };
    let now = bench.clock.now().0 / 1000;
    assert_eq!((crashes(0).await, crashes(now - 330).await, crashes(now).await), (3, 2, 1));
    let nothing = post(&bench, "/api/diagnostics/log/core/nonsense", &json!({})).await;
    assert_eq!(nothing.json().expect("a grid")["total"], 0);
}
