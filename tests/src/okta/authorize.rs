//! `/authorize` and `/par`: checks an authorization request, lets a browser with an Okta session straight through, and sends
//! everybody else to the form of `login`. Codes become tokens in `token`.

use http::StatusCode;
use serde_json::json;
use url::form_urlencoded;

use super::Okta;
use super::discovery::AuthServer;
use super::exchange::{Answer, Ask, Params, escape};
use super::grants::{AuthorizeRequest, Grant, OktaSession, ResponseMode};
use super::login;
use super::misbehave::Neglect;
use super::state::Status;
use super::token;

/// Okta's longest `scope`.
const MAX_SCOPE: usize = 1024;
/// What may be asked for; `groups` only of the org authorization server, where the claim needs it.
const SCOPES: &[&str] =
    &["openid", "profile", "email", "address", "phone", "offline_access", "groups", "device_sso"];

/// A request that goes no further.
enum Refusal {
    /// The client or its address cannot be trusted, so the browser stays at Okta.
    Page(&'static str, &'static str),
    /// The callback is told.
    Callback(ReplyTo, &'static str, &'static str),
}

/// Where and how an answer goes.
struct ReplyTo {
    uri: String,
    mode: ResponseMode,
    state: Option<String>,
}

impl From<&AuthorizeRequest> for ReplyTo {
    fn from(request: &AuthorizeRequest) -> Self {
        Self {
            uri: request.redirect_uri.clone(),
            mode: request.response_mode,
            state: Some(request.state.clone()),
        }
    }
}

pub(super) fn authorize(shared: &Okta, server: AuthServer, ask: &Ask) -> Answer {
    let request = match pushed_or_sent(shared, ask.either()).and_then(|params| check(shared, server, &params))
    {
        Ok(request) => request,
        Err(refusal) => return refuse(&refusal),
    };
    let now = shared.now();
    let session = ask.cookie(login::COOKIE).and_then(|id| shared.grants().session(&id, now).cloned());
    match session.filter(|session| !needs_fresh_login(shared, &request, session, now)) {
        Some(session) => finish(shared, &request, &session),
        None if request.prompt.as_deref() == Some("none") => refuse(&Refusal::Callback(
            ReplyTo::from(&request),
            "login_required",
            "The client specified not to prompt, but the user is not logged in.",
        )),
        None => {
            let hint = request.login_hint.clone().unwrap_or_default();
            let state_token = shared.grants().begin_sign_in(request);
            login::page(StatusCode::OK, &state_token, &hint, None)
        }
    }
}

/// RFC 9126. The parameters are checked when they are used, as in the plain request.
pub(super) fn pushed(shared: &Okta, ask: &Ask) -> Answer {
    let form = ask.form();
    match token::authenticate(shared, ask, &form) {
        Ok(client) => {
            let params = form.without(&["client_secret", "client_assertion", "client_assertion_type"]);
            let uri = shared.grants().push_request(&client.id, params);
            Answer::json(StatusCode::CREATED, &json!({"request_uri": uri, "expires_in": 3600}))
        }
        Err(refused) => refused.answer(),
    }
}

fn pushed_or_sent(shared: &Okta, params: Params) -> Result<Params, Refusal> {
    let Some(uri) = params.value("request_uri") else { return Ok(params) };
    let client_id = params.value("client_id").unwrap_or_default();
    shared
        .grants()
        .take_pushed(uri, client_id)
        .ok_or(Refusal::Page("invalid_request", "The 'request_uri' is invalid or has expired."))
}

fn check(shared: &Okta, server: AuthServer, params: &Params) -> Result<AuthorizeRequest, Refusal> {
    let org = shared.org();
    let client = params
        .value("client_id")
        .and_then(|id| org.client(id))
        .ok_or(Refusal::Page("invalid_client", "Invalid value for 'client_id' parameter."))?;
    let redirect_uri = params
        .value("redirect_uri")
        .filter(|uri| client.redirect_uris.iter().any(|registered| registered == uri))
        .ok_or(Refusal::Page(
            "invalid_request",
            "The 'redirect_uri' parameter must be a Login redirect URI in the client app settings.",
        ))?
        .to_owned();
    let state = params.value("state").map(str::to_owned);
    let reply = |mode| ReplyTo { uri: redirect_uri.clone(), mode, state: state.clone() };
    let mode = match params.value("response_mode") {
        None | Some("query") => ResponseMode::Query,
        Some("fragment") => ResponseMode::Fragment,
        Some("form_post") => ResponseMode::FormPost,
        Some(_) => {
            let text = "The requested response mode is not supported by the authorization server.";
            return Err(Refusal::Callback(reply(ResponseMode::Query), "unsupported_response_mode", text));
        }
    };
    let refused = |error, text| Err(Refusal::Callback(reply(mode), error, text));
    let Some(known_state) = state.clone() else {
        return refused("invalid_request", "The authentication request has an invalid 'state' parameter.");
    };
    if params.value("response_type") != Some("code") {
        let text = "The response type is not supported by the authorization server.";
        return refused("unsupported_response_type", text);
    }
    let scopes = match check_scopes(params.value("scope")) {
        Ok(scopes) => scopes,
        Err((error, text)) => return refused(error, text),
    };
    let challenge = match check_challenge(params, client.is_public() || client.require_pkce) {
        Ok(challenge) => challenge,
        Err(text) => return refused("invalid_request", text),
    };
    if server == AuthServer::Default && !org.custom_policy_matches {
        return refused(
            "access_denied",
            "Policy evaluation failed for this request, please check the policy configurations.",
        );
    }
    let max_age_s = match params.value("max_age").map(str::parse::<u64>) {
        Some(Err(_)) => return refused("invalid_request", "The 'max_age' parameter must be a number."),
        parsed => parsed.and_then(Result::ok),
    };
    Ok(AuthorizeRequest {
        server,
        client_id: client.id.clone(),
        response_mode: mode,
        state: known_state,
        nonce: params.value("nonce").map(str::to_owned),
        challenge,
        scopes,
        prompt: params.value("prompt").map(str::to_owned),
        max_age_s,
        acr_values: params
            .value("acr_values")
            .map(|values| values.split(' ').map(str::to_owned).collect())
            .unwrap_or_default(),
        login_hint: params.value("login_hint").map(str::to_owned),
        redirect_uri,
    })
}

/// Okta knows `S256` alone; without a challenge only a client goes on that need not use PKCE.
fn check_challenge(params: &Params, required: bool) -> Result<Option<String>, &'static str> {
    match (params.value("code_challenge"), params.value("code_challenge_method")) {
        (Some(challenge), Some("S256")) => Ok(Some(challenge.to_owned())),
        (Some(_), _) => Err("The PKCE code challenge method must be 'S256'."),
        (None, _) if required => Err("PKCE code challenge is required by the application."),
        (None, _) => Ok(None),
    }
}

fn check_scopes(scope: Option<&str>) -> Result<Vec<String>, (&'static str, &'static str)> {
    let scope = scope.unwrap_or_default();
    if scope.len() > MAX_SCOPE {
        return Err(("invalid_request", "The 'scope' parameter is too long."));
    }
    let scopes = scope.split_ascii_whitespace().map(str::to_owned).collect::<Vec<_>>();
    if scopes.is_empty() {
        return Err(("invalid_scope", "The authentication request has an invalid 'scope' parameter."));
    }
    if scopes.iter().any(|scope| !SCOPES.contains(&scope.as_str())) {
        return Err((
            "invalid_scope",
            "One or more scopes are not configured for the authorization server resource.",
        ));
    }
    Ok(scopes)
}

fn needs_fresh_login(shared: &Okta, request: &AuthorizeRequest, session: &OktaSession, now: u64) -> bool {
    let too_old = request.max_age_s.is_some_and(|limit| limit == 0 || now > session.auth_time + limit);
    let asked = &request.acr_values;
    let too_weak = !asked.is_empty() && !session.acr.as_ref().is_some_and(|acr| asked.contains(acr));
    request.prompt.as_deref() == Some("login")
        || too_old && !shared.neglects(Neglect::MaxAge)
        || too_weak && !shared.neglects(Neglect::AcrValues)
}

/// Hands out the code, if this person may use this application.
pub(super) fn finish(shared: &Okta, request: &AuthorizeRequest, session: &OktaSession) -> Answer {
    let reply = ReplyTo::from(request);
    let may_enter = {
        let org = shared.org();
        org.account(&session.person_id).is_ok_and(|account| {
            account.status == Status::Active && org.is_assigned(&request.client_id, &account.person.login)
        })
    };
    if !may_enter {
        let text = "User is not assigned to the client application.";
        return refuse(&Refusal::Callback(reply, "access_denied", text));
    }
    let code = shared.grants().issue_code(Grant {
        server: request.server,
        client_id: request.client_id.clone(),
        redirect_uri: request.redirect_uri.clone(),
        person_id: session.person_id.clone(),
        scopes: request.scopes.clone(),
        nonce: request.nonce.clone(),
        challenge: request.challenge.clone(),
        auth_time: session.auth_time,
        acr: session.acr.clone(),
        issued_at: shared.now(),
    });
    let issuer = request.server.issuer(&shared.base_url);
    let mut fields = vec![("code", code.as_str()), ("state", &request.state)];
    fields.extend(shared.announces_issuer_parameter().then_some(("iss", issuer.as_str())));
    reply_with(&reply, &fields)
}

fn refuse(refusal: &Refusal) -> Answer {
    match refusal {
        Refusal::Page(error, text) => login::error_page(error, text),
        Refusal::Callback(reply, error, text) => {
            let state = reply.state.as_deref();
            let mut fields = vec![("error", *error), ("error_description", *text)];
            fields.extend(state.map(|state| ("state", state)));
            reply_with(reply, &fields)
        }
    }
}

fn reply_with(reply: &ReplyTo, fields: &[(&str, &str)]) -> Answer {
    let encoded = form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
    match reply.mode {
        ResponseMode::Query => {
            let joint = if reply.uri.contains('?') { '&' } else { '?' };
            Answer::redirect(StatusCode::FOUND, &format!("{}{joint}{encoded}", reply.uri))
        }
        ResponseMode::Fragment => Answer::redirect(StatusCode::FOUND, &format!("{}#{encoded}", reply.uri)),
        ResponseMode::FormPost => Answer::html(StatusCode::OK, posting_form(&reply.uri, fields)),
    }
}

fn posting_form(uri: &str, fields: &[(&str, &str)]) -> String {
    let inputs = fields
        .iter()
        .map(|(name, value)| {
            format!("<input type=hidden name=\"{}\" value=\"{}\">", escape(name), escape(value))
        })
        .collect::<String>();
    format!(
        "<!doctype html><title>Submit this form</title><body onload=\"document.forms[0].submit()\">\
         <form method=post action=\"{}\">{inputs}<button>Continue</button></form></body>",
        escape(uri)
    )
}
