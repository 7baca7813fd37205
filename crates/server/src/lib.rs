//! The JSON API, Prometheus's API, `/metrics` and the pages: what people and programs see of a running engine.
//!
//! ```text
//!   browser --Host, Origin, form key--+                    +--> pages (HTML, without JavaScript)
//!   program --Host, token-------------+--> access --> view +--> api (JSON)
//!                                            |             +--> events (what changed)
//!                                            +--> command --> Handle --> engine
//! ```
//!
//! A request reads one [`view`] between two turns of the engine and renders it afterwards, so a
//! slow reader never holds the engine up. What a person asks for is a
//! [`Command`](paramedic_engine::Command), and whether it is done is for the incident to say.
//!
//! # Who may do what
//!
//! There are no accounts yet, so the server is for this machine alone ([`Server::bind`] refuses any
//! other address), and everything is aimed at what other people's web pages could make a browser do:
//!
//! - Every request must name this server in `Host`, which keeps out names that were pointed here.
//! - Pages may be read by whoever is on this machine, and framed by nobody.
//! - The JSON API is read with the token, or by the server's own pages.
//! - Prometheus's API is read by whoever is on this machine, and by no other site's page; samples are
//!   taken from whoever has the token, where the configuration says so.
//! - Changes need the token, or a form that a page of this server made: `Origin` is checked, and the
//!   form carries a key that only pages of this server hold.
//!
//! # Invariants
//!
//! - "Could not look" and "not looked yet" never render as healthy.
//! - Texts of systems, labels and people are escaped; Markdown runs nothing.
//! - Nothing is changed by `GET`.
//!
//! Not here: TLS, accounts.

mod access;
mod api;
mod app;
mod assets;
mod forms;
mod lifecycle;
mod markdown;
mod metrics;
mod outside;
mod pages;
mod plot;
mod problem;
mod process;
mod prometheus;
mod server;
mod view;
mod words;
mod workbench;

pub use lifecycle::Reloader;
pub use prometheus::PrometheusOptions;
pub use server::{Server, ServerOptions, router};
pub use workbench::{Breakable, Workbench};
