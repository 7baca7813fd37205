use paramedic_catalog::Args;
use paramedic_integration::Ending;
use paramedic_runbook::Runbook;
use paramedic_testkit::Bench;

use crate::faults::{oxidized, run};

fn page() -> Runbook {
    let asset = &oxidized().runbooks()[0];
    match Runbook::parse(asset.path, asset.text) {
        Ok(page) => page,
        Err(mistakes) => panic!("{mistakes:#?}"),
    }
}

#[test]
fn the_page_uses_what_is_declared() {
    let catalogs = [oxidized().catalog(), paramedic_generic::integration().catalog()];
    assert_eq!(page().check(&catalogs), []);
}

#[test]
fn every_fault_names_a_cause_and_steps_of_the_page() {
    let page = page();
    for fault in oxidized().simulator().unwrap().faults() {
        let cause = page.cause(fault.cause).unwrap_or_else(|| panic!("{}", fault.id));
        match fault.ending {
            Ending::Repaired(steps) => assert_eq!(cause.fix(), steps, "{}", fault.id),
            Ending::LeftAlone => assert!(cause.fix().is_empty(), "{}", fault.id),
            Ending::HandedOver => assert_eq!(cause.fix().len(), 1, "{}", fault.id),
        }
    }
}

#[test]
fn the_catalogue_and_the_kit_agree() {
    let differences =
        run(async { Bench::new(oxidized()).system.kit.differences(oxidized().catalog()) });
    assert!(differences.is_empty(), "{differences:?}");
}

#[test]
fn the_rule_of_the_page_is_verbatim() {
    let rule = "      - alert: OxidizedConnectionDown\n        expr: |\n          \
                oxidized_status == 0\n        for: 5m\n        labels:\n          \
                severity: critical\n";
    assert!(oxidized().rules()[0].text.contains(rule));
}

/// No label can reach the restart, because it takes nothing at all.
#[test]
fn the_restart_takes_no_arguments() {
    let action = oxidized().catalog().action("restart").unwrap();
    for hostile in ["x; rm -rf /", "../", "\"'", "a\nb", &"x".repeat(10_000)] {
        let given = [("service".to_owned(), hostile.to_owned())].into();
        assert!(Args::bind(&action.params, &given).is_err(), "{hostile:?}");
    }
}
