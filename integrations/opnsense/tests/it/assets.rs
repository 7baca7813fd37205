use paramedic_integration::Integration;
use paramedic_opnsense::Opnsense;
use paramedic_rules::RuleFile;
use paramedic_runbook::Work;

use crate::support::pages;

#[test]
fn the_pages_use_what_the_catalogue_declares() {
    for page in pages() {
        let mistakes: Vec<_> =
            page.check(&[Opnsense.catalog()]).iter().map(ToString::to_string).collect();
        assert_eq!(mistakes, Vec::<String>::new());
    }
}

#[test]
fn every_rule_has_a_page_and_every_page_a_rule() {
    let asset = &Opnsense.rules()[0];
    let file =
        RuleFile::parse(asset.path, asset.text).unwrap_or_else(|errors| panic!("{errors:?}"));
    let text = format!("{file:?}");
    let served: Vec<String> = pages().into_iter().flat_map(|page| page.alerts).collect();
    for alert in &served {
        assert!(text.contains(alert.as_str()), "no rule has {alert}");
    }
    for line in asset.text.lines() {
        if let Some(alert) = line.trim().strip_prefix("- alert: ") {
            assert!(served.iter().any(|served| served == alert), "no page serves {alert}");
        }
    }
    for fault in Opnsense.simulator().expect("simulated").faults() {
        assert!(served.iter().any(|served| served == fault.alert), "{}", fault.id);
    }
}

#[test]
fn every_cause_of_a_fault_is_on_its_page() {
    for fault in Opnsense.simulator().expect("simulated").faults() {
        let page = crate::support::page_of(fault.alert);
        assert!(page.cause(fault.cause).is_some(), "{} names {}", fault.id, fault.cause);
    }
}

#[test]
fn every_action_is_on_a_page() {
    let pages = pages();
    let steps = || pages.iter().flat_map(|page| page.mitigation());
    for action in &Opnsense.catalog().actions {
        let bound = steps().any(
            |step| matches!(&step.work, Work::Action(work) if work.uses.name() == action.name),
        );
        assert!(bound, "{}", action.name);
    }
}

/// The rules of the seed pages, letter by letter, where the pages are there.
#[test]
fn the_rules_of_the_pages_are_verbatim() {
    let rules = Opnsense.rules()[0].text;
    for alert in ["OPNsenseServiceDown", "OPNsenseWireGuardPeerOffline"] {
        let path = format!("{}/../../../shared/seeds/{alert}.md", env!("CARGO_MANIFEST_DIR"));
        let Ok(page) = std::fs::read_to_string(&path) else {
            println!("skipped: the rule of {alert}: put the seed pages into ../shared/seeds");
            continue;
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
        assert!(found, "{alert}: {wanted:#?}");
    }
}
