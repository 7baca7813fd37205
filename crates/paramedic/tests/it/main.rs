//! The product as its users and its accidents meet it.

/// Simulated systems under a full engine, in virtual time, that survive the engine.
mod world;

/// A crash at every write of the journal: nothing is lost, and nothing is done twice.
mod crashes;

/// What people may and may not do, and every guard before an action.
mod guards;

/// Samples that vanish, hang, come late or contradict: never healthy, never the wrong system.
mod doubt;

/// Targets that are lost: one incident each, whatever stands on their samples.
mod lost;

/// The built binary as a process, and simulated systems on loopback that it watches.
mod process;

/// SIGKILL at the worst moments: pending, diagnosing, between an action's intent and its outcome.
mod killed;

/// Bad input through the built binary: what is said, where, and with which exit code.
mod mistakes;

/// The command line itself: help, completions, exit codes, shapes.
mod command_line;

/// `check rules` and `test rules`: verdicts, reports, the example of the docs, the shipped rules.
mod rules;

/// Rules that are edited while everything runs, and what a restart leaves of their alerts.
mod reloads;

/// The five alerts that the product began with: verbatim rules, pages, faults.
mod seeds;

/// A real Traefik and its back ends, shared with the tests of its integration.
#[path = "../../../../integrations/traefik/tests/it/peer.rs"]
#[expect(dead_code, reason = "the integration's own tests use the rest of it")]
mod peer;

/// Alertmanagers that a file lists, and redirects to them.
mod alerted;

/// Secrets that stand in a configuration itself: in no answer, on no page, in no line of the log.
mod inline_secrets;

/// One prometheus.yml for a real Prometheus and the built binary: the same series in both.
mod prometheus_yml;

/// The whole pipeline against the real Traefik.
mod real_traefik;
