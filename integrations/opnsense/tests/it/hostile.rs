use paramedic_integration::{ActionError, Integration, Precondition};
use paramedic_opnsense::Opnsense;
use paramedic_testkit::Bench;

use crate::support::args;

fn hostile() -> Vec<String> {
    let mut texts: Vec<String> = [
        "x; rm -rf /",
        "../",
        "../../core/firmware/reboot",
        "unbound/../../firmware/poweroff",
        "unbound%2f..%2f",
        "unbound; reboot",
        "unbound\nX-Header: 1",
        "\"'`$(reboot)",
        "unbound?x=1#y",
        "",
    ]
    .map(str::to_owned)
    .into();
    texts.push("a".repeat(10_000));
    texts
}

/// For one action: a hostile value of each of its parameters is refused before anything is sent,
/// on a firewall on which the action would otherwise make sense.
async fn check(action: &str, fault: &str, good: &[(&str, &str)]) {
    let bench = Bench::new(&Opnsense);
    bench.simulator.inject(fault).expect("a declared fault");
    let run = bench.system.kit.action(action).expect("in the kit");
    let honest = args(action, good).expect("they fit");
    let verdict = run.precondition(&honest, bench.look(120)).await.expect("it can look");
    assert!(matches!(verdict, Precondition::Holds(_)), "{action}: {verdict:?}");
    for (name, _) in good {
        for text in hostile() {
            let mut with = good.to_vec();
            with.iter_mut().filter(|(n, _)| n == name).for_each(|(_, value)| *value = &text);
            // The signature refuses it, or the firewall's own list does not have it.
            let Ok(bound) = args(action, &with) else { continue };
            if text.is_empty() {
                continue;
            }
            let verdict = run.precondition(&bound, bench.look(120)).await;
            assert!(
                !matches!(verdict, Ok(Precondition::Holds(_))),
                "{action} {text:?}: {verdict:?}"
            );
            let acted = run.act(&bound, bench.look(120)).await;
            assert!(matches!(acted, Err(ActionError::Refused(_))), "{action} {text:?}: {acted:?}");
        }
    }
    assert_eq!(bench.simulator.recorded(), [], "{action}");
}

#[tokio::test(start_paused = true)]
async fn service_restart() {
    let good = [("service", "unbound"), ("description", "Unbound DNS")];
    check("service-restart", "unbound-crash", &good).await;
}

#[tokio::test(start_paused = true)]
async fn service_start() {
    let good = [("service", "unbound"), ("description", "Unbound DNS")];
    check("service-start", "missed-start", &good).await;
}

#[tokio::test(start_paused = true)]
async fn service_reconfigure() {
    let good = [("service", "kea-dhcp"), ("description", "KEA DHCPv4 server")];
    check("service-reconfigure", "kea-broken-file", &good).await;
}

#[tokio::test(start_paused = true)]
async fn wireguard_instance_restart() {
    let good = [("interface", "wgsite"), ("peer", "branch-b")];
    check("wireguard-instance-restart", "endpoint-unresolved", &good).await;
}

#[tokio::test(start_paused = true)]
async fn wireguard_reconfigure() {
    let good = [("interface", "wgsite"), ("peer", "branch-a")];
    check("wireguard-reconfigure", "not-applied", &good).await;
}

#[test]
fn every_action_is_among_them() {
    assert_eq!(Opnsense.catalog().actions.len(), 5);
}

#[tokio::test(start_paused = true)]
async fn a_probe_asks_the_firewall_nothing_about_a_stranger() {
    let bench = Bench::new(&Opnsense);
    for signature in &Opnsense.catalog().probes {
        for text in hostile() {
            let with: Vec<_> = signature
                .params
                .iter()
                .filter(|param| param.name != "since")
                .map(|param| (param.name, text.as_str()))
                .collect();
            // A probe that finds nothing of the name says so, or could not look; it never panics.
            let _ = bench.probe(&Opnsense, signature.name, &with).await;
        }
    }
    assert_eq!(bench.simulator.recorded(), []);
}
