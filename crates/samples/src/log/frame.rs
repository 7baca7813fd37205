//! Records in a file: what stands around them, and what is found when they are read again.
//!
//! ```text
//! file   = magic, record of kind HEADER, records
//! record = length u32, kind u8, CRC-32 of these five bytes, payload, CRC-32 of kind and payload
//! ```
//!
//! The head has a checksum of its own, so that a damaged length is told from a file that ends too
//! soon: the first is damage, the second is what a crash in the middle of a write leaves.

/// What every file of the log begins with.
pub(super) const MAGIC: &[u8; 8] = b"PMSAMPLE";

const HEAD: usize = 9;
const TAIL: usize = 4;

/// What a record takes beside its payload.
#[cfg(test)]
pub(super) const OVERHEAD: usize = HEAD + TAIL;

/// Appends a record whose payload `fill` writes.
pub(super) fn put_record(out: &mut Vec<u8>, kind: u8, fill: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    out.extend([0; HEAD]);
    fill(out);
    let payload = start + HEAD;
    let len = u32::try_from(out.len() - payload).expect("a record is far smaller than 4 GiB");
    out[start..start + 4].copy_from_slice(&len.to_le_bytes());
    out[start + 4] = kind;
    let head = crc32fast::hash(&out[start..start + 5]);
    out[start + 5..payload].copy_from_slice(&head.to_le_bytes());
    let check = checksum(kind, &out[payload..]);
    out.extend(check.to_le_bytes());
}

fn checksum(kind: u8, payload: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&[kind]);
    hasher.update(payload);
    hasher.finalize()
}

/// What stands at a place of a file.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Found<'a> {
    /// A record, and where the next one begins.
    Record { kind: u8, payload: &'a [u8], next: usize },
    /// Nothing: the file ends here.
    End,
    /// The beginning of a record that was never completed.
    Torn,
    /// Something else than was written.
    Damaged(&'static str),
}

/// Reads the record at `at`.
pub(super) fn record_at(bytes: &[u8], at: usize) -> Found<'_> {
    let Some(rest) = bytes.get(at..).filter(|rest| !rest.is_empty()) else { return Found::End };
    // A file system may have made the file longer before a power cut, and not have filled it.
    if rest.len() < HEAD || rest.iter().all(|byte| *byte == 0) {
        return Found::Torn;
    }
    let word = |at: usize| {
        rest.get(at..at + 4).and_then(|four| four.try_into().ok()).map(u32::from_le_bytes)
    };
    if word(5) != Some(crc32fast::hash(&rest[..5])) {
        return Found::Damaged("the head of a record has another checksum");
    }
    let (kind, len) = (rest[4], word(0).unwrap_or(0) as usize);
    let Some(payload) = rest.get(HEAD..HEAD + len) else { return Found::Torn };
    let Some(check) = word(HEAD + len) else { return Found::Torn };
    if check != checksum(kind, payload) {
        return Found::Damaged("a record has another checksum");
    }
    Found::Record { kind, payload, next: at + HEAD + len + TAIL }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_flipped_bit_is_damage_and_every_missing_byte_a_torn_tail() {
        let mut bytes = Vec::new();
        put_record(&mut bytes, 3, |out| out.extend(b"some payload"));
        let len = bytes.len();
        assert_eq!(len, OVERHEAD + 12);
        put_record(&mut bytes, 4, |_| {});
        let found = Found::Record { kind: 3, payload: b"some payload", next: len };
        assert_eq!(record_at(&bytes, 0), found);
        assert_eq!(record_at(&bytes, bytes.len()), Found::End);
        for cut in 1..len {
            assert_eq!(record_at(&bytes[..cut], 0), Found::Torn);
        }
        for bit in 0..len * 8 {
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert!(matches!(record_at(&bytes, 0), Found::Damaged(_)), "bit {bit}");
            bytes[bit / 8] ^= 1 << (bit % 8);
        }
        assert_eq!(record_at(&[0; 100], 0), Found::Torn);
    }
}
