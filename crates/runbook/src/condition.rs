//! Conditions: CEL over evidence, in three-valued logic.
//!
//! `&&`, `||`, `!` and `?:` are judged here, by Kleene's tables, so that a part that cannot be known
//! makes the whole unknown only where it matters; what stands between them is evaluated by `cel`.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;
use std::ops::Range;
use std::sync::{Arc, LazyLock};

use cel::common::ast::{EntryExpr, Expr, IdedExpr, operators};
use cel::objects::Key;
use cel::{Context, Env, ExecutionError, Value};
use serde_json::Value as Json;

use crate::{Finding, Situation};

/// The longest condition, in bytes of text.
pub const CONDITION_BYTES_MAX: usize = 1000;

/// The words and signs of a condition. The parser recurses along chains (`1+1+1`), so this bounds
/// its stack.
const TOKENS_MAX: usize = 300;

/// How deep brackets may stand in one another: bounds the parser's stack as well.
const BRACKETS_MAX: usize = 6;

/// How deep expressions may stand in one another: bounds the stack of what reads the parsed tree.
const DEPTH_MAX: usize = 60;

/// How deep `exists`, `all`, `filter` and `map` may stand in one another: what a condition costs
/// grows with the length of the lists to this power.
const LOOP_DEPTH_MAX: usize = 2;

static ENV: LazyLock<Arc<Env>> =
    LazyLock::new(|| Arc::new(Env::stdlib().with_optional_support(false)));

/// A condition of a step or a cause, parsed with its page.
#[derive(Debug, Clone)]
pub struct Condition {
    pub(crate) text: Arc<str>,
    pub(crate) expr: Arc<IdedExpr>,
    /// Where each node stands in the text, in bytes.
    spans: Arc<BTreeMap<u64, Range<usize>>>,
    /// Where each node begins on the page.
    places: Arc<BTreeMap<u64, usize>>,
    /// Where the whole begins on the page.
    pub(crate) at: usize,
}

/// Whether a condition holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Judgement {
    /// It is true.
    Supported,
    /// It is false.
    Refuted {
        /// The part of the condition that decided it.
        by: String,
    },
    /// Nobody can say. Never to be read as false.
    Unknown(Gap),
}

/// Why a condition cannot be judged. Prints as a phrase for people.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Gap {
    /// The steps whose evidence is missing, in the order of their ids; none where the evidence is
    /// there but does not say, or the condition fails on it.
    pub missing: Vec<String>,
    /// One phrase per hole: step `log` has no evidence: could not look: connection refused.
    pub reasons: Vec<String>,
}

impl Gap {
    fn of(reason: String) -> Self {
        Self { missing: Vec::new(), reasons: vec![reason] }
    }

    fn and(mut self, other: Self) -> Self {
        self.missing.extend(other.missing);
        self.missing.sort();
        self.missing.dedup();
        for reason in other.reasons {
            if !self.reasons.contains(&reason) {
                self.reasons.push(reason);
            }
        }
        self
    }
}

impl fmt::Display for Gap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.reasons.join("; "))
    }
}

/// Why a text is no condition; `at` is a byte offset in the text.
#[derive(Debug)]
pub(crate) struct ConditionError {
    pub at: usize,
    pub message: String,
}

impl Condition {
    /// Reads `text`; `on_page` tells where a byte of it stands on the page.
    pub(crate) fn parse(
        text: &str,
        on_page: impl Fn(usize) -> usize,
    ) -> Result<Self, ConditionError> {
        if text.len() > CONDITION_BYTES_MAX {
            let message = format!("a condition has at most {CONDITION_BYTES_MAX} bytes");
            return Err(ConditionError { at: 0, message });
        }
        bounded(text)?;
        if text.trim().is_empty() {
            return Err(ConditionError { at: 0, message: "the condition is empty".to_owned() });
        }
        let (expr, source) = ENV.parser().parse_with_source_info(text).map_err(|errors| {
            let first = errors.errors.into_iter().next();
            let (pos, message) = first.map_or(((1, 1), String::new()), |e| (e.pos, e.msg));
            // What could stand there instead is half the grammar.
            let message = message.split(" expecting ").next().unwrap_or_default();
            let message = message.trim_start_matches("Syntax error: ");
            ConditionError { at: offset(text, pos), message: format!("no CEL: {message}") }
        })?;
        let bytes: Vec<usize> = text.char_indices().map(|(at, _)| at).chain([text.len()]).collect();
        let mut spans = BTreeMap::new();
        measure(&expr, 0, 0, &mut |id, field| {
            if let Some((start, stop)) = source.offset_for(id) {
                let byte = |at: u32| bytes.get(at as usize).copied().unwrap_or(text.len());
                // A selection is placed at its dot; the field stands behind it.
                let end = byte(stop.saturating_add(1)) + field;
                spans.insert(id, byte(start)..end.min(text.len()));
            }
        })
        .map_err(|(id, message)| {
            let at = source.offset_for(id).and_then(|(start, _)| bytes.get(start as usize));
            ConditionError { at: at.copied().unwrap_or(0), message: message.to_owned() }
        })?;
        let places = spans.iter().map(|(id, span)| (*id, on_page(span.start))).collect();
        Ok(Self {
            text: text.into(),
            expr: Arc::new(expr),
            spans: Arc::new(spans),
            places: Arc::new(places),
            at: on_page(0),
        })
    }

    /// As written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The ids of the steps that it reads.
    pub fn steps(&self) -> BTreeSet<&str> {
        let mut names = BTreeSet::new();
        names_of(&self.expr, &mut Vec::new(), &mut names);
        names.retain(|name| *name != "alert" && *name != "system");
        names
    }

    /// Judges it.
    pub fn judge(&self, situation: &Situation) -> Judgement {
        let mut context = Context::with_env(Arc::clone(&ENV));
        context.add_variable_from_value("alert", alert(situation));
        if let Some(system) = &situation.system {
            let system = [("name", &system.name), ("kind", &system.kind)];
            let system = system.map(|(key, text)| (key, Value::from(text.as_str())));
            context.add_variable_from_value("system", HashMap::from(system));
        }
        for step in self.steps() {
            if let Some(Finding::Looked { facts, .. }) = situation.findings.get(step) {
                let facts: HashMap<Key, Value> = facts
                    .iter()
                    .map(|(name, fact)| (Key::from(name.as_str()), value(fact)))
                    .collect();
                context.add_variable_from_value(step, facts);
            }
        }
        match (Judge { condition: self, situation, context: &context }).walk(&self.expr) {
            Truth::True => Judgement::Supported,
            Truth::False(by) => Judgement::Refuted { by: self.fragment(by) },
            Truth::Unknown(gap) => Judgement::Unknown(gap),
        }
    }

    /// The part of the text that the node `expr` stands for.
    pub(crate) fn fragment(&self, expr: &IdedExpr) -> String {
        let mut extent: Option<Range<usize>> = None;
        // Depth and loops were bounded when the text was parsed.
        let _ = measure(expr, 0, 0, &mut |id, _| {
            if let Some(span) = self.spans.get(&id) {
                let so_far = extent.clone().unwrap_or(span.clone());
                extent = Some(so_far.start.min(span.start)..so_far.end.max(span.end));
            }
        });
        let Some(mut extent) = extent else { return self.text.to_string() };
        // A call is placed at its bracket; its name stands before it.
        if self.text[extent.start..].starts_with('(') {
            let before = &self.text[..extent.start];
            extent.start = before.trim_end_matches(|c: char| c.is_alphanumeric() || c == '_').len();
        }
        extent.end = balanced_end(&self.text, &extent);
        self.text.get(extent).unwrap_or(&self.text).trim().to_owned()
    }

    /// Where the node stands on the page, as well as that is known.
    pub(crate) fn place_of(&self, expr: &IdedExpr) -> usize {
        let mut first = None::<(usize, u64)>;
        let _ = measure(expr, 0, 0, &mut |id, _| {
            if let Some(span) = self.spans.get(&id) {
                first = first.into_iter().chain([(span.start, id)]).min();
            }
        });
        first.and_then(|(_, id)| self.places.get(&id)).copied().unwrap_or(self.at)
    }
}

/// True, false by this node, or unknown.
enum Truth<'e> {
    True,
    False(&'e IdedExpr),
    Unknown(Gap),
}

struct Judge<'a, 'p, 'v> {
    condition: &'a Condition,
    situation: &'a Situation,
    context: &'a Context<'p, 'v>,
}

impl<'a> Judge<'a, '_, '_> {
    fn walk(&self, expr: &'a IdedExpr) -> Truth<'a> {
        use Truth::{False, True, Unknown};
        let Expr::Call(call) = &expr.expr else { return self.leaf(expr) };
        match (call.func_name.as_str(), call.args.as_slice()) {
            (operators::LOGICAL_AND, [left, right]) => match (self.walk(left), self.walk(right)) {
                (False(id), _) | (_, False(id)) => False(id),
                (True, True) => True,
                (Unknown(left), Unknown(right)) => Unknown(left.and(right)),
                (Unknown(gap), True) | (True, Unknown(gap)) => Unknown(gap),
            },
            (operators::LOGICAL_OR, [left, right]) => match (self.walk(left), self.walk(right)) {
                (True, _) | (_, True) => True,
                (False(_), False(_)) => False(expr),
                (Unknown(left), Unknown(right)) => Unknown(left.and(right)),
                (Unknown(gap), False(_)) | (False(_), Unknown(gap)) => Unknown(gap),
            },
            (operators::LOGICAL_NOT, [inner]) => match self.walk(inner) {
                True => False(expr),
                False(_) => True,
                Unknown(gap) => Unknown(gap),
            },
            (operators::CONDITIONAL, [condition, yes, no]) => match self.walk(condition) {
                True => self.walk(yes),
                False(_) => self.walk(no),
                Unknown(gap) => match (self.walk(yes), self.walk(no)) {
                    (True, True) => True,
                    (False(_), False(_)) => False(expr),
                    _ => Unknown(gap),
                },
            },
            _ => self.leaf(expr),
        }
    }

    /// Everything that is no connective: unknown where it reads a step without evidence.
    fn leaf(&self, expr: &'a IdedExpr) -> Truth<'a> {
        let mut names = BTreeSet::new();
        names_of(expr, &mut Vec::new(), &mut names);
        let mut gap = Gap::default();
        for name in names {
            match name {
                "alert" => {}
                "system" if self.situation.system.is_some() => {}
                "system" => gap = gap.and(Gap::of("it is not known which system is meant".into())),
                step => {
                    if let Some(reason) = self.situation.no_evidence(step) {
                        let reason = format!("step `{step}` has no evidence: {reason}");
                        let missing = vec![step.to_owned()];
                        gap = gap.and(Gap { missing, reasons: vec![reason] });
                    }
                }
            }
        }
        if !gap.reasons.is_empty() {
            return Truth::Unknown(gap);
        }
        let because = |reason: &str| {
            Truth::Unknown(Gap::of(format!("`{}`: {reason}", self.condition.fragment(expr))))
        };
        match Value::resolve(expr, self.context) {
            Ok(Value::Bool(true)) => Truth::True,
            Ok(Value::Bool(false)) => Truth::False(expr),
            Ok(Value::Null) => because("the system does not say"),
            Ok(_) => because("is neither true nor false"),
            Err(error) => because(&explain(&error)),
        }
    }
}

/// Why `cel` could not evaluate, for people, and short: its own words can hold whole lists.
fn explain(error: &ExecutionError) -> String {
    match error {
        ExecutionError::NoSuchOverload(overload)
            if overload.argument_types().iter().any(|kind| kind == "null_type") =>
        {
            "the system does not say".to_owned()
        }
        ExecutionError::UnsupportedBinaryOperator(_, left, right)
            if [left, right].contains(&&Value::Null) =>
        {
            "the system does not say".to_owned()
        }
        ExecutionError::NoSuchKey(key) => format!("there is no `{key}`"),
        ExecutionError::IndexOutOfBounds(_) => "the list has no such item".to_owned(),
        ExecutionError::DivisionByZero(_) | ExecutionError::RemainderByZero(_) => {
            "division by zero".to_owned()
        }
        ExecutionError::Overflow(..) => "the number is too large".to_owned(),
        other => other.to_string().chars().take(120).collect(),
    }
}

fn alert(situation: &Situation) -> HashMap<Key, Value> {
    let alert = &situation.alert;
    let labels: HashMap<Key, Value> =
        alert.labels.iter().map(|(name, text)| (Key::from(name), Value::from(text))).collect();
    let annotations: HashMap<Key, Value> = alert
        .annotations
        .iter()
        .map(|(name, text)| (Key::from(name.as_str()), Value::from(text.as_str())))
        .collect();
    HashMap::from([
        (Key::from("labels"), labels.into()),
        (Key::from("annotations"), annotations.into()),
        (Key::from("value"), Value::Float(alert.value)),
    ])
}

fn value(json: &Json) -> Value {
    match json {
        Json::Null => Value::Null,
        Json::Bool(flag) => Value::Bool(*flag),
        Json::Number(number) => match number.as_i64() {
            Some(number) => Value::Int(number),
            None => Value::Float(number.as_f64().unwrap_or(f64::NAN)),
        },
        Json::String(text) => Value::from(text.as_str()),
        Json::Array(items) => Value::from(items.iter().map(value).collect::<Vec<_>>()),
        Json::Object(entries) => entries
            .iter()
            .map(|(name, entry)| (Key::from(name.as_str()), value(entry)))
            .collect::<HashMap<_, _>>()
            .into(),
    }
}

/// Refuses what could exhaust the stack of the parser, before it is parsed.
fn bounded(text: &str) -> Result<(), ConditionError> {
    let (mut tokens, mut open, mut quote, mut word) = (0, 0usize, None, false);
    for (at, c) in text.char_indices() {
        if let Some(end) = quote {
            quote = (c != end).then_some(end);
            continue;
        }
        let was_word = std::mem::replace(&mut word, c.is_alphanumeric() || c == '_');
        tokens += usize::from(!(c.is_whitespace() || was_word && word));
        match c {
            '"' | '\'' => quote = Some(c),
            '(' | '[' | '{' => open += 1,
            ')' | ']' | '}' => open = open.saturating_sub(1),
            _ => {}
        }
        if tokens > TOKENS_MAX || open > BRACKETS_MAX {
            let message = format!(
                "a condition has at most {TOKENS_MAX} words and signs, and brackets {BRACKETS_MAX} deep"
            );
            return Err(ConditionError { at, message });
        }
    }
    Ok(())
}

/// Byte offset of a line and column, both from 1, the column in characters.
fn offset(text: &str, (line, column): (isize, isize)) -> usize {
    let line = usize::try_from(line - 1).unwrap_or(0);
    let column = usize::try_from(column - 1).unwrap_or(0);
    let start: usize = text.split_inclusive('\n').take(line).map(str::len).sum();
    let rest = &text[start..];
    start + rest.char_indices().nth(column).map_or(rest.len(), |(at, _)| at)
}

/// The end of `extent`, moved behind the brackets that opened in it.
fn balanced_end(text: &str, extent: &Range<usize>) -> usize {
    let inside = text.get(extent.clone()).unwrap_or_default();
    let (mut depth, mut quote) = (0usize, None);
    for c in inside.chars() {
        match (c, quote) {
            ('"' | '\'', None) => quote = Some(c),
            (c, Some(open)) if c == open => quote = None,
            ('(' | '[', None) => depth += 1,
            (')' | ']', None) => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    let mut end = extent.end;
    for c in text.get(extent.end..).unwrap_or_default().chars() {
        if depth == 0 {
            break;
        }
        end += c.len_utf8();
        depth -= usize::from(c == ')' || c == ']');
    }
    end
}

/// Visits every node with the length of the field that stands behind it, and bounds the depth.
fn measure(
    expr: &IdedExpr,
    depth: usize,
    loops: usize,
    visit: &mut impl FnMut(u64, usize),
) -> Result<(), (u64, &'static str)> {
    if depth > DEPTH_MAX {
        return Err((expr.id, "the condition is too deep"));
    }
    let field = match &expr.expr {
        Expr::Select(select) => select.field.len(),
        _ => 0,
    };
    visit(expr.id, field);
    let Expr::Comprehension(c) = &expr.expr else {
        return children(expr).into_iter().try_for_each(|c| measure(c, depth + 1, loops, visit));
    };
    if loops == LOOP_DEPTH_MAX {
        return Err((expr.id, "too many loops in one another"));
    }
    // What is looped over is evaluated once: loops in a chain cost their sum, not their product.
    measure(&c.iter_range, depth + 1, loops, visit)?;
    let body = [&c.accu_init, &c.loop_cond, &c.loop_step, &c.result];
    body.into_iter().try_for_each(|part| measure(part, depth + 1, loops + 1, visit))
}

/// The direct parts of a node.
fn children(expr: &IdedExpr) -> Vec<&IdedExpr> {
    match &expr.expr {
        Expr::Unspecified | Expr::Ident(_) | Expr::Literal(_) => Vec::new(),
        Expr::Call(call) => call.target.iter().map(|t| &**t).chain(&call.args).collect(),
        Expr::Comprehension(c) => {
            vec![&c.iter_range, &c.accu_init, &c.loop_cond, &c.loop_step, &c.result]
        }
        Expr::List(list) => list.elements.iter().collect(),
        Expr::Select(select) => vec![&select.operand],
        Expr::Map(map) => map.entries.iter().flat_map(|entry| entry_parts(&entry.expr)).collect(),
        Expr::Struct(s) => s.entries.iter().flat_map(|entry| entry_parts(&entry.expr)).collect(),
    }
}

fn entry_parts(entry: &EntryExpr) -> Vec<&IdedExpr> {
    match entry {
        EntryExpr::StructField(field) => vec![&field.value],
        EntryExpr::MapEntry(entry) => vec![&entry.key, &entry.value],
    }
}

/// The free names of an expression: not those that a loop binds.
fn names_of<'e>(expr: &'e IdedExpr, bound: &mut Vec<&'e str>, names: &mut BTreeSet<&'e str>) {
    match &expr.expr {
        Expr::Ident(name) => {
            if !bound.contains(&name.as_str()) && !name.starts_with('@') {
                names.insert(name);
            }
        }
        Expr::Comprehension(c) => {
            names_of(&c.iter_range, bound, names);
            names_of(&c.accu_init, bound, names);
            bound.push(&c.iter_var);
            for part in [&c.loop_cond, &c.loop_step, &c.result] {
                names_of(part, bound, names);
            }
            bound.pop();
        }
        _ => children(expr).into_iter().for_each(|child| names_of(child, bound, names)),
    }
}
