use paramedic_integration::Integration;
use paramedic_runbook::Runbook;

fn traefik() -> &'static dyn Integration {
    paramedic_traefik::integration()
}

#[test]
fn the_page_uses_what_is_declared() {
    let asset = &traefik().runbooks()[0];
    let page = match Runbook::parse(asset.path, asset.text) {
        Ok(page) => page,
        Err(mistakes) => panic!("{}", lines(&mistakes)),
    };
    let catalogs = [traefik().catalog(), paramedic_generic::integration().catalog()];
    let mistakes = page.check(&catalogs);
    assert!(mistakes.is_empty(), "{}", lines(&mistakes));
}

fn lines(mistakes: &[impl std::fmt::Display]) -> String {
    mistakes.iter().map(|mistake| format!("{mistake}\n")).collect()
}

#[test]
fn every_fault_names_a_cause_and_steps_of_the_page() {
    let asset = &traefik().runbooks()[0];
    let page = Runbook::parse(asset.path, asset.text).unwrap_or_else(|m| panic!("{}", lines(&m)));
    for fault in traefik().simulator().unwrap().faults() {
        let cause =
            page.cause(fault.cause).unwrap_or_else(|| panic!("{}: no such cause", fault.id));
        assert!(page.alerts.iter().any(|alert| alert == fault.alert), "{}", fault.id);
        let expected: &[&str] = match fault.ending {
            paramedic_integration::Ending::Repaired(steps) => steps,
            paramedic_integration::Ending::LeftAlone => &[],
            paramedic_integration::Ending::HandedOver => &["hand-over"],
        };
        assert_eq!(cause.fix(), expected, "{}", fault.id);
    }
}

#[test]
fn the_catalogue_and_the_kit_agree() {
    let bench = paramedic_testkit::Bench::new;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    let differences =
        runtime.block_on(async { bench(traefik()).system.kit.differences(traefik().catalog()) });
    assert!(differences.is_empty(), "{differences:?}");
}

/// The rule of the page, letter by letter, and beside it companions that can fire.
#[test]
fn the_rule_of_the_page_is_there_verbatim() {
    let rules = traefik().rules()[0].text;
    assert!(rules.contains("expr: count(traefik_service_server_up) by (service) == 0\n"));
    for alert in ["ServiceDown", "ServiceAllServersDown", "Down", "ConfigErrors", "RoutesGone"] {
        assert!(rules.contains(&format!("- alert: Traefik{alert}\n")), "{alert}");
    }
}
