use expect_test::expect;
use serde::Deserialize;

use crate::peers::{command, promised, serve, write};
use crate::prometheus::world as samples_world;
use crate::sockets::run;
use crate::world::{HOST, request};

/// One request, as Grafana's data source sends it.
#[derive(Deserialize)]
struct Asked {
    what: String,
    method: String,
    path: String,
    /// The body of a form; empty for none.
    form: String,
    /// What the answer must have.
    has: Vec<String>,
}

#[test]
fn what_grafana_asks_is_answered() {
    let asked: Vec<Asked> =
        serde_json::from_str(include_str!("../data/grafana.json")).expect("a list of requests");
    crate::world::run(async {
        let world = samples_world().await;
        for Asked { what, method, path, form, has } in asked {
            let headers = [
                ("host", HOST),
                ("user-agent", "Grafana/11.4.0"),
                ("content-type", "application/x-www-form-urlencoded"),
                ("accept-encoding", "gzip"),
            ];
            let answer = world.client.send(request(&method, &path, &headers, &form)).await;
            assert_eq!(answer.status, 200, "{what}: {path}: {}", answer.text);
            let body = answer.json();
            assert_eq!(body["status"], "success", "{what}");
            for pointer in has {
                assert!(body.pointer(&pointer).is_some(), "{what}: {path}: {}", answer.text);
            }
        }
    });
}

/// What a person of Python asks, and how it is shown.
const SCRIPT: &str = r#"
import sys
from datetime import datetime
from prometheus_api_client import PrometheusConnect
end = int(sys.argv[2])
p = PrometheusConnect(url=sys.argv[1], disable_ssl=True)
print(p.check_prometheus_connection())
print([m for m in p.all_metrics() if m in ("m", "odd")])
print([(s["metric"]["instance"], s["value"][1]) for s in p.get_current_metric_value("m", {"job": "a"})])
r = p.custom_query_range("sum by (job) (m)", datetime.fromtimestamp(end - 60), datetime.fromtimestamp(end), "30s")
print([(s["metric"]["job"], [v for _, v in s["values"]]) for s in r])
print(p.get_label_values("job", params={"match[]": "m"}))
"#;

#[test]
fn the_client_of_python_reads_our_answers() {
    if !promised("the_client_of_python_reads_our_answers", "prometheus_api_client") {
        return;
    }
    run(async {
        let (world, address) = serve().await;
        let end = world.clock.now().0 / 1000 * 1000;
        write(&address, &crate::peers::samples(end)).await;
        let args = [SCRIPT, &format!("http://{address}"), &(end / 1000).to_string()];
        let output = command("python3").arg("-c").args(args).output().await.expect("python runs");
        let text = [output.stdout, output.stderr].concat();
        let text = String::from_utf8(text).expect("python prints UTF-8");
        let text = text.replace(&(end / 1000).to_string(), "END");
        expect![[r#"
            True
            ['m', 'odd']
            [('1', '4'), ('2', '9')]
            [('a', ['10', '11.5', '13']), ('b', ['7', '7', '7'])]
            ['a', 'b']
        "#]]
        .assert_eq(&text);
    });
}
