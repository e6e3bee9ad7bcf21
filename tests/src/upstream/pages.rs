//! The pages a person sees: who the upstream believes they are, and the clock. No logic beyond making text safe.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;

use super::head::{ASSERTION, EMAIL, Head};

/// The page with the WebSocket clock.
pub(crate) const CLOCK: &str = include_str!("clock.html");

/// The page at `/`.
pub(crate) fn identity(head: &Head) -> String {
    let email = head.header(EMAIL).unwrap_or_else(|| "nobody".to_owned());
    let claims = head.header(ASSERTION).and_then(|token| payload(&token));
    let claims = claims.and_then(|claims| serde_json::to_string_pretty(&claims).ok());
    let claims = claims.unwrap_or_else(|| "no assertion".to_owned());
    let mut headers = String::new();
    for line in &head.lines {
        let _ = writeln!(headers, "{}", escape(line));
    }
    format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><title>The wiki</title>\
         <style>body{{font:16px/1.5 sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}}\
         pre{{background:#f4f4f4;padding:1rem;white-space:pre-wrap;word-break:break-all}}</style></head>\
         <body><h1>The wiki</h1><p>You are <strong id=\"email\">{}</strong>.</p>\
         <p><a href=\"/clock\">The clock</a> · <a href=\"/events\">Events</a> · \
         <a href=\"/cdn-cgi/access/get-identity\">Who the gateway says you are</a> · \
         <a href=\"/cdn-cgi/access/logout\">Log out</a></p>\
         <h2>What the gateway asserts</h2><pre id=\"claims\">{}</pre>\
         <h2>The request as it arrived</h2><pre id=\"headers\">{} {}\n{headers}</pre></body></html>\n",
        escape(&email),
        escape(&claims),
        escape(&head.method),
        escape(&head.target),
    )
}

/// The claims of a token, read without any verification: this upstream shows, it does not judge.
pub(crate) fn payload(token: &str) -> Option<Value> {
    let bytes = URL_SAFE_NO_PAD.decode(token.split('.').nth(1)?).ok()?;
    serde_json::from_slice(&bytes).ok()
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
