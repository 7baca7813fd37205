//! `samples`: what they may cost in memory, how late they may come, and how they are logged.

use std::time::Duration;

use paramedic_model::parse_duration;
use paramedic_samples::{Fsync, LogOptions, OnDamage, WindowOptions};

use super::Reader;
use super::yaml::{Mistake, Node, Read as _, Table};

/// `samples`.
#[derive(Debug, Clone)]
pub struct SamplesConfig {
    /// When their log is forced to the disk. Default: every 5 s.
    pub fsync: Fsync,
    /// What is done with a damaged file of their log. Default: it is set aside.
    pub on_damage: OnDamage,
    /// The memory from which on no new series are taken, in bytes. Default: no bound.
    pub memory_limit: Option<usize>,
    /// The memory from which on the oldest samples go before their time, in bytes. Default: no bound.
    pub retention_bytes: Option<usize>,
    /// How late a sample may come. Default: not at all.
    pub out_of_order: Duration,
}

impl Default for SamplesConfig {
    fn default() -> Self {
        let LogOptions { fsync, on_damage, .. } = LogOptions::default();
        let WindowOptions { memory_limit, retention_bytes, out_of_order, .. } =
            WindowOptions::default();
        Self { fsync, on_damage, memory_limit, retention_bytes, out_of_order }
    }
}

impl SamplesConfig {
    /// The settings of a window that keeps samples for so long.
    pub fn window(&self, retention: Duration) -> WindowOptions {
        WindowOptions {
            retention,
            retention_bytes: self.retention_bytes,
            out_of_order: self.out_of_order,
            memory_limit: self.memory_limit,
            log: LogOptions {
                fsync: self.fsync,
                on_damage: self.on_damage,
                ..LogOptions::default()
            },
        }
    }
}

impl Reader<'_> {
    pub(super) fn samples(&mut self, node: Option<&Node>) -> SamplesConfig {
        let Some(node) = node else { return SamplesConfig::default() };
        let result = self.read_samples(node);
        self.note(result).unwrap_or_default()
    }

    fn read_samples(&mut self, node: &Node) -> Result<SamplesConfig, Mistake> {
        let mut table = Table::new(node, "samples")?;
        let mut samples = SamplesConfig::default();
        if let Some(node) = table.get("fsync") {
            let text = node.text("fsync")?;
            samples.fsync = match text {
                "always" => Fsync::Always,
                "never" => Fsync::Never,
                _ => parse_duration(text).map(Fsync::Interval).map_err(|_| {
                    let message = "`fsync` must be always, never, or a duration such as 5s";
                    node.mistake(format!("{message}, not {text:?}"))
                })?,
            };
        }
        if let Some(node) = table.get("on_damage") {
            samples.on_damage = match node.text("on_damage")? {
                "set-aside" => OnDamage::SetAside,
                "refuse" => OnDamage::Refuse,
                text => {
                    let message = "`on_damage` must be set-aside or refuse";
                    return Err(node.mistake(format!("{message}, not {text:?}")));
                }
            };
        }
        if let Some(node) = table.get("out_of_order") {
            let text = node.text("out_of_order")?;
            samples.out_of_order = parse_duration(text).map_err(|_| {
                let message = "`out_of_order` must be a duration such as 10m";
                node.mistake(format!("{message}, not {text:?}"))
            })?;
        }
        samples.memory_limit = size(&mut table, "memory_limit")?;
        samples.retention_bytes = size(&mut table, "retention_bytes")?;
        self.mistakes.extend(table.unknown());
        Ok(samples)
    }
}

fn size(table: &mut Table, key: &'static str) -> Result<Option<usize>, Mistake> {
    let Some(node) = table.get(key) else { return Ok(None) };
    let text = node.text(key)?;
    let size = bytes(text).ok_or_else(|| {
        node.mistake(format!("`{key}` must be a size such as 512MiB or 2GiB, not {text:?}"))
    })?;
    Ok(Some(size))
}

/// A size with its unit; as in Prometheus, `MB` is `MiB`.
fn bytes(text: &str) -> Option<usize> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let factor: usize = match unit.trim_start() {
        "B" => 1,
        "KiB" | "KB" => 1 << 10,
        "MiB" | "MB" => 1 << 20,
        "GiB" | "GB" => 1 << 30,
        _ => return None,
    };
    number.parse::<usize>().ok()?.checked_mul(factor)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::Config;

    fn read(samples: &str) -> Result<SamplesConfig, String> {
        let text = format!("samples: {{{samples}}}");
        let config = Config::parse(Path::new("paramedic.yml"), &text, &[]);
        config.map(|config| config.samples).map_err(|errors| errors.to_string())
    }

    #[test]
    fn every_key_is_read() {
        let text = "fsync: always, on_damage: refuse, out_of_order: 10m, memory_limit: 512MiB, \
                    retention_bytes: 1GiB";
        let window = read(text).unwrap().window(Duration::from_secs(60));
        assert_eq!((window.log.fsync, window.log.on_damage), (Fsync::Always, OnDamage::Refuse));
        assert_eq!(window.out_of_order, Duration::from_secs(600));
        assert_eq!((window.memory_limit, window.retention_bytes), (Some(512 << 20), Some(1 << 30)));
        assert_eq!(window.retention, Duration::from_secs(60));
    }

    #[test]
    fn what_is_no_value_is_named_with_what_is() {
        for (text, says) in [
            ("on_damage: ignore", "`on_damage` must be set-aside or refuse, not \"ignore\""),
            ("out_of_order: soon", "`out_of_order` must be a duration such as 10m"),
            ("retention_bytes: 12", "`retention_bytes` must be a size such as 512MiB"),
        ] {
            let error = read(text).unwrap_err();
            assert!(error.contains(says), "{error}");
        }
    }

    #[test]
    fn a_size_has_a_unit() {
        assert_eq!(bytes("512MiB"), Some(512 << 20));
        assert_eq!(bytes("2 GB"), Some(2 << 30));
        assert_eq!(
            (bytes("512"), bytes("MiB"), bytes("-1B"), bytes("1.5GiB")),
            (None, None, None, None)
        );
    }
}
