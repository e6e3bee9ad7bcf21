//! Group D: where one request ends and the next begins is seen alike on both sides, and what is refused stays outside.

use tokio::sync::oneshot;

use super::frames::{DATA, END_HEADERS, END_STREAM, Field, HEADERS};
use super::rig::{Mark, Rig, WATCH, run};
use super::scripted::{Step, answer};

/// A request to be smuggled in: it would be the engineer's, if anybody read it as a request.
fn smuggled(rig: &Rig, mark: &Mark) -> Vec<u8> {
    let mut head = rig.head("GET", "/smuggled", mark);
    head.extend_from_slice(b"\r\n");
    head
}

/// Sends a head with this framing and a body that is a request to whoever reads the framing otherwise.
async fn refuses_framing(rig: &Rig, version: &str, framing: &str, body: &[u8]) {
    let (mark, inner) = (Mark::new(), Mark::new());
    let mut bytes = rig.head("POST", "/upload", &mark);
    if version == "1.0" {
        bytes = String::from_utf8(bytes).unwrap().replace("HTTP/1.1", "HTTP/1.0").into_bytes();
    }
    bytes.extend_from_slice(framing.as_bytes());
    bytes.extend_from_slice(b"\r\n\r\n");
    bytes.extend_from_slice(body);
    bytes.extend(smuggled(rig, &inner));
    let mut wire = rig.wire().await;
    wire.send(&bytes).await;
    let reply = wire.reply().await;
    let status = reply.as_ref().map_or(400, |reply| reply.status);
    assert!(matches!(status, 400 | 501), "HTTP/{version} {framing:?}: {reply:?}");
    // What follows is nobody's request: the connection ends.
    assert!(wire.is_over().await, "{framing:?}: the connection went on after a request without a clear end");
    rig.assert_nothing_of(&mark, framing);
    rig.assert_nothing_of(&inner, &format!("what was smuggled by {framing:?}"));
}

#[test]
fn t39_two_readings_of_a_body_are_refused() {
    run(async |rig| {
        for framing in [
            "Content-Length: 4\r\nContent-Length: 5",
            "Content-Length: 4, 5",
            "Content-Length: +5",
            "Content-Length: 0x5",
            "Content-Length: -1",
            "Content-Length: 5 5",
            "Content-Length: ",
            "Content-Length: 18446744073709551616",
            "Transfer-Encoding: xchunked",
            "Transfer-Encoding: chunked, identity",
            "Transfer-Encoding: identity",
            "Transfer-Encoding: gzip, chunked",
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity",
            "Transfer-Encoding: \"chunked\"",
            "Transfer-Encoding: chunked;q=1",
            "Transfer-Encoding : chunked",
            " Transfer-Encoding: chunked",
            "X: y\r\n Transfer-Encoding: chunked",
            "X: y\rTransfer-Encoding: chunked",
            "X: a\0b",
        ] {
            refuses_framing(rig, "1.1", framing, b"0\r\n\r\n").await;
        }
        refuses_framing(rig, "1.0", "Transfer-Encoding: chunked", b"0\r\n\r\n").await;
    });
}

/// The library that reads requests lets the transfer encoding win (RFC 9112 section 6.1 allows it) and ends the connection. What
/// matters is that the upstream is told of one framing alone, and that nothing is read behind it.
#[test]
fn t39_a_length_beside_chunks_never_reaches_the_upstream() {
    run(async |rig| {
        for framing in [
            "Content-Length: 4\r\nTransfer-Encoding: chunked",
            "Transfer-Encoding: chunked\r\nContent-Length: 4",
            "Transfer-Encoding: chunked\r\nContent-Length: 100",
        ] {
            let (mark, inner) = (Mark::new(), Mark::new());
            let mut bytes = rig.head("POST", "/upload", &mark);
            bytes.extend_from_slice(format!("{framing}\r\n\r\n0\r\n\r\n").as_bytes());
            bytes.extend(smuggled(rig, &inner));
            let mut wire = rig.wire().await;
            wire.send(&bytes).await;
            let reply = wire.reply().await.expect("an answer");
            let arrived = rig.arrived(&mark).to_ascii_lowercase();
            assert!(matches!(reply.status, 200 | 400), "{framing}: {reply:?}");
            assert!(!arrived.contains("content-length"), "{framing}:\n{arrived}");
            assert!(wire.is_over().await, "{framing}: the connection goes on");
            rig.assert_nothing_of(&inner, framing);
        }
    });
}

#[test]
fn t39_broken_chunks_break_the_request_off() {
    run(async |rig| {
        for body in [
            "0x5\r\nhello\r\n0\r\n\r\n",
            "ffffffffffffffffff\r\nhello\r\n0\r\n\r\n",
            "-5\r\nhello\r\n0\r\n\r\n",
            "5\r\nhelloworld\r\n0\r\n\r\n",
            "5;a\nb\r\nhello\r\n0\r\n\r\n",
            "\r\n0\r\n\r\n",
        ] {
            let (mark, inner) = (Mark::new(), Mark::new());
            let mut bytes = rig.head("POST", "/upload", &mark);
            bytes.extend_from_slice(b"Transfer-Encoding: chunked\r\n\r\n");
            bytes.extend_from_slice(body.as_bytes());
            bytes.extend(smuggled(rig, &inner));
            let mut wire = rig.wire().await;
            wire.send(&bytes).await;
            if let Some(reply) = wire.reply().await {
                assert!(reply.status >= 400, "{body:?}: {reply:?}");
                assert!(wire.is_over().await, "{body:?}: the connection goes on");
            }
            let arrived = rig.arrived(&mark);
            // The end of the body is never made up for the upstream.
            assert!(!arrived.contains("\r\n0\r\n\r\n"), "{body:?}:\n{arrived}");
            rig.assert_nothing_of(&inner, body);
        }
    });
}

/// Bare line feeds are read as line ends; the upstream gets a head that was written anew.
#[test]
fn t39_line_ends_are_written_anew() {
    run(async |rig| {
        let mark = Mark::new();
        let head = String::from_utf8(rig.head("GET", "/echo", &mark)).unwrap();
        let bytes = format!("{head}X-One: 1\r\n\r\n").replace("\r\n", "\n");
        if let Some(reply) = rig.raw(bytes.as_bytes()).await {
            assert!(matches!(reply.status, 200 | 400), "{reply:?}");
        }
        let arrived = rig.arrived(&mark);
        assert_eq!(arrived.matches('\n').count(), arrived.matches("\r\n").count(), "{arrived}");
    });
}

const UPGRADE: &str = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
                       Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

#[test]
fn t40_nothing_follows_an_upgrade_before_it_was_granted() {
    run(async |rig| {
        let odd = rig.odd().await;
        let (tell, told) = oneshot::channel();
        let switch = "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n";
        odd.upstream.play([Step::SwitchWhenTold(told, switch.as_bytes().to_vec())]);
        let (mark, inner) = (Mark::new(), Mark::new());
        let mut bytes = odd.head("GET", "/socket", &mark);
        bytes.extend_from_slice(UPGRADE.as_bytes());
        bytes.extend(smuggled(rig, &inner));
        let mut wire = odd.wire().await;
        wire.send(&bytes).await;
        while odd.upstream.count(&mark.to_string()) == 0 {
            tokio::time::sleep(WATCH / 50).await;
        }
        tokio::time::sleep(WATCH).await;
        assert_eq!(odd.upstream.count(&inner.to_string()), 0, "{:?}", odd.upstream.received());
        tell.send(()).unwrap();
        assert_eq!(wire.reply().await.unwrap().status, 101);
    });
}

#[test]
fn t41_an_upgrade_that_is_not_granted_makes_no_tunnel() {
    run(async |rig| {
        let odd = rig.odd().await;
        let refusals = [
            answer("no socket here"),
            b"HTTP/1.1 200 OK\r\nConnection: upgrade\r\nUpgrade: websocket\r\nContent-Length: 2\r\n\r\nno"
                .to_vec(),
            b"HTTP/1.1 426 Upgrade Required\r\nContent-Length: 0\r\n\r\n".to_vec(),
        ];
        for refusal in refusals {
            odd.upstream.play([Step::Answer(refusal)]);
            let (mark, inner) = (Mark::new(), Mark::new());
            let mut bytes = odd.head("GET", "/socket", &mark);
            bytes.extend_from_slice(UPGRADE.as_bytes());
            let mut wire = odd.wire().await;
            wire.send(&bytes).await;
            let reply = wire.reply().await.unwrap();
            assert!(matches!(reply.status, 200 | 426), "{reply:?}");
            // What follows is a request like any other, and this one is nobody's.
            let host = odd.host();
            wire.send(format!("GET /next HTTP/1.1\r\nHost: {host}\r\nX-Mark: {inner}\r\n\r\n").as_bytes())
                .await;
            if let Some(reply) = wire.reply().await {
                assert_eq!(reply.status, 401, "{reply:?}");
            }
            assert_eq!(odd.upstream.count(&inner.to_string()), 0, "{:?}", odd.upstream.received());
        }
        // A switch that nobody asked for is a broken answer.
        odd.upstream.play([Step::Answer(
            b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n".to_vec(),
        )]);
        let mark = Mark::new();
        let mut bytes = odd.head("GET", "/plain", &mark);
        bytes.extend_from_slice(b"\r\n");
        let mut wire = odd.wire().await;
        wire.send(&bytes).await;
        let reply = wire.reply().await;
        assert!(reply.as_ref().is_none_or(|reply| reply.status == 502), "{reply:?}");
    });
}

#[test]
fn t42_the_body_of_a_refused_request_is_no_request() {
    run(async |rig| {
        let host = rig.host();
        let inner = Mark::new();
        let body = smuggled(rig, &inner);
        let heads = [
            (format!("POST /upload HTTP/1.1\r\nHost: {host}\r\n"), 401),
            (format!("POST /cdn-cgi/access/logout HTTP/1.1\r\nHost: {host}\r\n"), 405),
            (format!("POST /a/../b HTTP/1.1\r\nHost: {host}\r\nCookie: {}\r\n", rig.cookie), 400),
        ];
        for (head, status) in heads {
            let length = body.len();
            let mut wire = rig.wire().await;
            wire.send(format!("{head}Content-Length: {length}\r\n\r\n").as_bytes()).await;
            let reply = wire.reply().await.unwrap();
            assert_eq!(reply.status, status, "{head}: {}", reply.text());
            wire.send(&body).await;
            let mark = Mark::new();
            wire.send(&smuggled(rig, &mark)).await;
            // The connection goes on behind the body, or it is closed.
            if let Some(next) = wire.reply().await {
                assert_eq!(next.status, 404, "{head}: {}", next.text());
                assert!(!rig.arrived(&mark).is_empty(), "{head}: who was answered?");
                assert!(wire.is_silent(WATCH).await, "{head}: an answer that nobody asked for");
            }
            rig.assert_nothing_of(&inner, &head);
        }
    });
}

#[test]
fn t42b_a_refusal_holds_no_byte_of_the_upstream() {
    run(async |rig| {
        let odd = rig.odd().await;
        let secret = "what only the upstream knows";
        for (accept, cookie, status) in [
            ("text/html", "", 303),
            ("*/*", "", 401),
            ("*/*", "__Host-portcullis=AAAA", 401),
            ("text/html", "a=b", 303),
        ] {
            odd.upstream.play([Step::Answer(answer(secret))]);
            let mark = Mark::new();
            let host = odd.host();
            let request = format!(
                "GET /page?{mark} HTTP/1.1\r\nHost: {host}\r\nAccept: {accept}\r\nCookie: {cookie}\r\n\r\n"
            );
            let mut wire = odd.wire().await;
            wire.send(request.as_bytes()).await;
            let reply = wire.reply().await.unwrap();
            assert_eq!(reply.status, status, "{}", reply.text());
            assert!(!reply.text().contains(secret), "{}", reply.text());
            assert!(wire.is_silent(WATCH).await, "an answer that nobody asked for");
            assert_eq!(odd.upstream.received(), Vec::<String>::new());
        }
    });
}

#[test]
fn t43_a_socket_that_was_a_tunnel_serves_no_other_request() {
    run(async |rig| {
        let mark = Mark::new();
        let mut wire = rig.wire().await;
        let mut bytes = rig.head("GET", format!("/ws/echo?{mark}"), &mark);
        bytes.extend_from_slice(UPGRADE.as_bytes());
        wire.send(&bytes).await;
        assert_eq!(wire.reply().await.unwrap().status, 101);
        // A masked text, which comes back.
        wire.send(&[0x81, 0x82, 1, 2, 3, 4, b'h' ^ 1, b'i' ^ 2]).await;
        assert_eq!(wire.bytes().await, [0x81, 2, b'h', b'i']);
        drop(wire);
        for _ in 0..8 {
            assert_eq!(rig.get("/whoami", &Mark::new()).await.status, 200);
        }
        let chunks = rig.world.upstream.recorder().all();
        let tunnel = chunks.iter().find(|chunk| chunk.path.contains(&mark.to_string())).unwrap().connection;
        let others = chunks.iter().filter(|chunk| chunk.connection == tunnel);
        let others: Vec<_> = others.filter(|chunk| !chunk.path.contains(&mark.to_string())).collect();
        // What was on the connection before it became a tunnel may be another request; nothing comes after.
        let last = chunks.iter().rposition(|chunk| chunk.path.contains(&mark.to_string())).unwrap();
        let after = chunks[last..].iter().filter(|chunk| chunk.connection == tunnel).count();
        assert_eq!(after, 1, "{others:?}");
    });
}

#[test]
fn t44_what_http2_could_smuggle_into_http1_is_refused() {
    run(async |rig| {
        for path in
            ["/a b", "/a\r\nX-Injected: 1", "/a\nb", "/a\0b", "/ HTTP/1.1\r\nHost: other\r\n\r\nGET /b"]
        {
            let mark = Mark::new();
            let outcome = rig.get_http2(path, &mark).await;
            assert!(outcome.is_refused(), "{path:?}: {outcome:?}");
            rig.assert_nothing_of(&mark, path);
        }
        let illegal: [(&str, &str); 18] = [
            ("transfer-encoding", "chunked"),
            ("connection", "close"),
            ("connection", "x-hop"),
            ("keep-alive", "1"),
            ("proxy-connection", "keep-alive"),
            ("upgrade", "websocket"),
            ("te", "gzip"),
            ("x:y", "1"),
            (":x", "1"),
            (":path", "/second"),
            (":authority", "other"),
            (":method", "POST"),
            ("X-Upper", "1"),
            ("x y", "1"),
            ("x-a", "1\r\nX-Injected: 1"),
            ("x-a", "1\n2"),
            ("x-a", "1\x002"),
            ("", "1"),
        ];
        for (name, value) in illegal {
            let mark = Mark::new();
            let outcome = rig.ask_http2("/echo", &mark, &[(name.as_bytes(), value.as_bytes())]).await;
            let arrived = rig.arrived(&mark);
            if !outcome.is_refused() {
                // What is not refused must have been left behind.
                let name = format!("{}:", name.to_ascii_lowercase());
                assert_eq!(outcome.status(), 200, "{name} {value:?}: {outcome:?}");
                let lower = arrived.to_ascii_lowercase();
                assert!(
                    !lower.lines().any(|line| line.starts_with(&name)),
                    "{name} {value:?} came through:\n{arrived}"
                );
                assert!(
                    matches!(name.as_str(), "te:" | "keep-alive:" | "proxy-connection:"),
                    "{name} was not refused"
                );
            } else {
                assert!(arrived.is_empty(), "{name} {value:?} was refused and forwarded:\n{arrived}");
            }
        }
    });
}

/// A length that differs from what comes (RFC 9113 section 8.1.1): the upstream never gets a body that looks whole.
#[test]
fn t44_a_length_that_lies_is_never_whole_for_the_upstream() {
    run(async |rig| {
        for (length, body) in
            [("3", "GET /smuggled HTTP/1.1\r\n\r\n"), ("100", "short"), ("+5", "short"), ("5, 5", "short")]
        {
            let mark = Mark::new();
            let (host, text) = (rig.host(), mark.to_string());
            let mut fields: Vec<Field<'_>> = rig.fields(&host, b"/upload", &text);
            fields[0].1 = b"POST";
            fields.push((b"content-length", length.as_bytes()));
            let mut frames = rig.frames().await;
            let stream = frames.head(&fields, 0).await;
            frames.send(DATA, END_STREAM, stream, body.as_bytes()).await;
            let outcome = frames.outcome(stream).await;
            assert_ne!(outcome.status(), 200, "{length}: {outcome:?}");
            let arrived = rig.arrived(&mark);
            let body = arrived.split_once("\r\n\r\n").map_or("", |(_, body)| body);
            assert!(body.len() < 3 || length == "100" && body.len() < 100, "{length}: {arrived}");
        }
    });
}

/// Pseudo-fields have no place in trailers (RFC 9113 section 8.1): the stream ends, or they are left behind.
#[test]
fn t44_trailers_hold_no_pseudo_fields() {
    run(async |rig| {
        let mark = Mark::new();
        let (host, text) = (rig.host(), mark.to_string());
        let mut fields = rig.fields(&host, b"/upload", &text);
        fields[0].1 = b"POST";
        let mut frames = rig.frames().await;
        let stream = frames.head(&fields, 0).await;
        frames.send(DATA, 0, stream, b"body").await;
        let trailers = super::frames::field_block(&[(b":path", b"/admin"), (b":status", b"200")]);
        frames.send(HEADERS, END_HEADERS | END_STREAM, stream, &trailers).await;
        frames.outcome(stream).await;
        let arrived = rig.arrived(&mark);
        assert!(!arrived.contains("/admin") && !arrived.contains(":status"), "{arrived}");
    });
}

#[test]
fn t46_a_refused_request_is_never_told_to_go_on() {
    run(async |rig| {
        let host = rig.host();
        let expect = "Expect: 100-continue\r\nContent-Length: 5\r\n\r\n";
        for (head, status) in [
            (format!("POST /upload HTTP/1.1\r\nHost: {host}\r\n"), 401),
            (format!("POST /a/../b HTTP/1.1\r\nHost: {host}\r\nCookie: {}\r\n", rig.cookie), 400),
            (format!("POST /cdn-cgi/access/logout HTTP/1.1\r\nHost: {host}\r\n"), 405),
        ] {
            let mut wire = rig.wire().await;
            wire.send(format!("{head}{expect}").as_bytes()).await;
            assert_eq!(wire.reply().await.unwrap().status, status, "{head}");
        }
        // An allowed one is told to.
        let mark = Mark::new();
        let mut bytes = rig.head("POST", "/upload", &mark);
        bytes.extend_from_slice(expect.as_bytes());
        let mut wire = rig.wire().await;
        wire.send(&bytes).await;
        assert_eq!(wire.reply().await.unwrap().status, 100);
        wire.send(b"hello").await;
        assert_eq!(wire.reply().await.unwrap().status, 200);
        assert!(!rig.arrived(&mark).to_ascii_lowercase().contains("expect:"), "{}", rig.arrived(&mark));
    });
}

#[test]
fn t47_a_request_that_may_have_been_done_is_not_done_again() {
    run(async |rig| {
        let odd = rig.odd().await;
        for (kept, method) in [(false, "POST"), (true, "POST"), (true, "PATCH")] {
            let warm = kept.then(|| Step::Answer(answer("first")));
            odd.upstream.play(warm.into_iter().chain([Step::Close, Step::Answer(answer("again"))]));
            let mut wire = odd.wire().await;
            if kept {
                let mut first = odd.head("GET", "/first", &Mark::new());
                first.extend_from_slice(b"\r\n");
                wire.send(&first).await;
                assert_eq!(wire.reply().await.unwrap().text(), "first");
            }
            let mark = Mark::new();
            let mut bytes = odd.head(method, "/order", &mark);
            bytes.extend_from_slice(b"Content-Length: 5\r\n\r\nhello");
            wire.send(&bytes).await;
            let reply = wire.reply().await.unwrap();
            assert_eq!(reply.status, 502, "{method}: {}", reply.text());
            assert_eq!(odd.upstream.count(&mark.to_string()), 1, "{:?}", odd.upstream.received());
        }
    });
}

#[test]
fn t48_answers_without_end_are_given_up() {
    run(async |rig| {
        let odd = rig.odd().await;
        let giant = format!("HTTP/1.1 200 OK\r\nX-Giant: {}\r\n\r\n", "g".repeat(4 * 1024 * 1024));
        let many = format!("HTTP/1.1 200 OK\r\n{}\r\n", "X-Many: 1\r\n".repeat(20_000));
        let steps = [
            ("a giant field", Step::Answer(giant.into_bytes())),
            ("many fields", Step::Answer(many.into_bytes())),
            ("a head without end", Step::Endless(b"X-Endless: 1\r\n".to_vec())),
            ("interim answers without end", Step::Endless(b"HTTP/1.1 103 Early Hints\r\n\r\n".to_vec())),
            ("no HTTP", Step::Answer(b"SSH-2.0-OpenSSH_9.2\r\n\r\n".to_vec())),
        ];
        for (what, step) in steps {
            odd.upstream.play([step]);
            let mut bytes = odd.head("GET", "/page", &Mark::new());
            bytes.extend_from_slice(b"\r\n");
            let mut wire = odd.wire().await;
            wire.send(&bytes).await;
            let reply = wire.reply().await.unwrap();
            assert!(matches!(reply.status, 502 | 504), "{what}: {}", reply.head);
            assert!(!reply.head.contains("X-Giant"), "{what}");
        }
    });
}
