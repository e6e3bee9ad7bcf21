//! The PROXY protocol, versions 1 and 2: a load balancer tells, before the first byte of TLS, for whom it connects. Who may tell
//! is left to `listen`: from anybody else these bytes are no handshake and end the connection.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str;

use tokio::io::{AsyncRead, AsyncReadExt};

/// The longest line of version 1, with its end (section 2.1 of the specification).
const MAX_LINE_BYTES: usize = 107;
/// The longest rest of version 2: addresses, and whatever else the balancer adds about a connection.
const MAX_REST_BYTES: usize = 2_048;

const SIGNATURE: [u8; 12] = *b"\r\n\r\n\0\r\nQUIT\n";
const LINE_BEGIN: [u8; 6] = *b"PROXY ";
const VERSION_2: u8 = 2;
const LOCAL: u8 = 0;
const PROXY: u8 = 1;
const TCP_OVER_IPV4: u8 = 0x11;
const TCP_OVER_IPV6: u8 = 0x21;

/// What a balancer tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Told {
    /// It connects for this client.
    Client(IpAddr),
    /// It connects for itself, to see whether we are there.
    Itself,
}

/// Why nothing is known of the client.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ProxyError {
    #[error("no proxy protocol: {0}")]
    Io(#[from] io::Error),
    #[error("the connection does not begin with the proxy protocol")]
    Signature,
    #[error("the proxy protocol's line is malformed")]
    Line,
    #[error("the proxy protocol's line is longer than {MAX_LINE_BYTES} bytes")]
    LineTooLong,
    #[error("the proxy protocol is of another version or command")]
    Command,
    #[error("the proxy protocol's rest is malformed")]
    Rest,
    #[error("the proxy protocol's rest is longer than {MAX_REST_BYTES} bytes")]
    RestTooLong,
    /// What cannot be judged by its address is not served.
    #[error("the proxy protocol tells no address of the client")]
    NoAddress,
}

/// Reads what the balancer tells, and not one byte more.
pub(crate) async fn read(stream: &mut (impl AsyncRead + Unpin)) -> Result<Told, ProxyError> {
    let mut begin = [0; SIGNATURE.len()];
    stream.read_exact(&mut begin).await?;
    if begin == SIGNATURE {
        version_2(stream).await
    } else if begin.starts_with(&LINE_BEGIN) {
        version_1(stream, &begin).await
    } else {
        Err(ProxyError::Signature)
    }
}

/// The line has no length in front, so it is read byte by byte: what follows it belongs to the handshake.
async fn version_1(stream: &mut (impl AsyncRead + Unpin), begin: &[u8]) -> Result<Told, ProxyError> {
    let mut line = begin.to_vec();
    while !line.ends_with(b"\r\n") {
        if line.len() >= MAX_LINE_BYTES {
            return Err(ProxyError::LineTooLong);
        }
        line.push(stream.read_u8().await?);
    }
    let text = str::from_utf8(&line).map_err(|_| ProxyError::Line)?.trim_end_matches("\r\n");
    let words: Vec<&str> = text.split(' ').collect();
    match words.as_slice() {
        ["PROXY", "UNKNOWN", ..] => Err(ProxyError::NoAddress),
        ["PROXY", family @ ("TCP4" | "TCP6"), source, destination, from, to] => {
            let source: IpAddr = source.parse().map_err(|_| ProxyError::Line)?;
            let destination: IpAddr = destination.parse().map_err(|_| ProxyError::Line)?;
            let is_of_family = |address: IpAddr| address.is_ipv4() == (*family == "TCP4");
            let ports = [from, to].map(|port| port.parse::<u16>());
            if ports.iter().any(Result::is_err) || !is_of_family(source) || !is_of_family(destination) {
                return Err(ProxyError::Line);
            }
            Ok(Told::Client(source))
        }
        _ => Err(ProxyError::Line),
    }
}

async fn version_2(stream: &mut (impl AsyncRead + Unpin)) -> Result<Told, ProxyError> {
    let (command, family) = (stream.read_u8().await?, stream.read_u8().await?);
    let len = usize::from(stream.read_u16().await?);
    if len > MAX_REST_BYTES {
        return Err(ProxyError::RestTooLong);
    }
    let mut rest = vec![0; len];
    stream.read_exact(&mut rest).await?;
    if command >> 4 != VERSION_2 {
        return Err(ProxyError::Command);
    }
    match command & 0x0f {
        LOCAL => Ok(Told::Itself),
        PROXY => source(family, &rest).map(Told::Client),
        _ => Err(ProxyError::Command),
    }
}

/// The client's address stands first; after the addresses come fields that mean nothing here.
fn source(family: u8, rest: &[u8]) -> Result<IpAddr, ProxyError> {
    const IPV4_BYTES: usize = 12;
    const IPV6_BYTES: usize = 36;
    match family {
        TCP_OVER_IPV4 => {
            let addresses: &[u8; IPV4_BYTES] = rest.first_chunk().ok_or(ProxyError::Rest)?;
            let source: &[u8; 4] = addresses.first_chunk().ok_or(ProxyError::Rest)?;
            Ok(Ipv4Addr::from(*source).into())
        }
        TCP_OVER_IPV6 => {
            let addresses: &[u8; IPV6_BYTES] = rest.first_chunk().ok_or(ProxyError::Rest)?;
            let source: &[u8; 16] = addresses.first_chunk().ok_or(ProxyError::Rest)?;
            Ok(Ipv6Addr::from(*source).into())
        }
        _ => Err(ProxyError::NoAddress),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is told by these bytes, and what is left unread.
    fn told(bytes: &[u8]) -> (Result<Told, ProxyError>, Vec<u8>) {
        let mut left = bytes;
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let told = runtime.block_on(read(&mut left));
        (told, left.to_vec())
    }

    fn version_2(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
        let len = u16::try_from(rest.len()).unwrap().to_be_bytes();
        [&SIGNATURE[..], &[command, family], &len, rest].concat()
    }

    fn client(address: &str) -> Told {
        Told::Client(address.parse().unwrap())
    }

    #[test]
    fn both_versions_tell_the_client_and_leave_the_handshake_unread() {
        let four = [192, 0, 2, 7, 10, 0, 0, 1, 0x10, 0, 1, 0xbb];
        let mut six = [0; 36];
        six[..16].copy_from_slice(&"2001:db8::7".parse::<Ipv6Addr>().unwrap().octets());
        let with_more = [&four[..], &[0x04, 0, 3, 1, 2, 3]].concat();
        for (bytes, expected) in [
            (b"PROXY TCP4 192.0.2.7 10.0.0.1 4096 443\r\n".to_vec(), client("192.0.2.7")),
            (b"PROXY TCP6 2001:db8::7 ::1 4096 443\r\n".to_vec(), client("2001:db8::7")),
            (version_2(0x21, TCP_OVER_IPV4, &four), client("192.0.2.7")),
            (version_2(0x21, TCP_OVER_IPV4, &with_more), client("192.0.2.7")),
            (version_2(0x21, TCP_OVER_IPV6, &six), client("2001:db8::7")),
            (version_2(0x20, 0, &[]), Told::Itself),
            (version_2(0x20, TCP_OVER_IPV4, &four), Told::Itself),
        ] {
            let (told, left) = told(&[&bytes[..], b"\x16\x03\x01"].concat());
            assert_eq!((told.unwrap(), left), (expected, b"\x16\x03\x01".to_vec()), "{bytes:?}");
        }
    }

    #[test]
    fn what_is_no_proxy_protocol_ends_the_connection() {
        for wrong in [
            "GET / HTTP/1.1\r\n\r\n",
            "proxy TCP4 192.0.2.7 10.0.0.1 1 2\r\n",
            "PROXY TCP4 192.0.2.7 10.0.0.1 1\r\n",
            "PROXY TCP4 192.0.2.7 10.0.0.1 1 2 3\r\n",
            "PROXY TCP4 2001:db8::7 10.0.0.1 1 2\r\n",
            "PROXY TCP6 192.0.2.7 ::1 1 2\r\n",
            "PROXY TCP4 192.0.2.7 10.0.0.1 1 65536\r\n",
            "PROXY TCP4 192.0.2.007 10.0.0.1 1 2\r\n",
            "PROXY TCP4  192.0.2.7 10.0.0.1 1 2\r\n",
            "PROXY UNKNOWN\r\n",
            "PROXY UNKNOWN 192.0.2.7 10.0.0.1 1 2\r\n",
            "PROXY TCP4 192.0.2.7 10.0.0.1 1 2",
        ] {
            assert!(told(wrong.as_bytes()).0.is_err(), "{wrong}");
        }
        let four = [192, 0, 2, 7, 10, 0, 0, 1, 0x10, 0, 1, 0xbb];
        assert!(matches!(told(&version_2(0x11, 0x11, &four)).0, Err(ProxyError::Command)));
        assert!(matches!(told(&version_2(0x22, 0x11, &four)).0, Err(ProxyError::Command)));
        assert!(matches!(told(&version_2(0x21, 0x11, &four[..11])).0, Err(ProxyError::Rest)));
        assert!(matches!(told(&version_2(0x21, 0x21, &four)).0, Err(ProxyError::Rest)));
        for family in [0x00, 0x12, 0x22, 0x31] {
            assert!(matches!(told(&version_2(0x21, family, &four)).0, Err(ProxyError::NoAddress)));
        }
    }

    #[test]
    fn a_line_and_a_rest_have_a_longest() {
        let four = [192, 0, 2, 7, 10, 0, 0, 1, 0x10, 0, 1, 0xbb];
        let rest = |len: usize| [&four[..], &vec![0; len - four.len()]].concat();
        assert_eq!(told(&version_2(0x21, 0x11, &rest(MAX_REST_BYTES))).0.unwrap(), client("192.0.2.7"));
        let over = told(&version_2(0x21, 0x11, &rest(MAX_REST_BYTES + 1)));
        assert!(matches!(over.0, Err(ProxyError::RestTooLong)));
        let line = |len: usize| format!("PROXY UNKNOWN {}\r\n", "x".repeat(len - "PROXY UNKNOWN \r\n".len()));
        assert!(matches!(told(line(MAX_LINE_BYTES).as_bytes()).0, Err(ProxyError::NoAddress)));
        assert!(matches!(told(line(MAX_LINE_BYTES + 1).as_bytes()).0, Err(ProxyError::LineTooLong)));
    }
}
