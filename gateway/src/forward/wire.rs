//! The socket to an endpoint: plain, TLS, or in the file system; and what is spoken on it. Which endpoint is left to `balance`, who
//! may use it to `pool`.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use hyper::body::{Body, Incoming};
use hyper::client::conn::{TrySendError, http1, http2};
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::addresses::Addresses;
use crate::config::{Address, Endpoint, Protocol, Upstream};
use crate::socket::{CuttableStream, Cutter, Descriptor};

/// Size of a response head, in bytes.
const MAX_RESPONSE_HEAD_BYTES: usize = 64 * 1024;
/// What an HTTP/2 endpoint may send ahead of being read, in bytes.
const WINDOW: u32 = 256 * 1024;
/// What waits to be sent on HTTP/2, in bytes.
const SEND_BUFFER_BYTES: usize = 64 * 1024;

/// A connected socket.
#[derive(Debug)]
pub(super) enum Wire {
    Plain(CuttableStream<()>),
    Tls(Box<TlsStream<CuttableStream<()>>>),
}

/// Connects to an endpoint. The cutter reaches the socket under everything that is put upon it.
pub(super) async fn connect(
    endpoint: &Endpoint,
    addresses: &Addresses,
    upstream: &Upstream,
) -> io::Result<(Wire, Arc<Cutter>)> {
    let patience = upstream.idle_timeout;
    let (host, port) = match &endpoint.address {
        Address::Unix(path) => {
            let (stream, cutter) = cuttable(UnixStream::connect(path).await?, patience)?;
            return Ok((Wire::Plain(stream), cutter));
        }
        Address::Tcp(host, port) => (host.as_str(), *port),
    };
    let stream = TcpStream::connect(addresses.of(host, port).await?.as_ref()).await?;
    stream.set_nodelay(true)?;
    let (stream, cutter) = cuttable(stream, patience)?;
    let (Some(name), Some(config)) = (&endpoint.tls_name, &upstream.tls) else {
        return Ok((Wire::Plain(stream), cutter));
    };
    let stream = TlsConnector::from(config.clone()).connect(name.clone(), stream).await?;
    if endpoint.protocol == Protocol::Http2 && stream.get_ref().1.alpn_protocol() != Some(b"h2") {
        return Err(io::Error::other("it does not offer HTTP/2 in the TLS handshake"));
    }
    Ok((Wire::Tls(Box::new(stream)), cutter))
}

fn cuttable(
    stream: impl Into<Descriptor>,
    patience: Duration,
) -> io::Result<(CuttableStream<()>, Arc<Cutter>)> {
    let socket = Arc::new(stream.into());
    let cutter = Arc::new(Cutter::of(&socket)?);
    Ok((CuttableStream::new(socket, cutter.clone(), (), patience), cutter))
}

/// The end of a connection that takes requests.
#[derive(Debug)]
pub(super) enum Sender<B> {
    Http1(http1::SendRequest<B>),
    Http2(http2::SendRequest<B>),
}

/// Begins to speak on a socket. What reads and writes runs by itself; its failures reach whoever waits for an answer.
pub(super) async fn speak<B>(wire: Wire, protocol: Protocol) -> hyper::Result<Sender<B>>
where
    B: Body + Send + Unpin + 'static,
    B::Data: Send,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let io = TokioIo::new(wire);
    match protocol {
        Protocol::Http1 => {
            let mut builder = http1::Builder::new();
            // hyper takes a hundred fields of a response by itself; to say so, or more, would cost an allocation for each.
            builder.max_header_size(MAX_RESPONSE_HEAD_BYTES);
            let (sender, connection) = builder.handshake(io).await?;
            tokio::spawn(async move { connection.with_upgrades().await.ok() });
            Ok(Sender::Http1(sender))
        }
        Protocol::Http2 => {
            let mut builder = http2::Builder::new(TokioExecutor::new());
            builder
                .initial_stream_window_size(WINDOW)
                .initial_connection_window_size(WINDOW)
                .max_send_buf_size(SEND_BUFFER_BYTES)
                .max_header_list_size(u32::try_from(MAX_RESPONSE_HEAD_BYTES).unwrap_or(u32::MAX));
            let (sender, connection) = builder.handshake(io).await?;
            tokio::spawn(async move { connection.await.ok() });
            Ok(Sender::Http2(sender))
        }
    }
}

impl<B: Body + 'static> Sender<B> {
    /// Whether the last exchange is over and another may begin.
    pub(super) fn is_ready(&self) -> bool {
        match self {
            Self::Http1(sender) => sender.is_ready(),
            Self::Http2(sender) => sender.is_ready(),
        }
    }

    pub(super) async fn ready(&mut self) -> hyper::Result<()> {
        match self {
            Self::Http1(sender) => sender.ready().await,
            Self::Http2(sender) => sender.ready().await,
        }
    }

    pub(super) async fn send(
        &mut self,
        request: Request<B>,
    ) -> Result<Response<Incoming>, TrySendError<Request<B>>> {
        match self {
            Self::Http1(sender) => sender.try_send_request(request).await,
            Self::Http2(sender) => sender.try_send_request(request).await,
        }
    }
}

impl Wire {
    fn stream(self: Pin<&mut Self>) -> Pin<&mut (dyn Stream + Unpin + '_)> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream),
            Self::Tls(stream) => Pin::new(stream.as_mut()),
        }
    }
}

/// Both directions.
trait Stream: AsyncRead + AsyncWrite {}
impl<T: AsyncRead + AsyncWrite> Stream for T {}

impl AsyncRead for Wire {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.stream().poll_read(cx, buf)
    }
}

impl AsyncWrite for Wire {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.stream().poll_write(cx, buf)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.stream().poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Plain(stream) => stream.is_write_vectored(),
            Self::Tls(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream().poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream().poll_shutdown(cx)
    }
}

/// A time for connecting and shaking hands together.
pub(super) async fn within<T>(limit: Duration, doing: impl Future<Output = T>) -> Option<T> {
    tokio::time::timeout(limit, doing).await.ok()
}
