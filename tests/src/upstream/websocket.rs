//! The two WebSockets: a clock that ticks, and an echo. The handshake is RFC 6455 section 4.2.2; frames are
//! tungstenite's business, above the recorder.

use std::io;
use std::time::Duration;

use aws_lc_rs::digest;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures_util::{SinkExt, StreamExt};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::{Error, Message, protocol::Role};

use super::connection::Wire;
use super::head::Head;
use super::respond::Response;
use super::routes::Next;
use super::tunnel::Tunnel;

const TICK_EVERY: Duration = Duration::from_millis(200);
const GUID: &str = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// Shakes hands and serves the socket to its end.
pub(crate) async fn answer(mut wire: Wire, head: &Head) -> io::Result<Next> {
    let wanted = head.has_token("upgrade", "websocket") && head.has_token("connection", "upgrade");
    let key = head.header("sec-websocket-key");
    let (true, Some(key)) = (wanted, key) else {
        let response = Response::new(426).header("Upgrade", "websocket").header("Connection", "close");
        response.text("this address speaks WebSocket\n").send(&mut wire).await?;
        return Ok(Next::Close);
    };
    let response = Response::new(101).header("Upgrade", "websocket").header("Connection", "Upgrade");
    response.header("Sec-WebSocket-Accept", &accept_key(&key)).start(&mut wire).await?;
    let socket = WebSocketStream::from_raw_socket(Tunnel(wire), Role::Server, None).await;
    let every = head.query_number("every_ms").map_or(TICK_EVERY, Duration::from_millis);
    // However it ends, it has ended: a cut tunnel is what many tests are about.
    let _ = if head.path() == "/ws/clock" { clock(socket, every).await } else { echo(socket).await };
    Ok(Next::Close)
}

/// RFC 6455 section 4.2.2, step 5, item 4.
pub(crate) fn accept_key(key: &str) -> String {
    let digest =
        digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, format!("{}{GUID}", key.trim()).as_bytes());
    STANDARD.encode(digest)
}

async fn clock(mut socket: WebSocketStream<Tunnel>, every: Duration) -> Result<(), Error> {
    let mut ticks = tokio::time::interval(every);
    let mut number = 0u64;
    loop {
        tokio::select! {
            _ = ticks.tick() => {
                number += 1;
                socket.send(Message::text(format!("tick {number}"))).await?;
            }
            message = socket.next() => match message {
                None | Some(Err(_) | Ok(Message::Close(_))) => return Ok(()),
                Some(Ok(_)) => {}
            },
        }
    }
}

async fn echo(mut socket: WebSocketStream<Tunnel>) -> Result<(), Error> {
    while let Some(message) = socket.next().await {
        match message? {
            message @ (Message::Text(_) | Message::Binary(_)) => socket.send(message).await?,
            Message::Close(_) => break,
            _ => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::accept_key;

    #[test]
    fn handshake_of_rfc_6455_section_1_3() {
        assert_eq!(accept_key("dGhlIHNhbXBsZSBub25jZQ=="), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    }
}
