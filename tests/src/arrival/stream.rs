//! A connection like any other that also tells when the kernel had received what was read last. What is read over it is left to others.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Instant;

use nix::sys::socket::{setsockopt, sockopt};
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};
use tokio::net::TcpStream;

use super::read;

/// Type, version and length of a TLS record.
const RECORD_HEAD: usize = 5;

/// How much one read takes at most.
pub(crate) enum Portions {
    /// What is there.
    Any,
    /// The rest of one TLS record, so that each has a time of its own.
    Records {
        /// What was read of the next record's head.
        head: Vec<u8>,
        /// What is left of the record.
        left: usize,
    },
}

impl Portions {
    /// Record by record.
    pub(crate) fn records() -> Self {
        Self::Records { head: Vec::new(), left: 0 }
    }

    fn most(&self) -> usize {
        match self {
            Self::Any => usize::MAX,
            Self::Records { head, left: 0 } => RECORD_HEAD - head.len(),
            Self::Records { left, .. } => *left,
        }
    }

    fn note(&mut self, read: &[u8]) {
        let Self::Records { head, left } = self else { return };
        if *left > 0 {
            *left -= read.len();
            return;
        }
        head.extend_from_slice(read);
        if let [_, _, _, high, low] = head[..] {
            *left = usize::from(u16::from_be_bytes([high, low]));
            head.clear();
        }
    }
}

/// The connection.
pub(crate) struct TimedStream {
    socket: TcpStream,
    portions: Portions,
    last: Arc<Mutex<Instant>>,
}

/// When the kernel had received what was read last.
#[derive(Clone)]
pub(crate) struct LastArrival(Arc<Mutex<Instant>>);

impl LastArrival {
    /// The moment.
    pub(crate) fn at(&self) -> Instant {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl TimedStream {
    pub(crate) fn new(socket: TcpStream, portions: Portions) -> io::Result<Self> {
        setsockopt(&socket, sockopt::ReceiveTimestampns, &true)?;
        Ok(Self { socket, portions, last: Arc::new(Mutex::new(Instant::now())) })
    }

    pub(crate) fn last_arrival(&self) -> LastArrival {
        LastArrival(Arc::clone(&self.last))
    }
}

impl AsyncRead for TimedStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let most = into.remaining().min(this.portions.most());
        loop {
            ready!(this.socket.poll_read_ready(cx))?;
            let space = &mut into.initialize_unfilled()[..most];
            match this.socket.try_io(Interest::READABLE, || read(&this.socket, space)) {
                Ok((len, at)) => {
                    this.portions.note(&space[..len]);
                    into.advance(len);
                    if len > 0 {
                        *this.last.lock().unwrap_or_else(PoisonError::into_inner) = at;
                    }
                    return Poll::Ready(Ok(()));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    }
}

impl AsyncWrite for TimedStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.socket).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_read_one_by_one() {
        let mut portions = Portions::records();
        let mut wire: &[u8] = &[23, 3, 3, 0, 3, b'a', b'b', b'c', 21, 3, 3, 1, 0];
        let mut reads = Vec::new();
        while !wire.is_empty() {
            let (now, rest) = wire.split_at(portions.most().min(2).min(wire.len()));
            portions.note(now);
            reads.push(now.len());
            wire = rest;
        }
        assert_eq!(reads, [2, 2, 1, 2, 1, 2, 2, 1]);
        assert_eq!(portions.most(), 256);
    }
}
