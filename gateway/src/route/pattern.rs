//! Which paths of a host belong to an application, and which of two patterns is the more specific. Hosts are left to `route`,
//! the normal form of a path to `path`.

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

use portcullis_policy::loosened;

use super::path::{NormalPath, PathError};

/// The paths of an application.
///
/// `/a` covers `/a` and everything below it; `/a/*` and `/a/` cover what is below alone; `*` between two slashes stands for one
/// segment. Nothing but whole segments is compared, so `/a` does not cover `/ab`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PathPattern {
    text: String,
    segments: Vec<Segment>,
    below: Below,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Segment {
    /// As the normal form of a path writes it, and in the loosest reading.
    Literal {
        exact: String,
        loose: String,
    },
    Any,
}

/// Whether the path that the pattern spells out is covered itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Below {
    AndItself,
    Only,
}

/// Why a text is no pattern.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum PatternError {
    /// The path in it has no normal form.
    #[error("{0}")]
    Path(#[from] PathError),
    /// Not written as requests are compared.
    #[error("write it in the form in which paths are compared: `{0}`")]
    NotNormal(String),
    /// A `*` beside other characters.
    #[error("`*` stands for a whole segment, as in `/teams/*/files`")]
    PartialWildcard,
}

/// How strictly a path is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reading {
    /// Byte for byte.
    Exact,
    /// As the most forgiving server might: see [`NormalPath::loosened`].
    Loose,
}

impl PathPattern {
    /// All paths of a host.
    pub fn everything() -> Self {
        Self { text: "/".to_owned(), segments: Vec::new(), below: Below::AndItself }
    }

    /// Whether both cover the same paths.
    pub fn means(&self, other: &Self) -> bool {
        (&self.segments, self.below) == (&other.segments, other.below)
    }

    /// Whether it covers a path.
    pub(crate) fn leads_to(&self, path: &NormalPath) -> bool {
        self.covers(path.as_str().strip_prefix('/').unwrap_or_default(), Reading::Exact)
    }

    /// Whether it covers a path, given without the slash at its beginning.
    pub(super) fn covers(&self, path: &str, reading: Reading) -> bool {
        let mut segments = path.split('/');
        let spelled_out = self.segments.iter().all(|wanted| match (wanted, segments.next()) {
            (_, None) => false,
            (Segment::Any, Some(found)) => !found.is_empty(),
            (Segment::Literal { exact, .. }, Some(found)) if reading == Reading::Exact => exact == found,
            (Segment::Literal { loose, .. }, Some(found)) => loose == found,
        });
        spelled_out && (self.below == Below::AndItself || segments.next().is_some())
    }

    /// Orders patterns that cover the same path: the greater one is the more specific. The first difference decides: a name
    /// before a `*`, a longer pattern before a shorter one.
    pub(super) fn specificity(&self, other: &Self) -> Ordering {
        let rank = |segment: &Segment| match segment {
            Segment::Any => 0,
            Segment::Literal { .. } => 1,
        };
        let ranks = self.segments.iter().map(rank).cmp(other.segments.iter().map(rank));
        ranks.then(self.below.cmp(&other.below))
    }
}

impl FromStr for PathPattern {
    type Err = PatternError;

    fn from_str(text: &str) -> Result<Self, PatternError> {
        let normal = NormalPath::parse(text)?;
        if let Some(unusual) = normal.unusual().next() {
            return Err(unusual.into());
        }
        if normal.as_str() != text {
            return Err(PatternError::NotNormal(normal.to_string()));
        }
        let mut parts: Vec<&str> = text.split('/').skip(1).collect();
        let last = parts.pop().unwrap_or_default();
        let below = match (last, parts.is_empty()) {
            ("", true) => Below::AndItself,
            ("" | "*", _) => Below::Only,
            _ => {
                parts.push(last);
                Below::AndItself
            }
        };
        let segment = |part: &&str| match *part {
            "*" => Ok(Segment::Any),
            part if part.contains('*') => Err(PatternError::PartialWildcard),
            part => Ok(Segment::Literal { exact: part.to_owned(), loose: loosened(part) }),
        };
        let segments: Result<Vec<Segment>, PatternError> = parts.iter().map(segment).collect();
        Ok(Self { text: text.to_owned(), segments: segments?, below })
    }
}

impl fmt::Display for PathPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn covers(pattern: &str, path: &str) -> bool {
        pattern.parse::<PathPattern>().unwrap().covers(path.strip_prefix('/').unwrap(), Reading::Exact)
    }

    #[test]
    fn a_pattern_covers_whole_segments() {
        for (pattern, covered, not) in [
            ("/", vec!["/", "/a", "/a/b/"], vec![]),
            ("/a", vec!["/a", "/a/", "/a/b/c"], vec!["/", "/ab", "/A", "/b/a"]),
            ("/a/*", vec!["/a/", "/a/b", "/a/b/c"], vec!["/a", "/ab"]),
            ("/a/", vec!["/a/", "/a/b"], vec!["/a"]),
            ("/*/files", vec!["/x/files", "/x/files/1"], vec!["//files", "/files", "/x/y/files", "/x"]),
            ("/*", vec!["/", "/a", "/a/b"], vec![]),
        ] {
            for path in covered {
                assert!(covers(pattern, path), "{pattern} covers {path}");
            }
            for path in not {
                assert!(!covers(pattern, path), "{pattern} does not cover {path}");
            }
        }
    }

    #[test]
    fn the_more_specific_pattern_is_the_greater() {
        let order = ["/", "/*", "/*/b", "/a", "/a/*", "/a/*/c", "/a/b", "/a/b/c"];
        let patterns: Vec<PathPattern> = order.iter().map(|text| text.parse().unwrap()).collect();
        for (index, pattern) in patterns.iter().enumerate() {
            for later in patterns.iter().skip(index + 1) {
                assert_eq!(pattern.specificity(later), Ordering::Less, "{pattern} {later}");
            }
        }
    }

    #[test]
    fn t09_wildcards_stand_for_whole_segments_and_nothing_else_is_special() {
        let parsed = |text: &str| text.parse::<PathPattern>();
        assert_eq!(parsed("/a*"), Err(PatternError::PartialWildcard));
        assert_eq!(parsed("/a/**"), Err(PatternError::PartialWildcard));
        assert_eq!(parsed("a"), Err(PatternError::Path(PathError::NotAbsolute)));
        assert_eq!(parsed("/a//b"), Err(PatternError::Path(PathError::EmptySegment)));
        assert_eq!(parsed("/a|b"), Err(PatternError::NotNormal("/a%7Cb".to_owned())));
        assert!(!covers("/*/b", "/x/*") && covers("/a", "/a/*") && !covers("/a", "/*"));
    }
}
