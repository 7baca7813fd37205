use axum::http::StatusCode;

use crate::world::{Client, HOST, OUR_PAGE, TOKEN, World, form_request, request, run};

const ORIGIN: &str = "http://127.0.0.1:9190";

#[test]
fn only_names_of_this_server_are_answered() {
    run(async {
        let client = World::new().await.client;
        let check = async |hosts: &[&str], path: &str, ok: bool| {
            let headers: Vec<_> = hosts.iter().map(|host| ("host", *host)).collect();
            let answer = client.send(request("GET", path, &headers, "")).await;
            let expected = if ok { StatusCode::OK } else { StatusCode::MISDIRECTED_REQUEST };
            assert_eq!(answer.status, expected, "{hosts:?} {path}");
            if !ok {
                assert!(answer.text.contains("answers only to localhost:9190"), "{}", answer.text);
            }
        };
        for host in ["127.0.0.1:9190", "localhost:9190", "[::1]:9190", "LOCALHOST:9190"] {
            check(&[host], "/", true).await;
        }
        for host in [
            "evil.example:9190",
            "127.0.0.1",
            "127.0.0.1:9191",
            "127.0.0.1:9190.evil.example",
            "localhost.:9190",
            "user@localhost:9190",
            "",
        ] {
            for path in ["/", "/-/healthy", "/assets/x/paramedic.js", "/api/paramedic/v1/status"] {
                check(&[host], path, false).await;
            }
        }
        check(&[], "/", false).await;
        check(&["localhost:9190", "evil.example"], "/", false).await;
        check(&["localhost:9190"], "http://evil.example/", false).await;
    });
}

#[test]
fn the_api_is_read_with_the_token_or_by_our_pages() {
    run(async {
        let client = World::new().await.client;
        let bearer = format!("Bearer {TOKEN}");
        let check = async |headers: &[(&str, &str)], status: u16| {
            let headers: Vec<_> = headers.iter().copied().chain([("host", HOST)]).collect();
            let path = "/api/paramedic/v1/incidents";
            let answer = client.send(request("GET", path, &headers, "")).await;
            assert_eq!(answer.status.as_u16(), status, "{headers:?}: {}", answer.text);
            assert_eq!(answer.json().get("error").is_some(), status != 200);
        };
        check(&[("authorization", &bearer)], 200).await;
        check(&[("sec-fetch-site", "same-origin")], 200).await;
        check(&[], 401).await;
        check(&[("sec-fetch-site", "cross-site")], 401).await;
        check(&[("sec-fetch-site", "none")], 401).await;
        check(&[("origin", ORIGIN)], 401).await;
        // A wrong token is wrong, whoever shows it.
        check(&[("authorization", "Bearer x"), ("sec-fetch-site", "same-origin")], 401).await;
        check(&[("authorization", TOKEN)], 401).await;
        check(&[("authorization", &format!("Basic {TOKEN}"))], 401).await;
    });
}

#[test]
fn a_change_needs_the_token_or_one_of_our_forms() {
    run(async {
        let world = World::new().await;
        world.break_as(Some("crashed")).await;
        let client = &world.client;
        let key = client.form_key().await;
        let form = async |headers: &[(&str, &str)], key: &str| {
            let fields = [("key", key), ("by", "ann"), ("text", "x")];
            client.send(form_request("/incidents/1/note", &fields, headers)).await
        };
        let check = async |headers: &[(&str, &str)], key: &str, says: &str| {
            let answer = form(headers, key).await;
            assert_eq!(answer.status, StatusCode::FORBIDDEN, "{headers:?}");
            assert!(answer.read().contains(says), "{}", answer.read());
        };
        let host = ("host", HOST);
        let foreign = "sent by a page of another site";
        check(&[host], &key, foreign).await;
        check(&[host, ("origin", "null")], &key, foreign).await;
        check(&[host, ("origin", "http://evil.example")], &key, foreign).await;
        check(&[host, ("origin", "http://127.0.0.1:9191")], &key, foreign).await;
        check(&[host, ("origin", "http://localhost:9190")], &key, foreign).await;
        check(&[host, ("origin", "https://127.0.0.1:9190")], &key, foreign).await;
        check(&[host, ("origin", ORIGIN), ("sec-fetch-site", "same-site")], &key, foreign).await;
        check(&[host, ("sec-fetch-site", "cross-site")], &key, foreign).await;
        check(&OUR_PAGE, "", "before the server was started").await;
        check(&OUR_PAGE, TOKEN, "before the server was started").await;
        // The page that a form came from is not told to other sites, and this is why it may be.
        assert_eq!(client.get("/").await.header("referrer-policy"), "same-origin");

        // To programs a browser's word is worth nothing.
        let path = "/api/paramedic/v1/incidents/1/note";
        let answer = client.send(request("POST", path, &OUR_PAGE, "{\"by\":\"ann\"}")).await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
        let noted = |answer: serde_json::Value| answer["timeline"].to_string().contains("noted");
        assert!(!noted(client.api("incidents/1").await.json()));

        assert_eq!(form(&OUR_PAGE, &key).await.status, StatusCode::SEE_OTHER);
        let without_origin = [host, ("sec-fetch-site", "same-origin")];
        assert_eq!(form(&without_origin, &key).await.status, StatusCode::SEE_OTHER);
        assert!(noted(client.api("incidents/1").await.json()));
    });
}

#[test]
fn the_token_is_on_no_page() {
    run(async {
        let world = World::new().await;
        world.break_as(Some("crashed")).await;
        for path in ["/", "/incidents/1", "/systems", "/rules", "/runbooks", "/nowhere"] {
            let answer = world.client.get(path).await;
            assert!(!answer.text.contains(TOKEN), "{path}");
        }
    });
}

#[test]
fn every_answer_says_what_a_browser_may_do_with_it() {
    run(async {
        let client: Client = World::new().await.client;
        for (path, cache) in [
            ("/", "no-store"),
            ("/nowhere", "no-store"),
            ("/api/paramedic/v1/status", "no-store"),
            ("/incidents/1/approve", "no-store"),
        ] {
            let answer = client.get(path).await;
            let policy = answer.header("content-security-policy");
            for part in ["default-src 'none'", "script-src 'self'", "frame-ancestors 'none'"] {
                assert!(policy.contains(part), "{path}: {policy}");
            }
            assert!(!policy.contains("unsafe"), "{path}: {policy}");
            assert_eq!(answer.header("x-content-type-options"), "nosniff", "{path}");
            assert_eq!(answer.header("cache-control"), cache, "{path}");
            assert_eq!(answer.header("cross-origin-resource-policy"), "same-origin", "{path}");
            assert_eq!(answer.header("access-control-allow-origin"), "", "{path}");
        }
    });
}

#[test]
fn what_is_too_large_is_refused() {
    run(async {
        let world = World::new().await;
        world.break_as(Some("crashed")).await;
        let check = async |body: &str, status: u16, says: &str| {
            let answer = world.client.ask("incidents/1/note", body).await;
            assert_eq!(answer.status.as_u16(), status, "{}", answer.text);
            let error = answer.json()["error"].as_str().unwrap_or_default().to_owned();
            assert!(error.contains(says), "{error}");
        };
        let note = |length| format!(r#"{{"by":"ann","text":"{}"}}"#, "x".repeat(length));
        check(&note(4000), 200, "").await;
        check(&note(4001), 400, "at most 4000 characters").await;
        check(&note(100_000), 413, "length limit").await;
        let name = format!(r#"{{"by":"{}","text":"x"}}"#, "x".repeat(81));
        check(&name, 400, "at most 80 characters").await;
    });
}
