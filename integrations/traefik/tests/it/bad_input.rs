use bytes::Bytes;
use http::Response;
use http_body_util::Full;
use paramedic_integration::{Address, serve_http};

use crate::scene::{Scene, traefik};

fn api() -> Address {
    Address::new("sut.test", 1000)
}

/// The collector's failure, with the samples that came in spite of it.
async fn failure(scene: &Scene) -> (String, usize) {
    let collection = scene.collect().await;
    let failure = collection.failure.expect("a Traefik that cannot be looked at is not healthy");
    (failure.to_string(), collection.series.len())
}

/// From now on every request is answered with this.
fn answer_all(scene: &Scene, status: u16, kind: &'static str, body: &'static str) {
    scene.bench.network.listen(api(), move |stream| {
        Box::pin(serve_http(stream, move |_| {
            Box::pin(async move {
                let body = Full::new(Bytes::from_static(body.as_bytes()));
                let answer = Response::builder().status(status).header("content-type", kind);
                Some(answer.body(body).expect("a plain answer"))
            })
        }))
    });
}

#[tokio::test(start_paused = true)]
async fn what_is_no_answer_of_a_traefik_is_a_failure_that_names_the_place() {
    let check = async |status, kind, body, expected: &str| {
        let scene = Scene::new();
        answer_all(&scene, status, kind, body);
        let (message, samples) = failure(&scene).await;
        assert_eq!((message.as_str(), samples), (expected, 0));
        for probe in ["overview", "config-errors", "service-health"] {
            let looked = scene.bench.probe(traefik(), probe, &[]).await;
            assert!(looked.is_err(), "{probe} saw something in {body:?}: {looked:?}");
        }
        let ping = scene.bench.probe(traefik(), "ping", &[]).await.unwrap();
        assert_eq!((&ping.facts["ok"], &ping.facts["alive"]), (&false.into(), &true.into()));
    };
    let about = "understand the answer of http://sut.test:1000/metrics: ";
    let html = "<html><title>Log in</title></html>";
    let unsupported = "expected metrics: line 1, column 1: unsupported Content-Type \"text/html\": \
                       expected text/plain or application/openmetrics-text";
    check(200, "text/html", html, &format!("{about}{unsupported}")).await;
    check(
        200,
        "text/plain",
        "",
        &format!("{about}metrics without traefik_config_reloads_total: not those of a Traefik"),
    )
    .await;
    check(
        200,
        "text/plain",
        "up 1\n",
        &format!("{about}metrics without traefik_config_reloads_total: not those of a Traefik"),
    )
    .await;
    check(500, "text/plain", "oh", &format!("{about}HTTP 500: oh")).await;
    let denied = "log in to http://sut.test:1000/metrics: HTTP 401: 401 Unauthorized";
    check(401, "text/plain", "401 Unauthorized", denied).await;
    let login = "log in to http://sut.test:1000/metrics: HTTP 302 to nowhere: an authentication in \
                 front of it wants a person; set `auth`";
    check(302, "text/plain", "", login).await;
}

#[tokio::test(start_paused = true)]
async fn an_unreachable_or_silent_traefik_is_a_failure() {
    let scene = Scene::new();
    scene.bench.network.close(&api());
    assert_eq!(
        failure(&scene).await,
        ("connect to http://sut.test:1000/metrics: connection refused".to_owned(), 0)
    );
    let ping = scene.bench.probe(traefik(), "ping", &[]).await.unwrap();
    assert_eq!(ping.summary, "Traefik does not answer: refused");

    scene.bench.network.hang(api());
    assert_eq!(
        failure(&scene).await,
        ("wait for http://sut.test:1000/metrics: no answer within 5 s".to_owned(), 0)
    );
    let ping = scene.bench.probe(traefik(), "ping", &[]).await.unwrap();
    assert_eq!(ping.facts["silent"], true);
}

/// Metrics that are well do not hide an API that is not.
#[tokio::test(start_paused = true)]
async fn an_api_that_is_garbled_fails_the_collection_and_keeps_the_samples() {
    for (status, body, expected) in [
        (404, "404 page not found\n", "HTTP 404: 404 page not found"),
        (200, "", "expected JSON, got an empty body"),
        (
            200,
            "{\"http\":{\"rou",
            "expected JSON: EOF while parsing a string at line 1 column 13: ",
        ),
        (200, "[]", "this is not what Traefik's API says: "),
        (200, "{}", "this is not what Traefik's API says: missing field `http`"),
        (200, "<html>Log in</html>", "expected JSON, got a page: <html>Log in</html>"),
    ] {
        let scene = Scene::new();
        let metrics = include_str!("../answers/v3.7.9/metrics.txt");
        scene.bench.network.listen(api(), move |stream| {
            Box::pin(serve_http(stream, move |request| {
                Box::pin(async move {
                    let (status, body) = match request.uri().path() {
                        "/metrics" => (200, metrics),
                        _ => (status, body),
                    };
                    let answer = Response::builder().status(status);
                    Some(answer.body(Full::new(Bytes::from_static(body.as_bytes()))).unwrap())
                })
            }))
        });
        let (message, samples) = failure(&scene).await;
        let expected =
            format!("understand the answer of http://sut.test:1000/api/overview: {expected}");
        assert!(message.starts_with(&expected), "{message}");
        assert!(samples > 0, "{body:?}");
    }
}

/// A list without Traefik's own objects is no empty inventory.
#[tokio::test(start_paused = true)]
async fn an_empty_list_is_no_answer() {
    let scene = Scene::new();
    answer_all(&scene, 200, "application/json", "[]");
    let error = scene.bench.probe(traefik(), "service-health", &[]).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "understand the answer of http://sut.test:1000/api/http/services: an empty list, although \
         Traefik lists its own objects there"
    );
}

/// Without the log nobody knows whether the file on disk is sound, so there is no restart.
#[tokio::test(start_paused = true)]
async fn without_the_host_nothing_is_restarted() {
    let scene = Scene::new();
    scene.bench.simulator.inject("traefik-wedged").unwrap();
    let labels = paramedic_model::Labels::empty();
    let situation = scene.responder().diagnose(&labels).await;
    scene.bench.network.close(&Address::new("sut.test", 1001));
    let verdict = scene.responder().precondition("restart", &situation).await;
    assert!(verdict.is_err(), "{verdict:?}");
    let acted = scene.responder().act("restart", &situation).await;
    assert!(matches!(acted, Err(paramedic_integration::ActionError::Refused(_))), "{acted:?}");
    assert!(scene.bench.simulator.recorded().is_empty());
}
