//! What a client is told. The only file that chooses status codes and words towards the browser; how a page looks is left to
//! `page`, why a request ended to the stage that ended it.

use bytes::Bytes;
use http::header::{
    ACCEPT, ALLOW, CACHE_CONTROL, CONNECTION, CONTENT_SECURITY_POLICY, CONTENT_TYPE, LOCATION, RETRY_AFTER,
    UPGRADE, VARY, WWW_AUTHENTICATE, X_CONTENT_TYPE_OPTIONS,
};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode};
use portcullis_store::EndReason;

mod look;
mod page;
mod words;

use crate::authorize::Denial;
use crate::body::Body;
use crate::config::{Application, CorsRules};
use crate::cookies;
use crate::credential::CredentialError;
use crate::errand::{Errand, ErrandError};
use crate::form::FormError;
use crate::forward::ForwardError;
use crate::login::{Challenge, LoginError, Summons};
use crate::route::RouteError;
use crate::scim;
use crate::terminal::TerminalError;
use crate::verify::{Asker, OriginalError};

pub(crate) use look::Look;
pub(crate) use page::{Field, Page};

/// Why a request ended before it was forwarded, or while it was.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Rejection {
    #[error("{0}")]
    Route(#[from] RouteError),
    #[error("nothing lives at this path")]
    NotFound,
    #[error("the method is not allowed here")]
    MethodNotAllowed(&'static str),
    #[error("no page of this origin may ask")]
    OriginUnlisted,
    #[error("the client asked too often")]
    TooManyRequests,
    #[error("more requests in a second than one address or person may make")]
    TooFast,
    #[error("nobody is logged in")]
    LoginRequired(Box<Challenge>),
    #[error("the session has ended: {}", .0.as_str())]
    SessionEnded(EndReason, Box<Challenge>),
    #[error("denied by policy: {}", .0.decision.reason)]
    StepUp(Box<Summons>),
    /// Something that they can do on a page of ours would open it.
    #[error("denied by policy: {}", .0.decision.reason)]
    Errand(Box<Errand>),
    /// That came to nothing.
    #[error("{0}")]
    ErrandFailed(#[from] ErrandError),
    #[error("{0}")]
    Denied(#[from] Denial),
    /// A service token that lets nobody in.
    #[error("{0}")]
    Credential(#[from] CredentialError),
    #[error("{0}")]
    Forward(#[from] ForwardError),
    #[error("{error}")]
    Login {
        /// What went wrong.
        error: LoginError,
        /// The front page of the application that it was for, where that is known.
        front: Option<String>,
    },
    /// Another proxy asked in a way that names no single request.
    #[error("{0}")]
    Asked(#[from] OriginalError),
    #[error("nobody is logged in on this host")]
    NoIdentity,
    #[error("two credentials name different logins")]
    CredentialsDisagree,
    /// A form that was posted to us.
    #[error("{0}")]
    Form(#[from] FormError),
    /// A program at a terminal, or who answers its question.
    #[error("{0}")]
    Terminal(#[from] TerminalError),
    #[error("the identity provider has not said for too long that the login still stands")]
    ProviderUnavailable,
    #[error("decisions cannot be recorded, and must be")]
    Unrecorded,
    #[error("the store has not renewed the lease of this process")]
    Unleased,
}

impl From<LoginError> for Rejection {
    fn from(error: LoginError) -> Self {
        Self::Login { error, front: None }
    }
}

impl Rejection {
    /// The same, with the way back to the application that a login was for.
    pub(crate) fn leading_to(self, front: String) -> Self {
        match self {
            Self::Login { error, .. } => Self::Login { error, front: Some(front) },
            other => other,
        }
    }
}

/// How a client wants to be told: a person in front of a page, or a program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Audience {
    /// A page navigation.
    Person,
    /// Anything else: fetch, WebSocket, gRPC, a command line.
    Program,
    /// Whatever comes to the SCIM sink: what it cannot read as SCIM it shows to nobody, or takes for our fault.
    ProvisioningClient,
}

impl Audience {
    /// A request is a navigation when the browser says so (Fetch Metadata), or else when it asks for HTML and for no upgrade.
    pub(crate) fn of(head: &Parts) -> Self {
        Self::judge(&head.method, &head.headers)
    }

    /// The same for a request in one piece.
    pub(crate) fn of_request<B>(request: &Request<B>) -> Self {
        Self::judge(request.method(), request.headers())
    }

    fn judge(method: &Method, headers: &HeaderMap) -> Self {
        let mode = headers.get("sec-fetch-mode").map(HeaderValue::as_bytes);
        let html = headers.get_all(ACCEPT).iter().any(|accept| {
            accept.to_str().is_ok_and(|accept| accept.to_ascii_lowercase().contains("text/html"))
        });
        let page = match mode {
            Some(mode) => mode == b"navigate" && html,
            None => html && !headers.contains_key(UPGRADE),
        };
        if page && *method != Method::OPTIONS { Self::Person } else { Self::Program }
    }
}

/// To whom something is told, and how.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reader<'a> {
    pub(crate) audience: Audience,
    /// What the log can be searched for.
    pub(crate) reference: &'a str,
    pub(crate) look: &'a Look,
    /// The application that the request is for, once that is known.
    pub(crate) application: Option<&'a Application>,
}

/// The words for a rejection.
struct Words {
    status: StatusCode,
    code: &'static str,
    title: &'static str,
    text: String,
    next: Next,
}

/// What a person can do now.
enum Next {
    Nothing,
    Again,
    SignIn(String),
    /// Begin anew at an application's front page.
    Open(String),
    /// Come back as somebody else.
    SignOut,
}

/// Tells a client that its request ended.
pub(crate) fn rejected(rejection: &Rejection, reader: &Reader<'_>) -> Response<Body> {
    let Reader { audience, reference, look, application } = *reader;
    match (rejection, audience) {
        (Rejection::LoginRequired(challenge), Audience::Person) => return challenged(challenge),
        (Rejection::StepUp(summons), Audience::Person) => return challenged(&summons.challenge),
        (Rejection::Errand(errand), Audience::Person) => return redirect(&errand.location, None),
        _ => {}
    }
    let mut words = words::of(rejection);
    if let (Rejection::Denied(Denial::Policy(_)), Some(application)) = (rejection, application) {
        let own = &application.deny_page;
        if let (Some(url), Audience::Person) = (&own.url, audience) {
            return redirect(&deny_address(url, application, words.code, reference), None);
        }
        words.text = own.text.clone().unwrap_or(words.text);
    }
    let mut response = match audience {
        Audience::Person => Page::new(words.status, words.title)
            .text(&words.text)
            .next(&words.next)
            .code(words.code, reference)
            .into_response(look),
        Audience::Program => program(&words, reference),
        Audience::ProvisioningClient => scim::refused(words.status, &words.text),
    };
    let headers = response.headers_mut();
    add_context(headers, rejection, audience);
    no_store(headers);
    response
}

/// The same to a provisioning client, in the form of RFC 7644 section 3.12.
pub(crate) fn refused_in_scim(rejection: &Rejection) -> Response<Body> {
    let words = words::of(rejection);
    let mut response = scim::refused(words.status, &words.text);
    add_context(response.headers_mut(), rejection, Audience::ProvisioningClient);
    no_store(response.headers_mut());
    response
}

/// A page elsewhere about a denial. It is told what the log can be searched for, and nothing about the person.
fn deny_address(url: &url::Url, application: &Application, code: &str, reference: &str) -> String {
    let mut url = url.clone();
    url.query_pairs_mut()
        .append_pair("application", &application.name)
        .append_pair("code", code)
        .append_pair("reference", reference);
    url.into()
}

/// Sends a person's browser to the login, with the cookie that will bind the answer to it.
fn challenged(challenge: &Challenge) -> Response<Body> {
    redirect(&challenge.location, challenge.cookies.iter().cloned())
}

fn add_context(headers: &mut HeaderMap, rejection: &Rejection, audience: Audience) {
    match rejection {
        Rejection::LoginRequired(challenge) | Rejection::SessionEnded(_, challenge) => {
            // The location leads back to one page; a program is told where a person can log in, without a binding cookie.
            headers.extend(login_url(challenge).map(|value| (WWW_AUTHENTICATE, value)));
            if audience == Audience::Person {
                cookies::append(headers, challenge.cookies.iter().cloned());
            }
        }
        Rejection::Credential(error) | Rejection::Denied(Denial::Credential(error)) => {
            let value = format!("Portcullis error=\"{}\"", error.code());
            headers.extend(HeaderValue::try_from(value).ok().map(|value| (WWW_AUTHENTICATE, value)));
        }
        // RFC 9470: what the login is to bring, for a program that can see to that itself.
        Rejection::StepUp(summons) => {
            let needed = HeaderValue::try_from(summons.need.bearer_challenge()).ok();
            for value in needed.into_iter().chain(login_url(&summons.challenge)) {
                headers.append(WWW_AUTHENTICATE, value);
            }
        }
        Rejection::MethodNotAllowed(allowed) => {
            headers.insert(ALLOW, HeaderValue::from_static(allowed));
        }
        // What follows a body whose end is told in two ways is nobody's request.
        Rejection::Route(RouteError::TransferEncoding) => {
            headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
        Rejection::TooManyRequests => {
            headers.insert(RETRY_AFTER, HeaderValue::from_static("60"));
        }
        // On another connection the client is asked again, or not any more, for its certificate; or there is room on it.
        Rejection::Route(RouteError::TlsPolicy) | Rejection::Denied(Denial::CrowdedConnection) => {
            headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
        Rejection::TooFast => {
            headers.insert(RETRY_AFTER, HeaderValue::from_static("1"));
        }
        Rejection::ProviderUnavailable
        | Rejection::Unrecorded
        | Rejection::Unleased
        | Rejection::Forward(ForwardError::Unleased) => {
            headers.insert(RETRY_AFTER, HeaderValue::from_static("10"));
        }
        _ => {}
    }
}

fn login_url(challenge: &Challenge) -> Option<HeaderValue> {
    HeaderValue::try_from(format!("Portcullis login_url=\"{}\"", challenge.entrance)).ok()
}

fn program(words: &Words, reference: &str) -> Response<Body> {
    let mut told = serde_json::json!({
        "error": words.code,
        "message": words.text,
        "reference": reference,
    });
    if let (Next::SignIn(url), Some(told)) = (&words.next, told.as_object_mut()) {
        told.insert("login_url".to_owned(), url.as_str().into());
    }
    json(words.status, &told)
}

/// What another proxy is told that may let a request pass; it copies the fields that it is configured to copy.
pub(crate) fn verified(told: HeaderMap) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.headers_mut() = told;
    no_store(response.headers_mut());
    response
}

/// Brings an answer into the form that the asking proxy understands. A redirect is no status that `auth_request` knows.
pub(crate) fn for_asker(mut response: Response<Body>, asker: Asker) -> Response<Body> {
    if asker == Asker::ReadsStatus && response.status().is_redirection() {
        *response.status_mut() = StatusCode::UNAUTHORIZED;
    }
    response
}

/// A redirect that is a new request: whatever the method was, the next one is a GET (RFC 9110 section 15.4.4).
pub(crate) fn redirect(location: &str, cookies: impl IntoIterator<Item = HeaderValue>) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    // Every location is built by us from parsed parts; one that is no header value could only lead astray.
    let Ok(location) = HeaderValue::try_from(location) else {
        *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
        return response;
    };
    *response.status_mut() = StatusCode::SEE_OTHER;
    response.headers_mut().insert(LOCATION, location);
    cookies::append(response.headers_mut(), cookies);
    no_store(response.headers_mut());
    response
}

/// A page of our own that is no rejection.
pub(crate) fn page(
    look: &Look,
    page: Page,
    cookies: impl IntoIterator<Item = HeaderValue>,
) -> Response<Body> {
    let mut response = page.into_response(look);
    cookies::append(response.headers_mut(), cookies);
    no_store(response.headers_mut());
    response
}

/// A JSON answer that nobody may keep.
pub(crate) fn identity(value: &serde_json::Value) -> Response<Body> {
    let mut response = json(StatusCode::OK, value);
    no_store(response.headers_mut());
    response
}

/// The picture on our pages. Whatever the file holds, a browser runs nothing of it.
pub(crate) fn logo(look: &Look) -> Option<Response<Body>> {
    let (content_type, bytes) = look.logo.clone()?;
    let mut response = Response::new(Body::from(bytes));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(
        CONTENT_SECURITY_POLICY,
        HeaderValue::from_static("default-src 'none'; style-src 'unsafe-inline'; sandbox"),
    );
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("public, max-age=300"));
    Some(response)
}

/// The answer to a preflight of a listed origin.
pub(crate) fn preflight(rules: &CorsRules, origin: &HeaderValue) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    rules.permit(origin, response.headers_mut());
    response
}

/// The public keys: may be kept for a short while.
pub(crate) fn keys(published: Bytes) -> Response<Body> {
    let mut response = Response::new(Body::from(published));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("public, max-age=300"));
    response
}

fn json(status: StatusCode, value: &serde_json::Value) -> Response<Body> {
    let mut response = Response::new(Body::from(value.to_string()));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    // What people and peers are called stands in it: it is no page, whatever a browser would make of it.
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

fn no_store(headers: &mut HeaderMap) {
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(VARY, HeaderValue::from_static("cookie, accept, sec-fetch-mode"));
}

#[cfg(test)]
mod tests;
