//! The head of a request: parsed, and kept exactly as it came. It interprets no route.

use std::sync::Arc;

use super::recorder::Owner;

/// Larger heads are refused with 431.
pub(crate) const MAX_HEAD: usize = 256 * 1024;
/// More header lines than this are refused with 431.
pub(crate) const MAX_HEADERS: usize = 512;

/// The header in which the gateway names the person.
pub(crate) const EMAIL: &str = "cf-access-authenticated-user-email";
/// The header in which the gateway proves it.
pub(crate) const ASSERTION: &str = "cf-access-jwt-assertion";

/// One request head.
#[derive(Debug)]
pub(crate) struct Head {
    pub(crate) method: String,
    pub(crate) target: String,
    pub(crate) minor_version: u8,
    /// Header lines as `Name: value`, in order, exactly as they came.
    pub(crate) lines: Vec<String>,
    headers: Vec<(String, Vec<u8>)>,
}

/// What became of the bytes so far.
pub(crate) enum Parsed {
    /// More bytes are needed.
    Partial,
    /// A head, and how many bytes it took.
    Complete(Box<Head>, usize),
    /// Not HTTP, or too much of it; the status to answer with.
    Bad(u16),
}

impl Head {
    pub(crate) fn parse(bytes: &[u8]) -> Parsed {
        let mut space = vec![httparse::EMPTY_HEADER; MAX_HEADERS];
        let mut request = httparse::Request::new(&mut space);
        match request.parse(bytes) {
            Ok(httparse::Status::Complete(len)) => {
                Parsed::Complete(Box::new(Self::of(&request, &bytes[..len])), len)
            }
            Ok(httparse::Status::Partial) if bytes.len() > MAX_HEAD => Parsed::Bad(431),
            Ok(httparse::Status::Partial) => Parsed::Partial,
            Err(httparse::Error::TooManyHeaders) => Parsed::Bad(431),
            Err(_) => Parsed::Bad(400),
        }
    }

    fn of(request: &httparse::Request<'_, '_>, raw: &[u8]) -> Self {
        let text = String::from_utf8_lossy(raw);
        Self {
            method: request.method.unwrap_or_default().to_owned(),
            target: request.path.unwrap_or_default().to_owned(),
            minor_version: request.version.unwrap_or_default(),
            lines: text.lines().skip(1).filter(|line| !line.is_empty()).map(str::to_owned).collect(),
            headers: request
                .headers
                .iter()
                .map(|h| (h.name.to_ascii_lowercase(), h.value.to_vec()))
                .collect(),
        }
    }

    /// The first value of a header, by its lower-case name.
    pub(crate) fn header(&self, name: &str) -> Option<String> {
        let (_, value) = self.headers.iter().find(|(n, _)| n == name)?;
        Some(String::from_utf8_lossy(value).into_owned())
    }

    /// Whether a comma-separated header holds this token.
    pub(crate) fn has_token(&self, name: &str, token: &str) -> bool {
        let mut values = self.headers.iter().filter(|(n, _)| n == name);
        values
            .any(|(_, v)| String::from_utf8_lossy(v).split(',').any(|t| t.trim().eq_ignore_ascii_case(token)))
    }

    /// Path without the query.
    pub(crate) fn path(&self) -> &str {
        self.target.split('?').next().unwrap_or_default()
    }

    /// One query parameter, decoded.
    pub(crate) fn query(&self, name: &str) -> Option<String> {
        let (_, query) = self.target.split_once('?')?;
        url::form_urlencoded::parse(query.as_bytes()).find(|(n, _)| n == name).map(|(_, v)| v.into_owned())
    }

    pub(crate) fn query_number(&self, name: &str) -> Option<u64> {
        self.query(name)?.parse().ok()
    }

    pub(crate) fn keeps_alive(&self) -> bool {
        self.minor_version == 1 && !self.has_token("connection", "close")
    }

    pub(crate) fn owner(&self) -> Owner {
        let person = self.header(EMAIL).map(|email| Arc::from(email.trim().to_ascii_lowercase()));
        Owner { person, path: Arc::from(self.target.as_str()) }
    }
}
