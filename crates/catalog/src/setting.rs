use std::collections::BTreeMap;
use std::time::Duration;

use paramedic_model::Secret;

/// One key of a system's configuration.
#[derive(Debug, Clone)]
pub struct Setting {
    /// The key.
    pub name: &'static str,
    /// What it may hold.
    pub kind: SettingKind,
    /// Whether a system must have it.
    pub required: bool,
    /// What it means, with its default where it has one.
    pub doc: &'static str,
    /// A value as one would write it in YAML, on one line.
    pub example: &'static str,
}

/// What a setting may hold.
#[derive(Debug, Clone)]
pub enum SettingKind {
    /// A text.
    Text,
    /// `http://` or `https://` with a host, and a port where it is not the usual one.
    Url,
    /// `host:port`.
    Address,
    /// `true` or `false`.
    Bool,
    /// A duration as Prometheus writes it.
    Duration,
    /// Never written in the file itself: `{ file: PATH }` or `{ env: NAME }`.
    Secret,
    /// A list of texts.
    TextList,
    /// Texts by name.
    TextMap,
    /// Lists of texts by name: commands, each as its words.
    ListMap,
    /// More settings below this key.
    Table(Vec<Setting>),
    /// The same settings again and again, each time below a name that the user chooses.
    TableMap(Vec<Setting>),
}

/// The value of a setting, of the kind that its declaration names.
#[derive(Debug, Clone)]
pub enum SettingValue {
    /// Of `Text`, `Url` and `Address`.
    Text(String),
    /// Of `Bool`.
    Bool(bool),
    /// Of `Duration`.
    Duration(Duration),
    /// Of `Secret`, already read from its file or variable.
    Secret(Secret),
    /// Of `TextList`.
    TextList(Vec<String>),
    /// Of `TextMap`.
    TextMap(BTreeMap<String, String>),
    /// Of `ListMap`.
    ListMap(BTreeMap<String, Vec<String>>),
    /// Of `Table`.
    Table(Settings),
    /// Of `TableMap`.
    TableMap(BTreeMap<String, Settings>),
}

/// The settings of one system, as far as they were given.
///
/// The configuration reader checks names and kinds against the declaration before it makes one, so
/// the getters answer `None` (or empty) only where a setting was left out.
#[derive(Debug, Clone, Default)]
pub struct Settings(BTreeMap<String, SettingValue>);

impl Settings {
    /// Sets `name`.
    pub fn set(&mut self, name: &str, value: SettingValue) -> &mut Self {
        self.0.insert(name.to_owned(), value);
        self
    }

    /// Sets `name` to a text, for tests and simulators.
    pub fn with_text(mut self, name: &str, text: impl Into<String>) -> Self {
        self.set(name, SettingValue::Text(text.into()));
        self
    }

    /// Sets `name` to a secret, for tests and simulators.
    pub fn with_secret(mut self, name: &str, text: &str) -> Self {
        self.set(name, SettingValue::Secret(Secret::new(text)));
        self
    }

    /// The names that were given.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// The text of `name`.
    pub fn text(&self, name: &str) -> Option<&str> {
        match self.0.get(name) {
            Some(SettingValue::Text(text)) => Some(text),
            _ => None,
        }
    }

    /// The flag `name`.
    pub fn flag(&self, name: &str) -> Option<bool> {
        match self.0.get(name) {
            Some(SettingValue::Bool(flag)) => Some(*flag),
            _ => None,
        }
    }

    /// The duration of `name`.
    pub fn duration(&self, name: &str) -> Option<Duration> {
        match self.0.get(name) {
            Some(SettingValue::Duration(duration)) => Some(*duration),
            _ => None,
        }
    }

    /// The secret `name`.
    pub fn secret(&self, name: &str) -> Option<&Secret> {
        match self.0.get(name) {
            Some(SettingValue::Secret(secret)) => Some(secret),
            _ => None,
        }
    }

    /// The list `name`; empty where it was not given.
    pub fn list(&self, name: &str) -> &[String] {
        match self.0.get(name) {
            Some(SettingValue::TextList(list)) => list,
            _ => &[],
        }
    }

    /// The map `name`, where it was given.
    pub fn map(&self, name: &str) -> Option<&BTreeMap<String, String>> {
        match self.0.get(name) {
            Some(SettingValue::TextMap(map)) => Some(map),
            _ => None,
        }
    }

    /// The map of lists `name`, where it was given.
    pub fn lists(&self, name: &str) -> Option<&BTreeMap<String, Vec<String>>> {
        match self.0.get(name) {
            Some(SettingValue::ListMap(map)) => Some(map),
            _ => None,
        }
    }

    /// The settings below `name`, where it was given.
    pub fn table(&self, name: &str) -> Option<&Settings> {
        match self.0.get(name) {
            Some(SettingValue::Table(settings)) => Some(settings),
            _ => None,
        }
    }

    /// The tables below `name`, where it was given.
    pub fn tables(&self, name: &str) -> Option<&BTreeMap<String, Settings>> {
        match self.0.get(name) {
            Some(SettingValue::TableMap(tables)) => Some(tables),
            _ => None,
        }
    }
}
