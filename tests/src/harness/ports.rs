//! Free ports for servers that are told theirs before they start.

use std::net::{Ipv4Addr, TcpListener};
use std::sync::atomic::{AtomicU32, Ordering};

/// Below the range from which Linux takes the ports of outgoing connections: a port that is free now could otherwise be
/// some client's a moment later, when the server wants it.
const FIRST: u16 = 20_000;
const COUNT: u32 = 12_000;

/// Processes that run side by side begin this far from each other, so that they seldom try the same port.
const STRIDE: u32 = 37;

static NEXT: AtomicU32 = AtomicU32::new(0);

/// A port of 127.0.0.1 that nothing listens on, and that this process has not given out lately.
///
/// # Panics
/// When every port of the range is taken.
#[must_use]
pub fn free() -> u16 {
    let start = (std::process::id() % COUNT) * STRIDE;
    for _ in 0..COUNT {
        let port = FIRST + ((start + NEXT.fetch_add(1, Ordering::Relaxed) % COUNT) % COUNT) as u16;
        if is_free(port) {
            return port;
        }
    }
    panic!("none of the {COUNT} ports from {FIRST} on is free");
}

/// Whether a server could listen on this port of 127.0.0.1 now.
#[must_use]
pub fn is_free(port: u16) -> bool {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok()
}
