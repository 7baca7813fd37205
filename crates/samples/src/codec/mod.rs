//! Numbers as few bytes: variable-length integers, packed bits, and packs of samples.

mod bits;
mod pack;

pub(crate) use bits::{Reader, put_signed, put_varint, unzigzag, zigzag};
pub(crate) use pack::{PACK, Stream, Unpacked, pass, rise, unpack};
