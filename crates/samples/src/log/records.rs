//! What the records of the log say, as bytes.
//!
//! Every file stands alone: series are numbered from zero in each, named when they first occur in
//! it, and values are told as their difference from the value before in the same file. So a file
//! that is damaged takes nothing from the others with it.

use paramedic_model::{BucketSpan, Histogram, Labels, ResetHint};

use crate::codec::{Reader, put_signed, put_varint, unzigzag, zigzag};

/// The version of the format that this code writes, and the newest that it reads.
pub(super) const VERSION: u64 = 2;

/// The kinds of records. A number is never given to another kind.
pub(super) mod kind {
    /// Version, whether it is a checkpoint, the number of the file.
    pub const HEADER: u8 = 1;
    /// Label sets; the series with them get the next numbers.
    pub const SERIES: u8 = 2;
    /// A target and the series that it yields; it gets the next number of a layout.
    pub const LAYOUT: u8 = 3;
    /// One sample of each series of a layout.
    pub const SAMPLES: u8 = 4;
    /// Samples of any series.
    pub const POINTS: u8 = 5;
    /// A native histogram.
    pub const HISTOGRAM: u8 = 6;
    /// A target that is gone.
    pub const RETIRED: u8 = 7;
    /// Of a checkpoint: the newest commit, and up to when samples are gone.
    pub const CLOCK: u8 = 8;
    /// Of a checkpoint: packed blocks of series.
    pub const BLOCKS: u8 = 9;
    /// Of a checkpoint: it is complete.
    pub const END: u8 = 10;
    /// Of a checkpoint, since version 2: the labels of series of one name, by columns; they get the
    /// next numbers.
    pub const FAMILY: u8 = 11;
}

/// Whether and how values follow in a samples record.
pub(super) mod changes {
    /// All values are as before.
    pub const NONE: u8 = 0;
    /// A bit for each says whether it changed; the values of those follow.
    pub const SOME: u8 = 1;
    /// The values of all follow.
    pub const ALL: u8 = 2;
}

const WHOLE_MAX: u64 = 1 << 53;

/// A value that is a whole number, where a float tells it from its neighbours.
fn whole(value: f64) -> Option<i64> {
    let whole = value as i64;
    let exact = (whole as f64).to_bits() == value.to_bits();
    (exact && whole.unsigned_abs() < WHOLE_MAX).then_some(whole)
}

/// Appends how `value` differs from `last`.
pub(super) fn put_change(out: &mut Vec<u8>, last: f64, value: f64) {
    if let (Some(last), Some(value)) = (whole(last), whole(value)) {
        return put_varint(out, zigzag(value - last) << 1);
    }
    let turn = last.to_bits() ^ value.to_bits();
    let low = (turn.trailing_zeros() / 8).min(7);
    let len = 8 - turn.leading_zeros() / 8 - if turn == 0 { 0 } else { low };
    put_varint(out, u64::from(low * 9 + len) << 1 | 1);
    out.extend(&(turn >> (low * 8)).to_le_bytes()[..len as usize]);
}

/// Reads what [`put_change`] wrote.
pub(super) fn read_change(reader: &mut Reader, last: f64) -> Option<f64> {
    let head = reader.varint()?;
    if head & 1 == 0 {
        return Some(whole(last)?.checked_add(unzigzag(head >> 1))? as f64);
    }
    let (low, len) = ((head >> 1) / 9, (head >> 1) % 9);
    if low > 7 {
        return None;
    }
    let mut turn = [0; 8];
    turn[..len as usize].copy_from_slice(reader.take(len as usize)?);
    Some(f64::from_bits(last.to_bits() ^ u64::from_le_bytes(turn) << (low * 8)))
}

const SAME: u8 = 0;
const SAME_NAME: u8 = 1;
const NEW: u8 = 2;

fn put_text(out: &mut Vec<u8>, text: &str) {
    put_varint(out, text.len() as u64);
    out.extend(text.as_bytes());
}

/// Appends a label set, told by what differs from the one before.
pub(super) fn put_labels(out: &mut Vec<u8>, previous: &Labels, labels: &Labels) {
    put_varint(out, labels.len() as u64);
    let mut previous = previous.iter();
    for (name, value) in labels.iter() {
        match previous.next() {
            Some((n, v)) if n == name && v == value => out.push(SAME),
            Some((n, _)) if n == name => {
                out.push(SAME_NAME);
                put_text(out, value);
            }
            _ => {
                out.push(NEW);
                put_text(out, name);
                put_text(out, value);
            }
        }
    }
}

/// Reads what [`put_labels`] wrote.
pub(super) fn read_labels(reader: &mut Reader, previous: &Labels) -> Option<Labels> {
    let count = reader.count()?;
    let mut pairs: Vec<(&str, &str)> = Vec::with_capacity(count);
    let mut previous = previous.iter();
    for _ in 0..count {
        let before = previous.next();
        pairs.push(match reader.byte()? {
            SAME => before?,
            SAME_NAME => (before?.0, reader.text()?),
            NEW => (reader.text()?, reader.text()?),
            _ => return None,
        });
    }
    Some(pairs.into_iter().collect())
}

/// A label of the series of a family, in the order of their numbers.
#[derive(Debug, Default)]
pub(crate) struct LabelColumn<'a> {
    pub name: &'a str,
    /// The values that occur, each once.
    pub values: Vec<&'a str>,
    /// Per series one more than the index of its value; zero, where it does not have the label.
    pub codes: Vec<u32>,
}

/// Appends the labels of `count` series of one name.
pub(super) fn put_family(out: &mut Vec<u8>, name: &str, count: usize, columns: &[LabelColumn]) {
    put_text(out, name);
    put_varint(out, count as u64);
    put_varint(out, columns.len() as u64);
    for LabelColumn { name, values, codes } in columns {
        put_text(out, name);
        put_varint(out, values.len() as u64);
        values.iter().for_each(|value| put_text(out, value));
        codes.iter().for_each(|code| put_varint(out, u64::from(*code)));
    }
}

/// Reads what [`put_family`] wrote: the name, how many series there are, and their labels.
pub(super) fn read_family<'a>(
    reader: &mut Reader<'a>,
) -> Option<(&'a str, usize, Vec<LabelColumn<'a>>)> {
    let name = reader.text()?;
    let count = reader.count()?;
    let columns = (0..reader.count()?).map(|_| {
        let name = reader.text()?;
        let values = (0..reader.count()?).map(|_| reader.text()).collect::<Option<Vec<_>>>()?;
        let code = |code: u64| u32::try_from(code).ok().filter(|c| *c as usize <= values.len());
        let codes = (0..count).map(|_| code(reader.varint()?)).collect::<Option<_>>()?;
        Some(LabelColumn { name, values, codes })
    });
    Some((name, count, columns.collect::<Option<_>>()?))
}

/// Appends the name of a target.
pub(super) fn put_target(out: &mut Vec<u8>, target: &str) {
    put_text(out, target);
}

/// Appends the numbers of series: those of a target mostly follow one another.
pub(super) fn put_ids(out: &mut Vec<u8>, ids: impl ExactSizeIterator<Item = u32>) {
    put_varint(out, ids.len() as u64);
    let mut next = 0;
    for id in ids {
        put_signed(out, i64::from(id) - next);
        next = i64::from(id) + 1;
    }
}

/// Reads what [`put_ids`] wrote; each is below `count`.
pub(super) fn read_ids(reader: &mut Reader, count: usize) -> Option<Vec<u32>> {
    let mut next = 0i64;
    (0..reader.count()?)
        .map(|_| {
            let id = next.checked_add(reader.signed()?)?;
            next = id.checked_add(1)?;
            u32::try_from(id).ok().filter(|id| (*id as usize) < count)
        })
        .collect()
}

/// Appends a histogram.
pub(super) fn put_histogram(out: &mut Vec<u8>, histogram: &Histogram) {
    put_signed(out, histogram.schema.into());
    out.push(match histogram.reset_hint {
        ResetHint::Unknown => 0,
        ResetHint::Reset => 1,
        ResetHint::NotReset => 2,
        ResetHint::Gauge => 3,
    });
    for value in [histogram.zero_threshold, histogram.zero_count, histogram.count, histogram.sum] {
        out.extend(value.to_bits().to_le_bytes());
    }
    for spans in [&histogram.positive_spans, &histogram.negative_spans] {
        put_varint(out, spans.len() as u64);
        for span in spans {
            put_signed(out, span.offset.into());
            put_varint(out, span.length.into());
        }
    }
    let numbers =
        [&histogram.positive_buckets, &histogram.negative_buckets, &histogram.custom_values];
    for numbers in numbers {
        put_varint(out, numbers.len() as u64);
        let mut last = 0.0;
        for number in numbers {
            put_change(out, last, *number);
            last = *number;
        }
    }
}

/// Reads what [`put_histogram`] wrote.
pub(super) fn read_histogram(reader: &mut Reader) -> Option<Histogram> {
    let schema = i32::try_from(reader.signed()?).ok()?;
    let reset_hint = match reader.byte()? {
        0 => ResetHint::Unknown,
        1 => ResetHint::Reset,
        2 => ResetHint::NotReset,
        3 => ResetHint::Gauge,
        _ => return None,
    };
    let mut float = || reader.word().map(f64::from_bits);
    let (zero_threshold, zero_count, count, sum) = (float()?, float()?, float()?, float()?);
    Some(Histogram {
        schema,
        zero_threshold,
        zero_count,
        count,
        sum,
        positive_spans: read_spans(reader)?,
        negative_spans: read_spans(reader)?,
        positive_buckets: read_numbers(reader)?,
        negative_buckets: read_numbers(reader)?,
        custom_values: read_numbers(reader)?,
        reset_hint,
    })
}

fn read_spans(reader: &mut Reader) -> Option<Vec<BucketSpan>> {
    (0..reader.count()?)
        .map(|_| {
            let offset = i32::try_from(reader.signed()?).ok()?;
            Some(BucketSpan { offset, length: u32::try_from(reader.varint()?).ok()? })
        })
        .collect()
}

fn read_numbers(reader: &mut Reader) -> Option<Vec<f64>> {
    let mut last = 0.0;
    (0..reader.count()?)
        .map(|_| {
            last = read_change(reader, last)?;
            Some(last)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use paramedic_model::stale_nan;

    use super::*;

    #[test]
    fn changes_come_back_bit_by_bit() {
        let values = [0.0, 1.0, -0.0, 5e15, -5e15, 0.1, 1e300, f64::NAN, stale_nan(), f64::MIN];
        for last in values {
            for value in values {
                let mut bytes = Vec::new();
                put_change(&mut bytes, last, value);
                let mut reader = Reader::new(&bytes);
                let found = read_change(&mut reader, last).unwrap();
                assert_eq!(found.to_bits(), value.to_bits(), "{last} to {value}");
                assert!(reader.is_empty());
            }
        }
    }

    #[test]
    fn label_sets_tell_what_differs() {
        let first = Labels::from([("__name__", "up"), ("instance", "a"), ("job", "x")]);
        let others = [
            first.clone(),
            first.with("instance", "b"),
            first.with("instance", ""),
            Labels::empty(),
            first.with("a", "b").with("zz", "b"),
        ];
        for labels in others {
            let mut bytes = Vec::new();
            put_labels(&mut bytes, &first, &labels);
            assert_eq!(read_labels(&mut Reader::new(&bytes), &first), Some(labels));
        }
    }

    #[test]
    fn histograms_and_numbers_of_series_come_back() {
        let histogram = Histogram {
            schema: -53,
            count: 7.0,
            sum: 0.1,
            positive_spans: vec![BucketSpan { offset: -3, length: 2 }],
            positive_buckets: vec![3.0, 4.5],
            custom_values: vec![0.5],
            reset_hint: ResetHint::Gauge,
            ..Histogram::default()
        };
        let mut bytes = Vec::new();
        put_histogram(&mut bytes, &histogram);
        put_ids(&mut bytes, [4u32, 5, 6, 0].into_iter());
        let mut reader = Reader::new(&bytes);
        assert_eq!(read_histogram(&mut reader), Some(histogram));
        let mut again = reader;
        assert_eq!(read_ids(&mut reader, 7), Some(vec![4, 5, 6, 0]));
        assert_eq!(read_ids(&mut again, 6), None);
    }
}
