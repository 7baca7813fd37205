//! The Windows integration from outside: through the contract, against its simulator.

mod actions; // preconditions, blast radius, outcomes, and the question after a crash
mod assets; // rules, pages and catalogue fit together
mod bad_input; // hosts that do not answer as they should
mod collector; // the samples of a healthy host
mod faults; // every fault: alert, cause, ending
mod hostile; // labels that a stranger wrote
mod scene; // one simulated host with its pages
mod sockets; // real sockets: pywinrm against the simulator, and many sessions at once
mod tls; // https: whom it believes, and what it then says
