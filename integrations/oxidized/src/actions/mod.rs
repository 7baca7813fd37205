//! The changes that a mitigation step may make; one file each.

pub(crate) mod restart;
