//! Which bytes of an HTTP/2 connection are an application's answers: the frames of streams that were answered with 200, as they come in. An HTTP/2
//! client hands out a frame long after it came, and not at all what it no longer wants; so this looks at the bytes below it.

use std::collections::HashSet;
use std::time::Instant;

use super::checker::{Piece, Way};

/// Length, type, flags and number of the stream: RFC 9113 section 4.1.
const FRAME_HEAD: usize = 9;
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const CONTINUATION: u8 = 9;
/// `:status: 200` by RFC 7541, appendix A: index 8 of the static table. A status comes first, and every server writes this one so.
const STATUS_200: u8 = 0x80 | 8;

/// One direction of one connection.
pub(super) struct Frames<F> {
    head: Vec<u8>,
    kind: u8,
    stream: u32,
    left: usize,
    /// Whether the next byte is the first of its frame's payload.
    begins: bool,
    answered: HashSet<u32>,
    note: F,
}

impl<F: FnMut(Piece)> Frames<F> {
    pub(super) fn new(note: F) -> Self {
        let head = Vec::with_capacity(FRAME_HEAD);
        Self { head, kind: 0, stream: 0, left: 0, begins: false, answered: HashSet::new(), note }
    }

    /// Takes what came next, and when.
    pub(super) fn take(&mut self, mut bytes: &[u8], at: Instant) {
        while !bytes.is_empty() {
            if self.left == 0 {
                let (now, rest) = bytes.split_at((FRAME_HEAD - self.head.len()).min(bytes.len()));
                self.head.extend_from_slice(now);
                bytes = rest;
                self.begin();
                continue;
            }
            let (now, rest) = bytes.split_at(self.left.min(bytes.len()));
            if std::mem::take(&mut self.begins) && self.kind == HEADERS && now[0] == STATUS_200 {
                self.answered.insert(self.stream);
            }
            if matches!(self.kind, DATA | HEADERS | CONTINUATION) && self.answered.contains(&self.stream) {
                (self.note)(Piece { way: Way::Http2, at, len: now.len() });
            }
            self.left -= now.len();
            bytes = rest;
        }
    }

    fn begin(&mut self) {
        if let [high, middle, low, kind, _, ref stream @ ..] = self.head[..]
            && let Ok(stream) = <[u8; 4]>::try_from(stream)
        {
            self.left = u32::from_be_bytes([0, high, middle, low]) as usize;
            (self.kind, self.stream) = (kind, u32::from_be_bytes(stream) & 0x7fff_ffff);
            self.begins = true;
            self.head.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn frame(kind: u8, stream: u8, payload: &[u8]) -> Vec<u8> {
        let head = [0, 0, payload.len() as u8, kind, 4, 0, 0, 0, stream];
        [&head[..], payload].concat()
    }

    /// What is noted of `wire` when it comes in pieces of this many bytes, a millisecond apart.
    fn noted(wire: &[u8], portion: usize) -> (Instant, Vec<Piece>) {
        let (begun, mut noted) = (Instant::now(), Vec::new());
        let mut frames = Frames::new(|piece| noted.push(piece));
        for (number, bytes) in (0u32..).zip(wire.chunks(portion)) {
            frames.take(bytes, begun + Duration::from_millis(1) * number);
        }
        (begun, noted)
    }

    #[test]
    fn answers_of_the_application_count_and_refusals_do_not() {
        let wire = [
            frame(4, 0, &[0; 6]),
            frame(HEADERS, 1, &[STATUS_200, 0x5f]),
            frame(HEADERS, 3, &[0x48, 3, b'4', b'0', b'1']),
            frame(DATA, 3, b"refused"),
            frame(DATA, 1, b"application"),
            frame(3, 1, &[0; 4]),
        ]
        .concat();
        for portion in [1, 2, 9, 10, wire.len()] {
            let total: usize = noted(&wire, portion).1.iter().map(|piece| piece.len).sum();
            assert_eq!(total, 2 + "application".len(), "in portions of {portion}");
        }
    }

    #[test]
    fn what_comes_late_of_a_frame_has_its_own_time() {
        let wire = [frame(HEADERS, 1, &[STATUS_200]), frame(DATA, 1, b"early, and late")].concat();
        let (begun, noted) = noted(&wire, 24);
        let late: Vec<_> = noted.iter().filter(|piece| piece.at > begun).map(|piece| piece.len).collect();
        assert_eq!(late, [10]);
    }
}
