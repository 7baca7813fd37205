//! Proves that a condition reads only facts that are declared, each as what it is.
//!
//! After this, a condition can still be unknown (evidence that could not be had, null, an item
//! that is not in a list), but never nonsense.

use std::fmt;

use cel::common::ast::{CallExpr, ComprehensionExpr, Expr, IdedExpr, LiteralValue, operators};
use paramedic_catalog::{Field, FieldType, ProbeSignature};

use crate::Condition;
use crate::error::Mistake;

/// The type of a part of a condition.
#[derive(Debug, Clone, PartialEq)]
enum Type {
    Bool,
    Int,
    Float,
    Text,
    Null,
    /// Of an empty list: fits everything.
    Any,
    List(Box<Type>),
    Record(Vec<(&'static str, Type)>),
    /// Labels and annotations: texts under names that nobody declared.
    Texts,
    /// A value or null.
    Optional(Box<Type>),
}

/// A step that a condition may read.
pub(crate) struct Readable<'a> {
    pub id: &'a str,
    /// What its probe declares; `None` where the probe itself is not known, which is a mistake
    /// elsewhere.
    pub signature: Option<&'a ProbeSignature>,
}

/// What is wrong with `condition`, whose steps may be these.
pub(crate) fn check(condition: &Condition, steps: &[Readable<'_>]) -> Option<Mistake> {
    let mut typing = Typing { condition, steps, bound: Vec::new() };
    match typing.infer(&condition.expr) {
        Ok(kind) if kind.fits(&Type::Bool) => None,
        Ok(kind) => {
            let message = format!("the condition is {kind}, not true or false");
            Some(Mistake::new(condition.at, message))
        }
        Err(mistake) => Some(*mistake),
    }
}

struct Typing<'a> {
    condition: &'a Condition,
    steps: &'a [Readable<'a>],
    /// What loops bind, the innermost last.
    bound: Vec<(&'a str, Type)>,
}

type Inferred = Result<Type, Box<Mistake>>;

const FUNCTIONS: [&str; 15] = [
    "exists",
    "all",
    "exists_one",
    "filter",
    "map",
    "has",
    "size",
    "contains",
    "startsWith",
    "endsWith",
    "matches",
    "int",
    "double",
    "string",
    "in",
];

impl<'a> Typing<'a> {
    fn wrong(&self, expr: &IdedExpr, message: String) -> Box<Mistake> {
        Box::new(Mistake::new(self.condition.place_of(expr), message))
    }

    fn named(&self, expr: &IdedExpr) -> String {
        format!("`{}`", self.condition.fragment(expr))
    }

    fn infer(&mut self, expr: &'a IdedExpr) -> Inferred {
        match &expr.expr {
            Expr::Literal(literal) => match literal {
                LiteralValue::Boolean(_) => Ok(Type::Bool),
                LiteralValue::Int(_) | LiteralValue::UInt(_) => Ok(Type::Int),
                LiteralValue::Double(_) => Ok(Type::Float),
                LiteralValue::String(_) => Ok(Type::Text),
                LiteralValue::Null => Ok(Type::Null),
                LiteralValue::Bytes(_) => Err(self.wrong(expr, "no fact holds bytes".to_owned())),
            },
            Expr::Ident(name) => self.name(expr, name),
            Expr::Select(select) => {
                let operand = self.infer(&select.operand)?;
                if select.test && operand != Type::Texts {
                    let field =
                        format!("{}.{}", self.condition.fragment(&select.operand), select.field);
                    let message =
                        format!("`has({field})` is always true: declared facts are there");
                    let hint = format!("write `{field} != null`");
                    return Err(Box::new(self.wrong(expr, message).hint(hint)));
                }
                let kind = self.field(expr, &select.operand, operand, &select.field)?;
                Ok(if select.test { Type::Bool } else { kind })
            }
            Expr::List(list) => {
                let mut kind = Type::Any;
                for element in &list.elements {
                    let next = self.infer(element)?;
                    kind = self.join(element, kind, next)?;
                }
                Ok(Type::List(Box::new(kind)))
            }
            Expr::Call(call) => self.call(expr, call),
            Expr::Comprehension(comprehension) => self.comprehension(expr, comprehension),
            Expr::Map(_) | Expr::Struct(_) | Expr::Unspecified => {
                Err(self.wrong(expr, "a condition cannot make maps".to_owned()))
            }
        }
    }

    fn name(&self, expr: &IdedExpr, name: &str) -> Inferred {
        if let Some((_, kind)) = self.bound.iter().rev().find(|(bound, _)| *bound == name) {
            return Ok(kind.clone());
        }
        match name {
            "alert" => {
                return Ok(Type::Record(vec![
                    ("labels", Type::Texts),
                    ("annotations", Type::Texts),
                    ("value", Type::Float),
                ]));
            }
            "system" => {
                return Ok(Type::Record(vec![("name", Type::Text), ("kind", Type::Text)]));
            }
            _ => {}
        }
        match self.steps.iter().find(|step| step.id == name) {
            Some(Readable { signature: Some(signature), .. }) => {
                Ok(Type::Record(fields(&signature.facts)))
            }
            Some(Readable { signature: None, .. }) => Ok(Type::Any),
            None => {
                let mut known: Vec<&str> = self.bound.iter().map(|(name, _)| *name).collect();
                known.retain(|name| !name.starts_with('@'));
                known.extend(self.steps.iter().map(|step| step.id));
                known.extend(["alert", "system"]);
                let mistake = self.wrong(expr, format!("no earlier probe has the id `{name}`"));
                Err(Box::new(mistake.near(name, &known)))
            }
        }
    }

    fn field(&self, expr: &IdedExpr, operand: &IdedExpr, kind: Type, field: &str) -> Inferred {
        match kind {
            Type::Any => Ok(Type::Any),
            Type::Texts => Ok(Type::Text),
            Type::Optional(inner) => self.field(expr, operand, *inner, field),
            Type::Record(fields) => {
                let found = fields.iter().find(|(name, _)| *name == field);
                found.map(|(_, kind)| kind.clone()).ok_or_else(|| {
                    let known: Vec<&str> = fields.iter().map(|(name, _)| *name).collect();
                    let message = format!("{} has no fact `{field}`", self.named(operand));
                    Box::new(self.wrong(expr, message).near(field, &known))
                })
            }
            other => {
                let message =
                    format!("{} is {other}, which has no fact `{field}`", self.named(operand));
                Err(self.wrong(expr, message))
            }
        }
    }

    fn call(&mut self, expr: &'a IdedExpr, call: &'a CallExpr) -> Inferred {
        let parts: Vec<&'a IdedExpr> =
            call.target.iter().map(|target| &**target).chain(&call.args).collect();
        let mut kinds = Vec::new();
        for part in &parts {
            kinds.push(self.infer(part)?);
        }
        let name = call.func_name.as_str();
        match (name, kinds.as_slice()) {
            (operators::LOGICAL_AND | operators::LOGICAL_OR | operators::LOGICAL_NOT, _) => {
                for (part, kind) in parts.iter().zip(&kinds) {
                    self.must(part, kind, &Type::Bool)?;
                }
                Ok(Type::Bool)
            }
            (operators::CONDITIONAL, [condition, yes, no]) => {
                self.must(parts[0], condition, &Type::Bool)?;
                self.join(parts[2], yes.clone(), no.clone())
            }
            (operators::EQUALS | operators::NOT_EQUALS, [left, right]) => {
                for (kind, part, other) in [(left, parts[0], right), (right, parts[1], left)] {
                    if *other == Type::Null && !matches!(kind, Type::Optional(_) | Type::Any) {
                        let message = format!("{} is {kind}, and never null", self.named(part));
                        return Err(self.wrong(expr, message));
                    }
                }
                if !left.comparable(right) {
                    return Err(self.no_comparison(parts[0], left, right));
                }
                Ok(Type::Bool)
            }
            (
                operators::LESS
                | operators::LESS_EQUALS
                | operators::GREATER
                | operators::GREATER_EQUALS,
                [left, right],
            ) => {
                let ordered = |kind: &Type| {
                    matches!(kind.bare(), Type::Int | Type::Float | Type::Text | Type::Any)
                };
                let mut operands = parts.iter().zip([left, right]);
                if let Some((part, kind)) = operands.find(|(_, kind)| !ordered(kind)) {
                    let message = format!("{} is {kind}, which has no order", self.named(part));
                    return Err(self.wrong(part, message));
                }
                if !left.comparable(right) {
                    return Err(self.no_comparison(parts[0], left, right));
                }
                Ok(Type::Bool)
            }
            (
                operators::ADD
                | operators::SUBSTRACT
                | operators::MULTIPLY
                | operators::DIVIDE
                | operators::MODULO,
                [left, right],
            ) => self.arithmetic(parts[0], name, left.bare(), right.bare()),
            (operators::NEGATE, [kind]) => match kind.bare() {
                Type::Int | Type::Float | Type::Any => Ok(kind.bare().clone()),
                other => Err(self.wrong(parts[0], format!("{other} has no minus sign"))),
            },
            (operators::IN, [item, container]) => match container.bare() {
                Type::List(element) if item.comparable(element) => Ok(Type::Bool),
                Type::Texts if item.fits(&Type::Text) => Ok(Type::Bool),
                Type::Any => Ok(Type::Bool),
                other => {
                    let named = self.named(parts[0]);
                    let message = format!("{named} is {item}, which cannot be in {other}");
                    Err(self.wrong(parts[0], message))
                }
            },
            (operators::INDEX, [container, index]) => match container.bare() {
                Type::List(element) if index.fits(&Type::Int) => Ok((**element).clone()),
                Type::Texts if index.fits(&Type::Text) => Ok(Type::Text),
                Type::Any => Ok(Type::Any),
                other => {
                    let named = self.named(parts[0]);
                    let message = format!("{named} is {other} and takes no index that is {index}");
                    Err(self.wrong(parts[0], message))
                }
            },
            ("size", [kind]) => match kind.bare() {
                Type::List(_) | Type::Text | Type::Texts | Type::Any => Ok(Type::Int),
                other => {
                    let message = format!("{} is {other} and has no size", self.named(parts[0]));
                    Err(self.wrong(parts[0], message))
                }
            },
            ("contains" | "startsWith" | "endsWith" | "matches", [text, pattern])
                if call.target.is_some() =>
            {
                self.must(parts[0], text, &Type::Text)?;
                self.must(parts[1], pattern, &Type::Text)?;
                if name == "matches" {
                    self.pattern(parts[1])?;
                }
                Ok(Type::Bool)
            }
            ("int", [kind]) if kind.is_simple() => Ok(Type::Int),
            ("double", [kind]) if kind.is_simple() => Ok(Type::Float),
            ("string", [kind]) if kind.is_simple() => Ok(Type::Text),
            _ => {
                let known = FUNCTIONS.contains(&name);
                let message = match known {
                    true => format!("`{name}` does not take this"),
                    false => format!("there is no function `{name}`"),
                };
                let mistake = self.wrong(expr, message);
                Err(if known { mistake } else { Box::new(mistake.near(name, &FUNCTIONS)) })
            }
        }
    }

    /// A pattern stands in the condition itself: what a system says is no pattern.
    fn pattern(&self, expr: &IdedExpr) -> Result<(), Box<Mistake>> {
        let Expr::Literal(LiteralValue::String(text)) = &expr.expr else {
            return Err(self.wrong(expr, "`matches` takes a text in quotes".to_owned()));
        };
        match regex::Regex::new(text.inner()) {
            Ok(_) => Ok(()),
            Err(error) => {
                let reason = error.to_string();
                let reason = reason.lines().last().unwrap_or_default();
                let reason = reason.trim_start_matches("error: ");
                Err(self.wrong(expr, format!("{} is no pattern: {reason}", self.named(expr))))
            }
        }
    }

    fn arithmetic(&self, part: &IdedExpr, name: &str, left: &Type, right: &Type) -> Inferred {
        let sign = name.trim_matches('_');
        match (left, right) {
            (Type::Any, other) | (other, Type::Any) => Ok(other.clone()),
            (Type::Int, Type::Int) => Ok(Type::Int),
            (Type::Float, Type::Float) if name != operators::MODULO => Ok(Type::Float),
            (Type::Text, Type::Text) if name == operators::ADD => Ok(Type::Text),
            (Type::List(a), Type::List(b)) if name == operators::ADD => {
                Ok(Type::List(Box::new(self.join(part, (**a).clone(), (**b).clone())?)))
            }
            (Type::Int, Type::Float) | (Type::Float, Type::Int) => {
                let mistake =
                    self.wrong(part, format!("`{sign}` does not take {left} and {right}"));
                Err(Box::new(mistake.hint("write 2.0 for 2, or double(x)")))
            }
            _ => Err(self.wrong(part, format!("`{sign}` does not take {left} and {right}"))),
        }
    }

    fn comprehension(&mut self, expr: &'a IdedExpr, c: &'a ComprehensionExpr) -> Inferred {
        let range = self.infer(&c.iter_range)?;
        let item = match range.bare() {
            Type::List(item) => (**item).clone(),
            Type::Texts => Type::Text,
            Type::Any => Type::Any,
            other => {
                let message = format!("{} is {other}, not a list", self.named(&c.iter_range));
                return Err(self.wrong(expr, message));
            }
        };
        let start = self.infer(&c.accu_init)?;
        self.bound.push((&c.iter_var, item));
        self.bound.push((&c.accu_var, start.clone()));
        let step = self.infer(&c.loop_step);
        self.bound.pop();
        self.bound.pop();
        let step = step?;
        let kind = self.join(expr, start, step)?;
        self.bound.push((&c.accu_var, kind));
        let result = self.infer(&c.result);
        self.bound.pop();
        result
    }

    fn must(&self, part: &IdedExpr, kind: &Type, expected: &Type) -> Result<(), Box<Mistake>> {
        if kind.fits(expected) {
            return Ok(());
        }
        Err(self.wrong(part, format!("{} is {kind}, not {expected}", self.named(part))))
    }

    fn no_comparison(&self, part: &IdedExpr, left: &Type, right: &Type) -> Box<Mistake> {
        let message =
            format!("{} is {left}, which does not compare with {right}", self.named(part));
        self.wrong(part, message)
    }

    /// The type that both fit.
    fn join(&self, part: &IdedExpr, a: Type, b: Type) -> Inferred {
        match (a, b) {
            (Type::Any, kind) | (kind, Type::Any) => Ok(kind),
            (a, b) if a == b => Ok(a),
            (Type::Null, Type::Optional(kind)) | (Type::Optional(kind), Type::Null) => {
                Ok(Type::Optional(kind))
            }
            (Type::Null, kind) | (kind, Type::Null) => Ok(Type::Optional(Box::new(kind))),
            (Type::Optional(a), b) | (b, Type::Optional(a)) => {
                let b = b.bare().clone();
                Ok(Type::Optional(Box::new(self.join(part, *a, b)?)))
            }
            (Type::List(a), Type::List(b)) => Ok(Type::List(Box::new(self.join(part, *a, *b)?))),
            (a, b) => Err(self.wrong(part, format!("{a} and {b} do not mix"))),
        }
    }
}

impl Type {
    /// Without null: null makes a condition unknown, so it may stand anywhere.
    fn bare(&self) -> &Type {
        match self {
            Self::Optional(kind) => kind.bare(),
            other => other,
        }
    }

    fn fits(&self, expected: &Type) -> bool {
        matches!(self.bare(), Type::Any) || self.bare() == expected
    }

    fn is_simple(&self) -> bool {
        matches!(self.bare(), Type::Bool | Type::Int | Type::Float | Type::Text | Type::Any)
    }

    fn comparable(&self, other: &Type) -> bool {
        match (self.bare(), other.bare()) {
            (Type::Any | Type::Null, _) | (_, Type::Any | Type::Null) => true,
            (Type::Int | Type::Float, Type::Int | Type::Float) => true,
            (Type::List(a), Type::List(b)) => a.comparable(b),
            (a, b) => a == b,
        }
    }
}

fn fields(declared: &[Field]) -> Vec<(&'static str, Type)> {
    declared.iter().map(|field| (field.name, of(&field.kind))).collect()
}

fn of(kind: &FieldType) -> Type {
    match kind {
        FieldType::Bool => Type::Bool,
        FieldType::Int => Type::Int,
        FieldType::Float => Type::Float,
        FieldType::Text => Type::Text,
        FieldType::List(item) => Type::List(Box::new(of(item))),
        FieldType::Record(declared) => Type::Record(fields(declared)),
        FieldType::Optional(kind) => Type::Optional(Box::new(of(kind))),
    }
}

/// The type in a sentence: `a text`.
impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bool => f.write_str("true or false"),
            Self::Int => f.write_str("a whole number"),
            Self::Float => f.write_str("a number"),
            Self::Text => f.write_str("a text"),
            Self::Null => f.write_str("null"),
            Self::Any => f.write_str("anything"),
            Self::List(_) => f.write_str("a list"),
            Self::Record(_) => f.write_str("a record"),
            Self::Texts => f.write_str("a map of texts"),
            Self::Optional(kind) => write!(f, "{kind} or null"),
        }
    }
}
