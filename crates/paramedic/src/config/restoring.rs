//! `restore`: how alerts come back after a restart.

use std::time::Duration;

use paramedic_rules::Restore;
use paramedic_yaml::Kind;

use super::Reader;
use super::yaml::{Mistake, Node, Read as _, Table};

impl Reader<'_> {
    pub(super) fn restore(&mut self, node: Option<&Node>) -> Restore {
        let Some(node) = node else { return Restore::default() };
        let result = match node.kind {
            Kind::Map(_) => self.read_restore(node),
            _ => kind(node, "restore"),
        };
        self.note(result).unwrap_or_default()
    }

    fn read_restore(&mut self, node: &Node) -> Result<Restore, Mistake> {
        let mut table = Table::new(node, "restore")?;
        let from = table.get("from").ok_or_else(|| node.mistake("`restore` lacks `from`"))?;
        let mut restore = kind(from, "from")?;
        for key in ["for_grace_period", "for_outage_tolerance"] {
            let Some(node) = table.get(key) else { continue };
            let Some(duration) = self.duration(Some(node), key) else { continue };
            let Restore::Prometheus { for_grace_period, for_outage_tolerance } = &mut restore
            else {
                return Err(node.mistake(format!("`{key}` is of `from: prometheus`")));
            };
            *(if key == "for_grace_period" { for_grace_period } else { for_outage_tolerance }) =
                duration;
        }
        self.mistakes.extend(table.unknown());
        Ok(restore)
    }
}

/// Where alerts come back from, with Prometheus's defaults.
fn kind(node: &Node, key: &str) -> Result<Restore, Mistake> {
    match node.text(key)? {
        "journal" => Ok(Restore::Journal),
        "prometheus" => Ok(Restore::Prometheus {
            for_grace_period: Duration::from_secs(600),
            for_outage_tolerance: Duration::from_secs(3600),
        }),
        text => Err(node.mistake(format!("`{key}` must be journal or prometheus, not {text:?}"))),
    }
}
