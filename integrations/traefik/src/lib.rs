//! The integration for traefik.
