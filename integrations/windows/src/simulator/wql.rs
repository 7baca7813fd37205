//! The part of WQL that the simulator understands: `SELECT … FROM … WHERE … AND …`.

use super::instances::Value;

/// A query that was understood.
#[derive(Debug, PartialEq)]
pub(super) struct Select {
    /// `None` for `*`.
    pub properties: Option<Vec<String>>,
    pub class: String,
    conditions: Vec<Condition>,
}

#[derive(Debug, PartialEq)]
struct Condition {
    property: String,
    operator: String,
    literal: Token,
}

#[derive(Debug, Clone, PartialEq)]
enum Token {
    Word(String),
    Text(String),
    Symbol(String),
}

impl Select {
    /// Reads a query; `None` where WMI would call it invalid, or where it goes beyond this part.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let mut tokens = tokens(text)?.into_iter().peekable();
        let mut word = |expected: &str| match tokens.next()? {
            Token::Word(word) if word.eq_ignore_ascii_case(expected) => Some(()),
            _ => None,
        };
        word("select")?;
        let mut properties = Some(Vec::new());
        loop {
            match tokens.next()? {
                Token::Symbol(star) if star == "*" => properties = None,
                Token::Word(from) if from.eq_ignore_ascii_case("from") => break,
                Token::Word(name) => properties.as_mut()?.push(name),
                Token::Symbol(comma) if comma == "," => {}
                _ => return None,
            }
        }
        let Some(Token::Word(class)) = tokens.next() else { return None };
        let mut conditions = Vec::new();
        let mut keyword = "where";
        while let Some(token) = tokens.next() {
            match token {
                Token::Word(word) if word.eq_ignore_ascii_case(keyword) => keyword = "and",
                _ => return None,
            }
            let (Some(Token::Word(property)), Some(Token::Symbol(operator)), Some(literal)) =
                (tokens.next(), tokens.next(), tokens.next())
            else {
                return None;
            };
            conditions.push(Condition { property, operator, literal });
        }
        Some(Self { properties, class, conditions })
    }

    /// Whether an instance fits.
    pub(super) fn admits(&self, instance: &[(&'static str, Value)]) -> bool {
        self.conditions.iter().all(|condition| {
            let value = instance
                .iter()
                .find(|(name, _)| name.eq_ignore_ascii_case(&condition.property))
                .map(|(_, value)| value);
            value.is_some_and(|value| condition.holds(value))
        })
    }
}

impl Condition {
    fn holds(&self, value: &Value) -> bool {
        use std::cmp::Ordering::{Equal, Greater, Less};
        let literal = match &self.literal {
            Token::Word(text) | Token::Text(text) | Token::Symbol(text) => text.as_str(),
        };
        let ordering = match value {
            Value::Text(text) => text.to_lowercase().cmp(&literal.to_lowercase()),
            Value::Number(number) => match literal.parse::<u64>() {
                Ok(literal) => number.cmp(&literal),
                Err(_) => return false,
            },
            Value::Flag(flag) => match literal.to_ascii_lowercase().as_str() {
                "true" => flag.cmp(&true),
                "false" => flag.cmp(&false),
                _ => return false,
            },
            // Both are UTC here, so the digits compare as the moments do.
            Value::Time(at) => crate::winrm::dmtf(*at).as_str().cmp(literal),
            Value::Null | Value::Texts(_) | Value::Reference { .. } => return false,
        };
        match self.operator.as_str() {
            "=" => ordering == Equal,
            "<>" | "!=" => ordering != Equal,
            "<" => ordering == Less,
            ">" => ordering == Greater,
            "<=" => ordering != Greater,
            ">=" => ordering != Less,
            _ => false,
        }
    }
}

fn tokens(text: &str) -> Option<Vec<Token>> {
    let mut tokens = Vec::new();
    let mut rest = text.chars().peekable();
    while let Some(&next) = rest.peek() {
        if next.is_whitespace() {
            rest.next();
        } else if next == '\'' || next == '"' {
            rest.next();
            let mut literal = String::new();
            loop {
                match rest.next()? {
                    '\\' => literal.push(rest.next()?),
                    end if end == next => break,
                    other => literal.push(other),
                }
            }
            tokens.push(Token::Text(literal));
        } else if "=<>!".contains(next) {
            let mut symbol = String::new();
            while let Some(&c) = rest.peek().filter(|c| "=<>!".contains(**c)) {
                symbol.push(c);
                rest.next();
            }
            tokens.push(Token::Symbol(symbol));
        } else if next == '*' || next == ',' {
            rest.next();
            tokens.push(Token::Symbol(next.to_string()));
        } else {
            let mut word = String::new();
            while let Some(&c) = rest.peek().filter(|c| c.is_alphanumeric() || "_.".contains(**c)) {
                word.push(c);
                rest.next();
            }
            if word.is_empty() {
                return None;
            }
            tokens.push(Token::Word(word));
        }
    }
    Some(tokens)
}

#[cfg(test)]
mod tests {
    use paramedic_model::TimeMs;

    use super::*;

    #[test]
    fn conditions_hold_or_not() {
        let instance = [
            ("Name", Value::Text("Spooler".to_owned())),
            ("ProcessId", Value::Number(7)),
            ("Started", Value::Flag(true)),
            ("When", Value::Time(TimeMs(1_795_227_720_000))),
            ("Path", Value::Text(r"C:\it's".to_owned())),
            ("Nothing", Value::Null),
        ];
        let check = |condition: &str, expected: Option<bool>| {
            let select = Select::parse(&format!("select Name, ProcessId from X {condition}"));
            assert_eq!(select.map(|s| s.admits(&instance)), expected, "{condition}");
        };
        check("", Some(true));
        check("where name='spooler' and ProcessId>=7", Some(true));
        check("where Started=TRUE AND ProcessId<>7", Some(false));
        check("where When>='20261121022200.000000+000'", Some(true));
        check("where When>='20261121022201.000000+000'", Some(false));
        check(r"where Path='C:\\it\'s'", Some(true));
        check("where Nothing=1", Some(false));
        check("where Other=1", Some(false));
        check("where Name='x' or Name='y'", None);
        check("where Name='x", None);
    }
}
