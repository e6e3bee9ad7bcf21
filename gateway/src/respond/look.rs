//! Whose pages these are: name, picture, colour and help, made ready once for a configuration. What a page says is left to
//! `page` and `words`.

use std::fmt::Write;

use aws_lc_rs::digest;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use http::HeaderValue;

use super::page::escape;
use crate::config::{Branding, Colour};
use crate::route::RESERVED_PREFIX;

const STYLE: &str = include_str!("page.css");

/// What all pages of one configuration have in common.
#[derive(Debug)]
pub(crate) struct Look {
    /// The one style sheet.
    pub(super) style: String,
    /// Nothing may be loaded or run but that style sheet, which is named by its hash, and the picture.
    pub(super) policy: HeaderValue,
    /// Stands above each page.
    pub(super) header: String,
    /// Stands below each page.
    pub(super) footer: String,
    /// What stands behind each title.
    pub(super) suffix: String,
    /// The picture and its type.
    pub(super) logo: Option<(&'static str, Bytes)>,
}

impl Look {
    pub(crate) fn new(branding: &Branding) -> Self {
        let style =
            branding.colour.map_or_else(|| STYLE.to_owned(), |colour| format!("{STYLE}{}", own(colour)));
        let hash = BASE64_STANDARD.encode(digest::digest(&digest::SHA256, style.as_bytes()));
        let images = if branding.logo.is_some() { "'self'" } else { "'none'" };
        let policy = format!(
            "default-src 'none'; style-src 'sha256-{hash}'; img-src {images}; form-action 'self'; base-uri 'none'; \
             frame-ancestors 'none'"
        );
        Self {
            style,
            policy: HeaderValue::try_from(policy)
                .unwrap_or(HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'")),
            header: header(branding),
            footer: footer(branding),
            suffix: branding.name.iter().map(|name| format!(" · {}", escape(name))).collect(),
            logo: branding.logo.as_ref().map(|logo| (logo.content_type, logo.bytes.clone())),
        }
    }
}

fn header(branding: &Branding) -> String {
    let mut html = String::new();
    if branding.logo.is_some() {
        // The name stands beside it, so that the picture says nothing that is not read out.
        let _ = write!(html, "<img src=\"{RESERVED_PREFIX}logo\" alt=\"\">");
    }
    if let Some(name) = &branding.name {
        let _ = write!(html, "<span>{}</span>", escape(name));
    }
    if html.is_empty() { html } else { format!("<header>{html}</header>") }
}

fn footer(branding: &Branding) -> String {
    let mut html = String::new();
    if let Some(text) = &branding.support_text {
        let _ = write!(html, "<p>{}</p>", escape(text));
    }
    if let Some(address) = &branding.support_url {
        let shown = address.strip_prefix("mailto:").unwrap_or("Get help");
        let _ = write!(html, "<p><a href=\"{}\">{}</a></p>", escape(address), escape(shown));
    }
    if html.is_empty() { html } else { format!("<footer>{html}</footer>") }
}

/// The colour for what can be pressed, with the letters on it in whichever of black and white is easier to read.
fn own(colour: Colour) -> String {
    let Colour(red, green, blue) = colour;
    let letters = if luminance(colour) > 0.18 { "#0b1220" } else { "#fff" };
    format!(":root{{--act:#{red:02x}{green:02x}{blue:02x};--on-act:{letters}}}")
}

/// Relative luminance as WCAG 2.2 defines it. Letters of either kind have the same contrast at 0.18.
fn luminance(Colour(red, green, blue): Colour) -> f64 {
    let linear = |part: u8| {
        let part = f64::from(part) / 255.0;
        if part <= 0.040_45 { part / 12.92 } else { ((part + 0.055) / 1.055).powf(2.4) }
    };
    0.2126 * linear(red) + 0.7152 * linear(green) + 0.0722 * linear(blue)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_can_be_read_on_every_colour() {
        assert!(own(Colour(0xff, 0xe0, 0x00)).contains("--on-act:#0b1220"));
        assert!(own(Colour(0x1d, 0x4e, 0xd8)).contains("--on-act:#fff"));
    }

    #[test]
    fn t69_a_name_is_text() {
        let branding = Branding {
            name: Some("<script>".to_owned()),
            support_text: Some("<b>".to_owned()),
            support_url: Some("https://a/\"><script>".to_owned()),
            ..Branding::default()
        };
        let look = Look::new(&branding);
        for html in [look.header, look.footer, look.suffix] {
            assert!(!html.contains("<script") && !html.contains("<b>"), "{html}");
        }
    }
}
