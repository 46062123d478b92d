//! The demo page: plain files, part of the program, each with an entity tag.

use std::fmt::Write as _;

use axum::extract::Path;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

use crate::problem::{KINDS, NOT_FOUND, Problem};

struct Asset {
    path: &'static str,
    media_type: &'static str,
    text: &'static str,
}

macro_rules! assets {
    ($($path:literal $media_type:literal),* $(,)?) => {
        &[$(Asset {
            path: $path,
            media_type: $media_type,
            text: include_str!(concat!("../web/", $path)),
        }),*]
    };
}

static ASSETS: &[Asset] = assets![
    "index.html" "text/html; charset=utf-8",
    "style.css" "text/css; charset=utf-8",
    "icon.svg" "image/svg+xml",
    "api.js" "text/javascript; charset=utf-8",
    "app.js" "text/javascript; charset=utf-8",
    "books.js" "text/javascript; charset=utf-8",
    "choices.js" "text/javascript; charset=utf-8",
    "compare.js" "text/javascript; charset=utf-8",
    "dialog.js" "text/javascript; charset=utf-8",
    "dom.js" "text/javascript; charset=utf-8",
    "native.js" "text/javascript; charset=utf-8",
    "result.js" "text/javascript; charset=utf-8",
    "simulation.js" "text/javascript; charset=utf-8",
    "steps.js" "text/javascript; charset=utf-8",
    "theme.js" "text/javascript; charset=utf-8",
];

/// `GET /`
pub(crate) async fn index(headers: HeaderMap) -> Response {
    serve("index.html", &headers)
}

/// `GET /web/{file}`
pub(crate) async fn file(Path(name): Path<String>, headers: HeaderMap) -> Response {
    serve(&name, &headers)
}

fn serve(name: &str, headers: &HeaderMap) -> Response {
    let Some(asset) = ASSETS.iter().find(|asset| asset.path == name) else {
        return Problem::new(&NOT_FOUND, "No such file.").into_response();
    };
    let tag = tag(asset.text);
    let known = headers
        .get(header::IF_NONE_MATCH)
        .is_some_and(|value| value.as_bytes() == tag.as_bytes());
    let mut response = if known {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        asset.text.into_response()
    };
    let headers = response.headers_mut();
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static(asset.media_type),
    );
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    if let Ok(value) = HeaderValue::from_str(&tag) {
        headers.insert(header::ETAG, value);
    }
    response
}

/// A strong entity tag: the files change only with the program.
fn tag(text: &str) -> String {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, text.as_bytes());
    let mut tag = String::from("\"");
    for byte in &digest.as_ref()[..12] {
        let _ = write!(tag, "{byte:02x}");
    }
    tag.push('"');
    tag
}

/// `GET /problems`: where the `type` of every problem leads.
pub(crate) async fn problems() -> Response {
    list_of_problems(
        "<link rel=\"stylesheet\" href=\"/web/style.css\">",
        "<p><a href=\"/\">To the demo</a></p>",
    )
}

/// The same where there is no demo.
pub(crate) async fn problems_alone() -> Response {
    list_of_problems("", "")
}

fn list_of_problems(style: &str, way_out: &str) -> Response {
    let mut text = format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width\">\
         <title>Problems \u{2013} Pinward</title>{style}<main class=\"plain\">\
         <h1>Problems</h1><p>Every refusal of the API is a problem document (RFC 9457) with one of \
         these codes. Checks of the relying party have codes of their own, named after the step \
         that said no, with status 422.</p><dl>",
    );
    for kind in KINDS {
        let status = kind.status.as_u16();
        let _ = write!(
            text,
            "<dt id=\"{0}\"><code>{0}</code> <small>{status}</small></dt><dd>{1}.</dd>",
            kind.code, kind.title
        );
    }
    let _ = write!(text, "</dl>{way_out}</main></html>");
    let media_type = [(header::CONTENT_TYPE, "text/html; charset=utf-8")];
    (media_type, text).into_response()
}
