//! A configuration as it may be shown, and what of it only a restart applies.
//!
//! Both are written anew from the tree, key by key. So nothing is shown that is not a key or a value:
//! no comment with the password of last year, however a secret is quoted, and however short it is.

use paramedic_model::Secret;
use paramedic_yaml::Key;

use super::Restarted;
use super::yaml::{Kind, Node};

/// What stands in place of a secret, as in Prometheus.
const MASK: &str = "<secret>";

/// Keys whose texts are secrets, wherever they stand; `key` is one in a `tls_config` alone.
const SECRETS: [&str; 3] = ["password", "credentials", "bearer_token"];

/// What is applied when rules and pages are read anew.
const READ_ANEW: [&str; 5] =
    ["rule_files", "runbooks", "shipped", "global.evaluation_interval", "global.rule_query_offset"];

/// What `root` says, which was read from `text`: YAML without comments, aliases and secrets.
pub fn without_secrets(root: &Node, text: &str) -> String {
    let mut writer = Writer { text, masks: true, out: String::new() };
    if let Kind::Map(pairs) = &root.kind {
        writer.pairs(pairs, "", 0, false);
    }
    writer.out
}

/// What each key of `root` says that only a restart applies, however it is written.
pub fn restarted(root: &Node) -> Restarted {
    let mut parts = Restarted::new();
    let Kind::Map(pairs) = &root.kind else { return parts };
    let mut add = |name: String, node: &Node| {
        if !READ_ANEW.contains(&name.as_str()) {
            // Without the text everything is quoted, so that quotes make no difference.
            let mut writer = Writer { text: "", masks: false, out: String::new() };
            writer.value(node, "", 0, false);
            parts.insert(name, Secret::new(writer.out));
        }
    };
    for (key, node) in pairs {
        match &node.kind {
            Kind::Map(pairs) if key.text == "global" => {
                pairs.iter().for_each(|(name, node)| add(format!("global.{}", name.text), node));
            }
            _ => add(key.text.clone(), node),
        }
    }
    parts
}

struct Writer<'a> {
    /// What the tree was read from.
    text: &'a str,
    masks: bool,
    out: String,
}

impl Writer<'_> {
    /// The pairs of a map behind the key `parent`. `begun` says that the first stands on a line that
    /// has begun, that of an item.
    fn pairs(&mut self, pairs: &[(Key, Node)], parent: &str, depth: usize, mut begun: bool) {
        for (key, node) in pairs {
            if !std::mem::take(&mut begun) {
                self.indent(depth);
            }
            let name = key.text.as_str();
            match is_plain(name) {
                true => self.out.push_str(name),
                false => self.quoted(name),
            }
            self.out.push(':');
            let is_secret = SECRETS.contains(&name) || (parent, name) == ("tls_config", "key");
            self.value(node, name, depth + 1, is_secret);
        }
    }

    /// What stands behind a key or the mark of an item, up to the end of its last line.
    fn value(&mut self, node: &Node, key: &str, depth: usize, is_secret: bool) {
        match &node.kind {
            Kind::Null => self.out.push_str(" null\n"),
            Kind::Scalar(value) => {
                self.out.push(' ');
                let written = self.text.get(node.bytes.clone()).unwrap_or_default().trim();
                match value.as_str() {
                    "" => self.quoted(""),
                    _ if is_secret && self.masks => self.out.push_str(MASK),
                    value if value == written && is_plain(value) => self.out.push_str(value),
                    value => self.quoted(value),
                }
                self.out.push('\n');
            }
            Kind::List(items) if items.is_empty() => self.out.push_str(" []\n"),
            Kind::Map(pairs) if pairs.is_empty() => self.out.push_str(" {}\n"),
            Kind::List(items) => {
                self.out.push('\n');
                for item in items {
                    self.indent(depth);
                    self.out.push('-');
                    match &item.kind {
                        Kind::Map(pairs) if !pairs.is_empty() => {
                            self.out.push(' ');
                            self.pairs(pairs, key, depth + 1, true);
                        }
                        _ => self.value(item, key, depth + 1, is_secret),
                    }
                }
            }
            Kind::Map(pairs) => {
                self.out.push('\n');
                self.pairs(pairs, key, depth, false);
            }
        }
    }

    fn indent(&mut self, depth: usize) {
        self.out.extend(std::iter::repeat_n("  ", depth));
    }

    /// As JSON writes it, which YAML reads.
    fn quoted(&mut self, text: &str) {
        self.out.push_str(&serde_json::Value::from(text).to_string());
    }
}

/// Whether YAML reads this text as it is without quotes, wherever it stands.
fn is_plain(text: &str) -> bool {
    let begins = text.starts_with(|c: char| c.is_ascii_alphanumeric() || "_/".contains(c));
    let is_safe = |c: char| c.is_ascii_alphanumeric() || "_-./:".contains(c);
    begins && !text.ends_with(':') && text.chars().all(is_safe)
}

#[cfg(test)]
mod tests {
    use super::super::yaml::read;
    use super::*;

    const TEXT: &str = r#"
# password: of-last-year
global: { scrape_interval: 15s, external_labels: { a: '1', b: 1, "c d": "x: \"y\"" } }
rule_files: []
scrape_configs:
- job_name: &n a
  basic_auth: { username: ann, password: 'x''1' } # and here
  tls_config: &t
    ca: "abc"
    key: |
      -----BEGIN
      abc
  params: { key: [k], password: ["p1"] }
- job_name: b
  authorization: { type: *n, credentials: "\x41bc" }
  tls_config: *t
- bearer_token: >-
    b1
    b2
  nothing: ~
  password: ""
"#;

    const SHOWN: &str = r#"global:
  scrape_interval: 15s
  external_labels:
    a: "1"
    b: 1
    "c d": "x: \"y\""
rule_files: []
scrape_configs:
  - job_name: a
    basic_auth:
      username: ann
      password: <secret>
    tls_config:
      ca: "abc"
      key: <secret>
    params:
      key:
        - k
      password:
        - <secret>
  - job_name: b
    authorization:
      type: a
      credentials: <secret>
    tls_config:
      ca: "abc"
      key: <secret>
  - bearer_token: <secret>
    nothing: null
    password: ""
"#;

    #[test]
    fn secrets_and_comments_are_left_out() {
        let shown = without_secrets(&read(TEXT).expect("it is YAML"), TEXT);
        // How an anchor is written is nobody's promise.
        assert_eq!(shown.replace("\"a\"", "a"), SHOWN);
        // What is shown says the same as what was written.
        let again = without_secrets(&read(&shown).expect("it is YAML"), &shown);
        assert_eq!(again.replace("\"<secret>\"", MASK), shown);
    }

    #[test]
    fn what_differs_is_told_from_what_is_written_otherwise() {
        let parts = |text: &str| restarted(&read(text).expect("it is YAML"));
        let before = parts(TEXT);
        let names: Vec<_> = before.keys().map(String::as_str).collect();
        assert_eq!(names, ["global.external_labels", "global.scrape_interval", "scrape_configs"]);
        let same = TEXT.replace("15s", "\"15s\"").replace("# and here", "").replace("*n", "a");
        assert_eq!(parts(&same), before);
        assert_ne!(parts(&TEXT.replace("x''1", "x''2")), before);
        assert_eq!(format!("{before:?}").matches("[redacted]").count(), 3);
    }
}
