//! The contract that an integration fills in, and the clients that it uses to do so.
//!
//! ```text
//!   engine, scrape, lab, drill                 (meet systems only through these traits)
//!        |
//!   Integration --open--> System { collect, probes, actions }      Simulator { faults, serve }
//!        |                        |                                     ^
//!     catalog              LookingClient / ActingClient                 | byte streams
//!                                 |                                     |
//!                             HttpClient --------- Transport -----------+
//! ```
//!
//! # Invariants
//!
//! - Looking and acting are different types. A [`LookingClient`] sends only what its compiled-in
//!   list of methods and paths allows, because the systems grant no read-only privilege.
//! - "Could not look" is a [`ProbeError`], never an empty finding.
//! - Every byte goes through a [`Transport`], every moment comes from a `Clock`, and every excerpt
//!   passes the [`Redactor`](paramedic_model::Redactor) that the [`Environment`] carries.
//!
//! Not here: SSH and commands (`generic`), WinRM (`windows`), the simulators themselves.

mod action;
mod clients;
mod clock;
mod collect;
mod connections;
mod contract;
mod credentials;
mod error;
mod http_client;
mod probe;
mod processes;
mod redirect;
mod simulator;
mod tls;
mod transport;

pub use action::{Acted, Action, ActionError, BlastRadius, Happened, Precondition};
pub use clients::{ActingClient, Allow, LookingClient};
pub use clock::ScaledClock;
pub use collect::{Collected, Collection, Collector, Listing};
pub use connections::Connections;
pub use contract::{Asset, Environment, Integration, Kit, SettingsError, System};
pub use credentials::{Credentials, SecretSource};
pub use error::ProbeError;
pub use http_client::{Auth, BODY_TOO_LARGE, HttpClient, HttpRequest, HttpResponse, UrlPath};
pub use probe::{Look, Probe};
pub use processes::{Finished, OsProcesses, Processes};
pub use redirect::{REDIRECTS_MAX, redirected, split_url, without_query};
pub use simulator::{
    Ending, Fault, Recorded, Simulator, SimulatorEnvironment, SimulatorFactory, UnknownFault,
    serve_http,
};
pub use tls::{TlsOptions, TlsSettings, TlsTrust};
pub use transport::{Address, AddressError, BoxStream, Stream, TcpTransport, Transport};
