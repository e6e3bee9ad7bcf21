//! Signing out: of one application, of everything in this browser, of everything everywhere. The browser's own cookie says whom it
//! concerns, so nobody can sign out somebody else.

use std::sync::Arc;

use http::header::{HeaderMap, ORIGIN};
use http::request::Parts;
use http::{Response, StatusCode};
use portcullis_store::{EndReason, EndWhat};

use super::{ATTEMPT_LIFE_S, LoginError, hint};
use crate::body::Body;
use crate::cookies;
use crate::gateway::Gateway;
use crate::host::Host;
use crate::live::LiveSession;
use crate::query::Query;
use crate::respond::{self, Page};
use crate::route::RESERVED_PREFIX;
use crate::seal::Purpose;
use crate::session::{Visitor, application_visitor, login_of_cookie, login_visitor};

/// `logout` on any host: the login ends, and with it every application session. Then the browser goes to the provider, where that ends
/// its session too; and from an application's host to the auth host, whose cookie it cannot reach from there.
pub(crate) async fn logout(
    gateway: &Arc<Gateway>,
    head: &Parts,
    host: &Host,
    query: &Query,
    now: i64,
) -> Result<Response<Body>, LoginError> {
    let auth_host = &gateway.config.server.auth_host;
    let live = &gateway.process.live;
    let login = if host == auth_host {
        known(login_visitor(live, &head.headers, now))
    } else {
        let visitor = application_visitor(live, &head.headers, host, None, now);
        known(visitor).map(|application| application.session.clone())
    };
    if let Some(session) = &login {
        // Read before the end, since an ended session has lost its tokens; used after it, since the provider may be slow.
        let sealed = gateway.process.store.sealed(session.id)?;
        end(gateway, EndWhat::Session(session.id), now).await?;
        let onwards = match sealed {
            Some(sealed) => provider_logout(gateway, session, &sealed, now).await,
            None => None,
        };
        if let Some(location) = onwards {
            return Ok(respond::redirect(&location, forget(&head.headers)));
        }
    }
    if host != auth_host {
        let location = format!("{}{RESERVED_PREFIX}logout", gateway.config.origin(auth_host));
        return Ok(respond::redirect(&location, forget(&head.headers)));
    }
    // Whoever came from an application's host has ended the session there.
    let over = login_of_cookie(live, &head.headers);
    let others = over.map_or(0, |session| live.others_of(&session, now));
    let page = signed_out(gateway, query, others, now);
    Ok(respond::page(&gateway.look, page, forget(&head.headers)))
}

fn known<S>(visitor: Visitor<S>) -> Option<Arc<S>> {
    match visitor {
        Visitor::Known(known) => Some(known),
        Visitor::Nobody | Visitor::Ended(_) | Visitor::Contradictory => None,
    }
}

/// What is over, and what may still be open.
fn signed_out(gateway: &Gateway, query: &Query, others: usize, now: i64) -> Page {
    let auth_host = gateway.config.server.auth_host.as_str();
    let sealed = query.only("state").unwrap_or_default();
    let provider = gateway.process.sealer.open::<String>(Purpose::SignedOut, auth_host, now, sealed);
    let of_provider = match provider {
        Ok(name) => format!("You are signed out at {name} too."),
        Err(_) => "You may still be signed in at your identity provider: whoever uses this browser next may come in again \
                   without a password."
            .to_owned(),
    };
    let page = Page::new(StatusCode::OK, "You are signed out")
        .text("You are signed out of every application behind this gateway, in this browser.")
        .text(&of_provider);
    match others {
        0 => page,
        1 => page.text("You are still signed in in one other browser. To end that too, sign in again and sign out everywhere."),
        _ => page.text(&format!(
            "You are still signed in in {others} other browsers. To end these too, sign in again and sign out everywhere."
        )),
    }
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
    let id_token = hint::open(gateway, sealed, session.id)?;
    let auth_host = &gateway.config.server.auth_host;
    let name = provider.settings().name.clone();
    let expires_at = now.saturating_add(ATTEMPT_LIFE_S);
    let state = gateway.process.sealer.seal(Purpose::SignedOut, auth_host.as_str(), expires_at, name)?;
    let asked = gateway.process.control.spawn(async move { provider.end_session_endpoint(now).await });
    let mut endpoint = asked.await.ok()??;
    let back = format!("{}{RESERVED_PREFIX}logout", gateway.config.origin(auth_host));
    endpoint
        .query_pairs_mut()
        .append_pair("id_token_hint", &id_token)
        .append_pair("post_logout_redirect_uri", &back)
        .append_pair("state", &state);
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
    let auth = gateway.config.origin(&gateway.config.server.auth_host);
    let page = Page::new(StatusCode::OK, "You are signed out of this application")
        .text("You are still signed in here: other applications know you, and this one opens again without a password.")
        .link("/", "Open it again")
        .other_link(&format!("{auth}{RESERVED_PREFIX}logout"), "Sign out of all applications")
        .other_link(&format!("{auth}{RESERVED_PREFIX}logout/everywhere"), "Sign out in all browsers");
    Ok(respond::page(&gateway.look, page, forget(&head.headers)))
}

/// `logout/everywhere` on the auth host: asks first, since following a link must change nothing for other browsers.
pub(crate) fn ask_everywhere(gateway: &Gateway, head: &Parts, now: i64) -> Response<Body> {
    let page = match login_visitor(&gateway.process.live, &head.headers, now) {
        Visitor::Known(session) => {
            let browsers = match gateway.process.live.others_of(&session, now) {
                0 => "You are signed in in this browser alone. It".to_owned(),
                1 => "You are signed in in this browser and in one other. Both".to_owned(),
                others => format!("You are signed in in this browser and in {others} others. All of them"),
            };
            Page::new(StatusCode::OK, "Sign out in all browsers?")
                .text(&format!(
                    "{browsers} will be signed out of every application at once, and what is open is cut off."
                ))
                .button(&format!("{RESERVED_PREFIX}logout/everywhere"), "Sign out everywhere")
        }
        Visitor::Nobody | Visitor::Ended(_) | Visitor::Contradictory => Page::new(StatusCode::OK, "Nobody is signed in")
            .text("Nobody is signed in in this browser. Open an application and sign in, then come back to sign out everywhere."),
    };
    respond::page(&gateway.look, page, None)
}

/// The same by POST from that page: every login of the person ends, wherever it is used.
pub(crate) async fn everywhere(
    gateway: &Arc<Gateway>,
    head: &Parts,
    now: i64,
) -> Result<Response<Body>, LoginError> {
    if !is_from_our_page(gateway, &head.headers) {
        return Err(LoginError::ForeignPage);
    }
    let Visitor::Known(session) = login_visitor(&gateway.process.live, &head.headers, now) else {
        return Ok(ask_everywhere(gateway, head, now));
    };
    if let Some(person) = &session.standing().person {
        end(gateway, EndWhat::Person(person.id), now).await?;
    }
    let (provider, subject) = (session.provider.clone(), session.subject.clone());
    end(gateway, EndWhat::Subject { provider, subject }, now).await?;
    let page = Page::new(StatusCode::OK, "You are signed out everywhere")
        .text("Every browser is signed out of every application behind this gateway.")
        .text("You may still be signed in at your identity provider, here and elsewhere.");
    Ok(respond::page(&gateway.look, page, forget(&head.headers)))
}

/// `SameSite` keeps the cookie from the pages of other sites, but a sibling host is of the same site. Our pages send no referrer, and
/// then browsers send no origin with a form (Fetch section 3.2): those that tell the site are asked that first.
fn is_from_our_page(gateway: &Gateway, headers: &HeaderMap) -> bool {
    let origin = gateway.config.origin(&gateway.config.server.auth_host);
    match headers.get("sec-fetch-site") {
        Some(site) => site.as_bytes() == b"same-origin",
        None => headers.get(ORIGIN).is_some_and(|found| found.as_bytes() == origin.as_bytes()),
    }
}

/// Clears what a session is known by.
fn forget(headers: &HeaderMap) -> impl Iterator<Item = http::HeaderValue> {
    let binding = cookies::only(headers, cookies::BINDING).and_then(|_| cookies::clear(cookies::BINDING));
    cookies::clear(cookies::SESSION).into_iter().chain(binding)
}

async fn end(gateway: &Gateway, what: EndWhat, now: i64) -> Result<(), LoginError> {
    let ended = gateway.process.store.end_sessions(what, EndReason::SignedOut, now).await?;
    tracing::info!(target: "portcullis::session", ended, "signed out");
    Ok(())
}
