//! The kinds of systems that this binary knows: the one place that names integrations.

use paramedic_catalog::Catalog;
use paramedic_integration::Integration;

/// Every integration. To add a kind, add its crate and a line here.
pub const KINDS: &[&dyn Integration] = &[&paramedic_opnsense::Opnsense];

/// The integration of this kind.
pub fn kind(name: &str) -> Option<&'static dyn Integration> {
    KINDS.iter().copied().find(|integration| integration.catalog().kind == name)
}

/// What all kinds declare.
pub fn catalogs() -> Vec<&'static Catalog> {
    KINDS.iter().map(|integration| integration.catalog()).collect()
}
