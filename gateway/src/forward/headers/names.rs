//! What each field name means on its way through: of one connection only, a statement about identity, ours, or none of our
//! business. Looked at once for each name, since every request passes here.

use http::header::{HeaderMap, HeaderName};

/// Names by which upstreams are told who somebody is or where a request came from.
const IDENTITY: [&str; 15] = [
    "cf-connecting-ip",
    "client-ip",
    "forwarded",
    "proxy",
    "true-client-ip",
    "x-cluster-client-ip",
    "x-email",
    "x-groups",
    "x-http-method",
    "x-method-override",
    "x-real-ip",
    "x-request-id",
    "x-roles",
    "x-user",
    "x-username",
];

/// Beginnings of such names.
const IDENTITY_PREFIXES: [&str; 21] = [
    "cf-access-",
    "remote-",
    "ssl-client-",
    "tailscale-user-",
    "x-auth-",
    "x-authenticated-",
    "x-client-",
    "x-envoy-",
    "x-forwarded-",
    "x-goog-authenticated-",
    "x-goog-iap-",
    "x-http-method-",
    "x-ms-client-principal",
    "x-original-",
    "x-pomerium-",
    "x-portcullis-",
    "x-remote-",
    "x-rewrite-",
    "x-ssl-client-",
    "x-user-",
    "x-webauth-",
];

/// What becomes of a field of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    /// Passes as it is.
    Passes,
    /// Passes but for our part of it.
    Cookie,
    /// `TE`: said anew, if it asks for trailers.
    Te,
    /// `Connection`: goes, with what it names.
    Connection,
    /// Goes: of this connection alone, or a forged identity.
    Goes,
}

/// What becomes of a request's field of this name.
pub(super) fn fate(name: &HeaderName) -> Fate {
    match name.as_str() {
        "connection" => Fate::Connection,
        "cookie" => Fate::Cookie,
        "te" => Fate::Te,
        name if is_hop_by_hop(name) || name == "expect" || name == "trailer" => Fate::Goes,
        name if speaks_of_identity(name) => Fate::Goes,
        _ => Fate::Passes,
    }
}

/// Fields that concern one connection only (RFC 9110 section 7.6.1), beside those that `Connection` names.
pub(super) fn is_hop_by_hop(name: &str) -> bool {
    matches!(
        name,
        "connection"
            | "keep-alive"
            | "proxy-authenticate"
            | "proxy-authentication-info"
            | "proxy-authorization"
            | "proxy-connection"
            | "te"
            | "transfer-encoding"
            | "upgrade"
    )
}

/// Whether a name is, or could be read as, one that tells an identity. Upstreams in the CGI tradition read `X_User`, `X.User`
/// and `X-User` as one name, so a name with other characters than letters, digits and hyphens does not pass at all.
pub(super) fn speaks_of_identity(name: &str) -> bool {
    let plain = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    if !plain {
        return true;
    }
    // Most names begin otherwise and are done with here.
    if !matches!(name.as_bytes().first(), Some(b'c' | b'f' | b'p' | b'r' | b's' | b't' | b'x')) {
        return false;
    }
    IDENTITY.contains(&name) || IDENTITY_PREFIXES.iter().any(|known| name.starts_with(known))
}

/// The names that `Connection` fields name.
pub(super) fn named_by_connection(headers: &HeaderMap) -> Vec<HeaderName> {
    let values = headers.get_all(http::header::CONNECTION).iter().filter_map(|value| value.to_str().ok());
    let names = values.flat_map(|value| value.split(',')).map(str::trim);
    // What most connections say names no field.
    let fields = names.filter(|name| !matches!(*name, "" | "keep-alive" | "close" | "Upgrade" | "upgrade"));
    fields.filter_map(|name| HeaderName::try_from(name).ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn t26_t27_forged_identity_goes_in_every_spelling() {
        for forged in [
            "Cf-Access-Jwt-Assertion",
            "CF_Access_Authenticated_User_Email",
            "cf.access.jwt.assertion",
            "X-Forwarded-For",
            "X_Forwarded_Host",
            "x-forwarded-user",
            "Forwarded",
            "X-Original-URL",
            "X-Rewrite-URL",
            "X-HTTP-Method-Override",
            "X-HTTP-Method",
            "X-Real-IP",
            "X-Auth-User",
            "X.Auth.User",
            "Remote-User",
            "Proxy",
        ] {
            let name = HeaderName::try_from(forged).unwrap();
            assert_eq!(fate(&name), Fate::Goes, "{forged}");
        }
        for honest in
            ["accept", "authorization", "forwarded-to", "x-usersnap", "x-requested-with", "traceparent"]
        {
            assert_eq!(fate(&HeaderName::from_static(honest)), Fate::Passes, "{honest}");
        }
    }
}
