//! Reads what an upstream would get, with code that shares nothing with the gateway's own: another reader's opinion.

use http::HeaderMap;
use http::header::COOKIE;

use super::TOLD;

/// Fields by which the gateway speaks. Each is there once at most, and says what the gateway says.
const OURS: [(&str, &str); 8] = [
    TOLD[0],
    TOLD[1],
    ("host", "wiki.corp.example"),
    ("x-forwarded-host", "wiki.corp.example"),
    ("x-forwarded-for", "127.0.0.1"),
    ("x-forwarded-proto", "https"),
    ("forwarded", "for=127.0.0.1;host=\"wiki.corp.example\";proto=https"),
    ("x-request-id", "0"),
];

/// Beginnings of names that some upstream takes for an identity or a place.
const FORGEABLE: [&str; 7] =
    ["cf-access-", "x-forwarded-", "x-auth-", "remote-", "x-remote-", "x-original-", "x-rewrite-"];

/// Fields of one connection alone.
const HOP_BY_HOP: [&str; 4] = ["keep-alive", "proxy-connection", "proxy-authorization", "expect"];
/// Names that a message must not end with: they say where it ends, for whom it is, or who asks.
const NEVER_LAST: [&str; 7] =
    ["authorization", "content-length", "cookie", "host", "te", "trailer", "transfer-encoding"];

/// One request as it came out.
pub(super) struct Arrived {
    pub(super) method: String,
    pub(super) target: String,
}

/// Percent-decoded once, as every server does.
pub(super) fn decoded(path: &[u8]) -> Vec<u8> {
    let digit = |byte: Option<&u8>| byte.and_then(|byte| char::from(*byte).to_digit(16));
    let mut decoded = Vec::with_capacity(path.len());
    let mut at = 0;
    while let Some(byte) = path.get(at) {
        let pair =
            (*byte == b'%').then(|| Some(digit(path.get(at + 1))? * 16 + digit(path.get(at + 2))?)).flatten();
        decoded.push(pair.and_then(|pair| u8::try_from(pair).ok()).unwrap_or(*byte));
        at += if pair.is_some() { 3 } else { 1 };
    }
    decoded
}

/// The pairs of all `Cookie` fields, in order.
pub(super) fn cookies(headers: &HeaderMap) -> Vec<Vec<u8>> {
    let fields = headers.get_all(COOKIE).iter().map(http::HeaderValue::as_bytes);
    let pairs = fields.flat_map(|field| field.split(|byte| *byte == b';'));
    pairs.map(<[u8]>::trim_ascii).filter(|pair| !pair.is_empty()).map(<[u8]>::to_vec).collect()
}

/// Whether a browser could have got this cookie from us, in any case of its letters.
pub(super) fn is_ours(pair: &[u8]) -> bool {
    pair.to_ascii_lowercase().starts_with(b"__host-portcullis")
}

/// A head that tells the truth and nothing that anybody could misread.
pub(super) fn assert_head<'a>(fields: impl Iterator<Item = (&'a str, &'a [u8])>) {
    let fields: Vec<(String, &[u8])> =
        fields.map(|(name, value)| (name.to_ascii_lowercase(), value)).collect();
    for (name, expected) in OURS {
        let said: Vec<&[u8]> =
            fields.iter().filter(|(known, _)| known == name).map(|(_, value)| *value).collect();
        assert_eq!(said, [expected.as_bytes()], "{name}");
    }
    for (name, value) in &fields {
        assert!(
            name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-'),
            "`{name}` may be read as another"
        );
        assert!(!value.iter().any(|byte| matches!(byte, b'\r' | b'\n' | 0)), "{name}: {value:?}");
        assert!(!HOP_BY_HOP.contains(&name.as_str()), "{name}");
        let forgeable = FORGEABLE.iter().any(|known| name.starts_with(known)) || name == "x-real-ip";
        let ours = OURS.iter().any(|(known, _)| known == name)
            || ["x-forwarded-port", "x-forwarded-prefix"].contains(&name.as_str());
        assert!(!forgeable || ours, "{name}: {value:?}");
        if name == "trailer" {
            assert_announces_nothing_forged(value);
        }
        let cookie = value.split(|byte| *byte == b';').any(|pair| is_ours(pair.trim_ascii()));
        assert!(name != "cookie" || !cookie, "{value:?}");
    }
}

fn assert_announces_nothing_forged(value: &[u8]) {
    for announced in String::from_utf8_lossy(value).to_ascii_lowercase().split(',').map(str::trim) {
        let forgeable = FORGEABLE.iter().any(|known| announced.starts_with(known));
        let misplaced = HOP_BY_HOP.contains(&announced) || NEVER_LAST.contains(&announced);
        assert!(!forgeable && !misplaced, "{announced} is announced");
    }
}

/// The one request that a connection to an upstream carries.
pub(super) fn request(bytes: &[u8]) -> Arrived {
    let mut space = [httparse::EMPTY_HEADER; 256];
    let mut parsed = httparse::Request::new(&mut space);
    let read = parsed.parse(bytes).expect("what an upstream gets is HTTP");
    assert!(read.is_complete(), "half a head was sent");
    let body = &bytes[read.unwrap()..];
    let (method, target) = (parsed.method.unwrap().to_owned(), parsed.path.unwrap().to_owned());
    assert_head(parsed.headers.iter().map(|field| (field.name, field.value)));
    let all = |name: &str| -> Vec<&[u8]> {
        parsed
            .headers
            .iter()
            .filter(|field| field.name.eq_ignore_ascii_case(name))
            .map(|field| field.value)
            .collect()
    };
    match (all("content-length").as_slice(), all("transfer-encoding").as_slice()) {
        ([], []) => assert!(body.is_empty(), "a body without a framing"),
        ([length], []) => {
            let length: usize = std::str::from_utf8(length).unwrap().parse().expect("a plain length");
            assert!(body.len() <= length, "more than was announced");
        }
        ([], [b"chunked"]) => assert_chunks(body),
        (lengths, codings) => panic!("two framings: {lengths:?} {codings:?}"),
    }
    Arrived { method, target }
}

/// Whole chunks up to where the body broke off, and nothing behind the last one.
fn assert_chunks(mut rest: &[u8]) {
    while let Some(end) = rest.windows(2).position(|pair| pair == b"\r\n") {
        let size =
            std::str::from_utf8(&rest[..end]).ok().and_then(|size| usize::from_str_radix(size, 16).ok());
        let size = size.expect("a chunk's size");
        rest = &rest[end + 2..];
        if size == 0 {
            // Trailers, then the end.
            let end = rest.windows(4).position(|four| four == b"\r\n\r\n").map_or(2, |at| at + 4);
            assert!(rest.len() <= end, "bytes behind the last chunk");
            return;
        }
        if rest.len() < size + 2 {
            return;
        }
        assert_eq!(&rest[size..size + 2], b"\r\n");
        rest = &rest[size + 2..];
    }
}
