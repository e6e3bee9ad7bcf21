//! Which paths a rule is about, in the language in which an application's paths are written.
//!
//! Bringing a request's path into its one normal form is left to the enforcement point; it also says what the most forgiving server
//! might read in it, since a rule that forbids must not be led past by a spelling.

use std::error::Error;
use std::fmt;
use std::str::FromStr;

/// Longest pattern, in bytes.
pub const MAX_PATTERN_BYTES: usize = 1024;

/// The path of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestPath<'a> {
    /// The normal form, in which it is forwarded.
    pub normal: &'a str,
    /// What a server might make of it that decodes everything, folds case and passes over what it takes for nothing: [`loosened`].
    pub loosest: &'a str,
}

/// `/a` covers `/a` and everything below it; `/a/*` and `/a/` cover what is below alone; `*` between two slashes stands for one
/// segment. Nothing but whole segments is compared, so `/a` does not cover `/ab`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PathPattern {
    text: Box<str>,
    segments: Box<[Segment]>,
    below_only: bool,
    /// Whether its loosest reading is itself, so that a path of one reading need not be looked at twice.
    reads_one_way: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Segment {
    /// As the normal form of a path writes it, and in the loosest reading.
    Literal {
        exact: Box<str>,
        loose: Box<str>,
    },
    Any,
}

/// Whether a pattern covers a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Covers {
    Yes,
    No,
    /// Not as it is written, but some servers might read it so.
    Perhaps,
}

/// Why a text is no pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PatternError {
    /// Does not begin with `/`.
    NotAbsolute,
    /// Longer than [`MAX_PATTERN_BYTES`].
    TooLong,
    /// A `*` beside other characters.
    PartialWildcard,
    /// An empty segment, or `.` or `..`.
    EmptySegment,
    /// A query, a fragment, a space, or something that a path must percent-encode.
    BadByte,
}

impl<'a> RequestPath<'a> {
    /// A path that every server reads in the same way.
    #[must_use]
    pub fn plain(normal: &'a str) -> Self {
        Self { normal, loosest: normal }
    }
}

impl PathPattern {
    /// The text that it was written as.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    pub(crate) fn covers(&self, path: RequestPath<'_>) -> Covers {
        let exact = path.normal.strip_prefix('/').unwrap_or(path.normal);
        if self.spells(exact, |segment| match segment {
            Segment::Literal { exact, .. } => Some(exact),
            Segment::Any => None,
        }) {
            return Covers::Yes;
        }
        if self.reads_one_way && path.loosest == path.normal {
            return Covers::No;
        }
        let loosest = path.loosest.strip_prefix('/').unwrap_or(path.loosest);
        let perhaps = self.spells(loosest, |segment| match segment {
            Segment::Literal { loose, .. } => Some(loose),
            Segment::Any => None,
        });
        if perhaps { Covers::Perhaps } else { Covers::No }
    }

    fn spells(&self, path: &str, wanted: impl Fn(&Segment) -> Option<&str>) -> bool {
        let mut found = path.split('/');
        let spelled_out = self.segments.iter().all(|segment| match (wanted(segment), found.next()) {
            (_, None) => false,
            (None, Some(found)) => !found.is_empty(),
            (Some(wanted), Some(found)) => wanted == found,
        });
        spelled_out && (!self.below_only || found.next().is_some())
    }
}

impl FromStr for PathPattern {
    type Err = PatternError;

    fn from_str(text: &str) -> Result<Self, PatternError> {
        if text.len() > MAX_PATTERN_BYTES {
            return Err(PatternError::TooLong);
        }
        let rest = text.strip_prefix('/').ok_or(PatternError::NotAbsolute)?;
        if !rest.bytes().all(|byte| byte.is_ascii_graphic() && !b"?#\\\"<>^`{|}".contains(&byte)) {
            return Err(PatternError::BadByte);
        }
        let mut parts: Vec<&str> = rest.split('/').collect();
        let last = parts.pop().unwrap_or_default();
        let below_only = match (last, parts.is_empty()) {
            ("", true) => false,
            ("" | "*", _) => true,
            _ => {
                parts.push(last);
                false
            }
        };
        let segment = |part: &&str| match *part {
            "*" => Ok(Segment::Any),
            "" | "." | ".." => Err(PatternError::EmptySegment),
            part if part.contains('*') => Err(PatternError::PartialWildcard),
            part => Ok(Segment::Literal { exact: part.into(), loose: loosened(part).into() }),
        };
        let segments: Result<Box<[Segment]>, PatternError> = parts.iter().map(segment).collect();
        let segments = segments?;
        let reads_one_way = segments.iter().all(|segment| match segment {
            Segment::Literal { exact, loose } => exact == loose,
            Segment::Any => true,
        });
        Ok(Self { text: text.into(), segments, below_only, reads_one_way })
    }
}

/// The loosest reading of a path in normal form: what a server might make of it that decodes everything, folds case, splits at every
/// kind of slash, cuts parameters, and passes over empty segments and dots at the end of one.
#[must_use]
pub fn loosened(path: &str) -> String {
    let mut bytes = path.bytes();
    let mut decoded = Vec::with_capacity(path.len());
    while let Some(byte) = bytes.next() {
        let mut escaped = || unescaped(bytes.next(), bytes.next());
        decoded.extend(if byte == b'%' { escaped() } else { Some(byte) });
    }
    let decoded = folded(&String::from_utf8_lossy(&decoded)).replace('\\', "/");
    let names = decoded
        .split('/')
        .map(|segment| segment.split(';').next().unwrap_or_default().trim_end_matches(['.', ' ']));
    let mut kept: Vec<&str> = names.filter(|name| !name.is_empty()).collect();
    // What is below a folder begins with the slash at its end.
    if decoded.ends_with('/') {
        kept.push("");
    }
    kept.join("/")
}

/// Without case, as servers see it that compare by upper case and those that do by lower case: a dotless or dotted `i` is an `i`, a long
/// `s` an `s`.
fn folded(text: &str) -> String {
    text.to_uppercase().to_lowercase().replace('\u{307}', "")
}

fn unescaped(high: Option<u8>, low: Option<u8>) -> Option<u8> {
    let digit = |byte: Option<u8>| char::from(byte?).to_digit(16);
    u8::try_from(digit(high)? * 16 + digit(low)?).ok()
}

impl fmt::Display for PathPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Error for PatternError {}

impl fmt::Display for PatternError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotAbsolute => f.write_str("the path does not begin with `/`"),
            Self::TooLong => write!(f, "the path is longer than {MAX_PATTERN_BYTES} bytes"),
            Self::PartialWildcard => f.write_str("`*` stands for a whole segment, as in `/teams/*/files`"),
            Self::EmptySegment => f.write_str("the path has an empty segment, or one that is `.` or `..`"),
            Self::BadByte => f.write_str("the path has a byte that must be percent-encoded"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn covers(pattern: &str, path: &str) -> Covers {
        let loosest = loosened(path);
        let path = RequestPath { normal: path, loosest: &loosest };
        pattern.parse::<PathPattern>().unwrap().covers(path)
    }

    #[test]
    fn what_a_server_may_fold_to_the_same_name_is_perhaps_covered() {
        for path in ["/ADMINS", "/adm%C4%B1ns", "/ADM%C4%B0NS", "/admin%C5%BF"] {
            assert_eq!(covers("/admins", path), Covers::Perhaps, "{path}");
        }
        assert_eq!(covers("/admins", "/admens"), Covers::No);
    }

    #[test]
    fn a_pattern_covers_whole_segments() {
        for (pattern, covered, not) in [
            ("/", vec!["/", "/a", "/a/b/"], vec![]),
            ("/a", vec!["/a", "/a/", "/a/b/c"], vec!["/", "/ab", "/b/a"]),
            ("/a/*", vec!["/a/", "/a/b", "/a/b/c"], vec!["/a", "/ab"]),
            ("/a/", vec!["/a/", "/a/b"], vec!["/a"]),
            ("/*/files", vec!["/x/files", "/x/files/1"], vec!["/files", "/x/y/files", "/x"]),
            ("/*", vec!["/", "/a", "/a/b"], vec![]),
        ] {
            for path in covered {
                assert_eq!(covers(pattern, path), Covers::Yes, "{pattern} covers {path}");
            }
            for path in not {
                assert_eq!(covers(pattern, path), Covers::No, "{pattern} does not cover {path}");
            }
        }
    }

    #[test]
    fn what_some_server_might_read_as_covered_is_neither_covered_nor_not() {
        for path in ["/Admin", "/ADMIN/x", "/admin.", "/admin;x/y", "//admin", "/%41dmin/", "/admin%2Fx"] {
            assert_eq!(covers("/admin", path), Covers::Perhaps, "{path}");
        }
        assert_eq!(covers("/admin/*", "/Admin"), Covers::No);
        let capital: PathPattern = "/Admin".parse().unwrap();
        assert_eq!(capital.covers(RequestPath::plain("/admin")), Covers::Perhaps);
    }

    #[test]
    fn what_is_no_pattern_has_its_own_cause() {
        let long = format!("/{}", "a".repeat(MAX_PATTERN_BYTES));
        for (text, error) in [
            ("", PatternError::NotAbsolute),
            ("admin", PatternError::NotAbsolute),
            (long.as_str(), PatternError::TooLong),
            ("/a*", PatternError::PartialWildcard),
            ("/a/**", PatternError::PartialWildcard),
            ("/a//b", PatternError::EmptySegment),
            ("/../b", PatternError::EmptySegment),
            ("/a/./b", PatternError::EmptySegment),
            ("/a?b", PatternError::BadByte),
            ("/a#b", PatternError::BadByte),
            ("/a b", PatternError::BadByte),
            ("/ä", PatternError::BadByte),
        ] {
            assert_eq!(text.parse::<PathPattern>(), Err(error), "{text}");
        }
    }
}
