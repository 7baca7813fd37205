use std::collections::BTreeMap;
use std::sync::Arc;

use paramedic_model::Labels;

use crate::ast::Node;
use crate::error::{Detail, place};
use crate::functions::Functions;
use crate::value::Record;
use crate::{TemplateError, Value, exec, parse};

/// What a field that a map does not have gives.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Missing {
    /// The zero value, as in Prometheus: `""` for a label, `<no value>` for data of any type.
    #[default]
    Zero,
    /// An error that names the field: `map has no entry for key "name"`. `index` still gives the
    /// zero value, for a template that means it.
    Error,
}

/// How a template is read and run.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options<'a> {
    /// Variables that the template finds set, without `$`, each with the field of the data that it
    /// stands for: `("labels", "Labels")` makes `$labels` mean `.Labels`.
    pub variables: &'a [(&'a str, &'a str)],
    /// What a missing field gives.
    pub missing: Missing,
}

/// The variables of labels and annotations.
const ALERT_VARIABLES: [(&str, &str); 4] = [
    ("labels", "Labels"),
    ("externalLabels", "ExternalLabels"),
    ("externalURL", "ExternalURL"),
    ("value", "Value"),
];

/// A parsed template, to be rendered many times.
///
/// ```
/// use paramedic_gotmpl::{Functions, Template, alert_data};
/// use paramedic_model::Labels;
///
/// let text = "{{ $labels.instance }} has {{ $value | humanize }}B left";
/// let template = Template::parse_alert("DiskFull", text)?;
/// let labels = Labels::from([("instance", "fw1")]);
/// let data = alert_data(&labels, &Labels::empty(), "", 2048.0);
/// assert_eq!(template.render(&data, &Functions::offline())?, "fw1 has 2.048kB left");
/// # Ok::<(), paramedic_gotmpl::TemplateError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Template {
    pub(crate) name: String,
    /// With the prelude in front.
    text: Arc<str>,
    prelude_bytes: usize,
    pub(crate) missing: Missing,
    /// The body of each template by name; the root's stands under `name`.
    pub(crate) bodies: Arc<BTreeMap<String, Vec<Node>>>,
}

impl Template {
    /// Reads `text`; `name` stands in messages.
    ///
    /// # Errors
    ///
    /// What Go refuses, with Go's message: broken syntax, unknown functions, undefined variables.
    /// Unknown fields and types that do not fit show when the template runs.
    pub fn parse(name: &str, text: &str) -> Result<Self, TemplateError> {
        Self::parse_with(name, text, &Options::default())
    }

    /// Reads a label or an annotation of the alert rule `alert`, to be rendered with
    /// [`alert_data`]: `$labels`, `$externalLabels`, `$externalURL` and `$value` are set.
    ///
    /// # Errors
    ///
    /// As [`Template::parse`].
    pub fn parse_alert(alert: &str, text: &str) -> Result<Self, TemplateError> {
        let options = Options { variables: &ALERT_VARIABLES, missing: Missing::Zero };
        Self::parse_with(&format!("__alert_{alert}"), text, &options)
    }

    /// As [`Template::parse`], with variables and a choice of what is missing.
    ///
    /// # Errors
    ///
    /// As [`Template::parse`].
    pub fn parse_with(
        name: &str,
        text: &str,
        options: &Options<'_>,
    ) -> Result<Self, TemplateError> {
        // As Prometheus does it: definitions in front of the text, on its first line.
        let mut whole: String = options
            .variables
            .iter()
            .map(|(variable, field)| format!("{{{{${variable} := .{field}}}}}"))
            .collect();
        let prelude_bytes = whole.len();
        whole.push_str(text);
        let mut template = Self {
            name: name.to_owned(),
            text: whole.into(),
            prelude_bytes,
            missing: options.missing,
            bodies: Arc::default(),
        };
        match parse::parse(name, &template.text) {
            Ok(bodies) => template.bodies = Arc::new(bodies),
            Err(failure) => {
                return Err(template.error(failure.pos, Some(failure.line), None, failure.reason));
            }
        }
        Ok(template)
    }

    /// The text over `data`.
    ///
    /// # Errors
    ///
    /// What fails while the template runs, with Go's message; and more steps, text or depth than
    /// [`STEPS_MAX`](crate::STEPS_MAX), [`OUTPUT_BYTES_MAX`](crate::OUTPUT_BYTES_MAX) and
    /// [`DEPTH_MAX`](crate::DEPTH_MAX) allow. No part of the text is kept then.
    pub fn render(&self, data: &Value, functions: &Functions<'_>) -> Result<String, TemplateError> {
        exec::render(self, data, functions)
    }

    /// The text over `data`, or Prometheus's words for why there is none:
    /// `<error expanding template: ...>`.
    pub fn expand(&self, data: &Value, functions: &Functions<'_>) -> String {
        self.render(data, functions).unwrap_or_else(|error| error.in_place())
    }

    /// Whether the text has no action at all and is its own rendering.
    pub fn is_literal(&self) -> bool {
        !self.text[self.prelude_bytes..].contains("{{")
    }

    pub(crate) fn error(
        &self,
        pos: usize,
        line_shown: Option<usize>,
        at: Option<(String, String)>,
        reason: String,
    ) -> TemplateError {
        let (line, column) = place(&self.text, pos);
        TemplateError(Box::new(Detail {
            name: self.name.clone(),
            line_shown: line_shown.unwrap_or(line),
            line,
            column,
            prelude_bytes: self.prelude_bytes,
            at,
            reason,
        }))
    }
}

/// The data of a label or an annotation: the labels of the result, the external labels, the
/// external address, the value. Nothing else is visible to it, in particular no label of the rule.
pub fn alert_data(
    labels: &Labels,
    external_labels: &Labels,
    external_url: &str,
    value: impl Into<Value>,
) -> Value {
    Value::Record(Arc::new(Record {
        type_name: "struct { Labels map[string]string; ExternalLabels map[string]string; \
                    ExternalURL string; Value interface {} }",
        fields: vec![
            ("Labels", labels.clone().into()),
            ("ExternalLabels", external_labels.clone().into()),
            ("ExternalURL", external_url.into()),
            ("Value", value.into()),
        ],
    }))
}
