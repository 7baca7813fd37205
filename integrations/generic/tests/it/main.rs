//! The host channel from outside: against the simulated host, scripted commands and a real sshd.

// What the actions do and refuse, and that no hostile label gets past them.
mod actions;
// Hosts that cannot be reached, are others, or answer nonsense.
mod bad_input;
// Services that are local commands.
mod commands;
// What each probe tells of the simulated host.
mod probes;
// Settings that cannot work.
mod settings;
// A real OpenSSH server.
mod sshd;
// The simulated host and what looks at it, in memory and virtual time.
mod world;
