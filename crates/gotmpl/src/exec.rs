//! Runs a parsed template over data.
//!
//! `at` is the node that an error would stand at; it moves exactly as in Go, so that messages name
//! the same snippet and column.

use std::fmt;

use crate::ast::{Branch, Command, Invocation, Node, NumberValue, Operand, OperandKind, Pipe};
use crate::functions::{self, Function, Functions, Run, Type};
use crate::print::{self, Text, TooLong};
use crate::quote::quote;
use crate::template::{Missing, Template};
use crate::value::Value;
use crate::{DEPTH_MAX, OUTPUT_BYTES_MAX, STEPS_MAX, TemplateError, methods};

type Result<T = Value> = std::result::Result<T, TemplateError>;

/// Renders the template's own body.
pub(crate) fn render(
    template: &Template,
    data: &Value,
    functions: &Functions<'_>,
) -> Result<String> {
    let mut exec = Exec {
        template,
        functions,
        name: &template.name,
        at: (0, &""),
        variables: vec![("$", data.clone())],
        out: Text::new(OUTPUT_BYTES_MAX),
        steps: 0,
        depth: 0,
    };
    if let Some(body) = template.bodies.get(&template.name) {
        exec.list(data, body)?;
    }
    Ok(exec.out.into_string())
}

/// How a node ended.
#[derive(PartialEq)]
enum Flow {
    Next,
    Break,
    Continue,
}

struct Exec<'t> {
    template: &'t Template,
    functions: &'t Functions<'t>,
    /// The template that runs: the root, or one that it defines.
    name: &'t str,
    at: (usize, &'t dyn fmt::Display),
    variables: Vec<(&'t str, Value)>,
    out: Text,
    steps: usize,
    /// How many bodies stand around the current node.
    depth: usize,
}

impl<'t> Exec<'t> {
    fn fail<T>(&self, reason: impl Into<String>) -> Result<T> {
        let (pos, node) = self.at;
        let at = (self.name.to_owned(), node.to_string());
        Err(self.template.error(pos, None, Some(at), reason.into()))
    }

    fn step(&mut self, cost: usize) -> Result<()> {
        self.steps += 1 + cost;
        if self.steps > STEPS_MAX {
            return self.fail(format!("more than {STEPS_MAX} steps"));
        }
        Ok(())
    }

    fn list(&mut self, dot: &Value, nodes: &'t [Node]) -> Result<Flow> {
        if self.depth == DEPTH_MAX {
            return self.fail(format!("exceeded maximum template depth ({DEPTH_MAX})"));
        }
        self.depth += 1;
        let mut flow = Flow::Next;
        for node in nodes {
            flow = self.node(dot, node)?;
            if flow != Flow::Next {
                break;
            }
        }
        self.depth -= 1;
        Ok(flow)
    }

    fn node(&mut self, dot: &Value, node: &'t Node) -> Result<Flow> {
        self.step(0)?;
        match node {
            Node::Text(text) => {
                if let Err(TooLong) = self.out.push_str(text) {
                    return self.fail(functions::too_long());
                }
            }
            Node::Action(pipe) => {
                let value = self.pipeline(dot, pipe)?;
                if pipe.decl.is_empty() {
                    self.at = (pipe.pos, pipe);
                    if let Err(TooLong) = print::action(&mut self.out, &value) {
                        return self.fail(functions::too_long());
                    }
                }
            }
            Node::If(branch) => return self.conditional(dot, branch, false),
            Node::With(branch) => return self.conditional(dot, branch, true),
            Node::Range(branch) => return self.range(dot, branch),
            Node::Template(invocation) => self.invoke(dot, invocation)?,
            Node::Break => return Ok(Flow::Break),
            Node::Continue => return Ok(Flow::Continue),
        }
        Ok(Flow::Next)
    }

    fn conditional(&mut self, dot: &Value, branch: &'t Branch, sets_dot: bool) -> Result<Flow> {
        let mark = self.variables.len();
        let value = self.pipeline(dot, &branch.pipe)?;
        let flow = if value.is_true() {
            self.list(if sets_dot { &value } else { dot }, &branch.body)?
        } else if let Some(otherwise) = &branch.otherwise {
            self.list(dot, otherwise)?
        } else {
            Flow::Next
        };
        self.variables.truncate(mark);
        Ok(flow)
    }

    fn range(&mut self, dot: &Value, branch: &'t Branch) -> Result<Flow> {
        let mark = self.variables.len();
        let over = self.pipeline(dot, &branch.pipe)?;
        let inner_mark = self.variables.len();
        let mut ran = false;
        let mut turn = |this: &mut Self, index: Value, element: Value| -> Result<bool> {
            ran = true;
            this.step(0)?;
            this.set_range_variables(&branch.pipe, index, &element)?;
            let flow = this.list(&element, &branch.body)?;
            this.variables.truncate(inner_mark);
            Ok(flow != Flow::Break)
        };
        let text = |text: &str| Value::from(text);
        match &over {
            Value::List(list) => {
                for (i, element) in (0i64..).zip(list.iter()) {
                    if !turn(self, Value::Int(i), element.clone())? {
                        break;
                    }
                }
            }
            Value::Samples(samples) => {
                for (i, sample) in (0i64..).zip(samples.iter()) {
                    if !turn(self, Value::Int(i), Value::Sample(sample.clone()))? {
                        break;
                    }
                }
            }
            Value::Labels(labels) => {
                for (name, value) in labels.iter() {
                    if !turn(self, text(name), text(value))? {
                        break;
                    }
                }
            }
            Value::Map(map) => {
                for (name, value) in map.iter() {
                    if !turn(self, text(name), value.clone())? {
                        break;
                    }
                }
            }
            Value::Int(count) => {
                if branch.pipe.decl.len() > 1 {
                    return self
                        .fail(format!("can't use {count} to iterate over more than one variable"));
                }
                for i in 0..*count {
                    if !turn(self, Value::Int(i), Value::Int(i))? {
                        break;
                    }
                }
            }
            Value::Nil => {}
            _ => return self.fail(format!("range can't iterate over {}", print::shown(&over))),
        }
        let mut flow = Flow::Next;
        if !ran && let Some(otherwise) = &branch.otherwise {
            flow = self.list(dot, otherwise)?;
        }
        self.variables.truncate(mark);
        Ok(flow)
    }

    /// With one variable it is the element; with two, index and element.
    fn set_range_variables(&mut self, pipe: &'t Pipe, index: Value, element: &Value) -> Result<()> {
        let values = match pipe.decl.len() {
            0 => return Ok(()),
            1 => vec![element.clone()],
            _ => vec![index, element.clone()],
        };
        if pipe.is_assign {
            return pipe.decl.iter().zip(values).try_for_each(|(name, v)| self.set(name, v));
        }
        let top = self.variables.len() - values.len();
        for (variable, value) in self.variables[top..].iter_mut().zip(values) {
            variable.1 = value;
        }
        Ok(())
    }

    fn invoke(&mut self, dot: &Value, invocation: &'t Invocation) -> Result<()> {
        self.at = (invocation.pos, invocation);
        let template = self.template;
        let Some((name, body)) = template.bodies.get_key_value(&invocation.name) else {
            return self.fail(format!("template {} not defined", quote(&invocation.name)));
        };
        let dot = match &invocation.pipe {
            Some(pipe) => self.pipeline(dot, pipe)?,
            None => Value::Nil,
        };
        // A template sees no variable of the one that uses it.
        let outer = std::mem::replace(&mut self.variables, vec![("$", dot.clone())]);
        let outer_name = std::mem::replace(&mut self.name, name);
        self.list(&dot, body)?;
        self.variables = outer;
        self.name = outer_name;
        Ok(())
    }

    fn set(&mut self, name: &'t str, value: Value) -> Result<()> {
        match self.variables.iter_mut().rev().find(|(n, _)| *n == name) {
            Some(variable) => {
                variable.1 = value;
                Ok(())
            }
            None => self.fail(format!("undefined variable: {name}")),
        }
    }

    fn pipeline(&mut self, dot: &Value, pipe: &'t Pipe) -> Result {
        self.at = (pipe.pos, pipe);
        let mut last = None;
        for command in &pipe.commands {
            last = Some(self.command(dot, command, last)?);
        }
        let value = last.unwrap_or(Value::Nil);
        for name in &pipe.decl {
            if pipe.is_assign {
                self.set(name, value.clone())?;
            } else {
                self.variables.push((name, value.clone()));
            }
        }
        Ok(value)
    }

    /// `last` is what the stage before gave: the last argument of this one.
    fn command(&mut self, dot: &Value, command: &'t Command, last: Option<Value>) -> Result {
        self.step(0)?;
        let (first, rest) = (&command.args[0], &command.args[1..]);
        match &first.kind {
            OperandKind::Field(_) | OperandKind::Chain(..) | OperandKind::Variable(..) => {
                self.access(dot, first, rest, last)
            }
            OperandKind::Identifier(name) => {
                self.at = (first.pos, first);
                self.function(dot, name, (command.pos, command), rest, last)
            }
            OperandKind::Pipe(pipe) => {
                self.not_a_function(first, rest, &last)?;
                self.pipeline(dot, pipe)
            }
            OperandKind::Nil => {
                self.at = (first.pos, first);
                self.not_a_function(first, rest, &last)?;
                self.fail("nil is not a command")
            }
            OperandKind::Dot
            | OperandKind::Bool(_)
            | OperandKind::Number(_)
            | OperandKind::String { .. } => {
                self.at = (first.pos, first);
                self.not_a_function(first, rest, &last)?;
                self.constant(dot, first)
            }
        }
    }

    fn not_a_function(
        &self,
        first: &Operand,
        rest: &[Operand],
        last: &Option<Value>,
    ) -> Result<()> {
        if rest.is_empty() && last.is_none() {
            return Ok(());
        }
        self.fail(format!("can't give argument to non-function {first}"))
    }

    /// A field chain on the dot, a variable or an inner result.
    fn access(
        &mut self,
        dot: &Value,
        operand: &'t Operand,
        rest: &'t [Operand],
        last: Option<Value>,
    ) -> Result {
        self.at = (operand.pos, operand);
        let (mut value, names) = match &operand.kind {
            OperandKind::Field(names) => (dot.clone(), names),
            OperandKind::Variable(name, names) => {
                let found = self.variables.iter().rev().find(|(n, _)| n == name);
                let Some((_, value)) = found else {
                    return self.fail(format!("undefined variable: {name}"));
                };
                let value = value.clone();
                if names.is_empty() {
                    self.not_a_function(operand, rest, &last)?;
                }
                (value, names)
            }
            OperandKind::Chain(inner, names) => {
                if matches!(inner.kind, OperandKind::Nil) {
                    return self.fail(format!("indirection through explicit nil in {operand}"));
                }
                let value = self.argument(dot, Type::Any, inner)?;
                self.at = (operand.pos, operand);
                (value, names)
            }
            _ => (self.constant(dot, operand)?, const { &Vec::new() }),
        };
        if let Some((last_name, names)) = names.split_last() {
            for name in names {
                value = self.field(dot, value, name, operand, &[], None)?;
            }
            value = self.field(dot, value, last_name, operand, rest, last)?;
        }
        Ok(value)
    }

    fn field(
        &mut self,
        dot: &Value,
        receiver: Value,
        name: &'t str,
        operand: &'t Operand,
        rest: &'t [Operand],
        last: Option<Value>,
    ) -> Result {
        if let Some(method) = methods::find(&receiver, name) {
            let args = self.arguments(dot, name, method.params, false, rest, last)?;
            self.at = (operand.pos, operand);
            return (method.run)(&receiver, &args)
                .or_else(|reason| self.fail(format!("error calling {name}: {reason}")));
        }
        let has_args = !rest.is_empty() || last.is_some();
        let not_a_method = || format!("{name} is not a method but has arguments");
        let field_of_struct = |this: &Self, value: Option<Value>| match value {
            Some(_) if has_args => {
                this.fail(format!("{name} has arguments but cannot be invoked as function"))
            }
            Some(value) => Ok(value),
            None => {
                let kind = receiver.type_name();
                this.fail(format!("can't evaluate field {name} in type {kind}"))
            }
        };
        let missing = |this: &Self, zero: Value| match this.template.missing {
            Missing::Zero => Ok(zero),
            Missing::Error => this.fail(format!("map has no entry for key {}", quote(name))),
        };
        match &receiver {
            Value::Labels(_) | Value::Map(_) if has_args => self.fail(not_a_method()),
            Value::Labels(labels) => match labels.get(name) {
                Some(value) => Ok(value.into()),
                None => missing(self, "".into()),
            },
            Value::Map(map) => match map.get(name) {
                Some(value) => Ok(value.clone()),
                None => missing(self, Value::Nil),
            },
            Value::Record(record) => {
                let value = record.fields.iter().find(|(field, _)| *field == name);
                field_of_struct(self, value.map(|(_, value)| value.clone()))
            }
            Value::Sample(sample) => {
                let value = match name {
                    "Labels" => Some(Value::from(sample.labels.clone())),
                    "Value" => Some(Value::Float(sample.value)),
                    _ => None,
                };
                field_of_struct(self, value)
            }
            Value::Nil => self.fail(format!("nil pointer evaluating interface {{}}.{name}")),
            _ => field_of_struct(self, None),
        }
    }

    fn function(
        &mut self,
        dot: &Value,
        name: &'t str,
        call_site: (usize, &'t dyn fmt::Display),
        rest: &'t [Operand],
        last: Option<Value>,
    ) -> Result {
        let Some(function) = functions::find(name) else {
            return self.fail(format!("{} is not a defined function", quote(name)));
        };
        if let Run::ShortCircuit { on } = function.run {
            return self.short_circuit(dot, function, on, rest, last);
        }
        let args = self.arguments(dot, name, function.params, function.variadic, rest, last)?;
        let result = match function.run {
            Run::Body(body) => body(self.functions, &args),
            Run::Call | Run::ShortCircuit { .. } => {
                let callee = match rest.first() {
                    Some(operand) => operand.to_string(),
                    None => print::shown(&args[0]),
                };
                Err(match &args[0] {
                    Value::Nil => "call of nil".to_owned(),
                    value => format!("non-function {callee} of type {}", value.type_name()),
                })
            }
        };
        match result {
            Ok(value) => {
                if let Value::String(text) = &value {
                    self.step(text.len() / BYTES_PER_STEP)?;
                }
                Ok(value)
            }
            Err(reason) => {
                self.at = call_site;
                self.fail(format!("error calling {name}: {reason}"))
            }
        }
    }

    fn short_circuit(
        &mut self,
        dot: &Value,
        function: &Function,
        on: bool,
        rest: &'t [Operand],
        last: Option<Value>,
    ) -> Result {
        if rest.is_empty() && last.is_none() {
            let name = function.name;
            return self.fail(format!("wrong number of args for {name}: want at least 1 got 0"));
        }
        let mut value = Value::Nil;
        for arg in rest {
            value = self.argument(dot, Type::Any, arg)?;
            if value.is_true() == on {
                return Ok(value);
            }
        }
        Ok(last.unwrap_or(value))
    }

    fn arguments(
        &mut self,
        dot: &Value,
        name: &str,
        params: &[Type],
        variadic: bool,
        rest: &'t [Operand],
        last: Option<Value>,
    ) -> Result<Vec<Value>> {
        let count = rest.len() + usize::from(last.is_some());
        if variadic && count < params.len() {
            let (want, got) = (params.len(), rest.len());
            return self
                .fail(format!("wrong number of args for {name}: want at least {want} got {got}"));
        }
        if !variadic && count != params.len() {
            let want = params.len();
            return self.fail(format!("wrong number of args for {name}: want {want} got {count}"));
        }
        let param = |i: usize| params.get(i).copied().unwrap_or(Type::Any);
        let mut args = Vec::with_capacity(count);
        for (i, arg) in rest.iter().enumerate() {
            args.push(self.argument(dot, param(i), arg)?);
        }
        if let Some(last) = last {
            self.check(&last, param(rest.len()))?;
            args.push(last);
        }
        // Work grows with the text that goes in, so that counts too.
        let text_bytes: usize = args.iter().map(|arg| functions::text(arg).len()).sum();
        self.step(text_bytes / BYTES_PER_STEP)?;
        Ok(args)
    }

    fn check(&self, value: &Value, param: Type) -> Result<()> {
        if param.accepts(value) {
            return Ok(());
        }
        let want = param.name();
        match value {
            Value::Nil => self.fail(format!("invalid value; expected {want}")),
            _ => {
                let got = value.type_name();
                self.fail(format!("wrong type for value; expected {want}; got {got}"))
            }
        }
    }

    fn argument(&mut self, dot: &Value, param: Type, operand: &'t Operand) -> Result {
        self.at = (operand.pos, operand);
        let value = match &operand.kind {
            OperandKind::Dot => dot.clone(),
            OperandKind::Nil if param == Type::Any => return Ok(Value::Nil),
            OperandKind::Nil => {
                return self.fail(format!("cannot assign nil to {}", param.name()));
            }
            OperandKind::Field(_) | OperandKind::Variable(..) | OperandKind::Chain(..) => {
                self.access(dot, operand, &[], None)?
            }
            OperandKind::Pipe(pipe) => self.pipeline(dot, pipe)?,
            OperandKind::Identifier(name) => {
                self.function(dot, name, (operand.pos, operand), &[], None)?
            }
            OperandKind::String { .. } if param == Type::String => {
                return self.constant(dot, operand);
            }
            _ if param == Type::Any => return self.constant(dot, operand),
            _ if param == Type::String => {
                return self.fail(format!("expected string; found {operand}"));
            }
            _ => {
                let want = param.name();
                return self.fail(format!("can't handle {operand} for arg of type {want}"));
            }
        };
        self.check(&value, param)?;
        Ok(value)
    }

    fn constant(&mut self, dot: &Value, operand: &'t Operand) -> Result {
        Ok(match &operand.kind {
            OperandKind::Dot => dot.clone(),
            OperandKind::Bool(value) => Value::Bool(*value),
            OperandKind::String { text, .. } => Value::from(text.as_str()),
            OperandKind::Number(number) => match number.value {
                NumberValue::Int(int) => Value::Int(int),
                NumberValue::Float(float) => Value::Float(float),
                NumberValue::Complex(re, im) => Value::Complex(re, im),
                NumberValue::TooLarge => {
                    self.at = (operand.pos, operand);
                    return self.fail(format!("{} overflows int", number.text));
                }
            },
            _ => {
                return self
                    .fail(format!("can't evaluate command {}", quote(&operand.to_string())));
            }
        })
    }
}

/// This much text read or made counts as one step.
const BYTES_PER_STEP: usize = 16;
