//! Misbehaviour on demand.

use std::time::Duration;

use portcullis_tests::okta::{AuthServer, Endpoint, Fault, MAX_REQUEST_BODY};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::wire::{ask, get, start, try_ask};

#[tokio::test]
async fn each_fault_does_what_it_says_until_told_to_behave() {
    let okta = start().await;
    let keys = AuthServer::Org.endpoint(okta.base_url(), "keys");
    okta.misbehave(Endpoint::Keys, Fault::Status(503));
    assert_eq!(get(&keys).await.status, 503);
    okta.misbehave(Endpoint::Keys, Fault::Garbage);
    assert!(serde_json::from_str::<serde_json::Value>(&get(&keys).await.body).is_err());
    okta.misbehave(Endpoint::Keys, Fault::CutBody);
    assert!(try_ask(&keys, "GET", &[], "").await.is_err());
    okta.misbehave(Endpoint::Keys, Fault::HugeBody(3 << 20));
    assert!(get(&keys).await.body.len() > 3 << 20);
    okta.misbehave(Endpoint::Keys, Fault::Blocked);
    assert_eq!(get(&keys).await.json()["errorCode"], "E0000006");
    okta.misbehave(Endpoint::Keys, Fault::DelayMs(100));
    let before = tokio::time::Instant::now();
    assert_eq!(get(&keys).await.status, 200);
    assert!(before.elapsed() >= Duration::from_millis(100));
    okta.behave(Some(Endpoint::Keys));
    assert_eq!(get(&keys).await.json()["keys"].as_array().unwrap().len(), 2);
    assert_eq!(okta.requests(Endpoint::Keys), 7);
}

#[tokio::test]
async fn a_fault_can_last_for_a_number_of_requests() {
    let okta = start().await;
    let discovery = format!("{}/.well-known/openid-configuration", okta.base_url());
    okta.misbehave_times(Endpoint::Discovery, Fault::Status(500), 2);
    let mut statuses = Vec::new();
    for _ in 0..3 {
        statuses.push(get(&discovery).await.status);
    }
    assert_eq!(statuses, [500, 500, 200]);
}

#[tokio::test]
async fn an_endless_body_goes_on_and_a_hanging_endpoint_says_nothing() {
    let okta = start().await;
    let address = okta.base_url().strip_prefix("http://").unwrap().to_owned();
    let keys = b"GET /oauth2/v1/keys HTTP/1.1\r\nhost: x\r\n\r\n";
    okta.misbehave(Endpoint::Keys, Fault::EndlessBodyMs(1));
    let mut socket = TcpStream::connect(&address).await.unwrap();
    socket.write_all(keys).await.unwrap();
    let mut bytes = vec![0; 2000];
    tokio::time::timeout(Duration::from_secs(30), socket.read_exact(&mut bytes)).await.unwrap().unwrap();
    okta.misbehave(Endpoint::Keys, Fault::Hang);
    let mut socket = TcpStream::connect(&address).await.unwrap();
    socket.write_all(keys).await.unwrap();
    let silence = tokio::time::timeout(Duration::from_millis(200), socket.read(&mut bytes)).await;
    assert!(silence.is_err());
    drop(okta);
    let end = tokio::time::timeout(Duration::from_secs(30), socket.read(&mut bytes)).await.unwrap();
    assert!(matches!(end, Ok(0) | Err(_)), "a stopped simulator cuts its connections");
}

#[tokio::test]
async fn a_body_over_the_limit_is_refused() {
    let okta = start().await;
    let token = AuthServer::Org.endpoint(okta.base_url(), "token");
    let fitting = ask(&token, "POST", &[], &"a".repeat(MAX_REQUEST_BODY)).await;
    assert_eq!(fitting.status, 401);
    // The refusal may come before everything is sent, and then the sending fails.
    let over = try_ask(&token, "POST", &[], &"a".repeat(MAX_REQUEST_BODY + 1)).await;
    assert!(over.is_err() || over.is_ok_and(|reply| reply.status == 413));
}
