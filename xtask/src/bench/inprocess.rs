//! What the comparison of newest samples takes in process, without HTTP and scrapes.

use anyhow::{Context as _, Result, bail};

use super::process::program;
use crate::root;

/// The expression that the example times over a family of 30,000 rows; it finds nothing.
const COMPARISON: &str = "services_status == 2";

/// The command that times expressions in process, without those that are named none.
pub fn command(expressions: &[&str]) -> Vec<String> {
    let fixed = ["run", "--release", "--quiet", "-p", "paramedic-promql", "--example"];
    let mut args: Vec<String> = fixed.iter().map(|arg| (*arg).to_owned()).collect();
    args.extend(["columnar_bench", "--"].map(str::to_owned));
    args.extend(expressions.iter().map(|text| (*text).to_owned()));
    args
}

/// Builds the example.
pub fn build() -> Result<()> {
    let what = ["-p", "paramedic-promql", "--example", "columnar_bench"];
    crate::run("cargo", &[&["build", "--release", "--quiet"][..], &what].concat())
}

/// The median of one comparison by columns, in milliseconds.
pub fn comparison_ms() -> Result<f64> {
    let output = program("cargo").args(command(&[COMPARISON])).current_dir(root()).output()?;
    if !output.status.success() {
        bail!("the example failed: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    let text = String::from_utf8_lossy(&output.stdout);
    columns_ms(&text, COMPARISON).with_context(|| format!("it does not tell of `{COMPARISON}`"))
}

/// The second number of the line that ends with `expression`: plain, then by columns.
fn columns_ms(text: &str, expression: &str) -> Option<f64> {
    let line = text.lines().find(|line| line.ends_with(&format!("  {expression}")))?;
    line.split_ascii_whitespace().nth(1)?.parse().ok()
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_time_by_columns_is_the_second() {
        let text = "1000 series\n plain ms columns ms shared ms  ratio  found\n   \
                    12.345     0.120     0.100  102.9x      0  services_status == 2\n   \
                    22.345     0.220     0.200  102.9x      0  a and services_status == 2\n";
        assert_eq!(super::columns_ms(text, "services_status == 2"), Some(0.12));
        assert_eq!(super::columns_ms(text, "nothing"), None);
    }
}
