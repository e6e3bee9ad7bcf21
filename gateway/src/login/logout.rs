//! Signing out: of one application, or of everything that came of a login. The browser's own cookie says whom it concerns, so
//! nobody can sign out somebody else.

use std::sync::Arc;

use http::request::Parts;
use http::{Response, StatusCode};
use portcullis_store::{EndReason, EndWhat};

use super::LoginError;
use crate::body::Body;
use crate::cookies;
use crate::gateway::Gateway;
use crate::host::Host;
use crate::live::LiveSession;
use crate::respond::{self, Page};
use crate::route::RESERVED_PREFIX;
use crate::seal::Purpose;
use crate::session::{Visitor, application_visitor, login_visitor};

/// `logout` on any host: the login ends, and with it every application session. From an application's host the browser goes on
/// to the auth host, whose cookie it cannot reach from there.
pub(crate) async fn logout(
    gateway: &Arc<Gateway>,
    head: &Parts,
    host: &Host,
    now: i64,
) -> Result<Response<Body>, LoginError> {
    let auth_host = &gateway.config.server.auth_host;
    let clear = cookies::clear(cookies::SESSION);
    if host != auth_host {
        if let Visitor::Known(known) =
            application_visitor(&gateway.process.live, &head.headers, host, None, now)
        {
            end(gateway, EndWhat::Session(known.session.id), now).await?;
        }
        let location = format!("{}{RESERVED_PREFIX}logout", gateway.config.origin(auth_host));
        return Ok(respond::redirect(&location, clear));
    }
    if let Visitor::Known(session) = login_visitor(&gateway.process.live, &head.headers, now) {
        // Read before the end, since an ended session has lost its tokens; used after it, since the provider may be slow.
        let sealed = gateway.process.store.sealed(session.id)?;
        end(gateway, EndWhat::Session(session.id), now).await?;
        let onwards = match sealed {
            Some(sealed) => provider_logout(gateway, &session, &sealed, now).await,
            None => None,
        };
        if let Some(location) = onwards {
            return Ok(respond::redirect(&location, clear));
        }
    }
    let page = Page::new(StatusCode::OK, "You are signed out").text(
        "You are signed out of every application behind this gateway. You may still be signed in at your identity \
         provider.",
    );
    Ok(respond::page(&gateway.look, page, clear))
}

/// Where the provider ends its own session (OpenID Connect RP-Initiated Logout 1.0), when it is configured and offers that.
async fn provider_logout(
    gateway: &Gateway,
    session: &LiveSession,
    sealed: &[u8],
    now: i64,
) -> Option<String> {
    let provider = gateway.provider(&session.provider)?.clone();
    if !provider.settings().end_provider_session {
        return None;
    }
    let context = session.id.to_string();
    let id_token = gateway.process.sealer.open_bytes(Purpose::AtRest, &context, sealed)?;
    let id_token = String::from_utf8(id_token).ok()?;
    let asked = gateway.process.control.spawn(async move { provider.end_session_endpoint(now).await });
    let mut endpoint = asked.await.ok()??;
    let back = format!("{}{RESERVED_PREFIX}logout", gateway.config.origin(&gateway.config.server.auth_host));
    endpoint
        .query_pairs_mut()
        .append_pair("id_token_hint", &id_token)
        .append_pair("post_logout_redirect_uri", &back);
    Some(endpoint.into())
}

/// `logout/app` on an application's host: only this application forgets the browser.
pub(crate) async fn application_logout(
    gateway: &Arc<Gateway>,
    head: &Parts,
    host: &Host,
    now: i64,
) -> Result<Response<Body>, LoginError> {
    if let Visitor::Known(known) = application_visitor(&gateway.process.live, &head.headers, host, None, now)
    {
        end(gateway, EndWhat::ApplicationSession(known.id), now).await?;
    }
    let page = Page::new(StatusCode::OK, "You are signed out of this application")
        .text("Other applications still know you.")
        .link("/", "Open it again");
    Ok(respond::page(&gateway.look, page, cookies::clear(cookies::SESSION)))
}

async fn end(gateway: &Gateway, what: EndWhat, now: i64) -> Result<(), LoginError> {
    let ended = gateway.process.store.end_sessions(what, EndReason::SignedOut, now).await?;
    tracing::info!(target: "portcullis::session", ended, "signed out");
    Ok(())
}
