//! Signing out: of one application, of everything in this browser, of everything everywhere. The browser's own cookie says whom it
//! concerns, so nobody can sign out somebody else.

use std::sync::Arc;
use std::time::Duration;

use http::header::{HeaderMap, ORIGIN};
use http::request::Parts;
use http::{Response, StatusCode};
use moka::sync::Cache;
use portcullis_store::{EndReason, EndWhat, SessionId};

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

/// Most sign-outs that are on their way from an application's host; beyond it the provider's session stays.
const MAX_PARTING: u64 = 10_000;
/// How long a browser may take for that.
const PARTING_LIFE: Duration = Duration::from_secs(60);

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
    if host != auth_host {
        if let Visitor::Known(application) = application_visitor(live, &head.headers, host, None, now) {
            // A token at a terminal speaks for itself alone.
            if application.terminal.is_some() {
                return application_logout(gateway, head, host, now).await;
            }
            part(gateway, &application.session, now).await?;
        }
        let location = format!("{}{RESERVED_PREFIX}logout", gateway.config.origin(auth_host));
        return Ok(respond::redirect(&location, forget(&head.headers)));
    }
    if let Visitor::Known(session) = login_visitor(live, &head.headers, now) {
        part(gateway, &session, now).await?;
    }
    // Whoever came from an application's host has ended the session there. What it takes to end the provider's too is told to nobody
    // but who has the cookie of this host.
    let over = login_of_cookie(live, &head.headers);
    let parting =
        over.as_ref().and_then(|session| Some((session, gateway.process.parting.take(session.id)?)));
    if let Some((session, sealed)) = parting
        && let Some(location) = provider_logout(gateway, session, &sealed, now).await
    {
        return Ok(respond::redirect(&location, forget(&head.headers)));
    }
    let others = over.map_or(0, |session| live.others_of(&session, now));
    let page = signed_out(gateway, query, others, now);
    Ok(respond::page(&gateway.look, page, forget(&head.headers)))
}

/// Ends a login, and keeps for a moment what ending the provider's session takes: an ended session has lost its tokens.
async fn part(gateway: &Gateway, session: &LiveSession, now: i64) -> Result<(), LoginError> {
    if let Some(sealed) = gateway.process.store.sealed(session.id)? {
        gateway.process.parting.keep(session.id, sealed);
    }
    end(gateway, EndWhat::Session(session.id), now).await
}

/// ID tokens of logins that were just signed out, sealed, until the browser comes to the auth host.
#[derive(Debug)]
pub(crate) struct Parting(Cache<SessionId, Arc<[u8]>>);

impl Parting {
    pub(crate) fn new() -> Self {
        Self(Cache::builder().max_capacity(MAX_PARTING).time_to_live(PARTING_LIFE).build())
    }

    fn keep(&self, session: SessionId, sealed: Vec<u8>) {
        self.0.insert(session, sealed.into());
    }

    fn take(&self, session: SessionId) -> Option<Arc<[u8]>> {
        self.0.remove(&session)
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
