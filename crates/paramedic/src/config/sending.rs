//! `sending`: how alerts are sent to the Alertmanagers of `alerting`.

use std::time::Duration;

use paramedic_engine::{Sending, WhenBlind};

use super::Reader;
use super::yaml::{Mistake, Node, Read as _, Table};

/// `sending`.
#[derive(Debug, Clone)]
pub struct SendingConfig {
    /// What is told of an alert whose samples vanished. Default: that it fires.
    pub when_blind: WhenBlind,
    /// How long after it was told an alert is told again. Default: 1 min.
    pub resend_delay: Duration,
    /// How many alerts may wait for one Alertmanager. Default: 10,000.
    pub queue_max: usize,
    /// How long the end may take so that alerts that wait are taken. Default: 10 s; 0s: not at all.
    pub drain_timeout: Duration,
}

impl Default for SendingConfig {
    fn default() -> Self {
        let Sending { when_blind, resend_delay, queue_max, drain_timeout, .. } = Sending::default();
        Self { when_blind, resend_delay, queue_max, drain_timeout }
    }
}

impl Reader<'_> {
    pub(super) fn sending(&mut self, node: Option<&Node>) -> SendingConfig {
        let Some(node) = node else { return SendingConfig::default() };
        let result = self.read_sending(node);
        self.note(result).unwrap_or_default()
    }

    fn read_sending(&mut self, node: &Node) -> Result<SendingConfig, Mistake> {
        let mut table = Table::new(node, "sending")?;
        let mut sending = SendingConfig::default();
        if let Some(node) = table.get("when_blind") {
            sending.when_blind = match node.text("when_blind")? {
                "hold" => WhenBlind::Hold,
                "resolve" => WhenBlind::Resolve,
                other => {
                    let message = format!("`when_blind` is hold or resolve, not {other:?}");
                    return Err(node.mistake(message));
                }
            };
        }
        let delay = self.duration(table.get("resend_delay"), "resend_delay");
        sending.resend_delay = delay.unwrap_or(sending.resend_delay);
        let drain = self.duration(table.get("drain_timeout"), "drain_timeout");
        sending.drain_timeout = drain.unwrap_or(sending.drain_timeout);
        if let Some(node) = table.get("queue_max") {
            match self.count(Some(node), "queue_max") {
                Some(0) => return Err(node.mistake("`queue_max` must be at least 1".to_owned())),
                Some(count) => sending.queue_max = count as usize,
                None => {}
            }
        }
        self.mistakes.extend(table.unknown());
        Ok(sending)
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use expect_test::{Expect, expect};

    use crate::config::Config;

    fn check(text: &str, expected: Expect) {
        let shown = match Config::parse(Path::new("p.yml"), text, &[]) {
            Ok(config) => format!("{:?}", config.sending),
            Err(errors) => errors.to_string(),
        };
        expected.assert_eq(&shown);
    }

    #[test]
    fn sending_has_its_settings() {
        check(
            "",
            expect![
                "SendingConfig { when_blind: Hold, resend_delay: 60s, queue_max: 10000, drain_timeout: 10s }"
            ],
        );
        check(
            "sending: { when_blind: resolve, resend_delay: 15s, queue_max: 5, drain_timeout: 0s }",
            expect![
                "SendingConfig { when_blind: Resolve, resend_delay: 15s, queue_max: 5, drain_timeout: 0ns }"
            ],
        );
        check(
            "sending: { when_blind: never }",
            expect![[r#"p.yml:1:24: `when_blind` is hold or resolve, not "never""#]],
        );
        check("sending: { queue_max: 0 }", expect!["p.yml:1:23: `queue_max` must be at least 1"]);
    }
}
