//! Variable-length integers and runs of numbers of one width.

/// Appends `value`, seven bits a byte, the lowest first.
pub(crate) fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Small magnitudes to small numbers: 0, -1, 1, -2 become 0, 1, 2, 3.
pub(crate) fn zigzag(value: i64) -> u64 {
    (value.wrapping_shl(1) ^ (value >> 63)) as u64
}

/// The inverse of [`zigzag`].
pub(crate) fn unzigzag(value: u64) -> i64 {
    (value >> 1) as i64 ^ -((value & 1) as i64)
}

/// Appends a signed number.
pub(crate) fn put_signed(out: &mut Vec<u8>, value: i64) {
    put_varint(out, zigzag(value));
}

/// How many bits hold `value`.
pub(super) fn width_of(value: u64) -> u8 {
    (u64::BITS - value.leading_zeros()) as u8
}

/// How many bytes `count` numbers of `width` bits take.
pub(super) fn packed_len(count: usize, width: u8) -> usize {
    (count * width as usize).div_ceil(8)
}

/// Appends `values`, each in `width` bits, the lowest first.
pub(super) fn put_packed(out: &mut Vec<u8>, width: u8, values: impl Iterator<Item = u64>) {
    let (mut pending, mut bits) = (0u128, 0u32);
    for value in values {
        pending |= u128::from(value) << bits;
        bits += u32::from(width);
        while bits >= 8 {
            out.push(pending as u8);
            pending >>= 8;
            bits -= 8;
        }
    }
    if bits > 0 {
        out.push(pending as u8);
    }
}

/// Room for the widest pack, and for reading sixteen bytes from its last one.
const UNPACK_BYTES: usize = super::PACK * 8 + 16;

/// Reads bytes from the front; every method is `None` where they do not suffice.
#[derive(Clone, Copy)]
pub(crate) struct Reader<'a> {
    bytes: &'a [u8],
}

impl<'a> Reader<'a> {
    /// Reads `bytes` from their start.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes }
    }

    /// Whether everything was read.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// The next `count` bytes.
    pub fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.bytes.split_at_checked(count)?;
        self.bytes = rest;
        Some(taken)
    }

    /// The next byte.
    pub fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.bytes.split_first()?;
        self.bytes = rest;
        Some(*first)
    }

    /// The next eight bytes, the lowest first.
    pub fn word(&mut self) -> Option<u64> {
        Some(u64::from_le_bytes(self.take(8)?.try_into().ok()?))
    }

    /// The next variable-length number.
    pub fn varint(&mut self) -> Option<u64> {
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Some(value);
            }
        }
        None
    }

    /// A variable-length number that counts things of which each takes a byte at least: so it is
    /// never larger than what is left, and memory may be set aside for it.
    pub fn count(&mut self) -> Option<usize> {
        let count = usize::try_from(self.varint()?).ok()?;
        (count <= self.bytes.len()).then_some(count)
    }

    /// The next signed number.
    pub fn signed(&mut self) -> Option<i64> {
        self.varint().map(unzigzag)
    }

    /// A text behind its length.
    pub fn text(&mut self) -> Option<&'a str> {
        let len = self.count()?;
        std::str::from_utf8(self.take(len)?).ok()
    }

    /// Fills `out` with numbers of `width` bits.
    pub(super) fn packed(&mut self, width: u8, out: &mut [u64]) -> Option<()> {
        if width == 0 {
            out.fill(0);
            return Some(());
        }
        if width > 64 || out.len() > super::PACK {
            return None;
        }
        let whole = self.bytes;
        let taken = self.take(packed_len(out.len(), width))?;
        // Sixteen bytes are read for the last number too: of what follows, or of a copy with room.
        let mut padded = [0u8; UNPACK_BYTES];
        let from = if whole.len() >= taken.len() + 16 {
            whole
        } else {
            padded[..taken.len()].copy_from_slice(taken);
            &padded
        };
        let mask = u64::MAX >> (64 - u32::from(width));
        for (index, value) in out.iter_mut().enumerate() {
            let bit = index * width as usize;
            let window = &from[bit / 8..];
            *value = if width <= 56 {
                let window: [u8; 8] = window[..8].try_into().ok()?;
                (u64::from_le_bytes(window) >> (bit % 8)) & mask
            } else {
                let window: [u8; 16] = window[..16].try_into().ok()?;
                (u128::from_le_bytes(window) >> (bit % 8)) as u64 & mask
            };
        }
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_every_width_come_back() {
        for width in 0..=64u8 {
            let mask = if width == 0 { 0 } else { u64::MAX >> (64 - u32::from(width)) };
            let values: Vec<u64> =
                (1..=31u64).map(|n| n.wrapping_mul(0x9e37_79b9_7f4a_7c15) & mask).collect();
            let mut bytes = Vec::new();
            put_packed(&mut bytes, width, values.iter().copied());
            assert_eq!(bytes.len(), packed_len(values.len(), width));
            let (mut reader, mut found) = (Reader::new(&bytes), [0; 31]);
            reader.packed(width, &mut found).unwrap();
            assert_eq!((found.as_slice(), reader.is_empty()), (values.as_slice(), true));
        }
    }

    #[test]
    fn whole_numbers_come_back_and_short_input_is_none() {
        for value in [0, 1, -1, 63, -64, 64, i64::MAX, i64::MIN] {
            let mut bytes = Vec::new();
            put_signed(&mut bytes, value);
            assert_eq!(Reader::new(&bytes).signed(), Some(value));
            assert_eq!(Reader::new(&bytes[..bytes.len() - 1]).signed(), None);
        }
        assert_eq!(Reader::new(&[0x80; 11]).varint(), None);
        assert_eq!(Reader::new(&[200, 1]).count(), None);
    }
}
