//! What Go's YAML library says of a value, because Prometheus's messages quote it.

use paramedic_yaml::{Kind, Node};

/// What Go's YAML library calls the value in a message.
pub(crate) fn described(node: &Node) -> String {
    match &node.kind {
        Kind::Null => "!!null".to_owned(),
        Kind::Scalar(text) => {
            const SHOWN_CHARS_MAX: usize = 10;
            let mut shown: String = text.chars().take(SHOWN_CHARS_MAX).collect();
            if shown.len() < text.len() {
                shown.push_str("...");
            }
            format!("!!str `{shown}`")
        }
        Kind::List(_) => "!!seq".to_owned(),
        Kind::Map(_) => "!!map".to_owned(),
    }
}
