//! A request path in its one normal form. The policy judges these bytes and the upstream receives these bytes; what has no
//! single meaning is refused. Query strings are none of its business.

use std::fmt;

/// The longest path, in bytes.
pub(crate) const MAX_PATH_BYTES: usize = 8 * 1024;
/// Room for a few bytes that must be escaped.
const NORMAL_GROWTH: usize = 8;

/// A path that every reader takes apart in the same way.
///
/// Begins with `/`; has no `.` or `..` segment (a trailing slash is kept); percent-encoding is upper case, and used for nothing
/// that could stand for itself (RFC 3986 section 6.2.2). What only some servers read differently is kept and noted: it passes to
/// an application that says how its server reads it, and to no other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NormalPath {
    text: String,
    unusual: Unusual,
}

/// What stands in a path that servers read differently.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Unusual {
    encoded_slash: bool,
    matrix_parameter: bool,
    empty_segment: bool,
}

/// Why a path has no single meaning.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PathError {
    /// Does not begin with `/`.
    #[error("the path does not begin with `/`")]
    NotAbsolute,
    /// Longer than [`MAX_PATH_BYTES`].
    #[error("the path is longer than {MAX_PATH_BYTES} bytes")]
    TooLong,
    /// A `%` without two hexadecimal digits behind it.
    #[error("the path has a `%` without two hexadecimal digits")]
    BadEscape,
    /// An encoded slash: some servers split there, some do not.
    #[error("the path has an encoded slash")]
    EncodedSlash,
    /// An encoded backslash: some servers take it for a slash.
    #[error("the path has an encoded backslash")]
    EncodedBackslash,
    /// An encoded control character.
    #[error("the path has an encoded control character")]
    EncodedControl,
    /// A byte that no URL path may have: backslash, control character, space, `#`, or not ASCII.
    #[error("the path has a byte that must be percent-encoded")]
    RawByte,
    /// A `;`: some servers cut a segment there, some do not.
    #[error("the path has a `;`")]
    MatrixParameter,
    /// A `.` or `..` segment, also when encoded.
    #[error("the path has a `.` or `..` segment")]
    DotSegment,
    /// An empty segment, as in `//`.
    #[error("the path has an empty segment")]
    EmptySegment,
    /// Bytes that are not UTF-8, among them overlong forms.
    #[error("the path is not UTF-8 when decoded")]
    NotUtf8,
}

impl NormalPath {
    /// Brings a raw path into normal form, or says why it has none.
    pub(crate) fn parse(raw: &str) -> Result<Self, PathError> {
        if raw.len() > MAX_PATH_BYTES {
            return Err(PathError::TooLong);
        }
        let Some(rest) = raw.strip_prefix('/') else { return Err(PathError::NotAbsolute) };
        let mut path =
            Self { text: String::with_capacity(raw.len() + NORMAL_GROWTH), unusual: Unusual::default() };
        let mut segments = rest.split('/').peekable();
        let mut decoded = Vec::new();
        while let Some(segment) = segments.next() {
            path.text.push('/');
            path.unusual.empty_segment |= segment.is_empty() && segments.peek().is_some();
            path.push_segment(segment, &mut decoded)?;
        }
        // Bytes that had to be escaped are three now; whoever reads the path after us has the same limit.
        if path.text.len() > MAX_PATH_BYTES { Err(PathError::TooLong) } else { Ok(path) }
    }

    /// The normal form.
    pub(crate) fn as_str(&self) -> &str {
        &self.text
    }

    /// What stands in it that servers read differently.
    pub(crate) fn unusual(&self) -> impl Iterator<Item = PathError> + use<> {
        let Unusual { encoded_slash, matrix_parameter, empty_segment } = self.unusual;
        let found = [
            (encoded_slash, PathError::EncodedSlash),
            (matrix_parameter, PathError::MatrixParameter),
            (empty_segment, PathError::EmptySegment),
        ];
        found.into_iter().filter(|(stands, _)| *stands).map(|(_, error)| error)
    }

    /// The loosest reading: what a server might make of it that decodes everything, folds case, splits at every kind of slash,
    /// cuts parameters, and passes over empty segments and dots at the end of one.
    pub(super) fn loosened(&self) -> String {
        portcullis_policy::loosened(&self.text)
    }

    fn push_segment(&mut self, segment: &str, decoded: &mut Vec<u8>) -> Result<(), PathError> {
        decoded.clear();
        let mut bytes = segment.bytes();
        while let Some(byte) = bytes.next() {
            let meant = match byte {
                b'%' => unescape(bytes.next(), bytes.next()).ok_or(PathError::BadEscape)?,
                b'\\' | b'#' | b'?' | 0..=0x20 | 0x7f.. => return Err(PathError::RawByte),
                _ => byte,
            };
            match meant {
                b'/' => self.unusual.encoded_slash = true,
                b'\\' => return Err(PathError::EncodedBackslash),
                b';' if byte == b';' => self.unusual.matrix_parameter = true,
                0..=0x1f | 0x7f => return Err(PathError::EncodedControl),
                _ => {}
            }
            decoded.push(meant);
            // A reserved byte means something else raw than encoded, so it keeps the form in which it came.
            if is_unreserved(meant) || (byte != b'%' && is_segment_delimiter(meant)) {
                self.text.push(char::from(meant));
            } else {
                push_escaped(&mut self.text, meant);
            }
        }
        // Also what a server would find that splits at an encoded slash, or cuts at a semicolon.
        let pieces = decoded.split(|byte| *byte == b'/');
        let mut names = pieces.map(|piece| piece.split(|byte| *byte == b';').next().unwrap_or_default());
        if names.any(|name| [&b"."[..], b".."].contains(&name.trim_ascii_end())) {
            return Err(PathError::DotSegment);
        }
        if std::str::from_utf8(decoded).is_err() {
            return Err(PathError::NotUtf8);
        }
        Ok(())
    }
}

impl fmt::Display for NormalPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

fn unescape(high: Option<u8>, low: Option<u8>) -> Option<u8> {
    let digit = |byte: Option<u8>| char::from(byte?).to_digit(16);
    u8::try_from(digit(high)? * 16 + digit(low)?).ok()
}

fn push_escaped(normal: &mut String, byte: u8) {
    const DIGITS: [char; 16] =
        ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'A', 'B', 'C', 'D', 'E', 'F'];
    normal.push('%');
    for nibble in [byte >> 4, byte & 0x0f] {
        normal.extend(DIGITS.get(usize::from(nibble)));
    }
}

/// RFC 3986 section 2.3.
fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
}

/// What may stand raw in a segment beside the unreserved (RFC 3986 section 3.3), and the square brackets, which browsers leave
/// raw.
fn is_segment_delimiter(byte: u8) -> bool {
    matches!(
        byte,
        b'!' | b'$'
            | b'&'
            | b'\''
            | b'('
            | b')'
            | b'*'
            | b'+'
            | b','
            | b';'
            | b'='
            | b':'
            | b'@'
            | b'['
            | b']'
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn normal(raw: &str) -> Result<String, PathError> {
        let path = NormalPath::parse(raw)?;
        path.unusual().next().map_or(Ok(path.text), Err)
    }

    fn tolerated(raw: &str) -> Result<String, PathError> {
        NormalPath::parse(raw).map(|path| path.text)
    }

    #[test]
    fn ordinary_paths_stay_as_they_are() {
        for path in [
            "/",
            "/a",
            "/a/",
            "/a/b.c/~d",
            "/a:b@c/!$&'()*+,=",
            "/admin.",
            "/...",
            "/%20x",
            "/%C3%A9",
            "/[1]",
        ] {
            assert_eq!(normal(path).as_deref(), Ok(path));
        }
    }

    #[test]
    fn one_form_for_each_meaning() {
        assert_eq!(normal("/%61%2D%7e").as_deref(), Ok("/a-~"));
        assert_eq!(normal("/%c3%a9").as_deref(), Ok("/%C3%A9"));
        assert_eq!(normal("/a|b").as_deref(), Ok("/a%7Cb"));
        assert_eq!(normal("/%40").as_deref(), Ok("/%40"), "a reserved byte keeps the form in which it came");
    }

    #[test]
    fn t01_t02_dot_segments_end_the_request() {
        for raw in ["/public/../admin", "/./a", "/..", "/a/.", "/%2e%2e/a", "/%2E%2e", "/.%2e/", "/a/%2e"] {
            assert_eq!(normal(raw), Err(PathError::DotSegment), "{raw}");
        }
    }

    #[test]
    fn t03_nothing_is_decoded_twice() {
        assert_eq!(normal("/%252e%252e%252fadmin").as_deref(), Ok("/%252e%252e%252fadmin"));
    }

    #[test]
    fn t04_to_t07_what_servers_read_differently_ends_the_request() {
        for raw in ["/admin;x=1", "/adm;a=b/in", "/;/admin"] {
            assert_eq!(normal(raw), Err(PathError::MatrixParameter), "{raw}");
        }
        for raw in ["/a%2fb", "/a%2Fb"] {
            assert_eq!(normal(raw), Err(PathError::EncodedSlash), "{raw}");
        }
        for raw in ["/a%5cb", "/a%5Cb"] {
            assert_eq!(normal(raw), Err(PathError::EncodedBackslash), "{raw}");
        }
        for raw in ["//admin", "/a//"] {
            assert_eq!(normal(raw), Err(PathError::EmptySegment), "{raw}");
        }
        for raw in [
            "/public/..;/admin",
            "/public//../admin",
            "/a/..%2fb",
            "/a/.%2Fb",
            "/a%2f%2e%2e",
            "/..%3b/a",
            "/a/..%20/b",
        ] {
            assert_eq!(tolerated(raw), Err(PathError::DotSegment), "{raw}: whatever is tolerated");
        }
        for raw in ["/a\\b", "/a#b", "/a b", "/é", "/\u{7f}"] {
            assert_eq!(normal(raw), Err(PathError::RawByte), "{raw}");
        }
    }

    #[test]
    fn t04_t05_what_is_tolerated_keeps_one_form() {
        assert_eq!(tolerated("/a%2fb;x=1//c").as_deref(), Ok("/a%2Fb;x=1//c"));
        assert_eq!(tolerated("/a%3bx").as_deref(), Ok("/a%3Bx"));
    }

    #[test]
    fn t06_t10_the_loosest_reading_finds_what_a_server_might_find() {
        for raw in [
            "/Admin/X",
            "/admin.//x",
            "/admin;a=b/x",
            "/admin%2fx",
            "/%61dmin/x",
            "/admin%20/x.",
            "/ADM%C4%B0N/x",
        ] {
            let read = NormalPath::parse(raw).unwrap().loosened();
            assert!(["admin/x", "admi\u{307}n/x"].contains(&read.as_str()), "{raw}: {read}");
        }
    }

    #[test]
    fn t10_t11_bad_encodings_end_the_request() {
        for raw in ["/%zz", "/%", "/%4", "/%+1", "/a%"] {
            assert_eq!(normal(raw), Err(PathError::BadEscape), "{raw}");
        }
        for raw in ["/%00", "/%0d%0a", "/%7f"] {
            assert_eq!(normal(raw), Err(PathError::EncodedControl), "{raw}");
        }
        for raw in ["/%c0%af", "/%ff", "/%ed%a0%80"] {
            assert_eq!(normal(raw), Err(PathError::NotUtf8), "{raw}");
        }
        assert_eq!(normal("admin"), Err(PathError::NotAbsolute));
        assert_eq!(normal("*"), Err(PathError::NotAbsolute));
    }

    #[test]
    fn the_longest_path_and_one_byte_more() {
        let longest = format!("/{}", "a".repeat(MAX_PATH_BYTES - 1));
        assert!(normal(&longest).is_ok());
        assert_eq!(normal(&format!("{longest}a")), Err(PathError::TooLong));
        // A brace is escaped, so it counts three times.
        let longest = format!("/{}a", "}".repeat((MAX_PATH_BYTES - 2) / 3));
        assert_eq!(normal(&longest).map(|path| path.len()), Ok(MAX_PATH_BYTES));
        assert_eq!(normal(&format!("{longest}a")), Err(PathError::TooLong));
    }

    /// What a server understands that decodes once, as every server does.
    fn decoded(path: &str) -> Vec<u8> {
        let mut bytes = path.bytes();
        let mut decoded = Vec::new();
        while let Some(byte) = bytes.next() {
            decoded.push(if byte == b'%' { unescape(bytes.next(), bytes.next()).unwrap() } else { byte });
        }
        decoded
    }

    proptest::proptest! {
        /// T16: the policy, the upstream and the client mean the same path, or there is none.
        #[test]
        fn t16_one_meaning_for_everybody(raw in "/[a-zA-Z0-9./%;:@~é|\\\\ -]{0,24}(%[0-9a-fA-F]{2}[/.a-z]{0,3}){0,4}") {
            if let Ok(path) = NormalPath::parse(&raw) {
                let normal = path.as_str();
                proptest::prop_assert_eq!(normal_of(normal), normal, "normal form is its own normal form");
                proptest::prop_assert_eq!(decoded(normal), decoded(&raw));
                let text = String::from_utf8(decoded(normal)).unwrap();
                // Whatever is tolerated: no server that splits at slashes, or cuts at semicolons, finds a way up.
                let names = text.split('/').map(|segment| segment.split(';').next().unwrap());
                let hidden = names.into_iter().any(|name| [".", ".."].contains(&name.trim()));
                proptest::prop_assert!(!hidden && !text.contains('\\'), "{}", text);
                if path.unusual().next().is_none() {
                    proptest::prop_assert!(!text.contains("//") && normal.matches('/').count() == text.matches('/').count());
                }
            }
        }
    }

    fn normal_of(raw: &str) -> String {
        tolerated(raw).unwrap()
    }
}
