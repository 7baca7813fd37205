//! Tokens to a tree, by recursive descent along Go's own grammar and with its messages.

use std::collections::BTreeMap;

use crate::ast::{
    Branch, Command, Invocation, Node, Number, NumberValue, Operand, OperandKind, Pipe,
};
use crate::lex::{Item, Kind, lex};
use crate::quote::{quote, unquote, unquote_char};
use crate::{NESTING_MAX, functions, number};

/// A message and where it stands.
pub(crate) struct Failure {
    /// The first byte of the token that is wrong.
    pub pos: usize,
    /// The line that Go names: that of the last token it looked at.
    pub line: usize,
    pub reason: String,
}

type Result<T> = std::result::Result<T, Failure>;

/// The bodies of all templates that `text` defines; its own stands under `name`.
pub(crate) fn parse(name: &str, text: &str) -> Result<BTreeMap<String, Vec<Node>>> {
    let mut parser = Parser {
        name,
        items: lex(text),
        next: 0,
        furthest: 0,
        scope: Scope::new(),
        action_line: 0,
        nesting: 0,
        bodies: BTreeMap::new(),
    };
    let root = parser.root()?;
    parser.define(name.to_owned(), root)?;
    Ok(parser.bodies)
}

/// What a body may refer to where the parser stands.
struct Scope {
    variables: Vec<String>,
    range_depth: usize,
}

impl Scope {
    fn new() -> Self {
        Self { variables: vec!["$".to_owned()], range_depth: 0 }
    }
}

struct Parser<'a> {
    name: &'a str,
    items: Vec<Item<'a>>,
    /// The item that is read next.
    next: usize,
    /// The last item that was looked at.
    furthest: usize,
    scope: Scope,
    /// The line where the current action opened.
    action_line: usize,
    nesting: usize,
    bodies: BTreeMap<String, Vec<Node>>,
}

/// What ends a list of nodes.
enum Ending {
    End,
    Else(ElseForm),
}

#[derive(Clone, Copy, PartialEq)]
enum ElseForm {
    Plain,
    If,
    With,
}

impl<'a> Parser<'a> {
    fn take(&mut self) -> Item<'a> {
        let last = self.items.len() - 1;
        let at = self.next.min(last);
        self.furthest = self.furthest.max(at);
        // The last item is the end or an error; it is returned again and again.
        self.next = (at + 1).min(last + 1);
        self.items[at].clone()
    }

    fn back(&mut self) {
        self.next -= 1;
    }

    fn peek(&mut self) -> Kind {
        let at = self.next.min(self.items.len() - 1);
        self.furthest = self.furthest.max(at);
        self.items[at].kind
    }

    fn skip_spaces(&mut self) {
        while self.peek() == Kind::Space {
            self.next += 1;
        }
    }

    fn take_non_space(&mut self) -> Item<'a> {
        self.skip_spaces();
        self.take()
    }

    fn peek_non_space(&mut self) -> Kind {
        self.skip_spaces();
        self.peek()
    }

    fn fail<T>(&self, reason: impl Into<String>) -> Result<T> {
        let seen = &self.items[self.furthest];
        let taken = &self.items[self.next.saturating_sub(1).min(self.items.len() - 1)];
        let pos = if matches!(seen.kind, Kind::Eof | Kind::Error) { seen.pos } else { taken.pos };
        Err(Failure { pos, line: seen.line, reason: reason.into() })
    }

    fn unexpected<T>(&self, item: &Item<'_>, context: &str) -> Result<T> {
        if item.kind != Kind::Error {
            return self.fail(format!("unexpected {item} in {context}"));
        }
        let mut extra = String::new();
        if self.action_line != 0 && self.action_line != item.line {
            extra = format!(" in action started at {}:{}", self.name, self.action_line);
            if item.text.ends_with(" action") {
                extra = extra[" in action".len()..].to_owned();
            }
        }
        self.fail(format!("{item}{extra}"))
    }

    fn expect(&mut self, kind: Kind, context: &str) -> Result<()> {
        let item = self.take_non_space();
        if item.kind == kind { Ok(()) } else { self.unexpected(&item, context) }
    }

    /// Runs `inner` one level deeper. The limit keeps the stack of this parser, of the executor and
    /// of the tree's destructor small.
    fn nested<T>(&mut self, inner: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        if self.nesting == NESTING_MAX {
            return self.fail(format!("nested more than {NESTING_MAX} deep"));
        }
        self.nesting += 1;
        let result = inner(self);
        self.nesting -= 1;
        result
    }

    fn define(&mut self, name: String, body: Vec<Node>) -> Result<()> {
        let is_empty = |body: &[Node]| {
            body.iter().all(|node| matches!(node, Node::Text(text) if text.trim().is_empty()))
        };
        match self.bodies.get(&name) {
            Some(there) if !is_empty(there) => {
                if is_empty(&body) {
                    return Ok(());
                }
                let name = quote(&name);
                self.fail(format!("template: multiple definition of template {name}"))
            }
            _ => {
                self.bodies.insert(name, body);
                Ok(())
            }
        }
    }

    fn root(&mut self) -> Result<Vec<Node>> {
        let mut nodes = Vec::new();
        while self.peek() != Kind::Eof {
            if self.peek() == Kind::LeftDelim {
                let start = self.next;
                let delim = self.take();
                if self.take_non_space().kind == Kind::Define {
                    self.definition()?;
                    continue;
                }
                self.action_line = delim.line;
                self.next = start;
            }
            match self.text_or_action()? {
                Ok(node) => nodes.push(node),
                Err(ending) => return self.fail(format!("unexpected {}", ending_text(&ending))),
            }
        }
        Ok(nodes)
    }

    fn definition(&mut self) -> Result<()> {
        const CONTEXT: &str = "define clause";
        let item = self.take_non_space();
        let name = self.string_name(&item, CONTEXT)?;
        self.expect(Kind::RightDelim, CONTEXT)?;
        let body = self.separate_body(CONTEXT)?;
        self.define(name, body)
    }

    /// A body with a scope of its own, up to its `end`.
    fn separate_body(&mut self, context: &str) -> Result<Vec<Node>> {
        let outer = std::mem::replace(&mut self.scope, Scope::new());
        let (body, ending) = self.nested(Self::list)?;
        self.scope = outer;
        match ending {
            Ending::End => Ok(body),
            Ending::Else(_) => {
                self.fail(format!("unexpected {} in {context}", ending_text(&ending)))
            }
        }
    }

    fn string_name(&self, item: &Item<'_>, context: &str) -> Result<String> {
        match item.kind {
            Kind::String | Kind::RawString => match unquote(&item.text) {
                Some(name) => Ok(name),
                None => self.fail("invalid syntax"),
            },
            _ => self.unexpected(item, context),
        }
    }

    fn list(&mut self) -> Result<(Vec<Node>, Ending)> {
        let mut nodes = Vec::new();
        while self.peek_non_space() != Kind::Eof {
            match self.text_or_action()? {
                Ok(node) => nodes.push(node),
                Err(ending) => return Ok((nodes, ending)),
            }
        }
        self.fail("unexpected EOF")
    }

    fn text_or_action(&mut self) -> Result<std::result::Result<Node, Ending>> {
        let item = self.take_non_space();
        match item.kind {
            Kind::Text => Ok(Ok(Node::Text(item.text.into_owned()))),
            Kind::LeftDelim => {
                self.action_line = item.line;
                let node = self.action();
                self.action_line = 0;
                node
            }
            _ => self.unexpected(&item, "input"),
        }
    }

    fn action(&mut self) -> Result<std::result::Result<Node, Ending>> {
        let item = self.take_non_space();
        let node = match item.kind {
            Kind::Block => self.block()?,
            Kind::Break => self.leave_range(Node::Break, "break")?,
            Kind::Continue => self.leave_range(Node::Continue, "continue")?,
            Kind::Else => {
                let form = match self.peek_non_space() {
                    Kind::If => ElseForm::If,
                    Kind::With => ElseForm::With,
                    _ => {
                        self.expect(Kind::RightDelim, "else")?;
                        ElseForm::Plain
                    }
                };
                return Ok(Err(Ending::Else(form)));
            }
            Kind::End => {
                self.expect(Kind::RightDelim, "end")?;
                return Ok(Err(Ending::End));
            }
            Kind::If => Node::If(self.nested(|p| p.control(ElseForm::If, "if"))?),
            Kind::With => Node::With(self.nested(|p| p.control(ElseForm::With, "with"))?),
            Kind::Range => Node::Range(self.nested(|p| p.control(ElseForm::Plain, "range"))?),
            Kind::Template => self.invocation()?,
            _ => {
                self.back();
                // Variables stay until the enclosing `end`.
                Node::Action(self.pipeline("command", Kind::RightDelim)?)
            }
        };
        Ok(Ok(node))
    }

    fn leave_range(&mut self, node: Node, word: &str) -> Result<Node> {
        let item = self.take_non_space();
        if item.kind != Kind::RightDelim {
            return self.unexpected(&item, &format!("{{{{{word}}}}}"));
        }
        if self.scope.range_depth == 0 {
            return self.fail(format!("{{{{{word}}}}} outside {{{{range}}}}"));
        }
        Ok(node)
    }

    /// `chained` is the word that may follow `else` on the same level: `if` in `if`.
    fn control(&mut self, chained: ElseForm, context: &str) -> Result<Branch> {
        let outer_variables = self.scope.variables.len();
        let is_range = usize::from(context == "range");
        let pipe = self.pipeline(context, Kind::RightDelim)?;
        self.scope.range_depth += is_range;
        let (body, ending) = self.list()?;
        self.scope.range_depth -= is_range;
        let otherwise = match ending {
            Ending::End => None,
            Ending::Else(form) if form == chained && form != ElseForm::Plain => {
                // `else if` is an `if` inside the `else`, which closes with it.
                self.take_non_space();
                let inner = self.nested(|p| p.control(chained, context))?;
                Some(vec![if form == ElseForm::If { Node::If(inner) } else { Node::With(inner) }])
            }
            Ending::Else(_) => match self.list()? {
                (body, Ending::End) => Some(body),
                (_, ending) => {
                    return self.fail(format!("expected end; found {}", ending_text(&ending)));
                }
            },
        };
        self.scope.variables.truncate(outer_variables);
        Ok(Branch { pipe, body, otherwise })
    }

    fn block(&mut self) -> Result<Node> {
        const CONTEXT: &str = "block clause";
        let item = self.take_non_space();
        let name = self.string_name(&item, CONTEXT)?;
        let pipe = self.pipeline(CONTEXT, Kind::RightDelim)?;
        let body = self.separate_body(CONTEXT)?;
        self.define(name.clone(), body)?;
        Ok(Node::Template(Invocation { pos: item.pos, name, pipe: Some(pipe) }))
    }

    fn invocation(&mut self) -> Result<Node> {
        const CONTEXT: &str = "template clause";
        let item = self.take_non_space();
        let name = self.string_name(&item, CONTEXT)?;
        let mut pipe = None;
        if self.take_non_space().kind != Kind::RightDelim {
            self.back();
            pipe = Some(self.pipeline(CONTEXT, Kind::RightDelim)?);
        }
        Ok(Node::Template(Invocation { pos: item.pos, name, pipe }))
    }

    fn pipeline(&mut self, context: &str, end: Kind) -> Result<Pipe> {
        self.skip_spaces();
        let pos = self.items[self.next.min(self.items.len() - 1)].pos;
        let mut pipe = Pipe { pos, decl: Vec::new(), is_assign: false, commands: Vec::new() };
        self.declarations(&mut pipe, context)?;
        loop {
            let item = self.take_non_space();
            match item.kind {
                kind if kind == end => break,
                Kind::Bool
                | Kind::CharConstant
                | Kind::Complex
                | Kind::Dot
                | Kind::Field
                | Kind::Identifier
                | Kind::Number
                | Kind::Nil
                | Kind::RawString
                | Kind::String
                | Kind::Variable
                | Kind::LeftParen => {
                    self.back();
                    let command = self.command()?;
                    pipe.commands.push(command);
                }
                _ => return self.unexpected(&item, context),
            }
        }
        if pipe.commands.is_empty() {
            return self.fail(format!("missing value for {context}"));
        }
        for (i, command) in pipe.commands.iter().enumerate().skip(1) {
            if matches!(
                command.args[0].kind,
                OperandKind::Bool(_)
                    | OperandKind::Dot
                    | OperandKind::Nil
                    | OperandKind::Number(_)
                    | OperandKind::String { .. }
            ) {
                let stage = i + 1;
                return self.fail(format!("non executable command in pipeline stage {stage}"));
            }
        }
        Ok(pipe)
    }

    fn declarations(&mut self, pipe: &mut Pipe, context: &str) -> Result<()> {
        while self.peek_non_space() == Kind::Variable {
            let start = self.next;
            let variable = self.take();
            let name = variable.text.into_owned();
            match self.peek_non_space() {
                kind @ (Kind::Assign | Kind::Declare) => {
                    self.take();
                    pipe.is_assign = kind == Kind::Assign;
                    pipe.decl.push(name.clone());
                    self.scope.variables.push(name);
                    return Ok(());
                }
                Kind::Char if self.items[self.next].text == "," => {
                    self.take();
                    pipe.decl.push(name.clone());
                    self.scope.variables.push(name);
                    if context != "range" || pipe.decl.len() > 1 {
                        return self.fail(format!("too many declarations in {context}"));
                    }
                    let follows = self.peek_non_space();
                    if !matches!(follows, Kind::Variable | Kind::RightDelim | Kind::RightParen) {
                        return self.fail("range can only initialize variables");
                    }
                }
                _ => {
                    self.next = start;
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    fn command(&mut self) -> Result<Command> {
        self.skip_spaces();
        let pos = self.items[self.next.min(self.items.len() - 1)].pos;
        let mut args = Vec::new();
        loop {
            self.skip_spaces();
            args.extend(self.operand()?);
            let item = self.take();
            match item.kind {
                Kind::Space => {}
                Kind::RightDelim | Kind::RightParen => {
                    self.back();
                    break;
                }
                Kind::Pipe => break,
                _ => return self.unexpected(&item, "operand"),
            }
        }
        if args.is_empty() {
            return self.fail("empty command");
        }
        Ok(Command { pos, args })
    }

    fn operand(&mut self) -> Result<Option<Operand>> {
        let Some(term) = self.term()? else { return Ok(None) };
        if self.peek() != Kind::Field {
            return Ok(Some(term));
        }
        let pos = self.items[self.next].pos;
        let mut names = Vec::new();
        while self.peek() == Kind::Field {
            names.push(self.take().text[1..].to_owned());
        }
        let kind = match term.kind {
            OperandKind::Field(mut first) => {
                first.append(&mut names);
                OperandKind::Field(first)
            }
            OperandKind::Variable(variable, _) => OperandKind::Variable(variable, names),
            OperandKind::Bool(_)
            | OperandKind::String { .. }
            | OperandKind::Number(_)
            | OperandKind::Nil
            | OperandKind::Dot => {
                let term = quote(&term.to_string());
                return self.fail(format!("unexpected . after term {term}"));
            }
            OperandKind::Identifier(_) | OperandKind::Pipe(_) | OperandKind::Chain(..) => {
                OperandKind::Chain(Box::new(term), names)
            }
        };
        Ok(Some(Operand { pos, kind }))
    }

    fn term(&mut self) -> Result<Option<Operand>> {
        let item = self.take_non_space();
        let kind = match item.kind {
            Kind::Identifier => {
                if functions::find(&item.text).is_none() {
                    return self.fail(format!("function {} not defined", quote(&item.text)));
                }
                OperandKind::Identifier(item.text.into_owned())
            }
            Kind::Dot => OperandKind::Dot,
            Kind::Nil => OperandKind::Nil,
            Kind::Variable => {
                if !self.scope.variables.iter().any(|name| *name == item.text) {
                    return self.fail(format!("undefined variable {}", quote(&item.text)));
                }
                OperandKind::Variable(item.text.into_owned(), Vec::new())
            }
            Kind::Field => OperandKind::Field(vec![item.text[1..].to_owned()]),
            Kind::Bool => OperandKind::Bool(item.text == "true"),
            Kind::CharConstant | Kind::Complex | Kind::Number => {
                let value = match number_value(&item) {
                    Ok(value) => value,
                    Err(reason) => return self.fail(reason),
                };
                OperandKind::Number(Number { text: item.text.into_owned(), value })
            }
            Kind::LeftParen => OperandKind::Pipe(
                self.nested(|p| p.pipeline("parenthesized pipeline", Kind::RightParen))?,
            ),
            Kind::String | Kind::RawString => match unquote(&item.text) {
                Some(text) => OperandKind::String { quoted: item.text.into_owned(), text },
                None => return self.fail("invalid syntax"),
            },
            _ => {
                self.back();
                return Ok(None);
            }
        };
        Ok(Some(Operand { pos: item.pos, kind }))
    }
}

fn ending_text(ending: &Ending) -> &'static str {
    match ending {
        Ending::End => "{{end}}",
        Ending::Else(_) => "{{else}}",
    }
}

/// What a constant is worth. Its spelling decides the kind: `1e6` and `1.0` are floats, `1000000`
/// is an int.
fn number_value(item: &Item<'_>) -> std::result::Result<NumberValue, String> {
    let text = &*item.text;
    if item.kind == Kind::CharConstant {
        return match unquote_char(text) {
            Some(code) => Ok(NumberValue::Int(i64::from(code))),
            None => Err(format!("malformed character constant: {text}")),
        };
    }
    let illegal = || format!("illegal number syntax: {}", quote(text));
    if let Some(imaginary) = text.strip_suffix('i') {
        // `1+2i`: the second sign splits; a sign after an exponent's `e` does not.
        let split = imaginary
            .char_indices()
            .rev()
            .find(|(at, c)| {
                *at > 0 && "+-".contains(*c) && !imaginary[..*at].ends_with(['e', 'E', 'p', 'P'])
            })
            .map_or(0, |(at, _)| at);
        let (real, imaginary) = imaginary.split_at(split);
        let part = |text: &str| {
            if text.is_empty() { Some(0.0) } else { number::parse_float(text).ok() }
        };
        return match (part(real), part(imaginary)) {
            (Some(re), Some(im)) => Ok(NumberValue::Complex(re, im)),
            _ => Err(illegal()),
        };
    }
    let looks_like_float = text.contains(['.', 'p', 'P'])
        || (text.contains(['e', 'E'])
            && !text.trim_start_matches(['+', '-']).starts_with("0x")
            && !text.trim_start_matches(['+', '-']).starts_with("0X"));
    if looks_like_float {
        return number::parse_float(text).map(NumberValue::Float).map_err(|_| illegal());
    }
    match number::parse_int(text) {
        number::ParsedInt::Int(value) => Ok(NumberValue::Int(value)),
        number::ParsedInt::TooLarge => Ok(NumberValue::TooLarge),
        number::ParsedInt::Overflow => Err(format!("integer overflow: {}", quote(text))),
        number::ParsedInt::Bad => Err(illegal()),
    }
}
