//! The rows of the table: what is asked of each contestant, and how much of it. How a row is measured stands here; what is made of the
//! figures is left to the report.

use std::path::Path;
use std::time::Instant;

use tokio::runtime::Runtime;
use tokio::task::JoinSet;

use super::client::{Client, Outcome, Sessions, is_resumed};
use super::contestant::Contestant;
use super::load::{self, Done};
use super::machine;

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Row {
    /// 1 KiB answers over HTTP/1.1, 64 connections.
    Http1,
    /// 1 KiB answers over HTTP/2, 16 connections with 32 streams each.
    Http2,
    /// A whole handshake and one request.
    Handshake,
    /// The share of handshakes that continue a session.
    Resumed,
    /// 1 MiB answers.
    Download,
    /// 100 MiB requests.
    Upload,
    /// A WebSocket message and its echo.
    WebSocket,
    /// 5 GB down and up, and the most memory on the way.
    Big,
    /// Memory of a connection that does nothing. Last, since what so many connections leave behind is not given back.
    Idle,
}

impl Row {
    /// In the order of the table.
    pub const ALL: [Self; 9] = [
        Self::Http1,
        Self::Http2,
        Self::Handshake,
        Self::Resumed,
        Self::Download,
        Self::Upload,
        Self::WebSocket,
        Self::Big,
        Self::Idle,
    ];

    /// As it is named on the command line and in the figures.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Http1 => "http1",
            Self::Http2 => "http2",
            Self::Handshake => "handshake",
            Self::Resumed => "resumed",
            Self::Download => "download",
            Self::Upload => "upload",
            Self::WebSocket => "websocket",
            Self::Idle => "idle",
            Self::Big => "big",
        }
    }

    /// The row of that name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|row| row.name() == name)
    }

    /// Where `auth_request` is asked once for many bytes, it is nginx over again.
    pub(super) fn takes_part(self, contestant: &str) -> bool {
        let is_short = matches!(self, Self::Http1 | Self::Http2);
        is_short || contestant != super::stage::WITH_AUTH
    }

    pub(super) fn rounds(self, extent: Extent) -> usize {
        match self {
            Self::Resumed | Self::Idle | Self::Big => 1,
            _ => extent.rounds(),
        }
    }
}

/// How long the whole takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extent {
    /// Some minutes.
    Full,
    /// Under three minutes, and less to be trusted.
    Quick,
}

impl Extent {
    fn choose<T>(self, full: T, quick: T) -> T {
        match self {
            Self::Full => full,
            Self::Quick => quick,
        }
    }

    fn rounds(self) -> usize {
        3
    }

    fn seconds(self) -> u64 {
        self.choose(4, 1)
    }

    fn big_bytes(self) -> u64 {
        self.choose(5_000_000_000, 500_000_000)
    }
}

/// What a figure tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Metric {
    /// CPU time of the whole process tree for each request, in microseconds.
    CpuUs,
    /// Requests in a second.
    PerSecond,
    /// System calls for each request.
    Syscalls,
    /// Handshakes that continued a session, in percent.
    ResumedPercent,
    /// Memory of an idle connection.
    KibPerConnection,
    /// Connections that were held open at once.
    ConnectionsHeld,
    /// The most memory during a long download.
    DownloadPeakMib,
    /// The most memory during a long upload.
    UploadPeakMib,
}

impl Metric {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::CpuUs => "cpu_us",
            Self::PerSecond => "per_s",
            Self::Syscalls => "syscalls",
            Self::ResumedPercent => "resumed_percent",
            Self::KibPerConnection => "kib_per_connection",
            Self::ConnectionsHeld => "connections_held",
            Self::DownloadPeakMib => "download_peak_mib",
            Self::UploadPeakMib => "upload_peak_mib",
        }
    }
}

/// Measures a row once.
pub(super) struct Measure<'a> {
    pub(super) runtime: &'a Runtime,
    pub(super) contestant: &'a Contestant,
    pub(super) certificate: &'a str,
    pub(super) folder: &'a Path,
    pub(super) extent: Extent,
}

const SMALL: &str = "/bytes/1024";
const MIB: u64 = 1024 * 1024;
const HTTP1_CONNECTIONS: u32 = 64;
const HTTP2_LOAD: (u32, u32) = (16, 32);
/// Enough to know how fast it goes, and to warm up.
const HTTP2_TRIAL: u64 = 4_000;
const DOWNLOAD_CONNECTIONS: u32 = 8;
const HANDSHAKES_AT_ONCE: u64 = 16;
const UPLOAD_BYTES: u64 = 100 * MIB;
const WEBSOCKETS: u64 = 64;
const RESUMPTIONS: u64 = 500;
/// What is to be held open, where the system lets so many be.
const IDLE_CONNECTIONS: u64 = 10_000;

impl Measure<'_> {
    /// The figures of one round.
    pub(super) fn run(&self, row: Row) -> Outcome<Vec<(Metric, f64)>> {
        match row {
            Row::Resumed => self.resumed(),
            Row::Idle => self.idle(),
            Row::Big => self.big(),
            _ => {
                let requests = self.requests(row)?;
                self.timed(|| self.load(row, requests))
            }
        }
    }

    /// System calls for each request of a row that has them in the table.
    pub(super) fn syscalls(&self, row: Row) -> Outcome<Vec<(Metric, f64)>> {
        if !matches!(row, Row::Http1 | Row::Http2) {
            return Ok(Vec::new());
        }
        let tracer = machine::Tracer::attach(self.contestant.id);
        let done = self.load(row, HTTP2_TRIAL * 5)?;
        let count = tracer.and_then(machine::Tracer::count).ok_or("`perf` counts no system calls here")?;
        Ok(vec![(Metric::Syscalls, count as f64 / done.requests as f64)])
    }

    fn timed(&self, work: impl FnOnce() -> Outcome<Done>) -> Outcome<Vec<(Metric, f64)>> {
        let before = machine::cpu_s(self.contestant.id);
        let done = work()?;
        let used = machine::cpu_s(self.contestant.id) - before;
        let requests = done.requests as f64;
        Ok(vec![(Metric::CpuUs, used * 1e6 / requests), (Metric::PerSecond, requests / done.seconds)])
    }

    /// How many requests fill the time, where the number is what is told.
    fn requests(&self, row: Row) -> Outcome<u64> {
        if row != Row::Http2 {
            return Ok(0);
        }
        let trial = self.load(row, HTTP2_TRIAL)?;
        let rate = trial.requests as f64 / trial.seconds;
        Ok((rate * self.extent.seconds() as f64) as u64)
    }

    fn load(&self, row: Row, requests: u64) -> Outcome<Done> {
        let (address, folder, extent) = (&self.contestant.address, self.folder, self.extent);
        match row {
            Row::Http1 => load::http1(address, SMALL, HTTP1_CONNECTIONS, extent.seconds(), folder),
            Row::Http2 => load::http2(address, SMALL, HTTP2_LOAD, requests, folder),
            Row::Download => {
                load::http1(address, "/bytes/1048576", DOWNLOAD_CONNECTIONS, extent.seconds(), folder)
            }
            Row::Handshake => {
                self.at_once(HANDSHAKES_AT_ONCE, extent.choose(300, 60), |client, each| async move {
                    for _ in 0..each {
                        let mut stream = client.connect().await?;
                        client.get(&mut stream, SMALL).await?;
                    }
                    Ok(())
                })
            }
            Row::Upload => self.at_once(1, extent.choose(6, 2), |client, each| async move {
                let mut stream = client.connect().await?;
                for _ in 0..each {
                    client.upload(&mut stream, UPLOAD_BYTES).await?;
                }
                Ok(())
            }),
            Row::WebSocket => {
                self.at_once(WEBSOCKETS, extent.choose(2_000, 500), |client, each| async move {
                    client.converse(each).await
                })
            }
            Row::Resumed | Row::Idle | Row::Big => Err("it is measured in its own way".to_owned()),
        }
    }

    fn client(&self, sessions: Sessions) -> Client {
        Client::new(&self.contestant.address, self.certificate, sessions)
    }

    /// So many clients side by side, each with as much to do.
    fn at_once<F>(&self, clients: u64, each: u64, work: impl Fn(Client, u64) -> F) -> Outcome<Done>
    where
        F: Future<Output = Outcome<()>> + Send + 'static,
    {
        let client = self.client(Sessions::Fresh);
        let begun = Instant::now();
        self.runtime.block_on(async {
            let mut running = JoinSet::new();
            for _ in 0..clients {
                running.spawn(work(client.clone(), each));
            }
            while let Some(ended) = running.join_next().await {
                ended.map_err(|error| error.to_string())??;
            }
            Ok::<_, String>(())
        })?;
        Ok(Done { requests: clients * each, seconds: begun.elapsed().as_secs_f64() })
    }

    fn resumed(&self) -> Outcome<Vec<(Metric, f64)>> {
        let client = self.client(Sessions::Resumed);
        let mut resumed = 0_u64;
        let mut figures = self.timed(|| {
            let begun = Instant::now();
            self.runtime.block_on(async {
                for _ in 0..RESUMPTIONS {
                    let mut stream = client.connect().await?;
                    resumed += u64::from(is_resumed(&stream));
                    client.get(&mut stream, SMALL).await?;
                }
                Ok::<_, String>(())
            })?;
            Ok(Done { requests: RESUMPTIONS, seconds: begun.elapsed().as_secs_f64() })
        })?;
        // The first has nothing to continue.
        let share = resumed as f64 / (RESUMPTIONS - 1) as f64;
        figures.push((Metric::ResumedPercent, share * 100.0));
        Ok(figures)
    }

    /// As many connections as the system's limits bear. Each has carried a request before it does nothing, and carries one after.
    fn idle(&self) -> Outcome<Vec<(Metric, f64)>> {
        let wanted = IDLE_CONNECTIONS.min(self.contestant.bears);
        let client = self.client(Sessions::Fresh);
        self.runtime.block_on(async {
            let before = machine::resident_kib(self.contestant.id);
            let mut held = Vec::new();
            for _ in 0..wanted {
                let mut stream = client.connect().await?;
                client.get(&mut stream, SMALL).await?;
                held.push(stream);
            }
            let grown = machine::resident_kib(self.contestant.id).saturating_sub(before);
            for (number, stream) in held.iter_mut().enumerate() {
                let again = client.get(stream, SMALL).await;
                again.map_err(|cause| format!("connection {number} of {wanted} was not held: {cause}"))?;
            }
            let each = grown as f64 / wanted as f64;
            Ok(vec![(Metric::KibPerConnection, each), (Metric::ConnectionsHeld, wanted as f64)])
        })
    }

    fn big(&self) -> Outcome<Vec<(Metric, f64)>> {
        let len = self.extent.big_bytes();
        let client = self.client(Sessions::Fresh);
        let id = self.contestant.id;
        let peak_mib = || machine::peak_kib(id) as f64 / 1_024.0;
        self.runtime.block_on(async {
            machine::forget_peak(id);
            let mut stream = client.connect().await?;
            client.get(&mut stream, &format!("/bytes/{len}")).await?;
            let down = peak_mib();
            machine::forget_peak(id);
            client.upload(&mut stream, len).await?;
            Ok(vec![(Metric::DownloadPeakMib, down), (Metric::UploadPeakMib, peak_mib())])
        })
    }
}
