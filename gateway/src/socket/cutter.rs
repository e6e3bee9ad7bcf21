//! The end of a socket that is kept to cut it, and to know whether its queue is empty. Reading and writing are left to the
//! stream.

use std::ffi::c_int;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustix::ioctl::{Getter, Opcode, ioctl};
use rustix::net::sockopt::set_socket_linger;

use super::Descriptor;

/// Linux: bytes of a TCP socket that the peer has not acknowledged (tcp(7), SIOCOUTQ), or of a Unix socket that it has not read.
const SIOCOUTQ: Opcode = 0x5411;

/// The other holder of a stream's descriptor: what is done to it is done to the stream, from any thread and in the middle of any system
/// call of the stream's owner. It lets go of it under its lock, so that nothing is ever done to a descriptor that was closed.
#[derive(Debug)]
pub(crate) struct Cutter {
    socket: Mutex<Option<Arc<Descriptor>>>,
    /// Whether the last write found no room, so that its writer still holds bytes back.
    blocked: AtomicBool,
    /// Bytes that the kernel has taken.
    written: AtomicU64,
    /// How often all that was written had reached the kernel.
    flushed: AtomicU64,
    cut: AtomicBool,
}

impl Cutter {
    /// Of a stream that has carried nothing yet. From here on, closing it resets the connection, unless [`Self::close`] did it.
    pub(crate) fn of(socket: &Arc<Descriptor>) -> io::Result<Self> {
        set_socket_linger(socket, Some(Duration::ZERO))?;
        Ok(Self {
            socket: Mutex::new(Some(socket.clone())),
            blocked: AtomicBool::new(false),
            written: AtomicU64::new(0),
            flushed: AtomicU64::new(0),
            cut: AtomicBool::new(false),
        })
    }

    fn held(&self) -> MutexGuard<'_, Option<Arc<Descriptor>>> {
        self.socket.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends the connection in the kernel: what it had queued is thrown away, the peer gets a reset, and every later read or
    /// write of the owner fails. When this returns, no further byte passes in either direction.
    ///
    /// A Unix socket has no queue of its own: what was written lies in the peer's queue at once, as what a TCP peer has
    /// acknowledged does, and stays there. Nothing more follows.
    pub(crate) fn cut(&self) {
        self.cut.store(true, Ordering::Release);
        let held = self.held();
        let Some(socket) = held.as_ref() else { return };
        // Dissolving the association (connect(2) with AF_UNSPEC) drops the send queue, which shutdown(2) would still deliver.
        if rustix::net::connect_unspec(socket).is_err() {
            // An error here means that the peer was quicker to close, or a Unix socket: shutdown has nothing left to deliver.
            let _ = rustix::net::shutdown(socket, rustix::net::Shutdown::Both);
        }
    }

    /// How many bytes the peer has not acknowledged; none when the connection is over.
    pub(crate) fn unsent(&self) -> usize {
        let held = self.held();
        let Some(socket) = held.as_ref() else { return 0 };
        // SAFETY: SIOCOUTQ writes one C int (tcp(7)), which is what `Getter` makes room for, and reads nothing of ours.
        #[expect(unsafe_code, reason = "no library wraps this call; it asks a question and changes nothing")]
        let asked = unsafe { ioctl(socket, Getter::<SIOCOUTQ, c_int>::new()) };
        // Not to know is no reason to believe that nothing is left.
        match asked.map_or(1, |unsent| usize::try_from(unsent).unwrap_or(1)) {
            0 => 0,
            _ if rustix::net::getpeername(socket).is_err() => 0,
            unsent => unsent,
        }
    }

    /// Whether nothing is on its way to the peer, neither in the kernel nor held back by the writer.
    pub(crate) fn is_quiet(&self) -> bool {
        !self.blocked.load(Ordering::Acquire) && self.unsent() == 0
    }

    /// How many bytes the peer has acknowledged so far: it rises as long as the peer takes anything at all.
    pub(crate) fn delivered(&self) -> u64 {
        let written = self.written.load(Ordering::Acquire);
        written.saturating_sub(u64::try_from(self.unsent()).unwrap_or(u64::MAX))
    }

    /// Whether it was cut.
    pub(crate) fn is_cut(&self) -> bool {
        self.cut.load(Ordering::Acquire)
    }

    /// How often all that the owner had written reached the kernel.
    pub(crate) fn flushed(&self) -> u64 {
        self.flushed.load(Ordering::Acquire)
    }

    pub(crate) fn note_flushed(&self) {
        self.flushed.fetch_add(1, Ordering::AcqRel);
    }

    pub(super) fn note_written(&self, bytes: usize) {
        self.written.fetch_add(u64::try_from(bytes).unwrap_or(u64::MAX), Ordering::AcqRel);
    }

    pub(super) fn note_blocked(&self, blocked: bool) {
        self.blocked.store(blocked, Ordering::Release);
    }

    /// Lets the kernel close the connection in good order once the stream is closed too: everything was delivered.
    pub(super) fn close(&self) {
        if let Some(socket) = self.held().take() {
            let _ = set_socket_linger(&socket, None);
        }
    }
}
