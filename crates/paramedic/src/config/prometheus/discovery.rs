use std::time::Duration;

use paramedic_model::Labels;
use paramedic_relabel::NameScheme;
use paramedic_scrape::{FileSource, HttpSource, Sources, TargetGroup};

use super::super::Reader;
use super::super::yaml::{Mistake, Node, Read as _, Table};

impl Reader<'_> {
    /// Where targets come from; other discoveries are refused by name.
    pub(super) fn sources<'a>(
        &mut self,
        table: &mut Table<'a>,
        names: NameScheme,
    ) -> Result<Sources, Mistake> {
        let mut sources = Sources::default();
        for node in items(table.get("static_configs"), "static_configs")? {
            let group = self.static_config(node, names);
            sources.fixed.extend(self.note(group));
        }
        for node in items(table.get("file_sd_configs"), "file_sd_configs")? {
            let source = self.file_config(node);
            sources.files.extend(self.note(source));
        }
        for node in items(table.get("http_sd_configs"), "http_sd_configs")? {
            let source = self.http_config(node);
            sources.http.extend(self.note(source));
        }
        for key in table.keys() {
            let known = ["static_configs", "file_sd_configs", "http_sd_configs"].contains(&key);
            if known || !key.ends_with("_sd_configs") {
                continue;
            }
            if let Some(node) = table.get(key) {
                let message = format!(
                    "`{key}` is not supported: let something write the targets to a file for \
                     `file_sd_configs`, or serve them for `http_sd_configs`"
                );
                self.mistakes.push(node.mistake(message));
            }
        }
        Ok(sources)
    }

    fn static_config(&mut self, node: &Node, names: NameScheme) -> Result<TargetGroup, Mistake> {
        let mut table = Table::new(node, "static_configs")?;
        let labels_node = table.get("labels");
        let labels = self.map(labels_node, "labels");
        if let Some(name) = labels.keys().find(|name| !names.is_label_name(name))
            && let Some(node) = labels_node
        {
            self.mistakes.push(node.mistake(format!("{name:?} is not a valid label name")));
        }
        let labels: Labels = labels.into_iter().collect();
        let mut targets = Vec::new();
        for target in items(table.get("targets"), "targets")? {
            let text = target.text("targets")?;
            if text.contains('/') {
                let message = format!(
                    "{text:?} is not a valid hostname; write host:port, and the rest as `scheme` and \
                     `metrics_path`"
                );
                self.mistakes.push(target.mistake(message));
            }
            targets.push(text.to_owned());
        }
        self.mistakes.extend(table.unknown());
        Ok(TargetGroup { targets, labels })
    }

    fn file_config(&mut self, node: &Node) -> Result<FileSource, Mistake> {
        let mut table = Table::new(node, "file_sd_configs")?;
        let mut patterns = Vec::new();
        for file in table.require("files")?.list("files")? {
            let text = file.text("files")?;
            let (folder, name) = text.rsplit_once('/').unwrap_or(("", text));
            let ends = [".json", ".yml", ".yaml"].iter().any(|end| name.ends_with(end));
            if !ends || folder.contains('*') {
                return Err(file.mistake(format!(
                    "path name {text:?} is not valid for file discovery: it ends in .json, .yml or \
                     .yaml, and only its last part may hold *"
                )));
            }
            patterns.push(self.path(text));
        }
        if patterns.is_empty() {
            return Err(
                node.mistake("file service discovery config must contain at least one path name")
            );
        }
        let refresh = self.duration(table.get("refresh_interval"), "refresh_interval");
        self.mistakes.extend(table.unknown());
        Ok(FileSource { patterns, refresh: refresh.unwrap_or(Duration::from_secs(300)) })
    }

    fn http_config(&mut self, node: &Node) -> Result<HttpSource, Mistake> {
        let mut table = Table::new(node, "http_sd_configs")?;
        let url_node = table.require("url")?;
        let url = url_node.text("url")?.to_owned();
        let host = url.strip_prefix("http://").or_else(|| url.strip_prefix("https://"));
        match host {
            None => return Err(url_node.mistake("URL scheme must be 'http' or 'https'")),
            Some(host) if host.is_empty() || host.starts_with('/') => {
                return Err(url_node.mistake("host is missing in URL"));
            }
            Some(host) if host.split(['/', '?', '#']).next().is_some_and(|at| at.contains('@')) => {
                let message = "user and password do not belong into a URL, which is shown and logged; \
                               use `basic_auth`";
                return Err(url_node.mistake(message));
            }
            Some(_) => {}
        }
        let refresh = self.duration(table.get("refresh_interval"), "refresh_interval");
        let client = self.client(&mut table, node)?;
        self.mistakes.extend(table.unknown());
        Ok(HttpSource { url, refresh: refresh.unwrap_or(Duration::from_secs(60)), client })
    }
}

fn items<'a>(node: Option<&'a Node>, key: &str) -> Result<&'a [Node], Mistake> {
    node.map_or(Ok(&[]), |node| node.list(key))
}
