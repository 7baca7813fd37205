//! Every label value once.

use std::collections::HashMap;
use std::sync::Arc;

use paramedic_promql::Symbol;

/// How many texts are copied when a text is new and a snapshot holds the table.
const PAGE: usize = 256;

/// The text of each symbol: what readers need.
#[derive(Clone, Debug)]
pub(crate) struct Texts {
    pages: Vec<Arc<Vec<Arc<str>>>>,
}

impl Default for Texts {
    fn default() -> Self {
        Self { pages: vec![Arc::new(vec!["".into()])] }
    }
}

impl Texts {
    pub fn text(&self, symbol: Symbol) -> &str {
        let index = symbol.0 as usize;
        &self.pages[index / PAGE][index % PAGE]
    }

    fn set(&mut self, index: usize, text: Arc<str>) {
        if index / PAGE == self.pages.len() {
            self.pages.push(Arc::new(Vec::new()));
        }
        let page = Arc::make_mut(&mut self.pages[index / PAGE]);
        match page.get_mut(index % PAGE) {
            Some(slot) => *slot = text,
            None => page.push(text),
        }
    }
}

/// The symbol of each text, and how many dictionary entries use it: what the writer needs.
#[derive(Debug)]
pub(crate) struct SymbolIndex {
    by_text: HashMap<Arc<str>, Symbol>,
    uses: Vec<u32>,
    free: Vec<Symbol>,
    text_bytes: usize,
}

impl Default for SymbolIndex {
    fn default() -> Self {
        let by_text = HashMap::from([(Arc::<str>::from(""), Symbol::EMPTY)]);
        Self { by_text, uses: vec![1], free: Vec::new(), text_bytes: 0 }
    }
}

impl SymbolIndex {
    /// What a text costs beside its letters: two pointers with lengths, a count, a table entry.
    const OVERHEAD: usize = 72;

    /// The symbol of a text that is known.
    pub fn find(&self, text: &str) -> Option<Symbol> {
        self.by_text.get(text).copied()
    }

    /// The symbol of `text` for one more dictionary entry.
    pub fn take(&mut self, text: &str, texts: &mut Texts) -> Symbol {
        if let Some(symbol) = self.by_text.get(text) {
            self.uses[symbol.0 as usize] += 1;
            return *symbol;
        }
        let shared = Arc::<str>::from(text);
        let symbol = self.free.pop().unwrap_or_else(|| {
            self.uses.push(0);
            Symbol(self.uses.len() as u32 - 1)
        });
        self.uses[symbol.0 as usize] = 1;
        texts.set(symbol.0 as usize, shared.clone());
        self.by_text.insert(shared, symbol);
        self.text_bytes += text.len() + Self::OVERHEAD;
        symbol
    }

    /// Gives back what [`SymbolIndex::take`] gave to a dictionary entry that is gone.
    pub fn give_back(&mut self, symbol: Symbol, texts: &mut Texts) {
        let uses = &mut self.uses[symbol.0 as usize];
        *uses -= 1;
        if *uses > 0 || symbol == Symbol::EMPTY {
            return;
        }
        let text = texts.text(symbol);
        self.text_bytes -= text.len() + Self::OVERHEAD;
        self.by_text.remove(text);
        texts.set(symbol.0 as usize, "".into());
        self.free.push(symbol);
    }

    /// An estimate of the memory that the texts take.
    pub fn bytes(&self) -> usize {
        self.text_bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_goes_with_its_last_use_and_its_place_is_used_again() {
        let (mut index, mut texts) = (SymbolIndex::default(), Texts::default());
        let a = index.take("a", &mut texts);
        assert_eq!(index.take("a", &mut texts), a);
        let before = texts.clone();
        index.give_back(a, &mut texts);
        assert_eq!(index.find("a"), Some(a));
        index.give_back(a, &mut texts);
        assert_eq!((index.find("a"), index.bytes()), (None, 0));
        assert_eq!(index.take("b", &mut texts), a);
        assert_eq!((texts.text(a), before.text(a)), ("b", "a"));
        for n in 0..1000 {
            let symbol = index.take(&n.to_string(), &mut texts);
            assert_eq!(texts.text(symbol), n.to_string());
        }
    }
}
