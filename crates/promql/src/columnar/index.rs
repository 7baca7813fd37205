//! Tuples of symbols, numbered: what grouping and matching are made of.

use std::ops::Range;

use hashbrown::HashTable;

use crate::Symbol;

/// Numbers distinct tuples of one width in the order in which they come.
#[derive(Debug)]
pub(super) struct TupleIndex {
    width: usize,
    /// The tuples, one after the other.
    tuples: Vec<Symbol>,
    count: u32,
    table: HashTable<u32>,
}

/// Symbols are small numbers that mean nothing: one multiplication each mixes them well enough, and
/// the rotation brings the good bits to where the table looks.
fn hash(tuple: &[Symbol]) -> u64 {
    const FACTOR: u64 = 0xf135_7aea_2e62_a9c5;
    let mix =
        |hash: u64, symbol: &Symbol| hash.wrapping_add(u64::from(symbol.0)).wrapping_mul(FACTOR);
    tuple.iter().fold(0, mix).rotate_left(26)
}

impl TupleIndex {
    pub fn with_capacity(width: usize, capacity: usize) -> Self {
        Self { width, tuples: Vec::new(), count: 0, table: HashTable::with_capacity(capacity) }
    }

    fn tuple(&self, number: u32) -> &[Symbol] {
        let start = number as usize * self.width;
        &self.tuples[start..start + self.width]
    }

    /// The number of a tuple that is there.
    pub fn find(&self, tuple: &[Symbol]) -> Option<u32> {
        self.table.find(hash(tuple), |number| self.tuple(*number) == tuple).copied()
    }

    /// Adds a tuple and returns its number; where it is there already, that one as an error.
    pub fn insert(&mut self, tuple: &[Symbol]) -> Result<u32, u32> {
        if let Some(number) = self.find(tuple) {
            return Err(number);
        }
        let number = self.count;
        self.count += 1;
        self.tuples.extend_from_slice(tuple);
        let (tuples, width) = (&self.tuples, self.width);
        let rehash = |number: &u32| {
            let start = *number as usize * width;
            hash(&tuples[start..start + width])
        };
        self.table.insert_unique(hash(tuple), number, rehash);
        Ok(number)
    }
}

/// Elements put into groups.
#[derive(Debug)]
pub(super) struct Groups {
    /// The group of each element.
    pub of: Vec<u32>,
    /// The first element of each group.
    pub firsts: Vec<u32>,
    /// Where each group begins when the elements are arranged by group, and the end.
    starts: Vec<u32>,
}

impl Groups {
    /// Groups elements by their tuples of `width` symbols, in the order in which groups appear.
    pub fn new(keys: &[Symbol], width: usize, count: usize) -> Self {
        Self::indexed(keys, width, count).0
    }

    /// As [`Groups::new`], with the tuples of the groups, numbered as these are.
    pub fn indexed(keys: &[Symbol], width: usize, count: usize) -> (Self, TupleIndex) {
        let (mut of, mut firsts) = (Vec::with_capacity(count), Vec::new());
        let mut index = TupleIndex::with_capacity(width, 0);
        let mut last: Option<(&[Symbol], u32)> = None;
        for at in 0..count {
            let tuple = &keys[at * width..(at + 1) * width];
            // Rows of one target stand together: neighbours often share their group.
            let group = match last {
                Some((before, group)) if before == tuple => group,
                _ => {
                    index.insert(tuple).inspect(|_| firsts.push(at as u32)).unwrap_or_else(|at| at)
                }
            };
            last = Some((tuple, group));
            of.push(group);
        }
        let mut starts = vec![0; firsts.len() + 1];
        for group in &of {
            starts[*group as usize + 1] += 1;
        }
        for at in 1..starts.len() {
            starts[at] += starts[at - 1];
        }
        (Self { of, firsts, starts }, index)
    }

    pub fn count(&self) -> usize {
        self.firsts.len()
    }

    /// Where each group stands in what [`Groups::arrange`] returns.
    pub fn ranges(&self) -> impl Iterator<Item = Range<usize>> {
        self.starts.windows(2).map(|pair| pair[0] as usize..pair[1] as usize)
    }

    /// One thing per element, arranged group by group, each in the order of its elements.
    pub fn arrange<T: Clone>(&self, items: &[T]) -> Vec<T> {
        if self.count() < 2 {
            return items.to_vec();
        }
        self.order().into_iter().map(|at| items[at as usize].clone()).collect()
    }

    /// The elements, arranged group by group.
    pub fn order(&self) -> Vec<u32> {
        let mut next = self.starts.clone();
        let mut order = vec![0; self.of.len()];
        for (at, group) in self.of.iter().enumerate() {
            let place = &mut next[*group as usize];
            order[*place as usize] = at as u32;
            *place += 1;
        }
        order
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_stand_in_the_order_of_their_first_elements() {
        let keys = [3, 1, 2, 2, 3, 1, 0, 0].map(Symbol);
        let groups = Groups::new(&keys, 2, 4);
        assert_eq!((&groups.of[..], &groups.firsts[..]), (&[0, 1, 0, 2][..], &[0, 1, 3][..]));
        assert_eq!(groups.arrange(&['a', 'b', 'c', 'd']), ['a', 'c', 'b', 'd']);
        assert_eq!(groups.ranges().collect::<Vec<_>>(), [0..2, 2..3, 3..4]);
        assert_eq!(Groups::new(&[], 0, 0).count(), 0);
    }

    #[test]
    fn a_tuple_has_one_number() {
        let mut index = TupleIndex::with_capacity(1, 0);
        for number in 0..1000 {
            assert_eq!(index.insert(&[Symbol(number * 8)]), Ok(number));
        }
        assert_eq!(index.insert(&[Symbol(80)]), Err(10));
        assert_eq!((index.find(&[Symbol(8)]), index.find(&[Symbol(1)])), (Some(1), None));
    }
}
