//! `samples`: what they may cost in memory, and how they are logged.

use paramedic_model::parse_duration;
use paramedic_samples::{Fsync, LogOptions};

use super::Reader;
use super::yaml::{Mistake, Node, Read as _, Table};

/// `samples`.
#[derive(Debug, Clone)]
pub struct SamplesConfig {
    /// When their log is forced to the disk. Default: every 5 s.
    pub fsync: Fsync,
    /// The memory from which on no new series are taken, in bytes. Default: no bound.
    pub memory_limit: Option<usize>,
}

impl Default for SamplesConfig {
    fn default() -> Self {
        Self { fsync: LogOptions::default().fsync, memory_limit: None }
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
        if let Some(node) = table.get("memory_limit") {
            let text = node.text("memory_limit")?;
            samples.memory_limit = Some(bytes(text).ok_or_else(|| {
                let message = "`memory_limit` must be a size such as 512MiB or 2GiB";
                node.mistake(format!("{message}, not {text:?}"))
            })?);
        }
        self.mistakes.extend(table.unknown());
        Ok(samples)
    }
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
    use super::bytes;

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
