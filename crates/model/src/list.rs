//! Lists of series that come again and again, each time with other values.

use std::fmt;
use std::sync::Arc;

use crate::{Labels, Metadata};

/// The series that a target yields, in its order: what does not change from one collection to the
/// next, mostly.
///
/// A list never changes. Whoever yields the same series again gives the same list, which is told by
/// [`is_same_list`] and costs nothing per series; whoever yields others makes a new list, which may
/// know where its entries stood in the one before. Label sets are made when they are asked for, so
/// a list need not hold them.
pub trait SeriesList: fmt::Debug + Send + Sync {
    /// The number of series.
    fn len(&self) -> usize;

    /// Whether there is none.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The labels of the series at `index`, the metric name among them. Panics where there is none.
    fn labels(&self, index: usize) -> Labels;

    /// The names of labels that the series at `index` states with an empty value: its labels lack
    /// them, and yet whoever yields it says that it has none by these names. Panics where there is no
    /// series.
    fn empty_labels(&self, _index: usize) -> Vec<String> {
        Vec::new()
    }

    /// Which entries stood in `previous`, in ascending order, as far as that is known without a look
    /// at labels. An entry that no run has may have stood there all the same.
    fn runs_of(&self, previous: &Arc<dyn SeriesList>) -> Vec<Run>;

    /// What whoever yields these series says of their families, in the order of first mention. Made
    /// when it is asked for, as label sets are.
    fn metadata(&self) -> Vec<Metadata> {
        Vec::new()
    }
}

/// Neighbours that stood side by side in the list before: the series at `at + n` of the one list is
/// that at `was + n` of the other, for each `n` below `len`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Run {
    /// Where they stand.
    pub at: u32,
    /// Where they stood.
    pub was: u32,
    /// How many they are.
    pub len: u32,
}

impl Run {
    /// Appends to `runs` that the series at `at` stood at `was`.
    pub fn extend(runs: &mut Vec<Run>, at: usize, was: usize) {
        let (at, was) = (at as u32, was as u32);
        match runs.last_mut() {
            Some(last) if last.at + last.len == at && last.was + last.len == was => last.len += 1,
            _ => runs.push(Run { at, was, len: 1 }),
        }
    }
}

/// Whether both are the very same list. Who keeps a list keeps it from being mistaken for another.
pub fn is_same_list(a: &Arc<dyn SeriesList>, b: &Arc<dyn SeriesList>) -> bool {
    std::ptr::addr_eq(Arc::as_ptr(a), Arc::as_ptr(b))
}

/// A list of label sets that are kept as they are, and know nothing of any other list.
impl SeriesList for Vec<Labels> {
    fn len(&self) -> usize {
        self.len()
    }

    fn labels(&self, index: usize) -> Labels {
        self[index].clone()
    }

    fn runs_of(&self, _previous: &Arc<dyn SeriesList>) -> Vec<Run> {
        Vec::new()
    }
}
