//! A connection of a provisioning client that is kept, and questions over it. What is asked is left to the steps.

use std::net::Ipv4Addr;
use std::sync::Arc;

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HOST};
use http::{Method, Request};
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use serde_json::Value;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::harness::World;

/// What went wrong, in words.
pub(super) type Outcome<T> = Result<T, String>;

/// Where the sink is, and the key.
#[derive(Clone)]
pub(super) struct Scim {
    connector: TlsConnector,
    host: String,
    port: u16,
    key: String,
}

/// One connection.
pub(super) struct Line {
    sender: SendRequest<Full<Bytes>>,
    host: String,
    key: String,
}

/// What the sink said.
pub(super) struct Said {
    pub(super) bytes: usize,
    pub(super) body: Value,
}

impl Scim {
    pub(super) fn of(world: &World) -> Outcome<Self> {
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(world.gateway.ca_pem().as_bytes()) {
            roots.add(certificate.map_err(told("certificate"))?).map_err(told("certificate"))?;
        }
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(told("tls"))?
            .with_root_certificates(roots)
            .with_no_client_auth();
        let connector = TlsConnector::from(Arc::new(config));
        let (host, port) = (world.settings.auth_host.clone(), world.settings.public());
        Ok(Self { connector, host, port, key: world.scim_key.clone() })
    }

    pub(super) async fn connect(&self) -> Outcome<Line> {
        let tcp = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).await.map_err(told("connect"))?;
        tcp.set_nodelay(true).map_err(told("connect"))?;
        let name = ServerName::try_from(self.host.clone()).map_err(told("name"))?;
        let stream = self.connector.connect(name, tcp).await.map_err(told("handshake"))?;
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(told("http"))?;
        tokio::spawn(connection);
        Ok(Line { sender, host: format!("{}:{}", self.host, self.port), key: self.key.clone() })
    }
}

impl Line {
    /// Asks, and reads the whole answer; anything but a 2xx is trouble.
    pub(super) async fn ask(&mut self, method: Method, path: &str, body: Option<&Value>) -> Outcome<Said> {
        let bytes = body.map(|body| Bytes::from(body.to_string())).unwrap_or_default();
        let request = Request::builder()
            .method(&method)
            .uri(format!("/scim/v2/corp{path}"))
            .header(HOST, &self.host)
            .header(AUTHORIZATION, format!("Bearer {}", self.key))
            .header(CONTENT_TYPE, "application/scim+json")
            .body(Full::new(bytes))
            .map_err(told("request"))?;
        self.sender.ready().await.map_err(told("connection"))?;
        let (head, body) = self.sender.send_request(request).await.map_err(told("request"))?.into_parts();
        let body = body.collect().await.map_err(told("answer"))?.to_bytes();
        if !head.status.is_success() {
            let text = String::from_utf8_lossy(&body[..body.len().min(300)]).into_owned();
            return Err(format!("{method} {path}: {} {text}", head.status));
        }
        let read = if body.is_empty() {
            Value::Null
        } else {
            serde_json::from_slice(&body).map_err(told("json"))?
        };
        Ok(Said { bytes: body.len(), body: read })
    }

    pub(super) async fn get(&mut self, path: &str) -> Outcome<Said> {
        self.ask(Method::GET, path, None).await
    }

    pub(super) async fn patch(&mut self, path: &str, operations: Value) -> Outcome<Said> {
        let body = serde_json::json!({
            "schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"],
            "Operations": operations,
        });
        self.ask(Method::PATCH, path, Some(&body)).await
    }
}

pub(super) fn told<E: std::fmt::Display>(what: &'static str) -> impl Fn(E) -> String {
    move |error| format!("{what}: {error}")
}
