//! The kinds of systems that this binary knows: the one place that names integrations.

use paramedic_catalog::Catalog;
use paramedic_integration::Integration;

/// Every integration. To add a kind, add its crate and a line here.
pub fn all() -> impl Iterator<Item = &'static dyn Integration> {
    [
        paramedic_opnsense::integration(),
        paramedic_traefik::integration(),
        paramedic_oxidized::integration(),
        paramedic_windows::integration(),
        paramedic_generic::integration(),
    ]
    .into_iter()
}

/// The integration of this kind.
pub fn kind(name: &str) -> Option<&'static dyn Integration> {
    all().find(|integration| integration.catalog().kind == name)
}

/// What all kinds declare.
pub fn catalogs() -> Vec<&'static Catalog> {
    all().map(|integration| integration.catalog()).collect()
}
