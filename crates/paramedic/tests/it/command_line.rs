//! The command line as people and scripts meet it.

use expect_test::{Expect, expect};
use serde_json::Value;

use crate::process::{Site, command, run};

/// What a call ends with: exit code, standard output, standard error.
fn call(args: &[&str]) -> (i32, String, String) {
    let site = Site::new(&[]);
    let output = run(site.path(), args);
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("output in UTF-8");
    let code = output.status.code().expect("it ends by itself");
    (code, text(&output.stdout), text(&output.stderr))
}

/// Exit code and standard error of a call that fails.
fn fails(args: &[&str], want: Expect) {
    let (code, out, err) = call(args);
    assert_eq!(out, "", "nothing on standard output: {args:?}");
    want.assert_eq(&format!("exit {code}\n{err}"));
}

/// The commands that a help text lists.
fn commands(help: &str) -> Vec<String> {
    let (_, list) = help.split_once("Commands:\n").unwrap_or_default();
    let lines = list.lines().take_while(|line| line.starts_with("  "));
    let names = lines
        .filter(|line| !line.starts_with("   "))
        .filter_map(|line| line.split_whitespace().next());
    names.filter(|name| *name != "help").map(str::to_owned).collect()
}

#[test]
fn every_command_has_an_example() {
    let mut open = vec![Vec::<String>::new()];
    let mut seen = 0;
    while let Some(path) = open.pop() {
        let args: Vec<&str> = path.iter().map(String::as_str).chain(["--help"]).collect();
        let (code, help, _) = call(&args);
        assert_eq!(code, 0, "{path:?}");
        let below = commands(&help);
        if below.is_empty() {
            seen += 1;
            let example = help.split("Example").nth(1).unwrap_or_default();
            assert!(example.contains(&format!("paramedic {}", path.join(" "))), "{path:?}: {help}");
        }
        open.extend(below.into_iter().map(|name| [path.as_slice(), &[name]].concat()));
    }
    assert!(seen > 12, "only {seen} commands were found");
}

/// As with `paramedic catalog opnsense | head -0`.
#[test]
fn a_reader_that_hangs_up_is_no_crash() {
    for args in [&["catalog", "opnsense"][..], &["completions", "zsh"], &["config", "default"]] {
        let (reader, writer) = std::io::pipe().expect("a pipe can be made");
        drop(reader);
        let output = command(Site::new(&[]).path(), args).stdout(writer).output();
        let output = output.expect("the binary starts");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!((output.status.code(), said.as_str()), (Some(3), ""), "{args:?}");
    }
}

#[test]
fn shells_get_completions() {
    for (shell, mark) in [("bash", "complete"), ("zsh", "#compdef paramedic"), ("fish", "complete")]
    {
        let (code, script, _) = call(&["completions", shell]);
        assert_eq!(code, 0);
        assert!(script.contains(mark), "{shell}");
    }
}

#[test]
fn the_default_configuration_passes_its_own_check() {
    let (code, default, _) = call(&["config", "default"]);
    assert_eq!(code, 0);
    let site = Site::new(&[("paramedic.yml", &default)]);
    let output = run(site.path(), &["config", "check", "paramedic.yml"]);
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn what_is_not_understood_is_exit_code_2() {
    for args in
        [&["no-such-command"][..], &["drill", "--nonsense"], &["approve"], &["approve", "x"]]
    {
        let (code, out, err) = call(args);
        assert_eq!((code, out.as_str()), (2, ""), "{args:?}");
        assert!(err.starts_with("error: "), "{err}");
    }
}

#[test]
fn what_is_not_there_is_said_with_what_there_is() {
    fails(
        &["catalog", "opensense"],
        expect![[r#"
        exit 1
        unknown kind "opensense"; there are opnsense, traefik, oxidized, windows, generic
    "#]],
    );
    fails(
        &["simulator", "opensense", "--listen", "127.0.0.1:0"],
        expect![[r#"
        exit 3
        paramedic: unknown kind "opensense"; paramedic catalog lists them
    "#]],
    );
    fails(
        &["simulator", "opnsense", "--listen", "0.0.0.0:0"],
        expect![[r#"
        exit 3
        paramedic: --listen must be a loopback address: a simulator has published secrets
    "#]],
    );
    fails(
        &["lab", "--listen", "0.0.0.0:0"],
        expect![[r#"
        exit 3
        paramedic: --listen must be a loopback address: the lab can be broken by anyone who reaches it
    "#]],
    );
    fails(
        &["serve", "--config", "missing.yml"],
        expect![[r#"
            exit 3
            missing.yml: cannot read it: No such file or directory (os error 2)
        "#]],
    );
    fails(
        &["incidents"],
        expect![[r#"
        exit 3
        paramedic: could not read the token file paramedic-data/token; the server writes it into its data_dir, and --token-file says where that is: No such file or directory (os error 2)
    "#]],
    );
}

#[test]
fn a_server_that_does_not_run_is_said() {
    let site = Site::new(&[("token", "0000")]);
    let server = ["--server", "http://127.0.0.1:1", "--token-file", "token"];
    let output = run(site.path(), &[&["approve", "1"][..], &server].concat());
    assert_eq!(output.status.code(), Some(3));
    expect![[r#"
        paramedic: could not reach the server at http://127.0.0.1:1; is `paramedic serve` running?: connect to http://127.0.0.1:1/api/paramedic/v1/incidents/1/approve: Connection refused (os error 111)
    "#]].assert_eq(&String::from_utf8_lossy(&output.stderr));
}

#[test]
fn a_drill_for_nothing_lists_what_there_is() {
    let (code, out, err) = call(&["drill", "NoSuchAlert"]);
    assert_eq!((code, out.as_str()), (1, ""));
    assert!(err.starts_with("no such fault; there are:\n  "), "{err}");
    assert!(err.contains("  OPNsenseServiceDown unbound-lost-pid\n"), "{err}");
}

#[test]
fn the_verdict_of_a_drill_is_json() {
    let (code, out, err) = call(&["drill", "--fault", "unbound-lost-pid", "--json"]);
    assert_eq!((code, err.as_str()), (0, ""));
    let mut verdicts: Value = serde_json::from_str(&out).expect("JSON");
    let verdicts = verdicts.as_array_mut().expect("a list");
    assert_eq!(verdicts.len(), 1);
    let verdict = verdicts[0].as_object_mut().expect("an object");
    verdict.remove("timeline");
    expect![[r#"
        {
          "kind": "opnsense",
          "alert": "OPNsenseServiceDown",
          "fault": "unbound-lost-pid",
          "title": "Unbound runs, but its pid file is gone",
          "expected": "repaired",
          "fired_after_s": 135.0,
          "for_s": 120.0,
          "fired_when_due": true,
          "cause_expected": "lost-pid-file",
          "cause_named": "lost-pid-file",
          "steps_expected": [
            "restart"
          ],
          "steps_run": [
            "restart"
          ],
          "ended_well": true,
          "ending": "repaired",
          "forbidden": [],
          "shortcomings": []
        }
    "#]]
    .assert_eq(&format!("{:#}\n", Value::Object(verdict.clone())));
}
