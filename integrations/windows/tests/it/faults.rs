use paramedic_integration::{Ending, Precondition};

use crate::scene::{Scene, explain, page_of, windows};

/// How long an alert waits for its `for`, and how long to wait after a repair.
const FOR_SECONDS: u64 = 150;

/// Every fault makes its alert's expression hold for its `for`, the page names its cause first, and
/// its ending is the right one: what repairs does, what must not be done is refused.
#[tokio::test(start_paused = true)]
async fn every_fault_is_diagnosed_and_ends_rightly() {
    for fault in windows().simulator().expect("simulated").faults() {
        let scene = Scene::with_fault(fault.id).await;
        // The rule does not look at a host that has just booted.
        let gate = if fault.id == "delayed-start" { 301 } else { 0 };
        scene.wait(gate + 1).await;
        let first = scene.collect().await;
        assert_eq!(scene.holding(fault.alert, &first).len(), 1, "{}: at once", fault.id);
        scene.wait(FOR_SECONDS).await;
        let collection = scene.collect().await;
        let fired = scene.holding(fault.alert, &collection);
        assert_eq!(fired.len(), 1, "{}: {} still holds", fault.id, fault.alert);
        assert_eq!(scene.all_holding(&collection).len(), 1, "{}: one alert tells", fault.id);

        let page = page_of(fault.alert);
        let situation = scene.diagnose(page, &fired[0]).await;
        let diagnosis = page.diagnose(&situation);
        let why = explain(page, &situation);
        println!("{}\n{why}", fault.id);
        let likely = diagnosis.likely().unwrap_or_else(|| panic!("{}: none\n{why}", fault.id));
        assert_eq!(likely.cause.id, fault.cause, "{}\n{why}", fault.id);
        match fault.ending {
            Ending::Repaired(steps) => {
                assert_eq!(likely.cause.fix(), steps, "{}", fault.id);
                for step in steps {
                    let action = scene.action(page, step, &situation);
                    let verdict = scene.precondition(&action).await;
                    let holds = matches!(verdict, Precondition::Holds(_));
                    assert!(holds, "{}: {step}: {verdict:?}\n{why}", fault.id);
                    let acted = scene.act(&action).await;
                    assert!(acted.is_ok(), "{}: {step}: {acted:?}", fault.id);
                }
                scene.wait(15).await;
                let collection = scene.collect().await;
                assert!(collection.failure.is_none(), "{}: {:?}", fault.id, collection.failure);
                let still = scene.all_holding(&collection);
                assert!(still.is_empty(), "{}: repaired, and {still:?}", fault.id);
                assert!(!scene.recorded().is_empty(), "{}", fault.id);
            }
            Ending::LeftAlone | Ending::HandedOver => {
                let nothing = fault.ending == Ending::LeftAlone;
                assert_eq!(likely.nothing_to_do.is_some(), nothing, "{}\n{why}", fault.id);
                // An action that somebody asks for against the page's advice does no harm either.
                if page.title == "WindowsServerServiceStatus" {
                    for step in ["start", "restart", "start-dependency"] {
                        let action = scene.action(page, step, &situation);
                        let verdict = scene.precondition(&action).await;
                        let fails = matches!(verdict, Precondition::Fails(_));
                        assert!(fails, "{}: {step}: {verdict:?}", fault.id);
                    }
                }
                assert!(scene.recorded().is_empty(), "{}", fault.id);
                scene.bench.simulator.heal();
                // A refused login rests before it is tried again.
                scene.wait(901).await;
                let still = scene.all_holding(&scene.collect().await);
                assert!(still.is_empty(), "{}: healed, and {still:?}", fault.id);
            }
        }
        let forbidden: Vec<_> = scene.recorded().into_iter().filter(|r| r.forbidden).collect();
        assert!(forbidden.is_empty(), "{}: {forbidden:?}", fault.id);
    }
}

/// What comes right by itself does so, and its alert with it.
#[tokio::test(start_paused = true)]
async fn some_faults_end_by_themselves() {
    for (fault, seconds) in [("slow-start", 420), ("delayed-start", 900), ("recovery-pending", 320)]
    {
        let scene = Scene::with_fault(fault).await;
        scene.wait(seconds).await;
        let still = scene.all_holding(&scene.collect().await);
        assert!(still.is_empty(), "{fault}: {still:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn faults_do_not_stack() {
    let scene = Scene::new();
    for fault in windows().simulator().expect("simulated").faults() {
        scene.bench.simulator.inject(fault.id).expect("a declared fault");
    }
    let error = scene.bench.simulator.inject("gremlins").expect_err("there is no such fault");
    assert!(error.to_string().contains("crash-loop"), "{error}");
    scene.bench.simulator.heal();
    assert_eq!(scene.all_holding(&scene.collect().await), Vec::<String>::new());
}
