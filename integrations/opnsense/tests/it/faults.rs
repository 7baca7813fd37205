use paramedic_integration::{Ending, Fault, Integration, Precondition};
use paramedic_opnsense::Opnsense;
use paramedic_runbook::{Finding, Remedy, Work};
use paramedic_testkit::Bench;

use crate::support::{action, collect, firing, investigate, page_of, print, wait};

fn faults() -> &'static [Fault] {
    Opnsense.simulator().expect("firewalls are simulated").faults()
}

/// The alert's `for`, to the second.
fn hold_s(alert: &str) -> u64 {
    match alert {
        "OPNsenseWireGuardPeerStale" => 300,
        "OPNsenseFirewallUnreachable" => 180,
        _ => 120,
    }
}

/// Injects, waits as long as the alert does, diagnoses by the page, and repairs or leaves alone.
async fn follow(fault: &Fault) {
    let bench = Bench::new(&Opnsense);
    let page = page_of(fault.alert);
    wait(&bench, 90).await;
    assert_eq!(firing(fault.alert, &collect(&bench).await), [], "{}: before", fault.id);
    bench.simulator.inject(fault.id).expect("a declared fault");
    for _ in 0..=hold_s(fault.alert) / 15 {
        let collection = collect(&bench).await;
        let fires = firing(fault.alert, &collection);
        assert!(!fires.is_empty(), "{} does not fire:\n{}", fault.id, print(&collection));
        wait(&bench, 15).await;
    }
    let labels = firing(fault.alert, &collect(&bench).await).remove(0);
    let situation = investigate(&bench, &page, &labels).await;
    let told = || {
        let mut text = format!("{}: {labels}\n", fault.id);
        for (step, finding) in &situation.findings {
            text.push_str(&match finding {
                Finding::Looked { summary, .. } => format!("  {step}: {summary}\n"),
                Finding::Nothing { reason } => format!("  {step}: {reason}\n"),
            });
        }
        for judged in page.diagnose(&situation).causes {
            text.push_str(&format!("  {} {:?}\n", judged.cause.id, judged.judgement));
        }
        text
    };
    let diagnosis = page.diagnose(&situation);
    let likely = diagnosis.likely().unwrap_or_else(|| panic!("no cause: {}", told()));
    assert_eq!(likely.cause.id, fault.cause, "{}", told());
    assert!(!likely.because.contains("no reason can be given"), "{}", likely.because);
    match fault.ending {
        Ending::Repaired(steps) => {
            assert_eq!(likely.cause.fix(), steps, "{}", told());
            for step in steps {
                let (action, args) = action(&bench, &page, step, &situation);
                let before = action.precondition(&args, bench.look(120)).await;
                let before = before.unwrap_or_else(|error| panic!("{error}: {}", told()));
                assert!(matches!(before, Precondition::Holds(_)), "{before:?} {}", told());
                action.blast_radius(&args, bench.look(120)).await.expect("it can be counted");
                let acted = action.act(&args, bench.look(120)).await;
                acted.unwrap_or_else(|error| panic!("{step}: {error:?} {}", told()));
            }
            // Whatever else a restart took down comes back by itself before its alert is due.
            let after = collect(&bench).await;
            assert!(
                !firing(fault.alert, &after).contains(&labels),
                "{}\n{}",
                told(),
                print(&after)
            );
            wait(&bench, 60).await;
            let after = collect(&bench).await;
            assert_eq!(firing(fault.alert, &after), [], "{}\n{}", told(), print(&after));
            assert_eq!(bench.simulator.recorded().len(), steps.len());
            // What is repaired is not to be repaired again.
            let (action, args) = action(&bench, &page, steps[0], &situation);
            let again = action.precondition(&args, bench.look(120)).await.expect("it can look");
            assert!(matches!(again, Precondition::Fails(_)), "{again:?}");
        }
        Ending::LeftAlone => {
            assert!(matches!(likely.cause.remedy, Remedy::Nothing(_)), "{}", told());
            refuses_all(&bench, fault, &page, &situation).await;
        }
        Ending::HandedOver => {
            let first = page.step(&likely.cause.fix()[0]).expect("the page has the step");
            assert!(matches!(first.work, Work::Manual(_)), "{}", told());
            refuses_all(&bench, fault, &page, &situation).await;
        }
    }
    let recorded = bench.simulator.recorded();
    assert!(recorded.iter().all(|change| !change.forbidden), "{recorded:?}");
    bench.simulator.heal();
    wait(&bench, 60).await;
    let healed = collect(&bench).await;
    assert_eq!(firing(fault.alert, &healed), [], "{}: healed\n{}", fault.id, print(&healed));
    assert!(healed.failure.is_none(), "{:?}", healed.failure);
}

/// Whatever action of the page a person asks for instead, its precondition refuses it.
async fn refuses_all(
    bench: &Bench,
    fault: &Fault,
    page: &paramedic_runbook::Runbook,
    situation: &paramedic_runbook::Situation,
) {
    // Memory is a judgement: one restart is a person's to risk.
    let may_try = ["unbound-out-of-memory"];
    for step in page.mitigation().filter(|step| matches!(step.work, Work::Action(_))) {
        let (action, args) = action(bench, page, &step.id, situation);
        let verdict = action.precondition(&args, bench.look(120)).await;
        let refused = matches!(verdict, Ok(Precondition::Fails(_)) | Err(_));
        assert!(refused || may_try.contains(&fault.id), "{} {}: {verdict:?}", fault.id, step.id);
    }
    assert_eq!(bench.simulator.recorded(), []);
}

#[tokio::test(start_paused = true)]
async fn every_fault_fires_is_named_and_ends_as_it_should() {
    for fault in faults() {
        follow(fault).await;
    }
}

#[test]
fn every_alert_has_faults_enough() {
    let count = |alert: &str, ending: fn(&Ending) -> bool| {
        faults().iter().filter(|f| f.alert == alert && ending(&f.ending)).count()
    };
    for alert in ["OPNsenseServiceDown", "OPNsenseWireGuardPeerOffline"] {
        assert!(count(alert, |_| true) >= 6, "{alert}");
        assert!(count(alert, |ending| *ending == Ending::LeftAlone) >= 1, "{alert}");
        assert!(count(alert, |ending| *ending == Ending::HandedOver) >= 1, "{alert}");
        assert!(count(alert, |ending| matches!(ending, Ending::Repaired(_))) >= 1, "{alert}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_ends_by_itself_does() {
    for (fault, seconds) in [("firmware-update", 430), ("slow-start", 310), ("recent-start", 210)] {
        let bench = Bench::new(&Opnsense);
        bench.simulator.inject(fault).expect("a declared fault");
        let alert = faults().iter().find(|known| known.id == fault).expect("declared").alert;
        assert_ne!(firing(alert, &collect(&bench).await), [], "{fault}");
        wait(&bench, seconds).await;
        assert_eq!(firing(alert, &collect(&bench).await), [], "{fault}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_wrong_action_does_not_help_and_is_recorded_as_forbidden() {
    // A restart while another process has the port: the API says ok, the list does not.
    let bench = Bench::new(&Opnsense);
    bench.simulator.inject("unbound-port-conflict").expect("a declared fault");
    let restart = bench.system.kit.action("service-restart").expect("in the kit");
    let args =
        crate::support::args("service-restart", &[("service", "unbound")]).expect("they fit");
    let acted = restart.act(&args, bench.look(120)).await;
    assert!(matches!(acted, Err(paramedic_integration::ActionError::Ineffective(_))), "{acted:?}");
    assert!(bench.simulator.recorded().iter().all(|change| change.forbidden));

    // A restart of the instance turns a roaming peer of somebody else offline.
    let bench = Bench::new(&Opnsense);
    bench.simulator.inject("remote-down").expect("a declared fault");
    let with = [("interface", "wgsite"), ("peer", "branch-a")];
    let args = crate::support::args("wireguard-instance-restart", &with).expect("they fit");
    let restart = bench.system.kit.action("wireguard-instance-restart").expect("in the kit");
    let radius = restart.blast_radius(&args, bench.look(120)).await.expect("it can be counted");
    assert_eq!(radius.count, 2, "{}", radius.summary);
    let acted = restart.act(&args, bench.look(120)).await;
    assert!(matches!(acted, Err(paramedic_integration::ActionError::Refused(_))), "{acted:?}");
    assert_eq!(bench.simulator.recorded(), []);
    // Sent by somebody else, it costs the neighbours their sessions and brings nothing.
    let path = "/api/core/service/restart/wireguard/44444444-4444-4444-8444-444444444444";
    let request =
        paramedic_integration::HttpRequest::post(paramedic_integration::UrlPath::fixed(path));
    crate::support::send(&bench, "", request).await;
    assert_eq!(firing("OPNsenseWireGuardPeerOffline", &collect(&bench).await).len(), 3);
    assert!(bench.simulator.recorded().iter().all(|change| change.forbidden));
}
