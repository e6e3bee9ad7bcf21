//! A cursor (RFC 9865): where a page ended, and of which question, as a text that means nothing to the client.
//!
//! It says nothing that the client may not know, so it is not signed: with another one it sees another part of what it may see. Nothing is
//! kept here for it, so it never expires; resources that come and go meanwhile neither move nor repeat the others.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::sort::{Key, Sort};
use crate::limits::MAX_CURSOR_BYTES;
use crate::rejection::Rejection;

/// Where to go on.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Cursor {
    /// Where the listing has several kinds of resources: the one that it goes on with.
    pub(crate) kind: u8,
    pub(crate) place: Place,
    /// How many there were when the listing began, where that was counted.
    pub(crate) total: Option<usize>,
}

/// A place between two resources: behind the one of this number, in the order of creation or among those sorted by a key.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Place {
    pub(crate) key: Option<Key>,
    pub(crate) number: i64,
}

impl Place {
    /// Before the first of all.
    pub(crate) const BEGINNING: Place = Place { key: None, number: 0 };
}

/// Says which listing a cursor is of, so that one is not taken for the place in another.
pub(super) fn question(of: &str, filter: Option<&str>, sort: Option<&Sort>) -> u64 {
    let mut hasher = DefaultHasher::new();
    // A search by POST is the same listing.
    let of = of.trim_end_matches('/');
    let of = of.strip_suffix(".search").unwrap_or(of).trim_end_matches('/');
    (of, filter, sort).hash(&mut hasher);
    hasher.finish()
}

impl Cursor {
    pub(crate) fn to_text(&self, question: u64) -> String {
        let key = self.place.key.as_ref().map(|key| json!([key.to_json()]));
        let parts = json!([question, self.kind, self.place.number, self.total, key]);
        URL_SAFE_NO_PAD.encode(parts.to_string())
    }

    pub(super) fn parse(text: &str, question: u64) -> Result<Cursor, Rejection> {
        if text.len() > MAX_CURSOR_BYTES {
            return Err(Rejection::InvalidCursor);
        }
        Self::read(text, question).ok_or(Rejection::InvalidCursor)
    }

    fn read(text: &str, question: u64) -> Option<Cursor> {
        let decoded = URL_SAFE_NO_PAD.decode(text).ok()?;
        let parts: [Value; 5] = serde_json::from_slice::<Vec<Value>>(&decoded).ok()?.try_into().ok()?;
        let [asked, kind, number, total, key] = parts;
        let key = match &key {
            Value::Null => None,
            Value::Array(held) => Some(Key::from_json(held.first()?)?),
            _ => return None,
        };
        let total = match total {
            Value::Null => None,
            total => Some(usize::try_from(total.as_u64()?).ok()?),
        };
        let place = Place { key, number: number.as_i64()? };
        let cursor = Cursor { kind: u8::try_from(kind.as_u64()?).ok()?, place, total };
        (asked.as_u64()? == question).then_some(cursor)
    }
}
