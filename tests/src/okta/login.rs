//! The sign-in form, in plain HTML with the fields `username` and `password`, the session cookie it leads to, and the pages
//! of refusal.

use http::StatusCode;
use http::header::SET_COOKIE;

use super::Okta;
use super::authorize;
use super::exchange::{Answer, Ask, escape};
use super::grants::OktaSession;
use super::misbehave::Neglect;
use super::state::Status;

/// The cookie of the Okta session.
pub(super) const COOKIE: &str = "sid";

/// POST `/login`: checks the password and goes on with the authorization request that led here.
pub(super) fn submit(shared: &Okta, ask: &Ask) -> Answer {
    let form = ask.form();
    let field = |name| form.value(name).unwrap_or_default();
    let state_token = field("stateToken");
    let Some(request) = shared.grants().sign_in(state_token).cloned() else {
        return error_page("invalid_request", "You have been logged out due to inactivity. Start again.");
    };
    let Some(person_id) = person_with(shared, field("username"), field("password")) else {
        return page(StatusCode::UNAUTHORIZED, state_token, field("username"), Some("Unable to sign in"));
    };
    // Whoever has the password passes the second factor too, if one is asked for.
    let acr = request.acr_values.first().cloned().filter(|_| !shared.neglects(Neglect::AcrValues));
    let session = OktaSession { person_id, auth_time: shared.login_time(), acr };
    let cookie = {
        let mut grants = shared.grants();
        grants.end_sign_in(state_token);
        grants.open_session(session.clone())
    };
    authorize::finish(shared, &request, &session)
        .and(SET_COOKIE, &format!("{COOKIE}={cookie}; Path=/; HttpOnly; SameSite=Lax"))
}

/// A wrong password and a person who is not active look the same.
fn person_with(shared: &Okta, login: &str, password: &str) -> Option<String> {
    let org = shared.org();
    let account = org.account_by_short_login(login).ok()?;
    (account.status == Status::Active && account.person.password == password).then(|| account.id.clone())
}

/// The form itself.
pub(super) fn page(status: StatusCode, state_token: &str, username: &str, error: Option<&str>) -> Answer {
    let error =
        error.map(|text| format!("<p role=alert class=error>{}</p>", escape(text))).unwrap_or_default();
    let body = format!(
        "{error}<form method=post action=\"/login\">\
         <input type=hidden name=stateToken value=\"{}\">\
         <label>Username <input name=username autocomplete=username value=\"{}\" required autofocus></label>\
         <label>Password <input name=password type=password autocomplete=current-password required></label>\
         <button type=submit>Sign In</button></form>",
        escape(state_token),
        escape(username)
    );
    Answer::html(status, document("Sign In", &body)).with(http::header::REFERRER_POLICY, "no-referrer")
}

/// Okta's page for what cannot be told to the application.
pub(super) fn error_page(error: &str, text: &str) -> Answer {
    let body = format!(
        "<p role=alert class=error>Your request resulted in an error. {}</p><p>Description: <code>{}</code></p>",
        escape(text),
        escape(error)
    );
    Answer::html(StatusCode::BAD_REQUEST, document("400 Bad Request", &body))
}

/// The frame of every page here.
pub(super) fn document(title: &str, body: &str) -> String {
    const STYLE: &str = "body{font:16px/1.5 system-ui,sans-serif;max-width:64rem;margin:2rem auto;padding:0 1rem}\
        label,button{display:block;margin:.5rem 0}table{border-collapse:collapse;width:100%}\
        td,th{text-align:left;vertical-align:top;padding:.3rem .6rem;border-bottom:1px solid #ccc}\
        td form{display:inline-flex;gap:.3rem;align-items:center;margin:.1rem}td label,td button{margin:0;white-space:nowrap}\
        .error{color:#a00}.quiet{color:#666}pre{white-space:pre-wrap;word-break:break-all;margin:0}";
    format!(
        "<!doctype html><html lang=en><head><meta charset=utf-8>\
         <meta name=viewport content=\"width=device-width,initial-scale=1\"><title>{title} - Okta simulator</title>\
         <style>{STYLE}</style></head><body><h1>{title}</h1>{body}</body></html>",
        title = escape(title)
    )
}
