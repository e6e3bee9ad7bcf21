//! The endpoints by which programs at a terminal come to a token. Those for programs are on the application's host; the pages on
//! which a person says yes are on the auth host, where no script of an application can press a button. What each does is left to
//! `terminal`.

use std::sync::Arc;

use http::{Method, Response};
use hyper::body::Incoming;

use super::{Asked, limited, only_get};
use crate::body::Body;
use crate::config::Application;
use crate::form;
use crate::gateway::Gateway;
use crate::host::Host;
use crate::login;
use crate::query::Query;
use crate::respond::{self, Rejection};
use crate::route::RESERVED_PREFIX;
use crate::session::{Visitor, application_visitor, login_visitor};
use crate::terminal::{self, TerminalError};

/// On an application's host: what programs ask, and the way to the pages.
pub(super) async fn on_application_host(
    gateway: &Arc<Gateway>,
    asked: &Asked<'_>,
    body: Incoming,
    endpoint: &str,
) -> Result<Response<Body>, Rejection> {
    limited(gateway, asked)?;
    let (host, now) = (&asked.canonical.host, asked.now);
    let application = that_gives_tokens(gateway, host)?;
    if super::is_page(endpoint) {
        only_get(asked)?;
        return to_the_page(gateway, asked, application, endpoint);
    }
    if asked.canonical.method != Method::POST {
        return Err(Rejection::MethodNotAllowed("POST"));
    }
    let form = form::read(asked.head, body).await?;
    Ok(match endpoint {
        "token" => terminal::redeem(gateway, host, &form, now).await,
        "token/revoke" => terminal::revoke(gateway, host, &form, now).await,
        "device/begin" => terminal::begin_device(gateway, host, asked.client_ip, &form, now),
        _ => return Err(Rejection::NotFound),
    })
}

fn that_gives_tokens<'g>(gateway: &'g Gateway, host: &Host) -> Result<&'g Arc<Application>, TerminalError> {
    gateway.routes.applications(host).find(|application| application.terminals).ok_or(TerminalError::Off)
}

/// Whoever is logged in goes on to the auth host; anybody else logs in first, and comes back here.
fn to_the_page(
    gateway: &Gateway,
    asked: &Asked<'_>,
    application: &Application,
    page: &str,
) -> Result<Response<Body>, Rejection> {
    let (headers, host) = (&asked.head.headers, &asked.canonical.host);
    let challenge =
        || Box::new(login::challenge(gateway, (asked.canonical, application), None, headers, asked.now));
    match application_visitor(&gateway.process.live, headers, host, None, asked.now) {
        Visitor::Known(_) => {
            let auth = gateway.config.origin(&gateway.config.server.auth_host);
            let query = asked.canonical.query.as_deref().unwrap_or_default();
            Ok(respond::redirect(&format!("{auth}{RESERVED_PREFIX}{page}/{host}?{query}"), None))
        }
        Visitor::Nobody => Err(Rejection::LoginRequired(challenge())),
        Visitor::Ended(reason) => Err(Rejection::SessionEnded(reason, challenge())),
        Visitor::Contradictory => Err(Rejection::CredentialsDisagree),
    }
}

/// On the auth host: the pages, for an application's host.
pub(super) async fn on_auth_host(
    gateway: &Arc<Gateway>,
    asked: &Asked<'_>,
    body: Incoming,
    (page, host): (&str, &str),
) -> Result<Response<Body>, Rejection> {
    limited(gateway, asked)?;
    let host: Host = host.parse().map_err(|_| Rejection::NotFound)?;
    if !gateway.routes.serves(&host) {
        return Err(Rejection::NotFound);
    }
    that_gives_tokens(gateway, &host)?;
    let form = match asked.canonical.method {
        Method::GET | Method::HEAD => None,
        Method::POST => Some(form::read(asked.head, body).await?),
        _ => return Err(Rejection::MethodNotAllowed("GET, POST")),
    };
    let Visitor::Known(session) = login_visitor(&gateway.process.live, &asked.head.headers, asked.now) else {
        return Err(TerminalError::SignedOut.into());
    };
    let now = asked.now;
    let Some(form) = form else {
        let query = Query::parse(asked.canonical.query.as_deref());
        return Ok(match page {
            "terminal" => terminal::loopback_page(gateway, &host, &session, &query, now)?,
            _ => terminal::device_page(gateway, &host),
        });
    };
    form::from_our_page(asked.head, &gateway.config.origin(&gateway.config.server.auth_host))?;
    Ok(match page {
        "terminal" => terminal::confirm_loopback(gateway, &host, &session, &form, now).await?,
        _ => terminal::confirm_device(gateway, &host, &session, &form, now)?,
    })
}
