use paramedic_model::is_legacy_label_name;
use paramedic_regexp::{Anchored, RegexpError};

/// What a rule does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Action {
    /// Sets the target label to the replacement where the regular expression matches the value.
    #[default]
    Replace,
    /// Drops sets whose value does not match.
    Keep,
    /// Drops sets whose value matches.
    Drop,
    /// Drops sets whose value differs from the target label's.
    KeepEqual,
    /// Drops sets whose value is the target label's.
    DropEqual,
    /// Sets the target label to a hash of the value, modulo `modulus`.
    HashMod,
    /// Copies each label whose name matches to the name that the replacement makes of it.
    LabelMap,
    /// Removes labels whose name matches.
    LabelDrop,
    /// Removes labels whose name does not match.
    LabelKeep,
    /// Sets the target label to the value in lower case.
    Lowercase,
    /// Sets the target label to the value in upper case.
    Uppercase,
}

impl Action {
    /// Every action.
    pub const ALL: [Action; 11] = [
        Action::Replace,
        Action::Keep,
        Action::Drop,
        Action::KeepEqual,
        Action::DropEqual,
        Action::HashMod,
        Action::LabelMap,
        Action::LabelDrop,
        Action::LabelKeep,
        Action::Lowercase,
        Action::Uppercase,
    ];

    /// The word of the configuration.
    pub fn word(self) -> &'static str {
        match self {
            Action::Replace => "replace",
            Action::Keep => "keep",
            Action::Drop => "drop",
            Action::KeepEqual => "keepequal",
            Action::DropEqual => "dropequal",
            Action::HashMod => "hashmod",
            Action::LabelMap => "labelmap",
            Action::LabelDrop => "labeldrop",
            Action::LabelKeep => "labelkeep",
            Action::Lowercase => "lowercase",
            Action::Uppercase => "uppercase",
        }
    }

    /// The action of this word, in whatever case.
    pub fn of(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|action| action.word().eq_ignore_ascii_case(word))
    }
}

/// Which names a label may have: `metric_name_validation_scheme`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum NameScheme {
    /// Any text that is not empty.
    #[default]
    Utf8,
    /// `[a-zA-Z_][a-zA-Z0-9_]*`.
    Legacy,
}

impl NameScheme {
    /// Whether a label may have this name.
    pub fn is_label_name(self, name: &str) -> bool {
        match self {
            NameScheme::Utf8 => !name.is_empty(),
            NameScheme::Legacy => is_legacy_label_name(name),
        }
    }

    /// Whether a text may become a name once its `$1` are replaced.
    fn may_become_name(self, template: &str) -> bool {
        match self {
            NameScheme::Utf8 => !template.is_empty(),
            NameScheme::Legacy => is_legacy_template(template),
        }
    }
}

/// Letters, digits and underscores, `$word` and `${word}`; a digit only after something else.
fn is_legacy_template(template: &str) -> bool {
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let mut rest = template;
    while !rest.is_empty() {
        if let Some(variable) = rest.strip_prefix('$') {
            let (braced, variable) = match variable.strip_prefix('{') {
                Some(variable) => (true, variable),
                None => (false, variable),
            };
            let end = variable.find(|c| !is_word(c)).unwrap_or(variable.len());
            let after = &variable[end..];
            match (end, braced, after.strip_prefix('}')) {
                (0, ..) | (_, true, None) => return false,
                (_, true, Some(after)) => rest = after,
                (_, false, _) => rest = after,
            }
        } else {
            let is_start = rest.len() == template.len();
            match rest.chars().next() {
                Some(c) if is_word(c) && !(is_start && c.is_ascii_digit()) => rest = &rest[1..],
                _ => return false,
            }
        }
    }
    !template.is_empty()
}

/// What a person wrote; `None` where a field is not there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fields {
    /// `source_labels`
    pub source_labels: Option<Vec<String>>,
    /// `separator`
    pub separator: Option<String>,
    /// `regex`
    pub regex: Option<String>,
    /// `modulus`
    pub modulus: u64,
    /// `target_label`
    pub target_label: String,
    /// `replacement`
    pub replacement: Option<String>,
    /// `action`
    pub action: Action,
    /// The names that labels may have.
    pub names: NameScheme,
}

/// Why fields make no rule. The texts are Prometheus's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RuleError {
    /// `regex` is none.
    #[error(transparent)]
    Regex(#[from] RegexpError),
    /// `hashmod` without `modulus`.
    #[error("relabel configuration for hashmod requires non-zero modulus")]
    Modulus,
    /// An action that needs a target.
    #[error("relabel configuration for {0} action requires 'target_label' value")]
    NoTarget(&'static str),
    /// A target that is no label name.
    #[error("{name:?} is invalid 'target_label' for {action} action")]
    Target {
        /// What is written.
        name: String,
        /// The action.
        action: &'static str,
    },
    /// A replacement that makes no label name.
    #[error("{text:?} is invalid 'replacement' for {action} action")]
    Replacement {
        /// What is written.
        text: String,
        /// The action.
        action: &'static str,
    },
    /// A replacement where none belongs.
    #[error("'replacement' can not be set for {0} action")]
    NoReplacement(&'static str),
    /// Fields besides labels and target.
    #[error("{0} action requires only 'source_labels' and `target_label`, and no other fields")]
    OnlyLabels(&'static str),
    /// Fields besides the regular expression.
    #[error("{0} action requires only 'regex', and no other fields")]
    OnlyRegex(&'static str),
}

/// One rule, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    pub(crate) source_labels: Vec<String>,
    pub(crate) separator: String,
    pub(crate) regex: Anchored,
    pub(crate) modulus: u64,
    pub(crate) target_label: String,
    pub(crate) replacement: String,
    pub(crate) action: Action,
    pub(crate) names: NameScheme,
}

impl Rule {
    /// What stands between values where nothing else is said.
    pub const SEPARATOR: &'static str = ";";
    /// What is matched where nothing else is said.
    pub const REGEX: &'static str = "(.*)";
    /// What replaces where nothing else is said.
    pub const REPLACEMENT: &'static str = "$1";

    /// The rule of these fields, with Prometheus's defaults.
    ///
    /// # Errors
    ///
    /// Fields that Prometheus refuses.
    pub fn new(fields: Fields) -> Result<Self, RuleError> {
        let Fields { source_labels, separator, regex, modulus, target_label, .. } = fields;
        let (action, names) = (fields.action, fields.names);
        let word = action.word();
        let separator = separator.unwrap_or_else(|| Self::SEPARATOR.to_owned());
        let replacement = fields.replacement.unwrap_or_else(|| Self::REPLACEMENT.to_owned());
        let anchored = Anchored::new(regex.as_deref().unwrap_or(Self::REGEX))?;
        use Action::{
            DropEqual, HashMod, KeepEqual, LabelDrop, LabelKeep, LabelMap, Lowercase, Replace,
            Uppercase,
        };
        if modulus == 0 && action == HashMod {
            return Err(RuleError::Modulus);
        }
        let has_target =
            matches!(action, Replace | HashMod | Lowercase | Uppercase | KeepEqual | DropEqual);
        if has_target && target_label.is_empty() {
            return Err(RuleError::NoTarget(word));
        }
        let valid = match action {
            Replace if target_label.contains('$') => names.may_become_name(&target_label),
            _ => names.is_label_name(&target_label),
        };
        if has_target && !valid {
            return Err(RuleError::Target { name: target_label, action: word });
        }
        let plain = replacement == Self::REPLACEMENT;
        if matches!(action, Lowercase | Uppercase | KeepEqual | DropEqual) && !plain {
            return Err(RuleError::NoReplacement(word));
        }
        if action == LabelMap && !names.may_become_name(&replacement) {
            return Err(RuleError::Replacement { text: replacement, action: word });
        }
        let bare = modulus == 0 && separator == Self::SEPARATOR && plain;
        if matches!(action, DropEqual | KeepEqual) && (regex.is_some() || !bare) {
            return Err(RuleError::OnlyLabels(word));
        }
        if matches!(action, LabelDrop | LabelKeep)
            && (source_labels.is_some() || !target_label.is_empty() || !bare)
        {
            return Err(RuleError::OnlyRegex(word));
        }
        let source_labels = source_labels.unwrap_or_default();
        Ok(Self {
            source_labels,
            separator,
            regex: anchored,
            modulus,
            target_label,
            replacement,
            action,
            names,
        })
    }

    /// What the rule does.
    pub fn action(&self) -> Action {
        self.action
    }
}
