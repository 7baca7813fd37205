use bytes::Bytes;
use http::Response;
use http_body_util::Full;
use paramedic_integration::{Address, serve_http};
use paramedic_testkit::Bench;

use crate::faults::{bench, oxidized, run};

fn api() -> Address {
    Address::new("sut.test", 1000)
}

/// The message of a collection that failed, which names the place and is never healthy.
async fn failure(bench: &Bench) -> String {
    let collection = bench.collect().await;
    let status =
        collection.series.iter().find(|s| s.labels.metric_name() == Some("oxidized_status"));
    assert_eq!(status.map(|series| series.value), Some(0.0));
    collection.failure.expect("what could not be looked at is not healthy").to_string()
}

#[test]
fn what_is_no_answer_of_an_oxidized_is_a_failure_that_names_the_place() {
    let check = |status: u16, body: &'static str, expected: &str| {
        run(async {
            let bench = bench();
            bench.network.listen(api(), move |stream| {
                Box::pin(serve_http(stream, move |_| {
                    Box::pin(async move {
                        let body = Full::new(Bytes::from_static(body.as_bytes()));
                        Some(Response::builder().status(status).body(body).expect("an answer"))
                    })
                }))
            });
            let about = "understand the answer of http://sut.test:1000: ";
            assert_eq!(failure(&bench).await, format!("{about}{expected}"));
            assert!(bench.probe(oxidized(), "nodes", &[]).await.is_err());
        });
    };
    // The test server sends a Date header, as a proxy would.
    check(200, "<html>Log in</html>", "something else answers (HTTP 200: <html>Log in</html>)");
    check(200, "", "something else answers (HTTP 200: )");
    check(200, "[{\"name\":", "something else answers (HTTP 200: [{\"name\":)");
    check(200, "{\"error\":\"no\"}", "something else answers (HTTP 200: {\"error\":\"no\"})");
    check(500, "oops", "something else answers (HTTP 500: oops)");
    check(401, "who?", "a login is asked for (HTTP 401: who?)");
}

#[test]
fn a_server_that_hangs_or_is_not_there_is_a_failure() {
    run(async {
        let bench = bench();
        bench.network.hang(api());
        assert!(failure(&bench).await.contains("it does not answer (no answer within 5 s)"));
        bench.network.close(&api());
        assert!(failure(&bench).await.contains("nothing listens there"));
    });
}
