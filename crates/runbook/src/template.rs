//! Texts with `{{ }}`: arguments of steps, and reasons. All that this crate knows of `gotmpl`.

use std::sync::Arc;

use paramedic_catalog::{Field, FieldType, ProbeSignature};
use paramedic_gotmpl as gotmpl;
use paramedic_model::Labels;

use crate::{Finding, Situation};

/// A text with `{{ }}`, parsed with its page.
#[derive(Debug, Clone)]
pub struct Template {
    text: Arc<str>,
    /// Where the value stands on the page.
    pub(crate) at: usize,
    inner: gotmpl::Template,
}

/// Why a template gives no text. Messages are phrases.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    /// It reads a step that has no evidence.
    #[error("step `{step}` has no evidence: {reason}")]
    NoEvidence {
        /// The id of the step.
        step: String,
        /// Why there is none.
        reason: String,
    },
    /// It reads a label, an annotation or a fact that is not there.
    #[error("there is no `{name}`")]
    Missing {
        /// The name of it.
        name: String,
    },
    /// It would print null, or an argument comes out empty only because of it.
    #[error("it reads a fact that is null")]
    Null,
    /// Anything else, in the words of the template engine.
    #[error("{0}")]
    Failed(String),
}

/// What stands for the alert and its system in the data; capital letters, so that no step id
/// collides.
const LABELS: &str = "Labels";
const ANNOTATIONS: &str = "Annotations";
const VALUE: &str = "Value";
const SYSTEM: &str = "System";

const OPTIONS: gotmpl::Options<'static> = gotmpl::Options {
    variables: &[
        ("labels", LABELS),
        ("annotations", ANNOTATIONS),
        ("value", VALUE),
        ("system", SYSTEM),
    ],
    missing: gotmpl::Missing::Error,
};

/// How Go prints nil. Text from a system that holds these words is refused as well: an argument
/// that looks like a mistake is better not sent.
const NULL_PRINTED: &str = "<no value>";

impl Template {
    /// Reads `text`, which stands at the byte `at` of its page.
    pub(crate) fn parse(text: &str, at: usize) -> Result<Self, gotmpl::TemplateError> {
        let inner = gotmpl::Template::parse_with("page", text, &OPTIONS)?;
        Ok(Self { text: text.into(), at, inner })
    }

    /// As written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether it is its own rendering.
    pub fn is_literal(&self) -> bool {
        self.inner.is_literal()
    }

    /// The text for this situation. Null prints as `<no value>`.
    ///
    /// # Errors
    ///
    /// A label or a fact that is not there, or what a function refuses.
    pub fn render(&self, situation: &Situation) -> Result<String, TemplateError> {
        if self.is_literal() {
            return Ok(self.text.to_string());
        }
        self.render_data(&data(situation)).map_err(|error| match error {
            TemplateError::Missing { name } => match situation.findings.get(&name) {
                Some(Finding::Nothing { reason }) => {
                    TemplateError::NoEvidence { step: name, reason: reason.clone() }
                }
                _ => TemplateError::Missing { name },
            },
            other => other,
        })
    }

    /// As [`Template::render`], where null is an error: for what is sent to a system.
    pub(crate) fn render_all(&self, situation: &Situation) -> Result<String, TemplateError> {
        let text = self.render(situation)?;
        if text.contains(NULL_PRINTED) { Err(TemplateError::Null) } else { Ok(text) }
    }

    /// The text, or why there is none: for people only.
    pub(crate) fn render_or_explain(&self, situation: &Situation) -> String {
        self.render(situation).unwrap_or_else(|error| format!("(no reason can be given: {error})"))
    }

    /// Renders over facts made up from declarations: with every list filled and no null, or with
    /// every list empty, every flag off, and null where null may be. Labels and annotations are
    /// there as far as the text names them.
    pub(crate) fn render_witness(
        &self,
        steps: &[(&str, &ProbeSignature)],
        full: bool,
    ) -> Result<String, TemplateError> {
        let steps = steps.iter().map(|(id, signature)| {
            let mut facts: Vec<_> = vec![("summary", text(full))];
            facts.extend(signature.facts.iter().map(|fact| (fact.name, witness(&fact.kind, full))));
            let map: gotmpl::Map = facts.into_iter().collect();
            (*id, map.into())
        });
        let labels = named_after(&self.text, "abels.").map(|name| (name, "x"));
        let labels = labels.fold(Labels::empty(), |labels, (name, x)| labels.with(name, x));
        let annotations = named_after(&self.text, "nnotations.").map(|name| (name, "x".into()));
        let system = ["name", "kind"].map(|name| (name, gotmpl::Value::from("x")));
        let (annotations, system) = (annotations.collect(), system.into_iter().collect());
        self.render_data(&compose(labels.into(), annotations, 1.0, system, steps))
    }

    fn render_data(&self, data: &gotmpl::Value) -> Result<String, TemplateError> {
        self.inner.render(data, &gotmpl::Functions::offline()).map_err(|error| {
            let missing = error.reason().strip_prefix("map has no entry for key ");
            match missing.and_then(|key| key.strip_prefix('"')?.strip_suffix('"')) {
                Some(name) => TemplateError::Missing { name: name.to_owned() },
                None => TemplateError::Failed(error.reason().to_owned()),
            }
        })
    }
}

fn data(situation: &Situation) -> gotmpl::Value {
    let steps = situation.findings.iter().filter_map(|(id, finding)| match finding {
        Finding::Looked { facts, summary } => {
            // A declared fact named `summary` stands before the line for people.
            let line = ("summary", gotmpl::Value::from(summary.as_str()));
            let facts = facts.iter().map(|(name, fact)| (name.as_str(), fact.into()));
            let map: gotmpl::Map = std::iter::once(line).chain(facts).collect();
            Some((id.as_str(), map.into()))
        }
        Finding::Nothing { .. } => None,
    });
    let annotations = situation.alert.annotations.iter();
    let annotations: gotmpl::Map =
        annotations.map(|(name, text)| (name.as_str(), text.as_str().into())).collect();
    let system: gotmpl::Map = situation
        .system
        .iter()
        .flat_map(|system| [("name", &system.name), ("kind", &system.kind)])
        .map(|(name, text)| (name, text.as_str().into()))
        .collect();
    compose(
        situation.alert.labels.clone().into(),
        annotations,
        situation.alert.value,
        system,
        steps,
    )
}

/// The data of a template; `check` builds it from declarations instead of findings.
fn compose<'a>(
    labels: gotmpl::Value,
    annotations: gotmpl::Map,
    value: f64,
    system: gotmpl::Map,
    steps: impl Iterator<Item = (&'a str, gotmpl::Value)>,
) -> gotmpl::Value {
    let alert = [
        (LABELS, labels),
        (ANNOTATIONS, annotations.into()),
        (VALUE, value.into()),
        (SYSTEM, system.into()),
    ];
    let map: gotmpl::Map = alert.into_iter().chain(steps).collect();
    map.into()
}

fn text(full: bool) -> gotmpl::Value {
    if full { "x".into() } else { "".into() }
}

fn witness(kind: &FieldType, full: bool) -> gotmpl::Value {
    let record = |fields: &[Field]| -> gotmpl::Map {
        fields.iter().map(|field| (field.name, witness(&field.kind, full))).collect()
    };
    match kind {
        FieldType::Bool => full.into(),
        FieldType::Int => i64::from(full).into(),
        FieldType::Float => f64::from(u8::from(full)).into(),
        FieldType::Text => text(full),
        FieldType::List(item) if full => gotmpl::Value::List([witness(item, full)].into()),
        FieldType::List(_) => gotmpl::Value::List([].into()),
        FieldType::Record(fields) => record(fields).into(),
        FieldType::Optional(kind) if full => witness(kind, full),
        FieldType::Optional(_) => gotmpl::Value::Nil,
    }
}

/// The names that stand behind `prefix` in a text.
fn named_after<'a>(text: &'a str, prefix: &'a str) -> impl Iterator<Item = &'a str> {
    text.split(prefix).skip(1).filter_map(|rest| {
        let end = rest.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(rest.len());
        (end > 0).then(|| &rest[..end])
    })
}
