//! One connection: reads with the kernel's times, gives each byte to the request it belongs to, and goes from request
//! to request. What a request means stands in `routes`.

use std::collections::VecDeque;
use std::io;
use std::time::Instant;

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncWriteExt, Interest};
use tokio::net::TcpStream;

use crate::arrival::{self, READ_SIZE};

use super::body::Body;
use super::head::{Head, Parsed};
use super::recorder::{Direction, Owner, Recorder};
use super::respond::Response;
use super::routes::{self, Next};

/// Serves requests until the peer leaves or one of them ends the connection.
pub(crate) async fn serve(stream: TcpStream, recorder: Recorder) -> io::Result<()> {
    let mut wire = Wire::new(stream, recorder);
    while let Some(head) = wire.read_head().await? {
        let body = match Body::of(&head) {
            Ok(body) => body,
            Err(status) => return wire.refuse(status).await,
        };
        let keep_alive = head.keeps_alive();
        match routes::answer(wire, &head, body).await? {
            Next::Request(kept) if keep_alive => wire = kept,
            Next::Request(_) | Next::Close => return Ok(()),
        }
        wire.owner = Owner::nobody();
    }
    Ok(())
}

/// A socket whose every byte is recorded.
pub(crate) struct Wire {
    pub(crate) stream: TcpStream,
    recorder: Recorder,
    number: u64,
    /// Bytes that were read and not yet given to a request.
    buffer: BytesMut,
    /// When they came: (how many are left, at).
    arrivals: VecDeque<(usize, Instant)>,
    pub(crate) owner: Owner,
}

impl Wire {
    fn new(stream: TcpStream, recorder: Recorder) -> Self {
        // Ticks are small; without this they would wait for each other.
        let _ = stream.set_nodelay(true);
        let number = recorder.next_connection();
        let buffer = BytesMut::with_capacity(READ_SIZE);
        Self { stream, recorder, number, buffer, arrivals: VecDeque::new(), owner: Owner::nobody() }
    }

    /// Waits for bytes; 0 is the end of the stream. May be dropped while it waits without losing any.
    pub(crate) async fn fill(&mut self) -> io::Result<usize> {
        loop {
            self.stream.readable().await?;
            match self.try_fill() {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                done => return done,
            }
        }
    }

    /// Reads what is there.
    pub(crate) fn try_fill(&mut self) -> io::Result<usize> {
        let mut space = [0u8; READ_SIZE];
        let stream = &self.stream;
        let (len, at) = stream.try_io(Interest::READABLE, || arrival::read(stream, &mut space))?;
        if len > 0 {
            self.buffer.extend_from_slice(&space[..len]);
            self.arrivals.push_back((len, at));
        }
        Ok(len)
    }

    /// What was read and belongs to no request yet.
    pub(crate) fn unclaimed(&self) -> &[u8] {
        &self.buffer
    }

    /// Gives the next `len` bytes to the current owner.
    pub(crate) fn claim(&mut self, len: usize) -> Bytes {
        let taken = self.buffer.split_to(len.min(self.buffer.len())).freeze();
        let mut from = 0;
        while from < taken.len() {
            let Some((left, at)) = self.arrivals.front_mut() else { break };
            let now = (taken.len() - from).min(*left);
            self.recorder.note(Direction::Received, &self.owner, self.number, *at, &taken[from..from + now]);
            from += now;
            *left -= now;
            if *left == 0 {
                self.arrivals.pop_front();
            }
        }
        taken
    }

    /// Writes and records; the time is that of the moment before the write.
    pub(crate) async fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.note_sent(bytes);
        self.stream.write_all(bytes).await
    }

    pub(crate) fn note_sent(&self, bytes: &[u8]) {
        self.recorder.note(Direction::Sent, &self.owner, self.number, Instant::now(), bytes);
    }

    async fn read_head(&mut self) -> io::Result<Option<Head>> {
        loop {
            match Head::parse(&self.buffer) {
                Parsed::Complete(head, len) => {
                    self.owner = head.owner();
                    self.claim(len);
                    return Ok(Some(*head));
                }
                Parsed::Bad(status) => {
                    self.refuse(status).await?;
                    return Ok(None);
                }
                Parsed::Partial => {
                    if self.fill().await? == 0 {
                        return Ok(None);
                    }
                }
            }
        }
    }

    async fn refuse(&mut self, status: u16) -> io::Result<()> {
        Response::new(status).header("Connection", "close").text("not understood\n").send(self).await
    }
}

impl Drop for Wire {
    /// What was never claimed arrived all the same.
    fn drop(&mut self) {
        self.claim(self.buffer.len());
    }
}
