//! The durable log of alerts, incidents and audit.
