//! The files that pages load, compiled in. Their address holds a hash of their content, so a browser
//! keeps them for ever and never shows an old one.

use std::sync::LazyLock;

use axum::extract::Path;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use sha2::{Digest, Sha256};

use crate::access::hex;
use crate::problem::Problem;

/// One file.
pub(crate) struct Asset {
    name: &'static str,
    content_type: &'static str,
    content: &'static str,
    hash: String,
}

impl Asset {
    fn new(name: &'static str, content_type: &'static str, content: &'static str) -> Self {
        const HASH_BYTES: usize = 8;
        let hash = hex(&Sha256::digest(content.as_bytes())[..HASH_BYTES]);
        Self { name, content_type, content, hash }
    }

    /// Where pages load it from.
    pub fn url(&self) -> String {
        format!("/assets/{}/{}", self.hash, self.name)
    }
}

/// How pages look.
pub(crate) static STYLE: LazyLock<Asset> = LazyLock::new(|| {
    let content = include_str!("../assets/paramedic.css");
    Asset::new("paramedic.css", "text/css; charset=utf-8", content)
});

/// What keeps pages up to date.
pub(crate) static SCRIPT: LazyLock<Asset> = LazyLock::new(|| {
    let content = include_str!("../assets/paramedic.js");
    Asset::new("paramedic.js", "text/javascript; charset=utf-8", content)
});

/// The sign in the browser's tab.
pub(crate) static ICON: LazyLock<Asset> =
    LazyLock::new(|| Asset::new("icon.svg", "image/svg+xml", include_str!("../assets/icon.svg")));

/// Answers with one of them.
pub(crate) async fn serve(Path((hash, name)): Path<(String, String)>) -> Result<Response, Problem> {
    let mut all = [&STYLE, &SCRIPT, &ICON].into_iter();
    let asset = all.find(|asset| asset.name == name && asset.hash == hash);
    let asset = asset.ok_or_else(|| Problem::missing("there is no such file"))?;
    let headers = [
        (header::CONTENT_TYPE, asset.content_type),
        (header::CACHE_CONTROL, "public, max-age=31536000, immutable"),
    ];
    Ok((headers, asset.content).into_response())
}
