//! Reads a TCP socket together with the moment at which the kernel received what is read. It parses nothing.

mod stream;

use std::io::{self, IoSliceMut};
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use nix::sys::socket::{ControlMessageOwned, MsgFlags, recvmsg};
use nix::sys::time::TimeSpec;
use tokio::net::TcpStream;

pub(crate) use stream::{LastArrival, Portions, TimedStream};

/// The most that one read takes, so that one timestamp never stands for very much.
pub(crate) const READ_SIZE: usize = 16 * 1024;

/// Two samples of the clocks further apart than this were interrupted and are taken again.
const SAMPLE_WITHIN: Duration = Duration::from_micros(5);
const SAMPLE_TRIES: usize = 5;

/// Reads once, without waiting; `Ok(0)` is the end of the stream.
///
/// The time is the kernel's for the last byte of what was read, not the reader's: a busy reader must neither blame the
/// gateway for its own delay nor excuse it.
pub(crate) fn read(stream: &TcpStream, into: &mut [u8]) -> io::Result<(usize, Instant)> {
    let mut parts = [IoSliceMut::new(into)];
    let mut space = nix::cmsg_space!(TimeSpec);
    let message = recvmsg::<()>(stream.as_raw_fd(), &mut parts, Some(&mut space), MsgFlags::empty())?;
    let kernel = message.cmsgs()?.find_map(|control| match control {
        ControlMessageOwned::ScmTimestampns(at) => Some(Duration::from(at)),
        _ => None,
    });
    // Without a time of the kernel's the byte counts as received now: later than it was, hence never too lenient.
    Ok((message.bytes, kernel.map_or_else(Instant::now, on_monotonic_clock)))
}

/// The kernel stamps in wall-clock time; both clocks are sampled side by side to carry it over, and the closest samples count.
fn on_monotonic_clock(since_epoch: Duration) -> Instant {
    let (mut instant, mut wall, mut closest) = (Instant::now(), SystemTime::now(), Duration::MAX);
    for _ in 0..SAMPLE_TRIES {
        let (before, between) = (Instant::now(), SystemTime::now());
        let apart = before.elapsed();
        if apart < closest {
            (instant, wall, closest) = (before, between, apart);
        }
        if closest < SAMPLE_WITHIN {
            break;
        }
    }
    let ago = wall.duration_since(UNIX_EPOCH + since_epoch).unwrap_or_default();
    instant.checked_sub(ago).unwrap_or(instant)
}
