//! Asks endpoints whether they are well, over a connection of its own each time. No person's byte is on it, so no passage is either.
//! What follows from the answer is left to `endpoint`.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{HOST, USER_AGENT};
use http::uri::{Authority, Scheme, Uri};
use http::{HeaderValue, Request, StatusCode};
use http_body_util::Empty;

use super::addresses::Addresses;
use super::balance::Balance;
use super::clock::now_ms;
use super::wire::{connect, speak, within};
use crate::config::{Endpoint, Health, Protocol, Upstream, UpstreamHost};

/// Asks one endpoint again and again, beginning now.
pub(super) async fn ask_for_ever(balance: Arc<Balance>, number: usize, health: Health) {
    let upstream = &balance.application().upstream;
    let (Some(endpoint), Some(state)) = (upstream.endpoints.get(number), balance.endpoints().get(number))
    else {
        return;
    };
    // Good answers in a row are counted upwards from zero, bad ones downwards.
    let mut in_a_row: i64 = 0;
    loop {
        let asked = within(health.timeout, ask(endpoint, &state.addresses, upstream, &health)).await;
        let cause = match asked {
            Some(Ok(status)) if health.status.contains(&status) => None,
            Some(Ok(status)) => Some(format!("it answers {status}")),
            Some(Err(error)) => Some(error.to_string()),
            None => Some(format!("no answer within {:?}", health.timeout)),
        };
        in_a_row = match &cause {
            None => in_a_row.max(0) + 1,
            Some(_) => in_a_row.min(0) - 1,
        };
        if in_a_row >= i64::from(health.healthy_after) {
            state.set_healthy(true, now_ms(), "");
        } else if in_a_row <= -i64::from(health.unhealthy_after) {
            state.set_healthy(false, now_ms(), &cause.unwrap_or_default());
        }
        tokio::time::sleep(health.interval.max(Duration::from_millis(1))).await;
    }
}

async fn ask(
    endpoint: &Endpoint,
    addresses: &Addresses,
    upstream: &Upstream,
    health: &Health,
) -> io::Result<StatusCode> {
    let (wire, _cutter) = connect(endpoint, addresses, upstream).await?;
    let mut sender = speak::<Empty<Bytes>>(wire, endpoint.protocol).await.map_err(io::Error::other)?;
    let request = question(endpoint, upstream, health).map_err(io::Error::other)?;
    let answered = sender.send(request).await;
    answered.map(|response| response.status()).map_err(|failed| io::Error::other(failed.into_error()))
}

fn question(
    endpoint: &Endpoint,
    upstream: &Upstream,
    health: &Health,
) -> Result<Request<Empty<Bytes>>, http::Error> {
    let host = match &upstream.host {
        UpstreamHost::Fixed(host) => host,
        UpstreamHost::Keep | UpstreamHost::Rewrite => &endpoint.authority,
    };
    let mut request = Request::new(Empty::new());
    let agent = HeaderValue::from_static(concat!("portcullis/", env!("CARGO_PKG_VERSION"), " (health)"));
    request.headers_mut().insert(USER_AGENT, agent);
    *request.uri_mut() = match endpoint.protocol {
        Protocol::Http1 => {
            request.headers_mut().insert(HOST, host.clone());
            Uri::from(health.path.clone())
        }
        Protocol::Http2 => Uri::builder()
            .scheme(if endpoint.tls_name.is_some() { Scheme::HTTPS } else { Scheme::HTTP })
            .authority(Authority::try_from(host.as_bytes())?)
            .path_and_query(health.path.clone())
            .build()?,
    };
    Ok(request)
}
