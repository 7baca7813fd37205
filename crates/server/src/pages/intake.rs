use maud::{Markup, html};
use paramedic_engine::Engine;

use crate::words::{Tone, mark};

/// What became of samples that came in, where not all is well.
#[derive(Default)]
pub(super) struct IntakeView {
    /// Why samples cannot be logged at present, and how many were not since the start.
    unlogged: Option<(String, u64)>,
    /// The targets of whose newest collection not all was taken, each with the reasons.
    refused: Vec<(String, String)>,
    /// How many samples of new series the memory limit kept out since the start.
    over_limit: u64,
}

impl IntakeView {
    pub fn of(engine: &Engine) -> Self {
        let vitals = engine.ingest_vitals();
        let refused = engine.targets().keys();
        let refused = refused.filter_map(|id| Some((id.clone(), engine.refused(id)?.to_string())));
        Self {
            unlogged: engine.unlogged().map(|error| (error.to_string(), vitals.unlogged)),
            refused: refused.collect(),
            over_limit: vitals.over_limit,
        }
    }
}

/// What is wrong with the intake of samples; nothing where all is well.
pub(super) fn intake(view: &IntakeView) -> Markup {
    let IntakeView { unlogged, refused, over_limit } = view;
    html! {
        @if unlogged.is_some() || !refused.is_empty() || *over_limit > 0 {
            h3 { "Samples" }
            ul.rows {
                @if let Some((reason, count)) = unlogged {
                    li {
                        (mark(Tone::Bad, "not logged"))
                        span.what { b { "the log of samples" } }
                        span.note {
                            (reason) ": " (count) " samples would be lost by a restart"
                        }
                    }
                }
                @for (target, reasons) in refused {
                    li {
                        (mark(Tone::Warn, "refused"))
                        span.what { b { (target) } }
                        span.note { (reasons) }
                    }
                }
                @if *over_limit > 0 {
                    li {
                        (mark(Tone::Warn, "memory limit"))
                        span.what { b { "all targets" } }
                        span.note {
                            (over_limit) " samples of new series were refused since the start"
                        }
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_wrong_is_shown() {
        assert_eq!(intake(&IntakeView::default()).into_string(), "");
        let reasons = "samples not taken: 2 late".to_owned();
        let view = IntakeView {
            unlogged: Some(("could not write 1.segment: no space".to_owned(), 7)),
            refused: vec![("node/<a>:1".to_owned(), reasons)],
            over_limit: 3,
        };
        let shown = intake(&view).into_string();
        for text in [
            "could not write 1.segment: no space: 7 samples would be lost by a restart",
            "node/&lt;a&gt;:1",
            "samples not taken: 2 late",
            "3 samples of new series were refused since the start",
        ] {
            assert!(shown.contains(text), "{text} in {shown}");
        }
    }
}
