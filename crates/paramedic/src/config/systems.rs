use std::collections::BTreeMap;
use std::time::Duration;

use paramedic_catalog::{Catalog, Setting, SettingKind, SettingValue, Settings};
use paramedic_integration::Address;
use paramedic_model::{Labels, Secret, parse_duration};
use paramedic_yaml::{Key, nearest};

use super::yaml::{Mistake, Node, Read as _, Table};
use super::{Global, Reader};

/// One system under care.
#[derive(Debug)]
pub struct SystemConfig {
    /// Its name.
    pub name: String,
    /// Its kind.
    pub kind: String,
    /// How often it is collected.
    pub interval: Duration,
    /// How long one collection may take.
    pub timeout: Duration,
    /// Labels added to its samples.
    pub labels: Labels,
    /// Labels of an alert that is about it, for alerts whose samples it did not yield itself.
    pub matches: BTreeMap<String, String>,
    /// Who takes over.
    pub contact: Option<Contact>,
    /// The keys of its kind. The table `host`, where there is one, is among them.
    pub settings: Settings,
    /// The host that it runs on: settings of the kind `generic`.
    pub host: Option<Settings>,
}

/// Who takes over when Paramedic cannot go on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contact {
    /// A person or a team.
    pub name: String,
    /// How to reach them: telephone, mail, URL, as given.
    pub reach: Vec<String>,
}

impl std::fmt::Display for Contact {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.reach.as_slice() {
            [] => f.write_str(&self.name),
            reach => write!(f, "{} ({})", self.name, reach.join(", ")),
        }
    }
}

impl Reader<'_> {
    pub(super) fn systems(&mut self, node: Option<&Node>, global: &Global) -> Vec<SystemConfig> {
        let Some(node) = node else { return Vec::new() };
        let Some(items) = self.note(node.list("systems")) else { return Vec::new() };
        let mut systems: Vec<SystemConfig> = Vec::new();
        for item in items {
            let result = self.system(item, global);
            let Some(system) = self.note(result) else { continue };
            if systems.iter().any(|earlier| earlier.name == system.name) {
                let message = format!("there are two systems named `{}`", system.name);
                self.mistakes.push(item.mistake(message));
            } else {
                systems.push(system);
            }
        }
        systems
    }

    fn catalog(&self, kind: &str) -> Option<&'static Catalog> {
        self.catalogs.iter().copied().find(|catalog| catalog.kind == kind)
    }

    fn system(&mut self, node: &Node, global: &Global) -> Result<SystemConfig, Mistake> {
        let mut table = Table::new(node, "systems")?;
        let name_node = table.require("name")?;
        let name = name_node.text("name")?.to_owned();
        if name.is_empty() || !name.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c))
        {
            let message = format!("`name` may hold letters, digits and - _ . only, not {name:?}");
            return Err(name_node.mistake(message));
        }
        let kind_node = table.require("kind")?;
        let kind = kind_node.text("kind")?;
        let Some(catalog) = self.catalog(kind) else {
            let kinds: Vec<_> = self.catalogs.iter().map(|catalog| catalog.kind).collect();
            let hint = match nearest(kind, &kinds) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("there are {}", kinds.join(", ")),
            };
            return Err(kind_node.mistake(format!("unknown kind `{kind}`; {hint}")));
        };
        let interval = self.duration(table.get("interval"), "interval");
        let interval = interval.unwrap_or(global.scrape_interval);
        let timeout = self.duration(table.get("timeout"), "timeout");
        let timeout = timeout.unwrap_or(global.scrape_timeout.max(Duration::from_secs(30)));
        let labels = self.map(table.get("labels"), "labels").into_iter().collect();
        let matches = self.map(table.get("match"), "match");
        let contact = match table.get("contact") {
            Some(node) => Some(self.contact(node)?),
            None => None,
        };
        let mut settings = self.settings(&mut table, &catalog.settings, node)?;
        // `generic` is the host, so it needs no second one.
        let host = match (kind, table.get("host"), self.catalog("generic")) {
            ("generic", _, _) | (_, None, _) | (_, _, None) => None,
            (_, Some(node), Some(generic)) => {
                let mut host = Table::new(node, "host")?;
                let read = self.settings(&mut host, &generic.settings, node)?;
                self.mistakes.extend(host.unknown());
                settings.set("host", SettingValue::Table(read.clone()));
                Some(read)
            }
        };
        self.mistakes.extend(table.unknown());
        let kind = kind.to_owned();
        Ok(SystemConfig { name, kind, interval, timeout, labels, matches, contact, settings, host })
    }

    fn contact(&mut self, node: &Node) -> Result<Contact, Mistake> {
        let mut table = Table::new(node, "contact")?;
        let name = table.require("name")?.text("name")?.to_owned();
        let mut reach = Vec::new();
        for key in ["phone", "email", "url"] {
            if let Some(node) = table.get(key) {
                reach.push(node.text(key)?.to_owned());
            }
        }
        self.mistakes.extend(table.unknown());
        Ok(Contact { name, reach })
    }

    /// The declared settings that `table` holds. A mistake in one does not hide those in others.
    fn settings<'a>(
        &mut self,
        table: &mut Table<'a>,
        declared: &'a [Setting],
        at: &Node,
    ) -> Result<Settings, Mistake> {
        let mut settings = Settings::default();
        for setting in declared {
            match table.get(setting.name) {
                Some(node) => {
                    let value = self.setting(setting.name, &setting.kind, node);
                    if let Some(value) = self.note(value) {
                        settings.set(setting.name, value);
                    }
                }
                None if setting.required => {
                    let (name, example) = (setting.name, setting.example);
                    let message = format!("`{name}` is missing; for example `{name}: {example}`");
                    self.mistakes.push(at.mistake(message));
                }
                None => {}
            }
        }
        Ok(settings)
    }

    fn setting(
        &mut self,
        key: &str,
        kind: &SettingKind,
        node: &Node,
    ) -> Result<SettingValue, Mistake> {
        let wrong =
            |what: &str, text: &str| node.mistake(format!("`{key}` must be {what}, not {text:?}"));
        Ok(match kind {
            SettingKind::Text => SettingValue::Text(node.text(key)?.to_owned()),
            SettingKind::Url => {
                let text = node.text(key)?;
                if !text.starts_with("http://") && !text.starts_with("https://") {
                    return Err(wrong("a URL such as https://192.0.2.1", text));
                }
                SettingValue::Text(text.to_owned())
            }
            SettingKind::Address => {
                let text = node.text(key)?;
                Address::parse(text).map_err(|error| node.mistake(format!("`{key}`: {error}")))?;
                SettingValue::Text(text.to_owned())
            }
            SettingKind::Bool => {
                let text = node.text(key)?;
                SettingValue::Bool(text.parse().map_err(|_| wrong("true or false", text))?)
            }
            SettingKind::Duration => {
                let text = node.text(key)?;
                let duration = parse_duration(text);
                SettingValue::Duration(duration.map_err(|_| wrong("a duration such as 10s", text))?)
            }
            SettingKind::Secret => SettingValue::Secret(self.secret(key, node)?),
            SettingKind::TextList => SettingValue::TextList(node.texts(key)?),
            SettingKind::TextMap => {
                let text = |(name, value): &(Key, Node)| {
                    Ok((name.text.as_str().to_owned(), value.text(name.text.as_str())?.to_owned()))
                };
                SettingValue::TextMap(node.pairs(key)?.iter().map(text).collect::<Result<_, _>>()?)
            }
            SettingKind::ListMap => {
                let list = |(name, value): &(Key, Node)| {
                    Ok((name.text.as_str().to_owned(), value.texts(name.text.as_str())?))
                };
                SettingValue::ListMap(node.pairs(key)?.iter().map(list).collect::<Result<_, _>>()?)
            }
            SettingKind::Table(declared) => SettingValue::Table(self.nested(key, declared, node)?),
            SettingKind::TableMap(declared) => {
                let mut tables = BTreeMap::new();
                for (name, value) in node.pairs(key)? {
                    let nested = self.nested(name.text.as_str(), declared, value)?;
                    tables.insert(name.text.as_str().to_owned(), nested);
                }
                SettingValue::TableMap(tables)
            }
        })
    }

    fn nested(
        &mut self,
        key: &str,
        declared: &[Setting],
        node: &Node,
    ) -> Result<Settings, Mistake> {
        let mut table = Table::new(node, key)?;
        let settings = self.settings(&mut table, declared, node)?;
        self.mistakes.extend(table.unknown());
        Ok(settings)
    }

    /// A secret from a file or a variable. One that stands in the file itself is refused.
    fn secret(&mut self, key: &str, node: &Node) -> Result<Secret, Mistake> {
        let advice = format!("`{key}` is a secret: write {{ file: PATH }} or {{ env: NAME }}");
        let mut table = Table::new(node, key).map_err(|_| node.mistake(advice.clone()))?;
        let secret = match (table.get("file"), table.get("env")) {
            (Some(file), None) => self.secret_file(file, file.text("file")?)?,
            (None, Some(variable)) => {
                let name = variable.text("env")?;
                let value = std::env::var(name).map_err(|_| {
                    variable.mistake(format!("the environment variable {name} is not set"))
                })?;
                Secret::new(value)
            }
            _ => return Err(node.mistake(advice)),
        };
        self.mistakes.extend(table.unknown());
        if secret.expose().is_empty() {
            return Err(node.mistake(format!("`{key}` is empty")));
        }
        Ok(secret)
    }

    pub(super) fn secret_file(&mut self, at: &Node, path: &str) -> Result<Secret, Mistake> {
        let path = self.path(path);
        let text = std::fs::read_to_string(&path)
            .map_err(|error| at.mistake(format!("cannot read {}: {error}", path.display())))?;
        // An editor ends a file with a line break, which is never part of a secret.
        Ok(Secret::new(text.trim_end_matches(['\r', '\n'])))
    }
}
