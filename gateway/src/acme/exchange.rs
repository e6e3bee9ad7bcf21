//! How requests reach an authority: over our own client, by https alone. What is asked is left to `account` and `order`.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use http::header::RETRY_AFTER;
use http::{HeaderMap, Request, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Bytes;
use instant_acme::{BodyWrapper, BytesResponse, Error, HttpClient};

use super::plan::MAX_TOLD_WAIT_S;
use crate::web_client::WebClient;

/// The way to one authority. Clones share what it said.
#[derive(Clone)]
pub(super) struct Exchange {
    web: Arc<WebClient>,
    told_to_wait_s: Arc<AtomicI64>,
}

impl Exchange {
    pub(super) fn new(web: WebClient) -> Self {
        Self { web: Arc::new(web), told_to_wait_s: Arc::default() }
    }

    /// For how long the authority wants to be left alone, in seconds.
    pub(super) fn told_to_wait_s(&self) -> i64 {
        self.told_to_wait_s.load(Ordering::Relaxed)
    }
}

/// Addresses come from the authority, and what they lead to is not to be guessed at from here.
#[derive(Debug, thiserror::Error)]
#[error("the authority names an address that is not https")]
struct NotHttps;

type Answer = Pin<Box<dyn Future<Output = Result<BytesResponse, Error>> + Send>>;

impl HttpClient for Exchange {
    fn request(&self, request: Request<BodyWrapper<Bytes>>) -> Answer {
        let this = self.clone();
        Box::pin(async move {
            let (head, body) = request.into_parts();
            if head.uri.scheme_str() != Some("https") {
                return Err(Error::Other(Box::new(NotHttps)));
            }
            let body = match body.collect().await {
                Ok(whole) => whole.to_bytes(),
                Err(never) => match never {},
            };
            let sent = this.web.send(Request::from_parts(head, body.to_vec())).await;
            let answer = sent.map_err(|error| Error::Other(Box::new(error)))?;
            if let StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE = answer.status() {
                this.told_to_wait_s.store(wait_s(answer.headers()), Ordering::Relaxed);
            }
            Ok(BytesResponse::from(answer.map(|body| Full::new(Bytes::from(body)))))
        })
    }
}

/// A date instead of seconds is passed over: the wait after a failure is long enough without it.
fn wait_s(headers: &HeaderMap) -> i64 {
    let told = headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.trim().parse::<i64>().ok());
    told.map_or(0, |seconds| seconds.clamp(0, MAX_TOLD_WAIT_S))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn an_address_without_tls_is_not_asked() {
        let exchange = Exchange::new(WebClient::new(Duration::from_secs(5)).unwrap());
        let request = Request::get("http://127.0.0.1:1/dir").body(BodyWrapper::default()).unwrap();
        let error = exchange.request(request).await.err().unwrap();
        assert!(matches!(error, Error::Other(cause) if cause.is::<NotHttps>()));
    }

    #[test]
    fn the_wait_that_is_told_is_bounded() {
        let told = |value: &str| wait_s(&HeaderMap::from_iter([(RETRY_AFTER, value.parse().unwrap())]));
        assert_eq!(told("120"), 120);
        assert_eq!(told(&(MAX_TOLD_WAIT_S + 1).to_string()), MAX_TOLD_WAIT_S);
        for wrong in ["-1", "soon", "99999999999999999999", "Fri, 31 Dec 1999 23:59:59 GMT"] {
            assert_eq!(told(wrong), 0, "{wrong}");
        }
    }
}
