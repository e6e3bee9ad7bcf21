//! A TCP stream that any thread can cut at once, whatever its owner is doing. When to cut is left to `live`.

use std::io;
use std::os::fd::OwnedFd;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// The end of a socket that is kept to cut it.
///
/// A second descriptor of the same socket: what is done to it is done to the stream, from any thread and in the middle of any
/// system call of the stream's owner.
#[derive(Debug)]
pub(crate) struct Cutter(Mutex<Option<OwnedFd>>);

impl Cutter {
    /// Ends the connection in the kernel: what it had queued is thrown away, the peer gets a reset, and every later read or
    /// write of the owner fails. When this returns, no further byte passes in either direction.
    pub(crate) fn cut(&self) {
        let held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(socket) = held.as_ref() else { return };
        // Dissolving the association (connect(2) with AF_UNSPEC) drops the send queue, which shutdown(2) would still deliver.
        if rustix::net::connect_unspec(socket).is_err() {
            // An error here means that the peer was quicker to close; shutdown then has nothing left to deliver either.
            let _ = rustix::net::shutdown(socket, rustix::net::Shutdown::Both);
        }
    }

    fn release(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
    }
}

/// A TCP stream whose [`Cutter`] others may hold.
#[derive(Debug)]
pub(crate) struct CuttableStream {
    stream: TcpStream,
    cutter: Arc<Cutter>,
}

impl CuttableStream {
    pub(crate) fn new(stream: TcpStream) -> io::Result<Self> {
        let second = rustix::io::fcntl_dupfd_cloexec(&stream, 0)?;
        Ok(Self { stream, cutter: Arc::new(Cutter(Mutex::new(Some(second)))) })
    }

    pub(crate) fn cutter(&self) -> &Arc<Cutter> {
        &self.cutter
    }
}

/// The second descriptor goes first: the kernel closes a connection only with its last descriptor.
impl Drop for CuttableStream {
    fn drop(&mut self) {
        self.cutter.release();
    }
}

impl AsyncRead for CuttableStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for CuttableStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    async fn pair() -> (CuttableStream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (near, far) = tokio::join!(TcpStream::connect(listener.local_addr().unwrap()), async {
            listener.accept().await.unwrap().0
        });
        (CuttableStream::new(near.unwrap()).unwrap(), far)
    }

    #[tokio::test]
    async fn a_cut_throws_away_what_was_queued() {
        let (mut near, mut far) = pair().await;
        let queued = async { while near.write(&[7; 65_536]).await.is_ok() {} };
        let full = tokio::time::timeout(std::time::Duration::from_millis(200), queued).await;
        assert!(full.is_err(), "the queue is expected to fill up");
        near.cutter().cut();
        assert!(near.write(b"later").await.is_err());
        let mut received = Vec::new();
        let end = far.read_to_end(&mut received).await;
        assert_eq!(end.unwrap_err().kind(), io::ErrorKind::ConnectionReset);
    }

    #[tokio::test]
    async fn a_cut_from_another_thread_wakes_a_waiting_reader() {
        let (mut near, _far) = pair().await;
        let cutter = near.cutter().clone();
        let thread = std::thread::spawn(move || cutter.cut());
        let read = near.read(&mut [0; 1]).await;
        thread.join().unwrap();
        assert!(read.is_err() || read.unwrap() == 0);
    }

    #[tokio::test]
    async fn closing_is_not_held_up_by_a_cutter_that_is_still_held() {
        let (near, mut far) = pair().await;
        let cutter = near.cutter().clone();
        drop(near);
        assert_eq!(far.read(&mut [0; 1]).await.unwrap(), 0);
        cutter.cut();
    }
}
