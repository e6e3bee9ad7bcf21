//! The request that another proxy asks about, as it tells it: by fields or by the path. It is held to the same rules as one that
//! comes to us directly, and what is told twice must be told alike. Deciding is left to `verify`.

use http::HeaderMap;
use http::request::Parts;

use crate::route::{Canonical, RouteError};

const METHOD: &str = "x-forwarded-method";
const SCHEME: &str = "x-forwarded-proto";
const HOST: &str = "x-forwarded-host";
const TARGET: &str = "x-forwarded-uri";
const ORIGINAL_METHOD: &str = "x-original-method";
const ORIGINAL_TARGET: &str = "x-original-uri";
const ORIGINAL_URL: &str = "x-original-url";

/// What the asking proxy makes of an answer that is no yes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Asker {
    /// Understands 401 and 403, and takes single fields from them: nginx. Known by the fields that it is made to send.
    ReadsStatus,
    /// Hands our answer to the client: Traefik, Caddy, Envoy.
    Relays,
}

/// A request that was told.
#[derive(Debug)]
pub(crate) struct Original {
    pub(crate) canonical: Canonical,
    pub(crate) asker: Asker,
}

/// Why the asking proxy has told no request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum OriginalError {
    #[error("the asking proxy does not tell the {0} of the request")]
    Untold(&'static str),
    #[error("the asking proxy sends `{0}` more than once, or not as text")]
    Unreadable(&'static str),
    #[error("the asking proxy tells the {0} of the request in two ways that differ")]
    Differs(&'static str),
    #[error("the request did not come over https")]
    Insecure,
    #[error("{0}")]
    Route(#[from] RouteError),
}

/// The request that is told. `beyond` is what stands behind `verify` in the path: Envoy puts the path of the request there, and
/// keeps its method and host.
pub(crate) fn original(
    head: &Parts,
    outer: &Canonical,
    beyond: Option<&str>,
) -> Result<Original, OriginalError> {
    let told = Told::read(&head.headers)?;
    let (method, authority, target) = match beyond {
        Some(beyond) => {
            let target = match &outer.query {
                Some(query) => format!("{beyond}?{query}"),
                None => beyond.to_owned(),
            };
            let method = agreed("method", [Some(outer.method.as_str()), told.method])?;
            let authority = agreed("host", [Some(outer.host.as_str()), told.authority.map(without_port)])?;
            let target = agreed("path", [Some(target.as_str()), told.target])?.to_owned();
            (method, authority, target)
        }
        None => (
            told.method.ok_or(OriginalError::Untold("method"))?,
            told.authority.ok_or(OriginalError::Untold("host"))?,
            told.target.ok_or(OriginalError::Untold("path"))?.to_owned(),
        ),
    };
    let canonical = Canonical::told(method, authority, &target)?;
    Ok(Original { canonical, asker: told.asker })
}

/// What the fields say, each thing once.
struct Told<'h> {
    method: Option<&'h str>,
    authority: Option<&'h str>,
    target: Option<&'h str>,
    asker: Asker,
}

impl<'h> Told<'h> {
    fn read(headers: &'h HeaderMap) -> Result<Self, OriginalError> {
        let url = only(headers, ORIGINAL_URL)?.map(split_url).transpose()?;
        let scheme = agreed("scheme", [only(headers, SCHEME)?, url.map(|url| url.scheme)]);
        match scheme {
            // Traefik names the protocol of a WebSocket so.
            Ok("https" | "wss") | Err(OriginalError::Untold(_)) => {}
            Ok(_) => return Err(OriginalError::Insecure),
            Err(error) => return Err(error),
        }
        let (target, original_target) = (only(headers, TARGET)?, only(headers, ORIGINAL_TARGET)?);
        let reads_status = url.is_some() || original_target.is_some();
        let optional = |agreed: Result<&'h str, OriginalError>| match agreed {
            Ok(told) => Ok(Some(told)),
            Err(OriginalError::Untold(_)) => Ok(None),
            Err(error) => Err(error),
        };
        Ok(Self {
            method: optional(agreed("method", [only(headers, METHOD)?, only(headers, ORIGINAL_METHOD)?]))?,
            authority: optional(agreed("host", [only(headers, HOST)?, url.map(|url| url.authority)]))?,
            target: optional(agreed("path", [target, original_target, url.map(|url| url.target)]))?,
            asker: if reads_status { Asker::ReadsStatus } else { Asker::Relays },
        })
    }
}

/// The one value of a field.
fn only<'h>(headers: &'h HeaderMap, name: &'static str) -> Result<Option<&'h str>, OriginalError> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (None, _) => Ok(None),
        (Some(only), None) => only.to_str().map(Some).map_err(|_| OriginalError::Unreadable(name)),
        _ => Err(OriginalError::Unreadable(name)),
    }
}

/// What all that tell it tell alike, letter by letter.
fn agreed<'h, const N: usize>(
    what: &'static str,
    told: [Option<&'h str>; N],
) -> Result<&'h str, OriginalError> {
    let mut told = told.into_iter().flatten();
    let first = told.next().ok_or(OriginalError::Untold(what))?;
    if told.all(|other| other == first) { Ok(first) } else { Err(OriginalError::Differs(what)) }
}

#[derive(Clone, Copy)]
struct Url<'h> {
    scheme: &'h str,
    authority: &'h str,
    target: &'h str,
}

/// Takes `scheme://authority/target` apart without understanding any of the three.
fn split_url(text: &str) -> Result<Url<'_>, OriginalError> {
    let (scheme, rest) = text.split_once("://").ok_or(OriginalError::Unreadable(ORIGINAL_URL))?;
    let slash = rest.find('/').ok_or(OriginalError::Unreadable(ORIGINAL_URL))?;
    let (authority, target) = rest.split_at(slash);
    Ok(Url { scheme, authority, target })
}

fn without_port(authority: &str) -> &str {
    authority.split_once(':').map_or(authority, |(host, _)| host)
}

#[cfg(test)]
mod tests;
