//! The upstream of the benchmarks: answers from memory, as little work as can be, on one thread. What it is asked for stands in
//! the path: `/bytes/N`, `/sink`, `/allow` and `/socket`.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

const HEAD_BYTES: usize = 64 * 1024;
/// What a long answer is written in, and a long body read in.
const PIECE: usize = 256 * 1024;
const SWITCH: &str = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
                      Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";

/// Serves on a free port of loopback, on a thread of its own, until the process ends.
pub(super) fn start() -> SocketAddr {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.set_nonblocking(true).expect("a socket that does not block");
    let address = listener.local_addr().expect("an address");
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async move {
            let listener = TcpListener::from_std(listener).expect("a listener");
            while let Ok((stream, _)) = listener.accept().await {
                let _ = stream.set_nodelay(true);
                tokio::spawn(async move { serve(stream).await.ok() });
            }
        });
    });
    address
}

/// What a request's head says, as far as it matters here.
struct Asked {
    head_len: usize,
    path: String,
    body_len: Option<u64>,
    chunked: bool,
}

fn parse(bytes: &[u8]) -> Option<Asked> {
    let mut headers = [httparse::EMPTY_HEADER; 100];
    let mut request = httparse::Request::new(&mut headers);
    let httparse::Status::Complete(head_len) = request.parse(bytes).ok()? else { return None };
    let path = request.path?.to_owned();
    let (mut body_len, mut chunked) = (None, false);
    for header in request.headers.iter() {
        if header.name.eq_ignore_ascii_case("content-length") {
            body_len = std::str::from_utf8(header.value).ok()?.parse().ok();
        }
        chunked |= header.name.eq_ignore_ascii_case("transfer-encoding");
    }
    Some(Asked { head_len, path, body_len, chunked })
}

async fn serve(mut stream: TcpStream) -> std::io::Result<()> {
    let zeros = vec![b'x'; PIECE];
    let small = format!("HTTP/1.1 200 OK\r\nContent-Length: 1024\r\n\r\n{}", "x".repeat(1_024));
    let mut buffer = vec![0; HEAD_BYTES];
    let mut filled = 0;
    loop {
        let asked = loop {
            if let Some(asked) = parse(&buffer[..filled]) {
                break asked;
            }
            let read = stream.read(&mut buffer[filled..]).await?;
            if read == 0 {
                return Ok(());
            }
            filled += read;
        };
        let early = filled - asked.head_len;
        buffer.copy_within(asked.head_len..filled, 0);
        filled = early;
        if asked.path == "/socket" {
            stream.write_all(SWITCH.as_bytes()).await?;
            return echo(stream).await;
        }
        if asked.body_len.is_some() || asked.chunked {
            sink(&mut stream, &asked, &buffer[..filled]).await?;
            filled = 0;
        }
        match asked.path.strip_prefix("/bytes/").and_then(|len| len.parse::<u64>().ok()) {
            Some(1_024) => stream.write_all(small.as_bytes()).await?,
            Some(len) => pour(&mut stream, len, &zeros).await?,
            None => stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await?,
        }
    }
}

async fn pour(stream: &mut TcpStream, len: u64, zeros: &[u8]) -> std::io::Result<()> {
    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {len}\r\n\r\n");
    stream.write_all(head.as_bytes()).await?;
    let mut left = usize::try_from(len).expect("an address space of 64 bits");
    while left > 0 {
        let piece = left.min(zeros.len());
        stream.write_all(&zeros[..piece]).await?;
        left -= piece;
    }
    Ok(())
}

/// Reads a body to its end. A chunked one ends with the last chunk, of which nothing here is data, since bodies are all `x`.
async fn sink(stream: &mut TcpStream, asked: &Asked, early: &[u8]) -> std::io::Result<()> {
    const LAST_CHUNK: &[u8] = b"0\r\n\r\n";
    let mut piece = vec![0; PIECE];
    let mut seen = early.len() as u64;
    let mut tail = early[early.len().saturating_sub(LAST_CHUNK.len())..].to_vec();
    loop {
        let is_whole = match asked.body_len {
            Some(len) => seen >= len,
            None => tail.ends_with(LAST_CHUNK),
        };
        if is_whole {
            return Ok(());
        }
        let read = stream.read(&mut piece).await?;
        if read == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        seen += read as u64;
        tail.extend_from_slice(&piece[read.saturating_sub(LAST_CHUNK.len())..read]);
        tail.drain(..tail.len().saturating_sub(LAST_CHUNK.len()));
    }
}

/// Sends each WebSocket message back. Messages are shorter than 126 bytes, so that their frame has one form.
async fn echo(mut stream: TcpStream) -> std::io::Result<()> {
    const HEAD: usize = 2;
    const MASK: usize = 4;
    let mut buffer = vec![0; HEAD_BYTES];
    let mut filled = 0;
    loop {
        let read = stream.read(&mut buffer[filled..]).await?;
        if read == 0 {
            return Ok(());
        }
        filled += read;
        while filled >= HEAD + MASK {
            let len = usize::from(buffer[1] & 0x7f);
            let whole = HEAD + MASK + len;
            if filled < whole {
                break;
            }
            let mut answer = vec![buffer[0], buffer[1] & 0x7f];
            let mask = [buffer[2], buffer[3], buffer[4], buffer[5]];
            answer.extend(
                buffer[HEAD + MASK..whole].iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask),
            );
            stream.write_all(&answer).await?;
            buffer.copy_within(whole..filled, 0);
            filled -= whole;
        }
    }
}
