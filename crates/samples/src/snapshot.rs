use std::collections::HashMap;
use std::sync::Arc;

use paramedic_model::{Labels, METRIC_NAME, Sample, TimeMs};
use paramedic_promql::{Family, FamilyId, RowRef, Source, Symbol};

use crate::family::{FamilyRows, Outcome};

/// Every label value once.
#[derive(Clone, Debug)]
pub(crate) struct Symbols {
    texts: Vec<Arc<str>>,
    by_text: HashMap<Arc<str>, Symbol>,
}

impl Default for Symbols {
    fn default() -> Self {
        let empty: Arc<str> = "".into();
        Self { texts: vec![empty.clone()], by_text: HashMap::from([(empty, Symbol::EMPTY)]) }
    }
}

impl Symbols {
    /// The symbol of `text`; copies the table only where the text is new and a snapshot holds it.
    pub fn intern(symbols: &mut Arc<Self>, text: &str) -> Symbol {
        if let Some(symbol) = symbols.by_text.get(text) {
            return *symbol;
        }
        let (symbols, text) = (Arc::make_mut(symbols), Arc::<str>::from(text));
        let symbol = Symbol(symbols.texts.len() as u32);
        symbols.texts.push(text.clone());
        symbols.by_text.insert(text, symbol);
        symbol
    }
}

/// The samples of a window as they were at one moment.
///
/// Taking one is cheap: families are shared until the window writes to them, and then copied.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    families: Vec<Arc<FamilyRows>>,
    by_name: Arc<HashMap<Arc<str>, FamilyId>>,
    symbols: Arc<Symbols>,
}

impl Snapshot {
    /// The number of series that have samples.
    pub fn series_count(&self) -> usize {
        self.families.iter().map(|family| family.series_count()).sum()
    }

    /// The name of the family that a series belongs to, shared.
    pub(crate) fn family_name(&mut self, labels: &Labels) -> (FamilyId, Arc<str>) {
        let name = labels.value(METRIC_NAME);
        if let Some((name, id)) = self.by_name.get_key_value(name) {
            return (*id, name.clone());
        }
        let (id, name) = (FamilyId(self.families.len() as u32), Arc::<str>::from(name));
        Arc::make_mut(&mut self.by_name).insert(name.clone(), id);
        self.families.push(Arc::new(FamilyRows::new(name.clone())));
        (id, name)
    }

    pub(crate) fn append(
        &mut self,
        family: FamilyId,
        labels: &Labels,
        sample: Sample,
        horizon: TimeMs,
    ) -> Outcome {
        let family = Arc::make_mut(&mut self.families[family.0 as usize]);
        family.append(labels, sample, horizon, &mut self.symbols)
    }

    pub(crate) fn is_live(&self, family: FamilyId, labels: &Labels) -> bool {
        self.families[family.0 as usize].is_live(labels)
    }

    pub(crate) fn expire(&mut self, horizon: TimeMs) {
        for family in &mut self.families {
            if family.has_expired(horizon) {
                Arc::make_mut(family).expire(horizon);
            }
        }
    }
}

impl Source for Snapshot {
    fn family_count(&self) -> usize {
        self.families.len()
    }

    fn find_family(&self, metric_name: &str) -> Option<FamilyId> {
        self.by_name.get(metric_name).copied()
    }

    fn family(&self, id: FamilyId) -> Family<'_> {
        self.families[id.0 as usize].view()
    }

    fn text(&self, symbol: Symbol) -> &str {
        &self.symbols.texts[symbol.0 as usize]
    }

    fn range(&self, row: RowRef, after: TimeMs, until: TimeMs, out: &mut Vec<Sample>) {
        out.extend(self.families[row.family.0 as usize].range(row.row, after, until));
    }

    fn newest_in(&self, row: RowRef, after: TimeMs, until: TimeMs) -> Option<Sample> {
        self.families[row.family.0 as usize].newest_in(row.row, after, until)
    }
}
