use paramedic_gotmpl::{Functions, Missing, Options, Template, Value, alert_data};
use paramedic_model::{Labels, TimeMs};

fn expand(text: &str) -> String {
    let data = alert_data(&Labels::from([("job", "node")]), &Labels::empty(), "", 1.0);
    match Template::parse_alert("A", text) {
        Ok(template) => template.expand(&data, &Functions::offline()),
        Err(error) => error.in_place(),
    }
}

/// The texts that a runbook gives its steps: data as evidence has it, and nothing may be missing.
fn step_argument(text: &str) -> Result<String, String> {
    let options =
        Options { variables: &[("labels", "labels"), ("value", "value")], missing: Missing::Error };
    let data = serde_json::json!({
        "labels": { "name": "openvpn" },
        "value": 0.5,
        "log": { "summary": "address in use", "lines": [{ "text": "a" }, { "text": "b" }], "count": 1234567 },
        "none": null,
    });
    let template = Template::parse_with("restart", text, &options).map_err(|e| e.to_string())?;
    template.render(&Value::from(&data), &Functions::offline()).map_err(|e| e.to_string())
}

#[test]
fn arguments_of_steps_come_from_labels_and_evidence() {
    let check = |text: &str, want: &str| {
        assert_eq!(step_argument(text).as_deref(), Ok(want), "{text}");
    };
    check("{{ $labels.name }}", "openvpn");
    check("{{ .log.summary }}: {{ .log.count }}", "address in use: 1234567");
    check("{{ range .log.lines }}{{ .text }};{{ end }}", "a;b;");
    check("{{ (index .log.lines 1).text }}", "b");
    check("{{ or (index $labels \"port\") \"1194\" }}", "1194");
    check("{{ $value | humanizePercentage }}", "50%");
    check("{{ len .log.lines }}", "2");
}

#[test]
fn a_missing_argument_is_an_error_and_not_an_empty_text() {
    let check = |text: &str, reason: &str| {
        let error = step_argument(text).expect_err(text);
        assert!(error.ends_with(reason), "{error}");
    };
    check("{{ $labels.port }}", r#"map has no entry for key "port""#);
    check("{{ .lock.summary }}", r#"map has no entry for key "lock""#);
    check("{{ .log.sumary }}", r#"map has no entry for key "sumary""#);
    check("{{ .none.x }}", "nil pointer evaluating interface {}.x");
}

#[test]
fn errors_name_line_and_column_of_the_users_text() {
    let check = |text: &str, line, column, reason: &str| {
        let error = match Template::parse_alert("A", text) {
            Err(error) => {
                assert!(error.is_syntax());
                error
            }
            Ok(template) => {
                let data = alert_data(&Labels::empty(), &Labels::empty(), "", 1.0);
                template.render(&data, &Functions::offline()).expect_err(text)
            }
        };
        assert_eq!((error.line(), error.column(), error.reason()), (line, column, reason));
    };
    check("{{ nofn }}", 1, 4, r#"function "nofn" not defined"#);
    check("ok\n  {{ $nope }}", 2, 6, r#"undefined variable "$nope""#);
    check("a {{ .Labels.x.y }}", 1, 13, "can't evaluate field y in type string");
    check("\n{{ len 3 }}", 2, 4, "error calling len: len of type int");
    check("{{ if true }}\nx", 2, 2, "unexpected EOF");
    check("{{ if\n true", 2, 6, "unclosed action started at __alert_A:1");
}

#[test]
fn every_template_ends() {
    let fails = |text: &str, reason: &str| {
        let got = expand(text);
        let start = "<error expanding template: ";
        assert!(got.starts_with(start) && got.contains(reason), "{got:.300}");
    };
    fails("{{ range 1000000000 }}{{ end }}", "more than 1000000 steps");
    fails("{{ define \"t\" }}{{ template \"t\" }}{{ end }}{{ template \"t\" }}", "depth (100)");
    fails(
        "{{ $x := \"ab\" }}{{ range 99 }}{{ $x = printf \"%s%s\" $x $x }}{{ end }}",
        "more than 1048576 bytes",
    );
    fails("{{ range 9 }}{{ printf \"%900000d\" 1 }}{{ end }}", "more than 1048576 bytes");
    fails("{{ printf \"%900000d%900000d\" 1 2 }}", "more than 1048576 bytes");
    fails("{{ $m := 1 }}{{ range 60 }}{{ $m = args $m $m }}{{ end }}", "nested more than 50");
    fails("{{ $m := 1 }}{{ range 40 }}{{ $m = args $m $m }}{{ end }}{{ $m }}", "1048576 bytes");
    let deep = |open: &str, close: &str| open.repeat(20_000) + "1" + &close.repeat(20_000);
    fails(&format!("{{{{ {} }}}}", deep("(", ")")), "nested more than 50 deep");
    fails(&deep("{{ if 1 }}", "{{ end }}"), "nested more than 50 deep");
    fails(
        &format!("{{{{ if 0 }}}}{}{{{{ end }}}}", "{{ else if 0 }}".repeat(20_000)),
        "nested more than 50 deep",
    );
}

#[test]
fn the_deepest_template_fits_a_small_stack() {
    // Test threads have 2 MiB of stack; the limits must hold within it, in this unoptimized build.
    let body = "{{ if 1 }}".repeat(48) + "{{ (len \"a\") }}" + &"{{ end }}".repeat(48);
    assert_eq!(expand(&body), "1");
    let parens = format!("{{{{ {}1{} }}}}", "(".repeat(49), ")".repeat(49));
    let chain: String = (0..99)
        .map(|i| {
            let next = i + 1;
            format!("{{{{ define \"t{i}\" }}}}{{{{ template \"t{next}\" }}}}{{{{ end }}}}")
        })
        .collect();
    let last = "{{ define \"t97\" }}{{ template \"end\" }}{{ end }}";
    let chain = chain.replace("{{ define \"t97\" }}{{ template \"t98\" }}{{ end }}", last);
    let text =
        format!("{chain}{{{{ define \"end\" }}}}{parens}{{{{ end }}}}{{{{ template \"t0\" }}}}");
    assert_eq!(expand(&text), "1");
}

/// Whatever the text is, parsing and rendering give a text or an error, never a panic.
#[test]
fn mangled_templates_never_panic() {
    let functions = Functions::offline();
    let data = alert_data(&Labels::from([("job", "é")]), &Labels::empty(), "", f64::NAN);
    for line in include_str!("data/vectors.jsonl").lines() {
        let vector: serde_json::Value = serde_json::from_str(line).expect(line);
        let text = vector["t"].as_str().expect("every vector has a template");
        let chars: Vec<char> = text.chars().collect();
        for cut in 0..chars.len() {
            let prefix: String = chars[..cut].iter().collect();
            let without: String = chars[..cut].iter().chain(&chars[cut + 1..]).collect();
            for text in [prefix, without] {
                if let Ok(template) = Template::parse_alert("A", &text) {
                    template.expand(&data, &functions);
                }
            }
        }
    }
}

#[test]
fn now_is_the_moment_that_was_passed_in() {
    let template = Template::parse("t", "{{ now }}").expect("parses");
    let functions = Functions { now: TimeMs(1500), ..Functions::offline() };
    assert_eq!(template.render(&Value::Nil, &functions).as_deref(), Ok("1.5"));
}

#[test]
fn a_text_without_actions_is_literal() {
    assert!(Template::parse_alert("A", "critical }}").expect("parses").is_literal());
    assert!(!Template::parse_alert("A", "{{ $value }}").expect("parses").is_literal());
}
