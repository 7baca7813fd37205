//! Packs: up to [`PACK`] samples of one series as few bytes.
//!
//! ```text
//! pack   = count and kind of times, times, kind of values, width, values
//! times  = follow the step of the pack before | even: gap, step | uneven: gap, least, width, bits
//! values = whole numbers (times 10^e): least, bits of what is above it
//!        | whole numbers: first, least step, bits of the steps above it
//!        | any: first, shift, bits of each one XOR the one before
//! ```
//!
//! All numbers of a pack have one width, so it is read without a branch per sample: reading a pack
//! costs some nanoseconds a sample, where streams of bits with a prefix per sample cost thirty.
//! A pack of a status that stays as it is takes four bytes when its target is collected regularly.
//!
//! # Invariants
//!
//! - Every bit pattern comes back: NaNs, the staleness marker, negative zero.
//! - A pack is whole in its values; its times go on from the pack before it ([`Stream`]).
//! - Reading never panics, whatever the bytes: what is not a pack is `None`.

use paramedic_model::{Sample, TimeMs};
use paramedic_promql::Rise;

use super::bits::{Reader, packed_len, put_packed, put_signed, put_varint, width_of};

/// The most samples in a pack.
pub(crate) const PACK: usize = 32;

const FOLLOWS: u8 = 0;
const EVEN: u8 = 1;
const UNEVEN: u8 = 2;

const LEVEL: u8 = 0;
const STEPS: u8 = 1;
const XOR: u8 = 2;

/// Powers of ten by which values become whole numbers: gauges are often printed with few digits.
const SCALES: [f64; 4] = [1.0, 10.0, 100.0, 1000.0];

/// Beyond it not every whole number is a float.
const WHOLE_MAX: u64 = 1 << 53;

/// Where the times of a run of packs stand.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Stream {
    /// When the last sample was.
    last_at: i64,
    /// The distance to the one before.
    step: u64,
}

impl Stream {
    /// The start of a run whose first sample is at `first_at`.
    pub fn new(first_at: i64) -> Self {
        Self { last_at: first_at, step: 0 }
    }

    /// Appends packs of these samples to `out`: 1 to [`PACK`] of them, in the order of time.
    pub fn pack(&mut self, times: &[i64], values: &[f64], out: &mut Vec<u8>) {
        // A marker of an end among whole numbers would make them all expensive: it gets its own.
        let mut from = 0;
        while from < values.len() {
            let odd = values[from].is_nan();
            let run = values[from..].iter().take_while(|value| value.is_nan() == odd).count();
            self.pack_run(&times[from..from + run], &values[from..from + run], out);
            from += run;
        }
    }

    fn pack_run(&mut self, times: &[i64], values: &[f64], out: &mut Vec<u8>) {
        let count = times.len();
        let gap = distance(self.last_at, times[0]);
        let step = if count > 1 { distance(times[0], times[1]) } else { gap };
        let even = times.windows(2).all(|pair| distance(pair[0], pair[1]) == step);
        let kind = match even {
            true if gap == self.step && step == self.step => FOLLOWS,
            true => EVEN,
            false => UNEVEN,
        };
        out.push((count as u8 - 1) | kind << 6);
        if kind == EVEN {
            put_varint(out, gap);
            put_varint(out, step);
        } else if kind == UNEVEN {
            let steps = || times.windows(2).map(|pair| distance(pair[0], pair[1]));
            let (least, most) = bounds(steps());
            put_varint(out, gap);
            put_varint(out, least);
            out.push(width_of(most - least));
            put_packed(out, width_of(most - least), steps().map(|step| step - least));
        }
        self.last_at = times[count - 1];
        self.step = if count > 1 { distance(times[count - 2], times[count - 1]) } else { step };
        pack_values(values, out);
    }
}

fn distance(from: i64, to: i64) -> u64 {
    to.wrapping_sub(from) as u64
}

fn bounds(values: impl Iterator<Item = u64>) -> (u64, u64) {
    values.fold((u64::MAX, 0), |(least, most), value| (least.min(value), most.max(value)))
}

fn pack_values(values: &[f64], out: &mut Vec<u8>) {
    let mut whole = [0i64; PACK];
    // Most series stay as they are for long: then one value says it all.
    let first = values[0].to_bits();
    if values.iter().all(|value| value.to_bits() == first)
        && let Some(scale) = SCALES.iter().position(|s| scaled(&values[..1], *s, &mut whole[..1]))
    {
        out.extend([LEVEL | (scale as u8) << 4, 0]);
        return put_signed(out, whole[0]);
    }
    let whole = &mut whole[..values.len()];
    let scale = SCALES.iter().position(|scale| scaled(values, *scale, whole));
    let Some(scale) = scale else { return pack_xor(values, out) };
    let scale = (scale as u8) << 4;
    let (low, high) = whole.iter().fold((i64::MAX, i64::MIN), |(l, h), v| (l.min(*v), h.max(*v)));
    let level_width = width_of((high - low) as u64);
    let steps = || whole.windows(2).map(|pair| pair[1] - pair[0]);
    let (least, most) = steps().fold((i64::MAX, i64::MIN), |(l, h), v| (l.min(v), h.max(v)));
    let steps_width = if whole.len() > 1 { width_of((most - least) as u64) } else { 64 };
    if level_width <= steps_width {
        out.extend([LEVEL | scale, level_width]);
        put_signed(out, low);
        put_packed(out, level_width, whole.iter().map(|value| (value - low) as u64));
    } else {
        out.extend([STEPS | scale, steps_width]);
        put_signed(out, whole[0]);
        put_signed(out, least);
        put_packed(out, steps_width, steps().map(|step| (step - least) as u64));
    }
}

/// Whether every value is a whole number once it is multiplied, and comes back when it is divided.
fn scaled(values: &[f64], scale: f64, whole: &mut [i64]) -> bool {
    values.iter().zip(whole).all(|(value, whole)| {
        // Not `round`, which is a call where the processor's oldest ancestor has no such instruction.
        *whole = (value * scale + 0.5f64.copysign(*value)) as i64;
        let back = *whole as f64 / scale;
        back.to_bits() == value.to_bits() && whole.unsigned_abs() < WHOLE_MAX
    })
}

fn pack_xor(values: &[f64], out: &mut Vec<u8>) {
    let turns = || values.windows(2).map(|pair| pair[0].to_bits() ^ pair[1].to_bits());
    let all = turns().fold(0, |all, turn| all | turn);
    let shift = if all == 0 { 0 } else { all.trailing_zeros() as u8 };
    let width = width_of(all >> shift);
    out.extend([XOR, width]);
    out.extend(values[0].to_bits().to_le_bytes());
    out.push(shift);
    put_packed(out, width, turns().map(|turn| turn >> shift));
}

/// One pack as samples.
pub(crate) struct Unpacked {
    times: [i64; PACK],
    values: [f64; PACK],
    len: usize,
    /// Where numbers are read to on the way to these.
    numbers: [u64; PACK],
}

impl Unpacked {
    /// An empty one to read into, again and again.
    pub fn new() -> Self {
        Self { times: [0; PACK], values: [0.0; PACK], len: 0, numbers: [0; PACK] }
    }

    /// The times, ascending.
    pub fn times(&self) -> &[i64] {
        &self.times[..self.len]
    }

    /// The values.
    pub fn values(&self) -> &[f64] {
        &self.values[..self.len]
    }
}

/// Reads the pack that `reader` stands at, which follows on `stream`. A pack without a sample after
/// the moment `after` comes out empty: its values are passed over, which is much cheaper.
pub(crate) fn unpack(
    reader: &mut Reader,
    stream: &mut Stream,
    after: i64,
    to: &mut Unpacked,
) -> Option<()> {
    let (count, times) = read_times(reader, stream, &mut to.numbers, &mut to.times)?;
    to.len = count;
    if stream.last_at <= after {
        to.len = 0;
        return pass_values(reader, count);
    }
    if let Times::Even { first, step } = times {
        let mut at = first;
        for time in &mut to.times[..count] {
            *time = at;
            at = at.wrapping_add(step as i64);
        }
    }
    unpack_values(reader, &mut to.numbers, &mut to.values[..count])
}

/// Passes over the pack that `reader` stands at, and gives how many samples it has. `None` where it
/// is none that [`Stream::pack`] writes for times that ascend.
pub(crate) fn pass(reader: &mut Reader, stream: &mut Stream, room: &mut Unpacked) -> Option<usize> {
    let before = *stream;
    let (count, times) = read_times(reader, stream, &mut room.numbers, &mut room.times)?;
    let first = times.at(0);
    let goes_on = before.last_at < first || before == Stream::new(first);
    if !goes_on || !times.ascend(count) {
        return None;
    }
    pass_values(reader, count)?;
    Some(count)
}

/// The samples of the pack that `reader` stands at with `after < at <= until`, by their ends, and
/// whether nothing later is wanted. `None` where a value falls, and where only floats would tell.
pub(crate) fn rise(
    reader: &mut Reader,
    stream: &mut Stream,
    after: i64,
    until: i64,
    room: &mut Unpacked,
) -> Option<(Option<Rise>, bool)> {
    let Unpacked { times, numbers, .. } = room;
    let (count, times) = read_times(reader, stream, numbers, times)?;
    // Most packs are wholly within the window, or wholly before it.
    let last_at = stream.last_at;
    let up_to = |moment| if last_at <= moment { count } else { times.up_to(moment).min(count) };
    let (from, to) = (up_to(after), up_to(until));
    if from >= to {
        pass_values(reader, count)?;
        return Some((None, to < count));
    }
    let (head, width) = (reader.byte()?, reader.byte()?);
    let scale = *SCALES.get(usize::from(head >> 4))?;
    let (first, last) = match head & 0xf {
        LEVEL => {
            let low = reader.signed()?;
            reader.packed(width, &mut numbers[..count])?;
            let within = &numbers[from..to];
            if !within.is_sorted() {
                return None;
            }
            let whole = |above: u64| low.wrapping_add(above as i64);
            (whole(within[0]), whole(within[within.len() - 1]))
        }
        STEPS => {
            let (first, least) = (reader.signed()?, reader.signed()?);
            if least < 0 {
                return None;
            }
            reader.packed(width, &mut numbers[..count - 1])?;
            let risen = |from: i64, steps: &[u64]| {
                let least = least.wrapping_mul(steps.len() as i64);
                steps
                    .iter()
                    .fold(from.wrapping_add(least), |sum, step| sum.wrapping_add(*step as i64))
            };
            let first = risen(first, &numbers[..from]);
            (first, risen(first, &numbers[from..to - 1]))
        }
        _ => return None,
    };
    let sample = |index: usize, whole: i64| Sample {
        at: TimeMs(times.at(index)),
        value: whole as f64 / scale,
    };
    let ends = Rise { first: sample(from, first), last: sample(to - 1, last), count: to - from };
    Some((Some(ends), to < count))
}

/// The times of a pack.
enum Times<'a> {
    Even { first: i64, step: u64 },
    Uneven(&'a [i64]),
}

impl Times<'_> {
    fn at(&self, index: usize) -> i64 {
        match self {
            Times::Even { first, step } => {
                first.wrapping_add(step.wrapping_mul(index as u64) as i64)
            }
            Times::Uneven(times) => times[index],
        }
    }

    fn ascend(&self, count: usize) -> bool {
        match self {
            Times::Even { first, step } => {
                let all = step.checked_mul(count as u64 - 1);
                let last = all.and_then(|all| first.checked_add_unsigned(all));
                last.is_some() && (count == 1 || *step > 0)
            }
            Times::Uneven(times) => times.is_sorted_by(|a, b| a < b),
        }
    }

    /// How many are not after a moment, which is before the last of them.
    fn up_to(&self, moment: i64) -> usize {
        match self {
            Times::Even { first, .. } if moment < *first => 0,
            Times::Even { first, step } => {
                distance(*first, moment).checked_div(*step).map_or(0, |steps| steps as usize + 1)
            }
            Times::Uneven(times) => times.partition_point(|at| *at <= moment),
        }
    }
}

/// Reads how many samples a pack has, and their times, to `room` where they are not even.
fn read_times<'a>(
    reader: &mut Reader,
    stream: &mut Stream,
    numbers: &mut [u64; PACK],
    room: &'a mut [i64; PACK],
) -> Option<(usize, Times<'a>)> {
    let head = reader.byte()?;
    let count = usize::from(head & 0x3f) + 1;
    if count > PACK {
        return None;
    }
    let (gap, is_even) = match head >> 6 {
        FOLLOWS => (stream.step, true),
        EVEN => {
            let gap = reader.varint()?;
            stream.step = reader.varint()?;
            (gap, true)
        }
        UNEVEN => (reader.varint()?, false),
        _ => return None,
    };
    let first = stream.last_at.wrapping_add(gap as i64);
    if is_even {
        let times = Times::Even { first, step: stream.step };
        stream.last_at = times.at(count - 1);
        return Some((count, times));
    }
    let (least, width) = (reader.varint()?, reader.byte()?);
    reader.packed(width, &mut numbers[..count - 1])?;
    let times = &mut room[..count];
    times[0] = first;
    stream.last_at = first;
    for (time, above) in times[1..].iter_mut().zip(&*numbers) {
        stream.step = least.wrapping_add(*above);
        stream.last_at = stream.last_at.wrapping_add(stream.step as i64);
        *time = stream.last_at;
    }
    Some((count, Times::Uneven(times)))
}

fn pass_values(reader: &mut Reader, count: usize) -> Option<()> {
    let (head, width) = (reader.byte()?, reader.byte()?);
    if width > 64 || usize::from(head >> 4) >= SCALES.len() {
        return None;
    }
    let packed = match head & 0xf {
        LEVEL => {
            reader.varint()?;
            count
        }
        STEPS => {
            reader.varint()?;
            reader.varint()?;
            count - 1
        }
        XOR => {
            reader.word()?;
            if reader.byte()? >= 64 {
                return None;
            }
            count - 1
        }
        _ => return None,
    };
    reader.take(packed_len(packed, width))?;
    Some(())
}

fn unpack_values(reader: &mut Reader, numbers: &mut [u64; PACK], to: &mut [f64]) -> Option<()> {
    let count = to.len();
    let (head, width) = (reader.byte()?, reader.byte()?);
    let scale = *SCALES.get(usize::from(head >> 4))?;
    match head & 0xf {
        LEVEL => {
            let low = reader.signed()?;
            reader.packed(width, &mut numbers[..count])?;
            for (value, above) in to.iter_mut().zip(&*numbers) {
                *value = low.wrapping_add(*above as i64) as f64;
            }
        }
        STEPS => {
            let (mut whole, least) = (reader.signed()?, reader.signed()?);
            reader.packed(width, &mut numbers[..count - 1])?;
            to[0] = whole as f64;
            for (value, above) in to[1..].iter_mut().zip(&*numbers) {
                whole = whole.wrapping_add(least).wrapping_add(*above as i64);
                *value = whole as f64;
            }
        }
        XOR => {
            let (mut bits, shift) = (reader.word()?, reader.byte()?);
            if shift >= 64 {
                return None;
            }
            reader.packed(width, &mut numbers[..count - 1])?;
            to[0] = f64::from_bits(bits);
            for (value, turn) in to[1..].iter_mut().zip(&*numbers) {
                bits ^= turn << shift;
                *value = f64::from_bits(bits);
            }
            return Some(());
        }
        _ => return None,
    }
    if scale != 1.0 {
        to.iter_mut().for_each(|value| *value /= scale);
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use paramedic_model::stale_nan;

    use super::*;

    /// Packs runs of samples, reads them again, and gives the bytes it took.
    fn check(runs: &[Vec<(i64, f64)>]) -> usize {
        let mut bytes = Vec::new();
        let mut stream = Stream::new(runs[0][0].0);
        for run in runs {
            let (times, values): (Vec<i64>, Vec<f64>) = run.iter().copied().unzip();
            stream.pack(&times, &values, &mut bytes);
        }
        let (mut reader, mut found) = (Reader::new(&bytes), Vec::new());
        let (mut stream, mut pack) = (Stream::new(runs[0][0].0), Unpacked::new());
        while !reader.is_empty() {
            unpack(&mut reader, &mut stream, i64::MIN, &mut pack).unwrap();
            let bits = pack.values().iter().map(|value| value.to_bits());
            found.extend(pack.times().iter().copied().zip(bits));
        }
        let all: Vec<_> = runs.iter().flatten().map(|(at, value)| (*at, value.to_bits())).collect();
        assert_eq!(found, all);
        check_rise(&bytes, &all);
        // Passing over values ends where reading them does.
        let (mut reader, mut stream) = (Reader::new(&bytes), Stream::new(runs[0][0].0));
        while !reader.is_empty() {
            unpack(&mut reader, &mut stream, i64::MAX, &mut pack).unwrap();
            assert!(pack.values().is_empty());
        }
        for len in 0..bytes.len() {
            let mut reader = Reader::new(&bytes[..len]);
            let mut stream = Stream::new(0);
            while unpack(&mut reader, &mut stream, i64::MIN, &mut pack).is_some() {}
        }
        bytes.len()
    }

    /// Where ends are told, they are those of samples that do not fall.
    fn check_rise(bytes: &[u8], all: &[(i64, u64)]) {
        let moments = [i64::MIN, all[0].0, all[all.len() / 3].0, all[all.len() - 1].0];
        for (after, until) in moments.iter().flat_map(|a| moments.map(|until| (*a, until))) {
            let (mut reader, mut stream) = (Reader::new(bytes), Stream::new(all[0].0));
            let mut told = 0;
            while let Some((ends, is_last)) =
                rise(&mut reader, &mut stream, after, until, &mut Unpacked::new())
            {
                let Some(Rise { first, last, count }) = ends else { continue };
                let from = all.partition_point(|(at, _)| *at < first.at.0);
                let within = &all[from..from + count];
                let ends = |sample: Sample| (sample.at.0, sample.value.to_bits());
                assert_eq!((within[0], within[count - 1]), (ends(first), ends(last)));
                assert!(after < first.at.0 && last.at.0 <= until);
                assert!(within.is_sorted_by(|a, b| f64::from_bits(a.1) <= f64::from_bits(b.1)));
                told += count;
                if is_last {
                    break;
                }
            }
            let wanted = all.iter().filter(|(at, _)| after < *at && *at <= until).count();
            assert!(told <= wanted);
        }
    }

    fn run(from: i64, value: impl Fn(i64) -> f64) -> Vec<(i64, f64)> {
        (from..from + PACK as i64).map(|n| (1_700_000_000_000 + n * 15_000, value(n))).collect()
    }

    #[test]
    fn what_is_common_is_small() {
        let size = |value: fn(i64) -> f64| {
            let first = check(&[run(0, value)]);
            check(&[run(0, value), run(32, value)]) - first
        };
        assert_eq!(size(|_| 1.0), 4);
        assert_eq!(size(|n| f64::from(n % 7 == 0)), 8);
        assert_eq!(size(|n| (1000 + n * 15) as f64), 6);
        assert_eq!(size(|n| (2000 + n % 50) as f64 / 100.0), 29);
        assert_eq!(size(|_| 0.1f64.sqrt()), 12);
    }

    #[test]
    fn every_bit_pattern_comes_back() {
        let odd = [0.0, -0.0, f64::NAN, stale_nan(), f64::INFINITY, f64::MIN, 5e-324, 1e300, 0.1];
        check(&[run(0, |n| odd[(n % 9) as usize]), run(40, |n| odd[(n * n % 9) as usize])]);
        check(&[run(0, |n| (n as f64).sqrt())]);
        let most = WHOLE_MAX as f64 - 1.0;
        check(&[run(0, |n| if n % 2 == 0 { most } else { -most })]);
    }

    #[test]
    fn times_may_be_anything() {
        check(&[vec![(5, 1.0)], vec![(6, 2.0)], vec![(7, 2.0), (8, 1.0)], vec![(100, 1.0)]]);
        check(&[vec![(i64::MIN + 1, 1.0), (0, 2.0), (i64::MAX, 3.0)]]);
        let uneven = |n: i64| (n * 5_000 + n * n % 7, n as f64);
        check(&[(0..32).map(uneven).collect(), (32..64).map(uneven).collect()]);
    }
}
