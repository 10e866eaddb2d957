//! The page: files of this program, with nothing from elsewhere.

/// A file of the page.
pub(super) struct Asset {
    pub(super) path: &'static str,
    pub(super) content_type: &'static str,
    pub(super) text: &'static str,
}

const SCRIPT: &str = "text/javascript; charset=utf-8";

macro_rules! asset {
    ($path:literal, $type:expr, $file:literal) => {
        Asset { path: $path, content_type: $type, text: include_str!(concat!("page/", $file)) }
    };
}

pub(super) const ALL: &[Asset] = &[
    asset!("/", "text/html; charset=utf-8", "index.html"),
    asset!("/style.css", "text/css; charset=utf-8", "style.css"),
    asset!("/app.js", SCRIPT, "app.js"),
    asset!("/channels.js", SCRIPT, "channels.js"),
    asset!("/chart.js", SCRIPT, "chart.js"),
    asset!("/dom.js", SCRIPT, "dom.js"),
    asset!("/events.js", SCRIPT, "events.js"),
    asset!("/format.js", SCRIPT, "format.js"),
    asset!("/garbage.js", SCRIPT, "garbage.js"),
    asset!("/locks.js", SCRIPT, "locks.js"),
    asset!("/matrix.js", SCRIPT, "matrix.js"),
    asset!("/overview.js", SCRIPT, "overview.js"),
    asset!("/remove.js", SCRIPT, "remove.js"),
    asset!("/segment.js", SCRIPT, "segment.js"),
    asset!("/segments.js", SCRIPT, "segments.js"),
    asset!("/stream.js", SCRIPT, "stream.js"),
];
