//! Our own endpoints below `/cdn-cgi/access/`: a table of paths, and nothing else. What each does is left to `login`,
//! `terminal`, `errand` and `assertion`.

use std::net::IpAddr;
use std::sync::Arc;

use http::request::Parts;
use http::{Method, Response};
use hyper::body::Incoming;
use portcullis_store::SessionId;

mod errands;
mod terminals;

use crate::assertion::{self, Seen, identity};
use crate::body::Body;
use crate::cookies;
use crate::credential;
use crate::form;
use crate::gateway::Gateway;
use crate::live::LiveSession;
use crate::login;
use crate::query::Query;
use crate::respond::{self, Audience, Reader, Rejection};
use crate::route::{Canonical, RESERVED_PREFIX};
use crate::session::{Visitor, application_visitor, login_visitor};
use crate::tls::Presented;

/// The one of our endpoints for browsers that changes something by a POST.
const EVERYWHERE: &str = "logout/everywhere";

/// One request to us.
pub(crate) struct Asked<'a> {
    pub(crate) head: &'a Parts,
    pub(crate) canonical: &'a Canonical,
    /// Whose address is judged.
    pub(crate) client_ip: IpAddr,
    /// The client's certificate, if it showed one that is accepted.
    pub(crate) presented: Option<&'a Presented>,
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
    body: Incoming,
) -> Result<Response<Body>, Rejection> {
    let query = Query::parse(asked.canonical.query.as_deref());
    if endpoint == "initiate" {
        return initiate(gateway, asked, (query, body)).await;
    }
    if let Some((page @ ("terminal" | "device"), host)) = endpoint.split_once('/') {
        return terminals::on_auth_host(gateway, asked, body, (page, host)).await;
    }
    if let Some((page @ ("purpose" | "request"), host)) = endpoint.split_once('/') {
        return errands::of_host(gateway, asked, body, (page, host)).await;
    }
    if endpoint == "requests" {
        return errands::requests(gateway, asked, body).await;
    }
    if endpoint != EVERYWHERE {
        only_get(asked)?;
    }
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
        ("logout", "") => {
            Ok(login::logout(gateway, asked.head, &asked.canonical.host, &query, asked.now).await?)
        }
        ("logout", "everywhere") => Ok(match asked.canonical.method {
            Method::GET | Method::HEAD => login::ask_everywhere(gateway, asked.head, asked.now),
            Method::POST => login::everywhere(gateway, asked.head, asked.now).await?,
            _ => return Err(Rejection::MethodNotAllowed("GET, POST")),
        }),
        ("logo", "") => respond::logo(&gateway.look).ok_or(Rejection::NotFound),
        ("certs", "") => Ok(respond::keys(gateway.process.signer.ring().published())),
        ("get-identity", "") if shows_service(asked) => Err(Rejection::NoIdentity),
        ("get-identity", "") => match login_visitor(&gateway.process.live, &asked.head.headers, asked.now) {
            Visitor::Known(session) => Ok(told_about(gateway, asked, &session)),
            Visitor::Nobody => told_by_assertion(gateway, asked),
            Visitor::Contradictory | Visitor::Ended(_) => Err(Rejection::NoIdentity),
        },
        _ => Err(Rejection::NotFound),
    }
}

/// Whether an endpoint tells everybody the same.
pub(crate) fn is_published(endpoint: &str) -> bool {
    matches!(endpoint, "certs" | "logo")
}

/// Whether a login may come back to an endpoint of an application's host: it leads on to a page for whoever is logged in.
pub(crate) fn is_page(endpoint: &str) -> bool {
    matches!(endpoint, "terminal" | "device")
}

/// Our endpoints on an application's host.
pub(crate) async fn on_application_host(
    gateway: &Arc<Gateway>,
    asked: &Asked<'_>,
    body: Incoming,
    endpoint: &str,
) -> Result<Response<Body>, Rejection> {
    if let "terminal" | "device" | "device/begin" | "token" | "token/revoke" = endpoint {
        return terminals::on_application_host(gateway, asked, body, endpoint).await;
    }
    only_get(asked)?;
    let host = &asked.canonical.host;
    match endpoint {
        "authorized" => {
            limited(gateway, asked)?;
            let query = Query::parse(asked.canonical.query.as_deref());
            Ok(login::redeem(gateway, asked.head, host, &query, asked.now).await?)
        }
        "logout" => {
            let query = Query::parse(asked.canonical.query.as_deref());
            Ok(login::logout(gateway, asked.head, host, &query, asked.now).await?)
        }
        "logout/app" => Ok(login::application_logout(gateway, asked.head, host, asked.now).await?),
        "logo" => respond::logo(&gateway.look).ok_or(Rejection::NotFound),
        "certs" => Ok(respond::keys(gateway.process.signer.ring().published())),
        "get-identity" if shows_service(asked) => Err(Rejection::NoIdentity),
        "get-identity" => {
            match application_visitor(&gateway.process.live, &asked.head.headers, host, None, asked.now) {
                Visitor::Known(known) => Ok(told_about(gateway, asked, &known.session)),
                Visitor::Nobody | Visitor::Contradictory | Visitor::Ended(_) => Err(Rejection::NoIdentity),
            }
        }
        _ => Err(Rejection::NotFound),
    }
}

/// Who they are, told to themselves.
fn told_about(gateway: &Gateway, asked: &Asked<'_>, session: &LiveSession) -> Response<Body> {
    let country = gateway.policies.country(asked.client_ip);
    let seen = Seen { client_ip: asked.client_ip, country, presented: asked.presented };
    told(gateway, session, Some(seen))
}

/// Whom an assertion is about, told to the server that was sent it, as long as the session lives. Nothing is seen of the person here, and
/// nobody is using anything.
fn told_by_assertion(gateway: &Gateway, asked: &Asked<'_>) -> Result<Response<Body>, Rejection> {
    let token = assertion::in_head(&asked.head.headers).ok_or(Rejection::NoIdentity)?;
    let applications = gateway.config.applications.iter();
    let audiences: Vec<&str> = applications.map(|it| it.asserted.audience.as_str()).collect();
    let signer = &gateway.process.signer;
    let shown = signer.ring().verify(signer.issuer(), &audiences, token, asked.now);
    let shown = shown.ok_or(Rejection::NoIdentity)?;
    let session = SessionId::from_hex(&shown.session).and_then(|id| gateway.process.live.session(&id));
    let session = session.filter(|session| {
        let is_over = session.is_expired(asked.now) || session.standing().ended.is_some();
        !is_over && session.service.is_none() && session.subject == shown.sub
    });
    Ok(told(gateway, &*session.ok_or(Rejection::NoIdentity)?, None))
}

fn told(gateway: &Gateway, session: &LiveSession, seen: Option<Seen<'_>>) -> Response<Body> {
    let provider = gateway.config.identity_provider(&session.provider);
    let provider = provider.map(AsRef::as_ref);
    respond::identity(&identity(session, &session.standing(), provider, seen))
}

/// Another site may send a browser here, by a link or a form.
async fn initiate(
    gateway: &Gateway,
    asked: &Asked<'_>,
    (query, body): (Query, Incoming),
) -> Result<Response<Body>, Rejection> {
    limited(gateway, asked)?;
    let told = match asked.canonical.method {
        Method::GET | Method::HEAD => query,
        Method::POST => form::read(asked.head, body).await?,
        _ => return Err(Rejection::MethodNotAllowed("GET, POST")),
    };
    Ok(login::initiate(gateway, asked.head, &told, asked.now)?)
}

/// A service is nobody, also beside somebody's cookie.
fn shows_service(asked: &Asked<'_>) -> bool {
    credential::shows_service(&asked.head.headers, None)
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
