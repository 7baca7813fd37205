use paramedic_integration::{Happened, Integration};
use paramedic_opnsense::Opnsense;
use paramedic_testkit::Bench;

use crate::support::{args, wait};

/// Before the action: no. After it: yes, whatever the time between. And what another request did
/// before the intent is not taken for it.
async fn check(action: &str, fault: &str, with: &[(&str, &str)]) {
    let bench = Bench::new(&Opnsense);
    bench.simulator.inject(fault).expect("a declared fault");
    wait(&bench, 120).await;
    let run = bench.system.kit.action(action).expect("in the kit");
    let args = args(action, with).expect("they fit");
    let intended = bench.clock.now();
    let before = run.happened(&args, intended, bench.look(120)).await.expect("it can look");
    assert!(matches!(before, Happened::No(_)), "{action}: {before:?}");
    wait(&bench, 3).await;
    run.act(&args, bench.look(120)).await.expect("it repairs");
    wait(&bench, 60).await;
    let after = run.happened(&args, intended, bench.look(120)).await.expect("it can look");
    assert!(matches!(after, Happened::Yes(_)), "{action}: {after:?}");
}

#[tokio::test(start_paused = true)]
async fn the_log_of_configd_tells_requests() {
    check("service-restart", "unbound-crash", &[("service", "unbound")]).await;
    check("service-start", "missed-start", &[("service", "unbound")]).await;
    let with = [("interface", "wgsite"), ("peer", "branch-b")];
    check("wireguard-instance-restart", "endpoint-unresolved", &with).await;
}

#[tokio::test(start_paused = true)]
async fn the_state_tells_what_is_applied() {
    let with = [("interface", "wgsite"), ("peer", "branch-a")];
    check("wireguard-reconfigure", "not-applied", &with).await;
}

#[tokio::test(start_paused = true)]
async fn a_request_before_the_intent_is_another_one() {
    let bench = Bench::new(&Opnsense);
    bench.simulator.inject("unbound-crash").expect("a declared fault");
    let run = bench.system.kit.action("service-restart").expect("in the kit");
    let args = args("service-restart", &[("service", "unbound")]).expect("they fit");
    run.act(&args, bench.look(0)).await.expect("it repairs");
    wait(&bench, 10).await;
    let verdict = run.happened(&args, bench.clock.now(), bench.look(0)).await.expect("it can look");
    assert!(matches!(verdict, Happened::No(_)), "{verdict:?}");
}

#[tokio::test(start_paused = true)]
async fn a_reconfigure_is_told_by_the_start_or_not_at_all() {
    let bench = Bench::new(&Opnsense);
    bench.simulator.inject("kea-broken-file").expect("a declared fault");
    let run = bench.system.kit.action("service-reconfigure").expect("in the kit");
    let args = args("service-reconfigure", &[("service", "kea-dhcp")]).expect("they fit");
    let intended = bench.clock.now();
    let before = run.happened(&args, intended, bench.look(0)).await.expect("it can look");
    assert!(matches!(before, Happened::Unknown(_)), "{before:?}");
    run.act(&args, bench.look(0)).await.expect("it repairs");
    let after = run.happened(&args, intended, bench.look(0)).await.expect("it can look");
    assert!(matches!(after, Happened::Yes(_)), "{after:?}");
}

#[test]
fn the_kit_holds_what_the_catalogue_declares() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        let bench = Bench::new(&Opnsense);
        assert_eq!(bench.system.kit.differences(Opnsense.catalog()), Vec::<String>::new());
    });
}
