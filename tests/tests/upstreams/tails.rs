//! The end of an upload that was answered before it was whole: it follows under nobody, whatever became of its connection.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::Response;
use portcullis_tests::browser::{Browser, Versions};
use portcullis_tests::harness::{Folder, ports};
use portcullis_tests::okta::company::DEMO_PASSWORD;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio_rustls::TlsAcceptor;

use super::kinds::{PINNED, with_tls};
use super::paper::Paper;
use super::rig::{ENGINEER, application, at, get, visitor, world_of_one_worker};

/// What is answered before its body was taken.
const EARLY: &str = "/early";
/// Longer than a connection is kept without use.
const IDLE_FOR_LONG: Duration = Duration::from_secs(6);
/// Long enough for a tail to arrive if there is one.
const A_WHILE: Duration = Duration::from_millis(1_500);

/// An upstream that answers at once, and takes next to nothing of a body until it is told to.
#[derive(Clone, Default)]
struct Narrow {
    opened: Arc<AtomicBool>,
    /// Bytes of bodies that came after that.
    late: Arc<AtomicUsize>,
    connections: Arc<AtomicUsize>,
}

impl Narrow {
    /// Over plain HTTP/2: a stream may send one byte.
    async fn listen_http2(port: u16) -> Self {
        let narrow = Self::default();
        narrow.accept(port, |narrow, stream| async move {
            narrow.http2(stream).await;
        });
        narrow
    }

    /// Over HTTP/1.1 in TLS, with a small buffer in the kernel.
    async fn listen_tls(port: u16, paper: &Paper) -> Self {
        let (narrow, acceptor) = (Self::default(), TlsAcceptor::from(paper.server("http/1.1")));
        narrow.accept(port, move |narrow, stream| {
            let acceptor = acceptor.clone();
            async move {
                if let Ok(stream) = acceptor.accept(stream).await {
                    narrow.http1(stream).await;
                }
            }
        });
        narrow
    }

    fn accept<F>(&self, port: u16, serve: impl Fn(Self, TcpStream) -> F + Send + 'static)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(4_096).unwrap();
        // Connections of a test before may still wait for their end on this port.
        socket.set_reuseaddr(true).unwrap();
        socket.bind(([127, 0, 0, 1], port).into()).unwrap();
        let (listener, narrow) = (socket.listen(64).unwrap(), self.clone());
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                narrow.connections.fetch_add(1, Ordering::SeqCst);
                tokio::spawn(serve(narrow.clone(), stream));
            }
        });
    }

    async fn open(&self) -> usize {
        self.opened.store(true, Ordering::SeqCst);
        tokio::time::sleep(A_WHILE).await;
        self.late.load(Ordering::SeqCst)
    }

    fn came(&self, bytes: usize) {
        if self.opened.load(Ordering::SeqCst) {
            self.late.fetch_add(bytes, Ordering::SeqCst);
        }
    }

    async fn http2(self, stream: TcpStream) {
        let shaken = h2::server::Builder::new().initial_window_size(1).handshake::<_, Bytes>(stream).await;
        let Ok(mut connection) = shaken else { return };
        let mut widened = false;
        loop {
            let accepted = tokio::select! {
                accepted = connection.accept() => accepted,
                () = tokio::time::sleep(Duration::from_millis(20)) => {
                    if self.opened.load(Ordering::SeqCst) && !widened {
                        widened = true;
                        connection.set_initial_window_size(1 << 20).unwrap();
                    }
                    continue;
                }
            };
            let Some(Ok((request, mut respond))) = accepted else { return };
            respond.send_response(Response::new(()), true).unwrap();
            let narrow = self.clone();
            tokio::spawn(async move {
                let mut body = request.into_body();
                while let Some(Ok(piece)) = body.data().await {
                    narrow.came(piece.len());
                }
            });
        }
    }

    async fn http1(self, mut stream: impl AsyncRead + AsyncWrite + Unpin) {
        let mut buffer = Vec::new();
        loop {
            while !buffer.windows(4).any(|window| window == b"\r\n\r\n") {
                let Ok(1..) = stream.read_buf(&mut buffer).await else { return };
            }
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await.unwrap();
            if String::from_utf8_lossy(&buffer).contains(EARLY) {
                break;
            }
            buffer.clear();
        }
        while !self.opened.load(Ordering::SeqCst) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        // With what came together with the head.
        while let Ok(1..) = stream.read_buf(&mut buffer).await {}
        self.came(buffer.len());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_tail_of_an_http2_upload_does_not_follow_under_the_next_person() {
    let port = ports::free();
    let applications = vec![application("grpc", &format!("h2c://127.0.0.1:{port}"), "")];
    let world = world_of_one_worker(applications, "").await;
    let narrow = Narrow::listen_http2(port).await;
    let one = visitor(&world, Versions::Http2, &["grpc"]).await;
    let other = Browser::speaking(&world.gateway.ca_pem(), Versions::Http2);
    other.log_in(&world.wiki("/"), "developer@corp.example", DEMO_PASSWORD).await.unwrap();
    other.navigate(&at(&world, "grpc", "/first")).await.unwrap();
    let body = vec![b'a'; 8_000];
    let answer = one.post(&at(&world, "grpc", EARLY), "application/octet-stream", body).await.unwrap();
    assert_eq!(answer.status, 200);
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert_eq!(get(&other, &world, "grpc", "/second").await.status, 200);
    world.deactivate(ENGINEER).await;
    assert_eq!(narrow.open().await, 0, "bytes of a deactivated person passed");
    assert_eq!(get(&other, &world, "grpc", "/third").await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_tail_of_an_http2_upload_does_not_outlive_its_idle_connection() {
    let port = ports::free();
    let applications = vec![application("grpc", &format!("h2c://127.0.0.1:{port}"), "")];
    let world = world_of_one_worker(applications, "").await;
    let narrow = Narrow::listen_http2(port).await;
    let browser = visitor(&world, Versions::Http2, &["grpc"]).await;
    let body = vec![b'a'; 8_000];
    let answer = browser.post(&at(&world, "grpc", EARLY), "application/octet-stream", body).await.unwrap();
    assert_eq!(answer.status, 200);
    tokio::time::sleep(IDLE_FOR_LONG).await;
    world.deactivate(ENGINEER).await;
    assert_eq!(narrow.open().await, 0, "bytes of a deactivated person passed");
}

/// Over TLS, where what was not sent may lie in the session as well as in the kernel. The upload of somebody who may stay goes on.
#[tokio::test(flavor = "multi_thread")]
async fn the_tail_of_a_tls_upload_follows_for_whoever_may_stay_alone() {
    const LONG: usize = 300_000;
    // What the upstream's own kernel took before.
    const TAKEN: usize = 100_000;
    let (folder, ports) = (Folder::temporary(), [ports::free(), ports::free()]);
    let paper = Paper::write(folder.path(), PINNED);
    let tls = |name: &str, port| {
        application(name, &format!("https://127.0.0.1:{port}"), &with_tls(&folder, "http1"))
    };
    let applications = vec![tls("one", ports[0]), tls("other", ports[1])];
    let world = world_of_one_worker(applications, "").await;
    let (gone, stayed) =
        (Narrow::listen_tls(ports[0], &paper).await, Narrow::listen_tls(ports[1], &paper).await);
    let one = visitor(&world, Versions::Http2, &["one"]).await;
    let other = Browser::speaking(&world.gateway.ca_pem(), Versions::Http2);
    other.log_in(&world.wiki("/"), "developer@corp.example", DEMO_PASSWORD).await.unwrap();
    other.navigate(&at(&world, "other", "/first")).await.unwrap();
    for (browser, name) in [(&one, "one"), (&other, "other")] {
        let address = at(&world, name, EARLY);
        let answer = browser.post(&address, "application/octet-stream", vec![b'a'; LONG]).await.unwrap();
        assert_eq!(answer.status, 200, "{name}");
    }
    tokio::time::sleep(IDLE_FOR_LONG).await;
    world.deactivate(ENGINEER).await;
    let (gone, stayed) = tokio::join!(gone.open(), stayed.open());
    assert!(gone < TAKEN, "{gone} bytes of a deactivated person passed");
    assert!(stayed >= LONG, "only {stayed} bytes of a person who stayed came");
}
