//! T45: much that costs the sender little. The gateway ends the connection or takes it in its stride; its memory stays bounded,
//! the figures are printed, and others are served.

use std::fs;
use std::time::{Duration, Instant};

use portcullis_tests::harness::WorldConfig;
use tokio::time::timeout;

use super::frames::{
    CONTINUATION, DATA, END_HEADERS, END_STREAM, Frames, HEADERS, PING, RST_STREAM, SETTINGS, WINDOW_UPDATE,
    field_block, frame, head_frames,
};
use super::rig::{Mark, Rig, alone};
use super::wire::Wire;

/// What any of the floods may add to the process at its peak, in KiB. Each of them sends many times as much.
const MOST_KIB: u64 = 96 * 1024;
/// How long a flood goes on when nobody stops it.
const LONGEST: Duration = Duration::from_secs(10);

/// A figure of a process, in KiB.
fn memory(process: u32, what: &str) -> u64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(what)).unwrap();
    line.trim_matches([':', ' ', '\t', 'k', 'B']).parse().unwrap()
}

/// Runs one flood, prints what it cost, and has the gateway serve somebody else afterwards.
async fn flood(rig: &Rig, name: &str, flooding: impl AsyncFnOnce() -> u64) {
    let process = rig.world.gateway.id();
    // From here on the peak is counted anew (proc(5)).
    fs::write(format!("/proc/{process}/clear_refs"), "5").unwrap();
    let (before, begun) = (memory(process, "VmRSS"), Instant::now());
    let sent = timeout(LONGEST * 3, flooding()).await.unwrap_or_else(|_| panic!("{name}: never over"));
    let reply = timeout(LONGEST, rig.get("/whoami", &Mark::new()))
        .await
        .unwrap_or_else(|_| panic!("{name}: others wait"));
    assert_eq!(reply.status, 200, "{name}: {}", reply.text());
    // Only now: what was sent may still have been on its way.
    let peak = memory(process, "VmHWM");
    let grown = peak.saturating_sub(before);
    println!(
        "{name}: {sent} frames, all over in {:?}; memory {before} KiB, at most {grown} KiB more",
        begun.elapsed()
    );
    assert!(grown < MOST_KIB, "{name}: {grown} KiB more");
}

/// Sends batches until the other side has had enough, the count is reached or the time is over; how many were sent.
async fn pour(frames: &mut Frames, most: u64, mut batch: impl FnMut(&mut Frames) -> (Vec<u8>, u64)) -> u64 {
    let (begun, mut sent) = (Instant::now(), 0);
    while sent < most && begun.elapsed() < LONGEST {
        let (bytes, count) = batch(frames);
        if !frames.raw(&bytes).await {
            break;
        }
        sent += count;
    }
    sent
}

/// A good request's head, with these fields besides.
fn request(rig: &Rig, stream: u32, method: &[u8], target: &[u8], end_stream: u8) -> Vec<u8> {
    let (host, mark) = (rig.host(), Mark::new().to_string());
    let mut fields = rig.fields(&host, target, &mark);
    fields[0].1 = method;
    head_frames(stream, &fields, end_stream)
}

#[test]
fn t45_floods_over_http2_leave_memory_bounded() {
    alone(async || {
        let rig = Rig::start(WorldConfig::default()).await;
        flood(&rig, "rapid reset", async || {
            let mut frames = rig.frames().await;
            pour(&mut frames, 200_000, |frames| {
                let mut bytes = Vec::new();
                for _ in 0..50 {
                    let stream = frames.next_stream();
                    bytes.extend(request(&rig, stream, b"GET", b"/slow?ms=5000", END_STREAM));
                    bytes.extend(frame(RST_STREAM, 0, stream, &[0, 0, 0, 8]));
                }
                (bytes, 50)
            })
            .await
        })
        .await;
        // The server is made to reset: a window that is opened by nothing (RFC 9113 section 6.9).
        flood(&rig, "resets made by the gateway", async || {
            let mut frames = rig.frames().await;
            pour(&mut frames, 100_000, |frames| {
                let mut bytes = Vec::new();
                for _ in 0..50 {
                    let stream = frames.next_stream();
                    bytes.extend(request(&rig, stream, b"POST", b"/slow?ms=5000", 0));
                    bytes.extend(frame(WINDOW_UPDATE, 0, stream, &[0; 4]));
                }
                (bytes, 50)
            })
            .await
        })
        .await;
        flood(&rig, "a head without end", async || {
            let mut frames = rig.frames().await;
            let stream = frames.next_stream();
            let first = field_block(&[(b":method", b"GET"), (b"x-flood", &[b'f'; 16_000])]);
            frames.send(HEADERS, END_STREAM, stream, &first).await;
            let more = field_block(&[(b"x-flood", &[b'f'; 16_000])]);
            pour(&mut frames, 20_000, |_| (frame(CONTINUATION, 0, stream, &more), 1)).await
        })
        .await;
        flood(&rig, "empty continuations", async || {
            let mut frames = rig.frames().await;
            let stream = frames.next_stream();
            frames.send(HEADERS, END_STREAM, stream, &field_block(&[(b":method", b"GET")])).await;
            pour(&mut frames, 1_000_000, |_| (frame(CONTINUATION, 0, stream, &[]).repeat(500), 500)).await
        })
        .await;
        flood(&rig, "empty data", async || {
            let mut frames = rig.frames().await;
            let stream = frames.next_stream();
            frames.raw(&request(&rig, stream, b"POST", b"/upload", 0)).await;
            pour(&mut frames, 1_000_000, |_| (frame(DATA, 0, stream, &[]).repeat(500), 500)).await
        })
        .await;
        flood(&rig, "cookie crumbs", async || {
            let mut frames = rig.frames().await;
            let (host, mark) = (rig.host(), Mark::new().to_string());
            pour(&mut frames, 200, |frames| {
                let stream = frames.next_stream();
                // A cookie of 3,900 bytes, kept in the table by its first mention; then a byte each time (RFC 7541 section 6.1).
                let mut block = field_block(&rig.fields(&host, b"/whoami", &mark));
                block.extend_from_slice(&[0x60, 0x7f, 0xbd, 0x1d]);
                block.extend_from_slice(&[b'c'; 3_900]);
                block.extend_from_slice(&[0xbe; 11_000]);
                (frame(HEADERS, END_STREAM | END_HEADERS, stream, &block), 1)
            })
            .await
        })
        .await;
        for (name, kind, payload) in
            [("pings", PING, &[1_u8; 8][..]), ("settings", SETTINGS, &[0, 3, 0, 0, 0, 100])]
        {
            flood(&rig, name, async || {
                let mut frames = rig.frames().await;
                pour(&mut frames, 1_000_000, |_| (frame(kind, 0, 0, payload).repeat(500), 500)).await
            })
            .await;
        }
    });
}

#[test]
fn t45_slow_and_large_heads_leave_memory_bounded() {
    alone(async || {
        let config = WorldConfig {
            change: |settings| settings.extra = "[limits]\nheader_timeout = \"3s\"\n".to_owned(),
            ..WorldConfig::default()
        };
        let rig = Rig::start(config).await;
        flood(&rig, "heads of 50 KB that never end, on 300 connections", async || {
            let mut wires: Vec<Wire> = Vec::new();
            for _ in 0..300 {
                let mut wire = rig.wire().await;
                let fields = format!("X-Slow: {}\r\n", "s".repeat(1_000)).repeat(50);
                wire.send(format!("GET / HTTP/1.1\r\nHost: {}\r\n{fields}X-More: ", rig.host()).as_bytes())
                    .await;
                wires.push(wire);
            }
            // Each is cut off by the deadline of a head.
            let count = wires.len() as u64;
            for mut wire in wires {
                assert!(wire.reply().await.is_none_or(|reply| matches!(reply.status, 400 | 408)));
            }
            count
        })
        .await;
        flood(&rig, "a head of 100 MB", async || {
            let mut wire = rig.wire().await;
            wire.send(format!("GET / HTTP/1.1\r\nHost: {}\r\n", rig.host()).as_bytes()).await;
            for _ in 0..1_600 {
                wire.send(format!("X-Large: {}\r\n", "l".repeat(65_000)).as_bytes()).await;
            }
            assert!(wire.reply().await.is_none_or(|reply| reply.status == 431));
            1_600
        })
        .await;
    });
}
