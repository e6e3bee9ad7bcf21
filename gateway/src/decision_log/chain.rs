//! What ties each record of decisions to all before it: a keyed hash (HMAC-SHA-256, its first 128 bits) over the hash of the record
//! before and the record's own bytes. Without the key nobody changes, takes out, exchanges or adds a record unnoticed. Files are left to
//! `recorder`, looking through a whole record to `check`.

use aws_lc_rs::hmac;
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};

const MAC_BYTES: usize = 16;
const MAC_CHARS: usize = 22;
const BEFORE_MAC: &[u8] = b",\"mac\":\"";
const AFTER_MAC: &[u8] = b"\"}";
/// How a line ends, without its line break.
pub(super) const END_BYTES: usize = BEFORE_MAC.len() + MAC_CHARS + AFTER_MAC.len();
/// How a line begins.
const BEFORE_SEQ: &[u8] = b"{\"seq\":";

/// The hash of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Mac([u8; MAC_BYTES]);

impl Mac {
    /// As it stands in a record.
    pub(crate) fn text(self) -> String {
        BASE64_URL_SAFE_NO_PAD.encode(self.0)
    }

    pub(crate) fn read(text: &[u8]) -> Option<Self> {
        let mut bytes = [0; MAC_BYTES];
        let filled = BASE64_URL_SAFE_NO_PAD.decode_slice(text, &mut bytes).ok()?;
        (filled == MAC_BYTES).then_some(Self(bytes))
    }
}

impl Serialize for Mac {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text())
    }
}

impl<'de> Deserialize<'de> for Mac {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::read(text.as_bytes()).ok_or_else(|| serde::de::Error::custom("no hash of a record"))
    }
}

/// A record's place in the chain: its number and its hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(crate) struct Head {
    /// From 1, without a gap, over all files.
    pub(crate) seq: u64,
    pub(crate) mac: Mac,
}

/// A line that has the form of a record. Whether it is a true one, the chain tells.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sealed<'a> {
    pub(crate) head: Head,
    /// Everything but the hash.
    pub(crate) body: &'a [u8],
}

impl<'a> Sealed<'a> {
    /// Reads a line, without its line break.
    pub(crate) fn read(line: &'a [u8]) -> Option<Self> {
        let (body, end) = line.split_at_checked(line.len().checked_sub(END_BYTES)?)?;
        let text = end.strip_prefix(BEFORE_MAC)?.strip_suffix(AFTER_MAC)?;
        let number = body.strip_prefix(BEFORE_SEQ)?.split(|byte| *byte == b',').next()?;
        let seq = std::str::from_utf8(number).ok()?.parse().ok()?;
        Some(Self { head: Head { seq, mac: Mac::read(text)? }, body })
    }
}

/// Makes and checks the hashes.
pub(crate) struct ChainKey(hmac::Key);

impl ChainKey {
    pub(crate) fn new(key: hmac::Key) -> Self {
        Self(key)
    }

    /// The hash of a record that follows another.
    pub(crate) fn mac(&self, before: Mac, body: &[u8]) -> Mac {
        let mut context = hmac::Context::with_key(&self.0);
        context.update(&before.0);
        context.update(body);
        let tag = context.sign();
        let mut mac = Mac::default();
        mac.0.iter_mut().zip(tag.as_ref()).for_each(|(to, from)| *to = *from);
        mac
    }

    /// Ends the line that begins at `begin`, as the record after `before`.
    pub(crate) fn seal(&self, before: Head, out: &mut Vec<u8>, begin: usize) -> Head {
        let mac = self.mac(before.mac, out.get(begin..).unwrap_or_default());
        let mut text = [0; MAC_CHARS];
        // As many characters as 16 bytes take.
        let _ = BASE64_URL_SAFE_NO_PAD.encode_slice(mac.0, &mut text);
        for part in [BEFORE_MAC, &text, AFTER_MAC, b"\n"] {
            out.extend_from_slice(part);
        }
        Head { seq: before.seq + 1, mac }
    }
}

impl std::fmt::Debug for ChainKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("[hidden]")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> ChainKey {
        ChainKey::new(hmac::Key::new(hmac::HMAC_SHA256, &[7; 32]))
    }

    #[test]
    fn a_sealed_line_is_read_as_it_was_made_and_depends_on_the_one_before() {
        let (key, mut out) = (key(), b"earlier\n".to_vec());
        let begin = out.len();
        out.extend_from_slice(br#"{"seq":8,"path":"/,\"mac\":\"x\"}"}"#.strip_suffix(b"}").unwrap());
        let before = Head { seq: 7, mac: Mac([1; MAC_BYTES]) };
        let head = key.seal(before, &mut out, begin);
        let line = out[begin..].strip_suffix(b"\n").unwrap();
        let sealed = Sealed::read(line).unwrap();
        assert_eq!((sealed.head, head.seq), (head, 8));
        assert_eq!(key.mac(before.mac, sealed.body), head.mac);
        assert_ne!(key.mac(Mac::default(), sealed.body), head.mac);
        let read: serde_json::Value = serde_json::from_slice(line).unwrap();
        assert_eq!(read["mac"], head.mac.text());
    }

    #[test]
    fn what_is_torn_is_no_record() {
        let mut out = br#"{"seq":1,"record":"decision""#.to_vec();
        key().seal(Head::default(), &mut out, 0);
        let line = out.strip_suffix(b"\n").unwrap();
        assert!(Sealed::read(line).is_some());
        for length in 0..line.len() {
            assert!(Sealed::read(&line[..length]).is_none(), "{length}");
            assert!(Sealed::read(&line[length + 1..]).is_none(), "{length}");
        }
    }

    #[test]
    fn another_key_makes_another_hash() {
        let other = ChainKey::new(hmac::Key::new(hmac::HMAC_SHA256, &[8; 32]));
        assert_ne!(key().mac(Mac::default(), b"{}"), other.mac(Mac::default(), b"{}"));
        assert_eq!(format!("{other:?}"), "[hidden]");
    }
}
