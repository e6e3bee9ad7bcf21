//! One descriptor, over TCP or in the file system, that its stream and its [`Cutter`](super::Cutter) share: it is closed when both
//! have let go of it, so that neither can ever reach another connection under its number.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::task::{Context, Poll, ready};

use tokio::io::{Interest, ReadBuf};
use tokio::net::{TcpStream, UnixStream};

/// A connected socket. It is read and written through a shared reference, by one task.
#[derive(Debug)]
pub(crate) enum Descriptor {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl From<TcpStream> for Descriptor {
    fn from(stream: TcpStream) -> Self {
        Self::Tcp(stream)
    }
}

impl From<UnixStream> for Descriptor {
    fn from(stream: UnixStream) -> Self {
        Self::Unix(stream)
    }
}

impl AsFd for Descriptor {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Tcp(stream) => stream.as_fd(),
            Self::Unix(stream) => stream.as_fd(),
        }
    }
}

impl Descriptor {
    pub(super) fn poll_read(&self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        loop {
            ready!(match self {
                Self::Tcp(stream) => stream.poll_read_ready(cx),
                Self::Unix(stream) => stream.poll_read_ready(cx),
            })?;
            let read = self.once(Interest::READABLE, buf.remaining(), || match self {
                Self::Tcp(stream) => stream.try_read_buf(buf),
                Self::Unix(stream) => stream.try_read_buf(buf),
            });
            if let Some(read) = unless_blocked(read) {
                return Poll::Ready(read.map(drop));
            }
        }
    }

    pub(super) fn poll_write(&self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_transfer(cx, bytes.len(), || match self {
            Self::Tcp(stream) => stream.try_write(bytes),
            Self::Unix(stream) => stream.try_write(bytes),
        })
    }

    pub(super) fn poll_write_vectored(
        &self,
        cx: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.poll_transfer(cx, pieces.iter().map(|piece| piece.len()).sum(), || match self {
            Self::Tcp(stream) => stream.try_write_vectored(pieces),
            Self::Unix(stream) => stream.try_write_vectored(pieces),
        })
    }

    fn poll_transfer(
        &self,
        cx: &mut Context<'_>,
        len: usize,
        mut write: impl FnMut() -> io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        loop {
            ready!(match self {
                Self::Tcp(stream) => stream.poll_write_ready(cx),
                Self::Unix(stream) => stream.poll_write_ready(cx),
            })?;
            if let Some(written) = unless_blocked(self.once(Interest::WRITABLE, len, &mut write)) {
                return Poll::Ready(written);
            }
        }
    }

    /// Reads or writes once. Less than there was room for means that there is no more for now: the next attempt waits for the kernel's
    /// word instead of asking in vain, which would cost a system call each time.
    fn once(
        &self,
        interest: Interest,
        room: usize,
        transfer: impl FnOnce() -> io::Result<usize>,
    ) -> io::Result<usize> {
        let mut moved = None;
        let attempt = || {
            let count = transfer()?;
            moved = Some(count);
            // Zero is an end, which is not waited for.
            if 0 < count && count < room { Err(io::ErrorKind::WouldBlock.into()) } else { Ok(count) }
        };
        let attempted = match self {
            Self::Tcp(stream) => stream.try_io(interest, attempt),
            Self::Unix(stream) => stream.try_io(interest, attempt),
        };
        moved.map_or(attempted, Ok)
    }

    /// Says that nothing more is written. One that is closed already needs not be told.
    pub(super) fn end(&self) -> io::Result<()> {
        use rustix::io::Errno;
        match rustix::net::shutdown(self, rustix::net::Shutdown::Write) {
            Ok(()) | Err(Errno::NOTCONN) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

/// What came of an attempt, unless it was in vain.
fn unless_blocked(attempted: io::Result<usize>) -> Option<io::Result<usize>> {
    let in_vain = matches!(&attempted, Err(error) if error.kind() == io::ErrorKind::WouldBlock);
    (!in_vain).then_some(attempted)
}
