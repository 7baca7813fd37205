use paramedic_runbook::Work;
use paramedic_testkit::Bench;

use crate::scene::{page_of, pages, rules, windows};

#[test]
fn the_pages_use_what_the_catalogue_declares() {
    for page in pages() {
        let mistakes: Vec<_> =
            page.check(&[windows().catalog()]).iter().map(ToString::to_string).collect();
        assert_eq!(mistakes, Vec::<String>::new());
    }
}

#[tokio::test(start_paused = true)]
async fn the_kit_has_what_the_catalogue_declares() {
    let bench = Bench::new(windows());
    assert_eq!(bench.system.kit.differences(windows().catalog()), Vec::<String>::new());
}

#[test]
fn every_rule_has_a_page_and_every_page_a_rule() {
    let mut ruled: Vec<_> = rules()
        .groups
        .iter()
        .flat_map(|group| &group.rules)
        .map(|rule| rule.name().to_owned())
        .collect();
    let mut served: Vec<_> = pages().iter().flat_map(|page| page.alerts.clone()).collect();
    ruled.sort();
    served.sort();
    assert_eq!(ruled, served);
}

#[test]
fn every_fault_has_an_alert_a_cause_and_its_steps() {
    for fault in windows().simulator().expect("simulated").faults() {
        let page = page_of(fault.alert);
        assert!(page.cause(fault.cause).is_some(), "{} names {}", fault.id, fault.cause);
    }
}

#[test]
fn every_probe_and_action_is_on_a_page() {
    let uses = |work: &Work| match work {
        Work::Probe(step) => Some(step.uses.name().to_owned()),
        Work::Action(step) => Some(step.uses.name().to_owned()),
        Work::Manual(_) => None,
    };
    let steps = || pages().iter().flat_map(|page| page.diagnosis().chain(page.mitigation()));
    let used: Vec<_> = steps().filter_map(|step| uses(&step.work)).collect();
    let catalog = windows().catalog();
    let probes = catalog.probes.iter().map(|probe| probe.name);
    for name in probes.chain(catalog.actions.iter().map(|action| action.name)) {
        assert!(used.iter().any(|used| used == name), "{name}");
    }
}

/// The rule of the seed page, letter by letter, where the page is there.
#[test]
fn the_rule_of_the_page_is_verbatim() {
    let rules = windows().rules()[0].text;
    let root = env!("CARGO_MANIFEST_DIR");
    let path = format!("{root}/../../../shared/seeds/WindowsServerServiceStatus.md");
    let Ok(page) = std::fs::read_to_string(&path) else {
        println!("skipped: the verbatim rule: put the seed pages into ../shared/seeds");
        return;
    };
    let rule = page.split("```yaml\n").nth(1).and_then(|rest| rest.split("```").next());
    let rule = rule.expect("the page embeds its rule");
    // The page indents by four, the pack by two; a block's text keeps its own indentation.
    let words = |text: &str| {
        let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
        lines.map(|line| line.trim_start_matches("- ").to_owned()).collect::<Vec<_>>()
    };
    let (wanted, have) = (words(rule), words(rules));
    let found = have.windows(wanted.len()).any(|window| window == wanted.as_slice());
    assert!(found, "{wanted:#?}");
}
