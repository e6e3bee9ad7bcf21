//! Text as a header value: what is not printable ASCII, or could be taken for a separator, is written in a defined encoding or
//! not at all. No value can be made to look like another.

use std::fmt::Write;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;

use crate::config::{Encoding, Separator};

/// RFC 8187 section 3.2.1: begins an extended value.
const EXTENDED: &str = "UTF-8''";

/// One value. None when it cannot be written.
pub(super) fn single(text: &str, encoding: Encoding) -> Option<String> {
    encode(text, encoding, None)
}

/// Values with the separator between them, each encoded by itself. None when one cannot be written.
pub(super) fn list(values: &[String], separator: Separator, encoding: Encoding) -> Option<String> {
    let mut joined = String::new();
    for value in values {
        if !joined.is_empty() {
            joined.push(separator.mark);
            joined.push_str(if separator.spaced { " " } else { "" });
        }
        joined.push_str(&encode(value, encoding, Some(separator.mark))?);
    }
    Some(joined)
}

fn encode(text: &str, encoding: Encoding, mark: Option<char>) -> Option<String> {
    match encoding {
        Encoding::Plain => is_plain(text, mark).then(|| text.to_owned()),
        Encoding::Base64 => Some(BASE64_STANDARD.encode(text)),
        Encoding::Percent => Some(percent(text, mark)),
        // What only looks extended must not be read as if it were.
        Encoding::Rfc8187 if is_plain(text, mark) && !looks_extended(text) => Some(text.to_owned()),
        Encoding::Rfc8187 => Some(extended(text, mark)),
    }
}

/// Printable ASCII without the separator. Spaces at the ends do not survive (RFC 9110 section 5.5), so they are not plain.
fn is_plain(text: &str, mark: Option<char>) -> bool {
    let printable = text.bytes().all(|byte| matches!(byte, 0x20..=0x7e));
    printable && !text.is_empty() && text.trim() == text && mark.is_none_or(|mark| !text.contains(mark))
}

fn looks_extended(text: &str) -> bool {
    text.get(..EXTENDED.len()).is_some_and(|start| start.eq_ignore_ascii_case(EXTENDED))
}

fn percent(text: &str, mark: Option<char>) -> String {
    let last = text.len().saturating_sub(1);
    let mut written = String::with_capacity(text.len());
    for (at, byte) in text.bytes().enumerate() {
        let outer_space = byte == b' ' && (at == 0 || at == last);
        let stays = matches!(byte, 0x20..=0x7e) && byte != b'%' && !outer_space && !is_mark(byte, mark);
        push(&mut written, byte, stays);
    }
    written
}

fn extended(text: &str, mark: Option<char>) -> String {
    let mut written = EXTENDED.to_owned();
    for byte in text.bytes() {
        // `attr-char` of RFC 8187 section 3.2.1.
        let stays = byte.is_ascii_alphanumeric() || b"!#$&+-.^_`|~".contains(&byte);
        push(&mut written, byte, stays && !is_mark(byte, mark));
    }
    written
}

fn is_mark(byte: u8, mark: Option<char>) -> bool {
    mark.is_some_and(|mark| mark == char::from(byte))
}

fn push(written: &mut String, byte: u8, stays: bool) {
    if stays {
        written.push(char::from(byte));
    } else {
        let _ = write!(written, "%{byte:02X}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const COMMA: Separator = Separator { mark: ',', spaced: false };

    fn values(values: &[&str]) -> Vec<String> {
        values.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn t29_t32_what_is_no_plain_text_is_encoded_or_nothing() {
        for (text, rfc8187, percent, base64) in [
            ("ann@corp.example", "ann@corp.example", "ann@corp.example", "YW5uQGNvcnAuZXhhbXBsZQ=="),
            ("Zoë", "UTF-8''Zo%C3%AB", "Zo%C3%AB", "Wm/Dqw=="),
            ("a\r\nX-Admin: 1", "UTF-8''a%0D%0AX-Admin%3A%201", "a%0D%0AX-Admin: 1", "YQ0KWC1BZG1pbjogMQ=="),
            ("\0", "UTF-8''%00", "%00", "AA=="),
            (" a ", "UTF-8''%20a%20", "%20a%20", "IGEg"),
            ("50%", "50%", "50%25", "NTAl"),
            ("utf-8''x", "UTF-8''utf-8%27%27x", "utf-8''x", "dXRmLTgnJ3g="),
        ] {
            assert_eq!(single(text, Encoding::Rfc8187).as_deref(), Some(rfc8187));
            assert_eq!(single(text, Encoding::Percent).as_deref(), Some(percent));
            assert_eq!(single(text, Encoding::Base64).as_deref(), Some(base64));
        }
        assert_eq!(single("Site Reliability", Encoding::Plain).as_deref(), Some("Site Reliability"));
        for wrong in ["Zoë", "a\nb", "", " a"] {
            assert_eq!(single(wrong, Encoding::Plain), None, "{wrong}");
        }
    }

    #[test]
    fn a_name_with_a_separator_in_it_is_one_name() {
        let groups = values(&["Sales, EMEA", "Engineering"]);
        let list = |encoding| list(&groups, COMMA, encoding);
        assert_eq!(list(Encoding::Rfc8187).as_deref(), Some("UTF-8''Sales%2C%20EMEA,Engineering"));
        assert_eq!(list(Encoding::Percent).as_deref(), Some("Sales%2C EMEA,Engineering"));
        assert_eq!(list(Encoding::Base64).as_deref(), Some("U2FsZXMsIEVNRUE=,RW5naW5lZXJpbmc="));
        assert_eq!(list(Encoding::Plain), None);
        let spaced = Separator { mark: '|', spaced: true };
        let piped = super::list(&values(&["a|b", "c"]), spaced, Encoding::Rfc8187);
        assert_eq!(piped.as_deref(), Some("UTF-8''a%7Cb| c"));
    }

    proptest::proptest! {
        /// No two lists are written alike, and nothing but printable ASCII is written.
        #[test]
        fn what_is_written_can_be_read_back(groups in proptest::collection::vec("[a,%é' \u{0}U]{1,4}", 1..4)) {
            for encoding in [Encoding::Rfc8187, Encoding::Percent, Encoding::Base64] {
                let written = list(&groups, COMMA, encoding).unwrap();
                proptest::prop_assert!(written.bytes().all(|byte| matches!(byte, 0x20..=0x7e)));
                let read: Vec<String> = written.split(',').map(|part| decode(part, encoding)).collect();
                proptest::prop_assert_eq!(&read, &groups);
            }
        }
    }

    fn decode(part: &str, encoding: Encoding) -> String {
        let unescape = |text: &str| {
            let mut bytes = text.bytes();
            let mut plain = Vec::new();
            while let Some(byte) = bytes.next() {
                let digits = [bytes.clone().next().unwrap_or(0), bytes.clone().nth(1).unwrap_or(0)];
                if byte == b'%' {
                    plain.push(u8::from_str_radix(std::str::from_utf8(&digits).unwrap(), 16).unwrap());
                    bytes.nth(1);
                } else {
                    plain.push(byte);
                }
            }
            String::from_utf8(plain).unwrap()
        };
        match encoding {
            Encoding::Rfc8187 => part.strip_prefix(EXTENDED).map_or_else(|| part.to_owned(), unescape),
            Encoding::Percent => unescape(part),
            _ => String::from_utf8(BASE64_STANDARD.decode(part).unwrap()).unwrap(),
        }
    }
}
