//! A stream that any thread can cut at once, whatever its owner is doing, and that stays within reach until its last byte has
//! been delivered. When to cut is left to `live`.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use portcullis_store::Streams;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::runtime::Handle;
use tokio::time::{Instant, Sleep};

mod cutter;
mod descriptor;

use crate::gate;

pub(crate) use cutter::Cutter;
pub(crate) use descriptor::Descriptor;

/// How often a closed stream's queue is looked at: quickly at first, since most peers acknowledge at once.
const FIRST_LOOK: Duration = Duration::from_millis(2);
const LAST_LOOK: Duration = Duration::from_millis(100);
/// How often it is looked whether a lease is back.
const THAW_LOOK: Duration = Duration::from_millis(50);

/// What must live as long as a byte of the stream may still be on its way.
pub(crate) trait Kept: Clone + Send + Unpin + 'static {
    /// Whether a stream that is closed with bytes in its queue may still deliver them. Otherwise they are thrown away.
    const DELIVERS: bool;

    /// Whether somebody's bytes may be among those of the stream, so that none passes while this process may not serve.
    fn is_guarded(&self) -> bool;

    /// Whether something may be among them that was told under a lease that is over. No change could have taken it back.
    fn is_outdated(&self) -> bool {
        false
    }
}

impl Kept for () {
    const DELIVERS: bool = false;

    fn is_guarded(&self) -> bool {
        true
    }
}

/// A stream, over TCP or in the file system, whose [`Cutter`] others may hold.
///
/// The kernel goes on sending for a descriptor that was closed, and for a process that was killed. Here nothing is sent that
/// nobody can stop any more: closing, also by the end of the process, resets the connection, unless the queue is empty; and a
/// queue that is not empty keeps what is `kept`, and so its cutter, until it is.
#[derive(Debug)]
pub(crate) struct CuttableStream<K: Kept> {
    socket: Arc<Descriptor>,
    cutter: Arc<Cutter>,
    kept: K,
    /// How long the peer may take nothing of what is written to it.
    patience: Duration,
    /// How little is nothing, in bytes.
    least: u64,
    stalled: Option<Stall>,
    /// When it is looked again whether bytes may pass.
    frozen: Option<Pin<Box<Sleep>>>,
}

impl<K: Kept> CuttableStream<K> {
    pub(crate) fn new(socket: Arc<Descriptor>, cutter: Arc<Cutter>, kept: K, patience: Duration) -> Self {
        Self { socket, cutter, kept, patience, least: 1, stalled: None, frozen: None }
    }

    /// Who takes fewer bytes a second than this, on average, takes nothing.
    pub(crate) fn at_least(mut self, rate: u64) -> Self {
        self.least = rate.saturating_mul(self.patience.as_secs()).max(1);
        self
    }

    /// The last look before the kernel has the bytes, with nothing between: without a lease they wait until it is back, or for good.
    fn held_back(&mut self, cx: &mut Context<'_>) -> Option<Poll<io::Result<usize>>> {
        let open = gate::is_open();
        // Looked at after the gate: if that is open anew, the count has moved.
        if self.kept.is_outdated() {
            return Some(self.cut_off());
        }
        if open || !self.kept.is_guarded() {
            self.frozen = None;
            return None;
        }
        loop {
            match gate::streams() {
                Streams::Flow if self.kept.is_outdated() => return Some(self.cut_off()),
                Streams::Flow => {
                    self.frozen = None;
                    return None;
                }
                Streams::Over => return Some(self.cut_off()),
                Streams::Frozen => {
                    let timer = self.frozen.get_or_insert_with(|| Box::pin(tokio::time::sleep(THAW_LOOK)));
                    if timer.as_mut().poll(cx).is_pending() {
                        return Some(Poll::Pending);
                    }
                    self.frozen = None;
                }
            }
        }
    }

    fn cut_off(&self) -> Poll<io::Result<usize>> {
        self.cutter.cut();
        Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()))
    }

    /// Watches a write that finds no room. There is room again only when much was taken, so what is bounded is not the time
    /// without room, but the time in which the peer takes nothing at all.
    fn watch(&mut self, cx: &mut Context<'_>, polled: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        self.cutter.note_blocked(polled.is_pending());
        if let Poll::Ready(written) = polled {
            self.cutter.note_written(written.as_ref().copied().unwrap_or_default());
            self.stalled = None;
            return Poll::Ready(written);
        }
        let (cutter, patience) = (&self.cutter, self.patience);
        let stall = self.stalled.get_or_insert_with(|| Stall::begin(cutter, patience));
        while stall.timer.as_mut().poll(cx).is_ready() {
            if cutter.delivered().saturating_sub(stall.delivered) < self.least {
                cutter.cut();
                return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
            }
            *stall = Stall::begin(cutter, patience);
        }
        Poll::Pending
    }
}

/// A write that waits for room, and what the peer had taken when it began to wait.
#[derive(Debug)]
struct Stall {
    timer: Pin<Box<Sleep>>,
    delivered: u64,
}

impl Stall {
    fn begin(cutter: &Cutter, patience: Duration) -> Self {
        Self { timer: Box::pin(tokio::time::sleep(patience)), delivered: cutter.delivered() }
    }
}

impl<K: Kept> Drop for CuttableStream<K> {
    fn drop(&mut self) {
        if self.cutter.unsent() == 0 {
            self.cutter.close();
        } else if let (true, Ok(runtime)) = (K::DELIVERS, Handle::try_current()) {
            runtime.spawn(deliver(self.cutter.clone(), self.kept.clone(), self.patience));
        } else {
            self.cutter.cut();
            self.cutter.close();
        }
    }
}

/// Waits until the peer has taken what was queued, as long as it takes any of it, within reach of the cutter all the time.
async fn deliver<K>(cutter: Arc<Cutter>, kept: K, patience: Duration) {
    let (mut left, mut moved, mut pause) = (usize::MAX, Instant::now(), FIRST_LOOK);
    loop {
        let unsent = cutter.unsent();
        if unsent < left {
            (left, moved) = (unsent, Instant::now());
        }
        if left == 0 || moved.elapsed() >= patience {
            break;
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(LAST_LOOK);
    }
    if left > 0 {
        cutter.cut();
    }
    cutter.close();
    drop(kept);
}

impl<K: Kept> AsyncRead for CuttableStream<K> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.socket.poll_read(cx, buf)
    }
}

impl<K: Kept> AsyncWrite for CuttableStream<K> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        if let Some(held_back) = self.held_back(cx) {
            return held_back;
        }
        let polled = self.socket.poll_write(cx, buf);
        self.watch(cx, polled)
    }

    /// The kernel has all that was written.
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.cutter.note_flushed();
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(self.socket.end())
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if let Some(held_back) = self.held_back(cx) {
            return held_back;
        }
        let polled = self.socket.poll_write_vectored(cx, bufs);
        self.watch(cx, polled)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests;
