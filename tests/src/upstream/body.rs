//! The body of a request, by Content-Length or chunked, taken off the wire piece by piece. It stores nothing.

use std::io;

use bytes::Bytes;

use super::connection::Wire;
use super::head::Head;

/// A chunk's size line, or a trailer line, longer than this ends the connection.
const MAX_LINE: usize = 8 * 1024;

/// What is left of a body.
#[derive(Debug)]
pub(crate) struct Body {
    rest: Rest,
    continue_wanted: bool,
    /// Trailer lines, once the body is over.
    pub(crate) trailers: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rest {
    Length(u64),
    ChunkHead,
    ChunkData(u64),
    Trailers,
    Over,
}

impl Body {
    /// Which body the head announces; the status to refuse with when that is unclear.
    pub(crate) fn of(head: &Head) -> Result<Self, u16> {
        let chunked = head.has_token("transfer-encoding", "chunked");
        let length =
            head.header("content-length").map(|v| v.parse::<u64>().map_err(|_| 400u16)).transpose()?;
        let rest = match (chunked, length) {
            (true, Some(_)) => return Err(400),
            (true, None) => Rest::ChunkHead,
            (false, Some(len)) if len > 0 => Rest::Length(len),
            (false, _) => Rest::Over,
        };
        let continue_wanted = rest != Rest::Over && head.has_token("expect", "100-continue");
        Ok(Self { rest, continue_wanted, trailers: Vec::new() })
    }

    /// Whether nothing is left of it.
    pub(crate) fn is_over(&self) -> bool {
        self.rest == Rest::Over
    }

    /// The next piece; `None` when the body is over. A peer that leaves in the middle is an error.
    pub(crate) async fn next(&mut self, wire: &mut Wire) -> io::Result<Option<Bytes>> {
        if std::mem::take(&mut self.continue_wanted) {
            wire.send(b"HTTP/1.1 100 Continue\r\n\r\n").await?;
        }
        loop {
            match self.rest {
                Rest::Over => return Ok(None),
                Rest::Length(left) => {
                    let piece = take(wire, left).await?;
                    let left = left - piece.len() as u64;
                    self.rest = if left == 0 { Rest::Over } else { Rest::Length(left) };
                    return Ok(Some(piece));
                }
                Rest::ChunkHead => self.rest = chunk_head(&line(wire).await?)?,
                Rest::ChunkData(0) => {
                    line(wire).await?;
                    self.rest = Rest::ChunkHead;
                }
                Rest::ChunkData(left) => {
                    let piece = take(wire, left).await?;
                    self.rest = Rest::ChunkData(left - piece.len() as u64);
                    return Ok(Some(piece));
                }
                Rest::Trailers => match line(wire).await? {
                    end if end.is_empty() => self.rest = Rest::Over,
                    trailer => self.trailers.push(trailer),
                },
            }
        }
    }

    /// Reads to the end and throws away.
    pub(crate) async fn drain(&mut self, wire: &mut Wire) -> io::Result<()> {
        while self.next(wire).await?.is_some() {}
        Ok(())
    }
}

fn chunk_head(line: &str) -> io::Result<Rest> {
    let size = line.split(';').next().unwrap_or_default().trim();
    match u64::from_str_radix(size, 16) {
        Ok(0) => Ok(Rest::Trailers),
        Ok(size) => Ok(Rest::ChunkData(size)),
        Err(_) => Err(io::Error::new(io::ErrorKind::InvalidData, "bad chunk size")),
    }
}

/// Up to `limit` bytes, at least one.
async fn take(wire: &mut Wire, limit: u64) -> io::Result<Bytes> {
    if wire.unclaimed().is_empty() && wire.fill().await? == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    let len = wire.unclaimed().len().min(usize::try_from(limit).unwrap_or(usize::MAX));
    Ok(wire.claim(len))
}

/// One line without its end.
async fn line(wire: &mut Wire) -> io::Result<String> {
    loop {
        if let Some(end) = wire.unclaimed().iter().position(|byte| *byte == b'\n') {
            let line = wire.claim(end + 1);
            return Ok(String::from_utf8_lossy(&line).trim_end_matches(['\r', '\n']).to_owned());
        }
        if wire.unclaimed().len() > MAX_LINE {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "line too long"));
        }
        if wire.fill().await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
}
