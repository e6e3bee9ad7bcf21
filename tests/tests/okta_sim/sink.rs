//! A SCIM sink of the smallest kind: it keeps what it is sent, under ids of its own, and records every request.

use std::collections::{BTreeMap, VecDeque};
use std::convert::Infallible;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::{Method, Request, Response};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use portcullis_tests::okta::{Dialect, ScimTarget};
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use url::form_urlencoded;

#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) line: String,
    pub(crate) headers: http::HeaderMap,
    pub(crate) body: Value,
}

#[derive(Default)]
struct Kept {
    seen: Vec<Seen>,
    resources: BTreeMap<String, Value>,
    /// Answers to give instead of the right ones: status and `Retry-After`.
    instead: VecDeque<(u16, Option<&'static str>)>,
}

#[derive(Clone, Default)]
pub(crate) struct Sink(Arc<Mutex<Kept>>);

impl Sink {
    /// Starts on plain HTTP and gives the target to set.
    pub(crate) async fn start(dialect: Dialect) -> (Self, ScimTarget) {
        let (sink, listener) = Self::listen().await;
        let port = listener.local_addr().unwrap().port();
        let serving = sink.clone();
        tokio::spawn(async move {
            loop {
                let (socket, _) = listener.accept().await.unwrap();
                tokio::spawn(serving.clone().serve(socket));
            }
        });
        let base_url = format!("http://127.0.0.1:{port}/scim/v2");
        (sink, ScimTarget { base_url, token: "key".to_owned(), bearer: true, ca_pem: None, dialect })
    }

    /// Starts on TLS, with a certificate for `scim.localhost` of a CA made for the occasion.
    pub(crate) async fn start_tls() -> (Self, ScimTarget) {
        let (sink, listener) = Self::listen().await;
        let port = listener.local_addr().unwrap().port();
        let made = rcgen::generate_simple_self_signed(vec!["scim.localhost".to_owned()]).unwrap();
        let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![made.cert.der().clone()], key)
            .unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let serving = sink.clone();
        tokio::spawn(async move {
            loop {
                let (socket, _) = listener.accept().await.unwrap();
                if let Ok(socket) = acceptor.accept(socket).await {
                    tokio::spawn(serving.clone().serve(socket));
                }
            }
        });
        let target = ScimTarget {
            base_url: format!("https://scim.localhost:{port}/scim/v2"),
            token: "key".to_owned(),
            bearer: false,
            ca_pem: Some(made.cert.pem()),
            dialect: Dialect::Wizard,
        };
        (sink, target)
    }

    async fn listen() -> (Self, TcpListener) {
        (Self::default(), TcpListener::bind("127.0.0.1:0").await.unwrap())
    }

    /// What came since the last look.
    pub(crate) fn take(&self) -> Vec<Seen> {
        std::mem::take(&mut self.0.lock().unwrap().seen)
    }

    /// Method and path of what came since the last look.
    pub(crate) fn lines(&self) -> Vec<String> {
        self.take().into_iter().map(|seen| seen.line).collect()
    }

    pub(crate) fn resource(&self, id: &str) -> Value {
        self.0.lock().unwrap().resources[id].clone()
    }

    pub(crate) fn answer_instead(&self, status: u16, retry_after: Option<&'static str>) {
        self.0.lock().unwrap().instead.push_back((status, retry_after));
    }

    async fn serve<S>(self, socket: S)
    where
        S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
    {
        let service = service_fn(move |request: Request<Incoming>| {
            let sink = self.clone();
            async move {
                let (parts, body) = request.into_parts();
                let body = body.collect().await.unwrap().to_bytes();
                Ok::<_, Infallible>(sink.answer(&parts, &body))
            }
        });
        let _ =
            hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(socket), service).await;
    }

    fn answer(&self, parts: &http::request::Parts, body: &Bytes) -> Response<Full<Bytes>> {
        let mut kept = self.0.lock().unwrap();
        let body = serde_json::from_slice::<Value>(body).unwrap_or(Value::Null);
        let target = parts.uri.path_and_query().unwrap().as_str();
        let line = format!("{} {}", parts.method, target.strip_prefix("/scim/v2").unwrap());
        kept.seen.push(Seen { line, headers: parts.headers.clone(), body: body.clone() });
        if let Some((status, retry_after)) = kept.instead.pop_front() {
            let mut response = Response::builder().status(status);
            if let Some(wait) = retry_after {
                response = response.header("retry-after", wait);
            }
            return response.body(Full::new(Bytes::from_static(b"{\"detail\":\"instead\"}"))).unwrap();
        }
        let path = parts.uri.path().split('/').skip(3).map(str::to_owned).collect::<Vec<_>>();
        let (status, answer) = kept.store(&parts.method, &path, parts.uri.query().unwrap_or_default(), body);
        let bytes = if status == 204 { Bytes::new() } else { Bytes::from(answer.to_string()) };
        Response::builder().status(status).body(Full::new(bytes)).unwrap()
    }
}

impl Kept {
    fn store(&mut self, method: &Method, path: &[String], query: &str, mut body: Value) -> (u16, Value) {
        match (method.as_str(), path) {
            ("GET", [kind]) => (200, self.list(kind, query)),
            ("POST", [kind]) => {
                let id = format!("{kind}-{}", self.resources.len());
                body["id"] = json!(id);
                body["unknownToOkta"] = json!("kept");
                self.resources.insert(id, body.clone());
                (201, body)
            }
            (_, [_, id]) if !self.resources.contains_key(id) => (404, json!({"status": "404"})),
            ("PUT", [_, id]) => {
                body["id"] = json!(id);
                self.resources.insert(id.clone(), body.clone());
                (200, body)
            }
            ("DELETE", [_, id]) => {
                self.resources.remove(id);
                (204, Value::Null)
            }
            (_, [_, id]) => (200, self.resources[id].clone()),
            _ => (404, json!({"status": "404"})),
        }
    }

    fn list(&self, kind: &str, query: &str) -> Value {
        let filter = form_urlencoded::parse(query.as_bytes()).find(|(key, _)| key == "filter");
        let wanted = filter.map(|(_, text)| {
            let (attribute, value) = text.split_once(" eq ").unwrap();
            (attribute.to_owned(), value.trim_matches('"').to_owned())
        });
        let fits = self.resources.iter().filter(|(id, resource)| {
            id.starts_with(kind)
                && wanted.as_ref().is_none_or(|(attribute, value)| resource[attribute] == value.as_str())
        });
        let found = fits.map(|(_, resource)| resource.clone()).collect::<Vec<_>>();
        json!({"totalResults": found.len(), "startIndex": 1, "itemsPerPage": found.len(), "Resources": found})
    }
}
