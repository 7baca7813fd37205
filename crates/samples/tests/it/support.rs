use std::collections::BTreeMap;

use paramedic_model::{Labels, METRIC_NAME, TimeMs};
use paramedic_promql::{Family, FamilyId, RowRef, Source};

/// A small generator (a linear congruence): the same numbers in every run.
pub struct Numbers(pub u64);

impl Numbers {
    pub fn below(&mut self, bound: u64) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }
}

/// Milliseconds and the bits of the value of each sample.
pub type Plain = BTreeMap<Labels, Vec<(i64, u64)>>;

/// All that a source holds.
pub fn contents(source: &dyn Source) -> Plain {
    let mut found = Plain::new();
    for family in (0..source.family_count() as u32).map(FamilyId) {
        for row in 0..source.family(family).row_count() as u32 {
            let (row, mut samples) = (RowRef { family, row }, Vec::new());
            if source.family(family).newest_at[row.row as usize] == Family::NEVER {
                continue;
            }
            source.range(row, TimeMs(i64::MIN), TimeMs(i64::MAX), &mut samples);
            let samples = samples.iter().map(|sample| (sample.at.0, sample.value.to_bits()));
            assert!(found.insert(source.labels(row), samples.collect()).is_none());
        }
    }
    found
}

/// The series `name{label="value"}`.
pub fn series(name: &str, label: &str, value: &str) -> Labels {
    Labels::from([(METRIC_NAME, name), (label, value)])
}
