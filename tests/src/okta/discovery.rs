//! The two authorization servers, their addresses, and the metadata and keys they publish.

use http::StatusCode;
use http::header::CACHE_CONTROL;
use serde_json::{Value, json};

use super::Okta;
use super::exchange::Answer;
use super::keys::KeyRing;

/// Which authorization server is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AuthServer {
    /// The org authorization server: its issuer is the base address.
    Org,
    /// The custom authorization server `default`.
    Default,
}

impl AuthServer {
    /// The server that an `asId` in a path names.
    pub(super) fn named(id: &str) -> Option<Self> {
        (id == "default").then_some(Self::Default)
    }

    /// The issuer, below this base address.
    #[must_use]
    pub fn issuer(self, base: &str) -> String {
        match self {
            Self::Org => base.to_owned(),
            Self::Default => format!("{base}/oauth2/default"),
        }
    }

    /// The address of an endpoint, such as `token`.
    #[must_use]
    pub fn endpoint(self, base: &str, leaf: &str) -> String {
        match self {
            Self::Org => format!("{base}/oauth2/v1/{leaf}"),
            Self::Default => format!("{base}/oauth2/default/v1/{leaf}"),
        }
    }
}

/// `/.well-known/openid-configuration`. Neither RFC 9207, unless told to, nor any front- or back-channel logout is announced: Okta has none.
pub(super) fn openid_configuration(shared: &Okta, server: AuthServer) -> Answer {
    let mut document = oauth_document(&shared.base_url, server);
    document["userinfo_endpoint"] = json!(server.endpoint(&shared.base_url, "userinfo"));
    document["id_token_signing_alg_values_supported"] = json!([shared.signs_with()]);
    if shared.announces_issuer_parameter() {
        document["authorization_response_iss_parameter_supported"] = json!(true);
    }
    document["claims_supported"] = json!([
        "iss",
        "ver",
        "sub",
        "aud",
        "iat",
        "exp",
        "jti",
        "auth_time",
        "amr",
        "idp",
        "nonce",
        "name",
        "given_name",
        "family_name",
        "preferred_username",
        "email",
        "email_verified",
        "locale",
        "zoneinfo",
        "updated_at",
        "at_hash",
    ]);
    Answer::json(StatusCode::OK, &document).with(CACHE_CONTROL, "max-age=86400, must-revalidate")
}

/// `/.well-known/oauth-authorization-server` (RFC 8414).
pub(super) fn oauth_metadata(shared: &Okta, server: AuthServer) -> Answer {
    let document = oauth_document(&shared.base_url, server);
    Answer::json(StatusCode::OK, &document).with(CACHE_CONTROL, "max-age=86400, must-revalidate")
}

fn oauth_document(base: &str, server: AuthServer) -> Value {
    let methods =
        ["client_secret_basic", "client_secret_post", "client_secret_jwt", "private_key_jwt", "none"];
    let endpoint = |leaf: &str| server.endpoint(base, leaf);
    json!({
        "issuer": server.issuer(base),
        "authorization_endpoint": endpoint("authorize"),
        "token_endpoint": endpoint("token"),
        "registration_endpoint": format!("{base}/oauth2/v1/clients"),
        "jwks_uri": endpoint("keys"),
        "response_types_supported":
            ["code", "id_token", "code id_token", "code token", "id_token token", "code id_token token"],
        "response_modes_supported": ["query", "fragment", "form_post", "okta_post_message"],
        "grant_types_supported": ["authorization_code", "implicit", "refresh_token", "password"],
        "subject_types_supported": ["public"],
        "scopes_supported":
            ["openid", "email", "profile", "address", "phone", "offline_access", "groups"],
        "token_endpoint_auth_methods_supported": methods,
        "code_challenge_methods_supported": ["S256"],
        "introspection_endpoint": endpoint("introspect"),
        "introspection_endpoint_auth_methods_supported": methods,
        "revocation_endpoint": endpoint("revoke"),
        "revocation_endpoint_auth_methods_supported": methods,
        "end_session_endpoint": endpoint("logout"),
        "pushed_authorization_request_endpoint": endpoint("par"),
        "request_parameter_supported": true,
        "request_object_signing_alg_values_supported":
            ["HS256", "HS384", "HS512", "RS256", "RS384", "RS512", "ES256", "ES384", "ES512"],
        "device_authorization_endpoint": endpoint("device/authorize"),
        "dpop_signing_alg_values_supported":
            ["RS256", "RS384", "RS512", "ES256", "ES384", "ES512"],
    })
}

/// `/keys`.
pub(super) fn keys(shared: &Okta, server: AuthServer) -> Answer {
    let jwks = shared.ring(server, KeyRing::jwks);
    let max_age_s = shared.config.keys_max_age_s;
    Answer::json(StatusCode::OK, &jwks).with(CACHE_CONTROL, &format!("max-age={max_age_s}, must-revalidate"))
}
