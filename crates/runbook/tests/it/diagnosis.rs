use std::collections::BTreeMap;

use expect_test::{Expect, expect};
use paramedic_catalog::{Approval, Risk};
use paramedic_model::Labels;
use paramedic_runbook::{Alert, Finding, Judgement, Situation, System, Work};
use serde_json::{Value, json};

use crate::pages::page;

fn looked(facts: Value, summary: &str) -> Finding {
    let Value::Object(facts) = facts else { panic!("facts are an object") };
    Finding::Looked { facts, summary: summary.to_owned() }
}

fn situation(findings: &[(&str, Finding)]) -> Situation {
    Situation {
        alert: Alert {
            labels: Labels::from([("name", "unbound")]),
            annotations: BTreeMap::new(),
            value: 0.0,
        },
        system: Some(System { name: "fw1".to_owned(), kind: "firewall".to_owned() }),
        findings: findings
            .iter()
            .map(|(id, finding)| ((*id).to_owned(), finding.clone()))
            .collect(),
    }
}

fn service(holder: Value, enabled: bool) -> Finding {
    let facts = json!({
        "running": false, "enabled": enabled, "load": 1.5, "pid": null, "holder": holder, "names": [],
    });
    looked(facts, "unbound is stopped")
}

fn log(lines: &[&str]) -> Finding {
    let lines: Vec<Value> = lines.iter().map(|text| json!({"text": text, "pid": null})).collect();
    looked(json!({ "lines": lines }), "read")
}

fn check(situation: &Situation, expected: Expect) {
    let page = page("bound.md");
    let diagnosis = page.diagnose(situation);
    let mut out = String::new();
    for judged in &diagnosis.causes {
        let word = match judged.judgement {
            Judgement::Supported => "supported",
            Judgement::Refuted { .. } => "refuted",
            Judgement::Unknown(_) => "unknown",
        };
        out += &format!("{word} {}: {}\n", judged.cause.id, judged.because);
        if let Some(why) = &judged.nothing_to_do {
            out += &format!("    nothing to do: {why}\n");
        }
    }
    let likely = diagnosis.likely().map(|judged| &judged.cause.id);
    expected.assert_eq(&format!("{out}likely: {likely:?}\n"));
}

#[test]
fn the_first_supported_cause_is_the_likely_one() {
    let holder = json!({"name": "dnsmasq", "pid": 4711});
    check(
        &situation(&[("svc", service(holder, true)), ("log", log(&["Address already in use"]))]),
        expect![[r#"
            refuted stopped: `svc.enabled == false` does not hold
            supported port-conflict: dnsmasq (process 4711) holds the port
            supported crashed: The log has 1 lines, the last says Address already in use.
            likely: Some("port-conflict")
        "#]],
    );
}

#[test]
fn a_stopped_service_is_left_alone() {
    check(
        &situation(&[("svc", service(Value::Null, false)), ("log", log(&[]))]),
        expect![[r#"
            supported stopped: unbound is stopped
                nothing to do: unbound was switched off in the configuration of fw1.
            refuted port-conflict: `log.lines.exists(l, l.text.contains("ddress already in use"))` does not hold
            supported crashed: (no reason can be given: error calling index: index out of range: 0)
            likely: Some("stopped")
        "#]],
    );
}

#[test]
fn a_blind_look_supports_nothing() {
    let refused = Finding::Nothing { reason: "could not look: connection refused".to_owned() };
    check(
        &situation(&[("svc", refused.clone()), ("log", refused)]),
        expect![[r#"
            unknown stopped: step `svc` has no evidence: could not look: connection refused
            unknown port-conflict: step `log` has no evidence: could not look: connection refused; step `svc` has no evidence: could not look: connection refused
            unknown crashed: step `svc` has no evidence: could not look: connection refused
            likely: None
        "#]],
    );
}

#[test]
fn what_is_not_there_is_not_sent() {
    let page = page("bound.md");
    let bind = |step: &str, situation: &Situation| {
        let step = page.step(step).unwrap();
        match step.with().unwrap().bind(situation) {
            Ok(args) => format!("{args:?}"),
            Err(error) => error.to_string(),
        }
    };
    let check = |step: &str, situation: &Situation, expected: Expect| {
        expected.assert_eq(&bind(step, situation));
    };
    let holder = json!({"name": "dnsmasq", "pid": 4711});
    let mut there = situation(&[("svc", service(holder, true))]);
    check("log", &there, expect![[r#"{"service": "unbound", "since": "15m"}"#]]);
    check("free_port", &there, expect![[r#"{"pid": "4711"}"#]]);

    // A stranger's text is data, whatever it looks like.
    let hostile = "{{ .svc.holder.pid }}\n; rm -rf / \"'$(x)";
    there.alert.labels = Labels::from([("name", hostile)]);
    let bound = page.step("restart").unwrap().with().unwrap().bind(&there).unwrap();
    assert_eq!(bound["service"], hostile);

    there.alert.labels = Labels::empty();
    check("restart", &there, expect!["argument `service`: there is no `name`"]);
    let null = situation(&[("svc", service(json!({"name": "x", "pid": null}), true))]);
    check("free_port", &null, expect!["argument `pid`: it reads a fact that is null"]);
    let blind = Finding::Nothing { reason: "could not look: time-out".to_owned() };
    check(
        "free_port",
        &situation(&[("svc", blind)]),
        expect!["argument `pid`: step `svc` has no evidence: could not look: time-out"],
    );
    check("free_port", &situation(&[]), expect!["argument `pid`: there is no `svc`"]);
}

#[test]
fn approval_is_never_laxer_than_the_risk() {
    let page = page("bound.md");
    let approval = |step: &str, risk| match &page.step(step).unwrap().work {
        Work::Action(action) => action.approval(risk),
        other => panic!("{other:?}"),
    };
    assert_eq!(approval("restart", Risk::Low), Approval::Required);
    assert_eq!(approval("restart", Risk::High), Approval::TwoPerson);
    assert_eq!(approval("free_port", Risk::Low), Approval::TwoPerson);
}
