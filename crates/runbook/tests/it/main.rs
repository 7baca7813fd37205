//! The integration tests of this crate: pages as people write them, through the public API.

// What a page is read as, page by page.
mod pages;
// What a broken page is told, text by text.
mod mistakes;
// Three-valued logic, in tables.
mod conditions;
// Causes and arguments on evidence.
mod diagnosis;
// Pages as HTML.
mod html;
// Any text at all.
mod arbitrary;
// A catalogue of one kind, for all of the above.
mod firewall;
