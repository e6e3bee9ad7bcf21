//! RP-initiated logout: ends the Okta session when the hint belongs to it, and returns to a registered address.

use http::StatusCode;
use http::header::SET_COOKIE;
use url::form_urlencoded;

use super::Okta;
use super::discovery::AuthServer;
use super::exchange::{Answer, Ask};
use super::login;

/// `/logout`. The hint may be expired; its signature, issuer and audience must hold.
pub(super) fn logout(shared: &Okta, server: AuthServer, ask: &Ask) -> Answer {
    let params = ask.either();
    let issuer = server.issuer(&shared.base_url);
    let hint = params
        .value("id_token_hint")
        .and_then(|token| shared.ring(server, |ring| ring.open(token)))
        .filter(|claims| claims["iss"] == issuer.as_str());
    let client = hint.as_ref().and_then(|claims| shared.org().client(claims["aud"].as_str()?).cloned());
    let (Some(hint), Some(client)) = (hint, client) else {
        return login::error_page("invalid_request", "The 'id_token_hint' is missing or invalid.");
    };
    let target = match params.value("post_logout_redirect_uri") {
        None => format!("{}/login", shared.base_url),
        Some(uri) if client.post_logout_redirect_uris.iter().any(|registered| registered == uri) => {
            let state = params.value("state").map(|state| ("state", state));
            with_state(uri, state)
        }
        Some(_) => {
            let text = "The 'post_logout_redirect_uri' parameter must be a Logout redirect URI in the client app settings.";
            return login::error_page("invalid_request", text);
        }
    };
    if let Some(id) = ask.cookie(login::COOKIE) {
        let mut grants = shared.grants();
        let now = shared.now();
        if grants.session(&id, now).is_some_and(|session| hint["sub"] == session.person_id.as_str()) {
            grants.close_session(&id);
        }
    }
    Answer::redirect(StatusCode::FOUND, &target)
        .and(SET_COOKIE, &format!("{}=; Path=/; Max-Age=0; HttpOnly; SameSite=Lax", login::COOKIE))
}

fn with_state(uri: &str, state: Option<(&str, &str)>) -> String {
    let Some(pair) = state else { return uri.to_owned() };
    let joint = if uri.contains('?') { '&' } else { '?' };
    let encoded = form_urlencoded::Serializer::new(String::new()).extend_pairs([pair]).finish();
    format!("{uri}{joint}{encoded}")
}

/// Where a browser lands after a logout without an address.
pub(super) fn signed_out() -> Answer {
    Answer::html(StatusCode::OK, login::document("Sign In", "<p>You are signed out.</p>"))
}
