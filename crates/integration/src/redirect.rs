//! URLs that an answer leads to, as Go reads them.

use crate::{SettingsError, UrlPath};

/// How often a redirect is followed, as in Go.
pub const REDIRECTS_MAX: usize = 10;

/// The server of a URL, `https://host:port`, and path and query on it.
///
/// # Errors
///
/// A text that is no URL, and a path that cannot be asked for.
pub fn split_url(url: &str) -> Result<(&str, UrlPath), SettingsError> {
    let error = |reason: String| SettingsError::new("url", reason);
    let no_url = || error(format!("{:?} is no URL", without_query(url)));
    let after = url.find("://").ok_or_else(no_url)? + 3;
    let at = url[after..].find(['/', '?']).map_or(url.len(), |at| after + at);
    let (base, path) = url.split_at(at);
    let path = match path.starts_with('/') {
        true => UrlPath::given(path),
        false => UrlPath::given(&format!("/{path}")),
    };
    Ok((base, path.map_err(|reason| error(reason.to_string()))?))
}

/// A URL for a message: what follows a question mark may be a token.
pub fn without_query(url: &str) -> &str {
    url.split(['?', '#']).next().unwrap_or_default()
}

/// Where the header `location` leads, as an answer of `url`, whose server is `base`.
pub fn redirected(base: &str, url: &str, location: &str) -> String {
    let location = location.split('#').next().unwrap_or_default();
    if location.contains("://") {
        location.to_owned()
    } else if let Some(rest) = location.strip_prefix("//") {
        let scheme = base.split("//").next().unwrap_or_default();
        format!("{scheme}//{rest}")
    } else if location.starts_with('/') {
        format!("{base}{location}")
    } else {
        let path = url[base.len()..].split('?').next().unwrap_or_default();
        let folder = path.rfind('/').map_or("/", |at| &path[..=at]);
        format!("{base}{folder}{location}")
    }
}
