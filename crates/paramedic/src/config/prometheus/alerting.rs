use std::time::Duration;

use paramedic_relabel::NameScheme;
use paramedic_scrape::{Alerting, Alertmanager};

use super::super::Reader;
use super::super::yaml::{Mistake, Node, Read as _, Table};
use super::scheme;

impl Reader<'_> {
    pub(in super::super) fn alerting(
        &mut self,
        node: &Node,
        names: NameScheme,
    ) -> Result<Alerting, Mistake> {
        let mut table = Table::new(node, "alerting")?;
        let relabel = table.get("alert_relabel_configs");
        let relabel = self.rules(relabel, "alert_relabel_configs", names);
        let mut alertmanagers = Vec::new();
        if let Some(node) = table.get("alertmanagers") {
            for item in node.list("alertmanagers")? {
                let alertmanager = self.alertmanager(item, names);
                alertmanagers.extend(self.note(alertmanager));
            }
        }
        self.mistakes.extend(table.unknown());
        Ok(Alerting { relabel, alertmanagers })
    }

    fn alertmanager(&mut self, node: &Node, names: NameScheme) -> Result<Alertmanager, Mistake> {
        let mut table = Table::new(node, "alertmanagers")?;
        let scheme = scheme(table.get("scheme"))?;
        let path_prefix = match table.get("path_prefix") {
            Some(node) => node.text("path_prefix")?.to_owned(),
            None => "/".to_owned(),
        };
        let timeout = self.duration(table.get("timeout"), "timeout");
        if let Some(node) = table.get("api_version") {
            let version = node.text("api_version")?;
            if version != "v2" {
                let message =
                    format!("expected Alertmanager api version to be v2 but got {version}");
                self.mistakes.push(node.mistake(message));
            }
        }
        let client = self.client(&mut table, node)?;
        let relabel = table.get("relabel_configs");
        let relabel = self.rules(relabel, "relabel_configs", names);
        let alert_relabel = table.get("alert_relabel_configs");
        let alert_relabel = self.rules(alert_relabel, "alert_relabel_configs", names);
        let sources = self.sources(&mut table, names)?;
        self.refuse(&mut table, &[("sigv4", "use `authorization` or `basic_auth`")]);
        self.mistakes.extend(table.unknown());
        let timeout = timeout.unwrap_or(Duration::from_secs(10));
        Ok(Alertmanager { scheme, path_prefix, timeout, client, relabel, alert_relabel, sources })
    }
}
