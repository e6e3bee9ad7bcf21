//! An upgraded connection: bytes both ways, unread, until one side ends, nothing moves for too long, or the passage is dropped.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::activity::Activity;
use super::lease::Lease;
use super::websocket::Asked;
use crate::authorize::Permit;

/// Carries bytes between the two sides once both have switched. Nothing that the client sent before the upstream agreed
/// reaches it earlier: the bytes wait in the client's connection until this task reads them.
pub(super) fn spawn(asked: Asked, upstream: OnUpgrade, lease: Lease, permit: Permit, idle_limit: Duration) {
    let activity = lease.activity().clone();
    // However long it lasts: what counts is that something moves. The sweeper cuts the upstream's side otherwise.
    activity.end_at(None);
    activity.watch(idle_limit);
    let (client, in_use) = asked.into_parts();
    tokio::spawn(async move {
        let Some(held) = lease.into_tunnel() else { return };
        let (Ok(client), Ok(upstream)) = (client.await, upstream.await) else { return };
        let mut client = Watched::new(client, &activity);
        let mut upstream = Watched::new(upstream, &activity);
        let _ended = tokio::io::copy_bidirectional(&mut client, &mut upstream).await;
        // Both sockets close with the two sides; only then is nothing on its way any more.
        drop((client, upstream));
        drop((held, permit, in_use));
    });
}

/// One side of a tunnel.
struct Watched {
    side: TokioIo<Upgraded>,
    activity: Arc<Activity>,
}

impl Watched {
    fn new(side: Upgraded, activity: &Arc<Activity>) -> Self {
        Self { side: TokioIo::new(side), activity: activity.clone() }
    }
}

impl AsyncRead for Watched {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let read = Pin::new(&mut self.side).poll_read(cx, buf);
        if read.is_ready() {
            self.activity.note();
        }
        read
    }
}

impl AsyncWrite for Watched {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.side).poll_write(cx, buf);
        if written.is_ready() {
            self.activity.note();
        }
        written
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.side).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.side).poll_shutdown(cx)
    }
}
