//! Free ports for servers that are told theirs before they start.

use std::fs::File;
use std::net::{Ipv4Addr, TcpListener};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};

/// Below the range from which Linux takes the ports of outgoing connections: a port that is free now could otherwise be
/// some client's a moment later, when the server wants it.
const FIRST: u16 = 20_000;
const COUNT: u32 = 12_000;

/// Processes that run side by side begin this far from each other, so that they seldom try the same port.
const STRIDE: u32 = 37;

static NEXT: AtomicU32 = AtomicU32::new(0);
/// What keeps others from the ports that were given out here, until this process ends.
static CLAIMS: Mutex<Vec<File>> = Mutex::new(Vec::new());

/// A port of 127.0.0.1 that nothing listens on, and that neither this process nor one beside it has given out lately.
///
/// # Panics
/// When every port of the range is taken.
#[must_use]
pub fn free() -> u16 {
    let start = (std::process::id() % COUNT) * STRIDE;
    for _ in 0..COUNT {
        let port = FIRST + ((start + NEXT.fetch_add(1, Ordering::Relaxed) % COUNT) % COUNT) as u16;
        if claim(port) && is_free(port) {
            return port;
        }
    }
    panic!("none of the {COUNT} ports from {FIRST} on is free");
}

/// A server binds a port long after it was found free, and shares it without a word when another has bound it meanwhile
/// (`SO_REUSEPORT`): two tests at once would then talk to each other's gateways.
fn claim(port: u16) -> bool {
    let folder = std::env::temp_dir().join("portcullis-test-ports");
    let _ = std::fs::create_dir_all(&folder);
    let Ok(file) = File::create(folder.join(port.to_string())) else { return true };
    let is_ours = file.try_lock().is_ok();
    if is_ours {
        CLAIMS.lock().unwrap_or_else(PoisonError::into_inner).push(file);
    }
    is_ours
}

/// Whether a server could listen on this port of 127.0.0.1 now.
#[must_use]
pub fn is_free(port: u16) -> bool {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok()
}
