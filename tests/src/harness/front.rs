//! TLS in front of an address and nothing else: what a gateway would be that keeps no gate. Tests of the browser use it,
//! and tests that want to see the walk fail.

use std::net::SocketAddr;
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

/// A running front; it stops when dropped.
#[derive(Debug)]
pub struct Front {
    /// The certificate to trust.
    pub ca_pem: String,
    /// Where it listens, on 127.0.0.1.
    pub port: u16,
    accepting: JoinHandle<()>,
}

impl Front {
    /// Speaks TLS under these names, HTTP/1.1 by ALPN, and copies bytes to and from `to`.
    ///
    /// # Panics
    /// When no certificate can be made or no socket is to be had.
    pub async fn start(names: &[&str], to: SocketAddr) -> Self {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let made = rcgen::generate_simple_self_signed(names).expect("a certificate");
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()));
        let mut config =
            ServerConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
                .with_safe_default_protocol_versions()
                .expect("the provider knows TLS 1.2 and 1.3")
                .with_no_client_auth()
                .with_single_cert(vec![made.cert.der().clone()], key)
                .expect("the key fits the certificate");
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let port = listener.local_addr().expect("an address").port();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let accepting = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(copy(acceptor.clone(), stream, to));
            }
        });
        Self { ca_pem: made.cert.pem(), port, accepting }
    }
}

impl Drop for Front {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn copy(acceptor: TlsAcceptor, stream: TcpStream, to: SocketAddr) {
    let Ok(mut tls) = acceptor.accept(stream).await else { return };
    let Ok(mut plain) = TcpStream::connect(to).await else { return };
    // Either side may leave at any time; that is the test's affair.
    let _ = tokio::io::copy_bidirectional(&mut tls, &mut plain).await;
}
