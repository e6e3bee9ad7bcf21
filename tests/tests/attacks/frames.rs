//! HTTP/2 by hand: frames and field lines exactly as a test wants them, valid or not (RFC 9113, RFC 7541). It knows as much
//! of the protocol as is needed to see how the other side takes it.

use portcullis_tests::browser::{Browser, Stream};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

use super::wire::PATIENCE;

pub const DATA: u8 = 0;
pub const HEADERS: u8 = 1;
pub const RST_STREAM: u8 = 3;
pub const SETTINGS: u8 = 4;
pub const PING: u8 = 6;
pub const GOAWAY: u8 = 7;
pub const WINDOW_UPDATE: u8 = 8;
pub const CONTINUATION: u8 = 9;

pub const END_STREAM: u8 = 1;
pub const ACK: u8 = 1;
pub const END_HEADERS: u8 = 4;

/// The largest frame that every peer takes.
const FRAME_BYTES: usize = 16_384;
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// `SETTINGS_HEADER_TABLE_SIZE` 0: no answer refers to an earlier one.
const NO_TABLE: [u8; 6] = [0, 1, 0, 0, 0, 0];

/// A field line; neither part need be legal.
pub type Field<'a> = (&'a [u8], &'a [u8]);

/// One frame.
#[derive(Debug, Clone)]
pub struct Frame {
    pub kind: u8,
    pub flags: u8,
    pub stream: u32,
    pub payload: Vec<u8>,
}

/// How a stream ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// An answer: its last status and its body.
    Answer(u16, Vec<u8>),
    /// `RST_STREAM` with this code.
    Reset(u32),
    /// The whole connection: `GOAWAY` with this code, or nothing but its end.
    Connection(Option<u32>),
}

impl Outcome {
    /// Refused as a request without a single meaning, or as none at all.
    pub fn is_refused(&self) -> bool {
        matches!(self, Self::Answer(400 | 501, _) | Self::Reset(_) | Self::Connection(Some(_)))
    }

    pub fn status(&self) -> u16 {
        if let Self::Answer(status, _) = self { *status } else { 0 }
    }
}

/// A connection after the preface.
pub struct Frames {
    stream: Stream,
    buffer: Vec<u8>,
    next: u32,
    /// The code of a `GOAWAY` that was seen.
    going: Option<u32>,
}

impl Frames {
    /// `browser` speaks HTTP/2 only.
    pub async fn open(browser: &Browser, url: &str) -> Self {
        let stream = browser.raw_stream(url).await.unwrap();
        let mut frames = Self { stream, buffer: Vec::new(), next: 1, going: None };
        frames.raw(PREFACE).await;
        frames.send(SETTINGS, 0, 0, &NO_TABLE).await;
        frames
    }

    /// Sends these bytes; whether the peer still takes them. One that is given more than it reads need not.
    pub async fn raw(&mut self, bytes: &[u8]) -> bool {
        let sending = async {
            self.stream.write_all(bytes).await?;
            self.stream.flush().await
        };
        matches!(timeout(PATIENCE / 4, sending).await, Ok(Ok(())))
    }

    pub async fn send(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) -> bool {
        self.raw(&frame(kind, flags, stream, payload)).await
    }

    /// Number of the next stream.
    pub fn next_stream(&mut self) -> u32 {
        let stream = self.next;
        self.next += 2;
        stream
    }

    /// Sends a head, over as many frames as it takes; the stream's number.
    pub async fn head(&mut self, fields: &[Field<'_>], end_stream: u8) -> u32 {
        let stream = self.next_stream();
        self.raw(&head_frames(stream, fields, end_stream)).await;
        stream
    }

    /// A whole request without a body.
    pub async fn ask(&mut self, fields: &[Field<'_>]) -> Outcome {
        let stream = self.head(fields, END_STREAM).await;
        self.outcome(stream).await
    }

    /// Waits for the end of a stream.
    pub async fn outcome(&mut self, stream: u32) -> Outcome {
        let (mut status, mut body) = (0, Vec::new());
        loop {
            let Some(frame) = self.next_frame().await else { return Outcome::Connection(self.going) };
            if frame.kind == GOAWAY {
                let last = number(&frame.payload[..4]);
                self.going = Some(number(&frame.payload[4..8]));
                if last < stream {
                    return Outcome::Connection(self.going);
                }
            }
            if frame.stream != stream {
                continue;
            }
            match frame.kind {
                RST_STREAM if status == 0 => return Outcome::Reset(number(&frame.payload)),
                // After an answer it says no more than that the rest of the request is not wanted.
                RST_STREAM => return Outcome::Answer(status, body),
                HEADERS if status == 0 || status < 200 => status = status_of(&frame.payload),
                DATA => {
                    body.extend_from_slice(&frame.payload);
                    let length = u32::try_from(frame.payload.len()).unwrap().to_be_bytes();
                    if !frame.payload.is_empty() {
                        self.send(WINDOW_UPDATE, 0, 0, &length).await;
                        self.send(WINDOW_UPDATE, 0, stream, &length).await;
                    }
                }
                _ => {}
            }
            if matches!(frame.kind, DATA | HEADERS) && frame.flags & END_STREAM != 0 && status >= 200 {
                return Outcome::Answer(status, body);
            }
        }
    }

    /// The next frame that is not about the connection's upkeep; none when the connection is over.
    pub async fn next_frame(&mut self) -> Option<Frame> {
        loop {
            let frame = self.read_frame().await?;
            match frame.kind {
                SETTINGS if frame.flags & ACK == 0 => {
                    self.send(SETTINGS, ACK, 0, &[]).await;
                }
                PING if frame.flags & ACK == 0 => {
                    self.send(PING, ACK, 0, &frame.payload).await;
                }
                SETTINGS | PING | WINDOW_UPDATE => {}
                _ => return Some(frame),
            }
        }
    }

    async fn read_frame(&mut self) -> Option<Frame> {
        self.fill(9).await?;
        let length = number(&[0, self.buffer[0], self.buffer[1], self.buffer[2]]) as usize;
        self.fill(9 + length).await?;
        let bytes: Vec<u8> = self.buffer.drain(..9 + length).collect();
        let stream = number(&bytes[5..9]) & 0x7fff_ffff;
        Some(Frame { kind: bytes[3], flags: bytes[4], stream, payload: bytes[9..].to_vec() })
    }

    async fn fill(&mut self, wanted: usize) -> Option<()> {
        let mut space = vec![0; 16_384];
        while self.buffer.len() < wanted {
            let read = timeout(PATIENCE, self.stream.read(&mut space)).await;
            match read.expect("the peer neither answers nor closes") {
                Ok(0) | Err(_) => return None,
                Ok(len) => self.buffer.extend_from_slice(&space[..len]),
            }
        }
        Some(())
    }
}

/// A frame as bytes.
pub fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut bytes = vec![length[1], length[2], length[3], kind, flags];
    bytes.extend_from_slice(&stream.to_be_bytes());
    bytes.extend_from_slice(payload);
    bytes
}

/// A head in one `HEADERS` frame and as many `CONTINUATION` frames as it takes.
pub fn head_frames(stream: u32, fields: &[Field<'_>], end_stream: u8) -> Vec<u8> {
    let block = field_block(fields);
    let mut pieces = block.chunks(FRAME_BYTES).peekable();
    let (mut bytes, mut kind, mut flags) = (Vec::new(), HEADERS, end_stream);
    while let Some(piece) = pieces.next() {
        let end = if pieces.peek().is_none() { END_HEADERS } else { 0 };
        bytes.extend(frame(kind, flags | end, stream, piece));
        (kind, flags) = (CONTINUATION, 0);
    }
    bytes
}

/// Literals without indexing, names and values as they are (RFC 7541 section 6.2.2).
pub fn field_block(fields: &[Field<'_>]) -> Vec<u8> {
    let mut block = Vec::new();
    for (name, value) in fields {
        block.push(0);
        for text in [name, value] {
            push_length(&mut block, text.len());
            block.extend_from_slice(text);
        }
    }
    block
}

/// RFC 7541 section 5.1, with a prefix of 7 bits.
fn push_length(block: &mut Vec<u8>, length: usize) {
    if length < 127 {
        block.push(length as u8);
        return;
    }
    block.push(127);
    let mut rest = length - 127;
    while rest >= 128 {
        block.push((rest % 128) as u8 | 128);
        rest /= 128;
    }
    block.push(rest as u8);
}

fn number(bytes: &[u8]) -> u32 {
    bytes.iter().take(4).fold(0, |number, byte| number << 8 | u32::from(*byte))
}

/// The status is the first field of every answer (RFC 9113 section 8.3).
pub fn status_of(block: &[u8]) -> u16 {
    const INDEXED: [u16; 7] = [200, 204, 206, 304, 400, 404, 500];
    // The other side notes that there is no table.
    let block = &block[block.iter().take_while(|byte| **byte & 0xe0 == 0x20).count()..];
    if let 0x88..=0x8e = block[0] {
        return INDEXED[usize::from(block[0] - 0x88)];
    }
    assert!(matches!(block[0], 0x08 | 0x18 | 0x48), "an answer that begins with {block:02x?}");
    let text = &block[2..2 + usize::from(block[1] & 0x7f)];
    if block[1] & 0x80 == 0 {
        return String::from_utf8_lossy(text).parse().unwrap();
    }
    digits(text)
}

/// Three digits in the code of RFC 7541 appendix B.
fn digits(text: &[u8]) -> u16 {
    let bits = text.iter().fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte)) << (32 - 8 * text.len());
    let (mut status, mut at) = (0, 0);
    for _ in 0..3 {
        let five = bits << at >> 27;
        let six = bits << at >> 26;
        let digit = if five < 3 { five } else { six - 0x19 + 3 };
        at += if five < 3 { 5 } else { 6 };
        status = status * 10 + digit as u16;
    }
    status
}

#[test]
fn a_status_is_read_in_every_form() {
    assert_eq!(status_of(&[0x88]), 200);
    assert_eq!(status_of(&[0x20, 0x8d]), 404);
    assert_eq!(status_of(&[0x48, 0x03, b'4', b'0', b'1']), 401);
    // 3 is 011001, 0 is 00000, 7 is 011101; the rest is filled with ones (RFC 7541 appendix C.6.1 has 302).
    assert_eq!(status_of(&[0x48, 0x82, 0x64, 0x02]), 302);
}
