//! An internal application behind the gateway: it shows who it believes the visitor is, streams in every way that the
//! web knows, and records each byte that reaches it together with the person it belongs to. It speaks HTTP/1.1 with
//! its own hand, so that nothing between the socket and the recorder can hide, merge or delay a byte.
//! It judges nobody: it believes what the gateway says.

mod body;
mod connection;
mod head;
mod pages;
pub mod recorder;
mod respond;
mod routes;
mod streams;
mod tunnel;
mod websocket;

use std::io;
use std::net::SocketAddr;

use nix::sys::socket::{setsockopt, sockopt};
use tokio::net::TcpListener;
use tokio_util::sync::{CancellationToken, DropGuard};

pub use recorder::{Chunk, Direction, Recorder};

/// What an upstream is told when it starts.
#[derive(Debug, Clone, Copy)]
pub struct UpstreamConfig {
    /// Where to listen; port 0 picks a free one.
    pub listen: SocketAddr,
    /// How much the recorder keeps.
    pub keep: Keep,
}

/// How much of each chunk the recorder remembers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keep {
    /// Nothing at all: for a program that runs for days.
    Nothing,
    /// Person, time and length.
    Times,
    /// The bytes as well.
    Bytes,
}

impl Default for UpstreamConfig {
    fn default() -> Self {
        Self { listen: SocketAddr::from(([127, 0, 0, 1], 0)), keep: Keep::Bytes }
    }
}

/// A running upstream; it stops, with every connection, when this is dropped.
#[derive(Debug)]
pub struct Upstream {
    address: SocketAddr,
    recorder: Recorder,
    _stop: DropGuard,
}

impl Upstream {
    /// Listens and serves on the current runtime.
    ///
    /// # Errors
    /// When the address cannot be bound.
    pub async fn start(config: UpstreamConfig) -> io::Result<Self> {
        let listener = TcpListener::bind(config.listen).await?;
        // Set on the listener too: an accepted socket inherits it, and so has a time for its very first byte.
        setsockopt(&listener, sockopt::ReceiveTimestampns, &true)?;
        let address = listener.local_addr()?;
        let recorder = Recorder::new(config.keep);
        let stop = CancellationToken::new();
        tokio::spawn(accept(listener, recorder.clone(), stop.clone()));
        Ok(Self { address, recorder, _stop: stop.drop_guard() })
    }

    /// The address it listens on.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The address as the gateway's configuration wants it.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What was received and sent so far.
    #[must_use]
    pub fn recorder(&self) -> &Recorder {
        &self.recorder
    }
}

async fn accept(listener: TcpListener, recorder: Recorder, stop: CancellationToken) {
    loop {
        let stream = tokio::select! {
            () = stop.cancelled() => return,
            accepted = listener.accept() => accepted.map(|(stream, _)| stream),
        };
        // A refused accept (no descriptor left) is passing trouble; the next one may succeed.
        let Ok(stream) = stream else { continue };
        let (recorder, stop) = (recorder.clone(), stop.clone());
        tokio::spawn(async move {
            tokio::select! {
                () = stop.cancelled() => {}
                // A peer that goes away in the middle is what this upstream is for, not an error to tell anybody.
                _ = connection::serve(stream, recorder) => {}
            }
        });
    }
}
