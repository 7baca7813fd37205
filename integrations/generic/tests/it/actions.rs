use paramedic_generic::{Failure, Start, UnitState, integration};
use paramedic_integration::{ActionError, Happened};
use paramedic_testkit::{ActFailure, Performed};

use crate::world::{SERVICE, TRAEFIK, World};

const START: &str = "service-start";
const RESTART: &str = "service-restart";

async fn act(world: &World, action: &str, with: &[(&str, &str)]) -> Result<Performed, ActFailure> {
    world.bench.act(integration(), action, with).await
}

/// The reason for which a precondition refuses; nothing was asked of the host.
async fn refusal(world: &World, action: &str) -> String {
    let failure = act(world, action, &[SERVICE]).await.expect_err("it is refused");
    assert!(matches!(failure, ActFailure::Precondition(_)), "{failure}");
    assert!(world.changes().is_empty());
    failure.to_string()
}

#[tokio::test(start_paused = true)]
async fn a_failed_service_is_started_and_proven() {
    let world = World::new();
    world.host.set_unit(TRAEFIK, UnitState::Failed(Failure::OomKill));
    let done = act(&world, START, &[SERVICE]).await.unwrap();
    assert_eq!(done.blast_radius.count, 0);
    assert_eq!(done.reason, "traefik is failed (oom-kill, signal 9) since 0s");
    assert_eq!(done.acted.summary, "started traefik; it is active (running) since 5s");
    assert!(world.host.unit_running(TRAEFIK));
    assert_eq!(world.changes(), ["start traefik.service"]);
}

#[tokio::test(start_paused = true)]
async fn a_running_service_is_restarted_and_counted() {
    let world = World::new();
    let before = world.host.unit(TRAEFIK).unwrap().pid;
    let done = act(&world, RESTART, &[SERVICE]).await.unwrap();
    assert_eq!(done.blast_radius.count, 1);
    assert_eq!(done.acted.summary, "restarted traefik; it is active (running) since 5s");
    assert_ne!(world.host.unit(TRAEFIK).unwrap().pid, before);
    assert_eq!(world.changes(), ["restart traefik.service"]);
    assert!(world.host.recorded().iter().all(|recorded| !recorded.forbidden));
}

#[tokio::test(start_paused = true)]
async fn a_start_is_not_believed_because_systemctl_says_so() {
    for fails in [false, true] {
        let world = World::new();
        world.host.set_unit(TRAEFIK, UnitState::Failed(Failure::ExitCode(1)));
        world.host.on_start(TRAEFIK, move || {
            let lines = vec!["ERR bind: address already in use".to_owned()];
            let failure = Failure::ExitCode(1);
            if fails { Start::Fails { lines, failure } } else { Start::Dies { lines, failure } }
        });
        let failure = act(&world, START, &[SERVICE]).await.unwrap_err();
        let ActFailure::Action(ActionError::Ineffective(reason)) = failure else {
            panic!("{failure}");
        };
        assert!(reason.starts_with("traefik is failed (exit-code 1) since 0s"), "{reason}");
        assert!(reason.ends_with("it last wrote: ERR bind: address already in use"), "{reason}");
        assert_eq!(reason.contains("Job for traefik.service failed"), fails, "{reason}");
        assert_eq!(world.changes().len(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn what_must_not_be_started_is_refused() {
    let check = async |state: UnitState, reason: &str| {
        let world = World::new();
        world.host.set_unit(TRAEFIK, state);
        for action in [START, RESTART] {
            let refused = refusal(&world, action).await;
            assert!(refused.ends_with(reason), "{action}: {refused}");
        }
    };
    check(UnitState::Stopped, "who stopped it may have had a reason").await;
    check(UnitState::Masked, "unmasking it is for the administrator who masked it").await;
    check(UnitState::NotFound, "there is nothing to start").await;
    let reason = "one more start would end as the ones before; remove the reason first";
    check(UnitState::Failed(Failure::StartLimit), reason).await;
    let world = World::new();
    let due = world.bench.clock.now() + std::time::Duration::from_millis(100);
    let failure = Failure::ExitCode(1);
    world.host.set_unit(TRAEFIK, UnitState::AutoRestart { failure, due });
    let refused = refusal(&world, START).await;
    assert!(refused.ends_with("another start changes nothing"), "{refused}");
    let refused = refusal(&World::new(), START).await;
    assert_eq!(
        refused,
        "the precondition fails: traefik is active (running) since 1d: it need not be started"
    );
}

#[tokio::test(start_paused = true)]
async fn a_step_may_insist() {
    let world = World::new();
    world.host.set_unit(TRAEFIK, UnitState::Failed(Failure::StartLimit));
    world.pass(60).await;
    act(&world, START, &[SERVICE, ("after_start_limit", "true")]).await.unwrap();
    world.host.set_unit(TRAEFIK, UnitState::Stopped);
    act(&world, START, &[SERVICE, ("although_stopped", "true")]).await.unwrap();
    assert!(world.host.unit_running(TRAEFIK));
    // The simulated person who stopped it thinks otherwise.
    assert!(world.host.recorded()[1].forbidden);
}

#[tokio::test(start_paused = true)]
async fn a_missing_privilege_is_said_and_nothing_changed() {
    let world = World::new();
    world.host.set_unit(TRAEFIK, UnitState::Failed(Failure::ExitCode(1)));
    world.host.set_may_change(false);
    let failure = act(&world, START, &[SERVICE]).await.unwrap_err();
    let ActFailure::Action(ActionError::Refused(error)) = failure else { panic!("{failure}") };
    assert_eq!(error.class(), "denied");
    assert!(error.to_string().contains("Interactive authentication required"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn after_a_crash_the_host_is_asked() {
    let world = World::new();
    let happened = async |intended| {
        world.bench.happened(integration(), START, &[SERVICE], intended).await.unwrap()
    };
    world.host.set_unit(TRAEFIK, UnitState::Failed(Failure::ExitCode(1)));
    world.pass(60).await;
    let intended = world.bench.clock.now();
    world.pass(5).await;
    assert!(matches!(happened(intended).await, Happened::No(_)));
    act(&world, START, &[SERVICE]).await.unwrap();
    assert!(matches!(happened(intended).await, Happened::Yes(_)));
    // It was started, and died since.
    world.pass(5).await;
    world.host.set_unit(TRAEFIK, UnitState::Failed(Failure::ExitCode(1)));
    assert!(matches!(happened(intended).await, Happened::Yes(_)));
    world.pass(60).await;
    assert!(matches!(happened(world.bench.clock.now()).await, Happened::No(_)));
}

/// What a stranger may write into a label.
fn hostile() -> Vec<String> {
    let texts = [
        "x; rm -rf /",
        "../../etc/passwd",
        "traefik.service; reboot",
        "traefik\nreboot",
        "$(reboot)",
        "`reboot`",
        "'",
        "\"",
        "-H root@elsewhere",
        "traefik oxidized",
        "traefik\0",
        "sshd",
        "traefik.service",
        "",
    ];
    texts.iter().map(|text| (*text).to_owned()).chain(["a".repeat(10_000)]).collect()
}

/// A hostile label reaches no command line: the signature refuses it, or the configuration lists
/// no such service.
async fn refuses_hostile_labels(action: &str) {
    let world = World::new();
    world.host.set_unit(TRAEFIK, UnitState::Failed(Failure::ExitCode(1)));
    for label in hostile() {
        let failure = act(&world, action, &[("service", &label)]).await.expect_err("it is refused");
        let ActFailure::Look(error) = &failure else { panic!("{label:?}: {failure}") };
        assert_eq!(error.class(), "unable", "{label:?}: {error}");
        assert!(error.to_string().len() < 400, "{error}");
    }
    assert!(world.changes().is_empty());
    assert_eq!(world.host.command_lines(), Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn service_start_refuses_hostile_labels() {
    refuses_hostile_labels(START).await;
}

#[tokio::test(start_paused = true)]
async fn service_restart_refuses_hostile_labels() {
    refuses_hostile_labels(RESTART).await;
}

#[tokio::test(start_paused = true)]
async fn probes_refuse_hostile_labels() {
    let world = World::new();
    let params = [
        ("service-status", "service"),
        ("service-log", "service"),
        ("http-check", "check"),
        ("tcp-check", "check"),
        ("command", "name"),
        ("listeners", "port"),
    ];
    for (probe, param) in params {
        for label in hostile().into_iter().filter(|label| !label.is_empty()) {
            let error = world.bench.probe(integration(), probe, &[(param, &label)]).await;
            assert_eq!(error.unwrap_err().class(), "unable", "{probe} {label:?}");
        }
    }
    assert_eq!(world.host.command_lines(), Vec::<String>::new());
}
