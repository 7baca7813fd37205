use axum::http::StatusCode;

use crate::world::{World, run};

/// What a stranger might call a thing.
const NAME: &str = "\"'><script>alert(1)</script><img src=x onerror=alert(1)>{{7*7}}${x}`[a](javascript:x)\u{202e}";

/// A page on which nothing but our own script runs, and no attribute of ours was broken out of.
fn check(page: &str) {
    assert_eq!(page.matches("<script").count(), 1, "{page}");
    for bad in ["<img", "onerror=alert(1)>", "href=\"javascript", "\"'>"] {
        assert!(!page.contains(bad), "{bad}: {page}");
    }
}

#[test]
fn a_hostile_label_is_text_everywhere() {
    run(async {
        let world = World::new().await;
        world.thing().name = format!("{NAME}{}", "x".repeat(10_000));
        world.thing().excerpt = NAME.to_owned();
        world.break_as(Some("crashed")).await;
        for path in ["/", "/incidents/1", "/systems", "/rules"] {
            let page = world.client.get(path).await;
            assert_eq!(page.status, StatusCode::OK);
            check(&page.text);
        }
        let page = world.client.get("/incidents/1").await.text;
        assert!(page.contains("&lt;script&gt;alert(1)&lt;/script&gt;"));
        // The value is no name of a thing, so nothing was sent, and that is no finding.
        assert!(world.client.get("/incidents/1").await.read().contains("could not look"));
        let json = world.client.api("incidents/1").await.json();
        assert_eq!(json["evidence"][0]["state"], "could-not-look");
        assert!(json["labels"]["name"].as_str().is_some_and(|name| name.starts_with(NAME)));
    });
}

#[test]
fn hostile_evidence_is_text() {
    run(async {
        let world = World::new().await;
        world.thing().excerpt = format!("{NAME}\n</pre>{NAME}");
        world.break_as(Some("crashed")).await;
        check(&world.client.get("/incidents/1").await.text);
    });
}

#[test]
fn hostile_people_write_text() {
    run(async {
        let world = World::new().await;
        world.break_as(Some("crashed")).await;
        let form = async |verb: &str, fields: &[(&str, &str)]| {
            let answer = world.client.form(&format!("/incidents/1/{verb}"), fields).await;
            assert_eq!(answer.status, StatusCode::SEE_OTHER, "{}", answer.read());
            check(&world.client.get("/incidents/1").await.text);
            check(&world.client.get("/").await.text);
        };
        let name: String = NAME.chars().take(60).collect();
        form("note", &[("by", &name), ("text", NAME)]).await;
        form("reject", &[("by", &name), ("reason", NAME)]).await;
        form("close", &[("by", &name), ("reason", NAME)]).await;
    });
}

#[test]
fn hostile_addresses_are_not_found() {
    run(async {
        let client = World::new().await.client;
        for path in [
            "/incidents/%3Cscript%3Ealert(1)%3C%2Fscript%3E",
            "/incidents/99999999999999999999999",
            "/incidents/-1",
            "/incidents/1/bundle.md",
            "/runbooks/%3Cscript%3E",
            "/runbooks/..%2F..%2Fetc%2Fpasswd",
            "/assets/..%2F..%2Fetc/passwd",
            "/assets/0000/paramedic.js",
            "/%ff",
        ] {
            let answer = client.get(path).await;
            assert_eq!(answer.status, StatusCode::NOT_FOUND, "{path}: {}", answer.text);
            check(&answer.text);
        }
    });
}
