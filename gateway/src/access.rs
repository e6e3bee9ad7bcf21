//! Our own endpoints below `/cdn-cgi/access/`: a table of paths, and nothing else. What each does is left to `login` and
//! `assertion`.

use std::net::IpAddr;
use std::sync::Arc;

use http::request::Parts;
use http::{Method, Response};

use crate::assertion::identity;
use crate::body::Body;
use crate::cookies;
use crate::gateway::Gateway;
use crate::live::LiveSession;
use crate::login;
use crate::query::Query;
use crate::respond::{self, Audience, Reader, Rejection};
use crate::route::{Canonical, RESERVED_PREFIX};
use crate::session::{Visitor, application_visitor, login_visitor};

/// One request to us.
pub(crate) struct Asked<'a> {
    pub(crate) head: &'a Parts,
    pub(crate) canonical: &'a Canonical,
    /// Whose address is judged.
    pub(crate) client_ip: IpAddr,
    /// For the pages that name it.
    pub(crate) reference: &'a str,
    pub(crate) now: i64,
}

impl<'a> Asked<'a> {
    fn reader(&self, gateway: &'a Gateway) -> Reader<'a> {
        let (audience, reference, look) = (Audience::of(self.head), self.reference, &gateway.look);
        Reader { audience, reference, look, application: None }
    }
}

/// The part of a path below our prefix, when it is one of ours.
pub(crate) fn endpoint(canonical: &Canonical) -> Option<&str> {
    canonical.path.as_str().strip_prefix(RESERVED_PREFIX)
}

/// Our endpoints on the auth host.
pub(crate) async fn on_auth_host(
    gateway: &Arc<Gateway>,
    asked: &Asked<'_>,
    endpoint: &str,
) -> Result<Response<Body>, Rejection> {
    only_get(asked)?;
    let query = Query::parse(asked.canonical.query.as_deref());
    match endpoint.split_once('/').unwrap_or((endpoint, "")) {
        ("login", host) if !host.is_empty() => {
            limited(gateway, asked)?;
            login::start(gateway, asked.head, host, &query, asked.now).await
        }
        ("callback", "") => {
            limited(gateway, asked)?;
            let called = login::callback(gateway, asked.head, &query, asked.now).await;
            called.or_else(|refused| Ok(refused_callback(gateway, asked, refused)))
        }
        ("logout", "") => Ok(login::logout(gateway, asked.head, &asked.canonical.host, asked.now).await?),
        ("logo", "") => respond::logo(&gateway.look).ok_or(Rejection::NotFound),
        ("certs", "") => Ok(respond::keys(gateway.process.signer.ring().published())),
        ("get-identity", "") => match login_visitor(&gateway.process.live, &asked.head.headers, asked.now) {
            Visitor::Known(session) => Ok(told_about(gateway, asked, &session)),
            Visitor::Nobody | Visitor::Ended(_) => Err(Rejection::NoIdentity),
        },
        _ => Err(Rejection::NotFound),
    }
}

/// Our endpoints on an application's host.
pub(crate) async fn on_application_host(
    gateway: &Arc<Gateway>,
    asked: &Asked<'_>,
    endpoint: &str,
) -> Result<Response<Body>, Rejection> {
    only_get(asked)?;
    let host = &asked.canonical.host;
    match endpoint {
        "authorized" => {
            limited(gateway, asked)?;
            let query = Query::parse(asked.canonical.query.as_deref());
            Ok(login::redeem(gateway, asked.head, host, &query, asked.now).await?)
        }
        "logout" => Ok(login::logout(gateway, asked.head, host, asked.now).await?),
        "logout/app" => Ok(login::application_logout(gateway, asked.head, host, asked.now).await?),
        "logo" => respond::logo(&gateway.look).ok_or(Rejection::NotFound),
        "certs" => Ok(respond::keys(gateway.process.signer.ring().published())),
        "get-identity" => {
            match application_visitor(&gateway.process.live, &asked.head.headers, host, None, asked.now) {
                Visitor::Known(known) => Ok(told_about(gateway, asked, &known.session)),
                Visitor::Nobody | Visitor::Ended(_) => Err(Rejection::NoIdentity),
            }
        }
        _ => Err(Rejection::NotFound),
    }
}

/// Who they are, told to themselves.
fn told_about(gateway: &Gateway, asked: &Asked<'_>, session: &LiveSession) -> Response<Body> {
    let provider = gateway.config.identity_provider(&session.provider);
    let provider = provider.map(AsRef::as_ref);
    respond::identity(&identity(session, &session.standing(), provider, asked.client_ip))
}

fn only_get(asked: &Asked<'_>) -> Result<(), Rejection> {
    match asked.canonical.method {
        Method::GET | Method::HEAD => Ok(()),
        _ => Err(Rejection::MethodNotAllowed("GET")),
    }
}

fn limited(gateway: &Gateway, asked: &Asked<'_>) -> Result<(), Rejection> {
    if gateway.limits.logins.allows(asked.client_ip) { Ok(()) } else { Err(Rejection::TooManyRequests) }
}

/// A refused callback is told at once, with the cookie of its attempt cleared.
fn refused_callback(gateway: &Gateway, asked: &Asked<'_>, refused: login::RefusedCallback) -> Response<Body> {
    let login::RefusedCallback { error, spent, front } = refused;
    let code = error.code();
    let rejection = Rejection::Login { error, front };
    tracing::warn!(
        target: "portcullis::login",
        request = asked.reference,
        client = %asked.client_ip,
        code,
        cause = %rejection,
        "a login was refused"
    );
    let mut response = respond::rejected(&rejection, &asked.reader(gateway));
    cookies::append(response.headers_mut(), spent);
    response
}
