//! What pages are styled and moved by: files in the program, at paths that hold their digest.

use std::sync::LazyLock;

use aws_lc_rs::digest;
use bytes::Bytes;
use http::{HeaderValue, Response, header};
use http_body_util::Full;

use crate::api::Reply;

struct Asset {
    name: &'static str,
    media: &'static str,
    bytes: &'static [u8],
}

const CSS: Asset = Asset {
    name: "app.css",
    media: "text/css; charset=utf-8",
    bytes: include_bytes!("../../assets/app.css"),
};
const JS: Asset = Asset {
    name: "app.js",
    media: "text/javascript; charset=utf-8",
    bytes: include_bytes!("../../assets/app.js"),
};
const THEME: Asset = Asset {
    name: "theme.js",
    media: "text/javascript; charset=utf-8",
    bytes: include_bytes!("../../assets/theme.js"),
};

static PATHS: LazyLock<[(String, Asset); 3]> =
    LazyLock::new(|| [CSS, JS, THEME].map(|asset| (path(&asset), asset)));

fn path(asset: &Asset) -> String {
    let digest = digest::digest(&digest::SHA256, asset.bytes);
    let hex = digest.as_ref().iter().take(8).fold(String::new(), |mut hex, byte| {
        use std::fmt::Write as _;
        let _ = write!(hex, "{byte:02x}");
        hex
    });
    format!("/assets/{hex}/{}", asset.name)
}

/// The paths of the style, the script, and the script that runs before anything is painted.
pub(super) fn paths() -> [&'static str; 3] {
    [&PATHS[0].0, &PATHS[1].0, &PATHS[2].0]
}

pub(super) fn find(path: &str) -> Option<Reply> {
    let (_, asset) = PATHS.iter().find(|(known, _)| known == path)?;
    let mut reply = Response::new(Full::new(Bytes::from_static(asset.bytes)));
    let headers = reply.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(asset.media));
    let forever = HeaderValue::from_static("public, max-age=31536000, immutable");
    headers.insert(header::CACHE_CONTROL, forever);
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    Some(reply)
}
