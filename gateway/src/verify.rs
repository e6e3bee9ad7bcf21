//! Forward-auth: another proxy asks whether a request may pass, and we answer for it. The request is held to the rules of one that
//! comes directly and decided by the same policies; who is let in is told in the answer, for the other proxy to pass on. Only
//! the asking is decided: what the other proxy carries afterwards is beyond our reach. Words are left to `respond`.

use std::net::IpAddr;
use std::sync::Arc;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Response};

mod original;

pub(crate) use original::{Asker, OriginalError};

use crate::authorize::{Proof, Verified};
use crate::body::Body;
use crate::cookies;
use crate::gateway::Gateway;
use crate::identity_headers::{self, IdentityError};
use crate::respond;
use crate::route::{Canonical, Destination, RESERVED_PREFIX, RouteError, Target};
use crate::tls::TlsPolicy;

/// What the asking proxy proves itself with.
const PROOF: HeaderName = HeaderName::from_static("x-portcullis-forward-auth");
/// What is left of the client's cookies when ours are taken out, for the application.
const COOKIES_LEFT: HeaderName = http::header::COOKIE;

/// Whether a path of ours is this question; with what stands behind it, where Envoy puts the path of the request.
pub(crate) fn question(canonical: &Canonical) -> Option<Option<&str>> {
    let rest = canonical.path.as_str().strip_prefix(RESERVED_PREFIX)?.strip_prefix("verify")?;
    match rest {
        "" => Some(None),
        beyond if beyond.starts_with('/') => Some(Some(beyond)),
        _ => None,
    }
}

/// Whether it is one of the proxies that asks. A proxy passes on what its clients send, also to this address; what a client cannot
/// send is the secret, which the proxy adds to its own questions alone.
pub(crate) fn may_ask(gateway: &Gateway, peer: IpAddr, headers: &HeaderMap) -> bool {
    let server = &gateway.config.server;
    let mut proofs = headers.get_all(PROOF).iter();
    let (Some(secret), Some(proof), None) = (&server.forward_auth_secret, proofs.next(), proofs.next())
    else {
        return false;
    };
    let proven = verify_slices_are_equal(secret.expose().as_bytes(), proof.as_bytes()).is_ok();
    proven && server.forward_auth_from.contains(peer)
}

/// A request that is asked about, and the application that it is for.
#[derive(Debug)]
pub(crate) struct Question {
    pub(crate) canonical: Canonical,
    pub(crate) target: Arc<Target>,
    pub(crate) asker: Asker,
}

/// Understands what is asked.
pub(crate) fn understand(
    gateway: &Gateway,
    head: &Parts,
    outer: &Canonical,
    beyond: Option<&str>,
) -> Result<Question, OriginalError> {
    let original::Original { canonical, asker } = original::original(head, outer, beyond)?;
    // A host that asks for a certificate is not reached through a handshake of another proxy's.
    if gateway.tls.policy(&canonical.host) != TlsPolicy::OPEN {
        return Err(RouteError::TlsPolicy.into());
    }
    match gateway.routes.destination(&canonical)? {
        Destination::Application(target) if target.application.forward_auth => {
            Ok(Question { canonical, target, asker })
        }
        // Our own paths are for the asking proxy to send here, not to ask about: an answer of theirs could be taken for a yes.
        Destination::Application(_) | Destination::ApplicationHost | Destination::AuthHost => {
            Err(RouteError::UnknownPath.into())
        }
    }
}

/// The yes, with what the application is to be told.
pub(crate) fn allowed(
    gateway: &Gateway,
    (proof, target): (&Proof, &Target),
    asked: &HeaderMap,
    now: i64,
) -> Result<Response<Body>, IdentityError> {
    let identity = proof.verified().map(|verified| {
        let Verified { session, standing, target, .. } = verified;
        identity_headers::of(&gateway.process.signer, session, standing, target, now)
    });
    let identity = identity.transpose()?;
    let rules = &target.application.headers;
    let mut told = HeaderMap::with_capacity(8);
    // Every configured name is there, if need be with nothing: a proxy that copies it replaces what the client sent.
    let ours = [&identity_headers::EMAIL, &identity_headers::ASSERTION];
    for name in rules.told.iter().map(|told| &told.name).chain(ours) {
        told.insert(name.clone(), HeaderValue::from_static(""));
    }
    let identity = identity.iter().flat_map(|identity| identity.iter());
    for (name, value) in rules.fixed.iter().chain(identity) {
        told.insert(name.clone(), value.clone());
    }
    let mut left = HeaderMap::new();
    for cookies in asked.get_all(COOKIES_LEFT) {
        left.append(COOKIES_LEFT, cookies.clone());
    }
    cookies::strip_ours(&mut left);
    told.insert(COOKIES_LEFT, left.remove(COOKIES_LEFT).unwrap_or(HeaderValue::from_static("")));
    Ok(respond::verified(told))
}
