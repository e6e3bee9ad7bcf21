//! Gathers what an HTTP/2 connection writes during one poll into one TLS record and one system call. h2 flushes after every frame, so that
//! many small answers that are ready together would each cost both. What is written is none of its business.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// What is gathered at most before it is written without waiting for the end of the poll: one TLS record.
const GATHER_BYTES: usize = 16 * 1024;

/// A stream whose writes wait until its connection has done all that it can do now.
#[derive(Debug)]
pub(crate) struct Gatherer<S>(Arc<Mutex<State<S>>>);

#[derive(Debug)]
struct State<S> {
    stream: S,
    held: Vec<u8>,
    /// How much of `held` is written already.
    written: usize,
    /// Whether the stream has taken what it has not let go of yet: TLS keeps a record until the socket has room.
    unflushed: bool,
    /// What the connection is still to be told.
    fault: Option<io::Error>,
}

/// A connection on such a stream; polling it is what writes.
#[derive(Debug)]
pub(crate) struct Gathered<S, C> {
    connection: Pin<Box<C>>,
    state: Arc<Mutex<State<S>>>,
}

impl<S, C> Gathered<S, C> {
    /// The connection that `serve` makes of the stream.
    pub(crate) fn new(stream: S, serve: impl FnOnce(Gatherer<S>) -> C) -> Self {
        let state = Arc::new(Mutex::new(State {
            stream,
            held: Vec::new(),
            written: 0,
            unflushed: false,
            fault: None,
        }));
        Self { connection: Box::pin(serve(Gatherer(state.clone()))), state }
    }

    pub(crate) fn connection(&mut self) -> Pin<&mut C> {
        self.connection.as_mut()
    }
}

impl<S: AsyncWrite + Unpin, C: Future> Future for Gathered<S, C> {
    type Output = C::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<C::Output> {
        let polled = self.connection.as_mut().poll(cx);
        if polled.is_pending() {
            let mut state = locked(&self.state);
            if let Poll::Ready(Err(fault)) = state.poll_out(cx) {
                // The connection believes its writes to be through: it meets the fault when it flushes next, which is now.
                state.fault = Some(fault);
                cx.waker().wake_by_ref();
            }
        }
        polled
    }
}

fn locked<S>(state: &Mutex<State<S>>) -> MutexGuard<'_, State<S>> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<S: AsyncWrite + Unpin> State<S> {
    /// Writes everything that is held, and flushes the stream.
    fn poll_out(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while let Some(rest) = self.held.get(self.written..).filter(|rest| !rest.is_empty()) {
            let written = ready!(Pin::new(&mut self.stream).poll_write(cx, rest))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.written += written;
            self.unflushed = true;
        }
        // Between two bursts a connection holds no memory for this.
        (self.held, self.written) = (Vec::new(), 0);
        if self.unflushed {
            ready!(Pin::new(&mut self.stream).poll_flush(cx))?;
            self.unflushed = false;
        }
        Poll::Ready(Ok(()))
    }

    fn check(&mut self) -> io::Result<()> {
        self.fault.take().map_or(Ok(()), Err)
    }

    fn poll_room(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        self.check()?;
        if self.held.len() >= GATHER_BYTES {
            ready!(self.poll_out(cx))?;
        }
        if self.held.capacity() == 0 {
            self.held.reserve_exact(GATHER_BYTES);
        }
        Poll::Ready(Ok(GATHER_BYTES - self.held.len()))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Gatherer<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut locked(&self.0).stream).poll_read(cx, into)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Gatherer<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let mut state = locked(&self.0);
        let room = ready!(state.poll_room(cx))?;
        let taken = bytes.get(..room).unwrap_or(bytes);
        state.held.extend_from_slice(taken);
        Poll::Ready(Ok(taken.len()))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let mut state = locked(&self.0);
        let mut room = ready!(state.poll_room(cx))?;
        let before = state.held.len();
        for piece in pieces {
            let taken = piece.get(..room).unwrap_or(piece);
            state.held.extend_from_slice(taken);
            room -= taken.len();
        }
        Poll::Ready(Ok(state.held.len() - before))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    /// The connection flushes after each frame; what it gathered goes out when it has been polled.
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(locked(&self.0).check())
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut state = locked(&self.0);
        ready!(state.poll_out(cx))?;
        Pin::new(&mut state.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::time::Duration;

    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};

    use super::*;

    /// Counts the writes that reach it.
    struct Counting(DuplexStream, usize);

    impl AsyncWrite for Counting {
        fn poll_write(
            mut self: Pin<&mut Self>,
            cx: &mut Context<'_>,
            bytes: &[u8],
        ) -> Poll<io::Result<usize>> {
            self.1 += 1;
            Pin::new(&mut self.0).poll_write(cx, bytes)
        }

        fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
            Pin::new(&mut self.0).poll_flush(cx)
        }

        fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
            Pin::new(&mut self.0).poll_shutdown(cx)
        }
    }

    /// Writes and flushes each piece as h2 does its frames, and then does nothing more.
    async fn write_pieces(mut stream: Gatherer<Counting>, pieces: usize, piece: Vec<u8>) {
        for _ in 0..pieces {
            stream.write_all(&piece).await.unwrap();
            stream.flush().await.unwrap();
        }
        std::future::pending::<()>().await;
    }

    #[tokio::test]
    async fn what_is_ready_together_is_written_once() {
        let (near, mut far) = duplex(64 * 1024);
        let mut gathered =
            Gathered::new(Counting(near, 0), |stream| write_pieces(stream, 10, vec![b'x'; 1_000]));
        let polled = poll_fn(|cx| Poll::Ready(Pin::new(&mut gathered).poll(cx))).await;
        assert!(polled.is_pending());
        assert_eq!(locked(&gathered.state).stream.1, 1);
        let mut arrived = vec![0; 10_000];
        far.read_exact(&mut arrived).await.unwrap();
        assert_eq!(locked(&gathered.state).held.capacity(), 0, "an idle connection holds nothing");
    }

    #[tokio::test]
    async fn nothing_is_lost_when_the_peer_is_slow() {
        const PIECES: usize = 300;
        let (near, mut far) = duplex(100);
        let piece: Vec<u8> = (0..=250).collect();
        let expected = piece.repeat(PIECES);
        let gathered = Gathered::new(Counting(near, 0), |stream| write_pieces(stream, PIECES, piece));
        let writing = tokio::spawn(gathered);
        let mut arrived = vec![0; expected.len()];
        far.read_exact(&mut arrived).await.unwrap();
        assert!(arrived == expected, "bytes were lost, doubled or moved");
        writing.abort();
    }

    /// Takes everything at once and lets go of it when it is flushed, as TLS does with a record.
    struct Buffering(DuplexStream, Vec<u8>);

    impl AsyncWrite for Buffering {
        fn poll_write(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
            bytes: &[u8],
        ) -> Poll<io::Result<usize>> {
            self.1.extend_from_slice(bytes);
            Poll::Ready(Ok(bytes.len()))
        }

        fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
            let Self(stream, kept) = &mut *self;
            while !kept.is_empty() {
                let written = ready!(Pin::new(&mut *stream).poll_write(cx, kept))?;
                kept.drain(..written);
            }
            Pin::new(stream).poll_flush(cx)
        }

        fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
            Pin::new(&mut self.0).poll_shutdown(cx)
        }
    }

    #[tokio::test]
    async fn what_the_stream_keeps_goes_out_without_another_write() {
        let (near, mut far) = duplex(100);
        let writing = tokio::spawn(Gathered::new(Buffering(near, Vec::new()), |mut stream| async move {
            stream.write_all(&[b'x'; 1_000]).await.unwrap();
            stream.flush().await.unwrap();
            std::future::pending::<()>().await;
        }));
        let mut arrived = vec![0; 1_000];
        let reading = tokio::time::timeout(Duration::from_secs(20), far.read_exact(&mut arrived)).await;
        assert!(reading.is_ok(), "the rest waits for a write that never comes");
        writing.abort();
    }

    #[tokio::test]
    async fn the_end_comes_after_what_was_held() {
        let (near, mut far) = duplex(64 * 1024);
        Gathered::new(Counting(near, 0), |mut stream| async move {
            stream.write_all(b"last words").await.unwrap();
            stream.shutdown().await.unwrap();
        })
        .await;
        let mut arrived = String::new();
        far.read_to_string(&mut arrived).await.unwrap();
        assert_eq!(arrived, "last words");
    }

    #[tokio::test]
    async fn a_connection_is_told_that_its_writes_failed() {
        let (near, far) = duplex(64 * 1024);
        drop(far);
        let gathered = Gathered::new(Counting(near, 0), |mut stream| async move {
            stream.write_all(b"to nobody").await.unwrap();
            poll_fn(|cx| match Pin::new(&mut stream).poll_flush(cx) {
                Poll::Ready(Ok(())) => Poll::Pending,
                flushed => flushed,
            })
            .await
        });
        let ended = tokio::time::timeout(Duration::from_secs(20), gathered).await.unwrap();
        assert_eq!(ended.unwrap_err().kind(), io::ErrorKind::BrokenPipe);
    }
}
