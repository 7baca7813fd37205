//! API and pages over a real engine with a tiny system, in virtual time and without a socket.

/// A system that is told how to be, an engine that watches it, and a client of the server.
mod world;

/// Who may send what: hosts, origins, keys of forms, tokens, limits.
mod access;

/// The API as programs meet it, field by field.
mod api;

/// An outage from firing to its end, with nothing but forms.
mod forms;

/// Labels, evidence and people that mean ill.
mod hostile;

/// What the server counts of its own work, in Prometheus's names.
mod metrics;

/// Every page, also of what is not there, and the page of an incident in every stage.
mod pages;

/// A target that is lost, as pages, API and metrics show it.
mod lost;

/// The server on a real socket.
mod sockets;

/// Prometheus's API as its clients meet it: requests and exact answers.
mod prometheus;

/// What a sender of samples may send, and what it is answered.
mod remote_write;

/// The real promtool asks us, the real Prometheus writes to us, and both answer the same.
mod peers;

/// Why an alert fires at a moment, or does not.
mod why;

/// Rules, alerts, targets and settings as Prometheus's clients meet them: exact answers.
mod rule_answers;

/// Alerts that other programs send.
mod outside;

/// The real Alertmanager hears of our alerts, and it and the real Prometheus send us theirs.
mod alertmanager;

/// Alertmanagers that come and go, and what is still sent at the end.
mod delivery;

/// Targets that go, move or come back: where their series end, and what is told of them.
mod vanishing;

/// What other clients ask: Grafana, by a log of its requests, and Python's.
mod clients;
