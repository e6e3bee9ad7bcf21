//! Every kind of socket and protocol, and the Drop over each.

use std::time::Instant;

use portcullis_tests::browser::{Outgoing, Versions};
use portcullis_tests::harness::{Folder, ports};
use portcullis_tests::http2_upstream::Http2Upstream;
use tokio::net::{TcpListener, UnixListener};
use tokio_rustls::TlsAcceptor;

use super::paper::Paper;
use super::rig::{Act, ENGINEER, OK, Told, application, at, get, visitor, world};

/// What the upstream's certificate is made out to: a name that leads nowhere.
pub const PINNED: &str = "wiki.internal";

pub fn with_tls(folder: &Folder, protocol: &str) -> String {
    let file = |name: &str| folder.path().join(name).display().to_string();
    format!(
        "[application.upstream]\nprotocol = \"{protocol}\"\nca_file = \"{}\"\nclient_certificate = \"{}\"\nclient_key = \"{}\"\n\
         server_name = \"{PINNED}\"\n",
        file("ca.pem"),
        file("client.pem"),
        file("client.key"),
    )
}

/// An upstream over TLS that speaks HTTP/1.1 and asks for a certificate.
async fn listen_tls(port: u16, paper: &Paper) -> Told {
    let listener = TcpListener::bind(("127.0.0.1", port)).await.unwrap();
    let acceptor = TlsAcceptor::from(paper.server("http/1.1"));
    let told = Told::new(|_| OK);
    let accepting = told.clone();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (told, acceptor) = (accepting.clone(), acceptor.clone());
            tokio::spawn(async move {
                if let Ok(stream) = acceptor.accept(stream).await {
                    told.serve(stream).await;
                }
            });
        }
    });
    told
}

#[tokio::test(flavor = "multi_thread")]
async fn https_upstreams_are_believed_by_authority_and_name_alone() {
    let (folder, port) = (Folder::temporary(), ports::free());
    let (paper, url) = (Paper::write(folder.path(), PINNED), format!("https://127.0.0.1:{port}"));
    let trusted = with_tls(&folder, "http1");
    let unknown = trusted.lines().filter(|line| !line.starts_with("ca_file")).collect::<Vec<_>>().join("\n");
    let unpinned =
        trusted.lines().filter(|line| !line.starts_with("server_name")).collect::<Vec<_>>().join("\n");
    let nameless = trusted.lines().filter(|line| !line.starts_with("client_")).collect::<Vec<_>>().join("\n");
    let applications = vec![
        application("tls", &url, &trusted),
        application("unknown", &url, &unknown),
        application("unpinned", &url, &unpinned),
        application("nameless", &url, &nameless),
    ];
    let world = world(applications, "").await;
    let upstream = listen_tls(port, &paper).await;
    let browser = visitor(&world, Versions::Both, &["tls"]).await;
    for _ in 0..3 {
        assert_eq!(get(&browser, &world, "tls", "/page").await.text(), "ok");
    }
    assert_eq!(upstream.connections(), 1, "a connection is used again");
    let host = format!("host: tls.localhost:{}", world.settings.port);
    assert!(upstream.heads("/page")[0].to_ascii_lowercase().contains(&host), "{:?}", upstream.heads("/page"));
    for name in ["unknown", "unpinned", "nameless"] {
        let page = browser.navigate(&at(&world, name, "/page")).await.unwrap();
        assert_eq!(page.status, 502, "{name}: {}", page.trail());
    }
    assert_eq!(upstream.heads("/page").len(), 3, "nobody else was told anything");
}

/// Requests to an HTTP/2 upstream: trailers both ways, the host as authority, one at a time on a connection.
#[tokio::test(flavor = "multi_thread")]
async fn http2_upstreams_get_trailers_and_one_request_at_a_time() {
    let (folder, h2c, h2) = (Folder::temporary(), ports::free(), ports::free());
    let paper = Paper::write(folder.path(), PINNED);
    let socket = folder.path().join("grpc.sock");
    let applications = vec![
        application("plain", &format!("h2c://127.0.0.1:{h2c}"), ""),
        application("sealed", &format!("https://127.0.0.1:{h2}"), &with_tls(&folder, "http2")),
        application(
            "file",
            &format!("unix:{}", socket.display()),
            "[application.upstream]\nprotocol = \"http2\"\n",
        ),
    ];
    let world = world(applications, "").await;
    let upstreams = [
        ("plain", "http", Http2Upstream::listen(h2c, None).await),
        ("sealed", "https", Http2Upstream::listen(h2, Some(paper.server("h2"))).await),
        ("file", "http", Http2Upstream::listen_at(&socket).unwrap()),
    ];
    let browser = visitor(&world, Versions::Http2, &["plain", "sealed", "file"]).await;
    for (name, scheme, upstream) in &upstreams {
        let address = at(&world, name, "/sum?a=b");
        let asking = (0..16).map(|_| browser.post(&address, "application/grpc", "abc"));
        for answer in futures_util::future::join_all(asking).await {
            let answer = answer.unwrap();
            assert_eq!(answer.json()["bytes"], 3, "{name}: {}", answer.text());
            assert_eq!(answer.trailers.unwrap()["grpc-status"], "0", "{name}");
        }
        assert_eq!(upstream.together(), 1, "{name}: requests shared a connection");
        let noted = upstream.requests().into_iter().find(|noted| noted.line.starts_with("POST")).unwrap();
        let line = format!("POST {scheme}://{name}.localhost:{}/sum?a=b", world.settings.port);
        assert_eq!(noted.line, line);
        assert!(noted.headers.contains_key("cf-access-jwt-assertion") && !noted.headers.contains_key("host"));
        // One after the other they share one connection, bodies or not.
        let before = upstream.connections();
        for _ in 0..5 {
            browser.post(&at(&world, name, "/again"), "application/grpc", "abcd").await.unwrap();
            get(&browser, &world, name, "/again").await;
        }
        assert_eq!(upstream.connections(), before, "{name}: connections are not used again");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_http2_upstream_did_not_begin_is_sent_again() {
    let (one, two) = (ports::free(), ports::free());
    let list = format!("h2c://127.0.0.1:{one}\", \"h2c://127.0.0.1:{two}");
    let world = world(vec![application("grpc", &list, "[application.upstream]\nretries = 2\n")], "").await;
    let upstreams = [Http2Upstream::listen(one, None).await, Http2Upstream::listen(two, None).await];
    let browser = visitor(&world, Versions::Both, &["grpc"]).await;
    // Each endpoint refuses the first request for this path, so the first of ours needs two more attempts.
    let empty = Outgoing::script(http::Method::POST, &at(&world, "grpc", "/refused-once")).unwrap();
    for _ in 0..4 {
        let answer = browser.send(&empty).await.unwrap();
        assert_eq!(answer.status, 200, "{}", answer.text());
    }
    let refused = |upstream: &Http2Upstream| {
        upstream.requests().iter().filter(|noted| noted.line.contains("refused")).count()
    };
    assert_eq!(upstreams.iter().map(refused).sum::<usize>(), 6);
    // After a farewell the connection is left alone, and nobody notices.
    for _ in 0..6 {
        assert_eq!(get(&browser, &world, "grpc", "/goodbye").await.status, 200);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_unix_socket_carries_requests() {
    let folder = Folder::temporary();
    let socket = folder.path().join("app.sock");
    let world = world(vec![application("file", &format!("unix:{}", socket.display()), "")], "").await;
    let listener = UnixListener::bind(&socket).unwrap();
    let told = Told::new(|_| OK);
    let accepting = told.clone();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(accepting.clone().serve(stream));
        }
    });
    let browser = visitor(&world, Versions::Both, &["file"]).await;
    for _ in 0..3 {
        assert_eq!(get(&browser, &world, "file", "/page").await.text(), "ok");
    }
    assert_eq!(told.connections(), 1);
}

/// A deactivation in the middle of a stream, over each kind of connection.
#[tokio::test(flavor = "multi_thread")]
async fn a_deactivation_cuts_streams_over_every_kind_of_connection() {
    let (folder, h2c, h2) = (Folder::temporary(), ports::free(), ports::free());
    let paper = Paper::write(folder.path(), PINNED);
    let socket = folder.path().join("grpc.sock");
    let applications = vec![
        application("plain", &format!("h2c://127.0.0.1:{h2c}"), ""),
        application("sealed", &format!("https://127.0.0.1:{h2}"), &with_tls(&folder, "http2")),
        application(
            "file",
            &format!("unix:{}", socket.display()),
            "[application.upstream]\nprotocol = \"http2\"\n",
        ),
    ];
    let world = world(applications, "").await;
    let upstreams = [
        Http2Upstream::listen(h2c, None).await,
        Http2Upstream::listen(h2, Some(paper.server("h2"))).await,
        Http2Upstream::listen_at(&socket).unwrap(),
    ];
    let names = ["plain", "sealed", "file"];
    let browser = visitor(&world, Versions::Http2, &names).await;
    let mut uploads = Vec::new();
    for name in names {
        let upload = browser.upload(&at(&world, name, "/echo-pieces")).unwrap();
        assert!(upload.send("one").await);
        uploads.push(upload);
    }
    let sending = async {
        loop {
            for upload in &uploads {
                upload.send("more").await;
            }
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    };
    let deactivating = async {
        let begun = Instant::now();
        while upstreams.iter().any(|upstream| upstream.pieces_after(begun) < 5) {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
        let answered = world.deactivate(ENGINEER).await;
        tokio::time::sleep(std::time::Duration::from_millis(500)).await;
        answered
    };
    let answered = tokio::select! {
        answered = deactivating => answered,
        () = sending => unreachable!("it never ends"),
    };
    // The upstream's own reader may lag behind the kernel by a little; the stream flowed every few milliseconds before.
    let late = answered + std::time::Duration::from_millis(200);
    for (name, upstream) in names.iter().zip(&upstreams) {
        assert_eq!(upstream.pieces_after(late), 0, "{name} still flows");
    }
    for upload in uploads {
        assert!(upload.finish().await.is_err(), "an answer was ended as if it were whole");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn t14_a_prefix_is_taken_off_after_it_was_judged() {
    let port = ports::free();
    let url = format!("http://127.0.0.1:{port}");
    let applications = vec![
        application(
            "prefixed",
            &url,
            "[application.upstream]\nstrip_prefix = \"/team/wiki\"\nhost = \"rewrite\"\n",
        ),
        application("named", &url, "[application.upstream]\nhost = \"wiki.internal:81\"\n"),
    ];
    let world = world(applications, "").await;
    let upstream = Told::listen(port, |head| {
        if head.contains("/moved") {
            return Act::Answer("HTTP/1.1 302 Found\r\nLocation: /elsewhere\r\nContent-Length: 0\r\n\r\n");
        }
        OK
    });
    let upstream = upstream.await;
    let browser = visitor(&world, Versions::Both, &["prefixed", "named"]).await;
    for (path, line) in [
        ("/team/wiki/page?a=/team/wiki", "GET /page?a=/team/wiki HTTP/1.1"),
        ("/team/wiki", "GET / HTTP/1.1"),
        ("/team/wiki/team/wiki/x", "GET /team/wiki/x HTTP/1.1"),
    ] {
        assert_eq!(get(&browser, &world, "prefixed", path).await.status, 200, "{path}");
        let heads = upstream.heads(line);
        let head = heads.last().unwrap_or_else(|| panic!("{path}: {:?}", upstream.heads("")));
        assert!(head.starts_with(line) && head.contains("x-forwarded-prefix: /team/wiki\r\n"), "{head}");
        assert!(head.contains(&format!("host: 127.0.0.1:{port}\r\n")), "{head}");
        let judged = world.gateway.log().wait_for(super::rig::PATIENCE, |event| {
            event["path"] == path.split('?').next().unwrap() && event["application"] == "prefixed"
        });
        assert!(judged.await.is_some(), "{path} was judged as another one");
    }
    let before = upstream.heads("").len();
    for path in ["/", "/team", "/team/wikix", "/page", "/team/%77iki2"] {
        assert_eq!(get(&browser, &world, "prefixed", path).await.status, 404, "{path}");
    }
    assert_eq!(upstream.heads("").len(), before, "a path outside the prefix reached the upstream");
    let forged = Outgoing::script(http::Method::GET, &at(&world, "named", "/forged")).unwrap();
    browser.send(&forged.header("X-Forwarded-Prefix", "/forged-prefix")).await.unwrap();
    let head = upstream.heads("GET /forged ").remove(0);
    assert!(!head.contains("prefix") && head.contains("host: wiki.internal:81\r\n"), "{head}");
    let moved = Outgoing::script(http::Method::GET, &at(&world, "prefixed", "/team/wiki/moved")).unwrap();
    assert_eq!(browser.send(&moved).await.unwrap().header("location"), "/elsewhere");
}
