//! The bare floor of the benchmarks: `floor LISTEN UPSTREAM CERTIFICATE KEY`. TLS in, plain HTTP/1.1 out, and nothing between:
//! no check, no limit, no log, no header rule. What a gateway costs above this is what it does; never run it for anything else.
#![allow(missing_docs, clippy::expect_used, reason = "a measuring instrument: a surprise must stop it")]

use std::error::Error;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use bytes::Bytes;
use http::header::{CONNECTION, HOST, UPGRADE};
use http::{Request, Response, StatusCode, Uri, Version};
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use hyper::client::conn::http1::SendRequest;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

type Fault = Box<dyn Error + Send + Sync>;

/// Idle upstream connections, last in, first out.
struct Pool {
    upstream: SocketAddr,
    idle: Mutex<Vec<SendRequest<Incoming>>>,
}

impl Pool {
    fn idle(&self) -> MutexGuard<'_, Vec<SendRequest<Incoming>>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn connection(&self) -> Result<SendRequest<Incoming>, Fault> {
        loop {
            let kept = self.idle().pop();
            match kept {
                Some(sender) if sender.is_ready() => return Ok(sender),
                Some(_) => {}
                None => return self.connect().await,
            }
        }
    }

    async fn connect(&self) -> Result<SendRequest<Incoming>, Fault> {
        let stream = TcpStream::connect(self.upstream).await?;
        stream.set_nodelay(true)?;
        let (sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
        tokio::spawn(connection.with_upgrades());
        Ok(sender)
    }
}

/// The answer's body; gives the connection back when it has ended.
struct Lent {
    incoming: Incoming,
    lease: Option<(Arc<Pool>, SendRequest<Incoming>)>,
}

impl Lent {
    fn new(incoming: Incoming, pool: Arc<Pool>, sender: SendRequest<Incoming>) -> Self {
        let mut lent = Self { incoming, lease: Some((pool, sender)) };
        lent.give_back_at_end();
        lent
    }

    fn give_back_at_end(&mut self) {
        if !self.incoming.is_end_stream() {
            return;
        }
        let Some((pool, mut sender)) = self.lease.take() else { return };
        if sender.is_ready() {
            pool.idle().push(sender);
            return;
        }
        tokio::spawn(async move {
            if sender.ready().await.is_ok() {
                pool.idle().push(sender);
            }
        });
    }
}

impl Body for Lent {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let polled = Pin::new(&mut self.incoming).poll_frame(cx);
        if polled.is_ready() {
            self.give_back_at_end();
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.size_hint()
    }
}

async fn forward(pool: Arc<Pool>, mut request: Request<Incoming>) -> Result<Response<Lent>, Fault> {
    let wanted = request.headers().contains_key(UPGRADE).then(|| hyper::upgrade::on(&mut request));
    if let Some(authority) = request.uri().authority() {
        let host = authority.as_str().parse()?;
        request.headers_mut().insert(HOST, host);
    }
    let target = request.uri().path_and_query().cloned().ok_or("no path")?;
    *request.uri_mut() = Uri::from(target);
    *request.version_mut() = Version::HTTP_11;
    let mut sender = pool.connection().await?;
    let mut response = sender.send_request(request).await?;
    if let (StatusCode::SWITCHING_PROTOCOLS, Some(client)) = (response.status(), wanted) {
        let upstream = hyper::upgrade::on(&mut response);
        tokio::spawn(async move {
            let (client, upstream) = (client.await?, upstream.await?);
            tokio::io::copy_bidirectional(&mut TokioIo::new(client), &mut TokioIo::new(upstream)).await?;
            Ok::<_, Fault>(())
        });
    } else {
        response.headers_mut().remove(CONNECTION);
    }
    Ok(response.map(|incoming| Lent::new(incoming, pool, sender)))
}

async fn connection(acceptor: TlsAcceptor, pool: Arc<Pool>, stream: TcpStream) -> Result<(), Fault> {
    stream.set_nodelay(true)?;
    let stream = acceptor.accept(stream).await?;
    let is_http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
    let service = service_fn(move |request| forward(pool.clone(), request));
    let stream = TokioIo::new(stream);
    if is_http2 {
        http2::Builder::new(TokioExecutor::new()).serve_connection(stream, service).await?;
    } else {
        http1::Builder::new().serve_connection(stream, service).with_upgrades().await?;
    }
    Ok(())
}

fn tls(certificate: &str, key: &str) -> Result<ServerConfig, Fault> {
    let chain = CertificateDer::pem_file_iter(certificate)?.collect::<Result<Vec<_>, _>>()?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(chain, PrivateKeyDer::from_pem_file(key)?)?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    config.ticketer = rustls::crypto::aws_lc_rs::Ticketer::new()?;
    Ok(config)
}

async fn serve(listen: &str, upstream: &str, certificate: &str, key: &str) -> Result<(), Fault> {
    let acceptor = TlsAcceptor::from(Arc::new(tls(certificate, key)?));
    let pool = Arc::new(Pool { upstream: upstream.parse()?, idle: Mutex::default() });
    let listener = TcpListener::bind(listen).await?;
    loop {
        let (stream, _) = listener.accept().await?;
        let serving = connection(acceptor.clone(), pool.clone(), stream);
        // A client that leaves in the middle is its own affair.
        tokio::spawn(async move { serving.await.ok() });
    }
}

fn main() -> Result<(), Fault> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [listen, upstream, certificate, key] = arguments.as_slice() else {
        return Err("usage: floor LISTEN UPSTREAM CERTIFICATE KEY".into());
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(serve(listen, upstream, certificate, key))
}
