//! What an integration declares: metrics, settings, signatures of probes and actions, risks.
