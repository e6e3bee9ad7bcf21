//! Behind a balancer that speaks the PROXY protocol: it must, nobody else may, and the address that is judged is the one it tells.
#![allow(missing_docs, clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "test code")]

use std::io::Read;
use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use portcullis_tests::handshake::{Handshake, status};
use portcullis_tests::harness::{World, WorldConfig};

const BALANCER: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 9);
const STRANGER: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 8);
const PATIENCE: Duration = Duration::from_secs(20);
const LINE: &[u8] = b"PROXY TCP4 192.0.2.7 198.51.100.1 4096 443\r\n";

async fn balanced_world() -> World {
    World::with(WorldConfig {
        change: |settings| {
            settings.server_extra = "proxy_protocol_from = [\"127.0.0.9\"]\n".to_owned();
            settings.extra = "[limits]\nhandshake_timeout = \"2s\"\nconnections_per_address = 2\n".to_owned();
        },
        provisioned: false,
        ..WorldConfig::default()
    })
    .await
}

fn from(world: &World, from: Ipv4Addr, before: &[u8]) -> Handshake {
    let handshake = Handshake::new(&world.gateway.ca_pem(), world.settings.port, "wiki.localhost");
    Handshake { from, before: before.to_vec(), ..handshake }
}

/// Version 2 for a client, with a field of the balancer's own behind the addresses.
fn version_2(command: u8, client: Ipv4Addr) -> Vec<u8> {
    let addresses =
        [&client.octets()[..], &[198, 51, 100, 1, 0x10, 0, 1, 0xbb], &[0x04, 0, 2, 7, 7]].concat();
    let len = u16::try_from(addresses.len()).unwrap().to_be_bytes();
    [b"\r\n\r\n\0\r\nQUIT\n", &[command, 0x11][..], &len, &addresses].concat()
}

async fn is_logged(world: &World, client: &str) -> bool {
    let of_client = |event: &serde_json::Value| event["message"] == "request" && event["client"] == client;
    world.gateway.log().wait_for(PATIENCE, of_client).await.is_some()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_client_is_who_the_balancer_tells() {
    let world = balanced_world().await;
    for (before, client) in [
        (LINE.to_vec(), "192.0.2.7"),
        (version_2(0x21, Ipv4Addr::new(192, 0, 2, 8)), "192.0.2.8"),
        (version_2(0x20, Ipv4Addr::new(192, 0, 2, 9)), "127.0.0.9"),
    ] {
        let answer = from(&world, BALANCER, &before).get("wiki.localhost").unwrap();
        assert_eq!(status(&answer), 401, "{answer}");
        assert!(is_logged(&world, client).await, "{client}");
    }
    assert!(!world.gateway.log().text().contains("192.0.2.9"), "a health check is for nobody");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_balancer_must_tell_and_nobody_else_may() {
    let world = balanced_world().await;
    assert_eq!(status(&from(&world, STRANGER, b"").get("wiki.localhost").unwrap()), 401);
    assert!(from(&world, STRANGER, LINE).get("wiki.localhost").is_err(), "a stranger's word is no handshake");
    assert!(from(&world, BALANCER, b"").get("wiki.localhost").is_err());
    assert!(from(&world, BALANCER, b"PROXY UNKNOWN\r\n").get("wiki.localhost").is_err());
    assert!(!world.gateway.log().text().contains("192.0.2.7"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_balancer_that_says_nothing_is_not_waited_for() {
    let world = balanced_world().await;
    for before in [&b""[..], b"PROXY TCP4 192."] {
        let mut silent = from(&world, BALANCER, before).connect().unwrap();
        let begun = Instant::now();
        let closed = silent.sock.socket.read(&mut [0; 16]);
        assert!(matches!(closed, Ok(0)) || closed.is_err_and(|error| !is_timeout(&error)));
        assert!(begun.elapsed() >= Duration::from_secs(1));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_share_of_connections_is_that_of_the_client() {
    let world = balanced_world().await;
    let held = [(); 2].map(|()| from(&world, BALANCER, LINE).connect().unwrap());
    // Both are known to be counted once their handshake has gone on.
    let held = held.map(|mut connection| {
        connection.conn.complete_io(&mut connection.sock).unwrap();
        connection
    });
    assert!(from(&world, BALANCER, LINE).get("wiki.localhost").is_err(), "one over the client's share");
    let other = version_2(0x21, Ipv4Addr::new(192, 0, 2, 8));
    assert_eq!(status(&from(&world, BALANCER, &other).get("wiki.localhost").unwrap()), 401);
    drop(held);
}

fn is_timeout(error: &std::io::Error) -> bool {
    matches!(error.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut)
}
