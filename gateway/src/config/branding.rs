//! `[branding]`: whose gateway this is, as its pages show it. How a page looks is left to `respond`.

use std::path::Path;

use bytes::Bytes;
use url::Url;

use super::document::{Section, Value};
use crate::host::{Host, HostPattern};

const MAX_LOGO_BYTES: usize = 256 * 1024;
const MAX_NAME_CHARS: usize = 80;
const MAX_TEXT_CHARS: usize = 500;

/// `[branding]`
#[derive(Debug, Default)]
pub struct Branding {
    /// The organisation's name.
    pub name: Option<String>,
    /// Its picture.
    pub logo: Option<Logo>,
    /// The colour of what can be pressed.
    pub colour: Option<Colour>,
    /// What to do when a page does not help.
    pub support_text: Option<String>,
    /// Where help is.
    pub support_url: Option<String>,
}

/// A picture, as it is served.
#[derive(Debug)]
pub struct Logo {
    /// Its type, which browsers must not guess at.
    pub content_type: &'static str,
    /// The file.
    pub bytes: Bytes,
}

/// Red, green and blue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Colour(pub u8, pub u8, pub u8);

/// `deny_text` and `deny_url` of an application: what people are told whom its policies deny.
#[derive(Debug, Default)]
pub struct DenyPage {
    /// In place of our own words.
    pub text: Option<String>,
    /// In place of our own page: gets `application`, `code` and `reference` in its query.
    pub url: Option<Url>,
}

pub(super) fn read_deny_page(section: &mut Section<'_, '_>, hosts: &[HostPattern]) -> DenyPage {
    let text = section.optional("deny_text").and_then(|value| read_text(&value, MAX_TEXT_CHARS));
    let url = section.optional("deny_url").and_then(|value| {
        let url = Url::parse(&read_link(&value)?).ok()?;
        let host = url.host_str().and_then(|host| host.parse::<Host>().ok());
        if host.is_some_and(|host| hosts.iter().any(|own| own.covers(&host))) {
            value.fault("lies on a host of this application: who is denied there would be led back for ever");
        }
        Some(url)
    });
    DenyPage { text, url }
}

pub(super) fn read_branding(root: &mut Section<'_, '_>, folder: &Path) -> Branding {
    let Some(mut section) = root.optional("branding").and_then(|value| value.section()) else {
        return Branding::default();
    };
    let name = section.optional("name").and_then(|value| read_text(&value, MAX_NAME_CHARS));
    let logo = section.optional("logo").and_then(|value| read_logo(&value, folder));
    let colour = section.optional("colour").and_then(|value| read_colour(&value));
    let support_text = section.optional("support_text").and_then(|value| read_text(&value, MAX_TEXT_CHARS));
    let support_url = section.optional("support_url").and_then(|value| read_link(&value));
    section.finish();
    Branding { name, logo, colour, support_text, support_url }
}

pub(super) fn read_text(value: &Value<'_, '_>, longest: usize) -> Option<String> {
    let text = value.string()?.trim();
    if text.is_empty() || text.chars().count() > longest {
        value.fault(format!("must have 1 to {longest} characters"));
        return None;
    }
    Some(text.to_owned())
}

/// The picture with the type that its first bytes and its name agree on.
fn read_logo(value: &Value<'_, '_>, folder: &Path) -> Option<Logo> {
    let path = folder.join(value.string()?);
    let bytes = match std::fs::read(&path) {
        Ok(bytes) => bytes,
        Err(error) => {
            value.fault(format!("cannot read `{}`: {error}", path.display()));
            return None;
        }
    };
    value.names_file(&path);
    if bytes.len() > MAX_LOGO_BYTES {
        value.fault(format!("a logo has at most {} KiB", MAX_LOGO_BYTES / 1024));
    }
    let extension = path.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
    let content_type = match extension.to_ascii_lowercase().as_str() {
        "png" if bytes.starts_with(b"\x89PNG\r\n\x1a\n") => "image/png",
        "jpg" | "jpeg" if bytes.starts_with(b"\xff\xd8\xff") => "image/jpeg",
        "webp" if bytes.starts_with(b"RIFF") && bytes.get(8..12) == Some(b"WEBP") => "image/webp",
        "svg" if std::str::from_utf8(&bytes).is_ok_and(|text| text.contains("<svg")) => "image/svg+xml",
        _ => {
            value.fault("must be a .png, .jpg, .webp or .svg file that holds what its name says");
            return None;
        }
    };
    Some(Logo { content_type, bytes: bytes.into() })
}

fn read_colour(value: &Value<'_, '_>) -> Option<Colour> {
    let text = value.string()?;
    let colour = parse_colour(text);
    if colour.is_none() {
        value.fault(format!("`{text}` is no colour: write \"#1d4ed8\""));
    }
    colour
}

fn parse_colour(text: &str) -> Option<Colour> {
    let digits = text.strip_prefix('#').filter(|digits| digits.len() == 6)?;
    let part = |at: usize| u8::from_str_radix(digits.get(at..at + 2)?, 16).ok();
    digits.bytes().all(|byte| byte.is_ascii_hexdigit()).then_some(())?;
    Some(Colour(part(0)?, part(2)?, part(4)?))
}

/// An address that a page may lead to.
pub(super) fn read_link(value: &Value<'_, '_>) -> Option<String> {
    let text = value.string()?;
    match Url::parse(text).map(|url| url.scheme().to_owned()).as_deref() {
        Ok("https" | "mailto") if !text.contains('\n') => Some(text.to_owned()),
        _ => {
            value.fault(format!("`{text}` must be an https or mailto address"));
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_colour_has_six_digits() {
        assert_eq!(parse_colour("#1d4eD8"), Some(Colour(0x1d, 0x4e, 0xd8)));
        for wrong in ["1d4ed8", "#1d4ed", "#1d4ed8f", "#+1-2+3", "#red", ""] {
            assert_eq!(parse_colour(wrong), None, "{wrong}");
        }
    }
}
