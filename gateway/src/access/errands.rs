//! The pages on the auth host on which somebody says why they use an application, asks for access, or answers who asks. What each does is
//! left to `errand`.

use std::sync::Arc;

use http::{Method, Response};
use hyper::body::Incoming;

use super::{Asked, limited};
use crate::body::Body;
use crate::errand::{self, Approver, ErrandError};
use crate::form;
use crate::gateway::Gateway;
use crate::host::Host;
use crate::live::{Freshness, LiveSession};
use crate::login;
use crate::query::Query;
use crate::respond::Rejection;
use crate::session::{Visitor, login_visitor};

/// What concerns one application's host.
pub(super) async fn of_host(
    gateway: &Arc<Gateway>,
    asked: &Asked<'_>,
    body: Incoming,
    (page, host): (&str, &str),
) -> Result<Response<Body>, Rejection> {
    let host: Host = host.parse().map_err(|_| Rejection::NotFound)?;
    if !gateway.routes.serves(&host) {
        return Err(Rejection::NotFound);
    }
    let (session, form) = knock(gateway, asked, body).await?;
    let now = asked.now;
    let query = || Query::parse(asked.canonical.query.as_deref());
    Ok(match (page, form) {
        ("purpose", None) => errand::purpose_page(gateway, &host, &session, &query(), now)?,
        ("purpose", Some(form)) => errand::give(gateway, &host, &session, &form, now).await?,
        (_, None) => errand::ask_page(gateway, &host, &session, &query(), now)?,
        (_, Some(form)) => errand::ask(gateway, &host, &session, &form, now).await?,
    })
}

/// What approvers see and answer.
pub(super) async fn requests(
    gateway: &Arc<Gateway>,
    asked: &Asked<'_>,
    body: Incoming,
) -> Result<Response<Body>, Rejection> {
    let (session, form) = knock(gateway, asked, body).await?;
    let approver = Approver { session: &session, client_ip: asked.client_ip, now: asked.now };
    Ok(match form {
        None => errand::waiting(gateway, &approver)?,
        Some(form) => errand::answer(gateway, &approver, &form).await?,
    })
}

/// Who is there, and the form that they sent from a page of ours, if they sent one.
async fn knock(
    gateway: &Arc<Gateway>,
    asked: &Asked<'_>,
    body: Incoming,
) -> Result<(Arc<LiveSession>, Option<Query>), Rejection> {
    limited(gateway, asked)?;
    let form = match asked.canonical.method {
        Method::GET | Method::HEAD => None,
        Method::POST => Some(form::read(asked.head, body).await?),
        _ => return Err(Rejection::MethodNotAllowed("GET, POST")),
    };
    let Visitor::Known(session) = login_visitor(&gateway.process.live, &asked.head.headers, asked.now) else {
        return Err(ErrandError::SignedOut.into());
    };
    // Whoever the provider may have put out meanwhile neither asks nor answers.
    if login::keep_fresh(gateway, &session, asked.now) == Freshness::Overdue {
        return Err(Rejection::ProviderUnavailable);
    }
    if form.is_some() {
        form::from_our_page(asked.head, &gateway.config.origin(&gateway.config.server.auth_host))?;
    }
    Ok((session, form))
}
