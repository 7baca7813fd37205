use jiff::Timestamp;
use paramedic_engine::Freeze;
use paramedic_incident::Policy;
use paramedic_model::TimeMs;

use super::Reader;
use super::yaml::{Mistake, Node, Read as _, Table};

impl Reader<'_> {
    pub(super) fn guards(&mut self, node: Option<&Node>) -> (Policy, Vec<Freeze>) {
        let Some(node) = node else { return Default::default() };
        let result = self.read_guards(node);
        self.note(result).unwrap_or_default()
    }

    fn read_guards(&mut self, node: &Node) -> Result<(Policy, Vec<Freeze>), Mistake> {
        let mut table = Table::new(node, "guards")?;
        let default = Policy::default();
        let mut policy = default.clone();
        let set = |slot: &mut _, value: Option<_>| {
            if let Some(value) = value {
                *slot = value;
            }
        };
        set(&mut policy.cooldown, self.duration(table.get("cooldown"), "cooldown"));
        let window = self.duration(table.get("attempts_window"), "attempts_window");
        set(&mut policy.attempts_window, window);
        set(&mut policy.watch, self.duration(table.get("watch"), "watch"));
        set(&mut policy.recheck, self.duration(table.get("recheck"), "recheck"));
        policy.automatic = self.flag(table.get("automatic"), "automatic").unwrap_or(false);
        let blast = self.count(table.get("automatic_blast_radius"), "automatic_blast_radius");
        policy.automatic_blast_max = blast.unwrap_or(default.automatic_blast_max);
        if let Some(count) = self.count(table.get("attempts"), "attempts") {
            policy.attempts_max = count as usize;
        }
        if let Some(count) = self.count(table.get("common_cause"), "common_cause") {
            policy.common_cause = count as usize;
        }
        let mut freezes = Vec::new();
        if let Some(node) = table.get("freezes") {
            for item in node.list("freezes")? {
                let freeze = self.freeze(item);
                freezes.extend(self.note(freeze));
            }
        }
        self.mistakes.extend(table.unknown());
        Ok((policy, freezes))
    }

    fn freeze(&mut self, node: &Node) -> Result<Freeze, Mistake> {
        let mut table = Table::new(node, "freezes")?;
        let name = table.require("name")?.text("name")?.to_owned();
        let from = moment(table.require("from")?, "from")?;
        let until_node = table.require("until")?;
        let until = moment(until_node, "until")?;
        if until <= from {
            return Err(until_node.mistake("`until` must be after `from`"));
        }
        let systems = match table.get("systems") {
            Some(node) => node.texts("systems")?,
            None => Vec::new(),
        };
        self.mistakes.extend(table.unknown());
        Ok(Freeze { name, from, until, systems })
    }
}

fn moment(node: &Node, key: &str) -> Result<TimeMs, Mistake> {
    let text = node.text(key)?;
    let moment: Timestamp = text.parse().map_err(|_| {
        node.mistake(format!("`{key}` must be a time such as 2026-12-24T00:00:00Z, not {text:?}"))
    })?;
    Ok(TimeMs(moment.as_millisecond()))
}
