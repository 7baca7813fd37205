use std::fmt::Write as _;
use std::path::Path;

use expect_test::expect_file;
use paramedic_runbook::{Manual, Remedy, Runbook, Step, Work};

use crate::firewall;

pub fn page(name: &str) -> Runbook {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/pages").join(name);
    let text = std::fs::read_to_string(path).expect("the page is in the repository");
    Runbook::parse(name, &text).unwrap_or_else(|errors| panic!("{errors:#?}"))
}

fn describe(page: &Runbook) -> String {
    let mut out = String::new();
    let mut line = |text: String| writeln!(out, "{text}").expect("a String takes any text");
    line(format!("{} serves {} on {:?}", page.title, page.alerts.join(", "), page.systems));
    if let Some(rule) = &page.rule {
        line(format!("rule in line {}: {:?}", rule.line, rule.text));
    }
    for step in &page.steps {
        line(format!("{} {}. [{}] {}", step.phase.as_str(), step.number, step.id, step.title));
        line(format!("    line {}: {:?}", step.line, step.text));
        line(format!("    {}", work(step)));
    }
    for cause in &page.causes {
        line(format!("cause [{}] {}", cause.id, cause.title));
        line(format!("    line {}: {:?}", cause.line, cause.text));
        line(format!("    when {} ({:?})", cause.when.as_str(), cause.when.steps()));
        line(format!("    because {} ({:?})", cause.because.as_str(), cause.confidence));
        line(match &cause.remedy {
            Remedy::Fix(steps) => format!("    fix {}", steps.join(", ")),
            Remedy::Nothing(why) => format!("    nothing to do: {}", why.as_str()),
        });
    }
    line(format!("watch {:?}, advice {:?}", page.watch(), page.advice()));
    out
}

fn work(step: &Step) -> String {
    let with = || {
        let with = step.with().expect("the step has a block").iter();
        with.map(|(name, text)| format!("{name}={text}")).collect::<Vec<_>>().join(" ")
    };
    let when = || step.when().map_or(String::new(), |when| format!(" when {}", when.as_str()));
    match &step.work {
        Work::Probe(probe) => {
            format!("probe {} {}{} within {:?}", probe.uses, with(), when(), probe.timeout)
        }
        Work::Action(action) => format!(
            "action {} {}{} approval {:?} verify {:?}",
            action.uses,
            with(),
            when(),
            action.stated_approval,
            action.verify
        ),
        Work::Manual(manual) => format!("{manual:?}"),
    }
}

#[test]
fn a_page_without_blocks_is_a_checklist() {
    let page = page("plain.md");
    expect_file!["../pages/plain.txt"].assert_eq(&describe(&page));
    assert!(page.steps.iter().all(|step| matches!(step.work, Work::Manual(Manual::Checklist))));
    assert_eq!(page.check(&[]), []);
}

#[test]
fn a_page_with_blocks_is_a_program() {
    let page = page("bound.md");
    expect_file!["../pages/bound.txt"].assert_eq(&describe(&page));
    assert_eq!(page.check(&[&firewall::catalog()]), []);
}

/// The pages of the project's first users, as they are.
#[test]
fn the_seed_pages_are_read_unmodified() {
    let seeds = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/seeds");
    if !seeds.is_dir() {
        assert!(std::env::var_os("CI").is_none_or(|ci| ci != "true"), "{seeds:?} is missing");
        println!("skipped: the_seed_pages_are_read_unmodified: put the five pages into {seeds:?}");
        return;
    }
    for (name, diagnosis, mitigation, first, last) in [
        ("OPNsenseServiceDown", 5, 5, "Check the OPNsense logs", "Contact support"),
        (
            "OPNsenseWireGuardPeerOffline",
            4,
            5,
            "Verify the peer configuration",
            "Refer to the OPNsense documentation",
        ),
        ("OxidizedConnectionDown", 4, 5, "Check exporter logs", "Monitor the alert"),
        (
            "TraefikServiceDown",
            5,
            7,
            "Check the Traefik instance logs for any error messages that may indicate the cause \
             of the service downtime",
            "Verify that the Traefik services are properly registered and healthy after the \
             mitigation steps",
        ),
        ("WindowsServerServiceStatus", 4, 4, "Check the service status", "Monitor service status"),
    ] {
        let text = std::fs::read_to_string(seeds.join(format!("{name}.md"))).unwrap();
        let page = Runbook::parse(name, &text).unwrap_or_else(|errors| panic!("{errors:#?}"));
        assert_eq!(page.alerts, [name]);
        assert_eq!(page.diagnosis().count(), diagnosis, "{name}");
        assert_eq!(page.mitigation().count(), mitigation, "{name}");
        assert_eq!(page.steps.first().unwrap().title, first);
        assert_eq!(page.steps.last().unwrap().title, last);
        assert!(page.steps.iter().all(|step| matches!(step.work, Work::Manual(Manual::Checklist))));
        let rule = page.rule.as_ref().unwrap();
        assert!(rule.text.starts_with(&format!("alert: {name}\nexpr: ")), "{}", rule.text);
        assert!(text.lines().nth(rule.line - 1).unwrap().starts_with("alert: "));
        let html = page.html();
        for hidden in ["{{%", "comment", "LGTM"] {
            assert!(!html.contains(hidden), "{name} shows {hidden}:\n{html}");
        }
        assert!(html.contains(&format!("alert: {name}")), "the rule is shown");
        assert_eq!(page.check(&[]), []);
    }
}
