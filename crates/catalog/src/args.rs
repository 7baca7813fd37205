use std::collections::BTreeMap;
use std::time::Duration;

use paramedic_model::{format_duration, parse_duration};

/// One parameter of a probe or an action.
#[derive(Debug, Clone)]
pub struct Param {
    /// The key under `with`.
    pub name: &'static str,
    /// What it may hold.
    pub kind: ParamKind,
    /// Whether a step must give it.
    pub required: bool,
    /// What it means, in a sentence.
    pub doc: &'static str,
}

impl Param {
    /// A parameter that a step must give.
    pub const fn required(name: &'static str, kind: ParamKind, doc: &'static str) -> Self {
        Self { name, kind, required: true, doc }
    }

    /// A parameter that a step may leave out.
    pub const fn optional(name: &'static str, kind: ParamKind, doc: &'static str) -> Self {
        Self { name, kind, required: false, doc }
    }
}

/// What a parameter may hold. Everything else is refused before anything is sent.
#[derive(Debug, Clone, PartialEq)]
pub enum ParamKind {
    /// One line of printable text, at most this many characters. It may hold spaces, quotes and
    /// slashes, so it must only be compared with what the system itself lists, or travel as data.
    Text {
        /// The longest text, in characters.
        max_chars: usize,
    },
    /// A name without surprises: letters, digits and `. _ - @ :`, at most 128 of them, beginning
    /// with a letter, a digit or `_`, without `..`. May stand in a path segment.
    Token,
    /// One of these words.
    Choice(&'static [&'static str]),
    /// A whole number in this range.
    Integer {
        /// The smallest value.
        min: i64,
        /// The largest value.
        max: i64,
    },
    /// A duration as Prometheus writes it (`15m`), not above this one.
    Duration {
        /// The longest duration.
        max: Duration,
    },
    /// `true` or `false`.
    Bool,
}

/// A bound argument.
#[derive(Debug, Clone, PartialEq)]
pub enum ArgValue {
    /// Of `Text`, `Token` and `Choice`.
    Text(String),
    /// Of `Integer`.
    Integer(i64),
    /// Of `Duration`.
    Duration(Duration),
    /// Of `Bool`.
    Bool(bool),
}

/// Arguments that fit a signature. Only [`Args::bind`] makes them, so a probe or action never sees
/// a value that its parameters do not allow.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Args(BTreeMap<&'static str, ArgValue>);

/// Why arguments do not fit. Messages are fragments after "step `check`: ".
#[derive(Debug, Clone, PartialEq)]
pub enum ArgError {
    /// The signature has no such parameter.
    Unknown {
        /// The key as given.
        name: String,
        /// The parameters there are.
        known: Vec<&'static str>,
    },
    /// A required parameter was not given, or its template came out empty.
    Missing {
        /// The parameter.
        name: &'static str,
    },
    /// The value is not of the parameter's kind.
    Invalid {
        /// The parameter.
        name: &'static str,
        /// The value as given, shortened and escaped.
        value: String,
        /// What it must be.
        expected: String,
    },
}

impl std::fmt::Display for ArgError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Unknown { name, known } => {
                write!(f, "unknown argument {name:?}; it takes {}", known.join(", "))
            }
            Self::Missing { name } => write!(f, "argument {name:?} is missing or empty"),
            Self::Invalid { name, value, expected } => {
                write!(f, "argument {name:?} must be {expected}, not {value}")
            }
        }
    }
}

impl std::error::Error for ArgError {}

impl Args {
    /// Binds rendered texts to the parameters of a signature.
    ///
    /// # Errors
    ///
    /// The first key that is unknown, missing, or holds what its parameter does not allow.
    pub fn bind(params: &[Param], given: &BTreeMap<String, String>) -> Result<Self, ArgError> {
        if let Some(name) = given.keys().find(|key| params.iter().all(|p| p.name != key.as_str())) {
            let known = params.iter().map(|param| param.name).collect();
            return Err(ArgError::Unknown { name: name.clone(), known });
        }
        let mut bound = BTreeMap::new();
        for param in params {
            match given.get(param.name).filter(|text| !text.is_empty()) {
                Some(text) => {
                    bound.insert(param.name, param.kind.read(param.name, text)?);
                }
                None if param.required => return Err(ArgError::Missing { name: param.name }),
                None => {}
            }
        }
        Ok(Self(bound))
    }

    /// The text of `name`; empty where it was not given.
    pub fn text(&self, name: &str) -> &str {
        match self.0.get(name) {
            Some(ArgValue::Text(text)) => text,
            _ => "",
        }
    }

    /// The number of `name`, where it was given.
    pub fn integer(&self, name: &str) -> Option<i64> {
        match self.0.get(name) {
            Some(ArgValue::Integer(number)) => Some(*number),
            _ => None,
        }
    }

    /// The duration of `name`, where it was given.
    pub fn duration(&self, name: &str) -> Option<Duration> {
        match self.0.get(name) {
            Some(ArgValue::Duration(duration)) => Some(*duration),
            _ => None,
        }
    }

    /// The flag `name`; false where it was not given.
    pub fn flag(&self, name: &str) -> bool {
        matches!(self.0.get(name), Some(ArgValue::Bool(true)))
    }

    /// The arguments as texts, in the order of their names, for journal and pages.
    pub fn to_texts(&self) -> BTreeMap<String, String> {
        let text = |value: &ArgValue| match value {
            ArgValue::Text(text) => text.clone(),
            ArgValue::Integer(number) => number.to_string(),
            ArgValue::Duration(duration) => format_duration(*duration),
            ArgValue::Bool(flag) => flag.to_string(),
        };
        self.0.iter().map(|(name, value)| ((*name).to_owned(), text(value))).collect()
    }
}

impl ParamKind {
    fn read(&self, name: &'static str, text: &str) -> Result<ArgValue, ArgError> {
        let value = match self {
            Self::Text { max_chars } => {
                let fits =
                    text.chars().count() <= *max_chars && !text.chars().any(char::is_control);
                fits.then(|| ArgValue::Text(text.to_owned()))
            }
            Self::Token => is_token(text).then(|| ArgValue::Text(text.to_owned())),
            Self::Choice(words) => words.contains(&text).then(|| ArgValue::Text(text.to_owned())),
            Self::Integer { min, max } => text
                .parse()
                .ok()
                .filter(|number| (min..=max).contains(&number))
                .map(ArgValue::Integer),
            Self::Duration { max } => {
                parse_duration(text).ok().filter(|d| d <= max).map(ArgValue::Duration)
            }
            Self::Bool => text.parse().ok().map(ArgValue::Bool),
        };
        value.ok_or_else(|| {
            const SHOWN: usize = 60;
            let mut shown: String = text.chars().take(SHOWN).collect();
            if text.chars().count() > SHOWN {
                shown.push('…');
            }
            ArgError::Invalid { name, value: format!("{shown:?}"), expected: self.to_string() }
        })
    }
}

/// What a value must be, as a phrase.
impl std::fmt::Display for ParamKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Text { max_chars } => write!(f, "one line of at most {max_chars} characters"),
            Self::Token => f.write_str("a name of letters, digits and . _ - @ :"),
            Self::Choice(words) => write!(f, "one of {}", words.join(", ")),
            Self::Integer { min, max } => write!(f, "a whole number from {min} to {max}"),
            Self::Duration { max } => write!(f, "a duration up to {}", format_duration(*max)),
            Self::Bool => f.write_str("true or false"),
        }
    }
}

fn is_token(text: &str) -> bool {
    const LONGEST: usize = 128;
    text.len() <= LONGEST
        && !text.contains("..")
        && text.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_')
        && text.chars().all(|c| c.is_ascii_alphanumeric() || "._-@:".contains(c))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bind(kind: ParamKind, text: &str) -> Result<Args, ArgError> {
        let given = BTreeMap::from([("x".to_owned(), text.to_owned())]);
        Args::bind(&[Param::required("x", kind, "")], &given)
    }

    #[test]
    fn a_hostile_text_is_no_token() {
        for text in ["x; rm -rf /", "../etc", "a..b", "a/b", "a\nb", "'", "\"", "$(x)", "-rf", "é"]
        {
            assert!(bind(ParamKind::Token, text).is_err(), "{text:?}");
        }
        assert!(bind(ParamKind::Token, &"a".repeat(10_000)).is_err());
        for text in ["unbound", "kea-dhcp", ":watcher:x", "openvpn@1", "_x"] {
            assert_eq!(bind(ParamKind::Token, text).is_ok(), !text.starts_with(':'), "{text:?}");
        }
    }

    #[test]
    fn a_text_is_one_printable_line() {
        let kind = || ParamKind::Text { max_chars: 5 };
        assert_eq!(bind(kind(), "a; b").unwrap().text("x"), "a; b");
        assert!(bind(kind(), "a\nb").is_err());
        assert!(bind(kind(), "abcdef").is_err());
    }

    #[test]
    fn errors_say_what_to_write() {
        let check = |result: Result<Args, ArgError>, text: &str| {
            assert_eq!(result.unwrap_err().to_string(), text);
        };
        check(bind(ParamKind::Bool, ""), r#"argument "x" is missing or empty"#);
        check(
            bind(ParamKind::Duration { max: Duration::from_secs(60) }, "2m"),
            r#"argument "x" must be a duration up to 1m, not "2m""#,
        );
        let given = BTreeMap::from([("y".to_owned(), String::new())]);
        let params = [Param::optional("x", ParamKind::Bool, "")];
        check(Args::bind(&params, &given), r#"unknown argument "y"; it takes x"#);
    }
}
