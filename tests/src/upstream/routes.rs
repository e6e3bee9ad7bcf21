//! What each address of the upstream does. How bytes travel stands in `connection`, `body` and `respond`; the
//! addresses that go on for a while stand in `streams` and `websocket`.

use std::io;

use aws_lc_rs::digest;
use serde_json::json;

use super::body::Body;
use super::connection::Wire;
use super::head::{ASSERTION, EMAIL, Head};
use super::respond::Response;
use super::{pages, streams, websocket};

/// What the connection does after an answer.
pub(crate) enum Next {
    /// Wait for another request.
    Request(Wire),
    /// Nothing more.
    Close,
}

/// Answers one request.
pub(crate) async fn answer(mut wire: Wire, head: &Head, mut body: Body) -> io::Result<Next> {
    match head.path() {
        "/ws/clock" | "/ws/echo" => return websocket::answer(wire, head).await,
        "/events" => streams::events(&mut wire, head).await?,
        "/download" => streams::download(&mut wire, head, &mut body).await?,
        "/slow" => streams::slow(&mut wire, head).await?,
        "/trailers" => streams::trailers(&mut wire, &mut body).await?,
        "/early-close" => {
            streams::early_close(&mut wire).await?;
            return Ok(Next::Close);
        }
        "/upload" | "/echo" => {
            let response = swallow(&mut wire, head, &mut body).await?;
            response.send(&mut wire).await?;
        }
        _ => {
            body.drain(&mut wire).await?;
            page(head).send(&mut wire).await?;
        }
    }
    // An answer that did not read its request to the end leaves bytes that must not be taken for the next one.
    if body.is_over() { Ok(Next::Request(wire)) } else { Ok(Next::Close) }
}

fn page(head: &Head) -> Response {
    match head.path() {
        "/" => Response::new(200).html(&pages::identity(head)),
        "/clock" => Response::new(200).html(pages::CLOCK),
        "/whoami" => Response::new(200).json(&json!({
            "email": head.header(EMAIL),
            "assertion": head.header(ASSERTION).and_then(|token| pages::payload(&token)),
        })),
        path => match path.strip_prefix("/status/").and_then(|code| code.parse::<u16>().ok()) {
            Some(code @ 200..=999) => Response::new(code).text(&format!("status {code}\n")),
            _ => Response::new(404).text("the upstream has no such page\n"),
        },
    }
}

/// Reads the body to the end; says what came.
async fn swallow(wire: &mut Wire, head: &Head, body: &mut Body) -> io::Result<Response> {
    let mut hash = digest::Context::new(&digest::SHA256);
    let (mut bytes, mut pieces) = (0u64, 0u64);
    while let Some(piece) = body.next(wire).await? {
        bytes += piece.len() as u64;
        pieces += 1;
        hash.update(&piece);
    }
    let sha256: String = hash.finish().as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(Response::new(200).json(&json!({
        "method": head.method,
        "target": head.target,
        "http_minor": head.minor_version,
        "headers": head.lines,
        "bytes": bytes,
        "pieces": pieces,
        "sha256": sha256,
        "trailers": body.trailers,
    })))
}
