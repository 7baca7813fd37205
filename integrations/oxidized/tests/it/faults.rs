use paramedic_integration::{Ending, Integration};
use paramedic_testkit::Bench;

pub fn oxidized() -> &'static dyn Integration {
    paramedic_oxidized::integration()
}

/// Runs a test in virtual time.
pub fn run<T>(test: impl Future<Output = T>) -> T {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    builder.enable_time().start_paused(true).build().expect("a runtime starts").block_on(test)
}

pub fn bench() -> Bench {
    Bench::with_host(oxidized(), paramedic_generic::integration())
}

/// `oxidized_status`, and the reason beside it.
async fn status(bench: &Bench) -> (f64, String) {
    let collection = bench.collect().await;
    let find = |name: &str| {
        let mut named = collection.series.iter().filter(|s| s.labels.metric_name() == Some(name));
        named.next().unwrap_or_else(|| panic!("no {name}")).clone()
    };
    let reason = find("paramedic_oxidized_reach").labels.value("reason").to_owned();
    let status = find("oxidized_status").value;
    assert_eq!(collection.failure.is_some(), status == 0.0, "0 always comes with its reason");
    (status, reason)
}

#[test]
fn a_healthy_server_yields_the_exporters_families() {
    run(async {
        let bench = bench();
        bench.clock.sleep(std::time::Duration::from_secs(120)).await;
        assert_eq!(status(&bench).await, (1.0, "ok".to_owned()));
        let collection = bench.collect().await;
        let count = |name: &str| {
            collection.series.iter().filter(|s| s.labels.metric_name() == Some(name)).count()
        };
        for family in ["status", "last_backup_status", "last_backup_start", "last_backup_end"] {
            assert_eq!(count(&format!("oxidized_device_{family}")), 4, "{family}");
        }
        let text = format!("{:?}", collection.series);
        assert!(!text.contains("simulated-enable"), "a device's password was kept");
        let nodes = bench.probe(oxidized(), "nodes", &[]).await.expect("it answers");
        assert_eq!(nodes.facts["success"], 4);
        assert!(!nodes.excerpt.contains("simulated-enable"));
        assert_eq!(bench.simulator.recorded(), [], "looking changed something");
    });
}

#[test]
fn every_fault_is_seen_and_a_restart_is_refused_where_it_would_do_harm() {
    run(async {
        for fault in oxidized().simulator().expect("it has one").faults() {
            let bench = bench();
            bench.simulator.inject(fault.id).expect("its own fault");
            let (value, reason) = status(&bench).await;
            assert_eq!(value, 0.0, "{}: {reason}", fault.id);
            for probe in ["reach", "exporter", "startup"] {
                let looked = bench.probe(oxidized(), probe, &[]).await;
                assert!(looked.is_ok(), "{}: {probe}: {looked:?}", fault.id);
            }
            let restarted = bench.act(oxidized(), "restart", &[]).await;
            if fault.ending == Ending::Repaired(&["restart"]) {
                assert!(restarted.is_ok(), "{}: {restarted:?}", fault.id);
                assert_eq!(status(&bench).await.0, 1.0, "{}", fault.id);
            } else {
                assert!(restarted.is_err(), "{}: {restarted:?}", fault.id);
                assert_eq!(bench.simulator.recorded(), [], "{}", fault.id);
            }
            bench.simulator.heal();
            assert_eq!(status(&bench).await.0, 1.0, "{} does not heal", fault.id);
        }
    });
}
