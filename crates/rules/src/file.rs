//! Rule files, verbatim: what Prometheus loads loads here, what it refuses is refused with its
//! words, and all mistakes of a file are reported, each at its place.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use paramedic_gotmpl::{Template, TemplateError};
use paramedic_model::METRIC_NAME;
use paramedic_promql::{Plan, Span, parse};
use paramedic_yaml::{Kind, Node, Place, nearest};

use crate::RuleError;
use crate::life::Waits;
use crate::yaml::{Decoder, Pair};

/// A rule file that was read.
#[derive(Clone, Debug)]
pub struct RuleFile {
    /// Its path, as it was given.
    pub path: String,
    /// Its groups, in order; names are distinct.
    pub groups: Vec<GroupSpec>,
    /// What is not refused, but not what its author thinks.
    pub warnings: Vec<RuleError>,
}

/// How strictly a file is read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReadOptions {
    /// Whether keys that nobody knows are passed over in silence. Default: they are mistakes.
    pub ignore_unknown_fields: bool,
}

/// A group as its file says it.
#[derive(Clone, Debug)]
pub struct GroupSpec {
    /// Its name, unique in its file.
    pub name: String,
    /// How often it runs; `None` means the configuration's `evaluation_interval`.
    pub interval: Option<Duration>,
    /// How far in the past its expressions are evaluated; `None` means the configuration's
    /// `rule_query_offset`.
    pub query_offset: Option<Duration>,
    /// How many alerts or series one rule may have; `None` means no limit.
    pub limit: Option<usize>,
    /// When it runs.
    pub evaluation: Trigger,
    /// Its rules, in the order in which they run; the group's labels are merged into theirs.
    pub rules: Vec<Rule>,
}

/// When a group runs: the key `evaluation`, which Prometheus does not have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Trigger {
    /// On its interval, as in Prometheus.
    #[default]
    Interval,
    /// Besides, as soon as a family that one of its rules reads has changed, and when a `for` comes
    /// due. Not for groups with recording rules.
    Data,
}

/// One rule.
#[derive(Clone, Debug)]
pub enum Rule {
    /// `alert:`.
    Alert(AlertRule),
    /// `record:`.
    Record(RecordingRule),
}

/// A rule that yields alerts.
#[derive(Clone, Debug)]
pub struct AlertRule {
    /// The alert's name.
    pub name: String,
    /// Where the rule begins in its file.
    pub place: Place,
    /// The expression: every element that it returns is an alert, whatever its value.
    pub expr: Arc<Plan>,
    /// `for` and `keep_firing_for`.
    pub waits: Waits,
    /// Labels to set, as written, sorted by name.
    pub labels: Vec<(String, Text)>,
    /// Annotations, as written, sorted by name.
    pub annotations: Vec<(String, Text)>,
}

/// A rule that yields series.
#[derive(Clone, Debug)]
pub struct RecordingRule {
    /// The metric name of the series.
    pub name: String,
    /// Where the rule begins in its file.
    pub place: Place,
    /// The expression.
    pub expr: Arc<Plan>,
    /// Labels to set, literally, sorted by name; an empty one removes the label.
    pub labels: Vec<(String, String)>,
}

/// The text of a label or an annotation: a template.
#[derive(Clone, Debug)]
pub struct Text {
    /// As written.
    pub source: String,
    /// Only a label of a group may be no template; it then expands to the reason.
    template: Result<Template, TemplateError>,
}

impl Text {
    fn new(alert: &str, source: &str) -> Self {
        Self { source: source.to_owned(), template: Template::parse_alert(alert, source) }
    }

    /// The text over `data`, or Prometheus's words for why there is none.
    pub(crate) fn expand(
        &self,
        data: &paramedic_gotmpl::Value,
        functions: &paramedic_gotmpl::Functions<'_>,
    ) -> String {
        match &self.template {
            Ok(template) => template.expand(data, functions),
            Err(error) => error.in_place(),
        }
    }
}

impl Rule {
    /// The alert's or the series' name.
    pub fn name(&self) -> &str {
        match self {
            Rule::Alert(rule) => &rule.name,
            Rule::Record(rule) => &rule.name,
        }
    }

    /// Where it begins in its file.
    pub fn place(&self) -> Place {
        match self {
            Rule::Alert(rule) => rule.place,
            Rule::Record(rule) => rule.place,
        }
    }

    /// The expression.
    pub fn expr(&self) -> &Arc<Plan> {
        match self {
            Rule::Alert(rule) => &rule.expr,
            Rule::Record(rule) => &rule.expr,
        }
    }

    /// Labels as written: together with kind and name the identity of a rule across reloads.
    pub(crate) fn labels_as_written(&self) -> Vec<(&str, &str)> {
        match self {
            Rule::Alert(rule) => {
                rule.labels.iter().map(|(name, text)| (&**name, &*text.source)).collect()
            }
            Rule::Record(rule) => {
                rule.labels.iter().map(|(name, value)| (&**name, &**value)).collect()
            }
        }
    }
}

impl RuleFile {
    /// Reads the text of a rule file; `path` stands in messages. An empty text has no groups.
    ///
    /// # Errors
    ///
    /// All mistakes, in the order of the file; only broken YAML hides those behind it.
    pub fn parse(path: &str, text: &str) -> Result<Self, Vec<RuleError>> {
        Self::parse_with(path, text, &ReadOptions::default())
    }

    /// As [`RuleFile::parse`], with a choice of what is a mistake.
    ///
    /// # Errors
    ///
    /// As [`RuleFile::parse`].
    pub fn parse_with(
        path: &str,
        text: &str,
        options: &ReadOptions,
    ) -> Result<Self, Vec<RuleError>> {
        let mut reader = Reader { yaml: Decoder::new(path, text, options.ignore_unknown_fields) };
        let (mut groups, mut warnings) = (Vec::new(), Vec::new());
        match paramedic_yaml::read(text) {
            Ok(documents) => {
                if let Some(second) = documents.get(1) {
                    let reason = "Multiple document yaml rules files are not supported, only the \
                                  first document is processed";
                    warnings.push(reader.yaml.mistake(second.place, reason, None));
                }
                groups = documents.first().map(|first| reader.file(first)).unwrap_or_default();
            }
            Err((place, reason)) => reader.yaml.report(place, format!("yaml: {reason}")),
        }
        let mut errors = reader.yaml.errors;
        if !errors.is_empty() {
            errors.sort_by_key(|error| (error.line, error.column));
            return Err(errors);
        }
        Ok(Self { path: path.to_owned(), groups, warnings })
    }
}

const FILE_KEYS: &[&str] = &["groups"];
const GROUP_KEYS: &[&str] =
    &["name", "interval", "query_offset", "limit", "labels", "rules", "evaluation"];
const RULE_KEYS: &[&str] =
    &["record", "alert", "expr", "for", "keep_firing_for", "labels", "annotations"];

struct Reader<'a> {
    yaml: Decoder<'a>,
}

impl Reader<'_> {
    fn file(&mut self, node: &Node) -> Vec<GroupSpec> {
        if matches!(node.kind, Kind::Null) {
            return Vec::new();
        }
        let Some(fields) = self.yaml.fields(node, FILE_KEYS, "rulefmt.RuleGroups") else {
            return Vec::new();
        };
        let Some((_, groups)) = fields.get("groups") else { return Vec::new() };
        let mut names = BTreeSet::new();
        let nodes = self.yaml.list(groups, "[]rulefmt.RuleGroup");
        nodes.into_iter().filter_map(|node| self.group(node, &mut names)).collect()
    }

    fn group(&mut self, node: &Node, names: &mut BTreeSet<String>) -> Option<GroupSpec> {
        let fields = self.yaml.fields(node, GROUP_KEYS, "rulefmt.RuleGroup")?;
        let name = match fields.get("name") {
            Some((_, node)) => self.yaml.string(node)?,
            None => String::new(),
        };
        let name_place = fields.get("name").map_or(node.place, |(_, node)| node.place);
        if name.is_empty() {
            self.yaml.report(name_place, "Groupname must not be empty");
        }
        if !names.insert(name.clone()) {
            let reason = format!("groupname: {name:?} is repeated in the same file");
            self.yaml.report(name_place, reason);
        }
        // Zero means "not set", as in Prometheus.
        let interval = fields.get("interval").and_then(|(_, node)| self.yaml.duration(node));
        let interval = interval.filter(|interval| !interval.is_zero());
        let query_offset =
            fields.get("query_offset").and_then(|(_, node)| self.yaml.duration(node));
        let limit = fields.get("limit").and_then(|(_, node)| self.limit(node));
        let labels = match fields.get("labels") {
            Some((_, node)) => self.yaml.string_map(node),
            None => Vec::new(),
        };
        for label in &labels {
            self.check_label_name(label, "");
        }
        let mut rules = Vec::new();
        if let Some((_, node)) = fields.get("rules") {
            for (i, node) in self.yaml.list(node, "[]rulefmt.Rule").into_iter().enumerate() {
                rules.extend(self.rule(node, &name, i + 1, &labels));
            }
        }
        let evaluation = match fields.get("evaluation") {
            Some((place, node)) => self.evaluation(*place, node, &rules),
            None => Trigger::Interval,
        };
        Some(GroupSpec { name, interval, query_offset, limit, evaluation, rules })
    }

    /// How many results a rule may have: anything below one means that there is no limit, and a
    /// fraction is cut off, as in Go.
    fn limit(&mut self, node: &Node) -> Option<usize> {
        let limit = self.yaml.number(node, "int")?;
        if limit.is_nan() {
            self.yaml.cannot_unmarshal(node, "int");
        }
        (limit >= 1.0).then_some(limit as usize)
    }

    fn evaluation(&mut self, place: Place, node: &Node, rules: &[Rule]) -> Trigger {
        match self.yaml.string(node).as_deref() {
            Some("interval") | None => Trigger::Interval,
            Some("data") => {
                if rules.iter().any(|rule| matches!(rule, Rule::Record(_))) {
                    let reason = "`evaluation: data` is not possible in a group with recording \
                                  rules: their samples must be evenly spaced";
                    self.yaml.report(place, reason);
                }
                Trigger::Data
            }
            Some(other) => {
                let known = ["data", "interval"];
                let reason = format!("evaluation must be `data` or `interval`, not {other:?}");
                self.yaml.report_with(
                    node.place,
                    reason,
                    nearest(other, &known).map(str::to_owned),
                );
                Trigger::Interval
            }
        }
    }

    fn rule(
        &mut self,
        node: &Node,
        group: &str,
        number: usize,
        group_labels: &[Pair<'_>],
    ) -> Option<Rule> {
        let errors_before = self.yaml.errors.len();
        let fields = self.yaml.fields(node, RULE_KEYS, "rulefmt.Rule")?;
        let field = |key: &str| fields.get(key).copied();
        let text = |this: &mut Self, key: &str| match field(key) {
            Some((_, node)) => this.yaml.string(node),
            None => Some(String::new()),
        };
        let (record, alert) = (text(self, "record")?, text(self, "alert")?);
        let name = if alert.is_empty() { &record } else { &alert };
        let rule = format!("group {group:?}, rule {number}, {name:?}: ");
        if !record.is_empty() && !alert.is_empty() {
            let place = field("alert").map_or(node.place, |(place, _)| place);
            self.yaml.report(place, rule.clone() + "only one of 'record' and 'alert' must be set");
        }
        if record.is_empty() && alert.is_empty() {
            self.yaml.report(node.place, rule.clone() + "one of 'record' or 'alert' must be set");
        }
        let expr = self.expr(node, field("expr").map(|(_, node)| node), &rule);
        let duration = |this: &mut Self, key: &str| match field(key) {
            Some((_, node)) => this.yaml.duration(node).unwrap_or_default(),
            None => Duration::ZERO,
        };
        let hold = duration(self, "for");
        let keep_firing_for = duration(self, "keep_firing_for");
        let labels =
            field("labels").map(|(_, node)| self.yaml.string_map(node)).unwrap_or_default();
        let annotations =
            field("annotations").map(|(_, node)| self.yaml.string_map(node)).unwrap_or_default();
        for label in &labels {
            self.check_label_name(label, &rule);
        }
        for annotation in annotations.iter().filter(|annotation| annotation.name.is_empty()) {
            let reason = format!("{rule}invalid annotation name: {}", annotation.name);
            self.yaml.report(annotation.name_place, reason);
        }
        if !record.is_empty() {
            if record.contains(['{', '}']) {
                let place = field("record").map_or(node.place, |(_, node)| node.place);
                let reason = "braces present in the recording rule name; should it be in expr?: ";
                self.yaml.report(place, format!("{rule}{reason}{record}"));
            }
            let used = [
                ("annotations", !annotations.is_empty()),
                ("for", !hold.is_zero()),
                ("keep_firing_for", !keep_firing_for.is_zero()),
            ];
            for (key, _) in used.iter().filter(|(_, is_set)| *is_set) {
                let place = field(key).map_or(node.place, |(place, _)| place);
                self.yaml.report(place, format!("{rule}invalid field '{key}' in recording rule"));
            }
        }
        if alert.is_empty() {
            let labels: Vec<_> = merged(group_labels, &labels)
                .into_iter()
                .map(|(name, pair)| (name.to_owned(), pair.value.clone()))
                .collect();
            let (name, place, expr) = (record.clone(), node.place, Arc::new(expr?));
            let rule = RecordingRule { name, place, expr, labels };
            return (self.yaml.errors.len() == errors_before).then_some(Rule::Record(rule));
        }
        let mut texts = |what: &str, pairs: &[Pair<'_>], all: Vec<(&str, &Pair<'_>)>| {
            // Labels of the group are merged, but not checked, as in Prometheus.
            for pair in pairs {
                self.check_template(what, pair, &alert, &rule);
            }
            all.into_iter()
                .map(|(name, pair)| (name.to_owned(), Text::new(&alert, &pair.value)))
                .collect::<Vec<_>>()
        };
        let label_texts = texts("label", &labels, merged(group_labels, &labels));
        let annotation_texts = texts("annotation", &annotations, merged(&[], &annotations));
        let alert_rule = AlertRule {
            place: node.place,
            expr: Arc::new(expr?),
            waits: Waits { hold, keep_firing_for },
            labels: label_texts,
            annotations: annotation_texts,
            name: alert,
        };
        (self.yaml.errors.len() == errors_before).then_some(Rule::Alert(alert_rule))
    }

    fn check_label_name(&mut self, label: &Pair<'_>, rule: &str) {
        if label.name.is_empty() || label.name == METRIC_NAME {
            self.yaml.report(label.name_place, format!("{rule}invalid label name: {}", label.name));
        }
    }

    fn check_template(&mut self, what: &str, pair: &Pair<'_>, alert: &str, rule: &str) {
        if let Err(error) = Template::parse_alert(alert, &pair.value) {
            let lines = pair.value.split_inclusive('\n');
            let before: usize = lines.take(error.line() - 1).map(str::len).sum();
            let place = pair.node.place_in_value(before + error.column() - 1, self.yaml.text);
            self.yaml.report(place, format!("{rule}{what} {:?}: {error}", pair.name));
        }
    }

    fn expr(&mut self, rule_node: &Node, node: Option<&Node>, rule: &str) -> Option<Plan> {
        let text = match node {
            Some(node) => self.yaml.string(node)?,
            None => String::new(),
        };
        let Some(node) = node.filter(|_| !text.is_empty()) else {
            self.yaml.report(rule_node.place, format!("{rule}field 'expr' must be set in rule"));
            return None;
        };
        let failed = |this: &mut Self, span: Span, doing: &str, error: String| {
            let place = node.place_in_value(span.start, this.yaml.text);
            this.yaml.report(place, format!("{rule}could not {doing} expression: {error}"));
        };
        match parse(&text) {
            Err(error) => failed(self, error.span, "parse", error.to_string()),
            Ok(expr) => match Plan::new(expr, &text) {
                Err(error) => failed(self, error.span, "compile", error.to_string()),
                Ok(plan) => return Some(plan),
            },
        }
        None
    }
}

/// The labels of group and rule; of one name the rule's wins.
fn merged<'p>(group: &'p [Pair<'p>], rule: &'p [Pair<'p>]) -> Vec<(&'p str, &'p Pair<'p>)> {
    let all: BTreeMap<&str, &Pair<'_>> =
        group.iter().chain(rule).map(|pair| (pair.name, pair)).collect();
    all.into_iter().collect()
}
