//! A TLS connection that hands out one record at a time, each with the moment at which the kernel had received it. What is spoken over it is left
//! to `line`.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use tokio::io::{AsyncBufRead as _, AsyncRead, AsyncWrite, ReadBuf};
use tokio_rustls::client::TlsStream;

use crate::arrival::{LastArrival, TimedStream};

/// Is shown everything that is read, with its time, before whoever reads it.
pub(super) type Watch = Box<dyn FnMut(&[u8], Instant) + Send>;

/// The connection.
pub(super) struct Records {
    stream: TlsStream<TimedStream>,
    arrival: LastArrival,
    watch: Option<Watch>,
}

impl Records {
    pub(super) fn new(stream: TlsStream<TimedStream>, arrival: LastArrival, watch: Option<Watch>) -> Self {
        Self { stream, arrival, watch }
    }

    /// When the kernel had the record that was read last.
    pub(super) fn at(&self) -> Instant {
        self.arrival.at()
    }
}

impl AsyncRead for Records {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let Self { stream, arrival, watch } = self.get_mut();
        // Reading would go on with the next record while there is space, whose time is another.
        let record = ready!(Pin::new(&mut *stream).poll_fill_buf(cx))?;
        let piece = &record[..record.len().min(into.remaining())];
        if let Some(watch) = watch {
            watch(piece, arrival.at());
        }
        let len = piece.len();
        into.put_slice(piece);
        Pin::new(stream).consume(len);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Records {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
